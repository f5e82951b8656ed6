"""Reports of a Yeti board since its last restart."""

import math
from dataclasses import dataclass, field

from evse_manager.board.boards.yeti.codes import LOCKED, NO_CABLE, PLUGGED, UNLOCKED, cable, lock_state
from evse_manager.board.boards.yeti.messages import ErrorFlags, LockPosition, PilotState, Proximity, Relay
from evse_manager.board.boards.yeti.pilot_check import PilotCheck
from evse_manager.interface.enums import LockState, ProximityState

CABLE_S = 0.3
"""Pilot and proximity of a plug are reported one after the other; the first waits so long for the second."""

SOCKET_S = 0.3
"""A board that has a lock and reads cables reports both within this after its pilot."""


@dataclass(slots=True)
class BoardReports:
    """Codes as they came; ``None`` is what was not reported yet."""

    greeted: bool = False
    """Whether the keep-alive has come, with capabilities that are possible."""
    pilot: int | None = None
    pilot_at: float = math.inf
    relay: bool = False
    """A restart opens the contactor, and firmware 2.2 reports it only when it changes."""
    relay_at: float = -math.inf
    flags: ErrorFlags = field(default_factory=ErrorFlags)
    proximity: int | None = None
    lock: int | None = None
    lock_opened: bool = False
    """Whether the lock has opened without an order."""
    cable_missing_at: float | None = None
    check: PilotCheck = field(default_factory=PilotCheck)

    def take(
        self,
        message: PilotState | Relay | ErrorFlags | Proximity | LockPosition,
        now: float,
        *,
        lock_wanted: bool,
    ) -> None:
        """Take a state."""
        match message:
            case PilotState(value):
                self.pilot_at = now if self.pilot is None else self.pilot_at
                self.pilot = value
                self.check.reported(value)
            case Relay(value):
                self.relay, self.relay_at = value, now
            case ErrorFlags():
                self.flags = message
            case Proximity(value):
                self.proximity = value
            case LockPosition(value):
                opened = self.lock == LOCKED and value == UNLOCKED
                self.lock_opened = (self.lock_opened or opened) and value != LOCKED and lock_wanted
                self.lock = value
        if self.proximity != NO_CABLE or self.pilot not in PLUGGED:
            self.cable_missing_at = None
        elif self.cable_missing_at is None:
            self.cable_missing_at = now

    @property
    def pilot_code(self) -> int | None:
        """Return the state of the pilot, or the safer one that its voltages show."""
        return self.pilot if self.check.replacement is None else self.check.replacement

    def awaits_cable(self, now: float) -> bool:
        """Return whether a plug was reported so recently that its cable is still to come."""
        return self.cable_missing_at is not None and now < self.cable_missing_at + CABLE_S

    def cable_read(self) -> tuple[ProximityState, float | None]:
        """Return what is plugged in, and its ampacity in A."""
        return (ProximityState.NOT_AVAILABLE, None) if self.proximity is None else cable(self.proximity)

    def lock_read(self) -> LockState:
        """Return where the lock is."""
        return LockState.NONE if self.lock is None else lock_state(self.lock)
