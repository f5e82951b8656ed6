"""What a car makes of its grant: energy it needs in time, current that it returns, phases that it uses."""

import math

import pytest

from evse_manager.energy.demand import ALL_PHASES, Demand, Usage, tolerated_a
from evse_manager.interface.enums import ContactorState
from evse_manager.interface.types import Time

Phases = tuple[float, float, float]

HOUR = Time(3_600_000_000_000)


def closed(draw_a: Phases | None) -> Demand:
    return Demand(contactor=ContactorState.CLOSED, draw_a=draw_a)


def observed(*draws: tuple[float, Phases | None], granted_a: float = 20.0, connected: int = 3) -> Usage:
    usage = Usage()
    for at, draw_a in draws:
        usage.observe(closed(draw_a), granted_a, connected, at)
    return usage


@pytest.mark.parametrize(
    ('wants_a', 'minimum_a', 'wants'),
    [(6.0, 6.0, True), (5.9, 6.0, False), (16.0, 8.0, True), (0.0, 6.0, False), (1.0, 0.0, False)],
)
def test_a_connector_wants_energy_where_it_wants_its_minimum(
    wants_a: float, minimum_a: float, wants: bool
) -> None:
    assert Demand(wants_a=wants_a, minimum_a=minimum_a).wants is wants


@pytest.mark.parametrize(
    ('energy_wh', 'leaves', 'urgent_a'),
    [
        (6900.0, Time(2 * HOUR), 10.0),
        (6900.0, Time(HOUR + HOUR // 2), 20.0),
        (690_000.0, Time(2 * HOUR), 32.0),
        (6900.0, Time(HOUR + 1), 32.0),
        (6900.0, HOUR, 0.0),
        (6900.0, None, 0.0),
        (None, Time(2 * HOUR), 0.0),
    ],
)
def test_the_current_that_reaches_the_energy_in_time(
    energy_wh: float | None, leaves: Time | None, urgent_a: float
) -> None:
    """At one o'clock, on three phases of 230 V."""
    demand = Demand(wants_a=32.0, energy_wh=energy_wh, leaves=leaves)
    assert demand.urgent_a(690.0, HOUR) == pytest.approx(urgent_a)


@pytest.mark.parametrize(
    ('draws', 'most_a'),
    [
        (((0.0, 10.0), (14.9, 10.0)), math.inf),
        (((0.0, 10.0), (15.0, 10.0)), 11.0 / 0.85 + 0.3),
        (((0.0, 15.9), (15.0, 15.9)), 16.9 / 0.85 + 0.3),
        (((0.0, 16.0), (15.0, 16.0)), math.inf),
        (((0.0, 10.0), (10.0, 16.0), (15.0, 10.0)), math.inf),
        (((0.0, 10.0), (10.0, 16.0), (15.0, 10.0), (30.0, 10.0)), 11.0 / 0.85 + 0.3),
        (((0.0, 10.0), (15.0, 10.0), (16.0, 18.9)), 11.0 / 0.85 + 0.3),
        (((0.0, 10.0), (15.0, 10.0), (16.0, 19.0)), math.inf),
        (((0.0, 10.0), (15.0, 10.0), (16.0, 19.0), (20.0, 10.0)), math.inf),
        (((0.0, 10.0), (15.0, 10.0), (16.0, 8.0)), 9.0 / 0.85 + 0.3),
    ],
    ids=[
        'not for long enough',
        'for 15 s',
        'just less than 85 % less 1 A',
        'just 85 % less 1 A',
        'interrupted',
        'for 15 s after an interruption',
        'less than 95 % again',
        '95 % again',
        '95 % and less again',
        'still less',
    ],
)
def test_a_car_that_uses_less_than_its_grant_for_15_s_returns_the_rest(
    draws: tuple[tuple[float, float], ...], most_a: float
) -> None:
    usage = observed(*((at, (0.0, draw_a, 0.0)) for at, draw_a in draws))
    assert usage.most_a == pytest.approx(most_a)


def test_an_open_contactor_draws_nothing_whatever_is_measured() -> None:
    usage = Usage()
    for at in (0.0, 15.0):
        usage.observe(Demand(contactor=ContactorState.OPEN, draw_a=(20.0, 20.0, 20.0)), 20.0, 3, at)
    assert usage.most_a == pytest.approx(1.0 / 0.85 + 0.3)


@pytest.mark.parametrize('how', ['an unknown draw', 'reset'])
def test_what_was_known_of_a_car_is_forgotten(how: str) -> None:
    one_phase = (10.0, 0.0, 0.0)
    usage = observed((0.0, one_phase), (30.0, one_phase))
    assert (usage.most_a < math.inf, usage.phases) == (True, 0b001)
    if how == 'reset':
        usage.reset()
    else:
        usage.observe(closed(None), 20.0, 3, 31.0)
    assert usage == Usage()
    usage.observe(closed(one_phase), 20.0, 3, 40.0)
    assert (usage.most_a, usage.phases) == (math.inf, ALL_PHASES), 'every time begins again'


@pytest.mark.parametrize(
    ('draws', 'connected', 'phases'),
    [
        (((0.0, (16.0, 0.0, 0.0)), (29.9, (16.0, 0.0, 0.0))), 3, 0b111),
        (((0.0, (16.0, 0.0, 0.0)), (30.0, (16.0, 0.0, 0.0))), 3, 0b001),
        (((0.0, (16.0, 0.5, 0.6)), (30.0, (16.0, 0.5, 0.6))), 3, 0b101),
        (((0.0, (3.0, 0.0, 0.0)), (30.0, (3.0, 0.0, 0.0))), 3, 0b001),
        (((0.0, (2.9, 0.0, 0.0)), (30.0, (2.9, 0.0, 0.0))), 3, 0b111),
        (((0.0, (16.0, 0.0, 0.0)), (10.0, (2.0, 0.0, 0.0)), (30.0, (16.0, 0.0, 0.0))), 3, 0b111),
        (((0.0, (16.0, 0.0, 0.0)), (10.0, (16.0, 0.6, 0.0)), (30.0, (16.0, 0.0, 0.0))), 3, 0b011),
        (((0.0, (16.0, 0.0, 0.0)), (30.0, (16.0, 0.0, 0.0)), (31.0, (16.0, 0.6, 0.0))), 3, 0b011),
        (((0.0, (16.0, 0.0, 0.0)), (30.0, (16.0, 0.0, 0.0)), (31.0, (2.0, 0.0, 0.0))), 3, 0b001),
        (((0.0, (16.0, 0.0, 0.0)), (30.0, (16.0, 0.0, 0.0))), 1, 0b111),
        (((0.0, (16.0, 0.0, 0.0)), (30.0, (16.0, 0.0, 0.0))), 2, 0b101),
    ],
    ids=[
        'not for long enough',
        'for 30 s',
        'half an ampere is nothing',
        'three amperes are charging',
        'less is not',
        'not charging between',
        'used between',
        'used again',
        'not charging afterwards',
        'one phase connected',
        'two phases connected',
    ],
)
def test_a_phase_without_current_for_30_s_of_charging_is_unused(
    draws: tuple[tuple[float, Phases], ...], connected: int, phases: int
) -> None:
    assert observed(*draws, connected=connected).phases == phases


def test_a_measured_current_may_exceed_its_grant_by_two_percent_and_half_an_ampere() -> None:
    assert [tolerated_a(current) for current in (0.0, 10.0, 32.0)] == pytest.approx([0.5, 10.7, 33.14])
