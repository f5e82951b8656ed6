"""
The wanted outputs of the board: the one place from which pilot, contactor permission, lock and phases come.

They follow from the facts alone.  Power needs everything to be right at once: an offer on the pilot, the lock
confirmed, no error.
"""

from evse_manager.charging import supervision, timers
from evse_manager.charging.connector import Connector
from evse_manager.charging.faults import EMERGENCY_STOP, WELD
from evse_manager.interface import pilot
from evse_manager.interface.enums import ContactorState, LockState, PilotMode
from evse_manager.interface.types import BoardCommand


def settle(connector: Connector) -> None:
    """Derive the outputs."""
    holding = _holding(connector)
    mode = _pilot_mode(connector, holding)
    offer = connector.offer if mode is PilotMode.PWM else None
    before = connector.outputs
    if mode is not before.pilot_mode:
        if mode is PilotMode.X1:
            connector.x1_since = connector.now.steady
        elif mode is PilotMode.F:
            connector.f_since = connector.now.steady
    acknowledged = before.acknowledged_fault_counter
    if connector.board is not None and not connector.errors:
        acknowledged = connector.board.fault_counter
    current = offer.current_a if offer is not None else 0.0
    outputs = BoardCommand(
        pilot_mode=mode,
        duty_cycle_percent=pilot.duty_cycle(current),
        current_a=current,
        allow_power_on=holding or (offer is not None and _may_close(connector)),
        ventilation_allowed=connector.config.has_ventilation,
        lock=_lock(connector, mode),
        phases=connector.phases,
        over_current_limit_a=supervision.highest_signalled(connector) if offer is not None else 0.0,
        rcd_reset_counter=connector.rcd_resets,
        acknowledged_fault_counter=acknowledged,
    )
    if outputs != before:
        connector.outputs = outputs
        connector.answered = False


def lock_ready(connector: Connector) -> bool:
    """Tell whether the connector is locked, or need not be."""
    if not connector.board_capabilities.has_lock:
        return True
    return connector.board is not None and connector.board.lock is LockState.LOCKED


def _may_close(connector: Connector) -> bool:
    """
    Tell whether the contactor may close: everything is right, and the EV asks.

    A firmware that decides by itself reports C only after it closed, so it is permitted with the offer.
    """
    return (
        connector.running is not None
        and not connector.errors
        and connector.link_up
        and lock_ready(connector)
        and (connector.ev_asks or connector.board_capabilities.runs_iec61851)
    )


def _holding(connector: Connector) -> bool:
    """
    Tell whether the contactor stays closed though the offer is withdrawn.

    The EV has to leave C first, so that the contactor does not open under load; it gets a limited time for
    it.
    """
    just_withdrawn = connector.outputs.pilot_mode is PilotMode.PWM
    return (
        connector.offer is None
        and connector.outputs.allow_power_on
        and connector.transaction is not None
        and connector.in_c_or_d
        and connector.contactor is ContactorState.CLOSED
        and connector.link_up
        and not connector.errors.emergency
        and not connector.replug_active
        and not connector.open_first
        and connector.shutting_down is None
        and (just_withdrawn or timers.forced_opening.running(connector))
    )


def _pilot_mode(connector: Connector, holding: bool) -> PilotMode:
    if connector.offer is not None:
        return connector.offer.wake_step_mode
    if holding or connector.started is None or not connector.board_capabilities.supports_cp_state_f:
        return PilotMode.X1
    after_fault = connector.now.steady < connector.f_until
    latched = WELD in connector.errors or connector.errors.present(EMERGENCY_STOP)
    return PilotMode.F if timers.unavailable(connector) or after_fault or latched else PilotMode.X1


def _lock(connector: Connector, mode: PilotMode) -> bool:
    """Lock from B to A; never move the lock while the contactor is not confirmed open."""
    config, locked = connector.config, connector.results.outputs_before.lock
    if not connector.board_capabilities.has_lock:
        return False
    if connector.contactor is not ContactorState.OPEN or not connector.link_up or WELD in connector.errors:
        return locked
    if not connector.plugged or connector.force_unlocked:
        return False
    if timers.out_of_use(connector, mode):
        return locked and connector.now.steady < timers.unlock_at(connector, mode)
    authorized = connector.authorization is not None or connector.transaction is not None
    if config.unlock_when_deauthorized and not authorized:
        return False
    used = connector.session is not None and connector.session.transaction is not None
    return config.lock_connector_in_state_b or authorized or used
