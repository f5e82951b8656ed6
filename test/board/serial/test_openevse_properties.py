"""
Random stimuli and orders over the faithful virtual board: what pilot and contacts may do, whatever happens.

The line is good here; what a bad one does is in ``test_openevse_conversation.py``.  Times in which the
firmware is busy with itself do not count: it can obey nothing then.
"""

import math
from collections.abc import Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.serial.openevse_harness import OpenEvseHarness
from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import BoardErrorEnum, ContactorState, LinkState, PilotMode
from evse_manager.simulation.virtual.openevse_states import FAULTS, RESIDUAL

pytestmark = pytest.mark.timeout(300)

LOOPS = 6
"""Loops of the firmware within which more than the limit ends: report, order, obedience."""

OPEN_LOOPS = 8
LEAST_A = 6.0
EMPTY_S = 0.5
"""The firmware debounces an unplugging, and moves its lock."""
PAUSE_S = 3.4
"""A pause leaves the car 3 s; a stop does not."""

WELD_FOUND_S = 6.0
"""Contacts that stay closed on an open relay are an error within this, while the board rests."""

ORDERS = ('charge 6', 'charge 10', 'charge 16', 'charge 32', 'stop', 'pause', 'f', 'replug')
CAR = ('plug', 'plug', 'unplug', 'ev_pause', 'ev_resume')
BOARD = (
    'inject diode', 'inject ventilation', 'inject pilot_short', 'inject rcd_ac', 'inject ground',
    'inject rcd_self_test', 'inject self_test_late', 'inject relay_weld', 'inject relay_stuck_open',
    'clear', 'clear', 'reset', 'heat 25', 'heat 61', 'heat 66', 'heat 69', 'heat 75',
)  # fmt: skip
PAUSES = (0.0, 0.02, 0.1, 0.4, 1.2, 3.0, 8.0)

STEPS = st.lists(
    st.tuples(st.sampled_from((*ORDERS, *CAR, *ORDERS, *CAR, *BOARD)), st.sampled_from(PAUSES)), max_size=30
)


class Invariants:
    """Watches pilot and contacts after everything that happens."""

    def __init__(self, harness: OpenEvseHarness) -> None:
        self.harness = harness
        self.limit_a = 0.0
        self.may_close = False
        self.paused_at: float | None = None
        self.loops = 0
        self.excess_loops = 0
        self.open_loops = 0
        self._offered_from = -1
        self._closed_from = -1
        self._empty_since = (-1, 0.0)
        self._welded_from = math.inf
        self._asked = 0
        board = harness.board
        process_inputs = board.firmware._process_inputs

        def counted() -> Generator[float, None, None]:
            self.loops += 1
            yield from process_inputs()

        board.firmware._process_inputs = counted  # type: ignore[method-assign]
        harness.watch = self.look

    def look(self) -> None:
        board = self.harness.board
        self._watch_pilot(board.terminals.pilot_a if board.world.outputs.pilot_mode is PilotMode.PWM else 0)
        self._watch_contacts()
        self._watch_orders()

    def _watch_pilot(self, offered_a: float) -> None:
        in_fault = (
            self.harness.board.firmware.state in FAULTS
        )  # an order would erase it, and the relay is open
        if offered_a <= max(self.limit_a, LEAST_A if in_fault else 0.0):
            self._offered_from = -1
        elif self._offered_from < 0:
            self._offered_from = self.loops
        assert self._offered_from < 0 or self.loops - self._offered_from <= LOOPS, (
            f'{offered_a} A are offered at a limit of {self.limit_a} A'
        )

    def _watch_contacts(self) -> None:
        harness, board = self.harness, self.harness.board
        driven = board.terminals.relay
        grace = self.paused_at is not None and harness.now < self.paused_at + PAUSE_S
        if not driven or self.may_close or grace:
            self._closed_from = -1
        elif self._closed_from < 0:
            self._closed_from = self.loops
        assert self._closed_from < 0 or self.loops - self._closed_from <= OPEN_LOOPS, (
            'closed against an order'
        )
        if not driven or board.world.ev is not None:
            self._empty_since = (-1, 0.0)
        elif self._empty_since[0] < 0:
            self._empty_since = (self.loops, harness.now)
        loops, since = self._empty_since
        settled = loops >= 0 and self.loops - loops > OPEN_LOOPS and harness.now > since + EMPTY_S
        assert not settled, 'closed without a car'

    def _watch_orders(self) -> None:
        for request in self.harness.requests[self._asked :]:
            if request.name in {'FS', 'FD', 'FE'}:
                seen = self.harness.driver.known.view.state
                assert seen is None or seen.state not in FAULTS, f'{request.name} in a fault'
            if request.name == 'SC':
                assert request.words[1] == 'V'
            assert request.name not in {'FF', 'FR', 'SL'}
            assert (request.name, *request.words) != ('SY', '165')
        self._asked = len(self.harness.requests)


