"""
Yeti: golden sequences, and the catalogue's faults of line and board, with firmware 2.2 and with a sibling.

They run in lock-step on simulated time; a few are played through a real port as well.
"""

from collections.abc import Callable

import pytest

from board.serial.link_faults import LINK_FAULTS, counted, errors, goes_on, signalled
from board.serial.lock_step import BoardSession
from board.serial.sequences import SEQUENCES, Sequence, error, possible
from board.serial.session import Session
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LinkState,
    LockState,
    OpeningReason,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.parameters import Config

pytestmark = pytest.mark.timeout(120)

_E = BoardErrorEnum
SIBLING = ('sibling',)


def never_closes(session: Session, seconds: float) -> None:
    for _ in range(round(seconds / 0.1)):
        session.pass_time(0.1)
        assert not session.relay_closed
        assert session.state.contactor is not ContactorState.CLOSED


def closings(session: Session) -> int:
    return int(session.host.call(lambda: session.host.board.closings))


def l11_own_requests_come_back(session: Session) -> None:
    session.charge()
    session.do('inject line_echo')
    session.sees('Error', 2.0)
    assert 'own requests come back' in session.driver.diagnostics()['problem']
    assert session.state.contactor is ContactorState.UNKNOWN
    session.opens()
    never_closes(session, 3.0)
    session.do('clear')
    session.until(lambda: session.link is LinkState.UP, 'link up again', 6.0)
    session.until(lambda: 'AR' in session.codes, 'the car that may be another one needs a token')
    never_closes(session, 2.0)


def l12_the_board_restarts_while_charging(session: Session) -> None:
    session.charge()
    before = closings(session)
    session.do('reset')
    took = session.until(lambda: not session.relay_closed, 'open')
    assert took < 0.3
    session.sees('Error', 1.0)
    assert session.driver.diagnostics()['restarts of the board'] == '1'
    session.until(lambda: 'CR' in session.codes, 'charging goes on')
    assert closings(session) == before + 1
    assert OpeningReason.BOARD_RESET in {state.opening_reason for state in session.states}


def l13_no_start_without_authorization(session: Session) -> None:
    session.do('plug_in no_b_state')
    session.sees('SS AR')
    session.do('reset')
    session.until(lambda: session.link is not LinkState.UP, 'link lost')
    session.until(lambda: session.link is LinkState.UP, 'link up again')
    never_closes(session, 3.0)


def l16_a_stalled_node(session: Session) -> None:
    """Firmware 2.2 has no watchdog: what was permitted stands until the node goes on, and is checked then."""
    session.charge()
    session.stall(5.3)
    watchdog = 'sibling' in session.host.board.own_faults
    assert session.relay_closed is not watchdog
    session.opens(0.3)
    session.until(lambda: session.link is LinkState.UP, 'link up')
    session.until(lambda: 'CR' in session.codes, 'charging goes on')


def l19_an_unknown_state(session: Session) -> None:
    session.charge()
    session.do('wrong pilot 42')
    session.opens()
    session.sees('Error', 1.0)
    assert session.state.cp_state is ControlPilotState.E
    assert any('unknown state 42' in each.detail for each in session.state.active_errors)
    session.do('wrong pilot')
    session.until(lambda: session.state.cp_state is not ControlPilotState.E, 'a pilot again')


def l20_the_capability_shrinks(session: Session) -> None:
    session.charge()
    assert session.state.current_a > 30.0
    session.do('wrong max_current 16')
    session.until(lambda: session.state.current_a <= 16.0, '16 A', 2.0)
    session.until(lambda: signalled(session) <= 16.0, '16 A on the pilot', 0.2)
    session.sees_nothing(0.5)
    hardware = session.driver.hw_capabilities()
    assert hardware is not None
    assert hardware.max_current_a_import == 16.0


def keep_alives_stop_but_states_go_on(session: Session) -> None:
    session.charge()
    session.do('inject no_keep_alive')
    took = session.until(lambda: 'Error' in session.codes, 'Error', 7.0)
    assert 3.9 < took < 6.1
    assert 'no keep-alive' in session.driver.diagnostics()['problem']
    session.opens()
    session.do('clear')
    session.until(lambda: 'CR' in session.codes, 'charging goes on')


