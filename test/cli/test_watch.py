"""``evse watch`` on a terminal and in a pipe, while nodes come and go."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager

import pytest

from harness import Connector, Probe, Site

from .conftest import LIMIT_S, evse, program

pytestmark = pytest.mark.timeout(120)


class Terminal:
    """``evse`` on a terminal of 80 by 24: what it drew since the last look, and a keyboard."""

    def __init__(self, *words):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        environment = {**os.environ, 'TERM': 'xterm-256color'}
        for name in ('COLUMNS', 'LINES', 'NO_COLOR'):
            environment.pop(name, None)
        self.child = subprocess.Popen(
            [program('evse'), *words],
            stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=environment, start_new_session=True,
        )  # fmt: skip
        self.drawn = ''

    def shows(self, text):
        """Wait until a text is drawn; forget what was drawn before it."""
        end = time.monotonic() + LIMIT_S
        while text not in self.plain():
            assert time.monotonic() < end, f'{text!r} did not appear:\n{self.plain()[-3000:]}'
            assert self.child.poll() is None, f'evse ended: {self.child.stderr.read().decode()}'
            if select.select([self.master], [], [], 0.1)[0]:
                self.drawn += os.read(self.master, 65536).decode(errors='replace')
        self.drawn = ''

    def plain(self):
        return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', self.drawn)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def ends(self):
        """Wait for the end while the terminal is being read, and return the exit code."""
        end = time.monotonic() + 5.0
        while self.child.poll() is None and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                os.read(self.master, 65536)
        assert self.child.poll() is not None, 'evse did not end'
        assert self.child.stderr.read() == b''
        return self.child.returncode


@contextmanager
def terminal(*words):
    screen = Terminal(*words)
    try:
        yield screen
    finally:
        if screen.child.poll() is None:
            screen.child.kill()
        screen.child.wait()
        screen.child.stderr.close()
        os.close(screen.master)
        os.close(screen.slave)


@pytest.mark.parametrize('way', ['q', '\x03'], ids=['q', 'Ctrl-C'])
def test_it_leaves_cleanly(connector: Connector, way):
    with terminal('watch') as screen:
        screen.shows('/evse_1')
        if way == 'q':
            screen.press('q')
        else:
            screen.child.send_signal(signal.SIGINT)
        assert screen.ends() == 0
        assert termios.tcgetattr(screen.slave) == screen.before


def test_it_shows_a_session_live(connector: Connector):
    with terminal('watch') as screen:
        screen.shows('idle')
        connector.charge()
        screen.shows('ChargingStarted')
        screen.shows('kW')
        connector.accepted('pause_charging')
        screen.shows('ChargingPausedEVSE')
        connector.accepted('simulation/inject_fault', fault='rcd_ac')
        screen.shows('residual current device tripped')
        screen.press('q')
        assert screen.ends() == 0


def test_it_survives_nodes_that_come_and_go(connector: Connector, site: Site, probe: Probe):
    with terminal('watch') as screen:
        screen.shows('1 connector ')
        second = Connector(probe, '/evse_2')
        board, manager = site.board('/evse_2'), site.manager('/evse_2')
        screen.shows('2 connectors')
        second.sees('Enabled')
        manager.stop()
        screen.shows('is gone')
        manager = site.manager('/evse_2')
        screen.shows('Available')
        screen.press('q')
        assert screen.ends() == 0
    manager.stop()
    board.stop()


def test_keys_command_the_selected_connector_after_a_question(connector: Connector):
    connector.charge()
    with terminal('watch') as screen:
        screen.shows('contactor closed')
        screen.press('p')
        screen.shows('[y/n] Pause charging at /evse_1?')
        screen.press('n')
        screen.shows('Nothing was done.')
        screen.press('p')
        screen.shows('[y/n]')
        screen.press('y')
        screen.shows('pause charging accepted')
        screen.shows('Paused by the user')
        screen.press('p')
        screen.shows('[y/n]')
        screen.press('q')
        screen.shows('Nothing was done.')
        screen.press('q')
        assert screen.ends() == 0
    connector.reaches(lambda status: status.paused_by_user, 'a pause')


@contextmanager
def piped(*words):
    """The lines of ``evse`` in a pipe; Ctrl-C ends it without complaint."""
    with subprocess.Popen(
        [program('evse'), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            yield iter(child.stdout.readline, '')
        finally:
            child.send_signal(signal.SIGINT)
            _, complaint = child.communicate(timeout=10.0)
        assert (child.returncode, complaint) == (0, '')


def test_in_a_pipe_it_prints_a_line_for_each_change(connector: Connector):
    with piped('watch') as lines:
        assert any('idle' in line for line in lines)
        connector.accepted('simulation/plug_in')
        assert any('needs token' in line for line in lines)


def test_json_is_a_status_per_line(connector: Connector):
    with piped('watch', '--json') as lines:
        records = [json.loads(next(lines)) for _ in range(3)]
    assert {record['connector'] for record in records} == {'/evse_1'}
    assert all(record['state'] == 'IDLE' for record in records)


def test_a_reader_that_leaves_is_no_error(connector: Connector):
    reader = f'{program("evse")} watch --json --for 8 | head -n 1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ['bash', '-c', reader], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, '')
    assert json.loads(done.stdout)['connector'] == '/evse_1'


def test_once_prints_the_screen_and_a_picture(connector: Connector, tmp_path):
    picture = tmp_path / 'watch.svg'
    result = evse('watch', '--once', '--save-svg', str(picture))
    assert result.code == 0
    assert '1 connector' in result.out
    svg = picture.read_text()
    assert svg.startswith('<svg')
    assert 'evse_1' in svg
    assert 'http' not in svg.replace('http://www.w3.org/2000/svg', '').replace(
        'https://www.textualize.io', ''
    )
    result = evse('watch', '--once', '--save-svg', str(tmp_path / 'no' / 'such' / 'folder.svg'))
    assert result.code == 2
