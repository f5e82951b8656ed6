"""
A session on simulated time: manager, board loop, a real driver, and its virtual board, in lock-step.

Nothing waits: a minute takes about a second, and everything happens at the same time in each run.  The port
is in memory; what a real one does is in ``test_port.py`` and in the sequences that run on pseudo-terminals.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from unittest.mock import patch

from board.serial.session import Session
from evse_manager.board.boards.openevse.rapi import RapiParser
from evse_manager.board.driver import driver_class
from evse_manager.board.transport import modbus_master
from evse_manager.board.transport.port import PortSettings
from evse_manager.board.transport.serial_link import (
    REOPEN_SILENT_S,
    Frames,
    PortLost,
    PortOpened,
    SerialLink,
)
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import Time
from evse_manager.simulation.virtual.host import VirtualBoardHost
from evse_manager.simulation.virtual.openevse_board import VirtualOpenEvse
from evse_manager.simulation.virtual.openevse_firmware import Firmware
from evse_manager.simulation.world import World

EPOCH_NS = 1_800_000_000_000_000_000

MOST_STEPS = 2_000_000


class MemoryTerminal:
    """Takes the place of the pseudo-terminal; the other end is a ``MemoryLink``."""

    def __init__(self) -> None:
        self.path = 'memory'
        self.port = 'memory'
        self.descriptor = None
        self.waiting = False
        self.to_host = bytearray()
        self.to_board = bytearray()

    def plug_in(self) -> None:
        self.path = 'memory'

    def pull_out(self) -> None:
        self.path = ''
        self.to_host.clear()
        self.to_board.clear()

    def write(self, data: bytes) -> None:
        if self.path:
            self.to_host += data

    def read(self) -> bytes:
        data = bytes(self.to_board)
        self.to_board.clear()
        return data


class MemoryLink(SerialLink[Any]):
    """A ``SerialLink`` without a port and a thread: what its thread does by itself, ``_look`` does."""

    def __init__(
        self,
        settings: PortSettings,
        frames: Frames[Any],
        wake: Callable[[], None],
        terminal: MemoryTerminal,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(settings, frames, wake, clock)
        self._terminal = terminal
        self._open = self._wanted = False
        self._opened_at = self._last_heard = clock()
        self._read_before = 0
        self.on_write: Callable[[bytes], None] = lambda data: None

    def open(self) -> None:
        self._wanted = True
        self._look()

    def close(self, goodbye: bytes = b'', within_s: float = 0.3) -> None:
        if self._open:
            self.write(goodbye)
        self._wanted = self._open = False

    def write(self, data: bytes) -> bool:
        self.on_write(data)
        if self._open and self._terminal.path:
            self._terminal.to_board += data
        return self._open

    def receive(self, limit: int = 64) -> list[Any]:
        self._look()
        return super().receive(limit)

    @property
    def pending(self) -> bool:
        self._look()
        return super().pending

    @property
    def is_open(self) -> bool:
        return self._open

    def deadline(self) -> float:
        """Return when the silence of the line is noticed."""
        if not self._open:
            return float('inf')
        return self._last_heard + (REOPEN_SILENT_S if self._problem else self.settings.silence_s)

    def _look(self) -> None:
        now, terminal = self._clock(), self._terminal
        if self._open and not terminal.path:
            self._lost('the port is gone.')
        elif self._wanted and not self._open and terminal.path:
            self._open, self._problem = True, ''
            self._opened_at = self._last_heard = now
            self._read_before = self.counters.bytes_read
            self.counters.opened += 1
            self._frames.reset()
            self._announce(PortOpened())
        data, terminal.to_host = bytes(terminal.to_host), bytearray()
        if data and self._open and super()._take(data):
            self._last_heard, self._read_before = now, self.counters.bytes_read
        elif now >= self.deadline():
            if self._problem:
                self._lost(self._problem)
            else:
                garbage = self.counters.bytes_read > self._read_before
                self._lose_hearing(heard=self._last_heard > self._opened_at, garbage=garbage)

    def _lost(self, problem: str) -> None:
        self._open, self._problem = False, problem
        self._announce(PortLost(problem))


class BoardSession(Session):
    """``with BoardSession('yeti') as session``: as ``Session('yeti')``, on simulated time."""

    def __init__(
        self, board: str, config: Config | None = None, *, variants: tuple[str, ...] = (), **parameters: Any
    ) -> None:
        """``variants`` are faults that the virtual board begins with."""
        self.now = 0.0
        host = VirtualBoardHost(board)
        for variant in variants:
            host.execute(f'inject {variant}')
        host.terminal.pull_out()
        self._terminal = MemoryTerminal()
        host.terminal = self._terminal  # type: ignore[assignment]
        host.line._ends[False] = self._terminal.write
        driver = sys.modules[driver_class(board).__module__]
        self._module = driver if hasattr(driver, 'SerialLink') else modbus_master
        super().__init__(board, config, host, port='memory', **parameters)

    def _make_nodes(self) -> None:
        with patch.object(self._module, 'SerialLink', self._make_link):
            super()._make_nodes()

    def _make_link(self, settings: PortSettings, frames: Frames[Any], wake: Callable[[], None]) -> MemoryLink:
        self._memory = MemoryLink(settings, frames, wake, self._terminal, self.clock)
        return self._memory

    def __enter__(self) -> Self:
        self.host.start = self.host.board.power_up  # type: ignore[method-assign]
        super().__enter__()
        return self

    @property
    def world(self) -> World:
        return self.host.board.world

    def restart_nodes(self) -> None:
        """End driver and manager without a farewell to the board, and start new ones."""
        self._memory.on_write = lambda data: None
        self._terminal.to_board.clear()
        self._make_nodes()
        self._start_nodes()

    # --- time ----------------------------------------------------------------------------------------

    def clock(self) -> float:
        return self.now

    def _wall(self) -> Time:
        return Time(EPOCH_NS + round(self.now * 1e9))

    def stall(self, seconds: float) -> None:
        self._advance(self.now + seconds, lambda: False)

    def _wait(self, until: float) -> None:
        until = min(until, self._memory.deadline())
        self._advance(until, lambda: bool(self._terminal.to_host))

    def _wait_without_nodes(self, condition: Callable[[], object], what: str) -> None:
        end = self.now + 30.0
        while not condition():
            assert self.now < end, what
            self.stall(0.05)

    def _advance(self, to: float, enough: Callable[[], bool]) -> None:
        """Let the board go on until a time, or until there is something for the driver."""
        host, board = self.host, self.host.board
        for _ in range(MOST_STEPS):
            data = self._terminal.read()
            if data:
                host.line.from_host(data)
            if enough() or self.now >= to:
                return
            due = min(each for each in (board.next_event(), host._timers.next_time(), to) if each is not None)
            self.now = host._now = max(self.now, min(due, to))
            board.advance(self.now)
            self._record()
            while (time := host._timers.next_time()) is not None and time <= self.now:
                host._timers.run_next()
        raise AssertionError('the board runs in circles')

    def _record(self) -> None:
        """Note what the board does; called at each of its steps."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the pilot offers from a moment on, and whether the contacts are closed."""

    t: float
    current_a: float
    closed: bool


