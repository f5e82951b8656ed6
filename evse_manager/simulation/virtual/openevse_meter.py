"""Measurements of a virtual OpenEVSE: one current, and the energy counted from it."""

import math
from collections.abc import Callable

from evse_manager.simulation.virtual.openevse_settings import Memory

MILLIAMPERES_PER_STEP = 220
"""Scale of the ammeter as delivered."""

AVERAGED = 32
"""Readings that are averaged before a new value is shown."""

COUNTED_EVERY_S = 0.25
HALF_WAVE_S, PATIENCE_S = 0.01, 0.034
"""Of the mains; without a zero crossing a reading ends after ``PATIENCE_S``."""


def reading_s(now: float, current_a: float) -> float:
    """Return how long one reading takes: two half-waves from the next zero crossing on."""
    if current_a * 1000.0 < MILLIAMPERES_PER_STEP:
        return PATIENCE_S
    return HALF_WAVE_S - now % HALF_WAVE_S + 2.0 * HALF_WAVE_S


class Ammeter:
    """The mean of the last full set of readings, in mA."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.milliamperes = 0
        self.scale = MILLIAMPERES_PER_STEP
        self.offset = 0
        self._steps: list[int] = []

    def add(self, current_a: float) -> None:
        """Take a reading in steps of the converter; each set of 32 makes a new value."""
        self._steps.append(math.floor(current_a * 1000.0 / MILLIAMPERES_PER_STEP))
        if len(self._steps) == AVERAGED:
            self.milliamperes = max(sum(self._steps) // AVERAGED * self.scale - self.offset, 0)
            self._steps.clear()


class FirmwareEnergyCounter:
    """Ws since the car was plugged in, and a total in Wh that grows when it leaves."""

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        """Begin without a session; an interrupted one is lost to the total."""
        self.session_ws = 0
        self._memory = memory
        self._clock = clock
        self._in_session = False
        self._plugged = False
        self._relay = False
        self._counted = clock()

    def update(self, *, plugged: bool, relay: bool, millivolts: int, milliamperes: int) -> None:
        """Count what has flowed since the last call."""
        if plugged and not self._plugged:
            self._end()
            self.session_ws = 0
            self._in_session = True
        elif self._plugged and not plugged:
            self._end()
        if self._in_session:
            if relay and not self._relay:
                self._counted = self._clock()
            elif relay:
                self._count(millivolts, milliamperes)
            self._relay = relay
        self._plugged = plugged

    def _count(self, millivolts: int, milliamperes: int) -> None:
        milliseconds = int((self._clock() - self._counted) * 1000.0)
        if milliseconds > COUNTED_EVERY_S * 1000.0:
            self.session_ws += (millivolts // 16) * (milliamperes // 4) // 15625 * milliseconds // 1000
            self._counted = self._clock()

    def _end(self) -> None:
        if self._in_session:
            self._in_session = False
            self._memory.total_wh += self.session_ws // 3600
