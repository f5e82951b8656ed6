"""Lists in pages, whole sessions, and files that are no good."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from evse_manager.charging.persisted_state import OpenSession, PersistedState
from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.enums import StopTransactionReason
from evse_manager.interface.record_requests import GetRecord, ListRecords
from evse_manager.interface.types import SessionRecord, Time
from evse_manager.store import Entry, Identity
from evse_manager.store.database import Database, open_or_replace
from evse_manager.store.history import HistoryFile
from evse_manager.store.reading import Reader, RecordsError, files_in, open_file
from evse_manager.store.schema import APPLICATION_ID, MIGRATIONS, VERSION_1, VERSION_2
from store.ledger import rows
from store.owner import EPOCH, SECOND, event
from store.sample_records import session, sessions
from store.test_session_store import without_the_rights_of_root

COUNT = 240


@pytest.fixture(scope='module')
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('records') / 'all-connectors.sqlite3'
    file = HistoryFile(path)
    file.add(list(sessions(COUNT)))
    file.close()
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    with Reader([path]) as reader:
        yield reader


def everything(reader: Reader, wanted: ListRecords) -> list[SessionRecord]:
    """Return all pages."""
    found: list[SessionRecord] = []
    while True:
        page = reader.list(wanted)
        found += page.records
        if not page.next_page:
            return found
        assert len(page.records) == (wanted.page_size or 50)
        wanted = replace(wanted, page=page.next_page)


@pytest.mark.parametrize('oldest_first', [False, True])
@pytest.mark.parametrize('size', [0, 1, 7, 100])
def test_pages_have_every_session_once_in_order(reader: Reader, size: int, oldest_first: bool) -> None:
    found = everything(reader, ListRecords(page_size=size, oldest_first=oldest_first))
    keys = [(record.started or 0, record.uuid) for record in found]
    assert keys == sorted(keys, reverse=not oldest_first)
    assert {record.uuid for record in found} == {record.uuid for record in sessions(COUNT)}
    assert len(found) == COUNT


def test_a_list_leaves_out_what_is_long_and_masks_tokens(reader: Reader) -> None:
    (record,) = reader.list(ListRecords(page_size=1)).records
    assert (record.events, record.errors, record.samples) == ((), (), ())
    shown = {each.token for each in everything(reader, ListRecords())}
    assert shown == {'**********B2C3', '****7788', ''}
    (clear,) = reader.list(ListRecords(page_size=1, show_tokens=True, token='bob-7788')).records
    assert clear.token == 'BOB-7788'


@pytest.mark.parametrize(
    ('wanted', 'fits'),
    [
        (ListRecords(connector='/depot/bay_2'), lambda each: each.connector == '/depot/bay_2'),
        (ListRecords(connector='*'), lambda each: True),
        (ListRecords(connector='/depot/bay_9'), lambda each: False),
        (ListRecords(token='alice-04a1b2c3'), lambda each: each.token == 'ALICE-04A1B2C3'),
        (
            ListRecords(stop_reason=StopTransactionReason.REMOTE),
            lambda each: each.stop_reason is StopTransactionReason.REMOTE,
        ),
        (
            ListRecords(since=Time(EPOCH + 86400 * SECOND), until=Time(EPOCH + 3 * 86400 * SECOND)),
            lambda each: EPOCH + 86400 * SECOND <= each.started < EPOCH + 3 * 86400 * SECOND,
        ),
    ],
    ids=['connector', 'every connector', 'nobody', 'token', 'reason', 'time'],
)
def test_filters_choose(reader: Reader, wanted: ListRecords, fits: object) -> None:
    expected = {each.uuid for each in sessions(COUNT) if fits(each)}  # type: ignore[operator]
    assert {each.uuid for each in everything(reader, wanted)} == expected


def test_a_session_comes_back_whole_in_pages(tmp_path: Path) -> None:
    path, long = tmp_path / 'all.sqlite3', session(hours=8.0)
    file = HistoryFile(path)
    file.add([long])
    file.close()
    with Reader([path]) as reader:
        parts = []
        page = ''
        while True:
            answer = reader.get(GetRecord(long.uuid[:8], page, show_tokens=True))
            parts.append(answer.records[0])
            page = answer.next_page
            if not page:
                break
    assert len(parts) == 3
    assert all(len(part.samples) <= 400 for part in parts)
    joined = replace(
        parts[0],
        events=tuple(each for part in parts for each in part.events),
        errors=tuple(each for part in parts for each in part.errors),
        samples=tuple(each for part in parts for each in part.samples),
    )
    assert joined == long


def test_the_tokens_of_the_events_are_masked_too(reader: Reader) -> None:
    known = next(sessions(1))
    (record,) = reader.get(GetRecord(known.uuid)).records
    assert record.events
    assert 'ALICE' not in repr(record)


@pytest.mark.parametrize(
    ('wanted', 'why'),
    [
        (ListRecords(page_size=101), 'page_size must be 1 to 100'),
        (ListRecords(page_size=-1), 'page_size must be 1 to 100'),
        (ListRecords(page='garbage'), 'page must be the next_page'),
        (ListRecords(page='9' * 40 + ':x'), 'page must be the next_page'),
        (GetRecord('abc'), 'at least its first 8 characters'),
        (GetRecord('00000000-none'), 'there is no session 00000000-none'),
        (GetRecord('%%%%%%%%%'), 'there is no session'),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_a_sentence(
    reader: Reader, wanted: ListRecords | GetRecord, why: str
) -> None:
    with pytest.raises(RecordsError, match=why):
        reader.list(wanted) if isinstance(wanted, ListRecords) else reader.get(wanted)


def test_a_beginning_that_two_sessions_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'all.sqlite3'
    file = HistoryFile(path)
    file.add([replace(session(number), uuid=f'aaaaaaaa-{number}') for number in range(2)])
    file.close()
    with Reader([path]) as reader:
        with pytest.raises(RecordsError, match='several sessions'):
            reader.whole('aaaaaaaa')
        assert reader.whole('aaaaaaaa-1').uuid == 'aaaaaaaa-1'


# --- several files ----------------------------------------------------------------------------------------


def own_file(path: Path, *entries: Entry, open_session: str = '') -> Database:
    file, _, _ = open_or_replace(path)
    file.identify(Identity('/evse_1', 1))
    memory = PersistedState(session=OpenSession(open_session) if open_session else None)
    file.write(entries, memory, 0)
    return file


def test_an_open_session_comes_from_the_connectors_own_file_and_none_comes_twice(tmp_path: Path) -> None:
    own, common = tmp_path / 'evse_1.sqlite3', tmp_path / 'all-connectors.sqlite3'
    file = own_file(
        own,
        event(1, Event.SESSION_STARTED, 'aaaaaaaa'),
        event(2, Event.SESSION_FINISHED, 'aaaaaaaa'),
        event(3, Event.SESSION_STARTED, 'bbbbbbbb'),
        open_session='bbbbbbbb',
    )
    history = HistoryFile(common)
    with Reader([own]) as reader:
        history.add([reader.whole('aaaaaaaa')])
    history.close()
    with Reader([own, common]) as reader:
        records = everything(reader, ListRecords())
        assert sorted(record.uuid for record in records) == ['aaaaaaaa', 'bbbbbbbb']
        assert [record.finished is None for record in sorted(records, key=lambda each: each.uuid)] == [
            False,
            True,
        ]
    file.close()


def test_a_file_may_be_read_while_it_is_written(tmp_path: Path) -> None:
    file = own_file(tmp_path / 'evse_1.sqlite3', event(1, Event.SESSION_STARTED, 'aaaaaaaa'))
    with Reader([tmp_path / 'evse_1.sqlite3']) as reader:
        file.write([event(2, Event.SESSION_FINISHED, 'aaaaaaaa')], PersistedState(), 0)
        assert reader.list(ListRecords()).records[0].finished is not None
    file.close()


def test_a_file_that_does_not_exist_yet_is_empty_where_that_is_meant(tmp_path: Path) -> None:
    begun = tmp_path / 'begun.sqlite3'
    begun.touch()
    with Reader([tmp_path / 'none.sqlite3', begun], missing_is_empty=True) as reader:
        assert reader.list(ListRecords()).records == ()


def test_real_and_simulated_boards_have_files_of_their_own(tmp_path: Path) -> None:
    for name in ('evse_1', 'evse_1-simulated', 'all-connectors', 'all-connectors-simulated'):
        (tmp_path / f'{name}.sqlite3').touch()
    (tmp_path / 'depot.limits.json').touch()
    (tmp_path / 'evse_1.sqlite3.version-2').touch()
    assert [path.stem for path in files_in(tmp_path, simulated=False)] == ['all-connectors', 'evse_1']
    assert [path.stem for path in files_in(tmp_path, simulated=True)] == [
        'all-connectors-simulated',
        'evse_1-simulated',
    ]


# --- files that are no good, or of another version ----------------------------------------------------------


def test_no_file_garbage_and_the_files_of_others_are_refused(tmp_path: Path) -> None:
    garbage, empty, foreign = (tmp_path / name for name in ('garbage.sqlite3', 'empty', 'foreign'))
    garbage.write_bytes(os.urandom(5000))
    empty.touch()
    with closing(sqlite3.connect(foreign)) as other, other:
        other.execute('CREATE TABLE precious (a)')
    for path, why in (
        (tmp_path / 'none', 'there is no such file'),
        (tmp_path, 'there is no such file'),
        (garbage, 'no file of session records, or it is damaged'),
        (empty, 'there are no session records in it'),
        (foreign, 'it is no file of session records'),
    ):
        with pytest.raises(RecordsError, match=why):
            open_file(path)
    assert foreign.exists()


@pytest.mark.parametrize('part', [0.3, 0.9])
def test_a_file_cut_short_is_refused_in_a_sentence(tmp_path: Path, path: Path, part: float) -> None:
    cut = tmp_path / 'cut.sqlite3'
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])

    def read() -> None:
        with Reader([cut]) as reader:
            for record in everything(reader, ListRecords()):
                reader.whole(record.uuid)

    with pytest.raises(RecordsError, match='damaged'):
        read()


@pytest.mark.parametrize('name', ['all-connectors', 'evse_1'])
def test_a_file_of_a_later_version_is_refused_and_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / f'{name}.sqlite3'
    (HistoryFile(path) if name == 'all-connectors' else open_or_replace(path)[0]).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute('PRAGMA user_version = 99')
    with pytest.raises(RecordsError, match=r'written by a later version of this program \(records 99\)'):
        open_file(path)


def old_file(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for script in (VERSION_1, VERSION_2)[:version]:
            connection.executescript(script)
        connection.execute(f'PRAGMA application_id = {APPLICATION_ID}')
        connection.execute(f'PRAGMA user_version = {version}')
        connection.execute("INSERT INTO connector VALUES (1, 0, 0, 0, NULL, '{}', NULL, NULL, 5, 5)")
        connection.execute("INSERT INTO sessions VALUES ('aaaaaaaa', 77, 'AUTHORIZED', 99)")
        connection.execute(
            'INSERT INTO transactions (session_uuid, started, token, start_wh, finished, stop_wh)'
            " VALUES ('aaaaaaaa', 78, 'ALICE', 100.0, 98, 140.0)"
        )


@pytest.mark.parametrize('version', [1, 2])
def test_a_file_of_an_earlier_version_is_read_as_it_is(tmp_path: Path, version: int) -> None:
    path = tmp_path / 'evse_1.sqlite3'
    old_file(path, version)
    before = path.read_bytes()
    with Reader([path]) as reader:
        (record,) = reader.list(ListRecords(show_tokens=True)).records
    assert (record.token, record.energy_wh) == ('ALICE', 40.0)
    assert path.read_bytes() == before


@pytest.mark.parametrize('version', [1, 2])
def test_a_writer_brings_an_earlier_file_up_to_date_and_keeps_a_copy(tmp_path: Path, version: int) -> None:
    path = tmp_path / 'evse_1.sqlite3'
    old_file(path, version)
    file, remembered, warning = open_or_replace(path)
    assert warning == ''
    assert remembered.memory.enabled is False
    assert remembered.last_sequence_number == 5
    file.close()
    assert rows(path, 'PRAGMA user_version') == [(len(MIGRATIONS),)]
    copy = path.with_name(f'{path.name}.version-{version}')
    assert rows(copy, 'PRAGMA user_version') == [(version,)]
    assert rows(copy, 'SELECT uuid FROM sessions') == [('aaaaaaaa',)]
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob('*.new'))


READ_ONLY = """
    from evse_manager.store.reading import Reader
    from evse_manager.interface.record_requests import ListRecords
    with Reader([Path(sys.argv[1])]) as reader:
        print(len(reader.list(ListRecords()).records))
"""


@pytest.mark.parametrize('with_log', [False, True])
def test_a_file_that_may_only_be_read_is_read(with_log: bool) -> None:

    with TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        path = place / 'evse_1.sqlite3'
        file = own_file(path, event(1, Event.SESSION_STARTED, 'aaaaaaaa'))
        if not with_log:
            file.close()
        for each in place.iterdir():
            each.chmod(0o444)
        place.chmod(0o555)
        assert without_the_rights_of_root(READ_ONLY, path) == '1\n'
        place.chmod(0o755)
        if with_log:
            file.close()


def test_a_file_without_the_right_to_read_says_so(tmp_path: Path) -> None:
    script = """
    from evse_manager.store.reading import RecordsError, open_file
    try:
        open_file(Path(sys.argv[1]))
    except RecordsError as error:
        print(error)
    """

    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / 'evse_1.sqlite3'
        HistoryFile(path).close()
        path.chmod(0o600)
        assert 'can not be read: Permission denied' in without_the_rights_of_root(script, path)
