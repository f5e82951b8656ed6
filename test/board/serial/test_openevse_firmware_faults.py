"""
What the firmware of an OpenEVSE does to a driver: kernel, controller and driver on the virtual board.

Each test is a defect that the real firmware has shown; what it does is in docs/boards/openevse.md.
"""

from collections.abc import Callable, Iterator

import pytest

from board.serial.lock_step import LockStepSession
from board.serial.sequences import error
from evse_manager.charging.inputs import (
    ClearFault,
    Disable,
    PauseCharging,
    ResumeCharging,
    StopTransaction,
)
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LinkState,
    PilotMode,
    StopTransactionReason,
)
from evse_manager.interface.types import StopTransactionRequest
from evse_manager.simulation.virtual.openevse_states import FAULTS

pytestmark = pytest.mark.timeout(120)

ROUND_TRIP_S = 0.15
"""An order reaches an awake board at the end of its loop, at most 46 ms; a report takes as long."""

LOOK_S = 0.12
"""How long a look at the contacts may offer PWM: from the end of one loop until it sleeps again."""

LEAST_A = 6.0


@pytest.fixture
def session() -> Iterator[LockStepSession]:
    with LockStepSession() as session:
        yield session


def stop(session: LockStepSession) -> None:
    assert session.command(StopTransaction(StopTransactionRequest(StopTransactionReason.REMOTE))).success


def board_errors(session: LockStepSession) -> list[BoardErrorEnum]:
    return [each.code for each in session.state.active_errors]


def kinds(session: LockStepSession) -> list[ErrorEnum]:
    """Return the errors that were raised since ``forget``."""
    return [event.error.error_code for event in session.events[session._mark :] if event.error is not None]


def assert_no_order_in_a_fault(session: LockStepSession) -> None:
    erased = [
        (t, order) for t, order, state in session.orders if state in FAULTS and order[:2] in {'FS', 'FD'}
    ]
    assert not erased


# --- D1: the plug of a sleeping board ---------------------------------------------------------------------


def test_a_plug_and_an_unplug_are_seen_while_the_board_sleeps(session: LockStepSession) -> None:
    session.do('plug_in')
    session.sees('SS AR', 1.5)
    assert session.state.pilot_mode is PilotMode.X1
    session.do('unplug')
    session.sees('SF', 1.5)
    assert session.state.cp_state is ControlPilotState.A


def test_a_car_that_leaves_in_a_pause_ends_its_session(session: LockStepSession) -> None:
    session.charge()
    assert session.command(PauseCharging()).success
    session.sees('PEVSE')
    session.opens()
    session.do('unplug')
    session.sees('SC CF TF SF', 2.0)


def test_no_car_charges_in_the_session_of_the_one_before(session: LockStepSession) -> None:
    session.charge()
    session.limit(0.0)
    session.sees('WE')
    session.opens()
    session.do('unplug')
    session.sees('SC CF TF SF', 2.0)
    session.do('plug_in')
    session.sees('SS AR', 5.0)
    session.limit(None)
    session.sees_nothing(5.0)
    assert not session.relay_closed


# --- D2: welded contacts ----------------------------------------------------------------------------------


def at_a_stop(session: LockStepSession) -> str:
    stop(session)
    return 'SC CF TF Error'


def at_an_unplugging(session: LockStepSession) -> str:
    session.do('unplug')
    return 'SC CF TF SF Error'


def at_a_pause(session: LockStepSession) -> str:
    assert session.command(PauseCharging()).success
    return 'PEVSE Error'


def at_a_pause_of_the_ev(session: LockStepSession) -> str:
    session.do('ev_pause')
    return 'PEV Error'


def at_a_disabling(session: LockStepSession) -> str:
    assert session.command(Disable(0)).success
    return 'SC CF TF SF Disabled Error'


