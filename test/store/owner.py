"""The owner of a store in a test: its thread is the test's, and it notes what is published."""

import queue
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.types import SessionEvent, Time
from evse_manager.store import Entry, Remembered, SessionStore

SECOND = 1_000_000_000
EPOCH = Time(1_767_225_600 * SECOND)
PATIENCE_S = 10.0


class Owner:
    """See the module's description."""

    def __init__(self, path: Path | None, retention_days: int = 365) -> None:
        self.told: list[str] = []
        self._awake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.store = SessionStore(path, retention_days, now=lambda: EPOCH, wake=lambda: self._awake.put(None))
        self.remembered: Remembered = self.store.open()
        self.store.published_undelivered()

    def keep(self, entry: Entry, name: str = '') -> None:
        self.store.keep(entry, lambda: self.told.append(name))

    def wait(self, condition: Callable[[], object], limit_s: float = PATIENCE_S) -> None:
        """Do as the node does: settle when woken, and when something is overdue."""
        end = time.monotonic() + limit_s
        while not condition():
            overdue = self.store.overdue_at
            now = time.monotonic()
            assert now < end, f'not within {limit_s} s; told: {self.told}; {self.store.warning!r}'
            with suppress(queue.Empty):
                self._awake.get(timeout=max(0.001, min(end, end if overdue is None else overdue) - now))
            self.store.settle()

    def close(self) -> None:
        self.store.flush(PATIENCE_S)
        self.store.close(PATIENCE_S)


def event(number: int, kind: Event = Event.PREPARE_CHARGING, uuid: str = 'a') -> Entry:
    """Return an entry with one event."""
    stamp = Time(EPOCH + number * SECOND)
    return Entry(stamp, (SessionEvent(stamp=stamp, sequence_number=number, uuid=uuid, event=kind),))
