"""The status of a site: limits, loads, grants and warnings of each node, as it is published."""

import math

import pytest

from energy.virtual_site import VirtualSite, connector, fuse, site, wall
from evse_manager.energy.limits import LimitBound, LimitStep, RunTimeLimit
from evse_manager.energy.planning import OWN_LIMIT
from evse_manager.energy.report import site_status
from evse_manager.energy.sharing import NO_CONSTRAINT
from evse_manager.energy.tree import MeterSpec
from evse_manager.interface.enums import GrantReason, LimitOrigin
from evse_manager.interface.types import (
    Current,
    Powermeter,
    SiteConnectorStatus,
    SiteLimit,
    SiteNodeStatus,
    SiteStatus,
    Time,
)


def status(world: VirtualSite) -> SiteStatus:
    return site_status(world.manager, world.now, wall(world.now))


def reduced_for_another() -> VirtualSite:
    """Return a site on which bay_1 was reduced from 32 A to 16 A for bay_2 and follows it still."""
    world = VirtualSite(
        site(
            32.0,
            connector('bay_1', 'row', priority=2, failsafe_current_a=6.0),
            connector('bay_2', 'row'),
            feeders=[fuse('row', 'grid', 63.0)],
        )
    )
    world['bay_1'].wants_a = 32.0
    world.run(20.0)
    assert world.granted_a()['bay_1'] == 26.0 + 6.0
    world['bay_2'].wants_a = 20.0
    world.run_until(lambda: world.granted_a()['bay_1'] == 16.0, 3.0)
    return world


def test_the_status_of_a_connector_that_is_reduced_and_of_one_that_waits_for_it() -> None:
    world = reduced_for_another()
    world['bay_1'].priority = 3
    world.tick()
    world.tick()
    first, second = status(world).connectors
    assert first == SiteConnectorStatus(
        name='bay_1',
        uuid='/site/bay_1',
        parent='row',
        priority=5,
        wants_a=32.0,
        granted_a=16.0,
        granted_phases=3,
        counted_a=Current(l1=32.0, l2=32.0, l3=32.0),
        measured_a=Current(l1=32.0, l2=32.0, l3=32.0),
        binding_node='grid',
        reason=GrantReason.LIMITED,
        reason_text='It has 16.0 A; grid (L1) has no more.',
    )
    assert second == SiteConnectorStatus(
        name='bay_2',
        uuid='/site/bay_2',
        parent='row',
        wants_a=20.0,
        measured_a=Current(l1=0.0, l2=0.0, l3=0.0),
        counted_a=Current(l1=0.0, l2=0.0, l3=0.0),
        binding_node='grid',
        reason=GrantReason.REDUCTIONS_PENDING,
        reason_text='It waits until other connectors have followed their reductions.',
    )


def test_the_status_of_a_node_has_what_counts_and_which_part_of_it_belongs_to_no_charging_car() -> None:
    world = reduced_for_another()
    world.tick()
    grid, row = status(world).nodes
    assert row == SiteNodeStatus(
        name='row',
        parent='grid',
        limit_a=63.0,
        limit_a_origin=LimitOrigin.FUSE,
        measured_a=Current(l1=32.0, l2=32.0, l3=32.0),
        house_load_a=Current(l1=0.0, l2=0.0, l3=0.0),
        granted_a=Current(l1=32.0, l2=32.0, l3=32.0),
        granted_w=3 * 32.0 * 230.0,
        reserve_a=Current(l1=16.0, l2=16.0, l3=16.0),
        waiting=('bay_2',),
    )
    assert (grid.limit_a, grid.parent, grid.waiting) == (32.0, '', ('bay_2',))
    assert grid.granted_a == row.granted_a


def test_the_status_of_the_site_has_its_limits() -> None:
    world = VirtualSite(site(32.0, connector('bay_1'), limit_w=11_000.0))
    limit = RunTimeLimit('grid', 'operator', 3, (LimitStep(limit_w=5000.0),), Time(wall(world.now) + 10**12))
    assert world.manager.set_limit(limit, wall(world.now)) == ''
    world.tick()
    now = status(world)
    assert (now.stamp, now.name, now.manager_id, now.warnings) == (wall(world.now), 'site', 'manager 1', ())
    assert now.limits == (SiteLimit('grid', 'operator', 3, limit_w=5000.0, expires=limit.expires),)
    [grid] = now.nodes
    assert (grid.limit_a, grid.limit_a_origin, grid.limit_a_source) == (32.0, LimitOrigin.FUSE, '')
    assert (grid.limit_w, grid.limit_w_origin, grid.limit_w_source) == (
        5000.0, LimitOrigin.RUN_TIME, 'operator',
    )  # fmt: skip


