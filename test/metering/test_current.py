"""What the currents and powers of one sample mean."""

import pytest

from evse_manager.interface.types import Current, Power, Powermeter, Voltage
from evse_manager.metering import current


def sample(
    amperes: tuple[float | None, ...] | None = None,
    watts: tuple[float | None, ...] | None = None,
    volts: tuple[float | None, ...] | None = None,
) -> Powermeter:
    return Powermeter(
        current_a=None if amperes is None else Current(None, *amperes),
        power_w=None if watts is None else Power(*watts),
        voltage_v=None if volts is None else Voltage(None, *volts),
    )


@pytest.mark.parametrize(
    ('measured', 'phases', 'highest_a'),
    [
        (sample((1.0, -45.0, 20.0)), 3, 45.0),
        (sample((None, 16.0, None)), 3, 16.0),
        (sample((None, None, None)), 3, None),
        (sample(), 3, None),
        (sample(watts=(6900.0,)), 3, 10.0),
        (sample(watts=(6900.0,)), 1, 30.0),
        (sample(watts=(-6900.0,)), 1, 30.0),
        (sample(watts=(6900.0,), volts=(115.0, None, None)), 1, 60.0),
        (sample(watts=(6900.0, 6900.0, 0.0, 0.0)), 3, 30.0),
        (sample((10.0, None, None), (6900.0, 2300.0, 4600.0, None)), 3, 20.0),
        (sample((None, None, None), (None, 0.0, -4600.0, None)), 3, 20.0),
        (sample(watts=(None, 2300.0, None, None), volts=(115.0, None, None)), 3, 20.0),
        (sample(watts=(None, 2300.0, None, None), volts=(0.0, None, None)), 3, 10.0),
        (sample(watts=(6900.0,), volts=(100.0, 200.0, 0.0)), 1, 46.0),
        (sample(watts=(6900.0,)), 0, 30.0),
        (sample(watts=(6900.0,)), 2, 15.0),
    ],
)
def test_the_highest_current(measured: Powermeter, phases: int, highest_a: float | None) -> None:
    assert current.highest_current_a(measured, phases, 230.0) == highest_a


@pytest.mark.parametrize(
    ('measured', 'power', 'amperes', 'forward'),
    [
        (sample((16.0, 16.0, 16.0), (-11_040.0,)), True, False, False),
        (sample((0.1, 0.1, 0.1), (-120.0,)), False, False, False),
        (sample(watts=(-120.0,)), True, False, False),
        (sample(watts=(-90.0,)), False, False, False),
        (sample((16.0, 16.0, 16.0), (3680.0, -3680.0, 3680.0, 3680.0)), True, False, False),
        (sample((16.0, -16.0, 16.0)), False, True, False),
        (sample((-1.0, 0.0, 0.0)), False, False, False),
        (sample((16.0, 16.0, 16.0), (11_040.0,)), False, False, True),
        (sample((16.0, 0.0, 0.0)), False, False, True),
        (sample((0.0, 0.0, 0.0), (0.0,)), False, False, False),
        (sample(), False, False, False),
        (sample(watts=(-100.0,)), False, False, False),
        (sample(watts=(-100.1,)), True, False, False),
        (sample(watts=(100.0,)), False, False, False),
        (sample(watts=(100.1,)), False, False, True),
        (sample(watts=(None, None, -120.0, None)), True, False, False),
        (sample((2.0, 2.0, 2.0), (-120.0,)), False, False, False),
        (sample((2.0, -2.1, 2.0), (-120.0,)), True, True, False),
        (sample((None, 2.1, None), (-120.0,)), True, False, False),
        (sample((-2.0, 0.0, 0.0)), False, False, False),
        (sample((-2.1, None, None)), False, True, False),
        (sample((2.0, 0.0, 0.0)), False, False, False),
        (sample((None, 2.1, None)), False, False, True),
        (sample((16.0, 16.0, 16.0), (50.0,)), False, False, False),
        (sample((16.0, 16.0, 16.0), (None, None, None, None)), False, False, True),
    ],
)
def test_the_direction(measured: Powermeter, power: bool, amperes: bool, forward: bool) -> None:
    assert current.power_is_reversed(measured) is power
    assert current.current_is_reversed(measured) is amperes
    assert current.flows_forward(measured) is forward


@pytest.mark.parametrize(
    ('amperes', 'on_others'),
    [
        ((16.0, 16.0, 16.0), False),
        ((-16.0, 0.0, 0.0), False),
        ((0.0, 16.0, 0.0), True),
        ((0.0, None, -16.0), True),
        ((1.0, 16.0, 0.0), None),
        ((0.0, 1.0, 1.0), None),
        ((None, None, None), None),
        ((2.1, 0.0, 0.0), False),
        ((2.0, 0.0, 0.0), None),
        ((None, 16.0, 0.0), True),
        ((0.4, 16.0, 0.0), True),
        ((0.5, 16.0, 0.0), None),
        ((0.0, 2.1, 0.0), True),
        ((0.0, 2.0, 2.0), None),
    ],
)
def test_the_order_of_the_phases(amperes: tuple[float | None, ...], on_others: bool | None) -> None:
    assert current.is_on_other_phases(sample(amperes)) is on_others
