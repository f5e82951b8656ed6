"""What a difference of two register values means: one row per kind."""

import pytest

from evse_manager.interface.types import Energy, Powermeter
from evse_manager.metering.account import MeterAccount
from evse_manager.metering.energy import EnergyCounter
from evse_manager.metering.register import EnergyRegister, RegisterEvent, rise_over_power_loss

RATED_W = 22_080.0
"""Can carry 7.67 Wh in a second and 76.7 Wh in the 10 s by which a sample may be late."""

EVEN_W = 28_800.0
"""Can carry exactly 10 Wh in a second, 100 Wh in the 10 s of a late sample, 600 Wh in a minute."""

NONE, FELL, LEAPT, RESTARTED = RegisterEvent

Reading = tuple[float, float, RegisterEvent]
"""Time [s], register [Wh], result."""


def counting(*readings: float, every_s: float = 1.0, rated_w: float = RATED_W) -> EnergyRegister:
    register = EnergyRegister()
    for place, reading in enumerate(readings):
        register.take(reading, place * every_s, rated_w)
    return register


def assert_counts(register: EnergyRegister, readings: tuple[Reading, ...], counted_wh: float) -> None:
    """Check the result of every reading, and what is counted at the end."""
    for at, reading, event in readings:
        assert register.take(reading, at, EVEN_W) is event, f'{reading} Wh at {at} s'
    assert register.counted_wh == counted_wh


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
    ('readings', 'counted_wh'),
    [
        (((0, 5000, NONE), (1, 6110, NONE)), 1110),
        (((0, 5000, NONE), (1, 6110.5, LEAPT)), 0),
        (((0, 5000, NONE), (100, 5001, NONE), (101, 5111, NONE)), 111),
        (((0, 5000, NONE), (100, 5001, NONE), (101, 5111.5, LEAPT)), 1),
        (((0, 5000, NONE), (1, 6110, NONE), (2, 6120, NONE)), 1120),
        (((0, 5000, NONE), (1, 6110, NONE), (2, 6120.5, LEAPT)), 1110),
        (((0, 5000, NONE), (1, 6110, NONE), (1, 6110.5, LEAPT)), 1110),
        (((0, 5000, NONE), (1, 6109, NONE), (2, 6120, NONE)), 1120),
        (((0, 5000, NONE), (1, 6109, NONE), (2, 6120.5, LEAPT)), 1109),
    ],
    ids=[
        'at first, all of the coarsest step',
        'at first, too much',
        'all that was possible',
        'more than was possible',
        'nothing is left over, all of a second',
        'nothing is left over, too much',
        'nothing is left over, and no time passed',
        'one is left over, all of it',
        'one is left over, too much',
    ],
)
def test_a_step_may_be_as_large_as_what_was_possible(
    readings: tuple[Reading, ...], counted_wh: float
) -> None:
    assert_counts(EnergyRegister(), readings, counted_wh)


@pytest.mark.parametrize(
    ('readings', 'counted_wh'),
    [
        (((0, 5000, NONE), (100, 5000, NONE), (110, 120, FELL), (110.5, 121, RESTARTED)), 121),
        (((0, 5000, NONE), (100, 5000, NONE), (110, 120.5, FELL), (110.5, 121, FELL)), 0),
        (((0, 200, NONE), (60, 100, FELL), (60.5, 100, RESTARTED)), 100),
        (((0, 200, NONE), (60, 101, NONE), (60.5, 101, NONE)), 0),
        (((0, 40, NONE), (60, 19, FELL), (60.5, 19, RESTARTED)), 19),
        (((0, 40, NONE), (60, 20, NONE), (60.5, 20, NONE)), 0),
        (((0, 20, NONE), (60, 1, NONE), (60.5, 1, NONE)), 0),
        (
            (
                (0, 5000, NONE),
                (1, 0, FELL),
                (2, 0, RESTARTED),
                (3, 40, NONE),
                (4, 4, FELL),
                (4.5, 4, RESTARTED),
            ),
            44,
        ),
    ],
    ids=[
        'as high as it can have counted since',
        'higher than it can have counted since',
        'half',
        'more than half',
        'by more than noise',
        'by no more than noise',
        'noise, and to less than half',
        'twice',
    ],
)
def test_a_fall_to_near_zero_needs_two_readings(readings: tuple[Reading, ...], counted_wh: float) -> None:
    assert_counts(EnergyRegister(), readings, counted_wh)