@pytest.mark.parametrize(
    'end', [at_a_stop, at_an_unplugging, at_a_pause, at_a_pause_of_the_ev, at_a_disabling]
)
def test_a_weld_is_found(session: LockStepSession, end: Callable[[LockStepSession], str]) -> None:
    session.charge()
    session.do('inject relay_weld')
    session.sees(end(session), 8.0)
    assert error(session) is ErrorEnum.RELAIS
    assert session.state.contactor is ContactorState.CLOSED
    assert_no_order_in_a_fault(session)
    session.pass_time(20.0)
    assert board_errors(session) == [BoardErrorEnum.CONTACTOR_WELDED]
    session.forget()
    session.do('unplug' if session.world.ev is not None else 'plug_in')
    session.pass_time(5.0)
    assert board_errors(session) == [BoardErrorEnum.CONTACTOR_WELDED]
    assert not session.command(ClearFault()).success


def test_the_looks_at_the_contacts_leave_a_car_no_time_to_react(session: LockStepSession) -> None:
    session.charge()
    stop(session)
    session.opens()
    opened = session.now
    session.pass_time(6.0)
    assert [order for t, order, _ in session.orders if t > opened].count('FE') == 2
    assert session.excess(LEAST_A, opened) == 0.0
    assert session.excess(0.0, opened) <= LOOK_S
    assert session.codes == ['SC', 'CF', 'TF']


@pytest.mark.parametrize('restart', ['nodes', 'board'])
def test_a_weld_is_found_when_the_driver_or_the_board_starts(session: LockStepSession, restart: str) -> None:
    session.charge()
    session.do('inject relay_weld')
    session.pass_time(1.0)
    session.forget()
    if restart == 'nodes':
        session.restart_nodes()
    else:
        session.do('reset')
    session.until(lambda: ErrorEnum.RELAIS in kinds(session), 'a weld', 12.0)
    assert session.state.contactor is ContactorState.CLOSED
    assert 'Available' not in session.codes
    assert_no_order_in_a_fault(session)


# --- D3: a report of a fault is not erased ----------------------------------------------------------------


def test_a_fault_that_lasts_is_read_by_a_driver_that_starts_later(session: LockStepSession) -> None:
    session.charge()
    session.do('inject diode')
    session.sees('Error')
    session.restart_nodes()
    session.until(lambda: board_errors(session) == [BoardErrorEnum.DIODE_FAULT], 'the diode fault')
    assert_no_order_in_a_fault(session)
    session.do('clear')
    session.do('unplug')
    session.until(lambda: not board_errors(session), 'the end of the fault', 3.0)


def test_a_hard_fault_that_was_put_to_sleep_is_not_forgotten(session: LockStepSession) -> None:
    session.charge()
    session.do('inject diode')
    session.sees('Error')
    session.firmware.receive(b'$FS^31\r')  # another host on the line
    session.pass_time(3.0)
    assert session.firmware.state not in FAULTS
    assert board_errors(session) == [BoardErrorEnum.DIODE_FAULT]
    session.restart_nodes()
    session.until(
        lambda: board_errors(session) == [BoardErrorEnum.VENDOR_ERROR], 'a hard fault without a name'
    )
    assert not session.relay_closed


def test_a_failed_self_test_at_power_up_lasts_until_the_next_start(session: LockStepSession) -> None:
    session.do('inject rcd_self_test')
    session.do('reset')
    session.until(lambda: ErrorEnum.RCD in kinds(session), 'the failed self-test', 12.0)
    assert board_errors(session) == [BoardErrorEnum.RCD_SELF_TEST]
    session.do('plug_in')
    session.authorize()
    session.pass_time(10.0)
    assert not session.relay_closed
    assert_no_order_in_a_fault(session)
    session.do('clear')
    session.do('reset')
    session.until(lambda: session.link is LinkState.UP and not board_errors(session), 'a good start', 12.0)


