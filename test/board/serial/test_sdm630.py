"""The meter SDM630: what is believed of it (catalogue M1 to M8)."""

import math
from dataclasses import replace

import pytest

from evse_manager.board.meters.sdm630 import floats
from evse_manager.interface.types import Powermeter, Time
from evse_manager.metering.register import PERSISTS_S, Plausibility, Reading

GOOD = Reading(
    voltage_v=(230.2, 229.8, 230.5),
    current_a=(16.0, 16.0, 16.0),
    power_w=(3680.0, 3680.0, 3680.0),
    power_total_w=11_040.0,
    reactive_var=(0.0, 0.0, 0.0),
    reactive_total_var=0.0,
    frequency_hz=50.02,
    import_wh=5000.0,
    import_phases_wh=(1700.0, 1700.0, 1600.0),
    export_wh=0.0,
)
NO_CURRENT = replace(GOOD, current_a=(0.0, 0.0, 0.0), power_total_w=0.0, power_w=(0.0, 0.0, 0.0))


class Judge:
    def __init__(self) -> None:
        self.plausibility = Plausibility(lambda: 22_000.0)
        self.now = 0.0

    def sees(self, reading: Reading, seconds: float = 1.0) -> Powermeter:
        self.now += seconds
        sample = self.plausibility.judge(reading, Time(1), 'M', self.now)
        assert sample is not None
        return sample

    def energy(self, wh: float, seconds: float = 1.0) -> float | None:
        return self.sees(replace(GOOD, import_wh=wh), seconds).energy_wh_import.total

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.plausibility.warnings(self.now)


def test_a_good_reading_passes_as_it_is() -> None:
    judge = Judge()
    sample = judge.sees(GOOD)
    assert sample.energy_wh_import.total == 5000.0
    assert sample.energy_wh_import.l3 == 1600.0
    assert sample.power_w is not None
    assert sample.power_w.total == 11_040.0
    assert sample.voltage_v is not None
    assert sample.voltage_v.l1 == 230.2
    assert judge.plausibility.rejected == 0
    assert judge.warnings == ()


def test_golden_float() -> None:
    assert floats((0x4366, 0x3333))[0] == pytest.approx(230.2)


@pytest.mark.parametrize(
    'wrong', [math.nan, math.inf, -math.inf, 1e9, -5.0, floats((0x3333, 0x4366))[0]], ids=str
)
def test_m2_an_impossible_number_is_left_out_alone(wrong: float) -> None:
    judge = Judge()
    sample = judge.sees(replace(GOOD, voltage_v=(wrong, 229.8, 230.5)))
    assert judge.plausibility.rejected == 1
    assert sample.voltage_v is not None
    assert sample.voltage_v.l1 is None
    assert sample.voltage_v.l2 == 229.8
    assert sample.power_w is not None
    assert sample.power_w.total == 11_040.0


@pytest.mark.parametrize('wrong', [math.nan, math.inf, -1.0, 1e30])
def test_m2_an_impossible_register_changes_nothing(wrong: float) -> None:
    judge = Judge()
    assert judge.energy(5000.0) == 5000.0
    assert judge.energy(wrong) == 5000.0
    assert judge.energy(5003.0) == 5003.0


def test_m3_a_register_that_begins_anew_is_counted_on() -> None:
    judge = Judge()
    judge.energy(5000.0)
    judge.energy(5003.0)
    assert judge.energy(0.0) == 5003.0
    assert 'fell' in judge.warnings[0]
    assert judge.energy(1.0) == 5003.0
    assert judge.energy(4.0) == 5006.0
    assert judge.sees(replace(GOOD, import_wh=5.0)).energy_wh_import.l1 is None
    judge.now += 20.0
    assert judge.warnings == ()


def test_m3_one_odd_reading_is_forgotten() -> None:
    judge = Judge()
    judge.energy(5000.0)
    assert judge.energy(0.0) == 5000.0
    assert judge.energy(5004.0) == 5004.0


def test_m4_a_leap_is_never_charged_for() -> None:
    judge = Judge()
    judge.energy(5000.0)
    for _ in range(5):
        assert judge.energy(105_000.0) == 5000.0
    assert judge.energy(105_006.0) == 5006.0
    assert 'leapt' in judge.warnings[0]


def test_m4_what_flows_in_a_long_gap_is_no_leap() -> None:
    judge = Judge()
    judge.energy(5000.0)
    assert judge.energy(16_000.0, seconds=1800.0) == 16_000.0


def test_m5_a_missing_phase_is_left_out_and_not_zero() -> None:
    judge = Judge()
    sample = judge.sees(replace(GOOD, voltage_v=(230.0, 0.0, 230.0), current_a=(16.0, 0.0, 16.0)))
    assert sample.voltage_v is not None
    assert sample.current_a is not None
    assert sample.power_w is not None
    assert (sample.voltage_v.l2, sample.current_a.l2, sample.power_w.l2) == (None, None, None)
    assert sample.current_a.l1 == 16.0


def test_m6_reversed_power_is_warned_of_after_a_while() -> None:
    judge = Judge()
    backwards = replace(GOOD, power_total_w=-11_040.0)
    judge.sees(backwards)
    assert judge.warnings == ()
    judge.sees(backwards, PERSISTS_S)
    assert 'current transformers' in judge.warnings[0]
    judge.sees(GOOD)
    assert judge.warnings == ()


def test_m6_power_at_rest_is_nobodys_business() -> None:
    judge = Judge()
    for _ in range(20):
        judge.sees(replace(NO_CURRENT, power_total_w=-120.0))
    assert judge.warnings == ()


def test_m7_current_on_other_phases_alone_is_a_wrong_order() -> None:
    judge = Judge()
    assert judge.sees(GOOD).phase_seq_error is False
    rotated = replace(GOOD, current_a=(0.0, 16.0, 0.0))
    judge.sees(rotated)
    assert judge.sees(rotated, PERSISTS_S).phase_seq_error is True


@pytest.mark.parametrize(('told', 'believed'), [(500.2, 50.02), (600.0, 60.0), (50.0, 50.0), (5.0, None)])
def test_m8_ten_times_the_frequency(told: float, believed: float | None) -> None:
    sample = Judge().sees(replace(GOOD, frequency_hz=told))
    found = None if sample.frequency_hz is None else sample.frequency_hz.l1
    assert found == (None if believed is None else pytest.approx(believed))
