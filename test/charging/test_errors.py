"""Errors: what raises each, what it does to the power, what ends it (docs/charging.md, catalogue 5.3)."""

import math
from dataclasses import replace

import pytest

from charging.kernel_harness import KernelHarness, entry, external, remote_stop, token
from evse_manager.charging.inputs import (
    ClearFault,
    Disable,
    Enable,
    SetFaulted,
    Start,
    Tick,
    WithdrawAuthorization,
)
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ErrorEnum,
    OpeningReason,
    PilotMode,
    ProximityState,
    StatusReason,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import BoardCapabilities
from evse_manager.lease.manager import BoardObserved

B = BoardErrorEnum
CLEARED_BY_UNPLUG = 'AllErrorsCleared SC CF TF(EVDisconnected) SF'

# --- the board's own reports -------------------------------------------------------------------

BY_THEMSELVES = {
    B.ENCLOSURE_OPEN: 'Other', B.WATER_INGRESS: 'Other', B.TILT: 'Other', B.OVER_VOLTAGE: 'Other',
    B.UNDER_VOLTAGE: 'Other', B.SUPPLY_LOST: 'Other', B.VENDOR_ERROR: 'Other', B.SAFETY_TESTS_OFF: 'Other',
    B.OVER_TEMPERATURE: 'Other', B.CABLE_OVER_TEMPERATURE: 'Other', B.PERMANENT_FAULT: 'Internal',
    B.BAD_DATA: 'Internal', B.LOCK_FAILED_TO_UNLOCK: 'Other',
}  # fmt: skip
BY_UNPLUG = {
    B.DIODE_FAULT: 'CarDiodeFault', B.RCD_AC: 'RCD', B.RCD_DC: 'RCD', B.RCD_SELF_TEST: 'RCD',
    B.GROUND_FAULT: 'RCD',
    B.OVER_CURRENT: 'OverCurrent', B.CONTACTOR_FAULT: 'Relais', B.LOCK_FAILED_TO_LOCK: 'Other',
    B.LOCK_UNEXPECTEDLY_OPEN: 'Other', B.PROXIMITY_FAULT: 'Other', B.EMERGENCY_STOP: 'Other',
}  # fmt: skip
CONTROLLED = {B.OVER_TEMPERATURE, B.CABLE_OVER_TEMPERATURE}
WARNINGS = {B.METER_FAULT, B.VENDOR_WARNING}
ALL = BY_THEMSELVES | BY_UNPLUG | {B.PILOT_FAULT: 'Car', B.CONTACTOR_WELDED: 'Relais'}


def test_every_report_of_a_board_is_an_error_or_a_warning() -> None:
    assert set(ALL) | WARNINGS == set(BoardErrorEnum) - {B.UNSPECIFIED}


@pytest.mark.parametrize('code', ALL, ids=lambda code: code.name)
def test_an_error_while_charging_withdraws_power(code: BoardErrorEnum) -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.report(code)) == f'Error({ALL[code]})'
    if code in CONTROLLED:
        assert (harness.outputs.pilot_mode, harness.outputs.allow_power_on) == (PilotMode.X1, True)
        assert harness.until(lambda: not harness.flows) == pytest.approx(6.0, abs=0.01)
    else:
        assert (harness.outputs.pilot_mode, harness.outputs.allow_power_on) == (PilotMode.F, False)
        assert not harness.flows
    assert harness.says(lambda: harness.run(30.0)) == '', 'Announced once.'


@pytest.mark.parametrize('code', BY_THEMSELVES, ids=lambda code: code.name)
def test_errors_that_end_by_themselves(code: BoardErrorEnum) -> None:
    harness = KernelHarness().charging().report(code).pilot('B').run(5.0)
    assert harness.says(harness.report) == 'AllErrorsCleared'
    assert harness.says(lambda: harness.run(4.0).pilot('C').run(1.0)) == 'CR'