def hides_a_weld(harness: OpenEvseHarness) -> bool:
    """
    Return whether the firmware cannot see or report closed contacts (docs/safety.md).

    A residual current stands before it in the state; without earth there is no voltage behind the relay.
    """
    return harness.board.firmware.state == RESIDUAL or not harness.board.terminals.earth


def do(harness: OpenEvseHarness, invariants: Invariants, happening: str) -> None:
    world = harness.board.world
    match happening.split():
        case ['charge', amperes]:
            invariants.limit_a, invariants.may_close, invariants.paused_at = float(amperes), True, None
            harness.charge(float(amperes))
        case ['stop' | 'f' | 'pause' as order]:
            mode = PilotMode.F if order == 'f' else PilotMode.X1
            was_closed = invariants.may_close
            invariants.limit_a, invariants.may_close = 0.0, False
            pause = order == 'pause'
            if not pause:
                invariants.paused_at = None
            elif was_closed:
                invariants.paused_at = harness.now
            harness.apply(Outputs(pilot_mode=mode, power=pause))
        case ['replug']:
            invariants.limit_a, invariants.may_close, invariants.paused_at = 0.0, False, None
            harness.apply(Outputs(replugs=harness.driver.known.targets.outputs.replugs + 1))
        case ['plug'] if world.ev is None:
            harness.plug_in()
        case ['unplug'] if world.ev is not None:
            harness.unplug()
        case ['ev_pause'] if world.ev is not None:
            world.ev_pause()
        case ['ev_resume'] if world.ev is not None:
            world.ev_resume()
        case ['inject', fault]:
            harness.board.inject(fault)
        case ['clear']:
            harness.board.clear()
        case ['reset']:
            harness.board.inject('board_reset')
        case ['heat', temperature]:
            world.enclosure.temperature_c = world.enclosure._ambient_c = float(temperature)
    harness.board.settle()


@settings(max_examples=25, deadline=None)
@given(STEPS, st.integers(1, 10_000))
def test_pilot_and_contacts_obey(steps: list[tuple[str, float]], seed: int) -> None:
    harness = OpenEvseHarness(seed)
    harness.until_up()
    invariants = Invariants(harness)
    for happening, seconds in steps:
        do(harness, invariants, happening)
        harness.run(seconds)
    do(harness, invariants, 'stop')
    harness.run(WELD_FOUND_S + 4.0)
    welded = harness.closed
    assert not harness.board.terminals.relay
    if harness.last.link is LinkState.UP and welded and not hides_a_weld(harness):
        assert BoardErrorEnum.CONTACTOR_WELDED in {error.code for error in harness.last.errors}
        assert harness.last.contactor is ContactorState.CLOSED
    harness.board.clear()
    if harness.board.world.ev is not None:
        harness.unplug()
    do(harness, invariants, 'heat 25')
    harness.board.inject('board_reset')
    harness.run(15.0)
    assert harness.last.link is LinkState.UP
    assert harness.last.errors == ()
    assert not harness.closed


def welded_behind(fault: str) -> OpenEvseHarness:
    """Return a board whose contacts have welded, unseen, and whose car has left."""
    harness = OpenEvseHarness(1)
    harness.until_up()
    harness.plug_in()
    harness.charge(16.0)
    harness.run(5.0)
    assert harness.closed
    harness.board.inject('relay_weld')
    harness.board.inject(fault)
    harness.apply(Outputs(pilot_mode=PilotMode.X1))
    harness.run(WELD_FOUND_S)
    assert harness.closed
    assert hides_a_weld(harness)
    harness.board.clear(fault)
    harness.unplug()
    harness.run(WELD_FOUND_S)
    return harness


def is_found(harness: OpenEvseHarness) -> bool:
    errors = {error.code for error in harness.last.errors}
    return BoardErrorEnum.CONTACTOR_WELDED in errors and harness.last.contactor is ContactorState.CLOSED


def test_a_weld_behind_a_residual_current_is_found_when_that_is_over() -> None:
    assert is_found(welded_behind('rcd_ac'))


def test_a_weld_without_earth_is_found_at_the_next_opening_with_earth() -> None:
    harness = welded_behind('ground')
    assert not is_found(harness)
    harness.plug_in()
    harness.charge(16.0)
    harness.run(5.0)
    harness.apply(Outputs(pilot_mode=PilotMode.X1))
    harness.run(WELD_FOUND_S)
    assert is_found(harness)
