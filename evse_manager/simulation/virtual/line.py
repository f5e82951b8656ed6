"""
The line between host and virtual board, and what can go wrong on it.

It works on pieces of bytes: what a board sends in one call, what a host writes in one go.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from evse_manager.simulation.faults import SimulationError
from evse_manager.simulation.scheduler import Event, Scheduler

TO_BOARD = 'to_board'
"""Last word of a fault's arguments: it acts on the bytes of the host, not of the board."""

GARBAGE_BYTES = 64
FLOOD_PER_S = 10_000.0
FLOOD_STEP_S = 0.01

FAULTS = {
    'line_drop': '[COUNT] [to_board]: pieces vanish, the next one or COUNT (0 = until cleared).',
    'line_corrupt': '[COUNT] [to_board]: one byte of a piece is wrong.',
    'line_truncate': '[COUNT] [to_board]: a piece loses its second half.',
    'line_duplicate': '[COUNT] [to_board]: a piece arrives twice.',
    'line_delay': '[SECONDS] [to_board]: pieces arrive late (1 s), until cleared.',
    'line_echo': 'The host receives what it sends, until cleared.',
    'line_garbage': '[BYTES]: random bytes arrive at the host, once.',
    'line_flood': '[PER_SECOND]: the board sends valid frames without end (10000 a second), until cleared.',
    'line_stall': 'Nothing passes in either direction, until cleared.',
}
"""Every fault of the line with its arguments."""

MOST = {'line_garbage': 1e6, 'line_flood': 1e5, 'line_delay': 3600.0}
"""Larger numbers than these (the counts: a million) are refused: they would only stop the virtual board."""

MOST_PIECES = 1e6

_COUNTED = ('line_drop', 'line_corrupt', 'line_truncate', 'line_duplicate')


@dataclass(slots=True)
class _Fault:
    name: str
    to_board: bool
    number: float
    """How many pieces are left (infinite = until cleared), or the fault's own number."""


class SimulatedLine:
    """Carries pieces both ways; the faults of ``FAULTS`` are injected by name."""

    def __init__(
        self,
        to_host: Callable[[bytes], None],
        to_board: Callable[[bytes], None],
        timers: Scheduler,
        clock: Callable[[], float],
        *,
        chatter: Callable[[], bytes] = lambda: b'',
        seed: int = 1,
    ) -> None:
        """Connect both ends; ``timers`` run on ``clock``, and ``chatter`` makes the frames of a flood."""
        self._ends = {False: to_host, True: to_board}
        self._timers = timers
        self._clock = clock
        self._chatter = chatter
        self._random = Random(seed)
        self._faults: list[_Fault] = []
        self._flood: Event | None = None
        self._busy_until = {False: -math.inf, True: -math.inf}
        """When the last piece that is delayed arrives: the next one does not overtake it."""

    def from_board(self, data: bytes) -> None:
        """Carry a piece to the host."""
        self._carry(data, to_board=False)

    def from_host(self, data: bytes) -> None:
        """Carry a piece to the board."""
        if self._active('line_echo') is not None:
            self._carry(data, to_board=False)
        self._carry(data, to_board=True)

    @property
    def active_faults(self) -> tuple[str, ...]:
        """Return the names of the faults that are active."""
        return tuple(dict.fromkeys(fault.name for fault in self._faults))

    def inject(self, name: str, *arguments: str) -> None:
        """Begin a fault; raises SimulationError for arguments that ``FAULTS`` does not describe."""
        words = list(arguments)
        to_board = bool(words) and words[-1] == TO_BOARD
        if to_board:
            words.pop()
        number = _number(name, words)
        match name:
            case 'line_garbage':
                self._carry(self._random.randbytes(int(number or GARBAGE_BYTES)), to_board=to_board)
                return
            case 'line_flood':
                number = number or FLOOD_PER_S
            case 'line_delay':
                number = number or 1.0
            case _ if name in _COUNTED:
                number = (number or math.inf) if words else 1.0
        self._faults = [each for each in self._faults if (each.name, each.to_board) != (name, to_board)]
        self._faults.append(_Fault(name, to_board, number))
        if name == 'line_flood' and self._flood is None:
            self._flow()

    def clear(self, name: str = '') -> None:
        """End a fault, or all."""
        self._faults = [each for each in self._faults if name not in {'', each.name}]

    def _active(self, name: str, to_board: bool | None = None) -> _Fault | None:
        return next((f for f in self._faults if f.name == name and to_board in {None, f.to_board}), None)

    def _carry(self, data: bytes, *, to_board: bool) -> None:
        if self._active('line_stall') is not None or not data:
            return
        pieces = [data]
        for fault in [each for each in self._faults if each.to_board is to_board and each.name in _COUNTED]:
            pieces = self._spoilt(fault.name, pieces)
            fault.number -= 1.0
            if fault.number <= 0.0:
                self._faults.remove(fault)
        delay = self._active('line_delay', to_board)
        seconds = max(0.0 if delay is None else delay.number, self._busy_until[to_board] - self._clock())
        for piece in pieces:
            if seconds <= 0.0:
                self._ends[to_board](piece)
            else:
                self._later(seconds, piece, to_board)

    def _spoilt(self, name: str, pieces: list[bytes]) -> list[bytes]:
        match name:
            case 'line_drop':
                return []
            case 'line_duplicate':
                return [*pieces, *pieces]
            case 'line_truncate':
                return [piece[: len(piece) // 2] for piece in pieces]
        return [self._corrupted(piece) for piece in pieces]

    def _corrupted(self, piece: bytes) -> bytes:
        spoilt = bytearray(piece)
        spoilt[self._random.randrange(len(spoilt))] ^= self._random.randrange(1, 256)
        return bytes(spoilt)

    def _later(self, seconds: float, piece: bytes, to_board: bool) -> None:
        self._busy_until[to_board] = self._clock() + seconds
        self._timers.at(self._clock() + seconds, lambda: self._ends[to_board](piece))

    def _flow(self) -> None:
        fault = self._active('line_flood')
        if fault is None:
            self._flood = None
            return
        self._carry(self._chatter() * max(int(fault.number * FLOOD_STEP_S), 1), to_board=False)
        self._flood = self._timers.at(self._clock() + FLOOD_STEP_S, self._flow)


def _number(name: str, words: list[str]) -> float:
    try:
        number = float(words[0]) if words else 0.0
    except ValueError:
        number = math.nan
    if len(words) > 1 or not (math.isfinite(number) and number >= 0.0):
        raise SimulationError(f'{name} takes {FAULTS[name]}')
    most = MOST.get(name, MOST_PIECES)
    if number > most:
        raise SimulationError(f'{name} takes at most {most:.0f}.')
    return number
