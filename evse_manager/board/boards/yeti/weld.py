"""
Finds a welded contactor on a board that does not report it.

Firmware 2.2 reports the order to the coil as the contactor.  It cannot hide current without an order, and
voltage, where it is measured behind the contactor.  After a weld it refuses to close the contactor, and
reports nothing: current in spite of that is a weld, too.
"""

import math

from evse_manager.board.boards.yeti.messages import PowerMeter

FLOWS_A = 1.0
"""Less is an offset of the sensor; a car draws 6 A."""

LIVE_V, DEAD_V = 80.0, 50.0
OPENS_WITHIN_S = 1.0
"""A measurement sooner after an opening is ignored."""

AGREEING = 3
LEARNED = 2
"""Openings with which the voltage has gone, before its staying counts as a weld."""

KEPT_S = 10.0
"""The finding is reported for this long after it was last seen."""


class WeldFinder:
    """Takes every measurement of the board; times are seconds of one clock."""

    def __init__(self) -> None:
        """Begin without knowing where the voltage is measured."""
        self._off_since = math.inf
        self._live_before = False
        self._vanished = 0
        self._currents = self._voltages = 0
        self._seen_at = -math.inf
        self._text = ''

    def off(self, off: bool, now: float) -> None:
        """Take whether the contactor is reported open, and no report of a closing is under way or lost."""
        if off and self._off_since == math.inf:
            self._off_since = now
        elif not off:
            self._off_since = math.inf
            self._currents = self._voltages = 0

    def measured(self, meter: PowerMeter, now: float) -> None:
        """Take a measurement."""
        amperes = largest(meter.a_l1, meter.a_l2, meter.a_l3)
        live = largest(meter.v_l1, meter.v_l2, meter.v_l3)
        if now < self._off_since:
            self._live_before = live >= LIVE_V
            return
        if now < self._off_since + OPENS_WITHIN_S:
            return
        self._currents = self._currents + 1 if amperes >= FLOWS_A else 0
        if self._currents >= AGREEING:
            self._find(f'{amperes:.1f} A flow though the contactor is reported open.', now)
        if self._live_before and live < DEAD_V:
            self._live_before = False
            self._vanished += 1
        stays = self._live_before and live >= LIVE_V and self._vanished >= LEARNED
        self._voltages = self._voltages + 1 if stays else 0
        if self._voltages >= AGREEING:
            self._find(f'{live:.0f} V stand behind the contactor though it is reported open.', now)

    def finding(self, now: float) -> str:
        """Return what shows a weld, in words; empty without any."""
        if now >= self._seen_at + KEPT_S:
            self._text = ''
        return self._text

    @property
    def deadline(self) -> float:
        """Return when a finding ends by itself."""
        return self._seen_at + KEPT_S if self._text else math.inf

    def _find(self, text: str, now: float) -> None:
        self._text = self.finding(now) or text
        self._seen_at = now


def largest(*values: float) -> float:
    """Return the largest of some numbers that are finite, 0 when none is."""
    return max((abs(each) for each in values if math.isfinite(each)), default=0.0)
