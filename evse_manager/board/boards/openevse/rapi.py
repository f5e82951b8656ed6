"""
RAPI, the ASCII protocol of OpenEVSE boards: framing and the meaning of codes (hardware reference 2.1).

A frame is ``$``, words separated by spaces, perhaps `` :ss`` (a sequence number of two hexadecimal digits,
not 00), ``^XX`` (exclusive or of all before it), and a carriage return.  Boards accept frames without a
check; here every frame needs one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import xor

MOST_BYTES = 80
"""No frame of a board is longer; the board itself takes 32 bytes."""

LONGEST_REQUEST = 31
LARGEST_SEQUENCE = 0xFF

RESET_DONE = 'AB'
STATE_CHANGED = 'AT'
REPLIES = ('OK', 'NK')
ASYNCHRONOUS = (RESET_DONE, STATE_CHANGED, 'AN', 'WF')
"""Frames that a board sends unasked, at any time."""

# States of the firmware.
STARTING, READY, CONNECTED, CHARGING, VENTILATION = 0x00, 0x01, 0x02, 0x03, 0x04
STUCK_RELAY = 0x08
ASLEEP, DISABLED = 0xFE, 0xFF

# Flags of the state.
HARD_FAULT = 0x0002
"""Set in a fault that only an unplugging or a reset ends, also after an order has hidden its state."""
RELAY_CLOSED = 0x0040
RESIDUAL_TRIPPED = 0x0080
"""Since the start of the board."""
EV_CONNECTED = 0x0100
"""Follows the plug in every state but under -12 V, where it keeps its value."""

SAFETY_TESTS = {
    0x0002: 'diode check',
    0x0004: 'ventilation check',
    0x0008: 'ground check',
    0x0010: 'stuck relay check',
    0x0200: 'self-test of the residual current device',
    0x0400: 'temperature check',
}
"""Flags of ``$GE``: a test that is switched off."""

_DIGITS = frozenset(b'0123456789abcdefABCDEF')
_START, _END, _CHECK = b'$', b'\r', b'^'


@dataclass(frozen=True, slots=True)
class Frame:
    """A valid frame: ``OK``, ``NK``, or what it is, and its words."""

    name: str
    words: tuple[str, ...] = ()
    sequence: int | None = None
    """Which request it answers, where the board says so."""


@dataclass(frozen=True, slots=True)
class State:
    """The reply to ``$GS``."""

    state: int
    pilot: int
    flags: int

    @property
    def relay_closed(self) -> bool:
        """Return whether the relay is driven."""
        return bool(self.flags & RELAY_CLOSED)

    @property
    def connected(self) -> bool:
        """Return whether an EV is plugged."""
        return bool(self.flags & EV_CONNECTED)

    @property
    def hard_fault(self) -> bool:
        """Return whether a fault lasts until an unplugging or a reset."""
        return bool(self.flags & HARD_FAULT)


class RapiParser:
    """
    Cuts bytes into frames; see ``serial_port.Frames``.

    An unasked frame that comes several times in a row is returned once: it says nothing new.
    """

    def __init__(self) -> None:
        """Begin outside of any frame."""
        self.dropped = 0
        self.skipped = 0
        self._rest = b''

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the valid frames that are complete."""
        *lines, rest = (self._rest + data).split(_END)
        frames: list[Frame] = []
        for line in lines:
            frame = self._frame(line)
            if frame is not None and not (
                frames and frame == frames[-1] and frame.sequence is None and frame.name in ASYNCHRONOUS
            ):
                frames.append(frame)
        start = rest.rfind(_START)
        kept = rest[start:] if start >= 0 and len(rest) - start <= MOST_BYTES else b''
        self.skipped += len(rest) - len(kept)
        self._rest = kept
        return frames

    def reset(self) -> None:
        """Forget a frame that was begun."""
        self._rest = b''

    def _frame(self, line: bytes) -> Frame | None:
        start = line.rfind(_START)
        body = line[start:] if start >= 0 else b''
        self.skipped += len(line) - len(body)
        if not body:
            return None
        text = body.decode('latin-1')
        frame = parse(body) if len(body) <= MOST_BYTES and text.isascii() and text.isprintable() else None
        self.dropped += frame is None
        return frame


def parse(line: bytes) -> Frame | None:
    """Return the frame of a line without its end, ``None`` when it is no frame or its check fails."""
    body, check = line[:-3], line[-3:]
    if len(body) < 3 or body[:1] != _START or check[:1] != _CHECK or not set(check[1:]) <= _DIGITS:
        return None
    if exclusive_or(body) != int(check[1:], 16):
        return None
    words = body[1:].decode('ascii').split(' ')
    sequence = None
    if len(words) > 1 and words[-1].startswith(':'):
        digits = words.pop()[1:]
        if len(digits) != 2 or not set(digits.encode()) <= _DIGITS:
            return None
        sequence = int(digits, 16)
    if not all(words) or '^' in body.decode('ascii'):
        return None
    return Frame(words[0], tuple(words[1:]), sequence)


def encode(command: str, sequence: int | None = None) -> bytes:
    """
    Return the frame of a command, as ``SC 16 V``.

    Raises ValueError when a board could not take it: too long, or characters with a meaning of their own.
    """
    text = f'${command}' if sequence is None else f'${command} :{sequence:02X}'
    body = text.encode('ascii')
    if set('$^*:\r\n') & set(command) or not command.isprintable():
        raise ValueError(f'{command!r} is no command.')
    if len(body) + 4 > LONGEST_REQUEST:
        raise ValueError(f'{command!r} is too long for the board.')
    return body + f'^{exclusive_or(body):02X}\r'.encode('ascii')


def exclusive_or(data: Iterable[int]) -> int:
    """Return the check of some bytes."""
    return reduce(xor, data, 0)


def number(word: str, base: int = 10) -> int | None:
    """Return a number of a frame, ``None`` when it is not a number."""
    digits = word.removeprefix('-') if base == 10 else word
    if not (0 < len(digits) <= 10 and digits.isascii() and digits.isalnum()):
        return None
    try:
        return int(word, base)
    except ValueError:
        return None


def numbers(words: Iterable[str]) -> list[int] | None:
    """Return the decimal numbers of a frame, ``None`` when one is not a number."""
    found = [number(word) for word in words]
    whole = [each for each in found if each is not None]
    return whole if len(whole) == len(found) else None


def state_of(words: tuple[str, ...]) -> State | None:
    """Return the state in the reply to ``$GS``, ``None`` when it is malformed."""
    if len(words) != 4 or (len(words[0]), len(words[2]), len(words[3])) != (2, 2, 4):
        return None
    state, elapsed = number(words[0], 16), number(words[1])
    pilot, flags = number(words[2], 16), number(words[3], 16)
    if state is None or pilot is None or flags is None or elapsed is None or elapsed < 0:
        return None
    return State(state, pilot, flags)


def report_of(words: tuple[str, ...]) -> tuple[State, int] | None:
    """Return state and current in A of ``$AT``, ``None`` when it is malformed."""
    if len(words) != 4:
        return None
    state, pilot, flags = (number(words[index], 16) for index in (0, 1, 3))
    in_force_a = number(words[2])
    if state is None or pilot is None or flags is None or in_force_a is None:
        return None
    return State(state, pilot, flags), in_force_a
