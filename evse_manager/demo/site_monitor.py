"""
A passive monitor of a site: at every message it adds up what the boards have in force and what the cars draw.

It knows the tree of the site file and the limits that were set from outside, and nothing of how the energy
manager divides them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from evse_manager.depot.site import Phase, Site, TreeNode
from evse_manager.interface.enums import ContactorState, PilotMode
from evse_manager.interface.types import BoardState, Powermeter

OFFER_TOLERANCE_A = 0.1
"""Resolution of a duty cycle: 0.1 % are 0.06 A (IEC 61851-1, table A.8), of several connectors."""

METER_TOLERANCE = 0.02
"""Share of a sum of measured currents that is the noise of the meters."""

OFFERS_FOLLOW_S = 2.0
"""After a limit was lowered, all boards have lower offers by then."""

CARS_FOLLOW_S = 7.0
"""By then the cars have followed: 5 s (IEC 61851-1, A.2.2), the period of the meters, and the above."""


@dataclass(slots=True)
class _Connector:
    """The newest of what one connector says."""

    phases: tuple[Phase, ...]
    car_phases: int = 3
    car_current_a: float = math.inf
    offered_a: float = 0.0
    measured_a: tuple[float, ...] = (0.0, 0.0, 0.0)


@dataclass(slots=True)
class _Limit:
    """The limit of a node, and until when what was allowed before may still flow."""

    amperes: float
    before: float = 0.0
    since: float = -math.inf

    def at(self, now: float, follow_s: float) -> float:
        """Return the limit that must be kept at ``now``."""
        return max(self.amperes, self.before) if now - self.since < follow_s else self.amperes


@dataclass(frozen=True, slots=True)
class Sums:
    """Current that counts on the phases of a node [A]."""

    offered_a: Mapping[Phase, float] = field(default_factory=dict)
    measured_a: Mapping[Phase, float] = field(default_factory=dict)


class SiteMonitor:
    """Knows what a site must not exceed, and notes when it does; times are of any monotonic clock."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._connectors = {each.name: _Connector(each.phases) for each in site.connectors}
        self._limits = {node.name: _Limit(_fuse(node)) for node in site.grid.walk()}
        self._below = {node.name: tuple(node.all_connectors()) for node in site.grid.walk()}
        self._above = {
            name: tuple(node for node, below in self._below.items() if name in below)
            for name in self._connectors
        }
        self.violations: list[str] = []
        self.messages = 0
        """Number of checked messages."""
        self.highest_a = 0.0
        """Highest sum of measured currents at the root, on any phase [A]."""

    def car(self, connector: str, phases: int, current_a: float) -> None:
        """Note which car is plugged in: how many phases it uses, and its highest current per phase."""
        seen = self._connectors[connector]
        seen.car_phases, seen.car_current_a = phases, current_a

    def limit(self, node: str, amperes: float, now: float) -> None:
        """Note a limit that was set from outside; infinity takes it back."""
        limit = self._limits[node]
        fuse = next(_fuse(each) for each in self._site.grid.walk() if each.name == node)
        limit.before, limit.amperes, limit.since = limit.amperes, min(fuse, amperes), now

    def limit_a(self, node: str) -> float:
        """Return the limit of a node now [A]."""
        return self._limits[node].amperes

    def board(self, connector: str, state: BoardState, now: float) -> None:
        """Judge a state of a board: what it offers counts while its contactor is closed."""
        offers = state.pilot_mode is PilotMode.PWM and state.contactor is ContactorState.CLOSED
        self._connectors[connector].offered_a = state.current_a if offers else 0.0
        self._check(connector, now)

    def meter(self, connector: str, sample: Powermeter, now: float) -> None:
        """Judge a sample of a meter."""
        current = sample.current_a
        values = (current.l1, current.l2, current.l3) if current is not None else ()
        self._connectors[connector].measured_a = tuple(value or 0.0 for value in values)
        self._check(connector, now)

    def sums(self, node: str) -> Sums:
        """Return what counts on each phase of a node."""
        offered, measured = dict.fromkeys(Phase, 0.0), dict.fromkeys(Phase, 0.0)
        for name in self._below[node]:
            seen = self._connectors[name]
            for phase in seen.phases[: seen.car_phases]:
                offered[phase] += min(seen.offered_a, seen.car_current_a)
            for phase, current in zip(seen.phases, seen.measured_a, strict=False):
                measured[phase] += current
        return Sums(offered, measured)

    def _check(self, connector: str, now: float) -> None:
        self.messages += 1
        for node in self._above[connector]:
            self.violations += self._excesses(node, now)

    def _excesses(self, node: str, now: float) -> Iterator[str]:
        sums, limit = self.sums(node), self._limits[node]
        for phase, current in sums.offered_a.items():
            allowed = limit.at(now, OFFERS_FOLLOW_S)
            if current > allowed + OFFER_TOLERANCE_A:
                yield f'{node} {phase}: {current:.2f} A offered, {allowed:g} A allowed'
        for phase, current in sums.measured_a.items():
            allowed = limit.at(now, CARS_FOLLOW_S)
            if node == self._site.grid.name:
                self.highest_a = max(self.highest_a, current)
            if current > allowed * (1.0 + METER_TOLERANCE) + OFFER_TOLERANCE_A:
                yield f'{node} {phase}: {current:.2f} A measured, {allowed:g} A allowed'


def _fuse(node: TreeNode) -> float:
    return node.limit_a if node.limit_a is not None else math.inf
