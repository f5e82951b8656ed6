"""Lock, phases, counters and the published state."""

import pytest

from board.controller_harness import WITHDRAWN, ControllerHarness
from evse_manager.board.driver import BoardStyle
from evse_manager.interface.enums import ContactorState, ControlPilotState, OpeningReason, PilotMode

A, B, C = ControlPilotState.A, ControlPilotState.B, ControlPilotState.C
OPEN, CLOSED = ContactorState.OPEN, ContactorState.CLOSED


@pytest.fixture
def harness():
    harness = ControllerHarness()
    harness.charge()
    return harness


def test_the_lock_opens_only_after_the_contactor_is_confirmed_open(harness):
    harness.command(WITHDRAWN, lock=False)
    assert harness.controller.outputs.lock is True
    harness.see(contactor=OPEN)
    assert harness.controller.outputs.lock is False


def test_a_weld_keeps_the_lock(harness):
    for _ in range(20):
        harness.command(WITHDRAWN, lock=False)
        harness.wait(0.5)
    assert harness.controller.outputs.lock is True


def test_nobody_touches_the_lock_before_the_first_command():
    assert ControllerHarness().controller.outputs.lock is None


def test_phases_change_only_with_the_contactor_open(harness):
    harness.command(phases=1)
    assert harness.controller.outputs.phases == 3
    harness.command(WITHDRAWN, phases=1)
    assert harness.controller.outputs.phases == 3
    harness.see(contactor=OPEN)
    assert harness.controller.outputs.phases == 1


def test_the_residual_current_device_is_reset_once_per_count(harness):
    harness.command(rcd_reset_counter=1)
    harness.command(rcd_reset_counter=1)
    harness.command(rcd_reset_counter=1)
    assert harness.controller.outputs.rcd_resets == 1
    harness.command(rcd_reset_counter=2)
    assert harness.controller.outputs.rcd_resets == 2


def test_the_counters_of_a_new_manager_begin_anew(harness):
    harness.wait(2.0)
    harness.command(manager_id='m2', sequence_number=1, rcd_reset_counter=40, replug_counter=7)
    harness.command(manager_id='m2', sequence_number=2, rcd_reset_counter=40, replug_counter=7)
    assert harness.controller.outputs.rcd_resets == 0
    assert not harness.state.replug_active


def test_a_virtual_replug_opens_shows_f_and_x1_and_ends(harness):
    harness.command(replug_counter=1)
    assert not harness.power
    assert harness.state.replug_active
    assert harness.state.opening_reason is OpeningReason.COMMANDED
    harness.follow()
    assert harness.controller.outputs.pilot_mode is PilotMode.F
    seen = []
    for _ in range(50):
        harness.command(replug_counter=1)
        harness.wait(0.1)
        seen.append(harness.controller.outputs.pilot_mode)
        assert not harness.power or not harness.state.replug_active
    assert [mode for i, mode in enumerate(seen) if i == 0 or seen[i - 1] is not mode] == [
        PilotMode.F,
        PilotMode.X1,
        PilotMode.PWM,
    ]
    assert not harness.state.replug_active


def test_a_welded_contactor_forbids_the_replug(harness):
    harness.command(replug_counter=1)
    harness.command(replug_counter=1)
    harness.wait(0.5)
    harness.command(replug_counter=1)
    harness.wait(0.6)
    assert not harness.state.replug_active
    assert harness.controller.outputs.pilot_mode is not PilotMode.F


def test_every_step_of_pilot_and_contactor_is_told(harness):
    start = harness.state.transition_counter
    harness.see(cp_state=B)
    harness.see(contactor=OPEN)
    harness.see(cp_state=A)
    harness.see(cp_state=A)
    state = harness.state
    assert state.transition_counter == start + 3
    assert [(step.cp_state, step.contactor) for step in state.transitions[-3:]] == [
        (B, CLOSED),
        (B, OPEN),
        (A, OPEN),
    ]
    assert [step.counter for step in state.transitions[-3:]] == [start + 1, start + 2, start + 3]


def test_sixteen_steps_are_kept_and_old_ones_forgotten_under_a_lease_that_is_held(harness):
    for _ in range(20):
        harness.see(cp_state=A)
        harness.see(cp_state=B)
    assert len(harness.state.transitions) == 16
    counter = harness.state.transition_counter
    for _ in range(20):
        harness.command()
        harness.wait(0.5)
    assert harness.state.transitions == ()
    assert harness.state.transition_counter == counter


