"""The last steps of pilot and contactor, for a manager that missed some."""

from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import ContactorState, ControlPilotState, PilotMode
from evse_manager.interface.types import BoardTransition

KEPT = 16
"""As many steps as ``BoardState.transitions`` holds."""

RECENT_S = 5.0
"""
Steps older than this are left out while a manager holds the lease without a gap: it has seen them, and every
step makes a reaction slower.
"""


class TransitionLog:
    """A numbered list of the last steps."""

    def __init__(self) -> None:
        """Begin without any step."""
        self.counter = 0
        self._last: tuple[ControlPilotState, ContactorState] | None = None
        self._steps: list[tuple[float, BoardTransition]] = []

    def note(
        self,
        cp_state: ControlPilotState,
        contactor: ContactorState,
        now: ClockReadings,
        pilot_mode: PilotMode = PilotMode.UNSPECIFIED,
    ) -> None:
        """Add a step when state or contactor differ from the last one, with the output of the pilot."""
        if self._last == (cp_state, contactor):
            return
        self._last = cp_state, contactor
        self.counter += 1
        self._steps.append(
            (now.steady, BoardTransition(self.counter, cp_state, contactor, now.wall, pilot_mode))
        )
        del self._steps[:-KEPT]

    def recent(self, now: ClockReadings, held_since: float | None) -> tuple[BoardTransition, ...]:
        """
        Return the last steps, oldest first.

        ``held_since`` is when, on the steady clock, a manager took the lease that it has held since; ``None``
        without a holder.  A manager that was suspended finds the steps of that time here.
        """
        if held_since is not None and held_since < now.steady - RECENT_S:
            while self._steps and self._steps[0][0] < now.steady - RECENT_S:
                del self._steps[0]
        return tuple(step for _, step in self._steps)
