"""Whatever byte was the last on the disk: nothing published is lost, nothing is counted twice."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.types import SessionEvent
from evse_manager.store import Entry, Remembered
from evse_manager.store.database import Database, open_or_replace
from store.ledger import check_file, check_told
from store.life import ACTIONS, Life

DAY = st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=25)


class Told:
    """A store without its thread: commits and publishes at once, and notes what the disk had by when."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file, self.remembered, warning = open_or_replace(path)
        assert warning == ''
        self.file._connection.execute('PRAGMA wal_autocheckpoint = 0')  # the log holds everything
        self.memory = self.remembered.memory
        self.told: list[SessionEvent] = list(self.remembered.undelivered)
        self.commits = [(self._log_size, self.remembered, len(self.told), 0)]
        self.delivered = self.remembered.last_sequence_number
        if self.told:
            self.file.mark(self.delivered, None)

    @property
    def _log_size(self) -> int:
        return self.path.with_name(self.path.name + '-wal').stat().st_size

    def keep(self, entry: Entry) -> None:
        last = entry.events[-1].sequence_number if entry.events else self.commits[-1][1].last_sequence_number
        self.memory = self.file.write([entry], self.memory, self.delivered)
        told_before = len(self.told)
        self.told += entry.events
        self.commits.append((self._log_size, Remembered(self.memory, last), told_before, len(self.told)))
        if entry.events:
            self.delivered = last
            self.file.mark(self.delivered, None)
            self.commits.append(
                (self._log_size, Remembered(self.memory, last), len(self.told), len(self.told))
            )


def without_stamp(remembered: Remembered) -> tuple[PersistedState, int]:
    memory = remembered.memory
    return PersistedState(
        *(getattr(memory, name) for name in PersistedState.__slots__ if name != 'written')
    ), (remembered.last_sequence_number)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=DAY, cut=st.floats(0.0, 1.0), told_one_more=st.booleans(), plugged=st.booleans(), second=DAY)
def test_a_crash_at_any_byte(
    first: list[object], cut: float, told_one_more: bool, plugged: bool, second: list[object]
) -> None:
    with TemporaryDirectory() as folder:
        before = Told(Path(folder) / 'before.sqlite3')
        life = Life(before.keep, seed=1)
        for action in first:
            life.act(action)

        # The machine stops: so many bytes of the log are there, and the events that may have been published.
        begin, end = before.commits[0][0], before.commits[-1][0]
        reached = round(begin + cut * (end - begin))
        _, expected, told_at_least, told_at_most = max(
            (commit for commit in before.commits if commit[0] <= reached), key=lambda commit: commit[0]
        )
        path = Path(folder) / 'after.sqlite3'
        shutil.copy(before.path, path)
        log = before.path.with_name(before.path.name + '-wal').read_bytes()[:reached]
        path.with_name(path.name + '-wal').write_bytes(log)
        told = before.told[: max(told_at_most, told_at_least) if told_one_more else told_at_least]

        after = Told(path)
        assert without_stamp(after.remembered) == without_stamp(expected)
        again = Life(after.keep, after.remembered, seed=2, plugged=plugged)
        check_told(told + after.told, all_closed=False)
        for action in second:
            again.act(action)
        again.end()

        check_told(told + after.told, all_closed=True)
        check_file(path, told + after.told, all_closed=True)
        if expected.memory.session is not None and expected.memory.session.transaction is not None:
            assert any(event.event is Event.TRANSACTION_FINISHED for event in after.told)
        before.file.close()
        after.file.close()


def test_what_was_recorded_and_perhaps_not_told_is_told_again_unless_it_is_past(tmp_path: Path) -> None:
    before = Told(tmp_path / 'records.sqlite3')
    life = Life(before.keep)
    life.act('plug')
    kinds = [event.event for event in before.told]
    assert kinds == [Event.ENABLED, Event.SESSION_STARTED, Event.AUTH_REQUIRED]
    before.file._connection.execute('UPDATE connector SET delivered_sequence_number = 1')
    before.file.close()

    file = Database(tmp_path / 'records.sqlite3')
    assert file.loaded.undelivered == (before.told[1],)  # word for word; that a token was wanted is past
    file.close()
