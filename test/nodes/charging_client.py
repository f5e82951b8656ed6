"""
A client of the action ``charge`` that sends one goal and speaks on ``charge/keep_alive`` until it is killed.

    python3 charging_client.py NAMESPACE KEEP_ALIVE_S
"""

import sys

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.action import ActionClient
from std_msgs.msg import Empty

from evse_manager.action import Charge

SPEAKS_EVERY_S = 0.2


def main(namespace: str, keep_alive_s: int) -> None:
    """Send the goal and go on until this process is ended."""
    rclpy.init()
    node = rclpy.create_node('charging_client')
    client = ActionClient(node, Charge, f'{namespace}/charge')
    alive = node.create_publisher(Empty, f'{namespace}/charge/keep_alive', 10)
    node.create_timer(SPEAKS_EVERY_S, lambda: alive.publish(Empty()))
    client.wait_for_server()
    client.send_goal_async(Charge.Goal(token='ROBOT-7', keep_alive=Duration(sec=keep_alive_s)))
    rclpy.spin(node)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]))
