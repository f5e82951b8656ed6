"""Commands, limits and clocks (catalogue C1 to C20); C7, C21 and C22 are tested beside the nodes."""

import itertools
import math

import pytest

from evse_manager.charging.inputs import (
    ClearFault,
    LimitsEnforced,
    PauseCharging,
    Reserve,
    SetExternalLimits,
    SetFaulted,
    StopTransaction,
    SwitchThreePhasesWhileCharging,
    WithdrawAuthorization,
)
from evse_manager.interface import pilot
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ErrorEnum,
    PilotMode,
    StatusReason,
    StopTransactionReason,
    SwitchThreePhasesWhileChargingResult,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    EnforcedLimits,
    ExternalLimits,
    LimitsReq,
    LimitsRes,
    ScheduleReqEntry,
    StopTransactionRequest,
    Time,
)
from evse_manager.simulation.world import WorldSettings
from faults.fault_bench import FaultBench

DAY_S = 86_400.0
SECOND = 1_000_000_000


def grant(bench: FaultBench, current_a: float, life_s: float = 10.0) -> None:
    """Let the energy manager hand out a limit."""
    stamp = bench.wall
    limits = EnforcedLimits('', stamp, Time(stamp + round(life_s * SECOND)), LimitsRes(None, current_a, 0))
    bench.feed(LimitsEnforced(limits))


@pytest.mark.parametrize('current_a', [math.nan, math.inf, -math.inf, -1.0, 1e9, 80.2])
def test_C1_impossible_currents(charging, current_a):
    charging.limit(16.0)
    charging.run_for(10.0)
    wishes = len(charging.wishes)
    answer = charging.limit(current_a)
    assert not answer.success
    assert answer.message
    charging.run_for(5.0)
    assert len(charging.wishes) == wishes, 'the board is told nothing new'
    assert charging.board_state.current_a == pytest.approx(16.0, abs=0.1)


def test_C2_less_than_6_a(charging, measured):
    charging.limit(5.0)
    measured(charging.run_until(lambda b: b.pilot is PilotMode.X1), 0.5)
    charging.run_for(5.0)
    assert charging.codes().endswith('CS WE')
    assert charging.board_state.duty_cycle_percent == 100.0
    charging.limit(6.0)
    charging.run_until(lambda b: b.flows, 20.0)
    assert charging.board_state.duty_cycle_percent == pytest.approx(10.0)


def test_C3_between_51_and_52_5_a():
    bench = FaultBench(Config(max_current_import_a=63.0), WorldSettings(max_current_a=63.0))
    bench.limit(51.5)
    bench.charge()
    bench.run_for(20.0)
    assert bench.board_state.duty_cycle_percent == pytest.approx(85.0)
    assert bench.status.signalled_current_a == 51.0


def test_C4_more_than_can_be_signalled():
    assert pilot.duty_cycle(80.0) <= 96.0
    bench = FaultBench(
        Config(energy_source='manager', max_current_import_a=80.0), WorldSettings(max_current_a=80.0)
    )
    bench.plug_in(max_current_a=80.0)
    grant(bench, 80.2)
    bench.authorize()
    bench.run_until(lambda b: b.pilot is PilotMode.PWM, 10.0)
    assert bench.status.signalled_current_a == 80.0, 'what the hardware carries'
    assert bench.board_state.duty_cycle_percent <= 96.0


def test_C5_enable_twice(bench):
    assert bench.says(bench.enable) == ''
    assert bench.enable().success
    assert bench.says(bench.disable, 1.0) == 'Disabled'
    assert bench.says(bench.enable) == 'Enabled'
    assert bench.says(bench.enable) == ''


@pytest.mark.parametrize(('profile', 'bound'), [('default', 3.0), ('stays_in_c', 6.5)])
def test_C6_disable_while_charging(bench, profile, bound, measured):
    bench.charge(profile)
    since, begun = len(bench.events), bench.now
    assert bench.disable().success
    bench.until_open()
    measured(bench.now - begun, bound)
    bench.run_for(3.0)
    assert bench.codes(since, details=True) == 'SC CF TF(Other) SF Disabled'


