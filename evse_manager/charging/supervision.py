"""
Raising and ending errors: every condition that blocks power is looked at after every input.

Each function below owns the conditions of one subject; ``supervise`` runs them all.
"""

import math

from evse_manager.charging import faults, timers
from evse_manager.charging.connector import Connector
from evse_manager.charging.faults import Fault, Severity
from evse_manager.charging.observation import PILOT_READINGS, proximity_invalid
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    OpeningReason,
    PilotMode,
    SessionEventEnum,
)
from evse_manager.interface.parameters import Config

LONGEST_VIEW_S = 0.6
"""Longer silence does not count as observed time; boards report at 4 Hz while the contactor matters."""

OFFER_LOST = (OpeningReason.LEASE_LAPSED, OpeningReason.LINK_LOST, OpeningReason.BOARD_RESET)
"""
After these openings the pilot showed X1 for a while, though no command wanted it.  The EV leaves C because of
that, also after the pilot shows PWM again, so the offer ends and X1 lasts its minimum.
"""

DISAGREEMENT_A = 0.5
"""Boards that signal whole amperes, or with coarse timers, round by less than this."""


REPORTED_FAULTS = {
    code: fault
    for code, fault in faults.BOARD_FAULTS.items()
    if fault not in (faults.PILOT, faults.PROXIMITY, faults.WELD)
}
"""Faults that are taken from the board's report; the others also depend on what is observed here."""

REPORTED_CODES = {fault.code: code for code, fault in REPORTED_FAULTS.items()}


def supervise(connector: Connector) -> None:
    """Raise what is wrong, end what is over, and announce both."""
    if connector.started is None:
        return
    _link(connector)
    if connector.link_up:
        _reported(connector)
        _pilot(connector)
        _closing(connector)
        _opening(connector)
        _disagreement(connector)
    _over_current(connector)
    _temperature(connector)
    _meter(connector)
    if not _any_active(connector, faults.RCD_FAULTS):
        connector.rcd_reset_wanted = False
    supply_was_bad = _any_active(connector, faults.SUPPLY_FAULTS)
    if connector.errors.expire(connector.now.steady) and not connector.faulted:
        connector.emit(SessionEventEnum.ALL_ERRORS_CLEARED)
    if supply_was_bad and connector.running is not None and not _any_active(connector, faults.SUPPLY_FAULTS):
        delay = connector.config.restart_delay_max_s * connector.random()
        connector.offers_held_until = connector.now.steady + delay


def _any_active(connector: Connector, kinds: tuple[Fault, ...]) -> bool:
    return any(fault in connector.errors for fault in kinds)


def raise_fault(connector: Connector, fault: Fault, detail: str = '') -> None:
    """Raise a fault and announce it if it is new; an emergency shows F on the pilot first."""
    first = not connector.errors
    active = connector.errors.raise_(fault, detail)
    if active is None:
        return
    if first and connector.running is not None:
        connector.interruptions.append(connector.now.steady)
    if fault.severity is Severity.EMERGENCY:
        connector.emergency_at = connector.now.steady
        if (
            fault.recovery is faults.Recovery.UNPLUG
            and not connector.plugged
            and connector.pilot_read_after_f
        ):
            active.unplugged = True
    connector.emit(SessionEventEnum.ERROR, error=active.message())


def condition(connector: Connector, fault: Fault, present: bool, detail: str = '') -> None:
    """Raise a fault while its condition lasts, and note when it is gone."""
    if present:
        raise_fault(connector, fault, detail)
    else:
        connector.errors.cause_gone(fault, connector.now.steady)


def view_resumed(connector: Connector) -> None:
    """
    Let a stretch in which no state came count for little: call it before a board state is taken.

    What waited in a queue while this process stood still is old when it arrives: a contactor that was just
    opening when the process stopped is not welded when it goes on.
    """
    unseen = connector.now.steady - connector.board_seen - LONGEST_VIEW_S
    if unseen <= 0.0:
        return
    if connector.close_wanted_since is not None:
        connector.close_wanted_since += unseen
    if connector.weld_suspected_since is not None:
        connector.weld_suspected_since += unseen


