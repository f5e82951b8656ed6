"""
The SQL of the records: entries become rows, and rows become the remembered state.

Every write is idempotent: events have their number, sessions and transactions their session's uuid, and the
state in force is compared with the file's.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from evse_manager.charging.owners import Owners
from evse_manager.charging.persisted_state import OpenSession, PersistedState
from evse_manager.interface.enums import SessionEventEnum, StopTransactionReason
from evse_manager.interface.types import (
    Current,
    Error,
    ExternalLimits,
    Power,
    Powermeter,
    SessionEvent,
    SessionStarted,
    Time,
    TransactionFinished,
    TransactionStarted,
)
from evse_manager.metering.energy import TransactionEnergy
from evse_manager.store.codec import DecodeError, decode, encode
from evse_manager.store.course import CoursePoint
from evse_manager.store.identity import Identity

Event = SessionEventEnum

DURABLE_EVENTS = frozenset(
    (
        Event.SESSION_STARTED,
        Event.TRANSACTION_STARTED,
        Event.TRANSACTION_FINISHED,
        Event.SESSION_FINISHED,
        Event.ENABLED,
        Event.DISABLED,
        Event.PERMANENT_FAULT,
        Event.RESERVATION_START,
        Event.RESERVATION_END,
    )
)
"""Events that must survive the loss of power, not only of the process."""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    The result of one step of the kernel that is recorded.

    ``memory`` and ``errors`` (the set of active errors) are None when they did not change, and ``course``
    when the course of the session needs no new point; ``stamp`` is the wall time of the step.
    """

    stamp: Time
    events: tuple[SessionEvent, ...] = ()
    memory: PersistedState | None = None
    errors: tuple[Error, ...] | None = None
    course: CoursePoint | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """Content of a file at the start: state for ``Start``, number of the newest event, unpublished events."""

    memory: PersistedState = PersistedState()
    last_sequence_number: int = 0
    undelivered: tuple[SessionEvent, ...] = ()


def has_durable_event(entry: Entry) -> bool:
    """Return whether an entry has an event that must survive the loss of power."""
    return any(event.event in DURABLE_EVENTS for event in entry.events)


def is_durable(entry: Entry, before: PersistedState) -> bool:
    """Return whether an entry must survive the loss of power: all but meter values and transient states."""
    if has_durable_event(entry):
        return True
    return entry.memory is not None and _without_meter(entry.memory) != _without_meter(before)


def load(connection: sqlite3.Connection) -> Remembered:
    """Return what a file remembers; raises DecodeError or sqlite3.Error when it is unreadable."""
    row = connection.execute(
        'SELECT enabled, faulted, welded, reservation_id, external_limits, open_session, owners, alive,'
        ' last_sequence_number, delivered_sequence_number FROM connector'
    ).fetchone()
    if row is None:
        return Remembered()
    enabled, faulted, welded, reservation, limits, session, owners, alive, last, delivered = row
    numbers = (enabled, faulted, welded, last, delivered)
    if not all(isinstance(number, int) for number in numbers) or not all(
        isinstance(text, str) for text in (limits, owners)
    ):
        raise DecodeError('the row of the connector is damaged.')
    records = connection.execute(
        'SELECT record FROM events WHERE sequence_number > ? ORDER BY sequence_number', (delivered,)
    )
    return Remembered(
        memory=PersistedState(
            enabled=bool(enabled),
            owners=decode(owners, Owners),
            faulted=bool(faulted),
            welded=bool(welded),
            reservation_id=reservation,
            external_limits=decode(limits, ExternalLimits),
            session=None if session is None else decode(session, OpenSession),
            written=None if alive is None else Time(alive),
        ),
        last_sequence_number=last,
        undelivered=_up_to_durable([decode(record, SessionEvent) for (record,) in records]),
    )


def _up_to_durable(events: list[SessionEvent]) -> tuple[SessionEvent, ...]:
    """Return the events up to the newest durable one; transient states after it no longer matter."""
    while events and events[-1].event not in DURABLE_EVENTS:
        events.pop()
    return tuple(events)


