"""
Modbus RTU in bytes: requests, and the one reply that each may have.

A stream of bytes has no marks between its frames, and replies carry no number; so a reply is looked for where
it is expected: unit, function, length and CRC have to be those of the request in flight.  Everything else on
the line (another device's frames, echoes, replies that come late or twice, garbage) is counted and thrown
away, never interpreted.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

LONGEST_FRAME = 256
"""No frame is longer; so much is kept while a reply is looked for."""

LOOKED_AT = 512
"""Number of discarded bytes that are searched for frames, for the counter of foreign frames."""


class Function(IntEnum):
    """Function code of a request."""

    READ_COILS = 1
    READ_HOLDING = 3
    READ_INPUT = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6


_WRITES = (Function.WRITE_COIL, Function.WRITE_REGISTER)
_COIL_ON = 0xFF00
_EXCEPTION = 0x80
_EXCEPTION_LENGTH = 5
_WRITE_LENGTH = 8

EXCEPTIONS = {
    1: 'illegal function',
    2: 'illegal address',
    3: 'illegal value',
    4: 'device failure',
    5: 'acknowledged, still working',
    6: 'device busy',
}


def crc(data: bytes) -> bytes:
    """Return the check of a frame as it is sent."""
    value = 0xFFFF
    for byte in data:
        value = (value >> 8) ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value.to_bytes(2, 'little')


def framed(body: bytes) -> bytes:
    """Return a frame with its check."""
    return body + crc(body)


def is_frame(data: bytes) -> bool:
    """Return whether the check of a frame is right."""
    return len(data) >= 4 and crc(data[:-2]) == data[-2:]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One request; each object is a request of its own, even with the same contents."""

    unit: int
    """Address of the device, 1 to 247."""
    function: Function
    address: int
    value: int
    """How many coils or registers to read, or what to write (coils: 0 or 1)."""

    @property
    def writes(self) -> bool:
        """Return whether it changes anything."""
        return self.function in _WRITES

    @property
    def shape(self) -> tuple[int, int]:
        """Return the function and length that identify its reply."""
        return self.function, self._data_bytes

    @property
    def _data_bytes(self) -> int:
        return (self.value + 7) // 8 if self.function is Function.READ_COILS else 2 * self.value

    def encode(self) -> bytes:
        """Return its frame."""
        value = _COIL_ON * self.value if self.function is Function.WRITE_COIL else self.value
        head = bytes((self.unit, self.function))
        return framed(head + self.address.to_bytes(2, 'big') + value.to_bytes(2, 'big'))

    def reply_start(self) -> bytes:
        """Return how its reply begins, as far as that is known; writing is answered by the same bytes."""
        if self.writes:
            return self.encode()[:-2]
        return bytes((self.unit, self.function, self._data_bytes))

    def reply_length(self) -> int:
        """Return how long its reply is."""
        return _WRITE_LENGTH if self.writes else self._data_bytes + 5

    def values(self, reply: bytes) -> tuple[int, ...]:
        """Return registers or coils of a reply, nothing for one to a writing request."""
        data = reply[3:-2]
        match self.function:
            case Function.READ_COILS:
                return tuple(data[index // 8] >> index % 8 & 1 for index in range(self.value))
            case Function.READ_HOLDING | Function.READ_INPUT:
                return tuple(
                    int.from_bytes(data[index : index + 2], 'big') for index in range(0, len(data), 2)
                )
        return ()


@dataclass(frozen=True, slots=True)
class ModbusAnswer:
    """The reply to a request."""

    request: Request
    values: tuple[int, ...] = ()
    exception: int = 0
    """Not 0: the device refuses; see ``EXCEPTIONS``."""

    @property
    def good(self) -> bool:
        """Return whether the device carried out the request."""
        return not self.exception

    @property
    def refusal(self) -> str:
        """Return why the device refuses, for people."""
        return f'exception {self.exception}, {EXCEPTIONS.get(self.exception, "unknown")}'


class Answers:
    """Finds the expected reply in a stream of bytes; a ``serial_port.Frames``, fed by the reader's thread."""

    def __init__(self) -> None:
        """Begin without any request: nothing is taken for a reply."""
        self.dropped = 0
        """Replies whose check failed, or that broke off."""
        self.skipped = 0
        """Bytes outside of any frame."""
        self.strays = 0
        """Valid frames without a pending request: another device's, late ones, duplicates."""
        self.echoes = 0
        """Requests that came back."""
        self._lock = threading.Lock()
        self._expected: Request | None = None
        self._echoed = False
        self._buffer = bytearray()

    def expect(self, request: Request | None) -> None:
        """Wait for the reply to a request from here on, or for none."""
        with self._lock:
            self._throw_away(bytes(self._buffer))
            self._buffer.clear()
            self._expected = request
            self._echoed = False

    def reset(self) -> None:
        """Discard a partial frame: the port was reopened."""
        self.expect(None)

    def feed(self, data: bytes) -> Sequence[ModbusAnswer]:
        """Take bytes as they come; return the reply when it is complete."""
        with self._lock:
            request = self._expected
            if request is None:
                self._throw_away(data)
                return ()
            self._buffer += data
            self._look_for_echo(request)
            found = self._find(request)
            if found is None:
                excess = len(self._buffer) - LONGEST_FRAME
                if excess > 0:
                    self._throw_away(bytes(self._buffer[:excess]))
                    del self._buffer[:excess]
                return ()
            start, answer, length = found
            self._throw_away(bytes(self._buffer[:start]))
            rest = bytes(self._buffer[start + length :])
            self._buffer.clear()
            self._expected = None
            self._throw_away(rest)
            return (answer,)

    def _look_for_echo(self, request: Request) -> None:
        """Notice a reading request that came back; one that writes looks like its own reply."""
        if not self._echoed and not request.writes and request.encode() in self._buffer:
            self._echoed = True
            self.echoes += 1

    def _find(self, request: Request) -> tuple[int, ModbusAnswer, int] | None:
        refusal = bytes((request.unit, request.function | _EXCEPTION))
        candidates = []
        for start, length in (
            (self._place_of(request.reply_start(), request.reply_length()), request.reply_length()),
            (self._place_of(refusal, _EXCEPTION_LENGTH), _EXCEPTION_LENGTH),
        ):
            if start is not None:
                candidates.append((start, length))
        if not candidates:
            return None
        start, length = min(candidates)
        frame = bytes(self._buffer[start : start + length])
        if frame[1] & _EXCEPTION:
            return start, ModbusAnswer(request, exception=frame[2] or 0xFF), length
        return start, ModbusAnswer(request, request.values(frame)), length

    def _place_of(self, start: bytes, length: int) -> int | None:
        place = self._buffer.find(start)
        while place >= 0:
            if is_frame(bytes(self._buffer[place : place + length])) and len(self._buffer) >= place + length:
                return place
            place = self._buffer.find(start, place + 1)
        return None

    def _throw_away(self, data: bytes) -> None:
        """Count what was not wanted."""
        place = 0
        while place < min(len(data), LOOKED_AT):
            length = next((n for n in _possible_lengths(data, place) if is_frame(data[place : place + n])), 0)
            if length:
                self.strays += 1
                place += length
                continue
            if place == 0 and self._expected is not None and data[:2] == self._expected.reply_start()[:2]:
                self.dropped += 1
            self.skipped += 1
            place += 1
        self.skipped += max(len(data) - max(place, LOOKED_AT), 0)


def _possible_lengths(data: bytes, place: int) -> Sequence[int]:
    """Return how long a frame that begins here may be: as a reply, and as a request."""
    left = len(data) - place
    if left < _EXCEPTION_LENGTH:
        return ()
    function = data[place + 1]
    if function & _EXCEPTION:
        lengths: tuple[int, ...] = (_EXCEPTION_LENGTH,)
    elif function in {1, 2, 3, 4}:
        lengths = (data[place + 2] + 5, _WRITE_LENGTH)
    elif function in {5, 6, 15, 16}:
        lengths = (_WRITE_LENGTH,)
    else:
        return ()
    return [length for length in lengths if length <= left]


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()
