"""
Cost of ROS 2 itself: the smallest rclpy nodes, on the executor that the package uses.

Run as a process of its own: ``bare.py echo|idle|latched``.  It imports nothing of the package, so that its
start, its memory and its processor time are those of rclpy alone.
"""

import sys
import time

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import UInt64

try:
    from rclpy.experimental.events_executor import EventsExecutor as Executor
except ImportError:  # the package does the same
    from rclpy.executors import SingleThreadedExecutor as Executor

ECHO_IN, ECHO_OUT, LATCHED = 'bare/in', 'bare/out', 'bare/latched'
ONE = QoSProfile(depth=1)
KEPT = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def main() -> None:
    role = sys.argv[1]
    rclpy.init()
    node = Node(f'bare_{role}')
    if role == 'echo':
        back = node.create_publisher(UInt64, ECHO_OUT, ONE)
        node.create_subscription(UInt64, ECHO_IN, back.publish, ONE)
    elif role == 'latched':
        node.create_publisher(UInt64, LATCHED, KEPT).publish(UInt64(data=time.time_ns()))
    executor = Executor()
    executor.add_node(node)
    try:
        while True:
            executor.spin_once(timeout_sec=1.0)
    except ExternalShutdownException:
        pass  # the signal that asks for the end


if __name__ == '__main__':
    main()
