"""The page that teaches how to write a driver: its example works, word for word."""

import contextlib
import os
import re
import threading
import time
import tty
import types
from pathlib import Path

import pytest

from evse_manager.board.controller import BoardController
from evse_manager.board.driver import Driver, DriverContext, PortMissingError
from evse_manager.board.loop import BoardLoop
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import ContactorState, ControlPilotState, LinkState, PilotMode
from evse_manager.interface.parameters import ConfigError
from evse_manager.interface.types import BoardCommand, Duration, Time

PAGE = Path(__file__).parents[2] / 'docs' / 'writing_a_driver.md'
PATIENCE_S = 10.0


def example():
    code = re.search(r'<!-- example -->\n```python\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.DOTALL)
    module = types.ModuleType('chip')
    exec(compile(code[1], str(PAGE), 'exec'), module.__dict__)
    return module


class ChipBoard:
    """The imaginary board's firmware on a pseudo-terminal."""

    def __init__(self):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self.pilot, self.closed, self.locked = 'A', False, False
        self.heard = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        rest = b''
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 1000):
                *lines, rest = (rest + data).split(b'\n')
                for line in lines:
                    self.heard.append(line)
                    _, _, power, lock = line.split()
                    self.closed, self.locked = power == b'1', lock == b'1'
                    self.report()

    def report(self):
        os.write(self.master, f'S {self.pilot} {self.closed:d} {self.locked:d}\n'.encode())

    def show(self, pilot):
        self.pilot = pilot
        self.report()

    def close(self):
        os.close(self._slave)
        os.close(self.master)
        self._thread.join(PATIENCE_S)


@pytest.fixture
def board():
    board = ChipBoard()
    yield board
    board.close()


@pytest.fixture
def harness(board):
    woken = threading.Event()
    chip = example()
    context = DriverContext(clock=time.monotonic, wall=lambda: Time(time.time_ns()), wake=woken.set)
    driver = chip.ChipDriver(chip.ChipParameters(port=board.port), context)
    driver.open()
    harness = types.SimpleNamespace(
        driver=driver, loop=BoardLoop(driver, BoardController(driver.style)), woken=woken, sequence=0
    )
    yield harness
    driver.close()


def run_until(harness, condition, command=None):
    """Run the loop whenever the driver wakes it, with the lease renewed, until the condition holds."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        now = ClockReadings(time.monotonic(), time.monotonic(), Time(time.time_ns()))
        harness.loop.run(now)
        if command is not None:
            harness.sequence += 1
            harness.loop.command(BoardCommand(sequence_number=harness.sequence, **command), now)
        if condition(harness.loop.controller.state(now)):
            return
        harness.woken.wait(0.1)
        harness.woken.clear()
    pytest.fail(f'not within {PATIENCE_S} s: {harness.loop.controller.state(now)}')


OFFER = {
    'manager_id': 'm1',
    'lease': Duration(2.0),
    'pilot_mode': PilotMode.PWM,
    'duty_cycle_percent': 16.0 / 0.6,
    'current_a': 16.0,
    'allow_power_on': True,
    'lock': True,
    'phases': 3,
}


def test_the_example_is_a_driver():
    chip = example()
    assert issubclass(chip.ChipDriver, Driver)


def test_the_example_withdraws_power_before_anything_else(harness, board):
    run_until(harness, lambda state: state.link_state is LinkState.UP)
    assert board.heard[0] == b'O 10000 0 1'


def test_the_example_charges_and_opens_when_the_car_leaves_c(harness, board):
    board.show('B')
    run_until(harness, lambda state: state.cp_state is ControlPilotState.B, OFFER)
    board.show('C')
    run_until(harness, lambda state: state.contactor is ContactorState.CLOSED, OFFER)
    assert b'O 2666 1 1' in board.heard
    board.show('B')
    run_until(harness, lambda state: state.contactor is ContactorState.OPEN)
    assert board.heard[-1] == b'O 2666 0 1'


def test_the_example_opens_when_the_manager_falls_silent(harness, board):
    board.show('C')
    run_until(harness, lambda state: state.contactor is ContactorState.CLOSED, OFFER)
    run_until(harness, lambda state: state.contactor is ContactorState.OPEN)


def test_the_example_drops_garbage(harness, board):
    os.write(board.master, b'\x00\xff' * 500 + b'\nS X 9 9\nS C 1\n')
    board.show('B')
    run_until(harness, lambda state: state.cp_state is ControlPilotState.B)
    dropped = {name: value for name, value in harness.driver.diagnostics().items() if 'dropped' in name}
    assert any(int(value) >= 3 for value in dropped.values()), dropped


def test_the_example_names_a_missing_port():
    chip = example()
    context = DriverContext(time.monotonic, lambda: Time(time.time_ns()), lambda: None)
    with pytest.raises(PortMissingError, match='/dev/nowhere'):
        chip.ChipDriver(chip.ChipParameters(port='/dev/nowhere'), context).open()


def test_the_examples_parameters_have_ranges():
    with pytest.raises(ConfigError, match='max_current_a'):
        example().ChipParameters(max_current_a=500.0)