def test_a_node_without_a_limit_has_none() -> None:
    [grid] = status(VirtualSite(site(math.inf, connector('bay_1')))).nodes
    assert (grid.limit_a, grid.limit_w, grid.limit_a_origin) == (None, None, LimitOrigin.UNSPECIFIED)


def test_before_its_first_request_a_connector_has_only_its_names() -> None:
    world = VirtualSite(site(32.0, connector('bay_1', priority=2)), start_settled=False)
    world['bay_1'].says = False
    world.tick()
    [first] = status(world).connectors
    assert first == SiteConnectorStatus(
        name='bay_1',
        uuid='/site/bay_1',
        parent='grid',
        priority=2,
        counted_a=Current(l1=32.0, l2=32.0, l3=32.0),
        reason=GrantReason.SILENT,
        reason_text='It is silent; 32.0 A stay reserved for it; check its node and the network.',
    )


def test_what_a_silent_connector_drew_and_why_it_was_refused_is_not_reported() -> None:
    world = VirtualSite(site(32.0, connector('bay_1')))
    world['bay_1'].wants_a = 32.0
    world.run(10.0)
    world.manager.request('/site/bay_1', 'stamp is zero.', world.now)
    [first] = status(world).connectors
    assert (first.reason, first.measured_a.l1) == (GrantReason.REQUEST_REFUSED, 32.0)
    assert first.reason_text == 'Its request is refused: stamp is zero.'
    world['bay_1'].says = False
    world.run(4.0)
    world.manager.request('/site/bay_1', 'stamp is zero.', world.now)
    [first] = status(world).connectors
    assert (first.reason, first.measured_a) == (GrantReason.SILENT, Current())


WAITING = {
    GrantReason.MINIMUM_DOES_NOT_FIT,
    GrantReason.TURN_OF_OTHERS,
    GrantReason.MINIMUM_PAUSE,
    GrantReason.REDUCTIONS_PENDING,
    GrantReason.STARTING,
    GrantReason.CONTACTOR_UNKNOWN,
    GrantReason.NOT_FOLLOWING,
    GrantReason.BELOW_MINIMUM,
}
IN_TROUBLE = {GrantReason.OVERDRAW, GrantReason.NOT_FOLLOWING, GrantReason.CONTACTOR_UNKNOWN}


@pytest.mark.parametrize(
    ('reason', 'sentence'),
    [
        (GrantReason.NO_DEMAND, 'It asks for no energy.'),
        (GrantReason.FULL, 'It has the 10.0 A that it has use for.'),
        (GrantReason.LIMITED, 'It has 10.0 A; grid (L2) has no more.'),
        (
            GrantReason.MINIMUM_DOES_NOT_FIT,
            'It waits: its minimum of 7.5 A does not fit into grid (L2).',
        ),
        (
            GrantReason.TURN_OF_OTHERS,
            'It waits for its turn: grid (L2) has not enough for the minima of all cars.',
        ),
        (GrantReason.SILENT, 'It is silent; 12.0 A stay reserved for it; check its node and the network.'),
        (
            GrantReason.CONTACTOR_UNKNOWN,
            'Its contactor is unknown; 12.0 A stay reserved for it; check its board.',
        ),
        (
            GrantReason.NOT_FOLLOWING,
            'It did not follow a reduction within 10 s, and its grant was withdrawn; check its board.',
        ),
        (
            GrantReason.OVERDRAW,
            'It draws 12.0 A but may draw 10.0 A; check its board and the car.',
        ),
        (
            GrantReason.BELOW_MINIMUM,
            'A limit of the connector itself is below its minimum of 7.5 A.',
        ),
        (GrantReason.UNSPECIFIED, ''),
    ],
)
def test_a_reason_is_a_sentence_with_its_figures(reason: GrantReason, sentence: str) -> None:
    world = VirtualSite(site(32.0, connector('bay_1')))
    world['bay_1'].wants_a = 10.0
    world.run(10.0)
    target, first = world.manager.plan.targets[0], world.manager.connectors[0]
    target.reason, target.minimum_a, target.binding = reason, 7.5, 1
    first.count = (11.0, 12.0, 10.0)
    now = status(world)
    assert now.connectors[0].reason_text == sentence
    assert now.nodes[0].waiting == (('bay_1',) if reason in WAITING else ())
    assert now.warnings == ((f'bay_1: {sentence}',) if reason in IN_TROUBLE else ())
    assert now.nodes[0].reserve_a == (
        Current(l1=1.0, l2=2.0, l3=0.0)
        if reason in {GrantReason.FULL, GrantReason.LIMITED}
        else Current(l1=11.0, l2=12.0, l3=10.0)
    )


