"""OpenEVSE: the faults of line and board of the catalogue (L1 to L24), in lock-step on simulated time."""

import pytest

from board.serial.link_faults import LINK_FAULTS, errors, goes_on
from board.serial.lock_step import LockStepSession
from board.serial.sequences import Sequence, error
from board.serial.session import Session
from evse_manager.board.boards.openevse.driver import OpenEvseDriver
from evse_manager.charging.inputs import StopTransaction
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LinkState,
    OpeningReason,
    PilotMode,
    StopTransactionReason,
)
from evse_manager.interface.types import StopTransactionRequest

pytestmark = pytest.mark.timeout(240)


def in_force(session: Session) -> int:
    return int(session.host.call(lambda: session.host.board.amperes))


def l11_own_requests_come_back(session: Session) -> None:
    session.do('inject line_echo')
    session.do('inject line_drop 0 to_board')
    session.sees('Error', 7.0)
    session.until(lambda: 'own requests come back' in session.driver.diagnostics()['problem'], 'diagnosis')
    session.do('plug_in')
    session.pass_time(2.0)
    assert not session.relay_closed
    session.do('clear')
    session.until(lambda: session.link is LinkState.UP, 'link up again')


def l12_the_board_restarts_while_charging(session: Session) -> None:
    session.charge()
    session.do('reset')
    session.sees('Error')
    session.until(lambda: 'CR' in session.codes, 'charging goes on', 20.0)
    assert session.state.opening_reason in {OpeningReason.LINK_LOST, OpeningReason.BOARD_RESET}
    assert session.driver.diagnostics()['restarts of the board'] == '1'


def l13_no_start_without_authorization(session: Session) -> None:
    session.do('plug_in no_b_state')
    session.sees('SS AR')
    session.do('reset')
    session.until(lambda: session.link is not LinkState.UP, 'link lost')
    session.until(lambda: session.link is LinkState.UP, 'link up again')
    for _ in range(30):
        session.pass_time(0.1)
        assert not session.relay_closed


def l14_a_current_that_the_board_misreads(session: Session) -> None:
    session.pass_time(0.5)  # the current at rest is confirmed
    session.do('inject misreads_current')
    session.do('plug_in')
    session.sees('SS AR')
    session.limit(10.0)
    session.authorize()
    session.until(lambda: BoardErrorEnum.BAD_DATA in errors(session), 'bad data')
    assert in_force(session) == 32
    assert not session.relay_closed
    session.do('clear')
    session.until(lambda: BoardErrorEnum.BAD_DATA not in errors(session), 'the board obeys', 8.0)
    session.until(lambda: session.relay_closed, 'charging')
    assert in_force(session) == 10


def l14_a_lower_current_that_the_board_misreads(session: Session) -> None:
    session.charge()
    session.do('inject misreads_current')
    session.limit(10.0)
    session.sees('Error')
    session.until(lambda: session.state.pilot_mode is not PilotMode.PWM, 'pilot withdrawn')
    session.opens(5.0)
    session.do('clear')
    session.until(lambda: 'CR' in session.codes, 'charging goes on')
    assert in_force(session) == 10


def l15_more_current_than_ordered(session: Session) -> None:
    session.charge()
    session.limit(10.0)
    session.until(lambda: in_force(session) == 10, '10 A')
    session.do('wrong capacity 40')
    session.sees('Error', 4.0)
    session.opens(5.0)
    assert BoardErrorEnum.BAD_DATA in errors(session)
    session.do('wrong capacity')
    session.until(lambda: 'CR' in session.codes, 'charging goes on', 20.0)
    assert in_force(session) == 10


def l16_a_stalled_node(session: Session) -> None:
    session.charge()
    session.limit(16.0)
    session.until(lambda: in_force(session) == 16, '16 A')
    session.stall(7.0)  # the node does nothing at all
    assert in_force(session) == 6
    session.sees('SC CF TF SF SS AR')  # the cable was out of sight for too long
    session.authorize()
    session.until(lambda: in_force(session) == 16, 'the current again')
    assert int(session.driver.diagnostics()['heartbeats missed']) >= 1


