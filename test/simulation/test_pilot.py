"""The pilot in volts, and what a board reads from it."""

import pytest

from evse_manager.interface.enums import ControlPilotState, PilotMode
from evse_manager.simulation.pilot import RESISTANCE_OHM, Generator, Levels, Load, levels, read

PWM, X1 = PilotMode.PWM, PilotMode.X1
A, B, C, D, E, F = (ControlPilotState[name] for name in 'ABCDEF')


def seen(mode, load, generator=None):
    return read(mode, levels(mode, generator or Generator(), load))


@pytest.mark.parametrize('mode', [PWM, X1])
@pytest.mark.parametrize(('state', 'nominal_v'), [(B, 9.0), (C, 6.0), (D, 3.0)])
def test_nominal_resistances_give_nominal_voltages(mode, state, nominal_v):
    load = Load(RESISTANCE_OHM[state])
    assert levels(mode, Generator(), load).high_v == pytest.approx(nominal_v, abs=0.1)
    assert seen(mode, load).state is state


def test_nothing_plugged_is_a():
    assert seen(PWM, Load()).state is A
    assert seen(X1, Load()).state is A


@pytest.mark.parametrize('supply', [0.97, 1.0, 1.03])
@pytest.mark.parametrize('impedance_ohm', [970.0, 1030.0])
@pytest.mark.parametrize('state', [B, C, D])
def test_tolerances_of_generator_and_car_do_not_change_the_state(supply, impedance_ohm, state):
    generator = Generator(12.0 * supply, -12.0 * supply, impedance_ohm)
    reading = seen(PWM, Load(RESISTANCE_OHM[state]), generator)
    assert reading.state is state
    assert not reading.diode_fault


@pytest.mark.parametrize('state', [B, C, D])
def test_a_missing_diode_shows_in_pwm_and_only_there(state):
    load = Load(RESISTANCE_OHM[state], diode=False)
    assert seen(PWM, load).diode_fault
    assert not seen(X1, load).diode_fault


def test_a_short_to_earth_is_e_and_no_diode_fault():
    reading = seen(PWM, Load(0.0, diode=False))
    assert reading.state is E
    assert not reading.diode_fault


def test_a_short_behind_the_diode_is_e_though_the_low_phase_is_fine():
    load = Load(0.0, diode=True)
    assert levels(PWM, Generator(), load).low_v == -12.0
    assert seen(PWM, load).state is E


def test_f_hides_whether_a_car_is_there():
    assert seen(PilotMode.F, Load()).state is F
    assert seen(PilotMode.F, Load(RESISTANCE_OHM[B])).state is F
    assert seen(PilotMode.E, Load()).state is E


@pytest.mark.parametrize('volts', [10.5, 7.2, 4.5, 2.0, 13.0])
def test_between_the_windows_there_is_no_nearest_state(volts):
    assert read(X1, Levels(volts, volts)).state is None
