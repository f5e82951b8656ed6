"""One manager at a time holds the board, and only while it speaks."""

import math

import pytest

from board.controller_harness import OFFER, ControllerHarness
from evse_manager.interface.enums import BoardErrorEnum, ControlPilotState, OpeningReason, PilotMode
from evse_manager.interface.types import Duration


@pytest.fixture
def harness():
    harness = ControllerHarness()
    harness.charge()
    return harness


def errors(harness):
    return {error.code for error in harness.state.active_errors}


def test_silence_opens_when_the_lease_ends(harness):
    assert harness.controller.lease_deadline() == pytest.approx(harness.time + 1.0)
    harness.wait(0.99)
    assert harness.power
    harness.wait(0.02)
    assert not harness.power
    assert harness.controller.outputs.pilot_mode is PilotMode.X1
    assert harness.state.opening_reason is OpeningReason.LEASE_LAPSED
    assert harness.state.fault_counter == 1
    assert harness.state.controller_id == ''


def test_a_renewal_that_comes_too_late_revives_nothing(harness):
    harness.time += 1.5  # the controller was not called in between
    harness.command()
    assert not harness.power
    assert harness.state.opening_reason is OpeningReason.LEASE_LAPSED
    assert not harness.controller.power_allowed


def test_the_second_command_after_a_gap_counts_at_once(harness):
    harness.wait(3.0)
    harness.command()
    assert not harness.controller.power_allowed
    harness.command()
    assert harness.controller.power_allowed


def test_a_lease_of_nothing_ends_at_once(harness):
    harness.command(lease=Duration(0.0))
    assert not harness.power
    assert harness.state.controller_id == ''


def test_the_lock_stays_as_it_is_when_the_lease_ends(harness):
    harness.wait(5.0)
    assert harness.controller.outputs.lock is True


def test_the_board_caps_the_lease(harness):
    harness.command(lease=Duration(3600.0))
    harness.wait(1.99)
    assert harness.power
    harness.wait(0.02)
    assert not harness.power


def test_after_a_gap_one_command_is_not_enough(harness):
    harness.wait(3.0)
    harness.follow()
    harness.wait(2.0)
    harness.command()
    harness.follow()
    assert not harness.power
    harness.command()
    assert harness.power


def test_replayed_and_older_commands_are_nothing(harness):
    last = harness.sequence
    for _ in range(4):
        harness.wait(0.3)
        harness.command(sequence_number=last)
        harness.command(sequence_number=1)
    assert not harness.power, 'they renewed nothing'


def test_two_replayed_commands_never_close_after_a_gap(harness):
    last = harness.sequence
    harness.wait(3.0)
    harness.follow()
    for sequence_number in (last - 1, last, last - 1, last):
        harness.command(sequence_number=sequence_number)
        harness.follow()
    assert not harness.power


def test_a_newcomer_is_ignored_while_the_holder_renews(harness):
    harness.command(manager_id='m2', sequence_number=1000, allow_power_on=False)
    assert harness.power
    assert harness.state.controller_id == 'm1'


def test_a_newcomer_gets_the_board_when_the_lease_has_ended(harness):
    harness.wait(1.1)
    harness.command(manager_id='m2', sequence_number=1)
    assert harness.state.controller_id == 'm2'


def test_commands_of_nobody_are_ignored(harness):
    harness.command(manager_id='', allow_power_on=False)
    assert harness.power


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
def test_an_absurd_command_withdraws_and_is_never_applied(harness, absurd):
    before = harness.controller.outputs
    harness.command(OFFER, **absurd)
    outputs = harness.controller.outputs
    assert not harness.power
    assert outputs.pilot_mode is PilotMode.X1
    assert (outputs.duty_cycle_percent, outputs.current_a) == (100.0, 0.0)
    assert (outputs.phases, outputs.over_current_limit_a) == (before.phases, before.over_current_limit_a)
    assert BoardErrorEnum.BAD_DATA in errors(harness)


def test_a_good_command_ends_bad_data(harness):
    harness.command(current_a=math.nan)
    harness.command()
    assert BoardErrorEnum.BAD_DATA not in errors(harness)


def test_a_command_that_cannot_be_read_withdraws(harness):
    harness.controller.refuse('', 'm1', harness.sequence + 1, 'lease is NaN', harness.now)
    assert not harness.power
    assert BoardErrorEnum.BAD_DATA in errors(harness)


def test_what_cannot_be_read_from_a_stranger_is_nothing(harness):
    harness.controller.refuse('', 'm2', 99999, 'lease is NaN', harness.now)
    assert harness.power


def test_high_level_duty_of_five_percent_is_no_absurdity(harness):
    harness.command(duty_cycle_percent=5.0)
    assert harness.power


def test_the_answered_number_is_the_last_accepted_one(harness):
    answered = harness.state.answered_sequence_number
    harness.command(manager_id='m2', sequence_number=5000)
    assert harness.state.answered_sequence_number == answered
    harness.see(cp_state=ControlPilotState.C)
    harness.command()
    assert harness.state.answered_sequence_number == harness.sequence
