"""Calls of services that are answered, or given up, within a limit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.client import Client
from rclpy.node import Node

from evse_manager.interface.endpoints import Service, load

CALL_LIMIT_S = 3.0
"""A call without an answer by then is given up; a server that is not there yet is waited for meanwhile."""

LOOK_S = 0.1
"""How often a server that is not there yet is looked for."""

Answered = Callable[[Any], None]
"""Gets the response; None = no answer."""


@dataclass(slots=True)
class _Pending:
    client: Client
    request: Any
    answered: Answered
    deadline: float
    future: Any = None


class Calls:
    """The calls of one node; a client is made at its first call and kept."""

    def __init__(self, node: Node, seconds: Callable[[], float]) -> None:
        """``seconds`` is the clock of the limits."""
        self._node = node
        self._seconds = seconds
        self._clients: dict[str, Client] = {}
        self._pending: list[_Pending] = []

    def prepare(self, service: Service, name: str) -> None:
        """Make a client before its first call, so that the first call need not wait for the graph."""
        if name not in self._clients:
            self._clients[name] = self._node.create_client(load(service.type), name)

    def call(
        self, service: Service, name: str, request: Any, answered: Answered, limit_s: float = CALL_LIMIT_S
    ) -> None:
        """Call the service of an absolute or relative name; ``answered`` is called once, later."""
        self.prepare(service, name)
        pending = _Pending(self._clients[name], request, answered, self._seconds() + limit_s)
        self._pending.append(pending)
        self._send(pending)

    def _send(self, pending: _Pending) -> None:
        if pending.future is not None or not pending.client.service_is_ready():
            return
        pending.future = pending.client.call_async(pending.request)
        pending.future.add_done_callback(lambda done: self._done(pending, done))

    def _done(self, pending: _Pending, future: Any) -> None:
        if pending in self._pending and not future.cancelled():
            self._pending.remove(pending)
            pending.answered(future.result() if future.exception() is None else None)

    def settle(self) -> None:
        """Send what could not be sent before, and give up what took too long."""
        now = self._seconds()
        for pending in list(self._pending):
            if now >= pending.deadline:
                self._pending.remove(pending)
                if pending.future is not None:
                    pending.client.remove_pending_request(pending.future)
                pending.answered(None)
            else:
                self._send(pending)

    def deadline(self) -> float | None:
        """Return when ``settle`` is due."""
        times = [
            each.deadline if each.future is not None else min(each.deadline, self._seconds() + LOOK_S)
            for each in self._pending
        ]
        return min(times, default=None)
