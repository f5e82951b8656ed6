"""Looks at the contacts of a resting OpenEVSE: the board is awake for one loop, see ``weld_check``."""

from evse_manager.board.boards.firmware_target import FirmwareTarget
from evse_manager.board.boards.openevse import codes, rapi
from evse_manager.board.boards.openevse.knowledge import Knowledge
from evse_manager.board.boards.openevse.readings import Readings

WAKING_S = 0.5
"""A board without an EV leaves state 00 within two loops."""


class Looks:
    """Wakes the board and lets it sleep again; every method takes the time in seconds of one clock."""

    def __init__(self, known: Knowledge, readings: Readings) -> None:
        """Look at nothing yet."""
        self._known = known
        self._readings = readings

    def possible(self, now: float) -> bool:
        """Return whether the board may be woken for a look: it rests, and shall rest."""
        known, state = self._known, self._known.view.state
        return (
            state is not None
            and state.state in codes.RESTING
            and not state.relay_closed
            and not known.view.fault
            and not known.targets.replugging
            and known.target(now) is not FirmwareTarget.CHARGE
        )

    def due(self, now: float) -> bool:
        """Return whether the board has to be woken now."""
        return self._known.weld.due(now) and self.possible(now)

    def deadline(self, now: float) -> float:
        """Return when the next look is due."""
        return self._known.weld.deadline() if self.possible(now) else float('inf')

    def begin(self, now: float) -> None:
        """Wake the board."""
        self._known.woken_at = now
        self._known.ask('FE', self._woken, now)

    def _woken(self, frame: rapi.Frame, now: float) -> None:
        self._known.ask('GS', self._seen, now)

    def _seen(self, frame: rapi.Frame, now: float) -> None:
        """Let the board sleep again, unless the look has found a fault; one loop at least has gone by."""
        known, begun = self._known, self._known.woken_at
        state = rapi.state_of(frame.words) if frame.name == 'OK' else None
        if begun is None:
            return
        known.current.doubt()
        if state is not None:
            if codes.is_fault(state) or state.hard_fault:
                known.woken_at = None
                self._readings.take_state(frame, now)
                return
            if state.state == rapi.STARTING and not state.connected:
                if now < begun + WAKING_S:
                    known.ask('GS', self._seen, now)
                    return
                known.view.does_not_wake()
        known.weld.looked(now)
        disabled = known.target(now) is FirmwareTarget.UNAVAILABLE and not known.connecting
        known.ask('FD' if disabled else 'FS', self._asleep, now, urgent=True)

    def _asleep(self, frame: rapi.Frame, now: float) -> None:
        self._known.ask('GS', self._ended, now)

    def _ended(self, frame: rapi.Frame, now: float) -> None:
        self._known.woken_at = None
        self._readings.take_state(frame, now)
