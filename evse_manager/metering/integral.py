"""
Energy by measured power: the substitute for a register that stands still or is absent.

The magnitude of the power counts, since the board cannot feed back and a transformer may be reversed.
"""

from dataclasses import dataclass

from evse_manager.metering.register import possible_wh
from evse_manager.metering.thresholds import REVERSED_W, SILENT_AFTER_S


@dataclass(slots=True)
class PowerIntegral:
    """Energy since the register last changed, by the trapezoidal rule, in Wh."""

    energy_wh: float = 0.0
    powered_s: float = 0.0
    """Time in which power flowed."""
    _power_w: float | None = None
    _at: float = 0.0

    def take(self, power_w: float | None, now: float, max_power_w: float) -> bool:
        """
        Take a measured power; return whether power flowed at the beginning or end of a gap that is left out.

        Noise at rest (below 100 W) counts as nothing, and no more counts than the connector can carry.  Over
        a time without samples in which the meter counts as lost nothing is integrated.
        """
        if power_w is None:
            return False
        magnitude = abs(power_w) if abs(power_w) >= -REVERSED_W else 0.0
        before, elapsed = self._power_w, now - self._at
        self._power_w, self._at = magnitude, now
        if before is None:
            return False
        if elapsed > SILENT_AFTER_S:
            return before > 0.0 or magnitude > 0.0
        energy = (before + magnitude) / 2.0 * max(0.0, elapsed) / 3600.0
        self.energy_wh += min(energy, possible_wh(max_power_w, elapsed))
        if energy > 0.0:
            self.powered_s += elapsed
        return False

    def restart(self) -> None:
        """Begin again: the register has changed."""
        self.energy_wh = self.powered_s = 0.0
