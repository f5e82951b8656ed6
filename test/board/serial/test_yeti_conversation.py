"""Yeti in lock-step with its virtual board: rules that hold whatever happens on line and board."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_manager.board.boards.yeti.conversation import Yeti
from evse_manager.board.boards.yeti.messages import (
    FROM_HOST,
    X1_DUTY,
    AllowPower,
    Duty,
    HostKeepAlive,
    Parser,
    ResetOrder,
)
from evse_manager.board.boards.yeti.meter import YetiMeter
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.enums import ContactorState, ControlPilotState, LinkState, LockState, PilotMode
from evse_manager.interface.pilot import current
from evse_manager.interface.types import Time
from evse_manager.simulation.scheduler import Scheduler
from evse_manager.simulation.virtual.line import Line
from evse_manager.simulation.virtual.yeti_firmware import BOOT_S, VirtualYeti
from evse_manager.simulation.world import WorldSettings

MOST_STEPS_PER_S = 300
TOLD_WITHIN_S = 6.0
"""What is told was so within this time: a silent board is believed for 5 s."""

OPENS_WITHIN_S = 2.0
"""Without power ordered, and on a good line, the contactor is open after this."""

CHARGE = Outputs(PilotMode.PWM, 16.0 / 0.6, 16.0, power=True, lock=True, phases=3)
REST = Outputs(lock=True)
HAPPENINGS = (
    'charge 16', 'charge 32', 'charge 6', 'rest', 'rest', 'f', 'unlock', 'plug', 'unplug', 'reset', 'clear',
    'clear', 'line_corrupt', 'line_truncate', 'line_duplicate', 'line_drop', 'line_corrupt to_board',
    'line_drop to_board', 'line_truncate to_board', 'line_garbage', 'line_delay 0.7', 'line_stall',
    'line_echo', 'no_keep_alive',
)  # fmt: skip


class DriverHarness:
    """Times are seconds; every judgement is made after everything that happened at one moment."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.board = VirtualYeti(WorldSettings())
        self.driver = Yeti(self._write, socket=True, meter=YetiMeter(lambda: Time(0)))
        self.seen: list[Observation] = []
        self.orders: list[Any] = []
        self.outputs = Outputs()
        self.closed_at = self.open_at = self.locked_at = -math.inf
        self.offered_a = 0.0
        self.quiet_since: float | None = None
        self._timers = Scheduler()
        self._parser, self._spy = Parser(), Parser(FROM_HOST)
        self._to_driver: list[bytes] = []
        self._to_board: list[bytes] = []
        self.line = Line(
            self._to_driver.append, self.board.receive, self._timers, lambda: self.now,
            chatter=self.board.chatter, seed=seed,
        )  # fmt: skip
        self.board.send = self.line.from_board
        self.board.power_up()
        self.run(0.5)
        self.driver.opened(self.now)

    @property
    def last(self) -> Observation:
        return self.seen[-1]

    @property
    def closed(self) -> bool:
        return self.board.world.contactor.closed

    def apply(self, outputs: Outputs) -> None:
        self.outputs = outputs
        if outputs.pilot_mode is PilotMode.PWM:
            self.offered_a = max(self.offered_a, outputs.current_a)
        self.driver.apply(outputs, self.now)
        self._exchange()

    def plug_in(self, profile: str = 'default') -> None:
        self.board.world.plug_in(profile)
        self.board.settle()

    def until_up(self, limit_s: float = 8.0) -> None:
        end = self.now + limit_s
        while not self.seen or self.last.link is not LinkState.UP:
            assert self.now < end, self.driver.problem
            self.run(0.05)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        steps = 0
        while True:
            steps += 1
            assert steps < MOST_STEPS_PER_S * max(seconds, 1.0), 'the conversation runs in circles'
            due = (self.board.next_event(), self._timers.next_time(), self.driver.deadline(), end)
            self.now = max(self.now, min(each for each in due if each is not None))
            self.board.advance(self.now)
            while (time := self._timers.next_time()) is not None and time <= self.now:
                self._timers.run_next()
            self._exchange()
            if self.now >= end:
                return

    def _write(self, data: bytes) -> bool:
        orders = self._spy.feed(data)
        assert isinstance(orders[0], HostKeepAlive), 'every piece begins with a keep-alive'
        for order in orders:
            if order == AllowPower(True):
                assert self.outputs.power, 'power that nobody wanted'
            if isinstance(order, Duty):
                assert 0 <= order.value <= X1_DUTY
                assert current(order.value / 100.0) <= self.offered_a
        self.orders += orders
        self._to_board.append(data)
        return True

    def _exchange(self) -> None:
        self.driver.tick(self.now)
        while self._to_board or self._to_driver:
            if self._to_board:
                self.line.from_host(self._to_board.pop(0))
            elif self._to_driver:
                before = self._parser.dropped
                messages = self._parser.feed(self._to_driver.pop(0))
                if self._parser.dropped != before:
                    self.driver.damaged(self.now)
                for message in messages:
                    self.driver.message(message, self.now)
                    self._watch()
        self._watch()

    def _watch(self) -> None:
        world = self.board.world
        if self.closed:
            self.closed_at = self.now
        else:
            self.open_at = self.now
        if world.lock.state is LockState.LOCKED:
            self.locked_at = self.now
        while self.driver.observations:
            seen = self.driver.observations.popleft()
            self.seen.append(seen)
            if seen.link is LinkState.UP:
                since = self.now - TOLD_WITHIN_S
                assert seen.contactor is not ContactorState.CLOSED or self.closed_at >= since
                assert seen.contactor is not ContactorState.OPEN or self.open_at >= since
                assert seen.lock is not LockState.LOCKED or self.locked_at >= since
                assert 0.0 <= seen.current_a <= self.offered_a
        if self.quiet_since is not None and self.now > self.quiet_since + OPENS_WITHIN_S:
            assert not self.closed, 'power that nobody wanted any more'