@pytest.mark.parametrize('code', BY_UNPLUG, ids=lambda code: code.name)
def test_errors_that_need_an_unplug_and_the_all_clear_whichever_is_later(code: BoardErrorEnum) -> None:
    clear_first = KernelHarness().charging().report(code).run(5.0)
    assert clear_first.says(lambda: clear_first.report().run(20.0)) == ''
    assert clear_first.says(lambda: clear_first.pilot('A').run(3.0)) == CLEARED_BY_UNPLUG
    unplug_first = KernelHarness().charging().report(code).run(5.0)
    if code is B.EMERGENCY_STOP:
        return  # It shows F while it lasts, and in F an unplug is invisible; see below.
    assert unplug_first.says(lambda: unplug_first.pilot('A').run(3.0)) == 'SC CF TF(EVDisconnected) SF'
    assert unplug_first.says(lambda: unplug_first.run(20.0)) == ''
    assert unplug_first.says(lambda: unplug_first.report().run(1.0)) == 'AllErrorsCleared'


def test_an_emergency_stop_shows_f_until_released_and_then_waits_for_the_unplug() -> None:
    harness = KernelHarness().charging().report(B.EMERGENCY_STOP).run(60.0)
    assert harness.outputs.pilot_mode is PilotMode.F
    assert harness.says(lambda: harness.pilot('A').run(60.0)) == '', 'In F an unplug is invisible.'
    assert harness.says(lambda: harness.report().run(3.0)) == CLEARED_BY_UNPLUG


@pytest.mark.parametrize('code', sorted(WARNINGS), ids=lambda code: code.name)
def test_a_warning_blocks_nothing(code: BoardErrorEnum) -> None:
    harness = KernelHarness()
    harness.drawn_a = 10.0
    harness.charging()
    assert harness.says(lambda: harness.report(code).run(10.0)) == ''
    assert harness.flows
    assert len(harness.status.warnings) == 1


def test_a_board_without_safety_tests_can_be_accepted() -> None:
    harness = KernelHarness(Config(refuse_unsafe_board=False)).charging()
    assert harness.says(lambda: harness.report(B.SAFETY_TESTS_OFF).run(5.0)) == ''
    assert harness.status.warnings


# --- several at once ---------------------------------------------------------------------------


def test_several_errors_are_kept_apart_and_all_cleared_comes_with_the_last() -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.report(B.ENCLOSURE_OPEN, B.TILT)) == 'Error(Other) Error(Other)'
    assert harness.says(lambda: harness.report(B.TILT)) == ''
    assert harness.says(lambda: harness.report(B.TILT, B.ENCLOSURE_OPEN)) == 'Error(Other)', (
        'A new one: announced again.'
    )
    assert harness.says(lambda: harness.report(B.TILT, B.ENCLOSURE_OPEN).run(5.0)) == ''
    assert [error.vendor_error.split(':')[0] for error in harness.status.active_errors] == [
        'Tilt',
        'EnclosureOpen',
    ]
    assert harness.says(lambda: harness.report(B.ENCLOSURE_OPEN)) == ''
    assert harness.says(lambda: harness.pilot('B').report()) == 'AllErrorsCleared'


def test_one_that_clears_and_one_that_needs_an_unplug() -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.report(B.RCD_AC, B.UNDER_VOLTAGE)) == 'Error(RCD) Error(Other)'
    assert harness.says(lambda: harness.report().run(10.0)) == ''
    assert harness.says(lambda: harness.pilot('A').run(3.0)) == CLEARED_BY_UNPLUG


def test_an_error_that_comes_back_before_the_unplug_is_not_announced_again() -> None:
    harness = KernelHarness().charging().report(B.RCD_AC).report()
    assert harness.says(lambda: harness.report(B.RCD_AC)) == ''
    assert harness.says(lambda: harness.report().run(1.0)) == ''


def test_an_error_that_needs_an_unplug_while_nothing_is_plugged_ends_with_its_cause() -> None:
    harness = KernelHarness().run(4.0)
    assert harness.says(lambda: harness.report(B.RCD_SELF_TEST).run(5.0)) == 'Error(RCD)'
    assert harness.says(lambda: harness.report().run(1.0)) == 'AllErrorsCleared'


def test_the_rcd_is_reset_once_after_the_unplug() -> None:
    harness = KernelHarness().charging().report(B.RCD_AC).run(5.0)
    before = harness.outputs.rcd_reset_counter
    harness.pilot('A').run(5.0)
    assert harness.outputs.rcd_reset_counter == before + 1


