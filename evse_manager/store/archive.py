"""
The thread that copies finished sessions from the connectors' own files into the file of all connectors.

A process has one such thread for each file of all connectors, whatever the number of its connectors.
Nothing waits for it: a connector's own file is written first, remembers what is in force, and keeps the
session in any case.  What a kill or a full disk has kept back is copied by the next process that looks.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from evse_manager.interface.types import Time
from evse_manager.store.clock import KNOWN_FROM
from evse_manager.store.codec import DecodeError
from evse_manager.store.database import is_damage
from evse_manager.store.history import HistoryFile
from evse_manager.store.location import FileLock, LockedError, set_aside
from evse_manager.store.record_rows import JOURNAL, whole
from evse_manager.store.schema import ForeignFileError

GATHER_S = 0.5
"""Sessions that finish within this time are added in one commit, in seconds."""

RETRY_S = 5.0
"""Period of retries of a file that cannot be written, in seconds."""

FIRST_PURGE_S = 900.0
PURGE_EVERY_S = 86400.0

SESSIONS_PER_COMMIT = 100
"""Other processes may write in between."""

FAILURES = (OSError, sqlite3.Error, DecodeError, ForeignFileError)


class Archive:
    """The file of all connectors of a host, as one process writes it; any thread may call any method."""

    _open: ClassVar[dict[Path, 'Archive']] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def attach(
        cls, path: Path, retention_days: int, now: Callable[[], Time], changed: Callable[[], object]
    ) -> 'Archive':
        """
        Return this process's archive in the file ``path``; call ``detach`` with the same ``changed``.

        ``changed`` is called in any thread when ``warning`` has changed.
        """
        with cls._guard:
            archive = cls._open.get(path)
            if archive is None:
                archive = cls._open[path] = cls(path, retention_days, now)
            archive._users.append(changed)
            return archive

    def detach(self, changed: Callable[[], object]) -> None:
        """End the thread when it has no other user; what it has not copied is copied at the next start."""
        with self._guard:
            self._users.remove(changed)
            ending = not self._users
            if ending and self._open.get(self.path) is self:
                del self._open[self.path]
        if ending:
            with self._condition:
                self._ending = True
                self._condition.notify_all()

    def __init__(self, path: Path, retention_days: int, now: Callable[[], Time]) -> None:
        """``now`` returns the wall time; use ``attach``."""
        self.path = path
        self._days = retention_days
        self._now = now
        self._users: list[Callable[[], object]] = []
        self._condition = threading.Condition()
        self._journals: set[Path] = set()
        self._copied: dict[Path, int] = {}
        self._active: dict[Path, dict[str, int]] = {}
        """By connector's own file and session: how many errors were active after its end when last seen."""
        self._busy = False
        self._ending = False
        self._warning = ''
        self._notice = ''
        self._thread: threading.Thread | None = None

    @property
    def warning(self) -> str:
        """Problem of the file, for people; empty when there is none."""
        return ' '.join(filter(None, (self._warning, self._notice)))

    def copy_from(self, journal: Path) -> None:
        """Copy the sessions that have finished in a connector's own file, soon."""
        with self._condition:
            self._journals.add(journal)
            if self._thread is None and not self._ending:
                self._thread = threading.Thread(target=self._run, name='session_archive', daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def copied(self, journal: Path) -> int:
        """Return the row up to which all finished sessions of a connector's own file are here; 0 for none."""
        return self._copied.get(journal, 0)

    def wait_until_idle(self, limit_s: float) -> bool:
        """Wait until everything that was asked for is copied; return whether it is."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._journals and not self._busy, limit_s)

    # --- in the thread ---

    def _run(self) -> None:
        purge_at = time.monotonic() + FIRST_PURGE_S
        while True:
            with self._condition:
                self._busy = False
                self._condition.notify_all()
                self._condition.wait_for(
                    lambda: self._journals or self._ending, max(0.0, purge_at - time.monotonic())
                )
                if self._ending:
                    return
                self._condition.wait_for(lambda: self._ending, GATHER_S)
                journals, self._journals, self._busy = self._journals, set(), True
            try:
                self._copy(journals)
                if time.monotonic() >= purge_at:
                    purge_at = time.monotonic() + PURGE_EVERY_S
                    self._purge()
                self._warn('')
            except FAILURES as error:
                self._warn(
                    f'Finished sessions can not be copied to {self.path} ({error}); each is kept in the'
                    ' file of its connector and copied when that is possible: check the disk and the rights.'
                )
                self._replace_if_damaged(error)
                with self._condition:
                    self._journals |= journals
                    if self._condition.wait_for(lambda: self._ending, RETRY_S):
                        return

    def _warn(self, warning: str) -> None:
        if warning == self._warning:
            return
        self._warning = warning
        with self._guard:
            users = list(self._users)
        for changed in users:
            changed()

    def _copy(self, journals: set[Path]) -> None:
        if self._now() < KNOWN_FROM:
            return  # the stamps are corrected first; the connector asks again then
        for journal in sorted(journals):
            if not journal.exists():
                continue
            connection = sqlite3.connect(f'{journal.as_uri()}?mode=ro', uri=True, timeout=1.0)
            try:
                self._copy_from(journal, connection)
            finally:
                connection.close()

    def _copy_from(self, journal: Path, connection: sqlite3.Connection) -> None:
        """
        Copy what has finished since the last time, or ever when this is the first.

        The file of all connectors is opened only when a session or an error has ended: a host may have a
        hundred connectors, and a connector asks more often than that.
        """
        (open_row,) = connection.execute(
            'SELECT coalesce(min(rowid), (SELECT coalesce(max(rowid), 0) + 1 FROM sessions))'
            ' FROM sessions WHERE finished IS NULL'
        ).fetchone()
        finished = connection.execute(
            'SELECT uuid FROM sessions WHERE rowid > ? AND finished IS NOT NULL ORDER BY rowid',
            (self.copied(journal),),
        ).fetchall()
        active = dict(
            connection.execute(
                'SELECT session_uuid, count(*) FROM errors JOIN sessions ON uuid = session_uuid'
                ' WHERE cleared IS NULL AND finished IS NOT NULL GROUP BY session_uuid'
            )
        )
        before = self._active.get(journal, {})
        if finished or any(active.get(uuid) != count for uuid, count in before.items()):
            file = HistoryFile(self.path)
            try:
                for uuid in file.with_active_errors():
                    record = whole(connection, JOURNAL, uuid)
                    if record is not None:
                        file.end_errors(record)
                missing = file.missing(uuid for (uuid,) in finished)
                for first in range(0, len(missing), SESSIONS_PER_COMMIT):
                    if self._ending:
                        return
                    some = missing[first : first + SESSIONS_PER_COMMIT]
                    found = (whole(connection, JOURNAL, uuid) for uuid in some)
                    file.add([record for record in found if record is not None])
            finally:
                file.close()
        self._copied[journal] = open_row - 1
        self._active[journal] = active

    def _purge(self) -> None:
        if not self.path.exists():
            return
        file = HistoryFile(self.path)
        try:
            file.purge(self._now(), self._days)
        finally:
            file.close()

    def _replace_if_damaged(self, error: Exception) -> None:
        """
        Keep a damaged file under another name; a new one is begun, and filled with what the connectors have.

        Several processes may find the damage: one of them renames, and only what is still damaged.
        """
        if not is_damage(error) or not self._is_damaged():
            return
        try:
            lock = FileLock(self.path)
        except (LockedError, OSError):
            return
        try:
            if self._is_damaged():
                kept = set_aside(self.path)
                self._notice = (
                    f'The file of all sessions was damaged ({error}); it is kept as {kept}, and a new one was'
                    ' begun.'
                )
            self._copied.clear()
            self._active.clear()
        except OSError:
            return
        finally:
            lock.release()

    def _is_damaged(self) -> bool:
        """Return whether the file itself is damaged, rather than a connector's own one."""
        try:
            connection = sqlite3.connect(f'{self.path.as_uri()}?mode=ro', uri=True, timeout=1.0)
            try:
                (verdict,) = connection.execute('PRAGMA quick_check(1)').fetchone()
                return bool(verdict != 'ok')
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            return is_damage(error)
