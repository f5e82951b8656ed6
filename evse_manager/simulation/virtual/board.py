"""
Base class of virtual boards: a subclass turns bytes and the physical world into bytes.

A board has the world of ``simulation/world.py`` behind its terminals (pilot, EV, contactor, protection,
meter) and time that moves only on request, as the world's.  A subclass gives

- ``receive``: bytes from the host have arrived, now;
- ``react``: something in the world (``seen``) has changed, or a timer of the board's (``after``) ran out;
- ``power_up``: the controller starts, at the beginning and at every reset;
- ``describe``: what a person wants to see;

and sends with ``send``, one call per frame (the faults of the line act on frames).  Values that a board
reports go through ``reported_value``, so that each can be made wrong on demand.  Without a line and a
terminal a board runs in lock-step with a test: set ``send`` and call ``receive`` and ``advance``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

from evse_manager.board.driver_io import Observation
from evse_manager.simulation.faults import FAULTS, SimulationError
from evse_manager.simulation.scheduler import Event, Scheduler
from evse_manager.simulation.world import World, WorldSettings

BOARDS: dict[str, str] = {
    'openevse': 'evse_manager.simulation.virtual.openevse_board:VirtualOpenEvse',
    'yeti': 'evse_manager.simulation.virtual.yeti_firmware:VirtualYeti',
    'phoenix': 'evse_manager.simulation.virtual.phoenix_firmware:VirtualPhoenix',
    'sdm630': 'evse_manager.simulation.virtual.sdm630_slave:VirtualSdm630',
}
"""Every virtual board by name, as ``module:class``."""


LARGEST_FLOAT = 3.4e38
"""Floats on the wire have 32 bits."""

LARGEST_WHOLE = 0xFFFF_FFFF
LONGEST_TEXT = 16


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a board reports and that can be falsified: its meaning and its possible values."""

    description: str
    kind: type = str
    """``int`` of 32 bits, ``float`` (NaN and infinite too), or ``str``: printable characters as they are."""

    def accepts(self, text: str) -> bool:
        """Return whether a board can put this on its line in the value's place."""
        try:
            if self.kind is int:
                return 0 <= int(text) <= LARGEST_WHOLE
            if self.kind is float:
                number = float(text)
                return not math.isfinite(number) or abs(number) <= LARGEST_FLOAT
        except ValueError:
            return False
        return len(text) <= LONGEST_TEXT and text.isascii() and text.isprintable()


KINDS = {
    int: 'a whole number from 0 to 4294967295',
    float: 'a number',
    str: 'at most 16 printable characters',
}
"""The allowed values in words, for a refusal."""


