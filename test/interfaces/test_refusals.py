"""What makes no sense is refused as a whole, in a sentence that names field, value and what is allowed."""

import math
from typing import Any

import pytest
from builtin_interfaces.msg import Duration as DurationMessage
from builtin_interfaces.msg import Time as TimeMessage
from hypothesis import given, settings
from hypothesis import strategies as st

import evse_manager.msg as m
import evse_manager.srv as s
from evse_manager.charging import inputs
from evse_manager.interface.enums import ContactorState, LockState, SwitchThreePhasesWhileChargingResult
from evse_manager.interface.types import (
    BoardCommand,
    BoardState,
    BoardTransition,
    Duration,
    EnforcedLimits,
    Error,
    LimitsReq,
    Powermeter,
    SessionEvent,
    Time,
    ValidationResult,
)
from evse_manager.nodes.conversions import (
    ConversionError,
    answer_to_response,
    from_message,
    refuse,
    request_to_command,
    to_message,
)

NOT_FINITE = [math.nan, math.inf, -math.inf]


def schedule(entry: m.ScheduleReqEntry) -> s.SetExternalLimits.Request:
    """Return a request with a good entry before and after ``entry``."""
    good = m.ScheduleReqEntry(limits_to_leaves=m.LimitsReq(ac_max_current_a=16.0))
    return s.SetExternalLimits.Request(value=m.ExternalLimits(schedule_import=[good, entry, good]))


# --- requests, as people type them -----------------------------------------------------------------------


@pytest.mark.parametrize('number', NOT_FINITE)
@pytest.mark.parametrize('field', ['total_power_w', 'ac_max_current_a', 'ac_min_current_a'])
def test_a_limit_that_is_not_finite_refuses_the_whole_request(field: str, number: float) -> None:
    request = schedule(m.ScheduleReqEntry(limits_to_root=m.LimitsReq(**{field: number})))
    with pytest.raises(ConversionError) as refused:
        request_to_command(request, inputs.SetExternalLimits)
    assert str(refused.value) == (
        f'value.schedule_import[1].limits_to_root.{field} is {number}, '
        'but must be a finite number (-1 = not given).'
    )


@pytest.mark.parametrize('number', NOT_FINITE)
def test_an_efficiency_that_is_not_finite_refuses_the_whole_request(number: float) -> None:
    request = schedule(m.ScheduleReqEntry(conversion_efficiency=number))
    with pytest.raises(ConversionError, match=r'^value\.schedule_import\[1\]\.conversion_efficiency is '):
        request_to_command(request, inputs.SetExternalLimits)


@pytest.mark.parametrize('time', [TimeMessage(sec=-1), TimeMessage(nanosec=1_000_000_000)])
def test_an_impossible_time_refuses_the_whole_request(time: TimeMessage) -> None:
    request = schedule(m.ScheduleReqEntry(timestamp=time))
    with pytest.raises(
        ConversionError, match=r'^value\.schedule_import\[1\]\.timestamp is .* s and .* ns, but'
    ):
        request_to_command(request, inputs.SetExternalLimits)


def test_an_unknown_enumeration_is_refused_with_the_known_ones() -> None:
    request = s.SetGetCertificateResponse.Request()
    request.certificate_reponse.certificate_action = 77
    with pytest.raises(ConversionError) as refused:
        request_to_command(request, inputs.SetGetCertificateResponse)
    assert str(refused.value) == (
        'certificate_reponse.certificate_action is 77, but must be one of: '
        '0 (UNSPECIFIED), 1 (INSTALL), 2 (UPDATE).'
    )


@pytest.mark.parametrize('status', [11, 255])
def test_an_unknown_status_of_a_token_is_refused(status: int) -> None:
    request = s.AuthorizeResponse.Request()
    request.validation_result.authorization_status = status
    with pytest.raises(ConversionError, match=r'^validation_result\.authorization_status is '):
        request_to_command(request, inputs.AuthorizeResponse)


def test_an_optional_field_that_holds_two_values_is_refused() -> None:
    message = m.Powermeter(check_fields=False)
    message.phase_seq_error = [True, False]
    with pytest.raises(
        ConversionError, match=r'^phase_seq_error is 2 values, but must be one value or none\.$'
    ):
        from_message(message, Powermeter)


# --- what other nodes say --------------------------------------------------------------------------------


@pytest.mark.parametrize('field', ['duty_cycle_percent', 'current_a', 'over_current_limit_a'])
@pytest.mark.parametrize('number', NOT_FINITE)
def test_a_command_to_the_board_that_is_not_finite_is_refused(field: str, number: float) -> None:
    with pytest.raises(ConversionError, match=f'^{field} is .*, but must be a finite number'):
        from_message(m.BoardCommand(**{field: number}), BoardCommand)


@pytest.mark.parametrize('field', ['cp_state', 'pilot_mode', 'contactor', 'lock', 'proximity', 'link_state'])
def test_a_board_state_with_an_unknown_enumeration_is_refused(field: str) -> None:
    with pytest.raises(ConversionError, match=f'^{field} is 200, but must be one of: 0'):
        from_message(m.BoardState(**{field: 200}), BoardState)


@pytest.mark.parametrize('number', [math.inf, -math.inf])
def test_an_infinite_meter_value_is_refused_where_nan_is_unknown(number: float) -> None:
    sample = m.Powermeter(energy_wh_import=m.Energy(total=number))
    with pytest.raises(ConversionError, match=r'^energy_wh_import\.total is -?inf'):
        from_message(sample, Powermeter)


