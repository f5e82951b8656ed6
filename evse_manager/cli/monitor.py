"""What a monitor knows of connectors: their last status, their events, and whether they are still there."""

import re
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from evse_manager.interface.types import EvseStatus, SessionEvent

SILENT_AFTER_S = 3.0
"""A status comes every second; three missing ones in a row are silence."""
EVENTS_KEPT = 100
"""Events kept for each connector, as many as the topic's history holds."""
POWERS_KEPT = 120
"""Samples of the power kept for the small chart, one with each second's status."""


@dataclass
class ConnectorView:
    """One connector as the monitor knows it; times are of the steady clock, in seconds."""

    name: str
    status: EvseStatus | None = None
    heard_at: float | None = None
    offered: bool = True
    trouble: str = ''
    events: deque[SessionEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    powers: deque[float] = field(default_factory=lambda: deque(maxlen=POWERS_KEPT))

    def silence(self, now: float) -> float | None:
        """Return for how many seconds nothing has been heard, or None while the connector speaks."""
        if self.heard_at is None:
            return None
        quiet = now - self.heard_at
        return quiet if quiet > SILENT_AFTER_S or not self.offered else None

    def in_trouble(self, now: float) -> bool:
        """Return whether this connector needs attention."""
        return self.silence(now) is not None or bool(self.status and self.status.active_errors)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``evse_2`` before ``evse_10``."""
    parts = re.findall(r'\d+|\D+', name)
    return [(0, int(part), '') if part.isdigit() else (1, 0, part) for part in parts]


def masked(token: str) -> str:
    """Return a token of which only the end can be read, as ``EvseStatus`` has it."""
    shown = token[-4:] if len(token) > 4 else ''
    return '*' * (len(token) - len(shown)) + shown


def concealed(event: SessionEvent) -> SessionEvent:
    """Return an event whose tokens are masked: they are secrets."""
    started, finished = event.transaction_started, event.transaction_finished
    if started is not None:
        token = replace(started.id_tag, id_token=masked(started.id_tag.id_token))
        event = replace(event, transaction_started=replace(started, id_tag=token))
    if finished is not None:
        event = replace(event, transaction_finished=replace(finished, id_tag=masked(finished.id_tag)))
    return event


class Monitor:
    """The connectors in their order, fed by whoever listens to the graph."""

    def __init__(self) -> None:
        self.bays: dict[str, ConnectorView] = {}
        self.began = time.monotonic()

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
        view = self.bays.setdefault(name, ConnectorView(name))
        view.powers.append(status.power_w or 0.0)
        view.status, view.heard_at, view.trouble = status, now, ''

    def event(self, name: str, event: SessionEvent) -> bool:
        """Take an event; return whether it is new (after an interruption the history is heard again)."""
        view = self.bays.setdefault(name, ConnectorView(name))
        known = {(each.stamp, each.sequence_number) for each in view.events}
        if (event.stamp, event.sequence_number) in known:
            return False
        view.events.append(event)
        return True

    def garbled(self, name: str, trouble: str, now: float) -> None:
        """Note that a message could not be understood."""
        view = self.bays.setdefault(name, ConnectorView(name))
        view.trouble, view.heard_at = trouble, now

    def in_order(self) -> list[ConnectorView]:
        """Return the connectors, ``evse_2`` before ``evse_10``."""
        return sorted(self.bays.values(), key=lambda view: natural(view.name))

    def last_events(self, count: int) -> list[tuple[ConnectorView, SessionEvent]]:
        """Return the newest events of all connectors, oldest first."""
        together = [(view, event) for view in self.in_order() for event in view.events]
        together.sort(key=lambda pair: pair[1].stamp or 0)
        return together[-count:] if count > 0 else []
