"""`evse sessions` and `evse plot` on files alone, with nothing running."""

import csv
import io
import json
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cli.conftest import Result, evse
from evse_manager.cli.sessions import COLUMNS
from evse_manager.interface.enums import LimitSource
from evse_manager.interface.types import SessionRecord, Time
from evse_manager.store.history import HistoryFile
from store.owner import SECOND
from store.sample_records import session, sessions

SECRETS = ('ALICE', '04A1', 'BOB-')


def write(path: Path, *records: SessionRecord) -> None:
    file = HistoryFile(path)
    file.add(records)
    file.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / 'all-connectors.sqlite3', *sessions(40))
    write(tmp_path / 'all-connectors-simulated.sqlite3', replace(session(99), simulated=True))
    return tmp_path


@pytest.fixture(autouse=True)
def _no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read without ROS: a call that looks for the graph fails."""
    monkeypatch.setitem(sys.modules, 'evse_manager.cli.graph', None)


def done(*words: str | Path) -> Result:
    result = evse(*map(str, words))
    assert result.code == 0, result.err
    return result


def refused(code: int, *words: str | Path) -> str:
    result = evse(*map(str, words))
    assert result.code == code, result.out
    assert result.err.startswith('evse')
    assert len(result.err.splitlines()) == 1
    return result.err


def test_a_list_has_the_newest_first_and_says_that_there_are_older_ones(folder: Path) -> None:
    lines = done('sessions', '--file', folder).out.splitlines()
    assert lines[0].split() == ['BEGAN', 'CONNECTOR', 'LASTED', 'ENERGY', 'PEAK', 'TOKEN', 'ENDED', 'SESSION']
    assert len(lines) == 22
    assert '--limit shows more than 20' in lines[-1]
    began = [line[:19] for line in lines[1:-1]]
    assert began == sorted(began, reverse=True)
    assert len(done('sessions', 'list', '--file', folder, '--limit', '100').out.splitlines()) == 41


def test_filters_and_pages_reach_every_session(folder: Path) -> None:
    everything = done('sessions', '--file', folder, '--limit', '1000', '--json').records
    assert {each['uuid'] for each in everything} == {each.uuid for each in sessions(40)}
    some = done('sessions', '--file', folder, '-c', '/depot/bay_2', '--reason', 'remote', '--json').records
    assert {each['connector'] for each in some} == {'/depot/bay_2'}
    assert {each['stop_reason'] for each in some} == {'REMOTE'}
    assert (
        len(done('sessions', '--file', folder, '--token', 'bob-7788', '--limit', '99', '--json').records)
        == 13
    )
    few = done(
        'sessions', '--file', folder, '--since', '2026-01-03T00:00Z', '--until', '2026-01-04T00:00Z', '--json'
    ).records
    assert {each['started'][:10] for each in few} == {'2026-01-03'}
    assert done('sessions', '--file', folder, '--token', 'nobody').out == 'There are no such sessions.\n'


@pytest.mark.parametrize(
    'words',
    [
        ('sessions',),
        ('sessions', '--json'),
        ('sessions', 'show', '{uuid}'),
        ('sessions', 'show', '{uuid}', '--json'),
        ('sessions', 'export'),
        ('sessions', 'export', '--format', 'json', '--details'),
    ],
    ids=' '.join,
)
def test_tokens_are_masked_unless_asked_for(folder: Path, words: tuple[str, ...]) -> None:
    uuid = next(sessions(1)).uuid[:8]
    words = tuple(word.format(uuid=uuid) for word in words)
    assert not any(secret in done(*words, '--file', folder).out for secret in SECRETS)
    assert 'ALICE-04A1B2C3' in done(*words, '--file', folder, '--show-tokens').out


def test_a_session_is_shown_with_its_errors_and_events(folder: Path) -> None:
    out = done('sessions', 'show', next(sessions(1)).uuid, '--file', folder).out
    for text in (
        'at /depot/bay_1',
        'energy     1.000 kWh',
        'meter      0.000 kWh to 1.000 kWh, SDM-1',
        'The charger is too hot. [TemperatureStop]',
        'Transaction began, token **********B2C3',
        'evse plot',
    ):
        assert text in out


def test_csv_has_a_row_for_each_session_and_a_column_for_each_field(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(done('sessions', 'export', '--file', folder).out)))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 40
    assert rows[0]['energy_wh'] == '1000.0'
    assert rows[0]['started'] == '2026-01-01T00:00:00.000000Z'
    assert [row['started'] for row in rows] == sorted(row['started'] for row in rows)


def test_a_text_that_a_spreadsheet_would_calculate_is_disarmed(tmp_path: Path) -> None:
    write(tmp_path / 'a.sqlite3', replace(session(0), meter_id='=cmd()\x1b[2J', token='+1'))
    out = done('sessions', 'export', '--file', tmp_path / 'a.sqlite3', '--show-tokens').out
    (row,) = csv.DictReader(io.StringIO(out))
    assert row['token'] == "'+1"
    assert row['meter_id'].startswith("'=cmd()")
    assert '\x1b' not in out


def test_an_export_is_a_file_that_nobody_else_reads(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / 'sessions.json'
    out = done('sessions', 'export', '--file', folder, '--format', 'json', '--details', '-o', target).out
    assert out == f'40 sessions are in {target}\n'
    assert target.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(lines) == 40
    assert [event['event'] for event in lines[0]['events']][:2] == ['SESSION_STARTED', 'TRANSACTION_STARTED']
    assert not list(tmp_path.glob('*.new'))
    assert 'can not be written' in refused(2, 'sessions', 'export', '--file', folder, '-o', '/none/here.csv')


def test_verify_agrees_and_says_the_sums(folder: Path) -> None:
    out = done('sessions', 'verify', '--file', folder).out
    assert out.count('AGREES: 10 transactions sum to 10.000 kWh') == 4


def test_verify_names_what_is_missing_and_fails(tmp_path: Path) -> None:
    known = [session(day, start_wh=1000.0 * day, energy_wh=1000.0, hours=0.0) for day in range(4)]
    write(tmp_path / 'a.sqlite3', known[0], known[1], known[3])
    result = evse('sessions', 'verify', '--file', str(tmp_path))
    assert result.code == 1
    assert 'DIFFERS: 3 transactions sum to 3.000 kWh' in result.out
    assert f'1.000 kWh between {known[1].uuid[:8]} and {known[3].uuid[:8]}' in result.out
    record = evse('sessions', 'verify', '--file', str(tmp_path), '--json').record
    assert (record['verdict'], record['difference_wh']) == ('DIFFERS', 1000.0)
    assert record['findings'][0]['kind'] == 'BETWEEN'


def test_simulated_boards_are_read_only_when_asked_for(folder: Path) -> None:
    assert len(done('sessions', '--file', folder, '--limit', '999', '--json').records) == 40
    (toy,) = done('sessions', '--file', folder, '--simulated', '--json').records
    assert toy['simulated'] is True


def test_the_default_folder_is_that_of_the_managers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    assert 'there are no session records' in refused(3, 'sessions', '--file')
    write(tmp_path / 'evse_manager' / 'all-connectors.sqlite3', session(0))
    assert len(done('sessions', '--file', '--json').records) == 1


@pytest.mark.parametrize(
    ('words', 'why'),
    [
        (('sessions', 'show', '--file', '{folder}'), 'say which session'),
        (('sessions', 'list', 'abcdefgh', '--file', '{folder}'), 'list takes no session'),
        (('sessions', 'export', '--details', '--file', '{folder}'), '--details goes with'),
        (('sessions', '--output', 'x', '--file', '{folder}'), '--output goes with export'),
        (('sessions', 'verify', '--token', 'x', '--file', '{folder}'), 'leave --token and --reason out'),
        (('sessions', 'everything'), 'unknown ACTION'),
        (('sessions', '--since', 'yesterday'), 'is no time'),
        (('plot', 'abcdefgh', '--output', 'x.gif', '--file', '{folder}'), 'must end in one of'),
    ],
)
def test_wrong_usage_is_answered_in_a_sentence(folder: Path, words: tuple[str, ...], why: str) -> None:
    assert why in refused(2, *(word.format(folder=folder) for word in words))


def test_files_that_are_no_good_are_named_in_a_sentence(tmp_path: Path) -> None:
    garbage, empty, later = (tmp_path / name for name in ('garbage', 'empty', 'later.sqlite3'))
    garbage.write_bytes(os.urandom(5000))
    empty.touch()
    write(later)
    with closing(sqlite3.connect(later)) as connection:
        connection.execute('PRAGMA user_version = 99')
    for path, why in (
        (tmp_path / 'none', 'there is no such file'),
        (garbage, 'damaged'),
        (empty, 'is empty'),
        (later, 'a later version'),
    ):
        assert why in refused(3, 'sessions', '--file', path)
    assert 'there is no session abcdefgh' in refused(
        3, 'sessions', 'show', 'abcdefgh', '--file', _good(tmp_path)
    )


def _good(folder: Path) -> Path:
    write(folder / 'good.sqlite3', session(0))
    return folder / 'good.sqlite3'


# --- plot -------------------------------------------------------------------------------------------------


def test_a_picture_shows_limit_and_owner_pilot_and_events(tmp_path: Path) -> None:
    pytest.importorskip('matplotlib')
    night = session(0)
    half = len(night.samples) // 2
    samples = (
        *night.samples[:half],
        *(
            replace(each, limit_source=LimitSource.EXTERNAL, limit_node='', limit_a=10.0)
            for each in night.samples[half:]
        ),
    )
    write(tmp_path / 'a.sqlite3', replace(night, samples=samples))
    target = tmp_path / 'night.svg'
    done('plot', night.uuid, '--file', tmp_path / 'a.sqlite3', '-o', target)
    picture = target.read_text()
    for text in (
        'limit by the energy manager (grid)',
        'limit by an external limit',
        'offered to the EV',
        'SessionStarted',
    ):
        assert f'<!-- {text} -->' in picture
    assert 'ALICE' not in picture


def test_the_newest_session_is_drawn_where_no_name_is_given(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('matplotlib')
    monkeypatch.chdir(tmp_path)
    out = done('plot', 'last', '--file', folder).out
    (picture,) = tmp_path.glob('session-*.png')
    assert picture.name in out
    assert picture.read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    'changes',
    [
        {'samples': (), 'events': (), 'finished': None},
        {'samples': (), 'started': None},
        {'samples': session(0).samples[:1], 'finished': None},
        {'connector': '/a$b$', 'started': Time(1 * SECOND), 'finished': Time(1 * SECOND)},
    ],
    ids=['nothing', 'no beginning', 'one point', 'no time at all'],
)
def test_a_session_with_little_in_it_is_drawn(changes: dict[str, object]) -> None:
    figures = pytest.importorskip('matplotlib.figure')
    from evse_manager.cli.plot import draw

    figure = figures.Figure()
    draw(replace(session(0), **changes), figure)  # type: ignore[arg-type]
    figure.savefig(io.BytesIO())


def test_without_matplotlib_one_sentence_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    assert 'pip install matplotlib' in refused(2, 'plot', 'last', '--file', folder)
