"""
The energy of a transaction, from a meter that may be reset, jump or fall silent.

The account keeps a register that never runs backwards: it adds what the meter plausibly counted since its
last sample (catalogue M3, M4).
"""

import math
from dataclasses import dataclass, replace

from evse_manager.interface.types import Powermeter, Time
from evse_manager.metering.validation import plausible

JUMP_FACTOR = 1.5
"""More than this times what the connector can carry is no energy but a jump (catalogue M4)."""

JUMP_SLACK_WH = 20.0
"""Meters count in steps; so much is no jump, however short the time."""

REVERSED_W = -100.0
REVERSED_S = 10.0
"""So much power flowing back for so long is a transformer the wrong way round (catalogue M6)."""

METER_WAIT_S = 2.0
"""So long the start and the end of a transaction wait for a meter value of their own (charging.md 2)."""

SILENT_AFTER_S = 5.0
"""
Without a sample for this long the meter counts as lost (boards report at 1 Hz; catalogue M1 allows two
cycles).
"""


@dataclass(slots=True)
class MeterAccount:
    """The newest sample and the register built from all of them."""

    sample: Powermeter | None = None
    received: float = -math.inf
    register_wh: float | None = None
    warning: str = ''
    left_out: int = 0
    """How many impossible numbers of the meter were left out since the start of the last transaction."""
    reversed_since: float | None = None
    """Since when the power is measured as flowing back."""
    _raw_wh: float | None = None
    _raw_at: float = 0.0

    def take(self, sample: Powermeter, steady: float, most_power_w: float) -> None:
        """Take a sample received at ``steady`` from a connector that can carry ``most_power_w``."""
        sample, left_out = plausible(sample)
        self.left_out += left_out
        self.sample, self.received = sample, steady
        power = self.power_w()
        if power is None or power >= REVERSED_W:
            self.reversed_since = None
        elif self.reversed_since is None:
            self.reversed_since = steady
        raw = sample.energy_wh_import.total
        if raw is None:
            return
        if self._raw_wh is None or self.register_wh is None:
            self.register_wh = raw
        else:
            counted = raw - self._raw_wh
            possible = most_power_w * (steady - self._raw_at) / 3600.0 * JUMP_FACTOR + JUMP_SLACK_WH
            if counted < 0.0:
                self.warning = (
                    f'The meter ran back by {-counted:.0f} Wh; the energy goes on from where it was.'
                )
            elif counted > possible:
                self.warning = f'The meter jumped by {counted:.0f} Wh; the jump is not counted.'
            else:
                self.register_wh += counted
        self._raw_wh, self._raw_at = raw, steady

    def rebase(self) -> None:
        """Let the register read what the meter reads: a new transaction begins."""
        self.register_wh = self._raw_wh
        self.warning = ''
        self.left_out = 0

    def value(self) -> Powermeter:
        """Return the newest sample with the register as its energy; all unknown without a meter."""
        if self.sample is None:
            return Powermeter()
        return replace(
            self.sample, energy_wh_import=replace(self.sample.energy_wh_import, total=self.register_wh)
        )

    def silent(self, steady: float) -> bool:
        """Tell whether the meter has been silent for too long."""
        return steady >= self.received + SILENT_AFTER_S

    def warnings(self, steady: float) -> list[str]:
        """Return what is strange about the meter but blocks nothing."""
        warnings = [self.warning] if self.warning else []
        if self.left_out:
            warnings.append('The meter sent impossible values, which are left out; check its connection.')
        if self.reversed_since is not None and steady >= self.reversed_since + REVERSED_S:
            warnings.append('The meter measures power flowing back; check the direction of its transformers.')
        if self.sample is not None and self.sample.phase_seq_error:
            warnings.append('The meter sees the phases in the wrong order; have the wiring checked.')
        return warnings

    def power_w(self) -> float | None:
        """Return the newest measured power."""
        if self.sample is None or self.sample.power_w is None:
            return None
        return self.sample.power_w.total

    def highest_current_a(self) -> float | None:
        """Return the highest phase current of the newest sample."""
        if self.sample is None or self.sample.current_a is None:
            return None
        amperes = self.sample.current_a
        known = [value for value in (amperes.l1, amperes.l2, amperes.l3) if value is not None]
        return max(known) if known else None

    def sampled_after(self, opened: Time | None, opened_steady: float) -> bool:
        """Tell whether the newest sample was taken after the contactor opened."""
        if self.received < opened_steady or self.sample is None:
            return False
        taken = self.sample.timestamp
        return taken is None or opened is None or taken >= opened
