"""One connector in the energy manager: obedience, what counts for it, and which requests are heard."""

import math
from dataclasses import replace

import pytest

from energy.virtual_site import connector
from evse_manager.energy.connector import EnergyConnector, Obedience
from evse_manager.energy.demand import Demand
from evse_manager.energy.tree import ConnectorSpec
from evse_manager.interface.enums import ContactorState
from evse_manager.interface.types import Time

ME = 'me'
CLOSED = ContactorState.CLOSED

Report = tuple[float, float | None, bool]
"""Time [s], measured current [A], whether the reduction is in force."""


def reduced(*reports: Report) -> Obedience:
    """Return the obedience of a connector after a reduction from 16 A to 10 A at 100 s."""
    obedience = Obedience()
    obedience.reduce(16.0, 100.0)
    for at, draw_a, acknowledged in reports:
        obedience.evaluate(draw_a, 10.0, acknowledged, at)
    return obedience


@pytest.mark.parametrize(
    ('reports', 'withdrawn'),
    [
        (((109.9, 16.0, False),), False),
        (((110.0, 16.0, False),), True),
        (((110.0, None, False),), True),
        (((110.0, 0.0, False),), True),
        (((109.9, 16.0, True),), False),
        (((110.0, 16.0, True),), True),
        (((110.0, 10.7, True),), False),
        (((110.0, 10.8, True),), True),
        (((110.0, None, True),), False),
        (((105.0, 10.0, True), (111.0, 16.0, True)), False),
        (((105.0, 10.0, False), (111.0, 16.0, True)), True),
    ],
    ids=[
        'not acknowledged in 9.9 s',
        'not acknowledged in 10 s',
        'not acknowledged, no measurement',
        'not acknowledged, no current',
        'not followed in 9.9 s',
        'not followed in 10 s',
        'within the tolerance',
        'beyond the tolerance',
        'acknowledged, no measurement',
        'followed in time: a later excess is another matter',
        'not acknowledged in time and too much later',
    ],
)
def test_a_connector_has_ten_seconds_to_follow_a_reduction(
    reports: tuple[Report, ...], withdrawn: bool
) -> None:
    assert reduced(*reports).withdrawn is withdrawn


def test_without_a_reduction_nothing_is_withdrawn() -> None:
    obedience = Obedience()
    obedience.evaluate(32.0, 10.0, False, 1e6)
    assert not obedience.withdrawn


@pytest.mark.parametrize(
    ('draw_a', 'withdrawn'), [(12.7, False), (12.8, True)], ids=['the second to last grant', 'more than that']
)
def test_of_two_reductions_the_second_has_its_own_time(draw_a: float, withdrawn: bool) -> None:
    """From 16 A to 12 A at 100 s, and to 10 A at 105 s: until 115 s the 12 A may flow still."""
    obedience = Obedience()
    obedience.reduce(16.0, 100.0)
    obedience.reduce(12.0, 105.0)
    obedience.evaluate(draw_a, 10.0, True, 110.0)
    assert obedience.withdrawn is withdrawn
    obedience = Obedience()
    obedience.reduce(16.0, 100.0)
    obedience.reduce(12.0, 105.0)
    obedience.evaluate(12.0, 10.0, True, 115.0)
    assert obedience.withdrawn


def test_a_withdrawn_connector_must_keep_to_its_grant_for_a_minute() -> None:
    obedience = reduced((110.0, 16.0, True), (120.0, 10.0, True), (179.9, 10.0, True))
    assert obedience.withdrawn
    obedience.evaluate(16.0, 10.0, True, 179.95)
    obedience.evaluate(10.0, 10.0, True, 180.0)
    obedience.evaluate(10.0, 10.0, True, 239.9)
    assert obedience.withdrawn, 'it did not keep to it between'
    obedience.evaluate(10.0, 10.0, True, 240.0)
    assert not obedience.withdrawn
    obedience.reduce(16.0, 300.0)
    obedience.evaluate(16.0, 10.0, True, 310.0)
    obedience.evaluate(10.0, 10.0, True, 320.0)
    obedience.evaluate(10.0, 10.0, True, 379.9)
    assert obedience.withdrawn, 'the next minute is counted by itself'


# --- requests -------------------------------------------------------------------------------------------


def made(spec: ConnectorSpec | None = None) -> EnergyConnector:
    return EnergyConnector(0, spec or connector('bay_1', max_current_a=32.0), 0.0)


def test_a_connector_that_has_not_reported_counts_with_all_that_it_can() -> None:
    each = made()
    assert each.silent(0.0)
    each.refresh(16.4)
    assert each.count == (32.0, 32.0, 32.0)
    assert (each.granted_a, each.granted_phases) == (0.0, 0)
    each.refresh(16.5)
    assert each.count == (0.0, 0.0, 0.0)


def test_a_connector_on_two_phases_counts_on_those() -> None:
    each = made(connector('bay_1', phases=(0, 1), failsafe_current_a=6.0))
    each.refresh(0.0)
    assert each.count == (32.0, 32.0, 0.0)
    each.refresh(16.5)
    assert each.count == (6.0, 6.0, 0.0)


