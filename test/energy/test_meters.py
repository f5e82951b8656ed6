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
    ],
    ids=['currents', 'powers', 'total on every phase', 'export', 'export by power', 'one phase'],
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