def test_a_board_that_does_not_wake_up_is_no_good_board(session: LockStepSession) -> None:
    session.do('inject rcd_self_test')
    session.do('reset')
    session.until(lambda: ErrorEnum.RCD in kinds(session), 'the failed self-test', 12.0)
    session.firmware.receive(b'$FS^31\r')  # another host on the line
    session.restart_nodes()
    session.until(lambda: board_errors(session) == [BoardErrorEnum.VENDOR_ERROR], 'not available', 8.0)


# --- D4, D8: a board that is busy with itself is not lost -------------------------------------------------


def test_a_self_test_that_fails_before_closing_is_an_error_of_the_rcd(session: LockStepSession) -> None:
    session.do('plug_in')
    session.sees('SS AR')
    session.do('inject rcd_self_test')
    session.authorize()
    session.sees('TS PC Error', 8.0)
    assert error(session) is ErrorEnum.RCD
    session.pass_time(5.0)
    assert session.codes == []
    session.do('clear')
    session.do('unplug')
    session.sees('AllErrorsCleared SC CF TF SF')


def test_a_self_test_that_clears_late_delays_the_charging_only(session: LockStepSession) -> None:
    session.do('inject self_test_late')
    session.charge()
    session.sees_nothing(3.0)


def test_a_board_that_is_too_hot_is_no_lost_board(session: LockStepSession) -> None:
    session.charge()
    session.do('inject over_temperature')
    session.until(lambda: BoardErrorEnum.OVER_TEMPERATURE in board_errors(session), 'too hot', 60.0)
    session.opens(8.0)
    session.pass_time(5.0)
    assert set(kinds(session)) == {ErrorEnum.OTHER}
    assert session.state.contactor is ContactorState.OPEN
    assert_no_order_in_a_fault(session)


def into_the_self_test(session: LockStepSession) -> None:
    """Let a car ask, and the board begin the test in which it obeys nothing."""
    session.do('plug_in')
    session.sees('SS AR')
    session.authorize()
    session.sees('TS PC')
    session.until(lambda: session.firmware.residual._testing, 'a self-test')
    assert not session.relay_closed


def closed_for(session: LockStepSession, since: float) -> float:
    """Return for how long the contacts were closed since a moment."""
    spans = zip(session.offers, session.offers[1:])
    return sum(after.t - offer.t for offer, after in spans if offer.closed and offer.t > since)


def test_a_stop_in_the_self_test_opens_as_soon_as_the_board_listens(session: LockStepSession) -> None:
    into_the_self_test(session)
    begun = session.now
    stop(session)
    session.pass_time(5.0)
    assert 0.0 < closed_for(session, begun) <= 0.2, 'the firmware closes, and then obeys'
    assert not session.relay_closed
    assert 'CS' not in session.codes


def test_an_unplugging_in_the_self_test_closes_without_a_car_for_a_moment(session: LockStepSession) -> None:
    into_the_self_test(session)
    begun = session.now
    session.do('unplug')
    session.pass_time(6.0)
    assert 0.0 < closed_for(session, begun) <= 0.6
    assert not session.relay_closed
    assert session.codes[-3:] == ['CF', 'TF', 'SF']


# --- D5: state D ------------------------------------------------------------------------------------------


def test_state_d_is_a_fault_until_the_unplugging(session: LockStepSession) -> None:
    session.charge()
    session.do('inject ventilation')
    session.sees('Error')
    assert error(session) is ErrorEnum.VENTILATION_NOT_AVAILABLE
    session.opens()
    session.do('clear')
    session.sees_nothing(5.0)
    assert session.state.pilot_mode is PilotMode.X1
    session.do('unplug')
    session.sees('AllErrorsCleared SC CF TF SF')
    session.pass_time(3.0)
    session.charge()


# --- D6: a current below the ordered one ------------------------------------------------------------------


