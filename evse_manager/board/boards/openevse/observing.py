"""Observation of an OpenEVSE: pilot, contactor and errors, derived from its reports."""

from evse_manager.board.boards.openevse import codes, rapi
from evse_manager.board.boards.openevse.knowledge import Knowledge
from evse_manager.board.driver_io import Observation
from evse_manager.interface.enums import BoardErrorEnum, ContactorState, PilotMode
from evse_manager.interface.pilot import duty_cycle
from evse_manager.interface.types import BoardError


def observation(known: Knowledge, phases: int, now: float) -> Observation:
    """Return what is observed of a board whose state is known; the link is added by the caller."""
    state = known.view.state
    assert state is not None
    mode = codes.pilot_mode(state)
    pwm = mode is PilotMode.PWM
    in_force = float(known.current.in_force_a or 0)
    return Observation(
        cp_state=known.view.cp_state(now),
        pilot_mode=mode,
        duty_cycle_percent=duty_cycle(in_force) if pwm else 100.0,
        current_a=in_force if pwm else 0.0,
        contactor=_contactor(known, state),
        phases=phases,
        errors=_errors(known, state),
        replug_active=known.targets.replugging,
    )


def _contactor(known: Knowledge, state: rapi.State) -> ContactorState:
    if known.view.welded:
        return ContactorState.CLOSED
    if not state.relay_closed:
        return ContactorState.OPEN
    if known.client.urgent and known.client.overdue:
        return ContactorState.UNKNOWN  # an order to open was not answered
    return ContactorState.CLOSED


def _errors(known: Knowledge, state: rapi.State) -> tuple[BoardError, ...]:
    errors = codes.errors(known.view.fault, state, known.checks_off)
    if known.current.refusal:
        errors.append(BoardError(BoardErrorEnum.BAD_DATA, known.current.refusal))
    return tuple(errors)
