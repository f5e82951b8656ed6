"""Switching between one phase and three (charging.md section 4, catalogue C15, C16, F44)."""

import pytest

from charging.desk import BOARD, HARDWARE, Desk, entry, external, remote_stop
from evse_manager.charging.inputs import PauseCharging, ResumeCharging, SwitchThreePhasesWhileCharging
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    StatusReason,
    SwitchThreePhasesWhileChargingResult,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import HardwareCapabilities

ONE, THREE = SwitchThreePhasesWhileCharging(False), SwitchThreePhasesWhileCharging(True)
Result = SwitchThreePhasesWhileChargingResult


def switch(desk: Desk, command: SwitchThreePhasesWhileCharging = ONE) -> Desk:
    """Order a switch; the EV leaves C."""
    assert desk.command(command).result is Result.SUCCESS
    return desk.pilot('B')


@pytest.mark.parametrize('delay_s', [1.0, 10.0, 60.0])
def test_the_contactor_rests_open_for_the_delay(delay_s: float) -> None:
    desk = Desk(Config(switch_3ph1ph_delay_s=delay_s)).charging()
    assert desk.says(lambda: switch(desk)) == 'PEVSE'
    assert desk.status.reason is StatusReason.SWITCHING_PHASES
    opened = desk.t
    desk.until(lambda: desk.phases == 1, 100.0)
    assert desk.t - opened == pytest.approx(delay_s, abs=0.01)
    assert desk.contactor is ContactorState.OPEN
    assert desk.says(lambda: desk.run(4.0).pilot('C').run(1.0)) == 'CR'
    assert (desk.outputs.phases, desk.status.phases) == (1, 1)


def test_there_and_back_again() -> None:
    desk = Desk().charging()
    switch(desk).run(15.0).pilot('C').run(1.0)
    assert desk.says(lambda: switch(desk, THREE).run(15.0).pilot('C').run(1.0)) == 'PEVSE CR'
    assert desk.outputs.phases == 3


def test_the_board_is_told_only_while_the_contactor_is_open() -> None:
    desk = Desk().charging()
    desk.command(ONE)
    assert desk.until(lambda: not desk.flows) == pytest.approx(6.0, abs=0.01), 'The EV stays in C.'
    assert desk.outputs.phases == 3
    assert desk.until(lambda: desk.outputs.phases == 1) == pytest.approx(10.0, abs=0.01)


def test_success_also_when_it_is_so_already() -> None:
    desk = Desk().charging()
    assert desk.says(lambda: desk.command(THREE)) == ''
    assert desk.flows


@pytest.mark.parametrize(
    'hardware',
    [
        HardwareCapabilities(32.0, 6.0, 3, 1),
        HardwareCapabilities(32.0, 6.0, 3, 3, supports_changing_phases_during_charging=True),
        HardwareCapabilities(32.0, 6.0, 1, 1, supports_changing_phases_during_charging=True),
    ],
    ids=['no support', 'three only', 'one only'],
)
def test_a_charger_that_cannot_says_so_and_changes_nothing(hardware: HardwareCapabilities) -> None:
    desk = Desk(hardware=hardware).charging()
    other = ONE if desk.outputs.phases == 3 else THREE
    before = desk.outputs
    assert desk.command(other).result is Result.ERROR_NOT_SUPPORTED
    desk.run(20.0)
    assert desk.outputs == before


def test_a_pause_during_the_switch_remains_after_it() -> None:
    desk = switch(Desk().charging()).run(5.0)
    assert desk.says(lambda: desk.command(PauseCharging())) == '', 'It is paused by the EVSE already.'
    assert desk.says(lambda: desk.run(20.0)) == ''
    assert (desk.phases, desk.status.reason) == (1, StatusReason.PAUSED_BY_USER)
    assert (
        desk.says(lambda: (desk.command(ResumeCharging()), desk.run(1.0), desk.pilot('C').run(1.0))) == 'CR'
    )


def test_a_switch_that_is_taken_back_before_it_happened() -> None:
    desk = switch(Desk().charging()).run(5.0)
    assert desk.says(lambda: (desk.command(THREE), desk.run(1.0), desk.pilot('C').run(5.0))) == 'CR'
    assert desk.phases == 3


