"""What counts for one connector until it has certainly ended."""

import math

import pytest

from evse_manager.energy.ledger import (
    FOLLOW_S,
    OUTLIVES_VALIDITY_S,
    UNKNOWN_STAMP,
    VALIDITY_S,
    Ledger,
    Level,
)
from evse_manager.interface.types import Time

LIFE_S = VALIDITY_S + OUTLIVES_VALIDITY_S


def currents(ledger: Ledger, steady: float) -> list[float]:
    ledger.expire(steady)
    return [level.current_a for level in ledger.levels()]


def test_a_lower_grant_leaves_the_higher_one_counted_until_it_is_acknowledged_and_followed() -> None:
    ledger = Ledger()
    ledger.grant(16.0, 3, Time(1), 0.0)
    ledger.grant(6.0, 3, Time(2), 1.0)
    assert currents(ledger, 2.0) == [16.0, 6.0]
    ledger.acknowledge(Time(2), False, 2.0)
    assert currents(ledger, 2.0 + FOLLOW_S - 0.1) == [16.0, 6.0]
    assert currents(ledger, 2.0 + FOLLOW_S) == [6.0]


def test_with_an_open_contactor_an_acknowledged_reduction_counts_at_once() -> None:
    ledger = Ledger()
    ledger.grant(16.0, 3, Time(1), 0.0)
    ledger.grant(0.0, 3, Time(2), 1.0)
    ledger.acknowledge(Time(2), True, 2.0)
    assert currents(ledger, 2.0) == [0.0]


def test_without_an_acknowledgement_a_grant_counts_until_its_validity_is_over_and_power_has_ended() -> None:
    ledger = Ledger()
    ledger.grant(16.0, 3, Time(1), 0.0)
    ledger.grant(6.0, 3, Time(2), 1.0)
    assert currents(ledger, LIFE_S - 0.1) == [16.0, 6.0]
    assert currents(ledger, LIFE_S) == [6.0]
    assert currents(ledger, 1.0 + LIFE_S) == []


def test_a_late_acknowledgement_of_an_older_grant_ends_nothing_newer() -> None:
    ledger = Ledger()
    ledger.grant(6.0, 3, Time(1), 0.0)
    ledger.grant(16.0, 3, Time(2), 1.0)
    ledger.grant(6.0, 3, Time(3), 2.0)
    ledger.acknowledge(Time(1), True, 3.0)
    assert currents(ledger, 3.0) == [16.0, 6.0]


def test_renewals_prolong_the_newest_grant_alone() -> None:
    ledger = Ledger()
    ledger.grant(16.0, 3, Time(1), 0.0)
    ledger.grant(6.0, 3, Time(2), 1.0)
    for second in range(2, 15):
        ledger.grant(6.0, 3, Time(second + 1), float(second))
    assert currents(ledger, LIFE_S) == [6.0]


def test_fewer_phases_with_more_current_count_beside_the_old_grant() -> None:
    ledger = Ledger()
    ledger.grant(10.0, 3, Time(1), 0.0)
    ledger.grant(16.0, 1, Time(2), 1.0)
    assert [(level.current_a, level.phases) for level in ledger.levels()] == [(10.0, 3), (16.0, 1)]


def test_with_an_unknown_contactor_nothing_ends() -> None:
    ledger = Ledger()
    ledger.grant(16.0, 3, Time(1), 0.0)
    ledger.expire(1000.0, contactor_unknown=True)
    assert [level.current_a for level in ledger.levels()] == [16.0]


def test_what_a_former_energy_manager_may_have_granted_ends_by_the_first_own_acknowledgement() -> None:
    ledger = Ledger(former=[Level(32.0, 3, UNKNOWN_STAMP, UNKNOWN_STAMP, LIFE_S)])
    ledger.report(10.0, 3, Time(7), 1.0)
    assert ledger.newest is not None
    assert (ledger.newest.current_a, currents(ledger, 2.0)) == (10.0, [32.0, 10.0])
    ledger.grant(10.0, 3, Time(8), 2.0)
    ledger.acknowledge(Time(8), False, 3.0)
    assert currents(ledger, 3.0 + FOLLOW_S) == [10.0]


@pytest.mark.parametrize('lower', [0.0, 6.0])
def test_the_next_end_is_that_of_a_former_grant(lower: float) -> None:
    ledger = Ledger()
    ledger.grant(16.0, 3, Time(1), 0.0)
    assert ledger.next_end() == math.inf
    ledger.grant(lower, 3, Time(2), 1.0)
    assert ledger.next_end() == LIFE_S
    ledger.acknowledge(Time(2), False, 2.0)
    assert ledger.next_end() == 2.0 + FOLLOW_S


