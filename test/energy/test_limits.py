"""Limits given at run time: whose they are, how long they hold, how they are stored."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_manager.energy.limits import (
    LIMITS_PER_NODE_MAX,
    PRIORITY_MAX,
    SOURCE_LENGTH_MAX,
    STEPS_MAX,
    LimitBook,
    LimitBound,
    LimitStep,
    RunTimeLimit,
    decode,
    encode,
)
from evse_manager.interface.enums import LimitOrigin
from evse_manager.interface.types import Time

NOW = Time(1_795_000_000_000_000_000)


def limit(source: str, current_a: float, priority: int = 0, **keys: object) -> RunTimeLimit:
    return replace(RunTimeLimit('grid', source, priority, (LimitStep(limit_a=current_a),)), **keys)


def book(*limits: RunTimeLimit) -> LimitBook:
    return LimitBook(['grid', 'bay_1'], limits)


def bound_a(of: LimitBook, wall: Time = NOW) -> LimitBound:
    return of.bounds('grid', wall)[0]


def test_the_lowest_of_all_sources_wins_whatever_its_priority() -> None:
    limits = book()
    limits.set(limit('operator', 20.0, priority=9), NOW)
    limits.set(limit('bridge', 10.0), NOW)
    assert bound_a(limits) == LimitBound(10.0, LimitOrigin.RUN_TIME, 'bridge')


def test_of_equal_limits_the_higher_priority_is_named() -> None:
    assert bound_a(book(limit('bridge', 10.0), limit('operator', 10.0, 5))).source == 'operator'


def test_a_source_replaces_and_clears_its_own_limit_alone() -> None:
    limits = book(limit('bridge', 10.0), limit('operator', 20.0))
    assert limits.set(limit('bridge', 30.0), NOW) == ''
    assert bound_a(limits).limit == 20.0
    assert limits.set(limit('operator', 0.0, steps=()), NOW) == ''
    assert [each.source for each in limits.all()] == ['bridge']


def test_a_lower_priority_cannot_lift_the_limit_of_the_same_source() -> None:
    limits = book(limit('grid operator', 10.0, priority=5))
    text = limits.set(limit('grid operator', 30.0, priority=4), NOW)
    assert text.startswith("refused: the limit of 'grid operator' at grid has the priority 5")
    assert bound_a(limits).limit == 10.0


def test_a_limit_ends_at_its_expiry() -> None:
    limits = book(limit('operator', 10.0, expires=Time(NOW + 5)))
    assert not limits.expire(Time(NOW + 4))
    assert limits.next_change(NOW) == NOW + 5
    assert limits.expire(Time(NOW + 5))
    assert limits.all() == []


def test_a_schedule_holds_step_by_step_the_first_at_once_and_the_last_on() -> None:
    steps = (LimitStep(Time(NOW + 100), 10.0), LimitStep(Time(NOW + 200), 20.0, 9000.0))
    limits = book(limit('operator', 0.0, steps=steps))
    assert [bound_a(limits, Time(NOW + after)).limit for after in (0, 199, 200, 10_000)] == [
        10.0, 10.0, 20.0, 20.0,
    ]  # fmt: skip
    assert limits.bounds('grid', Time(NOW + 200))[1].limit == 9000.0
    assert limits.next_change(NOW) == NOW + 200


@pytest.mark.parametrize(
    ('wrong', 'text'),
    [
        (limit('operator', 10.0, node='nowhere'), "there is no node 'nowhere'; known are bay_1, grid."),
        (limit('', 10.0), 'name the source'),
        (limit('operator', 10.0, node='n' * 100_000), f"no node '{'n' * 63}…'; known are"),
        (limit('operator', 10.0, node='\x1b[2J'), "no node '\ufffd[2J'"),
        (limit('x' * (SOURCE_LENGTH_MAX + 1), 10.0), 'longer than 64'),
        (limit('operator\x1b[2J', 10.0), 'cannot be shown'),
        (
            limit('operator', 10.0, priority=PRIORITY_MAX + 1),
            'priority is 1000001, but must lie in -1000000 to',
        ),
        (limit('operator', 10.0, priority=-PRIORITY_MAX - 1), 'priority is -1000001'),
        (limit('operator', math.nan), 'limit_a is nan'),
        (limit('operator', -1.5), 'limit_a is -1.5'),
        (limit('operator', math.inf), 'limits nothing'),
        (limit('operator', 10.0, expires=NOW), 'expired already'),
        (limit('operator', 10.0, steps=(LimitStep(Time(9), 1.0), LimitStep(Time(9), 2.0))), 'rise in time'),
        (limit('operator', 10.0, steps=(LimitStep(limit_w=math.nan),)), 'limit_w is nan'),
        (
            limit('operator', 10.0, steps=tuple(LimitStep(Time(at), 9.0) for at in range(STEPS_MAX + 1))),
            'more than 1000 steps',
        ),
        (limit('operator', 10.0), "the limit of 'operator' at grid has the priority 1; give that or a"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(wrong: RunTimeLimit, text: str) -> None:
    before = [limit('bridge', 30.0), limit('operator', 20.0, 1)]
    limits = book(*before)
    assert text in limits.set(wrong, NOW)
    assert limits.all() == before


def test_sources_are_limited_in_number() -> None:
    limits = book(*(limit(f'source {index}', 10.0) for index in range(LIMITS_PER_NODE_MAX)))
    assert 'clear one of them' in limits.set(limit('one more', 10.0), NOW)


@given(
    st.lists(
        st.builds(
            RunTimeLimit,
            st.sampled_from(['grid', 'bay_1', 'gone']),
            st.text(min_size=1, max_size=8),
            st.integers(-5, 5),
            st.lists(
                st.builds(
                    LimitStep,
                    st.integers(0, 2**62),
                    st.floats(0.0, 1e6) | st.just(math.inf),
                    st.floats(0.0, 1e6) | st.just(math.inf),
                ),
                min_size=1,
                max_size=4,
            ).map(tuple),
            st.none() | st.integers(1, 2**62),
        ),
        max_size=5,
    )
)
def test_stored_limits_come_back_as_they_were(limits: list[RunTimeLimit]) -> None:
    assert decode(encode(limits)) == limits


@pytest.mark.parametrize(
    'text',
    ['', '{}{', '[{}]', '[1]', 'null', '{"node": 1}',
     '[{"node":"grid","source":"s","priority":0,"expires":null,"steps":[]}]',
     '[{"node":"grid","source":"s","priority":0,"expires":null,"steps":[{"start":0,"limit_a":NaN,"limit_w":1}]}]'],
)  # fmt: skip
def test_damaged_text_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json raises a subclass
        decode(text)
