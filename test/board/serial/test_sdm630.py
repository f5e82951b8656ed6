"""The driver of the SDM630: which registers it asks for, and how it converts them."""

from dataclasses import replace

import pytest

from evse_manager.board.meters.sdm630 import Sdm630, floats
from evse_manager.board.transport.modbus import ModbusAnswer
from evse_manager.interface.types import Current, Power, Time
from metering.meters import Shown, ThroughSdm630

SHOWN = Shown(5000.0, 11_040.0, (16.0, 16.0, 16.0))


def test_golden_float() -> None:
    assert floats((0x4366, 0x3333))[0] == pytest.approx(230.2)


def test_a_cycle_becomes_a_sample() -> None:
    sample = ThroughSdm630().sample(SHOWN, 0.0, Time(1))
    assert sample.timestamp == 1
    assert sample.energy_wh_import.total == 5000.0
    assert sample.power_w == Power(11_040.0, 3680.0, 3680.0, 3680.0)
    assert sample.current_a == Current(None, 16.0, 16.0, 16.0)
    assert sample.voltage_v is not None
    assert (sample.voltage_v.l1, sample.voltage_v.l2, sample.voltage_v.l3) == (230.0, 230.0, 230.0)
    assert sample.frequency_hz is not None
    assert sample.frequency_hz.l1 == 50.0


def test_the_optional_registers_are_asked_for_once_and_every_10_s() -> None:
    way = ThroughSdm630()
    for second in range(21):
        way.sample(SHOWN, float(second), Time(1))
    assert way.requests.count(0xFC00) == 1
    assert way.requests.count(0x15A) == 3
    assert way.requests.count(0x00) == way.requests.count(0x34) == 21


def test_a_missing_optional_register_is_asked_for_again_after_10_minutes() -> None:
    way = ThroughSdm630(frozenset({0x15A}))
    for second in range(700):
        way.sample(SHOWN, float(second), Time(1))
    assert way.requests.count(0x15A) == 4
    assert '0x15A' in way.meter.diagnostics()['meter registers missing']
    way.missing = frozenset()
    for second in range(700, 1300):
        way.sample(SHOWN, float(second), Time(1))
    assert way.requests.count(0x15A) > 4
    assert way.meter.diagnostics()['meter registers missing'] == ''


def test_a_meter_without_a_register_still_protects_against_too_much_current() -> None:
    way = ThroughSdm630()
    for second in range(3):
        sample = way.sample(replace(SHOWN, register_wh=None), float(second), Time(1))
    assert sample.energy_wh_import.total is None
    assert sample.current_a == Current(None, 16.0, 16.0, 16.0)
    assert not way.meter.fault


def test_a_device_without_any_possible_value_is_no_meter() -> None:
    meter = Sdm630(2, lambda: Time(0))
    meter.opened(0.0)
    for cycle in range(2):
        for _ in range(4):
            order = meter.next(cycle * 10.0)
            if order is not None:
                order.handle(
                    ModbusAnswer(order.request, (0x7FC0, 0) * (order.request.value // 2)), cycle * 10.0
                )
    assert meter.take_sample() is None
    assert 'check its type' in meter.fault


@pytest.mark.parametrize('refused', [{0x00}, {0x34}])
def test_a_required_register_that_never_answers_is_a_lost_meter(refused: set[int]) -> None:
    way = ThroughSdm630(frozenset(refused))
    for second in range(0, 20, 5):
        with pytest.raises(AssertionError):
            way.sample(SHOWN, float(second), Time(1))
    assert 'does not answer' in way.meter.fault
