"""Switching between one phase and three (docs/charging.md, catalogue C15, C16, F44)."""

import pytest

from charging.kernel_harness import BOARD, HARDWARE, KernelHarness, entry, external, remote_stop
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


def switch(harness: KernelHarness, command: SwitchThreePhasesWhileCharging = ONE) -> KernelHarness:
    """Order a switch; the EV leaves C."""
    assert harness.command(command).result is Result.SUCCESS
    return harness.pilot('B')


@pytest.mark.parametrize('delay_s', [1.0, 10.0, 60.0])
def test_the_contactor_rests_open_for_the_delay(delay_s: float) -> None:
    harness = KernelHarness(Config(switch_3ph1ph_delay_s=delay_s)).charging()
    assert harness.says(lambda: switch(harness)) == 'PEVSE'
    assert harness.status.reason is StatusReason.SWITCHING_PHASES
    opened = harness.t
    harness.until(lambda: harness.phases == 1, 100.0)
    assert harness.t - opened == pytest.approx(delay_s, abs=0.01)
    assert harness.contactor is ContactorState.OPEN
    assert harness.says(lambda: harness.run(4.0).pilot('C').run(1.0)) == 'CR'
    assert (harness.outputs.phases, harness.status.phases) == (1, 1)


def test_there_and_back_again() -> None:
    harness = KernelHarness().charging()
    switch(harness).run(15.0).pilot('C').run(1.0)
    assert harness.says(lambda: switch(harness, THREE).run(15.0).pilot('C').run(1.0)) == 'PEVSE CR'
    assert harness.outputs.phases == 3


def test_the_board_is_told_only_while_the_contactor_is_open() -> None:
    harness = KernelHarness().charging()
    harness.command(ONE)
    assert harness.until(lambda: not harness.flows) == pytest.approx(6.0, abs=0.01), 'The EV stays in C.'
    assert harness.outputs.phases == 3
    assert harness.until(lambda: harness.outputs.phases == 1) == pytest.approx(10.0, abs=0.01)


def test_success_also_when_it_is_so_already() -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.command(THREE)) == ''
    assert harness.flows


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
    harness = KernelHarness(hardware=hardware).charging()
    other = ONE if harness.outputs.phases == 3 else THREE
    before = harness.outputs
    assert harness.command(other).result is Result.ERROR_NOT_SUPPORTED
    harness.run(20.0)
    assert harness.outputs == before


def test_a_pause_during_the_switch_remains_after_it() -> None:
    harness = switch(KernelHarness().charging()).run(5.0)
    assert harness.says(lambda: harness.command(PauseCharging())) == '', 'It is paused by the EVSE already.'
    assert harness.says(lambda: harness.run(20.0)) == ''
    assert (harness.phases, harness.status.reason) == (1, StatusReason.PAUSED_BY_USER)
    assert (
        harness.says(
            lambda: (harness.command(ResumeCharging()), harness.run(1.0), harness.pilot('C').run(1.0))
        )
        == 'CR'
    )


def test_a_switch_that_is_taken_back_before_it_happened() -> None:
    harness = switch(KernelHarness().charging()).run(5.0)
    assert (
        harness.says(lambda: (harness.command(THREE), harness.run(1.0), harness.pilot('C').run(5.0))) == 'CR'
    )
    assert harness.phases == 3


def test_a_board_that_does_not_switch_is_an_error_and_the_old_count_stays() -> None:
    harness = KernelHarness().charging()
    harness.phases_stuck = True
    switch(harness)
    assert harness.says(lambda: harness.run(14.9)) == ''
    assert harness.says(lambda: harness.run(0.2)) == 'Error(Other)'
    assert harness.status.active_errors[0].vendor_error.startswith('PhaseSwitchFailed')
    assert harness.outputs.phases == 3
    harness.phases_stuck = False
    assert harness.says(lambda: harness.pilot('A').run(3.0)) == 'AllErrorsCleared SC CF TF(EVDisconnected) SF'
    assert harness.says(harness.charging).endswith('TS PC CS')


