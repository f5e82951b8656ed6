"""
A site on simulated time: connectors with cars, a lossy network and the allocator.

A virtual connector follows grants by the rules of a real one, and its car is as slow and as greedy as the
norm allows.  ``possible_a`` is what it may draw at this moment whatever happens next.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from evse_manager.charging import allowance
from evse_manager.energy.allocator import ConnectorGrant, SiteAllocator
from evse_manager.energy.demand import Demand
from evse_manager.energy.limits import RunTimeLimit
from evse_manager.energy.planning import PlanSettings
from evse_manager.energy.requests import write_grant
from evse_manager.energy.tree import ConnectorSpec, FuseSpec, SiteTree
from evse_manager.energy.turns import TurnTimes
from evse_manager.interface.enums import ContactorState
from evse_manager.interface.types import Time

SECOND = 1_000_000_000
EPOCH = 1_795_000_000 * SECOND
"""Wall time at the start of a simulation."""

DEFAULT_TURNS = TurnTimes()

TICK_S = 0.5
REQUEST_PERIOD_S = 1.0
VALIDITY_S = 10.0
FOLLOW_S = 5.0
OPENS_S = 6.5


def wall(steady: float) -> Time:
    return Time(EPOCH + round(steady * SECOND))


def fuse(name: str, parent: str = '', limit_a: float = math.inf, **keys: object) -> FuseSpec:
    return FuseSpec(name, parent, limit_a, **keys)  # type: ignore[arg-type]


def connector(name: str, parent: str = 'grid', **keys: object) -> ConnectorSpec:
    return ConnectorSpec(name, f'/site/{name}', parent, **keys)  # type: ignore[arg-type]


def site(
    limit_a: float, *connectors: ConnectorSpec, feeders: Sequence[FuseSpec] = (), **keys: object
) -> SiteTree:
    return SiteTree('site', (fuse('grid', '', limit_a, **keys), *feeders), connectors)


@dataclass
class InForce:
    """The grant that a connector follows."""

    current_a: float
    phases: int
    stamp: Time
    manager_id: str
    ends: float


@dataclass
class VirtualConnector:
    """A connector with a car that draws on ``car_phases`` phases."""

    spec: ConnectorSpec
    clock_offset_s: float = 0.0
    wants_a: float = 0.0
    minimum_a: float = 6.0
    car_phases: int = 3
    car_a: float = math.inf
    """The most that the car draws."""
    draws: bool = True
    """Whether the car asks for power (state C)."""
    obeys: bool = True
    hears: bool = True
    says: bool = True
    contactor_known: bool = True
    switches_phases: bool = False
    grant: InForce | None = None
    taken: allowance.Grant | None = None
    changed: bool = True
    asked_at: float = -math.inf
    limits: deque[tuple[float, float, int]] = field(default_factory=deque)
    """Limits of the last seconds: until when each held (infinite = now), its current and phases."""
    fixed_draw_a: float | None = None
    energy_wh: float | None = None
    leaves: Time | None = None
    priority: int = 0

    def wall(self, steady: float) -> Time:
        return Time(wall(steady) + round(self.clock_offset_s * SECOND))

    def receive(self, grant: ConnectorGrant, manager_id: str, steady: float) -> None:
        """Take a grant as the charging kernel does."""
        self.expire(steady)
        new = allowance.grant(write_grant(grant, manager_id), steady, self.wall(steady))
        if allowance.outdated(new, self.taken, steady, VALIDITY_S):
            return
        self.taken = new
        if self.obeys:
            ends = new.ends(VALIDITY_S)
            self._follow(InForce(grant.current_a, grant.phases or 3, grant.stamp, manager_id, ends), steady)

    def expire(self, steady: float) -> None:
        if self.grant is not None and steady >= self.grant.ends:
            self._follow(None, self.grant.ends)

    def restart(self, steady: float) -> None:
        """The connector's manager starts again: it knows no grant, and its board opens the contactor."""
        self._follow(None, steady)
        self.taken = None

    def _follow(self, grant: InForce | None, steady: float) -> None:
        before = self.limit()
        self.grant = grant
        if self.limit() != before:
            self.limits.append((steady, *before))
            self.changed = True
        elif grant is not None:
            self.changed = True

    def limit(self) -> tuple[float, int]:
        """Return current and phases that the connector allows now."""
        if self.grant is None:
            return self.spec.failsafe_current_a, 3
        return self.grant.current_a, self.grant.phases

    def possible_a(self, steady: float) -> tuple[float, float, float]:
        """
        Return what may flow now per own phase at most.

        A former limit counts until the car has followed; with an open contactor it does not.
        """
        while self.limits and (not self._connected or self.limits[0][0] + FOLLOW_S <= steady):
            self.limits.popleft()
        most = [0.0, 0.0, 0.0]
        for current, phases in [*((each[1], each[2]) for each in self.limits), self.limit()]:
            for phase in range(min(phases, self.car_phases, len(self.spec.phases))):
                most[phase] = max(most[phase], current)
        return most[0], most[1], most[2]

    def draw_a(self, steady: float) -> tuple[float, float, float]:
        """Return what flows now: a car that asks takes all that it may, as late as it may."""
        phases = min(self.car_phases, len(self.spec.phases))
        if self.fixed_draw_a is not None:
            return self._on_phases([self.fixed_draw_a] * phases)
        if not self._connected:
            return 0.0, 0.0, 0.0
        return self._on_phases([min(each, self.car_a) for each in self.possible_a(steady)])

    @property
    def _connected(self) -> bool:
        return self.draws and self.wants_a > 0.0

    @staticmethod
    def _on_phases(currents: Sequence[float]) -> tuple[float, float, float]:
        padded = [*currents, 0.0, 0.0, 0.0]
        return padded[0], padded[1], padded[2]

    def request(self, steady: float) -> Demand:
        self.expire(steady)
        self.changed = False
        self.asked_at = steady
        draw = self.draw_a(steady)
        contactor = ContactorState.CLOSED if max(draw) > 0.0 else ContactorState.OPEN
        if not self.contactor_known:
            contactor = ContactorState.UNKNOWN
        grant = self.grant
        return Demand(
            stamp=self.wall(steady),
            wants_a=self.wants_a,
            minimum_a=self.minimum_a,
            most_phases=len(self.spec.phases),
            fewest_phases=1,
            switches_phases=self.switches_phases,
            priority=self.priority,
            energy_wh=self.energy_wh,
            leaves=self.leaves,
            contactor=contactor,
            draw_a=draw,
            grant_stamp=None if grant is None else grant.stamp,
            grant_manager_id='' if grant is None else grant.manager_id,
            granted_a=0.0 if grant is None else grant.current_a,
            granted_phases=3 if grant is None else grant.phases,
        )


