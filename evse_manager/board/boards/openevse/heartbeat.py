"""
The heartbeat of an OpenEVSE (``$SY``): without it the board goes down to a fallback current by itself.

A beat that was missed has to be answered before beats count again.  The acknowledgement that the firmware has
for it puts the *maximum* in force; programming the same values again ends the miss, and the fallback stays in
force.
"""

from evse_manager.board.boards.openevse import rapi

INTERVAL_S = 5
PERIOD_S = 1.0
"""How often it is fed."""

PULSE = 'SY'
_MISSED = 2


class Heartbeat:
    """Known state of the board's heartbeat, and the requests that keep it going."""

    def __init__(self, fallback_a: int) -> None:
        """``fallback_a`` is the current to which the board goes down."""
        self.misses = 0
        """How often the board missed a beat."""
        self.runs = True
        """Whether the firmware has a heartbeat."""
        self.urgent = False
        """Whether it has to be programmed before anything else is ordered."""
        self._fallback_a = fallback_a
        self._missed = False

    def begin(self) -> None:
        """Know nothing: the connection is new."""
        self.runs, self.urgent, self._missed = True, False, False

    @property
    def program(self) -> str:
        """Return the command that programs it, and ends a miss."""
        return f'SY {INTERVAL_S} {self._fallback_a}'

    def replied(self, frame: rapi.Frame, *, connecting: bool) -> bool:
        """Take a reply; return whether the board has gone down to the fallback."""
        words = rapi.numbers(frame.words)
        if words is None or len(words) != 3:
            self.runs = self.runs and not connecting  # a firmware without one answers so at once
            self.urgent = False
            return False
        missed = frame.name == 'NK' or words[2] == _MISSED
        self.misses += missed and not self._missed
        self._missed = missed
        self.urgent = missed or words[:2] != [INTERVAL_S, self._fallback_a]
        return missed