@pytest.fixture
def harness() -> DriverHarness:
    harness = DriverHarness()
    harness.until_up()
    return harness


def test_power_is_withdrawn_before_the_board_is_restarted() -> None:
    harness = DriverHarness()
    kinds = [order for order in harness.orders if not isinstance(order, HostKeepAlive)]
    assert kinds == [AllowPower(False), Duty(X1_DUTY), ResetOrder(True)]
    harness.orders.clear()
    harness.until_up()
    assert ResetOrder(True) not in harness.orders


def test_a_start_of_the_boards_own_that_crosses_the_order_is_no_second_restart() -> None:
    harness = DriverHarness()
    on_its_way, harness._to_board[:] = harness._to_board[:], []
    harness.board.power_up()
    harness.run(BOOT_S)
    for order in on_its_way:
        harness.line.from_host(order)
    harness.until_up()
    harness.run(5.0)
    links = [each.link for each in harness.seen]
    assert set(links[links.index(LinkState.UP) :]) == {LinkState.UP}
    assert harness.driver.resets == 0


@pytest.mark.fault('L2')
def test_a_board_that_does_not_answer_is_told_so_and_found_again() -> None:
    harness = DriverHarness()
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
    parser = Parser()
    for step in range(200):
        now = step * 0.1
        driver.apply(CHARGE, now)
        driver.tick(now)
        while sent:
            for message in parser.feed(sent.pop(0)):
                driver.message(message, now)
    told = list(driver.observations)
    assert {each.link for each in told} <= {LinkState.CONNECTING, LinkState.LOST}
    assert all(each.contactor is ContactorState.UNKNOWN for each in told)
    assert 'own requests come back' in driver.problem


def test_what_opens_is_sent_first_and_what_closes_last(harness: DriverHarness) -> None:
    harness.plug_in()
    harness.orders.clear()
    harness.apply(CHARGE)
    assert harness.orders[-1] == AllowPower(True)
    harness.run(2.0)
    assert harness.closed
    harness.orders.clear()
    harness.apply(REST)
    assert harness.orders[1:3] == [AllowPower(False), Duty(X1_DUTY)]
    harness.run(0.05)
    assert not harness.closed


