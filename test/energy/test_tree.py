"""Every mistake in a site tree is named."""

import math
from dataclasses import replace

import pytest

from energy.virtual_site import connector, fuse
from evse_manager.energy.tree import (
    ConnectorSpec,
    FuseSpec,
    MeterSpec,
    ScheduleStep,
    SiteTree,
    Topology,
    TreeError,
)

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


@pytest.mark.parametrize(
    ('fuses', 'connectors', 'voltage_v'),
    [
        ((GRID,), (), 80.0),
        ((GRID,), (), 300.0),
        ((replace(GRID, limit_a=0.0, limit_w=0.0, safe_limit_w=0.0),), (), 230.0),
        ((replace(GRID, meter=MeterSpec('/meter', 0.1)),), (), 230.0),
        ((replace(GRID, meter=MeterSpec('/meter', 3600.0)),), (), 230.0),
        ((replace(GRID, schedule=(ScheduleStep(0.0, 0.0, 0.0), ScheduleStep(86_399.0))),), (), 230.0),
        ((GRID, ROW), (replace(BAY, max_current_a=6.0),), 230.0),
        ((GRID, ROW), (replace(BAY, max_current_a=80.0),), 230.0),
        ((GRID, ROW), (replace(BAY, failsafe_current_a=32.0),), 230.0),
        ((GRID, ROW), (replace(BAY, weight=0.001),), 230.0),
        ((GRID, ROW), (replace(BAY, weight=1000.0),), 230.0),
        ((GRID, ROW), (replace(BAY, phases=(2,)),), 230.0),
        ((replace(GRID, phases=(0, 1)), replace(ROW, phases=(1,))), (replace(BAY, phases=(1,)),), 230.0),
        ((replace(GRID, limit_w=22_080.0), ROW), (replace(BAY, failsafe_current_a=32.0),), 230.0),
    ],
)
def test_the_limits_of_each_number_are_possible(
    fuses: tuple[FuseSpec, ...], connectors: tuple[ConnectorSpec, ...], voltage_v: float
) -> None:
    assert SiteTree('site', fuses, connectors, voltage_v).fuses == fuses


@pytest.mark.parametrize(
    ('fuses', 'connectors', 'text'),
    [
        ((), (), 'the site has no grid connection; give at least one node with a limit.'),
        (
            (replace(GRID, safe_limit_a=math.nan),),
            (),
            'grid: safe_limit_a is nan, but must be a number of 0 or more.',
        ),
        (
            (replace(GRID, safe_limit_w=-0.5),),
            (),
            'grid: safe_limit_w is -0.5, but must be a number of 0 or more.',
        ),
        (
            (replace(GRID, meter=MeterSpec('/meter', 3600.5)),),
            (),
            'grid: timeout_s of its meter is 3600.5, but must lie in 0.1 to 3600 s.',
        ),
        (
            (replace(GRID, schedule=(ScheduleStep(86_400.0, 1.0),)),),
            (),
            'grid: the steps of its schedule must rise from 00:00 to before 24:00.',
        ),
        (
            (replace(GRID, schedule=(ScheduleStep(-1.0, 1.0),)),),
            (),
            'grid: the steps of its schedule must rise from 00:00 to before 24:00.',
        ),
        (
            (replace(GRID, schedule=(ScheduleStep(0.0, limit_w=math.nan),)),),
            (),
            'grid: a limit of its schedule is not a number of 0 or more.',
        ),
        (
            (GRID, ROW),
            (replace(BAY, max_current_a=80.5),),
            'bay: max_current_a is 80.5, but must lie in 6 to 80 A.',
        ),
        (
            (GRID, ROW),
            (replace(BAY, failsafe_current_a=32.5),),
            'bay: failsafe_current_a is 32.5, but must lie in 0 to max_current_a.',
        ),
        (
            (GRID, ROW),
            (replace(BAY, weight=1000.5),),
            'bay: weight is 1000.5, but must lie in 0.001 to 1000.',
        ),
        (
            (GRID, ROW),
            (replace(BAY, phases=(3,)),),
            'bay: its phases must be one to three different ones of L1, L2, L3.',
        ),
        ((GRID, replace(ROW, phases=(0, 2))), (BAY,), 'bay: row above it does not carry L2.'),
        ((replace(GRID, phases=(1,)), ROW), (), 'row: grid above it does not carry L1, L3.'),
        ((GRID, ROW), (replace(BAY, name='row'),), 'row: its name or namespace is used twice.'),
        (
            (GRID, ROW),
            (BAY, replace(BAY, name='other')),
            'other: its name or namespace is used twice.',
        ),
        (
            (GRID, fuse('row', 'grid', 31.5)),
            (replace(BAY, failsafe_current_a=32.0),),
            'row: the failsafe currents below it add up to 32 A on one phase, but it carries 31.5 A; '
            'lower failsafe_current_a.',
        ),
        (
            (replace(GRID, limit_w=22_079.0), ROW),
            (replace(BAY, failsafe_current_a=32.0),),
            'grid: the failsafe currents below it add up to 22080 W, but it carries 22079 W; '
            'lower failsafe_current_a.',
        ),
    ],
)
def test_one_mistake_is_one_line(
    fuses: tuple[FuseSpec, ...], connectors: tuple[ConnectorSpec, ...], text: str
) -> None:
    with pytest.raises(TreeError) as error:
        SiteTree('site', fuses, connectors)
    assert str(error.value) == text


@pytest.mark.parametrize(('voltage_v'), [79.5, 300.5, math.nan])
def test_the_voltage_lies_between_80_and_300_v(voltage_v: float) -> None:
    with pytest.raises(TreeError) as error:
        SiteTree('site', (GRID,), (), voltage_v)
    assert str(error.value) == f'nominal_voltage_v is {voltage_v}, but must lie in 80 to 300 V.'


def test_connectors_on_different_phases_share_no_failsafe_current() -> None:
    bays = tuple(
        connector(f'bay_{phase}', 'row', failsafe_current_a=32.0, phases=(phase,)) for phase in range(3)
    )
    assert SiteTree('site', (GRID, ROW), bays).connectors == bays
    with pytest.raises(TreeError, match=r'row: .* add up to 64 A on one phase, but it carries 32 A'):
        SiteTree('site', (GRID, ROW), (*bays, replace(bays[0], name='bay_4', uuid='/site/bay_4')))


def test_constraints_are_the_phases_and_the_power_of_each_fuse() -> None:
    topology = Topology(SiteTree('site', (GRID, ROW, fuse('yard', 'row')), ()))
    assert topology.parent_of == [-1, 0, 1]
    assert [topology.describe(constraint) for constraint in range(topology.constraint_count)] == [
        'grid (L1)', 'grid (L2)', 'grid (L3)', 'row (L1)', 'row (L2)', 'row (L3)', 'yard (L1)', 'yard (L2)',
        'yard (L3)', 'grid (power)', 'row (power)', 'yard (power)',
    ]  # fmt: skip
    for index in range(3):
        constraints = [topology.current_constraint(index, phase) for phase in range(3)]
        constraints.append(topology.power_constraint(index))
        assert [topology.fuse_of_constraint(each) for each in constraints] == [index] * 4


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
