"""
Reading session records: pages of a list, and whole sessions, from any number of files.

Nothing here writes: a file that a process writes at the same time may be read, and so may a copy, a file of
an earlier version, and one in a folder without the right to write.
"""

import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from evse_manager.interface.record_requests import (
    PAGE_SIZE,
    PAGE_SIZE_MAX,
    GetRecord,
    ListRecords,
    RecordPage,
)
from evse_manager.interface.tokens import concealed_record
from evse_manager.interface.types import SessionRecord
from evse_manager.store.codec import DecodeError
from evse_manager.store.identity import SIMULATED
from evse_manager.store.location import SUFFIX
from evse_manager.store.record_rows import KINDS, FileKind, find, list_summaries, whole
from evse_manager.store.schema import ForeignFileError, check, prepare

BUSY_S = 2.0
"""Longest time that a read waits for a process that replaces the log, in seconds."""

Answer = TypeVar('Answer')

PART = 400
"""Most samples of a session in one page; events and errors likewise."""

SHORTEST_BEGINNING = 8
"""Fewest characters of a uuid that may stand for it."""


class RecordsError(Exception):
    """The records can't be read, or the request can't be met; one sentence for people."""


class EmptyFileError(RecordsError):
    """There is nothing in the file yet."""


@dataclass(frozen=True, slots=True)
class RecordsFile:
    """A file of session records, open for reading."""

    path: Path
    kind: FileKind
    connection: sqlite3.Connection


def open_file(path: Path) -> RecordsFile:
    """Open a file of session records for reading; raises RecordsError."""
    if not path.is_file():
        raise RecordsError(f'{path} is no file of session records: there is no such file.')
    try:
        with path.open('rb'):
            pass
    except OSError as error:
        raise RecordsError(f'{path} can not be read: {error.strerror}.') from error
    problem: Exception | None = None
    # Reading a write-ahead log needs permission to write beside it; without a log nothing may be left there.
    log = path.with_name(path.name + '-wal')
    for options in ('mode=ro', 'mode=ro&immutable=1') if log.exists() else ('mode=ro&immutable=1', 'mode=ro'):
        try:
            return _open(path, options)
        except ForeignFileError as error:
            raise RecordsError(f'{path} can not be read: {error}.') from error
        except (sqlite3.Error, OSError) as error:
            problem = error
    raise RecordsError(f'{path} is no file of session records, or it is damaged: {problem}.') from problem


def _open(path: Path, options: str) -> RecordsFile:
    connection = sqlite3.connect(
        f'{path.absolute().as_uri()}?{options}', uri=True, timeout=BUSY_S, check_same_thread=False
    )
    try:
        (header,) = connection.execute('PRAGMA application_id').fetchone()
        if not header and not connection.execute('SELECT count(*) FROM sqlite_master').fetchone()[0]:
            raise EmptyFileError(f'{path} is empty: there are no session records in it.')
        kind = next((each for each in KINDS if each.application_id == header), None)
        if kind is None:
            raise ForeignFileError('it is no file of session records')
        if check(connection, kind.application_id, len(kind.migrations)) < len(kind.migrations):
            copy = sqlite3.connect(':memory:', isolation_level=None, check_same_thread=False)
            connection.backup(copy)
            connection.close()
            connection = copy
            prepare(connection, None, kind.migrations, kind.application_id)
        connection.execute(f'SELECT uuid FROM {kind.table} LIMIT 1').fetchone()
        return RecordsFile(path, kind, connection)
    except BaseException:
        connection.close()
        raise


def files_in(folder: Path, *, simulated: bool) -> list[Path]:
    """Return the files of records in a folder, those of simulated boards or those of real ones."""
    return sorted(path for path in folder.glob(f'*{SUFFIX}') if path.stem.endswith(SIMULATED) is simulated)


