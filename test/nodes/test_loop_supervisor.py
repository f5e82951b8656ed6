"""The supervisor of a loop, with threads and the monotonic clock alone."""

import random
import threading
import time
from collections.abc import Iterator

import pytest

from evse_manager.nodes.loop_supervisor import LATE_S, LoopSupervisor

SOON_S = 0.3
"""More than any delay of a thread on a busy machine."""


class Loop:
    """A loop that only its supervisor wakes."""

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.wakes: list[float] = []
        self.supervisor = LoopSupervisor(self._wake)

    def _wake(self) -> None:
        self.wakes.append(time.monotonic())
        self.woken.set()

    def wait(self, seconds: float) -> float:
        """Expect the loop back after a time, and wait until it is woken; return how late that was."""
        deadline = time.monotonic() + seconds
        self.woken.clear()
        self.supervisor.expect(deadline)
        assert self.woken.wait(seconds + 5.0), 'not woken'
        late = self.wakes[-1] - deadline
        self.supervisor.expect(float('inf'))
        return late


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.supervisor.close()
    assert not loop.supervisor.is_alive


def test_an_overdue_loop_is_woken_soon_after_its_deadline(loop: Loop) -> None:
    for seconds in (0.0, 0.1, 0.01):
        assert LATE_S <= loop.wait(seconds) + 0.001 < SOON_S


def test_a_loop_that_is_back_in_time_is_not_woken(loop: Loop) -> None:
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        loop.supervisor.expect(time.monotonic() + 1.0)
        time.sleep(0.01)
    assert not loop.wakes


def test_an_earlier_deadline_is_never_missed(loop: Loop) -> None:
    chance = random.Random(1)
    for _ in range(200):
        loop.supervisor.expect(time.monotonic() + chance.choice((100.0, 10.0, float('inf'))))
        if chance.random() < 0.5:
            time.sleep(chance.random() * 0.002)
        assert loop.wait(chance.random() * 0.002) < SOON_S


def test_the_rescues_run_while_the_loop_stays_away_and_a_failing_one_stops_no_other(loop: Loop) -> None:
    calls: list[str] = []

    def broken() -> None:
        calls.append('broken')
        raise ValueError('broken')

    def working() -> None:
        calls.append('working')

    loop.supervisor.add_rescue(broken)
    loop.supervisor.add_rescue(working)
    loop.supervisor.expect(time.monotonic())
    end = time.monotonic() + 5.0
    while calls.count('working') < 5 and time.monotonic() < end:
        time.sleep(0.01)
    assert calls.count('working') >= 5
    assert calls.count('broken') >= 5
    loop.supervisor.remove_rescue(broken)
    loop.supervisor.expect(float('inf'))
    time.sleep(0.1)
    seen = len(calls)
    time.sleep(0.2)
    assert len(calls) == seen
