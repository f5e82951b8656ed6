"""The manager's lease on the board: who may command, for how long, and whether power may be allowed again."""

import math
from enum import Enum, auto


class CommandVerdict(Enum):
    """Result of the check of a command."""

    ACCEPTED = auto()
    REPLAYED = auto()
    """Its sequence number is not newer than the last."""
    FOREIGN = auto()
    """Another manager holds the board, or the command names no sender."""


REMEMBERED_MANAGERS = 16
"""Of so many former managers the last sequence number is kept, so that their old commands stay old."""


class Lease:
    """
    One holder at a time, on the steady clock.

    The holder keeps the board until its lease ends.  After a gap the first command counts only as a sign of
    life: power may be allowed from the second one on, so that a single late message never switches anything
    on.
    """

    def __init__(self, longest_s: float) -> None:
        """Begin without a holder; no lease is longer than ``longest_s`` seconds."""
        self._longest_s = longest_s
        self._holder = ''
        self._expires = -math.inf
        self._fresh = 0
        self._last: dict[str, int] = {}

    @property
    def holder(self) -> str:
        """Return the manager that holds the board, empty without one."""
        return self._holder

    @property
    def expires(self) -> float | None:
        """Return when the lease ends, ``None`` without a holder."""
        return self._expires if self._holder else None

    @property
    def confirmed(self) -> bool:
        """Return whether two fresh commands have come since the last gap."""
        return bool(self._holder) and self._fresh >= 2

    def offer(self, manager_id: str, sequence_number: int, lease_s: float, steady: float) -> CommandVerdict:
        """Take a command into account; a lease that is no length of time ends at once."""
        self.lapse(steady)
        if not manager_id or self._holder not in {'', manager_id}:
            return CommandVerdict.FOREIGN
        if sequence_number <= self._last.get(manager_id, -1):
            return CommandVerdict.REPLAYED
        self._fresh = self._fresh + 1 if self._holder else 1
        self._holder = manager_id
        self._last.pop(manager_id, None)
        self._last[manager_id] = sequence_number
        if len(self._last) > REMEMBERED_MANAGERS:
            del self._last[next(iter(self._last))]
        length = min(lease_s, self._longest_s) if lease_s > 0.0 else 0.0
        self._expires = steady + length
        return CommandVerdict.ACCEPTED

    def lapse(self, steady: float) -> bool:
        """End the lease when its time has come; return whether it ended just now."""
        if not self._holder or steady < self._expires:
            return False
        self._holder = ''
        self._fresh = 0
        return True
