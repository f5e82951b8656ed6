"""State shared by the parts of the conversation with an OpenEVSE: requests, known facts, targets."""

import math
from collections.abc import Callable

from evse_manager.board.boards.firmware_target import FirmwareTarget, TargetTracker, whole_amperes
from evse_manager.board.boards.openevse import codes, rapi
from evse_manager.board.boards.openevse.current import CurrentInForce
from evse_manager.board.boards.openevse.heartbeat import Heartbeat
from evse_manager.board.boards.openevse.meter import OpenEvseMeter
from evse_manager.board.boards.openevse.rapi_client import PATIENCE_S, RapiClient
from evse_manager.board.boards.openevse.view import BoardView
from evse_manager.board.boards.openevse.weld_check import WeldCheck

BUSY_S = 5.5
"""
Silence of a board that is awake and may be busy: its self-test before closing (1.1 to 4 s), or the 5 s in
which it is too hot.  One that sleeps, or charges at a moderate temperature, is lost after ``PATIENCE_S``.
"""

WARM_C = 60.0
"""From this temperature on a board that charges may become too hot (71 °C) before it is asked again."""

Handler = Callable[[rapi.Frame, float], bool | None]
"""Takes a reply and its time; returns whether it makes sense, ``None`` when that is not the question."""


class Knowledge:
    """See the module's description; every method takes the time in seconds of one clock."""

    def __init__(self, client: RapiClient, meter: OpenEvseMeter, fallback_current_a: int) -> None:
        """Begin without knowing anything."""
        self.client = client
        self.meter = meter
        self.view = BoardView()
        self.current = CurrentInForce()
        self.heartbeat = Heartbeat(fallback_current_a)
        self.weld = WeldCheck()
        self.targets = TargetTracker()
        self.connecting = False
        """Whether the board is asked for the first time since the line was lost."""
        self.firmware = ''
        self.checks_off: tuple[str, ...] = ()
        """Safety tests that are switched off in the board's settings."""
        self.woken_at: float | None = None
        """Since when the board is awake for a look at its contacts, ``None`` outside of one."""
        self.ordered = ''
        """The order that was sent last and has not been seen to act."""
        self.ordered_at = -math.inf
        self.replied: Callable[[bool | None, float], None] = lambda sensible, now: None
        """Called after each reply was handled."""
        self.given_up: Callable[[float], None] = lambda now: None
        """Called when a request in flight is given up for another."""

    def begin(self) -> None:
        """Know nothing of the board's state: the connection is new."""
        self.client.cancel()
        self.view.forget()
        self.current.forget()
        self.heartbeat.begin()
        self.weld = WeldCheck()
        self.woken_at = None
        self.ordered = ''

    def ask(self, command: str, handle: Handler, now: float, *, urgent: bool = False) -> None:
        """Send a request; another one in flight is given up."""
        if self.client.busy:
            self.given_up(now)

        def answered(frame: rapi.Frame, now: float) -> None:
            self.replied(handle(frame, now), now)

        self.client.begin(command, answered, now, urgent=urgent)

    @property
    def awake(self) -> bool:
        """Return whether the firmware follows the pilot, or is in a fault."""
        state = self.view.state
        return state is not None and state.state not in codes.RESTING

    @property
    def looking(self) -> bool:
        """Return whether the board is awake for a look at its contacts."""
        return self.woken_at is not None

    def amperes(self) -> int:
        """Return the whole amperes to allow, 0 for none."""
        capacity = self.current.capacity
        if capacity is None:
            return 0
        return whole_amperes(self.targets.outputs.current_a, capacity.minimum_a, capacity.maximum_a)

    def target(self, now: float) -> FirmwareTarget:
        """Return what the firmware shall do."""
        may_charge = self.amperes() > 0 and not self.current.refusal and not self.view.fault
        return self.targets.wish(now, may_charge=may_charge)

    def current_target(self, now: float) -> int:
        """Return the current that shall be in force; the least one at rest: the board may wake by itself."""
        amperes = self.amperes()
        if amperes and (self.current.refusal or self.target(now) is FirmwareTarget.CHARGE):
            return amperes
        return self.current.capacity.minimum_a if self.current.capacity is not None else 0

    def patience_s(self) -> float:
        """Return how long the board may be silent: longer only where it may be busy with itself."""
        state = self.view.state
        waking = self.looking or self.ordered == 'FE'
        if not waking and (state is None or state.state in codes.RESTING):
            return PATIENCE_S
        charging = state is not None and state.state == rapi.CHARGING
        cool = self.meter.temperature_c is not None and self.meter.temperature_c < WARM_C
        return PATIENCE_S if charging and cool else BUSY_S