def write(connection: sqlite3.Connection, entries: Iterable[Entry], before: PersistedState) -> PersistedState:
    """Write entries inside the caller's transaction, on top of the state ``before``; return the new one."""
    for entry in entries:
        for event in entry.events:
            _write_event(connection, event)
        if entry.errors is not None:
            _write_errors(connection, entry, (entry.memory or before).session)
        if entry.memory is not None:
            _write_memory(connection, entry, before)
            before = replace(entry.memory, written=None)
        if entry.course is not None:
            _write_course(connection, entry.course)
    return before


def seed(connection: sqlite3.Connection, memory: PersistedState, last: int, delivered: int) -> None:
    """Initialize a new file with the state of an earlier one (or an empty one)."""
    _put_memory(connection, memory)
    connection.execute(
        'UPDATE connector SET alive = ?, last_sequence_number = ?, delivered_sequence_number = ?',
        (memory.written, last, delivered),
    )
    session = memory.session
    if session is None:
        return
    _begin_session(connection, session.uuid, session.started, session.reason.name)
    transaction = session.transaction
    if transaction is not None:
        _begin_transaction(
            connection,
            session.uuid,
            TransactionStarted(
                timestamp=transaction.started,
                id_tag=transaction.token,
                reservation_id=transaction.reservation_id,
            ),
            transaction.start_wh,
        )


def mark_delivered(connection: sqlite3.Connection, sequence_number: int) -> None:
    """Note that every event up to this number has been published."""
    connection.execute(
        'UPDATE connector SET delivered_sequence_number = max(delivered_sequence_number, ?)',
        (sequence_number,),
    )


def mark_alive(connection: sqlite3.Connection, stamp: Time) -> None:
    """Note that the process was alive at this time."""
    connection.execute('UPDATE connector SET alive = ?', (stamp,))


def identify(connection: sqlite3.Connection, identity: Identity) -> None:
    """Note whose records these are."""
    connection.execute(
        'UPDATE connector SET namespace = ?, connector_id = ?, simulated = ?',
        (identity.connector, identity.connector_id, identity.simulated),
    )


# --- events ---------------------------------------------------------------------------------------------


def _write_event(connection: sqlite3.Connection, event: SessionEvent) -> None:
    connection.execute(
        'INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)',
        (event.sequence_number, event.stamp, event.uuid or None, event.event.name, encode(event)),
    )
    connection.execute(
        'UPDATE connector SET last_sequence_number = max(last_sequence_number, ?)', (event.sequence_number,)
    )
    match event.event:
        case Event.SESSION_STARTED:
            started = event.session_started or SessionStarted()
            _begin_session(connection, event.uuid, started.timestamp, started.reason.name)
        case Event.TRANSACTION_STARTED if event.transaction_started is not None:
            _begin_session(connection, event.uuid, None, None)
            value = event.transaction_started.meter_value
            _begin_transaction(
                connection, event.uuid, event.transaction_started, value.energy_wh_import.total, value
            )
        case Event.TRANSACTION_FINISHED if event.transaction_finished is not None:
            _finish_transaction(connection, event.uuid, event.transaction_finished)
        case Event.SESSION_FINISHED:
            _begin_session(connection, event.uuid, None, None)
            connection.execute(
                'UPDATE sessions SET finished = ? WHERE uuid = ? AND finished IS NULL',
                (event.stamp, event.uuid),
            )
        case _:
            pass


def _begin_session(
    connection: sqlite3.Connection, uuid: str, started: Time | None, reason: str | None
) -> None:
    """Insert a session that may exist already, or whose start was never written."""
    connection.execute(
        'INSERT INTO sessions (uuid, started, reason) VALUES (?, ?, ?) ON CONFLICT (uuid) DO NOTHING',
        (uuid, started, reason),
    )


