"""
Limits of the nodes over time: the fuse, its daily schedule, and limits given at run time.

The lowest always wins.  A limit given at run time belongs to its source: other sources cannot overwrite it,
and the same source only with the same priority or a higher one.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from evse_manager.energy.tree import FuseSpec
from evse_manager.interface.enums import LimitOrigin
from evse_manager.interface.text import printable
from evse_manager.interface.types import SECOND_NS, Time

LIMITS_PER_NODE_MAX = 32
"""Most sources of run-time limits at one node."""

STEPS_MAX = 1000
"""Most steps of one run-time limit."""

SOURCE_LENGTH_MAX = 64
"""Most characters of the name of a source."""

PRIORITY_MAX = 1_000_000
"""Priorities lie between this and its negative, in the site file as well."""


@dataclass(frozen=True, slots=True)
class LimitStep:
    """A limit from ``start`` (UTC; 0 = at once) until the next step; an absent limit is infinite."""

    start: Time = Time(0)
    limit_a: float = math.inf
    limit_w: float = math.inf


@dataclass(frozen=True, slots=True)
class RunTimeLimit:
    """
    A limit at a node or connector, given at run time.

    The first step holds at once, the last one until ``expires`` (UTC; None = until it is cleared).
    """

    node: str
    source: str
    priority: int = 0
    steps: tuple[LimitStep, ...] = ()
    expires: Time | None = None

    def step(self, wall: Time) -> LimitStep:
        """Return the step in force."""
        active = self.steps[0]
        for step in self.steps[1:]:
            if step.start > wall:
                break
            active = step
        return active

    def next_change(self, wall: Time) -> Time | None:
        """Return when the limit changes or ends next."""
        times = [step.start for step in self.steps[1:] if step.start > wall]
        if self.expires is not None:
            times.append(self.expires)
        return min(times, default=None)


@dataclass(frozen=True, slots=True)
class LimitBound:
    """A limit in force and whose it is; ``source`` names the source of a run-time limit."""

    limit: float = math.inf
    origin: LimitOrigin = LimitOrigin.UNSPECIFIED
    source: str = ''

    def with_(self, limit: float, origin: LimitOrigin, source: str = '') -> 'LimitBound':
        """Return the lower of this bound and another."""
        return LimitBound(limit, origin, source) if limit < self.limit else self


class LimitBook:
    """The limits given at run time, by node and source."""

    def __init__(self, nodes: Iterable[str], limits: Iterable[RunTimeLimit] = ()) -> None:
        """Keep limits of these nodes; stored limits of other nodes are kept too, without effect."""
        self._nodes = set(nodes)
        self._limits: dict[str, dict[str, RunTimeLimit]] = {}
        for limit in limits:
            self._limits.setdefault(limit.node, {})[limit.source] = limit

    def set(self, limit: RunTimeLimit, wall: Time) -> str:
        """Set, replace or (without steps) clear a limit; return why it is refused, or an empty text."""
        self.expire(wall)
        text = self._objection(limit, wall)
        if text:
            return text
        at_node = self._limits.setdefault(limit.node, {})
        before = at_node.get(limit.source)
        if before is not None and before.priority > limit.priority:
            return (
                f'refused: the limit of {limit.source!r} at {limit.node} has the priority {before.priority}; '
                'give that or a higher one.'
            )
        if not limit.steps:
            at_node.pop(limit.source, None)
        elif before is None and len(at_node) >= LIMITS_PER_NODE_MAX:
            return f'refused: {limit.node} has limits of {LIMITS_PER_NODE_MAX} sources; clear one of them.'
        else:
            at_node[limit.source] = limit
        return ''

    def expire(self, wall: Time) -> bool:
        """Drop what has expired; return whether there was any."""
        expired = [limit for limit in self.all() if limit.expires is not None and limit.expires <= wall]
        for limit in expired:
            del self._limits[limit.node][limit.source]
        return bool(expired)

    def all(self) -> list[RunTimeLimit]:
        """Return every limit, by node and source."""
        return [limit for _, at_node in sorted(self._limits.items()) for _, limit in sorted(at_node.items())]

    def at(self, node: str) -> list[RunTimeLimit]:
        """Return the limits of a node, highest priority first."""
        at_node = self._limits.get(node)
        if not at_node:
            return []
        return sorted(at_node.values(), key=lambda limit: (-limit.priority, limit.source))

    def bounds(self, node: str, wall: Time) -> tuple[LimitBound, LimitBound]:
        """Return the lowest run-time limit of a node in A and in W."""
        current, power = LimitBound(), LimitBound()
        for limit in self.at(node):
            step = limit.step(wall)
            current = current.with_(step.limit_a, LimitOrigin.RUN_TIME, limit.source)
            power = power.with_(step.limit_w, LimitOrigin.RUN_TIME, limit.source)
        return current, power

    def next_change(self, wall: Time) -> Time | None:
        """Return when a limit changes or expires next."""
        times = [limit.next_change(wall) for limit in self.all()]
        return min((time for time in times if time is not None), default=None)

    def _objection(self, limit: RunTimeLimit, wall: Time) -> str:
        if limit.node not in self._nodes:
            known = ', '.join(sorted(self._nodes)[:20])
            name = printable(limit.node, SOURCE_LENGTH_MAX)
            return f'refused: there is no node {name!r}; known are {known}.'
        if not limit.source:
            return 'refused: name the source of the limit, so that others do not overwrite it.'
        if len(limit.source) > SOURCE_LENGTH_MAX:
            return f'refused: the name of the source is longer than {SOURCE_LENGTH_MAX} characters.'
        if not limit.source.isprintable():
            return 'refused: the name of the source has characters that cannot be shown.'
        if abs(limit.priority) > PRIORITY_MAX:
            return (
                f'refused: priority is {limit.priority}, but must lie in {-PRIORITY_MAX} to {PRIORITY_MAX}.'
            )
        if len(limit.steps) > STEPS_MAX:
            return f'refused: the schedule has more than {STEPS_MAX} steps.'
        if limit.expires is not None and limit.expires <= wall:
            return 'refused: the limit would have expired already; give a later expiry.'
        previous = -1
        for step in limit.steps:
            for name, value in (('limit_a', step.limit_a), ('limit_w', step.limit_w)):
                if not value >= 0.0:
                    return f'refused: {name} is {value}, but must be a number of 0 or more.'
            if step.limit_a == math.inf and step.limit_w == math.inf:
                return 'refused: a step limits nothing; give limit_a or limit_w.'
            if step.start <= previous:
                return 'refused: the steps of the schedule must rise in time.'
            previous = step.start
        return ''


def fuse_bounds(
    fuse: FuseSpec, book: LimitBook, wall: Time, zone: ZoneInfo | None
) -> tuple[LimitBound, LimitBound]:
    """Return the limit of a fuse in A and in W, without regard to its meter."""
    current = LimitBound().with_(fuse.limit_a, LimitOrigin.FUSE)
    power = LimitBound().with_(fuse.limit_w, LimitOrigin.FUSE)
    if fuse.schedule:
        seconds = seconds_of_day(wall, zone)
        active = fuse.schedule[-1]
        for step in fuse.schedule:
            if step.from_s > seconds:
                break
            active = step
        current = current.with_(active.limit_a, LimitOrigin.SCHEDULE)
        power = power.with_(active.limit_w, LimitOrigin.SCHEDULE)
    given_a, given_w = book.bounds(fuse.name, wall)
    return (
        current.with_(given_a.limit, LimitOrigin.RUN_TIME, given_a.source),
        power.with_(given_w.limit, LimitOrigin.RUN_TIME, given_w.source),
    )


def seconds_of_day(wall: Time, zone: ZoneInfo | None) -> float:
    """Return the seconds since midnight of local time; without a zone that of the machine."""
    local = datetime.fromtimestamp(wall // SECOND_NS, tz=zone)
    return local.hour * 3600.0 + local.minute * 60.0 + local.second


def encode(limits: Iterable[RunTimeLimit]) -> str:
    """Return run-time limits as JSON text, to be stored."""
    return json.dumps(
        [
            {
                'node': limit.node,
                'source': limit.source,
                'priority': limit.priority,
                'expires': limit.expires,
                'steps': [
                    {'start': step.start, 'limit_a': _finite(step.limit_a), 'limit_w': _finite(step.limit_w)}
                    for step in limit.steps
                ],
            }
            for limit in limits
        ],
        indent=1,
    )


def decode(text: str) -> list[RunTimeLimit]:
    """Return the run-time limits that ``encode`` stored; raises ValueError when the text is damaged."""
    try:
        return [_decoded(entry) for entry in json.loads(text)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'the stored limits are damaged ({error!r}).') from error


def _decoded(entry: Any) -> RunTimeLimit:
    steps = tuple(
        LimitStep(Time(int(step['start'])), _infinite(step['limit_a']), _infinite(step['limit_w']))
        for step in entry['steps']
    )
    expires = entry['expires']
    if not steps or any(not (step.limit_a >= 0.0 and step.limit_w >= 0.0) for step in steps):
        raise ValueError('the stored limits are damaged (a limit without a number of 0 or more).')
    return RunTimeLimit(
        str(entry['node']),
        str(entry['source']),
        int(entry['priority']),
        steps,
        None if expires is None else Time(int(expires)),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _infinite(value: float | None) -> float:
    return math.inf if value is None else float(value)