def orders_are_lost(session: Session) -> None:
    session.do('plug_in')
    session.sees('SS AR')
    session.do('inject line_drop 2 to_board')
    session.authorize()
    session.sees('TS PC CS')
    session.do('inject line_drop 2 to_board')
    session.do('ev_pause')
    session.sees('PEV')
    session.opens(1.5)


def states_are_lost(session: Session) -> None:
    session.do('inject line_drop 1')
    session.do('plug_in')
    session.sees('SS AR', 3.0)
    session.authorize()
    session.sees('TS PC CS')
    session.do('inject line_drop 1')
    session.do('ev_pause')
    session.sees('PEV', 3.0)
    session.opens(1.5)


def the_next_car_finds_no_permission(session: Session) -> None:
    """On firmware 2.2 a permission outlasts the unplugging, and PWM alone would close."""
    session.charge()
    session.do('unplug')
    session.sees('SC CF TF SF')
    before = closings(session)
    session.do('plug_in no_b_state')
    session.sees('SS AR')
    never_closes(session, 10.0)
    assert closings(session) == before


def what_heals_is_not_charged_on(session: Session) -> None:
    """Firmware 2.2 closes by itself when the cause of its opening has gone, as long as it is permitted to."""
    session.charge()
    before = closings(session)
    for fault in ('pilot_short', 'diode'):
        session.do(f'inject {fault}')
        session.opens(0.5)
        session.do(f'clear {fault}')
        session.pass_time(0.5)
    assert closings(session) == before
    assert not session.relay_closed


def a_pause_opens_before_the_board_does(session: Session) -> None:
    """The manager opens 6 s after X1, the board after 7 s; a resumed car is offered power by us alone."""
    session.charge('stays_in_c')
    before = closings(session)
    session.limit(0.0)
    session.sees('WE', 10.0)
    session.opens(7.5)
    session.pass_time(3.0)
    assert not session.relay_closed
    session.limit(16.0)
    session.sees('CR')
    assert closings(session) == before + 1


def a_weld_is_found_by_its_current(session: Session) -> None:
    session.charge('stays_in_c')
    session.until(lambda: max(session.host.board.world.currents_a) > 0.0, 'current')
    session.do('inject relay_weld')
    session.limit(0.0)
    session.until(lambda: _E.CONTACTOR_WELDED in errors(session), 'a weld', 15.0)
    session.until(lambda: 'Error' in session.codes, 'Error')
    assert error(session) is ErrorEnum.RELAIS


def a_weld_keeps_the_contactor_from_closing_again(session: Session) -> None:
    """The firmware remembers a weld until the car leaves, refuses to close, and reports nothing."""
    session.charge()
    session.do('inject relay_weld')
    session.do('ev_pause')
    session.sees('PEV')
    session.do('ev_resume')
    session.sees('Error', 10.0)
    assert error(session) is ErrorEnum.RELAIS


def a_lost_opening_is_no_weld(session: Session) -> None:
    """One lost report must not end in a fault that only a service engineer can clear."""
    session.charge()
    session.do('inject line_drop 2')
    session.limit(0.0)
    session.until(lambda: session.state.contactor is ContactorState.OPEN, 'open', 15.0)
    session.pass_time(3.0)
    assert 'Error' not in session.codes or error(session) is not ErrorEnum.RELAIS
    assert not session.status.active_errors


def while_charging(fault: str, code: BoardErrorEnum, event: ErrorEnum) -> Sequence:
    """An error of the board opens the contactor, and ends with its cause and the unplugging."""

    def played(session: Session) -> None:
        session.charge()
        session.until(lambda: max(session.host.board.world.currents_a) > 0.0, 'current')
        session.do(f'inject {fault}')
        session.until(lambda: any(code in reported(state) for state in session.states), fault)
        session.opens(0.5)
        session.sees('Error')
        assert error(session) is event
        session.do('clear')
        session.do('unplug')
        ends_well(session)

    return played


