"""OpenEVSE in lock-step with its virtual board: rules that hold whatever happens on line and board."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.serial.openevse_harness import OpenEvseHarness
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.enums import ContactorState, ControlPilotState, LinkState, PilotMode

pytestmark = pytest.mark.timeout(300)

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
def harness() -> OpenEvseHarness:
    harness = OpenEvseHarness()
    harness.until_up()
    return harness


def commands(harness: OpenEvseHarness) -> list[str]:
    return [' '.join((frame.name, *frame.words)) for frame in harness.requests]


def test_the_state_is_read_first_and_the_first_order_is_to_sleep() -> None:
    harness = OpenEvseHarness()
    harness.run(3.2)
    assert set(commands(harness)) == {'GS'}
    harness.until_up()
    asked = [each for each in commands(harness) if each != 'GS']
    assert asked[:6] == ['FS', 'GV', 'GE', 'GC', 'SY', 'SY 5 6']


def test_a_restart_is_answered_by_sleep_at_once(harness: OpenEvseHarness) -> None:
    harness.plug_in('no_b_state')
    harness.charge()
    harness.run(5.0)
    assert harness.closed
    harness.apply(Outputs())
    harness.board.inject('board_reset')
    harness.run(20.0)
    assert not harness.closed
    assert harness.last.resets == 1


@pytest.mark.fault('L14')
def test_the_current_is_read_back_before_the_board_wakes(harness: OpenEvseHarness) -> None:
    harness.plug_in()
    harness.run(1.0)
    harness.requests.clear()
    harness.charge(16.9)
    harness.run(0.5)
    order = [each for each in commands(harness) if each in {'SC 16 V', 'GC', 'FE'}]
    assert order[:3] == ['SC 16 V', 'GC', 'FE']


def test_a_lower_current_is_ordered_at_once(harness: OpenEvseHarness) -> None:
    harness.plug_in()
    harness.charge(32.0)
    harness.run(4.0)
    harness.charge(8.0)
    harness.run(0.1)
    assert harness.board.amperes == 8


@pytest.mark.parametrize('current', [math.nan, math.inf, -math.inf, -5.0, 0.0, 5.9, 1e300])
def test_no_absurd_number_reaches_the_line(harness: OpenEvseHarness, current: float) -> None:
    harness.plug_in()
    harness.apply(Outputs(PilotMode.PWM, 50.0, current, power=True))
    harness.run(5.0)
    orders = {each for each in commands(harness) if each.startswith('SC')} - {'SC 6 V'}
    assert orders <= {'SC 32 V'} if current == 1e300 else not orders
    assert all('nan' not in each and 'inf' not in each for each in commands(harness))


def test_a_hard_stop_does_not_wait_for_the_answer_to_something_else(harness: OpenEvseHarness) -> None:
    harness.plug_in()
    harness.charge()
    harness.run(4.0)
    harness.line.inject('line_drop', '1', 'to_board')
    while not harness.driver.client.busy:
        harness.run(0.01)
    assert harness.closed
    harness.apply(Outputs())
    harness.run(0.05)
    assert not harness.closed


def test_a_pause_lets_the_car_stop_first(harness: OpenEvseHarness) -> None:
    harness.plug_in()
    harness.charge()
    harness.run(6.0)
    harness.apply(Outputs(power=True))
    harness.run(0.5)
    assert harness.closed
    assert max(harness.board.world.currents_a) > 0.0
    harness.run(3.5)
    assert not harness.closed


def test_a_replug_shows_f_and_tells_that_it_is_under_way(harness: OpenEvseHarness) -> None:
    harness.plug_in()
    harness.run(1.0)
    harness.apply(Outputs(replugs=1))
    harness.run(0.1)
    harness.seen.clear()
    harness.apply(Outputs(replugs=2))
    harness.run(5.0)
    assert next(each.replug_active for each in harness.seen)
    assert any(each.cp_state is ControlPilotState.F for each in harness.seen)
    assert not harness.last.replug_active
    assert harness.last.cp_state is ControlPilotState.B


def test_a_request_takes_no_more_than_the_board_can_hold(harness: OpenEvseHarness) -> None:
    harness.plug_in()
    harness.charge(32.0)
    harness.run(60.0)
    assert harness.driver.client.timeouts <= 8
    assert harness.board.eeprom_writes == 0


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, float]]:
    """Return what happens, and how long until the next."""
    happens = st.sampled_from((*PEOPLE, *FAULTS))
    return draw(st.lists(st.tuples(happens, st.sampled_from([0.0, 0.01, 0.3, 1.0, 4.0])), max_size=25))


class Witness:
    """Checks that no false observation is reported, and no wrong order sent."""

    def __init__(self, harness: OpenEvseHarness) -> None:
        self.harness = harness
        self.closed_at = -math.inf
        self.may_order = 0
        self.quiet_since: float | None = harness.now
        self._told = self._asked = 0
        harness.watch = self.look

    def look(self) -> None:
        harness = self.harness
        if harness.closed or harness.board.terminals.relay:
            self.closed_at = harness.now
        for seen in harness.seen[self._told :]:
            self.judge(seen)
        self._told = len(harness.seen)
        for request in harness.requests[self._asked :]:
            if request.name == 'SC':
                amperes = int(request.words[0])
                assert 6 <= amperes <= max(min(self.may_order, 32), 6)
                assert request.words[1] == 'V'
            assert request.name != 'FF'
        self._asked = len(harness.requests)
        if self.quiet_since is not None and harness.now > self.quiet_since + OPENS_WITHIN_S + 2.0:
            assert not harness.closed, 'power without a permission'

    def judge(self, seen: Observation) -> None:
        if seen.link is LinkState.UP and seen.contactor is ContactorState.CLOSED:
            assert self.harness.now <= self.closed_at + RELAY_TOLD_S, 'a contactor that was not closed'
        assert math.isfinite(seen.current_a)
        assert 0.0 <= seen.current_a <= 32.0


@settings(max_examples=25, deadline=None)
@given(stories(), st.integers(1, 10_000))
def test_whatever_happens_nothing_false_is_told_and_nothing_wrong_is_ordered(
    story: list[tuple[str, float]], seed: int
) -> None:
    harness = OpenEvseHarness(seed)
    harness.until_up()
    witness = Witness(harness)
    power = good = True
    for happening, seconds in story:
        match happening.split():
            case ['charge', amperes]:
                witness.may_order = max(witness.may_order, int(amperes))
                power = True
                harness.charge(float(amperes))
            case ['rest']:
                power = False
                harness.apply(Outputs())
            case ['pause']:
                harness.apply(Outputs(power=power))
            case ['f']:
                power = False
                harness.apply(Outputs(pilot_mode=PilotMode.F))
            case ['plug'] if harness.board.world.ev is None:
                harness.plug_in()
            case ['unplug'] if harness.board.world.ev is not None:
                harness.unplug()
            case ['reset']:
                harness.board.inject('board_reset')
            case ['clear']:
                harness.line.clear()
                good = True
            case [fault, *arguments] if fault.startswith('line'):
                harness.line.inject(fault, *arguments)
                good = False
        quiet = not power and good and happening != 'reset'
        witness.quiet_since = (witness.quiet_since or harness.now) if quiet else None
        harness.run(seconds)
    harness.line.clear()
    harness.apply(Outputs())
    harness.run(0.1)
    harness.until_up(15.0)
    harness.run(OPENS_WITHIN_S)
    assert not harness.closed
    assert harness.last.contactor is ContactorState.OPEN