@pytest.mark.parametrize(('now', 'is_silent'), [(103.0, False), (103.1, True)])
def test_a_connector_is_silent_after_three_seconds(now: float, is_silent: bool) -> None:
    each = made()
    each.hear(Demand(stamp=Time(1)), 100.0, ME)
    assert each.silent(now) is is_silent


def test_an_older_request_is_ignored_while_newer_ones_come() -> None:
    each = made()
    assert each.hear(Demand(stamp=Time(5), wants_a=16.0), 100.0, ME), 'the first one'
    assert not each.hear(Demand(stamp=Time(4), wants_a=10.0), 101.0, ME)
    assert each.demand == Demand(stamp=Time(5), wants_a=16.0)
    assert not each.hear(Demand(stamp=Time(5), wants_a=16.0), 102.0, ME), 'the same again'
    assert not each.silent(105.0)
    assert each.hear(Demand(stamp=Time(4), wants_a=10.0), 105.1, ME), 'its clock was set back'
    assert each.demand == Demand(stamp=Time(4), wants_a=10.0)


WISH = Demand(wants_a=16.0, contactor=CLOSED)


@pytest.mark.parametrize(
    ('changed', 'asks_for_else'),
    [
        (replace(WISH, stamp=Time(2)), False),
        (replace(WISH, draw_a=(1.0, 1.0, 1.0)), False),
        (replace(WISH, grant_stamp=Time(1), granted_a=6.0, grant_manager_id=ME, granted_phases=1), False),
        (replace(WISH, wants_a=15.0), True),
        (replace(WISH, minimum_a=8.0), True),
        (replace(WISH, most_phases=1), True),
        (replace(WISH, fewest_phases=3), True),
        (replace(WISH, switches_phases=True), True),
        (replace(WISH, priority=1), True),
        (replace(WISH, energy_wh=1.0), True),
        (replace(WISH, leaves=Time(1)), True),
        (replace(WISH, contactor=ContactorState.OPEN), True),
    ],
)
def test_a_plan_depends_on_what_is_asked_and_not_on_what_is_measured(
    changed: Demand, asks_for_else: bool
) -> None:
    each = made()
    each.hear(WISH, 100.0, ME)
    assert each.hear(changed, 101.0, ME) is asks_for_else


def test_a_request_ends_the_refusal_of_the_one_before() -> None:
    each = made()
    each.refused = 'uuid is wrong.'
    each.hear(WISH, 100.0, ME)
    assert each.refused == ''


SWITCHES = Demand(switches_phases=True, fewest_phases=1, most_phases=3)


@pytest.mark.parametrize(
    ('demand', 'phases', 'switches'),
    [
        (SWITCHES, (0, 1, 2), True),
        (replace(SWITCHES, fewest_phases=0), (0, 1, 2), True),
        (replace(SWITCHES, fewest_phases=2), (0, 1, 2), False),
        (replace(SWITCHES, most_phases=2), (0, 1, 2), False),
        (replace(SWITCHES, switches_phases=False), (0, 1, 2), False),
        (SWITCHES, (0, 1), False),
        (None, (0, 1, 2), False),
    ],
)
def test_phases_are_chosen_where_the_hardware_has_one_and_three(
    demand: Demand | None, phases: tuple[int, ...], switches: bool
) -> None:
    each = made(connector('bay_1', phases=phases))
    each.demand = demand
    assert each.switches_phases is switches


@pytest.mark.parametrize(
    ('mask', 'connected', 'used'),
    [
        (0b111, 3, (0, 1, 2)),
        (0b111, 1, (0,)),
        (0b101, 3, (0, 2)),
        (0b101, 2, (0,)),
        (0b100, 2, (0, 1)),
        (0b010, 3, (1,)),
        (0b111, 0, ()),
    ],
)
def test_a_car_uses_those_connected_phases_on_which_it_draws(
    mask: int, connected: int, used: tuple[int, ...]
) -> None:
    each = made()
    each.usage.phases = mask
    assert each.used_phases(connected) == used


def test_no_more_phases_are_used_than_the_connector_has() -> None:
    assert made(connector('bay_1', phases=(0, 1))).used_phases(3) == (0, 1)


# --- what counts ----------------------------------------------------------------------------------------


def granted(*levels: tuple[float, int]) -> EnergyConnector:
    """Return a connector that was granted levels of current and phases at 100 s, and nothing before."""
    each = made()
    each.refresh(50.0)
    for place, (current_a, phases) in enumerate(levels):
        each.ledger.grant(current_a, phases, Time(10 + place), 100.0)
    return each


def test_each_phase_counts_with_the_highest_grant_that_uses_it() -> None:
    each = granted((10.0, 3), (16.0, 1))
    each.refresh(100.0)
    assert each.count == (16.0, 10.0, 10.0)
    assert (each.granted_a, each.granted_phases) == (16.0, 1)


