"""
The billing meter as the kernel sees it: the newest sample, the energy of the transaction, what is strange.

Everything about one number is in ``validation.py``, about a register in ``register.py``, about currents in
``current.py``; this module joins them.
"""

import math
from dataclasses import dataclass, field, replace

from evse_manager.interface.types import Powermeter, Time
from evse_manager.metering import current
from evse_manager.metering.energy import EnergyCounter, TransactionEnergy
from evse_manager.metering.health import MeterHealth
from evse_manager.metering.register import RegisterEvent, rise_over_power_loss
from evse_manager.metering.thresholds import SILENT_AFTER_S
from evse_manager.metering.validation import plausible


@dataclass(slots=True)
class MeterAccount:
    """The meter of one connector; times are seconds of the steady clock."""

    sample: Powermeter | None = None
    """The newest sample, without impossible numbers; its register is what the meter reads."""
    received: float = -math.inf
    """When it was received."""
    _counter: EnergyCounter = field(default_factory=EnergyCounter)
    _health: MeterHealth = field(default_factory=MeterHealth)

    def take(self, sample: Powermeter, steady: float, max_power_w: float) -> None:
        """Take a sample received at ``steady`` from a connector that is rated for ``max_power_w``."""
        sample, left_out = plausible(sample)
        self.sample, self.received = self._health.take(sample, left_out, steady), steady
        reading = self.sample.energy_wh_import.total
        self._health.note(self._counter.take(reading, self.power_w(), steady, max_power_w))

    def begin(self, steady: float, max_power_w: float) -> None:
        """Begin a transaction: the register starts from what the meter reads."""
        self._counter.begin(steady, max_power_w)
        self._health.begin()

    def board_restarted(self, steady: float) -> None:
        """Note that the board reported a restart: its register may begin at another value."""
        self._counter.register.expect_restart(steady)

    @property
    def energy(self) -> TransactionEnergy:
        """Energy since the transaction began."""
        return self._counter.energy

    def final_energy(self, *, complete: bool) -> TransactionEnergy:
        """Return the energy at the end; not ``complete`` without a sample from after the contactor opened."""
        energy = self.energy
        if complete or energy.energy_wh is None:
            return energy
        return replace(energy, is_lower_bound=True)

    def rise_over_power_loss(self, known_wh: float | None, max_power_w: float) -> float | None:
        """Return what came after the newest stored reading of a process before, ``None`` where unknown."""
        reading = None if self.sample is None else self.sample.energy_wh_import.total
        if known_wh is None or reading is None:
            return None
        rise = rise_over_power_loss(known_wh, reading, max_power_w)
        if rise is None:
            self._health.note(RegisterEvent.FELL if reading < known_wh else RegisterEvent.LEAPT)
        return rise

    @property
    def reading_wh(self) -> float | None:
        """Value of the meter's own register."""
        return self._counter.register.reading_wh

    @property
    def register_wh(self) -> float | None:
        """The register that never runs backwards in a transaction."""
        return self._counter.register_wh

    def value(self) -> Powermeter:
        """Return the newest sample with that register as its energy; all unknown without a meter."""
        if self.sample is None:
            return Powermeter()
        return replace(
            self.sample, energy_wh_import=replace(self.sample.energy_wh_import, total=self.register_wh)
        )

    def silent(self, steady: float) -> bool:
        """Return whether the meter has been silent for too long."""
        return steady >= self.received + SILENT_AFTER_S

    def warnings(self) -> list[str]:
        """Return what is strange about the meter but blocks nothing."""
        warnings = self._health.warnings()
        if self._counter.is_standing:
            warnings.append(
                'The register of the meter stands still though power is measured; energy is integrated from'
                ' the power: check the meter.'
            )
        return warnings

    def power_w(self) -> float | None:
        """Return the newest measured power; negative flows back."""
        if self.sample is None or self.sample.power_w is None:
            return None
        return self.sample.power_w.total

    def highest_current_a(self, phases: int, nominal_voltage_v: float) -> float | None:
        """Return the highest phase current of the newest sample, by power where no current is measured."""
        if self.sample is None:
            return None
        return current.highest_current_a(self.sample, phases, nominal_voltage_v)

    def sampled_after(self, opened: Time | None, opened_steady: float) -> bool:
        """Return whether the newest sample was taken after the contactor opened."""
        if self.received < opened_steady or self.sample is None:
            return False
        taken = self.sample.timestamp
        return taken is None or opened is None or taken >= opened
