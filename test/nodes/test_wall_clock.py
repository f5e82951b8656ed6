"""
Real processes whose wall clock is set at random moments of a session, with every driver.

The clock of each process under test is shifted by a preloaded library (``shifted_clock.c``), so that the
machine's own is left alone.  Without the supervisor of the loop a clock that is set back by an hour stops
both nodes, with the contactor closed.
"""

import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from evse_manager.msg import BoardState, ContactorState, EvseStatus
from harness import Connector, Probe, Process, Site, running
from nodes.wall_clock import WallClock

pytestmark = pytest.mark.timeout(240)

DRIVERS = ('simulated', 'openevse', 'phoenix', 'yeti')

HOUR, DAY = 3600.0, 86_400.0
SHIFTS_S = (-HOUR, -5.0, DAY)
LONGEST_GAP_S = 0.9
"""Commands and states are due every 0.31 s; the lease is 1 s."""

OPEN_WITHIN_S = 1.5


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path)


def test_the_library_shifts_the_clock_of_a_process(clock: WallClock) -> None:
    program = 'import time; print(time.time(), time.monotonic())'
    clock.shift(-HOUR)
    shown = subprocess.run(
        ['/usr/bin/env', 'python3', '-c', program],
        env={'PATH': '/usr/bin:/bin', **clock.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()
    assert float(shown[0]) == pytest.approx(time.time() - HOUR, abs=30.0)
    assert float(shown[1]) == pytest.approx(time.monotonic(), abs=30.0)


class ChargingConnector:
    """A connector that charges, and when its messages arrive."""

    def __init__(self, site: Site, probe: Probe, driver: str, directory: Path) -> None:
        namespace = f'/wall_clock_{driver}'
        self.probe = probe
        self.virtual: Process | None = None
        parameters: dict[str, Any] = {'driver': driver}
        if driver != 'simulated':
            port = directory / 'port'
            self.virtual = Process(
                'evse_virtual_board', driver, '--link', str(port), '--ros-args', '-r', f'__ns:={namespace}',
                log=directory / 'virtual.log',
            )  # fmt: skip
            probe.wait(port.exists, 'a port')
            parameters['port'] = port
        self.connector = Connector(probe, namespace)
        self.states: list[BoardState] = self.connector.listen('board/state')
        self.commands = self.connector.listen('board/command')
        self.board = site.board(namespace, **parameters)
        self.manager = site.manager(namespace, replug_grace_s=0.0)
        self.connector.sees('Enabled', 30.0)
        self.connector.reaches(
            lambda status: status.state == EvseStatus.STATE_IDLE and not status.active_errors, 'idle', 30.0
        )
        self.connector.forget()
        self.connector.charge()
        probe.wait(lambda: self.is_closed, 'closed')

    @property
    def is_closed(self) -> bool:
        return bool(self.states) and self.states[-1].contactor == ContactorState.CLOSED

    def longest_gap(self, seconds: float) -> dict[str, float]:
        """Let time pass; return the longest time without a message of each topic."""
        heard = {'board/state': self.states, 'board/command': self.commands}
        counts = {name: len(messages) for name, messages in heard.items()}
        begun = time.monotonic()
        last, gaps = dict.fromkeys(heard, begun), dict.fromkeys(heard, 0.0)
        while (now := time.monotonic()) < begun + seconds:
            self.probe.spin(0.02)
            for name, messages in heard.items():
                if len(messages) > counts[name]:
                    counts[name], last[name] = len(messages), now
                gaps[name] = max(gaps[name], now - last[name])
        return gaps

    def stop(self) -> None:
        if self.virtual is not None:
            self.virtual.stop()


@pytest.mark.alone
@pytest.mark.parametrize('driver', DRIVERS)
def test_a_wall_clock_that_is_set_delays_neither_node(
    driver: str, clock: WallClock, domain: int, probe: Probe, tmp_path: Path
) -> None:
    chance = random.Random(driver)
    with running(tmp_path, clock.environment) as site:
        charging = ChargingConnector(site, probe, driver, tmp_path)
        try:
            for shift in SHIFTS_S:
                probe.spin(chance.random())
                clock.shift(shift)
                gaps = charging.longest_gap(4.0)
                assert max(gaps.values()) < LONGEST_GAP_S, (shift, gaps)
                assert charging.is_closed
                assert charging.connector.codes == []
            probe.spin(chance.random())
            clock.shift(-HOUR)
            probe.spin(1.0 + chance.random())
            assert charging.is_closed
            charging.manager.signal(signal.SIGKILL)
            begun = time.monotonic()
            probe.wait(lambda: not charging.is_closed, 'open without a manager', 10.0)
            assert time.monotonic() - begun < OPEN_WITHIN_S
            assert charging.states[-1].opening_reason == BoardState.OPENING_REASON_LEASE_LAPSED
        finally:
            charging.stop()


@pytest.mark.alone
def test_a_board_that_is_killed_while_the_clock_is_back_is_lost_in_time(
    clock: WallClock, domain: int, probe: Probe, tmp_path: Path
) -> None:
    with running(tmp_path, clock.environment) as site:
        charging = ChargingConnector(site, probe, 'simulated', tmp_path)
        clock.shift(-HOUR)
        probe.spin(1.0)
        charging.board.signal(signal.SIGKILL)
        begun = time.monotonic()
        charging.connector.reaches(lambda status: status.active_errors, 'an error')
        assert time.monotonic() - begun < OPEN_WITHIN_S