def test_an_rcd_whose_cause_outlasts_the_unplug_is_reset_by_the_next_one() -> None:
    harness = KernelHarness().charging().report(B.RCD_AC).run(5.0)
    harness.pilot('A').run(5.0)
    before = harness.outputs.rcd_reset_counter
    harness.run(600.0)
    assert harness.outputs.rcd_reset_counter == before, 'nothing is tried without a person'
    harness.plug().run(5.0).pilot('A').run(5.0)
    assert harness.outputs.rcd_reset_counter == before + 1
    assert harness.says(harness.report) == 'AllErrorsCleared'


def test_an_error_event_carries_a_stable_code_and_a_sentence() -> None:
    harness = KernelHarness().charging().report(B.RCD_DC)
    error = harness.events[-1][1].error
    assert error is not None
    assert error.error_code is ErrorEnum.RCD
    assert error.vendor_error.startswith('RcdDc: The residual current device tripped')


# --- sessions and errors -----------------------------------------------------------------------


def test_plugged_and_authorized_during_an_error_begins_when_it_is_over() -> None:
    harness = KernelHarness().run(4.0).plug().report(B.ENCLOSURE_OPEN)
    assert harness.says(lambda: harness.authorize().run(5.0)) == ''
    assert harness.says(lambda: harness.report().run(1.0)) == 'AllErrorsCleared TS PC'


def test_a_token_during_an_error_can_be_withdrawn() -> None:
    harness = KernelHarness().run(4.0).plug().report(B.ENCLOSURE_OPEN).authorize()
    assert harness.says(lambda: harness.command(WithdrawAuthorization())) == 'AR'
    assert harness.says(lambda: harness.report().run(1.0)) == 'AllErrorsCleared'


def test_a_car_that_came_during_an_error_and_left_again() -> None:
    harness = KernelHarness().run(4.0).report(B.ENCLOSURE_OPEN)
    assert harness.says(lambda: harness.plug().run(1.0).pilot('A').run(1.0)) == ''
    assert harness.says(lambda: harness.report().run(1.0)) == 'AllErrorsCleared'


@pytest.mark.parametrize('steps', ['plug token unplug', 'token plug unplug'])
def test_a_token_during_an_error_ends_with_the_car_it_was_for(steps: str) -> None:
    harness = KernelHarness().run(4.0).report(B.ENCLOSURE_OPEN)
    moves = {'plug': harness.plug, 'token': harness.authorize, 'unplug': lambda: harness.pilot('A')}
    for step in steps.split():
        moves[step]()
        harness.run(1.0)
    assert harness.says(lambda: harness.report().run(1.0)) == 'AllErrorsCleared'
    assert harness.says(lambda: harness.plug().run(5.0)) == 'SS(EVConnected) AR'


# --- the pilot ---------------------------------------------------------------------------------


def test_a_shorted_pilot_ends_when_the_pilot_is_valid_for_a_second() -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.pilot('E')) == 'Error(Car)'
    assert harness.outputs.pilot_mode is PilotMode.F
    harness.run(5.0)
    assert harness.says(lambda: harness.pilot('B').run(0.9)) == ''
    assert harness.says(lambda: harness.pilot('E').run(0.5)) == ''
    assert harness.says(lambda: harness.pilot('B').run(0.9)) == ''
    assert harness.says(lambda: harness.run(0.2)) == 'AllErrorsCleared'


def test_after_a_fault_the_pilot_shows_f_for_its_time_then_rests_in_x1() -> None:
    harness = KernelHarness().charging()
    since = len(harness.history)
    harness.report(B.TILT).report().run(10.0)
    shown = [
        (round(at - harness.history[since][0], 2), command.pilot_mode)
        for at, command in harness.history[since:]
    ]
    assert shown == [(0.0, PilotMode.F), (0.3, PilotMode.X1), (3.3, PilotMode.PWM)]


def test_ventilation_ends_when_the_ev_leaves_d_without_unplug() -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.pilot('D')) == 'Error(VentilationNotAvailable)'
    assert not harness.flows
    assert harness.says(lambda: harness.run(10.0)) == ''
    assert harness.says(lambda: harness.pilot('C').run(5.0)) == 'AllErrorsCleared CR'


def test_with_ventilation_state_d_charges() -> None:
    harness = KernelHarness(Config(has_ventilation=True)).charging()
    assert harness.says(lambda: harness.pilot('D').run(5.0)) == ''
    assert harness.flows


# --- the contactor -----------------------------------------------------------------------------


