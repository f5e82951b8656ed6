"""Energy by measured power: the trapezoidal rule, its limits, and gaps."""

import pytest

from evse_manager.metering.integral import PowerIntegral

RATED_W = 28_800.0
"""Can carry 10 Wh in a second."""

Sample = tuple[float, float | None]
"""Time [s] and power [W]."""


@pytest.mark.parametrize(
    ('samples', 'energy_wh', 'powered_s'),
    [
        (((100, 3600),), 0.0, 0.0),
        (((100, 3600), (101, 3600)), 1.0, 1.0),
        (((100, 3600), (102, 3600), (103, 7200)), 3.5, 3.0),
        (((100, 3600), (101, 0)), 0.5, 1.0),
        (((100, 0), (101, 0)), 0.0, 0.0),
        (((100, -3600), (101, -3600)), 1.0, 1.0),
        (((100, 3600), (101, -3600)), 1.0, 1.0),
        (((100, 99.9), (101, -99.9)), 0.0, 0.0),
        (((100, 100), (136, 100)), 0.0, 0.0),
        (((100, 100), (103.6, 100)), 0.1, 3.6),
        (((100, -100), (103.6, -100)), 0.1, 3.6),
        (((100, 3600), (105, 3600)), 5.0, 5.0),
        (((100, 3600), (105.5, 3600)), 0.0, 0.0),
        (((100, 3600), (105.5, 3600), (106.5, 3600)), 1.0, 1.0),
        (((100, 3600), (101, None), (102, 3600)), 2.0, 2.0),
        (((100, None), (101, 3600)), 0.0, 0.0),
        (((100, 36_000), (102, 36_000)), 20.0, 2.0),
        (((100, 36_000), (102, 36_000), (101, 36_000)), 20.0, 2.0),
    ],
    ids=[
        'one sample',
        'constant',
        'rising',
        'falling to nothing',
        'nothing',
        'backwards',
        'changing direction',
        'noise',
        'as much as counts, after a gap',
        'as much as counts',
        'as much as counts, backwards',
        'as late as a sample may be',
        'a gap',
        'a gap, then a second',
        'a sample without power between',
        'a sample without power before',
        'more than the connector carries',
        'a clock that went back',
    ],
)
def test_energy_and_time_of_measured_power(
    samples: tuple[Sample, ...], energy_wh: float, powered_s: float
) -> None:
    integral = PowerIntegral()
    for at, power_w in samples:
        integral.take(power_w, at, RATED_W)
    assert integral.energy_wh == pytest.approx(energy_wh)
    assert integral.powered_s == pytest.approx(powered_s)


@pytest.mark.parametrize(
    ('samples', 'is_reported'),
    [
        (((100, 3600), (105.5, 3600)), True),
        (((100, 3600), (105.5, 0)), True),
        (((100, 0), (105.5, 3600)), True),
        (((100, 100), (105.5, 0)), True),
        (((100, 0), (105.5, 100)), True),
        (((100, 0), (105.5, 0)), False),
        (((100, 99), (105.5, 99)), False),
        (((100, 3600), (105, 3600)), False),
        (((100, 3600), (105.5, None)), False),
        (((100, None), (105.5, 3600)), False),
    ],
)
def test_a_gap_is_reported_where_power_flowed_before_or_after_it(
    samples: tuple[Sample, Sample], is_reported: bool
) -> None:
    integral = PowerIntegral()
    reported = [integral.take(power_w, at, RATED_W) for at, power_w in samples]
    assert reported == [False, is_reported]


def test_a_restart_forgets_energy_and_time_but_not_the_power() -> None:
    integral = PowerIntegral()
    for at in (100.0, 101.0):
        integral.take(3600.0, at, RATED_W)
    integral.restart()
    assert (integral.energy_wh, integral.powered_s) == (0.0, 0.0)
    integral.take(3600.0, 102.0, RATED_W)
    assert (integral.energy_wh, integral.powered_s) == (1.0, 1.0)
