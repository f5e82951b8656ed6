"""Request of a connector to the energy manager of its site."""

from dataclasses import replace

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


class EnergyRequests:
    """The requests of one connector, and when one says something new."""

    def __init__(self, uuid: str) -> None:
        """``uuid`` is the connector's own name."""
        self._uuid = uuid
        self._newest: EnergyFlowRequest | None = None
        self.meter: Powermeter | None = None
        """The newest sample as it arrived."""
        self.target: tuple[OptimizerTarget | None, int] = (None, 0)
        """What the charge goal asks for, and its priority."""

    def news(
        self,
        config: Config,
        status: EvseStatus,
        capabilities: HardwareCapabilities | None,
        grant: Grant | None,
        *,
        always: bool,
    ) -> EnergyFlowRequest | None:
        """Return the request as it stands; None when it says what the one before said, unless ``always``."""
        target, priority = self.target
        request = energy_request(
            self._uuid,
            config,
            status,
            capabilities,
            self.meter,
            grant=grant,
            target=target,
            priority=priority,
        )
        if not always and _without_time(request) == _without_time(self._newest):
            return None
        self._newest = request
        return request


def _without_time(request: EnergyFlowRequest | None) -> EnergyFlowRequest | None:
    """Return a request without what changes all the time."""
    if request is None:
        return None
    return replace(
        request,
        stamp=None,
        energy_usage_root=None,
        energy_usage_leaves=None,
        grant_stamp=None,
        schedule_import=tuple(replace(entry, timestamp=None) for entry in request.schedule_import),
    )
