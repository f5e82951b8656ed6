"""
Faults of meters that people reported, through the kernel alone and through the meter of every driver.

``test/data/field_cases.yaml`` has the cases; each must have a test here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from charging.kernel_harness import HARDWARE, KernelHarness
from charging.test_memory import booting
from evse_manager.charging.inputs import MeterSampled, Start
from evse_manager.charging.persisted_state import OpenSession, OpenTransaction, PersistedState
from evse_manager.interface.enums import StopTransactionReason
from evse_manager.interface.types import Energy, Powermeter, Time, TransactionFinished
from metering.meters import VOLTAGE_V, WAYS, Plain, Shown, ThroughSdm630, Way

FIELD: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[1] / 'data' / 'field_cases.yaml').read_text()
)
CASES = {case['name']: case for kind in ('meter_registers', 'currents') for case in FIELD[kind]}
FULL_POWER_W = HARDWARE.max_current_a_import * HARDWARE.max_phase_count_import * VOLTAGE_V
RESOLUTION_WH = 0.01
"""An SDM630 sends kWh as a float of 32 bits."""


class Charging:
    """A connector that charges 11 kW or nothing, and whose meter shows what a test decides."""

    def __init__(self, way: Way, first: Shown | None) -> None:
        self.way = way
        self.harness = KernelHarness(report_s=2.0)
        self.harness.metered = False
        if first is not None:
            self.see(first)
        self.harness.charging()

    def see(self, shown: Shown) -> None:
        now = self.harness.t
        self.harness.do(MeterSampled(self.way.sample(shown, now, Time(self.harness.wall))))

    def plays(self, samples: Iterator[Shown] | list[Shown]) -> None:
        """Let the meter show one sample a second."""
        for shown in samples:
            self.harness.run(1.0)
            self.see(shown)

    @property
    def energy_wh(self) -> float:
        energy = self.harness.status.session_energy_wh
        assert energy is not None
        return energy

    @property
    def warnings(self) -> str:
        return ' '.join(self.harness.status.warnings)

    def finishes(self) -> TransactionFinished:
        self.harness.pilot('A').run(3.0)
        return last_finished(self.harness)


def last_finished(harness: KernelHarness) -> TransactionFinished:
    found = [event.transaction_finished for _, event in harness.events if event.transaction_finished]
    assert found
    return found[-1]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]()


def test_every_case_of_the_file_has_a_test() -> None:
    tests = {name.removeprefix('test_') for name in globals() if name.startswith('test_')}
    assert set(CASES) <= tests
    assert {'odd_temperature'} <= {case['name'] for case in FIELD['connector']} & tests


@pytest.mark.parametrize(('step_wh', 'every_s'), [(100.0, 33), (1000.0, 327), (31.0, 10), (92.0, 30)])
def test_coarse_steps(way: Way, step_wh: float, every_s: int) -> None:
    charging = Charging(way, Shown(5000.0))
    steps = 4
    charging.plays(
        Shown(5000.0 + step_wh * (second // every_s), 11_000.0) for second in range(1, steps * every_s + 1)
    )
    assert charging.energy_wh == pytest.approx(steps * step_wh, abs=RESOLUTION_WH)
    assert 'jumped' not in charging.warnings
    assert not charging.finishes().energy_is_integrated


def test_stale_every_second(way: Way) -> None:
    readings = CASES['stale_every_second']['samples']['register']
    charging = Charging(way, Shown(readings[0]))
    charging.plays([Shown(register) for register in readings])
    assert charging.energy_wh == pytest.approx(18.0, abs=RESOLUTION_WH)


def test_dither_at_rest(way: Way) -> None:
    """The file has half an hour; a third of it takes a third of the time and is not different."""
    charging = Charging(way, Shown(7000.0))
    charging.plays(Shown(7000.0 + second % 2) for second in range(600))
    assert charging.energy_wh == pytest.approx(1.0, abs=RESOLUTION_WH)


def test_leap_over_a_power_loss(way: Way) -> None:
    case = CASES['leap_over_a_power_loss']
    start_wh, last_wh, outage_s = (
        float(case['memory'][name]) for name in ('start_wh', 'last_wh', 'outage_s')
    )
    harness = booting()
    harness.metered = False
    before = Time(harness.wall - round(outage_s * 1e9))
    transaction = OpenTransaction(
        started=before,
        start_wh=start_wh,
        meter_value=Powermeter(timestamp=before, energy_wh_import=Energy(last_wh)),
    )
    remembered = PersistedState(session=OpenSession('old', transaction=transaction), written=before)
    harness.do(Start(remembered))
    harness.do(MeterSampled(way.sample(Shown(case['first_sample_wh']), harness.t, Time(harness.wall))))
    harness.observe()
    harness.run(5.0)
    finished = last_finished(harness)
    stop_wh = finished.meter_value.energy_wh_import.total
    assert finished.reason is StopTransactionReason.POWER_LOSS
    assert stop_wh is not None
    assert last_wh <= stop_wh <= last_wh + FULL_POWER_W * outage_s / 3600.0
    assert finished.energy_wh == pytest.approx(stop_wh - start_wh)
    assert finished.energy_is_lower_bound
    assert any('jumped' in warning for warning in harness.status.warnings)


def test_late_meter(way: Way) -> None:
    charging = Charging(way, None)
    charging.harness.run(20.0)
    charging.plays(Shown(7000.0 + 11_000.0 * second / 3600.0, 11_000.0) for second in range(601))
    finished = charging.finishes()
    assert finished.energy_wh == pytest.approx(11_000.0 / 6.0, abs=1.0), 'an OpenEVSE reports whole Wh'
    assert finished.energy_is_lower_bound
    assert not finished.energy_is_integrated


def test_standing_register(way: Way) -> None:
    charging = Charging(way, Shown(5000.0))
    charging.plays([Shown(5000.0, 11_000.0)] * 60)
    assert 'stands still' in charging.warnings
    charging.plays([Shown(5000.0, 11_000.0)] * 540)
    assert charging.energy_wh == pytest.approx(11_000.0 * 600.0 / 3600.0, rel=0.01)
    finished = charging.finishes()
    assert finished.energy_is_integrated
    assert finished.energy_wh == pytest.approx(11_000.0 * 600.0 / 3600.0, rel=0.01)


def test_a_register_that_stood_still_and_catches_up_is_counted_once(way: Way) -> None:
    charging = Charging(way, Shown(5000.0))
    charging.plays([Shown(5000.0, 11_000.0)] * 600)
    charging.plays([Shown(6833.0, 11_000.0)])
    assert charging.energy_wh == pytest.approx(1833.0, abs=4.0)
    assert not charging.finishes().energy_is_integrated


def test_a_register_that_stood_still_and_goes_on_loses_nothing(way: Way) -> None:
    charging = Charging(way, Shown(5000.0))
    charging.plays([Shown(5000.0, 11_000.0)] * 600)
    charging.plays([Shown(5000.0 + 3.0 * second, 11_000.0) for second in range(1, 101)])
    assert charging.energy_wh == pytest.approx(1833.0 + 300.0, rel=0.01)
    assert charging.finishes().energy_is_integrated


@pytest.mark.parametrize('missing', [{0xFC00}, {0x15A}, {0xFC00, 0x15A}], ids=str)
def test_optional_registers(missing: set[int]) -> None:
    way = ThroughSdm630(frozenset(missing))
    charging = Charging(way, Shown(5000.0, 0.0, (0.0, 0.0, 0.0)))
    charging.plays(Shown(5000.0 + second, 3600.0, (5.2, 5.2, 5.2)) for second in range(1, 121))
    assert charging.energy_wh == pytest.approx(120.0, abs=RESOLUTION_WH)
    noted = way.meter.diagnostics()['meter registers missing']
    assert ('0xFC00' in noted) == (0xFC00 in missing)
    assert ('0x15A' in noted) == (0x15A in missing)
    assert sum(way.requests.count(register) for register in missing) == 3 * len(missing), 'it is not asked on'
    assert not way.meter.fault


def test_reversed_transformers(way: Way) -> None:
    case = CASES['reversed_transformers']
    l1, l2, l3 = (float(ampere) for ampere in case['measured_a'])
    offered_a = float(case['offered_a'])
    charging = Charging(way, Shown(5000.0, 0.0, (0.0, 0.0, 0.0)))
    charging.plays([Shown(5000.0, 0.0, (0.0, 0.0, 0.0))] * 10)
    assert charging.harness.signalled == offered_a
    power_w = (l1 + l2 + l3) * VOLTAGE_V
    charging.plays([Shown(5000.0, power_w, (l1, l2, l3))] * 7)
    assert not charging.harness.status.active_errors
    charging.plays([Shown(5000.0, power_w, (l1, l2, l3))])
    assert charging.harness.codes().endswith('Error(OverCurrent)')
    assert 'flowing back' in charging.warnings
    charging.plays([Shown(5000.0, 0.0, (0.0, 0.0, 0.0))] * 30)
    assert 'flowing back' in charging.warnings, 'the open contactor does not correct the wiring'


def test_power_without_currents() -> None:
    case = CASES['power_without_currents']
    charging = Charging(Plain(), Shown(5000.0, 0.0))
    charging.plays([Shown(5000.0, 0.0)] * 10)
    power_w = float(case['measured']['power_w'])
    assert 'suspended' not in charging.warnings
    charging.plays([Shown(5000.0, power_w)] * 7)
    assert not charging.harness.status.active_errors
    charging.plays([Shown(5000.0, power_w)])
    assert charging.harness.codes().endswith('Error(OverCurrent)')


def test_power_without_currents_as_much_as_is_offered_is_no_error() -> None:
    charging = Charging(Plain(), Shown(5000.0, 0.0))
    charging.plays([Shown(5000.0, FULL_POWER_W)] * 60)
    assert not charging.harness.status.active_errors


def test_where_neither_current_nor_power_is_known_the_check_says_that_it_is_suspended() -> None:
    charging = Charging(Plain(), Shown(5000.0))
    charging.plays([Shown(5000.0)] * 10)
    assert 'over-current check is suspended' in charging.warnings
    charging.plays([Shown(5000.0, 0.0)])
    assert 'over-current check is suspended' not in charging.warnings


def test_odd_temperature() -> None:
    case = next(case for case in FIELD['connector'] if case['name'] == 'odd_temperature')
    harness = KernelHarness().charging()
    for celsius in case['samples_c']:
        harness.sensed(float(celsius)).run(1.0)
    assert not harness.status.active_errors
    assert harness.signalled == 32.0
    harness.sensed(85.0).run(1.0)
    harness.sensed(85.0).run(1.0)
    assert harness.codes().endswith('Error(Other)'), 'what lasts is believed'