def _begin_transaction(
    connection: sqlite3.Connection,
    uuid: str,
    started: TransactionStarted,
    start_wh: float | None,
    value: Powermeter | None = None,
) -> None:
    connection.execute(
        'INSERT INTO transactions'
        ' (session_uuid, started, token, token_details, reservation_id, start_wh, start_value)'
        ' VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session_uuid) DO NOTHING',
        (
            uuid,
            started.timestamp,
            started.id_tag.id_token,
            encode(started.id_tag),
            started.reservation_id,
            start_wh,
            None if value is None else encode(value),
        ),
    )


def _finish_transaction(connection: sqlite3.Connection, uuid: str, finished: TransactionFinished) -> None:
    _begin_session(connection, uuid, None, None)
    connection.execute('INSERT OR IGNORE INTO transactions (session_uuid) VALUES (?)', (uuid,))
    connection.execute(
        'UPDATE transactions SET finished = ?, stop_reason = ?, stop_id_tag = ?, stop_wh = ?, stop_value = ?,'
        ' energy_wh = ?, energy_is_lower_bound = ?, energy_is_integrated = ?'
        ' WHERE session_uuid = ? AND finished IS NULL',
        (
            finished.timestamp,
            finished.reason.name,
            finished.id_tag or None,
            finished.meter_value.energy_wh_import.total,
            encode(finished.meter_value),
            finished.energy_wh,
            finished.energy_is_lower_bound,
            finished.energy_is_integrated,
            uuid,
        ),
    )


def end_lost_sessions(connection: sqlite3.Connection, stamp: Time, session: OpenSession | None) -> None:
    """
    Close every session but the open one.

    The kernel closes what an earlier process left open.  Only sessions that it could not know remain, because
    the file was unreadable when it started.
    """
    uuid = '' if session is None else session.uuid
    connection.execute(
        'UPDATE transactions SET finished = ?, stop_reason = ?, energy_is_lower_bound = 1,'
        ' stop_wh = coalesce('
        '(SELECT max(energy_wh) FROM meter_values AS value'
        ' WHERE value.session_uuid = transactions.session_uuid), start_wh)'
        ' WHERE finished IS NULL AND session_uuid <> ?',
        (stamp, StopTransactionReason.POWER_LOSS.name, uuid),
    )
    connection.execute('UPDATE sessions SET finished = ? WHERE finished IS NULL AND uuid <> ?', (stamp, uuid))


def _write_course(connection: sqlite3.Connection, point: CoursePoint) -> None:
    sample = point.sample
    _begin_session(connection, point.session_uuid, None, None)
    connection.execute(
        'INSERT OR IGNORE INTO course VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        (
            point.session_uuid,
            sample.stamp,
            sample.power_w,
            sample.signalled_current_a,
            sample.phases,
            sample.limit_a,
            sample.limit_source.name,
            sample.limit_node,
            sample.cp_state.name,
            sample.contactor.name,
            sample.reason.name,
        ),
    )


# --- errors ---------------------------------------------------------------------------------------------


def end_errors_of_an_earlier_run(connection: sqlite3.Connection, stamp: Time) -> None:
    """Close the errors that were active when an earlier process ended; a lasting one is raised again."""
    connection.execute('UPDATE errors SET cleared = ?, ended_by_restart = 1 WHERE cleared IS NULL', (stamp,))


def _write_errors(connection: sqlite3.Connection, entry: Entry, session: OpenSession | None) -> None:
    """Write which errors were raised and which cleared, compared with the active ones of the file."""
    active = {(error.error_code.name, error.vendor_error) for error in entry.errors or ()}
    known = {
        (code, vendor): number
        for number, code, vendor in connection.execute(
            'SELECT id, code, vendor_error FROM errors WHERE cleared IS NULL'
        )
    }
    for error, number in known.items():
        if error not in active:
            connection.execute('UPDATE errors SET cleared = ? WHERE id = ?', (entry.stamp, number))
    uuid = None if session is None else session.uuid
    for code, vendor in sorted(active - known.keys()):
        connection.execute(
            'INSERT INTO errors (session_uuid, code, vendor_error, raised) VALUES (?, ?, ?, ?)',
            (uuid, code, vendor, entry.stamp),
        )


