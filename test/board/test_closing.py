"""The contactor closes only when everything is right at once."""

from dataclasses import replace

import pytest

from board.controller_harness import OFFER, WITHDRAWN, ControllerHarness
from evse_manager.board.driver import BoardStyle
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    OpeningReason,
    PilotMode,
)
from evse_manager.interface.types import BoardError
from evse_manager.lease.validation import BLOCKING, OPENING

C, B = ControlPilotState.C, ControlPilotState.B


@pytest.fixture
def harness():
    """Everything is right but the pilot, which is in B."""
    harness = ControllerHarness()
    harness.offer()
    return harness


def test_it_closes_when_the_ev_asks_and_everything_is_right(harness):
    assert not harness.power
    harness.see(cp_state=C)
    assert harness.power


def test_d_closes_only_with_ventilation(harness):
    harness.see(cp_state=ControlPilotState.D)
    assert not harness.power
    harness.command(ventilation_allowed=True)
    assert harness.power


@pytest.mark.parametrize(
    'wrong',
    [
        {'cp_state': ControlPilotState.A},
        {'cp_state': B},
        {'cp_state': ControlPilotState.E},
        {'cp_state': ControlPilotState.F},
        {'cp_state': ControlPilotState.UNSPECIFIED},
        {'lock': LockState.UNLOCKED},
        {'lock': LockState.MOVING},
        {'lock': LockState.UNKNOWN},
        {'pilot_mode': PilotMode.X1},
        {'pilot_mode': PilotMode.F},
        {'link': LinkState.LOST},
        {'link': LinkState.CONNECTING},
        {'contactor': ContactorState.UNKNOWN},
        {'phases': 1},
        *({'errors': (BoardError(code),)} for code in sorted(OPENING | BLOCKING)),
    ],
    ids=lambda wrong: '-'.join(f'{key}' for key in wrong) + str(next(iter(wrong.values()))),
)
def test_one_wrong_observation_keeps_it_open(harness, wrong):
    harness.see(**{'cp_state': C, **wrong})
    assert not harness.power


@pytest.mark.parametrize(
    'wrong',
    [
        {'allow_power_on': False},
        {'pilot_mode': PilotMode.X1},
        {'pilot_mode': PilotMode.F},
        {'pilot_mode': PilotMode.E},
        {'acknowledged_fault_counter': 7},
        {'phases': 1},
    ],
)
def test_one_wrong_wish_keeps_it_open(harness, wrong):
    harness.command(**wrong)
    harness.see(cp_state=C)
    assert not harness.power


def test_a_warning_does_not_keep_it_open(harness):
    harness.see(
        cp_state=C, errors=(BoardError(BoardErrorEnum.VENDOR_WARNING), BoardError(BoardErrorEnum.METER_FAULT))
    )
    assert harness.power


def test_a_board_without_a_lock_needs_none(harness):
    harness.controller.capabilities = replace(harness.controller.capabilities, has_lock=False)
    harness.see(cp_state=C, lock=LockState.NONE)
    assert harness.power


def test_it_never_closes_in_x1_but_stays_closed_in_it(harness):
    harness.see(cp_state=C)
    harness.follow()
    harness.command(pilot_mode=PilotMode.X1, duty_cycle_percent=100.0, current_a=0.0)
    harness.follow()
    assert harness.power, 'the manager decides when to open under load'
    harness.command(WITHDRAWN)
    assert not harness.power
    harness.follow()
    harness.command(pilot_mode=PilotMode.X1)
    harness.wait(0.5)
    harness.command(pilot_mode=PilotMode.X1)
    harness.wait(0.9)
    harness.command(pilot_mode=PilotMode.X1)
    assert not harness.power


def test_it_rests_a_second_after_each_opening(harness):
    harness.see(cp_state=C)
    harness.follow()
    harness.see(cp_state=B)
    harness.follow()
    opened = harness.time
    harness.see(cp_state=C)
    assert not harness.power
    assert harness.controller.clock_deadline() == pytest.approx(opened + 1.0)
    harness.command()
    harness.wait(0.9)
    harness.command()
    assert not harness.power
    harness.wait(0.1)
    assert harness.power


def test_two_fresh_commands_are_needed_after_the_start():
    harness = ControllerHarness()
    harness.see(cp_state=C, pilot_mode=PilotMode.PWM)
    harness.wait(2.0)
    harness.command()
    assert not harness.power
    harness.command()
    assert harness.power


def test_the_offer_reaches_the_outputs_at_once():
    harness = ControllerHarness()
    harness.command(OFFER)
    outputs = harness.controller.outputs
    assert outputs.pilot_mode is PilotMode.PWM
    assert outputs.current_a == 16.0
    assert outputs.lock is True


def test_a_firmware_is_permitted_again_only_after_it_was_seen_open():
    harness = ControllerHarness(BoardStyle.HIGH_LEVEL)
    harness.command()
    harness.command()
    assert harness.power
    harness.see(cp_state=C, pilot_mode=PilotMode.PWM, contactor=ContactorState.CLOSED)
    harness.wait(2.0)  # the manager's lease lapses
    assert not harness.power
    harness.command()
    harness.command()
    assert not harness.power, 'the order to open may not have reached it yet'
    harness.see(contactor=ContactorState.OPEN)
    assert harness.power


def test_a_board_that_does_not_obey_is_opened_at_once():
    harness = ControllerHarness(BoardStyle.HIGH_LEVEL)
    harness.command()
    harness.command()
    harness.see(cp_state=C, pilot_mode=PilotMode.PWM, contactor=ContactorState.CLOSED)
    harness.see(errors=(BoardError(BoardErrorEnum.BAD_DATA, '16 A were ordered, but 32 A are in force.'),))
    assert not harness.power
    assert harness.state.opening_reason is OpeningReason.PROTECTION