@pytest.mark.parametrize('percent', [math.nan, math.inf, -math.inf, -5.0, 1e300])
def test_no_absurd_duty_reaches_the_line(harness: DriverHarness, percent: float) -> None:
    harness.orders.clear()
    harness.apply(Outputs(PilotMode.PWM, percent, 16.0))
    harness.run(3.0)
    assert {order for order in harness.orders if isinstance(order, Duty)} <= {Duty(X1_DUTY), Duty(0)}


@pytest.mark.fault('L20')
def test_a_duty_never_offers_more_than_the_board_carries(harness: DriverHarness) -> None:
    harness.apply(Outputs(PilotMode.PWM, 32.0 / 0.6, 32.0))
    harness.board.wrong['max_current'] = '10'
    harness.run(1.1)
    assert harness.board.world.outputs.current_a == pytest.approx(10.0, abs=0.01)


def test_an_order_to_close_is_repeated_twice_and_no_more(harness: DriverHarness) -> None:
    harness.board.inject('relay_stuck_open')
    harness.orders.clear()
    harness.apply(CHARGE)
    harness.run(20.0)
    assert harness.orders.count(AllowPower(True)) == 3


@pytest.mark.fault('L17', 'L18')
def test_each_state_is_told_once_and_in_order(harness: DriverHarness) -> None:
    harness.seen.clear()
    harness.line.inject('line_duplicate', '0')
    harness.plug_in('no_b_state')
    harness.run(5.0)
    assert [each.cp_state for each in harness.seen] == [ControlPilotState.C]


@pytest.mark.fault('L1')
def test_a_damaged_state_of_a_board_that_tells_only_once_is_asked_for_by_a_restart(
    harness: DriverHarness,
) -> None:
    harness.board.inject('tells_once')
    harness.apply(CHARGE)
    harness.run(0.05)
    harness.line.inject('line_corrupt', '3')
    harness.run(1.0)
    assert harness.closed
    harness.run(3.0)
    assert harness.orders.count(ResetOrder(True)) == 2
    assert any(each.link is LinkState.LOST for each in harness.seen)
    harness.until_up()


def test_a_damaged_frame_of_a_board_that_repeats_disturbs_nothing(harness: DriverHarness) -> None:
    harness.apply(CHARGE)
    harness.line.inject('line_corrupt', '1')
    harness.run(10.0)
    assert harness.orders.count(ResetOrder(True)) == 1
    assert harness.last.contactor is ContactorState.CLOSED


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(HAPPENINGS), st.sampled_from([0.0, 0.01, 0.3, 1.0, 4.0])), max_size=25
    ),
    st.integers(1, 10_000),
)
def test_whatever_happens_nothing_false_is_told_and_nothing_wrong_is_ordered(
    story: list[tuple[str, float]], seed: int
) -> None:
    harness = DriverHarness(seed)
    harness.until_up()
    good = True
    for happening, seconds in story:
        match happening.split():
            case ['charge', amperes]:
                harness.apply(
                    Outputs(PilotMode.PWM, float(amperes) / 0.6, float(amperes), power=True, lock=True)
                )
            case ['rest']:
                harness.apply(REST)
            case ['f']:
                harness.apply(Outputs(PilotMode.F, lock=True))
            case ['unlock']:
                harness.apply(Outputs(lock=False))
            case ['plug'] if harness.board.world.ev is None:
                harness.plug_in()
            case ['unplug'] if harness.board.world.ev is not None:
                harness.board.world.unplug()
                harness.board.settle()
            case ['reset']:
                harness.board.inject('board_reset')
            case ['clear']:
                harness.line.clear()
                good = True
            case [fault, *arguments] if fault.startswith('line'):
                harness.line.inject(fault, *arguments)
                good = False
            case ['no_keep_alive']:
                harness.board.inject('no_keep_alive')
        quiet = not harness.outputs.power and good
        harness.quiet_since = (harness.quiet_since or harness.now) if quiet else None
        harness.run(seconds)
    harness.quiet_since = None
    harness.line.clear()
    harness.board.clear()
    harness.apply(REST)
    harness.run(0.1)
    harness.until_up(15.0)
    harness.run(OPENS_WITHIN_S)
    assert not harness.closed
    assert harness.last.contactor is ContactorState.OPEN
