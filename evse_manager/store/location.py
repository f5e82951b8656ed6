"""The path of the records, its lock, and the name under which a damaged file is kept."""

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

PARTS = ('-shm', '-wal', '')
"""Suffixes of SQLite; the log is renamed first, or a new database would adopt it."""


SUFFIX = '.sqlite3'

ROOT = 'root-namespace'
"""Name of the file in the root namespace; no namespace may have a hyphen."""

LONGEST_NAME = 200
"""Longest name of a file, in characters; file systems take 255 with the suffixes."""

HASH_DIGITS = 16

HISTORY = 'all-connectors'
"""Name of the file with the finished sessions of all connectors of a host; no namespace may have a hyphen."""


class LockedError(Exception):
    """Another process keeps its records in this file; the text names it."""


def location(setting: str, namespace: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """
    Return the file that the parameter ``session_store`` means, or None for memory only.

    ``auto`` is ``evse_manager/<namespace>.sqlite3`` under ROS_HOME (default ``~/.ros``), where the namespace
    ``/depot/evse_7`` reads ``depot.evse_7``; names have no dots, so that no two namespaces share a file.  A
    name that is too long for a file system ends in a hash instead.
    """
    if not setting:
        return None
    if setting != 'auto':
        return Path(setting).expanduser().absolute()
    name = namespace.strip('/').replace('/', '.') or ROOT
    if len(name) > LONGEST_NAME:
        digest = sha256(name.encode()).hexdigest()[:HASH_DIGITS]
        name = f'{name[: LONGEST_NAME - HASH_DIGITS - 1]}-{digest}'
    return records_folder(environment) / f'{name}{SUFFIX}'


def records_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the records where no parameter says otherwise."""
    home = environment.get('ROS_HOME', '')
    folder = Path(home).expanduser() if home else Path.home() / '.ros'
    return (folder / 'evse_manager').absolute()


def history_location(setting: str, records: Path | None) -> Path | None:
    """
    Return the file that the parameter ``history_store`` means, or None for none.

    ``auto`` is ``all-connectors.sqlite3`` in the folder of ``records``, the connector's own file.
    """
    if not setting or records is None:
        return None
    if setting != 'auto':
        return Path(setting).expanduser().absolute()
    return records.with_name(f'{HISTORY}{SUFFIX}')


def last_written(path: Path) -> float:
    """Return when a file of records was written last, in seconds since 1970; 0 when it does not exist."""
    times = []
    for part in ('', '-wal'):
        with suppress(OSError):
            times.append(path.with_name(path.name + part).stat().st_mtime)
    return max(times, default=0.0)


class FileLock:
    """An exclusive lock on a file; the system releases it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock; raises LockedError when another process holds it, OSError when locking fails."""
        self._descriptor = os.open(
            path.with_name(path.name + '.lock'), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors='replace').strip()
            os.close(self._descriptor)
            raise LockedError(f'process {holder}' if holder else 'another process') from None
        except OSError:
            os.close(self._descriptor)
            raise
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f'{os.getpid()}\n'.encode(), 0)
        except OSError:
            pass  # a full disk: the holder's name is not essential

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def set_aside(path: Path) -> Path:
    """Rename a damaged file and its companions, and return its new name; raises OSError."""
    stamp = datetime.now(UTC).strftime('%Y%m%dT%H%M%S')
    kept, number = path.with_name(f'{path.name}.bad-{stamp}'), 1
    while kept.exists():
        number += 1
        kept = path.with_name(f'{path.name}.bad-{stamp}-{number}')
    for part in PARTS:
        source = path.with_name(path.name + part)
        if source.exists():
            source.rename(kept.with_name(kept.name + part))
    return kept
