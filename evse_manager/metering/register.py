"""
What a meter tells and what is believed of it (catalogue M2 to M8).

Pure: readings and times in, samples and warnings out.  A number that cannot be is left out on its own, not
the sample; a register that falls or leaps does not change what a session is charged for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

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

Phases = tuple[float | None, float | None, float | None]
NOTHING: Phases = (None, None, None)

TINIEST = 1e-4
"""A number closer to 0, but not 0, is a float whose words were swapped."""

LARGEST_V = 500.0
LARGEST_A = 250.0
LARGEST_W = 150_000.0
LARGEST_WH = 1e11

DEAD_PHASE_V = 10.0
LIVE_PHASE_V = 80.0
"""A phase below the first while another is above the second is missing."""

LEAP_FACTOR = 1.5
REGISTER_STEP_WH = 20.0
"""More energy than the power path can carry, times the factor, plus the register's resolution, is a leap."""

FALLS_BELIEVED = 2
LEAPS_BELIEVED = 5
"""So many readings in a row that agree make a new register of it; counting goes on from the old one."""

REVERSED_W = -100.0
PERSISTS_S = 10.0
"""A reversed transformer or wrong order of phases has to be seen for this long."""

WARNED_S = 10.0
"""How long a warning about the register stays."""

FLOWING_A = 2.0
RESTING_A = 0.5
"""A phase with more carries current, one with less does not."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Numbers as a meter tells them, in V, A, W, var, Hz and Wh; ``None`` where it tells none."""

    voltage_v: Phases = NOTHING
    current_a: Phases = NOTHING
    power_w: Phases = NOTHING
    power_total_w: float | None = None
    reactive_var: Phases = NOTHING
    reactive_total_var: float | None = None
    frequency_hz: float | None = None
    import_wh: float | None = None
    import_phases_wh: Phases = NOTHING
    export_wh: float | None = None
    export_phases_wh: Phases = NOTHING


@dataclass(slots=True)
class _Since:
    """Since when something has been so."""

    begun: float | None = None

    def holds(self, is_so: bool, now: float) -> bool:
        """Return whether it has been so for long enough."""
        if not is_so:
            self.begun = None
            return False
        if self.begun is None:
            self.begun = now
        return now >= self.begun + PERSISTS_S


class Register:
    """A counter of energy that never falls and never leaps (M3, M4)."""

    def __init__(self) -> None:
        """Begin without a value."""
        self.value_wh: float | None = None
        """What is counted."""
        self.moved = False
        """Whether counting went on from another register since the start."""
        self._raw_wh = 0.0
        self._at = 0.0
        self._odd_wh: float | None = None
        self._odd_readings = 0

    def count(self, raw_wh: float, most_w: float, now: float) -> str:
        """Take a reading; return what is odd about it, for people, empty when nothing is."""
        if self.value_wh is None:
            self.value_wh, self._raw_wh, self._at = raw_wh, raw_wh, now
            return ''
        grown = raw_wh - self._raw_wh
        possible = most_w * (now - self._at) / 3600.0 * LEAP_FACTOR + REGISTER_STEP_WH
        if 0.0 <= grown <= possible:
            self.value_wh += grown
            self._raw_wh, self._at, self._odd_wh = raw_wh, now, None
            return ''
        agrees = self._odd_wh is not None and 0.0 <= raw_wh - self._odd_wh <= possible
        self._odd_readings = self._odd_readings + 1 if agrees else 1
        self._odd_wh = raw_wh
        falls = grown < 0.0
        if self._odd_readings >= (FALLS_BELIEVED if falls else LEAPS_BELIEVED):
            self._raw_wh, self._at, self._odd_wh = raw_wh, now, None
            self.moved = True
        what = 'fell' if falls else 'leapt'
        return f"the meter's register {what} by {abs(grown):.0f} Wh; it is counted on from before."


