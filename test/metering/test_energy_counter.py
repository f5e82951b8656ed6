"""The energy of a transaction: the register first, measured power where the register does not count."""

from collections.abc import Iterable

import pytest

from evse_manager.metering.energy import EnergyCounter, TransactionEnergy
from evse_manager.metering.register import RegisterEvent

RATED_W = 28_800.0
"""Can carry 10 Wh in a second and 100 Wh in the 10 s of a late sample."""

Sample = tuple[float, float | None, float | None]
"""Time [s], register [Wh], power [W]."""

NOTHING = TransactionEnergy()


def standing(seconds: int, power_w: float, register_wh: float | None = 5000.0) -> list[Sample]:
    """Return one sample a second from 1 s on, under power, of a register that shows one value."""
    return [(float(second), register_wh, power_w) for second in range(1, seconds + 1)]


def play(counter: EnergyCounter, samples: Iterable[Sample]) -> EnergyCounter:
    for at, register_wh, power_w in samples:
        counter.take(register_wh, power_w, at, RATED_W)
    return counter


def counted(samples: Iterable[Sample], before: Iterable[Sample] = ((0.0, 5000.0, 3600.0),)) -> EnergyCounter:
    """Return a counter that began at 0 s, after some samples, and took the others."""
    counter = play(EnergyCounter(), before)
    counter.begin(0.0, RATED_W)
    return play(counter, samples)


def near(energy_wh: float, *, lower_bound: bool = False, integrated: bool = False) -> TransactionEnergy:
    return TransactionEnergy(pytest.approx(energy_wh), lower_bound, integrated)  # type: ignore[arg-type]


def test_without_a_sample_nothing_is_known() -> None:
    counter = EnergyCounter()
    assert (counter.energy, counter.register_wh) == (NOTHING, None)
    counter.begin(0.0, RATED_W)
    assert (counter.energy, counter.register_wh) == (NOTHING, None)


def test_without_a_transaction_the_register_counts_from_its_first_value() -> None:
    counter = play(EnergyCounter(), [(0.0, 5000.0, None), (1.0, 5003.0, None)])
    assert (counter.energy, counter.register_wh) == (near(3.0), 5003.0)


def test_a_transaction_counts_from_what_the_register_reads() -> None:
    counter = counted([(1.0, 5005.0, 3600.0)], before=[(-1.0, 5000.0, None), (0.0, 5003.0, None)])
    assert (counter.energy, counter.register_wh) == (near(2.0), 5005.0)


def test_the_result_of_a_reading_is_that_of_the_register() -> None:
    counter = counted([], before=[(0.0, 5000.0, None)])
    readings = [(1.0, 5010.0), (2.0, None), (3.0, 105_000.0), (4.0, 4000.0), (5.0, 0.0), (6.0, 0.0)]
    assert [counter.take(register_wh, None, at, RATED_W) for at, register_wh in readings] == [
        RegisterEvent.NONE, RegisterEvent.NONE, RegisterEvent.LEAPT, RegisterEvent.FELL,
        RegisterEvent.FELL, RegisterEvent.RESTARTED,
    ]  # fmt: skip
    assert counter.energy == near(10.0, lower_bound=True)


# --- without a register ---------------------------------------------------------------------------------


def test_without_a_register_power_is_counted_from_the_beginning_on() -> None:
    counter = counted(standing(10, 3600.0, None), before=[(-2.0, None, 3600.0), (0.0, None, 3600.0)])
    assert counter.energy == near(10.0, lower_bound=True, integrated=True)
    assert counter.register_wh is None
    assert not counter.is_standing
    counter.begin(10.0, RATED_W)
    assert counter.energy == NOTHING
    play(counter, [(11.0, None, 3600.0)])
    assert counter.energy == near(1.0, lower_bound=True, integrated=True)


def test_a_register_that_comes_late_goes_on_from_the_power() -> None:
    late = (11.0, 5000.0, 3600.0)
    counter = counted([*standing(10, 3600.0, None), late], before=[(0.0, None, 3600.0)])
    assert counter.energy == near(10.0, lower_bound=True, integrated=True)
    assert counter.register_wh == pytest.approx(5000.0)
    play(counter, [(12.0, 5003.0, 3600.0)])
    assert counter.energy == near(13.0, lower_bound=True, integrated=True)
    assert counter.register_wh == pytest.approx(5003.0)


def test_a_register_that_comes_late_without_power_is_not_integrated() -> None:
    counter = counted([(1.0, None, None), (2.0, 5000.0, None), (3.0, 5002.0, None)], before=[])
    assert counter.energy == near(2.0, lower_bound=True)
    assert counter.register_wh == 5002.0


# --- a register that stands still ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('steps_wh', 'power_w', 'seconds'),
    [
        ((), 14_400.0, 45),
        ((), 3600.0, 150),
        ((100.0,), 7200.0, 100),
        ((12.0,), 1920.0, 45),
        ((12.0,), 1440.0, 60),
        ((5.0,), 1440.0, 50),
        ((100.0, 12.0), 1440.0, 60),
    ],
    ids=[
        'by the time',
        'by the energy',
        'by two large steps',
        'by the time, after a step',
        'by two steps',
        'by no less than the noise',
        'by the newest step',
    ],
)
def test_a_register_stands_still_after_some_time_and_energy_without_a_step(
    steps_wh: tuple[float, ...], power_w: float, seconds: int
) -> None:
    """One second before and one after: sums of powers are not exact."""
    register_wh, before = 5000.0, [(-100.0, 5000.0, power_w)]
    for place, step_wh in enumerate(steps_wh):
        register_wh += step_wh
        before.append((-50.0 + place, register_wh, power_w))
    before.append((0.0, register_wh, power_w))
    counter = counted(standing(seconds - 1, power_w, register_wh), before)
    assert (counter.is_standing, counter.energy) == (False, near(0.0))
    play(counter, [(float(seconds), register_wh, power_w), (seconds + 1.0, register_wh, power_w)])
    assert counter.is_standing
    energy_wh = power_w * (seconds + 1) / 3600.0
    assert counter.energy == near(energy_wh, integrated=True)
    assert counter.register_wh == pytest.approx(register_wh + energy_wh)


