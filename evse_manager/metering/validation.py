"""
What of a meter's sample can be true: every number that cannot be is left out (catalogue M2, M5, M8).

A meter over a serial line sends NaN, infinities and, with its words swapped, numbers beyond everything; one
such number spoils itself and no other.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evse_manager.interface.types import Frequency, Powermeter

MOST_CURRENT_A = 500.0
MOST_VOLTAGE_V = 1000.0
MOST_POWER_W = 500_000.0
MOST_ENERGY_WH = 1e10
"""Beyond these no AC connector measures anything: 80 A at 300 V on three phases are 72 kW."""

FREQUENCY_HZ = (40.0, 70.0)
TENFOLD_HZ = (400.0, 700.0)
"""Some meters send tenths of a hertz."""


def plausible(sample: Powermeter) -> tuple[Powermeter, int]:
    """Return a sample with nothing impossible in it, and how many numbers were left out."""
    changes: dict[str, Any] = {}
    count = 0
    for name, is_possible in _POSSIBLE.items():
        group = getattr(sample, name)
        if group is None:
            continue
        if isinstance(group, Frequency):
            group = _in_hertz(group)
        wrong = [phase for phase in group.__slots__ if not _holds(getattr(group, phase), is_possible)]
        count += len(wrong)
        if wrong:
            group = replace(group, **dict.fromkeys(wrong))
        if group is not getattr(sample, name):
            changes[name] = group
    return (replace(sample, **changes), count) if changes else (sample, 0)


def _holds(value: float | None, is_possible: Callable[[float], bool]) -> bool:
    return value is None or (math.isfinite(value) and is_possible(value))


def _in_hertz(frequency: Frequency) -> Frequency:
    low, high = TENFOLD_HZ
    tenfold = {
        phase: value / 10.0
        for phase in frequency.__slots__
        if (value := getattr(frequency, phase)) is not None and low <= value <= high
    }
    return replace(frequency, **tenfold) if tenfold else frequency


_POSSIBLE: dict[str, Callable[[float], bool]] = {
    'energy_wh_import': lambda value: 0.0 <= value <= MOST_ENERGY_WH,
    'energy_wh_export': lambda value: 0.0 <= value <= MOST_ENERGY_WH,
    'power_w': lambda value: abs(value) <= MOST_POWER_W,
    'voltage_v': lambda value: 0.0 <= value <= MOST_VOLTAGE_V,
    'current_a': lambda value: abs(value) <= MOST_CURRENT_A,
    'reactive_power_var': lambda value: abs(value) <= MOST_POWER_W,
    'frequency_hz': lambda value: FREQUENCY_HZ[0] <= value <= FREQUENCY_HZ[1],
}
