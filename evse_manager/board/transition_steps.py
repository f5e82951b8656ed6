"""Legal steps between two observations of a board that is only read from time to time."""

from dataclasses import replace

from evse_manager.board.driver_io import Observation
from evse_manager.interface.enums import ContactorState, ControlPilotState, LinkState

_ASKING = (ControlPilotState.C, ControlPilotState.D)
_QUIET = (ControlPilotState.A, ControlPilotState.B)


def steps(before: Observation, after: Observation) -> list[Observation]:
    """
    Return the observations that lead from one to another with no step left out (catalogue L18).

    An EV that is seen charging had been plugged in before, and had asked; one that has left had stopped to
    ask while the contactor was still closed, unless an error opened it.
    """
    closed, opened = ContactorState.CLOSED, ContactorState.OPEN
    if before.link is not LinkState.UP or after.link is not LinkState.UP or after.resets != before.resets:
        return [after]
    between = []
    if after.cp_state in _ASKING and before.contactor is opened:
        if before.cp_state is ControlPilotState.A:
            plugged = replace(after, cp_state=ControlPilotState.B, contactor=opened, errors=before.errors)
            between.append(plugged)
        if after.contactor is closed and before.cp_state is not after.cp_state:
            between.append(replace(after, contactor=opened, errors=before.errors))
    leaves = before.cp_state in _ASKING and after.cp_state in _QUIET
    if before.contactor is closed and after.contactor is opened and leaves and after.errors == before.errors:
        between.append(replace(before, cp_state=after.cp_state))
    return [*between, after]
