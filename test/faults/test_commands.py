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
from faults.bay import Bay

DAY_S = 86_400.0
SECOND = 1_000_000_000


def grant(bay: Bay, current_a: float, life_s: float = 10.0) -> None:
    """Let the energy manager hand out a limit."""
    stamp = bay.wall
    limits = EnforcedLimits('', stamp, Time(stamp + round(life_s * SECOND)), LimitsRes(None, current_a, 0))
    bay.tell(LimitsEnforced(limits))


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
    bay = Bay(Config(max_current_import_a=63.0), WorldSettings(max_current_a=63.0))
    bay.limit(51.5)
    bay.charge()
    bay.run_for(20.0)
    assert bay.board_state.duty_cycle_percent == pytest.approx(85.0)
    assert bay.status.signalled_current_a == 51.0


def test_C4_more_than_can_be_signalled():
    assert pilot.duty_cycle(80.0) <= 96.0
    bay = Bay(Config(energy_source='manager', max_current_import_a=80.0), WorldSettings(max_current_a=80.0))
    bay.plug_in(max_current_a=80.0)
    grant(bay, 80.2)
    bay.authorize()
    bay.run_until(lambda b: b.pilot is PilotMode.PWM, 10.0)
    assert bay.status.signalled_current_a == 80.0, 'what the hardware carries'
    assert bay.board_state.duty_cycle_percent <= 96.0


def test_C5_enable_twice(bay):
    assert bay.says(bay.enable) == ''
    assert bay.enable().success
    assert bay.says(bay.disable, 1.0) == 'Disabled'
    assert bay.says(bay.enable) == 'Enabled'
    assert bay.says(bay.enable) == ''


@pytest.mark.parametrize(('profile', 'bound'), [('default', 3.0), ('stays_in_c', 6.5)])
def test_C6_disable_while_charging(bay, profile, bound, measured):
    bay.charge(profile)
    since, begun = len(bay.events), bay.now
    assert bay.disable().success
    bay.until_open()
    measured(bay.now - begun, bound)
    bay.run_for(3.0)
    assert bay.codes(since, details=True) == 'SC CF TF(Other) SF Disabled'


def test_C8_a_token_while_disabled_or_faulted(bay):
    bay.disable()
    answer = bay.authorize()
    assert not answer.success
    assert 'disabled' in answer.message
    bay.enable()
    bay.do(SetFaulted())
    answer = bay.authorize()
    assert not answer.success
    assert 'fault' in answer.message
    bay.plug_in()
    bay.run_for(30.0)
    assert 'TS' not in bay.codes().split()
    bay.do(ClearFault())
    bay.fresh_session()


def test_C9_the_same_token_again_and_another(charging):
    since = len(charging.events)
    assert charging.authorize().success
    answer = charging.authorize('SOMEBODY ELSE')
    assert not answer.success
    charging.run_for(5.0)
    assert charging.codes(since) == ''
    assert charging.flows, 'to stop by a second token is the duty of the authorization node'


def test_C10_nobody_plugs_in(bay, measured):
    bay.authorize()
    bay.run_for(60.0)
    begun = bay.now
    bay.do(WithdrawAuthorization())
    measured(bay.now - begun, 0.3)
    assert bay.codes(details=True) == 'Enabled SS(Authorized) SF'
    bay.fresh_session()


def test_C11_a_reservation_that_is_impossible(bay):
    bay.do(Reserve(1))
    answer = bay.command(Reserve(2))
    assert not answer.success
    assert 'reserved' in answer.message
    assert bay.codes() == 'Enabled ReservationStart'
    bay.charge()
    since = len(bay.events)
    assert not bay.command(Reserve(3)).success, 'while charging'
    assert bay.codes(since) == ''


def test_C13_stop_with_an_unknown_reason_and_twice(charging):
    since = len(charging.events)
    stop = StopTransaction(StopTransactionRequest(StopTransactionReason.UNSPECIFIED, ''))
    assert charging.command(stop).success
    assert not charging.command(stop).success
    charging.run_for(5.0)
    assert charging.codes(since, details=True) == 'SC CF TF(Other)'


def test_C14_a_start_during_a_fault(bay):
    bay.trips(BoardErrorEnum.ENCLOSURE_OPEN)
    bay.plug_in()
    bay.authorize()
    bay.run_for(30.0)
    assert 'TS' not in bay.codes().split()
    bay.trips(BoardErrorEnum.ENCLOSURE_OPEN, False)
    bay.run_until(lambda b: b.flows, 20.0)
    assert bay.codes().endswith('TS PC CS'), 'the token is remembered'


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
    bay = Bay(settings=WorldSettings(phases=1)).charge()
    since = len(bay.events)
    answer = bay.command(SwitchThreePhasesWhileCharging(True))
    assert answer.result is SwitchThreePhasesWhileChargingResult.ERROR_NOT_SUPPORTED
    bay.run_for(20.0)
    assert bay.codes(since) == ''
    assert bay.flows


def test_C17_fifty_limits_a_second(charging):
    rises: list[float] = []
    before = charging.board_state.current_a

    def watch(bay):
        nonlocal before
        current_a = bay.world.outputs.current_a
        if current_a > before:
            rises.append(bay.now)
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
    bay = Bay(Config(energy_source='manager'))
    bay.plug_in()
    grant(bay, 16.0)
    bay.authorize()
    for _ in range(10):
        grant(bay, 16.0)
        bay.run_for(2.0)
    assert bay.flows
    grant(bay, 16.0, life_s=3600.0)
    measured(bay.run_until(lambda b: b.pilot is PilotMode.X1, 15.0), 10.5)
    bay.until_open()
    assert bay.codes().endswith('CS WE')
    assert bay.status.reason is StatusReason.LIMIT_EXPIRED
    grant(bay, 16.0)
    bay.run_until(lambda b: b.flows, 10.0)
    assert bay.codes().endswith('WE CR')


@pytest.mark.parametrize('days', [1.0, -1.0])
@pytest.mark.parametrize('leases', [True, False])
def test_C20_the_wall_clock_jumps(days, leases):
    def life(jumps: bool) -> Bay:
        bay = Bay(Config(energy_source='manager'), leases=leases)
        bay.plug_in(soc_percent=20.0)
        grant(bay, 16.0)
        bay.authorize()
        for second in range(60):
            if jumps and second in (10, 35):
                bay.set_wall_clock(days * DAY_S)
            if second == 40:
                bay.stop_transaction()
            grant(bay, 16.0)
            bay.run_for(1.0)
        bay.unplug()
        bay.run_for(5.0)
        return bay

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
