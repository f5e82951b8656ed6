"""Every mistake in a site tree is named."""

import math
from dataclasses import replace

import pytest

from energy.virtual_site import connector, fuse
from evse_manager.energy.tree import FuseSpec, MeterSpec, ScheduleStep, SiteTree, Topology, TreeError

GRID = fuse('grid', '', 40.0)
ROW = fuse('row', 'grid', 32.0)
BAY = connector('bay', 'row')


def test_a_sound_tree_is_indexed() -> None:
    topology = Topology(SiteTree('site', (GRID, ROW), (BAY, connector('other', 'grid'))))
    assert topology.path_of == [(1, 0), (0,)]
    assert topology.describe(topology.current_constraint(1, 2)) == 'row (L3)'
    assert topology.describe(topology.power_constraint(0)) == 'grid (power)'


@pytest.mark.parametrize(
    ('fuses', 'connectors', 'text'),
    [
        ((), (), 'no grid connection'),
        ((GRID, GRID), (), 'grid: the name is used twice'),
        ((ROW,), (), 'row: the first node is the grid connection'),
        ((GRID, fuse('row', 'attic')), (), "row: its parent 'attic' is not listed before it"),
        ((GRID,), (BAY,), "bay: its parent 'row' does not exist"),
        ((GRID, ROW), (BAY, BAY), 'bay: its name or namespace is used twice'),
        ((GRID, ROW), (replace(BAY, phases=()),), 'bay: its phases must be one to three'),
        ((GRID, ROW), (replace(BAY, phases=(0, 0)),), 'bay: its phases must be one to three'),
        ((GRID, ROW), (replace(BAY, phases=(0, 3)),), 'bay: its phases must be one to three'),
        ((GRID, replace(ROW, phases=(0,))), (BAY,), 'row above it does not carry L2, L3'),
        ((GRID, ROW), (replace(BAY, max_current_a=5.0),), 'bay: max_current_a is 5.0'),
        ((GRID, ROW), (replace(BAY, max_current_a=math.nan),), 'bay: max_current_a is nan'),
        ((GRID, ROW), (replace(BAY, failsafe_current_a=-1.0),), 'bay: failsafe_current_a is -1.0'),
        ((GRID, ROW), (replace(BAY, weight=0.0),), 'bay: weight is 0.0'),
        ((replace(GRID, limit_a=math.nan),), (), 'grid: limit_a is nan'),
        ((replace(GRID, limit_w=-5.0),), (), 'grid: limit_w is -5.0'),
        ((replace(GRID, meter=MeterSpec('/meter', 0.0)),), (), 'grid: timeout_s of its meter is 0.0'),
        ((replace(GRID, schedule=(ScheduleStep(5.0, 1.0),) * 2),), (), 'must rise from 00:00'),
        ((replace(GRID, schedule=(ScheduleStep(5.0, -1.0),)),), (), 'a limit of its schedule'),
    ],
)  # fmt: skip
def test_mistakes(fuses: tuple[FuseSpec, ...], connectors: tuple[object, ...], text: str) -> None:
    with pytest.raises(TreeError) as error:
        SiteTree('site', fuses, connectors)  # type: ignore[arg-type]
    assert text in str(error.value)


def test_failsafe_currents_that_exceed_a_fuse_are_refused() -> None:
    bays = tuple(connector(f'bay_{index}', 'row', failsafe_current_a=12.0) for index in range(3))
    with pytest.raises(TreeError, match=r'row: the failsafe currents below it add up to 36 A on one phase'):
        SiteTree('site', (GRID, ROW), bays)
    with pytest.raises(TreeError, match=r'grid: the failsafe currents below it add up to 16560 W'):
        SiteTree('site', (replace(GRID, limit_w=16000.0), replace(ROW, limit_a=63.0)), bays[:2])


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(TreeError) as error:
        SiteTree('site', (GRID, ROW), (replace(BAY, weight=-1.0, phases=()),), nominal_voltage_v=12.0)
    assert len(str(error.value).splitlines()) == 3
