"""
The wire between a manager and its board, in a process of its own: stop it and both live, but hear nothing.

``relay.py NAMESPACE`` carries every topic between ``board/…`` and ``wire/…``; a manager at the other end has
the names of ``MANAGER_NAMES``.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party
from evse_manager.nodes.qos import profile

MANAGER_NAMES = tuple(
    word
    for topic in endpoints.BOARD_TOPICS
    for word in ('-r', f'{topic.name}:={topic.name.replace("board/", "wire/", 1)}')
)
"""Arguments that put a manager at the far end of the wire."""


class Wire:
    """A wire as a test sees it: it can be cut and restored."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def cut(self) -> None:
        """Carry nothing any more."""
        self._child.send_signal(signal.SIGSTOP)

    def mend(self) -> None:
        """Carry again, beginning with what was on the way."""
        self._child.send_signal(signal.SIGCONT)


@contextmanager
def wire(namespace: str) -> Iterator[Wire]:
    """Lay a wire in a connector's namespace."""
    child = subprocess.Popen([sys.executable, __file__, namespace])
    try:
        yield Wire(child)
    finally:
        child.kill()
        child.wait()


def carry(namespace: str) -> None:
    """Carry messages until killed."""
    rclpy.init()
    node = Node('wire', namespace=namespace, start_parameter_services=False, enable_rosout=False)
    for topic in endpoints.BOARD_TOPICS:
        ends = [topic.name, topic.name.replace('board/', 'wire/', 1)]
        if topic.publisher is Party.MANAGER:
            ends.reverse()
        kind, qos = endpoints.load(topic.type), profile(topic.qos)
        publisher = node.create_publisher(kind, ends[1], qos)
        node.create_subscription(kind, ends[0], publisher.publish, qos, raw=True)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.spin()


if __name__ == '__main__':
    carry(sys.argv[1])
