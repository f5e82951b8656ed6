"""Slow quantities: no decision by one sample."""

from collections import deque
from statistics import median_low

from evse_manager.metering.thresholds import SLOW_SAMPLES
from evse_manager.metering.validation import plausible_temperature


class SteadyTemperature:
    """
    A temperature of which the median of the newest samples counts.

    Of two samples the lower one counts, of the first one alone nothing is known: a sensor that is read
    wrongly once neither stops nor reduces anything.  An absent sensor is known at once.
    """

    def __init__(self) -> None:
        """Begin without a sample."""
        self._samples: deque[float] = deque(maxlen=SLOW_SAMPLES)
        self.celsius: float | None = None
        """The temperature that decides; ``None`` where it is not known."""
        self.is_absent = False
        """Whether the newest sample came without a temperature."""

    def take(self, celsius: float | None) -> None:
        """Take a sample."""
        value = plausible_temperature(celsius)
        self.is_absent = value is None
        if value is not None:
            self._samples.append(value)
        known = value is not None and len(self._samples) > 1
        self.celsius = median_low(self._samples) if known else None
