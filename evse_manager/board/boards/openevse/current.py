"""
The current in force on an OpenEVSE: what was ordered, what is reported, and what has to be ordered again.

To this firmware a malformed or too large current is its *maximum*.  So more than ordered is a danger and is
answered at once and, the second time, by sleep.  Less than ordered is harmless: it is signalled as it is, and
ordered again later.
"""

import math
from dataclasses import dataclass

from evse_manager.board.boards.openevse import rapi
from evse_manager.interface.pilot import MINIMUM_CURRENT_A

RETRY_S = 5.0
"""How often a current is ordered again of which the board has put less in force, or too much twice."""

MOST_TRIES = 2


@dataclass(frozen=True, slots=True)
class CurrentRange:
    """The reply to ``$GC``, in A."""

    minimum_a: int
    maximum_a: int


class CurrentInForce:
    """Times are seconds of one clock."""

    def __init__(self) -> None:
        """Begin without knowing anything."""
        self.capacity: CurrentRange | None = None
        self.in_force_a: int | None = None
        """The current in force as far as known; ``None`` = may be anything."""
        self.refusal = ''
        """Why the board has to sleep, for people; empty when it obeys."""
        self._confirmed = False
        self._tries = 0
        self._ordered_a = 0
        self._retry_at = math.inf

    def forget(self) -> None:
        """Know nothing again: the connection is new, or the board has changed it by itself."""
        self.in_force_a = None
        self._confirmed = False
        self._tries = 0
        self.refusal = ''
        self._retry_at = math.inf

    def doubt(self) -> None:
        """Have the current ordered and read again; the board may change it by itself when it wakes."""
        self._confirmed = False

    def changed(self, in_force_a: int) -> None:
        """Take notice of a current that the board reports unasked."""
        if in_force_a != self.in_force_a:
            self.in_force_a = in_force_a
            self._confirmed = False

    def new_target(self) -> None:
        """Take notice of a new order from above: it is tried without waiting."""
        self._tries = 0
        self._retry_at = -math.inf if self._retry_at < math.inf else math.inf

    def exceeds(self, amperes: int) -> bool:
        """Return whether more than this may be in force."""
        return self.in_force_a is None or self.in_force_a > amperes

    def may_wake(self, amperes: int) -> bool:
        """Return whether the board may be woken for this current."""
        return not self.refusal and self._confirmed and not self.exceeds(amperes)

    def due(self, amperes: int, now: float) -> bool:
        """Return whether this current has to be ordered now."""
        if self.refusal or (not self.exceeds(amperes) and self._confirmed and self.in_force_a != amperes):
            return now >= self._retry_at or (not self.refusal and self._ordered_a != amperes)
        return self.exceeds(amperes) or not self._confirmed

    def deadline(self, amperes: int) -> float:
        """Return when this current is ordered again."""
        settled = self._confirmed and self.in_force_a == amperes and not self.refusal
        return math.inf if settled or not amperes else self._retry_at

    def begin(self, amperes: int, now: float) -> str:
        """Return the command that orders a current; volatile, so that the memory is not worn."""
        self._ordered_a = amperes
        self._retry_at = now + RETRY_S if self.refusal else math.inf
        return f'SC {amperes} V'

    def replied(self, frame: rapi.Frame, amperes: int, now: float) -> bool:
        """Take the reply to an order; return whether the current has to be read back."""
        values = rapi.numbers(frame.words[:1])
        self.in_force_a = values[0] if values else None
        if self.exceeds(amperes):
            self._wrong(amperes, now)
            return False
        return True

    def read_back(self, amperes: int, now: float) -> None:
        """Judge what was read back after an order."""
        if self.exceeds(amperes):
            self._wrong(amperes, now)
            return
        self._confirmed = True
        self._tries = 0
        self.refusal = ''
        self._retry_at = math.inf if self.in_force_a == amperes else now + RETRY_S

    def take_capacity(self, frame: rapi.Frame) -> bool:
        """Take the reply to ``$GC``; return whether it makes sense."""
        values = rapi.numbers(frame.words) if frame.name == 'OK' else None
        if values is None or len(values) != 4:
            return False
        minimum, hardware, in_force, maximum = values
        maximum = min(maximum, hardware)
        if not (0 < minimum <= maximum <= 80 and 0 <= in_force <= 255):
            return False
        self.capacity = CurrentRange(max(minimum, int(MINIMUM_CURRENT_A)), maximum)
        self.changed(in_force)
        return True

    def _wrong(self, amperes: int, now: float) -> None:
        """Try once more, then let the board sleep."""
        self._confirmed = False
        self._tries += 1
        if self._tries >= MOST_TRIES:
            shown = 'an unknown current is' if self.in_force_a is None else f'{self.in_force_a} A are'
            self.refusal = (
                f'{amperes} A were ordered, but {shown} in force; the board is kept asleep until it obeys.'
            )
            self._retry_at = now + RETRY_S
