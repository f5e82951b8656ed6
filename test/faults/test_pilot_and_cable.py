"""Faults of pilot, cable and EV (catalogue F1 to F15, F21 to F23, F41 to F45)."""

import pytest

from evse_manager.charging.inputs import SwitchThreePhasesWhileCharging
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LockState,
    PilotMode,
    StatusReason,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import LimitsReq
from faults.fault_bench import FaultBench

SOCKET = Config(connector_type='socket')
BETWEEN_WINDOWS_OHM = 1370.0
"""7.2 V."""
A_MOMENT_S = 1e-6
"""Rounding of the sums of times."""


def test_F1_diode_missing(bench, measured):
    bench.inject('diode')
    bench.plug_in()
    bench.run_for(5.0)
    bench.authorize()
    measured(bench.until_error(ErrorEnum.CAR_DIODE_FAULT), 1.0)
    bench.run_for(60.0)
    assert bench.status.contactor_cycles == 0
    assert bench.world.meter.energy_wh == 0.0
    bench.clear()
    bench.run_for(60.0)
    assert bench.error_codes == {'DiodeFault'}, 'until unplugged'
    bench.fresh_session()


def test_F2_diode_lost_while_charging(charging, measured):
    charging.inject('diode')
    begun = charging.now
    measured(charging.until_open(), 0.5)
    assert charging.pilot is PilotMode.F
    charging.run_until(lambda b: b.pilot is not PilotMode.F)
    assert charging.now - begun >= 0.3 - A_MOMENT_S
    assert charging.pilot is PilotMode.X1
    assert charging.codes(details=True).endswith('CS Error(CarDiodeFault)')
    charging.clear()
    charging.run_for(60.0)
    assert charging.error_codes == {'DiodeFault'}, 'until unplugged'
    charging.fresh_session()


def test_F3_pilot_short(charging, measured):
    charging.inject('pilot_short')
    measured(charging.until_open(), 0.5)
    assert charging.codes(details=True).endswith('CS Error(Car)')
    charging.run_for(20.0)
    assert charging.error_codes == {'PilotFault'}, 'while it lasts'
    charging.clear()
    assert charging.run_until(lambda b: not b.active) >= 1.0 - A_MOMENT_S, 'valid for a second'
    charging.run_until(lambda b: b.flows, 20.0)
    assert charging.codes().endswith('CS Error AllErrorsCleared CR')
    charging.fresh_session()


def test_F4_short_behind_the_diode(charging, measured):
    charging.resistance(1.0)
    measured(charging.until_open(), 0.5)
    assert charging.error_codes == {'PilotFault'}, 'not taken for ventilation'
    charging.resistance(None)
    charging.run_until(lambda b: b.flows, 20.0)
    assert charging.codes().endswith('CS Error AllErrorsCleared CR')
    charging.fresh_session()


def test_F5_protective_earth_lost(charging, measured):
    charging.trips(BoardErrorEnum.GROUND_FAULT)
    measured(charging.until_open(), 0.5)
    assert charging.error_codes == {'GroundFault'}
    charging.trips(BoardErrorEnum.GROUND_FAULT, False)
    charging.run_for(30.0)
    assert charging.error_codes == {'GroundFault'}, 'until unplugged'
    charging.fresh_session()


def test_F6_ventilation_is_not_there(charging, measured):
    charging.inject('ventilation')
    measured(charging.until_open(), 0.5)
    assert charging.active == {ErrorEnum.VENTILATION_NOT_AVAILABLE}
    charging.run_for(30.0)
    assert charging.status.transaction_active
    assert not charging.closed
    charging.clear()
    charging.run_until(lambda b: b.flows, 20.0)
    assert charging.codes().endswith('CS Error AllErrorsCleared CR'), 'without unplugging'


def test_F6_a_car_that_asks_for_ventilation_from_the_start(bench, measured):
    bench.inject('ventilation')
    bench.plug_in()
    bench.authorize()
    bench.run_until(lambda b: b.board_state.cp_state is ControlPilotState.D, 60.0)
    measured(bench.until_error(ErrorEnum.VENTILATION_NOT_AVAILABLE), 0.5)
    bench.run_for(60.0)
    assert bench.status.contactor_cycles == 0
    bench.clear()
    bench.run_until(lambda b: b.flows, 20.0)
    assert bench.codes().endswith('TS PC Error AllErrorsCleared CS')


def test_F7_a_pulse_of_c_without_offer_is_no_request(bench):
    bench.plug_in()
    bench.run_for(5.0)
    seen = bench.board_state.transition_counter
    bench.world.ev.toggle_bcb(3)
    bench.run_for(10.0)
    assert bench.board_state.transition_counter == seen + 2 * 3, 'the board saw every pulse'
    assert bench.status.contactor_cycles == 0
    assert bench.codes() == 'Enabled SS AR'
    assert not bench.active


