"""How long something that fails again and again is waited for before its next start."""

FIRST_S, LONGEST_S = 0.5, 10.0

STEADY_S = 30.0
"""After a run of this length the shortest delay applies again."""


class Backoff:
    """Delays from ``FIRST_S`` on, doubled at each failure up to ``LONGEST_S``."""

    def __init__(self) -> None:
        self._next_s = FIRST_S
        self._started = float('-inf')

    @property
    def failed(self) -> bool:
        """Whether it has failed lately."""
        return self._next_s > FIRST_S

    def started(self, now: float) -> None:
        """Note a start, in seconds of a monotonic clock."""
        self._started = now

    def delay_s(self, now: float) -> float:
        """Return the delay from a failure at ``now`` to the next start."""
        if now - self._started >= STEADY_S:
            self._next_s = FIRST_S
        delay = self._next_s
        self._next_s = min(LONGEST_S, 2.0 * delay)
        return delay
