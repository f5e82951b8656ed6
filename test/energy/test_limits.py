"""Limits given at run time: whose they are, how long they hold, how they are stored."""

import json
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


@pytest.mark.parametrize(
    'possible',
    [
        limit('x' * SOURCE_LENGTH_MAX, 0.0),
        limit('operator', 10.0, priority=PRIORITY_MAX),
        limit('operator', 10.0, priority=-PRIORITY_MAX),
        limit('operator', 10.0, expires=Time(NOW + 1)),
        limit('operator', 10.0, steps=(LimitStep(limit_w=0.0),)),
        limit('operator', 10.0, steps=tuple(LimitStep(Time(at), 9.0) for at in range(STEPS_MAX))),
        limit('operator', 10.0, node='bay_1'),
    ],
)
def test_the_limits_of_each_number_are_possible(possible: RunTimeLimit) -> None:
    limits = book()
    assert limits.set(possible, NOW) == ''
    assert limits.all() == [possible]


def test_a_refusal_names_at_most_twenty_nodes_in_order() -> None:
    limits = LimitBook([f'node_{place:02}' for place in reversed(range(25))])
    known = ', '.join(f'node_{place:02}' for place in range(20))
    assert limits.set(limit('operator', 10.0), NOW) == (
        f"refused: there is no node 'grid'; known are {known}."
    )


def test_at_the_highest_number_of_sources_limits_can_be_replaced_and_cleared() -> None:
    limits = book(*(limit(f'source {index}', 10.0) for index in range(LIMITS_PER_NODE_MAX)))
    assert limits.set(limit('source 0', 9.0), NOW) == ''
    assert bound_a(limits).limit == 9.0
    assert limits.set(limit('one more', 0.0, steps=()), NOW) == '', 'nothing to be cleared is no error'
    assert limits.set(limit('source 0', 0.0, steps=()), NOW) == ''
    assert limits.set(limit('one more', 8.0), NOW) == ''
    assert len(limits.all()) == LIMITS_PER_NODE_MAX
    assert bound_a(limits).source == 'one more'


def test_the_last_source_below_the_highest_number_is_taken() -> None:
    limits = book(*(limit(f'source {index}', 10.0) for index in range(LIMITS_PER_NODE_MAX - 1)))
    assert limits.set(limit('one more', 10.0), NOW) == ''


def test_an_expired_limit_of_a_higher_priority_keeps_no_other_one_away() -> None:
    limits = book(limit('operator', 10.0, priority=5, expires=Time(NOW + 1)))
    assert 'has the priority 5' in limits.set(limit('operator', 20.0), NOW)
    assert limits.set(limit('operator', 20.0), Time(NOW + 1)) == ''


def test_limits_come_by_node_source_and_for_one_node_by_priority() -> None:
    given = [limit('b', 3.0), limit('a', 4.0), limit('c', 5.0, 7), limit('z', 6.0, node='bay_1')]
    limits = book(*given)
    assert limits.all() == [given[3], given[1], given[0], given[2]]
    assert limits.at('grid') == [given[2], given[1], given[0]]
    assert limits.at('nowhere') == []


def test_the_next_change_is_the_first_of_all_steps_and_expiries() -> None:
    steps = (LimitStep(Time(NOW - 1), 1.0), LimitStep(NOW, 2.0), LimitStep(Time(NOW + 30), 3.0))
    stepped = limit('operator', 0.0, steps=steps)
    assert book(limit('bridge', 9.0)).next_change(NOW) is None
    assert book(stepped).next_change(NOW) == NOW + 30
    assert book(stepped).next_change(Time(NOW + 30)) is None
    assert book(stepped, limit('bridge', 9.0, expires=Time(NOW + 20))).next_change(NOW) == NOW + 20
    assert replace(stepped, expires=Time(NOW + 40)).next_change(NOW) == NOW + 30
    assert replace(stepped, expires=Time(NOW + 40)).next_change(Time(NOW + 30)) == NOW + 40


def test_current_and_power_are_limited_by_different_sources() -> None:
    limits = book(
        limit('current', 10.0), limit('power', 0.0, steps=(LimitStep(limit_a=20.0, limit_w=5000.0),))
    )
    assert limits.bounds('grid', NOW) == (
        LimitBound(10.0, LimitOrigin.RUN_TIME, 'current'),
        LimitBound(5000.0, LimitOrigin.RUN_TIME, 'power'),
    )
    assert limits.bounds('bay_1', NOW) == (LimitBound(), LimitBound())


STORED = (
    '[{"node": "grid", "source": "operator", "priority": 3, "expires": 99, "steps": '
    '[{"start": 0, "limit_a": 10.0, "limit_w": null}, {"start": 7, "limit_a": null, "limit_w": 5000.0}]}, '
    '{"node": "bay_1", "source": "s", "priority": 0, "expires": null, "steps": '
    '[{"start": 0, "limit_a": 0.0, "limit_w": 0.0}]}]'
)
"""What an installation may have on its disk."""


def test_the_stored_form_is_read_and_written() -> None:
    limits = [
        RunTimeLimit(
            'grid', 'operator', 3, (LimitStep(limit_a=10.0), LimitStep(Time(7), limit_w=5000.0)), Time(99)
        ),
        RunTimeLimit('bay_1', 's', 0, (LimitStep(limit_a=0.0, limit_w=0.0),)),
    ]
    assert decode(STORED) == limits
    assert json.loads(encode(limits)) == json.loads(STORED)


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
     '[{"node":"grid","source":"s","priority":0,"expires":null,"steps":[{"start":0,"limit_a":NaN,"limit_w":1}]}]',
     '[{"node":"grid","source":"s","priority":0,"expires":null,"steps":[{"start":0,"limit_a":1,"limit_w":-1}]}]'],
)  # fmt: skip
def test_damaged_text_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json raises a subclass
        decode(text)
