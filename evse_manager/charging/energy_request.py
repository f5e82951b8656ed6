"""Request of a connector to the energy manager of its site."""

from evse_manager.charging.allowance import Grant, usable
from evse_manager.interface.enums import ChargerState, NodeType
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    EnergyFlowRequest,
    EvseStatus,
    HardwareCapabilities,
    LimitsReq,
    LimitsRes,
    OptimizerTarget,
    Powermeter,
    ScheduleReqEntry,
)

_WANTS_ALL = {
    ChargerState.WAITING_FOR_AUTHENTICATION,
    ChargerState.PREPARE_CHARGING,
    ChargerState.WAITING_FOR_ENERGY,
    ChargerState.CHARGING,
    ChargerState.T_STEP_EF,
    ChargerState.T_STEP_X1,
}
"""A car that is woken up keeps its grant: without one its wake-up ends before it can ask."""


def energy_request(
    uuid: str,
    config: Config,
    status: EvseStatus,
    capabilities: HardwareCapabilities | None,
    meter: Powermeter | None,
    *,
    grant: Grant | None,
    target: OptimizerTarget | None = None,
    priority: int = 0,
) -> EnergyFlowRequest:
    """
    Return the request of the connector ``uuid`` as it stands.

    ``capabilities`` are the board's, as it reports them.  A car that pauses asks for the hardware's minimum,
    a reserve with which it may resume; a connector that does not want energy asks for none.  ``grant`` is the
    energy manager's grant that is in force; ``target`` and ``priority`` are those of the charge goal.
    """
    available = usable(capabilities or HardwareCapabilities(), config)
    if status.state in _WANTS_ALL:
        wanted = available.max_current_a_import
    elif status.state is ChargerState.CHARGING_PAUSED_EV:
        wanted = min(available.min_current_a_import, available.max_current_a_import)
    else:
        wanted = 0.0
    limits = LimitsReq(
        ac_max_current_a=wanted,
        ac_min_current_a=available.min_current_a_import,
        ac_max_phase_count=available.max_phase_count_import,
        ac_min_phase_count=available.min_phase_count_import,
        ac_supports_changing_phases_during_charging=available.supports_changing_phases_during_charging,
    )
    return EnergyFlowRequest(
        uuid=uuid,
        stamp=status.stamp,
        node_type=NodeType.EVSE,
        priority=priority,
        optimizer_target=target,
        energy_usage_root=meter,
        energy_usage_leaves=meter,
        schedule_import=(
            ScheduleReqEntry(timestamp=status.stamp, limits_to_root=limits, limits_to_leaves=limits),
        ),
        limit_in_force=LimitsRes(ac_max_current_a=status.limit_a, ac_max_phase_count=status.phases),
        contactor=status.contactor,
        grant_stamp=grant.limits.stamp if grant is not None else None,
        grant_manager_id=grant.limits.manager_id if grant is not None else '',
        granted=grant.limits.limits_root_side if grant is not None else None,
    )
