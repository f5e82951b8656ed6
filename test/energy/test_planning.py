"""The plan of a site: who takes part, in which order, with how much, on how many phases, and why."""

import pytest

from energy.virtual_site import VirtualSite, connector, site, wall
from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.energy.planning import Target
from evse_manager.energy.tree import MeterSpec
from evse_manager.energy.turns import TurnTimes
from evse_manager.interface.enums import GrantReason
from evse_manager.interface.types import SECOND_NS, Current, Powermeter, Time


def one(limit_a: float = 63.0, **keys: object) -> VirtualSite:
    """Return a site with one car that wants 32 A."""
    world = VirtualSite(site(limit_a, connector('bay_1', **keys)))
    world['bay_1'].wants_a = 32.0
    return world


def own_limit(world: VirtualSite, step: LimitStep, node: str = 'bay_1') -> None:
    assert world.manager.set_limit(RunTimeLimit(node, 'operator', steps=(step,)), wall(world.now)) == ''


def target(world: VirtualSite, index: int = 0) -> Target:
    return world.manager.plan.targets[index]


def house_load(world: VirtualSite, current_a: float) -> None:
    def report(now: float) -> None:
        measured = Current(l1=current_a, l2=current_a, l3=current_a)
        world.manager.meter('grid', Powermeter(timestamp=wall(now), current_a=measured), now)

    world.before_step = report


# --- how much -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('step', 'granted_a', 'reason', 'binding'),
    [
        (LimitStep(limit_a=8.0), 8.0, GrantReason.LIMITED, 'bay_1'),
        (LimitStep(limit_w=6900.0), 10.0, GrantReason.LIMITED, 'bay_1'),
        (LimitStep(limit_a=8.0, limit_w=6900.0), 8.0, GrantReason.LIMITED, 'bay_1'),
        (LimitStep(limit_a=12.0, limit_w=6900.0), 10.0, GrantReason.LIMITED, 'bay_1'),
        (LimitStep(limit_a=32.0), 32.0, GrantReason.LIMITED, 'bay_1'),
        (LimitStep(limit_a=33.0), 32.0, GrantReason.FULL, ''),
        (LimitStep(limit_a=6.0), 6.0, GrantReason.LIMITED, 'bay_1'),
        (LimitStep(limit_w=4140.0), 6.0, GrantReason.LIMITED, 'bay_1'),
        (LimitStep(limit_a=5.9), 0.0, GrantReason.BELOW_MINIMUM, 'bay_1'),
        (LimitStep(limit_w=4139.0), 0.0, GrantReason.BELOW_MINIMUM, 'bay_1'),
    ],
)
def test_a_limit_at_the_connector_itself(
    step: LimitStep, granted_a: float, reason: GrantReason, binding: str
) -> None:
    world = one()
    own_limit(world, step)
    world.run(10.0)
    assert world.granted_a() == {'bay_1': granted_a}
    assert (target(world).reason, world.manager.binding_node(0)) == (reason, binding)


def test_on_one_phase_a_limit_in_watts_gives_three_times_the_current() -> None:
    world = one(phases=(1,))
    own_limit(world, LimitStep(limit_w=2300.0))
    world.run(10.0)
    assert world.granted_a() == {'bay_1': 10.0}
    assert world.manager.binding_node(0) == 'bay_1'


@pytest.mark.parametrize(
    ('limit_a', 'granted_a'), [(20.0, 20.0), (20.16, 20.1), (20.2, 20.2), (20.0999, 20.0), (6.05, 6.0)]
)
def test_a_grant_is_rounded_down_to_tenths(limit_a: float, granted_a: float) -> None:
    world = one(limit_a)
    world.run(10.0)
    assert world.granted_a()['bay_1'] == pytest.approx(granted_a, abs=1e-9)
    assert (target(world).reason, world.manager.binding_node(0)) == (GrantReason.LIMITED, 'grid')


def test_a_minimum_is_not_rounded() -> None:
    world = one(6.57)
    world['bay_1'].minimum_a = 6.57
    world.run(10.0)
    assert world.granted_a() == {'bay_1': 6.57}


@pytest.mark.parametrize(
    ('house_a', 'granted_a', 'reason'),
    [
        (29.9, 10.1, GrantReason.LIMITED),
        (30.0, 10.0, GrantReason.LIMITED),
        (30.5, 0.0, GrantReason.MINIMUM_DOES_NOT_FIT),
    ],
)
def test_a_failsafe_current_is_the_least_that_is_granted(
    house_a: float, granted_a: float, reason: GrantReason
) -> None:
    """Without a grant it flows in any case."""
    tree = site(
        40.0, connector('bay_1', failsafe_current_a=10.0), meter=MeterSpec('/meter'), safe_limit_a=40.0
    )
    world = VirtualSite(tree)
    world['bay_1'].wants_a = 32.0
    house_load(world, house_a)
    world.run(30.0)
    assert world.granted_a()['bay_1'] == pytest.approx(granted_a, abs=1e-9)
    assert (target(world).reason, target(world).minimum_a) == (reason, 10.0)


def test_a_failsafe_current_counts_on_the_phases_of_the_connector() -> None:
    world = VirtualSite(
        site(
            32.0,
            connector('bay_1', failsafe_current_a=8.0, phases=(2,)),
            connector('bay_2', phases=(0,)),
            connector('bay_3', phases=(2,)),
        )
    )
    world['bay_2'].wants_a = world['bay_3'].wants_a = 32.0
    world.run(20.0)
    assert world.granted_a() == {'bay_1': 0.0, 'bay_2': 32.0, 'bay_3': 24.0}


