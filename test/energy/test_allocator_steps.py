"""Single steps of the allocation: when grants are sent, renewed and raised, their stamps, and what counts."""

import math
from dataclasses import replace

import pytest

from energy.virtual_site import SECOND, connector, fuse, site, wall
from evse_manager.energy.allocator import ConnectorGrant, SiteAllocator
from evse_manager.energy.demand import Demand
from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.energy.tree import SiteTree
from evse_manager.interface.enums import ContactorState, GrantReason
from evse_manager.interface.types import Time

SETTLED_S = 20.0
"""After this nothing of a former energy manager counts any more."""


def allocator(tree: SiteTree) -> SiteAllocator:
    return SiteAllocator(tree, 'm', 0.0)


def two(limit_a: float = 40.0) -> SiteAllocator:
    return allocator(site(limit_a, connector('bay_1'), connector('bay_2')))


def ask(made: SiteAllocator, name: str, at: float, wants_a: float = 32.0, **keys: object) -> None:
    demand = Demand(stamp=wall(at), wants_a=wants_a)
    assert made.request(f'/site/{name}', replace(demand, **keys), at) == ''  # type: ignore[arg-type]


def step(made: SiteAllocator, at: float) -> list[ConnectorGrant]:
    return made.step(at, wall(at))


def granted(made: SiteAllocator) -> list[float]:
    return [each.granted_a for each in made.connectors]


# --- sending --------------------------------------------------------------------------------------------


def test_a_grant_answers_a_request_and_names_what_binds() -> None:
    made = two(20.0)
    ask(made, 'bay_1', SETTLED_S, switches_phases=True)
    assert step(made, SETTLED_S) == [
        ConnectorGrant(0, '/site/bay_1', 20.0, 3, wall(SETTLED_S), wall(SETTLED_S), True, 'grid')
    ]
    ask(made, 'bay_2', SETTLED_S + 0.25, 0.0)
    [grant] = step(made, SETTLED_S + 0.5)
    assert grant == ConnectorGrant(
        1, '/site/bay_2', 0.0, 0, wall(SETTLED_S + 0.5), wall(SETTLED_S + 0.25), False, ''
    )


@pytest.mark.parametrize(('later_s', 'is_renewed'), [(0.9, False), (0.96, True), (1.0, True)])
def test_a_grant_is_renewed_every_second(later_s: float, is_renewed: bool) -> None:
    made = two(20.0)
    ask(made, 'bay_1', SETTLED_S)
    step(made, SETTLED_S)
    grants = step(made, SETTLED_S + later_s)
    assert [(grant.index, grant.changed, grant.current_a) for grant in grants] == (
        [(0, False, 20.0)] if is_renewed else []
    )
    ends = made.connectors[0].ledger.own[-1].ends
    assert ends == pytest.approx(SETTLED_S + 16.5 + (later_s if is_renewed else 0.0))


def test_a_silent_connector_is_sent_nothing() -> None:
    made = two(20.0)
    ask(made, 'bay_1', SETTLED_S)
    step(made, SETTLED_S)
    assert len(step(made, SETTLED_S + 3.0)) == 1
    assert step(made, SETTLED_S + 4.0) == []


def test_something_is_due_after_a_changed_request_or_limit() -> None:
    made = two()
    assert not made.pending
    ask(made, 'bay_1', SETTLED_S)
    assert made.pending
    step(made, SETTLED_S)
    assert not made.pending
    ask(made, 'bay_1', SETTLED_S + 0.5)
    assert not made.pending, 'the same again'
    limit = RunTimeLimit('grid', 'operator', steps=(LimitStep(limit_a=20.0),))
    assert made.set_limit(replace(limit, node='elsewhere'), wall(SETTLED_S)) != ''
    assert not made.pending, 'a refused limit'
    assert made.set_limit(limit, wall(SETTLED_S)) == ''
    assert made.pending


def test_a_step_is_due_when_something_that_counts_ends() -> None:
    made = two()
    assert made.due == 0.0
    step(made, 0.0)
    assert made.due == 16.5, 'unknown grants of a former energy manager'
    ask(made, 'bay_1', SETTLED_S)
    step(made, SETTLED_S)
    assert made.due == math.inf
    reduced = SETTLED_S + 1.0
    ask(made, 'bay_1', reduced, 10.0)
    [grant] = step(made, reduced)
    assert made.due == SETTLED_S + 16.5
    ask(made, 'bay_1', reduced + 1.0, 10.0, contactor=ContactorState.CLOSED, grant_stamp=grant.stamp,
        grant_manager_id='m')  # fmt: skip
    assert made.due == reduced + 1.0 + 5.0, 'the EV has followed'


