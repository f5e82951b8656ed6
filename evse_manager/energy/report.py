"""The status of a site in messages: what is granted where, whose limit binds, who waits and why."""

import math
from collections.abc import Sequence
from typing import assert_never

from evse_manager.energy.allocator import SiteAllocator
from evse_manager.energy.connector import EnergyConnector
from evse_manager.energy.planning import Target
from evse_manager.energy.site_limits import write_site_limit
from evse_manager.interface.enums import GrantReason
from evse_manager.interface.types import (
    Current,
    SiteConnectorStatus,
    SiteNodeStatus,
    SiteStatus,
    Time,
)

Phases = tuple[float, float, float]

WAITING = frozenset(
    {
        GrantReason.MINIMUM_DOES_NOT_FIT,
        GrantReason.TURN_OF_OTHERS,
        GrantReason.MINIMUM_PAUSE,
        GrantReason.REDUCTIONS_PENDING,
        GrantReason.STARTING,
        GrantReason.CONTACTOR_UNKNOWN,
        GrantReason.NOT_FOLLOWING,
        GrantReason.REQUEST_REFUSED,
        GrantReason.BELOW_MINIMUM,
    }
)
"""With these reasons a connector that wants energy waits for it."""


def site_status(allocator: SiteAllocator, steady: float, wall: Time) -> SiteStatus:
    """Return the status after the newest step."""
    connectors = tuple(
        _connector_status(allocator, connector, target, steady)
        for connector, target in zip(allocator.connectors, allocator.plan.targets, strict=True)
    )
    return SiteStatus(
        stamp=wall,
        name=allocator.tree.name,
        manager_id=allocator.manager_id,
        nodes=_node_statuses(allocator, connectors, steady),
        connectors=connectors,
        warnings=tuple(_warnings(allocator, connectors)),
        limits=tuple(write_site_limit(limit) for limit in allocator.book.all()),
    )


def _node_statuses(
    allocator: SiteAllocator, connectors: Sequence[SiteConnectorStatus], steady: float
) -> tuple[SiteNodeStatus, ...]:
    capacity, topology = allocator.capacity, allocator.topology
    measured, counted = allocator.measured(steady), allocator.counted()
    in_use = allocator.sums(
        [
            _in_use(connector, target)
            for connector, target in zip(allocator.connectors, allocator.plan.targets, strict=True)
        ]
    )
    waiting: list[list[str]] = [[] for _ in allocator.tree.fuses]
    for connector, status in zip(allocator.connectors, connectors, strict=True):
        if status.reason in WAITING and status.wants_a > 0.0:
            for node in topology.path_of[connector.index]:
                waiting[node].append(status.name)
    nodes = []
    for index, fuse in enumerate(allocator.tree.fuses):
        bound_a, bound_w = capacity.bound_a[index], capacity.bound_w[index]
        nodes.append(
            SiteNodeStatus(
                name=fuse.name,
                parent=fuse.parent,
                limit_a=_finite(bound_a.limit),
                limit_a_origin=bound_a.origin,
                limit_a_source=bound_a.source,
                limit_w=_finite(bound_w.limit),
                limit_w_origin=bound_w.origin,
                limit_w_source=bound_w.source,
                measured_a=_current(measured[index]),
                house_load_a=_current(capacity.house_a[index]),
                granted_a=_current(counted[index]),
                granted_w=sum(counted[index]) * allocator.tree.nominal_voltage_v,
                reserve_a=_current(_difference(counted[index], in_use[index])),
                meter_silent=capacity.silent[index],
                waiting=tuple(waiting[index]),
            )
        )
    return tuple(nodes)


def _in_use(connector: EnergyConnector, target: Target) -> Phases:
    """Return what a car that is served has of the count, per own phase."""
    if target.reason not in (GrantReason.FULL, GrantReason.LIMITED):
        return 0.0, 0.0, 0.0
    currents = [0.0, 0.0, 0.0]
    for phase in connector.used_phases(connector.granted_phases):
        currents[phase] = min(connector.granted_a, connector.count[phase])
    return currents[0], currents[1], currents[2]


