"""
One file of records, open for writing.

A damaged file is kept under another name and replaced by a new one.  After any other failure (missing
permission, full disk) the file stays as it is, and the write is retried later.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.types import Time
from evse_manager.store import clock, records_sql
from evse_manager.store.codec import DecodeError
from evse_manager.store.identity import Identity
from evse_manager.store.location import SUFFIX, set_aside
from evse_manager.store.records_sql import Entry, Remembered
from evse_manager.store.schema import ForeignFileError, prepare

BUSY_S = 0.5
"""Longest time that a write waits for a tool of a person that holds the file, in seconds."""

PAGES_OF_A_PURGE = 4096
"""Most freed pages that are returned to the disk at a time."""

DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR))
"""SQLITE_ERROR means a table that is missing or has other columns."""

DAMAGED_READS = frozenset((sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ))


SQLITE_HEADER = b'SQLite format 3\0'


def may_be_records(path: Path) -> bool:
    """
    Return whether a damaged file may have been one of ours, by its header or by the suffix of its name.

    A parameter may name any file; what is neither a database nor called one must not be renamed.
    """
    with path.open('rb') as file:
        header = file.read(len(SQLITE_HEADER))
    return not header or header == SQLITE_HEADER or path.suffix == SUFFIX


def is_damage(error: Exception) -> bool:
    """Return whether an error means that the file is damaged, so that a retry is of no use."""
    if isinstance(error, DecodeError):
        return True
    code = getattr(error, 'sqlite_errorcode', 0)
    return code & 0xFF in DAMAGED or code in DAMAGED_READS


class Database:
    """
    The open file.

    Every method raises sqlite3.Error or OSError when it fails, and has changed nothing then.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises ForeignFileError when it must not be touched."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # tokens are secrets
        self._connection = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._synchronous = ''
        self._fresh_run = True
        try:
            prepare(self._connection, path)
            self.loaded = records_sql.load(self._connection)
            self._marks = clock.marks(self._connection)
            with _Transaction(self._connection):
                pass  # raises when the file cannot be written
        except BaseException:
            self._connection.close()
            raise
        self._identity = _identity(path)

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still at its path: records in a deleted file would be lost."""
        return _identity(self.path) == self._identity

    def seed(self, memory: PersistedState, last: int, delivered: int) -> None:
        """Initialize a new file with a remembered state."""
        self._choose_synchronous(durable=True)
        with _Transaction(self._connection):
            records_sql.seed(self._connection, memory, last, delivered)

    def identify(self, identity: Identity) -> None:
        """Note whose records these are."""
        self._choose_synchronous(durable=False)
        with _Transaction(self._connection):
            records_sql.identify(self._connection, identity)

    def write(self, entries: Sequence[Entry], before: PersistedState, delivered: int) -> PersistedState:
        """Commit entries on top of the state ``before``; return the new state."""
        self._choose_synchronous(durable=any(records_sql.is_durable(entry, before) for entry in entries))
        with _Transaction(self._connection):
            if self._fresh_run:
                records_sql.end_errors_of_an_earlier_run(self._connection, entries[0].stamp)
            memory = records_sql.write(self._connection, entries, before)
            if self._fresh_run:
                records_sql.end_lost_sessions(self._connection, entries[-1].stamp, memory.session)
            records_sql.mark_delivered(self._connection, delivered)
        self._fresh_run = False
        return memory

    def mark(self, delivered: int, alive: Time | None) -> None:
        """Note the number of the last published event, and that the process was alive at ``alive``."""
        self._choose_synchronous(durable=False)
        with _Transaction(self._connection):
            records_sql.mark_delivered(self._connection, delivered)
            if alive is not None:
                records_sql.mark_alive(self._connection, alive)

    def purge(self, now: Time, days: int, archived: int = 0) -> int:
        """
        Delete what ended more than ``days`` ago and free the space; return the number of deleted rows.

        Sessions up to row ``archived`` are in the file of all connectors, too; they stay for
        ``clock.ARCHIVED_DAYS``.
        """
        self._choose_synchronous(durable=False)
        with _Transaction(self._connection):
            deleted = clock.purge(self._connection, now, days, archived=archived)
        self._connection.executescript(f'PRAGMA incremental_vacuum({PAGES_OF_A_PURGE})')
        return deleted

    def correct_stamps(self, shift_ns: int) -> int:
        """Correct what was written since the file was opened, before the clock was set; return how many."""
        self._choose_synchronous(durable=True)
        with _Transaction(self._connection):
            return clock.correct(self._connection, self._marks, shift_ns)

    def close(self) -> None:
        """Close the file; the write-ahead log goes into it."""
        self._connection.close()

    def _choose_synchronous(self, *, durable: bool) -> None:
        wanted = 'FULL' if durable else 'NORMAL'
        if wanted != self._synchronous:
            self._connection.execute(f'PRAGMA synchronous = {wanted}')
            self._synchronous = wanted


class _Transaction:
    """All or nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute('BEGIN IMMEDIATE')

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute('COMMIT')
                return
            except BaseException:
                self._roll_back()
                raise
        self._roll_back()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite itself rolls back after some errors
            self._connection.execute('ROLLBACK')


def open_or_replace(path: Path) -> tuple[Database, Remembered, str]:
    """
    Open the file, or replace one that is damaged or must not be written by a new one.

    Return it, what it remembers, and a warning for people (empty when there is none).  Raises
    ForeignFileError when the file must not be touched, sqlite3.Error or OSError when no file can be opened.
    """
    try:
        file = Database(path)
    except (sqlite3.Error, OSError, DecodeError) as error:
        loaded = Remembered()
        if is_damage(error):
            if not may_be_records(path):
                raise ForeignFileError('it is no file of session records') from error
            problem = f'was damaged ({error})'
        elif path.is_file() and not os.access(path, os.W_OK, effective_ids=True):
            problem, loaded = 'may not be written', peek(path)
        else:
            raise
        kept = set_aside(path)
        file = Database(path)
        file.seed(loaded.memory, loaded.last_sequence_number, loaded.last_sequence_number)
        return (
            file,
            loaded,
            f'The file of session records {problem}; it is kept as {kept}, and a new one was begun.',
        )
    if file.loaded == Remembered():
        file.seed(PersistedState(), 0, 0)
    return file, file.loaded, ''


def peek(path: Path) -> Remembered:
    """Return what a read-only file remembers; nothing when it cannot be read either."""
    # Reading a write-ahead log needs permission to write beside it; without a log nothing may be left there.
    log = path.with_name(path.name + '-wal')
    ways = ('mode=ro', 'mode=ro&immutable=1') if log.exists() else ('mode=ro&immutable=1',)
    for options in ways:
        try:
            connection = sqlite3.connect(f'{path.as_uri()}?{options}', uri=True, timeout=BUSY_S)
            try:
                return records_sql.load(connection)
            finally:
                connection.close()
        except (sqlite3.Error, DecodeError, OSError):
            continue
    return Remembered()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


__all__ = ['Database', 'ForeignFileError', 'is_damage', 'open_or_replace', 'peek']
