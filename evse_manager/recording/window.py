"""
The last minutes of a journal in bounded memory.

They are kept in segments, each of which begins with a snapshot, so that the oldest can be dropped at any time
and a replay can begin at any.  A segment that is complete is compressed.
"""

import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from evse_manager.interface.clocks import ClockReadings

SEGMENT_S = 30.0
"""Longest time of a segment; the window is exceeded by so much at most."""

SEGMENT_BYTES = 256 * 1024
"""Most text in a segment: a flood of messages ends it early."""

BYTES_PER_MINUTE = 64 * 1024
"""
Memory for each minute of the window; a flood shortens the window.

A minute of charging with a meter takes a tenth of that (docs/recording.md).
"""


class Line(NamedTuple):
    """A line of a journal: when (wall clock, ns), whether it is a snapshot, and its text."""

    wall: int
    is_snapshot: bool
    text: bytes


@dataclass(slots=True)
class Segment:
    """A snapshot and the turns after it; while it is written in ``lines``, then compressed."""

    begun: float
    lines: list[Line] = field(default_factory=list)
    packed: bytes = b''
    size: int = 0


class Window:
    """The sink of a journal that keeps the last minutes."""

    def __init__(self, minutes: float) -> None:
        """Keep at least so many minutes, unless they exceed the memory."""
        self._window_s = minutes * 60.0
        self._most_bytes = int(minutes * BYTES_PER_MINUTE) + SEGMENT_BYTES
        self._segments: deque[Segment] = deque()

    @property
    def size(self) -> int:
        """The memory that the lines take, in bytes."""
        return sum(segment.size for segment in self._segments)

    def wants_snapshot(self, steady: float) -> bool:
        """Return whether the present segment is complete."""
        present = self._segments[-1]
        return steady - present.begun >= SEGMENT_S or present.size >= SEGMENT_BYTES

    def snapshot(self, line: bytes, now: ClockReadings) -> None:
        """Begin a segment, and drop those that are too old."""
        if self._segments:
            _pack(self._segments[-1])
        self._segments.append(Segment(now.steady, [Line(now.wall, True, line)], size=len(line)))
        size = self.size
        while len(self._segments) > 1 and (
            size > self._most_bytes or now.steady - self._segments[1].begun >= self._window_s
        ):
            size -= self._segments.popleft().size

    def turn(self, line: bytes, now: ClockReadings) -> None:
        """Append a turn."""
        present = self._segments[-1]
        present.lines.append(Line(now.wall, False, line))
        present.size += len(line)

    def copy(self) -> list[Segment]:
        """Return what is kept, oldest first, for another thread; it shares no mutable data."""
        return [
            Segment(segment.begun, list(segment.lines), segment.packed, segment.size)
            for segment in self._segments
        ]


def lines_of(segment: Segment) -> Iterator[Line]:
    """Yield the lines of a segment."""
    if not segment.packed:
        yield from segment.lines
        return
    for number, row in enumerate(zlib.decompress(segment.packed).split(b'\n')):
        wall, _, text = row.partition(b' ')
        yield Line(int(wall), number == 0, text)


def _pack(segment: Segment) -> None:
    rows = b'\n'.join(b'%d %s' % (line.wall, line.text) for line in segment.lines)
    segment.packed, segment.lines = zlib.compress(rows, 1), []
    segment.size = len(segment.packed)