def test_a_contactor_that_does_not_close_is_an_error_after_3_s() -> None:
    harness = KernelHarness().offered()
    harness.blocked = True
    harness.pilot('C')
    assert harness.until(lambda: 'Error(Relais)' in harness.codes()) == pytest.approx(3.25, abs=0.26)
    assert not harness.outputs.allow_power_on
    harness.blocked = False
    assert harness.says(lambda: harness.run(20.0)) == ''
    assert harness.says(lambda: harness.pilot('A').run(3.0)) == CLEARED_BY_UNPLUG


def test_a_contactor_that_opens_by_itself_is_not_closed_again() -> None:
    harness = KernelHarness().charging()
    harness.blocked, harness.contactor = True, ContactorState.OPEN
    harness.fault_counter, harness.opening_reason = 1, OpeningReason.BY_ITSELF
    assert harness.says(harness.observe) == 'Error(Relais)'
    harness.blocked = False
    assert harness.says(lambda: harness.run(20.0)) == ''
    assert not harness.flows


@pytest.mark.parametrize(
    'reason',
    [OpeningReason.LEASE_LAPSED, OpeningReason.LINK_LOST, OpeningReason.BOARD_RESET, OpeningReason.COMMANDED],
)
def test_an_opening_for_another_reason_is_acknowledged_and_never_relais(reason: OpeningReason) -> None:
    harness = KernelHarness().charging()
    harness.contactor, harness.fault_counter, harness.opening_reason = ContactorState.OPEN, 1, reason
    harness.observe()
    harness.run(5.0)
    assert 'Error' not in harness.codes()
    assert harness.outputs.acknowledged_fault_counter == 1
    assert harness.codes().endswith('CS CR')


@pytest.mark.parametrize('end', ['stop', 'EV in B', 'unplug'])
def test_a_contactor_that_is_not_open_after_a_second_is_welded(end: str) -> None:
    harness = KernelHarness().charging()
    harness.welded = True
    if end == 'stop':
        harness.command(remote_stop())
    harness.pilot('A' if end == 'unplug' else 'B')
    assert harness.until(lambda: 'Error(Relais)' in harness.codes()) == pytest.approx(1.25, abs=0.26)
    assert harness.outputs.pilot_mode is PilotMode.F
    assert harness.outputs.lock, 'A weld keeps it locked.'


def test_a_state_that_waited_while_this_process_stood_still_proves_no_weld() -> None:
    harness = KernelHarness().charging()
    harness.welded = True  # it takes its time to open
    harness.pilot('B')
    opening = harness.state()
    harness.t += 10.0
    harness.do(Tick())
    harness.do(BoardObserved(opening, True))
    harness.welded = False
    harness.observe()
    harness.run(5.0)
    assert 'Error' not in harness.codes()
    harness.pilot('C').run(5.0)
    assert harness.flows


def test_a_stall_of_this_process_does_not_count_as_time_to_close() -> None:
    harness = KernelHarness()
    harness.blocked = True
    harness.offered().pilot('C').run(1.0)
    harness.t += 10.0
    harness.observe()
    assert 'Error' not in harness.codes()
    assert 0.9 < harness.until(lambda: 'Error(Relais)' in harness.codes()) < 2.5


def test_a_weld_is_latched() -> None:
    harness = KernelHarness().charging()
    harness.welded = True
    harness.command(remote_stop())
    harness.pilot('B').run(3.0)
    assert not harness.command(ClearFault()).success, 'The board still says closed.'
    harness.welded = False
    harness.run(2.0)
    for command in (Disable(), Enable(), SetFaulted()):
        harness.command(command)
        harness.run(1.0)
    harness.pilot('A').run(10.0)
    assert [error.error_code for error in harness.status.active_errors] == [ErrorEnum.RELAIS]
    assert harness.command(ClearFault()).success
    harness.run(5.0)
    assert harness.codes().endswith('AllErrorsCleared Enabled')
    assert harness.says(harness.charging).endswith('CS')


def test_a_weld_reported_by_the_board_while_idle_is_latched_too() -> None:
    harness = KernelHarness().run(4.0).report(B.CONTACTOR_WELDED)
    assert harness.says(lambda: harness.report().run(10.0)) == ''
    assert harness.says(lambda: harness.plug().authorize().run(5.0)) == ''
    assert harness.outputs.pilot_mode is PilotMode.F
    assert harness.command(ClearFault()).success
    assert harness.run(1.0).codes().endswith('AllErrorsCleared SS(Authorized) TS PC')