def test_F8_noise_on_the_pilot(charging):
    since = len(charging.events)
    charging.inject('pilot_noise')
    before = charging.status.contactor_cycles
    charging.run_for(10.0)
    assert charging.status.contactor_cycles - before <= 10
    charging.clear()
    charging.run_for(120.0)
    told = [code for code in charging.codes(since).split() if code in ('CR', 'PEV')]
    assert told[0::2] == ['PEV'] * len(told[0::2]), told
    assert told[1::2] == ['CR'] * len(told[1::2]), told
    assert charging.flows
    charging.fresh_session()


def test_F9_a_pilot_between_windows(charging, measured):
    charging.resistance(BETWEEN_WINDOWS_OHM)
    measured(charging.until_open(), 1.0)
    charging.run_for(2.0)
    assert charging.error_codes == {'PilotFault'}, 'never the nearest window'
    charging.resistance(None)
    charging.run_until(lambda b: b.flows, 20.0)
    assert charging.codes().endswith('CS Error AllErrorsCleared CR')
    charging.fresh_session()


def test_F9_a_pilot_between_windows_for_a_moment(charging):
    charging.resistance(BETWEEN_WINDOWS_OHM)
    charging.run_for(0.04)
    charging.resistance(None)
    charging.run_for(5.0)
    assert charging.codes().endswith('CS'), 'the old state was kept'
    assert charging.flows


def test_F10_a_simplified_ev_is_in_c_at_once(bench):
    bench.plug_in('no_b_state')
    bench.authorize()
    bench.run_until(lambda b: b.flows, 20.0)
    assert bench.codes() == 'Enabled SS AR TS PC CS'
    bench.run_for(10.0)
    assert max(bench.world.currents_a) == pytest.approx(10.0, abs=0.1)


def test_F11_the_ev_stays_in_c_after_x1(bench, measured):
    bench.charge('stays_in_c')
    bench.pause_charging()
    measured(bench.until_open(), 6.5, 6.0)
    assert bench.codes().endswith('CS PEVSE')
    assert bench.board_state.openings_under_load == 1
    bench.fresh_session()


def test_F12_the_ev_leaves_c(charging, measured):
    charging.ev_pause()
    charging.run_until(lambda b: b.board_state.cp_state is ControlPilotState.B)
    measured(charging.until_open(), 0.3)
    assert charging.codes().endswith('CS PEV')
    charging.ev_resume()
    charging.run_until(lambda b: b.flows, 10.0)
    assert charging.codes().endswith('PEV CR')


def test_F13_the_cable_is_pulled_under_load(charging, measured):
    since = len(charging.events)
    charging.unplug()
    measured(charging.until_open(), 0.3)
    opened = charging.now
    charging.run_until(lambda b: b.board_state.lock is LockState.UNLOCKED, 5.0)
    assert charging.codes(since, details=True) == 'SC CF TF(EVDisconnected) SF', 'and the lock last'
    assert opened < charging.at('SF') <= charging.now
    charging.fresh_session()


def test_F14_the_cable_is_pulled_during_the_wake_up(bench, measured):
    bench.plug_in('never_asks')
    bench.authorize()
    bench.run_until(lambda b: b.pilot is PilotMode.F, 60.0)
    bench.run_for(1.0)
    bench.unplug()
    bench.run_until(lambda b: b.pilot is not PilotMode.F, 10.0)
    measured(bench.run_until(lambda b: 'TF(EVDisconnected)' in b.codes(details=True)), 0.3)
    bench.run_for(3.0)
    assert bench.codes(details=True).endswith('SC CF TF(EVDisconnected) SF')
    bench.fresh_session()


def test_F15_the_cable_is_pulled_before_anything_began(bench, measured):
    bench.plug_in()
    bench.run_for(1.0)
    bench.unplug()
    measured(bench.run_until(lambda b: 'SF' in b.codes().split()), 0.3)
    assert bench.codes() == 'Enabled SS AR SF', 'while waiting for a token'
    since = len(bench.events)
    bench.plug_in()
    bench.authorize()
    bench.pause_charging()
    bench.run_for(1.0)
    assert bench.pilot is PilotMode.X1
    bench.unplug()
    measured(bench.run_until(lambda b: 'SC' in b.codes(since).split()), 0.3)
    bench.run_for(3.0)
    assert bench.codes(since, details=True) == 'SS(EVConnected) AR TS PC PEVSE SC CF TF(EVDisconnected) SF'
    bench.fresh_session()


