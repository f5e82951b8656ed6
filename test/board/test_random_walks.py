"""
Whatever commands, observations and silences come in whatever order: the invariants hold after each step.
"""

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from board.controller_harness import OFFER, WITHDRAWN, ControllerHarness
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    PilotMode,
)
from evse_manager.interface.types import BoardCommand, BoardError
from evse_manager.lease.validation import BLOCKING, OPENING

OBSERVATIONS = st.one_of(
    st.builds(lambda value: {'cp_state': value}, st.sampled_from(ControlPilotState)),
    st.builds(lambda value: {'contactor': value}, st.sampled_from(ContactorState)),
    st.builds(lambda value: {'lock': value}, st.sampled_from([LockState.LOCKED, LockState.UNLOCKED])),
    st.builds(lambda value: {'link': value}, st.sampled_from([LinkState.UP, LinkState.LOST])),
    st.builds(lambda value: {'resets': value}, st.integers(0, 3)),
    st.builds(
        lambda codes: {'errors': tuple(BoardError(code) for code in sorted(codes))},
        st.sets(st.sampled_from(BoardErrorEnum), max_size=1),
    ),
    st.just({'cp_state': ControlPilotState.C, 'lock': LockState.LOCKED, 'link': LinkState.UP, 'errors': ()}),
)
COMMANDS = st.one_of(
    st.just({}),
    st.builds(
        lambda name, value: {name: value},
        st.sampled_from(['current_a', 'duty_cycle_percent', 'over_current_limit_a', 'lease']),
        st.floats(width=32),
    ),
    st.builds(lambda value: {'phases': value}, st.integers(-1, 4)),
    st.builds(lambda value: {'pilot_mode': value}, st.sampled_from(PilotMode)),
    st.builds(lambda value: {'lock': value}, st.booleans()),
    st.builds(lambda value: {'acknowledged_fault_counter': value}, st.integers(0, 3)),
    st.builds(lambda value: {'sequence_number': value}, st.integers(0, 30)),
    st.builds(lambda value: {'manager_id': value}, st.sampled_from(['', 'm1', 'm2'])),
    st.builds(lambda value: {'replug_counter': value}, st.integers(0, 2)),
    st.just({'ventilation_allowed': True}),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just('see'), OBSERVATIONS),
        st.tuples(st.just('offer'), COMMANDS),
        st.tuples(st.just('withdraw'), COMMANDS),
        st.tuples(st.just('wait'), st.sampled_from([0.01, 0.3, 0.9, 1.1, 3.0])),
        st.tuples(st.just('follow'), st.none()),
        st.tuples(st.just('charge'), st.none()),
    ),
    max_size=40,
)


AGAIN = [('charge', None), ('offer', {})]


class Watched(ControllerHarness):
    """A harness with a invariants of its own: when power was last taken away, and what was ever put out."""

    def __init__(self) -> None:
        self.opened_at = 0.0
        self.had_power = self.powered = False
        super().__init__()
        self.opened_at = self.time

    def command(self, *arguments: object, **changes: object) -> None:
        super().command(*arguments, **changes)
        self.note_opening()

    def see(self, **changes: object) -> None:
        super().see(**changes)
        self.note_opening()

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self.note_opening()

    def note_opening(self) -> None:
        """Note when power was taken away; a step of the walk may be several commands and waits."""
        if self.powered and not self.power:
            self.opened_at = self.time
        self.powered = self.power

    def do(self, action: str, argument: object) -> None:
        """Do one step."""
        match action:
            case 'see':
                self.see(**argument)
            case 'offer':
                self.command(OFFER, **argument)
            case 'withdraw':
                self.command(WITHDRAWN, **argument)
            case 'wait':
                self.wait(argument)
            case 'follow':
                self.follow()
            case 'charge':
                self.see(cp_state=ControlPilotState.B, lock=LockState.LOCKED, link=LinkState.UP, errors=())
                for _ in range(5):
                    self.command()
                    self.follow()
                    self.wait(0.4)
                self.see(cp_state=ControlPilotState.C)

    def check(self) -> None:
        """Check every invariant of the outputs."""
        outputs, seen = self.controller.outputs, self.board
        closed_now = outputs.power and not self.had_power
        if outputs.power:
            assert self.controller.power_allowed
            assert seen.link is LinkState.UP
            assert seen.lock is LockState.LOCKED
            assert seen.cp_state is ControlPilotState.C or (
                seen.cp_state is ControlPilotState.D and outputs.ventilation_allowed
            )
            assert not OPENING & {error.code for error in seen.errors}
            assert outputs.pilot_mode in {PilotMode.PWM, PilotMode.X1}
            expires = self.controller.lease_deadline()
            assert expires is not None
            assert self.time < expires <= self.time + 2.0
        if closed_now:
            assert outputs.pilot_mode is PilotMode.PWM
            assert seen.pilot_mode is PilotMode.PWM
            assert not BLOCKING & {error.code for error in seen.errors}
            assert self.time - self.opened_at >= 1.0 - 1e-9, 'the contactor bangs'
        self.had_power = outputs.power
        assert 0.0 <= outputs.duty_cycle_percent <= 100.0
        assert 0.0 <= outputs.current_a <= 32.1
        assert 0.0 <= outputs.over_current_limit_a < float('inf')
        assert outputs.phases in {0, 1, 3}


