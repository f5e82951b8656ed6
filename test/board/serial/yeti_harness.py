"""The Yeti conversation and its virtual board in lock-step, with rules that always hold."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from board.serial.conversation_harness import ConversationHarness
from evse_manager.board.boards.yeti.conversation import Yeti
from evse_manager.board.boards.yeti.messages import (
    FROM_HOST,
    X1_DUTY,
    AllowPower,
    Duty,
    HostKeepAlive,
    YetiParser,
)
from evse_manager.board.boards.yeti.meter import YetiMeter
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.enums import ContactorState, ControlPilotState, LinkState, LockState, PilotMode
from evse_manager.interface.pilot import current
from evse_manager.interface.types import Time
from evse_manager.simulation.virtual.yeti_firmware import VirtualYeti
from evse_manager.simulation.world import WorldSettings

REPORTED_WITHIN_S = 6.0
"""What is reported was so within this time: a silent board is believed for 5 s."""

OPENS_WITHIN_S = 2.0
"""Without power ordered, and on a line that has become good, the contactor is open after this."""

OPENS_AT_ONCE_S = 0.25
"""On a good line: a turn of the firmware, and a switching that it waits for."""

CHARGE = Outputs(PilotMode.PWM, 16.0 / 0.6, 16.0, power=True, lock=True, phases=3)
REST = Outputs(lock=True)


class YetiHarness(ConversationHarness):
    UP_WITHIN_S = 8.0
    board: VirtualYeti

    def __init__(self, seed: int = 1, *, variants: Iterable[str] = (), socket: bool = True) -> None:
        super().__init__(VirtualYeti(WorldSettings()), seed, variants)
        self.driver = Yeti(self.write, socket=socket, meter=YetiMeter(lambda: Time(0)))
        self.orders: list[Any] = []
        self.wanted = Outputs()
        """What the harness, as a controller does, hands on while the pilot asks."""
        self.outputs = Outputs()
        self.forbidden_at = 0.0
        self.good_line = True
        self.welded = False
        self.closed_at = self.open_at = self.locked_at = -math.inf
        self.offered_a = 0.0
        self.quiet_since: float | None = None
        self._parser, self._spy = YetiParser(), YetiParser(FROM_HOST)
        self.run(0.5)
        self.driver.opened(self.now)

    def want(self, outputs: Outputs) -> None:
        """Hand outputs on as a controller does: power only while the pilot is C and nothing is wrong."""
        self.wanted = outputs
        self._lead()
        self.exchange()

    def charge(self, outputs: Outputs = CHARGE) -> None:
        """Plug a car in and charge."""
        self.want(outputs)
        self.plug_in()
        self.run(3.0)
        assert self.closed

    def _lead(self) -> None:
        seen = self.seen[-1] if self.seen else Observation()
        asks = seen.link is LinkState.UP and seen.cp_state is ControlPilotState.C and not seen.errors
        outputs = replace(self.wanted, power=self.wanted.power and asks)
        if outputs != self.outputs:
            self._hand_over(outputs)

    def apply(self, outputs: Outputs) -> None:
        """Hand outputs on as they are, whatever the pilot shows."""
        self.wanted = outputs
        self._hand_over(outputs)
        self.exchange()

    def _hand_over(self, outputs: Outputs) -> None:
        if self.outputs.power and not outputs.power:
            self.forbidden_at = self.now
        self.outputs = outputs
        if outputs.pilot_mode is PilotMode.PWM:
            self.offered_a = max(self.offered_a, outputs.current_a)
        self.driver.apply(outputs, self.now)

    def note(self, data: bytes) -> None:
        orders = self._spy.feed(data)
        assert isinstance(orders[0], HostKeepAlive), 'every piece begins with a keep-alive'
        for order in orders:
            if order == AllowPower(True):
                assert self.outputs.power, 'power that nobody wanted'
            if isinstance(order, Duty):
                assert 0 <= order.value <= X1_DUTY
                assert current(order.value / 100.0) <= self.offered_a
        self.orders += orders

    def deliver(self, data: bytes) -> None:
        messages = self._parser.feed(data)
        damaged = self._parser.take_damaged()
        if damaged:
            self.driver.damaged(damaged, self.now)
        for message in messages:
            self.driver.message(message, self.now)
            self.settle()

    def settle(self) -> None:
        world = self.board.world
        if self.closed or self.board.coil:
            self.closed_at = self.now
        if not self.closed or self.welded:
            self.open_at = self.now
        if world.lock.state is LockState.LOCKED:
            self.locked_at = self.now
        while self.driver.observations:
            seen = self.driver.observations.popleft()
            self.seen.append(seen)
            self._lead()
            if seen.link is LinkState.UP:
                since = self.now - REPORTED_WITHIN_S
                assert seen.contactor is not ContactorState.CLOSED or self.closed_at >= since
                assert seen.contactor is not ContactorState.OPEN or self.open_at >= since
                assert seen.lock is not LockState.LOCKED or self.locked_at >= since
                assert 0.0 <= seen.current_a <= self.offered_a
        if self.good_line and not self.outputs.power and self.now > self.forbidden_at + OPENS_AT_ONCE_S:
            assert not self.board.coil, 'a coil that is on without an order'
            assert not self.board.permitted, 'a permission that the next car could use'
        if self.quiet_since is not None and self.now > self.quiet_since + OPENS_WITHIN_S:
            assert not self.closed, 'power that nobody wanted any more'
