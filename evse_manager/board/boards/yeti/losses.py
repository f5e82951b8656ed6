"""
Which states of the board a damaged line may have swallowed.

Firmware 2.2 reports a state once, when it changes, and cannot be asked for it.  Nearly all that it sends is
periodic though, so most damage hits a message that comes again.  A damaged piece puts a state in doubt when
it resembles one, or when more bytes were damaged than the periodic messages that are missing account for.
"""

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

from evse_manager.board.boards.yeti.frames import END
from evse_manager.board.boards.yeti.messages import (
    BoardMessage,
    ErrorFlags,
    KeepAlive,
    PilotState,
    PilotVoltages,
    PowerMeter,
    Relay,
    frame,
)

PERIODIC = (KeepAlive, PilotVoltages, PowerMeter)
STATES = (PilotState, Relay, ErrorFlags)

REPORTED: tuple[PilotState | Relay | ErrorFlags, ...] = (
    *(PilotState(code) for code in range(6)),
    *(Relay(value) for value in (False, True)),
    *(ErrorFlags(diode=diode, rcd=rcd) for diode in (False, True) for rcd in (False, True)),
)
"""The states that firmware 2.2 reports."""

TEMPLATES = tuple((type(each), frame(each).removesuffix(END)) for each in REPORTED)

SMALLEST_STATE_BYTES = min(len(template) for _, template in TEMPLATES)
LATEST_INTERVALS = 5
ROUNDED_UP_CYCLES = 0.25
"""A switching of the contactor delays a cycle by half; less than this rounds up to one more cycle."""

EVALUATED_AFTER_S, EVALUATED_AT_LAST_S = 0.8, 3.0
"""Damage is evaluated after the first time without more and a keep-alive; at the latest after the second."""

LARGEST_PIECE = 128
"""A longer piece is compared by its length only."""


class Losses:
    """
    Evaluates the damage on one line; times are seconds of one clock.

    The board sends one message of each periodic kind in a cycle, and stamps the keep-alive with its own
    clock.  So it is known how many should have come between two keep-alives, however late they were read.  A
    board that does not stamp them is evaluated by resemblance alone.
    """

    def __init__(self) -> None:
        """Begin without any damage."""
        self.forget()

    def forget(self) -> None:
        """Begin again with a board that has restarted."""
        self._lengths = dict.fromkeys(PERIODIC, 0)
        self._counts = dict.fromkeys(PERIODIC, 0)
        """Good messages since the keep-alive that ``_stamp_ms`` is of."""
        self._stamp_ms = self._newest_ms = 0
        self._newest_counts = dict(self._counts)
        self._intervals_ms: deque[int] = deque(maxlen=LATEST_INTERVALS)
        self._resembling: set[type] = set()
        self._reported: set[type] = set()
        self._damaged_bytes = 0
        self._first_at = self._evaluate_at = math.inf
        self._stamped = False

    @property
    def deadline(self) -> float:
        """Return when the damage can be evaluated, infinite without any."""
        if self._stamped or not self._stamp_ms:
            return self._evaluate_at
        return self._first_at + EVALUATED_AT_LAST_S

    def damaged(self, pieces: Iterable[bytes], now: float) -> None:
        """Take what came between two end marks and was no message."""
        for piece in pieces:
            self._damaged_bytes += len(piece) + len(END)
            self._resembling |= resembled(piece)
        if self._evaluate_at == math.inf:
            self._first_at = now
            self._reported.clear()
        self._stamped = False
        self._evaluate_at = min(now + EVALUATED_AFTER_S, self._first_at + EVALUATED_AT_LAST_S)

    def came(self, message: BoardMessage) -> None:
        """Take a good message: a state that is reported again is not in doubt."""
        kind = type(message)
        self._reported.add(kind)
        self._resembling.discard(kind)
        if kind not in self._counts:
            return
        self._counts[kind] += 1
        self._lengths[kind] = len(frame(message))
        if isinstance(message, KeepAlive) and message.time_stamp:
            self._stamped = True
            if self._newest_ms:
                self._intervals_ms.append(message.time_stamp - self._newest_ms)
            self._newest_ms, self._newest_counts = message.time_stamp, dict(self._counts)
            if self._evaluate_at == math.inf:
                self._begin_here()

    def evaluate(self) -> set[type]:
        """Return the states that are in doubt, and forget the damage."""
        doubts = set(self._resembling)
        if self._damaged_bytes - self._missing_bytes() >= SMALLEST_STATE_BYTES and self._stamp_ms:
            doubts |= set(STATES) - self._reported
        self._resembling.clear()
        self._damaged_bytes = 0
        self._first_at = self._evaluate_at = math.inf
        self._begin_here()
        return doubts

    def _begin_here(self) -> None:
        """Count from the newest keep-alive on."""
        self._stamp_ms = self._newest_ms
        self._counts = {kind: count - self._newest_counts[kind] for kind, count in self._counts.items()}
        self._newest_counts = dict.fromkeys(PERIODIC, 0)

    def _missing_bytes(self) -> int:
        """Return how long the periodic messages are that should have come between the keep-alives."""
        if not self._intervals_ms:
            return 0
        period_ms = median(self._intervals_ms)
        cycles = math.floor((self._newest_ms - self._stamp_ms) / max(period_ms, 1) + ROUNDED_UP_CYCLES)
        return sum(max(cycles - self._newest_counts[kind], 0) * self._lengths[kind] for kind in PERIODIC)


def resembled(piece: bytes) -> set[type]:
    """Return the states of which a damaged piece has at least half of the bytes in their places."""
    if len(piece) > LARGEST_PIECE:
        return set()
    found = set()
    for kind, template in TEMPLATES:
        half = len(template) // 2
        for start in range(max(len(piece) - half + 1, 1)):
            part = piece[start : start + len(template)]
            if sum(ours == theirs for ours, theirs in zip(template, part)) >= half:
                found.add(kind)
                break
    return found
