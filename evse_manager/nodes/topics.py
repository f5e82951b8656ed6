"""Subscriptions and publishers by their rows in ``interface/endpoints.py``, and messages as plain values."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription

from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Topic
from evse_manager.nodes.conversions import ConversionError, from_message
from evse_manager.nodes.qos import profile

WARNING_PERIOD_S = 1.0
"""Malformed messages of one topic are warned of at most once in this time."""

Value = TypeVar('Value')


def subscribe(node: Node, topic: Topic, callback: Callable[[Any], None], name: str = '') -> Subscription:
    """Subscribe to a topic; ``name`` is given where it is not that of the row."""
    return node.create_subscription(
        endpoints.load(topic.type), name or topic.name, callback, profile(topic.qos)
    )


def publisher(node: Node, topic: Topic, name: str = '') -> Publisher:
    """Publish a topic; ``name`` is given where it is not that of the row."""
    return node.create_publisher(endpoints.load(topic.type), name or topic.name, profile(topic.qos))


class TopicReader:
    """Reads topics of one connector's node."""

    def __init__(self, node: Node, entry: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
        """``entry`` makes an entry point of each callback."""
        self._node = node
        self._entry = entry
        self._warned: dict[str, float] = {}

    def subscribe(self, name: str, callback: Callable[[Any], None]) -> None:
        """Call back with each message of a topic."""
        subscribe(self._node, endpoints.topic(name), self._entry(callback))

    def read(self, name: str, cls: type[Value], take: Callable[[Value], None]) -> None:
        """Call ``take`` with the value of each message of a topic, but for malformed ones."""

        def callback(message: Any) -> None:
            value = self.value(name, message, cls)
            if value is not None:
                take(value)

        self.subscribe(name, callback)

    def value(self, name: str, message: Any, cls: type[Value]) -> Value | None:
        """Return the value of a message; None, with a warning, when it is malformed."""
        try:
            return from_message(message, cls)
        except ConversionError as error:
            now = time.monotonic()
            if now - self._warned.get(name, -WARNING_PERIOD_S) >= WARNING_PERIOD_S:
                self._warned[name] = now
                self._node.get_logger().warning(f'A message on {name} is dropped: {error}')
            return None
