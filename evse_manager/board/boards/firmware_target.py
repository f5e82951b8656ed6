"""
Shared by boards whose firmware runs IEC 61851-1: the target state of the firmware for given outputs.

A virtual replug is played here as well: state F for a while, then the pilot steady, then as before.
"""

import math
from enum import Enum, auto

from evse_manager.board.driver_io import Outputs
from evse_manager.board.replug import SHOW_F_S, SHOW_X1_S
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.pilot import CURRENT_TOLERANCE_A, MINIMUM_CURRENT_A


class FirmwareTarget(Enum):
    """Target state of the firmware."""

    CHARGE = auto()
    PAUSE = auto()
    """No PWM; the contactor opens when the EV has stopped."""
    STOP = auto()
    """Open now, and stay steady."""
    UNAVAILABLE = auto()
    """State F."""


def whole_amperes(asked_a: float, least_a: int, most_a: int) -> int:
    """Return the whole amperes to allow, never more than asked for; 0 for none."""
    if not math.isfinite(asked_a) or asked_a < MINIMUM_CURRENT_A - CURRENT_TOLERANCE_A:
        return 0
    amperes = min(math.floor(asked_a + CURRENT_TOLERANCE_A), most_a)
    return amperes if amperes >= least_a else 0


class TargetTracker:
    """Keeps the newest outputs and plays replugs; times are seconds of one clock."""

    def __init__(self) -> None:
        """Begin with outputs that allow nothing."""
        self.outputs = Outputs()
        self._replugs: int | None = None
        self._replug_from = -math.inf

    def take(self, outputs: Outputs, now: float) -> None:
        """Take new outputs; a counter of replugs that has grown begins one."""
        if self._replugs is not None and outputs.replugs > self._replugs:
            self._replug_from = now
        self._replugs = outputs.replugs
        self.outputs = outputs

    def tick(self, now: float) -> None:
        """End a replug whose time is over."""
        if now >= self._replug_from + SHOW_F_S + SHOW_X1_S:
            self._replug_from = -math.inf

    @property
    def replugging(self) -> bool:
        """Return whether a virtual replug is under way."""
        return self._replug_from > -math.inf

    def deadlines(self, after: float) -> list[float]:
        """Return when a replug goes on, as far as that is after a time."""
        ends = (self._replug_from + SHOW_F_S, self._replug_from + SHOW_F_S + SHOW_X1_S)
        return [end for end in ends if end > after]

    def wish(self, now: float, *, may_charge: bool) -> FirmwareTarget:
        """Return what the firmware shall do; without ``may_charge`` it pauses instead of charging."""
        outputs = self.outputs
        if now < self._replug_from + SHOW_F_S:
            return FirmwareTarget.UNAVAILABLE
        if now < self._replug_from + SHOW_F_S + SHOW_X1_S:
            return FirmwareTarget.STOP
        if outputs.pilot_mode in {PilotMode.F, PilotMode.E}:
            return FirmwareTarget.UNAVAILABLE
        if not outputs.power:
            return FirmwareTarget.STOP
        if outputs.pilot_mode is PilotMode.PWM and may_charge:
            return FirmwareTarget.CHARGE
        return FirmwareTarget.PAUSE