@settings(max_examples=150, deadline=None)
@given(STEPS)
@example([('charge', None), ('offer', {'lease': 0.0})])
@example([('offer', {})] * 4 + [('charge', None), ('offer', {'sequence_number': 14}), *AGAIN])
def test_the_contactor_is_never_closed_without_every_reason(steps):
    harness = Watched()
    for action, argument in steps:
        lock, phases = harness.controller.outputs.lock, harness.controller.outputs.phases
        harness.do(action, argument)
        harness.check()
        not_open = (
            harness.board.contactor is not ContactorState.OPEN or harness.board.link is not LinkState.UP
        )
        if action != 'charge' and not_open:
            assert not (lock is True and harness.controller.outputs.lock is False), 'unlocked under load'
            assert harness.controller.outputs.phases == phases, 'phases switched under load'


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_counters_only_grow_and_steps_are_numbered_without_gaps(steps):
    harness = Watched()
    before = harness.state
    for action, argument in steps:
        harness.do(action, argument)
        state = harness.state
        assert state.fault_counter >= before.fault_counter
        assert state.openings_under_load >= before.openings_under_load
        assert state.transition_counter >= before.transition_counter
        counters = [step.counter for step in state.transitions]
        assert counters == list(
            range(state.transition_counter - len(counters) + 1, state.transition_counter + 1)
        )
        before = state


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_no_sequence_is_a_dead_end(steps):
    """When everything is well again and acknowledged, power can be had again."""
    harness = Watched()
    for action, argument in steps:
        harness.do(action, argument)
    harness.wait(2.5)
    harness.see(resets=harness.board.resets, cp_state=ControlPilotState.B, errors=())
    harness.see(lock=LockState.LOCKED, link=LinkState.UP)
    harness.sequence = 10_000
    harness.command(replace(WITHDRAWN))
    for _ in range(20):
        harness.command(replug_counter=0)
        harness.follow()
        harness.wait(0.3)
    harness.command()
    harness.see(cp_state=ControlPilotState.C)
    assert harness.power


class LongWay(Watched):
    """A harness whose controller evaluates each command, also those that only renew the lease."""

    def take(self, command: BoardCommand) -> None:
        self.controller.command(command, self.now)


@settings(max_examples=150, deadline=None)
@given(STEPS)
@example([('charge', None), ('offer', {'replug_counter': 1}), ('offer', {'replug_counter': 1}), *AGAIN])
@example([('charge', None), ('wait', 0.9), ('offer', {'lease': 0.0}), *AGAIN])
@example([('charge', None), ('see', {'cp_state': ControlPilotState.B}), *AGAIN, ('wait', 1.1)])
def test_a_renewal_gives_what_weighing_the_command_anew_gives(steps):
    short, long = Watched(), LongWay()
    for action, argument in steps:
        for harness in (short, long):
            harness.wait(0.0)  # what time brings about does not wait for a command
            harness.do(action, argument)
        assert short.controller.outputs == long.controller.outputs
        assert short.state == long.state
        assert short.controller.lease_deadline() == long.controller.lease_deadline()
        assert short.controller.power_allowed == long.controller.power_allowed
