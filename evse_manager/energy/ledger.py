"""
Every grant counts until it has certainly ended.

A connector may draw what any grant allows that it may still be following.  A grant has certainly ended

- ``FOLLOW_S`` after the connector has reported that a later grant is in force (the EV has followed),
- at once when that report also says that the contactor is open, or
- ``OUTLIVES_VALIDITY_S`` after its validity (the EV has followed, and the contactor has opened).

Grants are distinguished by their stamps, which only rise; a connector ignores a grant that is older than the
one that it follows, so that late, repeated and reordered messages cannot raise what counts.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from evse_manager.interface.types import Time

VALIDITY_S = 10.0
"""Validity of a grant from its sending."""

FOLLOW_S = 5.0
"""Time that an EV may take to follow a lower signalled current (docs/sources.md, timing)."""

OUTLIVES_VALIDITY_S = 6.5
"""
Time that power may outlast a grant: the forced opening 6 s after X1, and the messages before it
(docs/sources.md, site power).
"""

UNKNOWN_STAMP = Time(0)
"""Older than every stamp: what may have been granted before this energy manager started."""


@dataclass(slots=True)
class Level:
    """
    Grants of one current and phase count, sent one after the other.

    ``first`` and ``last`` are the stamps of the first and the last one; ``phases`` is the number of the
    connector's own phases, L1 first; ``ends`` is when, on the steady clock, the last one has certainly
    ended.
    """

    current_a: float
    phases: int
    first: Time
    last: Time
    ends: float


@dataclass(slots=True)
class Ledger:
    """
    The grants to one connector that may still be in force.

    ``own`` are those of this energy manager, oldest first; ``former`` are those of others: of a former energy
    manager, or unknown.
    """

    own: list[Level] = field(default_factory=list)
    former: list[Level] = field(default_factory=list)

    def levels(self) -> Iterator[Level]:
        """Yield all that counts."""
        yield from self.former
        yield from self.own

    @property
    def newest(self) -> Level | None:
        """Return the level that the connector is meant to follow; that of another energy manager at first."""
        if self.own:
            return self.own[-1]
        known = [level for level in self.former if level.last > UNKNOWN_STAMP]
        return known[-1] if known else None

    @property
    def settled(self) -> bool:
        """Return whether the newest grant is all that counts."""
        return not self.former and len(self.own) <= 1

    def grant(self, current_a: float, phases: int, stamp: Time, steady: float) -> None:
        """Enter a grant that is sent now; lower ones before it count no longer."""
        ends = steady + VALIDITY_S + OUTLIVES_VALIDITY_S
        newest = self.own[-1] if self.own else None
        if newest is not None and newest.current_a == current_a and newest.phases == phases:
            newest.last, newest.ends = stamp, ends
            return
        self.own = [level for level in self.own if level.current_a > current_a or level.phases > phases]
        self.own.append(Level(current_a, phases, stamp, stamp, ends))

    def report(self, current_a: float, phases: int, stamp: Time, steady: float) -> None:
        """Enter a grant of another energy manager that a connector reports to be in force."""
        self.former = [level for level in self.former if level.last == UNKNOWN_STAMP]
        self.former.append(Level(current_a, phases, stamp, stamp, steady + VALIDITY_S + OUTLIVES_VALIDITY_S))

    def acknowledge(self, stamp: Time, contactor_open: bool, steady: float) -> None:
        """The connector reports that the grant of this stamp is in force: older ones end."""
        ends = steady if contactor_open else steady + FOLLOW_S
        for level in self.levels():
            if level.last < stamp and level.ends > ends:
                level.ends = ends

    def expire(self, steady: float, *, contactor_unknown: bool = False) -> None:
        """
        Drop what has certainly ended.

        With ``contactor_unknown`` only what was never known to be granted: the rest may flow on.
        """
        if contactor_unknown:
            self.former = [
                level for level in self.former if level.last > UNKNOWN_STAMP or level.ends > steady
            ]
            return
        for level in self.own:
            if level.ends <= steady:
                self.own = [level for level in self.own if level.ends > steady]
                break
        if self.former:
            self.former = [level for level in self.former if level.ends > steady]

    def next_end(self) -> float:
        """Return when something but the newest grant ends, on the steady clock; infinite = nothing."""
        if self.settled:
            return math.inf
        return min((level.ends for level in [*self.former, *self.own[:-1]]), default=math.inf)
