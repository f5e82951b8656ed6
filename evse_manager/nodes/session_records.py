"""The session store of a manager node: its thread and its waits, on the node's executor and clocks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rclpy.node import Node

from evse_manager.charging.kernel import Output
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import Error, EvseStatus
from evse_manager.nodes.runtime import Guard, NodeTime
from evse_manager.store import (
    CourseRecorder,
    Entry,
    Identity,
    Remembered,
    SessionStore,
    history_location,
    last_written,
    location,
    peek,
    simulated_path,
)

LAST_RECORDS_S = 0.2
"""How long the last records of the process are waited for, and again the closing of the file."""


class SessionRecords:
    """
    The records of a manager (``manager.Records``) in its session store.

    Those of a simulated board go into files of their own, with all that is in force: an experiment must not
    limit, disable or count in a real charger.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        clock: NodeTime,
        guard: Guard,
        *,
        changed: Callable[[], object],
        opened: Callable[[], object],
    ) -> None:
        """
        Open nothing yet.

        ``changed`` is called in the executor's thread when the warning changed, ``opened`` when ``open`` may
        have an answer.
        """
        self._node = node
        self._log = node.get_logger()
        self._clock = clock
        self._changed = changed
        self._opened = opened
        self._settle = guard(self.settle)
        self._config = config
        self._path = location(config.session_store, node.get_namespace())
        self._history = history_location(config.history_store, self._path)
        self._store: SessionStore | None = None
        self._errors: tuple[Error, ...] = ()
        self._course = CourseRecorder()
        self._warning = ''
        self.simulated: bool | None = None
        """Whether the open records are those of a simulated board; None while none are open."""

    def open(self, simulated: bool | None) -> Remembered | None:
        """
        Return what an earlier process left behind; ``told`` when its undelivered events are published.

        None while the file is being opened; ``opened`` is called when it is.  ``simulated`` says which
        board's records they are; None is the kind that was used last.
        """
        store = self._store
        if store is None:
            store = self._store = self._begin(self._used_last() if simulated is None else simulated)
        if store.is_opening:
            return None
        remembered = store.open()
        self._look_for_warning()
        last = max(remembered.last_sequence_number, self._last_of_other_kind())
        return replace(remembered, last_sequence_number=last)

    def _begin(self, simulated: bool) -> SessionStore:
        """Begin to open the files of this kind."""
        self.simulated = simulated
        self._errors, self._course = (), CourseRecorder()
        path, history = self.files
        store = SessionStore(
            path,
            self._config.session_store_retention_days,
            now=self._clock.wall,
            wake=self._wake,
            identity=Identity(self._node.get_namespace(), self._config.connector_id, simulated),
            history=history,
        )
        store.begin()
        return store

    @property
    def files(self) -> tuple[Path | None, Path | None]:
        """The connector's own file and that of all connectors; None for none."""
        if not self.simulated:
            return self._path, self._history
        return self._path and simulated_path(self._path), self._history and simulated_path(self._history)

    def _used_last(self) -> bool:
        """Return whether the records of a simulated board were written last."""
        if self._path is None:
            return False
        return last_written(simulated_path(self._path)) > last_written(self._path)

    def _last_of_other_kind(self) -> int:
        """Return the number of the newest event in the other file: readers know events by their numbers."""
        if self._path is None:
            return 0
        other = self._path if self.simulated else simulated_path(self._path)
        return peek(other).last_sequence_number if other.exists() else 0

    def told(self) -> None:
        """Note that the undelivered events have been published."""
        if self._store is not None:
            self._store.published_undelivered()

    @property
    def warning(self) -> str:
        """Problem of the records, for people; empty when there is none."""
        return self._warning

    @property
    def file(self) -> str:
        """Path of the connector's own file; empty where records are kept in memory only."""
        own, _ = self.files
        return '' if own is None else str(own)

    @property
    def overdue_at(self) -> float | None:
        """When ``settle`` is due at the latest, in seconds of the steady clock."""
        return self._store.overdue_at if self._store is not None else None

    def keep(self, output: Output, publish: Callable[[], None]) -> None:
        """Record an output, then ``publish`` its events and answers, in the order of the calls."""
        store = self._store
        if store is None:
            publish()
            return
        errors = course = None
        now = self._clock.wall()
        if output.status is not None:
            course = self._course.point(output.status, now)
            if output.status.active_errors != self._errors:
                errors = self._errors = output.status.active_errors
        news = output.events or output.memory is not None or errors is not None or course is not None
        if news or (output.answers and not store.is_settled):
            store.keep(Entry(now, output.events, output.memory, errors, course), publish)
        else:
            publish()

    def note(self, status: EvseStatus) -> None:
        """Record a point in the course of the session where the last one no longer says enough."""
        store = self._store
        if store is None or store.is_opening:
            return
        now = self._clock.wall()
        point = self._course.point(status, now)
        if point is not None:
            store.keep(Entry(now, course=point), _nothing)

    def settle(self) -> None:
        """Publish what is recorded, and what has waited for long enough."""
        if self._store is not None:
            self._store.settle()
            self._look_for_warning()
            self._opened()

    def finish(self) -> None:
        """Publish the rest, recorded or not; then close the file."""
        if self._store is not None:
            self._store.flush(LAST_RECORDS_S)
            self._store.close(LAST_RECORDS_S)
            self._store = None

    def _wake(self) -> None:
        """Settle in the executor's thread, from any thread."""
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._settle)

    def _look_for_warning(self) -> None:
        warning = self._store.warning if self._store is not None else ''
        if warning == self._warning:
            return
        self._warning = warning
        if warning:
            self._log.warning(warning)
        else:
            self._log.info('The session records are complete again.')
        self._changed()


def _nothing() -> None:
    """Publish nothing: a point of the course belongs to no event."""
