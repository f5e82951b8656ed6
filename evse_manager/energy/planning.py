"""
The plan: which current every connector should have, without regard to what is handed out at the moment.

Connectors that cannot be steered now (silent, contactor unknown, not following, drawing too much) count
with what they may use; all others share what is left.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from evse_manager.energy.capacity import Capacity
from evse_manager.energy.connector import EnergyConnector
from evse_manager.energy.demand import Demand
from evse_manager.energy.limits import LimitBook, LimitBound
from evse_manager.energy.sharing import EPSILON, NO_CONSTRAINT, Car, share
from evse_manager.energy.tree import Topology
from evse_manager.energy.turns import TurnTimes
from evse_manager.interface.enums import ContactorState, GrantReason
from evse_manager.interface.types import Time

OWN_LIMIT = -2
"""The binding limit is one of the connector itself."""

MORE_PHASES_HELP = 1.1
"""Three phases help when they give at least this many times the power of one."""

MORE_PHASES_AFTER_S = 60.0
"""Three phases must have helped for this long before a connector changes to them."""


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Times of the plan; ``phase_switch_s`` is the least time between two changes of the phases of a car."""

    turns: TurnTimes = TurnTimes()
    phase_switch_s: float = 600.0


@dataclass(slots=True)
class Target:
    """
    What one connector should have.

    ``keep`` leaves its grant as it is; ``binding`` is the constraint that keeps it from more.
    """

    current_a: float = 0.0
    phases: int = 0
    minimum_a: float = 0.0
    keep: bool = False
    reason: GrantReason = GrantReason.NO_DEMAND
    binding: int = NO_CONSTRAINT


@dataclass(slots=True)
class Plan:
    """The targets of all connectors, and the order in which increases are handed out."""

    targets: list[Target]
    order: list[int] = field(default_factory=list)

    def wait(self, index: int, reason: GrantReason) -> None:
        """A connector does not get its target yet, for this reason."""
        self.targets[index].reason = reason

    def hold(self, reason: GrantReason, connectors: Sequence[EnergyConnector]) -> None:
        """No increase is handed out, for this reason."""
        for index in self.order:
            if self.targets[index].current_a > connectors[index].granted_a:
                self.wait(index, reason)


