"""Yeti in lock-step with its virtual board: rules that hold whatever happens on line and board."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.serial.yeti_harness import CHARGE, OPENS_WITHIN_S, REST, YetiHarness
from evse_manager.board.boards.yeti.conversation import RESET_S, SETTLING_S, Yeti
from evse_manager.board.boards.yeti.messages import (
    X1_DUTY,
    AllowPower,
    Duty,
    ErrorFlags,
    HostKeepAlive,
    Lock,
    PilotState,
    Relay,
    ResetOrder,
    YetiParser,
    frame,
)
from evse_manager.board.boards.yeti.meter import YetiMeter
from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.types import Time
from evse_manager.simulation.virtual.yeti_firmware import BOOT_S, TURN_S, VARIANTS

FIRMWARE: tuple[str, ...] = ()
SIBLING = ('sibling',)
BOTH = pytest.mark.parametrize('variants', [FIRMWARE, SIBLING], ids=['firmware 2.2', 'sibling'])


def connected(variants: tuple[str, ...] = FIRMWARE, seed: int = 1) -> YetiHarness:
    harness = YetiHarness(seed, variants=variants)
    harness.until_up()
    return harness


def swallow(harness: YetiHarness, message: PilotState | Relay | ErrorFlags, *, damaged: bool) -> None:
    """Let the next report of a state be lost, or arrive with one byte wrong."""
    lost = frame(message)
    carry = harness.line.from_board

    def carry_all_but(data: bytes) -> None:
        if data != lost:
            carry(data)
            return
        harness.board.send = carry
        if damaged:
            carry(data[:-3] + bytes([data[-3] ^ 0x5A or 1]) + data[-2:])

    harness.board.send = carry_all_but


def restarts(harness: YetiHarness) -> int:
    return harness.orders.count(ResetOrder(True))


# --- connecting ------------------------------------------------------------------------------------


def test_power_is_withdrawn_before_the_board_is_restarted() -> None:
    harness = YetiHarness()
    kinds = [order for order in harness.orders if not isinstance(order, HostKeepAlive)]
    assert kinds == [AllowPower(False), Duty(X1_DUTY), ResetOrder(True)]
    harness.orders.clear()
    harness.until_up()
    assert ResetOrder(True) not in harness.orders


@pytest.mark.parametrize('variant', [None, 'sibling', *VARIANTS])
def test_the_link_comes_up_with_every_variant(variant: str | None) -> None:
    harness = connected((variant,) if variant else ())
    has_socket = variant in {'sibling', 'has_socket'}
    assert harness.driver.has_lock is harness.driver.has_proximity is has_socket
    assert harness.last.lock is (LockState.UNLOCKED if has_socket else LockState.NONE)
    assert harness.last.proximity is (ProximityState.NO_PLUG if has_socket else ProximityState.NOT_AVAILABLE)
    assert harness.last.contactor is ContactorState.OPEN
    harness.charge()
    assert harness.last.contactor is ContactorState.CLOSED


def test_lock_and_cable_of_an_attached_cable_are_not_used() -> None:
    harness = YetiHarness(variants=SIBLING, socket=False)
    harness.until_up()
    assert not harness.driver.has_lock
    assert harness.last.lock is LockState.NONE
    assert harness.last.proximity is ProximityState.NOT_AVAILABLE


def test_a_board_without_a_lock_is_not_ordered_to_lock() -> None:
    harness = connected()
    harness.charge()
    assert not [order for order in harness.orders if isinstance(order, Lock)]
    assert harness.board.lock_motor.drive is None


@pytest.mark.parametrize('socket', [True, False])
def test_a_restart_that_is_recognised_needs_no_waiting(socket: bool) -> None:
    harness = YetiHarness(socket=socket)
    begun = harness.now
    harness.until_up()
    assert harness.now - begun < BOOT_S + TURN_S + 0.3 * socket + 0.1 < RESET_S


def test_a_start_of_the_boards_own_that_crosses_the_order_is_no_second_restart() -> None:
    harness = YetiHarness()
    on_its_way, harness._to_board[:] = harness._to_board[:], []
    harness.board.power_up()
    harness.board._started_at -= 1.0
    harness.run(BOOT_S)
    for order in on_its_way:
        harness.line.from_host(order)
    harness.until_up()
    harness.run(5.0)
    links = [each.link for each in harness.seen]
    assert set(links[links.index(LinkState.UP) :]) == {LinkState.UP}
    assert harness.driver.resets == 0


@pytest.mark.parametrize('lost', [True, False])
def test_a_restart_of_the_boards_own_ends_everything_until_it_has_settled(lost: bool) -> None:
    harness = connected()
    harness.charge()
    closings = harness.board.closings
    if lost:
        harness.line.inject('line_drop', '4')  # three keep-alives and the report of the restart
    harness.board.power_up()
    harness.run(BOOT_S + 0.4)
    assert harness.last.link is not LinkState.UP
    assert harness.driver.resets == 1
    assert not harness.outputs.power
    harness.run(SETTLING_S + 0.3)
    assert harness.last.link is LinkState.UP
    assert harness.board.closings == closings + harness.closed


@pytest.mark.fault('L2')
def test_a_board_that_does_not_answer_is_reported_and_found_again() -> None:
    harness = YetiHarness()
    harness.board.inject('deaf')
    harness.run(8.0)
    assert harness.last.link is LinkState.LOST
    assert 'does not restart' in harness.driver.problem
    harness.board.clear('deaf')
    harness.until_up()
    assert harness.driver.problem == ''


@pytest.mark.fault('L11')
def test_a_loop_without_any_board_never_comes_up() -> None:
    sent: list[bytes] = []
    driver = Yeti(
        lambda data: bool(sent.append(data)) or True, socket=False, meter=YetiMeter(lambda: Time(0))
    )
    driver.opened(0.0)
    parser = YetiParser()
    for step in range(200):
        now = step * 0.1
        driver.apply(CHARGE, now)
        driver.tick(now)
        while sent:
            for message in parser.feed(sent.pop(0)):
                driver.message(message, now)
    seen = list(driver.observations)
    assert {each.link for each in seen} <= {LinkState.CONNECTING, LinkState.LOST}
    assert all(each.contactor is ContactorState.UNKNOWN for each in seen)
    assert 'own requests come back' in driver.problem


# --- orders ----------------------------------------------------------------------------------------


@BOTH
def test_what_opens_is_sent_first_and_what_closes_last(variants: tuple[str, ...]) -> None:
    harness = connected(variants)
    harness.want(CHARGE)
    harness.plug_in()
    harness.run(1.0)
    harness.orders.clear()
    harness.run(2.0)
    harness.orders.clear()
    harness.want(REST)
    assert harness.orders[1:3] == [AllowPower(False), Duty(X1_DUTY)]
    harness.run(0.08)
    assert not harness.closed


@pytest.mark.parametrize('percent', [math.nan, math.inf, -math.inf, -5.0, 1e300])
def test_no_absurd_duty_reaches_the_line(percent: float) -> None:
    harness = connected()
    harness.orders.clear()
    harness.apply(Outputs(PilotMode.PWM, percent, 16.0))
    harness.run(3.0)
    assert {order for order in harness.orders if isinstance(order, Duty)} <= {Duty(X1_DUTY), Duty(0)}


@pytest.mark.fault('L20')
def test_a_duty_never_offers_more_than_the_board_carries() -> None:
    harness = connected()
    harness.plug_in()
    harness.run(0.2)
    harness.apply(Outputs(PilotMode.PWM, 32.0 / 0.6, 32.0))
    harness.board.wrong['max_current'] = '10'
    harness.run(1.1)
    assert harness.board.world.outputs.current_a == pytest.approx(10.0, abs=0.01)


@BOTH
def test_pwm_that_was_ordered_without_a_car_stands_as_soon_as_one_is_plugged_in(
    variants: tuple[str, ...],
) -> None:
    harness = connected(variants)
    harness.want(Outputs(PilotMode.PWM, 16.0 / 0.6, 16.0))
    harness.run(0.5)
    harness.plug_in()
    harness.run(0.1)
    assert harness.board.world.outputs.pilot_mode is PilotMode.PWM


def test_an_order_to_close_is_given_three_times_and_no_more() -> None:
    harness = connected(('mirror_contact',))
    harness.board.inject('relay_stuck_open')
    harness.want(CHARGE)
    harness.plug_in()
    harness.run(20.0)
    assert harness.orders.count(AllowPower(True)) == 3


def test_a_permission_without_a_request_for_power_is_never_sent() -> None:
    harness = connected()
    harness._lead = lambda: None  # type: ignore[method-assign]
    harness.apply(CHARGE)
    harness.run(2.0)
    harness.plug_in()
    harness.run(5.0)
    assert harness.last.cp_state is ControlPilotState.C
    assert AllowPower(True) not in harness.orders
    assert not harness.closed


def withdrawn_by(harness: YetiHarness, happening: str) -> None:
    world, board = harness.board.world, harness.board
    match happening:
        case 'unplugged':
            world.unplug()
        case 'the EV pauses':
            world.ev_pause()
        case 'diode':
            board.inject('diode')
        case 'state E':
            board.inject('pilot_short')
        case 'state D':
            board.inject('ventilation')
        case 'rcd':
            board.inject('rcd_dc')
        case 'X1':
            harness.apply(Outputs())
        case 'F':
            harness.apply(Outputs(PilotMode.F))
    board.settle()


@BOTH
@pytest.mark.parametrize(
    'happening', ['unplugged', 'the EV pauses', 'diode', 'state E', 'state D', 'rcd', 'X1', 'F']
)
def test_no_permission_outlasts_what_ends_it(variants: tuple[str, ...], happening: str) -> None:
    """The controller does nothing here: the driver alone takes the permission back."""
    harness = connected(variants)
    harness.charge()
    harness._lead = lambda: None  # type: ignore[method-assign]
    withdrawn_by(harness, happening)
    harness.good_line = False  # the harness' own controller is silent
    harness.run(1.0)
    assert not harness.board.permitted
    assert not harness.board.coil


@pytest.mark.parametrize('happening', ['diode', 'state E', 'state D', 'the EV pauses'])
def test_what_heals_does_not_close_the_contactor_again(happening: str) -> None:
    harness = connected()
    harness.charge()
    harness._lead = lambda: None  # type: ignore[method-assign]
    withdrawn_by(harness, happening)
    harness.good_line = False
    harness.run(1.0)
    closings = harness.board.closings
    harness.board.clear()
    if happening == 'the EV pauses':
        harness.board.world.ev_resume()
    harness.board.settle()
    harness.run(5.0)
    assert harness.board.closings == closings


@pytest.mark.parametrize('pieces', ['1', '2', '3'])
def test_a_withdrawal_that_is_lost_is_repeated_before_the_car_can_come_back(pieces: str) -> None:
    harness = connected()
    harness.charge()
    harness.good_line = False
    harness.line.inject('line_drop', pieces, 'to_board')
    harness.want(REST)
    harness.run(0.9)
    assert not harness.board.permitted


# --- what may be lost on the line ------------------------------------------------------------------


@pytest.mark.fault('L17', 'L18')
def test_each_state_is_observed_once_and_in_order() -> None:
    harness = connected()
    harness.seen.clear()
    harness.line.inject('line_duplicate', '0')
    harness.plug_in('no_b_state')
    harness.run(5.0)
    assert [each.cp_state for each in harness.seen] == [ControlPilotState.C]


@BOTH
@pytest.mark.fault('L1')
def test_one_damaged_frame_while_charging_does_not_restart_the_board(variants: tuple[str, ...]) -> None:
    for number in range(8):
        harness = connected(variants, seed=number)
        harness.charge()
        harness.run(0.07 * number)
        before = harness._parser.dropped
        harness.line.inject('line_corrupt', '1')
        harness.run(8.0)
        assert harness._parser.dropped > before
        assert restarts(harness) == 1
        assert harness.closed
        assert harness.last.contactor is ContactorState.CLOSED


@pytest.mark.parametrize('damaged', [True, False], ids=['damaged', 'gone'])
@pytest.mark.parametrize(
    ('before', 'after', 'code'),
    [('', 'default', 1), ('default', 'ev_pause', 1), ('default', 'unplug', 0), ('default', 'diode', 5)],
)
def test_a_lost_state_of_the_pilot_is_found_by_its_voltage(
    damaged: bool, before: str, after: str, code: int
) -> None:
    harness = connected()
    if before:
        harness.charge()
    swallow(harness, PilotState(code), damaged=damaged)
    match after:
        case 'default':
            harness.plug_in('never_asks')
        case 'ev_pause':
            harness.board.world.ev_pause()
        case 'unplug':
            harness.board.world.unplug()
        case fault:
            harness.board.inject(fault)
    harness.board.settle()
    harness.run(2.0)
    assert restarts(harness) == 1
    shown = {0: ControlPilotState.A, 1: ControlPilotState.B}
    if code in shown:
        assert harness.last.cp_state is shown[code]
    else:
        assert [each.code for each in harness.last.errors] == [BoardErrorEnum.DIODE_FAULT]
    assert not harness.outputs.power


@pytest.mark.parametrize('damaged', [True, False], ids=['damaged', 'gone'])
def test_a_lost_request_for_power_is_asked_for_by_a_restart_while_nothing_flows(damaged: bool) -> None:
    harness = connected()
    harness.want(CHARGE)
    swallow(harness, PilotState(2), damaged=damaged)
    harness.plug_in()
    harness.run(8.0)
    assert restarts(harness) == 2
    assert harness.closed


@pytest.mark.parametrize('damaged', [True, False], ids=['damaged', 'gone'])
@pytest.mark.parametrize('profile', ['default', 'slow'])
def test_a_lost_closing_is_found_without_a_restart(damaged: bool, profile: str) -> None:
    harness = connected()
    swallow(harness, Relay(True), damaged=damaged)
    harness.want(CHARGE)
    harness.plug_in(profile)
    harness.run(30.0)
    assert restarts(harness) == 1
    assert harness.closed
    assert harness.last.contactor is ContactorState.CLOSED


@pytest.mark.parametrize('damaged', [True, False], ids=['damaged', 'gone'])
def test_a_lost_opening_is_asked_for_before_it_looks_like_a_weld(damaged: bool) -> None:
    harness = connected()
    harness.charge()
    swallow(harness, Relay(False), damaged=damaged)
    begun = harness.now
    harness.want(REST)
    harness.run(0.9)
    assert harness.last.link is not LinkState.UP
    assert harness.now - begun < 1.0
    harness.until_up(1.0)
    assert harness.last.contactor is ContactorState.OPEN
    assert restarts(harness) == 2


def test_a_damaged_error_flag_while_charging_restarts_the_board() -> None:
    """A trip is reported once; whether it was one cannot be asked."""
    harness = connected()
    harness.charge()
    swallow(harness, ErrorFlags(rcd=True), damaged=True)
    harness.board.inject('rcd_dc')
    harness.run(1.5)
    assert restarts(harness) == 2
    harness.run(5.0)
    assert not harness.closed
    assert [each.code for each in harness.last.errors] == [BoardErrorEnum.RCD_DC]


# --- what the board measures -----------------------------------------------------------------------


def test_current_without_an_order_is_a_weld() -> None:
    harness = connected()
    harness.charge()
    harness.board.inject('relay_weld')
    harness.welded = True
    harness.run(1.0)
    harness.want(Outputs(PilotMode.PWM, 16.0 / 0.6, 16.0))
    harness.run(3.0)
    assert max(harness.board.world.currents_a) > 5.0
    errors = {each.code: each.detail for each in harness.last.errors}
    assert 'flow though the contactor is reported open' in errors[BoardErrorEnum.CONTACTOR_WELDED]
    harness.board.world.unplug()
    harness.board.settle()
    harness.run(15.0)
    assert not harness.last.errors


def test_a_session_without_a_weld_shows_none() -> None:
    harness = connected()
    for _ in range(4):
        harness.charge()
        harness.run(5.0)
        harness.want(REST)
        harness.run(2.0)
        harness.board.world.unplug()
        harness.board.settle()
        harness.run(2.0)
    assert not [each for each in harness.seen if each.errors]


@BOTH
def test_a_sample_comes_once_a_second(variants: tuple[str, ...]) -> None:
    harness = connected(variants)
    harness.charge()
    samples = 0
    for _ in range(400):
        harness.run(0.025)
        samples += harness.driver.meter.take_sample() is not None
    assert 9 <= samples <= 11


# --- whatever happens ------------------------------------------------------------------------------

HAPPENINGS = (
    'charge 16', 'charge 32', 'charge 6', 'rest', 'rest', 'f', 'x1', 'plug', 'plug', 'unplug', 'ev_pause',
    'ev_resume', 'diode', 'ventilation', 'pilot_short', 'pilot_noise', 'rcd_dc', 'reset', 'clear', 'clear',
    'line_corrupt', 'line_truncate', 'line_duplicate', 'line_drop', 'line_corrupt to_board',
    'line_drop to_board', 'line_truncate to_board', 'line_garbage', 'line_delay 0.7', 'line_stall',
    'line_echo', 'no_keep_alive',
)  # fmt: skip


def happen(harness: YetiHarness, happening: str) -> None:
    world, board = harness.board.world, harness.board
    match happening.split():
        case ['charge', amperes]:
            a = float(amperes)
            harness.want(Outputs(PilotMode.PWM, a / 0.6, a, power=True, lock=True))
        case ['rest']:
            harness.want(REST)
        case ['f']:
            harness.want(Outputs(PilotMode.F, lock=True))
        case ['x1']:
            harness.want(Outputs(lock=True, power=True))
        case ['plug'] if world.ev is None:
            harness.plug_in()
        case ['unplug'] if world.ev is not None:
            world.unplug()
        case ['ev_pause'] if world.ev is not None:
            world.ev_pause()
        case ['ev_resume'] if world.ev is not None:
            world.ev_resume()
        case ['reset']:
            board.power_up()
        case ['clear']:
            harness.line.clear()
            board.clear('no_keep_alive')
        case [fault, *arguments] if fault.startswith('line'):
            harness.line.inject(fault, *arguments)
            harness.good_line = False
        case [fault] if fault in board.known_faults():
            board.inject(fault)
    board.settle()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(HAPPENINGS), st.sampled_from([0.0, 0.01, 0.06, 0.3, 1.0, 4.0])), max_size=20
    ),
    st.integers(1, 10_000),
    st.sampled_from([FIRMWARE, FIRMWARE, SIBLING, ('repeats',), ('obeys',), ('mirror_contact', 'slow')]),
)
def test_whatever_happens_nothing_false_is_believed_and_nothing_wrong_is_ordered(
    happenings: list[tuple[str, float]], seed: int, variants: tuple[str, ...]
) -> None:
    harness = connected(variants, seed)
    for happening, seconds in happenings:
        happen(harness, happening)
        quiet = not harness.wanted.power and not harness.line.active_faults
        harness.quiet_since = (harness.quiet_since or harness.now) if quiet else None
        harness.run(seconds)
    harness.quiet_since = None
    harness.line.clear()
    for fault in harness.board.active_faults():
        if fault not in variants:
            harness.board.clear(fault)
    harness.want(REST)
    harness.run(OPENS_WITHIN_S)  # a restart that nothing reported shows in the next keep-alive
    harness.until_up(15.0)
    harness.run(OPENS_WITHIN_S)
    assert not harness.closed
    assert harness.last.contactor is ContactorState.OPEN
    assert not harness.board.permitted
