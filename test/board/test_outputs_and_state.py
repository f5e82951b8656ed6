"""Lock, phases, counters and the published state."""

import pytest

from board.rig import WITHDRAWN, Rig
from evse_manager.board.driver import BoardStyle
from evse_manager.interface.enums import ContactorState, ControlPilotState, OpeningReason, PilotMode

A, B, C = ControlPilotState.A, ControlPilotState.B, ControlPilotState.C
OPEN, CLOSED = ContactorState.OPEN, ContactorState.CLOSED


@pytest.fixture
def rig():
    rig = Rig()
    rig.charge()
    return rig


def test_the_lock_opens_only_after_the_contactor_is_confirmed_open(rig):
    rig.command(WITHDRAWN, lock=False)
    assert rig.controller.outputs.lock is True
    rig.see(contactor=OPEN)
    assert rig.controller.outputs.lock is False


def test_a_weld_keeps_the_lock(rig):
    for _ in range(20):
        rig.command(WITHDRAWN, lock=False)
        rig.wait(0.5)
    assert rig.controller.outputs.lock is True


def test_nobody_touches_the_lock_before_the_first_command():
    assert Rig().controller.outputs.lock is None


def test_phases_change_only_with_the_contactor_open(rig):
    rig.command(phases=1)
    assert rig.controller.outputs.phases == 3
    rig.command(WITHDRAWN, phases=1)
    assert rig.controller.outputs.phases == 3
    rig.see(contactor=OPEN)
    assert rig.controller.outputs.phases == 1


def test_the_residual_current_device_is_reset_once_per_count(rig):
    rig.command(rcd_reset_counter=1)
    rig.command(rcd_reset_counter=1)
    rig.command(rcd_reset_counter=1)
    assert rig.controller.outputs.rcd_resets == 1
    rig.command(rcd_reset_counter=2)
    assert rig.controller.outputs.rcd_resets == 2


def test_the_counters_of_a_new_manager_begin_anew(rig):
    rig.wait(2.0)
    rig.command(manager_id='m2', sequence_number=1, rcd_reset_counter=40, replug_counter=7)
    rig.command(manager_id='m2', sequence_number=2, rcd_reset_counter=40, replug_counter=7)
    assert rig.controller.outputs.rcd_resets == 0
    assert not rig.state.replug_active


def test_a_virtual_replug_opens_shows_f_and_x1_and_ends(rig):
    rig.command(replug_counter=1)
    assert not rig.power
    assert rig.state.replug_active
    assert rig.state.opening_reason is OpeningReason.COMMANDED
    rig.follow()
    assert rig.controller.outputs.pilot_mode is PilotMode.F
    seen = []
    for _ in range(50):
        rig.command(replug_counter=1)
        rig.wait(0.1)
        seen.append(rig.controller.outputs.pilot_mode)
        assert not rig.power or not rig.state.replug_active
    assert [mode for i, mode in enumerate(seen) if i == 0 or seen[i - 1] is not mode] == [
        PilotMode.F,
        PilotMode.X1,
        PilotMode.PWM,
    ]
    assert not rig.state.replug_active


def test_a_welded_contactor_forbids_the_replug(rig):
    rig.command(replug_counter=1)
    rig.command(replug_counter=1)
    rig.wait(0.5)
    rig.command(replug_counter=1)
    rig.wait(0.6)
    assert not rig.state.replug_active
    assert rig.controller.outputs.pilot_mode is not PilotMode.F


def test_every_step_of_pilot_and_contactor_is_told(rig):
    start = rig.state.transition_counter
    rig.see(cp_state=B)
    rig.see(contactor=OPEN)
    rig.see(cp_state=A)
    rig.see(cp_state=A)
    state = rig.state
    assert state.transition_counter == start + 3
    assert [(step.cp_state, step.contactor) for step in state.transitions[-3:]] == [
        (B, CLOSED),
        (B, OPEN),
        (A, OPEN),
    ]
    assert [step.counter for step in state.transitions[-3:]] == [start + 1, start + 2, start + 3]