def test_a_manager_that_stood_still_finds_the_steps_that_it_missed(harness):
    harness.command()
    start = harness.state.transition_counter
    harness.wait(60.0)
    harness.see(cp_state=B)
    harness.see(cp_state=A)
    harness.wait(60.0)
    harness.command()
    assert [step.counter for step in harness.state.transitions][-2:] == [start + 1, start + 2]


def test_the_state_is_published_on_change_and_four_times_a_second_with_power(harness):
    assert harness.controller.take_state(harness.now) is not None
    assert harness.controller.take_state(harness.now) is None
    harness.see(cp_state=B)
    assert harness.controller.take_state(harness.now) is not None, 'a change'
    assert harness.controller.steady_deadline() <= harness.time + 0.25
    harness.time = harness.controller.steady_deadline()
    harness.controller.tick(harness.now)
    assert harness.controller.take_state(harness.now) is not None, 'the period'


def test_the_rate_holds_although_each_state_is_late(harness):
    harness.command(lease=2.0)
    harness.command(lease=2.0)
    assert harness.controller.take_state(harness.now) is not None
    began, published = harness.time, 0
    while harness.time < began + 10.0:
        harness.time = harness.controller.steady_deadline() + 0.02
        harness.command(lease=2.0)
        published += harness.controller.take_state(harness.now) is not None
    assert published >= 40
    harness.time = harness.controller.steady_deadline() + 0.2  # a stall is no reason to catch up
    assert harness.controller.take_state(harness.now) is not None
    assert harness.controller.steady_deadline() > harness.time + 0.2


def test_a_sample_takes_the_state_along_when_much_of_its_period_is_over(harness):
    assert harness.controller.take_state(harness.now, accompanied=True) is not None
    harness.wait(0.05)
    assert harness.controller.take_state(harness.now, accompanied=True) is None
    harness.wait(0.1)
    assert harness.controller.take_state(harness.now) is None
    assert harness.controller.take_state(harness.now, accompanied=True) is not None


def test_without_power_once_a_second_is_enough(harness):
    harness.command(WITHDRAWN)
    harness.command(WITHDRAWN, lease=2.0)
    assert harness.controller.take_state(harness.now) is not None
    harness.wait(0.25)
    assert harness.controller.take_state(harness.now) is not None, (
        'still closed: watched as closely as with power'
    )
    harness.see(cp_state=B, contactor=OPEN)
    assert harness.controller.take_state(harness.now) is not None
    harness.wait(0.65)
    assert harness.controller.take_state(harness.now) is None
    harness.wait(0.1)
    assert harness.controller.take_state(harness.now) is not None


def test_a_renewal_is_no_change_but_a_new_wish_is_answered_at_once(harness):
    harness.controller.take_state(harness.now)
    harness.command()
    assert harness.controller.take_state(harness.now) is None
    harness.command(over_current_limit_a=20.0)
    state = harness.controller.take_state(harness.now)
    assert state is not None
    assert state.answered_sequence_number == harness.sequence


def high_level():
    harness = ControllerHarness(BoardStyle.HIGH_LEVEL)
    harness.command()
    harness.command()
    return harness


def test_a_high_level_board_is_permitted_whatever_the_pilot_says():
    harness = high_level()
    assert harness.power, 'its firmware decides when to close'
    harness.see(cp_state=C, contactor=CLOSED)
    harness.see(cp_state=B, contactor=OPEN)
    assert harness.power, 'the EV paused; the permission stays'
    assert harness.state.opening_reason is OpeningReason.PILOT
    assert harness.state.fault_counter == 0


def test_a_high_level_board_that_opens_by_itself_has_to_be_acknowledged():
    harness = high_level()
    harness.see(cp_state=C, contactor=CLOSED)
    harness.see(contactor=OPEN)
    assert not harness.power
    assert harness.state.opening_reason is OpeningReason.BY_ITSELF
    assert harness.state.fault_counter == 1


def test_silence_takes_the_permission_from_a_high_level_board():
    harness = high_level()
    harness.wait(1.1)
    assert not harness.power
