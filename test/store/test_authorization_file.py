"""The file of the authorization: replaced as a whole, private, held by one process, and what damage does."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from evse_manager.authorization.saved import (
    Reservation,
    Saved,
    SavedError,
    SavedGrant,
    SavedTransaction,
    Unmarking,
    from_json,
    to_json,
)
from evse_manager.interface.types import Time
from evse_manager.store.authorization_file import AuthorizationFile, authorization_location
from evse_manager.store.location import LockedError

FULL = Saved(
    (
        Reservation(1, 'ROBOT-7', 'FLEET', '/yard/one', Time(5), pending=True),
        Reservation(2, '', 'F', '', Time(9)),
    ),
    (SavedGrant('/yard/two', 'CARD', '', 2),),
    (SavedTransaction('/yard/one', 'uuid', 'CARD', 'F'),),
    (Unmarking('/yard/one', 3),),
    17,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'deep' / 'authorization.json'


def test_a_state_survives_the_document() -> None:
    assert from_json(to_json(FULL)) == FULL
    assert from_json(to_json(Saved())) == Saved()


def test_what_is_saved_is_loaded_and_only_the_owner_may_read_it(path: Path) -> None:
    os.umask(0)
    file = AuthorizationFile(path)
    assert file.load() == (Saved(), None)
    file.save(FULL)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file.close()
    assert AuthorizationFile(path).load() == (FULL, None)


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'{',
        b'[]',
        b'\xff\xfe',
        b'{"version": 2}',
        b'null',
        json.dumps({**json.loads(to_json(FULL)), 'more': 1}).encode(),
        json.dumps({**json.loads(to_json(FULL)), 'grants': [{'connector': 3}]}).encode(),
        json.dumps({**json.loads(to_json(FULL)), 'next_reservation_id': 'x'}).encode(),
        b'[' * 100_000,
    ],
    ids=range(10),
)
def test_a_damaged_document_is_kept_aside(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    saved, moved = AuthorizationFile(path).load()
    assert saved == Saved()
    assert moved is not None
    assert moved.read_bytes() == content
    assert not path.exists()


def test_an_error_shows_no_token() -> None:
    with pytest.raises(SavedError) as error:
        from_json(to_json(FULL).replace('"expiry": 5', '"expiry": "ROBOT-7"'))
    assert 'ROBOT' not in str(error.value)


def test_one_process_holds_the_file(path: Path) -> None:
    first = AuthorizationFile(path)
    with pytest.raises(LockedError):
        AuthorizationFile(path)
    first.close()
    AuthorizationFile(path).close()


def test_a_disk_that_refuses_leaves_the_document(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AuthorizationFile(path)
    file.save(FULL)

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full_disk)
    with pytest.raises(OSError, match='No space left'):
        file.save(Saved())
    assert file.load() == (FULL, None)


WRITER = """
import sys
from pathlib import Path
from evse_manager.authorization.saved import Saved
from evse_manager.store.authorization_file import AuthorizationFile
file = AuthorizationFile(Path(sys.argv[1]))
print('ready', flush=True)
number = 1
while True:
    number += 1
    file.save(Saved(next_reservation_id=number))
"""


def test_killed_while_writing_the_document_is_whole(path: Path) -> None:
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, '-c', WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == 'ready\n'
            while not path.exists():
                assert writer.poll() is None
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            if writer.stdout is not None:
                writer.stdout.close()
        file = AuthorizationFile(path)
        saved, moved = file.load()
        file.close()
        assert moved is None
        assert saved.next_reservation_id > 1


@pytest.mark.parametrize(
    ('setting', 'expected'),
    [
        ('', None),
        ('auto', Path('/ros/evse_manager/depot.authorization.json')),
        ('/var/a.json', Path('/var/a.json')),
    ],
)
def test_where_the_file_is(setting: str, expected: Path | None) -> None:
    assert authorization_location(setting, '/depot', {'ROS_HOME': '/ros'}) == expected
