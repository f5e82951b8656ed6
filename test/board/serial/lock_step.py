"""
A session on simulated time: kernel, board loop, the OpenEVSE driver, and the virtual board, in lock-step.

Nothing waits: a minute takes about a second, and everything happens at the same time in each run.  The port
is in memory; what a real one does is in ``test_port.py`` and in the sequences that run on pseudo-terminals.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evse_manager.board.boards.openevse.driver import SILENCE_S, OpenEvseDriver
from evse_manager.board.boards.openevse.rapi import Frame, Parser
from evse_manager.board.driver import PROBLEM, Driver
from evse_manager.board.transport.serial_link import PortLost, PortOpened
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.types import Time
from evse_manager.simulation.virtual.host import VirtualBoardHost
from evse_manager.simulation.virtual.openevse_board import VirtualOpenEvse
from evse_manager.simulation.virtual.openevse_firmware import Firmware
from evse_manager.simulation.world import World

from .session import Session

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


class MemoryLink:
    """Takes the place of ``SerialLink`` in a driver."""

    def __init__(self, terminal: MemoryTerminal, clock: Callable[[], float]) -> None:
        self._terminal = terminal
        self._clock = clock
        self._parser = Parser()
        self._open = False
        self._wanted = False
        self._heard_at = 0.0
        self._garbage = False
        self._problem = ''
        self.on_write: Callable[[bytes], None] = lambda data: None
        self._queue: deque[Frame | PortOpened | PortLost] = deque()

    def open(self) -> None:
        self._wanted = True
        self._take()

    def close(self, goodbye: bytes = b'') -> None:
        if self._open:
            self.write(goodbye)
        self._wanted = self._open = False

    def write(self, data: bytes) -> bool:
        self.on_write(data)
        if self._open and self._terminal.path:
            self._terminal.to_board += data
        return self._open

    def receive(self) -> list[Frame | PortOpened | PortLost]:
        self._take()
        items = list(self._queue)
        self._queue.clear()
        return items

    @property
    def pending(self) -> bool:
        self._take()
        return bool(self._queue)

    def deadline(self) -> float:
        """Return when the silence of the line is noticed."""
        return self._heard_at + SILENCE_S if self._open and not self._problem else float('inf')

    def diagnostics(self) -> Mapping[str, str]:
        return {
            PROBLEM: self._problem,
            'frames dropped (failed check)': str(self._parser.dropped),
            'bytes skipped (outside of frames)': str(self._parser.skipped),
        }

    def _take(self) -> None:
        now, terminal = self._clock(), self._terminal
        if self._open and not terminal.path:
            self._open = False
            self._queue.append(PortLost('the port is gone.'))
        elif self._wanted and not self._open and terminal.path:
            self._open, self._heard_at, self._problem = True, now, ''
            self._parser.reset()
            self._queue.append(PortOpened())
        data, terminal.to_host = bytes(terminal.to_host), bytearray()
        frames = self._parser.feed(data) if data else []
        self._garbage = self._garbage or bool(data and not frames)
        if frames:
            self._heard_at, self._problem, self._garbage = now, '', False
            self._queue.extend(frames)
        elif now >= self.deadline():
            text = 'has become unreadable' if self._garbage else 'has fallen silent'
            self._problem = f'no valid frame in {SILENCE_S:g} s: the board {text}.'
            self._queue.append(PortLost(self._problem, silent=True))


@dataclass(frozen=True, slots=True)
class Offer:
    """What the pilot offers from a moment on, and whether the contacts are closed."""

    t: float
    current_a: float
    closed: bool


class LockStepSession(Session):
    """``with LockStepSession() as session``: as ``Session('openevse')``, on simulated time."""

    def __init__(self, **parameters: Any) -> None:
        self.now = 0.0
        self.offers: list[Offer] = [Offer(0.0, 0.0, False)]
        """Every change of pilot and contacts."""
        self.orders: list[tuple[float, str, int]] = []
        """Every command that the driver has sent: when, which, and the state of the firmware then."""
        host = VirtualBoardHost('openevse')
        host.terminal.pull_out()
        self._terminal = MemoryTerminal()
        host.terminal = self._terminal  # type: ignore[assignment]
        host.line._ends[False] = self._terminal.write
        super().__init__('openevse', host=host, beside=self._connected, port='memory', **parameters)

    def _connected(self, driver: Driver, _: object) -> Driver:
        assert isinstance(driver, OpenEvseDriver)
        link = MemoryLink(self._terminal, self.clock)
        driver._link = link  # type: ignore[assignment]
        driver._board.client._send = link.write
        link.on_write = self._sent
        self._memory = link
        return driver

    def _sent(self, data: bytes) -> None:
        for frame in Parser().feed(data):
            command = ' '.join((frame.name, *frame.words))
            self.orders.append((self.now, command, self.firmware.state))

    def __enter__(self) -> 'LockStepSession':
        self.host.start = self.host.board.power_up  # type: ignore[method-assign]
        super().__enter__()
        return self

    @property
    def world(self) -> World:
        return self.host.board.world

    @property
    def firmware(self) -> Firmware:
        board = self.host.board
        assert isinstance(board, VirtualOpenEvse)
        return board.firmware

    def restart_nodes(self) -> None:
        """End driver and manager without a farewell to the board, and start new ones."""
        self._memory.on_write = lambda data: None
        self._terminal.to_board.clear()
        self._make_nodes()
        self._start_nodes()

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
        world = self.world
        pwm = world.outputs.pilot_mode is PilotMode.PWM
        offer = Offer(self.now, world.outputs.current_a if pwm else 0.0, world.contactor.closed)
        last = self.offers[-1]
        if (offer.current_a, offer.closed) != (last.current_a, last.closed):
            self.offers.append(offer)
