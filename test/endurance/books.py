"""The books of a connector: the energy that was sold, beside what the meter counted and the EV took."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from evse_manager.simulation.bench import Recorded
from evse_manager.simulation.codes import code

METER_FAULTS = {'meter_silent', 'meter_jump', 'link_lost'}
"""Faults in which energy may flow unseen; it is given away rather than sold twice."""

DRIFT = 1e-9
"""Share of the energy that rounding may lose in the sums of a month."""


@dataclass
class Books:
    """The energy of the sessions in Wh, and how they went."""

    sold: float = 0.0
    metered: float = 0.0
    taken: float = 0.0
    given_away: float = 0.0
    transactions: int = 0
    sessions: int = 0
    errors: int = 0
    faults: dict[str, int] = field(default_factory=dict)

    def enter(self, records: Sequence[Recorded], metered: float, taken: float, injected: set[str]) -> None:
        """Add what happened while an EV was there, with the faults in the meantime; check that it agrees."""
        codes = [code(recorded.event) for recorded in records]
        events = [recorded.event for recorded in records]
        starts = [e.transaction_started.meter_value for e in events if e.transaction_started is not None]
        ends = [e.transaction_finished.meter_value for e in events if e.transaction_finished is not None]
        assert len(starts) == len(ends), codes
        sold = 0.0
        for start, end in zip(starts, ends, strict=True):
            first, last = start.energy_wh_import.total, end.energy_wh_import.total
            assert first is not None
            assert last is not None
            assert last >= first
            sold += last - first
        assert metered == pytest.approx(taken, rel=DRIFT, abs=1e-3), 'the meter is the cable'
        if injected & METER_FAULTS:
            assert sold <= metered + 1e-3, 'nothing is sold that did not flow'
            self.given_away += metered - sold
        else:
            assert sold == pytest.approx(metered, rel=DRIFT, abs=1e-3), codes
        self.sold, self.metered, self.taken = self.sold + sold, self.metered + metered, self.taken + taken
        self.transactions += len(starts)
        assert codes.count('SS') == codes.count('SF')
        self.sessions += codes.count('SS')
        self.errors += codes.count('Error')
        for fault in injected:
            self.faults[fault] = self.faults.get(fault, 0) + 1

    def balance(self) -> None:
        """Check that what was sold and what was given away is what was metered."""
        assert self.sold + self.given_away == pytest.approx(self.metered, rel=DRIFT, abs=1.0)
