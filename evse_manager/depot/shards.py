"""Which worker hosts which connector."""

import math
from collections.abc import Iterable, Mapping

BEST_SIZE = 50
"""
Connectors of one worker: each process costs memory by itself, and again for every endpoint of the others that
it knows; with more connectors a worker that ends takes more of them along (docs/performance.md has figures).
"""

MOST_WORKERS = 12
"""Workers of one kind: with those of the other kind below what rmw_fastrtps finds on ``LOCALHOST`` (33)."""


def shard_count(connectors: int) -> int:
    """Return how many workers of each kind a number of connectors gets."""
    return min(MOST_WORKERS, math.ceil(connectors / BEST_SIZE))


def assign(connectors: Iterable[str], before: Mapping[str, int]) -> dict[str, int]:
    """
    Return the worker of each connector, counted from 0.

    A connector keeps the worker it had ``before``; the others fill the workers evenly.
    """
    names = list(connectors)
    found = {name: before[name] for name in names if name in before}
    count = max(shard_count(len(names)), max(found.values(), default=-1) + 1)
    load = [0] * count
    for worker in found.values():
        load[worker] += 1
    for name in names:
        if name not in found:
            worker = load.index(min(load))
            found[name] = worker
            load[worker] += 1
    return found
