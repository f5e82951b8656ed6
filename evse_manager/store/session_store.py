"""
The door of the store, for the thread of its owner.

The owner gives entries to ``keep`` and never waits for a disk.  The writer's thread commits them, and then
what they have to ``tell`` is told, in order.  A slow disk delays that by ``TELL_AFTER_S`` at most, once; from
then on, and with a disk that fails, it is told at once, and written as soon as that is possible.
"""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from evse_manager.interface.types import Time
from evse_manager.store.exchange import Exchange, Pending
from evse_manager.store.writer import Writer
from evse_manager.store.writing import Entry, Loaded

TELL_AFTER_S = 0.9
"""So long something to be told waits for its record; with the time of telling it is a second."""

OPEN_S = 3.0
"""So long the start waits for the file."""

Remembered = Loaded


class SessionStore:
    """The records of one connector; every method belongs to the owner's thread."""

    def __init__(
        self,
        path: Path | None,
        retention_days: int,
        *,
        now: Callable[[], Time],
        wake: Callable[[], object],
    ) -> None:
        """
        Keep records in the file ``path``; None keeps none.

        ``now`` tells the wall time, in any thread; ``wake``, called in any thread, is to have ``settle``
        called in the owner's.
        """
        self._path = path
        self._pending: deque[Pending] = deque()
        self._exchange = Exchange(wake)
        self._writer = Writer(path, retention_days, self._exchange, now) if path is not None else None
        self._recording = False
        self._last_sequence_number = 0

    @property
    def warning(self) -> str:
        """What is wrong with the records, for people; empty when nothing is."""
        return self._exchange.warning

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits for its record."""
        return not self._pending

    @property
    def overdue_at(self) -> float | None:
        """When ``settle`` has to be called at the latest (seconds of ``time.monotonic``)."""
        return self._pending[0].since + TELL_AFTER_S if self._pending else None

    def open(self) -> Remembered:
        """
        Open the file, waiting for it ``OPEN_S`` at most, and return what it remembers.

        Its ``undelivered`` events are to be told first; then call ``told_undelivered``.
        """
        if self._writer is None:
            return Loaded()
        remembered = self._writer.open(OPEN_S)
        self._recording = self._writer.is_recording
        self._last_sequence_number = remembered.last_sequence_number
        return remembered

    def told_undelivered(self) -> None:
        """Note that what an earlier process had left to tell has been told."""
        self._exchange.delivered(self._last_sequence_number)

    def keep(self, entry: Entry, tell: Callable[[], None]) -> None:
        """Record an entry, then ``tell``, in the order of the calls."""
        if not self._recording:
            tell()
            return
        pending = Pending(entry, tell, time.monotonic())
        self._pending.append(pending)
        self._exchange.put(pending)
        if self._exchange.behind:
            self.settle()

    def settle(self) -> None:
        """Tell what is recorded, and what has waited long enough."""
        overdue = self.overdue_at
        if overdue is not None and not self._pending[0].recorded and time.monotonic() >= overdue:
            self._exchange.fall_behind(
                f'The disk is slow: {self._path} did not take the session records in time.'
            )
        while self._pending and (self._pending[0].recorded or self._exchange.behind):
            first = self._pending.popleft()
            first.tell()
            if first.entry.events:
                self._exchange.delivered(first.entry.events[-1].sequence_number)

    def flush(self, limit_s: float) -> None:
        """Wait a moment until all is recorded, then tell it in any case."""
        if self._pending:
            self._exchange.wait_until_recorded(self._pending[-1], limit_s)
            if not self._pending[-1].recorded:
                self._exchange.fall_behind(f'{self._path} did not take the last session records in time.')
            self.settle()

    def close(self, limit_s: float) -> None:
        """Write what is left and close the file; give up after a while."""
        if self._writer is not None:
            self._recording = False
            self._writer.close(limit_s)
