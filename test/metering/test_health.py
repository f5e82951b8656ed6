"""Warnings of a meter: how long what must last, and what ends them."""

import pytest

from evse_manager.interface.types import Current, Power, Powermeter
from evse_manager.metering.health import REGISTER_WARNINGS, MeterHealth
from evse_manager.metering.register import RegisterEvent

BACK = Powermeter(power_w=Power(-500.0))
NEGATIVE = Powermeter(current_a=Current(None, 16.0, -16.0, 16.0))
FORWARD = Powermeter(power_w=Power(500.0))
REST = Powermeter(power_w=Power(0.0))
ON_L1 = Powermeter(current_a=Current(None, 16.0, 0.0, 0.0))
ON_L2 = Powermeter(current_a=Current(None, 0.0, 16.0, 0.0))
UNCLEAR = Powermeter(current_a=Current(None, 1.0, 16.0, 0.0))

Sample = tuple[float, Powermeter]
"""Time [s] and sample."""


@pytest.mark.parametrize(
    ('samples', 'is_reversed'),
    [
        (((100, BACK), (109.9, BACK)), False),
        (((100, BACK), (110, BACK)), True),
        (((100, BACK), (105, REST), (110, BACK)), False),
        (((100, BACK), (105, REST), (106, BACK), (116, BACK)), True),
        (((100, BACK), (110, BACK), (111, REST)), True),
        (((100, BACK), (110, BACK), (111, FORWARD)), False),
        (((100, BACK), (110, BACK), (111, FORWARD), (112, BACK)), False),
        (((100, NEGATIVE), (104.9, NEGATIVE)), False),
        (((100, NEGATIVE), (105, NEGATIVE)), True),
        (((100, NEGATIVE), (105, NEGATIVE), (106, REST)), True),
        (((100, NEGATIVE), (103, REST), (105, NEGATIVE)), False),
        (((100, FORWARD), (200, FORWARD)), False),
    ],
)
def test_power_back_for_ten_and_current_back_for_five_seconds_is_reported_until_it_flows_forward(
    samples: tuple[Sample, ...], is_reversed: bool
) -> None:
    health = MeterHealth()
    for at, sample in samples:
        health.take(sample, 0, at)
    assert health.is_reversed is is_reversed
    assert [
        warning.startswith('The meter measures power flowing back;') for warning in health.warnings()
    ] == ([True] if is_reversed else [])


@pytest.mark.parametrize(
    ('samples', 'is_wrong'),
    [
        (((100, ON_L2), (109.9, ON_L2)), None),
        (((100, ON_L2), (110, ON_L2)), True),
        (((100, ON_L2), (105, REST), (110, ON_L2)), None),
        (((100, ON_L2), (110, ON_L2), (111, UNCLEAR)), True),
        (((100, ON_L2), (110, ON_L2), (111, ON_L1)), False),
        (((100, ON_L1),), False),
        (((100, UNCLEAR), (110, UNCLEAR)), None),
    ],
)
def test_current_on_l2_or_l3_alone_for_ten_seconds_is_a_wrong_order_until_current_flows_on_l1(
    samples: tuple[Sample, ...], is_wrong: bool | None
) -> None:
    health = MeterHealth()
    for at, sample in samples:
        newest = health.take(sample, 0, at)
    assert newest.phase_seq_error is is_wrong
    assert [
        warning.startswith('The meter sees the phases in the wrong order;') for warning in health.warnings()
    ] == ([True] if is_wrong else [])


@pytest.mark.parametrize('reported', [True, False])
def test_the_order_that_the_meter_reports_itself_counts(reported: bool) -> None:
    health = MeterHealth()
    own = Powermeter(current_a=ON_L2.current_a, phase_seq_error=reported)
    assert health.take(own, 0, 100.0) == own
    assert health.take(own, 0, 200.0) == own
    assert bool(health.warnings()) is reported
    assert health.take(REST, 0, 201.0).phase_seq_error is reported, 'and until there is evidence'


@pytest.mark.parametrize('event', [RegisterEvent.FELL, RegisterEvent.LEAPT, RegisterEvent.RESTARTED])
def test_what_the_register_did_stays_until_the_next_transaction(event: RegisterEvent) -> None:
    health = MeterHealth()
    health.note(RegisterEvent.NONE)
    assert health.warnings() == []
    health.note(event)
    health.note(RegisterEvent.NONE)
    assert health.warnings() == [REGISTER_WARNINGS[event]]
    health.begin()
    assert health.warnings() == []


def test_numbers_that_were_left_out_are_counted_and_reported_until_the_next_transaction() -> None:
    health = MeterHealth()
    for count in (1, 0, 2):
        health.take(REST, count, 100.0)
    assert health.left_out == 3
    [warning] = health.warnings()
    assert warning.startswith('The meter sent impossible values, which are left out;')
    health.begin()
    assert health.left_out == 0
    assert health.warnings() == []