def test_a_grant_of_the_same_current_and_phases_renews_the_newest_one() -> None:
    ledger = Ledger()
    ledger.grant(16.0, 3, Time(1), 0.0)
    ledger.grant(16.0, 3, Time(2), 1.0)
    assert list(ledger.levels()) == [Level(16.0, 3, Time(1), Time(2), 1.0 + LIFE_S)]
    ledger.grant(16.0, 1, Time(3), 2.0)
    assert list(ledger.levels()) == [
        Level(16.0, 3, Time(1), Time(2), 1.0 + LIFE_S),
        Level(16.0, 1, Time(3), Time(3), 2.0 + LIFE_S),
    ]


@pytest.mark.parametrize(
    ('current_a', 'phases', 'levels'),
    [
        (20.0, 3, [(20.0, 3)]),
        (16.0, 3, [(16.0, 3)]),
        (10.0, 3, [(16.0, 1), (10.0, 3)]),
        (10.0, 1, [(16.0, 1), (6.0, 3), (10.0, 1)]),
        (16.0, 2, [(6.0, 3), (16.0, 2)]),
    ],
)
def test_a_grant_takes_the_place_of_those_that_allow_no_more(
    current_a: float, phases: int, levels: list[tuple[float, int]]
) -> None:
    ledger = Ledger()
    ledger.grant(16.0, 1, Time(1), 0.0)
    ledger.grant(6.0, 3, Time(2), 0.0)
    ledger.grant(current_a, phases, Time(3), 1.0)
    assert [(level.current_a, level.phases) for level in ledger.levels()] == levels


def test_the_newest_grant_is_an_own_one_or_a_known_one_of_another() -> None:
    unknown = Level(32.0, 3, UNKNOWN_STAMP, UNKNOWN_STAMP, LIFE_S)
    ledger = Ledger(former=[unknown])
    assert ledger.newest is None
    ledger.report(10.0, 3, Time(5), 1.0)
    ledger.report(12.0, 1, Time(6), 2.0)
    foreign = Level(12.0, 1, Time(6), Time(6), 2.0 + LIFE_S)
    assert list(ledger.levels()) == [unknown, foreign]
    assert ledger.newest == foreign
    ledger.grant(8.0, 3, Time(7), 3.0)
    assert ledger.newest == Level(8.0, 3, Time(7), Time(7), 3.0 + LIFE_S)


def test_a_ledger_is_settled_when_one_own_grant_is_all() -> None:
    ledger = Ledger()
    assert (ledger.settled, ledger.newest, ledger.next_end()) == (True, None, math.inf)
    ledger.grant(16.0, 3, Time(1), 0.0)
    assert ledger.settled
    ledger.grant(6.0, 3, Time(2), 1.0)
    assert not ledger.settled
    foreign = Ledger()
    foreign.report(10.0, 3, Time(5), 1.0)
    assert (foreign.settled, foreign.next_end()) == (False, 1.0 + LIFE_S)


def test_an_acknowledgement_ends_older_grants_and_neither_the_same_nor_one_that_ends_earlier() -> None:
    ledger = Ledger()
    ledger.grant(16.0, 3, Time(1), 0.0)
    ledger.grant(12.0, 3, Time(2), 10.0)
    ledger.grant(6.0, 3, Time(3), 12.0)
    ledger.acknowledge(Time(2), False, 12.0)
    assert [level.ends for level in ledger.levels()] == [LIFE_S, 10.0 + LIFE_S, 12.0 + LIFE_S]
    ledger.acknowledge(Time(3), False, 12.5)
    assert [level.ends for level in ledger.levels()] == [LIFE_S, 12.5 + FOLLOW_S, 12.0 + LIFE_S]
    ledger.acknowledge(Time(3), True, 13.0)
    assert [level.ends for level in ledger.levels()] == [13.0, 13.0, 12.0 + LIFE_S]


@pytest.mark.parametrize(
    ('now', 'unknown', 'left_a'),
    [
        (LIFE_S - 0.1, True, [32.0, 10.0, 16.0]),
        (LIFE_S, True, [10.0, 16.0]),
        (1000.0, True, [10.0, 16.0]),
        (LIFE_S, False, [10.0, 16.0]),
        (1.0 + LIFE_S, False, [16.0]),
        (2.0 + LIFE_S, False, []),
    ],
)
def test_with_an_unknown_contactor_only_what_was_never_known_to_be_granted_ends(
    now: float, unknown: bool, left_a: list[float]
) -> None:
    ledger = Ledger(former=[Level(32.0, 3, UNKNOWN_STAMP, UNKNOWN_STAMP, LIFE_S)])
    ledger.report(10.0, 3, Time(5), 1.0)
    ledger.grant(16.0, 3, Time(6), 2.0)
    ledger.expire(now, contactor_unknown=unknown)
    assert [level.current_a for level in ledger.levels()] == left_a
