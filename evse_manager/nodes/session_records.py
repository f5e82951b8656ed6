"""The session store of a manager node: its thread and its waits, on the node's executor and clocks."""

from collections.abc import Callable

from rclpy.node import Node

from evse_manager.charging.kernel import Output
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import Error
from evse_manager.nodes.runtime import Guard, NodeTime
from evse_manager.store import Entry, Remembered, SessionStore, location

LAST_RECORDS_S = 0.2
"""How long the last records of the process are waited for, and again the closing of the file."""


class SessionRecords:
    """The records of a manager (``manager.Records``) in its session store."""

    def __init__(
        self, node: Node, config: Config, clock: NodeTime, guard: Guard, changed: Callable[[], object]
    ) -> None:
        """``changed`` is called in the executor's thread when records were written or the warning changed."""
        self._node = node
        self._log = node.get_logger()
        self._clock = clock
        self._changed = changed
        self._settle = guard(self.settle)
        self._store = SessionStore(
            location(config.session_store, node.get_namespace()),
            config.session_store_retention_days,
            now=clock.wall,
            wake=self._wake,
        )
        self._errors: tuple[Error, ...] = ()
        self._warning = ''

    def open(self) -> Remembered:
        """Return what an earlier process left behind; ``told`` when its undelivered events are published."""
        remembered = self._store.open()
        self._look_for_warning()
        return remembered

    def told(self) -> None:
        """Note that the undelivered events have been published."""
        self._store.published_undelivered()

    @property
    def warning(self) -> str:
        """What is wrong with the records, for people; empty when nothing is."""
        return self._warning

    @property
    def overdue_at(self) -> float | None:
        """When ``settle`` is due at the latest, in seconds of the steady clock."""
        return self._store.overdue_at

    def keep(self, output: Output, publish: Callable[[], None]) -> None:
        """Record an output, then ``publish`` its events and answers, in the order of the calls."""
        errors = None
        if output.status is not None and output.status.active_errors != self._errors:
            errors = self._errors = output.status.active_errors
        news = output.events or output.memory is not None or errors is not None
        if news or (output.answers and not self._store.is_settled):
            self._store.keep(Entry(self._clock.wall(), output.events, output.memory, errors), publish)
        else:
            publish()

    def settle(self) -> None:
        """Publish what is recorded, and what has waited for long enough."""
        self._store.settle()
        self._look_for_warning()

    def finish(self) -> None:
        """Publish the rest, recorded or not; then close the file."""
        self._store.flush(LAST_RECORDS_S)
        self._store.close(LAST_RECORDS_S)

    def _wake(self) -> None:
        """Settle in the executor's thread, from any thread."""
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._settle)

    def _look_for_warning(self) -> None:
        warning = self._store.warning
        if warning == self._warning:
            return
        self._warning = warning
        if warning:
            self._log.warning(warning)
        else:
            self._log.info('The session records are complete again.')
        self._changed()
