"""The arithmetic of the pilot in both directions (docs/sources.md, duty cycle, docs/charging.md)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_manager.interface import pilot

WORKED = [
    (6.0, 10.0), (10.0, 16.67), (13.0, 21.67), (16.0, 26.67), (20.0, 33.33), (32.0, 53.33), (48.0, 80.0),
    (51.0, 85.0), (63.0, 89.2), (80.0, 96.0),
]  # fmt: skip


@pytest.mark.parametrize(('current_a', 'duty_percent'), WORKED)
def test_worked_values_in_both_directions(current_a: float, duty_percent: float) -> None:
    assert pilot.duty_cycle(current_a) == pytest.approx(duty_percent, abs=0.005)
    assert pilot.current(pilot.duty_cycle(current_a)) == pytest.approx(current_a)


@pytest.mark.parametrize(
    ('duty_percent', 'current_a'),
    [
        (0.0, 0.0), (2.9, 0.0), (5.0, 0.0), (7.9, 0.0), (8.0, 6.0), (9.99, 6.0), (10.0, 6.0), (85.0, 51.0),
        (86.0, 55.0), (96.0, 80.0), (96.5, 80.0), (97.0, 80.0), (97.1, 0.0), (100.0, 0.0), (math.nan, 0.0),
    ],
)  # fmt: skip
def test_what_an_ev_reads_from_a_duty_cycle(duty_percent: float, current_a: float) -> None:
    assert pilot.current(duty_percent) == pytest.approx(current_a)


@pytest.mark.parametrize('current_a', [0.0, 1.0, 5.99, -3.0, math.nan])
def test_less_than_6_a_has_no_duty_cycle(current_a: float) -> None:
    assert pilot.duty_cycle(current_a) == 100.0


@pytest.mark.parametrize(
    ('limit_a', 'hardware_minimum_a', 'signalled_a'),
    [
        (-5.0, 0.0, 0.0), (0.0, 0.0, 0.0), (5.94, 0.0, 0.0), (5.95, 0.0, 6.0), (6.0, 0.0, 6.0), (6.01, 0.0,
        6.01),
        (9.9, 10.0, 0.0), (9.96, 10.0, 10.0), (10.0, 10.0, 10.0), (51.0, 0.0, 51.0), (51.5, 0.0, 51.0),
        (52.5, 0.0, 51.0), (52.6, 0.0, 52.6), (80.0, 0.0, 80.0), (80.2, 0.0, 80.0), (1e9, 0.0, 80.0),
        (math.inf, 0.0, 80.0), (math.nan, 0.0, 0.0), (-math.inf, 0.0, 0.0), (52.0, 52.0, 0.0), (60.0, 52.0,
        60.0),
    ],
)  # fmt: skip
def test_what_is_signalled_for_a_limit(limit_a: float, hardware_minimum_a: float, signalled_a: float) -> None:
    assert pilot.signalled(limit_a, hardware_minimum_a) == pytest.approx(signalled_a)


@given(
    st.floats(min_value=-10.0, max_value=200.0).map(lambda a: round(a, 3))
    | st.sampled_from([math.inf, -math.inf]),
    st.sampled_from([0.0, 6.0, 8.0, 10.0, 51.5, 63.0]),
)
def test_never_more_than_the_limit_and_the_ev_reads_what_was_meant(limit_a: float, least_a: float) -> None:
    signalled = pilot.signalled(limit_a, least_a)
    assert signalled == 0.0 or signalled >= max(6.0, least_a)
    assert signalled <= max(limit_a, 0.0) + pilot.CURRENT_TOLERANCE_A
    assert pilot.current(pilot.duty_cycle(signalled)) == pytest.approx(signalled, abs=0.1)


@given(st.floats(min_value=8.0, max_value=97.0), st.floats(min_value=8.0, max_value=97.0))
def test_an_ev_reads_no_less_from_a_longer_pulse(first: float, second: float) -> None:
    assert pilot.current(min(first, second)) <= pilot.current(max(first, second))
