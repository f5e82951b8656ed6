"""The action ``charge`` and ``battery_state`` over real DDS, with the action client of rclpy."""

import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration, Time
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import BatteryState

from charge_client import ChargeClient
from evse_manager.action import Charge
from evse_manager.interface.enums import ContactorState
from evse_manager.msg import EvseStatus
from evse_manager.nodes.qos import LATCHED, STREAM
from harness import Connector, Probe, Site

EXAMPLE = Path(__file__).resolve().parents[2] / 'examples' / 'dock_and_charge.py'
CHARGING = BatteryState.POWER_SUPPLY_STATUS_CHARGING


@pytest.fixture
def client(connector: Connector) -> Any:
    client = ChargeClient(connector)
    yield client
    client.close()


def test_a_goal_before_the_plug_charges_until_its_energy_is_delivered(client: ChargeClient) -> None:
    connector = client.connector
    battery: list[BatteryState] = client.probe.listen(
        'sensor_msgs/msg/BatteryState', connector.path('battery_state'), LATCHED
    )
    handle = client.send(energy_wh=10.0)
    connector.sees('SS')
    connector.accepted('simulation/plug_in')
    started, *_ = connector.sees('TS PC CS')
    client.probe.wait(
        lambda: battery and battery[-1].power_supply_status == CHARGING and battery[-1].current > 20.0,
        'the battery charges',
    )
    assert battery[-1].present
    assert 200.0 < battery[-1].voltage < 250.0
    ended = client.result(handle)
    connector.sees('SC CF TF')
    assert ended.status == GoalStatus.STATUS_SUCCEEDED
    assert ended.result.result == Charge.Result.REACHED
    assert ended.result.session_uuid == started.uuid
    assert ended.result.energy_wh >= 10.0
    assert math.isclose(
        ended.result.meter_stop_wh - ended.result.meter_start_wh, ended.result.energy_wh, abs_tol=0.01
    )
    assert {each.state for each in client.feedback} >= {EvseStatus.STATE_IDLE, EvseStatus.STATE_CHARGING}
    client.probe.wait(
        lambda: battery[-1].power_supply_status != CHARGING and battery[-1].current == 0.0,
        'the battery charges no more',
    )


@pytest.mark.parametrize(
    'qos',
    [QoSProfile(depth=10), QoSProfile(depth=1), qos_profile_sensor_data],
    ids=['as in Nav2 1.5', 'as in Nav2 1.3', 'best effort'],
)
def test_a_docking_stack_sees_by_the_current_alone_whether_energy_flows(
    client: ChargeClient, qos: QoSProfile
) -> None:
    """The condition of ``SimpleChargingDock`` (opennav_docking), with the QoS of its subscription."""
    connector = client.connector
    battery = client.probe.listen('sensor_msgs/msg/BatteryState', connector.path('battery_state'), qos)

    def sees(charging: bool) -> None:
        seen = len(battery)
        client.probe.wait(
            lambda: len(battery) > seen and (battery[-1].current > 0.5) == charging,
            f'charging is {charging}',
        )

    sees(charging=False)
    handle = client.send()
    connector.accepted('simulation/plug_in')
    sees(charging=True)
    connector.accepted('pause_charging')
    sees(charging=False)
    connector.accepted('resume_charging')
    sees(charging=True)
    connector.accepted('simulation/ev_pause')
    sees(charging=False)
    connector.accepted('simulation/ev_resume')
    sees(charging=True)
    handle.cancel_goal_async()
    client.result(handle)
    connector.reaches(lambda status: status.contactor == ContactorState.OPEN, 'the contactor is open', 0.5)
    sees(charging=False)
    assert any(each.power_supply_status == CHARGING for each in battery)
    assert not any(each.current > 0.5 for each in battery if each.power_supply_status != CHARGING)


def test_cancel_stops_in_order(client: ChargeClient) -> None:
    client.connector.accepted('simulation/plug_in')
    client.connector.sees('SS AR')
    handle = client.send()
    client.connector.sees('TS PC CS')
    cancelled = handle.cancel_goal_async()
    client.probe.wait(cancelled.done, 'the cancellation is answered')
    ended = client.result(handle)
    assert ended.status == GoalStatus.STATUS_CANCELED
    assert ended.result.result == Charge.Result.CANCELLED
    client.connector.sees('SC CF TF')


