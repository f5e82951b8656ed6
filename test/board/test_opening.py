"""Whatever ends the permission opens the contactor in the same step."""

import pytest

from board.rig import WITHDRAWN, Rig
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

C, OPEN, CLOSED = ControlPilotState.C, ContactorState.OPEN, ContactorState.CLOSED


@pytest.fixture
def rig():
    rig = Rig()
    rig.charge()
    return rig


@pytest.mark.parametrize('left_for', [ControlPilotState.A, ControlPilotState.B])
def test_leaving_c_opens_and_is_no_fault(rig, left_for):
    rig.see(cp_state=left_for)
    assert not rig.power
    assert rig.state.opening_reason is OpeningReason.PILOT
    assert rig.state.fault_counter == 0
    assert rig.state.openings_under_load == 0


OWN_OPENINGS = [
    ({'cp_state': ControlPilotState.D}, OpeningReason.PILOT),
    ({'cp_state': ControlPilotState.E}, OpeningReason.PILOT),
    ({'cp_state': ControlPilotState.UNSPECIFIED}, OpeningReason.PILOT),
    ({'lock': LockState.UNLOCKED}, OpeningReason.PROTECTION),
    ({'link': LinkState.LOST}, OpeningReason.LINK_LOST),
    ({'resets': 1, 'contactor': OPEN}, OpeningReason.BOARD_RESET),
    ({'contactor': OPEN}, OpeningReason.BY_ITSELF),
    *(({'errors': (BoardError(code),)}, OpeningReason.PROTECTION) for code in sorted(OPENING)),
]


@pytest.mark.parametrize(('cause', 'reason'), OWN_OPENINGS)
def test_an_opening_of_its_own_stays_until_acknowledged(rig, cause, reason):
    healthy = rig.board
    rig.see(**cause)
    assert not rig.power
    assert rig.state.opening_reason is reason
    assert rig.state.fault_counter == 1

    rig.see(**{name: getattr(healthy, name) for name in cause if name != 'resets'})
    rig.follow()
    rig.command(acknowledged_fault_counter=0)
    rig.wait(0.9)
    rig.command(acknowledged_fault_counter=0)
    rig.wait(0.9)
    rig.command(acknowledged_fault_counter=0)
    assert not rig.power, 'nobody has acknowledged'
    rig.command(acknowledged_fault_counter=1)
    assert rig.power


def test_over_temperature_leaves_the_decision_to_the_manager(rig):
    for code in sorted(BLOCKING):
        rig.see(errors=(BoardError(code),))
        assert rig.power


def test_a_command_opens_and_counts_as_no_fault(rig):
    rig.command(WITHDRAWN)
    assert not rig.power
    assert rig.state.opening_reason is OpeningReason.COMMANDED
    assert rig.state.fault_counter == 0


@pytest.mark.parametrize('mode', [PilotMode.F, PilotMode.E])
def test_f_and_e_open_even_while_power_is_allowed(rig, mode):
    rig.command(pilot_mode=mode)
    assert not rig.power


def test_an_opening_while_the_ev_is_in_c_is_one_under_load(rig):
    rig.command(WITHDRAWN)
    assert rig.state.openings_under_load == 1


def test_the_opening_that_was_ordered_is_not_taken_for_one_by_itself(rig):
    rig.see(cp_state=ControlPilotState.B)
    rig.wait(0.02)
    rig.see(contactor=OPEN)
    assert rig.state.opening_reason is OpeningReason.PILOT
    assert rig.state.fault_counter == 0


def test_a_hardware_trip_that_opened_the_contactor_is_protection(rig):
    rig.see(contactor=OPEN, errors=(BoardError(BoardErrorEnum.RCD_DC),))
    assert rig.state.opening_reason is OpeningReason.PROTECTION


def test_without_a_link_the_contactor_is_unknown(rig):
    rig.see(link=LinkState.LOST)
    assert rig.state.contactor is ContactorState.UNKNOWN
    rig.see(link=LinkState.UP)
    assert rig.state.contactor is CLOSED
    assert not rig.power


def test_the_end_of_the_node_opens(rig):
    rig.controller.shut_down(rig.now)
    assert not rig.power
    assert rig.controller.outputs.pilot_mode is PilotMode.X1
    assert rig.state.opening_reason is OpeningReason.SHUTDOWN
    rig.command()
    assert not rig.power


def test_a_failure_in_the_node_opens_until_the_next_good_command(rig):
    rig.controller.fail('something broke', rig.now)
    assert not rig.power
    assert BoardErrorEnum.BAD_DATA in {error.code for error in rig.state.active_errors}
    rig.follow()
    rig.command()
    assert BoardErrorEnum.BAD_DATA not in {error.code for error in rig.state.active_errors}
