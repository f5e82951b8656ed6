"""
The energy manager of a site, without ROS: requests, meter samples and limits in, grants and status out.

``SiteAllocator.step`` first plans the currents that every connector should have, then hands out at once
what is lower than before, and what is higher as far as the tree has headroom besides everything that still
counts (``ledger``).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from evse_manager.energy.capacity import Capacity
from evse_manager.energy.connector import RAISE_PERIOD_S, EnergyConnector
from evse_manager.energy.demand import Demand
from evse_manager.energy.ledger import VALIDITY_S
from evse_manager.energy.limits import LimitBook, RunTimeLimit
from evse_manager.energy.meters import read_meter
from evse_manager.energy.planning import OWN_LIMIT, Plan, Planner, PlanSettings
from evse_manager.energy.sharing import EPSILON
from evse_manager.energy.tree import SiteTree, Topology
from evse_manager.interface.enums import GrantReason
from evse_manager.interface.types import SECOND_NS, Powermeter, Time

RENEW_S = 1.0
"""Every grant is sent again after this."""

OVER_A = 1e-6
"""Sums of floating-point currents are exact to this."""


CLOCKS_APART_S = 172_800.0
"""Clocks of two energy managers are at most this far apart; what is further ahead is ignored."""

SMALL_RAISE_A = 1.0
"""A part of a raise smaller than this waits for the rest of it."""


DEFAULT_SETTINGS = PlanSettings()


@dataclass(frozen=True, slots=True)
class ConnectorGrant:
    """
    What is sent to one connector.

    ``phases`` 0 leaves the number of phases to the connector; ``request_stamp`` is the stamp of the request
    that it answers, from which its validity counts; ``binding_node`` is the node whose limit binds (empty =
    none).
    """

    index: int
    uuid: str
    current_a: float
    phases: int
    stamp: Time
    request_stamp: Time
    changed: bool
    binding_node: str


class SiteAllocator:
    """Divides the power of one site."""

    def __init__(
        self,
        tree: SiteTree,
        manager_id: str,
        steady: float,
        limits: Iterable[RunTimeLimit] = (),
        settings: PlanSettings = DEFAULT_SETTINGS,
    ) -> None:
        """Start at ``steady``; ``manager_id`` is new with every start, ``limits`` are the stored ones."""
        self.tree = tree
        self.manager_id = manager_id
        self.topology = Topology(tree)
        names = [*self.topology.fuse_of, *(spec.name for spec in tree.connectors)]
        self.book = LimitBook(names, limits)
        self.capacity = Capacity(self.topology, self.book)
        self.connectors = [EnergyConnector(index, spec, steady) for index, spec in enumerate(tree.connectors)]
        self.plan = Plan([])
        self._planner = Planner(self.topology, self.capacity, self.book, settings)
        self._started = steady
        self._last_stamp = self._foreign_stamp = Time(0)
        self.pending = False
        """Something has arrived on which the plan depends: a step is due."""
        self.due = steady
        """When something that counts ends next, on the steady clock: then others may have more."""

    # --- what arrives ----------------------------------------------------------------------------------

    def request(self, uuid: str, demand: Demand | str, steady: float) -> str:
        """
        Take the request of a connector; a text instead of a demand says why it is refused.

        Returns why the request is ignored, or an empty text.
        """
        index = self.topology.connector_of.get(uuid)
        if index is None:
            return f'{uuid} is no connector of the site {self.tree.name}.'
        connector = self.connectors[index]
        if isinstance(demand, str):
            connector.refused = demand
            return demand
        self.pending |= connector.hear(demand, steady, self.manager_id)
        self.due = min(self.due, connector.ledger.next_end())
        if demand.grant_stamp is not None:
            self._foreign_stamp = max(self._foreign_stamp, demand.grant_stamp)
        return ''

    def meter(self, node: str, sample: Powermeter, steady: float) -> str:
        """Take a sample of a node's meter; return why it is ignored, or an empty text."""
        index = self.topology.fuse_of.get(node)
        meter = self.capacity.meters[index] if index is not None else None
        if index is None or meter is None:
            return f'{node} has no meter.'
        reading = read_meter(sample, self.tree.fuses[index].phases, self.tree.nominal_voltage_v)
        meter.take(reading, sample.timestamp, self.measured(steady)[index], steady)
        return meter.doubt

    def set_limit(self, limit: RunTimeLimit, wall: Time) -> str:
        """Set or clear a run-time limit; return why it is refused, or an empty text."""
        text = self.book.set(limit, wall)
        self.pending |= not text
        return text

    # --- what is handed out ----------------------------------------------------------------------------

    def step(self, steady: float, wall: Time) -> list[ConnectorGrant]:
        """Return the grants to send now: all that changed, and those that have to be renewed."""
        self.pending = False
        self.book.expire(wall)
        self.capacity.update(steady, wall)
        for connector in self.connectors:
            connector.refresh(steady)
        self.plan = self._planner.plan(self.connectors, steady, wall)
        self._last_stamp = self._next_stamp(wall)
        changed = self._reduce(steady)
        changed |= self._raise(steady)
        grants = self._grants(changed, steady)
        self.due = min((connector.ledger.next_end() for connector in self.connectors), default=math.inf)
        return grants

    def _next_stamp(self, wall: Time) -> Time:
        """Return a stamp newer than all before, also those of an energy manager whose clock is ahead."""
        if self._foreign_stamp - wall > CLOCKS_APART_S * SECOND_NS:
            self._foreign_stamp = Time(0)
        return Time(max(wall, self._last_stamp + 1, self._foreign_stamp + 1))

    def may_raise(self, steady: float) -> bool:
        """Return whether increases are allowed: not right after the start, unless all have reported."""
        return steady - self._started >= VALIDITY_S or all(
            connector.demand is not None for connector in self.connectors
        )

    def measured(self, steady: float) -> list[tuple[float, float, float]]:
        """Return, per fuse, what the connectors below report to draw per phase [A]."""
        draws = []
        for connector in self.connectors:
            known = connector.demand is not None and not connector.silent(steady)
            draw = connector.demand.draw_a if known and connector.demand is not None else None
            draws.append(draw or (0.0, 0.0, 0.0))
        return self.sums(draws)

    def counted(self) -> list[tuple[float, float, float]]:
        """Return, per fuse, what counts for the connectors below per phase [A]."""
        return self.sums([connector.count for connector in self.connectors])

    def binding_node(self, index: int) -> str:
        """Return the name of the node whose limit binds for a connector; empty when none does."""
        binding = self.plan.targets[index].binding
        if binding == OWN_LIMIT:
            return self.tree.connectors[index].name
        if binding < 0:
            return ''
        return self.tree.fuses[self.topology.fuse_of_constraint(binding)].name

    def binding_text(self, index: int) -> str:
        """Return the binding limit of a connector in words, for sentences."""
        binding = self.plan.targets[index].binding
        return self.topology.describe(binding) if binding >= 0 else self.binding_node(index)

    def sums(self, values: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
        """Return, per fuse and phase of the site, the sum of the connectors' values per own phase."""
        sums = [[0.0, 0.0, 0.0] for _ in self.tree.fuses]
        for connector, value in zip(self.connectors, values, strict=True):
            at_fuse = sums[self.topology.path_of[connector.index][0]]
            for own, phase in enumerate(connector.spec.phases):
                at_fuse[phase] += value[own]
        for index in range(self.topology.fuse_count - 1, 0, -1):
            parent, own_sum = sums[self.topology.parent_of[index]], sums[index]
            for phase in range(3):
                parent[phase] += own_sum[phase]
        return [(each[0], each[1], each[2]) for each in sums]

    def _reduce(self, steady: float) -> set[int]:
        """Hand out everything that is lower than before."""
        changed = set()
        for connector, target in zip(self.connectors, self.plan.targets, strict=True):
            newest = connector.ledger.newest
            if newest is None or target.keep or connector.demand is None:
                continue
            current = min(target.current_a, newest.current_a)
            if current >= newest.current_a and target.phases >= newest.phases:
                continue
            phases = min(target.phases, newest.phases)
            connector.obedience.reduce(newest.current_a, steady)
            connector.ledger.grant(current, phases, self._last_stamp, steady)
            changed.add(connector.index)
            if current <= 0.0 and connector.turn.served:
                connector.turn.stop(steady)
        return changed

    def _raise(self, steady: float) -> set[int]:
        """Hand out what is higher than before, as far as there is headroom besides all that counts."""
        if not self.may_raise(steady):
            self.plan.hold(GrantReason.STARTING, self.connectors)
            return set()
        headroom = self._headroom()
        changed = set()
        for index in self.plan.order:
            connector, target = self.connectors[index], self.plan.targets[index]
            newest = connector.ledger.newest
            before = newest.current_a if newest is not None else 0.0
            phases_before = newest.phases if newest is not None else 0
            if target.current_a <= 0.0 or (target.current_a <= before and target.phases == phases_before):
                continue
            starts = before <= 0.0
            if not starts and steady - connector.raised_at < RAISE_PERIOD_S:
                continue
            current = self._feasible(connector, target.current_a, target.phases, headroom)
            if current < target.minimum_a - EPSILON:
                if starts:
                    self.plan.wait(index, GrantReason.REDUCTIONS_PENDING)
                continue
            same_phases = target.phases == phases_before
            if same_phases and current < min(target.current_a, before + SMALL_RAISE_A):
                continue
            self._take(connector, current, target.phases, headroom)
            connector.ledger.grant(current, target.phases, self._last_stamp, steady)
            connector.raised_at = steady
            changed.add(index)
            if not connector.turn.served:
                connector.turn.serve(steady)
        return changed

    def _headroom(self) -> list[float]:
        """Return, per constraint, what is left besides all that counts."""
        headroom = list(self.capacity.headroom)
        voltage = self.tree.nominal_voltage_v
        for index, counted in enumerate(self.counted()):
            for phase in range(3):
                headroom[self.topology.current_constraint(index, phase)] -= counted[phase]
            headroom[self.topology.power_constraint(index)] -= voltage * sum(counted)
        return headroom

    def _feasible(
        self, connector: EnergyConnector, wanted_a: float, phases: int, headroom: list[float]
    ) -> float:
        """
        Return the highest current up to ``wanted_a`` that fits besides all that counts.

        Below a limit that is exceeded by that count there is no increase at all, not even within the
        connector's own count: it would prolong the excess.
        """
        topology, voltage = self.topology, self.tree.nominal_voltage_v
        own = connector.used_phases(phases)
        lowest = min(connector.count[phase] for phase in own)
        current = wanted_a
        for fuse in topology.path_of[connector.index]:
            for phase in own:
                left = headroom[topology.current_constraint(fuse, connector.spec.phases[phase])]
                if left < -OVER_A:
                    return 0.0
                current = min(current, connector.count[phase] + max(0.0, left))
            left = headroom[topology.power_constraint(fuse)]
            if left < -OVER_A * voltage:
                return 0.0
            current = min(current, lowest + max(0.0, left) / (voltage * len(own)))
        return current if current >= wanted_a else math.floor(current * 10.0 + 1e-6) / 10.0

    def _take(self, connector: EnergyConnector, current_a: float, phases: int, headroom: list[float]) -> None:
        """Count a raise from now on."""
        topology, voltage = self.topology, self.tree.nominal_voltage_v
        count = list(connector.count)
        for phase in connector.used_phases(phases):
            more = max(0.0, current_a - count[phase])
            count[phase] += more
            for fuse in topology.path_of[connector.index]:
                headroom[topology.current_constraint(fuse, connector.spec.phases[phase])] -= more
                headroom[topology.power_constraint(fuse)] -= voltage * more
        connector.count = (count[0], count[1], count[2])

    def _grants(self, changed: set[int], steady: float) -> list[ConnectorGrant]:
        grants = []
        for connector in self.connectors:
            demand, index = connector.demand, connector.index
            if demand is None or connector.silent(steady):
                continue
            if index not in changed and steady - connector.sent_at < RENEW_S - 0.05:
                continue
            newest, target = connector.ledger.newest, self.plan.targets[index]
            # Without a grant it takes its failsafe current, which is reserved; less would interrupt its car.
            first_a = min(connector.spec.failsafe_current_a, target.current_a)
            current = newest.current_a if newest is not None else first_a
            phases = newest.phases if newest is not None else target.phases
            if index not in changed:
                connector.ledger.grant(current, phases, self._last_stamp, steady)
            connector.sent_at = steady
            grants.append(
                ConnectorGrant(
                    index,
                    connector.spec.uuid,
                    current,
                    phases if demand.switches_phases else 0,
                    self._last_stamp,
                    demand.stamp,
                    index in changed,
                    self.binding_node(index),
                )
            )
        return grants
