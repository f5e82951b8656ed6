"""
The virtual replug: the EV is made to believe that it was unplugged and plugged in again.

The pilot shows F, then X1 for a moment, as a break of the pilot does (docs/sources.md, timing).
"""

from enum import Enum, auto

from evse_manager.interface.enums import PilotMode

SHOW_F_S = 3.0
"""How long the pilot shows F: what EVs take for a new plug-in (docs/sources.md, timing)."""

SHOW_X1_S = 0.75
"""How long it shows X1 afterwards (ISO 15118-3 table 3)."""

WAIT_FOR_OPEN_S = 1.0
"""A contactor that is not open after this long forbids the replug."""


class _Step(Enum):
    IDLE = auto()
    OPENING = auto()
    F = auto()
    X1 = auto()


class Replug:
    """Leads a low-level board through the steps; times are seconds of the node's clock."""

    def __init__(self) -> None:
        """Begin idle."""
        self._step = _Step.IDLE
        self.deadline: float | None = None
        """When the next step is due."""

    @property
    def active(self) -> bool:
        """Return whether a replug is under way; the contactor stays open as long."""
        return self._step is not _Step.IDLE

    @property
    def pilot_mode(self) -> PilotMode | None:
        """Return the mode that the pilot must have, ``None`` when the manager's command counts."""
        return {_Step.OPENING: PilotMode.X1, _Step.F: PilotMode.F, _Step.X1: PilotMode.X1}.get(self._step)

    def start(self, clock: float) -> None:
        """Begin, unless one is under way."""
        if not self.active:
            self._step, self.deadline = _Step.OPENING, clock + WAIT_FOR_OPEN_S

    def abort(self) -> None:
        """End at once."""
        self._step, self.deadline = _Step.IDLE, None

    def run(self, clock: float, contactor_open: bool) -> None:
        """Go on to the next step when it is time."""
        if self._step is _Step.OPENING and contactor_open:
            self._step, self.deadline = _Step.F, clock + SHOW_F_S
        elif self.deadline is None or clock < self.deadline:
            return
        elif self._step is _Step.F:
            self._step, self.deadline = _Step.X1, clock + SHOW_X1_S
        else:
            self.abort()
