"""State of connectors as a monitor sees it: last status, events, and whether they still report."""

import math
import re
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from evse_manager.interface.enums import Availability, StatusReason
from evse_manager.interface.types import EvseStatus, SessionEvent, SiteNodeStatus, SiteStatus

SILENT_AFTER_S = 3.0
"""A status comes every second; three missing ones in a row are silence."""
EVENTS_KEPT = 100
"""Events kept for each connector, as many as the topic's history holds."""
EVENTS_SHOWN = 200
"""Newest events of all connectors together that are kept in order."""
POWERS_KEPT = 120
"""Samples of the power kept for the small chart, one each second."""
SAMPLE_S = 0.9
"""A status comes once a second, and on change."""

BLOCKED = frozenset({
    StatusReason.BOARD_LOST, StatusReason.ERROR, StatusReason.FAULTED,
})  # fmt: skip
"""A repair is needed."""

HELD_UP = frozenset({
    StatusReason.EV_TOGGLES, StatusReason.LIMIT_EXPIRED, StatusReason.NO_ENERGY, StatusReason.TOO_FEW_PHASES,
    StatusReason.TOO_MANY_CLOSINGS, StatusReason.WAITING_FOR_AUTHORIZATION, StatusReason.WAITING_FOR_LOCK,
})  # fmt: skip
"""A car is there and gets nothing."""

AT_REST = frozenset({
    StatusReason.AVAILABLE, StatusReason.DISABLED, StatusReason.RESERVED, StatusReason.TRANSACTION_FINISHED,
})  # fmt: skip
"""Nothing to wait for."""


class Attention(IntEnum):
    """How much a connector needs to be looked at, most first."""

    BROKEN = 0
    """An error, or silence."""
    HELD_UP = 1
    """A car is there and gets nothing, or a warning is shown."""
    WAITING = 2
    CHARGING = 3
    AT_REST = 4


@dataclass
class ConnectorView:
    """One connector as the monitor knows it; times are of the steady clock, in seconds."""

    name: str
    status: EvseStatus | None = None
    heard_at: float | None = None
    offered: bool = True
    trouble: str = ''
    events: deque[SessionEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    known: set[tuple[int | None, int]] = field(default_factory=set)
    """Stamps and numbers of ``events``."""
    powers: deque[float] = field(default_factory=lambda: deque(maxlen=POWERS_KEPT))
    sampled_at: float = -math.inf
    key: list[tuple[int, int, str]] = field(default_factory=list)
    """Sorts names naturally."""

    def __post_init__(self) -> None:
        self.key = natural(self.name)

    def silence(self, now: float) -> float | None:
        """Return for how many seconds the connector has been silent, or None while it reports."""
        if self.heard_at is None:
            return None
        quiet = now - self.heard_at
        return quiet if quiet > SILENT_AFTER_S or not self.offered else None

    def in_trouble(self, now: float) -> bool:
        """Return whether this connector needs attention."""
        return self.attention(now) is Attention.BROKEN

    def attention(self, now: float) -> Attention:
        """Return how much this connector needs to be looked at."""
        status = self.status
        if self.trouble or self.silence(now) is not None:
            return Attention.BROKEN
        if status is None:
            return Attention.WAITING
        if status.active_errors or status.reason in BLOCKED or status.availability is Availability.FAULTED:
            return Attention.BROKEN
        if status.warnings or status.reason in HELD_UP:
            return Attention.HELD_UP
        if status.reason is StatusReason.CHARGING:
            return Attention.CHARGING
        return Attention.AT_REST if status.reason in AT_REST else Attention.WAITING


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``evse_2`` before ``evse_10``."""
    parts = re.findall(r'\d+|\D+', name)
    return [(0, int(part), '') if part.isdigit() else (1, 0, part) for part in parts]


@dataclass
class SiteView:
    """One site as the monitor knows it: the newest status, and how full its grid connection has been."""

    name: str
    status: SiteStatus
    heard_at: float
    shares: deque[float] = field(default_factory=lambda: deque(maxlen=POWERS_KEPT))

    @property
    def root(self) -> SiteNodeStatus | None:
        """The grid connection."""
        return next((node for node in self.status.nodes if not node.parent), None)


def loads(node: SiteNodeStatus) -> tuple[float, float, float]:
    """Return the current at a node per phase [A]: connectors and house load; negative is export."""
    drawn, house = node.measured_a, node.house_load_a
    pairs = ((drawn.l1, house.l1), (drawn.l2, house.l2), (drawn.l3, house.l3))
    first, second, third = (sum(value or 0.0 for value in pair) for pair in pairs)
    return first, second, third


class Monitor:
    """The connectors and sites, fed by whoever listens to the graph."""

    def __init__(self) -> None:
        self.bays: dict[str, ConnectorView] = {}
        self.sites: dict[str, SiteView] = {}
        self.began = time.monotonic()
        self._newest: list[tuple[ConnectorView, SessionEvent]] = []

    def offered(self, names: Iterable[str]) -> list[str]:
        """Note who offers a status now; return the names that are new."""
        present = set(names)
        new = sorted(present - set(self.bays), key=natural)
        for name in new:
            self.bays[name] = ConnectorView(name)
        for view in self.bays.values():
            view.offered = view.name in present
        return new

    def status(self, name: str, status: EvseStatus, now: float) -> None:
        """Take a status."""
        view = self._view(name)
        if now - view.sampled_at >= SAMPLE_S:
            view.powers.append(status.power_w or 0.0)
            view.sampled_at = now
        view.status, view.heard_at, view.trouble = status, now, ''

    def event(self, name: str, event: SessionEvent) -> bool:
        """Take an event; return whether it is new (after an interruption the history arrives again)."""
        view = self._view(name)
        key = (event.stamp, event.sequence_number)
        if key in view.known:
            return False
        if len(view.events) == EVENTS_KEPT:
            view.known.discard((view.events[0].stamp, view.events[0].sequence_number))
        view.known.add(key)
        view.events.append(event)
        self._newest.append((view, event))
        if len(self._newest) > 2 * EVENTS_SHOWN:
            self._shorten()
        return True

    def site(self, name: str, status: SiteStatus, now: float) -> None:
        """Take the status of a site."""
        view = self.sites.setdefault(name, SiteView(name, status, now))
        view.status, view.heard_at = status, now
        root = view.root
        if root is not None:
            view.shares.append(max(0.0, *loads(root)) / root.limit_a if root.limit_a else 0.0)

    def garbled(self, name: str, trouble: str, now: float) -> None:
        """Note that a message could not be understood."""
        view = self._view(name)
        view.trouble, view.heard_at = trouble, now

    def in_order(self) -> list[ConnectorView]:
        """Return the connectors, ``evse_2`` before ``evse_10``."""
        return sorted(self.bays.values(), key=lambda view: view.key)

    def by_attention(self, now: float) -> list[ConnectorView]:
        """Return the connectors, those first that need attention, each group in the order of names."""
        return sorted(self.bays.values(), key=lambda view: (view.attention(now), view.key))

    def last_events(self, count: int) -> list[tuple[ConnectorView, SessionEvent]]:
        """Return the newest events of all connectors, oldest first; at most ``EVENTS_SHOWN``."""
        self._shorten()
        return self._newest[-count:] if count > 0 else []

    def _view(self, name: str) -> ConnectorView:
        return self.bays.setdefault(name, ConnectorView(name))

    def _shorten(self) -> None:
        self._newest.sort(key=lambda pair: pair[1].stamp or 0)
        del self._newest[:-EVENTS_SHOWN]
