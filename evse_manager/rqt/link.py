"""
The graph as the window uses it: no thread, no waiting.

``turn`` handles what has arrived and returns; a timer of Qt calls it.  The middleware receives in threads of
its own meanwhile.  The node that rqt shares among its plug-ins is not used: rqt spins it in another thread on
``MultiThreadedExecutor``, which was measured to occupy a core and to lose messages.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from evse_manager.cli.calls import SLOW
from evse_manager.cli.errors import ExitCode
from evse_manager.cli.graph import Graph, ServiceReply, absolute, reply_of
from evse_manager.cli.monitor import Monitor
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.watcher import Watcher
from evse_manager.interface import endpoints
from evse_manager.interface.types import EvseStatus, SessionEvent
from evse_manager.nodes.connector_calls import Calls
from evse_manager.rqt.model import Histories

BUDGET_S = 0.02
"""Longest time that one turn handles messages; the next one goes on, and the window stays responsive."""

Answered = Callable[[ServiceReply], None]


class Link(Protocol):
    """Access of the window to the graph."""

    monitor: Monitor
    histories: Histories
    events: list[tuple[str, SessionEvent]]
    """Events that came since the window took them, the oldest first."""

    def turn(self) -> None:
        """Handle what has arrived; returns at once."""

    def call(self, connector: str, service: str, fields: Mapping[str, Any], answered: Answered) -> None:
        """Call a service of a connector; ``answered`` is called once, in a later turn."""

    def close(self) -> None:
        """Leave the graph."""


class GraphLink:
    """A node of its own on the graph, from its creation to ``close``."""

    def __init__(self, wanted: Sequence[str] = ()) -> None:
        """``wanted`` are namespaces; empty = every connector.  Raises UsageError without ROS 2."""
        self._graph = Graph()
        self._graph.enter()
        self._watcher = Watcher(self._graph, list(wanted))
        self._watcher.on_status = self._status
        self._watcher.on_event = self._event
        self._calls = Calls(self._graph.node, time.monotonic)
        self._handled = 0
        self.monitor = self._watcher.monitor
        self.histories = Histories()
        self.events: list[tuple[str, SessionEvent]] = []

    def _status(self, name: str, status: EvseStatus) -> None:
        self._handled += 1
        self.histories.add(name, status, time.monotonic())

    def _event(self, name: str, event: SessionEvent) -> None:
        self._handled += 1
        self.events.append((name, event))

    def turn(self) -> None:
        """Handle what has arrived."""
        end = time.monotonic() + BUDGET_S
        self._watcher.look()
        before = -1
        while before != self._handled and time.monotonic() < end:
            before = self._handled
            self._graph.spin(0.0)
        self._calls.settle()

    def call(self, connector: str, service: str, fields: Mapping[str, Any], answered: Answered) -> None:
        """Call a service; without an answer in time the reply says so."""
        limit_s = SLOW.get(service, FIND_S)

        def done(response: Any) -> None:
            self._handled += 1
            if response is None:
                text = f'no answer within {limit_s:g} s; does the connector still run?'
                answered(ServiceReply(connector, service, False, text, {}))
            else:
                answered(reply_of(connector, service, response))

        row = endpoints.service(service)
        self._calls.call(
            row, absolute(connector, service), self._graph.request(service, fields), done, limit_s
        )

    def close(self) -> None:
        """Leave the graph; a process that hangs there ends."""
        self._graph.leave(ExitCode.OK)
