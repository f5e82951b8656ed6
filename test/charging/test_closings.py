"""One budget of contactor closings, whoever asks: the car, an error, a limit, a pause, a change of phases."""

import itertools
from collections.abc import Callable

import pytest

from charging.kernel_harness import KernelHarness, entry, external
from evse_manager.charging.inputs import PauseCharging, ResumeCharging, SwitchThreePhasesWhileCharging
from evse_manager.interface.enums import BoardErrorEnum, ContactorState, LimitSource, PilotMode, StatusReason
from evse_manager.interface.parameters import Config

Toggle = Callable[[KernelHarness], object]

ASKS: dict[str, tuple[Toggle, Toggle, float]] = {
    'limit': (lambda h: h.command(external(entry(5.5))), lambda h: h.command(external(entry(6.5))), 5.0),
    'pause': (lambda h: h.command(PauseCharging()), lambda h: h.command(ResumeCharging()), 5.0),
    'phases': (
        lambda h: h.send(SwitchThreePhasesWhileCharging(False)),
        lambda h: h.send(SwitchThreePhasesWhileCharging(True)),
        20.0,
    ),
    'error': (lambda h: h.report(BoardErrorEnum.ENCLOSURE_OPEN), lambda h: h.report(), 25.0),
    'car': (lambda h: h.pilot('B'), lambda h: h.pilot('C'), 5.0),
}
"""Who makes the contactor open and close, and how many seconds lie between."""


def run(harness: KernelHarness, seconds: float, asks: bool) -> None:
    """Let time pass, with an EV that asks whenever it is offered a current (unless the test moves it)."""
    end = harness.t + seconds
    while harness.t < end:
        offered = harness.outputs.pilot_mode is PilotMode.PWM
        if asks and harness.ev != ('C' if offered else 'B'):
            harness.pilot('C' if offered else 'B')
        mode = harness.outputs.pilot_mode
        harness.until(lambda mode=mode: harness.outputs.pilot_mode is not mode, end - harness.t)


def closings(harness: KernelHarness) -> list[float]:
    """Return when the board closed its contactor, in seconds, by its own numbered steps."""
    steps = itertools.pairwise(harness.transitions)
    closed = ContactorState.CLOSED
    return [(b.stamp or 0) * 1e-9 for a, b in steps if b.contactor is closed and a.contactor is not closed]


def most_in(times: list[float], window_s: float) -> int:
    """Return the most closings in any stretch of so many seconds."""
    return max(sum(start <= t < start + window_s - 1e-3 for t in times) for start in times)


@pytest.mark.parametrize('who', ASKS)
def test_an_hour_of_flapping_closes_at_most_3_times_a_minute_and_20_times_an_hour(who: str) -> None:
    away, back, seconds = ASKS[who]
    harness = KernelHarness(report_s=10.0).charging()
    harness.metered = False
    reasons = set()
    for _ in range(int(3600.0 / (2 * seconds))):
        away(harness)
        run(harness, seconds, asks=who != 'car')
        assert not harness.flows or who == 'phases', 'What takes power away acts at once.'
        back(harness)
        run(harness, seconds, asks=who != 'car')
        reasons.add(harness.status.reason)
    closed = closings(harness)
    assert most_in(closed, 60.0) <= 3
    assert 10 <= most_in(closed, 3600.0) <= 20
    assert StatusReason.TOO_MANY_CLOSINGS in reasons
    assert harness.status.contactor_cycles == len(closed)


def test_charging_goes_on_when_the_minute_is_over() -> None:
    harness = KernelHarness().charging()
    first = harness.t
    for _ in range(3):
        harness.command(PauseCharging())
        harness.pilot('B').run(4.0).command(ResumeCharging())
        harness.run(0.1).pilot('C').run(1.0)
    assert not harness.flows
    assert harness.status.reason is StatusReason.TOO_MANY_CLOSINGS
    assert harness.until(lambda: harness.flows, 120.0) <= first + 61.0 - harness.t + 60.0
    assert harness.codes().endswith('PEVSE CR')


def test_the_budget_never_opens_a_closed_contactor() -> None:
    harness = KernelHarness(Config(closings_per_minute_max=1, closings_per_hour_max=1)).charging()
    assert harness.run(600.0).flows
    harness.command(external(entry(10.0)))
    assert harness.run(10.0).signalled == 10.0
    assert harness.status.limit_source is LimitSource.EXTERNAL


def test_a_pause_of_the_ev_is_announced_though_the_budget_is_used_up() -> None:
    harness = KernelHarness(Config(closings_per_minute_max=1)).charging()
    assert harness.says(lambda: harness.pilot('B').run(1.0)) == 'PEV'
    assert harness.outputs.pilot_mode is PilotMode.X1
    assert harness.says(lambda: harness.run(70.0).pilot('C').run(1.0)) == 'CR'


def test_an_ev_that_stays_in_c_is_not_switched_on_again_before_the_contactor_has_rested() -> None:
    harness = KernelHarness(Config(closings_per_minute_max=1)).charging()
    start = harness.t
    harness.pilot('B', 'C').run(1.0)
    assert not harness.flows
    harness.until(lambda: harness.flows, 120.0)
    assert 59.0 <= harness.t - start <= 61.0


def test_the_next_session_counts_on() -> None:
    harness = KernelHarness(Config(closings_per_minute_max=1)).charging()
    harness.pilot('A').run(3.0).plug().authorize()
    harness.run(1.0).pilot('C').run(1.0)
    assert not harness.flows
    assert harness.status.reason is StatusReason.TOO_MANY_CLOSINGS
    assert harness.until(lambda: harness.flows, 60.0) < 60.0
