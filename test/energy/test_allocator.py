"""The rules of the allocation, one example each, on a site in lock-step."""

import math
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from energy.virtual_site import EPOCH, FOLLOW_S, SECOND, VirtualSite, connector, fuse, site, wall
from evse_manager.energy.allocator import ConnectorGrant
from evse_manager.energy.demand import Demand
from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.energy.report import site_status
from evse_manager.energy.tree import MeteredQuantity, MeterSpec, ScheduleStep
from evse_manager.energy.turns import TurnTimes
from evse_manager.interface.enums import GrantReason, LimitOrigin
from evse_manager.interface.types import Current, Power, Powermeter, SiteConnectorStatus, SiteNodeStatus, Time

OVER_S = 16.5
"""Validity of a grant, and the time that power may outlast it."""


def charge(world: VirtualSite, *names: str, wants_a: float = 32.0) -> None:
    for name in names:
        world[name].wants_a = wants_a


def connector_status(world: VirtualSite, name: str) -> SiteConnectorStatus:
    status = site_status(world.manager, world.now, wall(world.now))
    return next(each for each in status.connectors if each.name == name)


def node_status(world: VirtualSite, name: str = 'grid') -> SiteNodeStatus:
    status = site_status(world.manager, world.now, wall(world.now))
    return next(each for each in status.nodes if each.name == name)


def warnings(world: VirtualSite) -> tuple[str, ...]:
    return site_status(world.manager, world.now, wall(world.now)).warnings


def two_on(limit_a: float, **keys: object) -> VirtualSite:
    return VirtualSite(site(limit_a, connector('bay_1'), connector('bay_2')), **keys)  # type: ignore[arg-type]


# --- sharing ------------------------------------------------------------------------------------------


