"""Content of the window, without Qt and ROS: rows of the table, and samples for the plot."""

from collections import deque
from dataclasses import dataclass

from evse_manager.cli import formatting
from evse_manager.cli.kinds import kind_of
from evse_manager.cli.monitor import Attention, ConnectorView, Monitor
from evse_manager.cli.views import reason, state_word, summary
from evse_manager.interface.appearance import StateKind
from evse_manager.interface.text import printable
from evse_manager.interface.types import EvseStatus, SessionEvent

SPAN_S = 600.0
"""How far back the plot reaches."""
SAMPLES_KEPT = 900
"""A status comes every second, and at once when something has changed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one status in the plot; None = unknown."""

    at: float
    """Seconds of the steady clock."""
    power_w: float | None
    limit_a: float
    """Lowest of all limits per phase [A]."""
    signalled_a: float
    """Current that the pilot offers [A]."""
    measured_a: float | None
    """Highest current of the measured phases [A]."""


def sample(status: EvseStatus, at: float) -> Sample:
    """Return the sample of a status."""
    measured = [
        current
        for current in (status.current_l1_a, status.current_l2_a, status.current_l3_a)
        if current is not None
    ]
    highest = max(measured, key=abs) if measured else None
    return Sample(at, status.power_w, status.limit_a, status.signalled_current_a, highest)


class Histories:
    """The samples of each connector, the oldest first."""

    def __init__(self) -> None:
        self._of: dict[str, deque[Sample]] = {}

    def add(self, name: str, status: EvseStatus, at: float) -> None:
        """Keep what a status says."""
        self._of.setdefault(name, deque(maxlen=SAMPLES_KEPT)).append(sample(status, at))

    def of(self, name: str, now: float) -> list[Sample]:
        """Return the samples of the last ``SPAN_S``, and the one before: its values hold at the beginning."""
        kept = list(self._of.get(name, ()))
        first = next((index for index, each in enumerate(kept) if each.at >= now - SPAN_S), len(kept))
        return kept[max(0, first - 1) :]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One connector in the table; all texts are safe to be shown."""

    name: str
    state: str
    kind: StateKind
    attention: Attention
    """For sorting by state: what has to be looked at comes first."""
    power: str
    power_w: float
    """For sorting; unknown is below everything."""
    limit: str
    limit_a: float
    reason: str


def row_of(view: ConnectorView, now: float) -> TableRow:
    """Return the row of a connector."""
    status, kind, attention = view.status, kind_of(view, now), view.attention(now)
    name, why = printable(view.name), printable(reason(view, now).plain)
    if status is None:
        return TableRow(
            name, 'unknown', kind, attention, formatting.ABSENT, -1.0, formatting.ABSENT, -1.0, why
        )
    state = state_word(status)
    if kind is StateKind.SILENT:
        state = 'unreadable' if view.trouble else 'silent'
    power_w = -1.0 if status.power_w is None else status.power_w
    limit = printable(formatting.limit(status))
    return TableRow(
        name, state, kind, attention, formatting.power(status.power_w), power_w, limit, status.limit_a, why
    )


def rows_of(monitor: Monitor, now: float) -> list[TableRow]:
    """Return the rows of all connectors, in their order."""
    return [row_of(view, now) for view in monitor.in_order()]


def headline(monitor: Monitor, now: float) -> str:
    """Return the totals, or what is waited for."""
    return summary(monitor, now) if monitor.bays else 'Looking for connectors …'


@dataclass(frozen=True, slots=True)
class EventRow:
    """One session event; all texts are safe to be shown."""

    stamp: int
    """UTC in nanoseconds, for sorting."""
    time: str
    connector: str
    event: str
    sentence: str


def event_row(name: str, event: SessionEvent) -> EventRow:
    """Return the row of an event."""
    return EventRow(
        event.stamp or 0,
        formatting.clock(event.stamp),
        printable(name),
        formatting.event_name(event),
        printable(formatting.event_sentence(event)),
    )
