"""Values in words, and the same values as JSON."""

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_manager.cli import formatting, json_output
from evse_manager.interface.enums import (
    ChargerState,
    ErrorEnum,
    LimitSource,
    SessionEventEnum,
    StartSessionReason,
    StatusReason,
    StopTransactionReason,
)
from evse_manager.interface.types import (
    Duration,
    Energy,
    Error,
    EvseStatus,
    Powermeter,
    ProvidedIdToken,
    SessionEvent,
    SessionStarted,
    Time,
    TransactionFinished,
    TransactionStarted,
)


@pytest.mark.parametrize('event', [event for event in SessionEventEnum if event])
def test_every_event_has_a_sentence(event):
    assert event in formatting.SENTENCES
    text = formatting.event_sentence(SessionEvent(event=event))
    assert text
    assert '\n' not in text


def test_events_tell_their_payload():
    meter = Powermeter(energy_wh_import=Energy(total=12345.6))
    started = SessionEvent(
        event=SessionEventEnum.TRANSACTION_STARTED,
        transaction_started=TransactionStarted(
            id_tag=ProvidedIdToken(id_token='04A1'), meter_value=meter, reservation_id=7
        ),
    )
    assert (
        formatting.event_sentence(started) == 'transaction began, token 04A1, reservation 7, meter 12.346 kWh'
    )
    finished = SessionEvent(
        event=SessionEventEnum.TRANSACTION_FINISHED,
        transaction_finished=TransactionFinished(
            meter_value=meter, reason=StopTransactionReason.EV_DISCONNECTED
        ),
    )
    assert formatting.event_sentence(finished) == 'transaction ended (EVDisconnected), meter 12.346 kWh'
    payload = replace(finished.transaction_finished, energy_wh=575.0)
    delivered = replace(finished, transaction_finished=payload)
    assert (
        formatting.event_sentence(delivered)
        == 'transaction ended (EVDisconnected), 575 Wh delivered, meter 12.346 kWh'
    )
    least = replace(delivered, transaction_finished=replace(payload, energy_is_lower_bound=True))
    assert 'at least 575 Wh delivered' in formatting.event_sentence(least)
    error = SessionEvent(
        event=SessionEventEnum.ERROR, error=Error(ErrorEnum.CAR_DIODE_FAULT, 'Diode: missing')
    )
    assert formatting.event_sentence(error) == 'missing [Diode]'
    trip = Error(ErrorEnum.RCD, 'RcdDc: 6 mA DC; unplug.')
    assert formatting.error(trip) == '6 mA DC; unplug. [RcdDc]'
    assert formatting.error(trip, known='6 mA DC; unplug.') == 'RcdDc'
    assert formatting.error(Error(ErrorEnum.OTHER, 'Other: hot.')) == 'hot. [Other]'
    plugged = SessionEvent(
        event=SessionEventEnum.SESSION_STARTED,
        session_started=SessionStarted(reason=StartSessionReason.EV_CONNECTED),
    )
    assert 'plugged in' in formatting.event_sentence(plugged)


def test_events_are_named_as_in_the_original():
    names = {formatting.camel(event) for event in SessionEventEnum if event}
    assert {'SessionStarted', 'ChargingPausedEV', 'ChargingPausedEVSE', 'AllErrorsCleared'} <= names


def test_numbers_carry_units_and_unknown_is_a_dash():
    assert [formatting.power(value) for value in (None, 0.0, 999.4, 11040.0)] == [
        formatting.ABSENT,
        '0 W',
        '999 W',
        '11.04 kW',
    ]
    assert [formatting.energy(value) for value in (None, 1.25, 250.0, 12345.0)] == [
        formatting.ABSENT,
        '1.2 Wh',
        '250 Wh',
        '12.345 kWh',
    ]
    assert [formatting.duration(value) for value in (None, 0.4, 3723.0, 90061.0)] == [
        formatting.ABSENT,
        '0:00:00',
        '1:02:03',
        '1 d 1:01:01',
    ]
    assert formatting.iso(Time(1_700_000_000_123_456_789)) == '2023-11-14T22:13:20.123456Z'


def test_the_reason_is_there_even_without_a_text():
    assert formatting.why(EvseStatus(reason=StatusReason.WAITING_FOR_PLUG)) == 'Waiting for plug'
    assert formatting.why(EvseStatus(reason_text='Because.')) == 'Because.'


@pytest.mark.parametrize('source', LimitSource)
def test_every_source_of_a_limit_has_words(source):
    assert formatting.limit(EvseStatus(limit_source=source)).startswith('0.0 A')


def test_json_has_the_names_of_the_message_and_nothing_that_json_cannot_hold():
    status = EvseStatus(
        stamp=Time(1_700_000_000_000_000_000),
        state=ChargerState.CHARGING,
        power_w=float('nan'),
        session_duration=Duration(1.5),
        active_errors=(Error(ErrorEnum.RCD, 'Rcd: tripped'),),
    )
    value = json.loads(json.dumps(json_output.record(status), allow_nan=False))
    assert list(value) == [field.name for field in fields(EvseStatus)]
    assert value['stamp'] == '2023-11-14T22:13:20.000000Z'
    assert value['state'] == 'CHARGING'
    assert value['power_w'] is None
    assert value['session_duration'] == 1.5
    assert value['active_errors'] == [{'error_code': 'RCD', 'vendor_error': 'Rcd: tripped'}]


@given(st.floats(), st.floats())
def test_no_number_breaks_the_words(first, second):
    for value in (first, second):
        if math.isfinite(value):
            assert formatting.power(value)
            assert formatting.energy(value)
    json.dumps(json_output.record({'a': first, 'b': [second]}), allow_nan=False)
