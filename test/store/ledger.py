"""What an accountant checks: the published events, and the records against them."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.types import SessionEvent
from evse_manager.store.records_sql import DURABLE_EVENTS

ONCE = (Event.SESSION_STARTED, Event.TRANSACTION_STARTED, Event.TRANSACTION_FINISHED, Event.SESSION_FINISHED)


def without_repeats(told: Iterable[SessionEvent]) -> list[SessionEvent]:
    """Return the events as a reader takes them who knows them by number; a repetition says the same."""
    known: dict[int, SessionEvent] = {}
    for event in told:
        assert known.setdefault(event.sequence_number, event) == event
    return [known[number] for number in sorted(known)]


def check_told(told: Iterable[SessionEvent], *, all_closed: bool) -> None:
    """Sessions and transactions begin and end once, and in this order."""
    events = without_repeats(told)
    of_session: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.event in ONCE:
            of_session[event.uuid].append(event.event)
    for uuid, kinds in of_session.items():
        whole = (
            list(ONCE)
            if Event.TRANSACTION_STARTED in kinds
            else [Event.SESSION_STARTED, Event.SESSION_FINISHED]
        )
        assert kinds == (whole if all_closed else whole[: len(kinds)]), uuid


def check_file(path: Path, told: Iterable[SessionEvent], *, all_closed: bool) -> None:
    """The file has everything that was published, and counts every transaction once."""
    events = without_repeats(told)
    numbers = {number for (number,) in rows(path, 'SELECT sequence_number FROM events')}
    known = {event.sequence_number for event in events}
    assert known <= numbers
    passed_over = [
        Event[kind]
        for number, kind in rows(path, 'SELECT sequence_number, event FROM events')
        if number not in known and number < max(known, default=0)
    ]
    assert DURABLE_EVENTS.isdisjoint(passed_over)
    started = {event.uuid for event in events if event.event is Event.TRANSACTION_STARTED}
    recorded = [uuid for (uuid,) in rows(path, 'SELECT session_uuid FROM transactions')]
    assert started <= set(recorded)
    assert len(recorded) == len(set(recorded))
    if all_closed:
        assert started == set(recorded)
        assert rows(path, 'SELECT * FROM transactions WHERE finished IS NULL OR stop_reason IS NULL') == []
        assert rows(path, 'SELECT * FROM sessions WHERE finished IS NULL OR started IS NULL') == []
    assert rows(path, 'SELECT * FROM transactions WHERE stop_wh < start_wh') == []


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path, timeout=10.0)) as connection:
        return connection.execute(query).fetchall()
