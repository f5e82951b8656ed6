"""
Calls of services that do not block: the screen goes on while they wait, and many of them run at once.

A call looks for its service, then waits for the answer; ``poll`` moves it on and returns at once.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

from evse_manager.cli.errors import CliError, NotFoundError
from evse_manager.cli.graph import Graph, ServiceReply, absolute, reply_of
from evse_manager.interface import endpoints

SLOW = {'force_unlock': 10.0}
"""Services that answer when they are done, with the time for it in seconds; the others answer within 1 s."""


class PendingCall:
    """One call of a connector's service; ``outcome`` is set when it is over."""

    def __init__(
        self,
        graph: Graph,
        namespace: str,
        service: str,
        fields: Mapping[str, Any],
        *,
        find_s: float,
        answer_s: float,
    ) -> None:
        self.namespace = namespace
        self.service = service
        self.outcome: ServiceReply | CliError | None = None
        self._graph = graph
        self._find_s = find_s
        self._answer_s = answer_s
        kind = endpoints.load(endpoints.service(service).type)
        self._request = graph.request(service, fields)
        self._client = graph.client(kind, absolute(namespace, service))
        self._future: Any = None
        self._deadline = time.monotonic() + find_s

    @property
    def sent(self) -> bool:
        """Whether the service was found and asked."""
        return self._future is not None

    def poll(self) -> bool:
        """Move the call on; return whether its outcome is known."""
        if self.outcome is None:
            self._advance(time.monotonic())
        return self.outcome is not None

    def _advance(self, now: float) -> None:
        if self._future is None:
            if self._client.service_is_ready():
                self._future = self._client.call_async(self._request)
                self._deadline = now + self._answer_s
            elif now >= self._deadline:
                self.outcome = self._graph.not_offered(self.namespace, self.service, self._find_s)
        elif self._future.done():
            self.outcome = reply_of(self.namespace, self.service, self._future.result())
        elif now >= self._deadline:
            self._client.remove_pending_request(self._future)
            self.outcome = NotFoundError(
                f'{self.namespace} did not answer {self.service} within {self._answer_s:g} s'
            )


def call_service(
    graph: Graph, namespace: str, service: str, fields: Mapping[str, Any], *, find_s: float, answer_s: float
) -> ServiceReply:
    """Call a service and wait: until it is there, then for its answer; raises NotFoundError."""
    call = PendingCall(graph, namespace, service, fields, find_s=find_s, answer_s=answer_s)
    graph.wait_until(lambda: call.poll() or call.sent, math.inf, absolute(namespace, service))
    graph.wait_until(call.poll, math.inf)
    if isinstance(call.outcome, CliError):
        raise call.outcome
    assert call.outcome is not None
    return call.outcome
