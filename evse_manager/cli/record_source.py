"""Where ``evse sessions`` and ``evse plot`` get records from: connectors on the graph, or files."""

import heapq
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Protocol, TypeVar

from evse_manager.cli.errors import CliError, ExitCode, NotFoundError, UsageError
from evse_manager.interface.record_requests import (
    EVERY_CONNECTOR,
    PAGE_SIZE_MAX,
    GetRecord,
    ListRecords,
    RecordPage,
)
from evse_manager.interface.types import SessionRecord, Time
from evse_manager.store.location import records_folder
from evse_manager.store.reading import Reader, RecordsError, files_in

if TYPE_CHECKING:
    from evse_manager.cli.graph import Graph

Answer = TypeVar('Answer')

FIND_S = 5.0
"""Default time to look for a connector, and to wait for its answer, in seconds."""


class Source(Protocol):
    """Session records from somewhere."""

    def sessions(self, wanted: ListRecords) -> Iterator[SessionRecord]:
        """Yield all sessions that are wanted, in order, without events, errors and samples."""

    def whole(self, uuid: str) -> SessionRecord:
        """Return a session with everything, by its uuid or the beginning of it."""


class Files:
    """Records in files, with nothing running; use it in a ``with`` block."""

    def __init__(self, path: str, *, simulated: bool, show_tokens: bool) -> None:
        """Open a file, or all of a folder (empty = the default folder); raises CliError."""
        place = Path(path).expanduser() if path else records_folder()
        folder = place.is_dir() or not path
        paths = files_in(place, simulated=simulated) if folder else [place]
        if not paths:
            raise NotFoundError(
                f'there are no session records in {place}; name a file or folder with --file'
                f'{"" if simulated else ", or take those of simulated boards with --simulated"}'
            )
        self._show_tokens = show_tokens
        self._leaving = ExitStack()
        self._reader = self._asked(
            lambda: self._leaving.enter_context(Reader(paths, missing_is_empty=folder))
        )

    def __enter__(self) -> 'Files':
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.close()

    def sessions(self, wanted: ListRecords) -> Iterator[SessionRecord]:
        """Yield all sessions that are wanted."""
        wanted = replace(wanted, connector=wanted.connector or EVERY_CONNECTOR, show_tokens=self._show_tokens)
        return all_pages(wanted, lambda page: self._asked(lambda: self._reader.list(page)))

    def whole(self, uuid: str) -> SessionRecord:
        """Return a session with everything."""
        wanted = GetRecord(uuid, show_tokens=self._show_tokens)
        return joined(wanted, lambda page: self._asked(lambda: self._reader.get(page)))

    @staticmethod
    def _asked(question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except RecordsError as error:
            raise CliError(str(error).rstrip('.'), ExitCode.NOT_FOUND) from error


class OnGraph:
    """Records of connectors on the graph, asked one after another."""

    def __init__(self, graph: 'Graph', given: Namespace) -> None:
        """Find the connectors; raises CliError."""
        self._graph = graph
        self._find_s: float = given.timeout or FIND_S
        self._show_tokens: bool = given.show_tokens
        self._connectors = [given.connector] if given.connector else graph.discover(self._find_s)
        if not self._connectors:
            raise NotFoundError(
                f'no connector on the graph within {self._find_s:g} s; read the files of records with --file'
            )

    def sessions(self, wanted: ListRecords) -> Iterator[SessionRecord]:
        """Yield all sessions that are wanted, of all connectors in one order."""
        wanted = replace(wanted, connector='', show_tokens=self._show_tokens)
        pages = [
            all_pages(wanted, lambda page, name=name: self._ask(name, 'records/list', page))  # type: ignore[misc]
            for name in self._connectors
        ]
        return heapq.merge(
            *pages, key=lambda each: (each.started or 0, each.uuid), reverse=not wanted.oldest_first
        )

    def whole(self, uuid: str) -> SessionRecord:
        """Return a session with everything, from the first connector that has it."""
        refusal: CliError | None = None
        for name in self._connectors:
            try:
                wanted = GetRecord(uuid, show_tokens=self._show_tokens)
                return joined(wanted, lambda page, name=name: self._ask(name, 'records/get', page))  # type: ignore[misc]
            except CliError as error:
                if error.code is not ExitCode.REFUSED:
                    raise
                refusal = error
        assert refusal is not None
        raise refusal

    def _ask(self, connector: str, service: str, wanted: ListRecords | GetRecord) -> RecordPage:
        # Files need no ROS.
        from evse_manager.cli.calls import call_service  # noqa: PLC0415
        from evse_manager.nodes.conversions import records_from_response, to_message  # noqa: PLC0415

        request = to_message(wanted)
        fields = {name: getattr(request, name) for name in request.get_fields_and_field_types()}
        reply = call_service(
            self._graph, connector, service, fields, find_s=self._find_s, answer_s=self._find_s
        )
        if not reply.success:
            raise CliError(f'{connector}: {reply.message}'.rstrip('.'), ExitCode.REFUSED)
        return records_from_response(SimpleNamespace(**reply.fields))


def all_pages(wanted: ListRecords, ask: Callable[[ListRecords], RecordPage]) -> Iterator[SessionRecord]:
    """Yield the sessions of all pages; a page is asked for when it is needed."""
    wanted = replace(wanted, page_size=wanted.page_size or PAGE_SIZE_MAX)
    while True:
        page = ask(wanted)
        yield from page.records
        if not page.next_page:
            return
        wanted = replace(wanted, page=page.next_page)


def joined(wanted: GetRecord, ask: Callable[[GetRecord], RecordPage]) -> SessionRecord:
    """Return a session with the parts of all pages."""
    page = ask(wanted)
    whole = page.records[0]
    while page.next_page:
        page = ask(replace(wanted, uuid=whole.uuid, page=page.next_page))
        part = page.records[0]
        whole = replace(
            whole,
            events=whole.events + part.events,
            errors=whole.errors + part.errors,
            samples=whole.samples + part.samples,
        )
    return whole


def source(given: Namespace, graph: 'Graph | None', leaving: ExitStack) -> Source:
    """Return where the records come from, as the options say; files are closed with ``leaving``."""
    if given.file is not None:
        return leaving.enter_context(
            Files(given.file, simulated=given.simulated, show_tokens=given.show_tokens)
        )
    if given.simulated:
        raise UsageError(
            '--simulated goes with --file: a connector on the graph has the records of its board'
        )
    assert graph is not None
    return OnGraph(graph, given)


def wanted(given: Namespace, *, oldest_first: bool) -> ListRecords:
    """Return what the options ask for."""
    return ListRecords(
        since=None if given.since is None else Time(given.since),
        until=None if given.until is None else Time(given.until),
        connector=given.connector or '',
        token=given.token,
        stop_reason=given.reason,
        oldest_first=oldest_first,
    )


def chosen(given: Namespace, records: Source) -> Iterator[SessionRecord]:
    """Yield the sessions that are asked for, oldest first; with a limit the newest of them."""
    if given.limit is None:
        return records.sessions(wanted(given, oldest_first=True))
    newest = list(islice(records.sessions(wanted(given, oldest_first=False)), given.limit))
    return reversed(newest)
