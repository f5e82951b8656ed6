"""
Currents and powers of one sample, as protection uses them: magnitude, direction, order, absence.

A transformer that is mounted the wrong way round changes the sign of a current and nothing about the wire, so
that the magnitude decides; the sign is reported on its own.
"""

from evse_manager.interface.types import Powermeter
from evse_manager.metering.thresholds import FLOWING_A, RESTING_A, REVERSED_W

PHASES = ('l1', 'l2', 'l3')


def phase_values(group: object | None) -> tuple[float | None, float | None, float | None]:
    """Return the values of L1, L2 and L3 of a group; ``None`` for what is not measured."""
    l1, l2, l3 = (None if group is None else getattr(group, phase) for phase in PHASES)
    return l1, l2, l3


def highest_current_a(sample: Powermeter, phases: int, nominal_voltage_v: float) -> float | None:
    """
    Return the highest magnitude of a phase current, ``None`` where nothing is known of it.

    A phase whose current is not measured counts with its power over its voltage.  Where neither is measured
    of any phase, the total power counts as shared by ``phases`` equal phases: an EV that uses fewer of them
    than the contactor connects is then underestimated.
    """
    volts = phase_values(sample.voltage_v)
    watts = phase_values(sample.power_w)
    known: list[float] = []
    for ampere, watt, volt in zip(phase_values(sample.current_a), watts, volts):
        if ampere is not None:
            known.append(abs(ampere))
        elif watt is not None:
            known.append(abs(watt) / (volt or nominal_voltage_v))
    if known:
        return max(known)
    total_w = None if sample.power_w is None else sample.power_w.total
    if total_w is None:
        return None
    live = [voltage for voltage in volts if voltage]
    voltage_v = sum(live) / len(live) if live else nominal_voltage_v
    return abs(total_w) / (max(1, phases) * voltage_v)


def power_is_reversed(sample: Powermeter) -> bool:
    """Return whether power flows back, in total or on a phase, and not only as noise at rest."""
    amperes = phase_values(sample.current_a)
    known = [abs(current) for current in amperes if current is not None]
    if known and max(known) <= FLOWING_A:
        return False
    if sample.power_w is None:
        return False
    powers = (sample.power_w.total, *phase_values(sample.power_w))
    return any(power is not None and power < REVERSED_W for power in powers)


def current_is_reversed(sample: Powermeter) -> bool:
    """Return whether a phase current is negative."""
    return any(current is not None and current < -FLOWING_A for current in phase_values(sample.current_a))


def flows_forward(sample: Powermeter) -> bool:
    """Return whether power certainly flows towards the EV: the proof that a direction has been corrected."""
    if power_is_reversed(sample) or current_is_reversed(sample):
        return False
    total_w = None if sample.power_w is None else sample.power_w.total
    if total_w is not None:
        return total_w > -REVERSED_W
    return any(current is not None and current > FLOWING_A for current in phase_values(sample.current_a))


def is_on_other_phases(sample: Powermeter) -> bool | None:
    """
    Return whether current flows on L2 or L3 but not on L1; ``None`` where L1 proves nothing.

    An EV on one phase uses L1, so current on the others alone is on wrong wires (catalogue M7).
    """
    first, *others = (0.0 if each is None else abs(each) for each in phase_values(sample.current_a))
    if first > FLOWING_A:
        return False
    return True if first < RESTING_A and max(others) > FLOWING_A else None
