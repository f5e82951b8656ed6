"""The rows: what becomes of each kind of entry, how long it stays, and how it comes back."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import IntEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_manager.charging.persisted_state import OpenSession, OpenTransaction, PersistedState
from evse_manager.interface.enums import ErrorEnum, StartSessionReason, StopTransactionReason
from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.types import (
    Current,
    Energy,
    Error,
    Power,
    Powermeter,
    ProvidedIdToken,
    SessionEvent,
    SessionStarted,
    Time,
    TransactionFinished,
    TransactionStarted,
)
from evse_manager.store import Entry, location
from evse_manager.store.clock import DAY_NS
from evse_manager.store.codec import DecodeError, decode, encode
from evse_manager.store.database import Database, open_or_replace
from evse_manager.store.records_sql import is_durable
from store.ledger import rows
from store.owner import EPOCH, SECOND, event


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Return every value of a type hint."""
    if isinstance(hint, NewType):
        hint = hint.__supertype__
    if get_origin(hint) in (UnionType, Union):
        return st.one_of(*map(values, get_args(hint)))
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=2).map(tuple)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: values(hints[field.name]) for field in fields(hint)})
    if issubclass(hint, IntEnum):
        return st.sampled_from(list(hint))
    return {
        NoneType: st.none(),
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False),
        str: st.text(max_size=10),
    }[hint]


@pytest.mark.parametrize('cls', [PersistedState, SessionEvent], ids=lambda cls: cls.__name__)
def test_every_value_comes_back_from_json(cls: type) -> None:
    @settings(max_examples=150, deadline=None)
    @given(value=values(cls))
    def check(value: Any) -> None:
        assert decode(encode(value), cls) == value

    check()


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('nonsense', 'Expecting value'),
        ('[]', 'PersistedState is []'),
        ('{"enabled": 1}', 'PersistedState.enabled is 1'),
        ('{"session": {"reason": "NEVER"}}', 'PersistedState.session.reason'),
        ('{"external_limits": {"schedule_import": 3}}', 'must be a list'),
        ('{"session": {"reason": ["A"]}}', 'unhashable'),
    ],
)
def test_what_is_no_record_is_refused(text: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why.replace('[', r'\[')):
        decode(text, PersistedState)


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert decode('{"enabled": false, "mood": "good"}', PersistedState) == PersistedState(enabled=False)


@pytest.mark.parametrize(
    ('setting', 'namespace', 'environment', 'expected'),
    [
        ('', '/evse_1', {}, None),
        ('auto', '/evse_1', {'ROS_HOME': '/ros'}, '/ros/evse_manager/evse_1.sqlite3'),
        ('auto', '/depot/evse_7', {'ROS_HOME': '/ros'}, '/ros/evse_manager/depot.evse_7.sqlite3'),
        ('auto', '/', {'ROS_HOME': '/ros'}, '/ros/evse_manager/root-namespace.sqlite3'),
        ('auto', '/root_namespace', {'ROS_HOME': '/ros'}, '/ros/evse_manager/root_namespace.sqlite3'),
        ('auto', '/evse_1', {}, '~/.ros/evse_manager/evse_1.sqlite3'),
        ('/data/bench.sqlite3', '/evse_1', {}, '/data/bench.sqlite3'),
        ('~/bench.sqlite3', '/evse_1', {}, '~/bench.sqlite3'),
    ],
)
def test_where_the_file_is(
    setting: str, namespace: str, environment: dict[str, str], expected: str | None
) -> None:
    assert location(setting, namespace, environment) == (expected and Path(expected).expanduser())


def test_a_namespace_that_is_too_long_for_a_file_has_a_file_of_its_own(tmp_path: Path) -> None:
    long = '/' + 'a' * 300
    paths = {location('auto', f'{long}{end}', {'ROS_HOME': str(tmp_path)}) for end in 'bc'}
    assert len(paths) == 2
    for path in paths:
        assert path is not None
        file, _, warning = open_or_replace(path)
        assert warning == ''
        file.close()


# --- rows -------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'bench.sqlite3'


@pytest.fixture
def file(path: Path) -> Iterator[Database]:
    file, _, _ = open_or_replace(path)
    yield file
    file.close()


def at(seconds: float) -> Time:
    return Time(EPOCH + round(seconds * SECOND))


def meter(wh: float, seconds: float) -> Powermeter:
    return Powermeter(at(seconds), Energy(wh), power_w=Power(3680.0), current_a=Current(l1=16.0))


