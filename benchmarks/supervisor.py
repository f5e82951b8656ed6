"""
What the supervisor of the loop costs: its thread, and what the loop does for it at each wait.

Processor time of the thread, so that other processes hardly disturb it.
"""

import threading
import time
from typing import Any

from evse_manager.nodes.loop_supervisor import LoopSupervisor

WAITS_PER_S = 20.0
"""Waits of a charging connector's loop are fewer."""
SECONDS = 10.0
CALLS = 100_000


def measure() -> dict[str, Any]:
    """Return the share of a core of the thread, and the microseconds that each wait costs the loop."""
    supervisor = LoopSupervisor(lambda: None)
    try:
        thread = next(each for each in threading.enumerate() if each.name == 'supervisor')
        assert thread.ident is not None
        clock = time.pthread_getcpuclockid(thread.ident)
        used, end = time.clock_gettime(clock), time.monotonic() + SECONDS
        while (now := time.monotonic()) < end:
            supervisor.expect(now + 1.0 / WAITS_PER_S)
            time.sleep(1.0 / WAITS_PER_S)
        share = (time.clock_gettime(clock) - used) / SECONDS
        began, later = time.thread_time(), time.monotonic() + 100.0
        for _ in range(CALLS):
            supervisor.expect(later)
        per_wait = (time.thread_time() - began) / CALLS
    finally:
        supervisor.close()
    return {'thread_percent_of_a_core': 100.0 * share, 'us_per_wait': 1e6 * per_wait}


if __name__ == '__main__':
    print(measure())
