"""The shortest program that calls a service of rclpy once: the floor of every call from a command line."""

import sys

import rclpy
from rclpy.node import Node
from std_srvs.srv import Trigger


def main() -> int:
    rclpy.init()
    node = Node('bare_call', start_parameter_services=False, enable_rosout=False)
    client = node.create_client(Trigger, sys.argv[1])
    while not client.service_is_ready():
        rclpy.spin_once(node, timeout_sec=0.05)
    future = client.call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future)
    success = future.result().success
    node.destroy_node()
    rclpy.shutdown()
    return 0 if success else 1


if __name__ == '__main__':
    sys.exit(main())
