"""
Phoenix: what two real firmwares of other boards taught, asked of a board that has not been run.

Does it block, forget what was read, restart with other orders, close by itself, wake the EV up by itself?
Where no document answers, the driver has to be safe with either answer, so each test runs without and with
the variant of the virtual board.
"""

import pytest

from board.serial.link_faults import errors
from board.serial.lock_step import BoardSession
from board.serial.sequences import error, stopped
from evse_manager.charging.inputs import StopTransaction
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ErrorEnum,
    LinkState,
    PilotMode,
    StopTransactionReason,
)
from evse_manager.interface.types import StopTransactionRequest
from evse_manager.simulation.virtual.phoenix_firmware import ENABLE, VARIANTS

pytestmark = pytest.mark.timeout(60)

EVERY = pytest.mark.parametrize('variant', ['', *VARIANTS])
RESTARTS = pytest.mark.parametrize('variant', ['', 'enabled_at_start', 'keeps_orders'])
BOOT_S = 1.0
NOTICED_S = 0.6
"""A restart is noticed within this after the board answers again: a state, an order that differs."""


def session_with(variant: str) -> BoardSession:
    return BoardSession('phoenix', variants=(variant,) if variant else ())


def enabled(session: BoardSession) -> bool:
    return bool(session.host.board.coils[ENABLE])  # type: ignore[attr-defined]


@pytest.mark.parametrize('variant', ['', *(each for each in VARIANTS if each != 'blocks')])
def test_a_session(variant: str) -> None:
    with session_with(variant) as session:
        session.do('plug_in')
        session.until(lambda: 'AR' in session.codes, 'plugged')
        session.authorize()
        session.until(lambda: session.relay_closed, 'closed', 30.0)
        session.until(lambda: 'CS' in session.codes or 'CR' in session.codes, 'charging', 30.0)
        session.forget()
        stop = StopTransaction(StopTransactionRequest(StopTransactionReason.REMOTE))
        assert session.command(stop).success
        session.opens(7.0)
        session.until(lambda: 'TF' in session.codes, 'finished')
        assert stopped(session) is StopTransactionReason.REMOTE
        session.do('unplug')
        session.until(lambda: 'SF' in session.codes, 'left')


@EVERY
def test_no_permission_outlasts_the_unplugging(variant: str) -> None:
    with session_with(variant) as session:
        session.do('plug_in')
        session.until(lambda: 'AR' in session.codes, 'plugged')
        session.authorize()
        session.until(lambda: session.relay_closed, 'closed', 30.0)
        session.pass_time(4.0)
        session.do('unplug')
        session.until(lambda: not enabled(session), 'not enabled', 3.5)
        session.pass_time(2.0)
        session.do('plug_in no_b_state')
        for _ in range(50):
            session.pass_time(0.1)
            assert not session.relay_closed


@pytest.mark.parametrize('variant', ['', 'stays_closed_in_c1'])
def test_a_car_that_stays_in_c_is_switched_off(variant: str) -> None:
    with session_with(variant) as session:
        session.charge('stays_in_c')
        session.limit(0.0)
        session.sees('WE', 10.0)
        session.opens(7.5)
        session.pass_time(5.0)
        assert not session.relay_closed


@pytest.mark.parametrize('variant', ['', 'forgets_read_errors', 'resets_monitor'])
@pytest.mark.parametrize(
    ('fault', 'code'),
    [('diode', ErrorEnum.CAR_DIODE_FAULT), ('rcd_dc', ErrorEnum.RCD), ('rcd_ac', ErrorEnum.RCD)],
)
def test_an_error_that_is_read_only_once_keeps_the_contactor_open(
    variant: str, fault: str, code: ErrorEnum
) -> None:
    with session_with(variant) as session:
        session.charge()
        session.do(f'inject {fault}')
        session.sees('Error', 3.0)
        assert error(session) is code
        session.opens(0.5)
        session.do('clear')
        for _ in range(100):
            session.pass_time(0.1)
            assert not session.relay_closed
            assert not enabled(session)


@RESTARTS
def test_a_restart_never_leaves_more_than_the_limit(variant: str) -> None:
    with session_with(variant) as session:
        session.limit(10.0)
        session.charge()
        session.do('reset')
        world = session.host.board.world
        over = closed = 0.0
        for _ in range(400):
            session.pass_time(0.01)
            pwm = world.outputs.pilot_mode is PilotMode.PWM
            over += 0.01 * (pwm and world.outputs.current_a > 10.0)
            closed += 0.01 * (session.relay_closed and session.now > BOOT_S and not enabled(session))
        assert over <= NOTICED_S
        assert closed <= NOTICED_S
        session.until(lambda: session.link is LinkState.UP, 'link up')


@RESTARTS
def test_a_restart_starts_nothing_without_a_token(variant: str) -> None:
    with session_with(variant) as session:
        session.do('plug_in no_b_state')
        session.sees('SS AR')
        session.do('reset')
        closed = 0.0
        for _ in range(600):
            session.pass_time(0.01)
            closed += 0.01 * session.relay_closed
        assert closed <= NOTICED_S
        assert not enabled(session)


@pytest.mark.parametrize('variant', ['', 'activation_shows_f'])
def test_an_ev_that_sleeps_is_woken_once_by_board_or_manager(variant: str) -> None:
    with session_with(variant) as session:
        session.do('plug_in needs_wakeup')
        session.sees('SS AR')
        session.authorize()
        session.until(lambda: 'CS' in session.codes, 'charging', 60.0)
        assert not session.status.active_errors


@pytest.mark.parametrize('variant', ['', 'activation_shows_f'])
def test_an_ev_that_never_asks_ends_in_a_pause_without_an_error(variant: str) -> None:
    with session_with(variant) as session:
        session.do('plug_in never_asks')
        session.sees('SS AR')
        session.authorize()
        session.until(lambda: 'PEV' in session.codes, 'a pause', 90.0)
        assert 'Error' not in session.codes
        assert not session.relay_closed


def test_a_monitor_that_resets_itself_is_reported() -> None:
    with BoardSession('phoenix') as session:
        assert 'resets itself' not in session.driver.diagnostics()['switches']
        session.host.board.retentive[4011] = 1  # type: ignore[attr-defined]
        session.pass_time(31.0)
        assert 'resets itself' in session.driver.diagnostics()['switches']


def test_a_board_that_blocks_is_no_fault_of_its_contactor() -> None:
    """It is lost with each movement, so that no car charges; but nothing is closed against our orders."""
    with session_with('blocks') as session:
        session.do('plug_in')
        session.until(lambda: 'AR' in session.codes, 'plugged')
        session.authorize()
        session.until(lambda: session.relay_closed, 'closed', 30.0)
        session.pass_time(20.0)
        assert enabled(session) or not session.relay_closed
        assert not errors(session) & {BoardErrorEnum.CONTACTOR_WELDED, BoardErrorEnum.CONTACTOR_FAULT}
        assert not any('Contactor' in each.vendor_error for each in session.status.active_errors)