def test_a_second_goal_is_refused_and_the_first_goes_on(client: ChargeClient) -> None:
    first = client.send(energy_wh=5.0)
    client.connector.sees('SS')
    second = client.result(client.send(energy_wh=7.0))
    assert second.status == GoalStatus.STATUS_ABORTED
    assert second.result.result == Charge.Result.REFUSED
    assert 'cancel it first' in second.result.message
    client.connector.accepted('simulation/plug_in')
    assert client.result(first).result.result == Charge.Result.REACHED


IMPOSSIBLE = (
    {'energy_wh': 0.0},
    {'energy_wh': -5.0},
    {'energy_wh': math.nan},
    {'energy_wh': math.inf},
    {'soc_percent': 101.0},
    {'soc_percent': math.nan},
    {'duration': Duration(sec=-1)},
    {'departure': Time(sec=1)},
    {'departure': Time(sec=-1)},
    {'keep_alive': Duration(sec=-1)},
    {'token': 'x' * 400},
    {'token': 'a\x1b[2Jb'},
    {'token': ''},
)
"""Each is refused with the name of the field."""


@pytest.mark.parametrize('goal', IMPOSSIBLE, ids=lambda goal: repr(goal)[:50])
def test_an_impossible_goal_is_refused_and_nothing_happens(
    client: ChargeClient, goal: dict[str, Any]
) -> None:
    ended = client.result(client.send(**goal))
    assert ended.status == GoalStatus.STATUS_ABORTED
    assert ended.result.result == Charge.Result.REFUSED
    assert next(iter(goal)) in ended.result.message
    assert ended.result.message.isprintable()
    assert len(ended.result.message) < 200
    client.connector.sees_nothing(0.2)


def test_unplugged(client: ChargeClient) -> None:
    handle = client.send()
    client.connector.sees('SS')
    client.connector.accepted('simulation/plug_in')
    client.connector.sees('TS PC CS')
    client.connector.accepted('simulation/unplug')
    ended = client.result(handle)
    assert ended.status == GoalStatus.STATUS_ABORTED
    assert ended.result.result == Charge.Result.UNPLUGGED


def test_a_silent_client_pauses_the_charging_and_a_word_resumes_it(site: Site, probe: Probe) -> None:
    connector = Connector(probe, '/keep_alive')
    site.board('/keep_alive')
    site.manager('/keep_alive', goal_keep_alive_lost='pause')
    connector.sees('Enabled')
    client = ChargeClient(connector)
    from std_msgs.msg import Empty

    alive = probe.publisher('std_msgs/msg/Empty', connector.path('charge/keep_alive'), STREAM)
    handle = client.send(keep_alive=Duration(sec=6))
    connector.sees('SS')
    connector.accepted('simulation/plug_in')
    alive.publish(Empty())
    connector.sees('TS PC CS PEVSE')
    alive.publish(Empty())
    connector.sees('CR')
    handle.cancel_goal_async()
    assert client.result(handle).result.result == Charge.Result.CANCELLED
    client.close()


def test_the_end_of_the_manager_ends_the_goal_with_a_result(site: Site, probe: Probe) -> None:
    connector = Connector(probe, '/ending')
    site.board('/ending')
    manager = site.manager('/ending')
    connector.sees('Enabled')
    client = ChargeClient(connector)
    handle = client.send()
    connector.sees('SS')
    future = handle.get_result_async()
    probe.spin(0.3)
    manager.signal(signal.SIGTERM)
    probe.wait(future.done, 'the goal ends with its server')
    assert future.result().result.result == Charge.Result.STOPPED
    assert 'shutting down' in future.result().result.message
    client.close()


def test_departure_target_and_priority_reach_the_energy_manager(site: Site, probe: Probe) -> None:
    connector = Connector(probe, '/target')
    requests = connector.listen('energy/request')
    site.board('/target')
    site.manager('/target', energy_source='manager')
    connector.sees('Enabled')
    client = ChargeClient(connector)
    departure = Time(sec=int(time.time()) + 7200)
    handle = client.send(energy_wh=5000.0, departure=departure, priority=3)

    def asked() -> bool:
        target = requests[-1].optimizer_target if requests else ()
        return bool(target) and (target[0].leave_time, requests[-1].priority) == (departure, 3)

    probe.wait(asked, 'the target in the request')
    assert math.isclose(requests[-1].optimizer_target[0].energy_amount_needed_kwh, 5.0)
    handle.cancel_goal_async()
    assert client.result(handle).result.result == Charge.Result.CANCELLED
    probe.wait(lambda: not requests[-1].optimizer_target, 'the target is gone with the goal')
    client.close()


def test_the_docking_example_runs(connector: Connector) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), '--connector', connector.namespace, '--energy-wh', '10'],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'charging with' in done.stdout
    assert done.stdout.rstrip().endswith('undocked')
