"""Whatever ends the permission opens the contactor in the same step."""

import pytest

from board.controller_harness import WITHDRAWN, ControllerHarness
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
def harness():
    harness = ControllerHarness()
    harness.charge()
    return harness


@pytest.mark.parametrize('left_for', [ControlPilotState.A, ControlPilotState.B])
def test_leaving_c_opens_and_is_no_fault(harness, left_for):
    harness.see(cp_state=left_for)
    assert not harness.power
    assert harness.state.opening_reason is OpeningReason.PILOT
    assert harness.state.fault_counter == 0
    assert harness.state.openings_under_load == 0


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
def test_an_opening_of_its_own_stays_until_acknowledged(harness, cause, reason):
    healthy = harness.board
    harness.see(**cause)
    assert not harness.power
    assert harness.state.opening_reason is reason
    assert harness.state.fault_counter == 1

    harness.see(**{name: getattr(healthy, name) for name in cause if name != 'resets'})
    harness.follow()
    harness.command(acknowledged_fault_counter=0)
    harness.wait(0.9)
    harness.command(acknowledged_fault_counter=0)
    harness.wait(0.9)
    harness.command(acknowledged_fault_counter=0)
    assert not harness.power, 'nobody has acknowledged'
    harness.command(acknowledged_fault_counter=1)
    assert harness.power


def test_over_temperature_leaves_the_decision_to_the_manager(harness):
    for code in sorted(BLOCKING):
        harness.see(errors=(BoardError(code),))
        assert harness.power


def test_a_command_opens_and_counts_as_no_fault(harness):
    harness.command(WITHDRAWN)
    assert not harness.power
    assert harness.state.opening_reason is OpeningReason.COMMANDED
    assert harness.state.fault_counter == 0


@pytest.mark.parametrize('mode', [PilotMode.F, PilotMode.E])
def test_f_and_e_open_even_while_power_is_allowed(harness, mode):
    harness.command(pilot_mode=mode)
    assert not harness.power


def test_an_opening_while_the_ev_is_in_c_is_one_under_load(harness):
    harness.command(WITHDRAWN)
    assert harness.state.openings_under_load == 1


def test_the_opening_that_was_ordered_is_not_taken_for_one_by_itself(harness):
    harness.see(cp_state=ControlPilotState.B)
    harness.wait(0.02)
    harness.see(contactor=OPEN)
    assert harness.state.opening_reason is OpeningReason.PILOT
    assert harness.state.fault_counter == 0


def test_a_hardware_trip_that_opened_the_contactor_is_protection(harness):
    harness.see(contactor=OPEN, errors=(BoardError(BoardErrorEnum.RCD_DC),))
    assert harness.state.opening_reason is OpeningReason.PROTECTION


def test_without_a_link_the_contactor_is_unknown(harness):
    harness.see(link=LinkState.LOST)
    assert harness.state.contactor is ContactorState.UNKNOWN
    harness.see(link=LinkState.UP)
    assert harness.state.contactor is CLOSED
    assert not harness.power


def test_the_end_of_the_node_opens(harness):
    harness.controller.shut_down(harness.now)
    assert not harness.power
    assert harness.controller.outputs.pilot_mode is PilotMode.X1
    assert harness.state.opening_reason is OpeningReason.SHUTDOWN
    harness.command()
    assert not harness.power


def test_a_failure_in_the_node_opens_until_the_next_good_command(harness):
    harness.controller.fail('something broke', harness.now)
    assert not harness.power
    assert BoardErrorEnum.BAD_DATA in {error.code for error in harness.state.active_errors}
    harness.follow()
    harness.command()
    assert BoardErrorEnum.BAD_DATA not in {error.code for error in harness.state.active_errors}
