"""What a meter of a node says, and when it is not believed."""

import math

import pytest

from evse_manager.energy.meters import HouseLoadMeter, Reading, read_meter
from evse_manager.energy.tree import MeteredQuantity, MeterSpec
from evse_manager.interface.types import Current, Power, Powermeter, Time

ALL = (0, 1, 2)


@pytest.mark.parametrize(
    ('sample', 'phases', 'currents_a'),
    [
        (Powermeter(current_a=Current(l1=1.0, l2=2.0, l3=3.0)), ALL, (1.0, 2.0, 3.0)),
        (Powermeter(power_w=Power(l1=230.0, l2=460.0, l3=0.0)), ALL, (1.0, 2.0, 0.0)),
        (Powermeter(power_w=Power(total=2300.0)), ALL, (10.0, 10.0, 10.0)),
        (Powermeter(current_a=Current(l1=-4.0, l2=2.0, l3=3.0)), ALL, (0.0, 2.0, 3.0)),
        (Powermeter(current_a=Current(l1=4.0), power_w=Power(l1=-920.0)), (0,), (0.0, 0.0, 0.0)),
        (Powermeter(current_a=Current(l2=7.0)), (1,), (0.0, 7.0, 0.0)),
        (Powermeter(power_w=Power(total=-2300.0)), ALL, (0.0, 0.0, 0.0)),
        (Powermeter(power_w=Power(total=2300.0)), (0, 2), (10.0, 0.0, 10.0)),
        (Powermeter(current_a=Current(l1=4.0), power_w=Power(total=920.0, l1=0.0)), (0,), (4.0, 0.0, 0.0)),
        (Powermeter(current_a=Current(l1=4.0, l2=5.0), power_w=Power(l3=230.0)), ALL, (4.0, 5.0, 1.0)),
        (Powermeter(current_a=Current(l1=1e4, l2=-1e4, l3=0.0)), ALL, (1e4, 0.0, 0.0)),
        (Powermeter(current_a=Current(l1=1.0, l2=math.nan)), (0,), (1.0, 0.0, 0.0)),
    ],
    ids=[
        'currents',
        'powers',
        'total on every phase',
        'export',
        'export by power',
        'one phase',
        'export of the total',
        'total on two phases',
        'no power with a current',
        'one phase by its power',
        'the highest that is possible',
        'a phase that the node does not have',
    ],
)
def test_currents_of_a_sample(
    sample: Powermeter, phases: tuple[int, ...], currents_a: tuple[float, float, float]
) -> None:
    assert read_meter(sample, phases, 230.0) == Reading(currents_a)


@pytest.mark.parametrize(
    'sample',
    [
        Powermeter(),
        Powermeter(current_a=Current(l1=1.0, l2=1.0)),
        Powermeter(current_a=Current(l1=1.0, l2=math.nan, l3=1.0)),
        Powermeter(current_a=Current(l1=1.0, l2=math.inf, l3=1.0)),
        Powermeter(current_a=Current(l1=1.0, l2=10_001.0, l3=1.0)),
        Powermeter(power_w=Power(total=math.nan)),
        Powermeter(current_a=Current(l1=1.0, l2=-10_001.0, l3=1.0)),
        Powermeter(current_a=Current(l1=1.0, l2=1.0), power_w=Power(total=230.0)),
        Powermeter(current_a=Current()),
    ],
)
def test_unusable_samples(sample: Powermeter) -> None:
    assert read_meter(sample, ALL, 230.0) is None


def reading(current_a: float) -> Reading:
    return Reading((current_a, current_a, current_a))


def test_a_meter_is_silent_until_its_first_sample_and_after_its_time_out() -> None:
    meter = HouseLoadMeter(MeterSpec('/meter', 5.0))
    assert meter.silent(0.0)
    meter.take(reading(3.0), Time(1), (0.0, 0.0, 0.0), 0.0)
    assert not meter.silent(5.0)
    assert meter.silent(5.1)


def test_a_sample_that_repeats_its_time_stamp_is_no_new_one() -> None:
    meter = HouseLoadMeter(MeterSpec('/meter', 5.0))
    meter.take(reading(3.0), Time(1), (0.0, 0.0, 0.0), 0.0)
    meter.take(reading(3.0), Time(1), (0.0, 0.0, 0.0), 4.0)
    assert meter.silent(6.0)
    assert meter.doubt == 'The sample has the time stamp of the one before.'


