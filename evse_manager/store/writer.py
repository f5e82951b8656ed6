"""The thread that writes the file."""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.enums import SessionEventEnum
from evse_manager.interface.types import Time
from evse_manager.store.archive import Archive
from evse_manager.store.clock import ClockWatch
from evse_manager.store.codec import DecodeError
from evse_manager.store.database import Database, is_damage, open_or_replace, peek
from evse_manager.store.identity import UNNAMED, Identity
from evse_manager.store.location import FileLock, LockedError, set_aside
from evse_manager.store.records_sql import Remembered
from evse_manager.store.schema import ForeignFileError
from evse_manager.store.write_queue import QueuedEntry, WriteQueue

RETRY_S = 5.0
"""Period of retries of a file that cannot be written, in seconds."""

REPLACE_AT_MOST_EVERY_S = 3600.0
"""A disk that damages files must not be filled with copies of them."""

ALIVE_EVERY_S = 5.0
"""Resolution of the length of an outage while a session is open, in seconds."""

IDLE_ALIVE_EVERY_S = 60.0
"""The same without a session."""

FIRST_PURGE_S = 600.0
"""The first purge waits until the clock of a machine without a battery has been set."""

PURGE_EVERY_S = 86400.0

FILE_ERRORS = (OSError, sqlite3.Error, DecodeError, ForeignFileError)

ENTRY_ERRORS = (
    ValueError,
    TypeError,
    OverflowError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
)
"""The entry is at fault, not the file: a retry would fail again."""


def _concerns_archive(pending: QueuedEntry) -> bool:
    """Return whether a session ends with an entry, or an error that may have outlasted its session."""
    entry = pending.entry
    return entry.errors is not None or any(
        event.event is SessionEventEnum.SESSION_FINISHED for event in entry.events
    )


