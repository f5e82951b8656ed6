"""The parameters of a node on the graph."""

from typing import Any

from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.parameter import Parameter

from evse_manager.cli.graph import Graph


def read_parameters(graph: Graph, node: str, limit_s: float) -> dict[str, Any] | None:
    """Return the parameters of a node by name; None where it offers none or does not answer in time."""
    listed = _ask(graph, ListParameters, f'{node}/list_parameters', ListParameters.Request(), limit_s)
    if listed is None:
        return None
    names = sorted(listed.result.names)
    given = _ask(graph, GetParameters, f'{node}/get_parameters', GetParameters.Request(names=names), limit_s)
    if given is None:
        return None
    messages = (ParameterMessage(name=name, value=value) for name, value in zip(names, given.values))
    return {message.name: Parameter.from_parameter_msg(message).value for message in messages}


def _ask(graph: Graph, kind: Any, service: str, request: Any, limit_s: float) -> Any:
    client = graph.node.create_client(kind, service)
    try:
        if not graph.wait_until(client.service_is_ready, limit_s):
            return None
        future = client.call_async(request)
        return future.result() if graph.wait_until(future.done, limit_s) else None
    finally:
        graph.node.destroy_client(client)
