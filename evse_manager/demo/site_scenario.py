"""The demonstration of a depot: each step does something and waits until what must follow has been seen."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from evse_manager.cli.calls import call_service
from evse_manager.cli.graph import Graph
from evse_manager.demo.processes import Nodes
from evse_manager.demo.scenario import StepFailedError
from evse_manager.demo.site_monitor import SiteMonitor
from evse_manager.demo.site_screen import SiteScreen
from evse_manager.depot.site import ROOT, Site
from evse_manager.interface.enums import ChargerState, ContactorState, StatusReason
from evse_manager.interface.types import BoardState, EvseStatus, Powermeter

START_S = 20.0
"""How long all connectors may take to become available; a hundred on a busy machine need longest."""

STEP_S = 20.0
"""
How long anything may take to happen: reductions at once, increases after the cars have followed the
reductions (5 s) and the energy manager has seen it.
"""

CAR_A = 32.0
LEAST_SHARE_A = 6.0
SHARE_A = 10.0
"""Current of the grid connection per connector; each car could take ``CAR_A``."""

REDUCED = 0.6
"""Share of the grid connection that is left by the limit from outside."""

SOURCE = 'grid_operator'


@dataclass(slots=True)
class Seen:
    """The newest of what a connector says."""

    status: EvseStatus = EvseStatus()
    board: BoardState = BoardState()
    current_a: float = 0.0
    power_w: float = 0.0
    energy_wh: float = 0.0
    """Highest energy of a transaction; the status forgets it when the session is over."""

    @property
    def is_charging(self) -> bool:
        """Return whether energy flows."""
        return self.board.contactor is ContactorState.CLOSED and self.current_a >= 0.9 * LEAST_SHARE_A


class SiteScenario:
    """Cars come and go on a fuse that is too small for all of them."""

    def __init__(self, graph: Graph, nodes: Nodes, site: Site, screen: SiteScreen) -> None:
        self.graph = graph
        self.nodes = nodes
        self.site = site
        self.screen = screen
        self.monitor = SiteMonitor(site)
        self.seen = {connector.name: Seen() for connector in site.connectors}
        self.plugged: list[str] = []
        self.trouble = ''
        self.limit_a = site.grid.limit_a or 0.0
        for connector in site.connectors:
            name = connector.name
            listen = partial(graph.listen, connector.namespace, garbled=self.on_garbled)
            listen('status', EvseStatus, partial(self.on_status, name))
            listen('board/state', BoardState, partial(self.on_board, name))
            listen('powermeter', Powermeter, partial(self.on_meter, name))

    @property
    def steps(self) -> Sequence[tuple[str, Callable[[], None]]]:
        """Return the steps: title, and what plays it."""
        return (
            ('The depot starts', self.start),
            ('The first car has the grid connection to itself', self.first_car),
            ('All the others come: the current is shared', self.all_cars),
            ('A car leaves: the others get its share', self.leave),
            ('A shorted pilot stops one: the others get its share', self.fault),
            ('The fault clears: it is served again', self.recover),
            ('The grid operator lowers the limit', self.lower),
            ('The limit is taken back', self.raise_again),
            ('All cars leave', self.all_leave),
        )

    # --- subscriptions ---------------------------------------------------------------------------------

    def on_status(self, name: str, status: EvseStatus) -> None:
        """Keep the newest status."""
        seen = self.seen[name]
        seen.status = status
        seen.energy_wh = max(seen.energy_wh, status.session_energy_wh or 0.0)

    def on_board(self, name: str, state: BoardState) -> None:
        """Keep the newest state of the board, and check it."""
        self.seen[name].board = state
        self.monitor.board(name, state, time.monotonic())

    def on_meter(self, name: str, sample: Powermeter) -> None:
        """Keep the newest sample of the meter, and check it."""
        seen, current, power = self.seen[name], sample.current_a, sample.power_w
        seen.current_a = max(current.l1 or 0.0, current.l2 or 0.0, current.l3 or 0.0) if current else 0.0
        seen.power_w = (power.total if power else None) or 0.0
        self.monitor.meter(name, sample, time.monotonic())

    def on_garbled(self, trouble: str) -> None:
        """Note what could not be understood."""
        self.trouble = trouble

    # --- waiting ---------------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], bool], what: str, limit_s: float = STEP_S) -> None:
        """Wait until something is so; fail when it is too late, or when a limit is exceeded meanwhile."""
        end = time.monotonic() + limit_s
        while not condition():
            self.look()
            if time.monotonic() >= end:
                raise StepFailedError(f'step "{self.screen.title}": not within {limit_s:g} s: {what}')

    def look_on(self, seconds: float) -> None:
        """Let a person see what is the case."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()

    def look(self) -> None:
        """Handle what arrives, and bring the table up to date."""
        self.graph.spin(0.05)
        if self.trouble:
            raise StepFailedError(self.trouble)
        if self.monitor.violations:
            raise StepFailedError(f'a limit was exceeded: {self.monitor.violations[0]}')
        dead = self.nodes.dead()
        if dead is not None:
            raise StepFailedError(dead)
        self.screen.now(self.site, self.seen, self.monitor)

    def call(self, namespace: str, service: str, **fields: Any) -> None:
        """Call a service that must be accepted."""
        reply = call_service(self.graph, namespace, service, fields, find_s=STEP_S, answer_s=STEP_S)
        if not reply.success:
            raise StepFailedError(f'step "{self.screen.title}": {service} was refused: {reply.message}')

    def namespace(self, name: str) -> str:
        """Return the namespace of a connector."""
        return self.site.connector(name).namespace

    def charging(self) -> list[str]:
        """Return the connectors that energy flows at."""
        return [name for name, seen in self.seen.items() if seen.is_charging]

    def share_a(self, count: int) -> float:
        """Return the fair share of the limit for a number of cars [A]."""
        return min(CAR_A, self.limit_a / count)

    def wait_for_shares(self, names: Sequence[str]) -> None:
        """Wait until these cars, and no others, draw their fair share."""
        share = self.share_a(len(names))

        def shared() -> bool:
            return all(abs(self.seen[name].current_a - share) <= 0.06 * share for name in names)

        self.wait(shared, f'{share:.1f} A at each of {len(names)} cars')
        self.wait(lambda: set(self.charging()) == set(names), f'exactly {len(names)} cars charge')
        self.look_on(1.5)
        cars = f'{len(names)} car{"s" * (len(names) != 1)}'
        self.screen.note(
            f'{cars} with {share:.1f} A each; {self.limit_a:g} A allowed, at most '
            f'{max(self.monitor.sums(ROOT).measured_a.values()):.1f} A measured on a phase'
        )

    # --- the steps -------------------------------------------------------------------------------------

    def play(self) -> None:
        """Go through all steps."""
        for number, (title, step) in enumerate(self.steps, start=1):
            self.screen.step(number, len(self.steps), title)
            step()

    def start(self) -> None:
        """Wait for the connectors."""
        idle = {ChargerState.IDLE}
        limit_s = START_S + len(self.seen)
        self.wait(
            lambda: {seen.status.state for seen in self.seen.values()} == idle, 'all available', limit_s
        )

    def plug_in(self, name: str) -> None:
        """Plug in a car that takes three phases."""
        nothing = float('nan')
        self.monitor.car(name, 3, CAR_A)
        self.call(
            self.namespace(name),
            'simulation/plug_in',
            profile='default', max_current_a=CAR_A, phases=3, soc_percent=30.0, battery_capacity_wh=nothing,
        )  # fmt: skip
        self.plugged.append(name)

    def unplug(self, name: str) -> None:
        """Pull a plug out."""
        self.call(self.namespace(name), 'simulation/unplug')
        self.plugged.remove(name)

    def first_car(self) -> None:
        """One car gets all that it can take."""
        self.plug_in(next(iter(self.seen)))
        self.wait_for_shares(self.plugged)

    def all_cars(self) -> None:
        """The others are plugged in; each gets a fair share."""
        for name in self.seen:
            if name not in self.plugged:
                self.plug_in(name)
        self.wait_for_shares(self.plugged)

    def leave(self) -> None:
        """The first car leaves."""
        self.unplug(self.plugged[0])
        self.wait_for_shares(self.plugged)

    def fault(self) -> None:
        """The control pilot of one connector is shorted: its contactor opens."""
        name = self.plugged[0]
        self.call(self.namespace(name), 'simulation/inject_fault', fault='pilot_short')
        self.wait(lambda: self.seen[name].status.state is ChargerState.ERROR, f'an error at {name}')
        self.wait_for_shares(self.plugged[1:])

    def recover(self) -> None:
        """The fault is over; the car gets its share again."""
        self.call(self.namespace(self.plugged[0]), 'simulation/clear_fault', fault='pilot_short')
        self.wait_for_shares(self.plugged)

    def lower(self) -> None:
        """A limit from outside; it lasts until it is taken back."""
        self.limit_a = REDUCED * self.limit_a
        self.monitor.limit(ROOT, self.limit_a, time.monotonic())
        self.call(self.site.namespace, 'site/set_limit', node=ROOT, source=SOURCE, limit_a=self.limit_a)
        self.wait_for_shares(self.plugged)

    def raise_again(self) -> None:
        """The limit from outside ends."""
        self.limit_a = self.site.grid.limit_a or 0.0
        self.monitor.limit(ROOT, float('inf'), time.monotonic())
        self.call(self.site.namespace, 'site/set_limit', node=ROOT, source=SOURCE)
        self.wait_for_shares(self.plugged)

    def all_leave(self) -> None:
        """The site is empty; every session has energy."""
        for name in list(self.plugged):
            self.unplug(name)
        free = StatusReason.AVAILABLE
        self.wait(
            lambda: {each.status.reason for each in self.seen.values()} == {free}, 'all available again'
        )
        without = [name for name, seen in self.seen.items() if seen.energy_wh <= 0.0]
        if without:
            raise StepFailedError(f'no energy was counted at {", ".join(without)}')

    def energy_wh(self) -> float:
        """Return the energy of the transactions, the longest of each connector."""
        return sum(seen.energy_wh for seen in self.seen.values())
