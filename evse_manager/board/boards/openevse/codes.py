"""What the states of an OpenEVSE's firmware mean (hardware reference 2.1.3 and 2.1.4)."""

from collections.abc import Iterable

from evse_manager.board.boards.openevse import rapi
from evse_manager.interface.enums import BoardErrorEnum, ControlPilotState, PilotMode
from evse_manager.interface.types import BoardError

FAULT_CODES = {
    0x05: (BoardErrorEnum.DIODE_FAULT, "the EV's diode is missing, or the pilot is shorted"),
    0x06: (BoardErrorEnum.RCD_AC, 'a residual current tripped the board'),
    0x07: (BoardErrorEnum.GROUND_FAULT, 'no ground, or no voltage behind the closed relay'),
    0x08: (BoardErrorEnum.CONTACTOR_WELDED, 'the relay is stuck'),
    0x09: (BoardErrorEnum.RCD_SELF_TEST, 'the self-test of the residual current device failed'),
    0x0A: (BoardErrorEnum.OVER_TEMPERATURE, 'the board is too hot'),
    0x0B: (BoardErrorEnum.OVER_CURRENT, 'the EV draws more than the board allows'),
    0x0E: (BoardErrorEnum.CONTACTOR_FAULT, 'the relay does not close'),
    0x0F: (BoardErrorEnum.PROXIMITY_FAULT, 'the proximity contact is shorted'),
    0x10: (BoardErrorEnum.PROXIMITY_FAULT, 'the proximity contact is open'),
    0x11: (BoardErrorEnum.PERMANENT_FAULT, "the board's memory is broken"),
}
"""States of the firmware in which it has opened the relay for a fault."""

RESTING = frozenset({rapi.ASLEEP, rapi.DISABLED})
"""States in which it does not charge, whatever the EV wants."""

_PILOT = {
    0x01: ControlPilotState.A,
    0x02: ControlPilotState.B,
    0x03: ControlPilotState.C,
    0x04: ControlPilotState.D,
}
_PWM = frozenset({rapi.CONNECTED, rapi.CHARGING, rapi.VENTILATION, 0x05})
_KNOWN = frozenset({rapi.STARTING, rapi.READY, *_PWM, *RESTING, *FAULT_CODES})


def pilot_mode(state: rapi.State) -> PilotMode:
    """Return what the board puts on the pilot."""
    if state.state == rapi.DISABLED:
        return PilotMode.F
    return PilotMode.PWM if state.state in _PWM else PilotMode.X1


def pilot_state(state: rapi.State) -> ControlPilotState:
    """Return what the board reads of the pilot; what is not known is E, never a guess."""
    if state.state == rapi.DISABLED:
        return ControlPilotState.F
    if state.state not in _KNOWN:
        return ControlPilotState.E
    return _PILOT.get(state.pilot, ControlPilotState.E)


def faults(state: rapi.State, checks_off: Iterable[str]) -> list[BoardError]:
    """Return the errors of a state, and a warning of safety tests that are switched off."""
    errors = []
    if state.state in FAULT_CODES:
        code, text = FAULT_CODES[state.state]
        errors.append(BoardError(code, f'{text} (state {state.state:02x}).'))
    elif state.state not in _KNOWN:
        errors.append(BoardError(BoardErrorEnum.VENDOR_ERROR, f'unknown state {state.state:02x}.'))
    off = ', '.join(checks_off)
    if off:
        text = f'switched off in the settings of the board: {off}.'
        errors.append(BoardError(BoardErrorEnum.SAFETY_TESTS_OFF, text))
    return errors