def _connector_status(
    allocator: SiteAllocator, connector: EnergyConnector, target: Target, steady: float
) -> SiteConnectorStatus:
    spec, demand = connector.spec, connector.demand
    reason = target.reason
    if connector.refused and not connector.silent(steady):
        reason = GrantReason.REQUEST_REFUSED
    binding = allocator.binding_node(connector.index)
    draw = None
    if demand is not None and not connector.silent(steady):
        draw = demand.draw_a
    return SiteConnectorStatus(
        name=spec.name,
        uuid=spec.uuid,
        parent=spec.parent,
        priority=spec.priority + (demand.priority if demand is not None else 0),
        wants_a=demand.wants_a if demand is not None else 0.0,
        granted_a=connector.granted_a,
        granted_phases=connector.granted_phases,
        counted_a=_current(connector.count),
        measured_a=Current() if draw is None else _current(draw),
        binding_node=binding,
        reason=reason,
        reason_text=_sentence(connector, target, reason, allocator.binding_text(connector.index)),
    )


def _sentence(connector: EnergyConnector, target: Target, reason: GrantReason, binding: str) -> str:
    """Return the reason in one sentence for people."""
    granted, counted = connector.granted_a, max(connector.count)
    match reason:
        case GrantReason.NO_DEMAND:
            return 'It asks for no energy.'
        case GrantReason.FULL:
            return f'It has the {granted:.1f} A that it has use for.'
        case GrantReason.LIMITED:
            return f'It has {granted:.1f} A; {binding} has no more.'
        case GrantReason.MINIMUM_DOES_NOT_FIT:
            return f'It waits: its minimum of {target.minimum_a:.1f} A does not fit into {binding}.'
        case GrantReason.TURN_OF_OTHERS:
            return f'It waits for its turn: {binding} has not enough for the minima of all cars.'
        case GrantReason.MINIMUM_PAUSE:
            return 'It waits for the end of its minimum pause, so that the car is not toggled.'
        case GrantReason.REDUCTIONS_PENDING:
            return 'It waits until other connectors have followed their reductions.'
        case GrantReason.STARTING:
            return (
                'The energy manager has just started and raises nothing until all connectors have reported.'
            )
        case GrantReason.SILENT:
            return f'It is silent; {counted:.1f} A stay reserved for it; check its node and the network.'
        case GrantReason.CONTACTOR_UNKNOWN:
            return f'Its contactor is unknown; {counted:.1f} A stay reserved for it; check its board.'
        case GrantReason.NOT_FOLLOWING:
            return 'It did not follow a reduction within 10 s, and its grant was withdrawn; check its board.'
        case GrantReason.OVERDRAW:
            return f'It draws {counted:.1f} A but may draw {granted:.1f} A; check its board and the car.'
        case GrantReason.REQUEST_REFUSED:
            return f'Its request is refused: {connector.refused}'
        case GrantReason.BELOW_MINIMUM:
            return f'A limit of the connector itself is below its minimum of {target.minimum_a:.1f} A.'
        case GrantReason.UNSPECIFIED:
            return ''
        case _:
            assert_never(reason)


def _warnings(allocator: SiteAllocator, connectors: Sequence[SiteConnectorStatus]) -> list[str]:
    """Return what needs attention, one sentence each."""
    found = []
    for fuse, meter, silent in zip(
        allocator.tree.fuses, allocator.capacity.meters, allocator.capacity.silent, strict=True
    ):
        if meter is None:
            continue
        if silent:
            doubt = f' {meter.doubt}' if meter.doubt else ''
            found.append(
                f'The meter of {fuse.name} is silent: the safe limit of {fuse.safe_limit_a:g} A holds.{doubt}'
            )
        elif meter.doubt:
            found.append(f'A sample of the meter of {fuse.name} is ignored. {meter.doubt}')
    troubles = (
        GrantReason.OVERDRAW,
        GrantReason.NOT_FOLLOWING,
        GrantReason.CONTACTOR_UNKNOWN,
        GrantReason.REQUEST_REFUSED,
    )
    found.extend(f'{each.name}: {each.reason_text}' for each in connectors if each.reason in troubles)
    over = allocator.counted()
    for index, fuse in enumerate(allocator.tree.fuses):
        limit = allocator.capacity.bound_a[index].limit
        house = allocator.capacity.house_a[index]
        excess = max(over[index][phase] + house[phase] for phase in range(3)) - limit
        if excess > 0.05:
            found.append(
                f'{fuse.name} may carry {excess:.1f} A above its limit until reductions are followed.'
            )
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _current(values: Phases) -> Current:
    return Current(l1=values[0], l2=values[1], l3=values[2])


def _difference(minuend: Phases, subtrahend: Phases) -> Phases:
    first, second, third = (max(0.0, a - b) for a, b in zip(minuend, subtrahend, strict=True))
    return first, second, third
