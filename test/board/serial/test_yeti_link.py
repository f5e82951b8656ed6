"""
Yeti: the golden sequences, and the catalogue's faults of line and board, through pyserial and a real port.

Nearly all of the time is waiting, so all are played at once.
"""

import time
from collections.abc import Iterator

import pytest

from board.serial.link_faults import LINK_FAULTS, counted, errors, goes_on
from board.serial.sequences import Played, Sequence, error, possible
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


def never_closes(session: Session, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.pass_time(0.1)
        assert not session.relay_closed
        assert session.state.contactor is not ContactorState.CLOSED


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
    session.until(lambda: 'CR' in session.codes, 'charging goes on')


def l12_the_board_restarts_while_charging(session: Session) -> None:
    session.charge()
    closings = session.host.call(lambda: session.host.board.closings)
    session.do('reset')
    took = session.until(lambda: not session.relay_closed, 'open')
    assert took < 0.3
    session.sees('Error', 1.0)
    assert session.driver.diagnostics()['restarts of the board'] == '1'
    session.until(lambda: 'CR' in session.codes, 'charging goes on')
    assert session.host.call(lambda: session.host.board.closings) == closings + 1
    reasons = {state.opening_reason for state in session.states}
    assert OpeningReason.BOARD_RESET in reasons


def l13_no_start_without_authorization(session: Session) -> None:
    session.do('plug_in no_b_state')
    session.sees('SS AR')
    session.do('reset')
    session.until(lambda: session.link is not LinkState.UP, 'link lost')
    session.until(lambda: session.link is LinkState.UP, 'link up again')
    never_closes(session, 3.0)


def l16_a_stalled_node(session: Session) -> None:
    session.charge()
    time.sleep(5.3)  # the node does nothing at all
    assert not session.relay_closed
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
    truth = session.host.call(lambda: session.host.board.world.outputs.current_a)
    assert truth <= 16.0
    session.sees_nothing(0.5)
    hardware = session.driver.hw_capabilities()
    assert hardware is not None
    assert hardware.max_current_a_import == 16.0


def keep_alives_stop_but_states_go_on(session: Session) -> None:
    session.charge()
    begun = time.monotonic()
    session.do('inject no_keep_alive')
    session.sees('Error', 7.0)
    assert 3.9 < time.monotonic() - begun < 6.1
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


def a_board_that_tells_changes_only(session: Session) -> None:
    session.do('inject tells_once')
    session.charge()
    session.do('ev_pause')
    session.sees('PEV')
    session.do('ev_resume')
    session.sees('CR')
    session.do('unplug')
    session.sees('SC CF TF SF')


def while_charging(fault: str, code: BoardErrorEnum, event: ErrorEnum) -> Sequence:
    """An error of the board opens the contactor, and ends with its cause and the unplugging."""

    def played(session: Session) -> None:
        session.charge()
        session.until(lambda: max(session.host.board.world.currents_a) > 0.0, 'current')
        session.do(f'inject {fault}')
        session.until(lambda: code in errors(session), fault)
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


def ends_well(session: Session) -> None:
    session.until(lambda: 'SF' in session.codes, 'end of the session')
    session.until(lambda: not session.status.active_errors, 'no errors')
    session.until(lambda: not session.state.active_errors, 'no errors of the board')
    session.until(lambda: session.state.lock is LockState.UNLOCKED, 'unlocked')
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
    session._loop.replug(session._moment())
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
    session.pass_time(5.0)
    sample = session.sample
    assert sample is not None
    assert sample.current_a is not None
    assert sample.current_a.l3 == pytest.approx(32.0, abs=0.1)
    assert sample.power_w is not None
    assert sample.power_w.total == pytest.approx(3 * 32.0 * 230.0, rel=0.03)
    truth = session.host.call(lambda: session.host.board.world.meter.energy_wh)
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


OWN: dict[str, Sequence] = {
    play.__name__: play
    for play in (
        l11_own_requests_come_back,
        l12_the_board_restarts_while_charging,
        l13_no_start_without_authorization,
        l16_a_stalled_node,
        l19_an_unknown_state,
        l20_the_capability_shrinks,
        keep_alives_stop_but_states_go_on,
        orders_are_lost,
        states_are_lost,
        a_board_that_tells_changes_only,
        cable_and_lock_are_read,
        the_contactor_opens_within_a_tenth_of_a_second,
        a_break_of_the_pilot_wakes_the_ev,
        meter_and_temperature,
        corrupt_bytes_all_the_time,
    )
}
_E = BoardErrorEnum
FLAGS: dict[str, Sequence] = {
    'flag diode': while_charging('diode', _E.DIODE_FAULT, ErrorEnum.CAR_DIODE_FAULT),
    'flag rcd': while_charging('rcd_dc', _E.RCD_DC, ErrorEnum.RCD),
    'flag over-current': while_charging('over_current', _E.OVER_CURRENT, ErrorEnum.OVER_CURRENT),
    'proximity fault': while_charging('proximity', _E.PROXIMITY_FAULT, ErrorEnum.OTHER),
    'the lock opens': while_charging('lock_opens', _E.LOCK_UNEXPECTEDLY_OPEN, ErrorEnum.OTHER),
    'flag rcd self-test': before_closing('rcd_self_test', _E.RCD_SELF_TEST),
    'flag lock': before_closing('lock_jam', _E.LOCK_FAILED_TO_LOCK),
}
FAULTS = {**OWN, **FLAGS, **LINK_FAULTS}
ATTACHED = {'an_attached_cable_has_no_lock': an_attached_cable_has_no_lock}

POSSIBLE = possible('yeti')


@pytest.fixture(scope='module')
def played() -> Iterator[Played]:
    config = Config(replug_grace_s=0.0, connector_type='socket')
    with Played() as played:
        played.begin(POSSIBLE, lambda: Session('yeti'))
        played.begin(FAULTS, lambda: Session('yeti', config))
        played.begin(ATTACHED, lambda: Session('yeti', socket=False))
        yield played


@pytest.mark.parametrize('name', POSSIBLE)
def test_sequence(played: Played, name: str) -> None:
    played.result(name)


@pytest.mark.parametrize('name', [*FAULTS, *ATTACHED])
def test_fault(played: Played, name: str) -> None:
    played.result(name)
