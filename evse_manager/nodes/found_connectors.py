"""The connectors of a site, as the graph shows them."""

from rclpy.node import Node


def connectors_below(node: Node, namespace: str) -> list[str]:
    """Return the sorted namespaces below ``namespace`` in which a connector publishes its status."""
    below = namespace.rstrip('/') + '/'
    return sorted(
        topic.removesuffix('/status')
        for topic, types in node.get_topic_names_and_types()
        if topic.startswith(below)
        and topic.endswith('/status')
        and 'evse_manager/msg/EvseStatus' in types
        and topic != f'{below}status'
    )
