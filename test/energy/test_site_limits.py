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
