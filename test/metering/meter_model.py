"""
A meter in software with the faults of real ones, and what may be billed by what it shows.

It knows nothing of the package that it tests: the bounds follow from the true energy and from what the
meter did not show.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

RATED_W = 22_080.0
"""Rated power of the connector: 32 A on three phases of 230 V."""

CARRIED = 1.25
"""A connector carries at most this much more than rated (docs/metering.md)."""

SLACK_WH = 20.0
"""The smallest fall of a register that is a restart."""

LATE_WH = RATED_W * CARRIED * 10.0 / 3600.0
"""Energy that may be counted at once, because samples may be 10 s late."""

DELAYED_S = 60.0
"""A fall by less than the connector carries in this time is an old value."""


@dataclass(frozen=True)
class Faults:
    """What is wrong with a meter; energies in Wh, times in s."""

    step_wh: float = 1.0
    refresh_s: int = 1
    delay_s: int = 0
    stale_share: float = 0.0
    """Share of samples that show an older value, up to 5 s old."""
    dither_share: float = 0.0
    """Share of samples that show one step less."""
    missing_share: float = 0.0
    gaps: tuple[tuple[int, int], ...] = ()
    """Times without any sample: beginning and length."""
    restarts: tuple[tuple[int, float], ...] = ()
    """Times at which the register goes on from a lower value, and that value."""
    wraps_at_wh: float | None = None
    power: str = 'measured'
    """``measured``, ``absent`` or ``reversed``."""
    period_s: int = 1
    first_wh: float = 5000.0


@dataclass
class Model:
    """A load and its meter, second by second."""

    loads: list[tuple[int, float]]
    """Durations and powers in W."""
    faults: Faults
    seed: int
    true_wh: float = 0.0
    not_shown_wh: float = 0.0
    """Energy that no register shows: from the newest sample before a restart or a wrap to it."""
    seconds: int = 0
    _history: list[float] = field(default_factory=list)

    def samples(self) -> Iterator[tuple[int, float, float | None]]:
        """Yield time, register and measured power; the first sample is from before the load."""
        faults, random = self.faults, Random(self.seed)
        offset, true_at_shown, restarts = faults.first_wh, 0.0, dict(faults.restarts)
        register = refreshed = offset
        yield 0, self._rounded(register), 0.0 if faults.power != 'absent' else None
        self._history = [register]
        newest_true = 0.0
        powers = [power for duration, power in self.loads for _ in range(duration)]
        idle = 2 * faults.refresh_s + faults.delay_s + 3 * faults.period_s + 5
        for second, power in enumerate([*powers, *[0.0] * idle], start=1):
            self.seconds = second
            self.true_wh += power / 3600.0
            falls = restarts.get(second, register) < register
            if falls:
                self.not_shown_wh += self.true_wh - newest_true
                newest_true = self.true_wh
                offset = restarts[second] - self.true_wh
                self._history = [restarts[second]]
            register = offset + self.true_wh
            if faults.wraps_at_wh is not None and register >= faults.wraps_at_wh:
                self.not_shown_wh += self.true_wh - newest_true
                offset -= register
                register = 0.0
                self._history = [0.0]
            self._history.append(register)
            if second % faults.refresh_s == 0 or register < refreshed:
                refreshed = self._older(faults.delay_s)
                true_at_shown = self.true_wh - (register - refreshed)
            if self._is_missing(second, random, idle, len(powers)):
                continue
            shown = refreshed
            if random.random() < faults.stale_share and second < len(powers):
                shown = min(shown, self._older(random.randrange(6)))
            shown = self._rounded(shown)
            if random.random() < faults.dither_share and second < len(powers):
                shown = max(0.0, shown - faults.step_wh)
            newest_true = max(newest_true, true_at_shown)
            sign = -1.0 if faults.power == 'reversed' else 1.0
            yield second, shown, None if faults.power == 'absent' else sign * power

    def _older(self, seconds: int) -> float:
        return self._history[max(0, len(self._history) - 1 - seconds)]

    def _rounded(self, register: float) -> float:
        step = self.faults.step_wh
        return register // step * step

    def _is_missing(self, second: int, random: Random, idle: int, busy: int) -> bool:
        faults = self.faults
        lost = random.random() < faults.missing_share or second % faults.period_s != 0
        in_gap = any(begun <= second < begun + length for begun, length in faults.gaps)
        last = second == busy + idle
        return (lost or in_gap) and not last

    # --- what may be billed ---------------------------------------------------------------------------------

    @property
    def most_wh(self) -> float:
        """The true energy, with a step at each end."""
        return self.true_wh + 2.0 * self.faults.step_wh

    @property
    def least_wh(self) -> float:
        """The same, without what the meter did not show and what a restart needs for its proof."""
        faults = self.faults
        changes = len(faults.restarts) + (1 if faults.wraps_at_wh is not None else 0)
        small = max(SLACK_WH, RATED_W * CARRIED * DELAYED_S / 3600.0, 2.0 * faults.step_wh)
        partial = sum(1 for _, value in faults.restarts if value > 0.0)
        reserve = changes * (SLACK_WH + 2.0 * faults.step_wh) + partial * small
        return self.true_wh - 2.0 * faults.step_wh - self.not_shown_wh - reserve

    @property
    def carried_wh(self) -> float:
        """What the connector can carry in the time, and the resolution."""
        return RATED_W * CARRIED * self.seconds / 3600.0 + LATE_WH + max(1000.0, self.faults.step_wh)
