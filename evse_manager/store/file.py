"""
One file of records, open for writing; or why it can't be.

A file that is damaged is kept under another name and a fresh one takes its place.  Whatever else is wrong
(no right to write, a full disk) is left as it is, and tried again later.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.types import Time
from evse_manager.store import writing
from evse_manager.store.codec import DecodeError
from evse_manager.store.location import set_aside
from evse_manager.store.schema import ForeignFileError, prepare
from evse_manager.store.writing import Entry, Loaded

BUSY_S = 0.5
"""So long a write waits for a person's tool that holds the file."""

PAGES_OF_A_PURGE = 4096
"""So many freed pages at most are given back to the disk at a time."""

DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR))
"""SQLITE_ERROR is a table that is missing or not as it should be."""

DAMAGED_READS = frozenset((sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ))


def is_damage(error: Exception) -> bool:
    """Tell whether an error means that the file is no good, so that trying again is of no use."""
    if isinstance(error, DecodeError):
        return True
    code = getattr(error, 'sqlite_errorcode', 0)
    return code & 0xFF in DAMAGED or code in DAMAGED_READS


class RecordsFile:
    """
    The open file.

    Every method raises sqlite3.Error or OSError when it can't do its work, and has changed nothing then.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises ForeignFileError when it must not be touched."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(
            os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        )  # tokens are nobody else's business
        self._connection = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._synchronous = ''
        self._fresh_run = True
        try:
            prepare(self._connection)
            self.loaded = writing.load(self._connection)
            with _Transaction(self._connection):
                pass  # finds out whether it can be written
        except BaseException:
            self._connection.close()
            raise
        self._identity = _identity(path)

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still where it was opened: nobody would find records in a deleted one."""
        return _identity(self.path) == self._identity

    def seed(self, memory: PersistedState, last: int, delivered: int) -> None:
        """Let a new file begin with what is remembered."""
        self._choose_synchronous(durable=True)
        with _Transaction(self._connection):
            writing.seed(self._connection, memory, last, delivered)

    def write(self, entries: Sequence[Entry], before: PersistedState, delivered: int) -> PersistedState:
        """Commit entries on top of the memory ``before``; return the new memory."""
        self._choose_synchronous(durable=any(writing.is_durable(entry, before) for entry in entries))
        with _Transaction(self._connection):
            if self._fresh_run:
                writing.end_errors_of_an_earlier_run(self._connection, entries[0].stamp)
            memory = writing.write(self._connection, entries, before)
            if self._fresh_run:
                writing.end_lost_sessions(self._connection, entries[-1].stamp, memory.session)
            writing.mark_delivered(self._connection, delivered)
        self._fresh_run = False
        return memory

    def mark(self, delivered: int, alive: Time | None) -> None:
        """Note what has been told, and that the process lives."""
        self._choose_synchronous(durable=False)
        with _Transaction(self._connection):
            writing.mark_delivered(self._connection, delivered)
            if alive is not None:
                writing.mark_alive(self._connection, alive)

    def purge(self, now: Time, days: int) -> int:
        """Delete what ended too long ago and give the room back; return the number of deleted rows."""
        self._choose_synchronous(durable=False)
        with _Transaction(self._connection):
            deleted = writing.purge(self._connection, now, days)
        self._connection.executescript(f'PRAGMA incremental_vacuum({PAGES_OF_A_PURGE})')
        return deleted

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


def open_or_replace(path: Path) -> tuple[RecordsFile, Loaded, str]:
    """
    Open the file, or put a fresh one in place of one that is damaged or may not be written.

    Return it, what it remembers and a warning for people (empty when all is well).

    Raises
    ------
    ForeignFileError
        When the file must not be touched.
    sqlite3.Error, OSError
        When there can be no file now.

    """
    try:
        file = RecordsFile(path)
    except (sqlite3.Error, OSError, DecodeError) as error:
        loaded = Loaded()
        if is_damage(error):
            problem = f'was damaged ({error})'
        elif path.is_file() and not os.access(path, os.W_OK, effective_ids=True):
            problem, loaded = 'may not be written', peek(path)
        else:
            raise
        kept = set_aside(path)
        file = RecordsFile(path)
        file.seed(loaded.memory, loaded.last_sequence_number, loaded.last_sequence_number)
        return (
            file,
            loaded,
            f'The file of session records {problem}; it is kept as {kept}, and a new one was begun.',
        )
    if file.loaded == Loaded():
        file.seed(PersistedState(), 0, 0)
    return file, file.loaded, ''


def peek(path: Path) -> Loaded:
    """Return what a file remembers that can only be read; nothing when not even that is possible."""
    # A log can only be read with the right to write beside it; without a log no trace is to be left there.
    log = path.with_name(path.name + '-wal')
    ways = ('mode=ro', 'mode=ro&immutable=1') if log.exists() else ('mode=ro&immutable=1',)
    for options in ways:
        try:
            connection = sqlite3.connect(f'{path.as_uri()}?{options}', uri=True, timeout=BUSY_S)
            try:
                return writing.load(connection)
            finally:
                connection.close()
        except (sqlite3.Error, DecodeError, OSError):
            continue
    return Loaded()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


__all__ = ['ForeignFileError', 'RecordsFile', 'is_damage', 'open_or_replace', 'peek']
