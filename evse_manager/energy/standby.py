"""
Which of several energy managers of a site is in charge.

A new one listens first.  It takes charge when no other one has reported for ``TAKE_OVER_S``.  Where
two are in charge at once, because they did not receive each other, the one with the greater identity stands
back.
"""

import math
from enum import Enum

TAKE_OVER_S = 3.0
"""Silence of the energy manager in charge after which another one takes over."""


class Change(Enum):
    """Change of the role of this energy manager."""

    NOTHING = 'nothing'
    TAKES_CHARGE = 'takes charge'
    STANDS_BACK = 'stands back'


class Standby:
    """The part of one energy manager in this."""

    def __init__(self, manager_id: str, steady: float) -> None:
        """Listen from ``steady`` on; ``manager_id`` is new with every start."""
        self._manager_id = manager_id
        self._listens_since = steady
        self._heard = -math.inf
        self.in_charge = False
        self.other = ''
        """The other energy manager that reported last; empty = no other one."""

    def hear(self, manager_id: str, steady: float) -> Change:
        """Another energy manager, or this one itself, reports to be in charge."""
        if manager_id == self._manager_id:
            return Change.NOTHING
        self.other, self._heard = manager_id, steady
        if self.in_charge and manager_id < self._manager_id:
            self.in_charge = False
            return Change.STANDS_BACK
        return Change.NOTHING

    def look(self, steady: float) -> Change:
        """Take charge when the time has come."""
        if self.in_charge or steady - max(self._heard, self._listens_since) < TAKE_OVER_S:
            return Change.NOTHING
        self.in_charge = True
        return Change.TAKES_CHARGE

    def next_look(self) -> float:
        """Return when to look again, on the steady clock; infinite while in charge."""
        return math.inf if self.in_charge else max(self._heard, self._listens_since) + TAKE_OVER_S
