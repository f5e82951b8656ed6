"""Any load and any meter: what is billed lies within what the meter showed (field cases, as kinds)."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from evse_manager.metering.energy import EnergyCounter, TransactionEnergy
from metering.meter_model import RATED_W, Faults, Model

LOADS = st.lists(
    st.tuples(st.integers(1, 300), st.sampled_from([0.0, 1380.0, 3680.0, 7360.0, 11_000.0, RATED_W])),
    min_size=1,
    max_size=6,
)
STEPS_WH = st.sampled_from([0.01, 1.0, 10.0, 31.0, 100.0, 1000.0])
SHARES = st.sampled_from([0.0, 0.05, 0.5])


def billed(model: Model) -> TransactionEnergy:
    """Bill a transaction by what a meter shows; the energy never falls on the way."""
    counter = EnergyCounter()
    samples = model.samples()
    at, register, power = next(samples)
    counter.take(register, power, float(at), RATED_W)
    counter.begin(float(at), RATED_W)
    before = 0.0
    for at, register, power in samples:
        counter.take(register, power, float(at), RATED_W)
        energy = counter.energy.energy_wh
        assert energy is not None
        assert math.isfinite(energy)
        assert energy >= before
        before = energy
    return counter.energy


def judge(loads: list[tuple[int, float]], faults: Faults, seed: int) -> None:
    model = Model(loads, faults, seed)
    result = billed(model)
    energy = result.energy_wh
    assert energy is not None
    by_power = 0.02 * model.true_wh + 5.0 if result.is_integrated else 0.0
    assert model.least_wh - by_power <= energy <= model.most_wh + by_power, (
        f'{energy:.1f} Wh are billed of {model.true_wh:.1f} Wh; {model.not_shown_wh:.1f} Wh were not shown'
    )
    assert energy <= model.carried_wh


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    loads=LOADS,
    step_wh=STEPS_WH,
    refresh_s=st.sampled_from([1, 5, 10, 30]),
    delay_s=st.integers(0, 10),
    period_s=st.sampled_from([1, 1, 2, 10]),
    power=st.sampled_from(['measured', 'absent', 'reversed']),
    seed=st.integers(0, 2**32),
)
def test_a_coarse_slow_or_late_meter(  # noqa: PLR0917
    loads: list[tuple[int, float]],
    step_wh: float,
    refresh_s: int,
    delay_s: int,
    period_s: int,
    power: str,
    seed: int,
) -> None:
    faults = Faults(step_wh, refresh_s, delay_s, period_s=period_s, power=power)
    judge(loads, faults, seed)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    loads=LOADS,
    step_wh=STEPS_WH,
    stale_share=SHARES,
    dither_share=SHARES,
    missing_share=SHARES,
    gaps=st.lists(st.tuples(st.integers(5, 900), st.integers(5, 120)), max_size=3),
    power=st.sampled_from(['measured', 'absent', 'reversed']),
    seed=st.integers(0, 2**32),
)
def test_a_noisy_meter_with_gaps(  # noqa: PLR0917
    loads: list[tuple[int, float]],
    step_wh: float,
    stale_share: float,
    dither_share: float,
    missing_share: float,
    gaps: list[tuple[int, int]],
    power: str,
    seed: int,
) -> None:
    faults = Faults(
        step_wh,
        stale_share=stale_share,
        dither_share=dither_share,
        missing_share=missing_share,
        gaps=tuple(gaps),
        power=power,
    )
    judge(loads, faults, seed)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    loads=LOADS,
    step_wh=st.sampled_from([0.01, 1.0, 10.0]),
    at=st.lists(st.integers(1, 10), max_size=2, unique=True),
    to_wh=st.sampled_from([0.0, 0.0, 500.0, 4000.0]),
    refresh_s=st.sampled_from([1, 10]),
    missing_share=SHARES,
    seed=st.integers(0, 2**32),
)
@example([(300, 11_000.0)], 1.0, [1], 4000.0, 1, 0.0, 0)
def test_a_meter_that_restarts(  # noqa: PLR0917
    loads: list[tuple[int, float]],
    step_wh: float,
    at: list[int],
    to_wh: float,
    refresh_s: int,
    missing_share: float,
    seed: int,
) -> None:
    restarts = tuple((90 * place, to_wh) for place in sorted(at))
    faults = Faults(step_wh, refresh_s, restarts=restarts, missing_share=missing_share, power='absent')
    judge(loads, faults, seed)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(loads=LOADS, step_wh=st.sampled_from([0.1, 1.0, 10.0, 100.0]), before_wh=st.integers(1, 500))
def test_a_meter_that_wraps(loads: list[tuple[int, float]], step_wh: float, before_wh: int) -> None:
    faults = Faults(step_wh, wraps_at_wh=100_000.0, first_wh=100_000.0 - before_wh)
    judge(loads, faults, 0)
