"""
Session records out of rows: of a connector's own file, and of the file of all connectors.

Both have a table or view with the columns ``SUMMARY``, so that one query serves both (``KINDS``).
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, TypeVar

from evse_manager.interface.enums import (
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LimitSource,
    StartSessionReason,
    StatusReason,
    StopTransactionReason,
)
from evse_manager.interface.record_requests import EVERY_CONNECTOR, ListRecords
from evse_manager.interface.tokens import normal_form
from evse_manager.interface.types import (
    Error,
    SessionEvent,
    SessionRecord,
    SessionRecordError,
    SessionRecordSample,
    Time,
)
from evse_manager.store import history_schema, schema
from evse_manager.store.codec import DecodeError, decode
from evse_manager.store.course import unpack

E = TypeVar('E', bound=IntEnum)

SUMMARY = (
    'uuid',
    'connector',
    'connector_id',
    'started',
    'start_reason',
    'finished',
    'transaction_started',
    'transaction_finished',
    'stop_reason',
    'token',
    'stop_token',
    'reservation_id',
    'energy_wh',
    'energy_is_lower_bound',
    'energy_is_integrated',
    'meter_start_wh',
    'meter_stop_wh',
    'meter_id',
    'peak_power_w',
    'error_count',
    'simulated',
)


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file: whose header it has, its newest version, and where the summaries stand."""

    name: str
    application_id: int
    migrations: tuple[str, ...]
    table: str


JOURNAL = FileKind('journal', schema.APPLICATION_ID, schema.MIGRATIONS, 'session_records')
HISTORY = FileKind('history', history_schema.APPLICATION_ID, history_schema.MIGRATIONS, 'sessions')
KINDS = (JOURNAL, HISTORY)


def list_summaries(
    connection: sqlite3.Connection,
    kind: FileKind,
    wanted: ListRecords,
    after: tuple[int, str] | None,
    count: int,
) -> list[SessionRecord]:
    """
    Return at most ``count`` sessions without events, errors and samples, in the order that is wanted.

    ``after`` is the beginning and the uuid of the last one that is known already.  An empty connector is any.
    """
    conditions: list[str] = []
    values: list[Any] = []
    if wanted.since is not None:
        conditions.append('started >= ?')
        values.append(wanted.since)
    if wanted.until is not None:
        conditions.append('started < ?')
        values.append(wanted.until)
    if wanted.connector not in ('', EVERY_CONNECTOR):
        conditions.append('connector = ?')
        values.append(wanted.connector)
    if wanted.token:
        conditions.append('token_key = ?')
        values.append(normal_form(wanted.token))
    if wanted.stop_reason:
        conditions.append('stop_reason = ?')
        values.append(wanted.stop_reason.name)
    if after is not None:
        conditions.append(f'(started, uuid) {">" if wanted.oldest_first else "<"} (?, ?)')
        values += after
    where = f' WHERE {" AND ".join(conditions)}' if conditions else ''
    order = 'ASC' if wanted.oldest_first else 'DESC'
    rows = connection.execute(
        f'SELECT {", ".join(SUMMARY)} FROM {kind.table}{where}'
        f' ORDER BY started {order}, uuid {order} LIMIT ?',
        (*values, count),
    )
    return [_summary(row) for row in rows]


def find(connection: sqlite3.Connection, kind: FileKind, beginning: str) -> list[str]:
    """Return the uuids, two at most, of the sessions whose uuid begins so."""
    end = beginning + '\N{REPLACEMENT CHARACTER}'
    rows = connection.execute(
        f'SELECT uuid FROM {kind.table} WHERE uuid >= ? AND uuid < ? LIMIT 2', (beginning, end)
    )
    return [uuid for (uuid,) in rows]


def whole(connection: sqlite3.Connection, kind: FileKind, uuid: str) -> SessionRecord | None:
    """Return all that is recorded of a session; None when the file does not have it."""
    row = connection.execute(
        f'SELECT {", ".join(SUMMARY)} FROM {kind.table} WHERE uuid = ?', (uuid,)
    ).fetchone()
    if row is None:
        return None
    record = _summary(row)
    events = connection.execute(
        'SELECT record FROM events WHERE session_uuid = ? ORDER BY sequence_number', (uuid,)
    )
    errors = connection.execute(
        'SELECT code, vendor_error, raised, cleared, ended_by_restart FROM errors WHERE session_uuid = ?'
        ' ORDER BY id',
        (uuid,),
    )
    return replace(
        record,
        events=tuple(decode(text, SessionEvent) for (text,) in events),
        errors=tuple(_error(*each) for each in errors),
        samples=tuple(
            _samples_of_journal(connection, uuid) if kind is JOURNAL else _course(connection, uuid)
        ),
    )


