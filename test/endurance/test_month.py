"""
A month of mixed sessions with random faults in simulated time: books that agree, nothing stuck, flat memory.

``make endurance`` (DAYS=365) makes it a year.  Every life follows from its seed.
"""

import gc
import os
from pathlib import Path
from random import Random

import pytest

from endurance.books import Books
from evse_manager.charging.inputs import (
    ClearFault,
    ForceUnlock,
    SwitchThreePhasesWhileCharging,
    WithdrawAuthorization,
)
from evse_manager.interface.enums import ChargerState
from evse_manager.interface.parameters import Config
from evse_manager.simulation.bench import Bench
from evse_manager.simulation.faults import FAULTS
from evse_manager.simulation.profiles import PROFILES
from evse_manager.simulation.world import WorldSettings

DAYS = int(os.environ.get('EVSE_MANAGER_DAYS', '30'))
DAY_S = 86_400.0
SETTLED_DAYS = 3
"""After so many days everything that is allocated once has been."""

MOST_GROWTH = 0.02
"""Objects, and resident memory, may grow by so much of themselves: the interpreter's own caches."""


class Month:
    """One connector and all that people, cars and fate do to it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        settings = WorldSettings(seed=seed, sample_period_s=60.0)
        self.bench = Bench(Config(restart_delay_max_s=30.0), settings, random=self.random.random)
        self.books = Books()

    def live(self, days: float) -> None:
        """Let days pass, one session after the other."""
        end = self.bench.now + days * DAY_S
        while self.bench.now < end:
            self.bench.run_for(self.random.uniform(60.0, 4 * 3600.0))
            self.session()

    def session(self) -> None:
        """One car comes, charges or not, suffers, and goes."""
        bench, random = self.bench, self.random
        meter_before, since = bench.world.meter.energy_wh, len(bench.events)
        if random.random() < 0.3:
            bench.authorize()
        ev = bench.world.plug_in(random.choice(tuple(PROFILES)), soc_percent=random.uniform(5.0, 95.0))
        bench.run_for(random.uniform(1.0, 20.0))
        bench.authorize()
        injected = set()
        for _ in range(random.randint(1, 4)):
            bench.run_for(random.uniform(1.0, 5400.0))
            if random.random() < 0.5:
                fault = random.choice(tuple(FAULTS))
                injected.add(fault)
                bench.inject(fault)
            else:
                self.meddle()
            bench.run_for(random.uniform(0.1, 60.0))
            bench.clear()
        bench.run_for(random.uniform(1.0, 3600.0))
        bench.unplug()
        self.come_to_rest()
        self.book(since, bench.world.meter.energy_wh - meter_before, ev.energy_taken_wh, injected)

    def meddle(self) -> None:
        """Do what people do, whether it makes sense or not."""
        bench = self.bench
        self.random.choice(
            (
                bench.pause_charging,
                bench.resume_charging,
                bench.stop_transaction,
                bench.ev_pause,
                bench.ev_resume,
                bench.disable,
                bench.enable,
                bench.replug,
                lambda: bench.limit(self.random.choice((None, 0.0, 5.0, 6.0, 13.0, 25.0))),
                lambda: bench.command(SwitchThreePhasesWhileCharging(self.random.random() < 0.5)),
                lambda: bench.command(ForceUnlock()),
                lambda: bench.set_wall_clock(self.random.choice((-1.0, 1.0)) * DAY_S),
            )
        )()

    def come_to_rest(self) -> None:
        """End everything that an operator and time can end; then there is nothing left."""
        bench = self.bench
        bench.enable()  # while disabled, in F, it is not seen that the car has gone
        bench.run_for(90.0)
        left = {error.vendor_error.split(':')[0] for error in bench.status.active_errors}
        assert left <= {'ContactorWelded'}, 'only a weld needs a person'
        bench.command(ClearFault())
        bench.limit(None)
        bench.enable()
        bench.command(WithdrawAuthorization())
        bench.run_for(10.0)
        status = bench.status
        assert status.state is ChargerState.IDLE, (status.reason_text, bench.codes(details=True))
        assert not status.active_errors
        assert not status.session_uuid
        assert not bench.world.contactor.closed

    def book(self, since: int, metered: float, taken: float, injected: set[str]) -> None:
        """Add a session to the books, and forget its events."""
        self.books.enter(self.bench.events[since:], metered, taken, injected)
        self.bench.events.clear()


def memory() -> tuple[int, int]:
    """Return how many objects there are, and the resident memory in bytes."""
    gc.collect()
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return len(gc.get_objects()), pages * os.sysconf('SC_PAGE_SIZE')


@pytest.mark.timeout(60 + 20 * DAYS)
def test_a_month_of_sessions_and_faults(capsys: pytest.CaptureFixture[str]) -> None:
    month = Month(seed=DAYS)
    month.live(SETTLED_DAYS)
    objects, resident = memory()
    month.live(DAYS - SETTLED_DAYS)
    objects_later, resident_later = memory()
    books = month.books
    with capsys.disabled():
        print(
            f'\n{DAYS} days: {books.sessions} sessions, {books.transactions} transactions, '
            f'{books.errors} errors of {len(books.faults)} kinds of fault; '
            f'{books.sold / 1000:.3f} kWh sold, {books.metered / 1000:.3f} kWh metered, '
            f'{books.taken / 1000:.3f} kWh taken by the EVs, {books.given_away / 1000:.3f} kWh unseen; '
            f'{resident / 1e6:.1f} MB at first, {resident_later / 1e6:.1f} MB at last'
        )
    assert objects_later <= objects * (1.0 + MOST_GROWTH)
    assert resident_later <= resident * (1.0 + MOST_GROWTH) + 1e6
    books.balance()
    assert books.sessions >= DAYS
    assert set(books.faults) >= set(FAULTS) or DAYS < 30