def test_two_cars_share_equally() -> None:
    world = two_on(40.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    assert world.granted_a() == {'bay_1': 20.0, 'bay_2': 20.0}
    status = connector_status(world, 'bay_1')
    assert (status.reason, status.binding_node) == (GrantReason.LIMITED, 'grid')


def test_a_share_follows_the_weight() -> None:
    world = VirtualSite(site(30.0, connector('bay_1', weight=2.0), connector('bay_2')))
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    assert world.granted_a() == {'bay_1': 20.0, 'bay_2': 10.0}


def test_the_share_of_a_car_that_leaves_is_given_to_the_others_once_it_has_ended() -> None:
    world = two_on(40.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    world['bay_1'].wants_a = 0.0
    world['bay_1'].draws = False
    world.run(3.0)
    assert world.granted_a() == {'bay_1': 0.0, 'bay_2': 32.0}
    assert connector_status(world, 'bay_2').reason is GrantReason.FULL


def test_a_reduction_is_followed_before_another_car_gets_more() -> None:
    world = two_on(32.0)
    charge(world, 'bay_1')
    world.run(20.0)
    assert world.granted_a()['bay_1'] == 32.0
    charge(world, 'bay_2')
    reduced = world.run_until(lambda: world.granted_a()['bay_1'] == 16.0, 3.0)
    assert world.granted_a()['bay_2'] == 0.0
    assert connector_status(world, 'bay_2').reason is GrantReason.REDUCTIONS_PENDING
    raised = world.run_until(lambda: world.granted_a()['bay_2'] == 16.0, 10.0)
    assert reduced <= 1.5
    assert FOLLOW_S <= raised <= FOLLOW_S + 2.0


def test_a_car_that_uses_less_returns_the_difference_and_gets_it_back_when_it_uses_more() -> None:
    world = two_on(40.0)
    charge(world, 'bay_1', 'bay_2')
    world['bay_1'].car_a = 8.0
    world.run(60.0)
    assert 8.0 < world.granted_a()['bay_1'] < 12.0
    assert world.granted_a()['bay_2'] == pytest.approx(40.0 - world.granted_a()['bay_1'], abs=0.11)
    world['bay_1'].car_a = math.inf
    world.run(60.0)
    assert world.granted_a() == {'bay_1': 20.0, 'bay_2': 20.0}


def test_single_phase_cars_count_on_the_phase_that_they_use() -> None:
    """Three cars on one phase each, rotated: each has the whole phase to itself."""
    world = VirtualSite(
        site(
            32.0,
            connector('bay_1', phases=(0, 1, 2)),
            connector('bay_2', phases=(1, 2, 0)),
            connector('bay_3', phases=(2, 0, 1)),
        )
    )
    for each in world.connectors:
        each.car_phases, each.wants_a = 1, 32.0
    world.run(120.0)
    assert world.granted_a() == {'bay_1': 32.0, 'bay_2': 32.0, 'bay_3': 32.0}


def test_a_limit_in_watts_counts_all_phases() -> None:
    world = VirtualSite(site(63.0, connector('bay_1'), limit_w=11040.0))
    charge(world, 'bay_1')
    world.run(10.0)
    assert world.granted_a() == {'bay_1': 16.0}


def test_the_nearest_full_node_is_named() -> None:
    world = VirtualSite(
        site(
            63.0,
            connector('bay_1', 'row_a'),
            connector('bay_2', 'row_b'),
            feeders=[fuse('row_a', 'grid', 16.0), fuse('row_b', 'grid', 40.0)],
        )
    )
    charge(world, 'bay_1', 'bay_2')
    world.run(10.0)
    assert world.granted_a() == {'bay_1': 16.0, 'bay_2': 32.0}
    assert connector_status(world, 'bay_1').binding_node == 'row_a'
    assert connector_status(world, 'bay_2').binding_node == ''


def test_the_most_urgent_departure_is_served_first() -> None:
    """A car that needs 11.04 kWh within the hour has 16 A on three phases; the other the rest."""
    world = two_on(24.0)
    charge(world, 'bay_1', 'bay_2')
    world['bay_2'].energy_wh = 11040.0
    world['bay_2'].leaves = Time(EPOCH + 3600 * SECOND + round(world.now) * SECOND)
    world.run(20.0)
    assert world.granted_a()['bay_2'] == pytest.approx(16.1, abs=0.11)
    assert world.granted_a()['bay_1'] == pytest.approx(7.9, abs=0.11)


# --- not all minima fit -------------------------------------------------------------------------------


def test_the_higher_priority_is_served_when_not_all_minima_fit() -> None:
    world = VirtualSite(site(10.0, connector('bay_1'), connector('bay_2', priority=5)))
    charge(world, 'bay_1')
    world.run(10.0)
    charge(world, 'bay_2')
    world.run(70.0)
    assert world.granted_a() == {'bay_1': 0.0, 'bay_2': 10.0}
    assert connector_status(world, 'bay_1').reason is GrantReason.TURN_OF_OTHERS
    assert node_status(world).waiting == ('bay_1',)


def test_cars_take_turns_after_the_minimum_on_time() -> None:
    world = VirtualSite(site(10.0, *(connector(f'bay_{i}') for i in range(3))), turns=TurnTimes(60.0, 5.0))
    charge(world, 'bay_0', 'bay_1', 'bay_2')
    served = dict.fromkeys(world.granted_a(), 0.0)
    stretches: list[float] = []
    begun = dict.fromkeys(served, math.nan)

    def note() -> None:
        for name, current in world.granted_a().items():
            served[name] += current
            if current > 0.0 and math.isnan(begun[name]):
                begun[name] = world.now
            if current == 0.0 and not math.isnan(begun[name]):
                stretches.append(world.now - begun[name])
                begun[name] = math.nan

    world.run(1200.0, note)
    assert len(stretches) >= 15
    assert min(stretches) >= 60.0
    assert max(served.values()) < 1.2 * min(served.values())


def test_a_car_with_a_higher_minimum_gets_its_turn_too() -> None:
    """Cars of 6 A come and go so that never more than 4 A would be free by chance."""
    world = VirtualSite(site(12.0, *(connector(f'bay_{i}') for i in range(3))), turns=TurnTimes(30.0, 5.0))
    charge(world, 'bay_0')
    world.run(15.0)
    charge(world, 'bay_1', 'bay_2')
    world['bay_2'].minimum_a = 12.0
    world.run_until(lambda: world.granted_a()['bay_2'] == 12.0, 150.0)


def test_a_minimum_that_can_never_fit_is_named() -> None:
    world = VirtualSite(site(5.0, connector('bay_1')))
    charge(world, 'bay_1')
    world.run(10.0)
    status = connector_status(world, 'bay_1')
    assert (status.reason, status.binding_node) == (GrantReason.MINIMUM_DOES_NOT_FIT, 'grid')
    assert status.reason_text == 'It waits: its minimum of 6.0 A does not fit into grid (L1).'


# --- what counts --------------------------------------------------------------------------------------


def test_a_silent_connector_counts_with_its_last_grant_then_with_its_failsafe_current() -> None:
    tree = site(32.0, connector('bay_1', failsafe_current_a=6.0), connector('bay_2'))
    world = VirtualSite(tree)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    assert world.granted_a() == {'bay_1': 16.0, 'bay_2': 16.0}
    world['bay_1'].says = world['bay_1'].hears = False
    silent = world.run_until(lambda: world.granted_a()['bay_2'] > 16.0, 30.0)
    assert OVER_S <= silent <= OVER_S + 2.0
    world.run(10.0)
    assert world.granted_a()['bay_2'] == 26.0
    assert connector_status(world, 'bay_1').reason is GrantReason.SILENT
    assert node_status(world).reserve_a == Current(l1=6.0, l2=6.0, l3=6.0)


def test_a_connector_whose_contactor_is_unknown_counts_with_its_last_grant() -> None:
    world = two_on(32.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    world['bay_1'].contactor_known, world['bay_1'].wants_a = False, 0.0
    world.run(120.0)
    assert world.granted_a() == {'bay_1': 0.0, 'bay_2': 16.0}
    assert connector_status(world, 'bay_1').reason is GrantReason.CONTACTOR_UNKNOWN
    world['bay_1'].contactor_known = True
    world.run(10.0)
    assert world.granted_a()['bay_2'] == 32.0


def test_a_connector_that_draws_too_much_counts_with_what_it_draws() -> None:
    world = two_on(32.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    world['bay_1'].fixed_draw_a = 22.0
    world.run(10.0)
    assert world.granted_a()['bay_2'] == 10.0
    assert any(each.startswith('bay_1: It draws 22.0 A but may draw 16.0 A') for each in warnings(world))
    world['bay_1'].fixed_draw_a = None
    world.run(20.0)
    assert world.granted_a() == {'bay_1': 16.0, 'bay_2': 16.0}


def test_a_connector_that_does_not_follow_a_reduction_loses_its_grant() -> None:
    world = two_on(40.0)
    charge(world, 'bay_1')
    world.run(20.0)
    world['bay_1'].fixed_draw_a = 32.0
    charge(world, 'bay_2')
    withdrawn = world.run_until(
        lambda: connector_status(world, 'bay_1').reason is GrantReason.NOT_FOLLOWING, 15.0
    )
    assert 10.0 <= withdrawn <= 12.0
    world.tick()
    assert world.granted_a()['bay_1'] == 0.0
    world['bay_1'].fixed_draw_a = None
    world.run(75.0)
    assert world.granted_a() == {'bay_1': 20.0, 'bay_2': 20.0}


def test_after_a_restart_grants_are_renewed_and_nothing_rises_until_all_have_reported() -> None:
    world = VirtualSite(site(40.0, *(connector(f'bay_{i}') for i in range(3))))
    charge(world, 'bay_0', 'bay_1')
    world.run(30.0)
    world['bay_2'].says = False
    world.run(20.0)
    world.start_manager()
    charge(world, 'bay_0', wants_a=10.0)
    world.run(8.0)
    assert world.granted_a() == {'bay_0': 10.0, 'bay_1': 20.0, 'bay_2': 0.0}
    assert connector_status(world, 'bay_1').reason is GrantReason.STARTING
    world['bay_2'].says = True
    world.run(7.0)
    assert world.granted_a()['bay_1'] == 30.0


def test_an_energy_manager_that_returns_does_not_interrupt_a_car_on_its_failsafe_current() -> None:
    world = VirtualSite(site(40.0, *(connector(f'bay_{i}', failsafe_current_a=8.0) for i in range(3))))
    charge(world, 'bay_0', 'bay_1')
    world.run(30.0)
    world.stop_manager()
    world.run(30.0)
    assert world['bay_0'].limit()[0] == 8.0
    world['bay_2'].says = False
    world.start_manager()

    def goes_on() -> None:
        assert min(each.limit()[0] for each in world.connectors[:2]) >= 8.0
        assert max(world.possible_by_fuse()['grid']) <= 40.0

    world.run(9.0, goes_on)
    assert world.granted_a()['bay_0'] == 8.0
    assert connector_status(world, 'bay_0').reason is GrantReason.STARTING
    world.run(60.0, goes_on)
    assert world.granted_a() == {'bay_0': 16.0, 'bay_1': 16.0, 'bay_2': 0.0}


def test_an_energy_manager_that_returns_obeys_a_limit_below_the_failsafe_current_at_once() -> None:
    world = VirtualSite(site(40.0, *(connector(f'bay_{i}', failsafe_current_a=8.0) for i in range(2))))
    charge(world, 'bay_0', 'bay_1')
    world.run(30.0)
    world.stop_manager()
    world.run(30.0)
    world.start_manager([RunTimeLimit('grid', 'operator', steps=(LimitStep(limit_a=0.0),))])
    world.run(2.0)
    assert [each.limit()[0] for each in world.connectors] == [0.0, 0.0]


def test_charging_goes_on_through_a_restart_of_the_energy_manager() -> None:
    world = two_on(32.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    world.stop_manager()
    world.run(5.0)
    world.start_manager()

    def charging() -> None:
        assert [each.limit()[0] for each in world.connectors] == [16.0, 16.0]

    world.run(30.0, charging)


def test_without_the_energy_manager_every_grant_ends() -> None:
    world = two_on(32.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    world.stop_manager()
    world.run(OVER_S)
    assert world.possible_by_fuse()['grid'] == (0.0, 0.0, 0.0)
    world.start_manager()
    world.run(20.0)
    assert world.granted_a() == {'bay_1': 16.0, 'bay_2': 16.0}


@pytest.mark.parametrize('ahead_s', [86_400.0, 1e9], ids=['a day', 'beyond reason'])
def test_one_whose_clock_is_behind_the_former_ones_is_followed(ahead_s: float) -> None:
    """The grants of the former one carry later stamps; those of the next one must not be taken for older."""
    world = two_on(32.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(20.0)
    stamp = Time(wall(world.now) + round(ahead_s * SECOND))
    foreign = ConnectorGrant(0, '/site/bay_1', 16.0, 3, stamp, world['bay_1'].wall(world.now), True, '')
    world['bay_1'].receive(foreign, 'other', world.now)
    world.run(15.0)
    assert world['bay_1'].grant is not None
    assert (world['bay_1'].grant.manager_id, world['bay_1'].limit()) == ('manager 1', (16.0, 3))


# --- phases -------------------------------------------------------------------------------------------


def test_a_car_charges_on_one_phase_where_three_do_not_fit() -> None:
    world = VirtualSite(site(63.0, connector('bay_1'), limit_w=3000.0), phase_switch_s=300.0)
    world['bay_1'].switches_phases = True
    charge(world, 'bay_1')
    world.run(10.0)
    assert (world['bay_1'].limit(), connector_status(world, 'bay_1').granted_phases) == ((13.0, 1), 1)


def test_phases_are_changed_only_after_the_minimum_time() -> None:
    world = VirtualSite(site(63.0, connector('bay_1'), limit_w=20000.0), phase_switch_s=300.0)
    world['bay_1'].switches_phases = True
    charge(world, 'bay_1')
    world.run(20.0)
    assert world['bay_1'].limit()[1] == 3
    limit = RunTimeLimit('grid', 'operator', steps=(LimitStep(limit_w=3000.0),))
    world.manager.set_limit(limit, wall(world.now))
    to_one = world.run_until(lambda: world['bay_1'].limit() == (13.0, 1), 20.0)
    world.manager.set_limit(replace(limit, steps=()), wall(world.now))
    to_three = world.run_until(lambda: world['bay_1'].limit()[1] == 3, 400.0)
    assert to_one <= 2.0
    assert 295.0 <= to_three <= 310.0


def test_a_lower_limit_is_kept_by_one_phase_though_its_current_is_higher() -> None:
    world = VirtualSite(site(63.0, connector('bay_1'), limit_w=4200.0))
    world['bay_1'].switches_phases = True
    charge(world, 'bay_1')
    world.run(20.0)
    assert world['bay_1'].limit() == (6.0, 3)
    world.manager.set_limit(
        RunTimeLimit('grid', 'operator', steps=(LimitStep(limit_w=3000.0),)), wall(world.now)
    )
    world.run(2.0)
    assert world['bay_1'].limit() == (6.0, 1)
    world.run(10.0)
    assert world['bay_1'].limit() == (13.0, 1)


def test_a_connector_that_cannot_change_its_phases_waits() -> None:
    world = VirtualSite(site(63.0, connector('bay_1'), limit_w=3000.0))
    charge(world, 'bay_1')
    world.run(20.0)
    assert world.granted_a() == {'bay_1': 0.0}


# --- house load, limits over time ---------------------------------------------------------------------


def sample(current_a: float, steady: float) -> Powermeter:
    return Powermeter(timestamp=wall(steady), current_a=Current(l1=current_a, l2=current_a, l3=current_a))


def metered(measures: MeteredQuantity = MeteredQuantity.HOUSE_LOAD) -> VirtualSite:
    meter = MeterSpec('/meter', 5.0, measures)
    return VirtualSite(site(40.0, connector('bay_1'), connector('bay_2'), meter=meter, safe_limit_a=20.0))


def test_the_house_load_is_subtracted_and_a_silent_meter_means_the_safe_limit() -> None:
    world = metered()
    charge(world, 'bay_1', 'bay_2')
    world.run(20.0)
    assert world.granted_a() == {'bay_1': 10.0, 'bay_2': 10.0}
    assert node_status(world).limit_a_origin is LimitOrigin.METER_SILENT
    world.before_step = lambda now: world.manager.meter('grid', sample(8.0, now), now) and None
    world.run(20.0)
    assert world.granted_a() == {'bay_1': 16.0, 'bay_2': 16.0}
    assert node_status(world).house_load_a == Current(l1=8.0, l2=8.0, l3=8.0)
    world.before_step = lambda _: None
    world.run(10.0)
    assert world.granted_a() == {'bay_1': 10.0, 'bay_2': 10.0}
    assert any(each.startswith('The meter of grid is silent') for each in warnings(world))


def test_a_meter_of_the_total_is_compared_with_the_connectors() -> None:
    world = metered(MeteredQuantity.TOTAL)
    charge(world, 'bay_1', 'bay_2')

    def total(now: float) -> None:
        drawn = sum(each.draw_a(now)[0] for each in world.connectors)
        world.manager.meter('grid', sample(drawn + 6.0, now), now)

    world.before_step = total
    world.run(60.0)
    assert world.granted_a() == {'bay_1': 17.0, 'bay_2': 17.0}


@pytest.mark.parametrize(
    'lie',
    [
        Powermeter(current_a=Current(l1=math.nan, l2=1.0, l3=1.0)),
        Powermeter(current_a=Current(l1=1e9, l2=1.0, l3=1.0)),
        Powermeter(current_a=Current(l1=1.0)),
        Powermeter(),
        Powermeter(timestamp=Time(EPOCH), current_a=Current(l1=1.0, l2=1.0, l3=1.0)),
    ],
    ids=['NaN', 'absurd', 'two phases missing', 'empty', 'always the same sample'],
)
def test_a_meter_that_lies_counts_as_silent(lie: Powermeter) -> None:
    world = metered()
    charge(world, 'bay_1', 'bay_2')
    world.before_step = lambda now: world.manager.meter('grid', lie, now) and None
    world.run(40.0)
    assert world.granted_a() == {'bay_1': 10.0, 'bay_2': 10.0}


def test_what_a_site_generates_does_not_raise_its_limit() -> None:
    world = metered()
    charge(world, 'bay_1', 'bay_2')

    def export(now: float) -> None:
        power = Power(l1=-3000.0, l2=-3000.0, l3=-3000.0)
        world.manager.meter('grid', replace(sample(13.0, now), power_w=power), now)

    world.before_step = export
    world.run(30.0)
    assert world.granted_a() == {'bay_1': 20.0, 'bay_2': 20.0}


def test_a_schedule_lowers_the_limit_at_its_time() -> None:
    steps = (ScheduleStep(0.0, 40.0), ScheduleStep(6 * 3600.0, 20.0))
    tree = replace(site(40.0, connector('bay_1'), schedule=steps), time_zone='Europe/Berlin')
    world = VirtualSite(tree)
    six = round(datetime(2026, 11, 27, 6, tzinfo=ZoneInfo('Europe/Berlin')).timestamp()) * SECOND
    world.manager.step(world.now, Time(six - 1))
    assert node_status(world).limit_a == 40.0
    world.manager.step(world.now, Time(six))
    assert (node_status(world).limit_a, node_status(world).limit_a_origin) == (20.0, LimitOrigin.SCHEDULE)


def test_a_limit_given_at_run_time_holds_until_it_expires() -> None:
    world = two_on(40.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    limit = RunTimeLimit(
        'grid', 'grid operator', steps=(LimitStep(limit_a=20.0),), expires=wall(world.now + 60.0)
    )
    assert world.manager.set_limit(limit, wall(world.now)) == ''
    reduced = world.run_until(lambda: world.granted_a() == {'bay_1': 10.0, 'bay_2': 10.0}, 5.0)
    assert reduced <= 1.0
    assert node_status(world).limit_a_source == 'grid operator'
    world.run(70.0)
    assert world.granted_a() == {'bay_1': 20.0, 'bay_2': 20.0}


def test_a_limit_at_a_connector_binds_that_connector() -> None:
    world = two_on(40.0)
    charge(world, 'bay_1', 'bay_2')
    world.manager.set_limit(
        RunTimeLimit('bay_1', 'operator', steps=(LimitStep(limit_a=8.0),)), wall(world.now)
    )
    world.run(30.0)
    assert world.granted_a() == {'bay_1': 8.0, 'bay_2': 32.0}
    assert connector_status(world, 'bay_1').binding_node == 'bay_1'
    world.manager.set_limit(
        RunTimeLimit('bay_1', 'operator', steps=(LimitStep(limit_a=5.0),)), wall(world.now)
    )
    world.run(70.0)
    assert connector_status(world, 'bay_1').reason is GrantReason.BELOW_MINIMUM


# --- bad input ----------------------------------------------------------------------------------------


def test_requests_of_strangers_are_ignored() -> None:
    world = two_on(40.0)
    assert world.manager.request('/elsewhere/bay_1', Demand(wants_a=32.0), world.now) == (
        '/elsewhere/bay_1 is no connector of the site site.'
    )


def test_a_refused_request_changes_nothing_and_is_named() -> None:
    world = two_on(40.0)
    charge(world, 'bay_1', 'bay_2')
    world.run(30.0)
    world.manager.request('/site/bay_1', 'ac_max_current_a is nan.', world.now)
    assert world.granted_a() == {'bay_1': 20.0, 'bay_2': 20.0}
    assert connector_status(world, 'bay_1').reason is GrantReason.REQUEST_REFUSED
    assert any('ac_max_current_a is nan.' in each for each in warnings(world))
