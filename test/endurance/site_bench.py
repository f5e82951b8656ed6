"""
A whole site in one process and in lock-step: the benches of its connectors, a lossy network, the allocator.

Every connector is a ``Bench`` (manager, board, world) with a clock of its own.  The agenda runs what is due
next anywhere, and after each instant of a connector the sums of all fuses above it are held against their
limits.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from evse_manager.charging.energy_request import energy_request
from evse_manager.charging.inputs import LimitsEnforced
from evse_manager.energy.allocator import ConnectorGrant, SiteAllocator
from evse_manager.energy.demand import Demand
from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.energy.planning import PlanSettings
from evse_manager.energy.requests import read_request, write_grant
from evse_manager.energy.tree import PHASE_NAMES, ConnectorSpec, SiteTree
from evse_manager.energy.turns import TurnTimes
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import EnforcedLimits, EvseStatus, HardwareCapabilities, Time
from evse_manager.manager import ConnectorManager
from evse_manager.simulation.bench import EPOCH, Bench
from evse_manager.simulation.world import WorldSettings

GATHER_S = 0.05
"""Requests that come at nearly the same time are answered together, as in the node."""

SAMPLE_S = 8.0
"""Meters of connectors with a car; the energy manager takes no current that is older than 10 s."""

IDLE_SAMPLE_S = 600.0

IDLE_PERIOD_S = 60.0
"""How often a connector without a car asks; in between the energy manager regards it as silent."""

EXCESS_A = 1e-6
"""Sums of floating-point currents are exact to this."""

LOWERED_S = 17.0
"""How long what was handed out before a limit was lowered may last: validity of a grant, and 6.5 s."""

NO_CURRENT = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Network:
    """Shares of messages that get lost or come twice, and the longest delay of one."""

    loss: float = 0.004
    repetition: float = 0.02
    delay_s: float = 1.5
    late: float = 0.02
    """Share of messages that are delayed at all."""


class Bay(Bench):
    """A connector of the site: what it asks for, what its board has in force, what flows."""

    def __init__(self, spec: ConnectorSpec, seed: int, asks: Callable[[], None]) -> None:
        """``asks`` is called when the connector has something new to ask for."""
        self.spec = spec
        self.latest = EvseStatus()
        self.lawless = False
        """A fault lets the car draw what it wants: its current says nothing about the site."""
        self._asks = asks
        self._asked: tuple[object, Demand] | None = None
        self._capabilities: HardwareCapabilities | None = None
        config = Config(
            energy_source='manager', restart_delay_max_s=30.0, max_current_import_a=spec.max_current_a
        )
        random = Random(seed)
        super().__init__(
            config,
            WorldSettings(
                seed=seed,
                sample_period_s=IDLE_SAMPLE_S,
                phases=len(spec.phases),
                max_current_a=spec.max_current_a,
            ),
            epoch=Time(EPOCH + round(random.uniform(-86_400.0, 86_400.0) * 1e9)),
            random=random.random,
            make_manager=partial(ConnectorManager, uuid=spec.uuid),
        )
        self._config = config
        self._capabilities = self._driver.hw_capabilities()
        self.latest = self.status

    def plug(self, profile: str, soc_percent: float) -> None:
        """Plug in a car, and sample the meter more often from now on."""
        self._sample_every(SAMPLE_S)
        self.plug_in(profile, soc_percent=soc_percent)

    def pull(self) -> None:
        """Pull the plug."""
        self.unplug()
        self._sample_every(IDLE_SAMPLE_S)

    def _sample_every(self, seconds: float) -> None:
        self.world.settings = replace(self.world.settings, sample_period_s=seconds)

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        """Ask for what follows from the new status."""
        self.latest = status
        self._asks()

    def demand(self, voltage_v: float) -> Demand:
        """Return the request as it stands, read as the energy manager does."""
        grant = self.manager.grant(self._moment())
        granted = None if grant is None else grant.limits.limits_root_side
        basis = (self.latest, self.sample, granted)
        stamp = self._wall()
        if self._asked is None or self._asked[0] != basis:
            status = replace(self.latest, stamp=stamp)
            request = energy_request(
                self.spec.uuid, self._config, status, self._capabilities, self.sample, grant=grant
            )
            read = read_request(request, self.spec, voltage_v)
            assert not isinstance(read, str), read
            self._asked = basis, read
        return replace(
            self._asked[1],
            stamp=stamp,
            grant_stamp=None if grant is None else grant.limits.stamp,
            grant_manager_id='' if grant is None else grant.limits.manager_id,
        )

    def in_force(self) -> tuple[float, float, float]:
        """Return the current that the board offers on the connector's own phases that the car uses."""
        outputs, ev = self.world.outputs, self.world.ev
        if ev is None or outputs.pilot_mode is not PilotMode.PWM or not self.world.contactor.closed:
            return NO_CURRENT
        phases = min(ev.profile.phases, len(self.spec.phases), outputs.phases or 3)
        current = min(outputs.current_a, ev.profile.max_current_a)
        return tuple(current if phase < phases else 0.0 for phase in range(3))  # type: ignore[return-value]