def test_a_contactor_that_is_closed_in_a_at_boot_is_welded() -> None:
    harness = KernelHarness(boot=False)
    harness.welded, harness.contactor = True, ContactorState.CLOSED
    harness.do(Start())
    harness.run(2.0)
    assert harness.codes() == 'Enabled Error(Relais)'
    assert harness.outputs.pilot_mode is PilotMode.F


# --- over-current ------------------------------------------------------------------------------


@pytest.mark.parametrize(('drawn_a', 'raises'), [(18.1, False), (18.2, True), (40.0, True), (-40.0, True)])
def test_soft_over_current_is_judged_by_signalled_plus_half_an_ampere_and_a_tenth(
    drawn_a: float, raises: bool
) -> None:
    harness = KernelHarness()
    harness.command(external(entry(16.0)))
    harness.charging().run(10.0)
    harness.drawn_a = drawn_a
    assert harness.says(lambda: harness.run(20.0)) == ('Error(OverCurrent)' if raises else '')


def test_soft_over_current_takes_7_s_and_no_less() -> None:
    harness = KernelHarness().charging().run(10.0)
    harness.drawn_a = 40.0
    harness.sample()
    assert harness.says(lambda: harness.run(6.9)) == ''
    assert harness.says(lambda: harness.run(0.1)) == 'Error(OverCurrent)'
    assert not harness.flows
    harness.drawn_a = 0.0
    assert harness.says(lambda: harness.run(10.0)) == ''
    assert harness.says(lambda: harness.pilot('A').run(3.0)) == CLEARED_BY_UNPLUG


def test_an_excess_of_6_9_s_is_none() -> None:
    harness = KernelHarness().charging().run(10.0)
    harness.metered = False
    harness.drawn_a = 40.0
    harness.sample().run(3.0).sample().run(3.9)
    harness.drawn_a = 32.0
    harness.sample()
    harness.metered = True
    assert harness.says(lambda: harness.run(20.0)) == ''


def test_after_a_lower_limit_the_ev_has_5_s_to_follow() -> None:
    harness = KernelHarness().charging().run(10.0)
    harness.drawn_a = 32.0
    harness.run(2.0)
    harness.command(external(entry(10.0)))
    lowered = harness.t
    assert harness.until(lambda: 'Error(OverCurrent)' in harness.codes(), 30.0) == pytest.approx(
        12.5, abs=0.6
    )
    assert harness.t >= lowered + 12.0 - 1e-6


def test_the_end_of_the_offer_does_not_end_an_excess() -> None:
    """A car that ignores a lower limit, and then that its grant is withdrawn, is an error."""
    harness = KernelHarness().charging().run(10.0)
    harness.drawn_a = 32.0
    harness.run(2.0)
    harness.command(external(entry(10.0)))
    lowered = harness.t
    harness.run(10.5)
    harness.command(external(entry(0.0)))
    assert harness.outputs.pilot_mode is PilotMode.X1
    harness.until(lambda: 'Error(OverCurrent)' in harness.codes(), 6.0)
    assert lowered + 12.0 - 1e-6 <= harness.t <= lowered + 13.1
    assert not harness.flows


def test_a_car_that_ends_its_current_after_the_offer_is_no_error() -> None:
    harness = KernelHarness().charging().run(10.0)
    harness.drawn_a = 32.0
    harness.run(2.0)
    harness.command(external(entry(10.0)))
    harness.run(10.5)
    harness.command(external(entry(0.0)))
    harness.drawn_a = 0.0
    assert harness.says(lambda: harness.sample().run(8.0)) == ''


def test_a_silent_meter_suspends_the_check() -> None:
    harness = KernelHarness().charging().run(10.0)
    harness.drawn_a = 40.0
    harness.sample()
    harness.metered = False
    assert harness.says(lambda: harness.run(6.0)) == ''
    assert harness.says(lambda: harness.run(30.0)) == ''
    assert any('silent' in warning for warning in harness.status.warnings)


@pytest.mark.parametrize('drawn_a', [math.nan, math.inf, -math.inf])
def test_a_current_that_is_no_number_is_none(drawn_a: float) -> None:
    harness = KernelHarness().charging()
    harness.drawn_a = drawn_a
    assert harness.says(lambda: harness.run(20.0)) == ''


