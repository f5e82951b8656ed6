"""The sharing against an independent solver (HiGHS): minima in order, then lexicographic max-min."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linprog, milp

from evse_manager.energy.sharing import NO_CONSTRAINT, Car, share

TOLERANCE_A = 1e-5


@dataclass
class Problem:
    cars: list[Car]
    headroom: list[float]

    def matrix(self) -> np.ndarray:
        matrix = np.zeros((len(self.headroom), len(self.cars)))
        for column, car in enumerate(self.cars):
            for constraint, factor in car.uses:
                matrix[constraint, column] += factor
        return matrix


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Up to six cars on the phases and the power of two feeders below one connection."""
    headroom = [draw(st.sampled_from([0.0, 5.0, 10.0, 16.0, 20.0, 32.0, 63.0])) for _ in range(9)]
    headroom += [draw(st.sampled_from([2000.0, 7000.0, 11000.0, 40000.0])) for _ in range(3)]
    cars = []
    for _ in range(draw(st.integers(1, 6))):
        fuse = draw(st.integers(1, 2))
        phases = draw(st.sampled_from([(0, 1, 2), (0,), (1,), (2,), (0, 2)]))
        uses = [(3 * node + phase, 1.0) for node in (fuse, 0) for phase in phases]
        uses += [(9 + node, 230.0 * len(phases)) for node in (fuse, 0)]
        minimum = draw(st.sampled_from([6.0, 8.0, 13.0]))
        cars.append(
            Car(
                minimum_a=minimum,
                maximum_a=minimum + draw(st.sampled_from([0.0, 2.0, 7.5, 26.0])),
                weight=draw(st.sampled_from([0.5, 1.0, 3.0])),
                uses=tuple(uses),
            )
        )
    return Problem(cars, headroom)


def served_by_milp(problem: Problem) -> list[bool]:
    """Return who is served when earlier cars count more than all later ones together."""
    count = len(problem.cars)
    value = -np.array([2.0 ** (count - index) for index in range(count)])
    minima = np.array([car.minimum_a for car in problem.cars])
    result = milp(
        value,
        constraints=LinearConstraint(problem.matrix() * minima, ub=np.array(problem.headroom) + 1e-9),
        integrality=np.ones(count),
        bounds=(0, 1),
    )
    return [bool(round(each)) for each in result.x]


def max_min_by_lp(problem: Problem, served: list[bool]) -> list[float]:
    """Return the lexicographic max-min solution by one LP per level and car."""
    cars, count = problem.cars, len(problem.cars)
    bounds: list[tuple[float, float]] = [
        (car.minimum_a, car.maximum_a) if is_served else (0.0, 0.0)
        for car, is_served in zip(cars, served, strict=True)
    ]
    matrix = np.hstack([problem.matrix(), np.zeros((len(problem.headroom), 1))])
    headroom = np.array(problem.headroom)
    open_cars = [index for index in range(count) if served[index]]
    while open_cars:
        rows = np.zeros((len(open_cars), count + 1))
        for row, index in enumerate(open_cars):
            rows[row, index], rows[row, count] = -1.0, cars[index].weight
        upper = np.vstack([matrix, rows])
        limits = np.concatenate([headroom, np.zeros(len(open_cars))])
        level = linprog(
            np.append(np.zeros(count), -1.0), A_ub=upper, b_ub=limits, bounds=[*bounds, (0, None)]
        ).x[count]
        closed = []
        for index in open_cars:
            best = linprog(
                -np.eye(count + 1)[index],
                A_ub=upper,
                b_ub=limits,
                bounds=[*bounds, (level - 1e-9, level + 1e-9)],
            ).x[index]
            if best <= cars[index].weight * level + 1e-6:
                closed.append((index, best))
        assert closed
        for index, best in closed:
            bounds[index] = (max(0.0, best - 1e-9), best)
            open_cars.remove(index)
    return [high for _, high in bounds]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(problems())
def test_the_shares_are_those_of_an_independent_solver(problem: Problem) -> None:
    served = served_by_milp(problem)
    expected = max_min_by_lp(problem, served)
    headroom = list(problem.headroom)
    share(problem.cars, headroom)
    assert [car.current_a > 0.0 for car in problem.cars] == served
    assert [car.current_a for car in problem.cars] == pytest.approx(expected, abs=TOLERANCE_A)
    used = problem.matrix() @ np.array([car.current_a for car in problem.cars])
    assert headroom == pytest.approx(list(np.array(problem.headroom) - used), abs=1e-3)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(problems())
def test_a_car_with_less_than_its_maximum_names_a_full_constraint(problem: Problem) -> None:
    headroom = list(problem.headroom)
    share(problem.cars, headroom)
    for car in problem.cars:
        if car.current_a >= car.maximum_a - TOLERANCE_A:
            continue
        assert car.binding != NO_CONSTRAINT
        factor = dict(car.uses)[car.binding]
        wanted = car.minimum_a if car.current_a == 0.0 else TOLERANCE_A
        assert headroom[car.binding] < factor * wanted + TOLERANCE_A


def car(minimum_a: float = 6.0, maximum_a: float = 32.0, weight: float = 1.0, urgent_a: float = 0.0) -> Car:
    return Car(minimum_a, maximum_a, weight, ((0, 1.0),), urgent_a)


@pytest.mark.parametrize(
    ('cars', 'headroom_a', 'currents_a'),
    [
        ([car(), car()], 40.0, [20.0, 20.0]),
        ([car(), car(maximum_a=10.0)], 40.0, [30.0, 10.0]),
        ([car(weight=2.0), car()], 30.0, [20.0, 10.0]),
        ([car(minimum_a=13.0), car()], 20.0, [13.0, 7.0]),
        ([car(), car(), car()], 13.0, [6.5, 6.5, 0.0]),
        ([car(), car(urgent_a=24.0)], 32.0, [8.0, 24.0]),
        ([car(urgent_a=30.0), car(urgent_a=20.0)], 32.0, [26.0, 6.0]),
        ([car()], 5.9, [0.0]),
    ],
    ids=['equal', 'unused share returns', 'weight', 'higher minimum', 'last waits', 'urgent first',
         'most urgent first', 'below the minimum'],
)  # fmt: skip
def test_one_fuse(cars: list[Car], headroom_a: float, currents_a: list[float]) -> None:
    share(cars, [headroom_a])
    assert [each.current_a for each in cars] == pytest.approx(currents_a)


def test_a_car_that_keeps_its_minimum_reserved_holds_back_those_after_it() -> None:
    patient = Car(10.0, 32.0, 1.0, ((0, 1.0),), reserves=True)
    other = car()
    share([patient, other], [8.0])
    assert (patient.current_a, other.current_a) == (0.0, 0.0)
