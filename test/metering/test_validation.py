"""Which numbers of a sample are believed (catalogue M2, M5, M8)."""

import math
from dataclasses import replace

import pytest

from evse_manager.board.meters.sdm630 import floats
from evse_manager.interface.types import (
    Current,
    Energy,
    Frequency,
    Power,
    Powermeter,
    ReactivePower,
    Voltage,
)
from evse_manager.metering.slow import SteadyTemperature
from evse_manager.metering.validation import plausible

GOOD = Powermeter(
    energy_wh_import=Energy(5000.0, 1700.0, 1700.0, 1600.0),
    energy_wh_export=Energy(0.0),
    power_w=Power(11_040.0, 3680.0, 3680.0, 3680.0),
    voltage_v=Voltage(None, 230.2, 229.8, 230.5),
    current_a=Current(None, 16.0, 16.0, 16.0, 0.0),
    reactive_power_var=ReactivePower(0.0, 0.0, 0.0, 0.0),
    frequency_hz=Frequency(50.02),
)
SWAPPED = floats((0x3333, 0x4366))[0]
"""230.2 with its words in the wrong order."""


def test_a_good_sample_passes_as_it_is() -> None:
    assert plausible(GOOD) == (GOOD, 0)


@pytest.mark.parametrize('wrong', [math.nan, math.inf, -math.inf, 501.0, -5.0, SWAPPED], ids=str)
def test_m2_an_impossible_voltage_is_left_out_alone(wrong: float) -> None:
    sample, left_out = plausible(replace(GOOD, voltage_v=Voltage(None, wrong, 229.8, 230.5)))
    assert sample == replace(GOOD, voltage_v=Voltage(None, None, 229.8, 230.5))
    assert left_out == 1


@pytest.mark.parametrize('wrong', [math.nan, math.inf, -1.0, 1.1e10, SWAPPED], ids=str)
def test_m2_an_impossible_register_is_left_out_alone(wrong: float) -> None:
    sample, left_out = plausible(replace(GOOD, energy_wh_import=Energy(wrong, 1700.0)))
    assert sample.energy_wh_import == Energy(None, 1700.0)
    assert left_out == 1


@pytest.mark.parametrize(
    ('current_a', 'believed'),
    [(250.0, True), (-250.0, True), (250.1, False), (-250.1, False), (0.0, True), (math.nan, False)],
)
def test_m2_both_signs_of_a_current_are_believed(current_a: float, believed: bool) -> None:
    sample, _ = plausible(replace(GOOD, current_a=Current(None, current_a)))
    assert sample.current_a is not None
    assert sample.current_a.l1 == (current_a if believed else None)


@pytest.mark.parametrize(
    ('field', 'of', 'believed', 'refused'),
    [
        ('energy_wh_import', Energy, (0.0, 1e-6, 1e10), (-1e-6, 1.01e10, 9e-7)),
        ('energy_wh_export', Energy, (0.0, 1e-6, 1e10), (-1e-6, 1.01e10, 9e-7)),
        ('power_w', Power, (0.0, 1e-6, -1e-6, 150_000.0, -150_000.0), (150_000.5, -150_000.5, 9e-7, -9e-7)),
        ('voltage_v', Voltage, (0.0, 1e-6, 500.0), (-1e-6, 500.5, 9e-7)),
        ('current_a', Current, (0.0, 1e-6, -1e-6, 250.0, -250.0), (250.5, -250.5, 9e-7, -9e-7)),
        ('reactive_power_var', ReactivePower, (0.0, 1e-6, -150_000.0, 150_000.0), (150_000.5, -9e-7)),
    ],
)
def test_m2_the_range_of_each_number(
    field: str, of: type, believed: tuple[float, ...], refused: tuple[float, ...]
) -> None:
    for value in believed:
        sample = replace(GOOD, **{field: of(l2=value)})
        assert plausible(sample) == (sample, 0), value
    for value in refused:
        sample, left_out = plausible(replace(GOOD, **{field: of(l1=1.0, l2=value, l3=value)}))
        assert (getattr(sample, field), left_out) == (of(l1=1.0), 2), value


@pytest.mark.parametrize(
    ('volts', 'ampere', 'is_dead'),
    [
        ((80.0, 9.9), 0.0, True),
        ((79.9, 9.9), 0.0, False),
        ((230.0, 10.0), 0.0, False),
        ((230.0, None), 0.0, False),
        ((230.0, 0.0), 0.49, True),
        ((230.0, 0.0), -0.49, True),
        ((230.0, 0.0), None, True),
    ],
)
def test_m5_what_a_phase_that_is_not_connected_is(
    volts: tuple[float, float | None], ampere: float | None, is_dead: bool
) -> None:
    sample, left_out = plausible(
        Powermeter(
            voltage_v=Voltage(None, volts[0], volts[1], None),
            current_a=Current(None, 16.0, ampere, 16.0),
            reactive_power_var=ReactivePower(3.0, 1.0, 2.0, 0.0),
        )
    )
    assert sample == Powermeter(
        voltage_v=Voltage(None, volts[0], None if is_dead else volts[1], None),
        current_a=Current(None, 16.0, None if is_dead else ampere, 16.0),
        reactive_power_var=ReactivePower(3.0, 1.0, None if is_dead else 2.0, 0.0),
    )
    assert left_out == 0


