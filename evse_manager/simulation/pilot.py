"""
The control pilot in volts: generator, 1 kOhm, the EV's diode and resistors, and what a board reads from them.

Levels, windows and resistances are those of IEC 61851-1 annex A (docs/sources.md, pilot voltages).
"""

from dataclasses import dataclass

from evse_manager.interface.enums import ControlPilotState, PilotMode

DIODE_DROP_V = 0.7
"""Forward voltage of the EV's diode."""

RESISTANCE_OHM = {
    ControlPilotState.B: 2740.0,
    ControlPilotState.C: 882.0,
    ControlPilotState.D: 246.0,
}
"""The EV's total resistance, after the diode."""

WINDOWS_V = (
    (ControlPilotState.A, 11.40, 12.60),
    (ControlPilotState.B, 8.36, 9.56),
    (ControlPilotState.C, 5.48, 6.49),
    (ControlPilotState.D, 2.62, 3.25),
    (ControlPilotState.E, -1.00, 1.00),
)
"""State by the voltage of the positive half; E is decided on it alone (a short may lie behind the diode)."""

LOW_WINDOW_V = (-12.60, -11.40)
"""The negative half with a good diode."""

SHORT_V = -2.0
"""Under F only a short brings the pilot above this; an EV without a diode leaves it far below."""

FILTER_S = 0.05
"""
A voltage in no window keeps the old state for this long; then it is a fault (docs/sources.md).
"""


@dataclass(frozen=True, slots=True)
class Generator:
    """The output of the board on the pilot."""

    positive_v: float = 12.0
    negative_v: float = -12.0
    resistance_ohm: float = 1000.0


@dataclass(frozen=True, slots=True)
class Load:
    """Load on the pilot; ``resistance_ohm`` is ``None`` for nothing, 0 for a short."""

    resistance_ohm: float | None = None
    diode: bool = True


@dataclass(frozen=True, slots=True)
class Levels:
    """Voltages of the two halves; equal when the pilot is steady."""

    high_v: float
    low_v: float


@dataclass(frozen=True, slots=True)
class PilotReading:
    """A board's reading of the levels; ``state`` is ``None`` when they lie in no window."""

    state: ControlPilotState | None
    diode_fault: bool = False


def levels(mode: PilotMode, generator: Generator, load: Load) -> Levels:
    """Return the voltages at the board's terminal."""
    high = _loaded(generator.positive_v, generator, load)
    low = _loaded(generator.negative_v, generator, load)
    match mode:
        case PilotMode.PWM:
            return Levels(high, low)
        case PilotMode.F:
            return Levels(low, low)
        case PilotMode.E:
            return Levels(0.0, 0.0)
        case _:
            return Levels(high, high)


def _loaded(drive_v: float, generator: Generator, load: Load) -> float:
    resistance = load.resistance_ohm
    if resistance is None:
        return drive_v
    if not load.diode:
        return drive_v * resistance / (resistance + generator.resistance_ohm)
    if drive_v <= DIODE_DROP_V:
        return drive_v
    return DIODE_DROP_V + (drive_v - DIODE_DROP_V) * resistance / (resistance + generator.resistance_ohm)


def read(mode: PilotMode, seen: Levels) -> PilotReading:
    """Return the meaning of the levels; a missing diode is visible only while the pilot is PWM."""
    if mode is PilotMode.E:
        return PilotReading(ControlPilotState.E)
    if mode is PilotMode.F:
        return PilotReading(ControlPilotState.E if seen.low_v > SHORT_V else ControlPilotState.F)
    low_is_good = LOW_WINDOW_V[0] <= seen.low_v <= LOW_WINDOW_V[1]
    state = next((name for name, low, high in WINDOWS_V if low <= seen.high_v <= high), None)
    if mode is PilotMode.PWM and state not in {ControlPilotState.A, ControlPilotState.E}:
        return PilotReading(state, diode_fault=not low_is_good)
    return PilotReading(state)
