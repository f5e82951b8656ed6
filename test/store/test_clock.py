"""A wall clock that is not set, or set wrongly for a while, destroys nothing (field case ``clock_1970``)."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.types import SessionEvent, Time, TransactionFinished
from evse_manager.store import Entry, SessionStore
from evse_manager.store.clock import DAY_NS, KNOWN_FROM, ClockWatch
from evse_manager.store.database import Database, open_or_replace
from evse_manager.store.schema import APPLICATION_ID, VERSION_1
from store.ledger import rows
from store.owner import EPOCH, PATIENCE_S, SECOND

YEAR_NS = 365 * DAY_NS
IN_1970 = Time(120 * SECOND)
DAYS = 365


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'records.sqlite3'


@pytest.fixture
def file(path: Path) -> Iterator[Database]:
    file, _, _ = open_or_replace(path)
    yield file
    file.close()


def session(number: int, uuid: str, ended: Time) -> Entry:
    """Return a whole session that ended at a time."""
    started = SessionEvent(
        stamp=Time(ended - 60 * SECOND), sequence_number=number, uuid=uuid, event=Event.SESSION_STARTED
    )
    finished = replace(started, stamp=ended, sequence_number=number + 1, event=Event.SESSION_FINISHED)
    return Entry(ended, (started, finished))


def kept(path: Path) -> set[str]:
    return {uuid for (uuid,) in rows(path, 'SELECT uuid FROM sessions')}


def test_the_case_of_the_file_is_the_one_tested_here() -> None:
    cases = yaml.safe_load((Path(__file__).parents[1] / 'data' / 'field_cases.yaml').read_text())['records']
    assert [case['name'] for case in cases] == ['clock_1970']


def test_what_is_younger_by_sequence_stays_whatever_its_stamp_says(file: Database, path: Path) -> None:
    entries = [
        session(1, 'old', Time(EPOCH - 2 * YEAR_NS)),
        session(3, 'last month', Time(EPOCH - 30 * DAY_NS)),
        session(5, 'yesterday, stamped 1970', IN_1970),
    ]
    file.write(entries, PersistedState(), 6)
    for day in range(3):
        file.purge(Time(EPOCH + day * DAY_NS), DAYS)
    assert kept(path) == {'last month', 'yesterday, stamped 1970'}
    assert {number for (number,) in rows(path, 'SELECT sequence_number FROM events')} == {3, 4, 5, 6}


@pytest.mark.parametrize('wrong_on', [0, 1, 2, 3, 4])
def test_a_clock_20_years_ahead_at_the_hour_of_one_purge_deletes_nothing(
    file: Database, path: Path, wrong_on: int
) -> None:
    file.write([session(1, 'recent', Time(EPOCH - 30 * DAY_NS))], PersistedState(), 2)
    for day in range(6):
        ahead = 20 * YEAR_NS if day == wrong_on else 0
        assert file.purge(Time(EPOCH + day * DAY_NS + ahead), DAYS) == 0
    assert kept(path) == {'recent'}


def test_a_purge_repeated_within_the_day_is_one_reading(file: Database, path: Path) -> None:
    file.write([session(1, 'old', Time(EPOCH - 2 * YEAR_NS))], PersistedState(), 2)
    for _ in range(10):
        assert file.purge(EPOCH, DAYS) == 0
    assert file.purge(Time(EPOCH + DAY_NS), DAYS) == 0
    assert file.purge(Time(EPOCH + 2 * DAY_NS), DAYS) > 0
    assert kept(path) == set()


def test_the_readings_of_the_clock_survive_a_restart(file: Database, path: Path) -> None:
    file.write([session(1, 'old', Time(EPOCH - 2 * YEAR_NS))], PersistedState(), 2)
    file.purge(EPOCH, DAYS)
    file.purge(Time(EPOCH + DAY_NS), DAYS)
    again, _, _ = open_or_replace(path)
    assert again.purge(Time(EPOCH + 2 * DAY_NS), DAYS) > 0
    again.close()


def test_the_clock_becomes_known_once() -> None:
    watch = ClockWatch()
    assert watch.shift_ns(Time(5 * SECOND), 1005 * SECOND) is None
    assert watch.shift_ns(Time(9 * SECOND), 1009 * SECOND) is None
    assert watch.shift_ns(EPOCH, 1010 * SECOND) == EPOCH - 10 * SECOND
    assert watch.shift_ns(Time(EPOCH + SECOND), 1011 * SECOND) is None


def test_a_clock_that_was_always_known_corrects_nothing() -> None:
    watch = ClockWatch()
    assert watch.shift_ns(KNOWN_FROM, 0) is None
    assert watch.shift_ns(Time(EPOCH + YEAR_NS), 1) is None


def test_only_stamps_of_this_process_from_before_the_clock_was_set_are_corrected(path: Path) -> None:
    file, _, _ = open_or_replace(path)
    file.write([session(1, 'earlier process', IN_1970)], PersistedState(), 2)
    file.close()
    file, _, _ = open_or_replace(path)
    file.write([session(3, 'in 1970', IN_1970), session(5, 'known', EPOCH)], PersistedState(), 6)
    assert file.correct_stamps(1000 * SECOND + EPOCH) == 3
    file.close()
    assert rows(path, 'SELECT uuid, finished FROM sessions') == [
        ('earlier process', IN_1970),
        ('in 1970', IN_1970 + 1000 * SECOND + EPOCH),
        ('known', EPOCH),
    ]
    assert [stamp for (stamp,) in rows(path, 'SELECT stamp FROM events WHERE sequence_number = 4')] == [
        IN_1970 + 1000 * SECOND + EPOCH
    ]


def test_a_store_corrects_its_stamps_when_the_clock_is_set_and_says_so(path: Path) -> None:
    is_set = False

    def now() -> Time:
        return Time(time.monotonic_ns() % (1000 * SECOND) + (EPOCH if is_set else 0))

    store = SessionStore(path, DAYS, now=now, wake=lambda: None)
    store.open()
    store.keep(session(1, 'a', now()), lambda: None)
    store.flush(PATIENCE_S)
    is_set = True
    store.keep(session(3, 'b', now()), lambda: None)
    store.flush(PATIENCE_S)
    end = time.monotonic() + PATIENCE_S
    while 'clock was not set' not in store.warning and time.monotonic() < end:
        store.keep(Entry(now()), lambda: None)
        store.flush(0.1)
    assert 'clock was not set' in store.warning
    store.close(PATIENCE_S)
    first, second = (finished for (finished,) in rows(path, 'SELECT finished FROM sessions'))
    assert EPOCH <= first <= second


def test_a_file_of_the_first_version_gets_the_new_columns(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(
        f'{VERSION_1} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;'
        " INSERT INTO sessions (uuid) VALUES ('a');"
        " INSERT INTO transactions (session_uuid, start_wh, stop_wh, finished) VALUES ('a', 100, 190, 1);"
    )
    connection.close()
    file, _, warning = open_or_replace(path)
    assert warning == ''
    stop = TransactionFinished(energy_wh=70.0, energy_is_lower_bound=True)
    file.write(
        [
            Entry(
                EPOCH,
                (SessionEvent(EPOCH, 1, 'b', event=Event.TRANSACTION_FINISHED, transaction_finished=stop),),
            )
        ],
        PersistedState(),
        1,
    )
    file.close()
    columns = 'session_uuid, energy_wh, energy_is_lower_bound, energy_is_integrated'
    assert rows(path, f'SELECT {columns} FROM charged') == [('a', 90.0, None, None), ('b', 70.0, 1, 0)]