# --- stamps ---------------------------------------------------------------------------------------------


def test_stamps_rise_though_the_wall_clock_stands_or_goes_back() -> None:
    made = two()
    stamps = []
    for at, now in ((20.0, wall(20.0)), (21.0, wall(20.0)), (22.0, wall(5.0)), (23.0, wall(23.0))):
        ask(made, 'bay_1', at)
        [grant] = made.step(at, now)
        stamps.append(grant.stamp)
    assert stamps == [wall(20.0), wall(20.0) + 1, wall(20.0) + 2, wall(23.0)]


@pytest.mark.parametrize(
    ('ahead_ns', 'is_followed'),
    [(-5, False), (0, True), (172_800 * SECOND, True), (172_800 * SECOND + 1, False)],
)
def test_stamps_are_newer_than_those_of_another_energy_manager_up_to_two_days_ahead(
    ahead_ns: int, is_followed: bool
) -> None:
    made = two()
    foreign = Time(wall(SETTLED_S) + ahead_ns)
    ask(made, 'bay_1', SETTLED_S, grant_stamp=foreign, grant_manager_id='other')
    [grant] = step(made, SETTLED_S)
    assert grant.stamp == (foreign + 1 if is_followed else wall(SETTLED_S))


# --- raising --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('at', 'heard', 'may_raise'), [(9.9, 1, False), (10.0, 1, True), (0.0, 2, True)])
def test_nothing_rises_for_ten_seconds_unless_all_have_reported(
    at: float, heard: int, may_raise: bool
) -> None:
    made = two()
    for place in range(heard):
        ask(made, f'bay_{place + 1}', at)
    assert made.may_raise(at) is may_raise


def test_after_the_start_a_car_that_would_rise_waits_and_one_that_has_its_grant_does_not() -> None:
    made = allocator(site(100.0, *(connector(f'bay_{place}') for place in (1, 2, 3))))
    for name, granted_a in (('bay_1', 16.0), ('bay_2', 32.0)):
        ask(made, name, 1.0, contactor=ContactorState.CLOSED, grant_stamp=wall(0.5), granted_a=granted_a,
            grant_manager_id='other')  # fmt: skip
    step(made, 1.0)
    reasons = [target.reason for target in made.plan.targets]
    assert reasons == [GrantReason.STARTING, GrantReason.FULL, GrantReason.SILENT]
    assert granted(made) == [16.0, 32.0, 0.0]


@pytest.mark.parametrize(('later_s', 'granted_a'), [(4.9, 10.0), (5.0, 20.0)])
def test_a_grant_rises_every_five_seconds(later_s: float, granted_a: float) -> None:
    made = two()
    ask(made, 'bay_1', SETTLED_S, 10.0)
    step(made, SETTLED_S)
    ask(made, 'bay_1', SETTLED_S + later_s, 20.0)
    step(made, SETTLED_S + later_s)
    assert granted(made)[0] == granted_a


def test_a_grant_is_lowered_at_once() -> None:
    made = two()
    ask(made, 'bay_1', SETTLED_S)
    step(made, SETTLED_S)
    ask(made, 'bay_1', SETTLED_S + 0.1, 31.9)
    [grant] = step(made, SETTLED_S + 0.1)
    assert (grant.current_a, grant.changed) == (31.9, True)
    assert made.connectors[0].obedience.reduced_at == SETTLED_S + 0.1


@pytest.mark.parametrize(
    ('free_a', 'second_a'),
    [(5.9, 0.0), (6.0, 6.0), (6.55, 6.5), (20.0, 20.0)],
    ids=['less than its minimum', 'its minimum', 'rounded down', 'all'],
)
def test_a_car_starts_with_what_is_free_while_another_is_reduced(free_a: float, second_a: float) -> None:
    """Of a house load of nothing, bay_1 holds 20 A of its reduction to 10 A for some seconds."""
    made = two(20.0 + free_a)
    ask(made, 'bay_1', SETTLED_S, 20.0)
    step(made, SETTLED_S)
    ask(made, 'bay_1', SETTLED_S + 1.0, 6.0, contactor=ContactorState.CLOSED)
    ask(made, 'bay_2', SETTLED_S + 1.0, 20.0)
    step(made, SETTLED_S + 1.0)
    assert granted(made) == [6.0, pytest.approx(second_a)]
    pending = made.plan.targets[1].reason is GrantReason.REDUCTIONS_PENDING
    assert pending is (second_a == 0.0)