def l18_steps_that_were_missed(session: Session) -> None:
    session.charge('no_b_state')
    steps = [
        (step.cp_state, step.contactor)
        for step in session.state.transitions
        if step.contactor is not ContactorState.UNKNOWN
    ]
    charging = steps.index((ControlPilotState.C, ContactorState.CLOSED))
    assert steps[charging - 1] == (ControlPilotState.C, ContactorState.OPEN)
    assert (ControlPilotState.B, ContactorState.OPEN) in steps[:charging]


def l19_an_unknown_state(session: Session) -> None:
    session.charge()
    session.do('wrong state 42')
    session.sees('Error', 4.0)
    session.until(lambda: session.state.cp_state is ControlPilotState.E, 'a pilot that is no guess')
    session.do('wrong state')
    session.until(lambda: session.state.cp_state is not ControlPilotState.E, 'a pilot again')


def l20_the_capability_shrinks(session: Session) -> None:
    session.charge()
    session.do('wrong maximum 16')
    session.do('reset')
    session.until(lambda: 'CR' in session.codes, 'charging goes on', 25.0)
    assert session.state.current_a <= 16.0
    hardware = session.driver.hw_capabilities()
    assert hardware is not None
    assert hardware.max_current_a_import == 16.0


def l21_safety_tests_are_off(session: Session) -> None:
    session.do('inject safety_tests_off')
    session.do('reset')
    session.until(lambda: BoardErrorEnum.SAFETY_TESTS_OFF in errors(session), 'a warning', 20.0)
    detail = next(e.detail for e in session.state.active_errors if e.code is BoardErrorEnum.SAFETY_TESTS_OFF)
    assert 'diode check' in detail
    session.do('plug_in')
    session.authorize()
    session.pass_time(4.0)
    assert not session.relay_closed


def requests_are_lost(session: Session) -> None:
    session.charge()
    session.do('inject line_drop 2 to_board')
    goes_on(session, 3.0)
    session.do('inject line_drop 1 to_board')
    session.do('unplug')
    session.sees('SC CF TF SF')


def a_fault_of_each_kind(session: Session) -> None:
    for fault, code, event in (
        ('diode', BoardErrorEnum.DIODE_FAULT, ErrorEnum.CAR_DIODE_FAULT),
        ('rcd_ac', BoardErrorEnum.RCD_AC, ErrorEnum.RCD),
        ('ground', BoardErrorEnum.GROUND_FAULT, ErrorEnum.RCD),
    ):
        session.charge()
        session.pass_time(1.0)
        session.do(f'inject {fault}')
        session.until(lambda code=code: code in errors(session), fault)
        session.opens(1.0)
        session.sees('Error')
        assert error(session) is event
        session.do('clear')
        session.do('unplug')
        session.until(lambda: 'SF' in session.codes, 'end of the session', 25.0)
        session.until(lambda: not session.status.active_errors, 'no errors', 25.0)
        session.pass_time(3.0)
        session.forget()


def instead_of_14_state_d_lasts_until_the_unplugging(session: Session) -> None:
    session.charge()
    session.do('inject ventilation')
    session.sees('Error')
    assert error(session) is ErrorEnum.VENTILATION_NOT_AVAILABLE
    session.opens()
    session.do('clear')
    session.sees_nothing(3.0)
    session.do('unplug')
    session.sees('AllErrorsCleared SC CF TF SF')


def instead_of_14_an_error_that_ends_by_itself(session: Session) -> None:
    session.charge()
    session.do('pull_port')
    session.sees('Error', 3.0)
    session.do('plug_port')
    session.sees('AllErrorsCleared CR')


def instead_of_27_a_contactor_that_does_not_close_is_reported_as_no_ground(session: Session) -> None:
    session.do('inject relay_stuck_open')
    session.do('plug_in')
    session.sees('SS AR')
    session.authorize()
    session.sees('TS PC CS Error')
    assert BoardErrorEnum.GROUND_FAULT in errors(session)


