"""
The heartbeat of an OpenEVSE (``$SY``): without it the board goes down to a fallback current by itself.

A beat that was missed has to be acknowledged before beats count again (hardware reference 2.1.5).
"""

from evse_manager.board.boards.openevse import rapi

INTERVAL_S = 5
PERIOD_S = 1.0
"""How often it is fed."""

ACKNOWLEDGE = 'SY 165'
PULSE = 'SY'
_MISSED = 2


class Heartbeat:
    """What is known of the board's heartbeat, and what has to be sent for it."""

    def __init__(self, fallback_a: int) -> None:
        """``fallback_a`` is the current to which the board goes down."""
        self.misses = 0
        """How often the board missed a beat."""
        self.runs = True
        """Whether the firmware has a heartbeat."""
        self._fallback_a = fallback_a
        self._missed = False
        self._forgotten = False

    def begin(self) -> None:
        """Know nothing: the connection is new."""
        self.runs, self._missed, self._forgotten = True, False, False

    @property
    def program(self) -> str:
        """Return the command that programs it."""
        return f'SY {INTERVAL_S} {self._fallback_a}'

    @property
    def disarm(self) -> str:
        """Return the command that switches it off."""
        return f'SY 0 {self._fallback_a}'

    @property
    def urgent(self) -> str | None:
        """Return what must be sent before anything else, ``None`` for nothing."""
        if self._missed:
            return ACKNOWLEDGE
        return self.program if self._forgotten else None

    def told(self, frame: rapi.Frame, *, connecting: bool) -> bool:
        """Take a reply; return whether the board may have gone down to the fallback and come back."""
        words = rapi.numbers(frame.words)
        if words is None or len(words) != 3:
            self.runs = self.runs and not connecting  # a firmware without one tells so at once
            return False
        missed = frame.name == 'NK' or words[2] == _MISSED
        self.misses += missed and not self._missed
        recovered = self._missed and not missed
        self._missed = missed
        self._forgotten = words[:2] != [INTERVAL_S, self._fallback_a] and not missed
        return recovered
