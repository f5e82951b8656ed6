"""The simulated board, its EV and its meter, without any manager."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LockState,
    PilotMode,
)
from evse_manager.interface.pilot import duty_cycle
from evse_manager.simulation.faults import FAULTS, SimulationError
from evse_manager.simulation.profiles import PROFILES, EvProfile
from evse_manager.simulation.world import World, WorldSettings

B, C = ControlPilotState.B, ControlPilotState.C
NAMED = [
    'diode', 'pilot_short', 'pilot_noise', 'ventilation', 'relay_weld', 'relay_stuck_open', 'relay_drops',
    'rcd_ac', 'rcd_dc', 'rcd_self_test', 'over_current', 'over_temperature', 'lock_jam', 'lock_opens',
    'proximity', 'meter_silent', 'meter_jump', 'emergency_stop', 'link_lost', 'board_reset',
]  # fmt: skip
"""The faults of the interface (docs/interface.md)."""


class Player:
    """Plays a board node of the simplest kind: it closes in C and opens else."""

    def __init__(self, settings=None, profile='default'):
        self.world = World(settings)
        self.samples, self.seen = [], []
        self.offer_a = 0.0
        self.run(1.0)
        if profile:
            self.world.plug_in(profile)
        self.run(0.1)

    def offer(self, current_a):
        self.offer_a = current_a
        self.react()

    def react(self):
        state = self.world.observe() or self.seen[-1]
        self.seen.append(state)
        charging = self.offer_a > 0.0 and state.cp_state is C
        self.world.set_outputs(
            Outputs(
                pilot_mode=PilotMode.PWM if self.offer_a else PilotMode.X1,
                duty_cycle_percent=duty_cycle(self.offer_a),
                current_a=self.offer_a,
                power=charging,
                lock=True if self.world.ev is not None else None,
            )
        )

    def run(self, seconds):
        end = self.world.now + seconds
        while True:
            due = self.world.next_event()
            at = min(due, end) if due is not None else end
            while self.world.advance(at):
                self.react()
            if (sample := self.world.take_sample()) is not None:
                self.samples.append(sample)
            if at >= end:
                break

    @property
    def errors(self):
        self.world.advance(self.world.now)
        return {error.code for error in self.state.errors}

    @property
    def state(self):
        self.react()
        return self.seen[-1]


def test_every_fault_of_the_interface_exists_and_no_other():
    assert list(FAULTS) == NAMED


def test_every_profile_of_the_specification_exists():
    named = {
        'default', 'single_phase', 'never_asks', 'stays_in_c', 'no_b_state', 'overdraws', 'flapping', 'slow'
    }  # fmt: skip
    assert named <= set(PROFILES)


def test_an_unknown_name_is_refused_with_the_known_ones():
    world = World()
    with pytest.raises(SimulationError, match=r'no fault .*relay_weld.*board_reset'):
        world.inject('relais_weld')
    with pytest.raises(SimulationError, match=r'no EV profile .*single_phase'):
        world.plug_in('tesla')


@pytest.mark.parametrize(
    'changes',
    [{'phases': 4}, {'max_current_a': float('nan')}, {'soc_percent': 101.0}, {'battery_capacity_wh': -1.0}],
    ids=str,
)
def test_an_impossible_ev_is_refused(changes):
    world = World()
    with pytest.raises(SimulationError, match=next(iter(changes))):
        world.plug_in(EvProfile(**changes))
    assert world.ev is None


def test_what_needs_an_ev_is_refused_without_one():
    world = World()
    for action in (world.unplug, world.ev_pause, world.ev_resume):
        with pytest.raises(SimulationError, match='plug'):
            action()
    world.plug_in()
    with pytest.raises(SimulationError, match='already'):
        world.plug_in()


def test_an_idle_world_has_one_event_per_sample():
    world = World(WorldSettings(sample_period_s=60.0))
    world.advance(30.0)
    assert world.next_event() == 60.0


def test_the_default_ev_asks_when_a_current_is_offered_and_charges():
    player = Player()
    assert player.state.cp_state is B
    player.offer(16.0)
    player.run(3.0)
    assert player.state.cp_state is C
    assert player.state.contactor is ContactorState.CLOSED
    assert player.world.currents_a == (16.0, 16.0, 16.0)
    player.run(2.0)
    assert player.samples[-1].power_w.total == pytest.approx(11040.0, rel=0.02)


@pytest.mark.parametrize('current_a', [6.0, 13.0, 32.0])
@pytest.mark.parametrize('profile', ['default', 'slow', 'single_phase'])
def test_it_follows_a_new_duty_within_five_seconds(profile, current_a):
    player = Player(profile=profile)
    player.offer(20.0)
    player.run(20.0)
    player.offer(current_a)
    player.run(5.0)
    assert player.world.currents_a[0] == pytest.approx(current_a)
    assert (player.world.currents_a[1] > 0.0) is (profile != 'single_phase')


def test_without_an_offer_it_stops_within_three_seconds_and_goes_to_b():
    for profile in ('default', 'slow'):
        player = Player(profile=profile)
        player.offer(16.0)
        player.run(20.0)
        player.offer(0.0)
        player.run(3.0)
        assert player.world.currents_a == (0.0, 0.0, 0.0)
        assert player.state.cp_state is B


def test_what_is_metered_is_what_the_ev_took_and_the_battery_got():
    player = Player()
    player.offer(16.0)
    player.run(1800.0)
    ev, meter = player.world.ev, player.world.meter
    assert meter.energy_wh > 5000.0
    assert ev.energy_taken_wh == pytest.approx(meter.energy_wh, rel=1e-9)
    stored = (ev.soc_percent - 50.0) / 100.0 * ev.profile.battery_capacity_wh
    assert stored == pytest.approx(ev.energy_taken_wh * ev.profile.efficiency, rel=1e-9)


def test_the_register_is_the_integral_of_the_power():
    player = Player()
    player.offer(16.0)
    player.run(10.0)
    begin = len(player.samples)
    player.run(600.0)
    samples = player.samples[begin - 1 :]
    counted = samples[-1].energy_wh_import.total - samples[0].energy_wh_import.total
    mean_w = sum(sample.power_w.total for sample in samples) / len(samples)
    hours = (len(samples) - 1) * player.world.settings.sample_period_s / 3600.0
    assert counted == pytest.approx(mean_w * hours, rel=1e-3)


def test_the_current_tapers_and_a_full_ev_stops_by_itself():
    player = Player(profile=EvProfile(soc_percent=78.0, battery_capacity_wh=5000.0))
    player.offer(32.0)
    player.run(5.0)
    currents = []
    while player.state.cp_state is C and player.world.now < 20_000.0:
        currents.append(player.world.currents_a[0])
        player.run(5.0)
    assert currents[0] == 32.0
    drawn = [current for current in currents if current > 0.0]
    assert drawn == sorted(drawn, reverse=True)
    assert drawn[-1] < 6.0
    assert player.world.ev.soc_percent == 100.0
    player.run(600.0)
    assert player.state.cp_state is B, 'it never asks again'


def test_pause_and_resume():
    player = Player()
    player.offer(16.0)
    player.run(5.0)
    player.world.ev_pause()
    player.run(1.0)
    assert player.state.cp_state is B
    player.world.ev_resume()
    player.run(3.0)
    assert player.state.cp_state is C


def test_an_ev_that_needs_a_wakeup_asks_after_f_and_one_that_never_asks_does_not():
    for profile, asks in (('needs_wakeup', True), ('never_asks', False)):
        player = Player(profile=profile)
        player.offer(16.0)
        player.run(60.0)
        assert player.state.cp_state is B
        player.world.set_outputs(Outputs(pilot_mode=PilotMode.F))
        end = player.world.now + 3.0
        while player.world.advance(end):
            player.world.observe()
        player.offer(0.0)
        player.run(1.0)
        player.offer(16.0)
        player.run(3.0)
        assert (player.state.cp_state is C) is asks


def test_an_ev_without_state_b_is_in_c_at_once_and_draws_ten_amperes():
    player = Player(profile='no_b_state')
    assert player.state.cp_state is C
    player.offer(16.0)
    player.run(5.0)
    assert player.world.currents_a[0] == 10.0


def test_one_that_stays_in_c_goes_on_drawing_until_the_contactor_opens():
    player = Player(profile='stays_in_c')
    player.offer(16.0)
    player.run(5.0)
    world = player.world
    world.set_outputs(Outputs(pilot_mode=PilotMode.X1, power=True, lock=True))
    world.advance(world.now)
    world.observe()
    for _ in range(20):
        world.advance(world.now + 0.5)
        world.observe()
    assert world.currents_a[0] == 16.0
    world.set_outputs(Outputs(pilot_mode=PilotMode.X1, lock=True))
    world.advance(world.now + 0.1)
    assert world.currents_a[0] == 0.0


def test_bcb_pulses_show_c_for_300_ms_each():
    player = Player()
    player.world.ev.toggle_bcb(2)
    begin = len(player.seen)
    player.run(3.0)
    states = [state.cp_state for state in player.seen[begin:]]
    assert [state for state, _ in itertools.groupby(states)] == [C, B, C, B]


@pytest.mark.parametrize(
    ('fault', 'error'),
    [
        ('diode', BoardErrorEnum.DIODE_FAULT),
        ('rcd_ac', BoardErrorEnum.RCD_AC),
        ('rcd_dc', BoardErrorEnum.RCD_DC),
        ('over_current', BoardErrorEnum.OVER_CURRENT),
        ('over_temperature', BoardErrorEnum.OVER_TEMPERATURE),
        ('lock_opens', BoardErrorEnum.LOCK_UNEXPECTEDLY_OPEN),
        ('proximity', BoardErrorEnum.PROXIMITY_FAULT),
        ('meter_silent', BoardErrorEnum.METER_FAULT),
        ('emergency_stop', BoardErrorEnum.EMERGENCY_STOP),
    ],
)
def test_faults_while_charging_show_their_error_and_clear(fault, error):
    player = Player()
    player.offer(32.0)
    player.run(5.0)
    assert not player.errors
    player.world.inject(fault)
    player.run(60.0)
    assert player.errors == {error}
    player.world.clear(fault)
    player.run(60.0)
    player.world.unplug()
    player.world.set_outputs(Outputs(rcd_resets=1, lock=False))
    player.run(5.0)
    assert not player.errors


@pytest.mark.parametrize('fault', ['rcd_ac', 'rcd_dc', 'emergency_stop', 'over_current'])
def test_the_hardware_trips_without_the_node(fault):
    player = Player()
    player.offer(32.0)
    player.run(5.0)
    player.world.inject(fault)
    player.world.advance(player.world.now)
    player.world.observe()
    for _ in range(30):
        player.world.advance(player.world.now + 0.1)
        player.world.observe()
    assert player.world.contactor.feedback is ContactorState.OPEN
    assert player.world.currents_a == (0.0, 0.0, 0.0)


def test_a_residual_current_device_needs_a_reset_and_trips_again_while_its_cause_lasts():
    player = Player()
    player.world.inject('rcd_dc')
    player.world.set_outputs(Outputs(rcd_resets=1))
    assert player.errors == {BoardErrorEnum.RCD_DC}
    player.world.clear('rcd_dc')
    assert player.errors == {BoardErrorEnum.RCD_DC}
    player.world.set_outputs(Outputs(rcd_resets=2))
    player.offer_a = 0.0
    assert BoardErrorEnum.RCD_DC not in {error.code for error in player.world.observe().errors}


def test_a_failed_self_test_keeps_the_contactor_open():
    player = Player()
    player.world.inject('rcd_self_test')
    player.offer(16.0)
    player.run(10.0)
    assert player.errors == {BoardErrorEnum.RCD_SELF_TEST}
    assert player.state.contactor is ContactorState.OPEN


def test_a_weld_stays_closed_and_is_noticed():
    player = Player()
    player.offer(16.0)
    player.run(5.0)
    player.world.inject('relay_weld')
    player.offer(0.0)
    player.run(5.0)
    assert player.state.contactor is ContactorState.CLOSED
    assert player.errors == {BoardErrorEnum.CONTACTOR_WELDED}
    player.world.clear('relay_weld')
    player.run(1.0)
    assert player.state.contactor is ContactorState.OPEN
    assert not player.errors


def test_a_contactor_that_sticks_or_drops():
    player = Player()
    player.world.inject('relay_stuck_open')
    player.offer(16.0)
    player.run(5.0)
    assert player.state.contactor is ContactorState.OPEN
    player.world.clear()
    player.run(1.0)
    assert player.state.contactor is ContactorState.CLOSED
    player.world.inject('relay_drops')
    player.run(0.1)
    assert player.state.contactor is ContactorState.OPEN


def test_a_jammed_lock_gives_up_after_three_tries_and_works_when_freed():
    player = Player(profile='')
    player.world.inject('lock_jam')
    player.world.plug_in()
    player.run(5.0)
    assert player.state.lock is LockState.UNLOCKED
    assert player.errors == {BoardErrorEnum.LOCK_FAILED_TO_LOCK}
    player.world.clear('lock_jam')
    player.run(1.0)
    assert player.state.lock is LockState.LOCKED
    assert not player.errors


def test_noise_flaps_the_pilot_at_20_hz():
    player = Player()
    player.world.inject('pilot_noise')
    begin = len(player.seen)
    player.run(1.0)
    states = [state.cp_state for state in player.seen[begin:]]
    changes = sum(a is not b for a, b in itertools.pairwise(states))
    assert 36 <= changes <= 42
    player.world.clear('pilot_noise')
    player.run(1.0)
    assert player.state.cp_state is B


def test_a_voltage_between_the_windows_is_a_fault_after_50_ms():
    player = Player()
    player.world.ev.resistance_override_ohm = 1700.0
    player.world.inject('board_reset')
    player.run(0.04)
    assert player.state.cp_state is B
    assert not player.errors
    player.run(0.02)
    assert player.errors == {BoardErrorEnum.PILOT_FAULT}
    player.world.ev.resistance_override_ohm = None
    player.world.inject('board_reset')
    player.run(0.01)
    assert not player.errors


def test_behind_a_cut_line_nothing_changes_and_the_watchdog_withdraws_power():
    player = Player()
    player.offer(16.0)
    player.run(5.0)
    player.world.inject('link_lost')
    player.run(2.0)
    assert player.world.contactor.closed
    player.run(2.0)
    assert not player.world.contactor.closed
    assert player.seen[-1].contactor is ContactorState.CLOSED, 'nobody can see it'
    player.world.clear('link_lost')
    player.run(0.1)
    assert player.state.contactor is ContactorState.OPEN


def test_a_jump_of_the_meter_is_on_the_register_alone():
    player = Player()
    player.run(2.0)
    before = player.samples[-1].energy_wh_import
    player.world.inject('meter_jump')
    player.run(2.0)
    after = player.samples[-1].energy_wh_import
    assert after.total == pytest.approx(before.total + 100_000.0)
    assert after.l1 == before.l1


def test_the_proximity_resistor():
    player = Player()
    assert player.state.cable_ampacity_a == 32.0
    player.world.set_proximity(13.0)
    assert player.state.cable_ampacity_a == 13.0
    player.world.set_proximity(0.0)
    assert player.state.cable_ampacity_a is None
    with pytest.raises(SimulationError, match='13, 20, 32 or 63'):
        player.world.set_proximity(16.0)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(['plug', 'unplug', 'offer', 'stop', 'pause', 'resume', 'inject', 'clear']),
        st.sampled_from(NAMED),
        st.sampled_from(sorted(PROFILES)),
        st.floats(0.0, 30.0),
    ),
    max_size=12,
)


def play(actions, seed=3):
    """Play actions at random; return everything that could be seen and measured."""
    player = Player(WorldSettings(seed=seed), profile='')
    taken = 0.0
    for action, fault, profile, seconds in actions:
        world = player.world
        try:
            match action:
                case 'plug':
                    world.plug_in(profile)
                case 'unplug':
                    taken += world.ev.energy_taken_wh if world.ev is not None else 0.0
                    world.unplug()
                case 'offer':
                    player.offer(16.0)
                case 'stop':
                    player.offer(0.0)
                case 'pause':
                    world.ev_pause()
                case 'resume':
                    world.ev_resume()
                case 'inject':
                    world.inject(fault)
                case 'clear':
                    world.clear()
        except SimulationError:
            pass
        player.run(seconds)
        if not world.contactor.closed or world.ev is None:
            assert max(world.currents_a) == 0.0, 'current without a circuit'
    if player.world.ev is not None:
        taken += player.world.ev.energy_taken_wh
    return player, taken


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_whatever_happens_the_energy_metered_is_the_energy_taken(actions):
    player, taken = play(actions)
    assert player.world.meter.energy_wh == pytest.approx(taken, rel=1e-9, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(ACTIONS)
def test_the_same_seed_is_the_same_world(actions):
    first, second = play(actions)[0], play(actions)[0]
    assert first.seen == second.seen
    assert first.samples == second.samples


def test_another_seed_is_another_world():
    assert play([], seed=1)[0].samples != play([], seed=2)[0].samples