def test_a_board_on_other_phases_than_it_was_told_is_offered_nothing() -> None:
    """A limit in watts is divided by the phases: 3680 W are 16 A on one phase, and 11 kW on three."""
    harness = KernelHarness().run(4.0)
    harness.phases_stuck = True
    harness.command(external(entry(power_w=3_680.0, phases=1)))
    assert harness.says(lambda: harness.plug().authorize().pilot('C').run(4.9)) == 'SS(EVConnected) AR TS PC'
    assert (harness.phases, harness.outputs.phases, harness.signalled) == (3, 1, 0.0)
    assert harness.status.reason is StatusReason.SWITCHING_PHASES
    assert harness.says(lambda: harness.run(0.2)) == 'Error(Other)'
    assert harness.status.active_errors[0].vendor_error.startswith('PhaseSwitchFailed')
    assert not harness.flows
    harness.phases_stuck = False
    assert harness.says(lambda: harness.pilot('A').run(3.0)) == 'AllErrorsCleared SC CF TF(EVDisconnected) SF'
    harness.charging()
    assert (harness.phases, harness.signalled) == (1, 16.0)


def test_phases_that_change_while_charging_end_the_offer_and_are_asked_for_anew() -> None:
    harness = switch(KernelHarness().charging()).run(15.0).pilot('C').run(1.0)
    harness.phases = 3
    assert harness.says(harness.observe) == 'PEVSE'
    assert harness.signalled == 0.0
    assert harness.says(lambda: harness.pilot('B').run(15.0).pilot('C').run(1.0)) == 'CR'
    assert harness.phases == 1


def test_an_error_after_the_board_was_told_does_not_pass_for_a_switch() -> None:
    harness = KernelHarness().charging()
    harness.phases_stuck = True
    switch(harness).run(12.0).report(BoardErrorEnum.ENCLOSURE_OPEN).run(1.0)
    assert harness.says(lambda: harness.report().run(30.0).pilot('C').run(1.0)) == (
        'AllErrorsCleared PEVSE Error(Other)'
    )
    assert not harness.flows


def test_an_error_during_the_switch_ends_it() -> None:
    harness = switch(KernelHarness().charging()).run(5.0)
    assert harness.says(lambda: harness.report(BoardErrorEnum.ENCLOSURE_OPEN)) == 'Error(Other)'
    harness.run(5.0)
    assert harness.says(harness.report).startswith('AllErrorsCleared')
    harness.run(20.0).pilot('C').run(1.0)
    assert harness.flows


@pytest.mark.parametrize(
    'end', [lambda d: d.pilot('A'), lambda d: d.command(remote_stop())], ids=['unplug', 'stop']
)
def test_a_transaction_that_ends_during_the_switch(end: object) -> None:
    harness = switch(KernelHarness().charging()).run(5.0)
    assert harness.says(lambda: (end(harness), harness.run(3.0))).startswith('SC CF TF(')  # type: ignore[operator]
    harness.pilot('A').run(3.0)
    assert harness.says(harness.charging).endswith('TS PC CS')
    assert harness.phases == 3, 'A new transaction begins with all phases.'


def test_a_limit_on_phases_switches_by_itself() -> None:
    harness = KernelHarness().charging()
    harness.command(external(entry(16.0, phases=1)))
    assert harness.says(lambda: harness.pilot('B').run(15.0).pilot('C').run(1.0)) == 'CR'
    assert (harness.phases, harness.signalled) == (1, 16.0)


def test_power_limit_while_a_switch_waits() -> None:
    harness = switch(KernelHarness().charging()).run(15.0).pilot('C').run(1.0)
    harness.command(external(entry(power_w=7_360.0)))
    harness.run(6.0)
    assert harness.signalled == pytest.approx(32.0)
    switch(harness, THREE)
    assert harness.signalled == 0.0
    harness.run(15.0)
    assert harness.signalled == pytest.approx(7_360.0 / 690.0)


def test_the_capabilities_of_the_desk_allow_all_this() -> None:
    assert HARDWARE.supports_changing_phases_during_charging
    assert BOARD.supports_phase_switch
