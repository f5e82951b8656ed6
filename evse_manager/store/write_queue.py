"""The queue between the owner's thread and the writer's thread: the only state that they share."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from evse_manager.store.records_sql import Entry, has_durable_event

CAPACITY = 2000
"""
Most entries that wait for the disk.  Beyond that the oldest without a durable event is dropped, or else the
oldest; the state that it carries is merged into the next entry.
"""


@dataclass(slots=True)
class QueuedEntry:
    """An entry on its way to the file, and the callback that publishes it."""

    entry: Entry
    publish: Callable[[], None]
    since: float
    recorded: bool = False


class WriteQueue:
    """Entries to be written, tsuccessor results, and the current problem; any thread may call any method."""

    def __init__(self, changed: Callable[[], object]) -> None:
        """``changed`` is called in the thread of the change when the owner should call ``settle``."""
        self._changed = changed
        self._condition = threading.Condition()
        self._inbox: deque[QueuedEntry] = deque()
        self._delivered = 0
        self._behind = False
        self._lost = 0
        self._closing = False
        self._trouble = ''
        self._notice = ''

    # --- for the owner ---

    @property
    def behind(self) -> bool:
        """Whether the records lag, so that no publication waits for them."""
        return self._behind

    @property
    def warning(self) -> str:
        """The problem, for people; empty when there is none."""
        return ' '.join(text for text in (self._trouble, self._notice) if text)

    def put(self, pending: QueuedEntry) -> None:
        """Ask for an entry to be written."""
        with self._condition:
            self._inbox.append(pending)
            self._bound()
            self._condition.notify_all()

    def delivered(self, sequence_number: int) -> None:
        """Note that every event up to this number has been published."""
        with self._condition:
            self._delivered = max(self._delivered, sequence_number)
            self._condition.notify_all()

    def wait_until_recorded(self, pending: QueuedEntry, limit_s: float) -> None:
        """Wait for an entry, unless the records lag."""
        with self._condition:
            self._condition.wait_for(lambda: pending.recorded or self._behind, limit_s)

    def close(self) -> None:
        """Ask the writer to finish."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()

    # --- for both ---

    def fall_behind(self, trouble: str) -> None:
        """Let no publication wait for its record from now on; ``trouble`` is the reason, for people."""
        with self._condition:
            self._behind = True
            self._trouble = trouble
            self._condition.notify_all()
        self._changed()

    # --- for the writer ---

    def opened(self) -> None:
        """Note that the file was opened, or can't be."""
        self._changed()

    def notice(self, text: str) -> None:
        """Add a warning that holds for the life of the process."""
        self._notice = text
        self._changed()

    def take(self, limit_s: float, delivered: int) -> tuple[list[QueuedEntry], int, bool]:
        """
        Wait for work, at most ``limit_s``.

        Return the entries to be written, the number up to which events have been published (``delivered`` is
        the number that the writer knows), and whether to end.
        """
        with self._condition:
            self._condition.wait_for(
                lambda: self._inbox or self._closing or self._delivered != delivered, limit_s
            )
            batch = list(self._inbox)
            self._inbox.clear()
            return batch, self._delivered, self._closing

    def recorded(self, batch: list[QueuedEntry]) -> None:
        """Note that entries have been committed."""
        with self._condition:
            for pending in batch:
                pending.recorded = True
            self._condition.notify_all()
        self._changed()

    def give_back(self, batch: list[QueuedEntry]) -> None:
        """Put entries that could not be written back to the front."""
        with self._condition:
            self._inbox.extendleft(reversed(batch))
            self._bound()

    def catch_up(self) -> None:
        """Note that the file accepts records again; when none waits, the records no longer lag."""
        with self._condition:
            if not self._behind or self._inbox:
                return
            self._behind = False
            self._trouble = f'{self._lost} session records were lost.' if self._lost else ''
        self._changed()

    def wait_to_retry(self, limit_s: float) -> bool:
        """Wait before another try; return whether to end instead."""
        with self._condition:
            return self._condition.wait_for(lambda: self._closing, limit_s)

    def _bound(self) -> None:
        while len(self._inbox) > CAPACITY:
            older = enumerate(islice(self._inbox, CAPACITY))  # the newest is never dropped
            self._drop(next((place for place, each in older if not has_durable_event(each.entry)), 0))

    def _drop(self, place: int) -> None:
        """Drop an entry; the state that it carries is merged into the one that follows."""
        lost = self._inbox[place].entry
        del self._inbox[place]
        self._lost += 1
        successor = self._inbox[place]
        successor.entry = replace(
            successor.entry,
            memory=lost.memory if successor.entry.memory is None else successor.entry.memory,
            errors=lost.errors if successor.entry.errors is None else successor.entry.errors,
        )
