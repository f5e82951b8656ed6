"""The place of a car among cars whose minima do not all fit."""

import math

import pytest

from evse_manager.energy.turns import ShareTurn, TurnTimes

TIMES = TurnTimes(minimum_on_s=600.0, minimum_off_s=60.0)


def test_the_turn_of_a_car_from_its_arrival_to_its_departure() -> None:
    turn = ShareTurn()
    assert turn == ShareTurn(math.inf, math.inf, math.inf, -math.inf)
    assert not turn.served
    turn.arrive(100.0)
    assert turn == ShareTurn(arrived=100.0, waiting_since=100.0)
    turn.serve(110.0)
    assert turn == ShareTurn(arrived=100.0, served_since=110.0)
    assert turn.served
    turn.stop(120.0)
    assert turn == ShareTurn(arrived=100.0, waiting_since=120.0, off_since=120.0)
    assert not turn.served
    turn.leave()
    assert turn == ShareTurn()


@pytest.mark.parametrize(('now', 'pauses'), [(100.0, True), (159.9, True), (160.0, False)])
def test_a_car_that_lost_its_grant_pauses_for_the_minimum_off_time(now: float, pauses: bool) -> None:
    turn = ShareTurn(arrived=0.0)
    turn.stop(100.0)
    assert turn.pauses(TIMES, now) is pauses


def test_a_car_that_was_never_served_does_not_pause() -> None:
    turn = ShareTurn()
    turn.arrive(100.0)
    assert not turn.pauses(TIMES, 100.0)


@pytest.mark.parametrize(('now', 'too_long'), [(1299.9, False), (1300.0, True)])
def test_a_wait_of_two_on_times_is_too_long(now: float, too_long: bool) -> None:
    turn = ShareTurn()
    turn.arrive(100.0)
    assert turn.waits_too_long(TIMES, now) is too_long
    turn.serve(now)
    assert not turn.waits_too_long(TIMES, 1e9)


@pytest.mark.parametrize(
    ('now', 'order'),
    [
        (100.0, (0, 100.0)),
        (699.9, (0, 100.0)),
        (700.0, (1, 700.0)),
        (1299.9, (1, 700.0)),
        (1300.0, (1, 1300.0)),
    ],
)
def test_a_served_car_keeps_its_place_for_the_on_time_and_then_queues_since_its_last_one(
    now: float, order: tuple[int, float]
) -> None:
    turn = ShareTurn(arrived=0.0)
    turn.serve(100.0)
    assert turn.order(TIMES, now) == order


def test_a_waiting_car_queues_since_it_waits() -> None:
    turn = ShareTurn(arrived=0.0)
    turn.stop(50.0)
    assert turn.order(TIMES, 1e6) == (1, 50.0)
