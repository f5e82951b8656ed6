"""Services that may answer later than in their callback."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node

from evse_manager.interface.endpoints import Service, load

TRIES = 10
"""How often an answer is sent to a caller that the middleware does not know yet, up to 0.1 s each time."""


class DeferredReply:
    """The answer that one caller waits for; it can be given once, in the service's callback or later."""

    def __init__(self, response: Any) -> None:
        """``response`` is the empty response to fill in."""
        self.response = response
        self._given = False
        self._header: Any = None
        self._deliver: Callable[[Any, Any], None] | None = None

    @property
    def given(self) -> bool:
        """Return whether the answer was given."""
        return self._given

    def give(self) -> None:
        """Send the response as it is now filled in."""
        if self._given:
            return
        self._given = True
        if self._deliver is not None:
            self._deliver(self.response, self._header)

    def keep(self, header: Any, deliver: Callable[[Any, Any], None]) -> None:
        """Note where the answer goes to, once the callback has returned without giving it."""
        self._header, self._deliver = header, deliver


def create_service(node: Node, service: Service, handle: Callable[[Any, DeferredReply], None]) -> Any:
    """
    Offer a service whose ``handle`` gets the request and a ``DeferredReply`` for now or later; return rclpy's
    object of it.

    rclpy sends what a callback returns.  Here a callback that has no answer yet returns the ``DeferredReply``
    itself, and the service's ``send_response`` keeps the header of the request with it, instead of sending.
    """

    def receive(request: Any, response: Any) -> Any:
        reply = DeferredReply(response)
        handle(request, reply)
        return response if reply.given else reply

    offered = node.create_service(load(service.type), service.name, receive)
    send = partial(_send, node, offered.send_response)

    def send_or_keep(response: Any, header: Any) -> None:
        if isinstance(response, DeferredReply):
            response.keep(header, send)
        else:
            send(response, header)

    offered.send_response = send_or_keep  # type: ignore[method-assign]
    return offered


def _send(
    node: Node, send: Callable[[Any, Any], None], response: Any, header: Any, tries: int = TRIES
) -> None:
    """
    Send an answer, again if need be.

    A caller that has just appeared may ask before the middleware knows where it wants the answer; then the
    answer would be lost with nothing but a warning.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        send(response, header)
    lost = any('failed to send response' in str(warning.message) for warning in said)
    executor = node.executor
    if lost and tries > 1 and executor is not None:
        executor.create_task(_send, node, send, response, header, tries - 1)
    elif lost:
        node.get_logger().warning('An answer could not be delivered; its caller is gone.')