@dataclass(slots=True)
class Fuse:
    """A node of the tree: its limit now and what runs through it."""

    name: str
    limit_a: float
    limit_w: float
    above: int
    offered_a: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    flowing_a: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    highest_a: float = 0.0


class SiteBench:
    """See the module's description; ``now`` is the time of the site."""

    def __init__(
        self,
        tree: SiteTree,
        random: Random,
        network: Network,
        *,
        period_s: float = 1.0,
        renewal_s: float = 1.0,
    ) -> None:
        """
        Start the site with an energy manager.

        A connector with a car asks every ``period_s`` when nothing changes, grants are renewed every
        ``renewal_s`` (both 1 s in the nodes); longer ones are less work.
        """
        self.tree = tree
        self.now = 0.0
        self.checks = 0
        """How often a sum was held against a limit."""
        self.lost = 0
        self.starts = 0
        self.allocator: SiteAllocator | None = None
        self._random, self._network = random, network
        self._period_s, self._renewal_s = period_s, renewal_s
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._asking: set[int] = set()
        self._stepped = 0.0
        self._step_at = float('inf')
        names = [spec.name for spec in tree.fuses]
        self.fuses = [
            Fuse(spec.name, spec.limit_a, spec.limit_w, names.index(spec.parent) if spec.parent else -1)
            for spec in tree.fuses
        ]
        self._above = [self._path(names.index(spec.parent)) for spec in tree.connectors]
        self._seen = [(NO_CURRENT, NO_CURRENT) for _ in tree.connectors]
        self._asked_at = [float('-inf') for _ in tree.connectors]
        self._due = [float('inf') for _ in tree.connectors]
        self.bays = [
            Bay(spec, random.randrange(2**31), partial(self._asking.add, index))
            for index, spec in enumerate(tree.connectors)
        ]
        for index, bay in enumerate(self.bays):
            bay.watchers.append(partial(self._check, index))
            self._plan_bay(index)
            self.at(random.uniform(0.0, period_s), partial(self._ask_in_turn, index))
        self.start_manager()

    def _path(self, fuse: int) -> tuple[Fuse, ...]:
        return (
            self.fuses[fuse],
            *(self._path(self.fuses[fuse].above) if self.fuses[fuse].above >= 0 else ()),
        )

    # --- time --------------------------------------------------------------------------------------------

    def at(self, at: float, action: Callable[[], None]) -> None:
        """Plan an action for a time of the site."""
        self._count += 1
        heapq.heappush(self._agenda, (at, self._count, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Plan an action for so much later."""
        self.at(self.now + seconds, action)

    def run_to(self, end: float) -> None:
        """Let everything happen up to a time."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= end:
            self.now, _, action = heapq.heappop(agenda)
            action()
            while self._asking:
                self._ask(self._asking.pop())
        self.now = end

    def act(self, index: int, action: Callable[[Bay], None]) -> None:
        """Do something at a connector now."""
        bay = self.bays[index]
        bay.run_to(self.now)
        action(bay)
        self._check(index, bay)
        self._plan_bay(index)

    def _plan_bay(self, index: int) -> None:
        """Plan the next event of a connector, unless an earlier one is planned already."""
        due = max(self.bays[index].next_event(), self.now)
        if due < self._due[index]:
            self._due[index] = due
            self.at(due, partial(self._run_bay, index, due))

    def _run_bay(self, index: int, due: float) -> None:
        if due != self._due[index]:
            return  # an earlier event came in between and planned the next one
        self._due[index] = float('inf')
        self.bays[index].run_to(self.now)
        self._plan_bay(index)

    # --- connectors and energy manager -------------------------------------------------------------------

    def start_manager(self, limits: Sequence[RunTimeLimit] = ()) -> None:
        """Start an energy manager in place of the one before."""
        self.starts += 1
        settings = PlanSettings(TurnTimes())
        self.allocator = SiteAllocator(
            self.tree, f'manager {self.starts}', self.now, limits, settings=settings
        )
        self._plan_step(self.now)

    def stop_manager(self) -> None:
        """Stop the energy manager."""
        self.allocator = None

    def limit(self, node: str, limit_a: float) -> None:
        """Let an operator limit a fuse; infinity takes it back."""
        assert self.allocator is not None
        steps = (LimitStep(limit_a=limit_a),) if limit_a < float('inf') else ()
        assert not self.allocator.set_limit(RunTimeLimit(node, 'operator', steps=steps), self._wall())
        index = next(i for i, each in enumerate(self.fuses) if each.name == node)
        lowest = min(limit_a, self.tree.fuses[index].limit_a)
        fuse = self.fuses[index]
        if lowest > fuse.limit_a:
            fuse.limit_a = lowest
        else:
            self.after(LOWERED_S, partial(self._lower, fuse, lowest))
        self._plan_step(self.now + GATHER_S)

    def _lower(self, fuse: Fuse, limit_a: float) -> None:
        fuse.limit_a = limit_a
        self._hold(fuse)

    def _ask_in_turn(self, index: int) -> None:
        period_s = IDLE_PERIOD_S if self.bays[index].world.ev is None else self._period_s
        if self.now - self._asked_at[index] >= period_s - GATHER_S:
            self._ask(index)
        self.after(self._period_s, partial(self._ask_in_turn, index))

    def _ask(self, index: int) -> None:
        bay = self.bays[index]
        bay.run_to(self.now)
        self._asked_at[index] = self.now
        self._send(partial(self._hear, bay.spec.uuid, bay.demand(self.tree.nominal_voltage_v)))
        self._plan_bay(index)

    def _hear(self, uuid: str, demand: Demand) -> None:
        allocator = self.allocator
        if allocator is None:
            return
        allocator.request(uuid, demand, self.now)
        if allocator.pending:
            self._plan_step(self._stepped + GATHER_S)

    def _plan_step(self, at: float) -> None:
        at = max(at, self.now)
        if at < self._step_at:
            self._step_at = at
            self.at(at, partial(self._step, at))

    def _step(self, at: float) -> None:
        if at != self._step_at:
            return
        self._step_at, self._stepped = float('inf'), self.now
        allocator = self.allocator
        if allocator is None:
            return
        for grant in allocator.step(self.now, self._wall()):
            self._send(partial(self._deliver, grant, write_grant(grant, allocator.manager_id)))
        self._plan_step(min(self.now + self._renewal_s, max(allocator.due, self.now + GATHER_S)))

    def _deliver(self, grant: ConnectorGrant, message: EnforcedLimits) -> None:
        self.act(grant.index, lambda bay: bay.feed(LimitsEnforced(message)))

    def _wall(self) -> Time:
        return Time(EPOCH + round(self.now * 1e9))

    def _send(self, deliver: Callable[[], None]) -> None:
        """Deliver a message at once, late, twice or never."""
        random, network = self._random.random, self._network
        if random() < network.loss:
            self.lost += 1
            return
        for _ in range(2 if random() < network.repetition else 1):
            self.after(random() * network.delay_s if random() < network.late else 0.001, deliver)

    # --- limits ------------------------------------------------------------------------------------------

    def _check(self, index: int, bench: Bench) -> None:
        """Take what a connector has in force and what it draws into the sums above it."""
        assert isinstance(bench, Bay)
        offered = bench.in_force()
        flowing = offered if bench.lawless else bench.world.currents_a
        if (offered, flowing) == self._seen[index]:
            return
        offered_before, flowing_before = self._seen[index]
        self._seen[index] = offered, flowing
        for fuse in self._above[index]:
            for own, phase in enumerate(bench.spec.phases):
                fuse.offered_a[phase] += offered[own] - offered_before[own]
                fuse.flowing_a[phase] += flowing[own] - flowing_before[own]
            self._hold(fuse)

    def _hold(self, fuse: Fuse) -> None:
        """Hold the sums of a fuse against its limits."""
        self.checks += 1
        for what, sums in (('in force', fuse.offered_a), ('flowing', fuse.flowing_a)):
            for phase, current in enumerate(sums):
                assert current <= fuse.limit_a + EXCESS_A, (
                    f'{self.now:.3f} s: {fuse.name} {PHASE_NAMES[phase]}: {current:.3f} A {what}, '
                    f'{fuse.limit_a:g} A allowed'
                )
            power = sum(sums) * self.tree.nominal_voltage_v
            assert power <= fuse.limit_w + EXCESS_A * self.tree.nominal_voltage_v, (
                f'{fuse.name}: {power:.0f} W {what}'
            )
        fuse.highest_a = max(fuse.highest_a, *fuse.flowing_a)
