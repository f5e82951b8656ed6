"""
The arithmetic of the control pilot (IEC 61851-1 annex A; docs/sources.md, duty cycle).

Duty cycles are percent of a period, currents amperes per phase.
"""

MINIMUM_CURRENT_A = 6.0
"""The least current that a duty cycle can signal."""

CURRENT_TOLERANCE_A = 0.05
"""Tolerance below the minimum, in A: limits come from divisions."""

MAXIMUM_CURRENT_A = 80.0
"""The most current that a duty cycle can signal."""

GAP_A = (51.0, 52.5)
"""
Between these currents no duty cycle exists, and the upper one has that of the lower; the lower is signalled.
"""

HLC_DUTY_PERCENT = 5.0
"""Asks the EV for high-level communication."""


def signalled(limit_a: float, hardware_minimum_a: float = 0.0) -> float:
    """
    Return the current to signal for a limit, 0 where none can be: never more than the limit allows.

    ``hardware_minimum_a`` raises the least current where the hardware needs more than the norm.
    """
    lowest = max(MINIMUM_CURRENT_A, hardware_minimum_a)
    if not limit_a >= lowest - CURRENT_TOLERANCE_A:
        return 0.0
    current = min(max(limit_a, lowest), MAXIMUM_CURRENT_A)
    if GAP_A[0] < current <= GAP_A[1]:
        return GAP_A[0] if GAP_A[0] >= lowest - CURRENT_TOLERANCE_A else 0.0
    return current


def duty_cycle(current_a: float) -> float:
    """Return the duty cycle in percent that signals a current; 100 (steady +12 V) for none."""
    if not current_a >= MINIMUM_CURRENT_A:
        return 100.0
    if current_a <= GAP_A[1]:
        return min(current_a, GAP_A[0]) / 0.6
    return min(current_a, MAXIMUM_CURRENT_A) / 2.5 + 64.0


def current(duty_percent: float) -> float:
    """Return the current in A that an EV reads from a duty cycle; 0 where it may not charge."""
    if not 8.0 <= duty_percent <= 97.0:
        return 0.0
    if duty_percent < 10.0:
        return MINIMUM_CURRENT_A
    if duty_percent <= 85.0:
        return duty_percent * 0.6
    if duty_percent <= 96.0:
        return (duty_percent - 64.0) * 2.5
    return MAXIMUM_CURRENT_A
