#!/usr/bin/env python3
"""
A robot that docks, charges and leaves by itself, at a simulated connector such as those of ``make demo``.

The robot is simulated too and needs nothing but rclpy: it counts the seconds of its way to the dock, plugs
its charging contacts in (a service of the simulated board), watches ``battery_state`` as a docking stack
does, and leaves when its goal of the action ``charge`` has ended.

    python3 examples/dock_and_charge.py [--connector /evse_1] [--token ROBOT-7] [--energy-wh 20]

Without ``--connector`` it takes the first one that is free.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import BatteryState
from std_srvs.srv import Trigger

from evse_manager.action import Charge
from evse_manager.msg import EvseStatus
from evse_manager.srv import SimulatePlugIn

WAY_TO_THE_DOCK_S = 1.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
CHARGING_THRESHOLD_A = 0.5
"""As in ``opennav_docking``: more than this into the battery is charging."""

LIMIT_S = 30.0
"""Longest wait for the charger to answer, or for energy to flow."""


class Robot(Node):
    """The robot: a battery that the charger reports on, and the action's client."""

    def __init__(self) -> None:
        super().__init__('robot')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.current_a = 0.0
        self._free: list[str] = []

    def find_free_connector(self) -> str:
        """Return the first connector whose status shows that it is free; raises TimeoutError."""
        watched = {}

        def look() -> bool:
            for topic, types in self.get_topic_names_and_types():
                if 'evse_manager/msg/EvseStatus' in types and topic not in watched:
                    heard = partial(self._on_status, topic.removesuffix('/status'))
                    watched[topic] = self.create_subscription(EvseStatus, topic, heard, LATCHED)
            return bool(self._free)

        self.wait(look, 'a free connector')
        for subscription in watched.values():
            self.destroy_subscription(subscription)
        return self._free[0]

    def _on_status(self, connector: str, status: EvseStatus) -> None:
        if status.state == EvseStatus.STATE_IDLE and not status.plugged and not status.authorized:
            self._free.append(connector)

    def approach(self, connector: str) -> None:
        """Use this connector from now on."""
        self._connector = connector.rstrip('/')
        self.create_subscription(BatteryState, f'{self._connector}/battery_state', self._on_battery, 1)
        self._charge = ActionClient(self, Charge, f'{self._connector}/charge')
        self._contacts = self.create_client(SimulatePlugIn, f'{self._connector}/simulation/plug_in')
        self._away = self.create_client(Trigger, f'{self._connector}/simulation/unplug')

    @property
    def is_charging(self) -> bool:
        """The result of ``ChargingDock.isCharging``."""
        return self.current_a > CHARGING_THRESHOLD_A

    def _on_battery(self, battery: BatteryState) -> None:
        self.current_a = battery.current

    def _on_feedback(self, message: Any) -> None:
        feedback = message.feedback
        print(f'  {feedback.reason_text} ({feedback.power_w / 1000.0:.1f} kW)')

    def wait(self, condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        """Spin until a condition holds; raises TimeoutError."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f'{what} did not happen within {limit_s:g} s')
            self._executor.spin_once(timeout_sec=0.1)

    def ask(self, client: Any, request: Any, what: str) -> Any:
        """Call a service and return its response."""
        self.wait(client.service_is_ready, f'{what}: the service')
        future = client.call_async(request)
        self.wait(future.done, what)
        return future.result()

    def visit(self, token: str, energy_wh: float) -> int:
        """Dock, charge and leave; return the exit code."""
        self.wait(self._charge.server_is_ready, 'the action charge')
        print(f'asking {self._connector} for {energy_wh:g} Wh')
        goal = Charge.Goal(token=token, energy_wh=energy_wh)
        sent = self._charge.send_goal_async(goal, feedback_callback=self._on_feedback)
        self.wait(sent.done, 'the goal')
        result = sent.result().get_result_async()

        print('driving to the dock')
        time.sleep(WAY_TO_THE_DOCK_S)
        docked = self.ask(self._contacts, SimulatePlugIn.Request(), 'docking')
        if not docked.success:
            print(f'could not dock: {docked.message}')
            return 1
        self.wait(lambda: self.is_charging or result.done(), 'charging')
        if self.is_charging:
            print(f'charging with {self.current_a:.1f} A')
        self.wait(result.done, 'the end of the goal', 3600.0)
        self.wait(lambda: not self.is_charging, 'the end of charging')

        ended = result.result().result
        print(f'result {ended.result}, {ended.energy_wh:.0f} Wh {ended.message}'.rstrip())
        self.ask(self._away, Trigger.Request(), 'undocking')
        print('undocked')
        return 0 if ended.result in (Charge.Result.REACHED, Charge.Result.FULL) else 1


def main() -> int:
    """Run the example; return the exit code."""
    parser = argparse.ArgumentParser(description='A robot that docks, charges and leaves.')
    parser.add_argument('--connector', default='', help='namespace of the connector (default: a free one)')
    parser.add_argument('--token', default='ROBOT-7', help='token of the robot')
    parser.add_argument('--energy-wh', type=float, default=20.0, help='energy to take')
    given = parser.parse_args()
    rclpy.init()
    robot = Robot()
    try:
        robot.approach(given.connector or robot.find_free_connector())
        return robot.visit(given.token, given.energy_wh)
    except TimeoutError as error:
        print(f'dock_and_charge: {error}; does a connector run, and in this ROS domain?', file=sys.stderr)
        return 1
    finally:
        robot.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    sys.exit(main())
