"""
Protection against a wrong wall clock: one reading neither purges records nor leaves them stamped 1970.

A machine without a battery starts in 1970 until its clock is set, and a clock may be set wrongly for a while.
Purging needs several readings, and keeps what is younger by sequence; stamps from before the clock was set
are corrected once it is.
"""

import sqlite3
from dataclasses import dataclass

from evse_manager.interface.types import SECOND_NS, Time

DAY_NS = 86400 * SECOND_NS

KNOWN_FROM = Time(1_735_689_600 * SECOND_NS)
"""1 January 2025: a clock that reads earlier has not been set."""

READINGS = 3
READING_EVERY_NS = 20 * 3600 * SECOND_NS
"""A purge uses the lowest of the newest three readings, each of them on another day."""

YOUNG = """
    (SELECT min({order}) FROM {table} WHERE {ended} BETWEEN :limit AND :now)
"""

Purged = tuple[str, str, str, str]
"""Table, column that orders its rows, column of the time of their end, and a further condition."""

SESSIONS: Purged = ('sessions', 'rowid', 'finished', '')
ARCHIVED: Purged = ('sessions', 'rowid', 'finished', ' AND rowid <= :archived')

ARCHIVED_DAYS = 30
"""How long a connector's own file keeps a session that the file of all connectors has, too."""

PURGED: tuple[Purged, ...] = (
    SESSIONS,
    ('errors', 'id', 'cleared', ''),
    ('reservations', 'id', 'ended', ''),
    ('external_limits', 'id', 'stamp', ' AND id < (SELECT max(id) FROM external_limits)'),
    (
        'events',
        'sequence_number',
        'stamp',
        ' AND sequence_number <= (SELECT delivered_sequence_number FROM connector)',
    ),
)

STAMPS = (
    ('sessions', 'rowid', ('started', 'finished')),
    ('transactions', 'rowid', ('started', 'finished')),
    ('errors', 'id', ('raised', 'cleared')),
    ('reservations', 'id', ('began', 'ended')),
    ('external_limits', 'id', ('stamp',)),
    ('events', 'sequence_number', ('stamp',)),
)
"""Table, column that orders its rows, and columns with times."""

Marks = dict[str, int]
"""Newest row of each table."""


def purge(
    connection: sqlite3.Connection,
    now: Time,
    days: int,
    tables: tuple[Purged, ...] = PURGED,
    archived: int = 0,
) -> int:
    """
    Delete what ended more than ``days`` days ago; return the number of deleted rows.

    The age is that by the lowest of the last ``READINGS`` readings of the clock; before there are as many,
    nothing is deleted.  A row stays while one before it is young enough to stay, whatever its stamp says.
    Sessions up to row ``archived`` go after ``ARCHIVED_DAYS``, with their events.
    """
    newest = connection.execute('SELECT stamp FROM clock_readings ORDER BY id DESC').fetchone()
    if newest is None or abs(now - newest[0]) >= READING_EVERY_NS:
        connection.execute('INSERT INTO clock_readings (stamp) VALUES (?)', (now,))
    readings = [
        stamp
        for (stamp,) in connection.execute(
            'SELECT stamp FROM clock_readings ORDER BY id DESC LIMIT ?', (READINGS,)
        )
    ]
    connection.execute(
        'DELETE FROM clock_readings WHERE id <= (SELECT max(id) FROM clock_readings) - ?', (READINGS,)
    )
    if len(readings) < READINGS:
        return 0
    believed = min(readings)
    times = {'limit': believed - days * DAY_NS, 'now': believed}
    deleted = sum(_delete(connection, each, times) for each in tables)
    if archived and days > ARCHIVED_DAYS:
        times = {'limit': believed - ARCHIVED_DAYS * DAY_NS, 'now': believed, 'archived': archived}
        deleted += _delete(connection, ARCHIVED, times)
        deleted += connection.execute(
            'DELETE FROM events WHERE stamp < :limit AND session_uuid NOT IN (SELECT uuid FROM sessions)'
            ' AND sequence_number <= (SELECT delivered_sequence_number FROM connector)',
            times,
        ).rowcount
    return deleted


def _delete(connection: sqlite3.Connection, purged: Purged, times: dict[str, int]) -> int:
    """Delete the rows of a table that ended before the limit; return how many."""
    table, order, ended, further = purged
    young = YOUNG.format(table=table, order=order, ended=ended)
    where = f'{ended} < :limit AND {order} < coalesce({young}, {order} + 1){further}'
    return connection.execute(f'DELETE FROM {table} WHERE {where}', times).rowcount


def marks(connection: sqlite3.Connection) -> Marks:
    """Return the newest row of each table, so that later ones can be recognized."""
    return {
        table: connection.execute(f'SELECT coalesce(max({order}), 0) FROM {table}').fetchone()[0]
        for table, order, _ in STAMPS
    }


def correct(connection: sqlite3.Connection, since: Marks, shift_ns: int) -> int:
    """
    Add ``shift_ns`` to the stamps of an unknown clock in rows after ``since``; return how many changed.

    The end of an older row is corrected too when it lies before its beginning.  The events themselves
    (``events.record``) stay as they were published.
    """
    corrected = 0
    for table, order, columns in STAMPS:
        begun = columns[0]
        for column in columns:
            older = f' OR {begun} >= :known' if column != begun else ''
            corrected += connection.execute(
                f'UPDATE {table} SET {column} = {column} + :shift'
                f' WHERE {column} < :known AND ({order} > :since{older})',
                {'shift': shift_ns, 'known': KNOWN_FROM, 'since': since[table]},
            ).rowcount
    for table in ('meter_values', 'course'):
        corrected += connection.execute(
            f'UPDATE OR IGNORE {table} SET stamp = stamp + :shift WHERE stamp < :known AND session_uuid IN'
            ' (SELECT uuid FROM sessions WHERE rowid > :since)',
            {'shift': shift_ns, 'known': KNOWN_FROM, 'since': since['sessions']},
        ).rowcount
    return corrected


@dataclass(slots=True)
class ClockWatch:
    """Finds out when a clock that was unknown becomes known; clocks in nanoseconds."""

    _offset_ns: int | None = None

    def shift_ns(self, wall: Time, monotonic_ns: int) -> int | None:
        """Return once by how much the clock was wrong, when it becomes known; else ``None``."""
        offset, before = wall - monotonic_ns, self._offset_ns
        if wall < KNOWN_FROM:
            self._offset_ns = offset
            return None
        self._offset_ns = None
        return None if before is None else offset - before
