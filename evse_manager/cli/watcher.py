"""Listens to the connectors and sites on the graph, and carries out the commands of the screen."""

import time
from collections.abc import Callable
from typing import Any

from rcl_interfaces.srv import GetParameters

from evse_manager.cli.calls import SLOW, PendingCall
from evse_manager.cli.details import PARAMETERS, LimitsView
from evse_manager.cli.errors import CliError
from evse_manager.cli.graph import SLICE_S, Graph, absolute
from evse_manager.cli.monitor import Monitor
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.watch_state import ConfirmedCommand
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party
from evse_manager.interface.tokens import concealed
from evse_manager.interface.types import (
    BoardState,
    EnforcedLimits,
    EvseStatus,
    HardwareCapabilities,
    SessionEvent,
    SiteStatus,
)

LOOK_S = 0.5
"""How often the graph is searched for connectors that came or went, at most."""
LOOK_SHARE = 0.02
"""Share of the time that the search may take: a graph of a hundred connectors has thousands of names."""
SITE = 'site/status'


class Watcher:
    """Listens to every connector on the graph, or to the wanted ones, and keeps a monitor of them."""

    def __init__(self, graph: Graph, wanted: list[str], *, show_tokens: bool = False) -> None:
        self.graph = graph
        self.show_tokens = show_tokens
        self.wanted = wanted
        self.monitor = Monitor()
        self.on_status: Callable[[str, EvseStatus], None] = lambda name, status: None
        self.on_event: Callable[[str, SessionEvent], None] = lambda name, event: None
        self.next_look = 0.0
        self.listened: set[str] = set()
        self.calls: list[PendingCall] = []
        """Commands that are under way."""
        self._details: dict[str, LimitsView] = {}

    def look(self) -> None:
        """Find connectors that came or went, and listen to the new ones."""
        now = time.monotonic()
        if now < self.next_look:
            return
        present = [name for name in self.graph.connectors() if not self.wanted or name in self.wanted]
        for site in self.graph.publishers_of(SITE):
            if site not in self.listened:
                self.listened.add(site)
                self.listen_to_site(site)
        took = time.monotonic() - now
        self.next_look = now + max(LOOK_S, took / LOOK_SHARE)
        self.monitor.offered(present)
        for name in present:
            if name not in self.listened:
                self.listened.add(name)
                self.listen(name)

    def listen(self, name: str) -> None:
        """Listen to one connector; the subscriptions outlive its node, which may come back."""

        def status(value: EvseStatus) -> None:
            self.monitor.status(name, value, time.monotonic())
            self.on_status(name, value)

        def event(value: SessionEvent) -> None:
            if not self.show_tokens:
                value = concealed(value)
            if self.monitor.event(name, value):
                self.on_event(name, value)

        def garbled(trouble: str) -> None:
            self.monitor.garbled(name, trouble, time.monotonic())

        self.graph.listen(name, 'status', EvseStatus, status, garbled)
        self.graph.listen(name, 'session_event', SessionEvent, event, garbled)

    def listen_to_site(self, path: str) -> None:
        """Listen to the energy manager of a site."""
        namespace = path.removesuffix('/' + SITE) or '/'

        def site(value: SiteStatus) -> None:
            self.monitor.site(namespace, value, time.monotonic())

        self.graph.listen(namespace, SITE, SiteStatus, site)

    def limits_of(self, name: str) -> LimitsView:
        """Return what is known of a connector's limits, and listen to them from now on."""
        if name in self._details:
            return self._details[name]
        view = self._details[name] = LimitsView(name)

        def hardware(value: HardwareCapabilities) -> None:
            view.hardware = value

        def board(value: BoardState) -> None:
            view.board = value

        def grant(value: EnforcedLimits) -> None:
            view.grant, view.granted_at = value, time.monotonic()

        self.graph.listen(name, 'board/hw_capabilities', HardwareCapabilities, hardware)
        self.graph.listen(name, 'board/state', BoardState, board)
        self.graph.listen(name, 'enforced_limits', EnforcedLimits, grant)
        return view

    def ask_parameters(self, view: LimitsView) -> None:
        """Ask the manager once for the parameters that limit the current, when it offers them."""
        if view.parameters is not None:
            return
        path = absolute(view.connector, f'{Party.MANAGER.value}/get_parameters')
        client = self.graph.client(GetParameters, path)
        if client.service_is_ready():
            view.parameters = {}
            client.call_async(GetParameters.Request(names=list(PARAMETERS))).add_done_callback(
                lambda future: self._take_parameters(view, future.result())
            )

    @staticmethod
    def _take_parameters(view: LimitsView, response: Any) -> None:
        values = [value.double_value for value in response.values] if response is not None else []
        view.parameters = dict(zip(PARAMETERS, values, strict=False))

    def give(self, order: ConfirmedCommand) -> None:
        """Begin to carry out a command."""
        service, fields = order.action.service, order.action.fields
        answer_s = SLOW.get(service, FIND_S)
        self.calls.append(
            PendingCall(self.graph, order.connector, service, fields, find_s=FIND_S, answer_s=answer_s)
        )

    def results(self) -> list[str]:
        """Return what became of the commands that are over now, one sentence each."""
        over = [call for call in self.calls if call.poll()]
        self.calls = [call for call in self.calls if call.outcome is None]
        return [said(call) for call in over]

    def run_for(self, seconds: float, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Take what arrives, for so many seconds or until the condition holds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not interrupted():
            self.look()
            self.graph.spin(min(left, SLICE_S))

    def everybody_spoke(self) -> bool:
        """Return whether a status of every connector is there."""
        bays = self.monitor.bays
        return bool(bays) and all(view.status is not None or view.trouble for view in bays.values())


def said(call: PendingCall) -> str:
    """Return what became of a command."""
    outcome = call.outcome
    if isinstance(outcome, CliError):
        return str(outcome)
    assert outcome is not None
    words = endpoints.service(call.service).name.replace('_', ' ')
    if outcome.success:
        return f'{call.namespace}: {words} accepted. {outcome.message}'.rstrip()
    return f'{call.namespace}: {outcome.message or f"{words} refused"}'
