"""
Weighted max-min sharing of a tree's capacity.

``share`` is the arithmetic alone: bounds and weights in, currents out.  Every current counts on each
constraint of its car with a factor: 1 on a phase of a fuse, volts times phases on the power of a fuse.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

NO_CONSTRAINT = -1
"""A car is bound by its own highest current."""

EPSILON = 1e-9


@dataclass(slots=True)
class Car:
    """
    One car that shares.

    ``minimum_a`` > 0 and ``maximum_a`` >= ``minimum_a`` bound its current per phase; ``urgent_a`` is the
    current that its departure target needs (0 without one); ``uses`` are its constraints with their
    factors, nearest first. ``reserves`` holds its minimum back from the cars after it even where that does
    not fit yet; ``reserved_a`` is the part of its minimum that is taken out of the headroom already; one that
    is not ``possible`` gets nothing.
    """

    minimum_a: float
    maximum_a: float
    weight: float
    uses: tuple[tuple[int, float], ...]
    urgent_a: float = 0.0
    reserves: bool = False
    reserved_a: float = 0.0
    possible: bool = True
    current_a: float = 0.0
    binding: int = NO_CONSTRAINT
    """The constraint that kept the car from more, or from its minimum."""


def share(cars: Sequence[Car], headroom: list[float]) -> None:
    """
    Set ``current_a`` and ``binding`` of every car; ``headroom`` becomes what is left of each constraint.

    1. In the order of the sequence each car gets its minimum where that still fits, else 0.
    2. Cars with an urgent current get it, as far as it fits, the most urgent share of their maximum first.
    3. The rest is shared so that ``current_a / weight`` is max-min fair within the bounds.
    """
    served = _minima(cars, headroom)
    _urgent(served, headroom)
    _fill(served, headroom)


def _minima(cars: Sequence[Car], headroom: list[float]) -> list[Car]:
    served = []
    for car in cars:
        car.current_a, car.binding = 0.0, NO_CONSTRAINT
        if not car.possible:
            continue
        more = car.minimum_a - car.reserved_a
        for constraint, factor in car.uses:
            if headroom[constraint] < factor * more - EPSILON:
                car.binding = constraint
                break
        else:
            car.current_a = car.minimum_a
            served.append(car)
        if car.current_a > 0.0 or car.reserves:
            for constraint, factor in car.uses:
                headroom[constraint] -= factor * more
    return served


def _urgent(served: Sequence[Car], headroom: list[float]) -> None:
    urgent = [
        (-car.urgent_a / car.maximum_a, index, car)
        for index, car in enumerate(served)
        if car.urgent_a > car.current_a
    ]
    urgent.sort(key=lambda each: each[:2])
    for _, _, car in urgent:
        more = min(car.urgent_a, car.maximum_a) - car.current_a
        for constraint, factor in car.uses:
            more = min(more, headroom[constraint] / factor)
        if more <= 0.0:
            continue
        car.current_a += more
        for constraint, factor in car.uses:
            headroom[constraint] -= factor * more


def _fill(served: Sequence[Car], headroom: list[float]) -> None:
    """
    Raise all cars together by a common level (current per weight) until each is stopped.

    A car starts to rise when the level reaches what it has, and stops at its maximum or when one of its
    constraints is full.  Each constraint keeps its slope, so that every event costs the length of a path.
    """
    size = len(headroom)
    slope, seen = [0.0] * size, [0.0] * size
    full = [left <= EPSILON for left in headroom]
    members: dict[int, list[int]] = {}
    rising = [False] * len(served)
    starts = sorted(
        (car.current_a / car.weight, index)
        for index, car in enumerate(served)
        if car.maximum_a > car.current_a + EPSILON
    )
    stops = sorted((served[index].maximum_a / served[index].weight, index) for _, index in starts)
    queue: list[tuple[float, int]] = []  # when a constraint is full, at the earliest
    next_start = next_stop = 0

    def stop(index: int, level: float) -> None:
        rising[index] = False
        car = served[index]
        for constraint, factor in car.uses:
            headroom[constraint] -= slope[constraint] * (level - seen[constraint])
            seen[constraint] = level
            slope[constraint] -= factor * car.weight

    while next_start < len(starts) or next_stop < len(stops):
        start_level = starts[next_start][0] if next_start < len(starts) else math.inf
        stop_level = stops[next_stop][0] if next_stop < len(stops) else math.inf
        full_level = queue[0][0] if queue else math.inf
        if stop_level <= start_level and stop_level <= full_level:
            index = stops[next_stop][1]
            next_stop += 1
            if rising[index]:
                stop(index, stop_level)
                served[index].current_a = served[index].maximum_a
        elif full_level <= start_level:
            level, constraint = heapq.heappop(queue)
            if full[constraint]:
                continue
            headroom[constraint] -= slope[constraint] * (level - seen[constraint])
            seen[constraint] = level
            if headroom[constraint] > EPSILON * max(1.0, slope[constraint]):
                if slope[constraint] > EPSILON:
                    heapq.heappush(queue, (level + headroom[constraint] / slope[constraint], constraint))
                continue
            full[constraint] = True
            for index in members.get(constraint, ()):
                if rising[index]:
                    stop(index, level)
                    served[index].current_a = min(served[index].weight * level, served[index].maximum_a)
                    served[index].binding = constraint
        else:
            touched = set()
            while next_start < len(starts) and starts[next_start][0] <= start_level + EPSILON:
                index = starts[next_start][1]
                next_start += 1
                car = served[index]
                blocked = next((constraint for constraint, _ in car.uses if full[constraint]), None)
                if blocked is not None:
                    car.binding = blocked
                    continue
                rising[index] = True
                for constraint, factor in car.uses:
                    headroom[constraint] -= slope[constraint] * (start_level - seen[constraint])
                    seen[constraint] = start_level
                    slope[constraint] += factor * car.weight
                    members.setdefault(constraint, []).append(index)
                    touched.add(constraint)
            for constraint in touched:
                if slope[constraint] > EPSILON:
                    heapq.heappush(
                        queue, (start_level + max(0.0, headroom[constraint]) / slope[constraint], constraint)
                    )
