"""Demand of a connector, and its use of a grant."""

import math
from dataclasses import dataclass, field

from evse_manager.interface.enums import ContactorState
from evse_manager.interface.pilot import MINIMUM_CURRENT_A
from evse_manager.interface.types import Time

RETURN_AFTER_S = 15.0
"""
A car that has used less than its grant for this long returns the difference: EVs take some seconds to ramp
up.
"""

UNDERUSE = 0.85
UNDERUSE_MARGIN_A = 1.0
"""A car uses less than its grant when it draws less than ``UNDERUSE`` of it minus ``UNDERUSE_MARGIN_A``."""

FULL_USE = 0.95
"""A car that draws this share of its grant may want more again."""

SINGLE_PHASE_AFTER_S = 30.0
"""A phase on which a charging car draws nothing for this long counts as unused."""

UNUSED_A = 0.5
USED_A = 3.0
"""Below the first a phase carries nothing, above the second a car surely charges."""

OVERDRAW_A = 0.5
OVERDRAW_SHARE = 0.02
"""Tolerance of a measured current over its grant: noise and error of a class B meter."""

ALL_PHASES = 0b111


@dataclass(frozen=True, slots=True)
class Demand:
    """
    The request of a connector, checked (``requests.read_request``).

    ``wants_a`` is the highest current per phase (0 = nothing), ``minimum_a`` the lowest with which it
    works; ``most_phases`` and ``fewest_phases`` what it can connect, ``switches_phases`` whether the number
    may change in a session.  ``draw_a`` is the measured current of its own L1, L2, L3 (None = unknown).
    ``grant_stamp``, ``grant_manager_id``, ``granted_a`` and ``granted_phases`` are the grant that it
    follows, and whose it is (stamp None = no grant in force).
    """

    stamp: Time = Time(0)
    wants_a: float = 0.0
    minimum_a: float = MINIMUM_CURRENT_A
    most_phases: int = 3
    fewest_phases: int = 1
    switches_phases: bool = False
    priority: int = 0
    energy_wh: float | None = None
    leaves: Time | None = None
    contactor: ContactorState = ContactorState.OPEN
    draw_a: tuple[float, float, float] | None = None
    grant_stamp: Time | None = None
    grant_manager_id: str = ''
    granted_a: float = 0.0
    granted_phases: int = 3

    @property
    def wants(self) -> bool:
        """Return whether energy is wanted at all."""
        return self.wants_a >= self.minimum_a > 0.0

    @property
    def wish(self) -> tuple[object, ...]:
        """Return what the plan depends on."""
        return (
            self.wants_a,
            self.minimum_a,
            self.most_phases,
            self.fewest_phases,
            self.switches_phases,
            self.priority,
            self.energy_wh,
            self.leaves,
            self.contactor,
        )

    def urgent_a(self, volts_of_phases: float, wall: Time) -> float:
        """
        Return the current that reaches the energy target by the departure; 0 without a target that is still
        ahead.

        ``volts_of_phases`` is the voltage times the number of phases in use.
        """
        if self.energy_wh is None or self.leaves is None or self.leaves <= wall:
            return 0.0
        hours = (self.leaves - wall) / 3.6e12
        return min(self.wants_a, self.energy_wh / (hours * volts_of_phases))


@dataclass(slots=True)
class Usage:
    """
    How a car uses its grant: what it returns, which phases it uses.

    ``most_a`` is the most that it has use for (infinite while it uses all), ``phases`` a bit mask of its
    own phases.
    """

    most_a: float = math.inf
    phases: int = ALL_PHASES
    _less_since: float = math.inf
    _idle_since: list[float] = field(default_factory=lambda: [math.inf] * 3)

    def reset(self) -> None:
        """Forget everything: another car may come."""
        self.most_a, self.phases = math.inf, ALL_PHASES
        self._less_since = math.inf
        self._idle_since = [math.inf] * 3

    def observe(self, demand: Demand, granted_a: float, connected: int, steady: float) -> None:
        """Take a request of a connector that has ``granted_a`` > 0 on ``connected`` phases in force."""
        draw = (0.0, 0.0, 0.0) if demand.contactor is ContactorState.OPEN else demand.draw_a
        if draw is None:
            self.reset()
            return
        used = max(draw)
        if used >= FULL_USE * granted_a:
            self.most_a, self._less_since = math.inf, math.inf
        elif used < UNDERUSE * granted_a - UNDERUSE_MARGIN_A:
            self._less_since = min(self._less_since, steady)
            if steady - self._less_since >= RETURN_AFTER_S:
                self.most_a = (used + UNDERUSE_MARGIN_A) / UNDERUSE + 0.3
        else:
            self._less_since = math.inf
        self._observe_phases(draw, connected, steady)

    def _observe_phases(self, draw: tuple[float, float, float], connected: int, steady: float) -> None:
        charging = max(draw) >= USED_A
        for phase, current in enumerate(draw):
            bit = 1 << phase
            if current > UNUSED_A or phase >= connected:  # of what is not connected nothing is known
                self._idle_since[phase] = math.inf
                self.phases |= bit
            elif charging:
                self._idle_since[phase] = min(self._idle_since[phase], steady)
                if steady - self._idle_since[phase] >= SINGLE_PHASE_AFTER_S:
                    self.phases &= ~bit
            else:
                self._idle_since[phase] = math.inf


def tolerated_a(current_a: float) -> float:
    """Return the measured current that still counts as keeping a grant."""
    return current_a * (1.0 + OVERDRAW_SHARE) + OVERDRAW_A