def test_a_board_that_does_not_switch_is_an_error_and_the_old_count_stays() -> None:
    desk = Desk().charging()
    desk.phases_stuck = True
    switch(desk)
    assert desk.says(lambda: desk.run(14.9)) == ''
    assert desk.says(lambda: desk.run(0.2)) == 'Error(Other)'
    assert desk.status.active_errors[0].vendor_error.startswith('PhaseSwitchFailed')
    assert desk.outputs.phases == 3
    desk.phases_stuck = False
    assert desk.says(lambda: desk.pilot('A').run(3.0)) == 'AllErrorsCleared SC CF TF(EVDisconnected) SF'
    assert desk.says(desk.charging).endswith('TS PC CS')


def test_a_board_on_other_phases_than_it_was_told_is_offered_nothing() -> None:
    """A limit in watts is divided by the phases: 3680 W are 16 A on one phase, and 11 kW on three."""
    desk = Desk().run(4.0)
    desk.phases_stuck = True
    desk.command(external(entry(power_w=3_680.0, phases=1)))
    assert desk.says(lambda: desk.plug().authorize().pilot('C').run(4.9)) == 'SS(EVConnected) AR TS PC'
    assert (desk.phases, desk.outputs.phases, desk.signalled) == (3, 1, 0.0)
    assert desk.status.reason is StatusReason.SWITCHING_PHASES
    assert desk.says(lambda: desk.run(0.2)) == 'Error(Other)'
    assert desk.status.active_errors[0].vendor_error.startswith('PhaseSwitchFailed')
    assert not desk.flows
    desk.phases_stuck = False
    assert desk.says(lambda: desk.pilot('A').run(3.0)) == 'AllErrorsCleared SC CF TF(EVDisconnected) SF'
    desk.charging()
    assert (desk.phases, desk.signalled) == (1, 16.0)


def test_phases_that_change_while_charging_end_the_offer_and_are_asked_for_anew() -> None:
    desk = switch(Desk().charging()).run(15.0).pilot('C').run(1.0)
    desk.phases = 3
    assert desk.says(desk.observe) == 'PEVSE'
    assert desk.signalled == 0.0
    assert desk.says(lambda: desk.pilot('B').run(15.0).pilot('C').run(1.0)) == 'CR'
    assert desk.phases == 1


def test_an_error_after_the_board_was_told_does_not_pass_for_a_switch() -> None:
    desk = Desk().charging()
    desk.phases_stuck = True
    switch(desk).run(12.0).report(BoardErrorEnum.ENCLOSURE_OPEN).run(1.0)
    assert desk.says(lambda: desk.report().run(30.0).pilot('C').run(1.0)) == (
        'AllErrorsCleared PEVSE Error(Other)'
    )
    assert not desk.flows


def test_an_error_during_the_switch_ends_it() -> None:
    desk = switch(Desk().charging()).run(5.0)
    assert desk.says(lambda: desk.report(BoardErrorEnum.ENCLOSURE_OPEN)) == 'Error(Other)'
    desk.run(5.0)
    assert desk.says(desk.report).startswith('AllErrorsCleared')
    desk.run(20.0).pilot('C').run(1.0)
    assert desk.flows


@pytest.mark.parametrize(
    'end', [lambda d: d.pilot('A'), lambda d: d.command(remote_stop())], ids=['unplug', 'stop']
)
def test_a_transaction_that_ends_during_the_switch(end: object) -> None:
    desk = switch(Desk().charging()).run(5.0)
    assert desk.says(lambda: (end(desk), desk.run(3.0))).startswith('SC CF TF(')  # type: ignore[operator]
    desk.pilot('A').run(3.0)
    assert desk.says(desk.charging).endswith('TS PC CS')
    assert desk.phases == 3, 'A new transaction begins with all phases.'


def test_a_limit_on_phases_switches_by_itself() -> None:
    desk = Desk().charging()
    desk.command(external(entry(16.0, phases=1)))
    assert desk.says(lambda: desk.pilot('B').run(15.0).pilot('C').run(1.0)) == 'CR'
    assert (desk.phases, desk.signalled) == (1, 16.0)


def test_power_limit_while_a_switch_waits() -> None:
    desk = switch(Desk().charging()).run(15.0).pilot('C').run(1.0)
    desk.command(external(entry(power_w=7_360.0)))
    desk.run(6.0)
    assert desk.signalled == pytest.approx(32.0)
    switch(desk, THREE)
    assert desk.signalled == 0.0
    desk.run(15.0)
    assert desk.signalled == pytest.approx(7_360.0 / 690.0)


def test_the_capabilities_of_the_desk_allow_all_this() -> None:
    assert HARDWARE.supports_changing_phases_during_charging
    assert BOARD.supports_phase_switch
