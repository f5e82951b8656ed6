"""The temperature in the enclosure: it follows the current."""

import math

RISE_AT_32_A_C = 20.0
"""How much warmer it gets at 32 A."""

TIME_CONSTANT_S = 20.0
"""Much quicker than a real enclosure, so that a demonstration does not take hours."""

FAULT_RISE_C = 70.0
FAN_FROM_C = 45.0
FAN_RPM = 3000.0


class Enclosure:
    """A first-order model; ``advance`` it over times of steady current."""

    def __init__(self, ambient_c: float) -> None:
        """Begin at the temperature of the surroundings."""
        self.temperature_c = ambient_c
        self._ambient_c = ambient_c
        self._heated = False

    @property
    def fan_rpm(self) -> float:
        """Return the speed of the fan."""
        return FAN_RPM if self.temperature_c >= FAN_FROM_C else 0.0

    def heat(self, heated: bool) -> None:
        """Add, or take away, a source of heat."""
        self._heated = heated

    def advance(self, current_a: float, seconds: float) -> None:
        """Let time pass with a steady current per phase."""
        target = (
            self._ambient_c
            + RISE_AT_32_A_C * (current_a / 32.0) ** 2
            + (FAULT_RISE_C if self._heated else 0.0)
        )
        self.temperature_c = target + (self.temperature_c - target) * math.exp(-seconds / TIME_CONSTANT_S)