@dataclass
class Network:
    """Loses, repeats and delays messages, each one differently, so that they pass each other."""

    random: Random = field(default_factory=lambda: Random(0))
    loss: float = 0.0
    repetition: float = 0.0
    delay_s: float = 0.0
    _queue: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _count: int = 0

    def send(self, deliver: Callable[[float], None], steady: float) -> None:
        if self.loss and self.random.random() < self.loss:
            return
        copies = 2 if self.repetition and self.random.random() < self.repetition else 1
        for _ in range(copies):
            delay = self.random.uniform(0.0, self.delay_s) if self.delay_s else 0.0
            self._count += 1
            self._queue.append((steady + delay, self._count, deliver))

    def deliver(self, steady: float) -> None:
        due = sorted(each for each in self._queue if each[0] <= steady)
        self._queue = [each for each in self._queue if each[0] > steady]
        for _, _, deliver in due:
            deliver(steady)


class VirtualSite:
    """The whole site in lock-step."""

    def __init__(
        self,
        tree: SiteTree,
        *,
        network: Network | None = None,
        turns: TurnTimes = DEFAULT_TURNS,
        phase_switch_s: float = 600.0,
        start_settled: bool = True,
    ) -> None:
        """With ``start_settled`` the energy manager's own start is over before the first tick."""
        self.tree = tree
        self.network = network or Network()
        self.settings = PlanSettings(turns, phase_switch_s)
        self.now = 0.0
        self.starts = 0
        self.connectors = [VirtualConnector(spec) for spec in tree.connectors]
        self.allocator: SiteAllocator | None = None
        self.before_step: Callable[[float], None] = lambda _: None
        self.start_manager()
        if start_settled:
            self.run(20.0)

    def __getitem__(self, name: str) -> VirtualConnector:
        return next(each for each in self.connectors if each.spec.name == name)

    @property
    def manager(self) -> SiteAllocator:
        assert self.allocator is not None
        return self.allocator

    def start_manager(self, limits: Sequence[RunTimeLimit] = ()) -> None:
        self.starts += 1
        self.allocator = SiteAllocator(
            self.tree, f'manager {self.starts}', self.now, limits, settings=self.settings
        )

    def stop_manager(self) -> None:
        self.allocator = None

    def run(self, seconds: float, check: Callable[[], None] = lambda: None) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.tick()
            check()

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> float:
        """Run until the condition holds; return how long that took."""
        start = self.now
        while not condition():
            assert self.now - start < limit_s, f'not within {limit_s} s'
            self.tick()
        return self.now - start

    def tick(self) -> None:
        self.now = round(self.now + TICK_S, 6)
        now = self.now
        self.network.deliver(now)
        for each in self.connectors:
            each.expire(now)
            if each.says and (each.changed or now - each.asked_at >= REQUEST_PERIOD_S):
                self.network.send(self._to_manager(each.spec.uuid, each.request(now)), now)
        self.network.deliver(now)
        if self.allocator is not None:
            self.before_step(now)
            for grant in self.allocator.step(now, wall(now)):
                self.network.send(self._to_connector(grant, self.allocator.manager_id), now)
        self.network.deliver(now)

    def _to_manager(self, uuid: str, demand: Demand) -> Callable[[float], None]:
        def deliver(steady: float) -> None:
            if self.allocator is not None:
                self.allocator.request(uuid, demand, steady)

        return deliver

    def _to_connector(self, grant: ConnectorGrant, manager_id: str) -> Callable[[float], None]:
        def deliver(steady: float) -> None:
            target = self.connectors[grant.index]
            if target.hears:
                target.receive(grant, manager_id, steady)

        return deliver

    # --- what is seen ----------------------------------------------------------------------------------

    def granted_a(self) -> dict[str, float]:
        return {
            each.spec.name: self.manager.connectors[i].granted_a for i, each in enumerate(self.connectors)
        }

    def possible_by_fuse(self) -> dict[str, tuple[float, float, float]]:
        """Return what may flow at most through each fuse per phase of the site [A]."""
        parents = {each.name: each.parent for each in self.tree.fuses}
        sums = {each.name: [0.0, 0.0, 0.0] for each in self.tree.fuses}
        for each in self.connectors:
            possible = each.possible_a(self.now)
            node = each.spec.parent
            while node:
                for own, phase in enumerate(each.spec.phases):
                    sums[node][phase] += possible[own]
                node = parents[node]
        return {name: (each[0], each[1], each[2]) for name, each in sums.items()}
