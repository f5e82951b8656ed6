"""
Who gets a minimum first, and whose turn it is when not all minima fit.

Within one priority the cars that are served keep their place for the minimum on-time, then whoever has
waited longest is next.  A served car joins the queue again at the end of each of its on-times, so that the
places go round.
"""

import math
from dataclasses import dataclass

WAITS_TOO_LONG = 2.0
"""
A car that has waited for this many on-times keeps its minimum reserved: without that, cars with lower
minima could pass it for as long as they come.
"""


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """Times against toggling [s]: how long a car is served at least, and how long it pauses at least."""

    minimum_on_s: float = 600.0
    minimum_off_s: float = 60.0


@dataclass(slots=True)
class ShareTurn:
    """The place of one car, on the steady clock; ``arrived`` is infinite while it wants nothing."""

    arrived: float = math.inf
    served_since: float = math.inf
    waiting_since: float = math.inf
    off_since: float = -math.inf

    @property
    def served(self) -> bool:
        """Return whether the car has a grant."""
        return self.served_since < math.inf

    def leave(self) -> None:
        """The car wants nothing any more."""
        self.arrived = self.served_since = self.waiting_since = math.inf
        self.off_since = -math.inf

    def arrive(self, steady: float) -> None:
        """The car wants energy from now on."""
        self.arrived = self.waiting_since = steady

    def serve(self, steady: float) -> None:
        """The car has got a grant."""
        self.served_since, self.waiting_since = steady, math.inf

    def stop(self, steady: float) -> None:
        """The car has lost its grant though it still wants energy."""
        self.served_since, self.waiting_since, self.off_since = math.inf, steady, steady

    def pauses(self, times: TurnTimes, steady: float) -> bool:
        """Return whether the car has to pause still."""
        return steady - self.off_since < times.minimum_off_s

    def waits_too_long(self, times: TurnTimes, steady: float) -> bool:
        """Return whether its minimum is to be reserved."""
        return steady - self.waiting_since >= WAITS_TOO_LONG * times.minimum_on_s

    def order(self, times: TurnTimes, steady: float) -> tuple[int, float]:
        """Return the place within the same priority: lower is earlier."""
        if not self.served:
            return 1, self.waiting_since
        served = steady - self.served_since
        if served < times.minimum_on_s:
            return 0, self.served_since
        return 1, self.served_since + math.floor(served / times.minimum_on_s) * times.minimum_on_s
