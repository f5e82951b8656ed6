"""
Requests of connectors, checked: what is wanted, what flows, which grant is followed; and the grants as
messages.
"""

from evse_manager.energy.allocator import ConnectorGrant
from evse_manager.energy.demand import Demand
from evse_manager.energy.ledger import VALIDITY_S
from evse_manager.energy.tree import ConnectorSpec
from evse_manager.interface.enums import NodeType
from evse_manager.interface.pilot import MINIMUM_CURRENT_A
from evse_manager.interface.types import (
    SECOND_NS,
    EnergyFlowRequest,
    EnforcedLimits,
    LimitsReq,
    LimitsRes,
    Powermeter,
    ScheduleReqEntry,
    Time,
)

METER_TOO_OLD_S = 10.0
"""A sample this much older than the request that carries it is no measurement any more."""

DRAW_PLAUSIBLE_A = 200.0
"""A connector's meter that shows more per phase is defective: no connector carries that."""


def read_request(request: EnergyFlowRequest, spec: ConnectorSpec, voltage_v: float) -> Demand | str:
    """
    Return what a connector asks for, or in one sentence why its request is refused.

    A request of another connector, without a time stamp or with a negative number is refused as a whole: the
    connector then counts as silent in time.
    """
    if request.uuid != spec.uuid:
        return f'uuid is {request.uuid!r}, but the topic is that of {spec.uuid}.'
    if request.node_type is not NodeType.EVSE:
        return 'node_type is not NODE_TYPE_EVSE.'
    if request.stamp is None:
        return 'stamp is zero; grants could not be dated.'
    limits = _limits(request)
    for name in ('ac_max_current_a', 'ac_min_current_a', 'total_power_w'):
        value = getattr(limits, name)
        if value is not None and not value >= 0.0:
            return f'{name} is {value}, but must be 0 or more.'
    for name in ('ac_max_phase_count', 'ac_min_phase_count'):
        if getattr(limits, name) > 3:
            return f'{name} is {getattr(limits, name)}, but must lie in 1 to 3 (0 = not given).'
    in_force, granted = request.limit_in_force or LimitsRes(), request.granted or LimitsRes()
    phases = min(limits.ac_max_phase_count or 3, len(spec.phases))
    wants = limits.ac_max_current_a
    if wants is None:
        wants = spec.max_current_a if limits.total_power_w is not None else 0.0
    if limits.total_power_w is not None:
        wants = min(wants, limits.total_power_w / (voltage_v * phases))
    target = request.optimizer_target
    return Demand(
        stamp=request.stamp,
        wants_a=min(wants, spec.max_current_a),
        minimum_a=max(MINIMUM_CURRENT_A, limits.ac_min_current_a or 0.0),
        most_phases=phases,
        fewest_phases=limits.ac_min_phase_count or 1,
        switches_phases=bool(limits.ac_supports_changing_phases_during_charging),
        priority=request.priority,
        energy_wh=_target_wh(target.energy_amount_needed_kwh) if target is not None else None,
        leaves=target.leave_time if target is not None else None,
        contactor=request.contactor,
        draw_a=_draw(request.energy_usage_root, request.stamp, voltage_v, phases),
        grant_stamp=request.grant_stamp,
        grant_manager_id=request.grant_manager_id,
        granted_a=max(0.0, _granted(granted, in_force, spec, voltage_v)),
        granted_phases=granted.ac_max_phase_count or 3,
    )


def write_grant(grant: ConnectorGrant, manager_id: str) -> EnforcedLimits:
    """Return the message of a grant of this energy manager."""
    return EnforcedLimits(
        uuid=grant.uuid,
        stamp=grant.stamp,
        valid_until=Time(grant.stamp + round(VALIDITY_S * SECOND_NS)),
        limits_root_side=LimitsRes(ac_max_current_a=grant.current_a, ac_max_phase_count=grant.phases),
        manager_id=manager_id,
        request_stamp=grant.request_stamp,
        binding_node=grant.binding_node,
    )


def _limits(request: EnergyFlowRequest) -> LimitsReq:
    """Return what is asked for now on the side of the grid: the lower of both sides of the active entry."""
    entry = _entry(request)
    if entry is None:
        return LimitsReq(ac_max_current_a=0.0)
    root, leaves = entry.limits_to_root, entry.limits_to_leaves
    efficiency = entry.conversion_efficiency if 0.0 < entry.conversion_efficiency <= 1.0 else 1.0
    return LimitsReq(
        total_power_w=_lower(root.total_power_w, _scaled(leaves.total_power_w, efficiency)),
        ac_max_current_a=_lower(root.ac_max_current_a, _scaled(leaves.ac_max_current_a, efficiency)),
        ac_min_current_a=root.ac_min_current_a,
        ac_max_phase_count=root.ac_max_phase_count,
        ac_min_phase_count=root.ac_min_phase_count,
        ac_supports_changing_phases_during_charging=root.ac_supports_changing_phases_during_charging,
    )


def _entry(request: EnergyFlowRequest) -> ScheduleReqEntry | None:
    """Return the entry in force at the time of the request; the first holds already before its time."""
    active = request.schedule_import[0] if request.schedule_import else None
    for entry in request.schedule_import[1:]:
        if (entry.timestamp or 0) > (request.stamp or 0):
            break
        active = entry
    return active


def _granted(granted: LimitsRes, in_force: LimitsRes, spec: ConnectorSpec, voltage_v: float) -> float:
    """Return the current that the grant in force allows; without a number all that the connector can."""
    current = granted.ac_max_current_a
    if current is None and granted.total_power_w is not None:
        phases = granted.ac_max_phase_count or in_force.ac_max_phase_count or 1
        current = granted.total_power_w / (voltage_v * phases)
    return spec.max_current_a if current is None else min(current, spec.max_current_a)


def _draw(
    meter: Powermeter | None, stamp: Time, voltage_v: float, phases: int
) -> tuple[float, float, float] | None:
    """Return the measured current of each phase; None when it is unknown, too old or impossible."""
    if meter is None or (
        meter.timestamp is not None and stamp - meter.timestamp > METER_TOO_OLD_S * SECOND_NS
    ):
        return None
    currents: list[float] = []
    for phase in ('l1', 'l2', 'l3')[:phases]:
        current = getattr(meter.current_a, phase) if meter.current_a is not None else None
        power = getattr(meter.power_w, phase) if meter.power_w is not None else None
        if current is None and power is not None:
            current = power / voltage_v
        if current is None:
            total = meter.power_w.total if meter.power_w is not None else None
            if total is None or currents:
                return None
            currents = [total / (voltage_v * phases)] * phases
            break
        currents.append(0.0 if power is not None and power < 0.0 else current)
    if not all(abs(current) <= DRAW_PLAUSIBLE_A for current in currents):
        return None
    values = [max(0.0, current) for current in currents] + [0.0] * (3 - phases)
    return values[0], values[1], values[2]


def _target_wh(energy_kwh: float | None) -> float | None:
    return None if energy_kwh is None or energy_kwh <= 0.0 else energy_kwh * 1000.0


def _lower(first: float | None, second: float | None) -> float | None:
    given = [value for value in (first, second) if value is not None]
    return min(given, default=None)


def _scaled(value: float | None, efficiency: float) -> float | None:
    return None if value is None else value / efficiency