class VirtualBoard(ABC):
    """See the module's description; times are seconds since the board was built."""

    name: ClassVar[str]
    baud_rate: ClassVar[int]
    """Settings that a real port would have; a pseudo-terminal ignores them."""

    meter_unit: ClassVar[int | None] = None
    """Modbus address of an SDM630 on the same line, where there is one."""

    protected: ClassVar[bool] = True
    """Whether the world protects by itself; without it the firmware is the only protection."""

    faults: ClassVar[Mapping[str, str]] = {}
    """Faults of this board beyond those of the world, with a description; see ``fault``."""

    missing: ClassVar[frozenset[str]] = frozenset()
    """Faults of the world that this board has no part for, as a lock."""

    values: ClassVar[Mapping[str, Value]] = {}
    """Values that can be made wrong."""

    def __init__(self, settings: WorldSettings | None = None) -> None:
        """Build the board and its world; it starts with ``power_up``."""
        self.now = 0.0
        self.world = World(settings or WorldSettings(), protected=self.protected)
        self.seen: Observation = self.world.observe() or Observation()
        """The readings of the board's own inputs: pilot, contactor, errors."""
        self.send: Callable[[bytes], None] = lambda data: None
        """Where the board's frames go."""
        self.wrong: dict[str, str] = {}
        """Values that are reported instead of the right ones."""
        self.own_faults: set[str] = set()
        """Faults of ``faults`` that are active."""
        self._timers = Scheduler()

    # --- what a board is made of ------------------------------------------------------------------

    @abstractmethod
    def power_up(self) -> None:
        """Start the controller; whatever it knew before is lost."""

    @abstractmethod
    def receive(self, data: bytes) -> None:
        """Take bytes from the host, in pieces of any size."""

    @abstractmethod
    def react(self) -> None:
        """Look at the world: something may have changed."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return the state of the board in words; a change of it is printed."""

    def fault(self, name: str, active: bool) -> None:  # noqa: B027 - few boards have such faults
        """Begin or end one of ``faults``; its name is in ``own_faults`` as long as it is active."""

    def chatter(self) -> bytes:
        """Return a frame that the board may send unasked, for floods."""
        return b''

    def reported_value(self, name: str, value: str) -> str:
        """Return the value to report: the right one, or the wrong one that was asked for."""
        return self.wrong.get(name, value)

    # --- time -------------------------------------------------------------------------------------

    def after(self, seconds: float, action: Callable[[], None]) -> Event:
        """Plan an action of the firmware; ``react`` follows it."""
        return self._timers.at(self.now + seconds, action)

    def forget_timers(self) -> None:
        """Drop all that is planned, as a reset does."""
        self._timers = Scheduler()

    def next_event(self) -> float | None:
        """Return when something happens by itself next."""
        times = [each for each in (self._timers.next_time(), self.world.next_event()) if each is not None]
        return min(times, default=None)

    def advance(self, to: float) -> None:
        """Let everything happen up to ``to``."""
        while (due := self.next_event()) is not None and due <= to:
            self._advance_to(due)
        self._advance_to(to)

    def _advance_to(self, to: float) -> None:
        stopped = self.world.advance(to)
        self.now = max(self.now, self.world.now)
        if stopped:
            self.settle()
            return
        while (due := self._timers.next_time()) is not None and due <= self.now:
            self._timers.run_next()
            self.settle()

    def settle(self) -> None:
        """Let the board see the world as it is now; to be called after everything done to the world."""
        self.seen = self.world.observe() or self.seen
        self.react()

    # --- faults -----------------------------------------------------------------------------------

    def known_faults(self) -> dict[str, str]:
        """Return every fault of board and world with a description."""
        world = {
            name: fault.description
            for name, fault in FAULTS.items()
            if name not in self.missing and name != 'link_lost'
        }
        return {**world, **self.faults}

    def active_faults(self) -> tuple[str, ...]:
        """Return the names of the faults that are active."""
        return (*self.world.active_faults, *sorted(self.own_faults))

    def inject(self, name: str) -> None:
        """Begin a fault; raises SimulationError when this board has no such fault."""
        self._check(name)
        if name == 'board_reset':
            self.power_up()
        elif name in self.faults:
            self.own_faults.add(name)
            self.fault(name, True)
        else:
            self.world.inject(name)
        self.settle()

    def clear(self, name: str = '') -> None:
        """End a fault, or all; raises SimulationError when this board has no such fault."""
        if name:
            self._check(name)
        for each in (name,) if name else self.active_faults():
            if each in self.own_faults:
                self.own_faults.discard(each)
                self.fault(each, False)
            elif each in self.world.active_faults:
                self.world.clear(each)
        self.settle()

    def _check(self, name: str) -> None:
        if name not in self.known_faults():
            known = ', '.join(self.known_faults())
            raise SimulationError(f'The board {self.name} has no fault {name!r:.60}; choose one of: {known}.')


def board_class(name: str) -> type[VirtualBoard]:
    """Import and return a virtual board by name; raises SimulationError with the list of known names."""
    if name not in BOARDS:
        known = ', '.join(sorted(BOARDS))
        raise SimulationError(f'There is no virtual board {name!r:.60}; choose one of: {known}.')
    module, _, attribute = BOARDS[name].partition(':')
    found: type[VirtualBoard] = getattr(import_module(module), attribute)
    return found
