"""The contactor closes only when everything is right at once."""

from dataclasses import replace

import pytest

from board.rig import OFFER, WITHDRAWN, Rig
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
def rig():
    """Everything is right but the pilot, which is in B."""
    rig = Rig()
    rig.offer()
    return rig


def test_it_closes_when_the_ev_asks_and_everything_is_right(rig):
    assert not rig.power
    rig.see(cp_state=C)
    assert rig.power


def test_d_closes_only_with_ventilation(rig):
    rig.see(cp_state=ControlPilotState.D)
    assert not rig.power
    rig.command(ventilation_allowed=True)
    assert rig.power


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
def test_one_wrong_observation_keeps_it_open(rig, wrong):
    rig.see(**{'cp_state': C, **wrong})
    assert not rig.power


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
def test_one_wrong_wish_keeps_it_open(rig, wrong):
    rig.command(**wrong)
    rig.see(cp_state=C)
    assert not rig.power


def test_a_warning_does_not_keep_it_open(rig):
    rig.see(
        cp_state=C, errors=(BoardError(BoardErrorEnum.VENDOR_WARNING), BoardError(BoardErrorEnum.METER_FAULT))
    )
    assert rig.power


def test_a_board_without_a_lock_needs_none(rig):
    rig.controller.capabilities = replace(rig.controller.capabilities, has_lock=False)
    rig.see(cp_state=C, lock=LockState.NONE)
    assert rig.power


def test_it_never_closes_in_x1_but_stays_closed_in_it(rig):
    rig.see(cp_state=C)
    rig.follow()
    rig.command(pilot_mode=PilotMode.X1, duty_cycle_percent=100.0, current_a=0.0)
    rig.follow()
    assert rig.power, 'the manager decides when to open under load'
    rig.command(WITHDRAWN)
    assert not rig.power
    rig.follow()
    rig.command(pilot_mode=PilotMode.X1)
    rig.wait(0.5)
    rig.command(pilot_mode=PilotMode.X1)
    rig.wait(0.9)
    rig.command(pilot_mode=PilotMode.X1)
    assert not rig.power


def test_it_rests_a_second_after_each_opening(rig):
    rig.see(cp_state=C)
    rig.follow()
    rig.see(cp_state=B)
    rig.follow()
    opened = rig.time
    rig.see(cp_state=C)
    assert not rig.power
    assert rig.controller.clock_deadline() == pytest.approx(opened + 1.0)
    rig.command()
    rig.wait(0.9)
    rig.command()
    assert not rig.power
    rig.wait(0.1)
    assert rig.power


def test_two_fresh_commands_are_needed_after_the_start():
    rig = Rig()
    rig.see(cp_state=C, pilot_mode=PilotMode.PWM)
    rig.wait(2.0)
    rig.command()
    assert not rig.power
    rig.command()
    assert rig.power


def test_the_offer_reaches_the_outputs_at_once():
    rig = Rig()
    rig.command(OFFER)
    outputs = rig.controller.outputs
    assert outputs.pilot_mode is PilotMode.PWM
    assert outputs.current_a == 16.0
    assert outputs.lock is True


def test_a_firmware_is_permitted_again_only_after_it_was_seen_open():
    rig = Rig(BoardStyle.HIGH_LEVEL)
    rig.command()
    rig.command()
    assert rig.power
    rig.see(cp_state=C, pilot_mode=PilotMode.PWM, contactor=ContactorState.CLOSED)
    rig.wait(2.0)  # the manager's lease lapses
    assert not rig.power
    rig.command()
    rig.command()
    assert not rig.power, 'the order to open may not have reached it yet'
    rig.see(contactor=ContactorState.OPEN)
    assert rig.power


def test_a_board_that_does_not_obey_is_opened_at_once():
    rig = Rig(BoardStyle.HIGH_LEVEL)
    rig.command()
    rig.command()
    rig.see(cp_state=C, pilot_mode=PilotMode.PWM, contactor=ContactorState.CLOSED)
    rig.see(errors=(BoardError(BoardErrorEnum.BAD_DATA, '16 A were ordered, but 32 A are in force.'),))
    assert not rig.power
    assert rig.state.opening_reason is OpeningReason.PROTECTION
