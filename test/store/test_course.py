"""Which changes of the status are worth a point, and that many points fit into few bytes."""

import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_manager.interface.enums import (
    ContactorState,
    ControlPilotState,
    LimitSource,
    StatusReason,
)
from evse_manager.interface.types import EvseStatus, SessionRecordSample, Time
from evse_manager.store.codec import DecodeError
from evse_manager.store.course import CourseRecorder, pack, unpack
from store.owner import EPOCH, SECOND
from store.sample_records import session

CHARGING = EvseStatus(
    session_uuid='a',
    limit_a=16.0,
    limit_source=LimitSource.PARAMETER,
    signalled_current_a=16.0,
    phases=3,
    cp_state=ControlPilotState.C,
    contactor=ContactorState.CLOSED,
    reason=StatusReason.CHARGING,
    power_w=11_000.0,
)


def at(seconds: float) -> Time:
    return Time(EPOCH + round(seconds * SECOND))


@pytest.fixture
def recorder() -> CourseRecorder:
    recorder = CourseRecorder()
    assert recorder.point(CHARGING, at(0)) is not None
    return recorder


def test_the_first_status_of_a_session_is_a_point() -> None:
    point = CourseRecorder().point(CHARGING, at(0))
    assert point is not None
    assert point.session_uuid == 'a'
    assert point.sample == SessionRecordSample(
        at(0),
        power_w=11_000.0,
        signalled_current_a=16.0,
        phases=3,
        limit_a=16.0,
        limit_source=LimitSource.PARAMETER,
        cp_state=ControlPilotState.C,
        contactor=ContactorState.CLOSED,
        reason=StatusReason.CHARGING,
    )


def test_outside_a_session_nothing_is_recorded() -> None:
    assert CourseRecorder().point(replace(CHARGING, session_uuid=''), at(0)) is None


@pytest.mark.parametrize(
    'change',
    [
        {'cp_state': ControlPilotState.B},
        {'contactor': ContactorState.OPEN},
        {'reason': StatusReason.PAUSED_BY_EV},
        {'limit_source': LimitSource.ENERGY_MANAGER},
        {'limit_node': 'grid'},
        {'phases': 1},
        {'signalled_current_a': 0.0},
        {'session_uuid': 'b'},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_discrete_change_is_a_point_at_once(recorder: CourseRecorder, change: dict[str, object]) -> None:
    assert recorder.point(replace(CHARGING, **change), at(0.1)) is not None  # type: ignore[arg-type]


def test_power_that_changes_is_a_point_every_ten_seconds(recorder: CourseRecorder) -> None:
    assert recorder.point(replace(CHARGING, power_w=3000.0), at(5)) is None
    assert recorder.point(replace(CHARGING, power_w=3000.0), at(10)) is not None
    assert recorder.point(replace(CHARGING, power_w=3400.0), at(60)) is not None


def test_small_steps_are_no_points(recorder: CourseRecorder) -> None:
    assert recorder.point(replace(CHARGING, power_w=10_500.0), at(60)) is None
    assert recorder.point(replace(CHARGING, limit_a=16.4), at(60)) is None


def test_a_limit_that_changes_every_second_is_a_point_every_ten(recorder: CourseRecorder) -> None:
    limits = (replace(CHARGING, limit_a=16.0 + second % 2 * 2.0) for second in range(1, 61))
    points = [recorder.point(status, at(second)) for second, status in enumerate(limits, start=1)]
    assert 4 <= sum(point is not None for point in points) <= 6


def test_a_clock_that_is_set_back_does_not_silence_the_course(recorder: CourseRecorder) -> None:
    assert recorder.point(replace(CHARGING, limit_a=20.0), at(-3600)) is not None


SAMPLES = st.builds(
    SessionRecordSample,
    stamp=st.none() | st.integers(1, 2**62).map(Time),
    energy_wh=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    limit_a=st.none() | st.floats(0, 80),
    limit_source=st.sampled_from(LimitSource),
    limit_node=st.text(max_size=5),
    reason=st.sampled_from(StatusReason),
)


@settings(max_examples=50, deadline=None)
@given(samples=st.lists(SAMPLES, max_size=5))
def test_what_is_packed_comes_back(samples: list[SessionRecordSample]) -> None:
    assert unpack(pack(samples)) == tuple(samples)


def test_a_night_takes_less_than_16_bytes_for_a_point() -> None:
    samples = session(hours=8.0).samples
    assert len(samples) == 960
    assert len(pack(samples)) < 16 * len(samples)


@pytest.mark.parametrize('packed', [b'', b'nonsense', pack(())[:-3], zlib.compress(b'{"stamp": [1]}')])
def test_what_is_no_course_is_refused(packed: bytes) -> None:
    with pytest.raises(DecodeError, match='damaged'):
        unpack(packed)
