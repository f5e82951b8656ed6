"""
Meaning of a difference of two register values.

A register is followed along a *line*: from the highest value that was counted, it may rise by what was
possible since it last changed.  A reading off the line changes nothing until there is evidence for another
line: near zero twice in a row, a reported restart of the board, or several readings that agree.  The line
before stays known for a while, so that a register that comes back is not counted twice.

Pure: values in Wh, powers in W, times in seconds of one monotonic clock.
"""

from dataclasses import dataclass
from enum import Enum, auto

from evse_manager.metering.thresholds import (
    CARRY_FACTOR,
    COARSEST_STEP_WH,
    CONFIRMING_READINGS,
    CONFIRMING_S,
    FORGETTING_RISES,
    LATE_S,
    REGISTER_SLACK_WH,
    RESTART_EXPECTED_S,
    SMALL_FALL_S,
    UNKNOWN_AT_RESTART_S,
    ZERO_READINGS,
)


class RegisterEvent(Enum):
    """Result of a reading beyond a plain step."""

    NONE = auto()
    FELL = auto()
    """Below the line; not counted."""
    LEAPT = auto()
    """Above what was possible; not counted."""
    RESTARTED = auto()
    """Counting goes on from another register."""


def possible_wh(max_power_w: float, seconds: float) -> float:
    """Return the energy that a connector rated for ``max_power_w`` can carry in a time."""
    return max(0.0, max_power_w * CARRY_FACTOR * seconds / 3600.0)


def slack_wh(max_power_w: float) -> float:
    """Return the energy beyond what was possible that is counted, because samples arrive late."""
    return max(REGISTER_SLACK_WH, possible_wh(max_power_w, LATE_S))


@dataclass(slots=True)
class _Line:
    """A register that is followed."""

    high_wh: float
    """Highest value that was counted."""
    changed_at: float
    budget_wh: float
    """Energy that could be counted at ``changed_at`` at once."""
    counted_wh: float
    """``EnergyRegister.counted_wh`` at ``high_wh``."""
    rises: int = 0

    def possible_wh(self, max_power_w: float, now: float) -> float:
        return self.budget_wh + possible_wh(max_power_w, now - self.changed_at)


@dataclass(slots=True)
class _Candidate:
    """A register that readings off the line agree on."""

    base_wh: float
    """Value from which it would be counted."""
    high_wh: float
    high_at: float
    since: float
    needed: int
    needed_s: float
    readings: int = 1
    rises_needed: int = 0
    """A small fall is another register only if that one runs; otherwise it is an old value."""
    rises: int = 0


