"""Every value, in every field, arrives as it was sent."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from builtin_interfaces.msg import Duration as DurationMessage
from builtin_interfaces.msg import Time as TimeMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from evse_manager.interface import endpoints
from evse_manager.interface.enums import ContactorState, ControlPilotState
from evse_manager.interface.record_requests import RecordPage
from evse_manager.interface.types import (
    BoardState,
    BoardTransition,
    Duration,
    LimitsReq,
    LimitsRes,
    Powermeter,
    ProvidedIdToken,
    SessionEvent,
    SessionRecord,
    Time,
)
from evse_manager.nodes.conversions import (
    TIME_END,
    duration_from_message,
    duration_to_message,
    from_message,
    records_from_response,
    records_to_response,
    time_from_message,
    time_to_message,
    to_message,
)
from interfaces.strategies import other_values, values
from interfaces.vocabulary import COMMANDS, OBJECTS, REQUESTS

EVERYTHING = pytest.mark.parametrize('cls', OBJECTS + COMMANDS + REQUESTS, ids=lambda cls: cls.__name__)
quick = settings(
    max_examples=20,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def over_the_wire(value: Any) -> Any:
    """Send ``value`` through its message and the middleware's encoding, and read it again."""
    message = to_message(value)
    arrived = deserialize_message(serialize_message(message), type(message))
    return from_message(arrived, type(value))


@EVERYTHING
@quick
@given(data=st.data())
def test_every_value_arrives_as_it_was_sent(cls: type, data: st.DataObject) -> None:
    value = data.draw(values(cls))
    assert from_message(to_message(value), cls) == value
    assert over_the_wire(value) == value


@EVERYTHING
@settings(quick, max_examples=3)
@given(data=st.data())
def test_each_field_is_carried_by_itself(cls: type, data: st.DataObject) -> None:
    default = cls()
    for field in fields(cls):
        changed = replace(default, **{field.name: data.draw(other_values(cls, field.name), label=field.name)})
        assert over_the_wire(changed) == changed


@EVERYTHING
def test_the_default_arrives_as_the_default(cls: type) -> None:
    assert over_the_wire(cls()) == cls()


@pytest.mark.parametrize('cls', COMMANDS + REQUESTS, ids=lambda cls: cls.__name__)
def test_a_request_in_which_nothing_was_typed_reads_as_nothing_given(cls: type) -> None:
    assert from_message(type(to_message(cls()))(), cls) == cls()


@pytest.mark.parametrize('cls', [LimitsReq, LimitsRes])
def test_limits_in_which_nothing_was_typed_limit_nothing(cls: type) -> None:
    assert from_message(type(to_message(cls()))(), cls) == cls()


@pytest.mark.parametrize('service', endpoints.RECORD_SERVICES, ids=lambda service: service.name)
@quick
@given(data=st.data())
def test_a_page_of_records_arrives_as_it_was_sent(service: endpoints.Service, data: st.DataObject) -> None:
    page = RecordPage((data.draw(values(SessionRecord)),), next_page='2')
    response = endpoints.load(service.type).Response()
    records_to_response(page, response)
    arrived = deserialize_message(serialize_message(response), type(response))
    assert arrived.success
    assert records_from_response(arrived) == page


def test_an_unknown_number_is_nan() -> None:
    assert math.isnan(to_message(Powermeter()).energy_wh_import.total)


def test_an_absent_object_flag_or_integer_is_an_empty_sequence() -> None:
    assert list(to_message(Powermeter()).power_w) == []
    assert list(to_message(Powermeter()).phase_seq_error) == []
    assert list(to_message(ProvidedIdToken()).request_id) == []


def test_an_absent_flag_differs_from_false_and_an_absent_integer_from_zero() -> None:
    assert over_the_wire(Powermeter(phase_seq_error=False)).phase_seq_error is False
    assert over_the_wire(ProvidedIdToken(request_id=0)).request_id == 0


def test_an_absent_time_is_zero() -> None:
    assert to_message(SessionEvent()).stamp == TimeMessage()
    assert time_from_message(TimeMessage()) is None


def test_a_limit_that_is_not_given_is_minus_one() -> None:
    message = to_message(LimitsReq())
    assert (message.total_power_w, message.ac_max_current_a, message.ac_min_current_a) == (-1.0, -1.0, -1.0)


def test_an_export_of_exactly_one_never_turns_into_no_limit() -> None:
    arrived = over_the_wire(LimitsRes(ac_max_current_a=-1.0))
    assert arrived.ac_max_current_a == pytest.approx(-1.0)


def test_the_first_and_the_last_nanosecond_arrive() -> None:
    for time in (1, TIME_END - 1):
        assert time_from_message(time_to_message(Time(time))) == time


def test_a_duration_of_years_keeps_its_nanoseconds_as_far_as_seconds_have_them() -> None:
    message = duration_to_message(Duration(1e8 + 0.25))
    assert message == DurationMessage(sec=100_000_000, nanosec=250_000_000)
    assert duration_from_message(message) == 1e8 + 0.25


def test_a_duration_is_rounded_to_whole_nanoseconds_without_a_full_second_left_over() -> None:
    assert duration_to_message(Duration(0.999_999_999_9)) == DurationMessage(sec=1)


def test_a_full_list_of_transitions_fits() -> None:
    steps = tuple(
        BoardTransition(counter, ControlPilotState.C, ContactorState.CLOSED, Time(10**18 + counter))
        for counter in range(16)
    )
    assert over_the_wire(BoardState(transitions=steps)).transitions == steps


def test_what_a_ros_string_cannot_carry_is_replaced_and_the_rest_arrives() -> None:
    assert over_the_wire(BoardState(firmware='v1\0\ud83d end')).firmware == 'v1\ufffd\ufffd end'


def test_integers_and_foreign_floats_are_coerced_into_float_fields() -> None:
    numpy = pytest.importorskip('numpy')
    message = to_message(LimitsReq(ac_max_current_a=16, total_power_w=numpy.float32(1.5)))
    assert (type(message.ac_max_current_a), message.ac_max_current_a) == (float, 16.0)
    assert (type(message.total_power_w), message.total_power_w) == (float, 1.5)


def test_zero_and_one_are_coerced_into_flags() -> None:
    assert to_message(SessionEvent(connector_id=1)).connector_id == 1
    assert to_message(BoardState(replug_active=1)).replug_active is True  # type: ignore[arg-type]
