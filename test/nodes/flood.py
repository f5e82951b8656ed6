"""
Publishes messages at a rate, from a process of its own: ``flood.py RATE SECONDS FILE``.

FILE is a pickled list of topics: name, type, name of the quality of service, serialized messages, which are
sent in turn.  RATE is messages per second of each topic.  It prints ``flooding`` when every topic is read,
and at the end how many messages each topic got.
"""

import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message

from evse_manager.interface import endpoints
from evse_manager.nodes.qos import profile

BREATH_S = 0.002


def flood(rate: float, seconds: float, topics: list[tuple[str, str, str, list[bytes]]]) -> int:
    """Publish until the time is over; return the number of messages of each topic."""
    rclpy.init()
    node = Node('flood', start_parameter_services=False, enable_rosout=False)
    sources = [
        (node.create_publisher(endpoints.load(kind), name, profile(endpoints.Qos[qos])), messages)
        for name, kind, qos, messages in topics
    ]
    while any(publisher.get_subscription_count() == 0 for publisher, _ in sources):
        time.sleep(BREATH_S)
    print('flooding', flush=True)
    begun, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - begun) < seconds:
        if sent >= elapsed * rate:
            time.sleep(BREATH_S)
            continue
        for publisher, messages in sources:
            publisher.publish(messages[sent % len(messages)])
        sent += 1
    return sent


class Flood:
    """A flood as a test sees it: it runs until it is over or stopped."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        self._child = child
        self._log = log

    @property
    def begun(self) -> bool:
        """Return whether messages flow, or have flown."""
        return 'flooding' in self._log.read_text()

    @property
    def over(self) -> bool:
        """Return whether the last message was sent."""
        return self._child.poll() is not None

    @property
    def sent(self) -> int:
        """Return how many messages each topic got, once it is over."""
        return int(self._log.read_text().split()[-1])


@contextmanager
def flooding(
    directory: Path, namespace: str, rate: float, seconds: float, messages: dict[str, list[Any]]
) -> Iterator[Flood]:
    """Flood topics of a connector with messages, in turn."""
    topics = [
        (f'{namespace}/{name}', endpoints.topic(name).type, endpoints.topic(name).qos.name,
         [bytes(serialize_message(message)) for message in many])
        for name, many in messages.items()
    ]  # fmt: skip
    file, log = directory / 'flood.pickle', directory / 'flood.log'
    file.write_bytes(pickle.dumps(topics))
    with log.open('w') as output:
        child = subprocess.Popen(
            [sys.executable, __file__, str(rate), str(seconds), str(file)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Flood(child, log)
    finally:
        child.kill()
        child.wait()


if __name__ == '__main__':
    print(flood(float(sys.argv[1]), float(sys.argv[2]), pickle.loads(Path(sys.argv[3]).read_bytes())))
