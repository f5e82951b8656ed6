"""Faults of the meter (catalogue M1 to M9)."""

import math
from dataclasses import replace

import pytest

from charging.kernel_harness import KernelHarness
from evse_manager.charging.inputs import MeterSampled
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import Current, Energy, Frequency, Power, Powermeter, Voltage
from faults.fault_bench import FaultBench

PLAIN = Powermeter(
    energy_wh_import=Energy(5000.0),
    power_w=Power(22080.0, 7360.0, 7360.0, 7360.0),
    voltage_v=Voltage(None, 230.0, 230.0, 230.0),
    current_a=Current(None, 32.0, 32.0, 32.0),
    frequency_hz=Frequency(50.0),
)


@pytest.fixture
def harness() -> KernelHarness:
    """A connector that charges, whose meter is in the hands of the test."""
    harness = KernelHarness().charging().run(10.0)
    harness.metered = False
    return harness


def told(harness: KernelHarness, **changes: object) -> Powermeter:
    """Let the meter send a sample, and return what is published of it."""
    output = harness.do(MeterSampled(replace(PLAIN, timestamp=harness.now.wall, **changes)))
    assert output.powermeter is not None
    return output.powermeter


def sold(bench: FaultBench | KernelHarness) -> float:
    """Return the energy of the transaction."""
    energy = bench.status.session_energy_wh
    assert energy is not None
    return energy


def warned(bench: FaultBench | KernelHarness, word: str) -> bool:
    return any(word in warning for warning in bench.status.warnings)


def test_M1_no_reply(charging, measured):
    charging.inject('meter_silent')
    measured(charging.run_until(lambda b: warned(b, 'silent'), 10.0), 6.0)
    charging.run_for(60.0)
    assert charging.flows, 'tolerated'
    assert not charging.active, 'the check for soft over-current is suspended, not triggered'
    charging.clear()
    charging.run_for(3.0)
    assert not warned(charging, 'silent')
    charging.run_for(10.0)
    charging.unplug()
    charging.run_for(5.0)
    charging.fresh_session()


SWAPPED = 4.6e30
"""A float32 of 230.0 with its words swapped is of such a size, or next to nothing."""


@pytest.mark.parametrize('wrong', [math.nan, math.inf, -math.inf, SWAPPED])
def test_M2_impossible_numbers(harness, wrong):
    before = sold(harness)
    for _ in range(20):
        published = told(
            harness,
            current_a=Current(None, wrong, 31.0, wrong),
            power_w=Power(wrong, 7360.0),
            energy_wh_import=Energy(wrong),
        )
        harness.run(1.0)
    assert published.current_a == Current(None, None, 31.0, None)
    assert published.power_w == Power(None, 7360.0)
    assert published.energy_wh_import == Energy()
    assert sold(harness) == before
    assert not harness.status.active_errors
    assert warned(harness, 'impossible')


@pytest.mark.parametrize('later_wh', [0.0, 4000.0])
def test_M3_energy_runs_back(harness, later_wh):
    told(harness)
    before = sold(harness)
    told(harness, energy_wh_import=Energy(later_wh))
    assert sold(harness) == before
    assert warned(harness, 'ran back')
    for second in range(1, 11):
        harness.run(1.0)
        told(harness, energy_wh_import=Energy(later_wh + 5.0 * second))
    assert sold(harness) == before + 50.0, 'it goes on from where it was'


def test_M4_energy_jumps(charging):
    charging.run_for(30.0)
    before = sold(charging)
    charging.inject('meter_jump')
    charging.run_for(2.0)
    assert warned(charging, 'jumped')
    charging.run_for(58.0)
    assert sold(charging) - before == pytest.approx(32.0 * 230.0 * 3 / 60.0, rel=0.05)


def test_M5_one_phase_is_missing(harness):
    published = told(
        harness, voltage_v=Voltage(None, 230.0, None, 230.0), current_a=Current(None, 32.0, None, 0.0)
    )
    assert published.voltage_v is not None
    assert published.voltage_v.l2 is None
    assert published.current_a is not None
    assert (published.current_a.l2, published.current_a.l3) == (None, 0.0)


def test_M6_the_power_is_reversed(harness, measured):
    begun = harness.t
    while not warned(harness, 'flowing back'):
        told(harness, power_w=Power(-22080.0))
        harness.run(1.0)
        assert harness.t < begun + 30.0
    measured(harness.t - begun, 12.0, 10.0)
    assert harness.flows
    told(harness)
    assert not warned(harness, 'flowing back')


def test_M7_the_phases_are_in_the_wrong_order(harness):
    assert told(harness, phase_seq_error=True).phase_seq_error is True
    assert warned(harness, 'wrong order')
    assert harness.flows


@pytest.mark.parametrize(
    ('sent_hz', 'published_hz'), [(500.0, 50.0), (600.0, 60.0), (50.0, 50.0), (0.0, None), (5000.0, None)]
)
def test_M8_the_frequency_is_tenfold(harness, sent_hz, published_hz):
    assert told(harness, frequency_hz=Frequency(sent_hz)).frequency_hz == Frequency(published_hz)


def test_M9_the_meter_is_dead_at_the_start(measured):
    tolerant = FaultBench()
    tolerant.inject('meter_silent')
    tolerant.run_for(10.0)
    tolerant.charge()
    assert warned(tolerant, 'energy is not counted')
    strict = FaultBench(Config(fail_on_powermeter_errors=True))
    strict.inject('meter_silent')
    measured(strict.run_until(lambda b: 'MeterLost' in b.error_codes, 10.0), 6.0)
    strict.plug_in()
    strict.authorize()
    strict.run_for(60.0)
    assert strict.codes(details=True) == 'Enabled Error(Other)', 'nothing is charged without a meter'
    assert strict.pilot is not PilotMode.PWM
    strict.clear()
    strict.run_until(lambda b: b.flows, 30.0)
    assert strict.codes().endswith('AllErrorsCleared SS TS PC CS'), 'with the token of before'