def _link(connector: Connector) -> None:
    condition(connector, faults.BOARD_LOST, not connector.link_up, connector.board_lost)


def _reported(connector: Connector) -> None:
    """Take over what the board itself reports."""
    assert connector.board is not None
    reported = {error.code: error.detail for error in connector.board.active_errors}
    for code, detail in reported.items():
        if code in REPORTED_FAULTS:
            raise_fault(connector, REPORTED_FAULTS[code], detail)
    for active in connector.errors:
        source = REPORTED_CODES.get(active.fault.code)
        if source is not None and source not in reported:
            connector.errors.cause_gone(active.fault, connector.now.steady)
    if BoardErrorEnum.CONTACTOR_WELDED in reported:
        raise_fault(connector, faults.WELD, reported[BoardErrorEnum.CONTACTOR_WELDED])
    unsafe = BoardErrorEnum.SAFETY_TESTS_OFF in reported and connector.config.refuse_unsafe_board
    condition(connector, faults.SAFETY_TESTS, unsafe)
    proximity = BoardErrorEnum.PROXIMITY_FAULT in reported or proximity_invalid(connector)
    condition(connector, faults.PROXIMITY, proximity, reported.get(BoardErrorEnum.PROXIMITY_FAULT, ''))


def _pilot(connector: Connector) -> None:
    """Look at the pilot; under F it cannot be read, so nothing changes then."""
    assert connector.board is not None
    unreadable = connector.board.pilot_mode is PilotMode.F or connector.cp_state not in PILOT_READINGS
    if connector.replug_active or unreadable:
        return
    reported = any(error.code is BoardErrorEnum.PILOT_FAULT for error in connector.board.active_errors)
    condition(connector, faults.PILOT, reported or connector.cp_state is ControlPilotState.E)
    unventilated = connector.cp_state is ControlPilotState.D and not connector.config.has_ventilation
    condition(connector, faults.VENTILATION, unventilated)


def _closing(connector: Connector) -> None:
    """Watch that the contactor closes when it must, and does not open by itself."""
    board = connector.board
    assert board is not None
    must_close = (
        connector.outputs.allow_power_on
        and connector.outputs.pilot_mode is PilotMode.PWM
        and connector.answered
        and board.pilot_mode is PilotMode.PWM
        and connector.ev_asks
        and board.fault_counter == connector.outputs.acknowledged_fault_counter
    )
    if not must_close or connector.contactor is ContactorState.CLOSED:
        connector.close_wanted_since = None
    elif connector.close_wanted_since is None:
        connector.close_wanted_since = connector.now.steady
    overdue = timers.closing.shown(connector)
    condition(connector, faults.NOT_CLOSING, overdue)
    if connector.counted_faults is None:
        connector.counted_faults = board.fault_counter
    elif board.fault_counter != connector.counted_faults:
        connector.counted_faults = board.fault_counter
        if board.opening_reason is OpeningReason.BOARD_RESET:
            connector.meter.board_restarted(connector.now.steady)
        if board.opening_reason is OpeningReason.BY_ITSELF:
            raise_fault(connector, faults.OPENED)
            connector.errors.cause_gone(faults.OPENED, connector.now.steady)
        elif board.opening_reason in OFFER_LOST:
            connector.offer = None


