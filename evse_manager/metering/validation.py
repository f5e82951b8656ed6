"""
Which numbers of a sample can be true (catalogue M2, M5, M8): every number that cannot is left out alone.

A meter on a serial line sends NaN, infinities and, with its words swapped, numbers beyond everything; one
such number spoils itself and no other.  Drivers and kernel call the same function; called twice it changes
nothing.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evse_manager.interface.types import Frequency, Powermeter
from evse_manager.metering.current import PHASES
from evse_manager.metering.thresholds import (
    DEAD_PHASE_V,
    LIVE_PHASE_V,
    MAX_CURRENT_A,
    MAX_ENERGY_WH,
    MAX_FREQUENCY_HZ,
    MAX_POWER_W,
    MAX_TEMPERATURE_C,
    MAX_TENFOLD_FREQUENCY_HZ,
    MAX_VOLTAGE_V,
    MIN_FREQUENCY_HZ,
    MIN_TEMPERATURE_C,
    MIN_TENFOLD_FREQUENCY_HZ,
    RESTING_A,
    SMALLEST_MAGNITUDE,
)


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
        wrong = [part for part in group.__slots__ if not _holds(getattr(group, part), is_possible)]
        count += len(wrong)
        if wrong:
            group = replace(group, **dict.fromkeys(wrong))
        if group is not getattr(sample, name):
            changes[name] = group
    if changes:
        sample = replace(sample, **changes)
    return _without_dead_phases(sample), count


def plausible_temperature(celsius: float | None) -> float | None:
    """Return a temperature that can be true, ``None`` for an absent sensor."""
    if celsius is None or not MIN_TEMPERATURE_C <= celsius <= MAX_TEMPERATURE_C:
        return None
    return celsius


def _holds(value: float | None, is_possible: Callable[[float], bool]) -> bool:
    return value is None or (math.isfinite(value) and is_possible(value))


def _in_hertz(frequency: Frequency) -> Frequency:
    tenfold = {
        phase: value / 10.0
        for phase in frequency.__slots__
        if (value := getattr(frequency, phase)) is not None
        and MIN_TENFOLD_FREQUENCY_HZ <= value <= MAX_TENFOLD_FREQUENCY_HZ
    }
    return replace(frequency, **tenfold) if tenfold else frequency


def _without_dead_phases(sample: Powermeter) -> Powermeter:
    """
    Leave out the zeros of phases that are not connected (catalogue M5).

    A current on a phase without voltage is kept: then the voltage is what is not measured.
    """
    voltage = sample.voltage_v
    if voltage is None:
        return sample
    live = any((getattr(voltage, phase) or 0.0) >= LIVE_PHASE_V for phase in PHASES)
    dead = [
        phase
        for phase in PHASES
        if live and (volts := getattr(voltage, phase)) is not None and volts < DEAD_PHASE_V
    ]
    if not dead:
        return sample
    changes: dict[str, Any] = {'voltage_v': replace(voltage, **dict.fromkeys(dead))}
    unused = [phase for phase in dead if abs(getattr(sample.current_a, phase, None) or 0.0) < RESTING_A]
    for name in ('current_a', 'power_w', 'reactive_power_var'):
        group = getattr(sample, name)
        if group is not None:
            changes[name] = replace(group, **dict.fromkeys(unused))
    return replace(sample, **changes)


def _is_magnitude(value: float, largest: float) -> bool:
    """Return whether a number is in range and no float with swapped words."""
    return value == 0.0 or SMALLEST_MAGNITUDE <= abs(value) <= largest


_POSSIBLE: dict[str, Callable[[float], bool]] = {
    'energy_wh_import': lambda value: value >= 0.0 and _is_magnitude(value, MAX_ENERGY_WH),
    'energy_wh_export': lambda value: value >= 0.0 and _is_magnitude(value, MAX_ENERGY_WH),
    'power_w': lambda value: _is_magnitude(value, MAX_POWER_W),
    'voltage_v': lambda value: value >= 0.0 and _is_magnitude(value, MAX_VOLTAGE_V),
    'current_a': lambda value: _is_magnitude(value, MAX_CURRENT_A),
    'reactive_power_var': lambda value: _is_magnitude(value, MAX_POWER_W),
    'frequency_hz': lambda value: MIN_FREQUENCY_HZ <= value <= MAX_FREQUENCY_HZ,
}
