"""The serial link: what can be wrong with a port, and that it comes back by itself without a trace."""

import dataclasses
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evse_manager.board.boards.openevse.rapi import Frame, RapiParser
from evse_manager.board.driver import (
    DRIVERS,
    PROBLEM,
    Driver,
    DriverContext,
    PortBusyError,
    PortDeniedError,
    PortError,
    PortMissingError,
    driver_class,
)
from evse_manager.board.meters.metered import MeteredDriver, MeterParameters
from evse_manager.board.transport import serial_link
from evse_manager.board.transport.port import PortSettings, open_port
from evse_manager.board.transport.serial_link import (
    OUTBOX_BYTES,
    QUEUE_FRAMES,
    PortLost,
    PortOpened,
    SerialLink,
)
from evse_manager.interface.enums import LinkState
from evse_manager.interface.types import Time
from evse_manager.simulation.virtual.host import VirtualBoardHost
from evse_manager.simulation.virtual.terminal import Terminal

SERIAL = [
    name
    for name in sorted(DRIVERS)
    if 'port' in (field.name for field in dataclasses.fields(driver_class(name).Parameters))
]
"""Every driver with a port."""

CONTEXT = DriverContext(clock=time.monotonic, wall=lambda: Time(time.time_ns()), wake=lambda: None)
STATE = b'$OK fe 0 05 0702 :A5^7D\r'


class Line:
    """A link on a terminal that can be pulled out."""

    def __init__(self, directory: Path) -> None:
        self.terminal = Terminal(directory / 'port')
        self.terminal.plug_in()
        self.link: SerialLink[Frame] = SerialLink(
            PortSettings(self.terminal.port, silence_s=0.5), RapiParser(), lambda: None
        )
        self.heard: list[Frame | PortOpened | PortLost] = []

    def hears(self, wanted: type, limit_s: float = 8.0) -> object:
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            self.heard += self.link.receive()
            for index, item in enumerate(self.heard):
                if isinstance(item, wanted):
                    del self.heard[: index + 1]
                    return item
            time.sleep(0.01)
        raise AssertionError(f'no {wanted.__name__} within {limit_s} s; {self.link.diagnostics()}')


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.link.close()
    line.terminal.pull_out()


def descriptors_open() -> int:
    return sum(1 for _ in Path('/proc/self/fd').iterdir())