@pytest.mark.parametrize(
    ('binding', 'node', 'in_words'),
    [
        (0, 'grid', 'grid (L1)'),
        (3, 'grid', 'grid (power)'),
        (OWN_LIMIT, 'bay_1', 'bay_1'),
        (NO_CONSTRAINT, '', ''),
    ],
)
def test_the_binding_limit_is_named(binding: int, node: str, in_words: str) -> None:
    world = VirtualSite(site(32.0, connector('bay_1')))
    world.manager.plan.targets[0].binding = binding
    assert world.manager.binding_node(0) == node
    assert world.manager.binding_text(0) == in_words


def test_a_connector_that_wants_nothing_does_not_wait() -> None:
    world = VirtualSite(site(32.0, connector('bay_1')))
    world.manager.plan.targets[0].reason = GrantReason.CONTACTOR_UNKNOWN
    assert status(world).nodes[0].waiting == ()


# --- warnings -------------------------------------------------------------------------------------------


def metered() -> VirtualSite:
    return VirtualSite(site(40.0, connector('bay_1'), meter=MeterSpec('/meter'), safe_limit_a=12.5))


def sample(current_a: float, at: float) -> Powermeter:
    return Powermeter(timestamp=wall(at), current_a=Current(l1=current_a, l2=current_a, l3=current_a))


def test_a_silent_meter_is_reported_with_its_safe_limit_and_a_doubt() -> None:
    world = metered()
    silent = 'The meter of grid is silent: the safe limit of 12.5 A holds.'
    assert status(world).warnings == (silent,)
    assert status(world).nodes[0].meter_silent
    world.manager.meter('grid', Powermeter(), world.now)
    assert status(world).warnings == (f'{silent} The sample has no usable currents.',)


def test_a_sample_that_is_ignored_is_reported() -> None:
    world = metered()
    assert world.manager.meter('grid', sample(8.0, world.now), world.now) == ''
    world.tick()
    assert status(world).warnings == ()
    assert not status(world).nodes[0].meter_silent
    assert world.manager.meter('grid', Powermeter(), world.now) == 'The sample has no usable currents.'
    assert status(world).warnings == (
        'A sample of the meter of grid is ignored. The sample has no usable currents.',
    )


@pytest.mark.parametrize('node', ['row', 'elsewhere'])
def test_a_sample_of_a_node_without_a_meter_is_refused(node: str) -> None:
    world = VirtualSite(site(40.0, feeders=[fuse('row', 'grid')], meter=MeterSpec('/meter')))
    assert world.manager.meter(node, sample(8.0, world.now), world.now) == f'{node} has no meter.'


@pytest.mark.parametrize(
    ('house_a', 'warnings'),
    [
        (20.0, ()),
        (20.05, ()),
        (20.06, ('grid may carry 0.1 A above its limit until reductions are followed.',)),
        (25.0, ('grid may carry 5.0 A above its limit until reductions are followed.',)),
    ],
)
def test_an_excess_on_one_phase_is_reported(house_a: float, warnings: tuple[str, ...]) -> None:
    world = metered()
    world.manager.capacity.silent[0] = False
    world.manager.capacity.bound_a[0] = LimitBound(32.0, LimitOrigin.FUSE)
    world.manager.capacity.house_a[0] = (10.0, house_a, 10.0)
    world.manager.connectors[0].count = (0.0, 12.0, 10.0)
    assert status(world).warnings == warnings
