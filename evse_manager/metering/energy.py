"""
The energy of one transaction, from the register, or from measured power where the register does not count.

The register decides wherever it moves.  While it stands still under power, or is absent, measured power
takes its place; a later step of the register that explains that energy replaces it, so that nothing is
counted twice.
"""

from dataclasses import dataclass

from evse_manager.metering.integral import PowerIntegral
from evse_manager.metering.register import EnergyRegister, RegisterEvent, possible_wh
from evse_manager.metering.thresholds import (
    EXPLAINING_SHARE,
    REGISTER_SLACK_WH,
    STANDING_S,
    STANDING_STEPS,
    STANDING_WH,
)


@dataclass(frozen=True, slots=True)
class TransactionEnergy:
    """
    The energy of a transaction.

    ``energy_wh`` is ``None`` where nothing was measured.  It is a lower bound where energy may have flowed
    that was not measured, and integrated where measured power took the place of the register.
    """

    energy_wh: float | None = None
    is_lower_bound: bool = False
    is_integrated: bool = False


class EnergyCounter:
    """Counts since ``begin``; times are seconds of one monotonic clock, powers W, energies Wh."""

    def __init__(self) -> None:
        """Begin without a reading."""
        self.register = EnergyRegister()
        self.is_standing = False
        """Whether the register stands still though power is measured."""
        self._integral = PowerIntegral()
        self._counted_wh: float | None = None
        self._base_wh: float | None = None
        self._from_power_wh = 0.0
        """Energy by power that is counted, or of the time before, and that steps may still explain."""
        self._ceiling_wh = 0.0
        self._taken_at: float | None = None
        self._is_lower_bound = False
        self._was_integrated = False
        self._is_integrating = False

    def begin(self, now: float, max_power_w: float) -> None:
        """Begin a transaction: the register starts from what it reads."""
        self.register.begin(now, max_power_w)
        self._base_wh = self.register.reading_wh
        self._counted_wh = None if self._base_wh is None else 0.0
        self._is_lower_bound = self._base_wh is None
        self._was_integrated = self._is_integrating = self.is_standing = False
        self._from_power_wh = self._integral.energy_wh
        self._ceiling_wh = self.register.allowance_wh(max_power_w)
        self._taken_at = now

    def take(
        self, reading_wh: float | None, power_w: float | None, now: float, max_power_w: float
    ) -> RegisterEvent:
        """Take a sample of a connector that is rated for ``max_power_w``; either value may be absent."""
        if self._taken_at is None:
            self._ceiling_wh = self.register.allowance_wh(max_power_w)
        else:
            self._ceiling_wh += possible_wh(max_power_w, now - self._taken_at)
        self._taken_at = now
        gap = self._integral.take(power_w, now, max_power_w)
        event = RegisterEvent.NONE
        if reading_wh is not None:
            event = self._take_reading(reading_wh, now, max_power_w)
        self._integrate(gap=gap)
        return event

    @property
    def energy(self) -> TransactionEnergy:
        """Energy since ``begin``, never more than the connector can have carried."""
        counted = None if self._counted_wh is None else min(self._counted_wh, self._ceiling_wh)
        if counted is None:
            return TransactionEnergy()
        return TransactionEnergy(counted, self._is_lower_bound, self._was_integrated or self._is_integrating)

    @property
    def register_wh(self) -> float | None:
        """Value of the register that never runs backwards; ``None`` where none was read."""
        if self._base_wh is None:
            return None
        return self._base_wh + (self.energy.energy_wh or 0.0)

    def _take_reading(self, reading_wh: float, now: float, max_power_w: float) -> RegisterEvent:
        is_first = self.register.reading_wh is None
        before = self.register.counted_wh
        event = self.register.take(reading_wh, now, max_power_w)
        step = max(0.0, self.register.counted_wh - before)
        if is_first:
            self._was_integrated = self._was_integrated or self._is_integrating
            self._counted_wh = self._counted_wh or 0.0
            self._base_wh = reading_wh - min(self._counted_wh, self._ceiling_wh)
        if event is RegisterEvent.RESTARTED:
            self._is_lower_bound = True
        if not (is_first or step > 0.0 or event is RegisterEvent.RESTARTED):
            return event
        explained = 0.0
        if step >= EXPLAINING_SHARE * self._integral.energy_wh:
            explained = min(step, self._from_power_wh)
            self._from_power_wh -= explained
        else:
            self._was_integrated = self._was_integrated or self._is_integrating
            self._from_power_wh = 0.0
        self._counted_wh = (self._counted_wh or 0.0) + (step - explained)
        self._integral.restart()
        self._is_integrating = self._from_power_wh > 0.0
        self.is_standing = False
        return event

    def _integrate(self, *, gap: bool) -> None:
        """Count measured power while the register does not."""
        register, integral_wh = self.register, self._integral.energy_wh
        is_absent = register.reading_wh is None
        if not is_absent:
            step = register.step_wh
            enough = STANDING_WH if step is None else max(REGISTER_SLACK_WH, STANDING_STEPS * step)
            self.is_standing = self.is_standing or (
                self._integral.powered_s >= STANDING_S and integral_wh >= enough
            )
        if not (is_absent or self.is_standing):
            return
        self._is_lower_bound = self._is_lower_bound or gap
        if integral_wh > self._from_power_wh:
            self._counted_wh = (self._counted_wh or 0.0) + integral_wh - self._from_power_wh
            self._from_power_wh = integral_wh
            self._is_integrating = True
