"""Trips of the protection, temperature and supply (catalogue F28 to F40)."""

import pytest

from charging.kernel_harness import KernelHarness
from evse_manager.interface.enums import BoardErrorEnum, ErrorEnum, PilotMode, StatusReason
from evse_manager.interface.parameters import Config
from faults.fault_bench import FaultBench

Board = BoardErrorEnum


@pytest.mark.parametrize(
    ('fault', 'code'), [pytest.param('rcd_ac', 'RcdAc', id='ac'), pytest.param('rcd_dc', 'RcdDc', id='dc')]
)
def test_F28_F29_residual_current(charging, fault, code, measured):
    cycles = charging.status.contactor_cycles
    charging.inject(fault)
    measured(charging.until_open(), 0.3)
    assert charging.error_codes == {code}
    charging.clear()
    charging.run_for(960.0)
    assert charging.error_codes == {code}, 'no retry by itself'
    assert charging.status.contactor_cycles == cycles
    charging.fresh_session()


def test_F28_residual_current_that_outlasts_the_unplug(charging):
    charging.inject('rcd_ac')
    charging.run_for(5.0)
    charging.unplug()
    charging.run_for(5.0)
    charging.clear()
    charging.plug_in()
    charging.run_for(60.0)
    assert charging.error_codes == {'RcdAc'}, 'no retry by itself'
    charging.fresh_session()


def test_F30_the_self_test_fails(bench, measured):
    bench.inject('rcd_self_test')
    bench.plug_in()
    bench.authorize()
    bench.run_until(lambda b: b.board.outputs.power, 20.0)
    measured(bench.until_error(ErrorEnum.RCD), 3.0)
    bench.run_for(60.0)
    assert bench.error_codes == {'RcdSelfTest'}
    assert bench.status.contactor_cycles == 0
    bench.clear()
    bench.fresh_session()


def test_F31_two_faults_and_one_clears(charging):
    charging.inject('ventilation')
    charging.run_for(1.0)
    charging.trips(Board.ENCLOSURE_OPEN)
    charging.run_for(1.0)
    assert charging.error_codes == {'VentilationNotAvailable', 'EnclosureOpen'}
    charging.clear('ventilation')
    charging.run_for(30.0)
    assert charging.error_codes == {'EnclosureOpen'}
    assert not charging.closed
    charging.trips(Board.ENCLOSURE_OPEN, False)
    charging.run_until(lambda b: b.flows, 30.0)
    assert charging.codes().endswith('CS Error Error AllErrorsCleared CR')


def draw(harness: KernelHarness, amperes: float, seconds: float) -> None:
    """Let the EV draw so much for so long, sampled once a second."""
    harness.drawn_a = amperes
    harness.sample()
    harness.run(seconds)


def test_F32_soft_over_current_for_7_s(measured):
    harness = KernelHarness().charging()
    harness.run(30.0)
    begun = harness.t
    harness.drawn_a = (32.0 + 0.5) * 1.10 + 0.1
    harness.sample()
    harness.until(lambda: 'Error(OverCurrent)' in harness.codes(), 20.0)
    measured(harness.t - begun, 7.6, 7.0)
    assert not harness.flows
    harness.drawn_a = 0.0
    harness.run(10.0)
    assert not harness.codes().endswith('AllErrorsCleared'), 'until unplugged'
    harness.pilot('A').run(3.0)
    assert harness.codes().endswith('AllErrorsCleared SC CF TF(EVDisconnected) SF')


def test_F33_soft_over_current_for_6_9_s():
    harness = KernelHarness().charging().run(30.0)
    draw(harness, 40.0, 6.9)
    draw(harness, 32.0, 60.0)
    assert harness.codes().endswith('CS')


def test_F34_the_ev_follows_a_lower_limit_late():
    bench = FaultBench().charge('slow')
    bench.run_for(30.0)
    bench.limit(10.0)
    bench.run_for(4.0)
    assert max(bench.world.currents_a) > 20.0, 'the EV has not followed yet'
    bench.run_for(60.0)
    assert max(bench.world.currents_a) <= 10.1
    assert not bench.active


def test_F35_the_ladder_of_temperatures(measured):
    harness = KernelHarness().charging().run(10.0)
    harness.temperature(65.0)
    assert harness.signalled == 16.0
    harness.temperature(68.0)
    assert harness.signalled == 8.0
    harness.temperature(71.0)
    begun = harness.t
    assert harness.codes().endswith('Error(Other)')
    assert harness.outputs.pilot_mode is PilotMode.X1, 'the EV may end in order'
    harness.pilot('B')
    assert not harness.flows
    measured(harness.t - begun, 5.0)
    harness.temperature(63.0).run(10.0)
    assert harness.codes().endswith('Error(Other)'), 'hysteresis'
    harness.temperature(61.9).run(5.0)
    harness.pilot('C').run(1.0)
    assert harness.codes().endswith('AllErrorsCleared CR')
    assert harness.run(10.0).signalled == 32.0


