"""
Cars that arrive at a car park (docs/sources.md, *Arrival of cars*).

Times between arrivals are exponential with a rate by hour of the day; how long a car stays and how much
energy it needs depends on when it comes.
"""

import math
from dataclasses import dataclass
from random import Random

HOUR_S = 3600.0
DAY_HOURS = 24

CARS_OF_PROFILE = {
    'default': 50,
    'single_phase': 30,
    'slow': 10,
    'no_b_state': 3,
    'stays_in_c': 3,
    'needs_wakeup': 4,
}
"""How often each kind of car comes, in percent; none of them draws more than it is offered."""


@dataclass(frozen=True, slots=True)
class Group:
    """Arrivals around an hour of the day; standard deviations in hours; ``share`` of all cars."""

    share: float
    arrival_h: float
    arrival_sd_h: float
    stay_h: float
    stay_sd_h: float
    energy_kwh: float


GROUPS = (
    Group(0.50, 8.5, 1.0, 8.0, 1.5, 14.0),  # at work
    Group(0.38, 13.0, 3.5, 1.7, 0.9, 8.0),  # visitors
    Group(0.12, 18.5, 1.5, 13.0, 1.5, 22.0),  # over night
)

SHORTEST_STAY_S = 300.0
SPREAD_OF_ENERGY = 0.6
"""Sigma of the logarithm of the energy."""


@dataclass(frozen=True, slots=True)
class Car:
    """A car: when it comes (seconds since the start), how long it stays, what it needs and is."""

    arrives: float
    stay_s: float
    energy_wh: float
    profile: str


def rate_per_hour(group: Group, hour: float, cars_per_day: float) -> float:
    """Return how many cars of a group come per hour at an hour of the day."""
    total = 0.0
    for day in (-DAY_HOURS, 0, DAY_HOURS):
        distance = (hour + day - group.arrival_h) / group.arrival_sd_h
        total += math.exp(-0.5 * distance * distance)
    return cars_per_day * group.share * total / (group.arrival_sd_h * math.sqrt(2.0 * math.pi))


class Arrivals:
    """An endless row of cars, ``cars_per_day`` of them on average."""

    def __init__(self, random: Random, cars_per_day: float) -> None:
        self._random = random
        self._cars_per_day = cars_per_day
        self._highest = max(sum(self._rates(quarter / 4.0)) for quarter in range(4 * DAY_HOURS))

    def _rates(self, hour: float) -> list[float]:
        return [rate_per_hour(group, hour, self._cars_per_day) for group in GROUPS]

    def after(self, steady: float) -> Car:
        """Return the next car after a time, in seconds since midnight of the first day."""
        random = self._random
        while True:
            steady += random.expovariate(self._highest) * HOUR_S
            rates = self._rates(steady / HOUR_S % DAY_HOURS)
            if random.random() * self._highest <= sum(rates):
                return self._car(steady, random.choices(GROUPS, rates)[0])

    def _car(self, steady: float, group: Group) -> Car:
        random = self._random
        stay = max(SHORTEST_STAY_S, random.gauss(group.stay_h, group.stay_sd_h) * HOUR_S)
        energy = group.energy_kwh * 1000.0 * random.lognormvariate(0.0, SPREAD_OF_ENERGY)
        profile = random.choices(tuple(CARS_OF_PROFILE), tuple(CARS_OF_PROFILE.values()))[0]
        return Car(steady, stay, energy, profile)
