"""One manager at a time holds the board, and only while it speaks."""

import math

import pytest

from board.rig import OFFER, Rig
from evse_manager.interface.enums import BoardErrorEnum, ControlPilotState, OpeningReason, PilotMode
from evse_manager.interface.types import Duration


@pytest.fixture
def rig():
    rig = Rig()
    rig.charge()
    return rig


def errors(rig):
    return {error.code for error in rig.state.active_errors}


def test_silence_opens_when_the_lease_ends(rig):
    assert rig.controller.lease_deadline() == pytest.approx(rig.time + 1.0)
    rig.wait(0.99)
    assert rig.power
    rig.wait(0.02)
    assert not rig.power
    assert rig.controller.outputs.pilot_mode is PilotMode.X1
    assert rig.state.opening_reason is OpeningReason.LEASE_LAPSED
    assert rig.state.fault_counter == 1
    assert rig.state.controller_id == ''


def test_a_renewal_that_comes_too_late_revives_nothing(rig):
    rig.time += 1.5  # nobody looked at the clock in between
    rig.command()
    assert not rig.power
    assert rig.state.opening_reason is OpeningReason.LEASE_LAPSED
    assert not rig.controller.power_allowed


def test_the_second_command_after_a_gap_counts_at_once(rig):
    rig.wait(3.0)
    rig.command()
    assert not rig.controller.power_allowed
    rig.command()
    assert rig.controller.power_allowed


def test_a_lease_of_nothing_ends_at_once(rig):
    rig.command(lease=Duration(0.0))
    assert not rig.power
    assert rig.state.controller_id == ''


def test_the_lock_stays_as_it_is_when_the_lease_ends(rig):
    rig.wait(5.0)
    assert rig.controller.outputs.lock is True


def test_the_board_caps_the_lease(rig):
    rig.command(lease=Duration(3600.0))
    rig.wait(1.99)
    assert rig.power
    rig.wait(0.02)
    assert not rig.power


def test_after_a_gap_one_command_is_not_enough(rig):
    rig.wait(3.0)
    rig.follow()
    rig.wait(2.0)
    rig.command()
    rig.follow()
    assert not rig.power
    rig.command()
    assert rig.power


def test_replayed_and_older_commands_are_nothing(rig):
    last = rig.sequence
    for _ in range(4):
        rig.wait(0.3)
        rig.command(sequence_number=last)
        rig.command(sequence_number=1)
    assert not rig.power, 'they renewed nothing'


def test_two_replayed_commands_never_close_after_a_gap(rig):
    last = rig.sequence
    rig.wait(3.0)
    rig.follow()
    for sequence_number in (last - 1, last, last - 1, last):
        rig.command(sequence_number=sequence_number)
        rig.follow()
    assert not rig.power


def test_a_newcomer_is_ignored_while_the_holder_renews(rig):
    rig.command(manager_id='m2', sequence_number=1000, allow_power_on=False)
    assert rig.power
    assert rig.state.controller_id == 'm1'


def test_a_newcomer_gets_the_board_when_the_lease_has_ended(rig):
    rig.wait(1.1)
    rig.command(manager_id='m2', sequence_number=1)
    assert rig.state.controller_id == 'm2'


def test_commands_of_nobody_are_ignored(rig):
    rig.command(manager_id='', allow_power_on=False)
    assert rig.power


@pytest.mark.parametrize(
    'absurd',
    [
        {'duty_cycle_percent': math.nan},
        {'duty_cycle_percent': math.inf},
        {'duty_cycle_percent': -1.0},
        {'duty_cycle_percent': 0.0},
        {'duty_cycle_percent': 98.0},
        {'duty_cycle_percent': 7.0},
        {'current_a': math.nan},
        {'current_a': -6.0},
        {'current_a': 32.5},
        {'current_a': 10.0},
        {'duty_cycle_percent': 80.0, 'current_a': 48.0},
        {'over_current_limit_a': math.nan},
        {'over_current_limit_a': -1.0},
        {'lease': Duration(math.nan)},
        {'lease': Duration(-1.0)},
        {'phases': 4},
        {'phases': 2},
        {'phases': -1},
        {'pilot_mode': PilotMode.UNSPECIFIED},
        {'pilot_mode': 9},
    ],
    ids=str,
)
def test_an_absurd_command_withdraws_and_is_never_applied(rig, absurd):
    before = rig.controller.outputs
    rig.command(OFFER, **absurd)
    outputs = rig.controller.outputs
    assert not rig.power
    assert outputs.pilot_mode is PilotMode.X1
    assert (outputs.duty_cycle_percent, outputs.current_a) == (100.0, 0.0)
    assert (outputs.phases, outputs.over_current_limit_a) == (before.phases, before.over_current_limit_a)
    assert BoardErrorEnum.BAD_DATA in errors(rig)


def test_a_good_command_ends_bad_data(rig):
    rig.command(current_a=math.nan)
    rig.command()
    assert BoardErrorEnum.BAD_DATA not in errors(rig)


def test_a_command_that_cannot_be_read_withdraws(rig):
    rig.controller.refuse('m1', rig.sequence + 1, 'lease is NaN', rig.now)
    assert not rig.power
    assert BoardErrorEnum.BAD_DATA in errors(rig)


def test_what_cannot_be_read_from_a_stranger_is_nothing(rig):
    rig.controller.refuse('m2', 99999, 'lease is NaN', rig.now)
    assert rig.power


def test_high_level_duty_of_five_percent_is_no_absurdity(rig):
    rig.command(duty_cycle_percent=5.0)
    assert rig.power


def test_the_answered_number_is_the_last_accepted_one(rig):
    answered = rig.state.answered_sequence_number
    rig.command(manager_id='m2', sequence_number=5000)
    assert rig.state.answered_sequence_number == answered
    rig.see(cp_state=ControlPilotState.C)
    rig.command()
    assert rig.state.answered_sequence_number == rig.sequence
