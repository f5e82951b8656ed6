"""Publishers of a node: values of the pure packages, by the names of their topics."""

from collections.abc import Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node

from evse_manager.interface.endpoints import Qos, Topic
from evse_manager.nodes.conversions import to_message
from evse_manager.nodes.topics import publisher


class Publishers:
    """The publishers of one node."""

    def __init__(self, node: Node, topics: Sequence[Topic]) -> None:
        """Create one publisher for each topic."""
        self._of = {topic.name: publisher(node, topic) for topic in topics}
        self._streams = frozenset(topic.name for topic in topics if topic.qos is Qos.STREAM)

    def __contains__(self, name: str) -> bool:
        """Return whether the node publishes a topic."""
        return name in self._of

    def listened_to(self, name: str) -> bool:
        """
        Return whether a message on a topic could reach a reader.

        A sample of a stream without a reader is lost; a latched message reaches late readers too, and a
        command is published in any case.
        """
        return name not in self._streams or self._of[name].get_subscription_count() > 0

    def publish(self, name: str, value: Any) -> None:
        """Publish a value, unless it could reach no reader."""
        if self.listened_to(name):
            self._of[name].publish(to_message(value))

    def relay(self, name: str, message: Any) -> None:
        """Publish a message as it is, unless it could reach no reader."""
        if self.listened_to(name):
            self._of[name].publish(message)

    def wait_until_delivered(self, name: str, seconds: float) -> None:
        """Wait until all readers of a topic have what was published, but no longer than this."""
        self._of[name].wait_for_all_acked(Duration(seconds=seconds))