class EnergyRegister:
    """Counts the energy of a register that may stick, dither, step, restart, wrap, leap and come back."""

    def __init__(self) -> None:
        """Begin without a reading."""
        self.counted_wh = 0.0
        """Energy counted so far; it never falls."""
        self.step_wh: float | None = None
        """Size of the newest step that was counted."""
        self._smallest_step_wh = COARSEST_STEP_WH
        self._line: _Line | None = None
        self._previous: _Line | None = None
        self._candidate: _Candidate | None = None
        self._seen_at = 0.0
        self._restart_expected_until = -1.0

    @property
    def reading_wh(self) -> float | None:
        """Highest value of the register in use; ``None`` without a reading."""
        return None if self._line is None else self._line.high_wh

    def expect_restart(self, now: float) -> None:
        """Note that the board reported a restart: a fall of its register needs no other evidence."""
        self._restart_expected_until = now + RESTART_EXPECTED_S

    def allowance_wh(self, max_power_w: float) -> float:
        """Return the energy that a transaction may begin with: what is late, and one step of the register."""
        return slack_wh(max_power_w) + self._smallest_step_wh

    def begin(self, now: float, max_power_w: float) -> None:
        """
        Begin a transaction.

        What was possible before it is not possible in it, but for its allowance.
        """
        if self._line is not None:
            self._line.budget_wh = self.allowance_wh(max_power_w)
            self._line.changed_at = now
        self._previous = None

    def take(self, reading_wh: float, now: float, max_power_w: float) -> RegisterEvent:
        """Take a reading of a connector that is rated for ``max_power_w``."""
        line = self._line
        if line is None:
            budget = self.allowance_wh(max_power_w)
            self._line = _Line(reading_wh, now, budget, self.counted_wh)
            self._seen_at = now
            return RegisterEvent.NONE
        if self._returns(reading_wh, now, max_power_w):
            return RegisterEvent.NONE
        rise = reading_wh - line.high_wh
        if 0.0 <= rise <= line.possible_wh(max_power_w, now):
            self._count(line, rise, now, max_power_w)
            return RegisterEvent.NONE
        if rise < 0.0 and now <= self._restart_expected_until:
            self._restart_expected_until = -1.0
            near_zero = reading_wh <= self._zero_wh(now, max_power_w)
            self._follow(0.0 if near_zero else reading_wh, reading_wh, now, max_power_w)
            return RegisterEvent.RESTARTED
        return self._off_the_line(reading_wh, rise, now, max_power_w)

    # --- on the line ------------------------------------------------------------------------------------

    def _count(self, line: _Line, rise: float, now: float, max_power_w: float) -> None:
        self._candidate = None
        self._seen_at = now
        if rise == 0.0:
            return
        left = line.possible_wh(max_power_w, now) - rise
        self.counted_wh = max(self.counted_wh, line.counted_wh + rise)
        line.high_wh += rise
        line.counted_wh = self.counted_wh
        line.changed_at = now
        line.budget_wh = min(slack_wh(max_power_w), left)
        line.rises += 1
        self.step_wh = rise
        self._smallest_step_wh = min(self._smallest_step_wh, rise)
        if line.rises >= FORGETTING_RISES:
            self._previous = None

    def _returns(self, reading_wh: float, now: float, max_power_w: float) -> bool:
        """Go back to the line before when it explains a reading, and with less energy than this line."""
        previous, line = self._previous, self._line
        if previous is None or line is None:
            return False
        rise = reading_wh - previous.high_wh
        if not 0.0 <= rise <= previous.possible_wh(max_power_w, now):
            return False
        on_line = reading_wh - line.high_wh
        fits = 0.0 <= on_line <= line.possible_wh(max_power_w, now)
        if fits and line.counted_wh + on_line <= previous.counted_wh + rise:
            return False
        self._line, self._previous = previous, None
        self._count(previous, rise, now, max_power_w)
        return True

    # --- off the line -----------------------------------------------------------------------------------

    def _off_the_line(self, reading_wh: float, rise: float, now: float, max_power_w: float) -> RegisterEvent:
        event = RegisterEvent.FELL if rise < 0.0 else RegisterEvent.LEAPT
        candidate = self._candidate
        if candidate is not None and self._agrees(candidate, reading_wh, now, max_power_w):
            candidate.readings += 1
            if reading_wh > candidate.high_wh:
                candidate.high_wh, candidate.high_at = reading_wh, now
                candidate.rises += 1
        else:
            candidate = self._candidate = self._new_candidate(reading_wh, rise, now, max_power_w)
        if (
            candidate.readings < candidate.needed
            or candidate.rises < candidate.rises_needed
            or now < candidate.since + candidate.needed_s
        ):
            return RegisterEvent.NONE if candidate.rises_needed else event
        self._follow(candidate.base_wh, candidate.high_wh, now, max_power_w)
        return RegisterEvent.RESTARTED

    def _new_candidate(self, reading_wh: float, rise: float, now: float, max_power_w: float) -> _Candidate:
        """Return what a reading off the line may be the beginning of."""
        line = self._line
        assert line is not None
        zero = reading_wh <= self._zero_wh(now, max_power_w)
        if rise < -REGISTER_SLACK_WH and zero and reading_wh <= line.high_wh / 2.0:
            return _Candidate(0.0, reading_wh, now, now, ZERO_READINGS, 0.0)
        old = max(REGISTER_SLACK_WH, possible_wh(max_power_w, SMALL_FALL_S), self.step_wh or 0.0)
        small = -old <= rise < 0.0
        return _Candidate(
            reading_wh,
            reading_wh,
            now,
            now,
            CONFIRMING_READINGS,
            SMALL_FALL_S if small else CONFIRMING_S,
            rises_needed=FORGETTING_RISES if small else 0,
        )

    def _zero_wh(self, now: float, max_power_w: float) -> float:
        """Return the highest value of a register that restarted at zero since it was last seen."""
        return REGISTER_SLACK_WH + possible_wh(max_power_w, now - self._seen_at)

    def _agrees(self, candidate: _Candidate, reading_wh: float, now: float, max_power_w: float) -> bool:
        rise = reading_wh - candidate.high_wh
        possible = slack_wh(max_power_w) + possible_wh(max_power_w, now - candidate.high_at)
        return -REGISTER_SLACK_WH <= rise <= possible and reading_wh >= candidate.base_wh

    def _follow(self, base_wh: float, high_wh: float, now: float, max_power_w: float) -> None:
        """Count another register from ``base_wh`` on, which reads ``high_wh`` by now."""
        self._previous, self._candidate = self._line, None
        self.counted_wh += high_wh - base_wh
        self._line = _Line(high_wh, now, slack_wh(max_power_w), self.counted_wh)
        self._seen_at = now


def rise_over_power_loss(known_wh: float, reading_wh: float, max_power_w: float) -> float | None:
    """
    Return what a register counted over a power loss, ``None`` where it proves nothing.

    ``known_wh`` is the newest stored value, ``reading_wh`` the first one after the restart.  The difference
    counts only when the connector can have carried it in ``UNKNOWN_AT_RESTART_S``, however long the outage
    was: nothing flows without a manager, and the wall clock may be wrong.
    """
    rise = reading_wh - known_wh
    return rise if 0.0 <= rise <= possible_wh(max_power_w, UNKNOWN_AT_RESTART_S) else None