class Writer:
    """
    The writer of one file, and its thread.

    ``open`` and ``close`` are called by the owner; everything else runs in the thread.  ``_abandoned`` and
    ``_hopeful`` are written by one thread and read by the other without a lock: each is a single assignment.
    """

    def __init__(
        self,
        path: Path,
        retention_days: int,
        queue: WriteQueue,
        now: Callable[[], Time],
        *,
        identity: Identity = UNNAMED,
        archive: Archive | None = None,
    ) -> None:
        """
        Write the entries of ``queue`` into the file ``path``; ``now`` returns the wall time.

        ``archive`` copies finished sessions into the file of all connectors.
        """
        self._path = path
        self._days = retention_days
        self._queue = queue
        self._now = now
        self._thread = threading.Thread(target=self._run, name='session_store', daemon=True)
        self._opened = threading.Event()
        self._abandoned = False
        self._hopeful = False
        self._lock: FileLock | None = None
        self._file: Database | None = None
        self._loaded = Remembered()
        self._memory = PersistedState()
        self._delivered = 0
        self._replaced_at: float | None = None
        self._clock = ClockWatch()
        self._identity = identity
        self._archive = archive

    @property
    def is_recording(self) -> bool:
        """Whether records are written, now or once the file can be written."""
        return self._hopeful and not self._abandoned

    def begin(self) -> None:
        """Start the thread, which opens the file."""
        self._thread.start()

    @property
    def opened(self) -> bool:
        """Whether the file was opened, or can't be."""
        return self._opened.is_set()

    def open(self, limit_s: float) -> Remembered:
        """Return what the file remembers, or nothing when it does not open within ``limit_s`` from now."""
        if self._opened.wait(limit_s):
            return self._loaded
        self._abandoned = True
        self._queue.notice(f'No session records are kept: {self._path} did not open in time.')
        return Remembered()

    def close(self, limit_s: float) -> None:
        """Write what is left and end; give up after ``limit_s``."""
        self._queue.close()
        if self._thread.ident is not None:
            self._thread.join(limit_s)

    # --- in the thread ---

    def _run(self) -> None:
        try:
            self._hopeful = self._open_first()
        finally:
            self._opened.set()
            self._queue.opened()
        if self.is_recording:
            if self._archive is not None:
                self._archive.copy_from(self._path)
            self._work()
        self._close_file()
        if self._lock is not None:
            self._lock.release()

    def _open_first(self) -> bool:
        """Open the file for the first time; return whether it can be written, now or later."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(self._path)
            self._file, self._loaded, notice = open_or_replace(self._path)
            self._file.identify(self._identity)
            if notice:
                self._queue.notice(notice)
        except LockedError as holder:
            self._queue.notice(
                f'No session records are kept: {holder} keeps its own in {self._path}; end it, or set another'
                ' session_store for one of the two.'
            )
            return False
        except ForeignFileError as error:
            self._queue.notice(
                f'No session records are kept in {self._path}: {error}; set another session_store.'
            )
            return False
        except FILE_ERRORS as error:
            self._loaded = replace(peek(self._path), undelivered=())
            self._queue.fall_behind(self._trouble(error))
        self._memory = replace(self._loaded.memory, written=None)
        undelivered = self._loaded.undelivered
        self._delivered = (
            undelivered[0].sequence_number - 1 if undelivered else self._loaded.last_sequence_number
        )
        self._queue.delivered(self._delivered)
        return True

    def _work(self) -> None:
        """Write entries until the owner closes the store."""
        alive_at = time.monotonic()
        purge_at = alive_at + FIRST_PURGE_S
        booted = False  # an outage lasts until the connector has published its first event
        fresh = True  # the first write ends the errors of an earlier process
        closing = False
        while not closing:
            wait_s = min(alive_at, purge_at) - time.monotonic()
            batch, delivered, closing = self._queue.take(max(0.0, wait_s), self._delivered)
            booted = booted or any(pending.entry.events for pending in batch)
            now = time.monotonic()
            try:
                file = self._in_place()
                self._write(file, batch, delivered)
                self._look_at_clock(file)
                if self._archive is not None and batch and (fresh or any(map(_concerns_archive, batch))):
                    self._archive.copy_from(self._path)
                fresh = fresh and not batch
                if booted and (closing or now >= alive_at):
                    file.mark(self._delivered, self._now())
                if now >= purge_at:
                    purge_at = now + PURGE_EVERY_S
                    archived = self._archive.copied(self._path) if self._archive is not None else 0
                    file.purge(self._now(), self._days, archived)
                if now >= alive_at:
                    alive_at = now + (IDLE_ALIVE_EVERY_S if self._memory.session is None else ALIVE_EVERY_S)
                self._queue.catch_up()
            except FILE_ERRORS as error:
                self._queue.give_back([pending for pending in batch if not pending.recorded])
                self._queue.fall_behind(self._trouble(error))
                if self._replace_if_damaged(error):
                    closing = False
                else:
                    closing = closing or self._queue.wait_to_retry(RETRY_S)

    def _write(self, file: Database, batch: list[QueuedEntry], delivered: int) -> None:
        """Commit entries and the published number; an entry that cannot be written is left out."""
        if not batch:
            if delivered != self._delivered:
                file.mark(delivered, None)
                self._delivered = delivered
            return
        try:
            self._memory = file.write([pending.entry for pending in batch], self._memory, delivered)
        except ENTRY_ERRORS as error:
            if len(batch) > 1:
                for pending in batch:
                    self._write(file, [pending], delivered)
                return
            self._queue.notice(f'A session record could not be written and is lost: {error!r}')
        self._delivered = delivered
        self._queue.recorded(batch)

    def _look_at_clock(self, file: Database) -> None:
        """Correct the stamps of this process once the clock has been set."""
        shift_ns = self._clock.shift_ns(self._now(), time.monotonic_ns())
        if shift_ns is None:
            return
        corrected = file.correct_stamps(shift_ns)
        if self._archive is not None:
            self._archive.copy_from(self._path)
        if corrected:
            self._queue.notice(
                f'The clock was not set when {corrected} stamps of session records were written; they are'
                ' corrected now. Events that were published before keep the wrong time.'
            )

    def _in_place(self) -> Database:
        """Return the file; reopen it after a failure, or when it was removed."""
        if self._file is not None and not self._file.is_in_place:
            self._close_file()
        if self._file is None:
            self._file, loaded, notice = open_or_replace(self._path)
            if loaded == Remembered():
                self._file.seed(self._memory, self._delivered, self._delivered)
            else:
                self._memory = replace(loaded.memory, written=None)
            self._file.identify(self._identity)
            if notice:
                self._queue.notice(notice)
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _replace_if_damaged(self, error: Exception) -> bool:
        """Rename a damaged file; return whether to continue at once with a new one."""
        now = time.monotonic()
        if not is_damage(error) or (
            self._replaced_at is not None and now < self._replaced_at + REPLACE_AT_MOST_EVERY_S
        ):
            return False
        self._replaced_at = now
        self._close_file()
        try:
            kept = set_aside(self._path)
        except OSError:
            return False
        self._queue.notice(
            f'The file of session records was damaged ({error}); it is kept as {kept}, and a new one was'
            ' begun.'
        )
        return True

    def _trouble(self, error: Exception) -> str:
        return (
            f'The session records can not be written to {self._path} ({error}); charging goes on, and they'
            ' are written when that is possible: check the disk and the rights.'
        )