class Plausibility:
    """Judges the readings of one meter."""

    def __init__(self, most_power: Callable[[], float]) -> None:
        """``most_power`` returns what the power path can carry, in W."""
        self.rejected = 0
        """Numbers that were not believed."""
        self._most_power = most_power
        self._import = Register()
        self._export = Register()
        self._reversed = _Since()
        self._disordered = _Since()
        self._phase_order_wrong: bool | None = None
        self._register_warning = ''
        self._register_warned_at = -math.inf
        self._is_reversed = False

    def warnings(self, now: float) -> tuple[str, ...]:
        """Return what is wrong with the meter, for people."""
        warnings = []
        if self._register_warning and now < self._register_warned_at + WARNED_S:
            warnings.append(self._register_warning)
        if self._is_reversed:
            warnings.append(
                'the meter shows power flowing back while an EV charges; check the direction of its current '
                'transformers.'
            )
        return tuple(warnings)

    def judge(self, reading: Reading, wall: Time, meter_id: str, now: float) -> Powermeter | None:
        """Return the sample that can be believed, ``None`` as long as no energy register was read."""
        voltage = self._each(reading.voltage_v, 0.0, LARGEST_V)
        missing = _missing_phases(voltage)
        voltage = _without(voltage, missing)
        current = _without(self._each(reading.current_a, -LARGEST_A, LARGEST_A), missing)
        power = _without(self._each(reading.power_w, -LARGEST_W, LARGEST_W), missing)
        reactive = _without(self._each(reading.reactive_var, -LARGEST_W, LARGEST_W), missing)
        power_total = self._number(reading.power_total_w, -LARGEST_W, LARGEST_W)
        reactive_total = self._number(reading.reactive_total_var, -LARGEST_W, LARGEST_W)
        self._count(self._import, reading.import_wh, now)
        self._count(self._export, reading.export_wh, now)
        if self._import.value_wh is None:
            return None
        flows = any(abs(each) > FLOWING_A for each in current if each is not None)
        backwards = flows and power_total is not None and power_total < REVERSED_W
        self._is_reversed = self._reversed.holds(backwards, now)
        self._judge_order(current, now)
        frequency = self._frequency(reading.frequency_hz)
        import_phases = self._phases_of(self._import, reading.import_phases_wh)
        export_phases = self._phases_of(self._export, reading.export_phases_wh)
        exported = self._export.value_wh
        return Powermeter(
            timestamp=wall,
            energy_wh_import=Energy(self._import.value_wh, *import_phases),
            meter_id=meter_id,
            phase_seq_error=self._phase_order_wrong,
            energy_wh_export=None if exported is None else Energy(exported, *export_phases),
            power_w=None if power_total is None else Power(power_total, *power),
            voltage_v=Voltage(None, *voltage) if any(each is not None for each in voltage) else None,
            current_a=Current(None, *current) if any(each is not None for each in current) else None,
            reactive_power_var=None if reactive_total is None else ReactivePower(reactive_total, *reactive),
            frequency_hz=None if frequency is None else Frequency(frequency),
        )

    def _number(self, value: float | None, least: float, most: float) -> float | None:
        """Return a number that can be, ``None`` for one that cannot (M2)."""
        if value is None:
            return None
        if math.isfinite(value) and least <= value <= most and (value == 0.0 or abs(value) >= TINIEST):
            return value
        self.rejected += 1
        return None

    def _each(self, values: Phases, least: float, most: float) -> Phases:
        l1, l2, l3 = (self._number(value, least, most) for value in values)
        return l1, l2, l3

    def _frequency(self, value: float | None) -> float | None:
        """Return a frequency; some units tell ten times as much (M8)."""
        if value is not None and 400.0 <= value <= 700.0:
            value /= 10.0
        return self._number(value, 40.0, 70.0)

    def _count(self, register: Register, raw_wh: float | None, now: float) -> None:
        believed = self._number(raw_wh, 0.0, LARGEST_WH)
        if believed is None:
            return
        odd = register.count(believed, self._most_power(), now)
        if odd:
            self._register_warning, self._register_warned_at = odd, now

    def _phases_of(self, register: Register, values: Phases) -> Phases:
        """Return the registers of the phases, as long as they belong to the same count as the total."""
        return NOTHING if register.moved else self._each(values, 0.0, LARGEST_WH)

    def _judge_order(self, current: Phases, now: float) -> None:
        """
        See whether L1 of the meter is L1 of the connector (M7).

        Magnitudes are all there is: an EV on one phase uses L1, so current on others alone is on wrong wires.
        """
        first, *others = (0.0 if each is None else abs(each) for each in current)
        if first > FLOWING_A:
            self._phase_order_wrong = False
        elif self._disordered.holds(first < RESTING_A and max(others) > FLOWING_A, now):
            self._phase_order_wrong = True


def _missing_phases(voltage: Phases) -> tuple[int, ...]:
    """Return the phases that are missing: dead while another is live, or not told (M5)."""
    live = any(each is not None and each >= LIVE_PHASE_V for each in voltage)
    return tuple(
        place for place, each in enumerate(voltage) if each is None or (live and each < DEAD_PHASE_V)
    )


def _without(values: Phases, missing: tuple[int, ...]) -> Phases:
    l1, l2, l3 = (None if place in missing else each for place, each in enumerate(values))
    return l1, l2, l3
