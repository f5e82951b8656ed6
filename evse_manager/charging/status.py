"""
The status: the published state, which follows from the facts.

Why the connector is (not) charging is in ``reasons.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from evse_manager.charging import timers
from evse_manager.charging.connector import Cause, Connector, Session
from evse_manager.charging.reasons import why
from evse_manager.charging.supervision import drawn_current
from evse_manager.interface.enums import (
    Availability,
    ChargerState,
    ContactorState,
    LinkState,
    LockState,
    PauseReason,
    PilotMode,
    StatusReason,
)
from evse_manager.interface.tokens import masked
from evse_manager.interface.types import Current, Duration, EvseStatus, Voltage

Reason = StatusReason
State = ChargerState


def status(connector: Connector) -> EvseStatus:
    """Return the complete status at ``connector.now``."""
    board, session = connector.board, connector.session
    transaction = session.transaction if session is not None else None
    reason, text = why(connector)
    now = connector.now.steady
    charged = 0.0
    energy = None
    if transaction is not None:
        charged = transaction.charged_s
        if transaction.flowing_since is not None:
            charged += now - transaction.flowing_since
        energy = (transaction.energy or connector.meter.energy).energy_wh
    link = LinkState.CONNECTING
    if connector.board_lost:
        link = LinkState.LOST
    elif board is not None:
        link = LinkState.UP
    state = _state(connector)
    sample = None if connector.meter.silent(now) else connector.meter.sample
    power_w = None if sample is None else connector.meter.power_w()
    if power_w is not None and _opened_since_the_sample(connector):
        power_w = 0.0
    current = (sample.current_a if sample is not None else None) or Current()
    voltage = (sample.voltage_v if sample is not None else None) or Voltage()
    return EvseStatus(
        stamp=connector.now.wall,
        connector_id=connector.config.connector_id,
        evse_id=connector.config.evse_id,
        state=state,
        availability=connector.announced,
        reason=reason,
        reason_text=text,
        session_uuid=session.uuid if session is not None else '',
        transaction_active=connector.transaction is not None,
        reservation_id=connector.reservation_id,
        token=_masked(connector, session),
        plugged=connector.plugged,
        authorized=connector.authorization is not None,
        paused_by_user=connector.paused_by_user,
        signalled_current_a=connector.outputs.current_a,
        phases=connector.phases,
        limit_a=connector.allowance.limit_a,
        limit_source=connector.allowance.source,
        power_w=power_w,
        session_energy_wh=energy,
        session_duration=Duration(now - session.begun if session is not None else 0.0),
        charging_duration=Duration(charged),
        active_errors=tuple(active.message() for active in connector.errors),
        warnings=_warnings(connector),
        contactor=ContactorState.UNKNOWN if not connector.link_up else connector.contactor,
        lock=_lock(connector),
        cp_state=connector.cp_state,
        link_state=link,
        contactor_cycles=connector.contactor_cycles,
        openings_under_load=board.openings_under_load if board is not None else 0,
        limit_node=connector.allowance.node,
        state_text=state.name.lower(),
        current_l1_a=current.l1,
        current_l2_a=current.l2,
        current_l3_a=current.l3,
        voltage_l1_v=voltage.l1,
        voltage_l2_v=voltage.l2,
        voltage_l3_v=voltage.l3,
        temperature_c=None if connector.temperature.is_absent else connector.temperature.celsius,
        pause_reasons=_pause_reasons(connector),
    )


def _pause_reasons(connector: Connector) -> tuple[PauseReason, ...]:
    """Return everything for which the station pauses a running transaction; they combine freely."""
    if connector.running is None:
        return ()
    holds = {
        PauseReason.USER_PAUSE: connector.paused_by_user,
        PauseReason.ERROR: bool(connector.errors) or not connector.link_up,
        PauseReason.NO_ENERGY: connector.allowance.signalled_a == 0.0,
    }
    return tuple(reason for reason, held in holds.items() if held)


def _opened_since_the_sample(connector: Connector) -> bool:
    """Return whether the contactor is open, and the newest sample of the meter is from before that."""
    return (
        connector.link_up
        and connector.contactor is ContactorState.OPEN
        and not connector.meter.sampled_after(connector.contactor_open_stamp, connector.contactor_open_since)
    )


def _masked(connector: Connector, session: Session | None) -> str:
    """Return the token with only its last characters readable."""
    token = connector.authorization
    if token is None and session is not None and session.transaction is not None:
        token = session.transaction.token
    return masked(token.id_token) if token is not None else ''


def _lock(connector: Connector) -> LockState:
    if not connector.board_capabilities.has_lock:
        return LockState.NONE
    if connector.board is None or not connector.link_up:
        return LockState.UNKNOWN
    return connector.board.lock


@dataclass(frozen=True, slots=True)
class MeterReport:
    """How the meter does: whether there is one, whether it is silent though it should report, what is odd."""

    present: bool
    silent: bool
    warnings: tuple[str, ...]
    register_wh: float | None
    power_w: float | None


def meter_report(connector: Connector) -> MeterReport:
    """Return how the meter does at ``connector.now``."""
    meter, present = connector.meter, connector.board_capabilities.has_meter
    expected = timers.meter_expected.over(connector) and present
    return MeterReport(
        present=present,
        silent=expected and timers.meter_silent.over(connector),
        warnings=tuple(meter.warnings()),
        register_wh=meter.register_wh,
        power_w=None if meter.silent(connector.now.steady) else meter.power_w(),
    )


def _warnings(connector: Connector) -> tuple[str, ...]:
    """Return what is not right but blocks nothing."""
    warnings = []
    meter = meter_report(connector)
    if meter.silent:
        warnings.append(
            'The meter is silent: energy is not counted and the soft over-current check is suspended.'
        )
    elif connector.offer is not None and drawn_current(connector) is None:
        warnings.append('Neither current nor power is measured: the soft over-current check is suspended.')
    warnings.extend(meter.warnings)
    limits = connector.allowance
    if limits.reason is Reason.LIMIT_EXPIRED and limits.signalled_a:
        warnings.append(
            f"The energy manager's limit has run out: the failsafe current, {limits.limit_a:.1f} A, holds."
        )
    if connector.derating_step in (1, 2):
        warnings.append('The charger is warm: the current is reduced.')
    if connector.temperature.is_absent:
        warnings.append('There is no temperature reading: the current is not reduced by temperature.')
    if connector.board is not None:
        known = {active.fault.code for active in connector.errors}
        for error in connector.board.active_errors:
            if error.code.name.endswith(('WARNING', 'METER_FAULT')) or (
                error.code.name == 'SAFETY_TESTS_OFF' and 'SafetyTestsOff' not in known
            ):
                warnings.append(error.detail or error.code.name.replace('_', ' ').capitalize())
    return tuple(warnings)


def _announced(cause: Cause) -> Callable[[Connector], bool]:
    def holds(connector: Connector) -> bool:
        transaction = connector.transaction
        return transaction is not None and transaction.announced is cause

    return holds


def _wake_step(mode: PilotMode) -> Callable[[Connector], bool]:
    return lambda connector: connector.offer is not None and connector.offer.wake_step_mode is mode


def _stopping(connector: Connector) -> bool:
    return connector.transaction is not None and connector.transaction.stop is not None


def _finished(connector: Connector) -> bool:
    session = connector.session
    return session is not None and session.transaction is not None and session.transaction.finished


STATES: tuple[tuple[ChargerState, str, Callable[[Connector], bool]], ...] = (
    (State.STARTING, 'waiting for the first state of the board, at most 5 s',
     lambda connector: connector.started is None),
    (State.STOPPING_CHARGING, 'the transaction is closing: contactor first, then the meter', _stopping),
    (State.FAULTED, 'out of order until `clear_fault`; the pilot shows F',
     lambda connector: connector.faulted),
    (State.DISABLED, 'not available; the pilot shows F',
     lambda connector: connector.announced is Availability.DISABLED),
    (State.ERROR, 'at least one error is active', lambda connector: bool(connector.errors)),
    (State.REPLUG, 'the board plays an unplug and a plug', lambda connector: connector.replug_active),
    (State.IDLE, 'available', lambda connector: connector.session is None),
    (State.FINISHED, 'the transaction is closed, the cable still in', _finished),
    (State.WAITING_FOR_AUTHENTICATION, 'plugged in, no transaction yet',
     lambda connector: connector.transaction is None and connector.plugged),
    (State.IDLE, 'authorized, waiting for the plug', lambda connector: connector.transaction is None),
    (State.T_STEP_EF, 'the wake-up of an EV that did not ask: F', _wake_step(PilotMode.F)),
    (State.T_STEP_X1, 'the wake-up of an EV that did not ask: X1', _wake_step(PilotMode.X1)),
    (State.CHARGING, 'the contactor is closed and the EV is in C', _announced(Cause.FLOWING)),
    (State.CHARGING_PAUSED_EV, 'the EV left C by itself, or did not ask', _announced(Cause.PAUSED_BY_EV)),
    (State.CHARGING_PAUSED_EVSE, '`pause_charging`, or phases are being switched; X1',
     _announced(Cause.PAUSED_BY_EVSE)),
    (State.WAITING_FOR_ENERGY, 'no limit, or less than can be signalled; X1', _announced(Cause.NO_ENERGY)),
    (State.PREPARE_CHARGING, 'a transaction is open; waiting for the EV, or for its first energy',
     lambda connector: True),
)  # fmt: skip
"""The published states in the original's vocabulary: the first whose condition holds."""


def _state(connector: Connector) -> ChargerState:
    """Return the state that the facts amount to."""
    return next(state for state, _, holds in STATES if holds(connector))