@pytest.mark.parametrize(
    ('max_power_w', 'readings'),
    [
        (EVEN_W, ((0, 5000, NONE), (1, 4400, NONE))),
        (EVEN_W, ((0, 5000, NONE), (1, 4399.5, FELL))),
        (288.0, ((0, 5000, NONE), (1, 4980, NONE))),
        (288.0, ((0, 5000, NONE), (1, 4979.5, FELL))),
        (EVEN_W, ((0, 5000, NONE), (1, 6000, NONE), (2, 5000, NONE))),
        (EVEN_W, ((0, 5000, NONE), (1, 6000, NONE), (2, 4999.5, FELL))),
    ],
    ids=['a minute', 'more than a minute', 'noise', 'more than noise', 'a step', 'more than a step'],
)
def test_a_fall_is_small_by_what_flows_in_a_minute_by_noise_or_by_a_step(
    max_power_w: float, readings: tuple[Reading, ...]
) -> None:
    register = EnergyRegister()
    for at, reading, event in readings:
        assert register.take(reading, at, max_power_w) is event


@pytest.mark.parametrize(
    ('readings', 'counted_wh'),
    [
        (((10, 4000), (13, 4000), (16, 4000), (20, 4000)), None),
        (((10, 4000), (13, 4000), (16, 4000), (19, 4000), (20, 4000)), 0),
        (((10, 4000), (11, 4000), (12, 4000), (13, 4000), (19.5, 4000)), None),
        (((10, 4000), (15, 4150), (16, 4150), (17, 4150), (20, 4150)), 150),
        (((10, 4000), (15, 4150.5), (16, 4151), (17, 4151), (20, 4151), (25, 4151)), 0.5),
        (((10, 4000), (11, 4050), (12, 4030), (13, 4050), (20, 4050)), 50),
        (((10, 4000), (11, 4050), (12, 4029.5), (13, 4050), (14, 4050), (20, 4050), (22, 4050)), 20.5),
        (((10, 4000), (11, 3990), (12, 3990), (13, 3990), (20, 3990), (21, 3990)), 0),
        (((10, 4000), (11, 4000), (12, 3990), (13, 4000), (20, 4000)), None),
        (((10, 9000), (13, 9000), (16, 9000), (19, 9000), (20, 9000)), 0),
        (((10, 9000), (13, 9000), (16, 9000), (20, 9000)), None),
    ],
    ids=[
        'four readings',
        'five readings in ten seconds',
        'five readings in less',
        'as fast as possible',
        'faster than possible',
        'dither',
        'more than dither',
        'below where it began',
        'below where it began, and up',
        'a leap',
        'a leap of four readings',
    ],
)
def test_five_readings_that_agree_for_ten_seconds_are_another_register(
    readings: tuple[tuple[float, float], ...], counted_wh: float | None
) -> None:
    register = EnergyRegister()
    register.take(5000.0, 0.0, EVEN_W)
    events = [register.take(reading, at, EVEN_W) for at, reading in readings]
    refused = LEAPT if readings[0][1] > 5000.0 else FELL
    last = refused if counted_wh is None else RESTARTED
    assert events == [refused] * (len(readings) - 1) + [last]
    assert register.counted_wh == (counted_wh or 0.0)


@pytest.mark.parametrize(
    ('readings', 'counted_wh'),
    [
        (((10, 4900), (20, 4900), (30, 4901), (40, 4901), (70, 4901), (71, 4902)), 2),
        (((10, 4900), (20, 4901), (30, 4902), (69.5, 4902), (69.7, 4902), (70, 4902)), 2),
        (((10, 4900), (20, 4901), (30, 4902), (70, 4902), (71, 4902)), 2),
    ],
    ids=['the second rise was missing', 'the minute was missing', 'the fifth reading was missing'],
)
def test_a_small_fall_is_another_register_after_five_readings_two_rises_and_a_minute(
    readings: tuple[tuple[float, float], ...], counted_wh: float
) -> None:
    register = EnergyRegister()
    register.take(5000.0, 0.0, EVEN_W)
    events = [register.take(reading, at, EVEN_W) for at, reading in readings]
    assert events == [NONE] * (len(readings) - 1) + [RESTARTED]
    assert register.counted_wh == counted_wh


@pytest.mark.parametrize(
    ('reading', 'event', 'counted_wh'),
    [
        ((20, 6300), NONE, 1300),
        ((20, 6300.5), FELL, 0),
        ((20, 5000), NONE, 0),
        ((20, 4999.5), FELL, 0),
    ],
)
def test_the_register_before_comes_back_where_it_explains_a_reading(
    reading: tuple[float, float], event: RegisterEvent, counted_wh: float
) -> None:
    register = EnergyRegister()
    for at, value in ((0, 5000), (1, 105_000), (2, 105_000), (3, 105_000), (4, 105_000), (11, 105_000)):
        register.take(value, at, EVEN_W)
    assert register.take(reading[1], reading[0], EVEN_W) is event
    assert register.counted_wh == counted_wh
    if event is NONE:
        assert register.reading_wh == reading[1]
        assert register.take(105_000.0, 21.0, EVEN_W) is LEAPT, 'the other one is forgotten'


