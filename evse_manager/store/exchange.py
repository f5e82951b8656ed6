"""What the owner's thread and the writer's thread share, and nothing else of the store is shared."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from evse_manager.store.writing import Entry, tells_durable

CAPACITY = 2000
"""
So many entries wait for the disk at most.  Then the oldest that begins or ends nothing gives way, or if there
is none such the oldest; what it says is in force goes into the next one.
"""


@dataclass(slots=True)
class Pending:
    """An entry on its way: what is to be told when it is recorded."""

    entry: Entry
    tell: Callable[[], None]
    since: float
    recorded: bool = False


class Exchange:
    """Entries to be written, what came of them, and what is wrong; any thread may call any method."""

    def __init__(self, changed: Callable[[], object]) -> None:
        """``changed`` is called, in the thread of whoever changed something, when the owner should look."""
        self._changed = changed
        self._condition = threading.Condition()
        self._inbox: deque[Pending] = deque()
        self._delivered = 0
        self._behind = False
        self._lost = 0
        self._closing = False
        self._trouble = ''
        self._notice = ''

    # --- for the owner ---

    @property
    def behind(self) -> bool:
        """Whether the records lag, so that nothing waits for them."""
        return self._behind

    @property
    def warning(self) -> str:
        """What is wrong, for people; empty when all is well."""
        return ' '.join(text for text in (self._trouble, self._notice) if text)

    def put(self, pending: Pending) -> None:
        """Ask for an entry to be written."""
        with self._condition:
            self._inbox.append(pending)
            self._bound()
            self._condition.notify_all()

    def delivered(self, sequence_number: int) -> None:
        """Note that every event up to this number has been told."""
        with self._condition:
            self._delivered = max(self._delivered, sequence_number)
            self._condition.notify_all()

    def wait_until_recorded(self, pending: Pending, limit_s: float) -> None:
        """Wait for an entry, unless that is hopeless now."""
        with self._condition:
            self._condition.wait_for(lambda: pending.recorded or self._behind, limit_s)

    def close(self) -> None:
        """Ask the writer to finish."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()

    # --- for both ---

    def fall_behind(self, trouble: str) -> None:
        """From now on nothing waits for its record; ``trouble`` says why."""
        with self._condition:
            self._behind = True
            self._trouble = trouble
            self._condition.notify_all()
        self._changed()

    # --- for the writer ---

    def notice(self, text: str) -> None:
        """Tell people something that stays true for the life of the process."""
        self._notice = text
        self._changed()

    def take(self, limit_s: float, delivered: int) -> tuple[list[Pending], int, bool]:
        """
        Wait for work for a while.

        Return the entries to be written, the number up to which events have been told (``delivered`` is
        what the writer knows of that), and whether to end.
        """
        with self._condition:
            self._condition.wait_for(
                lambda: self._inbox or self._closing or self._delivered != delivered, limit_s
            )
            batch = list(self._inbox)
            self._inbox.clear()
            return batch, self._delivered, self._closing

    def recorded(self, batch: list[Pending]) -> None:
        """Entries have been committed."""
        with self._condition:
            for pending in batch:
                pending.recorded = True
            self._condition.notify_all()
        self._changed()

    def give_back(self, batch: list[Pending]) -> None:
        """Entries could not be written; they come first next time."""
        with self._condition:
            self._inbox.extendleft(reversed(batch))
            self._bound()

    def catch_up(self) -> None:
        """The file takes records again; when none is left, all is well."""
        with self._condition:
            if not self._behind or self._inbox:
                return
            self._behind = False
            self._trouble = f'{self._lost} session records were lost.' if self._lost else ''
        self._changed()

    def wait_to_retry(self, limit_s: float) -> bool:
        """Wait before another try; return whether to end instead."""
        with self._condition:
            return self._condition.wait_for(lambda: self._closing, limit_s)

    def _bound(self) -> None:
        while len(self._inbox) > CAPACITY:
            older = enumerate(islice(self._inbox, CAPACITY))  # the newest never gives way
            self._give_up(next((place for place, each in older if not tells_durable(each.entry)), 0))

    def _give_up(self, place: int) -> None:
        """Lose an entry; what it says is in force goes into the one that follows."""
        lost = self._inbox[place].entry
        del self._inbox[place]
        self._lost += 1
        heir = self._inbox[place]
        heir.entry = replace(
            heir.entry,
            memory=lost.memory if heir.entry.memory is None else heir.entry.memory,
            errors=lost.errors if heir.entry.errors is None else heir.entry.errors,
        )