def before_closing(fault: str, code: BoardErrorEnum) -> Sequence:
    """An error of the board keeps the contactor open."""

    def played(session: Session) -> None:
        session.do(f'inject {fault}')
        session.do('plug_in')
        session.authorize()
        session.until(lambda: code in errors(session), fault)
        assert not session.relay_closed
        session.do('clear')
        session.do('unplug')
        ends_well(session)

    return played


def reported(state: object) -> set[BoardErrorEnum]:
    return {each.code for each in state.active_errors}  # type: ignore[attr-defined]


def ends_well(session: Session) -> None:
    session.until(lambda: 'SF' in session.codes, 'end of the session')
    session.until(lambda: not session.status.active_errors, 'no errors')
    session.until(lambda: not session.state.active_errors, 'no errors of the board')
    session.until(lambda: session.state.lock in {LockState.UNLOCKED, LockState.NONE}, 'unlocked')
    session.pass_time(0.5)
    session.forget()
    session.charge()


def cable_and_lock_are_read(session: Session) -> None:
    assert session.state.proximity is ProximityState.NO_PLUG
    session.do('set_proximity 20')
    session.charge()
    assert session.state.proximity is ProximityState.PLUG
    assert session.state.cable_ampacity_a == 20.0
    assert session.state.lock is LockState.LOCKED
    assert session.state.current_a <= 20.0
    session.do('unplug')
    session.sees('SC CF TF SF')
    session.until(lambda: session.state.lock is LockState.UNLOCKED, 'unlocked')


def the_contactor_opens_within_a_tenth_of_a_second(session: Session) -> None:
    session.charge()
    for _ in range(2):
        session.do('ev_pause')
        session.until(lambda: session.host.board.seen.cp_state is ControlPilotState.B, 'B')
        took = session.until(lambda: not session.relay_closed, 'open', 2.0)
        assert took < 0.1
        session.sees('PEV')
        session.do('ev_resume')
        session.sees('CR')


def a_break_of_the_pilot_wakes_the_ev(session: Session) -> None:
    session.do('plug_in needs_wakeup')
    session.sees('SS AR')
    session.authorize()
    session.sees('TS PC')
    session.replug()
    session.until(lambda: session.state.cp_state is ControlPilotState.F, 'F', 2.0)
    assert session.host.call(lambda: session.host.board.world.outputs.pilot_mode) is PilotMode.F
    session.until(lambda: session.relay_closed, 'closed')


def an_attached_cable_has_no_lock(session: Session) -> None:
    session.do('set_proximity 0')
    session.charge()
    assert session.state.lock is LockState.NONE
    assert session.state.proximity is ProximityState.NOT_AVAILABLE


def meter_and_temperature(session: Session) -> None:
    session.charge('soc_percent=20')
    before = session.host.call(lambda: session.host.board.world.meter.energy_wh)
    session.pass_time(5.0)
    sample = session.sample
    assert sample is not None
    assert sample.current_a is not None
    assert sample.current_a.l3 == pytest.approx(32.0, abs=0.1)
    assert sample.power_w is not None
    assert sample.power_w.total == pytest.approx(3 * 32.0 * 230.0, rel=0.03)
    truth = session.host.call(lambda: session.host.board.world.meter.energy_wh)
    assert truth > before
    assert sample.energy_wh_import.total == pytest.approx(truth, abs=7.0)
    assert session.telemetry is not None
    assert session.telemetry.temperature_c == pytest.approx(30.0, abs=6.0)
    session.do('wrong temperature 0')
    session.until(lambda: session.telemetry.temperature_c is None, 'no temperature')
    session.do('wrong energy 0')
    session.pass_time(2.2)
    session.do('wrong energy')
    session.pass_time(1.2)
    assert session.sample.energy_wh_import.total >= sample.energy_wh_import.total


def corrupt_bytes_all_the_time(session: Session) -> None:
    before = counted(session, 'frames dropped (failed check)')
    for _ in range(10):  # longer, and too many keep-alives in a row are lost
        session.do('inject line_corrupt 1')
        session.do('inject line_corrupt 1 to_board')
        session.pass_time(0.2)
        assert session.state.contactor is not ContactorState.CLOSED
        assert session.state.cp_state is ControlPilotState.A
    assert counted(session, 'frames dropped (failed check)') > before
    session.do('clear')
    session.charge()
    goes_on(session, 1.0)