def test_C8_a_token_while_disabled_or_faulted(bench):
    bench.disable()
    answer = bench.authorize()
    assert not answer.success
    assert 'disabled' in answer.message
    bench.enable()
    bench.do(SetFaulted())
    answer = bench.authorize()
    assert not answer.success
    assert 'fault' in answer.message
    bench.plug_in()
    bench.run_for(30.0)
    assert 'TS' not in bench.codes().split()
    bench.do(ClearFault())
    bench.fresh_session()


def test_C9_the_same_token_again_and_another(charging):
    since = len(charging.events)
    assert charging.authorize().success
    answer = charging.authorize('SOMEBODY ELSE')
    assert not answer.success
    charging.run_for(5.0)
    assert charging.codes(since) == ''
    assert charging.flows, 'to stop by a second token is the duty of the authorization node'


def test_C10_nobody_plugs_in(bench, measured):
    bench.authorize()
    bench.run_for(60.0)
    begun = bench.now
    bench.do(WithdrawAuthorization())
    measured(bench.now - begun, 0.3)
    assert bench.codes(details=True) == 'Enabled SS(Authorized) SF'
    bench.fresh_session()


def test_C11_a_reservation_that_is_impossible(bench):
    bench.do(Reserve(1))
    answer = bench.command(Reserve(2))
    assert not answer.success
    assert 'reserved' in answer.message
    assert bench.codes() == 'Enabled ReservationStart'
    bench.charge()
    since = len(bench.events)
    assert not bench.command(Reserve(3)).success, 'while charging'
    assert bench.codes(since) == ''


def test_C13_stop_with_an_unknown_reason_and_twice(charging):
    since = len(charging.events)
    stop = StopTransaction(StopTransactionRequest(StopTransactionReason.UNSPECIFIED, ''))
    assert charging.command(stop).success
    assert not charging.command(stop).success
    charging.run_for(5.0)
    assert charging.codes(since, details=True) == 'SC CF TF(Other)'


def test_C14_a_start_during_a_fault(bench):
    bench.trips(BoardErrorEnum.ENCLOSURE_OPEN)
    bench.plug_in()
    bench.authorize()
    bench.run_for(30.0)
    assert 'TS' not in bench.codes().split()
    bench.trips(BoardErrorEnum.ENCLOSURE_OPEN, False)
    bench.run_until(lambda b: b.flows, 20.0)
    assert bench.codes().endswith('TS PC CS'), 'the token is remembered'


def test_C15_pause_during_a_phase_switch(charging):
    charging.do(SwitchThreePhasesWhileCharging(False))
    charging.run_for(2.0)
    charging.do(PauseCharging())
    charging.run_for(60.0)
    assert charging.status.phases == 1, 'the switch is finished'
    assert charging.status.paused_by_user
    assert not charging.closed
    assert charging.resume_charging().success
    charging.run_until(lambda b: b.flows, 30.0)
    assert charging.world.currents_a[1] == 0.0
    assert charging.codes().endswith('CS PEVSE CR')


def test_C16_phase_switch_without_support():
    bench = FaultBench(settings=WorldSettings(phases=1)).charge()
    since = len(bench.events)
    answer = bench.command(SwitchThreePhasesWhileCharging(True))
    assert answer.result is SwitchThreePhasesWhileChargingResult.ERROR_NOT_SUPPORTED
    bench.run_for(20.0)
    assert bench.codes(since) == ''
    assert bench.flows


def test_C17_fifty_limits_a_second(charging):
    rises: list[float] = []
    before = charging.board_state.current_a

    def watch(bench):
        nonlocal before
        current_a = bench.world.outputs.current_a
        if current_a > before:
            rises.append(bench.now)
        before = current_a

    charging.watchers.append(watch)
    for number in range(1000):
        charging.limit(16.0 + number % 2 * 10.0)
        assert charging.world.outputs.current_a <= 16.0 + number % 2 * 10.0 + 0.05, 'down at once'
        charging.run_for(0.02)
    assert len(rises) >= 2
    assert all(later - earlier >= 5.0 for earlier, later in itertools.pairwise(rises))
    assert charging.flows


