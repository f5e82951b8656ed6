"""The conversation of a driver and its virtual board in lock-step: a minute takes milliseconds."""

from collections.abc import Callable, Iterable
from typing import Any

from evse_manager.board.driver_io import Observation
from evse_manager.interface.enums import LinkState
from evse_manager.simulation.scheduler import Scheduler
from evse_manager.simulation.virtual.board import VirtualBoard
from evse_manager.simulation.virtual.line import SimulatedLine

MOST_STEPS_PER_S = 400


class ConversationHarness:
    """
    The line, the clock (seconds) and what both ends have sent.

    A subclass makes ``driver``, reads what it writes in ``note``, and hands it what arrives in ``deliver``.
    ``watch`` is called after everything that happened at one moment.
    """

    UP_WITHIN_S = 12.0
    driver: Any

    def __init__(self, board: VirtualBoard, seed: int, variants: Iterable[str] = ()) -> None:
        self.now = 0.0
        self.board = board
        self.seen: list[Observation] = []
        self.watch: Callable[[], None] = lambda: None
        self._timers = Scheduler()
        self._to_driver: list[bytes] = []
        self._to_board: list[bytes] = []
        self.line = SimulatedLine(
            self._to_driver.append, self.board.receive, self._timers, lambda: self.now,
            chatter=self.board.chatter, seed=seed,
        )  # fmt: skip
        self.board.send = self.line.from_board
        for variant in variants:
            self.board.inject(variant)
        self.board.power_up()

    def note(self, data: bytes) -> None:
        raise NotImplementedError

    def deliver(self, data: bytes) -> None:
        raise NotImplementedError

    def settle(self) -> None:
        """Take what the driver has observed."""
        self.seen += self.driver.observations
        self.driver.observations.clear()
        self.watch()

    @property
    def last(self) -> Observation:
        return self.seen[-1]

    @property
    def closed(self) -> bool:
        return self.board.world.contactor.closed

    def plug_in(self, profile: str = 'default') -> None:
        self.board.world.plug_in(profile)
        self.board.settle()

    def unplug(self) -> None:
        self.board.world.unplug()
        self.board.settle()

    def until_up(self, limit_s: float | None = None) -> None:
        end = self.now + (limit_s or self.UP_WITHIN_S)
        while not self.seen or self.last.link is not LinkState.UP:
            assert self.now < end, self.driver.diagnostics()
            self.run(0.05)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        steps = 0
        while True:
            steps += 1
            assert steps < MOST_STEPS_PER_S * max(seconds, 1.0), 'the conversation runs in circles'
            due = (self.board.next_event(), self._timers.next_time(), self.driver.deadline(), end)
            self.now = max(self.now, min(each for each in due if each is not None))
            self.board.advance(self.now)
            while (time := self._timers.next_time()) is not None and time <= self.now:
                self._timers.run_next()
            if self._to_driver or self.now >= min(self.driver.deadline(), end):
                self.exchange()
            else:
                self.settle()
            if self.now >= end:
                return

    def exchange(self) -> None:
        self.driver.tick(self.now)
        while self._to_board or self._to_driver:
            if self._to_board:
                self.line.from_host(self._to_board.pop(0))
            elif self._to_driver:
                self.deliver(self._to_driver.pop(0))
        self.settle()

    def write(self, data: bytes) -> bool:
        self.note(data)
        self._to_board.append(data)
        return True
