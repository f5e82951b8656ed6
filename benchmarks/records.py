"""Cost of a session record: from the moment a step is kept to the moment it may be published."""

import queue
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from machine import Watch
from samples import Samples

from evse_manager.interface.enums import SessionEventEnum
from evse_manager.interface.types import SessionEvent
from evse_manager.simulation.bench import EPOCH
from evse_manager.store import Entry, SessionStore

STEPS = {
    'a start or a stop, on the disk': SessionEventEnum.SESSION_STARTED,
    'a pause, safe from a kill': SessionEventEnum.CHARGING_PAUSED_EVSE,
}
PATIENCE_S = 10.0


def measure(*, samples: int) -> dict[str, Any]:
    """Return the times of each kind of step, with the file in the home directory."""
    watch = Watch()
    times = Samples()
    awake: queue.SimpleQueue[None] = queue.SimpleQueue()
    with TemporaryDirectory(prefix='.evse_benchmark_', dir=Path.home()) as folder:
        store = SessionStore(
            Path(folder) / 'records.sqlite3', 365, now=lambda: EPOCH, wake=lambda: awake.put(None)
        )
        store.open()
        number = 0
        for _ in range(samples):
            for name, kind in STEPS.items():
                number += 1
                event = SessionEvent(stamp=EPOCH, sequence_number=number, uuid=str(number), event=kind)
                began, told = time.perf_counter(), []
                store.keep(Entry(EPOCH, (event,)), _clock(told))
                while not told:
                    awake.get(timeout=PATIENCE_S)
                    store.settle()
                times.add(name, told[0] - began)
        assert not store.warning, store.warning
        store.close(PATIENCE_S)
    return {'figures': times.summary(), 'machine': watch.end()}


def _clock(told: list[float]) -> Callable[[], None]:
    return lambda: told.append(time.perf_counter())
