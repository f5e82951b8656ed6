"""OpenEVSE in lock-step with its virtual board: rules that hold whatever happens on line and board."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.serial.desk import Desk
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.enums import ContactorState, ControlPilotState, LinkState, PilotMode

RELAY_TOLD_S = 2.0
"""A closed relay that is reported was closed at some time within so long."""

OPENS_WITHIN_S = 3.5
"""Without power permitted, and on a good line, the relay is open after this: three tries of each request."""

PEOPLE = (
    'charge 16', 'charge 32', 'charge 6', 'rest', 'rest', 'pause', 'f', 'plug', 'unplug', 'reset', 'clear',
)  # fmt: skip
FAULTS = (
    'line_corrupt', 'line_truncate', 'line_duplicate', 'line_drop', 'line_corrupt to_board',
    'line_drop to_board', 'line_truncate to_board', 'line_garbage', 'line_delay 0.7',
    'line_stall', 'line_echo',
)  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.until_up()
    return desk


def commands(desk: Desk) -> list[str]:
    return [' '.join((frame.name, *frame.words)) for frame in desk.requests]


def test_the_first_request_is_to_sleep_and_nothing_else_is_asked_before_its_answer() -> None:
    desk = Desk()
    desk.run(3.2)
    assert set(commands(desk)) == {'FS'}
    desk.until_up()
    assert [each for each in commands(desk) if each != 'FS'][:5] == ['GV', 'GE', 'GC', 'SY 5 6', 'GS']


def test_a_restart_is_answered_by_sleep_at_once(desk: Desk) -> None:
    desk.plug_in('no_b_state')
    desk.charge()
    desk.run(5.0)
    assert desk.relay_closed
    desk.apply(Outputs())
    desk.board.inject('board_reset')
    desk.run(20.0)
    assert not desk.relay_closed
    assert desk.last.resets == 1


@pytest.mark.fault('L14')
def test_the_current_is_read_back_before_the_board_wakes(desk: Desk) -> None:
    desk.plug_in()
    desk.run(1.0)
    desk.requests.clear()
    desk.charge(16.9)
    desk.run(0.5)
    order = [each for each in commands(desk) if each in {'SC 16 V', 'GC', 'FE'}]
    assert order[:3] == ['SC 16 V', 'GC', 'FE']


def test_a_lower_current_is_ordered_at_once(desk: Desk) -> None:
    desk.plug_in()
    desk.charge(32.0)
    desk.run(4.0)
    desk.charge(8.0)
    desk.run(0.1)
    assert desk.board.amperes == 8


@pytest.mark.parametrize('current', [math.nan, math.inf, -math.inf, -5.0, 0.0, 5.9, 1e300])
def test_no_absurd_number_reaches_the_line(desk: Desk, current: float) -> None:
    desk.plug_in()
    desk.apply(Outputs(PilotMode.PWM, 50.0, current, power=True))
    desk.run(5.0)
    orders = [each for each in commands(desk) if each.startswith('SC')]
    assert set(orders) <= {'SC 32 V'} if current == 1e300 else not orders
    assert all('nan' not in each and 'inf' not in each for each in commands(desk))


def test_a_hard_stop_does_not_wait_for_the_answer_to_something_else(desk: Desk) -> None:
    desk.plug_in()
    desk.charge()
    desk.run(4.0)
    desk.line.inject('line_drop', '1', 'to_board')
    while not desk.driver.exchange.busy:
        desk.run(0.01)
    assert desk.relay_closed
    desk.apply(Outputs())
    desk.run(0.05)
    assert not desk.relay_closed


def test_a_pause_lets_the_car_stop_first(desk: Desk) -> None:
    desk.plug_in()
    desk.charge()
    desk.run(6.0)
    desk.apply(Outputs(power=True))
    desk.run(0.5)
    assert desk.relay_closed
    assert max(desk.board.world.currents_a) > 0.0
    desk.run(3.5)
    assert not desk.relay_closed


def test_a_replug_shows_f_and_tells_that_it_is_under_way(desk: Desk) -> None:
    desk.plug_in()
    desk.run(1.0)
    desk.apply(Outputs(replugs=1))
    desk.run(0.1)
    desk.seen.clear()
    desk.apply(Outputs(replugs=2))
    desk.run(5.0)
    assert next(each.replug_active for each in desk.seen)
    assert any(each.cp_state is ControlPilotState.F for each in desk.seen)
    assert not desk.last.replug_active
    assert desk.last.cp_state is ControlPilotState.B


def test_a_request_takes_no_more_than_the_board_can_hold(desk: Desk) -> None:
    desk.plug_in()
    desk.charge(32.0)
    desk.run(60.0)
    assert desk.driver.exchange.timeouts <= 5
    assert desk.board.eeprom_writes == 0


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, float]]:
    """Return what happens, and how long until the next."""
    happens = st.sampled_from((*PEOPLE, *FAULTS))
    return draw(st.lists(st.tuples(happens, st.sampled_from([0.0, 0.01, 0.3, 1.0, 4.0])), max_size=25))


class Witness:
    """Watches that nothing false is told, and nothing wrong is ordered."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.closed_at = -math.inf
        self.may_order = 0
        self.quiet_since: float | None = desk.now
        self._told = self._asked = 0
        desk.watch = self.look

    def look(self) -> None:
        desk = self.desk
        if desk.relay_closed or desk.board._relay:
            self.closed_at = desk.now
        for seen in desk.seen[self._told :]:
            self.judge(seen)
        self._told = len(desk.seen)
        for request in desk.requests[self._asked :]:
            if request.name == 'SC':
                amperes = int(request.words[0])
                assert 6 <= amperes <= min(self.may_order, 32)
                assert request.words[1] == 'V'
            assert request.name != 'FF'
        self._asked = len(desk.requests)
        if self.quiet_since is not None and desk.now > self.quiet_since + OPENS_WITHIN_S + 2.0:
            assert not desk.relay_closed, 'power that nobody permitted'

    def judge(self, seen: Observation) -> None:
        if seen.link is LinkState.UP and seen.contactor is ContactorState.CLOSED:
            assert self.desk.now <= self.closed_at + RELAY_TOLD_S, 'a contactor that was not closed'
        assert math.isfinite(seen.current_a)
        assert 0.0 <= seen.current_a <= 32.0