# --- the state in force -----------------------------------------------------------------------------------


def _write_memory(connection: sqlite3.Connection, entry: Entry, before: PersistedState) -> None:
    memory = entry.memory
    assert memory is not None
    if replace(memory, written=None) == replace(before, written=None):
        return
    if memory.reservation_id != before.reservation_id:
        _write_reservation(connection, entry, memory.reservation_id)
    if memory.external_limits != before.external_limits:
        connection.execute(
            'INSERT INTO external_limits (stamp, limits) VALUES (?, ?)',
            (entry.stamp, encode(memory.external_limits)),
        )
    _write_meter_value(connection, entry.stamp, memory, before)
    _put_memory(connection, memory)
    mark_alive(connection, entry.stamp)


def _put_memory(connection: sqlite3.Connection, memory: PersistedState) -> None:
    values = (
        memory.enabled,
        memory.faulted,
        memory.welded,
        memory.reservation_id,
        encode(memory.external_limits),
        None if memory.session is None else encode(memory.session),
        encode(memory.owners),
    )
    connection.execute(
        'INSERT INTO connector (one, enabled, faulted, welded, reservation_id, external_limits, open_session,'
        ' owners, last_sequence_number, delivered_sequence_number)'
        ' VALUES (1, ?, ?, ?, ?, ?, ?, ?, 0, 0) ON CONFLICT (one) DO UPDATE SET'
        ' enabled = excluded.enabled, faulted = excluded.faulted, welded = excluded.welded,'
        ' reservation_id = excluded.reservation_id, external_limits = excluded.external_limits,'
        ' open_session = excluded.open_session, owners = excluded.owners',
        values,
    )


def _write_reservation(connection: sqlite3.Connection, entry: Entry, reservation_id: int | None) -> None:
    """End the reservation in force, with the session that used it, and begin the next."""
    used = _using_session(entry.events)
    connection.execute(
        'UPDATE reservations SET ended = ?, session_uuid = ? WHERE ended IS NULL', (entry.stamp, used)
    )
    if reservation_id is not None:
        connection.execute(
            'INSERT INTO reservations (reservation_id, began) VALUES (?, ?)', (reservation_id, entry.stamp)
        )


def _using_session(events: Sequence[SessionEvent]) -> str | None:
    for event in events:
        if event.transaction_started is not None and event.transaction_started.reservation_id is not None:
            return event.uuid
    return None


def _write_meter_value(
    connection: sqlite3.Connection, stamp: Time, memory: PersistedState, before: PersistedState
) -> None:
    """Write the newest meter value of an open transaction, which the kernel updates every 30 s."""
    session = memory.session
    if session is None or session.transaction is None or _without_meter(memory) == memory:
        return
    value = session.transaction.meter_value
    if _meter_value_of(before, session.uuid) == value:
        return
    power, current = value.power_w or Power(), value.current_a or Current()
    _begin_session(connection, session.uuid, session.started, session.reason.name)
    connection.execute(
        'INSERT OR IGNORE INTO meter_values VALUES (?, ?, ?, ?, ?, ?, ?)',
        (
            session.uuid,
            stamp if value.timestamp is None else value.timestamp,
            value.energy_wh_import.total,
            power.total,
            current.l1,
            current.l2,
            current.l3,
        ),
    )


def _meter_value_of(memory: PersistedState, uuid: str) -> Powermeter | None:
    session = memory.session
    if session is None or session.uuid != uuid or session.transaction is None:
        return None
    return session.transaction.meter_value


def _without_meter(memory: PersistedState) -> PersistedState:
    """Return a state without the meter value, which changes every 30 s."""
    if memory.session is None or memory.session.transaction is None:
        return replace(memory, written=None)
    transaction = replace(
        memory.session.transaction, meter_value=Powermeter(), reading_wh=None, energy=TransactionEnergy()
    )
    return replace(memory, written=None, session=replace(memory.session, transaction=transaction))
