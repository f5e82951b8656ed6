"""Finished sessions come into the file of all connectors: once, soon, and without anything waiting for it."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from evse_manager.charging.persisted_state import OpenSession, PersistedState
from evse_manager.interface.enums import ErrorEnum, StartSessionReason
from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.record_requests import ListRecords
from evse_manager.interface.types import Error, SessionStarted, Time
from evse_manager.store import Entry, Identity, SessionStore, archive, clock
from evse_manager.store.archive import Archive
from evse_manager.store.clock import DAY_NS
from evse_manager.store.database import Database, open_or_replace
from evse_manager.store.history import HistoryFile
from evse_manager.store.reading import Reader
from evse_manager.store.record_rows import HISTORY, JOURNAL, whole
from store.ledger import rows
from store.life import Life, token
from store.owner import EPOCH, PATIENCE_S, SECOND, event
from store.sample_records import session

BAY = Identity('/depot/bay_1', 1)
TRIPPED = Error(ErrorEnum.RCD, 'RcdAc: tripped')


def nothing() -> None:
    pass


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, 'GATHER_S', 0.0)
    monkeypatch.setattr(archive, 'RETRY_S', 0.05)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / 'depot.bay_1.sqlite3'


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return tmp_path / 'all-connectors.sqlite3'


@pytest.fixture
def copier(history: Path) -> Iterator[Archive]:
    opened = Archive.attach(history, 365, lambda: EPOCH, nothing)
    yield opened
    opened.detach(nothing)


def charge(journal: Path, seed: int = 0, identity: Identity = BAY) -> None:
    """Leave a file behind as a connector does that has charged."""
    file, remembered, _ = open_or_replace(journal)
    file.identify(identity)
    memory = remembered.memory

    def keep(entry: Entry) -> None:
        nonlocal memory
        memory = file.write([entry], memory, 0)

    life = Life(keep, remembered, seed=seed)
    for action in ('plug', token('ALICE'), 'ask', 'wait', 'wait', 'unplug'):
        life.act(action)
    life.end()
    file.close()


def uuids(path: Path) -> list[str]:
    return [uuid for (uuid,) in rows(path, 'SELECT uuid FROM sessions ORDER BY 1')]


def wait_for(history: Path, count: int) -> None:
    """Wait until so many sessions are there."""
    end = time.monotonic() + PATIENCE_S
    while True:
        with Reader([history], missing_is_empty=True) as reader:
            if len(reader.list(ListRecords()).records) == count:
                return
        assert time.monotonic() < end
        time.sleep(0.01)


def copy(copier: Archive, journal: Path) -> None:
    copier.copy_from(journal)
    assert copier.wait_until_idle(PATIENCE_S), copier.warning


def test_a_session_is_there_whole_with_whose_it_is(journal: Path, history: Path, copier: Archive) -> None:
    charge(journal)
    copy(copier, journal)
    (uuid,) = uuids(journal)
    with closing(sqlite3.connect(journal)) as own, closing(sqlite3.connect(history)) as common:
        here, there = whole(own, JOURNAL, uuid), whole(common, HISTORY, uuid)
    assert here is not None
    assert here == there
    assert here.connector == '/depot/bay_1'
    assert here.token == 'ALICE'
    assert here.energy_wh is not None
    assert len(here.samples) >= 2
    assert [each.event for each in here.events][:2] == [Event.SESSION_STARTED, Event.AUTH_REQUIRED]


def test_nothing_is_copied_twice(journal: Path, history: Path, copier: Archive) -> None:
    charge(journal)
    copy(copier, journal)
    copy(copier, journal)
    again = Archive(history, 365, lambda: EPOCH)  # another process, or the next one
    copy(again, journal)
    assert uuids(history) == uuids(journal)
    assert len(rows(history, 'SELECT 1 FROM events')) == len(
        rows(journal, 'SELECT 1 FROM events WHERE session_uuid IS NOT NULL')
    )


def session_with_an_error(file: Database) -> PersistedState:
    """Write a session that has ended while its error is active; return the state in force."""
    began = replace(
        event(1, Event.SESSION_STARTED), memory=PersistedState(session=OpenSession('a')), errors=(TRIPPED,)
    )
    return file.write(
        [began, replace(event(2, Event.SESSION_FINISHED), memory=PersistedState())], PersistedState(), 0
    )


def test_the_file_of_all_is_opened_only_when_something_has_ended(
    journal: Path, history: Path, copier: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    class Counted(HistoryFile):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            super().__init__(path)

    monkeypatch.setattr(archive, 'HistoryFile', Counted)
    HistoryFile(history).close()
    file, _, _ = open_or_replace(journal)
    copy(copier, journal)
    assert opened == [], 'the connector has no session yet'
    memory = session_with_an_error(file)
    copy(copier, journal)
    assert opened == [history]
    assert rows(history, 'SELECT cleared IS NULL FROM errors') == [(1,)]
    copy(copier, journal)
    assert opened == [history], 'the error lasts'
    memory = file.write([replace(event(3), errors=())], memory, 0)
    copy(copier, journal)
    assert opened == [history, history]
    assert rows(history, 'SELECT cleared FROM errors') == [(EPOCH + 3 * SECOND,)]
    copy(copier, journal)
    assert opened == [history, history]
    file.close()


@pytest.mark.parametrize('restarted', [False, True], ids=['it clears', 'the process is restarted'])
def test_the_end_of_an_error_that_outlasts_its_session_is_noted_soon(
    journal: Path, history: Path, restarted: bool
) -> None:
    store = SessionStore(journal, 365, now=lambda: EPOCH, wake=lambda: None, identity=BAY, history=history)
    store.open()
    began = replace(
        event(1, Event.SESSION_STARTED), memory=PersistedState(session=OpenSession('a')), errors=(TRIPPED,)
    )
    store.keep(began, nothing)
    store.keep(replace(event(2, Event.SESSION_FINISHED), memory=PersistedState()), nothing)
    store.flush(PATIENCE_S)
    wait_for(history, 1)
    assert rows(history, 'SELECT cleared FROM errors') == [(None,)]
    if restarted:
        store.close(PATIENCE_S)
        store = SessionStore(
            journal, 365, now=lambda: EPOCH, wake=lambda: None, identity=BAY, history=history
        )
        store.open()
    store.keep(event(3) if restarted else replace(event(3), errors=()), nothing)
    store.flush(PATIENCE_S)
    end = time.monotonic() + PATIENCE_S
    while (noted := rows(history, 'SELECT cleared, ended_by_restart FROM errors')) == [(None, 0)]:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert noted == [(EPOCH + 3 * SECOND, int(restarted))]
    store.close(PATIENCE_S)


def test_an_error_that_ended_while_no_process_copied_is_noted_by_the_next(
    journal: Path, history: Path, copier: Archive
) -> None:
    file, _, _ = open_or_replace(journal)
    memory = session_with_an_error(file)
    copy(copier, journal)
    file.write([replace(event(3), errors=())], memory, 0)
    file.close()
    copy(Archive(history, 365, lambda: EPOCH), journal)
    assert rows(history, 'SELECT cleared FROM errors') == [(EPOCH + 3 * SECOND,)]


def test_an_open_session_stays_out_until_it_has_finished(
    journal: Path, history: Path, copier: Archive
) -> None:
    file, _, _ = open_or_replace(journal)
    memory = PersistedState(session=OpenSession('a'))
    file.write([replace(event(1, Event.SESSION_STARTED), memory=memory)], PersistedState(), 0)
    copy(copier, journal)
    assert not history.exists()
    file.write([replace(event(2, Event.SESSION_FINISHED), memory=PersistedState())], memory, 0)
    copy(copier, journal)
    assert uuids(history) == ['a']
    file.close()


def test_a_store_hands_its_finished_sessions_over(journal: Path, history: Path) -> None:
    store = SessionStore(journal, 365, now=lambda: EPOCH, wake=lambda: None, identity=BAY, history=history)
    store.open()
    for number, kind in ((1, Event.SESSION_STARTED), (2, Event.SESSION_FINISHED)):
        store.keep(event(number, kind), lambda: None)
    store.flush(PATIENCE_S)
    wait_for(history, 1)
    store.close(PATIENCE_S)
    assert rows(history, 'SELECT connector, connector_id, simulated FROM sessions') == [
        ('/depot/bay_1', 1, 0)
    ]
    assert history.stat().st_mode & 0o777 == 0o600


def test_what_a_kill_kept_back_is_copied_by_the_next_process(journal: Path, history: Path) -> None:
    charge(journal)
    assert not history.exists()
    store = SessionStore(journal, 365, now=lambda: EPOCH, wake=lambda: None, identity=BAY, history=history)
    store.open()
    wait_for(history, 1)
    assert uuids(history) == uuids(journal)
    store.close(PATIENCE_S)


def test_a_process_has_one_thread_for_all_its_connectors(tmp_path: Path, history: Path) -> None:
    first, second = (Archive.attach(history, 365, lambda: EPOCH, nothing) for _ in range(2))
    assert first is second
    first.detach(nothing)
    second.detach(nothing)
    third = Archive.attach(history, 365, lambda: EPOCH, nothing)
    assert third is not first
    third.detach(nothing)


def test_a_file_that_another_process_writes_delays_nothing_but_the_copy(journal: Path, history: Path) -> None:
    """A worker that is stopped in the middle of a commit holds the file of all, and no connector waits."""
    HistoryFile(history).close()
    with closing(sqlite3.connect(history, isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')
        store = SessionStore(
            journal, 365, now=lambda: EPOCH, wake=lambda: None, identity=BAY, history=history
        )
        store.open()
        told: list[int] = []
        slowest = 0.0
        for number in range(1, 21):
            kind = Event.SESSION_STARTED if number % 2 else Event.SESSION_FINISHED
            begun = time.monotonic()
            store.keep(event(number, kind, uuid=str((number - 1) // 2)), lambda: told.append(1))
            store.flush(PATIENCE_S)
            slowest = max(slowest, time.monotonic() - begun)
        assert len(told) == 20
        assert slowest < 0.9
        other.execute('ROLLBACK')
    wait_for(history, 10)
    store.close(PATIENCE_S)


def test_a_damaged_file_is_kept_and_begun_again_with_what_the_connectors_have(
    journal: Path, history: Path, copier: Archive
) -> None:
    charge(journal)
    history.write_bytes(b'SQLite format 3\0' + os.urandom(5000))
    copy(copier, journal)
    assert uuids(history) == uuids(journal)
    assert 'was damaged' in copier.warning
    assert len(list(history.parent.glob('all-connectors.sqlite3.bad-*'))) == 1


def test_a_file_of_a_later_version_is_left_alone_and_said(
    journal: Path, history: Path, copier: Archive
) -> None:
    HistoryFile(history).close()
    with closing(sqlite3.connect(history)) as other:
        other.execute('PRAGMA user_version = 99')
    charge(journal)
    copier.copy_from(journal)
    end = time.monotonic() + PATIENCE_S
    while 'later version' not in copier.warning:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert uuids(history) == []


def test_stamps_of_a_clock_that_is_not_set_wait_for_their_correction(journal: Path, history: Path) -> None:
    charge(journal)
    early = Archive(history, 365, lambda: Time(1))
    copy(early, journal)
    assert not history.exists()


def test_a_connectors_own_file_gives_up_after_a_month_what_the_other_has(
    journal: Path, history: Path
) -> None:
    file, _, _ = open_or_replace(journal)
    started = Time(EPOCH - 60 * DAY_NS)
    begun = replace(
        event(1, Event.SESSION_STARTED).events[0],
        stamp=started,
        session_started=SessionStarted(started, StartSessionReason.EV_CONNECTED),
    )
    entries = [
        Entry(started, (begun,)),
        Entry(started, (replace(begun, event=Event.SESSION_FINISHED, sequence_number=2),)),
    ]
    file.write(entries, PersistedState(), 2)
    for day in range(3):
        file.purge(Time(EPOCH + day * DAY_NS), 365, archived=0)
    assert uuids(journal) == ['a']
    for day in range(3, 6):
        file.purge(Time(EPOCH + day * DAY_NS), 365, archived=1)
    assert uuids(journal) == []
    assert rows(journal, 'SELECT 1 FROM events') == []
    file.close()
    assert clock.ARCHIVED_DAYS == 30


def test_the_file_of_all_gives_up_what_is_older_than_it_is_to_keep(history: Path) -> None:
    file = HistoryFile(history)
    file.add([session(0), session(20)])
    for day in range(3):
        file.purge(Time(EPOCH + (40 + day) * DAY_NS), 30)
    assert uuids(history) == [session(20).uuid]
    assert {uuid for (uuid,) in rows(history, 'SELECT session_uuid FROM events')} == {session(20).uuid}
    assert len(rows(history, 'SELECT 1 FROM courses')) == 1
    file.close()