# --- temperature -------------------------------------------------------------------------------


def test_the_ladder_of_the_temperature() -> None:
    harness = KernelHarness().charging()
    seen = []
    for celsius in (60.0, 64.9, 65.0, 66.0, 63.0, 68.0, 66.0, 62.0, 61.9, 67.0):
        harness.temperature(celsius).run(6.0)
        seen.append(harness.signalled)
    assert seen == [32.0, 32.0, 16.0, 16.0, 16.0, 8.0, 8.0, 8.0, 32.0, 16.0]
    assert harness.says(lambda: harness.temperature(71.0)) == 'Error(Other)'
    assert harness.outputs.pilot_mode is PilotMode.X1
    harness.pilot('B')
    assert harness.says(lambda: harness.temperature(62.0).run(10.0)) == ''
    assert (
        harness.says(lambda: harness.temperature(61.9).run(5.0).pilot('C').run(1.0)) == 'AllErrorsCleared CR'
    )


@pytest.mark.parametrize('celsius', [None, math.nan, math.inf])
def test_without_a_reading_nothing_is_derated(celsius: float | None) -> None:
    harness = KernelHarness().charging().temperature(celsius).run(5.0)
    assert harness.signalled == 32.0
    assert harness.flows


# --- the meter ---------------------------------------------------------------------------------


def test_a_lost_meter_is_a_warning_or_by_parameter_an_error() -> None:
    tolerant, strict = (
        KernelHarness().charging(),
        KernelHarness(Config(fail_on_powermeter_errors=True)).charging(),
    )
    for harness in (tolerant, strict):
        harness.metered = False
    assert tolerant.says(lambda: tolerant.run(20.0)) == ''
    assert strict.says(lambda: strict.run(4.0)) == ''
    assert strict.says(lambda: strict.run(2.0)) == 'Error(Other)'
    assert strict.outputs.pilot_mode is PilotMode.X1
    strict.pilot('B')
    assert strict.says(lambda: strict.sample().run(0.5)) == 'AllErrorsCleared'


# --- the link ----------------------------------------------------------------------------------


def test_a_lost_board_is_an_internal_error_and_charging_goes_on_after_it() -> None:
    harness = KernelHarness().charging()
    assert harness.says(harness.lose_board) == 'Error(Internal)'
    assert harness.status.reason is StatusReason.BOARD_LOST
    assert harness.status.contactor is ContactorState.UNKNOWN
    assert not harness.outputs.allow_power_on
    harness.contactor = ContactorState.OPEN
    harness.run(10.0)
    assert harness.says(lambda: harness.find_board().run(5.0)) == 'AllErrorsCleared CR'


def test_an_opening_during_a_lost_link_is_never_a_contactor_fault() -> None:
    harness = KernelHarness().charging().lose_board().run(30.0)
    assert harness.says(lambda: harness.find_board().run(5.0)) == 'AllErrorsCleared CR'


@pytest.mark.parametrize('end', [remote_stop(), Disable(), SetFaulted()], ids=lambda end: type(end).__name__)
def test_with_the_board_lost_an_end_closes_the_transaction_at_once(end: object) -> None:
    harness = KernelHarness().charging().lose_board()
    assert harness.says(lambda: harness.send(end)).replace('PermanentFault ', '').startswith('SC CF TF(')  # type: ignore[arg-type]


def test_disable_with_the_board_lost_stays_wanted() -> None:
    harness = KernelHarness().run(4.0).lose_board()
    answer = harness.command(Disable())
    assert not answer.success
    assert harness.says(lambda: harness.run(5.0)) == ''
    assert harness.says(lambda: harness.find_board().run(1.0)) in (
        'AllErrorsCleared Disabled',
        'Disabled AllErrorsCleared',
    )


def test_enable_takes_a_disable_back_while_the_board_is_lost() -> None:
    harness = KernelHarness().charging().lose_board()
    harness.command(Disable())
    assert harness.command(Enable()).success
    harness.run(2.0)
    assert harness.says(lambda: harness.find_board().run(5.0)) == 'AllErrorsCleared SS(EVConnected) AR'