def wait(condition: Callable[[], object], limit_s: float = 5.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def driver(name: str, port: str, meter_port: str = '') -> Driver:
    cls = driver_class(name)
    made = cls(cls.Parameters(port=port), CONTEXT)
    if not meter_port:
        return made
    return MeteredDriver(made, MeterParameters(meter='sdm630', meter_port=meter_port), CONTEXT)


@pytest.mark.fault('L9')
@pytest.mark.parametrize('name', SERIAL)
def test_every_driver_names_what_is_wrong_with_its_port_and_leaves_nothing_open(
    name: str, line: Line, tmp_path: Path
) -> None:
    line.link.open()
    other = Terminal(tmp_path / 'other')
    other.plug_in()
    (tmp_path / 'file').write_text('')
    threads, descriptors = threading.active_count(), descriptors_open()
    for port, meter_port, kind in (
        ('', '', PortError),
        ('/dev/ttyUSB99', '', PortMissingError),
        (str(tmp_path), '', PortError),
        (str(tmp_path / 'file'), '', PortError),
        (line.terminal.port, '', PortBusyError),
        (other.port, '/dev/ttyUSB99', PortMissingError),
        (other.port, line.terminal.port, PortBusyError),
    ):
        with pytest.raises(kind, match=r'; '):
            driver(name, port, meter_port).open()
    assert threading.active_count() == threads
    assert descriptors_open() == descriptors
    other.pull_out()


def test_a_port_that_does_not_exist() -> None:
    with pytest.raises(PortMissingError, match=r'no port /dev/ttyUSB99; plug the adapter in'):
        open_port(PortSettings('/dev/ttyUSB99'))


def test_no_port_at_all() -> None:
    with pytest.raises(PortError, match='Parameter port is empty'):
        open_port(PortSettings(''))


def test_something_that_is_no_serial_port(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(PortError, match='no serial port'):
        open_port(PortSettings(str(tmp_path / 'file')))


@pytest.mark.fault('L9')
def test_a_port_that_another_process_holds(line: Line) -> None:
    line.link.open()
    with pytest.raises(PortBusyError, match=rf'in use by process {os.getpid()} \('):
        open_port(PortSettings(line.terminal.port))


@pytest.mark.skipif(os.geteuid() == 0, reason='root may open everything')
def test_a_port_without_permission(line: Line) -> None:
    Path(line.terminal.path).chmod(0)
    with pytest.raises(PortDeniedError, match='dialout'):
        open_port(PortSettings(line.terminal.port))


def test_permission_is_explained_whoever_asks(monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(os, 'open', denied)
    with pytest.raises(PortDeniedError, match='usermod -aG dialout'):
        open_port(PortSettings(line.terminal.port))


def test_silence_of_a_port_and_its_end(line: Line) -> None:
    line.link.open()
    line.hears(PortOpened)
    lost = line.hears(PortLost)
    assert isinstance(lost, PortLost)
    assert lost.silent
    assert 'nothing at all comes' in lost.text
    line.terminal.write(STATE)
    line.hears(Frame)
    assert line.link.problem == ''


@pytest.mark.fault('L10')
def test_a_wrong_baud_rate_is_told_from_silence(line: Line) -> None:
    line.link.open()
    for _ in range(8):
        line.terminal.write(os.urandom(100).replace(b'$', b'.'))
        time.sleep(0.1)
    lost = line.hears(PortLost)
    assert isinstance(lost, PortLost)
    assert 'check the baud rate' in lost.text


@pytest.mark.fault('L10')
@pytest.mark.parametrize('name', SERIAL)
def test_every_driver_tells_another_language_from_silence(name: str) -> None:
    with VirtualBoardHost(name) as host:
        host.execute('inject line_corrupt 0')
        wrong = driver(name, host.port)
        wrong.open()

        def unreadable() -> bool:
            while (seen := wrong.poll()) is not None:
                assert seen.link is not LinkState.UP
            return 'is not the language of this board; check the baud rate' in wrong.diagnostics()[PROBLEM]

        wait(unreadable, 12.0)
        wrong.close()


def test_a_board_that_falls_silent_is_told_from_a_disturbed_line(line: Line) -> None:
    line.link.open()
    for disturbance, problem in ((b'', 'has fallen silent'), (b'noise' * 10, 'has become unreadable')):
        line.terminal.write(STATE)
        line.hears(Frame)
        line.terminal.write(disturbance)
        line.hears(PortLost)
        assert problem in line.link.problem


def test_a_port_that_is_pulled_comes_back_ten_times_without_a_trace(line: Line) -> None:
    line.link.open()
    line.hears(PortOpened)
    line.terminal.write(STATE)
    line.hears(Frame)
    threads, descriptors = threading.active_count(), descriptors_open()
    for _ in range(10):
        line.terminal.pull_out()
        line.hears(PortLost)
        assert not line.link.write(b'$GS^30\r')
        line.terminal.plug_in()
        line.hears(PortOpened)
        line.terminal.write(STATE)
        line.hears(Frame)
    assert threading.active_count() == threads
    assert descriptors_open() <= descriptors
    assert line.link.counters.lost == 10


def test_a_port_that_is_pulled_has_one_problem_until_it_is_back(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_link, 'FIRST_PAUSE_S', 0.05)
    monkeypatch.setattr(serial_link, 'LONGEST_PAUSE_S', 0.05)
    line.link.open()
    line.hears(PortOpened)
    line.terminal.pull_out()
    lost = line.hears(PortLost)
    assert isinstance(lost, PortLost)
    assert 'waiting until it is back' in lost.text
    seen = {line.link.problem}
    end = time.monotonic() + 0.5  # with several attempts to open it
    while time.monotonic() < end:
        seen.add(line.link.problem)
        time.sleep(0.01)
    assert seen == {lost.text}
    (tmp_path / 'port').write_text('')  # something else of this name is news
    wait(lambda: 'is no serial port' in line.link.problem)
    (tmp_path / 'port').unlink()
    line.terminal.plug_in()
    line.hears(PortOpened)
    assert line.link.problem == ''


def test_the_end_leaves_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    threads, descriptors = threading.active_count(), descriptors_open()
    for _ in range(5):
        line = Line(tmp_path)
        line.link.open()
        line.link.close(b'bye')
        assert line.terminal.read() == b'bye'
        line.terminal.pull_out()
    assert threading.active_count() == threads
    assert descriptors_open() == descriptors


def test_closing_does_not_wait_for_a_port_that_is_gone(line: Line) -> None:
    line.link.open()
    line.terminal.pull_out()
    line.hears(PortLost)
    begun = time.monotonic()
    line.link.close(b'bye')
    assert time.monotonic() - begun < 1.0


def test_writing_never_blocks_and_is_bounded(line: Line) -> None:
    line.link.open()
    begun = time.monotonic()
    results = [line.link.write(b'x' * 512) for _ in range(100)]
    assert time.monotonic() - begun < 0.5
    assert results[0]
    assert not results[-1]
    assert len(line.link._outbox) <= OUTBOX_BYTES
    assert line.link.counters.refused_writes > 0


def test_what_waits_for_the_driver_is_bounded(line: Line) -> None:
    line.link.open()
    for _ in range(40):
        line.terminal.write(STATE * 100)
        time.sleep(0.01)
        line.terminal.flush()
    wait(lambda: line.link.counters.overflows > 0)
    assert len(line.link._queue) <= QUEUE_FRAMES + 2


def test_a_port_is_locked_against_others(line: Line) -> None:
    line.link.open()
    other = os.open(line.terminal.path, os.O_RDWR | os.O_NOCTTY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