def _summary(row: tuple[Any, ...]) -> SessionRecord:
    values: dict[str, Any] = dict(zip(SUMMARY, row, strict=True))
    try:
        return SessionRecord(
            uuid=str(values['uuid']),
            connector=str(values['connector'] or ''),
            connector_id=int(values['connector_id'] or 0),
            started=_time(values['started']),
            start_reason=_member(StartSessionReason, values['start_reason']),
            finished=_time(values['finished']),
            transaction_started=_time(values['transaction_started']),
            transaction_finished=_time(values['transaction_finished']),
            stop_reason=_member(StopTransactionReason, values['stop_reason']),
            token=str(values['token'] or ''),
            stop_token=str(values['stop_token'] or ''),
            reservation_id=values['reservation_id'],
            energy_wh=_number(values['energy_wh']),
            energy_is_lower_bound=bool(values['energy_is_lower_bound']),
            energy_is_integrated=bool(values['energy_is_integrated']),
            meter_start_wh=_number(values['meter_start_wh']),
            meter_stop_wh=_number(values['meter_stop_wh']),
            meter_id=str(values['meter_id'] or ''),
            peak_power_w=_number(values['peak_power_w']),
            error_count=int(values['error_count'] or 0),
            simulated=bool(values['simulated']),
        )
    except (TypeError, ValueError) as error:
        raise DecodeError(f'the row of a session is damaged: {error}') from error


def _error(code: str, vendor: str, raised: int, cleared: int | None, restart: int) -> SessionRecordError:
    return SessionRecordError(
        Error(_member(ErrorEnum, code), str(vendor)), _time(raised), _time(cleared), bool(restart)
    )


def _samples_of_journal(connection: sqlite3.Connection, uuid: str) -> Iterator[SessionRecordSample]:
    """Yield the meter values and the points of the course, in order of time."""
    samples: dict[int, SessionRecordSample] = {}
    for stamp, energy, power, current_l1, current_l2, current_l3 in connection.execute(
        'SELECT stamp, energy_wh, power_w, current_l1_a, current_l2_a, current_l3_a FROM meter_values'
        ' WHERE session_uuid = ?',
        (uuid,),
    ):
        samples[stamp] = SessionRecordSample(
            _time(stamp),
            _number(energy),
            _number(power),
            _number(current_l1),
            _number(current_l2),
            _number(current_l3),
        )
    for stamp, power, signalled, phases, limit, source, node, pilot, contactor, reason in connection.execute(
        'SELECT stamp, power_w, signalled_current_a, phases, limit_a, limit_source, limit_node, cp_state,'
        ' contactor, reason FROM course WHERE session_uuid = ?',
        (uuid,),
    ):
        meter = samples.get(stamp, SessionRecordSample(_time(stamp)))
        samples[stamp] = replace(
            meter,
            power_w=meter.power_w if meter.power_w is not None else _number(power),
            signalled_current_a=_number(signalled),
            phases=int(phases),
            limit_a=_number(limit),
            limit_source=_member(LimitSource, source),
            limit_node=str(node),
            cp_state=_member(ControlPilotState, pilot),
            contactor=_member(ContactorState, contactor),
            reason=_member(StatusReason, reason),
        )
    for stamp in sorted(samples):
        yield samples[stamp]


def _course(connection: sqlite3.Connection, uuid: str) -> tuple[SessionRecordSample, ...]:
    row = connection.execute('SELECT samples FROM courses WHERE session_uuid = ?', (uuid,)).fetchone()
    return () if row is None else unpack(row[0])


def _time(value: Any) -> Time | None:
    return Time(int(value)) if value else None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _member(members: type[E], name: Any) -> E:
    """Return the member of a name; a later version may have written one that is not known here."""
    return members.__members__.get(str(name), members(0))