def named(*plays: Sequence) -> dict[str, Sequence]:
    return {play.__name__: play for play in plays}


EVERY_BOARD: dict[str, Sequence] = {
    **LINK_FAULTS,
    **named(
        l11_own_requests_come_back,
        l12_the_board_restarts_while_charging,
        l13_no_start_without_authorization,
        l16_a_stalled_node,
        l19_an_unknown_state,
        l20_the_capability_shrinks,
        keep_alives_stop_but_states_go_on,
        orders_are_lost,
        states_are_lost,
        the_next_car_finds_no_permission,
        what_heals_is_not_charged_on,
        a_pause_opens_before_the_board_does,
        a_lost_opening_is_no_weld,
        the_contactor_opens_within_a_tenth_of_a_second,
        a_break_of_the_pilot_wakes_the_ev,
        meter_and_temperature,
        corrupt_bytes_all_the_time,
    ),
    'flag diode': while_charging('diode', _E.DIODE_FAULT, ErrorEnum.CAR_DIODE_FAULT),
    'flag rcd': while_charging('rcd_dc', _E.RCD_DC, ErrorEnum.RCD),
}
FIRMWARE_ONLY = named(
    a_weld_is_found_by_its_current,
    a_weld_keeps_the_contactor_from_closing_again,
    an_attached_cable_has_no_lock,
)
SIBLING_ONLY: dict[str, Sequence] = {
    **named(cable_and_lock_are_read),
    'flag over-current': while_charging('over_current', _E.OVER_CURRENT, ErrorEnum.OVER_CURRENT),
    'proximity fault': while_charging('proximity', _E.PROXIMITY_FAULT, ErrorEnum.OTHER),
    'the lock opens': while_charging('lock_opens', _E.LOCK_UNEXPECTEDLY_OPEN, ErrorEnum.OTHER),
    'flag rcd self-test': before_closing('rcd_self_test', _E.RCD_SELF_TEST),
    'flag lock': before_closing('lock_jam', _E.LOCK_FAILED_TO_LOCK),
}
FAULTS = {**EVERY_BOARD, **SIBLING_ONLY}
POSSIBLE = possible('yeti')


@pytest.mark.parametrize('name', POSSIBLE)
def test_sequence(name: str) -> None:
    with BoardSession('yeti') as session:
        POSSIBLE[name](session)


@pytest.mark.parametrize('name', SEQUENCES)
def test_sequence_of_a_sibling(name: str) -> None:
    with BoardSession('yeti', variants=SIBLING) as session:
        SEQUENCES[name](session)


@pytest.mark.parametrize('name', {**EVERY_BOARD, **FIRMWARE_ONLY})
def test_fault(name: str) -> None:
    with BoardSession('yeti', Config(replug_grace_s=0.0)) as session:
        {**EVERY_BOARD, **FIRMWARE_ONLY}[name](session)


@pytest.mark.parametrize('name', FAULTS)
def test_fault_of_a_sibling(name: str) -> None:
    config = Config(replug_grace_s=0.0, connector_type='socket')
    with BoardSession('yeti', config, variants=SIBLING) as session:
        FAULTS[name](session)


def test_an_attached_cable_of_a_sibling() -> None:
    with BoardSession('yeti', variants=SIBLING, socket=False) as session:
        an_attached_cable_has_no_lock(session)


PORT: dict[str, Callable[[Session], None]] = {
    'the_ev_pauses_and_resumes': SEQUENCES['the_ev_pauses_and_resumes'],
    **{
        name: LINK_FAULTS[name]
        for name in ('l8_the_port_is_pulled_and_put_back', 'l1_wrong_check_in_a_reply')
    },
}


@pytest.mark.parametrize('name', PORT)
def test_through_a_real_port(name: str) -> None:
    with Session('yeti') as session:
        PORT[name](session)
