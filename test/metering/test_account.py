"""The meter of a connector as the kernel asks it: silence, the value at the end, a power loss, warnings."""

import math

import pytest

from evse_manager.interface.types import Current, Energy, Power, Powermeter, Time, Voltage
from evse_manager.metering.account import MeterAccount
from evse_manager.metering.energy import TransactionEnergy
from evse_manager.metering.health import REGISTER_WARNINGS
from evse_manager.metering.register import RegisterEvent

RATED_W = 28_800.0
"""Can carry 10 Wh in a second and 600 Wh in the minute before a power loss."""


def reading(
    register_wh: float | None = None, power_w: float | None = None, at: Time | None = None
) -> Powermeter:
    return Powermeter(
        timestamp=at,
        energy_wh_import=Energy(register_wh),
        power_w=None if power_w is None else Power(power_w),
    )


def account(*samples: Powermeter) -> MeterAccount:
    """Return an account of one sample a second from 100 s on, in a transaction from the first one on."""
    taken = MeterAccount()
    for second, sample in enumerate(samples):
        taken.take(sample, 100.0 + second, RATED_W)
        if second == 0:
            taken.begin(100.0, RATED_W)
    return taken


def test_without_a_sample_nothing_is_known() -> None:
    empty = MeterAccount()
    assert empty.value() == Powermeter()
    assert (empty.reading_wh, empty.register_wh, empty.power_w()) == (None, None, None)
    assert empty.highest_current_a(3, 230.0) is None
    assert empty.energy == TransactionEnergy()
    assert empty.silent(-1e9)
    assert not empty.sampled_after(None, -math.inf)
    assert empty.rise_over_power_loss(5000.0, RATED_W) is None
    assert empty.warnings() == []


@pytest.mark.parametrize(('now', 'is_silent'), [(100.0, False), (104.9, False), (105.0, True), (200.0, True)])
def test_a_meter_is_silent_five_seconds_after_its_sample(now: float, is_silent: bool) -> None:
    assert account(reading(5000.0)).silent(now) is is_silent


@pytest.mark.parametrize('complete', [True, False])
def test_without_a_sample_after_the_end_the_energy_is_a_lower_bound(complete: bool) -> None:
    taken = account(reading(5000.0), reading(5003.0))
    assert taken.final_energy(complete=complete) == TransactionEnergy(3.0, is_lower_bound=not complete)


@pytest.mark.parametrize('complete', [True, False])
def test_of_a_meter_that_measured_nothing_nothing_is_a_lower_bound(complete: bool) -> None:
    assert account(reading()).final_energy(complete=complete) == TransactionEnergy()


@pytest.mark.parametrize(
    ('known_wh', 'register_wh', 'rise_wh', 'warning'),
    [
        (5000.0, 5600.0, 600.0, None),
        (5000.0, 5601.0, None, RegisterEvent.LEAPT),
        (5000.0, 5000.0, 0.0, None),
        (5000.0, 4999.0, None, RegisterEvent.FELL),
        (None, 5000.0, None, None),
        (5000.0, None, None, None),
        (None, None, None, None),
    ],
)
def test_the_rise_over_a_power_loss_and_its_warning(
    known_wh: float | None, register_wh: float | None, rise_wh: float | None, warning: RegisterEvent | None
) -> None:
    taken = account(reading(register_wh))
    assert taken.rise_over_power_loss(known_wh, RATED_W) == rise_wh
    assert taken.warnings() == ([] if warning is None else [REGISTER_WARNINGS[warning]])


@pytest.mark.parametrize(
    ('taken_at', 'opened', 'opened_steady', 'is_after'),
    [
        (Time(50), Time(50), 100.0, True),
        (Time(51), Time(50), 100.0, True),
        (Time(49), Time(50), 100.0, False),
        (Time(51), Time(50), 100.1, False),
        (Time(49), Time(50), 99.9, False),
        (None, Time(50), 100.0, True),
        (Time(49), None, 100.0, True),
        (None, None, 100.0, True),
        (None, None, 100.1, False),
    ],
)
def test_a_sample_is_from_after_the_opening_by_both_clocks(
    taken_at: Time | None, opened: Time | None, opened_steady: float, is_after: bool
) -> None:
    assert account(reading(5000.0, at=taken_at)).sampled_after(opened, opened_steady) is is_after


def test_a_restart_of_the_board_explains_a_fall_of_its_register() -> None:
    taken = account(reading(5000.0), reading(5003.0))
    taken.board_restarted(101.0)
    taken.take(reading(4000.0), 102.0, RATED_W)
    assert taken.warnings() == [REGISTER_WARNINGS[RegisterEvent.RESTARTED]]


def test_the_value_has_the_register_of_the_transaction_and_everything_else_of_the_sample() -> None:
    sample = Powermeter(
        timestamp=Time(7),
        meter_id='meter',
        energy_wh_import=Energy(4999.0, 1700.0, 1700.0, 1599.0),
        power_w=Power(-500.0),
        current_a=Current(None, 3.0, -4.0, None),
        voltage_v=Voltage(None, 231.0, 230.0, None),
    )
    taken = account(reading(5000.0), sample)
    value = taken.value()
    assert value.energy_wh_import == Energy(5000.0, 1700.0, 1700.0, 1599.0)
    assert (value.timestamp, value.power_w, value.current_a) == (7, sample.power_w, sample.current_a)
    assert taken.sample is not None
    assert taken.sample.energy_wh_import.total == 4999.0
    assert taken.reading_wh == taken.register_wh == 5000.0
    assert taken.power_w() == -500.0
    assert taken.highest_current_a(3, 230.0) == 4.0


def test_the_current_follows_from_the_power_by_phases_and_nominal_voltage() -> None:
    taken = account(reading(5000.0, 6900.0))
    assert [taken.highest_current_a(phases, 230.0) for phases in (1, 3)] == [30.0, 10.0]
    assert taken.highest_current_a(3, 115.0) == 20.0


def test_a_new_transaction_forgets_the_warnings_of_the_register() -> None:
    taken = account(reading(5000.0), reading(105_000.0, math.nan))
    assert len(taken.warnings()) == 2
    assert taken.warnings()[0] == REGISTER_WARNINGS[RegisterEvent.LEAPT]
    taken.begin(102.0, RATED_W)
    assert taken.warnings() == []


def test_a_register_that_stands_still_is_reported() -> None:
    taken = account(*[reading(5000.0, 3600.0)] * 151)
    [warning] = taken.warnings()
    assert warning.startswith('The register of the meter stands still though power is measured;')