def test_a_failsafe_current_counts_in_watts() -> None:
    world = VirtualSite(
        site(63.0, connector('bay_1', failsafe_current_a=8.0), connector('bay_2'), limit_w=13_800.0)
    )
    world['bay_2'].wants_a = 32.0
    world.run(20.0)
    assert world.granted_a()['bay_2'] == 12.0


# --- who first ------------------------------------------------------------------------------------------


def waiting_three(limit_a: float = 12.0, *, priorities: tuple[int, int, int] = (0, 0, 0)) -> VirtualSite:
    bays = (connector(f'bay_{place}', priority=each) for place, each in enumerate(priorities))
    return VirtualSite(site(limit_a, *bays), turns=TurnTimes(60.0, 5.0))


def test_the_priorities_of_site_and_request_are_added() -> None:
    world = waiting_three(priorities=(1, 3, 0))
    for place, priority in enumerate((3, 0, 5)):
        world[f'bay_{place}'].wants_a, world[f'bay_{place}'].priority = 32.0, priority
    world.run(5.0)
    assert world.manager.plan.order == [2, 0, 1]
    assert world.granted_a() == {'bay_0': 6.0, 'bay_1': 0.0, 'bay_2': 6.0}
    assert target(world, 1).reason is GrantReason.TURN_OF_OTHERS


def test_of_one_priority_the_urgent_car_is_first_and_then_the_one_that_came_first() -> None:
    world = waiting_three()
    for place in (2, 0, 1):
        world[f'bay_{place}'].wants_a = 32.0
        if place == 1:
            world['bay_1'].energy_wh = 20_000.0
            world['bay_1'].leaves = Time(wall(world.now) + 3600 * SECOND_NS)
        world.run(0.5)
        if place == 2:
            world.run(1.0)
    world.run(1.0)
    assert world.manager.plan.order[0] == 1
    assert world.manager.plan.order[1] == 2


@pytest.mark.parametrize(('energy_wh', 'is_first'), [(4140.0, True), (4000.0, False), (None, False)])
def test_a_car_is_urgent_when_its_minimum_just_reaches_its_target(
    energy_wh: float | None, is_first: bool
) -> None:
    """Within an hour 6 A on three phases of 230 V are 4140 Wh; a second later it needs more."""
    world = waiting_three()
    world['bay_0'].wants_a = 32.0
    world.run(0.5)
    world['bay_1'].wants_a, world['bay_1'].energy_wh = 32.0, energy_wh
    world['bay_1'].leaves = Time(wall(world.now) + 3600 * SECOND_NS)
    world.run(2.0)
    assert (world.manager.plan.order[0] == 1) is is_first


def test_a_car_that_lost_its_turn_pauses() -> None:
    world = VirtualSite(
        site(6.0, connector('bay_0'), connector('bay_1', priority=1)), turns=TurnTimes(60.0, 30.0)
    )
    world['bay_0'].wants_a = 32.0
    world.run(10.0)
    assert world.granted_a() == {'bay_0': 6.0, 'bay_1': 0.0}
    world['bay_1'].wants_a = 32.0
    stopped = world.run_until(lambda: world.granted_a()['bay_0'] == 0.0, 3.0)
    assert stopped <= 1.0
    world.run(10.0)
    world['bay_1'].wants_a = 0.0
    world.run(2.0)
    assert target(world, 0).reason is GrantReason.MINIMUM_PAUSE
    back = world.run_until(lambda: world.granted_a()['bay_0'] == 6.0, 30.0)
    assert back == pytest.approx(18.0, abs=1.0)


@pytest.mark.parametrize(
    ('says', 'known', 'reason', 'keep'),
    [
        (False, True, GrantReason.SILENT, True),
        (True, False, GrantReason.CONTACTOR_UNKNOWN, False),
        (True, True, GrantReason.LIMITED, False),
    ],
)
def test_who_does_not_take_part_has_a_reason(
    says: bool, known: bool, reason: GrantReason, keep: bool
) -> None:
    world = one(20.0)
    world.run(10.0)
    world['bay_1'].says, world['bay_1'].contactor_known = says, known
    world.run(4.0)
    assert (target(world).reason, target(world).keep) == (reason, keep)
    assert world.manager.plan.order == ([0] if reason is GrantReason.LIMITED else [])


# --- phases ---------------------------------------------------------------------------------------------


def switching(limit_w: float, *, wants_a: float = 32.0, **keys: object) -> VirtualSite:
    world = VirtualSite(site(63.0, connector('bay_1'), limit_w=limit_w), **keys)  # type: ignore[arg-type]
    world['bay_1'].switches_phases = True
    world['bay_1'].wants_a = wants_a
    return world


@pytest.mark.parametrize(
    ('limit_w', 'limit'), [(4140.0, (6.0, 3)), (4139.0, (17.9, 1)), (1380.0, (6.0, 1)), (1379.0, (0.0, 3))]
)
def test_one_phase_is_used_where_the_minimum_does_not_fit_on_three(
    limit_w: float, limit: tuple[float, int]
) -> None:
    world = switching(limit_w)
    world.run(10.0)
    assert world['bay_1'].limit() == (pytest.approx(limit[0]), limit[1])