def test_F35_derating_ends_at_6_a():
    harness = KernelHarness(Config(max_current_import_a=16.0)).charging().run(10.0)
    harness.temperature(68.0)
    assert harness.signalled == 6.0, 'not a quarter of 16 A, which cannot be signalled'


def test_F35_an_overheated_enclosure_stops_and_recovers(charging):
    charging.inject('over_temperature')
    charging.run_until(lambda b: b.board_state.current_a == 16.0, 120.0)
    charging.until_error(ErrorEnum.OTHER, 120.0)
    charging.run_until(lambda b: not b.closed, 7.0)
    charging.clear()
    charging.run_until(lambda b: b.flows, 300.0)
    assert charging.world.enclosure.temperature_c < 62.0


@pytest.mark.parametrize('reading', [None, float('nan')])
def test_F36_the_temperature_sensor_is_absent(reading):
    harness = KernelHarness().charging().run(10.0)
    harness.temperature(reading)
    assert harness.run(10.0).signalled == 32.0
    assert any('temperature' in warning for warning in harness.status.warnings)


TEMPERATURES = pytest.mark.parametrize(
    ('error', 'code'),
    [
        (Board.OVER_TEMPERATURE, 'BoardOverTemperature'),
        (Board.CABLE_OVER_TEMPERATURE, 'CableOverTemperature'),
    ],
)


@TEMPERATURES
@pytest.mark.parametrize('leaves_c', [True, False])
def test_F37_the_cable_is_too_hot(error, code, leaves_c, measured):
    harness = KernelHarness().charging()
    begun = harness.t
    harness.report(error)
    assert harness.outputs.pilot_mode is PilotMode.X1, 'the EV may end in order'
    assert harness.flows
    assert [each.vendor_error.split(':')[0] for each in harness.status.active_errors] == [code]
    if leaves_c:
        harness.run(0.5).pilot('B')
    harness.until(lambda: not harness.flows)
    measured(harness.t - begun, 1.0 if leaves_c else 6.5)
    harness.run(30.0)
    assert not harness.flows
    harness.report().pilot('C').run(5.0)
    assert harness.codes().endswith('CS Error(Other) AllErrorsCleared CR'), 'cooled'


@TEMPERATURES
def test_F37_a_board_that_opens_by_itself_when_too_hot_has_no_fault_of_the_contactor(charging, error, code):
    charging.trips(error)
    charging.until_open(0.5)
    charging.run_for(30.0)
    assert charging.error_codes == {code}
    charging.trips(error, False)
    charging.run_until(lambda b: b.flows, 30.0)
    assert charging.codes().endswith('CS Error AllErrorsCleared CR'), 'cooled'


@pytest.mark.parametrize('cause', [Board.OVER_VOLTAGE, Board.UNDER_VOLTAGE, Board.SUPPLY_LOST])
def test_F38_the_supply_is_bad_and_returns(cause, measured):
    bench = FaultBench(Config(restart_delay_max_s=20.0), random=lambda: 0.5)
    bench.charge()
    bench.trips(cause)
    measured(bench.until_open(), 1.0)
    assert bench.active == {ErrorEnum.OTHER}
    bench.run_for(30.0)
    bench.trips(cause, False)
    returned = bench.now
    bench.run_for(5.0)
    assert bench.status.reason is StatusReason.RESTART_DELAY
    bench.run_until(lambda b: b.flows, 60.0)
    assert 10.0 <= bench.now - returned <= 15.0, 'after a delay of its own, for the sake of the fuse'
    assert bench.codes().endswith('CS Error AllErrorsCleared CR')
    bench.fresh_session()


def test_F39_emergency_stop(charging, measured):
    charging.inject('emergency_stop')
    measured(charging.until_open(), 0.3)
    assert charging.error_codes == {'EmergencyStop'}
    charging.run_for(60.0)
    assert charging.pilot is PilotMode.F
    charging.unplug()
    charging.run_for(10.0)
    assert charging.error_codes == {'EmergencyStop'}, 'pressed still'
    charging.clear()
    charging.run_for(10.0)
    charging.fresh_session()


def test_F39_emergency_stop_released_with_the_cable_in(charging):
    charging.inject('emergency_stop')
    charging.run_for(5.0)
    charging.clear()
    charging.run_for(60.0)
    assert charging.error_codes == {'EmergencyStop'}, 'until unplugged'
    assert not charging.closed
    charging.fresh_session()


@pytest.mark.parametrize(
    ('cause', 'code'),
    [
        (Board.ENCLOSURE_OPEN, 'EnclosureOpen'),
        (Board.TILT, 'Tilt'),
        (Board.WATER_INGRESS, 'WaterIngress'),
    ],
)
def test_F40_the_enclosure_is_open_tilted_or_wet(charging, cause, code, measured):
    charging.trips(cause)
    measured(charging.until_open(), 0.5)
    assert charging.error_codes == {code}
    charging.trips(cause, False)
    charging.run_until(lambda b: b.flows, 20.0)
    assert charging.codes().endswith('CS Error AllErrorsCleared CR')
