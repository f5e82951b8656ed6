"""Simulated time: the nodes wait for the clock, and a session runs ten times as fast."""

import time

import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue

from evse_manager.msg import ContactorState
from harness import Connector, Probe, Site

FAST = Parameter(name='rate', value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=10.0))


@pytest.fixture
def waiting(site: Site, probe: Probe) -> Connector:
    connector = Connector(probe, '/fast')
    site.board('/fast', use_sim_time=True)
    site.manager('/fast', use_sim_time=True)
    return connector


def seconds(stamp) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def test_the_nodes_wait_for_the_clock_and_then_run_on_it(waiting: Connector, site: Site):
    assert '/clock' in waiting.refused('enable', connector_id=0)
    waiting.probe.spin(0.5)
    assert waiting.codes == []

    # At the pace of real time until they have found each other: the manager waits five seconds for its board.
    meter = waiting.listen('powermeter')
    clock = site.start('simulation_clock')
    (enabled,) = waiting.sees('Enabled')
    assert abs(seconds(enabled.stamp) - time.time()) < 600.0

    answer = waiting.probe.call(
        'rcl_interfaces/srv/SetParameters', '/simulation_clock/set_parameters', parameters=[FAST]
    )
    assert answer.results[0].successful

    waiting.probe.wait(lambda: meter, 'the first sample of the meter')
    waiting.charge()
    begun, real = waiting.status, time.monotonic()
    waiting.reaches(
        lambda s: s.charging_duration.sec >= begun.charging_duration.sec + 60, 'a minute of charging', 30.0
    )
    assert time.monotonic() - real > 4.0, 'ten times as fast, and no faster'

    waiting.accepted('stop_transaction')
    waiting.sees('SC CF TF')
    finished = waiting.all_events[-1].transaction_finished[0]
    started = next(e for e in waiting.all_events if e.transaction_started).transaction_started[0]
    lasted = seconds(finished.timestamp) - seconds(started.timestamp)
    energy = finished.meter_value.energy_wh_import.total - started.meter_value.energy_wh_import.total
    assert lasted > 60.0
    assert energy == pytest.approx(22_080.0 * lasted / 3600.0, rel=0.25)
    waiting.accepted('simulation/unplug')
    waiting.sees('SF')

    # Time stands still: leases and link supervision go on, on real time.
    waiting.charge()
    states = waiting.listen('board/state')
    clock.stop()
    waiting.probe.spin(2.5)
    waiting.sees_nothing(0.0)
    assert states
    assert states[-1].contactor == ContactorState.CLOSED