def test_a_total_below_what_the_connectors_draw_is_not_believed() -> None:
    meter = HouseLoadMeter(MeterSpec('/meter', 5.0, MeteredQuantity.TOTAL))
    meter.take(reading(10.0), Time(1), (30.0, 30.0, 30.0), 0.0)
    assert meter.silent(0.0)
    assert meter.doubt.startswith('It shows 10.0 A on a phase on which the connectors draw 30.0 A')


def test_a_car_that_the_total_shows_before_its_own_meter_is_no_house_load() -> None:
    meter = HouseLoadMeter(MeterSpec('/meter', 5.0, MeteredQuantity.TOTAL))
    for second, (total_a, drawn_a) in enumerate([(20.0, 16.0), (36.0, 16.0), (36.0, 32.0)]):
        drawn = (drawn_a, drawn_a, drawn_a)
        meter.take(reading(total_a), Time(second + 1), drawn, float(second))
        assert meter.load() == (4.0, 4.0, 4.0)


def taken(measures: MeteredQuantity, *samples: tuple[float, float, float]) -> HouseLoadMeter:
    """Return a meter that took samples of time [s], its current and what the connectors draw [A]."""
    meter = HouseLoadMeter(MeterSpec('/meter', 5.0, measures))
    for place, (at, current_a, drawn_a) in enumerate(samples):
        meter.take(reading(current_a), Time(place + 1), (drawn_a, drawn_a, drawn_a), at)
    return meter


def test_a_house_load_is_that_of_the_newest_sample() -> None:
    assert HouseLoadMeter(MeterSpec('/meter')).load() == (0.0, 0.0, 0.0)
    meter = taken(MeteredQuantity.HOUSE_LOAD, (0.0, 3.0, 50.0), (1.0, 7.0, 50.0), (2.0, 5.0, 50.0))
    assert (meter.load(), meter.reading, meter.doubt) == ((5.0, 5.0, 5.0), reading(5.0), '')


@pytest.mark.parametrize(('now', 'load_a'), [(2.9, 4.0), (3.0, 4.0), (3.1, 10.0)])
def test_of_the_loads_of_three_seconds_the_lowest_counts(now: float, load_a: float) -> None:
    meter = taken(MeteredQuantity.TOTAL, (0.0, 20.0, 16.0), (1.0, 26.0, 16.0), (now, 30.0, 16.0))
    assert meter.load() == (load_a, load_a, load_a)


def test_the_lowest_load_is_that_of_each_phase() -> None:
    meter = HouseLoadMeter(MeterSpec('/meter', 5.0, MeteredQuantity.TOTAL))
    meter.take(Reading((20.0, 20.0, 5.0)), Time(1), (16.0, 10.0, 8.0), 0.0)
    meter.take(Reading((20.0, 20.0, 5.0)), Time(2), (10.0, 16.0, 4.0), 1.0)
    assert meter.load() == (4.0, 4.0, 0.0)


@pytest.mark.parametrize(
    ('total_a', 'drawn_a', 'is_believed'),
    [(25.0, 30.0, True), (24.9, 30.0, False), (90.0, 100.0, True), (89.9, 100.0, False), (0.0, 5.0, True)],
)
def test_a_total_may_be_short_by_five_amperes_or_a_tenth(
    total_a: float, drawn_a: float, is_believed: bool
) -> None:
    meter = taken(MeteredQuantity.TOTAL, (0.0, total_a, drawn_a))
    assert (meter.doubt == '') is is_believed
    assert meter.silent(0.0) is not is_believed
    assert taken(MeteredQuantity.HOUSE_LOAD, (0.0, total_a, drawn_a)).doubt == ''


def test_a_doubt_lasts_until_the_next_good_sample_and_changes_nothing() -> None:
    meter = taken(MeteredQuantity.HOUSE_LOAD, (0.0, 3.0, 0.0))
    meter.take(None, Time(2), (0.0, 0.0, 0.0), 4.0)
    assert meter.doubt == 'The sample has no usable currents.'
    assert (meter.load(), meter.silent(5.1)) == ((3.0, 3.0, 3.0), True)
    meter.take(reading(4.0), Time(3), (0.0, 0.0, 0.0), 6.0)
    assert (meter.doubt, meter.load(), meter.silent(11.0)) == ('', (4.0, 4.0, 4.0), False)


def test_samples_without_a_time_stamp_are_new_ones() -> None:
    meter = HouseLoadMeter(MeterSpec('/meter', 5.0))
    for at in (0.0, 4.0):
        meter.take(reading(3.0), None, (0.0, 0.0, 0.0), at)
        assert meter.doubt == ''
    assert not meter.silent(9.0)
