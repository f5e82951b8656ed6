"""
When an OpenEVSE has to be woken to find contacts that do not open.

The firmware looks at the contacts only while it is awake, and an awake board offers PWM to a plugged EV.  But
it remembers the first look that found voltage behind an open relay, and reports the weld at a look more than
1 s later.  So two looks of one loop each (30 ms) find a weld, and leave an EV no time to react.
"""

import math

LOOKS = 2
BETWEEN_S = 1.15
"""From one look, and from the last order to sleep, to the next; the firmware waits for 1.0 s."""

FIRST_AFTER_S = 0.2
"""After the opening: the contacts have settled."""

AWAKE_S = 1.4
"""A board that was awake for so long after the opening has looked by itself."""


class WeldCheck:
    """Counts the looks; times are seconds of one clock."""

    def __init__(self) -> None:
        """Begin with nothing to look at."""
        self._left = 0
        self._next_at = math.inf
        self._awake_since = math.inf

    @property
    def pending(self) -> bool:
        """Return whether the contacts have still to be looked at."""
        return self._left > 0

    def require(self, now: float) -> None:
        """Have the contacts looked at: they have opened, or nothing is known of them."""
        self._left = LOOKS
        self._next_at = now + FIRST_AFTER_S
        self._awake_since = math.inf

    def due(self, now: float) -> bool:
        """Return whether the board has to be woken now."""
        return self.pending and now >= self._next_at

    def deadline(self) -> float:
        """Return when the next look is due."""
        return self._next_at if self.pending else math.inf

    def looked(self, now: float) -> None:
        """Take notice of a look: one loop of the firmware with an open relay."""
        self._left -= 1
        self._next_at = now + BETWEEN_S

    def awake(self, now: float, awake: bool) -> None:
        """Take notice of a board that is awake with an open relay, or is not: it looks by itself."""
        if not awake:
            self._awake_since = math.inf
        elif self._awake_since == math.inf:
            self._awake_since = now
        elif now >= self._awake_since + AWAKE_S:
            self._left = 0
