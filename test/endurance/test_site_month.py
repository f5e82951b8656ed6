"""
A depot for a day, and by command a month, in simulated time: a fuse too small for all, faults, lost messages.

At every instant no limit of any node is exceeded on any phase by what the boards have in force or by what
flows; what is sold is what was metered; no car that may charge waits longer than the turns of others take.

In CI a day of 5 connectors (under a minute of processor time); ``make endurance-site`` (DAYS=30,
CONNECTORS=100) is the month of a depot, and takes hours.
"""

import os
import time
from functools import partial
from random import Random

import pytest

from endurance.books import Books
from endurance.car_arrivals import Arrivals, Car
from endurance.site_bench import Bay, Network, SiteBench
from energy.virtual_site import connector, fuse
from evse_manager.charging.inputs import AuthorizeResponse, ClearFault, WithdrawAuthorization
from evse_manager.energy.tree import SiteTree
from evse_manager.interface.enums import AuthorizationStatus, AuthorizationType, ChargerState
from evse_manager.interface.types import ProvidedIdToken, ValidationResult
from evse_manager.simulation.faults import FAULTS

DAYS = float(os.environ.get('EVSE_MANAGER_SITE_DAYS', '1'))
CONNECTORS = int(os.environ.get('EVSE_MANAGER_SITE_CONNECTORS', '5'))
PERIOD_S, RENEWAL_S = 2.9, 4.5
"""The nodes do both every second; this is a third of the work, and one lost message weighs more."""

DAY_S = 86_400.0
HOUR_S = 3_600.0

CARS_PER_CONNECTOR = 3.0
"""Per day; at noon nearly every connector has a car, and some cars find none."""

GRID_A_PER_CONNECTOR = 3.5
ROW_A_PER_CONNECTOR = 5.0
"""On each phase; a car needs 6 A at least, so that a third of the cars wait for their turn at noon."""

FAULT_SHARE = 0.7
"""Share of the cars that see a fault."""

LAWLESS = {'over_current'}
"""Faults in which the car draws what it wants, until the protection trips."""

LOOK_S = 30.0
WAITS_AT_MOST_S = 2 * HOUR_S
"""Turns of 600 s with a third of the cars charging, and an operator's limit of half an hour."""

MANY_SESSIONS = 500
"""Among so many every kind of fault has come."""

PERSON_COMES_S = 60.0
GONE_WITHIN_S = 600.0

TOKEN = AuthorizeResponse(
    ProvidedIdToken(id_token='DEADBEEF', authorization_type=AuthorizationType.RFID),
    ValidationResult(AuthorizationStatus.ACCEPTED),
)


def depot(connectors: int) -> SiteTree:
    """Return a grid connection with two rows or four; phases rotate, every fifth connector has one phase."""
    rows = [f'row_{letter}' for letter in ('abcd' if connectors >= 20 else 'ab')]
    rotations = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    grid_a = GRID_A_PER_CONNECTOR * connectors
    row_a = ROW_A_PER_CONNECTOR * connectors / len(rows)
    return SiteTree(
        'depot',
        (
            fuse('grid', '', grid_a, limit_w=grid_a * 3 * 230.0 * 0.95),
            *(fuse(row, 'grid', row_a) for row in rows),
        ),
        tuple(
            connector(
                f'evse_{index + 1}',
                rows[index % len(rows)],
                phases=rotations[index % 3][:1] if index % 5 == 4 else rotations[index % 3],
                max_current_a=16.0 if index % 7 == 6 else 32.0,
            )
            for index in range(connectors)
        ),
    )


class Visit:
    """One car at a connector, from plug to plug."""

    def __init__(self, bay: Bay, car: Car, now: float) -> None:
        self.bay, self.car = bay, car
        self.injected: set[str] = set()
        self.metered_before = bay.world.meter.energy_wh
        bay.plug(car.profile, soc_at_arrival(car))
        assert bay.world.ev is not None
        self.ev = bay.world.ev
        self.left_at: float | None = None
        self.fed_at = now
        self.fed_wh = 0.0
        self.longest_wait_s = 0.0

    def look(self, now: float) -> None:
        """Note whether the car got energy since the last look, or why it need not."""
        status, taken = self.bay.latest, self.ev.energy_taken_wh
        may_charge = status.authorized and not status.active_errors and self.ev.soc_percent < 100.0
        if taken > self.fed_wh or not may_charge:
            self.fed_at = now
        self.fed_wh = taken
        self.longest_wait_s = max(self.longest_wait_s, now - self.fed_at)
        assert now - self.fed_at <= WAITS_AT_MOST_S, (
            f'{self.bay.spec.name} waits since {self.fed_at:.0f} s: {status.reason_text}'
        )