@pytest.mark.parametrize('lease', [DurationMessage(sec=-1), DurationMessage(nanosec=2**32 - 1)])
def test_an_impossible_lease_is_refused(lease: DurationMessage) -> None:
    with pytest.raises(ConversionError, match=r'^lease is '):
        from_message(m.BoardCommand(lease=lease), BoardCommand)


def test_a_grant_whose_limit_is_nan_is_refused() -> None:
    grant = m.EnforcedLimits(limits_root_side=[m.LimitsRes(ac_max_current_a=math.nan)])
    with pytest.raises(ConversionError, match=r'^limits_root_side\.ac_max_current_a is nan'):
        from_message(grant, EnforcedLimits)


# --- what would leave this process -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ('value', 'sentence'),
    [
        (LimitsReq(ac_max_current_a=math.nan), 'ac_max_current_a is nan, but must be a finite number.'),
        (LimitsReq(ac_max_current_a='6'), "ac_max_current_a is '6', but must be a number."),
        (LimitsReq(ac_max_current_a=True), 'ac_max_current_a is True, but must be a number.'),
        (LimitsReq(ac_max_phase_count=256), 'ac_max_phase_count is 256, but must be an integer in 0 to 255.'),
        (LimitsReq(ac_max_phase_count=-1), 'ac_max_phase_count is -1, but must be an integer in 0 to 255.'),
        (SessionEvent(connector_id=True), 'connector_id is True, but must be an integer.'),
        (SessionEvent(connector_id=1.0), 'connector_id is 1.0, but must be an integer.'),
        (
            SessionEvent(connector_id=2**31),
            'connector_id is 2147483648, but must be an integer in -2147483648 to ',
        ),
        (SessionEvent(sequence_number=-1), 'sequence_number is -1, but must be an integer in 0 to '),
        (SessionEvent(uuid=None), 'uuid is None, but must be a text.'),
        (SessionEvent(error=Error(vendor_error=b'x')), "error.vendor_error is b'x', but must be a text."),
        (SessionEvent(stamp=Time(-1)), 'stamp is -1, but must be a time from 1970 to January 2038'),
        (SessionEvent(error=Powermeter()), 'error is Powermeter('),
        (BoardCommand(lease=Duration(-0.1)), 'lease is -0.1, but must be a duration from 0 to '),
        (BoardCommand(lease=Duration(math.nan)), 'lease is nan, but must be a finite number.'),
        (BoardState(current_a=None), 'current_a is None, but must be a number.'),
        (BoardState(replug_active=2), 'replug_active is 2, but must be true or false.'),
        (BoardState(contactor=1), 'contactor is 1, but must be a ContactorState.'),
        (
            BoardState(contactor=LockState.NONE),
            'contactor is <LockState.NONE: 5>, but must be a ContactorState.',
        ),
        (
            BoardState(transitions=(BoardTransition(),) * 17),
            'transitions is 17 values, but must be at most 16',
        ),
        (BoardState(active_errors=None), 'active_errors is None, but must be a tuple.'),
        (
            BoardState(transitions=(BoardTransition(), BoardTransition(counter=-7))),
            'transitions[1].counter is -7, but must be an integer in 0 to ',
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_does_not_fit_into_its_field_is_refused(value: Any, sentence: str) -> None:
    with pytest.raises(ConversionError) as refused:
        to_message(value)
    assert str(refused.value).startswith(sentence)


def test_a_long_value_is_cut_in_the_sentence() -> None:
    with pytest.raises(ConversionError) as refused:
        to_message(LimitsReq(ac_max_current_a='x' * 1000))  # type: ignore[arg-type]
    assert len(str(refused.value)) < 160


def test_a_value_without_a_message_of_its_name_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match='Tick has neither a message nor a service'):
        to_message(inputs.Tick())


def test_a_message_of_another_type_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match='The fields of ValidationResult are not those of Limits'):
        from_message(m.Limits(), ValidationResult)


@settings(max_examples=200, deadline=None, database=None)
@given(number=st.integers(0, 255))
def test_every_number_of_an_enumeration_is_either_its_member_or_refused(number: int) -> None:
    message = m.BoardTransition(contactor=number)
    if number in {member.value for member in ContactorState}:
        assert from_message(message, BoardTransition).contactor is ContactorState(number)
    else:
        with pytest.raises(ConversionError):
            from_message(message, BoardTransition)


# --- answers ---------------------------------------------------------------------------------------------


class Answer:
    """An answer as the kernel gives it."""

    def __init__(self, success: bool, message: str = '', result: int = 0) -> None:
        self.success = success
        self.message = message
        self.result = SwitchThreePhasesWhileChargingResult(result)


def test_an_answer_fills_the_response_of_a_command() -> None:
    response = answer_to_response(
        Answer(False, 'resume refused: paused by the EV.'), s.ResumeCharging.Response()
    )
    assert response == s.ResumeCharging.Response(success=False, message='resume refused: paused by the EV.')


def test_an_answer_fills_the_result_of_the_phase_switch() -> None:
    response = s.SwitchThreePhasesWhileCharging.Response
    refused = answer_to_response(Answer(False, 'no', 2), response())
    assert (refused.success, refused.result) == (False, response.ERROR_NOT_SUPPORTED)
    accepted = answer_to_response(Answer(True), response())
    assert (accepted.success, accepted.result) == (True, response.SUCCESS)


@pytest.mark.parametrize('service', [s.Enable, s.GetId, s.SwitchThreePhasesWhileCharging, s.SimulateFault])
def test_every_response_can_refuse(service: Any) -> None:
    response = refuse(service.Response(), 'The node is ending.')
    assert response.message == 'The node is ending.'
    assert not getattr(response, 'success', False)
    assert getattr(response, 'result', 0) == 0
