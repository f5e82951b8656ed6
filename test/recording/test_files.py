"""Black boxes as files: read by a library that is not ours, replayed, limited in number and size."""

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evse_manager.recording.mcap_file import McapError, read_journal
from evse_manager.recording.replay import ReplayReport, replay
from evse_manager.recording.saver import Job, Message, Saver, write
from evse_manager.recording.secrets import Pseudonyms
from evse_manager.recording.window import Window
from recording.tapes import TOKEN, charging, recorded_bench

pytest.importorskip('mcap', reason='the library mcap is not installed (requirements/python.txt)')
highlevel = pytest.importorskip(
    'rosbags.highlevel', reason='rosbags is not installed (requirements/test.txt)'
)

FLOAT = 'float64 data\n'


@pytest.fixture(scope='module')
def window():
    window = Window(minutes=2)
    bench = charging(recorded_bench(window, Pseudonyms(b'key').hide))
    bench.run_for(100.0)
    return window


@pytest.fixture
def job(window: Window, tmp_path: Path) -> Job:
    return Job(
        folder=tmp_path / 'black_box',
        name='depot.bay_1',
        namespace='/depot/bay_1',
        reason='RcdAc',
        wall=1_767_225_600_000_000_000,
        segments=window.copy(),
        about={'version': '0.1.0'},
        files_max=3,
        bytes_max=10**9,
        messages=lambda turn: (),
        done=lambda path, why: None,
    )


def contents(path: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    with highlevel.AnyReader([path]) as reader:
        for connection, _stamp, data in reader.messages():
            found.setdefault(connection.topic, []).append(reader.deserialize(data, connection.msgtype))
    return found


def test_a_file_is_read_by_another_library_and_replayed(job):
    path = write(job)
    assert path.name == 'depot.bay_1-20260101T000000.000Z-RcdAc.mcap'
    assert path.stat().st_mode & 0o777 == 0o600
    found = contents(path)
    assert len(found['/depot/bay_1/black_box/snapshot']) >= 1
    texts = [message.data for message in found['/depot/bay_1/black_box/turn']]
    assert any('"do":"observe"' in text for text in texts)
    assert not any(TOKEN in text for text in texts)
    recording = read_journal(path)
    assert (recording.namespace, recording.about) == ('/depot/bay_1', {'version': '0.1.0'})
    report = ReplayReport()
    assert list(replay(recording.lines, report)) == []
    assert report.turns == len(texts)


def test_messages_that_follow_from_turns_are_in_the_file(job):
    message = Message('power', 'std_msgs/msg/Float64', FLOAT, '', b'\0\1\0\0' + b'\0' * 8)
    found = contents(write(replace(job, messages=lambda turn: (message,) if turn.do == 'observe' else ())))
    assert {each.data for each in found['/depot/bay_1/power']} == {0.0}


def test_the_oldest_files_give_way(job):
    for number in range(5):
        write(replace(job, wall=job.wall + number * 10**9))
    write(replace(job, name='depot.bay_10'))
    names = sorted(path.name for path in job.folder.iterdir())
    assert [name[21:27] for name in names if name.startswith('depot.bay_1-')] == [
        '000002',
        '000003',
        '000004',
    ]
    assert any(name.startswith('depot.bay_10-') for name in names), 'another connector has its own limit'


def test_the_newest_file_stays_though_it_is_larger_than_the_limit(job):
    for number in range(3):
        newest = write(replace(job, wall=job.wall + number * 10**9, bytes_max=1))
    assert [path.name for path in job.folder.iterdir()] == [newest.name]


@pytest.mark.parametrize('share', [0.5, 0.7, 0.95])
def test_a_file_without_its_end_is_read_up_to_there(job, share):
    path = write(job)
    whole = len(list(read_journal(path).lines))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    lines = list(read_journal(path).lines)
    assert 0 < len(lines) <= whole
    assert list(replay(lines, ReplayReport())) == []


def saved(job: Job) -> tuple[Path | None, str]:
    results: list[tuple[Path | None, str]] = []
    done = threading.Event()

    def note(path: Path | None, why: str) -> None:
        results.append((path, why))
        done.set()

    Saver().submit(replace(job, done=note))
    assert done.wait(30.0)
    return results[0]


def test_the_saver_writes_in_its_own_thread(job):
    path, why = saved(job)
    assert path is not None, why
    assert list(replay(read_journal(path).lines, ReplayReport())) == []


def test_a_folder_that_cannot_be_is_one_sentence(job, tmp_path):
    obstacle = tmp_path / 'file'
    obstacle.write_text('')
    assert saved(replace(job, folder=obstacle / 'black_box')) == (
        None,
        f'the black box can not be written to {obstacle / "black_box"}: Not a directory.',
    )


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(job):
    def full(_turn: object) -> tuple[Message, ...]:
        raise OSError(28, 'No space left on device')

    path, why = saved(replace(job, messages=full))
    assert (path, why) == (
        None,
        f'the black box can not be written to {job.folder}: No space left on device.',
    )
    assert list(job.folder.iterdir()) == []


def test_what_is_no_file_of_ours_is_refused_with_a_sentence(tmp_path):
    garbage = tmp_path / 'garbage.mcap'
    garbage.write_bytes(b'\x89MCAP0\r\n' + bytes(range(256)) * 10)
    for path in (garbage, tmp_path / 'missing.mcap', tmp_path):
        with pytest.raises(McapError, match=str(path)):
            read_journal(path)


def test_without_the_library_the_sentence_says_what_to_install(job, monkeypatch):
    path = write(job)
    for name in [name for name in sys.modules if name.partition('.')[0] == 'mcap']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'mcap', None)
    with pytest.raises(McapError, match='pip install'):
        read_journal(path)
    assert 'pip install' in saved(replace(job, wall=0))[1]
