"""
The file with the finished sessions of all connectors of a host.

Every process of the host may add to it; a session is added once, whoever comes first.  What it holds came
from the connectors' own files and is durable there, so that a commit here need not wait for the disk.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from evse_manager.interface.tokens import normal_form
from evse_manager.interface.types import SessionRecord, Time
from evse_manager.store import clock
from evse_manager.store.codec import encode
from evse_manager.store.course import pack
from evse_manager.store.history_schema import APPLICATION_ID, MIGRATIONS
from evse_manager.store.schema import prepare

BUSY_S = 10.0
"""Longest time that a write waits for another process of the host; nothing else waits for it, in seconds."""

SESSIONS: clock.Purged = ('sessions', 'id', 'finished', '')


class HistoryFile:
    """
    The open file.

    Every method raises sqlite3.Error or OSError when it fails, and has changed nothing then.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises ForeignFileError when it must not be touched."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # tokens are secrets
        self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            prepare(self._connection, path, MIGRATIONS, APPLICATION_ID)
            self._connection.execute('PRAGMA synchronous = NORMAL')
        except BaseException:
            self._connection.close()
            raise

    def missing(self, uuids: Iterable[str]) -> list[str]:
        """Return those sessions that are not in the file."""
        found = 'SELECT 1 FROM sessions WHERE uuid = ?'
        return [uuid for uuid in uuids if self._connection.execute(found, (uuid,)).fetchone() is None]

    def add(self, records: Sequence[SessionRecord]) -> None:
        """Add finished sessions in one commit; one that is there already stays as it is."""
        self._connection.execute('BEGIN IMMEDIATE')
        try:
            for record in records:
                _add(self._connection, record)
            self._connection.execute('COMMIT')
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute('ROLLBACK')
            raise

    def with_active_errors(self) -> list[str]:
        """Return the sessions with an error that had not ended when they were added."""
        found = self._connection.execute('SELECT DISTINCT session_uuid FROM errors WHERE cleared IS NULL')
        return [uuid for (uuid,) in found]

    def end_errors(self, record: SessionRecord) -> None:
        """Note when errors of a session ended that were active when it was added."""
        self._connection.executemany(
            'UPDATE errors SET cleared = ?, ended_by_restart = ? WHERE session_uuid = ? AND code = ?'
            ' AND vendor_error = ? AND raised = ? AND cleared IS NULL',
            [
                (
                    each.cleared,
                    each.ended_by_restart,
                    record.uuid,
                    each.error.error_code.name,
                    each.error.vendor_error,
                    each.raised,
                )
                for each in record.errors
                if each.cleared is not None
            ],
        )

    def purge(self, now: Time, days: int) -> int:
        """Delete what finished more than ``days`` ago and free the space; return the number of sessions."""
        self._connection.execute('BEGIN IMMEDIATE')
        try:
            deleted = clock.purge(self._connection, now, days, (SESSIONS,))
            self._connection.execute('COMMIT')
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute('ROLLBACK')
            raise
        self._connection.executescript('PRAGMA incremental_vacuum(4096)')
        return deleted

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _add(connection: sqlite3.Connection, record: SessionRecord) -> None:
    added = connection.execute(
        'INSERT OR IGNORE INTO sessions (uuid, connector, connector_id, simulated, started, start_reason,'
        ' finished, transaction_started, transaction_finished, stop_reason, token, token_key, stop_token,'
        ' reservation_id, energy_wh, energy_is_lower_bound, energy_is_integrated, meter_start_wh,'
        ' meter_stop_wh, meter_id, peak_power_w, error_count)'
        ' VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        (
            record.uuid,
            record.connector,
            record.connector_id,
            record.simulated,
            record.started or 0,
            record.start_reason.name if record.start_reason else None,
            record.finished,
            record.transaction_started,
            record.transaction_finished,
            record.stop_reason.name if record.stop_reason else None,
            record.token or None,
            normal_form(record.token) or None,
            record.stop_token or None,
            record.reservation_id,
            record.energy_wh,
            record.energy_is_lower_bound,
            record.energy_is_integrated,
            record.meter_start_wh,
            record.meter_stop_wh,
            record.meter_id,
            record.peak_power_w,
            record.error_count,
        ),
    ).rowcount
    if not added:
        return
    if record.samples:
        connection.execute('INSERT INTO courses VALUES (?, ?)', (record.uuid, pack(record.samples)))
    connection.executemany(
        'INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)',
        [
            (record.uuid, each.sequence_number, each.stamp, each.event.name, encode(each))
            for each in record.events
        ],
    )
    connection.executemany(
        'INSERT INTO errors (session_uuid, code, vendor_error, raised, cleared, ended_by_restart)'
        ' VALUES (?, ?, ?, ?, ?, ?)',
        [
            (
                record.uuid,
                each.error.error_code.name,
                each.error.vendor_error,
                each.raised,
                each.cleared,
                each.ended_by_restart,
            )
            for each in record.errors
        ],
    )