@pytest.mark.parametrize(
    ('at', 'reading_wh', 'counted_wh'),
    [(100.0, 7000.0, 0.0), (100.0, 7100.0, 100.0), (101.0, 6999.0, 1999.0)],
    ids=['stands', 'rises', 'below the newer one'],
)
def test_where_two_registers_explain_a_reading_the_one_with_less_energy_does(
    at: float, reading_wh: float, counted_wh: float
) -> None:
    register = EnergyRegister()
    for second, value in ((0, 5000), (1, 7000), (2, 7000), (3, 7000), (4, 7000), (11, 7000)):
        register.take(value, second, EVEN_W)
    assert register.take(reading_wh, at, EVEN_W) is NONE
    assert register.counted_wh == counted_wh


@pytest.mark.parametrize(
    ('rises', 'comes_back'), [((), True), ((4001,), True), ((4001, 4001), True), ((4001, 4002), False)]
)
def test_a_register_that_rose_twice_is_in_use(rises: tuple[float, ...], comes_back: bool) -> None:
    register = EnergyRegister()
    for at, value in ((0, 5000), (1, 4000), (2, 4000), (3, 4000), (4, 4000), (11, 4000)):
        register.take(value, at, EVEN_W)
    for second, value in enumerate(rises, start=12):
        assert register.take(value, second, EVEN_W) is NONE
    assert (register.take(5002.0, 20.0, EVEN_W) is NONE) is comes_back
    assert register.reading_wh == (5002.0 if comes_back else 4002.0)


def test_in_a_transaction_the_register_before_it_does_not_come_back() -> None:
    register = EnergyRegister()
    for at, value in ((0, 9000), (1, 4000), (2, 4000), (3, 4000), (4, 4000), (11, 4000)):
        register.take(value, at, EVEN_W)
    register.begin(12.0, EVEN_W)
    assert register.take(9000.5, 13.0, EVEN_W) is LEAPT


@pytest.mark.parametrize(('rise_wh', 'event'), [(100.0, NONE), (100.5, LEAPT)])
def test_another_register_may_rise_by_what_is_late(rise_wh: float, event: RegisterEvent) -> None:
    register = EnergyRegister()
    for at, value in ((0, 50_000), (1, 4000), (2, 4000), (3, 4000), (4, 4000), (11, 4000)):
        register.take(value, at, EVEN_W)
    assert register.take(4000.0 + rise_wh, 11.0, EVEN_W) is event


@pytest.mark.parametrize(('rise_wh', 'event'), [(111.0, NONE), (111.5, LEAPT)])
def test_a_transaction_begins_with_what_is_late_and_the_smallest_step(
    rise_wh: float, event: RegisterEvent
) -> None:
    register = EnergyRegister()
    for at, value in ((0, 5000), (1, 5003), (2, 5004), (3, 5006)):
        register.take(value, at, EVEN_W)
    register.begin(36_000.0, EVEN_W)
    assert register.take(5006.0 + rise_wh, 36_001.0, EVEN_W) is event


@pytest.mark.parametrize(
    ('fall', 'event', 'counted_wh'),
    [
        ((31.0, 4000.0), RESTARTED, 3.0),
        ((31.5, 4000.0), FELL, 3.0),
        ((11.0, 120.0), RESTARTED, 123.0),
        ((11.0, 120.5), RESTARTED, 3.0),
        ((11.0, 105_000.0), LEAPT, 3.0),
    ],
    ids=['after 30 s', 'later', 'near zero', 'not near zero', 'a leap'],
)
def test_a_reported_restart_explains_a_fall_for_30_s(
    fall: tuple[float, float], event: RegisterEvent, counted_wh: float
) -> None:
    register = counting(5000.0, 5003.0, rated_w=EVEN_W)
    register.expect_restart(1.0)
    assert register.take(fall[1], fall[0], EVEN_W) is event
    assert register.counted_wh == counted_wh


def test_a_reported_restart_explains_one_fall() -> None:
    register = EnergyRegister()
    register.take(5000.0, 0.0, EVEN_W)
    assert register.take(4000.0, 0.1, EVEN_W) is FELL, 'nothing was reported yet'
    register.expect_restart(0.2)
    assert register.take(3000.0, 0.3, EVEN_W) is RESTARTED
    assert register.take(2000.0, 0.4, EVEN_W) is FELL


def test_a_reported_restart_does_not_explain_a_rise() -> None:
    register = EnergyRegister()
    register.take(5000.0, 0.0, EVEN_W)
    register.take(6110.0, 1.0, EVEN_W)
    register.expect_restart(1.0)
    assert register.take(6110.5, 1.0, EVEN_W) is LEAPT


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