@pytest.mark.parametrize(
    ('draw_a', 'now', 'count', 'overdraws'),
    [
        ((10.7, 0.0, 0.0), 103.0, (10.0, 10.0, 10.0), False),
        ((10.8, 0.0, 0.0), 103.0, (10.8, 10.0, 10.0), True),
        ((0.0, 0.0, 11.0), 103.0, (10.0, 10.0, 11.0), True),
        ((16.0, 16.0, 16.0), 103.1, (10.0, 10.0, 10.0), False),
        (None, 103.0, (10.0, 10.0, 10.0), False),
    ],
    ids=['tolerated', 'too much', 'too much on L3', 'silent since', 'unknown'],
)
def test_a_car_that_draws_too_much_counts_with_its_draw_while_it_reports(
    draw_a: tuple[float, float, float] | None, now: float, count: tuple[float, ...], overdraws: bool
) -> None:
    each = granted((10.0, 3))
    each.hear(Demand(contactor=CLOSED, wants_a=32.0, draw_a=draw_a, grant_stamp=Time(10),
                     grant_manager_id=ME), 100.0, ME)  # fmt: skip
    each.refresh(now)
    assert (each.count, each.overdraws) == (count, overdraws)


def test_the_grant_of_another_energy_manager_counts_and_ends_nothing() -> None:
    each = granted((16.0, 3), (6.0, 3))
    foreign = Demand(contactor=CLOSED, wants_a=32.0, grant_stamp=Time(99), grant_manager_id='other',
                     granted_a=20.0, granted_phases=1)  # fmt: skip
    each.hear(foreign, 101.0, ME)
    each.refresh(110.0)
    assert each.count == (20.0, 16.0, 16.0)


def test_the_acknowledgement_of_an_own_grant_ends_those_before() -> None:
    each = granted((16.0, 3), (6.0, 3))
    own = Demand(contactor=CLOSED, wants_a=32.0, grant_stamp=Time(11), grant_manager_id=ME)
    each.hear(own, 101.0, ME)
    each.refresh(105.9)
    assert each.count == (16.0, 16.0, 16.0)
    each.refresh(106.0)
    assert each.count == (6.0, 6.0, 6.0)


@pytest.mark.parametrize(
    ('levels', 'demand', 'frozen'),
    [
        (((16.0, 3),), Demand(), True),
        ((), Demand(), False),
        ((), Demand(grant_stamp=Time(5), grant_manager_id='other'), True),
        ((), Demand(grant_stamp=Time(5), grant_manager_id=ME), False),
    ],
    ids=['with a grant', 'without one', 'with a grant of another', 'with an own one that is not known'],
)
def test_with_an_unknown_contactor_grants_do_not_end(
    levels: tuple[tuple[float, int], ...], demand: Demand, frozen: bool
) -> None:
    each = granted(*levels)
    each.hear(replace(demand, contactor=ContactorState.UNKNOWN), 101.0, ME)
    assert each.frozen is frozen
    each.hear(replace(demand, contactor=ContactorState.UNKNOWN, grant_stamp=None), 102.0, ME)
    assert each.frozen is frozen, 'it stays so'
    each.hear(replace(demand, contactor=ContactorState.OPEN), 103.0, ME)
    assert not each.frozen


def test_a_car_that_wants_nothing_leaves_its_turn_and_its_phases() -> None:
    each = made()
    each.hear(replace(WISH, stamp=Time(1)), 100.0, ME)
    assert each.turn.arrived == 100.0
    each.hear(replace(WISH, stamp=Time(2)), 101.0, ME)
    assert each.turn.arrived == 100.0, 'it keeps its place'
    each.choice.count = 1
    each.hear(replace(WISH, stamp=Time(3), wants_a=0.0), 102.0, ME)
    assert (each.turn.arrived, each.choice.count) == (math.inf, 0)


def test_use_of_a_grant_is_observed_once_it_is_in_force() -> None:
    each = granted((20.0, 3))
    low = Demand(contactor=CLOSED, wants_a=32.0, draw_a=(8.0, 8.0, 8.0), grant_manager_id=ME)
    for at, stamp in ((100.0, Time(9)), (114.0, Time(10)), (120.0, Time(10))):
        each.hear(replace(low, grant_stamp=stamp), at, ME)
    assert each.usage.most_a == math.inf, 'observed for 6 s'
    each.hear(replace(low, grant_stamp=Time(10)), 129.0, ME)
    assert each.usage.most_a == pytest.approx(9.0 / 0.85 + 0.3)


def test_what_is_known_of_a_car_is_forgotten_when_its_grant_has_ended() -> None:
    each = granted((20.0, 3), (0.0, 3))
    each.usage.most_a = 8.0
    idle = Demand(contactor=ContactorState.OPEN, grant_manager_id=ME)
    each.hear(replace(idle, grant_stamp=Time(10)), 101.0, ME)
    assert each.usage.most_a == 8.0, 'the grant before counts still'
    each.hear(replace(idle, grant_stamp=Time(11)), 102.0, ME)
    each.refresh(102.0)
    each.hear(replace(idle, grant_stamp=Time(11)), 103.0, ME)
    assert each.usage.most_a == math.inf
