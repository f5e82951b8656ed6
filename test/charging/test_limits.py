"""Where the signalled current comes from: sources, schedules, grants, phases, pacing (docs/charging.md)."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charging.kernel_harness import EPOCH, HARDWARE, SECOND, KernelHarness, entry, external, token
from evse_manager.charging import allowance
from evse_manager.charging.allowance import Bound
from evse_manager.charging.inputs import (
    CapabilitiesReceived,
    PauseCharging,
    ResumeCharging,
    SetExternalLimits,
)
from evse_manager.interface.enums import LimitSource, PilotMode, ProximityState, StatusReason
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    ExternalLimits,
    HardwareCapabilities,
    LimitsReq,
    ScheduleReqEntry,
    Time,
)

HOUR = 3600 * SECOND
START = EPOCH + 1000 * SECOND
"""The wall time at which a harness begins."""


# --- every source ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('hardware_a', 'parameter_a', 'cable_a', 'enforced_a', 'external_a', 'celsius', 'signalled_a', 'source'),
    [
        (32.0, 80.0, None, None, None, 25.0, 32.0, LimitSource.HARDWARE),
        (32.0, 20.0, None, None, None, 25.0, 20.0, LimitSource.PARAMETER),
        (32.0, 80.0, 20.0, None, None, 25.0, 20.0, LimitSource.CABLE),
        (32.0, 80.0, 63.0, None, None, 25.0, 32.0, LimitSource.HARDWARE),
        (32.0, 80.0, None, 10.0, None, 25.0, 10.0, LimitSource.ENERGY_MANAGER),
        (32.0, 80.0, None, 63.0, None, 25.0, 32.0, LimitSource.HARDWARE),
        (32.0, 80.0, None, 10.0, 8.0, 25.0, 8.0, LimitSource.EXTERNAL),
        (32.0, 80.0, None, 7.0, 8.0, 25.0, 7.0, LimitSource.ENERGY_MANAGER),
        (32.0, 80.0, None, None, None, 65.0, 16.0, LimitSource.TEMPERATURE),
        (32.0, 80.0, None, None, None, 68.0, 8.0, LimitSource.TEMPERATURE),
        (20.0, 80.0, None, None, None, 68.0, 6.0, LimitSource.TEMPERATURE),
        (32.0, 80.0, 13.0, None, None, 65.0, 13.0, LimitSource.CABLE),
        (80.0, 80.0, None, None, 51.7, 25.0, 51.0, LimitSource.EXTERNAL),
        (32.0, 80.0, None, -16.0, None, 25.0, 0.0, LimitSource.ENERGY_MANAGER),
        (32.0, 5.0, None, None, None, 25.0, 0.0, LimitSource.PARAMETER),
    ],
)
def test_the_lowest_source_counts(  # noqa: PLR0917
    hardware_a: float,
    parameter_a: float,
    cable_a: float | None,
    enforced_a: float | None,
    external_a: float | None,
    celsius: float,
    signalled_a: float,
    source: LimitSource,
) -> None:
    config = Config(max_current_import_a=parameter_a, connector_type='socket' if cable_a else 'cable')
    harness = KernelHarness(config, hardware=HardwareCapabilities(hardware_a, 6.0, 3, 1))
    harness.ampacity_a, harness.proximity = (
        cable_a,
        ProximityState.PLUG if cable_a else ProximityState.NOT_AVAILABLE,
    )
    harness.temperature(celsius)
    if external_a is not None:
        assert harness.command(external(entry(external_a))).success
    if enforced_a is not None:
        harness.grant(enforced_a)
    harness.offered()
    assert (harness.signalled, harness.status.limit_source) == (signalled_a, source)


BOUNDS = st.lists(
    st.builds(
        Bound,
        st.sampled_from(LimitSource),
        st.floats(0.0, 100.0) | st.just(math.inf),
        st.floats(0.0, 60_000.0) | st.just(math.inf),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=5,
)


@given(
    BOUNDS, st.sampled_from([(1,), (3,), (1, 3)]), st.sampled_from([1, 3]), st.sampled_from([0.0, 6.0, 10.0])
)
def test_no_bound_is_ever_exceeded(
    bounds: list[Bound], connectable: tuple[int, ...], wanted: int, least_a: float
) -> None:
    found = allowance.combine(
        bounds, voltage_v=230.0, connectable=connectable, wanted_phases=wanted, hardware_minimum_a=least_a
    )
    assert found.phases in connectable
    assert found.signalled_a == 0.0 or found.signalled_a >= max(6.0, least_a)
    if found.signalled_a:
        for bound in bounds:
            assert found.signalled_a <= bound.current_a + 0.05
            assert (found.signalled_a - 0.05) * found.phases * 230.0 <= bound.power_w * (1.0 + 1e-9)
            assert found.phases <= bound.phases
    orders = {
        allowance.combine(
            list(order),
            voltage_v=230.0,
            connectable=connectable,
            wanted_phases=wanted,
            hardware_minimum_a=least_a,
        ).signalled_a
        for order in itertools.islice(itertools.permutations(bounds), 6)
    }
    assert orders == {found.signalled_a}


# --- power and phases --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('hardware', 'power_w', 'phases', 'signalled_a', 'connected'),
    [
        (HARDWARE, 11_040.0, 0, 16.0, 3),
        (HARDWARE, 4_140.0, 0, 6.0, 3),
        (HARDWARE, 4_000.0, 0, 0.0, 3),
        (HARDWARE, 3_680.0, 1, 16.0, 1),
        (HARDWARE, 3_680.0, 2, 16.0, 1),
        (HardwareCapabilities(32.0, 6.0, 1, 1), 3_680.0, 0, 16.0, 1),
        (HardwareCapabilities(32.0, 6.0, 3, 3), 11_040.0, 3, 16.0, 3),
        (HardwareCapabilities(32.0, 6.0, 3, 3), 11_040.0, 1, 0.0, 3),
    ],
)
def test_power_counts_through_voltage_and_the_phases_connected(
    hardware: HardwareCapabilities, power_w: float, phases: int, signalled_a: float, connected: int
) -> None:
    harness = KernelHarness(hardware=hardware)
    assert harness.command(external(entry(power_w=power_w, phases=phases))).success
    harness.offered()
    assert harness.signalled == pytest.approx(signalled_a)
    assert harness.outputs.phases == connected


def test_fewer_phases_allowed_than_can_be_connected_is_no_energy_with_its_own_reason() -> None:
    harness = KernelHarness(hardware=HardwareCapabilities(32.0, 6.0, 3, 3))
    harness.command(external(entry(16.0, phases=1)))
    assert harness.says(harness.offered) == 'SS(EVConnected) AR TS PC WE'
    assert harness.status.reason is StatusReason.TOO_FEW_PHASES


def test_three_phases_can_be_taken_away_by_parameter() -> None:
    harness = KernelHarness(Config(three_phases=False)).charging()
    assert harness.outputs.phases == 1


def test_capabilities_that_shrink_lower_the_limit_at_once() -> None:
    harness = KernelHarness().charging()
    harness.do(CapabilitiesReceived(HardwareCapabilities(16.0, 6.0, 3, 1)))
    assert harness.signalled == 16.0


def test_published_limits_and_over_current_limit_follow_the_lowest_source() -> None:
    harness = KernelHarness(Config(connector_type='socket'))
    harness.ampacity_a, harness.proximity = 13.0, ProximityState.PLUG
    harness.charging()
    assert (harness.signalled, harness.outputs.over_current_limit_a, harness.status.limit_a) == (
        13.0,
        13.0,
        13.0,
    )


@pytest.mark.parametrize('proximity', [ProximityState.INVALID, ProximityState.NO_PLUG])
def test_a_cable_that_cannot_be_read_gets_no_offer(proximity: ProximityState) -> None:
    harness = KernelHarness(Config(connector_type='socket'))
    harness.proximity = proximity
    assert harness.says(harness.plug) == 'Error(Other)'
    harness.command(token())
    harness.run(10.0)
    assert harness.outputs.pilot_mode is not PilotMode.PWM


def test_a_cable_that_shrinks_while_charging_lowers_the_limit_at_once() -> None:
    harness = KernelHarness(Config(connector_type='socket'))
    harness.ampacity_a, harness.proximity = 32.0, ProximityState.PLUG
    harness.charging()
    harness.ampacity_a = 13.0
    harness.observe()
    assert harness.signalled == 13.0


# --- external limits: schedules ----------------------------------------------------------------


def test_a_schedule_is_a_step_function_over_wall_time() -> None:
    harness = KernelHarness()
    harness.command(
        external(
            entry(10.0, at=START + 3600 * SECOND),
            entry(16.0, at=START + 7200 * SECOND),
            entry(8.0, at=START + 7300 * SECOND),
        )
    )
    harness.charging()
    assert harness.signalled == 10.0, 'The first entry is in force at once, even if dated later.'
    seen = {}
    for seconds in (3500.0, 7190.0, 7210.0, 7290.0, 7301.0, 90_000.0):
        harness.metered = False
        harness.t = 1000.0 + seconds
        harness._next_report = harness.t
        harness.run(0.3)
        seen[seconds] = harness.signalled
    assert seen == {3500.0: 10.0, 7190.0: 10.0, 7210.0: 16.0, 7290.0: 16.0, 7301.0: 8.0, 90_000.0: 8.0}


def test_the_kernel_asks_to_be_woken_when_the_schedule_changes() -> None:
    harness = KernelHarness().charging()
    harness.command(external(entry(16.0), entry(8.0, at=harness.wall + 20 * SECOND)))
    start = harness.t
    assert harness.until(lambda: harness.signalled == 8.0, 30.0) == pytest.approx(20.0, abs=0.01)
    assert harness.t == pytest.approx(start + 20.0, abs=0.01)


def test_a_jump_of_the_wall_clock_moves_schedules_and_nothing_else() -> None:
    harness = KernelHarness().charging()
    harness.command(external(entry(16.0), entry(8.0, at=harness.wall + HOUR)))
    harness.grant(12.0, 10.0)
    seen = []
    for days in (+1, -1, -1000):
        harness.wall_offset += days * 24 * HOUR
        seen.append(harness.run(2.0).signalled)
    assert seen == [8.0, 8.0, 12.0], 'Down at once, and up again 5 s later.'
    assert harness.until(lambda: harness.signalled == 0.0, 6.0) == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize(
    ('root', 'leaves', 'efficiency', 'signalled_a'),
    [
        (LimitsReq(ac_max_current_a=16.0), LimitsReq(), 1.0, 16.0),
        (LimitsReq(), LimitsReq(ac_max_current_a=16.0), 1.0, 16.0),
        (LimitsReq(ac_max_current_a=10.0), LimitsReq(ac_max_current_a=16.0), 1.0, 10.0),
        (LimitsReq(ac_max_current_a=20.0), LimitsReq(ac_max_current_a=16.0), 0.5, 10.0),
        (LimitsReq(total_power_w=6_900.0), LimitsReq(ac_max_current_a=16.0), 1.0, 10.0),
        (LimitsReq(ac_max_current_a=8.0, ac_min_current_a=10.0), LimitsReq(), 1.0, 0.0),
        (LimitsReq(ac_max_current_a=0.0), LimitsReq(), 1.0, 0.0),
        (LimitsReq(ac_max_current_a=80.0), LimitsReq(), 1.0, 32.0),
    ],
)
def test_both_sides_of_an_entry_count(
    root: LimitsReq, leaves: LimitsReq, efficiency: float, signalled_a: float
) -> None:
    harness = KernelHarness()
    assert harness.command(external(ScheduleReqEntry(Time(0), root, leaves, efficiency))).success
    harness.offered()
    assert harness.signalled == pytest.approx(signalled_a)


def limits(**values: float) -> ScheduleReqEntry:
    return ScheduleReqEntry(Time(0), LimitsReq(**values))


REFUSED = {
    'NaN': (entry(math.nan),),
    'infinite': (entry(math.inf),),
    'negative': (entry(-1.0),),
    'above 80 A': (entry(80.1),),
    'NaN power': (entry(power_w=math.nan),),
    'negative power': (entry(power_w=-1.0),),
    'four phases': (entry(16.0, phases=4),),
    'negative phases': (entry(16.0, phases=-1),),
    'unsorted times': (entry(16.0, at=2), entry(10.0, at=1)),
    'equal times': (entry(16.0, at=2), entry(10.0, at=2)),
    'limits nothing': (ScheduleReqEntry(Time(0)),),
    'only a minimum': (limits(ac_min_current_a=6.0),),
    'minimum above 80 A': (limits(ac_max_current_a=6.0, ac_min_current_a=81.0),),
    'the second entry': (entry(16.0, at=1), entry(math.nan, at=2)),
    'the leaves': (
        ScheduleReqEntry(Time(0), LimitsReq(ac_max_current_a=9.0), LimitsReq(ac_max_current_a=-9.0)),
    ),
    'efficiency 0': (ScheduleReqEntry(Time(0), LimitsReq(ac_max_current_a=9.0), conversion_efficiency=0.0),),
    'efficiency NaN': (
        ScheduleReqEntry(Time(0), LimitsReq(ac_max_current_a=9.0), conversion_efficiency=math.nan),
    ),
}


@pytest.mark.parametrize('side', ['schedule_import', 'schedule_export'])
@pytest.mark.parametrize('entries', REFUSED.values(), ids=REFUSED.keys())
def test_bad_limits_refuse_the_whole_request_and_what_was_in_force_stays(
    entries: tuple[ScheduleReqEntry, ...], side: str
) -> None:
    harness = KernelHarness()
    harness.command(external(entry(10.0)))
    harness.charging()
    answer = harness.command(SetExternalLimits(ExternalLimits(**{side: entries})))
    assert not answer.success
    assert answer.message.startswith(side)
    harness.run(10.0)
    assert harness.signalled == 10.0


def test_an_empty_schedule_means_hardware_limits_and_export_has_no_effect() -> None:
    harness = KernelHarness()
    harness.command(external(entry(10.0)))
    harness.command(SetExternalLimits(ExternalLimits(schedule_export=(entry(0.0),))))
    assert harness.offered().signalled == 32.0


# --- enforced limits: grants -------------------------------------------------------------------

MANAGED = Config(energy_source='manager')


@pytest.mark.parametrize(
    ('life_s', 'lasts_s'), [(5.0, 5.0), (10.0, 10.0), (3600.0, 10.0), (1e12, 10.0), (0.0, 0.0), (-5.0, 0.0)]
)
def test_a_grant_lives_as_its_sender_meant_but_no_longer_than_the_maximum(
    life_s: float, lasts_s: float
) -> None:
    harness = KernelHarness(MANAGED).run(4.0).plug()
    harness.grant(16.0, 10.0).authorize()
    harness.pilot('C').run(1.0)
    assert harness.flows
    harness.grant(16.0, life_s)
    assert harness.until(lambda: harness.signalled == 0.0, 12.0) == pytest.approx(lasts_s, abs=0.01)
    assert harness.status.reason is StatusReason.LIMIT_EXPIRED
    assert harness.codes().endswith('CS WE')


def test_a_grant_that_is_renewed_never_ends() -> None:
    harness = KernelHarness(MANAGED).run(4.0).plug()
    harness.grant(16.0).authorize()
    harness.pilot('C')
    for _ in range(60):
        harness.grant(16.0, 10.0).run(3.0)
    assert harness.flows
    assert harness.codes() == 'Enabled SS(EVConnected) AR TS PC CS'


def test_what_the_senders_clock_says_is_of_no_matter() -> None:
    harness = KernelHarness(MANAGED).run(4.0).plug().grant(16.0)
    harness.wall_offset = -1000 * HOUR
    harness.grant(16.0).authorize()
    harness.pilot('C').run(9.0)
    assert harness.flows


def test_before_the_first_grant_nothing_charges_and_energy_is_waited_for_after_3_s() -> None:
    harness = KernelHarness(MANAGED).run(4.0).plug().authorize()
    assert harness.run(2.9).status.reason is StatusReason.WAITING_FOR_FIRST_LIMIT
    assert harness.codes().endswith('TS PC')
    assert harness.run(0.2).codes().endswith('TS PC WE')
    assert harness.says(lambda: harness.grant(16.0).run(0.1).pilot('C').run(1.0)) == 'CS'


def test_after_a_resume_the_manager_has_3_s_again() -> None:

    harness = KernelHarness(MANAGED).run(4.0).plug().grant(16.0).authorize()
    harness.pilot('C').run(1.0)
    harness.command(PauseCharging())
    harness.pilot('B').run(20.0)
    assert harness.command(ResumeCharging()).success
    assert harness.says(lambda: harness.run(2.9)) == ''
    assert harness.says(lambda: harness.run(0.2)) == 'WE'


def test_zero_or_a_limit_lost_while_charging_is_waiting_for_energy_at_once() -> None:
    harness = KernelHarness(MANAGED).run(4.0).plug().grant(16.0).authorize()
    harness.pilot('C').run(1.0)
    assert harness.says(lambda: harness.grant(0.0)) == 'WE'
    local = KernelHarness()
    local.command(external(entry(0.0)))
    assert local.says(local.offered).endswith('TS PC WE')


def test_a_grant_for_somebody_else_is_none() -> None:
    harness = KernelHarness(MANAGED, uuid='/bay_1').run(4.0).plug().authorize()
    harness.grant(16.0, uuid='/bay_2').run(1.0)
    assert harness.signalled == 0.0
    harness.grant(16.0, uuid='/bay_1').run(1.0)
    assert harness.signalled == 16.0


@pytest.mark.parametrize('current_a', [math.nan, -1e9, -0.5, 0.0, 5.9])
def test_a_grant_that_signals_nothing(current_a: float) -> None:
    harness = KernelHarness(MANAGED).run(4.0).plug().grant(current_a).authorize().run(2.0)
    assert harness.outputs.pilot_mode is PilotMode.X1


def test_a_grant_without_any_number_grants_nothing() -> None:
    harness = KernelHarness(MANAGED).run(4.0).plug().grant(None).authorize().run(2.0)
    assert harness.signalled == 0.0


# --- failsafe current -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('failsafe_a', 'external_a', 'signalled_a'),
    [(0.0, None, 0.0), (5.0, None, 0.0), (6.0, None, 6.0), (10.0, None, 10.0), (63.0, None, 32.0),
     (10.0, 8.0, 8.0)],
)  # fmt: skip
def test_a_grant_that_ran_out_leaves_the_failsafe_current(
    failsafe_a: float, external_a: float | None, signalled_a: float
) -> None:
    harness = KernelHarness(Config(energy_source='manager', failsafe_current_a=failsafe_a))
    if external_a is not None:
        harness.command(external(entry(external_a)))
    harness.grant(16.0).charging()
    assert harness.run(12.0).signalled == signalled_a
    assert harness.codes().endswith('CS' if signalled_a else 'CS WE')
    assert any('failsafe' in warning for warning in harness.status.warnings) == (signalled_a in {6.0, 10.0})


def test_the_failsafe_current_raises_the_current_no_faster_than_any_limit() -> None:
    harness = KernelHarness(Config(energy_source='manager', failsafe_current_a=10.0)).grant(16.0).charging()
    harness.grant(7.0, 1.0)
    assert harness.signalled == 7.0
    assert harness.run(12.0).signalled == 10.0
    assert harness.grant(6.0).signalled == 6.0


def test_before_the_first_grant_there_is_no_failsafe_current() -> None:
    harness = KernelHarness(Config(energy_source='manager', failsafe_current_a=10.0)).offered().run(60.0)
    assert harness.signalled == 0.0


# --- pacing ------------------------------------------------------------------------------------


def test_while_charging_the_duty_rises_every_5_s_at_most_and_falls_at_once() -> None:
    harness = KernelHarness().charging()
    harness.command(external(entry(10.0)))
    assert harness.signalled == 10.0
    since = len(harness.history)
    for step in range(510):
        harness.command(external(entry(10.0 + step * 0.02)))
        harness.run(0.02)
    rises = [at for at, command in harness.history[since:]]
    assert all(later - earlier >= 5.0 - 1e-9 for earlier, later in itertools.pairwise(rises))
    assert len(rises) == 2
    harness.command(external(entry(7.0)))
    assert harness.signalled == 7.0


def test_a_limit_that_flutters_around_6_a_rests_3_s_in_x1() -> None:
    harness = KernelHarness().charging()
    harness.command(external(entry(5.9)))
    harness.pilot('B')
    assert harness.outputs.pilot_mode is PilotMode.X1
    harness.command(external(entry(6.0)))
    assert harness.until(lambda: harness.outputs.pilot_mode is PilotMode.PWM, 5.0) == pytest.approx(
        3.0, abs=0.01
    )
    assert harness.signalled == 6.0


def test_published_limits_say_since_when_they_hold_and_are_published_once() -> None:
    harness = KernelHarness()
    harness.command(external(entry(10.0)))
    limits, published = harness.last.limits, harness.now.wall
    assert limits is not None
    assert (limits.max_current_a, limits.stamp) == (10.0, published)
    harness.run(5.0)
    assert all(output.limits is None for _, now, output in harness.tape if now.wall > published)
