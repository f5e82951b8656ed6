"""
House load from the meter of a node: all consumers below the node except the connectors.

Everything doubtful counts against the site: a sample that is no number, impossible or the same as before
is ignored, and a meter without a good sample for its time-out is silent.
"""

import math
from collections import deque
from dataclasses import dataclass

from evse_manager.energy.tree import MeteredQuantity, MeterSpec
from evse_manager.interface.types import Powermeter, Time

IMPLAUSIBLE_A = 10_000.0
"""A current above this is a defect of the meter."""

WINDOW_S = 3.0
"""
A meter of the total and the connectors' own meters are not read at the same moment; so the lowest house
load that follows from the samples of this time counts.
"""

SHORTFALL_A = 5.0
SHORTFALL_SHARE = 0.1
"""
A meter of the total that shows less than the connectors' draw by more than both of these is not believed.
"""

NO_LOAD = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """Currents of the phases L1, L2, L3 [A], >= 0."""

    current_a: tuple[float, float, float]


def read_meter(sample: Powermeter, phases: tuple[int, ...], voltage_v: float) -> Reading | None:
    """
    Return the currents of a sample, or None when it has no usable ones.

    Export counts as 0: what a site generates does not raise its limits.  A meter that reports the total
    power alone counts with all of it on every phase.
    """
    currents = [_phase_current(sample, phase, voltage_v) for phase in range(3)]
    if all(currents[phase] is None for phase in phases):
        total = sample.power_w.total if sample.power_w is not None else None
        if total is None:
            return None
        currents = [total / voltage_v] * 3
    values = [currents[phase] if phase in phases else 0.0 for phase in range(3)]
    if any(value is None or not abs(value) <= IMPLAUSIBLE_A for value in values):
        return None
    first, second, third = (max(0.0, value or 0.0) for value in values)
    return Reading((first, second, third))


def _phase_current(sample: Powermeter, phase: int, voltage_v: float) -> float | None:
    name = ('l1', 'l2', 'l3')[phase]
    power = getattr(sample.power_w, name) if sample.power_w is not None else None
    current = getattr(sample.current_a, name) if sample.current_a is not None else None
    if current is None:
        return None if power is None else float(power) / voltage_v
    if power is not None and power < 0.0:
        return 0.0
    return float(current)


class HouseLoadMeter:
    """The meter of one node."""

    def __init__(self, spec: MeterSpec) -> None:
        """Without a sample so far the meter is silent."""
        self._spec = spec
        self._heard = -math.inf
        self._stamp: Time | None = None
        self._loads: deque[tuple[float, tuple[float, float, float]]] = deque()
        self.reading: Reading | None = None
        """The newest good sample."""
        self.doubt = ''
        """Why the newest sample was ignored, in one sentence; empty when it was not."""

    def take(
        self, reading: Reading | None, stamp: Time | None, drawn_a: tuple[float, float, float], steady: float
    ) -> None:
        """Take a sample; ``drawn_a`` is what the connectors below report to draw per phase."""
        self.doubt = self._objection(reading, stamp, drawn_a)
        if self.doubt or reading is None:
            return
        self._heard, self._stamp, self.reading = steady, stamp, reading
        load = reading.current_a
        if self._spec.measures is MeteredQuantity.TOTAL:
            first, second, third = (
                max(0.0, total - drawn) for total, drawn in zip(load, drawn_a, strict=True)
            )
            load = (first, second, third)
        self._loads.append((steady, load))
        while self._loads[0][0] < steady - WINDOW_S:
            self._loads.popleft()

    def silent(self, steady: float) -> bool:
        """Return whether there was no good sample for the time-out."""
        return steady - self._heard > self._spec.timeout_s

    def load(self) -> tuple[float, float, float]:
        """Return the house load per phase [A]."""
        if not self._loads:
            return NO_LOAD
        if self._spec.measures is MeteredQuantity.HOUSE_LOAD:
            return self._loads[-1][1]
        first, second, third = (min(load[phase] for _, load in self._loads) for phase in range(3))
        return first, second, third

    def _objection(
        self, reading: Reading | None, stamp: Time | None, drawn_a: tuple[float, float, float]
    ) -> str:
        if reading is None:
            return 'The sample has no usable currents.'
        if stamp is not None and stamp == self._stamp:
            return 'The sample has the time stamp of the one before.'
        if self._spec.measures is MeteredQuantity.TOTAL:
            for total, drawn in zip(reading.current_a, drawn_a, strict=True):
                if total < drawn - max(SHORTFALL_A, SHORTFALL_SHARE * drawn):
                    return f'It shows {total:.1f} A on a phase on which the connectors draw {drawn:.1f} A.'
        return ''
