"""``evse record``, ``replay`` and ``report`` as a user runs them, with real connectors."""

import json
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness import Connector

from .conftest import evse, program

pytest.importorskip('mcap', reason='the library mcap is not installed (requirements/python.txt)')
highlevel = pytest.importorskip(
    'rosbags.highlevel', reason='rosbags is not installed (requirements/test.txt)'
)
pytestmark = pytest.mark.timeout(120)

TOKEN = 'SECRET-04A1B2C3'


@contextmanager
def recording(folder: Path, *words: str, file_size_max_kb: int | None = None) -> Iterator[Any]:
    """Let ``evse record`` run; it is killed at the end if it still does."""
    limit = ['bash', '-c', f'ulimit -f {file_size_max_kb}; exec "$@"', '-'] if file_size_max_kb else []
    with (folder / 'stderr').open('w') as errors:
        child = subprocess.Popen(
            [*limit, program('evse'), 'record', *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        child.wait(10.0)


def told(folder: Path) -> str:
    return (folder / 'stderr').read_text()


def contents(path: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    with highlevel.AnyReader([path]) as reader:
        for connection, _stamp, data in reader.messages():
            found.setdefault(connection.topic, []).append(reader.deserialize(data, connection.msgtype))
    return found


def qos_of(path: Path) -> dict[str, str]:
    with highlevel.AnyReader([path]) as reader:
        return {
            each.topic: each.ext.offered_qos_profiles[0].durability.name
            for each in reader.connections
            if each.ext.offered_qos_profiles
        }


def charge(connector: Connector) -> None:
    connector.accepted('simulation/plug_in')
    connector.sees('SS AR')
    connector.authorize(TOKEN)
    connector.sees('TS PC CS')


def test_connectors_are_recorded_as_they_come(connector, site, probe, namespace, tmp_path):
    with recording(tmp_path, '-o', 'night.mcap') as child:
        probe.wait(lambda: f'recording {namespace}' in told(tmp_path), lambda: told(tmp_path), 30.0)
        charge(connector)
        later = '/recorded_later'
        site.board(later)
        site.manager(later)
        Connector(probe, later).sees('Enabled')
        probe.wait(lambda: f'recording {later}' in told(tmp_path), lambda: told(tmp_path), 30.0)
        probe.spin(2.0)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=20.0)
    assert child.returncode == 0
    path = tmp_path / 'night.mcap'
    assert path.stat().st_mode & 0o777 == 0o600
    found = contents(path)
    assert f'{sum(map(len, found.values()))} messages' in out
    for name in (namespace, later):
        assert len(found[f'{name}/evse_id']) == 1, 'latched, from before the recording'
        assert len(found[f'{name}/board/state']) >= 2
        assert len(found[f'{name}/status']) >= 2
    assert found['/diagnostics']
    (started,) = (event for event in found.get(f'{namespace}/session_event', ()) if event.transaction_started)
    assert started.transaction_started[0].id_tag.id_token == '***********B2C3'
    assert qos_of(path)[f'{namespace}/status'] == 'TRANSIENT_LOCAL'
    assert qos_of(path)[f'{namespace}/board/command'] == 'VOLATILE'


def test_a_recording_goes_on_in_further_files_that_stand_alone(connector, probe, namespace, tmp_path):
    with recording(
        tmp_path, namespace, '-o', 'small.mcap', '--max-size', '0.02', '--show-tokens', '--json'
    ) as child:
        probe.wait((tmp_path / 'small-2.mcap').exists, 'a second file', 60.0)
        charge(connector)
        probe.wait((tmp_path / 'small-3.mcap').exists, 'a third file', 60.0)
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=20.0)
    assert child.returncode == 0
    summary = json.loads(out)
    files = [tmp_path / name for name in summary['files']]
    assert len(files) >= 3
    all_of_them = [contents(path) for path in files]
    for found in all_of_them[-2:]:
        assert found[f'{namespace}/evse_id'], 'the latched messages begin each file'
    events = {
        event.sequence_number: event
        for found in all_of_them
        for event in found.get(f'{namespace}/session_event', ())
    }
    tokens = [
        event.transaction_started[0].id_tag.id_token for event in events.values() if event.transaction_started
    ]
    assert TOKEN in tokens, 'in full, as asked'


def test_a_kill_loses_no_more_than_the_last_chunk(connector, probe, namespace, tmp_path):
    from mcap.records import Message
    from mcap.stream_reader import StreamReader

    with recording(tmp_path, namespace, '-o', 'killed.mcap') as child:
        probe.wait(lambda: f'recording {namespace}' in told(tmp_path), lambda: told(tmp_path), 30.0)
        probe.spin(6.0)
        child.kill()
        killed = time.time_ns()
    newest = 0
    with (tmp_path / 'killed.mcap').open('rb') as stream, suppress(Exception):  # its end is missing
        for record in StreamReader(stream).records:
            if isinstance(record, Message):
                newest = record.log_time
    assert 0 < killed - newest < 5e9


def test_a_full_disk_ends_a_recording_with_one_sentence(connector, probe, namespace, tmp_path):
    with recording(tmp_path, namespace, '-o', 'full.mcap', file_size_max_kb=39) as child:
        assert child.wait(60.0) == 1
    sentence = told(tmp_path).splitlines()[-1]
    assert sentence.startswith('evse: full.mcap cannot be written any more (File too large)')
    assert 'Traceback' not in told(tmp_path)


def test_a_file_that_cannot_be_created_is_wrong_usage(tmp_path, connector):
    existing = tmp_path / 'a.mcap'
    existing.write_text('mine')
    for path, why in (
        (existing, 'exists already'),
        (existing / 'b.mcap', 'cannot be written: Not a directory'),
    ):
        result = evse('record', '-o', str(path))
        assert result.code == 2
        assert why in result.err
    assert existing.read_text() == 'mine'


def test_a_replay_says_what_it_compared(connector, site, probe, tmp_path):
    name = '/replayed'
    site.board(name)
    site.manager(name, black_box_folder=str(tmp_path))
    other = Connector(probe, name)
    other.sees('Enabled')
    charge(other)
    saved = evse('save-black-box', '-c', name)
    assert saved.code == 0, saved.err
    (path,) = tmp_path.glob('*.mcap')
    assert str(path) in saved.out
    result = evse('replay', str(path))
    assert (result.code, result.err) == (0, '')
    assert '/replayed: ' in result.out
    assert 'every one is the recorded one' in result.out
    record = evse('replay', str(path), '--json').record
    assert record['differences'] == 0
    assert record['turns'] > 10


@pytest.mark.parametrize('content', [None, b'', b'no mcap'])
def test_a_replay_of_anything_else_is_wrong_usage(content, tmp_path):
    path = tmp_path / 'file.mcap'
    if content is not None:
        path.write_bytes(content)
    result = evse('replay', str(path))
    assert result.code == 2
    assert str(path) in result.err
    assert len(result.err.splitlines()) == 1


def everything_in(path: Path) -> dict[str, bytes]:
    """Return the parts of a report by name; of a black box the texts of its messages."""
    from evse_manager.recording.mcap_file import read_journal

    parts = {}
    with tarfile.open(path) as archive:
        archive.extractall(path.parent / 'report', filter='data')
    for part in (path.parent / 'report').rglob('*'):
        if part.is_file():
            name = '/'.join(part.relative_to(path.parent / 'report').parts[1:])
            parts[name] = part.read_bytes()
            if part.suffix == '.mcap':
                parts[f'{name} lines'] = b'\n'.join(line.text for line in read_journal(part).lines)
                parts[f'{name} messages'] = repr(contents(part)).encode()
    return parts


def test_a_report_has_everything_but_secrets(site, probe, tmp_path, monkeypatch):
    name = '/reported'
    site.board(name)
    site.manager(name, black_box_folder=str(tmp_path / 'box'), default_token='SECRET-DEFAULT')
    other = Connector(probe, name)
    other.sees('Enabled')
    charge(other)
    logs = tmp_path / 'logs'
    logs.mkdir()
    (logs / 'manager.log').write_text(
        f'[INFO] [1.0] [reported.evse_manager]: {TOKEN.lower()} SECRET-DEFAULT\n'
    )
    (logs / 'other.log').write_text('[INFO] [1.0] [somebody_else]: not ours\n')
    path = tmp_path / 'report.tar.gz'
    result = evse('report', '-c', name, '-o', str(path), ROS_LOG_DIR=str(logs))
    assert result.code == 0, result.err
    assert path.stat().st_mode & 0o777 == 0o600
    parts = everything_in(path)
    assert {
        'README.txt',
        'versions.json',
        'environment.txt',
        'graph.txt',
        'missing.txt',
        'logs/manager.log',
    } <= set(parts)
    assert {'reported/status.json', 'reported/events.jsonl', 'diagnostics.jsonl'} <= set(parts)
    assert 'logs/other.log' not in parts
    assert json.loads(parts['reported/evse_manager.parameters.json'])['default_token'] == '(removed)'
    assert json.loads(parts['reported/board_support.parameters.json'])['driver'] == 'simulated'
    assert json.loads(parts['reported/status.json'])['state'] == 'CHARGING'
    assert (
        b'TransactionStarted' in parts['reported/events.jsonl']
        or b'TRANSACTION_STARTED' in parts['reported/events.jsonl']
    )
    assert any(part.endswith('.mcap') for part in parts)
    assert parts['missing.txt'] == b''
    for part, data in parts.items():
        assert TOKEN.lower().encode() not in data.lower(), part
        assert b'secret-default' not in data.lower(), part
