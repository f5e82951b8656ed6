"""Meaning of the states of an OpenEVSE's firmware; see docs/boards/openevse.md."""

from collections.abc import Iterable

from evse_manager.board.boards.openevse import rapi
from evse_manager.interface.enums import BoardErrorEnum, ControlPilotState, PilotMode
from evse_manager.interface.types import BoardError

VENTILATION, STUCK_RELAY, SELF_TEST = 0x04, 0x08, 0x09
UNKNOWN_FAULT, NOT_WAKING = 0x100, 0x101
"""Faults without a state: a hard fault whose state was erased, and a board that does not leave state 00."""

FAULT_CODES = {
    0x05: (BoardErrorEnum.DIODE_FAULT, "the EV's diode is missing, or the pilot is shorted"),
    0x06: (BoardErrorEnum.RCD_AC, 'a residual current tripped the board'),
    0x07: (BoardErrorEnum.GROUND_FAULT, 'no ground, or no voltage behind the closed relay'),
    STUCK_RELAY: (BoardErrorEnum.CONTACTOR_WELDED, 'the relay is stuck'),
    SELF_TEST: (BoardErrorEnum.RCD_SELF_TEST, 'the self-test of the residual current device failed'),
    0x0A: (BoardErrorEnum.OVER_TEMPERATURE, 'the board is too hot'),
    0x0B: (BoardErrorEnum.OVER_CURRENT, 'the EV draws more than the board allows'),
    0x0E: (BoardErrorEnum.CONTACTOR_FAULT, 'the relay does not close'),
    0x0F: (BoardErrorEnum.PROXIMITY_FAULT, 'the proximity contact is shorted'),
    0x10: (BoardErrorEnum.PROXIMITY_FAULT, 'the proximity contact is open'),
    0x11: (BoardErrorEnum.PERMANENT_FAULT, "the board's memory is broken"),
    UNKNOWN_FAULT: (
        BoardErrorEnum.VENDOR_ERROR,
        'the board reports a hard fault that it does not name; unplug the EV, or reset the board',
    ),
    NOT_WAKING: (
        BoardErrorEnum.VENDOR_ERROR,
        'the board does not wake up, as after a failed self-test; switch it off and on',
    ),
}
"""Errors by the state of the firmware; state 04 is no error of its own: the pilot in D is the error."""

RESTING = frozenset({rapi.ASLEEP, rapi.DISABLED})
"""States in which it does not charge, whatever the EV wants."""

_PILOT = {0x01: ControlPilotState.A, 0x02: ControlPilotState.B, 0x03: ControlPilotState.C}
_PWM = frozenset({rapi.CONNECTED, rapi.CHARGING})
_FAULTS = frozenset({VENTILATION, *FAULT_CODES})
_KNOWN = frozenset({rapi.STARTING, rapi.READY, *_PWM, *RESTING, *_FAULTS})


def is_fault(state: rapi.State) -> bool:
    """Return whether the firmware is in a fault; an order would erase it."""
    return state.state in _FAULTS


def is_known(state: rapi.State) -> bool:
    """Return whether the firmware has such a state."""
    return state.state in _KNOWN


def pilot_mode(state: rapi.State) -> PilotMode:
    """Return what the board puts on the pilot; in a fault it is +12 V."""
    if state.state == rapi.DISABLED:
        return PilotMode.F
    return PilotMode.PWM if state.state in _PWM else PilotMode.X1


def awake_pilot(state: rapi.State) -> ControlPilotState:
    """Return what an awake board reads of the pilot; what is not known is E, never a guess."""
    return _PILOT.get(state.pilot, ControlPilotState.E)


def errors(fault: int, state: rapi.State, checks_off: Iterable[str]) -> list[BoardError]:
    """Return the error of a fault, and a warning of safety tests that are switched off."""
    found = []
    if fault in FAULT_CODES:
        code, text = FAULT_CODES[fault]
        shown = '' if fault > 0xFF else f' (state {fault:02x})'
        found.append(BoardError(code, f'{text}{shown}.'))
    elif not is_known(state):
        found.append(BoardError(BoardErrorEnum.VENDOR_ERROR, f'unknown state {state.state:02x}.'))
    off = ', '.join(checks_off)
    if off:
        text = f'switched off in the settings of the board: {off}.'
        found.append(BoardError(BoardErrorEnum.SAFETY_TESTS_OFF, text))
    return found