@pytest.mark.parametrize('stimulus', ['unreadable', 'without resistor'])
def test_F21_the_cable_of_a_socket_cannot_be_read(stimulus, measured):
    bench = FaultBench(SOCKET)
    if stimulus == 'unreadable':
        bench.inject('proximity')
    else:
        bench.set_proximity(0.0)
    bench.plug_in()
    measured(bench.run_until(lambda b: 'ProximityFault' in b.error_codes), 0.5)
    bench.authorize()
    bench.run_for(60.0)
    assert all(wish.pilot_mode is not PilotMode.PWM for wish in bench.wishes), 'nothing was ever offered'
    assert bench.status.contactor_cycles == 0
    bench.clear()
    bench.set_proximity(32.0)
    bench.run_for(10.0)
    assert bench.error_codes == {'ProximityFault'}, 'until unplugged'
    bench.fresh_session()


def test_F22_the_coding_of_the_cable_falls_while_charging(measured):
    bench = FaultBench(SOCKET).charge()
    assert bench.board_state.current_a == pytest.approx(32.0, abs=0.1)
    bench.set_proximity(13.0)
    measured(bench.run_until(lambda b: b.board_state.current_a <= 13.0), 1.0)
    bench.run_for(20.0)
    assert bench.flows
    assert max(bench.world.currents_a) <= 13.1
    assert not bench.active
    bench.unplug()
    bench.set_proximity(32.0)
    bench.run_for(5.0)
    bench.charge()
    assert bench.board_state.current_a == pytest.approx(32.0, abs=0.1), 'another cable'


def test_F23_the_cable_carries_less_than_asked_for():
    bench = FaultBench(SOCKET)
    bench.set_proximity(20.0)
    bench.limit(32.0)
    bench.charge()
    bench.run_for(20.0)
    assert bench.board_state.current_a == pytest.approx(20.0, abs=0.1)
    assert bench.status.limit_a == 20.0


def test_F41_the_ev_stops_and_starts_every_5_s(bench, measured):
    bench.plug_in('flapping')
    bench.authorize()
    bench.run_until(lambda b: b.status.reason is StatusReason.EV_TOGGLES, 120.0)
    cycles, paused = bench.status.contactor_cycles, bench.now
    assert cycles >= 3
    bench.run_until(lambda b: b.status.contactor_cycles > cycles, 120.0)
    measured(bench.now - paused, 75.0, 60.0)
    bench.run_for(600.0)
    assert bench.status.contactor_cycles <= 3 * 660 / 60


@pytest.mark.parametrize(('grace_s', 'ends'), [(0.0, True), (5.0, False)])
def test_F42_the_plug_bounces_in_the_first_30_s(grace_s, ends, measured):
    bench = FaultBench(Config(replug_grace_s=grace_s)).charge(soc_percent=20.0)
    since = len(bench.events)
    bench.unplug()
    measured(bench.until_open(), 0.3)
    bench.run_for(2.0)
    bench.plug_in()
    bench.run_for(30.0)
    codes = bench.codes(since)
    if ends:
        assert codes == 'SC CF TF SF SS AR', 'the old token starts nothing'
    else:
        assert 'TS' not in codes.split()
        assert bench.flows
    bench.fresh_session()


def test_F43_a_short_with_the_lock_engaged(charging):
    assert charging.board_state.lock is LockState.LOCKED
    unlocked: list[bool] = []

    def watch(bench):
        if bench.world.outputs.lock is False and not unlocked:
            unlocked.append(bench.board_state.contactor is ContactorState.OPEN)

    charging.watchers.append(watch)
    charging.inject('pilot_short')
    charging.run_for(10.0)
    charging.clear()
    charging.unplug()
    charging.run_for(10.0)
    assert unlocked == [True], 'unlocked once, and after the contactor was seen open'


def test_F44_more_phases_are_pending_and_the_power_limit_is_high(charging):
    charging.do(SwitchThreePhasesWhileCharging(False))
    charging.run_until(lambda b: b.flows and b.status.phases == 1, 60.0)
    charging.limit_entry(LimitsReq(total_power_w=40_000.0, ac_max_current_a=10.0))
    charging.run_for(10.0)
    highest = []
    charging.watchers.append(lambda b: highest.append(max(b.world.currents_a)))
    charging.do(SwitchThreePhasesWhileCharging(True))
    charging.run_until(lambda b: b.flows and b.status.phases == 3, 60.0)
    charging.run_for(10.0)
    assert max(highest) <= 10.1


def test_F45_what_is_published_knows_the_cable(measured):
    bench = FaultBench(SOCKET)
    bench.set_proximity(20.0)
    bench.plug_in()
    measured(bench.run_until(lambda b: b.limits is not None and b.limits.max_current_a == 20.0), 1.0)
    bench.authorize()
    bench.run_until(lambda b: b.flows, 20.0)
    assert bench.world.outputs.over_current_limit_a == 20.0
    assert bench.status.limit_a == 20.0