def test_C18_a_schedule_of_the_past_and_one_out_of_order(charging):
    def entry(seconds: float, current_a: float) -> ScheduleReqEntry:
        return ScheduleReqEntry(
            Time(charging.wall + round(seconds * SECOND)), LimitsReq(ac_max_current_a=current_a)
        )

    def schedule(*entries: ScheduleReqEntry) -> SetExternalLimits:
        return SetExternalLimits(ExternalLimits(schedule_import=entries))

    charging.do(schedule(entry(-7200.0, 8.0), entry(-3600.0, 10.0), entry(60.0, 16.0)))
    charging.run_for(10.0)
    assert charging.board_state.current_a == pytest.approx(10.0, abs=0.1), 'the newest of the past holds'
    answer = charging.command(schedule(entry(60.0, 20.0), entry(-60.0, 6.0)))
    assert not answer.success
    assert 'sort' in answer.message
    charging.run_for(70.0)
    assert charging.board_state.current_a == pytest.approx(16.0, abs=0.1), 'the refused one changed nothing'


def test_C19_the_energy_manager_falls_silent(measured):
    bench = FaultBench(Config(energy_source='manager'))
    bench.plug_in()
    grant(bench, 16.0)
    bench.authorize()
    for _ in range(10):
        grant(bench, 16.0)
        bench.run_for(2.0)
    assert bench.flows
    grant(bench, 16.0, life_s=3600.0)
    measured(bench.run_until(lambda b: b.pilot is PilotMode.X1, 15.0), 10.5)
    bench.until_open()
    assert bench.codes().endswith('CS WE')
    assert bench.status.reason is StatusReason.LIMIT_EXPIRED
    grant(bench, 16.0)
    bench.run_until(lambda b: b.flows, 10.0)
    assert bench.codes().endswith('WE CR')


@pytest.mark.parametrize('days', [1.0, -1.0])
@pytest.mark.parametrize('leases', [True, False])
def test_C20_the_wall_clock_jumps(days, leases):
    def life(jumps: bool) -> FaultBench:
        bench = FaultBench(Config(energy_source='manager'), leases=leases)
        bench.plug_in(soc_percent=20.0)
        grant(bench, 16.0)
        bench.authorize()
        for second in range(60):
            if jumps and second in (10, 35):
                bench.set_wall_clock(days * DAY_S)
            if second == 40:
                bench.stop_transaction()
            grant(bench, 16.0)
            bench.run_for(1.0)
        bench.unplug()
        bench.run_for(5.0)
        return bench

    still, jumped = life(False), life(True)
    assert [(r.at, r.code) for r in jumped.events] == [(r.at, r.code) for r in still.events]
    assert jumped.world.meter.energy_wh == still.world.meter.energy_wh
    moved = [b.event.stamp - a.event.stamp for a, b in zip(still.events, jumped.events)]
    assert moved[-1] == 2 * round(days * DAY_S) * SECOND
    assert not jumped.active


def test_C20_a_jump_while_a_schedule_is_in_force(charging):
    """A schedule is wall time by nature: it follows the clock, and nothing else does."""
    later = ScheduleReqEntry(Time(charging.wall + 3600 * SECOND), LimitsReq(ac_max_current_a=10.0))
    now = ScheduleReqEntry(charging.wall, LimitsReq(ac_max_current_a=20.0))
    charging.do(SetExternalLimits(ExternalLimits(schedule_import=(now, later))))
    charging.set_wall_clock(DAY_S)
    charging.run_for(61.0)
    assert charging.board_state.current_a == pytest.approx(10.0, abs=0.1)
    charging.set_wall_clock(-DAY_S)
    charging.run_for(70.0)
    assert charging.board_state.current_a == pytest.approx(20.0, abs=0.1)
    assert charging.codes() == 'Enabled SS AR TS PC CS'
    assert ErrorEnum.OTHER not in charging.active