class Planner:
    """Makes plans for one tree."""

    def __init__(
        self, topology: Topology, capacity: Capacity, book: LimitBook, settings: PlanSettings
    ) -> None:
        """Plan for connectors in the order of the tree."""
        self._topology = topology
        self._capacity = capacity
        self._book = book
        self._settings = settings
        self._finite: tuple[int, ...] = ()
        self._uses: dict[tuple[int, int, int], tuple[tuple[int, float], ...]] = {}

    def plan(self, connectors: Sequence[EnergyConnector], steady: float, wall: Time) -> Plan:
        """Return the plan for this moment."""
        if self._finite is not self._capacity.finite:
            self._finite = self._capacity.finite
            self._uses.clear()
        self._own = {
            limit.node: self._book.bounds(limit.node, wall)
            for limit in self._book.all()
            if limit.node not in self._topology.fuse_of
        }
        plan, sharing = self._sort(connectors, steady, wall)
        base = self._base_room(connectors, plan, sharing)
        cars = self._share(connectors, plan, base.copy(), steady, wall)
        if self._choose_phases(connectors, plan, cars, steady):
            cars = self._share(connectors, plan, base.copy(), steady, wall)
        for index, car in zip(plan.order, cars, strict=True):
            self._take_over(connectors[index], plan.targets[index], car, base)
        return plan

    # --- who takes part --------------------------------------------------------------------------------

    def _sort(
        self, connectors: Sequence[EnergyConnector], steady: float, wall: Time
    ) -> tuple[Plan, set[int]]:
        """Return a plan with the order of those who share, and their indices."""
        plan = Plan([Target() for _ in connectors])
        keys = []
        for connector in connectors:
            target = plan.targets[connector.index]
            target.phases = connector.granted_phases
            reason = _excluded(connector, steady)
            demand = connector.demand
            if reason is not None or demand is None:
                target.reason = reason or GrantReason.SILENT
                target.keep = reason in (GrantReason.SILENT, GrantReason.OVERDRAW)
                continue
            turn = connector.turn
            if not turn.served and connector.granted_a > 0.0:
                turn.serve(steady)  # a grant of a former energy manager
            if not turn.served and turn.pauses(self._settings.turns, steady):
                target.reason = GrantReason.MINIMUM_PAUSE
                continue
            most = min(demand.most_phases or 3, len(connector.spec.phases))
            if not (connector.switches_phases and connector.choice.count):
                connector.choice.count = most
            used = len(connector.used_phases(connector.choice.count))
            volts = used * self._topology.tree.nominal_voltage_v
            urgent = demand.leaves is not None and demand.urgent_a(volts, wall) >= demand.minimum_a
            priority = connector.spec.priority + demand.priority
            keys.append((-priority, not urgent, turn.order(self._settings.turns, steady), connector.index))
        keys.sort()
        plan.order = [key[-1] for key in keys]
        return plan, set(plan.order)

    def _base_room(self, connectors: Sequence[EnergyConnector], plan: Plan, sharing: set[int]) -> list[float]:
        """Return the headroom without what those use who do not share, and without failsafe currents."""
        headroom = self._capacity.headroom.copy()
        voltage = self._topology.tree.nominal_voltage_v
        no_demand = (GrantReason.NO_DEMAND, GrantReason.MINIMUM_PAUSE)
        for connector in connectors:
            index = connector.index
            unheard = connector.demand is None  # of that, only increases have to take account
            if index in sharing or unheard or plan.targets[index].reason in no_demand:
                failsafe = connector.spec.failsafe_current_a
                if failsafe <= 0.0:
                    continue
                count: tuple[float, ...] = (failsafe,) * len(connector.spec.phases)
            else:
                count = connector.count
            for own, phase in enumerate(connector.spec.phases):
                if count[own] <= 0.0:
                    continue
                for fuse in self._topology.path_of[index]:
                    headroom[self._topology.current_constraint(fuse, phase)] -= count[own]
                    headroom[self._topology.power_constraint(fuse)] -= voltage * count[own]
        return headroom

    # --- sharing ---------------------------------------------------------------------------------------

    def _share(
        self,
        connectors: Sequence[EnergyConnector],
        plan: Plan,
        headroom: list[float],
        steady: float,
        wall: Time,
    ) -> list[Car]:
        """Return the cars in order, with their shares; ``headroom`` becomes what is left."""
        cars = [self._car(connectors[index], steady, wall) for index in plan.order]
        share(cars, headroom)
        self._left = headroom
        return cars

    def _car(self, connector: EnergyConnector, steady: float, wall: Time) -> Car:
        demand, spec = connector.demand, connector.spec
        assert demand is not None
        phases = connector.choice.count
        minimum = max(demand.minimum_a, spec.failsafe_current_a)
        most = self._most_a(connector, demand, phases)
        urgent = 0.0
        if demand.leaves is not None:
            used = len(connector.used_phases(phases))
            urgent = demand.urgent_a(used * self._topology.tree.nominal_voltage_v, wall)
        fits = most >= minimum - EPSILON
        return Car(
            minimum_a=minimum,
            maximum_a=max(minimum, min(most, max(minimum, connector.usage.most_a))) if fits else math.inf,
            weight=spec.weight,
            uses=self._uses_of(connector, phases),
            reserved_a=spec.failsafe_current_a,
            urgent_a=urgent,
            reserves=fits and connector.turn.waits_too_long(self._settings.turns, steady),
            possible=fits,
        )

    def _most_a(self, connector: EnergyConnector, demand: Demand, phases: int) -> float:
        """Return the highest current that the connector's own limits and its request allow."""
        current, power = self._own.get(connector.spec.name, (LimitBound(), LimitBound()))
        volts = self._topology.tree.nominal_voltage_v * phases
        return min(demand.wants_a, connector.spec.max_current_a, current.limit, power.limit / volts)

    def _uses_of(self, connector: EnergyConnector, phases: int) -> tuple[tuple[int, float], ...]:
        """Return the constraints of a car on this many phases, with their factors."""
        key = (connector.index, phases, connector.usage.phases)
        uses = self._uses.get(key)
        if uses is None:
            topology, spec = self._topology, connector.spec
            own = connector.used_phases(phases)
            volts = topology.tree.nominal_voltage_v * len(own)
            found = []
            for fuse in topology.path_of[connector.index]:
                for phase in own:
                    found.append((topology.current_constraint(fuse, spec.phases[phase]), 1.0))
                found.append((topology.power_constraint(fuse), volts))
            headroom = self._capacity.headroom
            uses = self._uses[key] = tuple(each for each in found if headroom[each[0]] < math.inf)
        return uses

    def _take_over(self, connector: EnergyConnector, target: Target, car: Car, base: list[float]) -> None:
        target.minimum_a = car.minimum_a
        target.binding = car.binding
        if car.current_a <= 0.0:
            if not car.possible:
                target.reason, target.binding = GrantReason.BELOW_MINIMUM, OWN_LIMIT
            elif all(base[each] >= factor * car.minimum_a - EPSILON for each, factor in car.uses):
                target.reason = GrantReason.TURN_OF_OTHERS
            else:
                target.reason = GrantReason.MINIMUM_DOES_NOT_FIT
            return
        target.current_a = max(car.minimum_a, math.floor(car.current_a * 10.0 + 1e-6) / 10.0)
        if car.binding == NO_CONSTRAINT and self._bound_by_own_limit(connector, car):
            target.binding = OWN_LIMIT
        target.reason = GrantReason.FULL if target.binding == NO_CONSTRAINT else GrantReason.LIMITED

    def _bound_by_own_limit(self, connector: EnergyConnector, car: Car) -> bool:
        """Return whether a run-time limit at the connector itself keeps it from more."""
        current, power = self._own.get(connector.spec.name, (LimitBound(), LimitBound()))
        volts = self._topology.tree.nominal_voltage_v * connector.choice.count
        return car.current_a >= min(current.limit, power.limit / volts) - EPSILON

    # --- phases ----------------------------------------------------------------------------------------

    def _choose_phases(
        self,
        connectors: Sequence[EnergyConnector],
        plan: Plan,
        cars: Sequence[Car],
        steady: float,
    ) -> bool:
        """Change the phases of cars where that helps; return whether any was changed."""
        changed = False
        for index, car in zip(plan.order, cars, strict=True):
            connector = connectors[index]
            target, choice = plan.targets[index], connector.choice
            if connector.switches_phases:
                wished = 3 if choice.count == 1 and self._three_help(connector, car) else 0
                if (
                    choice.count == 3
                    and car.current_a <= 0.0
                    and car.possible
                    and self._one_fits(connector, car)
                ):
                    wished = 1
                if self._switch(connector, wished, steady):
                    changed = True
            target.phases = choice.count
        return changed

    def _switch(self, connector: EnergyConnector, wished: int, steady: float) -> bool:
        """Change to the wished number of phases (0 = stay) when its time has come."""
        choice = connector.choice
        if not wished:
            choice.wished_since = math.inf
            return False
        choice.wished_since = min(choice.wished_since, steady)
        patience = MORE_PHASES_AFTER_S if wished == 3 and connector.turn.served else 0.0
        if steady - choice.wished_since < patience:
            return False
        if steady - choice.switched_at < self._settings.phase_switch_s:
            return False
        choice.count, choice.wished_since = wished, math.inf
        if connector.turn.served or connector.turn.off_since > -math.inf:
            choice.switched_at = steady
        return True

    def _one_fits(self, connector: EnergyConnector, car: Car) -> bool:
        """Return whether the minimum fits on one phase; if so, take it out of what is left."""
        uses = self._uses_of(connector, 1)
        if any(self._left[each] < factor * car.minimum_a - EPSILON for each, factor in uses):
            return False
        for each, factor in uses:
            self._left[each] -= factor * car.minimum_a
        return True

    def _three_help(self, connector: EnergyConnector, car: Car) -> bool:
        """Return whether three phases give more power than one, out of what is left; if so, take it."""
        demand = connector.demand
        assert demand is not None
        one, three = dict(self._uses_of(connector, 1)), self._uses_of(connector, 3)
        current = self._most_a(connector, demand, 3)
        for each, factor in three:
            current = min(current, (self._left[each] + one.get(each, 0.0) * car.current_a) / factor)
        if current < car.minimum_a or 3.0 * current < MORE_PHASES_HELP * car.current_a:
            return False
        for each, factor in three:
            self._left[each] -= factor * current - one.get(each, 0.0) * car.current_a
        return True


def _excluded(connector: EnergyConnector, steady: float) -> GrantReason | None:
    """Return why a connector does not share; None when it does."""
    demand = connector.demand
    if demand is None or connector.silent(steady):
        return GrantReason.SILENT
    if connector.frozen or demand.contactor is ContactorState.UNKNOWN:
        return GrantReason.CONTACTOR_UNKNOWN
    if connector.obedience.withdrawn:
        return GrantReason.NOT_FOLLOWING
    if connector.overdraws:
        return GrantReason.OVERDRAW
    if not demand.wants:
        return GrantReason.NO_DEMAND
    return None
