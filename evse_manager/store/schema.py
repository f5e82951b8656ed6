"""
The tables of a file of session records, and the migration of files of earlier versions.

Times are nanoseconds since 1970 UTC, energy is Wh, objects are JSON as in ``codec.py``, enumerations names.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

APPLICATION_ID = 0x45565345
"""``EVSE`` in the header of the file: it identifies files of this package."""

VERSION_1 = """
CREATE TABLE connector (  -- one row: what is in force, and what was open
    one INTEGER PRIMARY KEY CHECK (one = 1),
    enabled INTEGER NOT NULL,
    faulted INTEGER NOT NULL,
    welded INTEGER NOT NULL,
    reservation_id INTEGER,
    external_limits TEXT NOT NULL,
    open_session TEXT,
    alive INTEGER,                      -- when the process that wrote this was last known to be alive
    last_sequence_number INTEGER NOT NULL,
    delivered_sequence_number INTEGER NOT NULL
);
CREATE TABLE sessions (
    uuid TEXT PRIMARY KEY,
    started INTEGER,
    reason TEXT,
    finished INTEGER                    -- NULL while it is open
);
CREATE INDEX sessions_by_finish ON sessions (finished);
CREATE TABLE transactions (             -- at most one per session
    session_uuid TEXT PRIMARY KEY REFERENCES sessions (uuid) ON DELETE CASCADE,
    started INTEGER,
    token TEXT,
    token_details TEXT,
    reservation_id INTEGER,
    start_wh REAL,                      -- NULL: not known
    start_value TEXT,
    finished INTEGER,                   -- NULL while it is open
    stop_reason TEXT,
    stop_id_tag TEXT,
    stop_wh REAL,
    stop_value TEXT
);
CREATE TABLE meter_values (             -- every 30 s of a transaction
    session_uuid TEXT NOT NULL REFERENCES sessions (uuid) ON DELETE CASCADE,
    stamp INTEGER NOT NULL,
    energy_wh REAL,
    power_w REAL,
    current_l1_a REAL,
    current_l2_a REAL,
    current_l3_a REAL,
    PRIMARY KEY (session_uuid, stamp)
) WITHOUT ROWID;
CREATE TABLE errors (
    id INTEGER PRIMARY KEY,
    session_uuid TEXT,                  -- NULL outside a session
    code TEXT NOT NULL,
    vendor_error TEXT NOT NULL,
    raised INTEGER NOT NULL,
    cleared INTEGER,                    -- NULL while it is active
    ended_by_restart INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX active_errors ON errors (cleared);
CREATE TABLE reservations (
    id INTEGER PRIMARY KEY,
    reservation_id INTEGER NOT NULL,
    began INTEGER NOT NULL,
    ended INTEGER,                      -- NULL while it is in force
    session_uuid TEXT                   -- the session that used it
);
CREATE TABLE external_limits (          -- each from its time to the next one's
    id INTEGER PRIMARY KEY,
    stamp INTEGER NOT NULL,
    limits TEXT NOT NULL
);
CREATE TABLE events (                   -- all that was told on session_event, with its number there
    sequence_number INTEGER PRIMARY KEY,
    stamp INTEGER,
    session_uuid TEXT,
    event TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX events_by_stamp ON events (stamp);
CREATE VIEW charged AS                  -- for people: one line per transaction
    SELECT datetime(started / 1000000000, 'unixepoch') AS started_utc,
           datetime(finished / 1000000000, 'unixepoch') AS finished_utc,
           token,
           round(stop_wh - start_wh, 1) AS energy_wh,
           stop_reason,
           session_uuid
    FROM transactions ORDER BY started;
"""

VERSION_2 = """
ALTER TABLE transactions ADD COLUMN energy_wh REAL;               -- NULL: nothing was measured
ALTER TABLE transactions ADD COLUMN energy_is_lower_bound INTEGER;
ALTER TABLE transactions ADD COLUMN energy_is_integrated INTEGER;
CREATE TABLE clock_readings (           -- the newest readings of the clock, one a day: a purge needs three
    id INTEGER PRIMARY KEY,
    stamp INTEGER NOT NULL
);
DROP VIEW charged;
CREATE VIEW charged AS                  -- for people: one line per transaction
    SELECT datetime(started / 1000000000, 'unixepoch') AS started_utc,
           datetime(finished / 1000000000, 'unixepoch') AS finished_utc,
           token,
           round(coalesce(energy_wh, stop_wh - start_wh), 1) AS energy_wh,
           stop_reason,
           session_uuid,
           energy_is_lower_bound,
           energy_is_integrated
    FROM transactions ORDER BY started;
"""

VERSION_3 = """
ALTER TABLE connector ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
ALTER TABLE connector ADD COLUMN connector_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN simulated INTEGER NOT NULL DEFAULT 0;
CREATE TABLE course (                   -- what changed in a session; NULL: not known
    session_uuid TEXT NOT NULL REFERENCES sessions (uuid) ON DELETE CASCADE,
    stamp INTEGER NOT NULL,
    power_w REAL,
    signalled_current_a REAL,
    phases INTEGER,
    limit_a REAL,
    limit_source TEXT,
    limit_node TEXT,
    cp_state TEXT,
    contactor TEXT,
    reason TEXT,
    PRIMARY KEY (session_uuid, stamp)
) WITHOUT ROWID;
CREATE INDEX errors_by_session ON errors (session_uuid);
CREATE INDEX events_by_session ON events (session_uuid);
CREATE VIEW session_records AS          -- one line per session, as in the file of all connectors
    SELECT sessions.uuid AS uuid,
           (SELECT namespace FROM connector) AS connector,
           (SELECT connector_id FROM connector) AS connector_id,
           (SELECT simulated FROM connector) AS simulated,
           coalesce(sessions.started, 0) AS started,
           sessions.reason AS start_reason,
           sessions.finished AS finished,
           transactions.started AS transaction_started,
           transactions.finished AS transaction_finished,
           transactions.stop_reason AS stop_reason,
           transactions.token AS token,
           upper(transactions.token) AS token_key,
           transactions.stop_id_tag AS stop_token,
           transactions.reservation_id AS reservation_id,
           CASE WHEN transactions.finished IS NOT NULL
                THEN coalesce(energy_wh, stop_wh - start_wh) END AS energy_wh,
           energy_is_lower_bound,
           energy_is_integrated,
           start_wh AS meter_start_wh,
           stop_wh AS meter_stop_wh,
           CASE WHEN json_valid(start_value)
                THEN coalesce(json_extract(start_value, '$.meter_id'), '') ELSE '' END AS meter_id,
           (SELECT max(power_w) FROM (
               SELECT max(power_w) AS power_w FROM meter_values WHERE session_uuid = sessions.uuid
               UNION ALL SELECT max(power_w) FROM course WHERE session_uuid = sessions.uuid)
           ) AS peak_power_w,
           (SELECT count(*) FROM errors WHERE session_uuid = sessions.uuid) AS error_count
    FROM sessions LEFT JOIN transactions ON transactions.session_uuid = sessions.uuid;
"""

VERSION_4 = """
ALTER TABLE connector ADD COLUMN owners TEXT NOT NULL DEFAULT '[]';
"""

MIGRATIONS: tuple[str, ...] = (VERSION_1, VERSION_2, VERSION_3, VERSION_4)
"""Script number n brings a file from version n to n + 1; a change of the tables appends one."""


class ForeignFileError(Exception):
    """The file belongs to another program, or to a later version; the text is for people."""


def check(connection: sqlite3.Connection, application_id: int, newest: int) -> int:
    """
    Return the version of a file of ours, 0 when it is new.

    Raises ForeignFileError when this version must not touch the file, sqlite3.Error when it cannot be read.
    """
    version = _pragma(connection, 'user_version')
    tables = connection.execute('SELECT count(*) FROM sqlite_master').fetchone()[0]
    if tables and _pragma(connection, 'application_id') != application_id:
        raise ForeignFileError('it is a database of another program')
    if version > newest:
        raise ForeignFileError(f'it was written by a later version of this program (records {version})')
    return version if tables else 0


def prepare(
    connection: sqlite3.Connection,
    path: Path | None,
    migrations: tuple[str, ...] = MIGRATIONS,
    application_id: int = APPLICATION_ID,
) -> None:
    """
    Set up a new file, or migrate an older one after a copy of it was made beside ``path`` (None = no copy).

    Raises ForeignFileError when this version must not touch the file, sqlite3.Error when it cannot be read or
    written.
    """
    version = check(connection, application_id, len(migrations))
    if not version:
        connection.execute('PRAGMA auto_vacuum = INCREMENTAL')
    elif version < len(migrations) and path is not None:
        back_up(connection, path.with_name(f'{path.name}.version-{version}'))
    connection.execute('PRAGMA journal_mode = WAL')
    connection.execute('PRAGMA journal_size_limit = 1048576')
    connection.execute('PRAGMA foreign_keys = ON')
    for number, script in enumerate(migrations[version:], start=version + 1):
        connection.execute('BEGIN IMMEDIATE')
        try:
            if _pragma(connection, 'user_version') < number:  # else another process was faster
                for statement in statements(script):
                    connection.execute(statement)
                connection.execute(f'PRAGMA application_id = {application_id}')
                connection.execute(f'PRAGMA user_version = {number}')
            connection.execute('COMMIT')
        except BaseException:
            if connection.in_transaction:
                connection.execute('ROLLBACK')
            raise


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script: ``executescript`` would commit before the first."""
    text = ''
    for part in script.split(';'):
        text += f'{part};'
        if sqlite3.complete_statement(text):
            if text.strip(' \n;'):
                yield text
            text = ''


def back_up(connection: sqlite3.Connection, path: Path) -> None:
    """Copy the whole database to ``path``, readable by its owner only; raises sqlite3.Error or OSError."""
    fresh = path.with_name(f'{path.name}.new')
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(fresh)) as copy:
        connection.backup(copy)
    fresh.replace(path)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f'PRAGMA {name}').fetchone()[0])