class Reader:
    """Several files of records, read as one; use it in a ``with`` block, in one thread at a time."""

    def __init__(self, paths: Iterable[Path], *, missing_is_empty: bool = False) -> None:
        """Name the files; ``missing_is_empty`` passes over those that were not begun yet."""
        self._paths = [path for path in paths if not missing_is_empty or path.exists()]
        self._missing_is_empty = missing_is_empty
        self._files: list[RecordsFile] = []
        self._leaving = ExitStack()

    def __enter__(self) -> 'Reader':
        """Open the files; raises RecordsError."""
        try:
            for path in self._paths:
                try:
                    file = open_file(path)
                except EmptyFileError:
                    if not self._missing_is_empty:
                        raise
                    continue
                self._leaving.callback(file.connection.close)
                self._files.append(file)
        except RecordsError:
            self._leaving.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        self._leaving.close()

    def list(self, wanted: ListRecords) -> RecordPage:
        """Return one page of sessions; raises RecordsError."""
        size = wanted.page_size or PAGE_SIZE
        if not 1 <= size <= PAGE_SIZE_MAX:
            raise RecordsError(f'page_size must be 1 to {PAGE_SIZE_MAX}, or 0 for {PAGE_SIZE}.')
        after = _after(wanted.page)
        found = self._ask(lambda file: list_summaries(file.connection, file.kind, wanted, after, size + 1))
        merged = list(_merge(found, size + 1, oldest_first=wanted.oldest_first))
        records = merged[:size]
        next_page = f'{records[-1].started or 0}:{records[-1].uuid}' if len(merged) > size else ''
        shown = records if wanted.show_tokens else map(concealed_record, records)
        return RecordPage(tuple(shown), next_page)

    def get(self, wanted: GetRecord) -> RecordPage:
        """Return one page of a session; raises RecordsError."""
        record = self.whole(wanted.uuid)
        if wanted.page and not wanted.page.isdecimal():
            raise RecordsError('page must be the next_page of the answer before, or empty.')
        first = int(wanted.page or 0)
        part = replace(
            record,
            events=record.events[first : first + PART],
            errors=record.errors[first : first + PART],
            samples=record.samples[first : first + PART],
        )
        more = max(len(record.events), len(record.errors), len(record.samples)) > first + PART
        shown = part if wanted.show_tokens else concealed_record(part)
        return RecordPage((shown,), str(first + PART) if more else '')

    def whole(self, beginning: str) -> SessionRecord:
        """Return a session with everything, by its uuid or the beginning of it; raises RecordsError."""
        if len(beginning) < SHORTEST_BEGINNING:
            raise RecordsError(
                f'give the uuid of the session, or at least its first {SHORTEST_BEGINNING} characters.'
            )
        uuids = {
            uuid
            for found in self._ask(lambda file: find(file.connection, file.kind, beginning))
            for uuid in found
        }
        if not uuids:
            raise RecordsError(f'there is no session {beginning:.40} in the records.')
        if len(uuids) > 1:
            raise RecordsError(
                f'there are several sessions that begin with {beginning:.40}; give more of it.'
            )
        (uuid,) = uuids
        records = self._ask(lambda file: whole(file.connection, file.kind, uuid))
        known = [record for record in records if record is not None]
        return max(known, key=lambda record: (record.finished is not None, len(record.events)))

    def _ask(self, question: Callable[[RecordsFile], Answer]) -> Sequence[Answer]:
        answers = []
        for file in self._files:
            try:
                answers.append(question(file))
            except (sqlite3.Error, DecodeError) as error:
                raise RecordsError(f'{file.path} is damaged or can not be read: {error}.') from error
        return answers


def _after(page: str) -> tuple[int, str] | None:
    if not page:
        return None
    started, colon, uuid = page.partition(':')
    if not colon or not started.isdecimal() or len(started) > 19:
        raise RecordsError('page must be the next_page of the answer before, or empty.')
    return int(started), uuid


def _merge(
    lists: Sequence[Sequence[SessionRecord]], count: int, *, oldest_first: bool
) -> Iterator[SessionRecord]:
    """Yield the first ``count`` of sorted lists, each session once: the finished one before the open one."""

    def key(record: SessionRecord) -> tuple[int, str]:
        return record.started or 0, record.uuid

    best: SessionRecord | None = None
    for record in heapq.merge(*lists, key=key, reverse=not oldest_first):
        if best is not None and record.uuid == best.uuid:
            best = record if best.finished is None else best
            continue
        if best is not None:
            yield best
            count -= 1
            if not count:
                return
        best = record
    if best is not None:
        yield best
