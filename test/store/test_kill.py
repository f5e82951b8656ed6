"""Real processes killed at random moments, many times, on one file (EVSE_MANAGER_KILLS, default 20)."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from evse_manager.interface.enums import StopTransactionReason
from evse_manager.interface.types import SessionEvent
from evse_manager.store.archive import Archive
from evse_manager.store.codec import decode
from evse_manager.store.record_rows import HISTORY, JOURNAL, whole
from store.ledger import check_file, check_told
from store.owner import EPOCH

KILLS = int(os.environ.get('EVSE_MANAGER_KILLS', '20'))
TESTS = Path(__file__).parent.parent


def events(path: Path) -> list[SessionEvent]:
    """Return what was published; the last line may have been cut short by the kill."""
    if not path.exists():
        return []
    lines = path.read_text().split('\n')
    return [decode(line, SessionEvent) for line in lines[:-1]]


def check_copies(journal: Path, history: Path) -> None:
    """The file of all connectors has every session of the connector once, whole."""
    copier = Archive(history, 36500, lambda: EPOCH)  # the next process copies what the last kill kept back
    copier.copy_from(journal)
    assert copier.wait_until_idle(30.0), copier.warning
    with closing(sqlite3.connect(journal)) as own, closing(sqlite3.connect(history)) as common:
        uuids = [uuid for (uuid,) in own.execute('SELECT uuid FROM sessions ORDER BY 1')]
        assert [uuid for (uuid,) in common.execute('SELECT uuid FROM sessions ORDER BY 1')] == uuids
        for uuid in uuids:
            assert whole(common, HISTORY, uuid) == whole(own, JOURNAL, uuid)


@pytest.mark.timeout(60 + 3 * KILLS)
def test_killed_at_any_moment_no_transaction_is_lost_and_none_counted_twice(tmp_path: Path) -> None:
    random = Random(f'{KILLS} kills')
    records, told = tmp_path / 'records.sqlite3', tmp_path / 'told.jsonl'

    def worker(seed: int, how: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, '-m', 'store.worker', str(records), str(told), str(seed), how],
            cwd=TESTS,
        )

    for number in range(KILLS):
        size = told.stat().st_size if told.exists() else 0
        process = worker(number, 'until killed')
        try:
            while not told.exists() or told.stat().st_size == size:
                assert process.poll() is None, 'the worker ended by itself'
                time.sleep(0.002)
            time.sleep(random.choice((0.02, 0.2, 0.8)) * random.random())
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        check_told(events(told), all_closed=False)
        check_file(records, events(told), all_closed=False)

    assert worker(KILLS, 'orderly').wait(60.0) == 0
    everything = events(told)
    check_told(everything, all_closed=True)
    check_file(records, everything, all_closed=True)
    check_copies(records, records.with_name('all-connectors.sqlite3'))
    ends = [event.transaction_finished for event in everything if event.transaction_finished is not None]
    assert sum(end.reason is StopTransactionReason.POWER_LOSS for end in ends) >= KILLS // 10
