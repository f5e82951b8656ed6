"""The last steps of pilot and contactor, for a manager that missed some."""

from ..charging.enums import ContactorState, ControlPilotState
from ..charging.types import BoardTransition, Time

KEPT = 16
"""As many steps as ``BoardState.transitions`` holds."""


class History:
    """A numbered list of the last steps."""

    def __init__(self) -> None:
        """Begin without any step."""
        self.counter = 0
        self.steps: tuple[BoardTransition, ...] = ()

    def note(self, cp_state: ControlPilotState, contactor: ContactorState, wall: Time) -> None:
        """Add a step when pilot or contactor differ from the last one."""
        if self.steps and (self.steps[-1].cp_state, self.steps[-1].contactor) == (cp_state, contactor):
            return
        self.counter += 1
        self.steps = (*self.steps[-(KEPT - 1) :], BoardTransition(self.counter, cp_state, contactor, wall))
