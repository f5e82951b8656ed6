"""The OpenEVSE conversation and a virtual board in lock-step."""

from board.serial.conversation_harness import ConversationHarness
from evse_manager.board.boards.openevse.conversation import OpenEvse
from evse_manager.board.boards.openevse.meter import OpenEvseMeter
from evse_manager.board.boards.openevse.rapi import Frame, RapiParser
from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.types import Time
from evse_manager.simulation.virtual.openevse_board import VirtualOpenEvse


class OpenEvseHarness(ConversationHarness):
    board: VirtualOpenEvse

    def __init__(self, seed: int = 1) -> None:
        super().__init__(VirtualOpenEvse(), seed)
        self.requests: list[Frame] = []
        self._parser, self._spy = RapiParser(), RapiParser()
        self.driver = OpenEvse(
            self.write, fallback_current_a=6, phases=1, meter=OpenEvseMeter(230.0, 1, lambda: Time(0))
        )
        self.driver.opened(0.0)

    def apply(self, outputs: Outputs) -> None:
        self.driver.apply(outputs, self.now)
        self.exchange()

    def charge(self, current_a: float = 16.0) -> None:
        self.apply(Outputs(PilotMode.PWM, current_a / 0.6, current_a, power=True))

    def note(self, data: bytes) -> None:
        self.requests += self._spy.feed(data)

    def deliver(self, data: bytes) -> None:
        for frame in self._parser.feed(data):
            self.driver.frame(frame, self.now)