def test_after_a_warm_phase_the_board_charges_with_what_it_allows_and_then_with_all(
    session: LockStepSession,
) -> None:
    session.limit(24.0)
    session.charge()
    session.heat(66.0)
    session.until(lambda: session.firmware.currents.in_force_a == 16, 'a throttled board')
    session.until(lambda: session.state.current_a == 16.0, 'the throttled current', 2.0)
    assert session.command(PauseCharging()).success
    session.sees('PEVSE')
    session.opens()
    session.heat(63.0)
    session.pass_time(5.0)
    assert session.command(ResumeCharging()).success
    session.sees('CR')
    assert session.state.current_a <= 16.0
    cooled = session.now
    session.heat(40.0)
    session.until(lambda: session.state.current_a == 24.0, 'the whole current', 10.0)
    assert session.excess(24.0, cooled) <= ROUND_TRIP_S
    assert session.codes == []


def test_a_board_that_has_cooled_down_asleep_offers_no_more_than_ordered(session: LockStepSession) -> None:
    session.limit(10.0)
    session.charge()
    session.heat(66.0)
    session.until(lambda: session.firmware.currents.throttled, 'a throttled board')
    assert session.command(PauseCharging()).success
    session.sees('PEVSE')
    session.opens()
    session.heat(40.0)
    asleep = session.now
    session.pass_time(5.0)
    assert session.command(ResumeCharging()).success
    session.sees('CR')
    assert session.excess(10.0, asleep) <= ROUND_TRIP_S


def test_throttling_does_not_raise_a_lower_limit(session: LockStepSession) -> None:
    session.limit(10.0)
    session.charge()
    begun = session.now
    for temperature_c in (66.0, 69.0, 64.0, 55.0):
        session.heat(temperature_c)
        session.pass_time(5.0)
        assert session.firmware.currents.in_force_a <= 10
    assert session.excess(10.0, begun) <= ROUND_TRIP_S
    assert session.excess(10.0, begun) > 0.0, 'the firmware has raised it'
    assert session.relay_closed


# --- D7, D10, D11: the heartbeat and a node that was stopped ----------------------------------------------


def test_a_node_that_was_stopped_does_not_raise_the_pilot(session: LockStepSession) -> None:
    session.limit(20.0)
    session.charge()
    session.pass_time(2.0)
    begun = session.now
    session.stall(8.0)
    assert session.firmware.currents.in_force_a == 6
    session.sees('SC CF TF SF SS AR')  # the cable was out of sight for too long
    session.authorize()
    session.sees('TS PC CS')
    assert session.excess(20.0, begun) == 0.0
    assert session.state.current_a == 20.0
    assert 'SY 165' not in {order for _, order, _ in session.orders}
    assert int(session.driver.diagnostics()['heartbeats missed']) == 1


@pytest.mark.parametrize('seconds', [0.3, 0.6, 3.0, 4.0])
def test_a_short_stop_announces_nothing_that_did_not_happen(session: LockStepSession, seconds: float) -> None:
    session.charge()
    session.pass_time(2.0)
    session.stall(seconds)
    session.pass_time(10.0)
    assert session.codes == (['CR'] if seconds > 2.0 else [])
    assert session.relay_closed


def test_the_heartbeat_stays_armed_when_the_node_ends(session: LockStepSession) -> None:
    session.charge()
    session._loop.shut_down(session._moment())
    session.driver.close()
    session.stall(1.0)
    assert not session.relay_closed
    session.host.execute('reset')
    session.stall(15.0)
    assert session.firmware.memory.heartbeat_s == 5
    assert session.firmware.currents.in_force_a == 6


# --- D9: one error for one fault --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('fault', 'kind'),
    [
        ('rcd_ac', ErrorEnum.RCD),
        ('ground', ErrorEnum.RCD),
        ('diode', ErrorEnum.CAR_DIODE_FAULT),
        ('pilot_short', ErrorEnum.CAR_DIODE_FAULT),
        ('ventilation', ErrorEnum.VENTILATION_NOT_AVAILABLE),
        ('relay_drops', ErrorEnum.RCD),
    ],
)
@pytest.mark.parametrize('after_s', [0.5, 4.0])
def test_a_fault_has_one_error(session: LockStepSession, fault: str, kind: ErrorEnum, after_s: float) -> None:
    session.charge()
    session.pass_time(after_s)
    session.do(f'inject {fault}')
    session.sees('Error', 5.0)
    assert error(session) is kind
    session.opens(1.0)
    session.sees_nothing(8.0)
    assert_no_order_in_a_fault(session)
    session.do('clear')
    session.do('unplug')
    session.sees('AllErrorsCleared SC CF TF SF', 5.0)


