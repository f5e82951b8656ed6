"""How an OpenEVSE reads the pilot: thresholds, and the debouncing of state and pilot field."""

from evse_manager.simulation.virtual.openevse_settings import (
    NO_DIODE_CHECK,
    NO_VENTILATION_CHECK,
    Currents,
)
from evse_manager.simulation.virtual.openevse_states import (
    CHARGING,
    CONNECTED,
    DIODE,
    READY,
    UNKNOWN,
    VENTILATION,
)

SETTLE_S, SETTLE_A_S = 0.25, 0.025
"""Debouncing of a state, and of the state of no car."""

AB_V, BC_V, CD_V, DIODE_V = 10.5, 7.5, 4.5, -9.5
"""Thresholds of the positive half, and the negative half above which the diode is missing."""


class PilotReader:
    """
    Debounces what the pilot means; what was read last stays in memory while the board sleeps.

    So a board that wakes offers PWM at once when the car still shows what it showed before.
    """

    def __init__(self, currents: Currents) -> None:
        """Begin without any reading."""
        self.field = UNKNOWN
        """Pilot field of the reports."""
        self._currents = currents
        self._seen = self._seen_field = UNKNOWN
        self._seen_at = self._seen_field_at = 0.0

    def classify(self, before: int, now: float, high_v: float, low_v: float, *, pwm: bool) -> int:
        """Return the state that follows from the pilot, after the one from ``before``."""
        seen, field = self._meaning(high_v, low_v, pwm)
        state = before
        if seen != before:
            if seen != self._seen:
                self._seen_at = now
            elif now - self._seen_at >= (SETTLE_A_S if seen == READY else SETTLE_S):
                state = seen
        self._remember(seen, field, now)
        if state != before and READY <= state <= CHARGING:
            self.field = field
        return state

    def in_fault(self, fault: int, now: float) -> None:
        """Take notice of a fault: the pilot counts as unknown."""
        self._remember(fault, UNKNOWN, now)

    def _remember(self, seen: int, field: int, now: float) -> None:
        if field != self.field:
            if field != self._seen_field:
                self._seen_field_at = now
            elif now - self._seen_field_at >= SETTLE_S:
                self.field = field
        self._seen, self._seen_field = seen, field

    def _meaning(self, high_v: float, low_v: float, pwm: bool) -> tuple[int, int]:
        """Return state and pilot field."""
        if pwm and low_v >= DIODE_V and self._currents.checks(NO_DIODE_CHECK):
            return DIODE, DIODE
        if high_v >= AB_V:
            return READY, READY
        if high_v >= BC_V:
            return CONNECTED, CONNECTED
        if high_v >= CD_V:
            return (CHARGING if pwm else CONNECTED), CHARGING
        ventilation = self._currents.checks(NO_VENTILATION_CHECK)
        return (VENTILATION if ventilation else CHARGING), VENTILATION
