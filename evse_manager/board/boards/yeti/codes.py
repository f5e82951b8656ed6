"""Meaning of the codes of a Yeti board, one by one (docs/sources.md, Yeti)."""

from evse_manager.board.boards.yeti.messages import ErrorFlags
from evse_manager.interface.enums import BoardErrorEnum, ControlPilotState, LockState, ProximityState
from evse_manager.interface.types import BoardError

PLUGGED = (1, 2, 3)
"""States of the pilot with an EV: B, C, D."""

F_CODE = 5
STATE_BY_VOLTAGE = ((0, 10.5), (1, 7.5), (2, 4.5), (3, 1.5))
"""Codes of the pilot, with the least voltage of the positive half in V; less is E."""

LARGEST_WHOLE_VOLTS = 20
NO_CABLE = 0
UNLOCKED, LOCKED = 1, 2

_PILOT = dict(enumerate((ControlPilotState.A, ControlPilotState.B, ControlPilotState.C,
                         ControlPilotState.D, ControlPilotState.E, ControlPilotState.F)))  # fmt: skip
_CABLE_A = {1: 13.0, 2: 20.0, 3: 32.0, 4: 63.0}
"""Ampacities by code; the last means 63 A on three phases and 70 A on one."""

_LOCKS = {0: LockState.MOVING, UNLOCKED: LockState.UNLOCKED, LOCKED: LockState.LOCKED}

_E = BoardErrorEnum
_FLAGS = (
    ('diode', _E.DIODE_FAULT, "the EV's diode is missing, or the pilot is shorted"),
    ('rcd_self_test', _E.RCD_SELF_TEST, 'the self-test of the residual current device failed'),
    ('rcd', _E.RCD_DC, 'a residual current tripped the board, which does not distinguish AC from DC'),
    ('ventilation', _E.VENDOR_WARNING, 'the EV asks for ventilation, which the board does not have'),
    ('pilot', _E.PILOT_FAULT, 'the signal on the pilot is faulty'),
    ('over_current', _E.OVER_CURRENT, 'the EV draws more than the board allows'),
)
"""Flags, errors and their texts; the lock's text depends on its last order."""


def pilot_state(code: int) -> ControlPilotState:
    """Return the state of the pilot; what is not known is E, never a guess."""
    return _PILOT.get(code, ControlPilotState.E)


def cable(code: int) -> tuple[ProximityState, float | None]:
    """Return what is plugged in, and its ampacity in A."""
    if code == NO_CABLE:
        return ProximityState.NO_PLUG, None
    if code in _CABLE_A:
        return ProximityState.PLUG, _CABLE_A[code]
    return ProximityState.INVALID, None


def lock_state(code: int | None) -> LockState:
    """Return where the lock is."""
    return LockState.UNKNOWN if code is None else _LOCKS.get(code, LockState.UNKNOWN)


def flagged(flags: ErrorFlags) -> list[BoardError]:
    """Return the errors of the flags, but for the lock's; a flag that is not known is a warning."""
    errors = [
        BoardError(code, f'{text} (error flag {name}).')
        for name, code, text in _FLAGS
        if getattr(flags, name)
    ]
    return errors + [
        BoardError(_E.VENDOR_WARNING, f'unknown error flag {number}.') for number in flags.others
    ]


def coded(pilot: int, proximity: int | None) -> list[BoardError]:
    """Return the errors that invalid codes mean."""
    errors = []
    if proximity is not None and cable(proximity)[0] is ProximityState.INVALID:
        errors.append(BoardError(_E.PROXIMITY_FAULT, f'proximity code {proximity}.'))
    if pilot not in _PILOT:
        errors.append(BoardError(_E.VENDOR_ERROR, f'unknown state {pilot} of the pilot.'))
    return errors


def volts(reported: int) -> float:
    """
    Return a voltage of the pilot in V.

    Firmware 2.2 sends whole volts, and 0 for what is negative; siblings send mV with a sign, as a number of
    32 bits without one.  No pilot stands between 0 and 20 mV, but at 0.
    """
    if reported <= LARGEST_WHOLE_VOLTS:
        return float(reported)
    return (reported - (1 << 32) if reported >= 1 << 31 else reported) / 1000.0
