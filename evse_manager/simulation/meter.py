"""The billing meter: it integrates what flows, and samples on demand."""

from random import Random

from evse_manager.interface.types import (
    Current,
    Energy,
    Frequency,
    Power,
    Powermeter,
    ReactivePower,
    Time,
    Voltage,
)

VOLTAGE_NOISE_V = 0.4
"""Standard deviation of a phase's voltage from one sample to the next."""

LARGEST_DEVIATION_V = 4.0
FREQUENCY_NOISE_HZ = 0.01
NOMINAL_FREQUENCY_HZ = 50.0

Phases = tuple[float, float, float]


class Meter:
    """Registers and voltages of three phases; between two samples the voltages stand still."""

    def __init__(self, random: Random, voltage_v: float, register_wh: float) -> None:
        """Begin with ``register_wh`` on the total, and ``voltage_v`` as the nominal voltage to neutral."""
        self.voltages_v: Phases = (voltage_v, voltage_v, voltage_v)
        self.offset_wh = 0.0
        """Energy that jumps have added to the total."""
        self._random = random
        self._nominal_v = voltage_v
        self._registers_wh: list[float] = [register_wh / 3.0] * 3
        self._frequency_hz = NOMINAL_FREQUENCY_HZ

    def integrate(self, currents_a: Phases, seconds: float) -> float:
        """Count a time of steady currents; return its energy in Wh."""
        hours = seconds / 3600.0
        total = 0.0
        for phase, current_a in enumerate(currents_a):
            energy = self.voltages_v[phase] * current_a * hours
            self._registers_wh[phase] += energy
            total += energy
        return total

    def wander(self) -> None:
        """Let voltages and frequency drift a little."""
        gauss = self._random.gauss
        low, high = self._nominal_v - LARGEST_DEVIATION_V, self._nominal_v + LARGEST_DEVIATION_V
        self.voltages_v = (
            min(max(self._nominal_v + gauss(0.0, VOLTAGE_NOISE_V), low), high),
            min(max(self._nominal_v + gauss(0.0, VOLTAGE_NOISE_V), low), high),
            min(max(self._nominal_v + gauss(0.0, VOLTAGE_NOISE_V), low), high),
        )
        self._frequency_hz = NOMINAL_FREQUENCY_HZ + gauss(0.0, FREQUENCY_NOISE_HZ)

    @property
    def energy_wh(self) -> float:
        """Return what was imported, without any jump."""
        return sum(self._registers_wh)

    def sample(self, currents_a: Phases, wall: Time) -> Powermeter:
        """Return the readings of the meter now."""
        u1, u2, u3 = self.voltages_v
        i1, i2, i3 = currents_a
        p1, p2, p3 = u1 * i1, u2 * i2, u3 * i3
        e1, e2, e3 = self._registers_wh
        neutral = (
            (i1 * i1 + i2 * i2 + i3 * i3 - i1 * i2 - i2 * i3 - i3 * i1) ** 0.5
            if i1 != i3 or i1 != i2
            else 0.0
        )
        return Powermeter(
            timestamp=wall,
            energy_wh_import=Energy(e1 + e2 + e3 + self.offset_wh, e1, e2, e3),
            meter_id='SIM-1',
            phase_seq_error=False,
            energy_wh_export=Energy(0.0, 0.0, 0.0, 0.0),
            power_w=Power(p1 + p2 + p3, p1, p2, p3),
            voltage_v=Voltage(None, u1, u2, u3),
            current_a=Current(None, i1, i2, i3, neutral),
            reactive_power_var=ReactivePower(0.0, 0.0, 0.0, 0.0),
            frequency_hz=Frequency(self._frequency_hz, self._frequency_hz, self._frequency_hz),
        )
