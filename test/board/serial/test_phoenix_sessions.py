"""
Phoenix with an SDM630 on its bus: the golden sequences, and the faults of line and board (L1 to L24).

They run in lock-step on simulated time; a few are played through a real port as well.
"""

import pytest

from board.serial.link_faults import LINK_FAULTS, counted, errors, goes_on, signalled
from board.serial.lock_step import BoardSession
from board.serial.metered import metered
from board.serial.sequences import Sequence, error, possible
from board.serial.session import Session
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LinkState,
    OpeningReason,
)
from evse_manager.simulation.virtual.phoenix_firmware import ENABLE

pytestmark = pytest.mark.timeout(240)


def coil(session: Session, address: int) -> int:
    return int(session.host.call(lambda: session.host.board.coils[address]))


def in_force(session: Session) -> int:
    return int(session.host.call(lambda: session.host.board.current))


def l11_own_requests_come_back(session: Session) -> None:
    session.do('inject line_echo')
    session.do('inject line_drop 0 to_board')
    session.sees('Error', 7.0)
    session.until(lambda: 'own requests come back' in session.driver.diagnostics()['problem'], 'diagnosis')
    session.do('plug_in')
    session.pass_time(2.0)
    assert not session.relay_closed
    assert session.link is not LinkState.UP
    session.do('clear')
    session.until(lambda: session.link is LinkState.UP, 'link up again')


def an_adapter_that_echoes_disturbs_nothing(session: Session) -> None:
    session.do('inject line_echo')
    session.charge()
    session.limit(10.0)
    session.until(lambda: signalled(session) == 10.0, '10 A')
    session.do('ev_pause')
    session.sees('PEV')
    assert counted(session, 'own requests that came back') > 10


def l12_the_board_restarts_while_charging(session: Session) -> None:
    session.charge()
    session.do('reset')
    session.opens()
    session.until(lambda: 'CR' in session.codes, 'charging goes on', 20.0)
    reasons = {state.opening_reason for state in session.states}
    assert reasons & {OpeningReason.LINK_LOST, OpeningReason.BOARD_RESET, OpeningReason.BY_ITSELF}
    assert session.driver.diagnostics()['restarts of the board'] == '1'


def l13_no_start_without_authorization(session: Session) -> None:
    session.do('plug_in no_b_state')
    session.sees('SS AR')
    session.pass_time(1.5)
    session.host.call(lambda: session.host.board.write_coil(ENABLE, 1))
    session.until(lambda: not coil(session, ENABLE), 'not enabled any more', 3.0)
    session.pass_time(2.0)
    assert not session.relay_closed
    assert session.driver.diagnostics()['restarts of the board'] == '1'


def l14_the_current_is_read_back_before_charging(session: Session) -> None:
    session.do('wrong current 32')
    session.do('plug_in')
    session.sees('SS AR')
    session.limit(10.0)
    session.authorize()
    session.until(lambda: BoardErrorEnum.BAD_DATA in errors(session), 'bad data')
    assert coil(session, ENABLE) == 0
    assert not session.relay_closed
    session.do('wrong current')
    session.until(lambda: BoardErrorEnum.BAD_DATA not in errors(session), 'the board obeys', 8.0)
    session.until(lambda: session.relay_closed, 'charging')
    assert in_force(session) == 10


def l15_more_current_than_was_ordered(session: Session) -> None:
    session.limit(10.0)
    session.charge()
    assert in_force(session) == 10
    session.do('wrong signalled 20')
    session.sees('Error', 5.0)
    session.opens()
    assert coil(session, ENABLE) == 0


def l16_a_stalled_node(session: Session) -> None:
    session.charge()
    session.stall(3.0)  # the node does nothing at all, and the board has no watchdog for its line
    assert session.relay_closed
    session.opens(3.0)
    assert session.state.opening_reason is OpeningReason.LEASE_LAPSED
    session.until(lambda: 'CR' in session.codes, 'charging goes on')


def l19_an_unknown_state_is_a_fault(session: Session) -> None:
    session.charge()
    session.do('wrong state G7')
    session.sees('Error')
    assert session.state.cp_state is ControlPilotState.E
    session.opens()


def l19_an_unknown_error_bit_is_a_warning(session: Session) -> None:
    session.charge()
    session.do('wrong errors 512')
    session.until(lambda: BoardErrorEnum.VENDOR_WARNING in errors(session), 'warning')
    goes_on(session, 1.0)


def l20_the_board_can_do_less_after_a_restart(session: Session) -> None:
    session.charge()
    assert signalled(session) == 32.0
    session.do('wrong preset 16')
    session.do('reset')
    session.until(lambda: session.link is not LinkState.UP or 'Error' in session.codes, 'seen')
    session.until(lambda: 'CR' in session.codes, 'charging goes on', 20.0)
    assert signalled(session) <= 16.0


def l22_exceptions_are_no_data(session: Session) -> None:
    session.charge()
    for code in (2, 3, 4):
        session.do(f'inject exception_{code}')
        session.pass_time(0.7)
        session.do(f'clear exception_{code}')
    goes_on(session, 1.0)
    assert counted(session, 'requests refused (exceptions)') > 3


