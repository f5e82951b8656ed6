"""
The interface of the store for the thread of its owner.

The owner passes entries to ``keep`` and never waits for a disk.  The writer's thread commits them; then the
owner's callback publishes them, in order.  A slow disk delays publication once, by ``PUBLISH_AFTER_S`` at
most; after that, and with a disk that fails, entries are published at once and written as soon as possible.
"""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from evse_manager.interface.types import Time
from evse_manager.store.archive import Archive
from evse_manager.store.identity import UNNAMED, Identity
from evse_manager.store.records_sql import Entry, Remembered
from evse_manager.store.write_queue import QueuedEntry, WriteQueue
from evse_manager.store.writer import Writer

PUBLISH_AFTER_S = 0.9
"""Longest time that a publication waits for its record; commands have to be answered within 1 s."""

OPEN_S = 3.0
"""Longest time that the start waits for the file, in seconds."""


class SessionStore:
    """The records of one connector; every method belongs to the owner's thread."""

    def __init__(
        self,
        path: Path | None,
        retention_days: int,
        *,
        now: Callable[[], Time],
        wake: Callable[[], object],
        identity: Identity = UNNAMED,
        history: Path | None = None,
    ) -> None:
        """
        Keep records in the file ``path``; None keeps none.

        ``now`` returns the wall time, in any thread.  ``wake`` is called in any thread and must arrange that
        ``settle`` is called in the owner's.  Finished sessions are copied into the file ``history`` that all
        connectors of a host share, soon and without anything waiting for it; None copies none.
        """
        self._path = path
        self._wake = wake
        self._pending: deque[QueuedEntry] = deque()
        self._queue = WriteQueue(wake)
        self._archive = (
            Archive.attach(history, retention_days, now, wake)
            if path is not None and history is not None
            else None
        )
        self._writer = (
            Writer(path, retention_days, self._queue, now, identity=identity, archive=self._archive)
            if path is not None
            else None
        )
        self._recording = False
        self._open_until: float | None = None
        self._last_sequence_number = 0

    @property
    def warning(self) -> str:
        """Problem of the records, for people; empty when there is none."""
        archive = self._archive.warning if self._archive is not None else ''
        return ' '.join(filter(None, (self._queue.warning, archive)))

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits for its record."""
        return not self._pending

    @property
    def overdue_at(self) -> float | None:
        """When ``settle`` has to be called at the latest (seconds of ``time.monotonic``)."""
        return self._pending[0].since + PUBLISH_AFTER_S if self._pending else None

    def begin(self) -> None:
        """Begin to open the file; ``wake`` is called when ``open`` will not wait any more."""
        if self._writer is not None:
            self._writer.begin()
            self._open_until = time.monotonic() + OPEN_S

    @property
    def is_opening(self) -> bool:
        """Whether ``open`` would wait for the file."""
        return (
            self._writer is not None
            and not self._writer.opened
            and time.monotonic() < (self._open_until or 0.0)
        )

    def open(self) -> Remembered:
        """
        Open the file, waiting for it ``OPEN_S`` at most, and return what it remembers.

        Publish its ``undelivered`` events first; then call ``published_undelivered``.
        """
        if self._writer is None:
            return Remembered()
        if self._open_until is None:
            self.begin()
        remembered = self._writer.open(max(0.0, (self._open_until or 0.0) - time.monotonic()))
        self._recording = self._writer.is_recording
        self._last_sequence_number = remembered.last_sequence_number
        return remembered

    def published_undelivered(self) -> None:
        """Note that the events that an earlier process left unpublished have been published."""
        self._queue.delivered(self._last_sequence_number)

    def keep(self, entry: Entry, publish: Callable[[], None]) -> None:
        """Record an entry, then call ``publish``, in the order of the calls."""
        if not self._recording:
            publish()
            return
        pending = QueuedEntry(entry, publish, time.monotonic())
        self._pending.append(pending)
        self._queue.put(pending)
        if self._queue.behind:
            self.settle()

    def settle(self) -> None:
        """Publish what is recorded, and what has waited long enough."""
        overdue = self.overdue_at
        if overdue is not None and not self._pending[0].recorded and time.monotonic() >= overdue:
            self._queue.fall_behind(
                f'The disk is slow: {self._path} did not take the session records in time.'
            )
        while self._pending and (self._pending[0].recorded or self._queue.behind):
            first = self._pending.popleft()
            first.publish()
            if first.entry.events:
                self._queue.delivered(first.entry.events[-1].sequence_number)

    def flush(self, limit_s: float) -> None:
        """Wait at most ``limit_s`` until all is recorded, then publish it in any case."""
        if self._pending:
            self._queue.wait_until_recorded(self._pending[-1], limit_s)
            if not self._pending[-1].recorded:
                self._queue.fall_behind(f'{self._path} did not take the last session records in time.')
            self.settle()

    def close(self, limit_s: float) -> None:
        """Write what is left and close the file; give up after ``limit_s``."""
        if self._writer is not None:
            self._recording = False
            self._writer.close(limit_s)
        if self._archive is not None:
            self._archive.detach(self._wake)
            self._archive = None
