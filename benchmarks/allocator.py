#!/usr/bin/env python3
"""
Measure what one step of a site's energy manager costs, by the number of connectors.

usage: python3 benchmarks/allocator.py [CONNECTORS ...]

The tree has three levels with limits per phase and in watts, 20 connectors under each feeder, cars on
rotated phases. Times are processor time; the first step also builds the indices of the tree.
"""

import random
import statistics
import sys
import time

from evse_manager.energy.allocator import SiteAllocator
from evse_manager.energy.demand import Demand
from evse_manager.energy.tree import ConnectorSpec, FuseSpec, SiteTree
from evse_manager.interface.enums import ContactorState
from evse_manager.interface.types import Time

SIZES = (100, 1000, 10_000)
STEPS = 9
PER_FEEDER = 20
SECOND = 1_000_000_000
EPOCH = 1_795_000_000 * SECOND
PHASES = [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0,), (1,)]


def tree(connectors: int, chance: random.Random) -> SiteTree:
    """Return a site whose feeders and grid connection are too small for all cars."""
    feeders = max(1, connectors // PER_FEEDER)
    grid = FuseSpec('grid', limit_a=4.0 * connectors + 32.0, limit_w=2800.0 * connectors + 22_000.0)
    return SiteTree(
        'site',
        (grid, *(FuseSpec(f'feeder_{index}', 'grid', limit_a=125.0) for index in range(feeders))),
        tuple(
            ConnectorSpec(
                f'bay_{index}',
                f'/site/bay_{index}',
                f'feeder_{index % feeders}',
                phases=chance.choice(PHASES),
                weight=chance.choice([1.0, 1.0, 2.0]),
            )
            for index in range(connectors)
        ),
    )


def measure(connectors: int) -> dict[str, float]:
    """Return the milliseconds of the first step, of the following ones, and of the requests of one second."""
    chance = random.Random(1)
    site = tree(connectors, chance)
    allocator = SiteAllocator(site, 'benchmark', 0.0)
    granted = dict.fromkeys(range(connectors), (0.0, Time(0)))
    steps, requests = [], []
    for second in range(1, STEPS + 1):
        wall = Time(EPOCH + second * SECOND)
        begun = time.process_time()
        for index, spec in enumerate(site.connectors):
            current, stamp = granted[index]
            demand = Demand(
                stamp=wall,
                wants_a=chance.choice([16.0, 32.0]),
                contactor=ContactorState.CLOSED if current else ContactorState.OPEN,
                draw_a=(current, current, current),
                grant_stamp=stamp or None,
                grant_manager_id='benchmark',
                granted_a=current,
            )
            allocator.request(spec.uuid, demand, float(second))
        asked = time.process_time()
        grants = allocator.step(float(second), wall)
        requests.append(asked - begun)
        steps.append(time.process_time() - asked)
        granted.update({grant.index: (grant.current_a, grant.stamp) for grant in grants})
    assert any(current > 0.0 for current, _ in granted.values()), 'nothing is granted'
    return {
        'first_ms': 1e3 * steps[0],
        'step_ms': 1e3 * statistics.median(steps[1:]),
        'requests_ms': 1e3 * statistics.median(requests),
    }


def main() -> int:
    sizes = [int(each) for each in sys.argv[1:]] or SIZES
    print('| Connectors | First step [ms] | Step [ms] | Requests of a second [ms] |\n|---|---|---|---|')
    for size in sizes:
        found = measure(size)
        print(f'| {size} | {found["first_ms"]:.1f} | {found["step_ms"]:.1f} | {found["requests_ms"]:.1f} |')
    return 0


if __name__ == '__main__':
    sys.exit(main())
