"""
``records/list`` and ``records/get``: session records over the graph.

Files are read, and messages built, in one thread of the process for all its connectors; the executor only
takes the request and sends the answer.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from rclpy.node import Node

from evse_manager.interface import endpoints
from evse_manager.interface.record_requests import GetRecord, ListRecords, RecordPage
from evse_manager.nodes.conversions import ConversionError, records_to_response, refuse, request_to_command
from evse_manager.nodes.services import DeferredReply, create_service
from evse_manager.store.reading import Reader, RecordsError

Request = TypeVar('Request')

WAITING_MAX = 16
"""Most requests of one connector that wait for an answer."""

GIVE_WAY_S = 0.0002

NO_RECORDS = 'this connector keeps no session records (parameter session_store).'
BUSY = f'{WAITING_MAX} requests wait already; ask again when they are answered.'


class RecordServices:
    """The two services of one connector."""

    def __init__(self, node: Node, files: Callable[[], list[Path]], silent: Callable[[], bool]) -> None:
        """``files`` returns the files to read; while ``silent`` another manager answers."""
        self._node = node
        self._files = files
        self._silent = silent
        self._waiting = 0
        create_service(node, endpoints.LIST_RECORDS, self._on_list)
        create_service(node, endpoints.GET_RECORD, self._on_get)

    def _on_list(self, request: Any, reply: DeferredReply) -> None:
        wanted = self._understood(endpoints.LIST_RECORDS.name, ListRecords, request, reply)
        if wanted is not None:
            wanted = replace(wanted, connector=wanted.connector or self._node.get_namespace())
            self._hand_over(endpoints.LIST_RECORDS.name, partial(Reader.list, wanted=wanted), reply)

    def _on_get(self, request: Any, reply: DeferredReply) -> None:
        wanted = self._understood(endpoints.GET_RECORD.name, GetRecord, request, reply)
        if wanted is not None:
            self._hand_over(endpoints.GET_RECORD.name, partial(Reader.get, wanted=wanted), reply)

    def _understood(
        self, name: str, kind: type[Request], request: Any, reply: DeferredReply
    ) -> Request | None:
        if self._silent():
            return None
        try:
            return request_to_command(request, kind)
        except ConversionError as error:
            self._refuse(name, reply, str(error))
            return None

    def _hand_over(self, name: str, read: Callable[[Reader], RecordPage], reply: DeferredReply) -> None:
        """Hand a request to the reading thread."""
        files = self._files()
        if not files:
            self._refuse(name, reply, NO_RECORDS)
        elif self._waiting >= WAITING_MAX:
            self._refuse(name, reply, BUSY)
        else:
            self._waiting += 1
            _reading_thread().submit(self._answer, name, files, read, reply)

    def _refuse(self, name: str, reply: DeferredReply, why: str) -> None:
        refuse(reply.response, f'{name} refused: {why}')
        reply.give()

    # --- in the reading thread ---

    def _answer(
        self, name: str, files: list[Path], read: Callable[[Reader], RecordPage], reply: DeferredReply
    ) -> None:
        try:
            with Reader(files, missing_is_empty=True) as reader:
                records_to_response(read(reader), reply.response, _give_way)
        except (RecordsError, ConversionError) as error:
            refuse(reply.response, f'{name} refused: {error}')
        except Exception as error:  # noqa: BLE001 - an entry point: the caller gets an answer
            self._node.get_logger().error(f'{name} failed: {error!r}')
            refuse(
                reply.response, f'{name} refused: the records could not be read; see the log of the manager.'
            )
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._give, reply)

    def _give(self, reply: DeferredReply) -> None:
        self._waiting -= 1
        reply.give()


def _give_way() -> None:
    """Let the executor have the interpreter at once, which a busy thread would keep for 5 ms each time."""
    time.sleep(GIVE_WAY_S)


@cache
def _reading_thread() -> ThreadPoolExecutor:
    """Return the one thread of this process that reads records."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix='record_reader')
