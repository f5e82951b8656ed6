"""The OpenEVSE conversation and a virtual board in lock-step: a minute takes milliseconds."""

from collections.abc import Callable

from evse_manager.board.boards.openevse.conversation import OpenEvse
from evse_manager.board.boards.openevse.meter import OpenEvseMeter
from evse_manager.board.boards.openevse.rapi import Frame, RapiParser
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.enums import LinkState, PilotMode
from evse_manager.interface.types import Time
from evse_manager.simulation.scheduler import Scheduler
from evse_manager.simulation.virtual.line import SimulatedLine
from evse_manager.simulation.virtual.openevse_board import VirtualOpenEvse

MOST_STEPS_PER_S = 400


class DriverHarness:
    """Times are seconds; ``watch`` is called after everything that happened at one moment."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.board = VirtualOpenEvse()
        self.driver = OpenEvse(
            self._write, fallback_current_a=6, phases=1, meter=OpenEvseMeter(230.0, 1, lambda: Time(0))
        )
        self.seen: list[Observation] = []
        self.requests: list[Frame] = []
        self.watch: Callable[[], None] = lambda: None
        self._timers = Scheduler()
        self._parser, self._spy = RapiParser(), RapiParser()
        self._to_driver: list[bytes] = []
        self._to_board: list[bytes] = []
        self.line = SimulatedLine(
            self._to_driver.append, self.board.receive, self._timers, lambda: self.now,
            chatter=self.board.chatter, seed=seed,
        )  # fmt: skip
        self.board.send = self.line.from_board
        self.board.power_up()
        self.driver.opened(0.0)

    @property
    def last(self) -> Observation:
        return self.seen[-1]

    @property
    def relay_closed(self) -> bool:
        return self.board.world.contactor.closed

    def apply(self, outputs: Outputs) -> None:
        self.driver.apply(outputs, self.now)
        self._exchange()

    def charge(self, current_a: float = 16.0) -> None:
        self.apply(Outputs(PilotMode.PWM, current_a / 0.6, current_a, power=True))

    def plug_in(self, profile: str = 'default') -> None:
        self.board.world.plug_in(profile)
        self.board.settle()

    def unplug(self) -> None:
        self.board.world.unplug()
        self.board.settle()

    def until_up(self, limit_s: float = 12.0) -> None:
        end = self.now + limit_s
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
                self._exchange()
            else:
                self.watch()
            if self.now >= end:
                return

    def _write(self, data: bytes) -> bool:
        self.requests += self._spy.feed(data)
        self._to_board.append(data)
        return True

    def _exchange(self) -> None:
        self.driver.tick(self.now)
        while self._to_board or self._to_driver:
            if self._to_board:
                self.line.from_host(self._to_board.pop(0))
            elif self._to_driver:
                for frame in self._parser.feed(self._to_driver.pop(0)):
                    self.driver.frame(frame, self.now)
        self.seen += self.driver.observations
        self.driver.observations.clear()
        self.watch()
