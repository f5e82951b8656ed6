"""Diagnostics of a worker process: whether it hosts all that it was ordered to."""

import re
import socket
import time
from collections.abc import Sequence

from rclpy.node import Node

from evse_manager.interface import endpoints
from evse_manager.interface.types import Time
from evse_manager.nodes import diagnostics
from evse_manager.nodes.diagnostics import Digest
from evse_manager.nodes.publishers import Publishers

PERIOD_S = 1.0


class WorkerDiagnostics:
    """A node of the worker's own that publishes on change and once a second; nothing else is done in it."""

    def __init__(self, name: str) -> None:
        """``name`` is that of the worker on its machine, such as ``managers 1``."""
        self._host = socket.gethostname()
        self._source = f'{self._host}/{name}'
        self.node = Node(
            re.sub(r'[^A-Za-z0-9_]', '_', f'depot_{self._source}'),
            start_parameter_services=False,
            enable_rosout=False,
            use_global_arguments=False,
        )
        self._topic = endpoints.WORKER_DIAGNOSTICS
        self._publishers = Publishers(self.node, [self._topic])
        self._digest: Digest | None = None
        self._due = 0.0

    def report(self, running: int, failing: Sequence[str], callbacks_failed: int) -> None:
        """Publish how many nodes run, which are started again, and how many callbacks failed, when due."""
        now = time.monotonic()
        part = diagnostics.worker(self._host, running, failing, callbacks_failed)
        news = diagnostics.digest([part])
        if now < self._due and news == self._digest:
            return
        self._due, self._digest = now + PERIOD_S, news
        if self._publishers.listened_to(self._topic.name):
            self._publishers.relay(
                self._topic.name, diagnostics.array(self._source, [part], Time(time.time_ns()))
            )

    def close(self) -> None:
        """Leave the graph."""
        self.node.destroy_node()
