"""
The tables of a file of session records, and the migration of files of earlier versions.

Times are nanoseconds since 1970 UTC, energy is Wh, objects are JSON as in ``codec.py``, enumerations names.
"""

import sqlite3

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

MIGRATIONS: tuple[str, ...] = (VERSION_1, VERSION_2)
"""Script number n brings a file from version n to n + 1; a change of the tables appends one."""


class ForeignFileError(Exception):
    """The file belongs to another program, or to a later version; the text is for people."""


def prepare(connection: sqlite3.Connection) -> None:
    """
    Set up a new file, or migrate an older one.

    Raises
    ------
    ForeignFileError
        When this version must not touch the file.
    sqlite3.Error
        When the file cannot be read or written.

    """
    version = _pragma(connection, 'user_version')
    tables = connection.execute('SELECT count(*) FROM sqlite_master').fetchone()[0]
    if tables and _pragma(connection, 'application_id') != APPLICATION_ID:
        raise ForeignFileError('it is a database of another program')
    if version > len(MIGRATIONS):
        raise ForeignFileError(f'it was written by a later version of this program (records {version})')
    if not tables:
        connection.execute('PRAGMA auto_vacuum = INCREMENTAL')
    connection.execute('PRAGMA journal_mode = WAL')
    connection.execute('PRAGMA journal_size_limit = 1048576')
    connection.execute('PRAGMA foreign_keys = ON')
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(
            f'BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID};'
            f' PRAGMA user_version = {number}; COMMIT'
        )


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f'PRAGMA {name}').fetchone()[0])
