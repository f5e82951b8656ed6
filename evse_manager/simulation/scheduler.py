"""The event queue of the simulated world."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True, slots=True)
class Event:
    """One thing to come; events of the same time happen in the order in which they were planned."""

    time: float
    number: int
    action: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        """Let it not happen."""
        self.action = None


class Scheduler:
    """A queue of events on one clock, in seconds."""

    def __init__(self) -> None:
        """Begin empty."""
        self._heap: list[Event] = []
        self._number = 0

    def at(self, time: float, action: Callable[[], None]) -> Event:
        """Plan ``action`` for ``time``."""
        self._number += 1
        event = Event(time, self._number, action)
        heapq.heappush(self._heap, event)
        return event

    def next_time(self) -> float | None:
        """Return the time of the next event, ``None`` when nothing is planned."""
        while self._heap and self._heap[0].action is None:
            heapq.heappop(self._heap)
        return self._heap[0].time if self._heap else None

    def run_next(self) -> None:
        """Let the next event happen; there must be one."""
        event = heapq.heappop(self._heap)
        action, event.action = event.action, None
        if action is not None:
            action()