def test_a_board_that_offers_more_than_it_was_told() -> None:
    harness = KernelHarness().charging()
    harness.offered_more_a = 0.4
    assert harness.says(lambda: harness.run(10.0)) == ''
    harness.offered_more_a = 4.0
    assert harness.until(lambda: 'Error(Internal)' in harness.codes()) == pytest.approx(2.25, abs=0.26)
    assert not harness.flows


def test_steps_that_were_missed_open_the_contactor_first() -> None:
    harness = KernelHarness().charging()
    harness.transitions[-1] = replace(harness.transitions[-1], counter=100)
    harness.observe()
    assert not harness.flows
    assert harness.until(lambda: harness.flows, 10.0) == pytest.approx(3.0, abs=0.3)


def test_a_storm_of_steps_is_an_ev_that_toggles() -> None:
    harness = KernelHarness().charging().pilot_unseen(*'BCBCBCBCBCBCBCBCBCBC')
    assert not harness.flows
    assert harness.until(lambda: harness.flows, 100.0) == pytest.approx(60.0, abs=0.3)


def test_steps_that_were_missed_while_open_do_no_harm() -> None:
    harness = KernelHarness().offered()
    harness.pilot_unseen(*'ABABABABABABABABABABAB')
    harness.run(5.0)
    harness.pilot('A').run(3.0)
    assert harness.says(harness.charging).endswith('TS PC CS')


def test_two_changes_in_one_report_are_two_steps() -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.pilot_unseen('B', 'C')) == 'PEV CR'
    assert (
        harness.says(lambda: harness.pilot_unseen('A', 'B').run(3.0))
        == 'SC CF TF(EVDisconnected) SF SS(EVConnected) AR'
    )


# --- the socket --------------------------------------------------------------------------------


def test_a_socket_whose_cable_cannot_be_read_needs_another_cable() -> None:
    harness = KernelHarness(Config(connector_type='socket'))
    harness.ampacity_a, harness.proximity = 20.0, ProximityState.PLUG
    harness.charging()
    harness.proximity = ProximityState.INVALID
    assert harness.says(harness.observe) == 'Error(Other)'
    harness.proximity = ProximityState.PLUG
    assert harness.says(lambda: harness.run(10.0)) == ''
    assert harness.says(lambda: harness.pilot('A').run(3.0)) == CLEARED_BY_UNPLUG


# --- boot --------------------------------------------------------------------------------------


def test_the_first_event_follows_the_first_board_state() -> None:
    harness = KernelHarness(boot=False)
    harness.silent = True
    harness.do(Start())
    assert harness.says(lambda: harness.run(3.0)) == ''
    assert harness.says(harness.find_board) == 'Enabled'


def test_without_a_board_the_boot_ends_after_5_s() -> None:
    harness = KernelHarness(boot=False)
    harness.silent = True
    harness.do(Start())
    assert harness.until(lambda: harness.codes() == 'Enabled Error(Internal)', 10.0) == pytest.approx(5.0)
    assert harness.says(lambda: harness.find_board().run(0.5)) == 'AllErrorsCleared'


def test_without_capabilities_nothing_is_offered() -> None:
    harness = KernelHarness(hardware=None)
    harness.plug()
    harness.run(10.0)
    harness.command(token())
    harness.run(10.0)
    assert {command.pilot_mode for _, command in harness.history} <= {PilotMode.X1, PilotMode.F}


def test_a_car_plugged_in_at_boot_starts_a_session_and_no_first_command_allows_power() -> None:
    harness = KernelHarness(boot=False)
    harness.ev = 'C'
    harness.do(Start())
    harness.run(1.0)
    assert harness.codes() == 'Enabled SS(EVConnected) AR'
    assert not any(command.allow_power_on for _, command in harness.history)


def test_an_error_at_boot() -> None:
    harness = KernelHarness(boot=False)
    harness.errors = (B.TILT,)
    harness.do(Start())
    harness.run(1.0)
    assert harness.codes() == 'Enabled Error(Other)'


def test_a_board_without_f_shows_x1_instead() -> None:
    harness = KernelHarness(board=BoardCapabilities()).charging()
    harness.report(B.RCD_AC).run(2.0).report().pilot('A').run(5.0)
    harness.command(Disable())
    harness.run(2.0)
    assert {command.pilot_mode for _, command in harness.history} == {PilotMode.X1, PilotMode.PWM}
