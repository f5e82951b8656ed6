"""A worker with nodes that fail in every way: each failure is confined to its node, and all of them end."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from evse_manager.depot.protocol import Alive, Message, Start, Stop, Stopped, decode, encode
from harness import Connector, Probe

pytestmark = pytest.mark.timeout(120)

PATIENCE_S = 40.0

SCRIPT = """
import sys, time
from rclpy.node import Node
from evse_manager.depot import worker
from evse_manager.depot.protocol import Kind
from evse_manager.nodes.parameters import ParameterError
from evse_manager.nodes.runtime import LoopDeadline

class App:
    def __init__(self, **options):
        self.kind = options['namespace'].rpartition('/')[2]
        if self.kind == 'refused':
            raise ParameterError('parameter x is 3, but must be 4.')
        self.node = Node('app', **options)
        self.finished = False
        self.alarm = LoopDeadline(self.due)
        self.last, self.gap = time.monotonic(), 0.0

    def say(self, text):
        print(self.kind, text, flush=True)

    def due(self):
        now = time.monotonic()
        self.gap, self.last = max(self.gap, now - self.last - 0.05), now
        self.alarm.arm(now + 0.05)
        if self.kind == 'raises':
            raise ValueError('a deadline that fails')

    def begin(self):
        self.say('begins')
        if self.kind == 'broken':
            raise ValueError('no beginning')
        if self.kind == 'short':
            self.finished = True
        self.last = time.monotonic()
        self.alarm.arm(self.last + 0.05)

    def end(self):
        if self.kind == 'endless':
            raise ValueError('no end')
        self.finished = True

    def withdraw(self):
        self.say(f'withdraws {self.gap:.3f}')
        if self.kind == 'endless':
            raise ValueError('no withdrawal')

worker.app_class = lambda kind: App
sys.exit(worker.main(sys.argv[1:]))
"""


@dataclass
class Running:
    """A worker process as its depot sees it."""

    process: 'subprocess.Popen[bytes]'
    reports: int
    log: Path
    heard: list[Message] = field(default_factory=list)
    _unread: bytes = b''

    def order(self, message: Message) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(encode(message))

    def read(self) -> None:
        with suppress(BlockingIOError):
            self._unread += os.read(self.reports, 65_536)
        *lines, self._unread = self._unread.split(b'\n')
        self.heard += map(decode, lines)

    def wait(self, text: str, count: int = 1) -> None:
        """Wait until the output contains a text so many times."""
        end = time.monotonic() + PATIENCE_S
        while self.log.read_text().count(text) < count:
            assert time.monotonic() < end, self.log.read_text()
            self.read()
            time.sleep(0.05)

    def gap(self, kind: str) -> float:
        """Return by how much the loop was late for a node that has ended, at worst [s]."""
        (line,) = [line for line in self.log.read_text().splitlines() if line.startswith(f'{kind} withdraws')]
        return float(line.split()[2])


@pytest.fixture
def worker(domain: int, tmp_path: Path) -> Iterator[Running]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    log = tmp_path / 'worker.log'
    with log.open('wb') as output:
        process = subprocess.Popen(
            [sys.executable, '-c', SCRIPT, 'managers', 'managers 1', str(writing)],
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, pass_fds=(writing,), bufsize=0,
        )  # fmt: skip
    os.close(writing)
    running = Running(process, reading, log)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def starts(worker: Running, *kinds: str) -> None:
    for kind in kinds:
        worker.order(Start(kind, f'/worker/{kind}', {}))


def test_what_fails_is_made_again_and_delays_no_other(worker: Running) -> None:
    starts(worker, 'healthy', 'refused', 'broken', 'short', 'raises')
    worker.wait('refused does not run: parameter x is 3, but must be 4; it is started again in 0.5 s', 1)
    worker.wait('refused does not run', 3)
    worker.wait('broken begins', 3)
    worker.wait('short begins', 3)
    worker.wait('a deadline that fails')
    worker.order(Stop('healthy'))
    worker.wait('healthy withdraws')
    assert worker.log.read_text().count('healthy begins') == 1
    assert worker.gap('healthy') < 0.5
    assert worker.process.poll() is None


def test_a_node_is_ended_by_order_and_nothing_else_of_it_is_left(worker: Running) -> None:
    starts(worker, 'one', 'other')
    worker.wait('other begins')
    worker.order(Stop('one'))
    worker.wait('one withdraws')
    end = time.monotonic() + PATIENCE_S
    while Stopped('one') not in worker.heard:
        assert time.monotonic() < end
        worker.read()
        time.sleep(0.05)
    assert 'other withdraws' not in worker.log.read_text()
    assert Alive(2) in worker.heard


def test_a_node_that_cannot_end_in_order_keeps_no_other_from_it(worker: Running) -> None:
    starts(worker, 'endless', 'other')
    worker.wait('other begins')
    assert worker.process.stdin is not None
    worker.process.stdin.close()  # the depot is dead
    assert worker.process.wait(PATIENCE_S) == 0
    text = worker.log.read_text()
    assert 'other withdraws' in text
    assert 'endless withdraws' in text
    assert 'no end' in text


def test_diagnostics_name_the_nodes_that_are_started_again(worker: Running, probe: Probe) -> None:
    heard = Connector(probe, '/worker').listen('/diagnostics')
    name = f'{socket.gethostname()}/managers 1: worker'

    def newest() -> tuple[bytes, str] | None:
        worker.read()
        found = [status for array in heard for status in array.status if status.name == name]
        return (found[-1].level, found[-1].message) if found else None

    starts(worker, 'healthy')
    probe.wait(lambda: newest() == (b'\x00', '1 of 1 nodes run.'), lambda: f'one node: {newest()}')
    starts(worker, 'refused')
    wanted = (b'\x01', '1 of 2 nodes run. Started again, see the log: refused.')
    probe.wait(lambda: newest() == wanted, lambda: f'a failing node: {newest()}')