@pytest.mark.parametrize('ampere', [0.5, -0.5])
def test_m5_a_phase_that_carries_current_keeps_its_numbers_but_the_voltage(ampere: float) -> None:
    amperes, watts = Current(None, 16.0, ampere, 16.0), Power(7360.0, 3680.0, 0.0, 3680.0)
    sample, _ = plausible(
        Powermeter(voltage_v=Voltage(None, 230.0, 0.0, 230.0), current_a=amperes, power_w=watts)
    )
    assert sample == Powermeter(voltage_v=Voltage(None, 230.0, None, 230.0), current_a=amperes, power_w=watts)


def test_m5_without_a_measured_current_the_powers_of_a_dead_phase_are_left_out() -> None:
    sample, _ = plausible(
        Powermeter(voltage_v=Voltage(None, 0.0, 0.0, 230.0), power_w=Power(3680.0, 0.0, 0.0, 3680.0))
    )
    assert sample == Powermeter(
        voltage_v=Voltage(None, None, None, 230.0), power_w=Power(3680.0, None, None, 3680.0)
    )


@pytest.mark.parametrize('power_w', [150_001.0, -150_001.0, math.inf])
def test_m2_an_impossible_power_is_left_out_alone(power_w: float) -> None:
    sample, left_out = plausible(replace(GOOD, power_w=Power(power_w, 3680.0)))
    assert (sample.power_w, left_out) == (Power(None, 3680.0), 1)


def test_m5_the_zeros_of_a_phase_that_is_not_connected_are_left_out() -> None:
    sample, left_out = plausible(
        replace(
            GOOD,
            voltage_v=Voltage(None, 230.0, 0.0, 230.0),
            current_a=Current(None, 16.0, 0.0, 16.0),
            power_w=Power(7360.0, 3680.0, 0.0, 3680.0),
        )
    )
    assert sample.voltage_v == Voltage(None, 230.0, None, 230.0)
    assert sample.current_a == Current(None, 16.0, None, 16.0)
    assert sample.power_w == Power(7360.0, 3680.0, None, 3680.0)
    assert left_out == 0, 'that is no fault of the meter'


def test_m5_a_current_on_a_phase_without_voltage_is_kept() -> None:
    sample, _ = plausible(replace(GOOD, voltage_v=Voltage(None, 230.0, 0.0, 230.0)))
    assert sample.current_a == GOOD.current_a
    assert sample.voltage_v == Voltage(None, 230.0, None, 230.0)


def test_m5_without_any_voltage_nothing_is_left_out() -> None:
    dark = replace(GOOD, voltage_v=Voltage(None, 0.0, 0.0, 0.0), current_a=Current(None, 0.0, 0.0, 0.0))
    assert plausible(dark) == (dark, 0)


@pytest.mark.parametrize(
    ('sent_hz', 'believed_hz'), [(500.0, 50.0), (600.0, 60.0), (50.0, 50.0), (5.0, None), (71.0, None),
     (400.0, 40.0), (700.0, 70.0), (399.9, None), (700.1, None), (40.0, 40.0), (70.0, 70.0), (39.9, None),
     (70.1, None), (math.nan, None)],
)  # fmt: skip
def test_m8_ten_times_the_frequency_is_converted(sent_hz: float, believed_hz: float | None) -> None:
    assert plausible(replace(GOOD, frequency_hz=Frequency(sent_hz)))[0].frequency_hz == Frequency(believed_hz)


@pytest.mark.parametrize('wrong', [math.nan, 400.0, SWAPPED])
def test_what_was_validated_once_is_not_changed_again(wrong: float) -> None:
    voltage = Voltage(None, wrong, 0.0, 230.0)
    once, _ = plausible(replace(GOOD, voltage_v=voltage, frequency_hz=Frequency(500.0)))
    assert plausible(once) == (once, 0)


@pytest.mark.parametrize(
    ('samples_c', 'celsius'),
    [
        ((85.0,), None),
        ((31.0, 85.0), 31.0),
        ((31.0, 85.0, 31.0), 31.0),
        ((31.0, 85.0, 85.0), 85.0),
        ((85.0, 31.0, 85.0), 85.0),
        ((85.0, 85.0, 31.0, 31.0), 31.0),
        ((85.0, 85.0, None), None),
        ((85.0, None, 85.0), 85.0),
        ((31.0, math.nan), None),
        ((31.0, 31.0, 200.0), None),
        ((31.0, 31.0, -60.0), None),
        ((-55.0, -55.0), -55.0),
        ((150.0, 150.0), 150.0),
        ((31.0, 31.0, -55.1), None),
        ((31.0, 31.0, 150.1), None),
    ],
)
def test_a_temperature_is_not_decided_by_one_sample(
    samples_c: tuple[float | None, ...], celsius: float | None
) -> None:
    temperature = SteadyTemperature()
    for sample in samples_c:
        temperature.take(sample)
    assert temperature.celsius == celsius
    last = samples_c[-1]
    assert temperature.is_absent == (last is None or not -55.0 <= last <= 150.0)
