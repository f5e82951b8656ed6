"""Run-time limits as messages."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.energy.site_limits import read_site_limit, write_site_limit
from evse_manager.interface.types import LimitsReq, ScheduleReqEntry, SiteLimit, Time

NUMBERS = st.floats(0.0, 1e6) | st.just(math.inf)
STEPS = st.builds(LimitStep, st.integers(1, 2**60), NUMBERS, NUMBERS).filter(
    lambda step: min(step.limit_a, step.limit_w) < math.inf
)
LIMITS = st.builds(
    RunTimeLimit,
    st.just('grid'),
    st.just('operator'),
    st.integers(-9, 9),
    st.lists(STEPS, min_size=2, max_size=4).map(tuple)
    | st.builds(lambda current: (LimitStep(limit_a=current),), st.floats(0.0, 80.0)),
    st.none() | st.integers(1, 2**60),
)


@settings(derandomize=True)
@given(LIMITS)
def test_a_limit_comes_back_from_its_message(limit: RunTimeLimit) -> None:
    assert read_site_limit(write_site_limit(limit)) == limit


def test_a_request_without_limits_clears() -> None:
    assert read_site_limit(SiteLimit('grid', 'operator')).steps == ()


def test_a_limit_and_a_schedule_at_once_are_refused() -> None:
    entry = ScheduleReqEntry(Time(1), LimitsReq(ac_max_current_a=10.0))
    with pytest.raises(ValueError, match='give either limit_a and limit_w or a schedule'):
        read_site_limit(SiteLimit('grid', 'operator', limit_a=10.0, schedule=(entry,)))


@pytest.mark.parametrize(
    ('limit', 'message'),
    [
        (
            RunTimeLimit('grid', 's', 2, (LimitStep(limit_a=10.0),), Time(9)),
            SiteLimit('grid', 's', 2, limit_a=10.0, expires=Time(9)),
        ),
        (RunTimeLimit('grid', 's', 0, (LimitStep(limit_w=0.0),)), SiteLimit('grid', 's', limit_w=0.0)),
        (RunTimeLimit('grid', 's', 0, (LimitStep(limit_a=0.0),)), SiteLimit('grid', 's', limit_a=0.0)),
        (
            RunTimeLimit(
                'grid', 's', 2, (LimitStep(limit_a=10.0), LimitStep(Time(7), limit_w=5000.0)), Time(9)
            ),
            SiteLimit(
                'grid',
                's',
                2,
                schedule=(
                    ScheduleReqEntry(None, LimitsReq(ac_max_current_a=10.0)),
                    ScheduleReqEntry(Time(7), LimitsReq(total_power_w=5000.0)),
                ),
                expires=Time(9),
            ),
        ),
        (RunTimeLimit('grid', 's', 2, (), Time(9)), SiteLimit('grid', 's', 2, expires=Time(9))),
    ],
    ids=['a current', 'a power of nothing', 'a current of nothing', 'a schedule', 'to be cleared'],
)
def test_a_limit_and_its_message(limit: RunTimeLimit, message: SiteLimit) -> None:
    assert write_site_limit(limit) == message
    assert read_site_limit(message) == limit


def test_a_power_and_a_schedule_at_once_are_refused_too() -> None:
    entry = ScheduleReqEntry(Time(1), LimitsReq(ac_max_current_a=10.0))
    with pytest.raises(ValueError, match=r'^refused: give either limit_a and limit_w or a schedule\.$'):
        read_site_limit(SiteLimit('grid', 'operator', limit_w=10.0, schedule=(entry,)))
