"""
Registers of the Phoenix EV Charge Control Basic and what they mean (docs/sources.md, Phoenix).

Addresses are those of the manual 106377_en_04, section 9.2; they are the numbers on the line.
"""

from evse_manager.interface.enums import BoardErrorEnum, ControlPilotState, PilotMode, ProximityState

ENABLE, AVAILABLE, LOCK = range(3)
"""Coils, counted from the first."""

FIRST_COIL = 20000
CURRENT = 22000
STATE = 24000
STATE_WORDS = 6
ERRORS = 24025
FIRMWARE = 1031
SWITCHES = 2000
SOURCES = 4000
OPTIONS = 4006
OPTION_WORDS = 7
PRESET_CURRENT = 24027

BY_REGISTER = (3, 2, 3)
"""Contents of registers 4000 to 4002 with which coils 20000 to 20002 take effect."""

MIRROR, CASE_C, VENTILATION, MONITOR, CURRENT_BY_INPUT = 0, 3, 4, 5, 6
"""
Places among the options: contactor monitoring, attached cable, state D, residual current monitor, and
whether input CCR sets the current.
"""

RESETS_BY_ITSELF = (1, 3)
"""Values of the residual current monitor with which a trip ends by itself."""

SWITCH_RELEASE, SWITCH_LOCK = 0x02, 0x04
"""S1/DIP 2 and 3: without them availability and lock do not obey the line."""

INPUT_CCR = 0x08

LARGEST_A = 63
SMALLEST_A = 6

NOT_AVAILABLE_BIT, LOCK_STUCK_BIT, D_REJECTED_BIT, CONTACTOR_BIT = 5, 7, 11, 12
UNLOCKED_BITS = (6, 8)
"""Errors that say that the connector is not locked."""

_E = BoardErrorEnum

ERROR_BITS = {
    2: (_E.PROXIMITY_FAULT, 'a cable of 13 A is rejected (S1/DIP 4)'),
    3: (_E.PROXIMITY_FAULT, 'the proximity contact has an invalid value'),
    4: (_E.PILOT_FAULT, 'the control pilot has an invalid value'),
    5: (_E.VENDOR_WARNING, 'the board is not available, by its input XR'),
    6: (_E.LOCK_FAILED_TO_LOCK, 'the connector does not lock'),
    7: (_E.LOCK_FAILED_TO_UNLOCK, 'the connector does not unlock'),
    8: (_E.LOCK_UNEXPECTEDLY_OPEN, 'the lock is not reported closed any more'),
    11: (_E.VENDOR_WARNING, 'a vehicle that needs ventilation was rejected'),
    12: (_E.CONTACTOR_WELDED, 'the contactor does not open, or its mirror contact is not wired to input CCR'),
    13: (_E.DIODE_FAULT, 'the diode in the vehicle is missing'),
    15: (_E.RCD_DC, 'the residual current monitor has tripped'),
    16: (_E.RCD_SELF_TEST, 'the self-test of the residual current monitor failed'),
}
"""Bits of register 24025, counted from 1; what is not listed is a warning."""

OPENING_ERRORS = sum(1 << bit - 1 for bit in (2, 3, 4, 12, 13, 15, 16))
"""Errors with which nothing is closed, as a mask; those of the lock stand for its position, too."""

_LETTERS = {letter: ControlPilotState[letter] for letter in 'ABCDEF'}
_CHARGING_STATES = frozenset({0x4332, 0x4432})
"""C2 and D2."""

_CABLES_A = (13, 20, 32, 63)


def letter(state: int) -> str:
    """Return the first character of register 24000, the state of the pilot."""
    return chr(state >> 8)


def has_pwm(state: int) -> bool:
    """Return whether current is offered: the second character is 2."""
    return state & 0xFF == ord('2')


def intends_to_charge(state: int) -> bool:
    """Return whether the board wants its contactor closed."""
    return state in _CHARGING_STATES


def is_known(state: int) -> bool:
    """Return whether the first character is a state of the pilot."""
    return letter(state) in _LETTERS


def pilot_state(state: int) -> ControlPilotState:
    """Return the state of the pilot; what is not known is E, never a guess."""
    known = chr(state & 0xFF) in '012'
    return _LETTERS.get(letter(state), ControlPilotState.E) if known else ControlPilotState.E


def pilot_mode(state: int) -> PilotMode:
    """Return what the board puts on the pilot."""
    if letter(state) == 'F':
        return PilotMode.F
    return PilotMode.PWM if has_pwm(state) and letter(state) in 'ABCD' else PilotMode.X1


def proximity(value: int) -> tuple[ProximityState, float | None]:
    """Return the state of the cable in register 24001, and its ampacity in A."""
    if value in _CABLES_A:
        return ProximityState.PLUG, float(value)
    return (ProximityState.INVALID if value else ProximityState.NO_PLUG), None


def bits(errors: int) -> list[int]:
    """Return the bits of register 24025 that are set."""
    return [bit for bit in range(1, 17) if errors & 1 << bit - 1]