SESSION = SessionEvent(
    at(1), 1, 'a', 1, Event.SESSION_STARTED, SessionStarted(at(1), StartSessionReason.EV_CONNECTED)
)
START = SessionEvent(
    at(2),
    2,
    'a',
    1,
    Event.TRANSACTION_STARTED,
    transaction_started=TransactionStarted(at(2), ProvidedIdToken('ALICE'), meter(100.0, 2), '', 7),
)
STOP = SessionEvent(
    at(90),
    3,
    'a',
    1,
    Event.TRANSACTION_FINISHED,
    transaction_finished=TransactionFinished(
        at(90), meter(190.0, 90), '', StopTransactionReason.REMOTE, 'BOB'
    ),
)
END = SessionEvent(at(91), 4, 'a', 1, Event.SESSION_FINISHED)


def open_transaction(wh: float, seconds: float) -> PersistedState:
    value = meter(wh, seconds)
    transaction = OpenTransaction(ProvidedIdToken('ALICE'), at(2), 100.0, 7, value)
    return PersistedState(session=OpenSession('a', StartSessionReason.EV_CONNECTED, at(1), transaction))


WHOLE = (
    Entry(at(0), memory=PersistedState(reservation_id=7)),
    Entry(at(1), (SESSION,)),
    Entry(at(2), (START,), open_transaction(100.0, 2)),
    Entry(at(32), memory=open_transaction(130.0, 32)),
    Entry(at(62), memory=open_transaction(160.0, 62)),
    Entry(at(91), (STOP, END), PersistedState()),
)


def test_a_transaction_in_rows(file: Database, path: Path) -> None:
    file.write(WHOLE, PersistedState(), 0)
    assert rows(path, 'SELECT uuid, started, reason, finished FROM sessions') == [
        ('a', at(1), 'EV_CONNECTED', at(91))
    ]
    assert rows(
        path,
        'SELECT session_uuid, started, token, reservation_id, start_wh, finished, stop_reason, stop_id_tag,'
        ' stop_wh FROM transactions',
    ) == [('a', at(2), 'ALICE', 7, 100.0, at(90), 'REMOTE', 'BOB', 190.0)]
    assert rows(path, 'SELECT stamp, energy_wh, power_w, current_l1_a, current_l2_a FROM meter_values') == [
        (at(2), 100.0, 3680.0, 16.0, None),
        (at(32), 130.0, 3680.0, 16.0, None),
        (at(62), 160.0, 3680.0, 16.0, None),
    ]
    assert rows(path, 'SELECT reservation_id, began, ended, session_uuid FROM reservations') == [
        (7, at(0), at(2), 'a')
    ]
    assert rows(path, 'SELECT * FROM charged') == [
        ('2026-01-01 00:00:02', '2026-01-01 00:01:30', 'ALICE', 90.0, 'REMOTE', 'a', 0, 0)
    ]
    (start_value,) = rows(path, 'SELECT start_value FROM transactions')
    assert json.loads(start_value[0])['energy_wh_import'] == {'total': 100.0}


def test_what_is_written_twice_counts_once(file: Database, path: Path) -> None:
    tables = (
        'sessions',
        'transactions',
        'meter_values',
        'reservations',
        'external_limits',
        'errors',
        'events',
    )
    memory = file.write(WHOLE, PersistedState(), 0)
    before = [rows(path, f'SELECT * FROM {table}') for table in tables]
    file.write([replace(entry, memory=None) for entry in WHOLE], memory, 0)
    file.write([replace(WHOLE[-1], events=(replace(STOP, sequence_number=9), END))], memory, 0)
    after = [rows(path, f'SELECT * FROM {table}') for table in tables]
    assert before[:-1] == after[:-1]
    assert len(after[-1]) == len(before[-1]) + 1