def _opening(connector: Connector) -> None:
    """Watch that the contactor opens when it must; one that does not is welded."""
    board = connector.board
    assert board is not None
    must_open = not connector.outputs.allow_power_on and connector.answered
    must_open = must_open or connector.cp_state in (ControlPilotState.A, ControlPilotState.B)
    if not must_open or connector.contactor is not ContactorState.CLOSED:
        connector.weld_suspected_since = None
        if connector.contactor is ContactorState.OPEN:
            reported = any(error.code is BoardErrorEnum.CONTACTOR_WELDED for error in board.active_errors)
            if not reported:
                connector.errors.cause_gone(faults.WELD, connector.now.steady)
    elif connector.weld_suspected_since is None:
        connector.weld_suspected_since = connector.now.steady
    elif timers.opening.shown(connector):
        raise_fault(connector, faults.WELD)


def _disagreement(connector: Connector) -> None:
    """Watch that the board never offers more than ordered."""
    board = connector.board
    assert board is not None
    more = (
        connector.answered
        and board.pilot_mode is PilotMode.PWM
        and board.current_a > connector.outputs.current_a + DISAGREEMENT_A
        and not board.replug_active
    )
    if not more:
        connector.disagreement_since = None
    elif connector.disagreement_since is None:
        connector.disagreement_since = connector.now.steady
    condition(connector, faults.DISAGREEMENT, timers.disagreement.shown(connector))


def highest_signalled(connector: Connector) -> float:
    """Return the most that was signalled in the time an EV has to follow; infinity before any offer."""
    horizon = connector.now.steady - timers.EV_FOLLOWS_S
    peaks = connector.offered_peaks
    while len(peaks) > 1 and peaks[1][0] <= horizon:
        peaks.popleft()
    return max((current for _, current in peaks), default=math.inf)


def tolerated_current(connector: Connector) -> float:
    """Return what the EV may draw for long: the most that was signalled, and its tolerance."""
    noise = connector.config.soft_over_current_measurement_noise_a
    tolerance = 1.0 + connector.config.soft_over_current_tolerance_percent / 100.0
    return (highest_signalled(connector) + noise) * tolerance


def drawn_current(connector: Connector) -> float | None:
    """Return the highest phase current, by power where no current is measured; ``None`` without a meter."""
    if connector.meter.silent(connector.now.steady):
        return None
    phases = connector.phases or connector.connectable_phases[-1]
    return connector.meter.highest_current_a(phases, connector.config.ac_nominal_voltage_v)


def _over_current(connector: Connector) -> None:
    """
    Watch the metered current against what is signalled; a silent meter suspends it (catalogue M1).

    The end of the offer does not end an excess: a car that ignored a lower limit may ignore that, too.
    """
    drawn = drawn_current(connector)
    if (
        connector.contactor is not ContactorState.CLOSED
        or drawn is None
        or drawn <= tolerated_current(connector)
    ):
        connector.excess_since = None
    elif connector.excess_since is None:
        connector.excess_since = connector.now.steady
    elif timers.over_current.over(connector):
        raise_fault(connector, faults.OVER_CURRENT)
    if connector.excess_since is None:
        connector.errors.cause_gone(faults.OVER_CURRENT, connector.now.steady)


def temperature_rung(temperature: float | None, config: Config) -> int | None:
    """Return how many temperatures of the ladder have been reached, ``None`` where it is not known."""
    if temperature is None:
        return None
    ladder = (
        config.temperature_recover_c,
        config.temperature_derate_half_c,
        config.temperature_derate_quarter_c,
        config.temperature_stop_c,
    )
    return sum(temperature >= step for step in ladder)


def _temperature(connector: Connector) -> None:
    """
    Derate and stop by the temperature's ladder; without a sensor nothing is derated (catalogue F35,
    F36).
    """
    rung = temperature_rung(connector.temperature.celsius, connector.config)
    if rung == 0:
        connector.derating_step = 0
    elif rung is not None:
        connector.derating_step = max(connector.derating_step, rung - 1)
    condition(connector, faults.TEMPERATURE, connector.derating_step == 3)


def _meter(connector: Connector) -> None:
    """Block power without a meter, where the operator wants that."""
    condition(connector, faults.METER, timers.meter_lost.over(connector))