def test_a_residual_current_while_asleep_is_reported(session: LockStepSession) -> None:
    session.do('plug_in')
    session.sees('SS AR')
    session.pass_time(2.0)
    session.do('inject rcd_ac')
    session.sees('Error', 4.0)
    assert error(session) is ErrorEnum.RCD
    session.sees_nothing(5.0)
    session.do('clear')
    session.do('unplug')
    session.sees('AllErrorsCleared SF', 5.0)


def test_a_retry_of_the_firmware_closes_nothing(session: LockStepSession) -> None:
    session.charge()
    session.pass_time(4.0)
    session.do('inject rcd_ac')
    session.sees('Error', 5.0)
    session.do('clear')
    tripped = session.now
    session.pass_time(310.0)
    assert session.codes == []
    offered = [offer for offer in session.offers if offer.t > tripped and offer.current_a > 0.0]
    assert offered, 'the firmware has tried again'
    assert session.excess(LEAST_A, tripped + 1.0) == 0.0
    assert session.excess(0.0, tripped + 1.0) <= ROUND_TRIP_S
    assert not any(offer.closed for offer in session.offers if offer.t > tripped + 1.0)
    assert board_errors(session) == [BoardErrorEnum.RCD_AC]


# --- D12: the register ------------------------------------------------------------------------------------


def test_the_register_goes_on_over_restarts_of_the_node(session: LockStepSession) -> None:
    def register() -> float:
        session.pass_time(5.0)
        assert session.sample is not None
        assert session.sample.energy_wh_import is not None
        return session.sample.energy_wh_import.total

    session.charge()
    session.pass_time(60.0)
    before = register()
    assert before > 50.0
    session.sample = None
    session.restart_nodes()
    restarted = register()
    assert restarted >= before
    session.do('unplug')
    session.pass_time(12.0)
    left = register()
    assert left >= restarted
    session.sample = None
    session.restart_nodes()
    assert register() == left


# --- orders that are lost ---------------------------------------------------------------------------------

LOST_ORDER_S = 0.4
"""The repetition of an order that was not answered, and a round trip."""


@pytest.mark.parametrize('what', ['line_drop', 'line_corrupt', 'line_truncate'])
def test_a_lower_limit_is_in_force_soon_although_its_order_was_lost(
    session: LockStepSession, what: str
) -> None:
    session.charge()
    session.pass_time(2.3)
    session.do(f'inject {what} 1 to_board')
    begun = session.now
    session.limit(10.0)
    session.pass_time(2.0)
    assert session.excess(10.0, begun) <= LOST_ORDER_S
    assert session.firmware.currents.in_force_a == 10
    assert session.firmware.memory.current_writes == 0


def test_a_pause_withdraws_the_pilot_soon_although_its_order_was_lost(session: LockStepSession) -> None:
    session.charge()
    session.pass_time(2.3)
    session.do('inject line_drop 1 to_board')
    begun = session.now
    assert session.command(PauseCharging()).success
    session.sees('PEVSE', 5.0)
    assert session.excess(0.0, begun) <= LOST_ORDER_S


def test_a_current_is_never_stored(session: LockStepSession) -> None:
    session.do('plug_in')
    session.sees('SS AR')
    session.authorize()
    session.pass_time(0.5)  # the board tests itself, and answers nothing
    for current_a in (10.0, 20.0, 8.0, 30.0, 12.0, 16.0):
        session.limit(current_a)
        session.pass_time(0.07)
    session.pass_time(5.0)
    assert session.firmware.memory.current_writes == 0
    assert session.firmware.currents.in_force_a == 16
    assert session.relay_closed