def test_a_failure_in_the_middle_leaves_nothing_behind(file: Database, path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        file.write([*WHOLE, event(5, uuid='\ud800')], PersistedState(), 0)
    assert rows(path, 'SELECT * FROM events') == []
    assert file.write(WHOLE, PersistedState(), 0) == PersistedState()


def test_errors_are_rows_from_raised_to_cleared(file: Database, path: Path) -> None:
    relais, hot = Error(ErrorEnum.RELAIS, 'Weld: no.'), Error(ErrorEnum.OTHER, 'Hot: yes.')
    entries = [
        Entry(at(1), errors=(relais,)),
        Entry(at(2), errors=(relais, hot)),
        Entry(at(3), errors=(hot,)),
        Entry(at(4), errors=(hot, relais)),
    ]
    file.write(entries, PersistedState(session=OpenSession('a')), 0)
    query = 'SELECT session_uuid, code, raised, cleared, ended_by_restart FROM errors ORDER BY id'
    assert rows(path, query) == [
        ('a', 'RELAIS', at(1), at(3), 0),
        ('a', 'OTHER', at(2), None, 0),
        ('a', 'RELAIS', at(4), None, 0),
    ]
    again = Database(path)
    again.write([Entry(at(9), errors=(relais,))], PersistedState(), 0)
    again.close()
    assert rows(path, query)[1:] == [
        ('a', 'OTHER', at(2), at(9), 1),
        ('a', 'RELAIS', at(4), at(9), 1),
        (None, 'RELAIS', at(9), None, 0),
    ]


def test_a_session_that_the_kernel_could_not_know_of_is_closed_with_its_newest_value(
    file: Database, path: Path
) -> None:
    file.write(WHOLE[:-1], PersistedState(), 0)
    again = Database(path)
    again.write([Entry(at(500), memory=PersistedState())], open_transaction(160.0, 62), 0)
    again.close()
    assert rows(path, 'SELECT finished, stop_reason, stop_wh FROM transactions') == [
        (at(500), 'POWER_LOSS', 160.0)
    ]
    assert rows(path, 'SELECT finished FROM sessions') == [(at(500),)]


@pytest.mark.parametrize(
    ('entry', 'durable'),
    [
        (Entry(EPOCH, (SESSION,)), True),
        (Entry(EPOCH, (STOP,)), True),
        (event(1, Event.DISABLED), True),
        (event(1, Event.CHARGING_STARTED), False),
        (event(1, Event.CHARGING_PAUSED_EVSE), False),
        (Entry(EPOCH, memory=PersistedState(enabled=False)), True),
        (Entry(EPOCH, memory=PersistedState(welded=True)), True),
        (Entry(EPOCH, memory=open_transaction(100.0, 2)), True),
        (Entry(EPOCH, memory=PersistedState()), False),
        (Entry(EPOCH, errors=()), False),
    ],
)
def test_what_must_survive_the_loss_of_power(entry: Entry, durable: bool) -> None:
    assert is_durable(entry, PersistedState()) is durable


def test_meter_values_need_not_survive_the_loss_of_power() -> None:
    assert not is_durable(Entry(EPOCH, memory=open_transaction(130.0, 32)), open_transaction(100.0, 2))


def purged(file: Database, now: Time, days: int) -> int:
    """Purge on three days, of which ``now`` is the first."""
    return sum(file.purge(Time(now + day * DAY_NS), days) for day in range(3))


def test_what_ended_long_ago_goes_and_what_is_open_stays(file: Database, path: Path) -> None:
    memory = file.write(WHOLE, PersistedState(), 4)
    later = open_transaction(100.0, 2)
    assert later.session is not None
    open_session = replace(later, session=replace(later.session, uuid='b'), reservation_id=8)
    file.write(
        [
            Entry(at(100), (replace(SESSION, uuid='b', sequence_number=5),), open_session),
            Entry(at(101), errors=(Error(ErrorEnum.OTHER, 'x'),)),
        ],
        memory,
        4,
    )
    assert purged(file, Time(at(92) + 10 * DAY_NS), 11) == 0
    assert purged(file, Time(at(100) + 10 * DAY_NS), 10) > 0
    left = {
        table: rows(path, f'SELECT count(*) FROM {table}')[0][0]
        for table in ('sessions', 'transactions', 'meter_values', 'events', 'reservations', 'errors')
    }
    assert left == {
        'sessions': 1,
        'transactions': 0,
        'meter_values': 1,
        'events': 1,  # not published yet
        'reservations': 1,
        'errors': 1,
    }


def test_room_is_given_back(file: Database, path: Path) -> None:
    memory = PersistedState()
    for number in range(1, 1200, 4):
        events = (
            replace(SESSION, uuid=str(number), sequence_number=number),
            replace(START, uuid=str(number), sequence_number=number + 1),
            replace(STOP, uuid=str(number), sequence_number=number + 2),
            replace(END, uuid=str(number), sequence_number=number + 3),
        )
        memory = file.write([Entry(at(number), events)], memory, number + 3)
    pages = rows(path, 'PRAGMA page_count')[0][0]
    file.mark(1204, None)
    assert purged(file, Time(EPOCH + 400 * DAY_NS), 365) > 0
    assert rows(path, 'SELECT count(*) FROM events') == [(0,)]
    assert rows(path, 'PRAGMA page_count')[0][0] < pages // 3
