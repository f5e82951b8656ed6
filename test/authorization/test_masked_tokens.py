"""Tokens in events and records are masked but for their end, and certificates are left out."""

from evse_manager.interface.enums import SessionEventEnum
from evse_manager.interface.tokens import concealed, concealed_record
from evse_manager.interface.types import (
    ProvidedIdToken,
    SessionEvent,
    SessionRecord,
    TransactionFinished,
    TransactionStarted,
)


def started(token: str, certificate: str = '') -> SessionEvent:
    tag = ProvidedIdToken(id_token=token, certificate=certificate)
    return SessionEvent(
        event=SessionEventEnum.TRANSACTION_STARTED, transaction_started=TransactionStarted(id_tag=tag)
    )


def finished(token: str) -> SessionEvent:
    return SessionEvent(
        event=SessionEventEnum.TRANSACTION_FINISHED, transaction_finished=TransactionFinished(id_tag=token)
    )


def test_an_event_shows_no_more_than_the_end_of_its_token() -> None:
    assert concealed(started('04A1B2C3')) == started('****B2C3')
    assert concealed(finished('SECRET-TOKEN')) == finished('********OKEN')
    assert concealed(finished('ABCD')) == finished('****')
    assert concealed(finished('')) == finished('')
    assert concealed(started('')) == started('')


def test_an_event_shows_no_certificate() -> None:
    assert concealed(started('04A1B2C3', 'MIIB')) == started('****B2C3')
    assert concealed(started('', 'MIIB')) == started('')


def test_an_event_without_a_token_stays_as_it_is() -> None:
    event = SessionEvent(sequence_number=7, event=SessionEventEnum.CHARGING_STARTED)
    assert concealed(event) == event


def test_a_record_is_masked_with_its_events() -> None:
    record = SessionRecord(
        token='04A1B2C3', stop_token='STOP-CARD', events=(started('04A1B2C3', 'MIIB'), finished('STOP-CARD'))
    )
    assert concealed_record(record) == SessionRecord(
        token='****B2C3', stop_token='*****CARD', events=(started('****B2C3'), finished('*****CARD'))
    )