@pytest.mark.parametrize(('free_a', 'second_a'), [(0.9, 8.0), (1.0, 9.0), (1.55, 9.5), (30.0, 20.0)])
def test_a_part_of_a_raise_is_at_least_one_ampere(free_a: float, second_a: float) -> None:
    made = two(28.0 + free_a)
    ask(made, 'bay_1', SETTLED_S, 20.0)
    ask(made, 'bay_2', SETTLED_S, 8.0)
    step(made, SETTLED_S)
    assert granted(made) == [20.0, 8.0]
    later = SETTLED_S + 5.0
    ask(made, 'bay_1', later, 6.0, contactor=ContactorState.CLOSED)
    ask(made, 'bay_2', later, 20.0)
    step(made, later)
    assert granted(made) == [6.0, pytest.approx(second_a)]


def test_a_small_raise_is_handed_out_when_it_is_all() -> None:
    made = two()
    ask(made, 'bay_1', SETTLED_S, 10.0)
    step(made, SETTLED_S)
    ask(made, 'bay_1', SETTLED_S + 5.0, 10.3)
    step(made, SETTLED_S + 5.0)
    assert granted(made)[0] == pytest.approx(10.3)


def test_below_an_exceeded_limit_nothing_rises() -> None:
    """The power of the row is exceeded by its own connector until it has followed."""
    tree = site(
        63.0, connector('bay_1', 'row'), connector('bay_2', 'row'), feeders=[fuse('row', 'grid', 40.0)]
    )
    made = allocator(tree)
    ask(made, 'bay_1', SETTLED_S, 32.0)
    ask(made, 'bay_2', SETTLED_S, 8.0)
    step(made, SETTLED_S)
    assert granted(made) == [32.0, 8.0]
    now = SETTLED_S + 5.0
    limit = RunTimeLimit('row', 'operator', steps=(LimitStep(limit_w=20_000.0),))
    assert made.set_limit(limit, wall(now)) == ''
    ask(made, 'bay_1', now, 6.0, contactor=ContactorState.CLOSED)
    ask(made, 'bay_2', now, 20.0)
    step(made, now)
    assert granted(made) == [6.0, 8.0]


# --- sums -----------------------------------------------------------------------------------------------


def test_currents_are_added_up_by_fuse_and_phase() -> None:
    tree = site(
        63.0,
        connector('bay_1', 'row', phases=(0, 1, 2)),
        connector('bay_2', 'row', phases=(1, 2, 0)),
        connector('bay_3', 'yard', phases=(2,)),
        connector('bay_4', 'grid', phases=(1, 0)),
        feeders=[fuse('row', 'grid', 63.0), fuse('yard', 'row', 63.0)],
    )
    made = allocator(tree)
    assert made.sums([(1.0, 2.0, 3.0), (10.0, 20.0, 30.0), (100.0, 0.0, 0.0), (1000.0, 2000.0, 0.0)]) == [
        (2031.0, 1012.0, 123.0),
        (31.0, 12.0, 123.0),
        (0.0, 0.0, 100.0),
    ]


def test_only_connectors_that_report_count_as_measured() -> None:
    made = two()
    assert made.measured(SETTLED_S) == [(0.0, 0.0, 0.0)]
    ask(made, 'bay_1', SETTLED_S, draw_a=(1.0, 2.0, 3.0))
    ask(made, 'bay_2', SETTLED_S + 1.0, draw_a=(10.0, 20.0, 30.0))
    assert made.measured(SETTLED_S + 3.0) == [(11.0, 22.0, 33.0)]
    assert made.measured(SETTLED_S + 3.5) == [(10.0, 20.0, 30.0)]
    ask(made, 'bay_2', SETTLED_S + 4.0)
    assert made.measured(SETTLED_S + 4.0) == [(0.0, 0.0, 0.0)]


def test_raises_of_one_step_share_the_headroom() -> None:
    made = allocator(site(63.0, *(connector(f'bay_{place}') for place in (1, 2, 3)), limit_w=27_600.0))
    for place in (1, 2, 3):
        ask(made, f'bay_{place}', SETTLED_S, 16.0)
    step(made, SETTLED_S)
    assert granted(made) == [pytest.approx(13.3)] * 3
    [counted] = made.counted()
    assert counted == pytest.approx((39.9, 39.9, 39.9))