def test_sixteen_steps_are_kept_and_old_ones_forgotten(rig):
    for _ in range(20):
        rig.see(cp_state=A)
        rig.see(cp_state=B)
    assert len(rig.state.transitions) == 16
    counter = rig.state.transition_counter
    rig.wait(31.0)
    assert rig.state.transitions == ()
    assert rig.state.transition_counter == counter


def test_the_state_is_published_on_change_and_four_times_a_second_with_power(rig):
    assert rig.controller.take_state(rig.now) is not None
    assert rig.controller.take_state(rig.now) is None
    rig.see(cp_state=B)
    assert rig.controller.take_state(rig.now) is not None, 'a change'
    assert rig.controller.steady_deadline() <= rig.time + 0.25
    rig.time = rig.controller.steady_deadline()
    rig.controller.tick(rig.now)
    assert rig.controller.take_state(rig.now) is not None, 'the period'


def test_the_rate_holds_although_each_state_is_late(rig):
    rig.command(lease=2.0)
    rig.command(lease=2.0)
    assert rig.controller.take_state(rig.now) is not None
    began, published = rig.time, 0
    while rig.time < began + 10.0:
        rig.time = rig.controller.steady_deadline() + 0.02
        rig.command(lease=2.0)
        published += rig.controller.take_state(rig.now) is not None
    assert published >= 40
    rig.time = rig.controller.steady_deadline() + 0.2  # a stall is no reason to catch up
    assert rig.controller.take_state(rig.now) is not None
    assert rig.controller.steady_deadline() > rig.time + 0.2


def test_a_sample_takes_the_state_along_when_much_of_its_period_is_over(rig):
    assert rig.controller.take_state(rig.now, accompanied=True) is not None
    rig.wait(0.05)
    assert rig.controller.take_state(rig.now, accompanied=True) is None
    rig.wait(0.1)
    assert rig.controller.take_state(rig.now) is None
    assert rig.controller.take_state(rig.now, accompanied=True) is not None


def test_without_power_once_a_second_is_enough(rig):
    rig.command(WITHDRAWN)
    rig.command(WITHDRAWN, lease=2.0)
    assert rig.controller.take_state(rig.now) is not None
    rig.wait(0.25)
    assert rig.controller.take_state(rig.now) is not None, 'still closed: watched as closely as with power'
    rig.see(cp_state=B, contactor=OPEN)
    assert rig.controller.take_state(rig.now) is not None
    rig.wait(0.65)
    assert rig.controller.take_state(rig.now) is None
    rig.wait(0.1)
    assert rig.controller.take_state(rig.now) is not None


def test_a_renewal_is_no_change_but_a_new_wish_is_answered_at_once(rig):
    rig.controller.take_state(rig.now)
    rig.command()
    assert rig.controller.take_state(rig.now) is None
    rig.command(over_current_limit_a=20.0)
    state = rig.controller.take_state(rig.now)
    assert state is not None
    assert state.answered_sequence_number == rig.sequence


def high_level():
    rig = Rig(BoardStyle.HIGH_LEVEL)
    rig.command()
    rig.command()
    return rig


def test_a_high_level_board_is_permitted_whatever_the_pilot_says():
    rig = high_level()
    assert rig.power, 'its firmware decides when to close'
    rig.see(cp_state=C, contactor=CLOSED)
    rig.see(cp_state=B, contactor=OPEN)
    assert rig.power, 'the EV paused; the permission stays'
    assert rig.state.opening_reason is OpeningReason.PILOT
    assert rig.state.fault_counter == 0


def test_a_high_level_board_that_opens_by_itself_has_to_be_acknowledged():
    rig = high_level()
    rig.see(cp_state=C, contactor=CLOSED)
    rig.see(contactor=OPEN)
    assert not rig.power
    assert rig.state.opening_reason is OpeningReason.BY_ITSELF
    assert rig.state.fault_counter == 1


def test_silence_takes_the_permission_from_a_high_level_board():
    rig = high_level()
    rig.wait(1.1)
    assert not rig.power
