"""Services that may answer later than in their callback."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from .names import Service, load


class Reply:
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


def create_service(node: Node, service: Service, handle: Callable[[Any, Reply], None]) -> None:
    """
    Offer a service whose ``handle`` gets the request and a ``Reply`` to give at once or later.

    rclpy sends what a callback returns.  Here a callback that has no answer yet returns the ``Reply`` itself,
    and the service's ``send_response`` keeps the header of the request with it, instead of sending.
    """

    def receive(request: Any, response: Any) -> Any:
        reply = Reply(response)
        handle(request, reply)
        return response if reply.given else reply

    offered = node.create_service(load(service.type), service.name, receive)
    send = offered.send_response

    def send_or_keep(response: Any, header: Any) -> None:
        if isinstance(response, Reply):
            response.keep(header, send)
        else:
            send(response, header)

    offered.send_response = send_or_keep
