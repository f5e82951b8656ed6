"""State of an OpenEVSE from its reports: plug, pilot, relay, and a fault that is not over."""

import math

from evse_manager.board.boards.openevse import codes, rapi
from evse_manager.interface.enums import ControlPilotState

_PLUGGED = (ControlPilotState.B, ControlPilotState.C, ControlPilotState.D)

MOST_HELD_S = 4.0
"""No new EV is held back for longer than this."""

ENDING_S = 0.6
"""A fault ends within this after the unplugging; the EV is reported gone together with it, or after this."""


class BoardView:
    """
    The state of the board, as far as its reports give it.

    A fault is remembered until the board itself must have ended it: with the EV's unplugging, or with a new
    start.  An order that hides the state of the fault does not end it.
    """

    def __init__(self) -> None:
        """Begin without any report."""
        self.state: rapi.State | None = None
        self.fault = 0
        """State of the fault that is not over, 0 without one."""
        self.closed_since_plug = False
        self._announced = 0
        self._failed_start = False
        self._cp_state = ControlPilotState.UNSPECIFIED
        self._held_until = -math.inf
        self._gone_until = -math.inf

    def forget(self) -> None:
        """Forget the newest report, but not a fault: the line was lost, or the board is asked again."""
        self.state = None

    def started(self, code: int) -> None:
        """Take the outcome of the self-test at the board's start."""
        self.fault = code
        self._failed_start = bool(code)
        self._announced = 0
        self.closed_since_plug = False
        self._held_until = -math.inf

    def hear(self, state: int) -> None:
        """Take an unasked report: it names a fault whose state may be hidden when it is asked for."""
        if codes.is_fault(rapi.State(state, 0, 0)):
            self._announced = state

    def take(self, state: rapi.State, now: float) -> None:
        """Take a report that was asked for."""
        before, self.state = self.state, state
        if not state.connected and (before is None or before.connected):
            self._gone_until = now + ENDING_S
        self.closed_since_plug = self.closed_since_plug or state.relay_closed
        if codes.is_fault(state):
            self.fault = state.state
        elif state.hard_fault:
            self.fault = self.fault or self._announced or codes.UNKNOWN_FAULT
        elif self.fault and not self._failed_start and self._over(state):
            self.fault = self._announced = 0

    def does_not_wake(self) -> None:
        """Take notice of a board that stays in state 00 without an EV."""
        self.fault = codes.NOT_WAKING
        self._failed_start = True

    @property
    def relay_closed(self) -> bool:
        """Return whether the relay is driven."""
        return self.state is not None and self.state.relay_closed

    @property
    def welded(self) -> bool:
        """Return whether the contacts are stuck."""
        return self.fault == codes.STUCK_RELAY

    def hold_new_ev(self, now: float) -> None:
        """Report no new EV for a while: the contacts of the relay are looked at first."""
        self._held_until = now + MOST_HELD_S

    def release(self) -> None:
        """End ``hold_new_ev``."""
        self._held_until = -math.inf

    def deadline(self, after: float) -> float:
        """Return when ``cp_state`` may change by itself after a time."""
        ends = [end for end in (self._held_until, self._gone_until) if end > after]
        return min(ends, default=math.inf)

    def cp_state(self, now: float) -> ControlPilotState:
        """Return the state of the pilot, and remember it."""
        state = self.state
        assert state is not None
        read = self._read(state)
        ends = bool(self.fault) and not self._failed_start and not self.welded
        if read is ControlPilotState.A and ends and now < self._gone_until and self._cp_state in _PLUGGED:
            return self._cp_state
        if read in _PLUGGED and now < self._held_until and not state.relay_closed:
            read = ControlPilotState.A
        self._cp_state = read
        return read

    def _read(self, state: rapi.State) -> ControlPilotState:
        if state.state == rapi.DISABLED:
            return ControlPilotState.F
        if not codes.is_known(state):
            return ControlPilotState.E
        if not state.connected:
            return ControlPilotState.A
        if self.fault == codes.VENTILATION:
            return ControlPilotState.D
        if state.relay_closed:
            return ControlPilotState.C
        if state.state in {rapi.CONNECTED, rapi.CHARGING}:
            return codes.awake_pilot(state)
        asleep = state.state == rapi.ASLEEP and not self.fault
        return self._cp_state if self._cp_state in _PLUGGED and not asleep else ControlPilotState.B

    def _over(self, state: rapi.State) -> bool:
        """Return whether the firmware has ended a fault: the EV is gone, and it is not between two tries."""
        return not state.connected and state.state in {rapi.READY, rapi.ASLEEP}