def instead_of_28_a_weld_is_found_after_the_transaction(session: Session) -> None:
    session.charge()
    session.do('inject relay_weld')
    assert session.command(StopTransaction(StopTransactionRequest(StopTransactionReason.LOCAL))).success
    session.sees('SC CF TF Error')
    assert error(session) is ErrorEnum.RELAIS
    assert session.state.contactor is ContactorState.CLOSED


def a_weld_is_found_after_the_unplugging(session: Session) -> None:
    session.charge()
    session.do('inject relay_weld')
    session.do('unplug')
    session.sees('SC CF TF SF Error')
    assert error(session) is ErrorEnum.RELAIS
    session.do('plug_in')
    session.sees_nothing(3.0)
    assert session.state.contactor is ContactorState.CLOSED


def no_new_ev_before_the_contacts_were_looked_at(session: Session) -> None:
    session.charge()
    unplugged = session.clock()
    session.do('unplug')
    session.sees('SC CF TF SF')
    session.do('plug_in')
    session.sees('SS')
    assert 1.3 < session.clock() - unplugged < 2.5


def the_memory_is_not_worn(session: Session) -> None:
    session.charge()
    for current in (10.0, 20.0, 6.0, 32.0, 9.7):
        session.limit(current)
        session.until(lambda current=current: in_force(session) == int(current), f'{current} A')
    assert session.host.call(lambda: session.host.board.eeprom_writes) == 0


def meter_and_temperature(session: Session) -> None:
    session.charge('soc_percent=20')
    session.pass_time(12.0)
    sample = session.sample
    assert sample is not None
    assert sample.current_a is not None
    assert sample.current_a.l1 == pytest.approx(32.0, abs=0.3)
    assert sample.power_w is not None
    assert sample.power_w.total == pytest.approx(32.0 * 230.0, rel=0.03)
    begun, before = sample.timestamp, sample.energy_wh_import.total
    session.pass_time(11.0)
    sample = session.sample
    hours = (sample.timestamp - begun) * 1e-9 / 3600.0
    assert sample.energy_wh_import.total - before == pytest.approx(7360.0 * hours, rel=0.15)
    truth = session.host.call(lambda: session.host.board.world.meter.energy_wh)
    assert sample.energy_wh_import.total == pytest.approx(truth, abs=12.0)
    assert session.telemetry.temperature_c == pytest.approx(35.0, abs=12.0)


OWN: dict[str, Sequence] = {
    play.__name__: play
    for play in (
        l11_own_requests_come_back,
        l12_the_board_restarts_while_charging,
        l13_no_start_without_authorization,
        l14_a_current_that_the_board_misreads,
        l14_a_lower_current_that_the_board_misreads,
        l15_more_current_than_ordered,
        l16_a_stalled_node,
        l18_steps_that_were_missed,
        l19_an_unknown_state,
        l20_the_capability_shrinks,
        l21_safety_tests_are_off,
        requests_are_lost,
        a_fault_of_each_kind,
        instead_of_14_state_d_lasts_until_the_unplugging,
        instead_of_14_an_error_that_ends_by_itself,
        instead_of_27_a_contactor_that_does_not_close_is_reported_as_no_ground,
        instead_of_28_a_weld_is_found_after_the_transaction,
        a_weld_is_found_after_the_unplugging,
        no_new_ev_before_the_contacts_were_looked_at,
        the_memory_is_not_worn,
        meter_and_temperature,
    )
}
ALL = {**LINK_FAULTS, **OWN}


def test_what_differs_is_tried() -> None:
    for number in OpenEvseDriver.differs:
        assert any(name.startswith(f'instead_of_{number}_') for name in OWN)


@pytest.mark.parametrize('name', ALL)
def test_fault(name: str) -> None:
    with LockStepSession() as session:
        ALL[name](session)