def test_exactly_45_seconds_and_exactly_150_wh_are_enough() -> None:
    by_time = counted(standing(45, 14_400.0), before=[(0.0, 5000.0, 14_400.0)])
    by_energy = counted(standing(150, 3600.0))
    assert (by_time.is_standing, by_energy.is_standing) == (True, True)
    assert by_energy.energy == TransactionEnergy(150.0, False, True)


def test_a_gap_is_missing_where_the_register_stands_still_and_nowhere_else() -> None:
    gap = [(200.0, 5000.0, 3600.0)]
    assert counted([*standing(149, 3600.0), *gap]).energy == near(0.0)
    counter = counted([*standing(151, 3600.0), *gap])
    assert counter.energy == near(151.0, lower_bound=True, integrated=True)
    play(counter, [(201.0, 5000.0, 3600.0)])
    assert counter.energy == near(152.0, lower_bound=True, integrated=True)


STOOD = standing(150, 3600.0)


@pytest.mark.parametrize(
    ('steps_wh', 'energy'),
    [
        ((150.0,), near(150.0)),
        ((160.0,), near(160.0)),
        ((75.5,), near(150.0, integrated=True)),
        ((75.5, 74.5), near(150.0)),
        ((75.5, 100.0), near(175.5)),
        ((75.25,), near(225.25, integrated=True)),
        ((75.25, 10.0), near(235.25, integrated=True)),
    ],
    ids=[
        'all of it',
        'more than that',
        'half of it',
        'in two steps',
        'in two steps, and more',
        'less than half of it',
        'less than half of it, and goes on',
    ],
)
def test_a_step_of_half_the_energy_by_power_explains_it_and_a_smaller_one_is_new(
    steps_wh: tuple[float, ...], energy: TransactionEnergy
) -> None:
    """With the second of the step itself, 151 Wh are measured."""
    counter = counted(STOOD)
    register_wh = 5000.0
    for place, step_wh in enumerate(steps_wh):
        register_wh += step_wh
        play(counter, [(151.0 + place, register_wh, 3600.0)])
        assert not counter.is_standing
    assert counter.energy == energy
    assert counter.energy.energy_wh is not None
    assert counter.register_wh == pytest.approx(5000.0 + counter.energy.energy_wh)


def test_a_step_explains_the_energy_from_before_the_transaction_too() -> None:
    before = [(-201.0 + second, 5000.0, 3600.0) for second in range(202)]
    counter = counted([(1.0, 5000.0, 3600.0)], before)
    assert counter.energy == near(1.0, integrated=True)
    play(counter, [(2.0, 5202.0, 3600.0)])
    assert counter.energy == near(1.0)


def test_a_second_stop_of_the_register_is_counted_from_its_last_step() -> None:
    counter = counted([*STOOD, (151.0, 5151.0, 3600.0)])
    assert counter.energy == near(151.0)
    play(counter, [(151.0 + second, 5151.0, 3600.0) for second in range(1, 302)])
    assert not counter.is_standing, 'two steps of 151 Wh are needed'
    play(counter, [(453.0, 5151.0, 3600.0)])
    assert counter.energy == near(151.0 + 302.0, integrated=True)


def test_a_new_transaction_begins_without_the_marks_of_the_old_one() -> None:
    counter = counted([*STOOD, (151.0, 5000.0, 3600.0), (300.0, 5000.0, 3600.0)])
    assert counter.energy == near(151.0, lower_bound=True, integrated=True)
    counter.begin(300.0, RATED_W)
    assert (counter.energy, counter.is_standing) == (near(0.0), False)


# --- the most that can have flowed -----------------------------------------------------------------------


def test_the_energy_is_never_more_than_the_connector_can_have_carried() -> None:
    """Steps of 3 Wh, so that a transaction may begin with 103 Wh: 10 Wh more in each second."""
    before = [(-2.0, 5000.0, None), (0.0, 5003.0, None)]
    counter = counted([(1.0, 5116.0, None)], before)
    assert counter.energy == near(113.0), 'all that was possible'
    play(counter, [(2.0, 30.0, None), (2.5, 30.0, None)])
    assert counter.register.counted_wh == pytest.approx(3.0 + 113.0 + 30.0)
    assert counter.energy == near(128.0, lower_bound=True)
    assert counter.register_wh == pytest.approx(5003.0 + 128.0)
    play(counter, [(3.0, 30.0, None)])
    assert counter.energy == near(133.0, lower_bound=True)


def test_before_a_transaction_the_first_sample_sets_the_most() -> None:
    counter = play(EnergyCounter(), [(1000.0, 5000.0, None), (1000.0, 6100.0, None)])
    assert counter.energy == near(1100.0)
    play(counter, [(1000.5, 25.0, None), (1000.5, 25.0, None)])
    assert counter.energy == near(1105.0, lower_bound=True), '1125 Wh were counted'
