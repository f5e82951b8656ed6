"""The commands of ``ros2`` that the pages use and the wheels do not bring, as far as tests need them."""

import os
import shlex
import sys
import time

import rclpy
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from evse_manager.interface import endpoints
from typed import parse

LIMIT_S = 40.0


def wait(node: Node, condition) -> None:
    """Spin until the condition holds; end the program when it does not."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f'nothing within {LIMIT_S} s')
        rclpy.spin_once(node, timeout_sec=0.05)


def call(node: Node, words: list[str]) -> None:
    path, kind, request = parse(shlex.join(['ros2', *words]))
    client = node.create_client(endpoints.load(kind), path)
    wait(node, client.service_is_ready)
    future = client.call_async(request)
    wait(node, future.done)
    print(future.result())


def publish(node: Node, words: list[str]) -> None:
    path, kind, message = parse(shlex.join(['ros2', *words]))
    publisher = node.create_publisher(endpoints.load(kind), path, 10)
    wait(node, lambda: publisher.get_subscription_count() > 0)
    publisher.publish(message)
    wait(node, publisher.wait_for_all_acked)


def echo(node: Node, words: list[str]) -> None:
    """Print the newest message of a topic, or with ``--once`` omitted each that comes, until Ctrl-C."""
    path = next(word for word in words[2:] if word.startswith('/'))
    wait(node, lambda: node.count_publishers(path) > 0)
    info = node.get_publishers_info_by_topic(path)[0]
    latched = info.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
    qos = QoSProfile(
        depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    )
    heard: list[object] = []
    node.create_subscription(
        endpoints.load(info.topic_type), path, lambda message: (heard.append(message), print(message)), qos
    )
    wait(node, lambda: heard and '--once' in words)


def set_parameter(node: Node, words: list[str]) -> None:
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    _, _, target, name, value = words
    client = node.create_client(SetParameters, f'{target}/set_parameters')
    wait(node, client.service_is_ready)
    wanted = Parameter(name, value=float(value)).to_parameter_msg()
    future = client.call_async(SetParameters.Request(parameters=[wanted]))
    wait(node, future.done)
    (result,) = future.result().results
    if not result.successful:
        sys.exit(result.reason)
    print('Set parameter successful')


def main(words: list[str]) -> None:
    match words:
        case ['run', package, program, *rest]:
            path = f'{get_package_prefix(package)}/lib/{package}/{program}'
            os.execv(path, [path, *rest])
        case ['pkg', 'prefix', '--share', package]:
            print(get_package_share_directory(package))
            return
    rclpy.init()
    node = Node(f'ros2_tools_{os.getpid()}', start_parameter_services=False)
    match words:
        case ['service', 'call', *_]:
            call(node, words)
        case ['topic', 'pub', *_]:
            publish(node, words)
        case ['topic', 'echo', *_]:
            echo(node, words)
        case ['param', 'set', *_]:
            set_parameter(node, words)
        case _:
            sys.exit(f'tests have no ros2 {shlex.join(words)}')
    rclpy.try_shutdown()


if __name__ == '__main__':
    main(sys.argv[1:])
