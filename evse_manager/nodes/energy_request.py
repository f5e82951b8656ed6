"""What a connector asks of the energy manager of its site."""

from evse_manager.interface.enums import ChargerState, NodeType
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    EnergyFlowRequest,
    EvseStatus,
    HardwareCapabilities,
    LimitsReq,
    LimitsRes,
    Powermeter,
    ScheduleReqEntry,
)

_WANTS_ALL = {
    ChargerState.WAITING_FOR_AUTHENTICATION,
    ChargerState.PREPARE_CHARGING,
    ChargerState.WAITING_FOR_ENERGY,
    ChargerState.CHARGING,
}


def energy_request(
    uuid: str,
    config: Config,
    status: EvseStatus,
    capabilities: HardwareCapabilities | None,
    meter: Powermeter | None,
) -> EnergyFlowRequest:
    """
    Return the request of the connector ``uuid`` as it stands.

    A car that pauses asks for the hardware's minimum, a reserve with which it may resume; what does not want
    energy asks for none (everest reference 7.2).
    """
    hardware = capabilities or HardwareCapabilities()
    if status.state in _WANTS_ALL:
        wanted = min(hardware.max_current_a_import, config.max_current_import_a)
    elif status.state is ChargerState.CHARGING_PAUSED_EV:
        wanted = min(hardware.min_current_a_import, config.max_current_import_a)
    else:
        wanted = 0.0
    limits = LimitsReq(
        ac_max_current_a=wanted,
        ac_min_current_a=hardware.min_current_a_import,
        ac_max_phase_count=hardware.max_phase_count_import if config.three_phases else 1,
        ac_min_phase_count=hardware.min_phase_count_import,
        ac_supports_changing_phases_during_charging=hardware.supports_changing_phases_during_charging,
    )
    return EnergyFlowRequest(
        uuid=uuid,
        stamp=status.stamp,
        node_type=NodeType.EVSE,
        energy_usage_root=meter,
        energy_usage_leaves=meter,
        schedule_import=(
            ScheduleReqEntry(timestamp=status.stamp, limits_to_root=limits, limits_to_leaves=limits),
        ),
        limit_in_force=LimitsRes(ac_max_current_a=status.limit_a, ac_max_phase_count=status.phases),
        contactor=status.contactor,
    )