def l23_another_device_answers(session: Session) -> None:
    session.charge()
    session.do('inject wrong_unit')
    session.sees('Error', 7.0)
    assert session.state.contactor is ContactorState.UNKNOWN
    assert counted(session, 'unexpected frames') >= 3
    session.do('clear')
    session.sees('AllErrorsCleared')
    session.until(lambda: 'CR' in session.codes, 'charging goes on')


def one_device_of_the_line_is_silent(session: Session) -> None:
    session.charge()
    session.do('inject silent')
    session.sees('Error', 7.0)
    assert error(session) is ErrorEnum.INTERNAL
    session.do('clear')
    session.sees('AllErrorsCleared')


def a_board_with_its_state_among_the_input_registers(session: Session) -> None:
    session.do('inject input_registers_only')
    session.do('reset')
    session.until(lambda: session.link is not LinkState.UP, 'link lost')
    session.until(lambda: session.link is LinkState.UP, 'link up')
    session.until(lambda: 'AllErrorsCleared' in session.codes, 'no errors')
    session.forget()
    session.charge()


def without_a_mirror_contact_nothing_starts(session: Session) -> None:
    session.do('inject no_mirror_contact')
    session.sees('Error')
    assert BoardErrorEnum.CONTACTOR_WELDED in errors(session)
    assert error(session) is ErrorEnum.RELAIS


def retentive_registers_are_not_worn(session: Session) -> None:
    written = session.host.call(lambda: session.host.board.retentive_writes)
    assert written == 5  # 4000 to 4002, 4006, 4012
    session.charge()
    session.do('unplug')
    session.sees('SC CF TF SF')
    session.do('pull_port')
    session.until(lambda: session.link is not LinkState.UP, 'link lost')
    session.do('plug_port')
    session.until(lambda: session.link is LinkState.UP, 'link up')
    assert session.host.call(lambda: session.host.board.retentive_writes) == written


def an_orderly_end_leaves_a_safe_board(session: Session) -> None:
    session.charge()
    assert in_force(session) == 32
    session.shut_down()
    session.opens()
    session._loop.shut_down(session._moment())
    session.driver.close()
    session.pass_time(0.1)
    assert in_force(session) == 6
    assert coil(session, ENABLE) == 0


def m1_a_silent_meter(session: Session) -> None:
    session.charge()
    session.do('inject meter_silent')
    session.until(lambda: BoardErrorEnum.METER_FAULT in errors(session), 'meter fault', 8.0)
    assert session.relay_closed
    assert 'Error' not in session.codes
    session.do('clear')
    session.until(lambda: not session.state.active_errors, 'meter is back', 12.0)
    assert session.driver.diagnostics()['times lost'] == '0'


def _tells_nothing(session: Session, fault: str) -> None:
    session.until(lambda: session.sample is not None, 'a sample')
    session.do(f'inject {fault}')
    session.until(lambda: session.driver.diagnostics()['meter problem'], 'diagnosis', 8.0)
    session.sample = None
    session.pass_time(1.0)
    assert session.sample is None


def m2_a_meter_with_the_wrong_address(session: Session) -> None:
    _tells_nothing(session, 'meter_wrong_unit')


def m2_a_meter_that_refuses(session: Session) -> None:
    _tells_nothing(session, 'meter_exception')


def a_welded_contactor_is_seen_by_its_mirror_contact(session: Session) -> None:
    session.do('inject relay_weld')
    session.charge()
    session.do('unplug')
    session.until(lambda: BoardErrorEnum.CONTACTOR_WELDED in errors(session), 'welded')


PLAYED: dict[str, Sequence] = {
    **possible('phoenix'),
    **LINK_FAULTS,
    **{
        each.__name__: each
        for each in (
            l11_own_requests_come_back,
            an_adapter_that_echoes_disturbs_nothing,
            l12_the_board_restarts_while_charging,
            l13_no_start_without_authorization,
            l14_the_current_is_read_back_before_charging,
            l15_more_current_than_was_ordered,
            l16_a_stalled_node,
            l19_an_unknown_state_is_a_fault,
            l19_an_unknown_error_bit_is_a_warning,
            l20_the_board_can_do_less_after_a_restart,
            l22_exceptions_are_no_data,
            l23_another_device_answers,
            one_device_of_the_line_is_silent,
            a_board_with_its_state_among_the_input_registers,
            without_a_mirror_contact_nothing_starts,
            retentive_registers_are_not_worn,
            an_orderly_end_leaves_a_safe_board,
            a_welded_contactor_is_seen_by_its_mirror_contact,
            m1_a_silent_meter,
            m2_a_meter_with_the_wrong_address,
            m2_a_meter_that_refuses,
        )
    },
}


ON_A_PORT = ('the_ev_pauses_and_resumes', 'l8_the_port_is_pulled_and_put_back', 'm1_a_silent_meter')


@pytest.mark.parametrize('name', PLAYED)
def test_session(name: str) -> None:
    with metered('phoenix', BoardSession) as session:
        PLAYED[name](session)


@pytest.mark.parametrize('name', ON_A_PORT)
def test_through_a_real_port(name: str) -> None:
    with metered('phoenix') as session:
        PLAYED[name](session)