def soc_at_arrival(car: Car) -> float:
    """Return the state of charge with which the car needs its energy, of a battery of 60 kWh."""
    return max(5.0, 100.0 - car.energy_wh * 0.92 / 600.0)


class Depot:
    """The site and all that people, cars and fate do to it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.site = SiteBench(
            depot(CONNECTORS), self.random, Network(), period_s=PERIOD_S, renewal_s=RENEWAL_S
        )
        self.books = Books()
        self.visits: dict[int, Visit] = {}
        self.turned_away = 0
        self.longest_wait_s = 0.0
        self._arrivals = Arrivals(self.random, CARS_PER_CONNECTOR * CONNECTORS)
        self._next_car()
        self._now_and_then(1.0 * HOUR_S, self._energy_manager_restarts)
        self._now_and_then(3.0 * HOUR_S, self._energy_manager_stops)
        self._now_and_then(2.0 * HOUR_S, self._operator_limits)
        self._now_and_then(1.0 * HOUR_S, self._clock_jumps)

    def live(self, days: float) -> None:
        """Let days pass."""
        self.site.run_to(self.site.now + days * DAY_S)

    def close(self) -> None:
        """Let every car go."""
        self.site.run_to(self.site.now + 2 * DAY_S)

    def _now_and_then(self, mean_s: float, what: object) -> None:
        def happen() -> None:
            assert callable(what)
            what()
            self.site.after(self.random.expovariate(1.0 / mean_s), happen)

        self.site.after(self.random.expovariate(1.0 / mean_s), happen)

    # --- cars --------------------------------------------------------------------------------------------

    def _next_car(self) -> None:
        car = self._arrivals.after(self.site.now)
        self.site.at(car.arrives, partial(self._arrive, car))

    def _arrive(self, car: Car) -> None:
        self._next_car()
        free = [index for index in range(CONNECTORS) if index not in self.visits]
        if not free:
            self.turned_away += 1
            return
        site, random, index = self.site, self.random, self.random.choice(free)

        def plug(bay: Bay) -> None:
            self.visits[index] = Visit(bay, car, site.now)

        site.act(index, plug)
        visit = self.visits[index]
        site.after(random.uniform(1.0, 30.0), partial(self._authorize, index, visit))
        site.after(LOOK_S, partial(self._look, index, visit))
        site.after(car.stay_s, partial(self._leave, index, visit))
        if random.random() < FAULT_SHARE:
            site.after(random.uniform(1.0, car.stay_s), partial(self._fault, index, visit))

    def _authorize(self, index: int, visit: Visit) -> None:
        if visit.left_at is None and not visit.bay.latest.authorized:
            self.site.act(index, lambda bay: bay.send(TOKEN))
            self.site.after(60.0, partial(self._authorize, index, visit))

    def _look(self, index: int, visit: Visit) -> None:
        if visit.left_at is None:
            visit.look(self.site.now)
            self.site.after(LOOK_S, partial(self._look, index, visit))

    def _fault(self, index: int, visit: Visit) -> None:
        if visit.left_at is not None:
            return
        fault = self.random.choice(tuple(FAULTS))
        visit.injected.add(fault)

        def inject(bay: Bay) -> None:
            bay.lawless |= fault in LAWLESS
            bay.inject(fault)

        self.site.act(index, inject)
        self.site.after(self.random.uniform(0.1, 120.0), partial(self._mend, index, visit))

    def _mend(self, index: int, visit: Visit) -> None:
        self.site.act(index, lambda bay: bay.clear())
        self.site.after(PERSON_COMES_S, partial(self._person, index, visit))

    def _person(self, index: int, visit: Visit) -> None:
        """A person acknowledges what does not end by itself, and authorizes again."""
        if visit.bay.latest.active_errors:
            self.site.act(index, lambda bay: bay.send(ClearFault()))
        self._authorize(index, visit)

    def _leave(self, index: int, visit: Visit) -> None:
        visit.left_at = self.site.now

        def leave(bay: Bay) -> None:
            bay.clear()
            bay.pull()

        self.site.act(index, leave)
        self.site.after(5.0, partial(self._settle, index, visit))

    def _settle(self, index: int, visit: Visit) -> None:
        """Enter the visit into the books when the connector is at rest."""
        site, bay, left_at = self.site, visit.bay, visit.left_at
        assert left_at is not None
        status = bay.latest
        if status.state is ChargerState.IDLE and not status.session_uuid and not status.active_errors:
            self.books.enter(
                bay.events,
                bay.world.meter.energy_wh - visit.metered_before,
                visit.ev.energy_taken_wh,
                visit.injected,
            )
            bay.events.clear()
            bay.lawless = False
            self.longest_wait_s = max(self.longest_wait_s, visit.longest_wait_s)
            del self.visits[index]
            return
        assert site.now - left_at < GONE_WITHIN_S, (status.reason_text, bay.codes(details=True))
        if site.now - left_at >= PERSON_COMES_S:
            site.act(index, lambda bay: bay.send(ClearFault()))
            site.act(index, lambda bay: bay.send(WithdrawAuthorization()))
        site.after(15.0, partial(self._settle, index, visit))

    # --- the site ----------------------------------------------------------------------------------------

    def _energy_manager_restarts(self) -> None:
        if self.site.allocator is not None:
            self.site.start_manager(self.site.allocator.book.all())

    def _energy_manager_stops(self) -> None:
        allocator = self.site.allocator
        if allocator is None:
            return
        limits = allocator.book.all()
        self.site.stop_manager()
        self.site.after(self.random.uniform(1.0, 120.0), partial(self.site.start_manager, limits))

    def _operator_limits(self) -> None:
        if self.site.allocator is None:
            return
        spec = self.random.choice(self.site.tree.fuses)
        share = self.random.choice((0.5, 0.8))
        self.site.limit(spec.name, round(spec.limit_a * share))
        self.site.after(self.random.uniform(600.0, 1800.0), partial(self._operator_clears, spec.name))

    def _operator_clears(self, node: str) -> None:
        if self.site.allocator is None:
            self.site.after(60.0, partial(self._operator_clears, node))
        else:
            self.site.limit(node, float('inf'))

    def _clock_jumps(self) -> None:
        index = self.random.randrange(CONNECTORS)
        self.site.act(index, lambda bay: bay.set_wall_clock(self.random.choice((-1.0, 1.0)) * DAY_S))


@pytest.mark.timeout(300 + 60 * DAYS * CONNECTORS)
def test_a_depot_exceeds_no_limit_sells_what_it_meters_and_forgets_no_car(
    capsys: pytest.CaptureFixture[str],
) -> None:
    began = time.process_time()
    depot = Depot(seed=20261127)
    depot.live(DAYS)
    books, site = depot.books, depot.site
    grid = site.fuses[0]
    spent = time.process_time() - began
    with capsys.disabled():
        print(
            f'\n{DAYS:g} days of {CONNECTORS} connectors: {books.sessions} sessions, '
            f'{books.transactions} transactions, {books.errors} errors of {len(books.faults)} faults, '
            f'{depot.turned_away} cars turned away; {books.sold / 1000:.1f} kWh sold, '
            f'{books.metered / 1000:.1f} kWh metered, {books.given_away / 1000:.3f} kWh unseen; '
            f'{site.starts} energy managers, {site.lost} messages lost, {site.checks} sums checked, '
            f'{grid.highest_a:.1f} A of {site.tree.fuses[0].limit_a:g} A at most, '
            f'longest wait {depot.longest_wait_s / 60:.0f} min; {spent:.0f} s of processor time'
        )
    books.balance()
    assert books.sessions >= DAYS * CONNECTORS
    assert books.sold > 0.0
    assert site.lost > 0
    assert books.faults
    assert set(books.faults) >= set(FAULTS) or books.sessions < MANY_SESSIONS
    assert site.starts > 1
    assert grid.highest_a > 0.9 * site.tree.fuses[0].limit_a, 'the fuse is too large for this test'