@settings(max_examples=60, deadline=None)
@given(stories(), st.integers(1, 10_000))
def test_whatever_happens_nothing_false_is_told_and_nothing_wrong_is_ordered(
    story: list[tuple[str, float]], seed: int
) -> None:
    desk = Desk(seed)
    desk.until_up()
    witness = Witness(desk)
    power = good = True
    for happening, seconds in story:
        match happening.split():
            case ['charge', amperes]:
                witness.may_order = max(witness.may_order, int(amperes))
                power = True
                desk.charge(float(amperes))
            case ['rest']:
                power = False
                desk.apply(Outputs())
            case ['pause']:
                desk.apply(Outputs(power=power))
            case ['f']:
                power = False
                desk.apply(Outputs(pilot_mode=PilotMode.F))
            case ['plug'] if desk.board.world.ev is None:
                desk.plug_in()
            case ['unplug'] if desk.board.world.ev is not None:
                desk.unplug()
            case ['reset']:
                desk.board.inject('board_reset')
            case ['clear']:
                desk.line.clear()
                good = True
            case [fault, *arguments] if fault.startswith('line'):
                desk.line.inject(fault, *arguments)
                good = False
        quiet = not power and good and happening != 'reset'
        witness.quiet_since = (witness.quiet_since or desk.now) if quiet else None
        desk.run(seconds)
    desk.line.clear()
    desk.apply(Outputs())
    desk.run(0.1)
    desk.until_up(15.0)
    desk.run(OPENS_WITHIN_S)
    assert not desk.relay_closed
    assert desk.last.contactor is ContactorState.OPEN