class LockStepSession(BoardSession):
    """``with LockStepSession() as session``: an OpenEVSE."""

    def __init__(self, **parameters: Any) -> None:
        self.offers: list[Offer] = [Offer(0.0, 0.0, False)]
        """Every change of pilot and contacts."""
        self.orders: list[tuple[float, str, int]] = []
        """Every command that the driver has sent: when, which, and the state of the firmware then."""
        super().__init__('openevse', **parameters)

    def _make_link(self, settings: PortSettings, frames: Frames[Any], wake: Callable[[], None]) -> MemoryLink:
        link = super()._make_link(settings, frames, wake)
        link.on_write = self._sent
        return link

    def _sent(self, data: bytes) -> None:
        for frame in RapiParser().feed(data):
            command = ' '.join((frame.name, *frame.words))
            self.orders.append((self.now, command, self.firmware.state))

    @property
    def firmware(self) -> Firmware:
        board = self.host.board
        assert isinstance(board, VirtualOpenEvse)
        return board.firmware

    def excess(self, limit_a: float, since: float = 0.0) -> float:
        """Return for how long at a time more than a limit was offered since a moment, at the longest."""
        longest = 0.0
        for offer, after in zip(self.offers, [*self.offers[1:], Offer(self.now, 0.0, False)]):
            if offer.current_a > limit_a and after.t > since:
                longest = max(longest, after.t - max(offer.t, since))
        return longest

    def heat(self, temperature_c: float) -> None:
        """Set the temperature of the enclosure, which stays there."""
        self.world.enclosure.temperature_c = self.world.enclosure._ambient_c = temperature_c

    def _record(self) -> None:
        world = self.world
        pwm = world.outputs.pilot_mode is PilotMode.PWM
        offer = Offer(self.now, world.outputs.current_a if pwm else 0.0, world.contactor.closed)
        last = self.offers[-1]
        if (offer.current_a, offer.closed) != (last.current_a, last.closed):
            self.offers.append(offer)
