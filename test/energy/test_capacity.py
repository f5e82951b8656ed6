"""What each node leaves to the connectors below it: limit, house load, silent meters."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from energy.virtual_site import fuse
from evse_manager.energy.capacity import Capacity
from evse_manager.energy.limits import (
    LimitBook,
    LimitBound,
    LimitStep,
    RunTimeLimit,
    fuse_bounds,
    seconds_of_day,
)
from evse_manager.energy.meters import Reading
from evse_manager.energy.tree import FuseSpec, MeterSpec, ScheduleStep, SiteTree, Topology
from evse_manager.interface.enums import LimitOrigin
from evse_manager.interface.types import SECOND_NS, Time

BERLIN = ZoneInfo('Europe/Berlin')
METER = MeterSpec('/meter', 5.0)

Phases = tuple[float, float, float]


def at(hour: int, minute: int = 0, second: int = 0) -> Time:
    return Time(round(datetime(2026, 11, 27, hour, minute, second, tzinfo=BERLIN).timestamp()) * SECOND_NS)


def book(**limits: float) -> LimitBook:
    """Return a book with limits of the grid by their sources [A]."""
    return LimitBook(
        ['grid'],
        [RunTimeLimit('grid', name, steps=(LimitStep(limit_a=each),)) for name, each in limits.items()],
    )


def capacity(
    *fuses: FuseSpec, loads: dict[int, Phases] | None = None, limits: LimitBook | None = None
) -> Capacity:
    """Return the capacity of nodes of which these report a house load now; 100 V make the sums plain."""
    made = Capacity(Topology(SiteTree('site', fuses, (), nominal_voltage_v=100.0)), limits or book())
    for index, load in (loads or {}).items():
        meter = made.meters[index]
        assert meter is not None
        meter.take(Reading(load), Time(1), (0.0, 0.0, 0.0), 100.0)
    made.update(100.0, at(12))
    return made


# --- limits ---------------------------------------------------------------------------------------------

NIGHT_AND_DAY = (ScheduleStep(6 * 3600.0, 20.0, 9000.0), ScheduleStep(22 * 3600.0, 30.0))


@pytest.mark.parametrize(
    ('wall', 'bounds'),
    [
        (at(5, 59, 59), (LimitBound(30.0, LimitOrigin.SCHEDULE), LimitBound(12_000.0, LimitOrigin.FUSE))),
        (at(6), (LimitBound(20.0, LimitOrigin.SCHEDULE), LimitBound(9000.0, LimitOrigin.SCHEDULE))),
        (at(21, 59, 59), (LimitBound(20.0, LimitOrigin.SCHEDULE), LimitBound(9000.0, LimitOrigin.SCHEDULE))),
        (at(22), (LimitBound(30.0, LimitOrigin.SCHEDULE), LimitBound(12_000.0, LimitOrigin.FUSE))),
    ],
)
def test_the_last_step_of_a_schedule_holds_over_midnight(
    wall: Time, bounds: tuple[LimitBound, LimitBound]
) -> None:
    node = fuse('grid', '', 40.0, limit_w=12_000.0, schedule=NIGHT_AND_DAY)
    assert fuse_bounds(node, book(), wall, BERLIN) == bounds


@pytest.mark.parametrize(
    ('limits', 'bound'),
    [
        ({}, LimitBound(20.0, LimitOrigin.SCHEDULE)),
        ({'operator': 19.0}, LimitBound(19.0, LimitOrigin.RUN_TIME, 'operator')),
        ({'operator': 20.0}, LimitBound(20.0, LimitOrigin.SCHEDULE)),
        ({'operator': 50.0}, LimitBound(20.0, LimitOrigin.SCHEDULE)),
    ],
)
def test_the_lowest_of_fuse_schedule_and_run_time_limit_holds(
    limits: dict[str, float], bound: LimitBound
) -> None:
    node = fuse('grid', '', 40.0, schedule=NIGHT_AND_DAY)
    assert fuse_bounds(node, book(**limits), at(12), BERLIN)[0] == bound


def test_a_run_time_limit_in_watts_names_its_source() -> None:
    limit = RunTimeLimit('grid', 'operator', steps=(LimitStep(limit_w=5000.0),))
    bounds = fuse_bounds(fuse('grid', '', 40.0), LimitBook(['grid'], [limit]), at(12), BERLIN)
    assert bounds == (
        LimitBound(40.0, LimitOrigin.FUSE),
        LimitBound(5000.0, LimitOrigin.RUN_TIME, 'operator'),
    )


@pytest.mark.parametrize(
    ('wall', 'zone', 'seconds'),
    [
        (at(0), BERLIN, 0.0),
        (at(1, 2, 3), BERLIN, 3723.0),
        (at(23, 59, 59), BERLIN, 86_399.0),
        (Time(at(1, 2, 3) + SECOND_NS - 1), BERLIN, 3723.0),
        (at(1, 2, 3), ZoneInfo('UTC'), 123.0),
    ],
)
def test_seconds_of_the_day_are_those_of_the_zone(wall: Time, zone: ZoneInfo, seconds: float) -> None:
    assert seconds_of_day(wall, zone) == seconds


def test_the_schedule_counts_in_the_zone_of_the_site() -> None:
    tree = SiteTree('site', (fuse('grid', '', 40.0, schedule=NIGHT_AND_DAY),), (), time_zone='Europe/Berlin')
    made = Capacity(Topology(tree), book())
    for wall, limit_a in ((at(5, 59, 59), 30.0), (at(6), 20.0)):
        made.update(0.0, wall)
        assert made.headroom[0] == limit_a


# --- house load -----------------------------------------------------------------------------------------


def test_without_limits_nothing_is_finite() -> None:
    made = capacity(fuse('grid'))
    assert made.headroom == [math.inf] * 4
    assert made.finite == ()
    assert made.silent == [False]


def test_the_house_load_is_taken_from_current_and_power() -> None:
    made = capacity(fuse('grid', '', 40.0, limit_w=9000.0, meter=METER), loads={0: (5.0, 10.0, 50.0)})
    assert made.headroom == [35.0, 30.0, -10.0, 2500.0]
    assert made.finite == (0, 1, 2, 3)
    assert made.house_a == [(5.0, 10.0, 50.0)]


def test_a_silent_meter_means_the_safe_limits_and_no_known_load() -> None:
    made = capacity(
        fuse('grid', '', 40.0, limit_w=9000.0, meter=METER, safe_limit_a=12.0, safe_limit_w=3000.0)
    )
    assert made.silent == [True]
    assert made.bound_a == [LimitBound(12.0, LimitOrigin.METER_SILENT)]
    assert made.bound_w == [LimitBound(3000.0, LimitOrigin.METER_SILENT)]
    assert made.headroom == [12.0, 12.0, 12.0, 3000.0]
    assert made.house_a == [(0.0, 0.0, 0.0)]


def test_a_meter_that_falls_silent_is_noticed() -> None:
    made = capacity(fuse('grid', '', 40.0, meter=METER), loads={0: (5.0, 5.0, 5.0)})
    assert (made.silent, made.headroom[0]) == ([False], 35.0)
    made.update(105.1, at(12))
    assert (made.silent, made.headroom[0]) == ([True], 0.0)


@pytest.mark.parametrize(
    ('grid', 'loads', 'grid_house_a'),
    [
        (fuse('grid', '', 100.0), {1: (1.0, 2.0, 3.0), 2: (10.0, 20.0, 30.0)}, (11.0, 22.0, 33.0)),
        (fuse('grid', '', 100.0), {1: (1.0, 2.0, 3.0)}, (31.0, 2.0, 33.0)),
        (fuse('grid', '', 100.0), {2: (10.0, 20.0, 30.0)}, (30.0, 40.0, 50.0)),
        (fuse('grid', '', 100.0, meter=METER), {0: (7.0, 8.0, 9.0), 1: (1.0, 2.0, 3.0)}, (7.0, 8.0, 9.0)),
    ],
    ids=[
        'the sum of the feeders',
        'what a silent feeder may have, on its phases',
        'what another may have',
        'its own meter has all of it',
    ],
)
def test_the_house_load_of_feeders_reaches_a_node_without_a_meter(
    grid: FuseSpec, loads: dict[int, Phases], grid_house_a: Phases
) -> None:
    feeders = (
        fuse('row_a', 'grid', 32.0, meter=METER, safe_limit_a=12.0),
        fuse('row_b', 'grid', 40.0, meter=METER, safe_limit_a=10.0, phases=(0, 2)),
    )
    assert capacity(grid, *feeders, loads=loads).house_a[0] == grid_house_a


def test_the_house_load_passes_a_node_without_a_meter() -> None:
    made = capacity(
        fuse('grid', '', 100.0), fuse('floor', 'grid', 80.0), fuse('row', 'floor', 32.0, meter=METER),
        loads={2: (1.0, 2.0, 3.0)},
    )  # fmt: skip
    assert made.house_a == [(1.0, 2.0, 3.0)] * 3


def test_a_silent_feeder_whose_safe_limit_is_above_its_limit_takes_nothing() -> None:
    made = capacity(fuse('grid', '', 100.0), fuse('row', 'grid', 10.0, meter=METER, safe_limit_a=12.0))
    assert made.house_a[0] == (0.0, 0.0, 0.0)
    assert made.bound_a[1] == LimitBound(10.0, LimitOrigin.FUSE)


def test_a_silent_feeder_without_a_limit_counts_with_its_last_load() -> None:
    made = capacity(
        fuse('grid', '', 100.0),
        fuse('row', 'grid', meter=METER, safe_limit_a=12.0),
        loads={1: (1.0, 2.0, 3.0)},
    )
    made.update(200.0, at(12))
    assert made.silent == [False, True]
    assert made.house_a[0] == (1.0, 2.0, 3.0)
