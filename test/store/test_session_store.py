"""What the store promises its owner: order, no waiting, and what it does when the disk is no good."""

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from evse_manager.charging.owners import Owner as AvailabilityOwner
from evse_manager.charging.persisted_state import OpenSession, PersistedState
from evse_manager.interface.enums import EnableSource, EnableState, ErrorEnum, StartSessionReason
from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.types import Error
from evse_manager.store import Entry, session_store, write_queue, writer
from store.ledger import rows
from store.owner import EPOCH, Owner, event

TESTS = Path(__file__).parent.parent
HOT = Error(ErrorEnum.OTHER, 'TemperatureStop: The charger is too hot.')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'records' / 'bench.sqlite3'


def numbers(path: Path) -> list[int]:
    return [number for (number,) in rows(path, 'SELECT sequence_number FROM events ORDER BY 1')]


def test_what_is_told_is_recorded_and_comes_in_order(path: Path) -> None:
    owner = Owner(path)
    for number in range(1, 201):
        owner.keep(event(number), str(number))
    owner.wait(lambda: owner.told)
    assert set(map(int, owner.told)) <= set(numbers(path))
    owner.wait(lambda: len(owner.told) == 200)
    assert owner.told == [str(number) for number in range(1, 201)]
    owner.close()


def test_nothing_is_told_before_its_record(path: Path) -> None:
    owner = Owner(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')  # no other connection can write now
        owner.keep(event(1), '1')
        started = time.monotonic()
        while time.monotonic() < started + 0.2:
            owner.store.settle()
        assert owner.told == []
        other.execute('ROLLBACK')
    owner.wait(lambda: owner.told)
    assert numbers(path) == [1]
    owner.close()


def test_a_disk_that_does_not_answer_delays_by_less_than_a_second_and_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('evse_manager.store.database.BUSY_S', 30.0)  # a write hangs
    owner = Owner(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')
        started = time.monotonic()
        owner.keep(event(1), '1')
        assert time.monotonic() - started < 0.1
        owner.wait(lambda: owner.told)
        assert 0.5 < time.monotonic() - started < 1.0
        assert 'is slow' in owner.store.warning

        started = time.monotonic()
        owner.keep(event(2), '2')
        assert owner.told == ['1', '2']
        assert time.monotonic() - started < 0.1
        other.execute('ROLLBACK')
    owner.wait(lambda: not owner.store.warning)
    assert numbers(path) == [1, 2]
    assert rows(path, 'SELECT delivered_sequence_number FROM connector') == [(2,)]
    owner.keep(event(3), '3')
    assert owner.told == ['1', '2']  # from now on it waits for the record again
    owner.close()
    assert owner.told == ['1', '2', '3']


def test_without_a_file_everything_is_told_at_once(tmp_path: Path) -> None:
    owner = Owner(None)
    owner.keep(event(1), '1')
    assert owner.told == ['1']
    assert owner.store.warning == ''
    owner.close()
    assert list(tmp_path.iterdir()) == []


def test_the_end_tells_and_writes_what_is_left(path: Path) -> None:
    owner = Owner(path)
    owner.keep(event(1), '1')
    owner.close()
    assert owner.told == ['1']
    assert numbers(path) == [1]
    assert not path.with_name(path.name + '-wal').exists()


def test_a_store_that_never_opened_can_be_closed(path: Path) -> None:
    store = session_store.SessionStore(path, 1, now=lambda: EPOCH, wake=lambda: None)
    store.flush(1.0)
    store.close(1.0)
    assert not path.exists()


def test_memory_comes_back(path: Path) -> None:
    memory = PersistedState(
        enabled=False,
        owners=(
            AvailabilityOwner(EnableSource.CSMS, EnableState.DISABLE, 50),
            AvailabilityOwner(state=EnableState.ENABLE),
        ),
        reservation_id=3,
        session=OpenSession('a', StartSessionReason.AUTHORIZED),
    )
    owner = Owner(path)
    owner.keep(replace(event(5), memory=memory))
    owner.close()
    again = Owner(path)
    assert replace(again.remembered.memory, written=None) == memory
    assert again.remembered.memory.written == EPOCH
    assert again.remembered.last_sequence_number == 5
    assert again.remembered.undelivered == ()
    again.close()


def test_the_outage_lasts_until_the_connector_has_announced_itself(path: Path) -> None:
    owner = Owner(path)
    owner.keep(replace(event(1), memory=PersistedState(enabled=False)))
    owner.close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute('UPDATE connector SET alive = 77')
    booting = Owner(path)
    booting.keep(
        Entry(EPOCH, memory=PersistedState(enabled=False))
    )  # what the kernel says of its memory at once
    booting.close()
    again = Owner(path)
    assert again.remembered.memory.written == 77
    again.close()


# --- files that are no good ---------------------------------------------------------------------------------


@pytest.mark.parametrize('content', [b'no database at all' * 1000, b'SQLite format 3\0' + bytes(5000)])
def test_a_damaged_file_is_kept_and_a_fresh_one_begun(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    owner = Owner(path)
    assert owner.remembered.memory == PersistedState()
    assert 'was damaged' in owner.store.warning
    (kept,) = path.parent.glob('*.bad-*')
    assert kept.read_bytes() == content
    owner.keep(event(1), '1')
    owner.close()
    assert numbers(path) == [1]


def written(path: Path) -> None:
    owner = Owner(path)
    for number in range(1, 60):
        owner.keep(event(number))
    owner.keep(replace(event(60), memory=PersistedState(enabled=False)))
    owner.close()


@pytest.mark.parametrize('part', [0.01, 0.3, 0.6, 0.9])
@pytest.mark.fault('P5')
def test_a_file_cut_short_is_kept_and_a_fresh_one_begun(path: Path, part: float) -> None:
    written(path)
    os.truncate(path, int(path.stat().st_size * part))
    owner = Owner(path)
    owner.keep(event(61), '61')
    owner.wait(lambda: owner.told)
    owner.close()
    assert len(list(path.parent.glob('*.bad-*'))) == 1
    assert numbers(path) == [61]


@pytest.mark.parametrize(
    'damage',
    [
        "UPDATE connector SET external_limits = 'nonsense'",
        'UPDATE connector SET open_session = \'{"reason":"NO_SUCH_REASON"}\'',
        "UPDATE connector SET enabled = 'perhaps'",
        "UPDATE connector SET owners = 'nobody'",
        'DROP TABLE connector',
    ],
)
def test_a_file_that_makes_no_sense_is_kept_and_a_fresh_one_begun(path: Path, damage: str) -> None:
    written(path)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(damage)
    owner = Owner(path)
    assert owner.remembered.memory == PersistedState()
    assert 'was damaged' in owner.store.warning
    owner.close()
    assert len(list(path.parent.glob('*.bad-*'))) == 1


def test_damage_while_at_work_begins_a_fresh_file_with_what_is_in_force(path: Path) -> None:
    session = OpenSession('a', StartSessionReason.EV_CONNECTED, EPOCH)
    before = Owner(path)
    before.keep(replace(event(1, Event.SESSION_STARTED), memory=PersistedState(session=session)))
    before.close()
    owner = Owner(path)
    with path.open('r+b') as file:
        file.seek(4096)  # the first page has been read
        file.write(os.urandom(path.stat().st_size - 4096))
    owner.keep(replace(event(2), memory=PersistedState(enabled=False, session=session)), '2')
    owner.wait(lambda: 'was damaged' in owner.store.warning)
    owner.wait(lambda: owner.told)
    owner.close()
    assert rows(path, 'SELECT uuid FROM sessions') == [('a',)]
    assert numbers(path) == [2]
    again = Owner(path)
    assert replace(again.remembered.memory, written=None) == PersistedState(enabled=False, session=session)
    assert again.remembered.last_sequence_number == 2
    again.close()


def test_a_file_taken_away_is_begun_again(path: Path) -> None:
    owner = Owner(path)
    owner.keep(replace(event(1), memory=PersistedState(reservation_id=9)), '1')
    owner.wait(lambda: owner.told)
    shutil.rmtree(path.parent)
    owner.keep(event(2), '2')
    owner.close()
    assert numbers(path) == [2]
    again = Owner(path)
    assert again.remembered.memory.reservation_id == 9
    again.close()


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute('CREATE TABLE precious (a)')
    before = path.read_bytes()
    owner = Owner(path)
    assert 'a database of another program' in owner.store.warning
    owner.keep(event(1), '1')
    assert owner.told == ['1']
    owner.close()
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_and_is_not_called_one_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / 'notes.txt'
    path.write_text('Buy a longer cable.')
    owner = Owner(path)
    assert 'it is no file of session records; set another session_store' in owner.store.warning
    owner.keep(event(1), '1')
    assert owner.told == ['1']
    owner.close()
    assert path.read_text() == 'Buy a longer cable.'
    assert not list(tmp_path.glob('*.bad-*'))


def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    written(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute('PRAGMA user_version = 99')
    owner = Owner(path)
    assert 'a later version of this program' in owner.store.warning
    owner.close()
    assert not list(path.parent.glob('*.bad-*'))


def test_a_second_store_on_the_same_file_names_the_first(path: Path) -> None:
    first, second = Owner(path), Owner(path)
    assert f'process {os.getpid()}' in second.store.warning
    second.keep(event(1), 'at once')
    assert second.told == ['at once']
    second.close()
    first.close()
    third = Owner(path)
    assert third.store.warning == ''
    third.close()


# --- disks that are no good ---------------------------------------------------------------------------------


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A file in a folder that every user may enter, which those of pytest are not."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / 'records').mkdir()
        yield Path(folder) / 'records' / 'bench.sqlite3'


PREPARE = """
    import os, resource, sys
    from pathlib import Path
    from store.owner import Owner, event
    from evse_manager.store import writer
    if os.geteuid() == 0:  # only now: the interpreter may be nobody else's
        os.setgid(65534)
        os.setuid(65534)
"""


def without_the_rights_of_root(script: str, path: Path) -> str:
    """Run a script in a process of its own, and return what it prints."""
    result = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(PREPARE + script), str(path)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


READ_ONLY = """
    owner = Owner(Path(sys.argv[1]))
    owner.keep(event(61), 'told')
    owner.wait(lambda: owner.told)
    print(owner.remembered.memory.enabled, owner.store.warning)
    owner.close()
"""


def test_a_folder_that_may_not_be_written_is_read_and_warned_of(public_path: Path) -> None:
    written(public_path)
    public_path.chmod(0o444)
    public_path.parent.chmod(0o555)
    printed = without_the_rights_of_root(READ_ONLY, public_path)
    public_path.parent.chmod(0o755)
    assert printed.startswith('False')  # disabled stays disabled
    assert 'can not be written' in printed
    assert len(numbers(public_path)) == 60


@pytest.mark.fault('P5')
@pytest.mark.parametrize(('mode', 'enabled'), [(0o444, 'False'), (0o000, 'True')], ids=['read', 'not read'])
def test_a_file_that_may_not_be_written_is_kept_and_a_fresh_one_begun_with_its_memory(
    public_path: Path, mode: int, enabled: str
) -> None:
    """What may not even be read is not known: then a connector begins as a new one does."""
    written(public_path)
    public_path.chmod(mode)
    public_path.parent.chmod(0o777)
    public_path.with_name(public_path.name + '.lock').unlink()
    printed = without_the_rights_of_root(READ_ONLY, public_path)
    assert printed.startswith(enabled)
    assert 'may not be written; it is kept' in printed
    (kept,) = public_path.parent.glob('*.bad-*')
    kept.chmod(0o600)
    assert len(numbers(kept)) == 60
    assert numbers(public_path) == [61]
    assert rows(public_path, 'SELECT enabled FROM connector') == [(int(enabled == 'True'),)]


FULL = """
    writer.RETRY_S = 0.1
    path = Path(sys.argv[1])
    owner = Owner(path)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, unlimited))
    number = 0
    while not owner.store.warning:
        number += 1
        owner.keep(event(number), str(number))
        owner.wait(lambda: len(owner.told) == number)
    print(owner.store.warning)
    for number in range(number + 1, number + 20):
        owner.keep(event(number), str(number))
        assert len(owner.told) == number, 'told at once'
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    owner.wait(lambda: not owner.store.warning)
    owner.close()
    print(number)
"""


@pytest.mark.fault('P14')
def test_a_full_disk_is_waited_for(public_path: Path) -> None:
    public_path.parent.chmod(0o777)
    warning, count = without_the_rights_of_root(FULL, public_path).splitlines()
    assert 'can not be written' in warning
    assert numbers(public_path) == list(range(1, int(count) + 1))
    assert not list(public_path.parent.glob('*.bad-*'))


FULL_FROM_THE_START = """
    writer.RETRY_S = 0.05
    tries = []
    openly = writer.open_or_replace
    def counted(path):
        tries.append(path)
        return openly(path)
    writer.open_or_replace = counted
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited))
    owner = Owner(Path(sys.argv[1]))
    warnings = []
    owner.wait(lambda: warnings.append(owner.store.warning) or len(tries) > 5)
    assert all('can not be written' in warning for warning in warnings), warnings
    owner.keep(event(1), 'at once')
    assert owner.told == ['at once']
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    owner.wait(lambda: not owner.store.warning)
    owner.close()
"""


@pytest.mark.fault('P14')
def test_a_disk_that_is_full_from_the_start_is_waited_for(public_path: Path) -> None:
    """The warning lasts as long as the disk is full, though there is nothing to be written."""
    public_path.parent.chmod(0o777)
    without_the_rights_of_root(FULL_FROM_THE_START, public_path)
    assert numbers(public_path) == [1]


def test_so_many_entries_wait_and_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, 'CAPACITY', 10)
    monkeypatch.setattr(writer, 'RETRY_S', 0.1)
    owner = Owner(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')
        for number in range(1, 31):
            owner.keep(replace(event(number), memory=PersistedState(reservation_id=number)), str(number))
        owner.wait(lambda: len(owner.told) == 30)
        other.execute('ROLLBACK')
    owner.wait(lambda: 'session records were lost' in owner.store.warning)
    owner.close()
    assert numbers(path) == list(range(21, 31))
    again = Owner(path)
    assert again.remembered.memory.reservation_id == 30
    assert again.remembered.last_sequence_number == 30
    again.close()


def test_what_begins_and_ends_outlasts_what_passes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full disk for long: no session is lost for the sake of pauses, nor what is in force."""
    monkeypatch.setattr(write_queue, 'CAPACITY', 10)
    monkeypatch.setattr(writer, 'RETRY_S', 0.1)
    owner = Owner(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')
        owner.keep(event(1, Event.SESSION_STARTED), '1')
        owner.keep(Entry(EPOCH, memory=PersistedState(reservation_id=9), errors=(HOT,)), 'in force')
        for number in range(2, 31):
            owner.keep(event(number, Event.SESSION_FINISHED if number == 15 else Event.CHARGING_RESUMED))
        owner.wait(lambda: len(owner.told) == 31)
        other.execute('ROLLBACK')
    owner.wait(lambda: 'session records were lost' in owner.store.warning)
    owner.close()
    assert numbers(path) == [1, 15, *range(23, 31)]
    assert rows(path, 'SELECT uuid, finished IS NOT NULL FROM sessions') == [('a', 1)]
    assert rows(path, 'SELECT code FROM errors') == [('OTHER',)]
    again = Owner(path)
    assert again.remembered.memory.reservation_id == 9
    again.close()


def test_an_entry_that_can_not_be_written_does_not_stop_the_others(path: Path) -> None:
    owner = Owner(path)
    owner.keep(event(1), '1')
    owner.keep(event(2, uuid='\ud800'), '2')
    owner.keep(event(3), '3')
    owner.wait(lambda: len(owner.told) == 3)
    owner.close()
    assert numbers(path) == [1, 3]
    assert 'could not be written and is lost' in owner.store.warning


def test_the_file_and_its_folder_are_nobody_elses_business(path: Path) -> None:
    owner = Owner(path)
    owner.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
