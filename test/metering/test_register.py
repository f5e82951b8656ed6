"""What a difference of two register values means: one row per kind."""

import pytest

from evse_manager.interface.types import Energy, Powermeter
from evse_manager.metering.account import MeterAccount
from evse_manager.metering.energy import EnergyCounter
from evse_manager.metering.register import EnergyRegister, RegisterEvent, rise_over_power_loss

RATED_W = 22_080.0
"""Can carry 7.67 Wh in a second and 76.7 Wh in the 10 s by which a sample may be late."""

NONE, FELL, LEAPT, RESTARTED = RegisterEvent


def counting(*readings: float, every_s: float = 1.0, rated_w: float = RATED_W) -> EnergyRegister:
    register = EnergyRegister()
    for place, reading in enumerate(readings):
        register.take(reading, place * every_s, rated_w)
    return register


@pytest.mark.parametrize(
    ('readings', 'counted_wh'),
    [
        ((5000.0,), 0.0),
        ((5000.0, 5003.0, 5006.0), 6.0),
        ((5000.0, 5003.0, 5003.0, 5003.0), 3.0),
        ((5000.0, 5010.0, 5004.0, 5011.0), 11.0),
        ((5000.0, 0.0, 5004.0), 4.0),
        ((5000.0, 0.0, 0.0, 3.0), 3.0),
        ((5000.0, 2.0, 4.0, 6.0), 6.0),
        ((5000.0, 0.0, 0.0, 0.0, 5009.0), 9.0),
        ((5000.0, 0.0, 3.0, 5006.0), 6.0),
        ((5000.0, 105_000.0, 5003.0), 3.0),
        ((5000.0, *[105_000.0] * 10, 105_000.0, 105_003.0), 3.0),
        ((5000.0, *[105_000.0] * 11, 5020.0), 20.0),
        ((5000.0, *[4000.0] * 10), 0.0),
        ((5000.0, *(4000.0 + second for second in range(20))), 19.0),
        ((5000.0, *[4000.0] * 12, 5010.0), 10.0),
        ((5000.0, *(4900.0 + second for second in range(50))), 0.0),
        ((5000.0, *(4900.0 + second for second in range(70))), 69.0),
        ((5000.0, *[4900.0] * 70, 5005.0), 5.0),
    ],
    ids=[
        'first reading',
        'rises',
        'stands',
        'an old value',
        'one zero',
        'restart',
        'restart that counts at once',
        'zeros, then back',
        'a restart that was none',
        'one leap',
        'another register',
        'another register, then back',
        'falls, and no proof',
        'falls and runs',
        'falls, then back',
        'a small fall, and no proof',
        'a small fall that runs for a minute',
        'a small fall that stands, then back',
    ],
)
def test_what_is_counted(readings: tuple[float, ...], counted_wh: float) -> None:
    assert counting(*readings).counted_wh == pytest.approx(counted_wh)


@pytest.mark.parametrize(
    ('step_wh', 'after_s', 'is_counted'),
    [(84.0, 1.0, True), (85.0, 1.0, False), (1000.0, 121.0, True), (1000.0, 120.0, False)],
)
def test_a_step_is_counted_if_it_was_possible_since_the_last_change(
    step_wh: float, after_s: float, is_counted: bool
) -> None:
    register = EnergyRegister()
    register.take(5000.0, 0.0, RATED_W)
    register.take(5001.0, 100.0, RATED_W)
    register.take(5001.0, 100.0 + after_s / 2.0, RATED_W)
    event = register.take(5001.0 + step_wh, 100.0 + after_s, RATED_W)
    assert register.counted_wh == (1.0 + step_wh if is_counted else 1.0)
    assert (event is NONE) == is_counted


def test_a_register_that_counts_too_fast_is_billed_up_to_what_the_connector_can_carry() -> None:
    counter = EnergyCounter()
    counter.take(5000.0, None, 0.0, RATED_W)
    counter.begin(0.0, RATED_W)
    for second in range(1, 601):
        counter.take(5000.0 + 30.0 * second, None, float(second), RATED_W)
    carried_wh = RATED_W * 1.25 * 600.0 / 3600.0
    assert counter.energy.energy_wh is not None
    assert carried_wh <= counter.energy.energy_wh <= carried_wh + 77.0 + 1000.0


def test_a_transaction_begins_with_one_step_and_not_with_the_hours_before_it() -> None:
    register = EnergyRegister()
    register.take(5000.0, 0.0, RATED_W)
    register.take(5001.0, 100.0, RATED_W)
    register.begin(36_000.0, RATED_W)
    assert register.take(5100.0, 36_001.0, RATED_W) is LEAPT
    assert register.take(5080.0, 36_001.5, RATED_W) is NONE


def test_after_a_reported_restart_one_reading_is_enough() -> None:
    register = counting(5000.0, 5003.0)
    register.expect_restart(1.0)
    assert register.take(4000.0, 2.0, RATED_W) is RESTARTED
    register.take(4003.0, 3.0, RATED_W)
    assert register.counted_wh == 6.0


def test_a_reported_restart_is_not_waited_for_longer_than_30_s() -> None:
    register = counting(5000.0, 5003.0)
    register.expect_restart(1.0)
    assert register.take(4000.0, 32.0, RATED_W) is FELL


@pytest.mark.parametrize(
    ('known_wh', 'reading_wh', 'rise_wh'),
    [(8667.0, 8667.0, 0.0), (8667.0, 9127.0, 460.0), (8667.0, 9128.0, None), (8667.0, 8666.0, None)],
)
def test_over_a_power_loss_only_what_can_have_flowed_in_60_s_counts(
    known_wh: float, reading_wh: float, rise_wh: float | None
) -> None:
    assert rise_over_power_loss(known_wh, reading_wh, RATED_W) == rise_wh


def test_the_account_publishes_the_reading_and_bills_its_own_register() -> None:
    account = MeterAccount()
    for second, reading in enumerate((5000.0, 5003.0, 0.0, 0.0, 4.0)):
        account.take(Powermeter(energy_wh_import=Energy(reading)), float(second), RATED_W)
        if second == 0:
            account.begin(0.0, RATED_W)
    assert account.sample is not None
    assert account.sample.energy_wh_import.total == 4.0
    assert account.value().energy_wh_import.total == 5007.0
    assert account.energy.energy_wh == 7.0
    assert account.energy.is_lower_bound, 'what came before the restart and was not read is lost'
    assert any('went on from another value' in warning for warning in account.warnings())
