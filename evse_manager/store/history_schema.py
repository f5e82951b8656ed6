"""
The tables of the file that holds the finished sessions of all connectors of a host, and their migration.

Columns, units and names are those of a connector's own file (``schema.py``).
"""

APPLICATION_ID = 0x45565348
"""``EVSH`` in the header of the file."""

VERSION_1 = """
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,             -- in the order of their arrival here
    uuid TEXT NOT NULL UNIQUE,
    connector TEXT NOT NULL,
    connector_id INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    started INTEGER NOT NULL,           -- 0: not known
    start_reason TEXT,
    finished INTEGER NOT NULL,
    transaction_started INTEGER,        -- NULL: there was none
    transaction_finished INTEGER,
    stop_reason TEXT,
    token TEXT,
    token_key TEXT,                     -- the token as it is compared
    stop_token TEXT,
    reservation_id INTEGER,
    energy_wh REAL,
    energy_is_lower_bound INTEGER NOT NULL,
    energy_is_integrated INTEGER NOT NULL,
    meter_start_wh REAL,
    meter_stop_wh REAL,
    meter_id TEXT NOT NULL,
    peak_power_w REAL,
    error_count INTEGER NOT NULL
);
CREATE INDEX sessions_by_start ON sessions (started, uuid);
CREATE INDEX sessions_by_connector ON sessions (connector, started, uuid);
CREATE INDEX sessions_by_token ON sessions (token_key, started, uuid);
CREATE INDEX sessions_by_reason ON sessions (stop_reason, started, uuid);
CREATE INDEX sessions_by_finish ON sessions (finished);
CREATE TABLE courses (                  -- meter values and changes, packed as in store/course.py
    session_uuid TEXT PRIMARY KEY REFERENCES sessions (uuid) ON DELETE CASCADE,
    samples BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE events (
    session_uuid TEXT NOT NULL REFERENCES sessions (uuid) ON DELETE CASCADE,
    sequence_number INTEGER NOT NULL,
    stamp INTEGER,
    event TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (session_uuid, sequence_number)
) WITHOUT ROWID;
CREATE TABLE errors (
    id INTEGER PRIMARY KEY,
    session_uuid TEXT NOT NULL REFERENCES sessions (uuid) ON DELETE CASCADE,
    code TEXT NOT NULL,
    vendor_error TEXT NOT NULL,
    raised INTEGER,
    cleared INTEGER,
    ended_by_restart INTEGER NOT NULL
);
CREATE INDEX errors_by_session ON errors (session_uuid);
CREATE TABLE clock_readings (           -- as in a connector's own file
    id INTEGER PRIMARY KEY,
    stamp INTEGER NOT NULL
);
CREATE VIEW charged AS                  -- for people: one line per transaction
    SELECT datetime(transaction_started / 1000000000, 'unixepoch') AS started_utc,
           datetime(transaction_finished / 1000000000, 'unixepoch') AS finished_utc,
           connector,
           token,
           round(energy_wh, 1) AS energy_wh,
           stop_reason,
           uuid AS session_uuid,
           energy_is_lower_bound,
           energy_is_integrated
    FROM sessions WHERE transaction_started IS NOT NULL ORDER BY transaction_started;
"""

MIGRATIONS: tuple[str, ...] = (VERSION_1,)
"""Script number n brings a file from version n to n + 1; a change of the tables appends one."""
