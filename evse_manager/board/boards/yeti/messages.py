"""
The messages of the Yeti family, as far as they are needed (docs/sources.md, Yeti).

Each payload is a protobuf container with one field.  The numbers of both directions overlap: on a looped line
our own orders read as states of the board.  Reading is therefore strict (types, booleans of 0 and 1), and
``HostKeepAlive``, whose number no board sends, is known in both directions.

The few fields do not need a protobuf library, whose versions other packages pin.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, auto
from typing import Any

from evse_manager.board.boards.yeti.frames import Cutter, encode

MOST_TEXT = 64
X1_DUTY = 10001
"""
Steady +12 V; the interface definition says 10000, but boards are known to be driven with this.
"""

F_DUTY = 0
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES = 10


class _Kind(Enum):
    BOOL = auto()
    UINT = auto()
    FLOAT = auto()
    TEXT = auto()


_WIRE = {_Kind.BOOL: _VARINT, _Kind.UINT: _VARINT, _Kind.FLOAT: _FIXED32, _Kind.TEXT: _BYTES}
_DEFAULTS: dict[_Kind, Any] = {_Kind.BOOL: False, _Kind.UINT: 0, _Kind.FLOAT: 0.0, _Kind.TEXT: ''}


def _part(number: int, kind: _Kind) -> Any:
    """Return a dataclass field for a field of a nested message; zero is not sent, and read where missing."""
    return field(default=_DEFAULTS[kind], metadata={'number': number, 'kind': kind})


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Keep-alive of the board, with its capabilities."""

    time_stamp: int = _part(1, _Kind.UINT)
    hw_type: int = _part(2, _Kind.UINT)
    hw_revision: int = _part(3, _Kind.UINT)
    protocol_major: int = _part(4, _Kind.UINT)
    protocol_minor: int = _part(5, _Kind.UINT)
    software: str = _part(6, _Kind.TEXT)
    max_current_a: float = _part(7, _Kind.FLOAT)
    min_current_a: float = _part(8, _Kind.FLOAT)
    max_phases: int = _part(9, _Kind.UINT)
    min_phases: int = _part(10, _Kind.UINT)
    switches_phases: bool = _part(11, _Kind.BOOL)


@dataclass(frozen=True, slots=True)
class ErrorFlags:
    """Every error of the board that is active; ``others`` are numbers that are not known here."""

    diode: bool = _part(1, _Kind.BOOL)
    rcd_self_test: bool = _part(2, _Kind.BOOL)
    rcd: bool = _part(3, _Kind.BOOL)
    ventilation: bool = _part(4, _Kind.BOOL)
    lock: bool = _part(5, _Kind.BOOL)
    pilot: bool = _part(6, _Kind.BOOL)
    over_current: bool = _part(7, _Kind.BOOL)
    others: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PilotVoltages:
    """
    Voltages of the pilot's halves, as unsigned numbers of 32 bits.

    Firmware 2.2 of the Yeti sends whole volts, and 0 for what is negative; the interface definition says mV.
    """

    high: int = _part(1, _Kind.UINT)
    low: int = _part(2, _Kind.UINT)


@dataclass(frozen=True, slots=True)
class PowerMeter:
    """Measurements of the board: V, A, Wh, °C, W, Hz; an invalid number is NaN."""

    time_stamp: int = _part(1, _Kind.UINT)
    v_l1: float = _part(2, _Kind.FLOAT)
    v_l2: float = _part(3, _Kind.FLOAT)
    v_l3: float = _part(4, _Kind.FLOAT)
    a_l1: float = _part(5, _Kind.FLOAT)
    a_l2: float = _part(6, _Kind.FLOAT)
    a_l3: float = _part(7, _Kind.FLOAT)
    a_n: float = _part(8, _Kind.FLOAT)
    wh_l1: float = _part(9, _Kind.FLOAT)
    wh_l2: float = _part(10, _Kind.FLOAT)
    wh_l3: float = _part(11, _Kind.FLOAT)
    wh_total: float = _part(12, _Kind.FLOAT)
    c_l1: float = _part(13, _Kind.FLOAT)
    c_l2: float = _part(14, _Kind.FLOAT)
    c_l3: float = _part(15, _Kind.FLOAT)
    c_n: float = _part(16, _Kind.FLOAT)
    w_l1: float = _part(17, _Kind.FLOAT)
    w_l2: float = _part(18, _Kind.FLOAT)
    w_l3: float = _part(19, _Kind.FLOAT)
    hz_l1: float = _part(20, _Kind.FLOAT)
    hz_l2: float = _part(21, _Kind.FLOAT)
    hz_l3: float = _part(22, _Kind.FLOAT)
    phase_seq_error: bool = _part(23, _Kind.BOOL)


@dataclass(frozen=True, slots=True)
class ResetDone:
    """The board has started."""

    value: int
    """0 by order, 1 by its watchdog."""


@dataclass(frozen=True, slots=True)
class PilotState:
    """State of the pilot: A to F are 0 to 5."""

    value: int


@dataclass(frozen=True, slots=True)
class Relay:
    """Whether the contactor is closed."""

    value: bool


@dataclass(frozen=True, slots=True)
class Proximity:
    """Coding of the cable: 0 none, 1 13 A, 2 20 A, 3 32 A, 4 70 A, 5 fault."""

    value: int


@dataclass(frozen=True, slots=True)
class LockPosition:
    """0 undefined, 1 unlocked, 2 locked."""

    value: int


@dataclass(frozen=True, slots=True)
class HostKeepAlive:
    """Keep-alive of the host."""

    time_stamp: int = _part(1, _Kind.UINT)
    hw_type: int = _part(2, _Kind.UINT)
    hw_revision: int = _part(3, _Kind.UINT)
    software: str = _part(6, _Kind.TEXT)


@dataclass(frozen=True, slots=True)
class Lock:
    """Lock or unlock the connector."""

    value: bool


@dataclass(frozen=True, slots=True)
class Duty:
    """Duty cycle in 0.01 %; 0 is F, from 10000 on X1."""

    value: int


@dataclass(frozen=True, slots=True)
class AllowPower:
    """Close the contactor, or open it."""

    value: bool


@dataclass(frozen=True, slots=True)
class ResetOrder:
    """Restart."""

    value: bool


@dataclass(frozen=True, slots=True)
class ThreePhases:
    """Connect three phases, or one."""

    value: bool


BoardMessage = (
    KeepAlive
    | ResetDone
    | PilotState
    | Relay
    | ErrorFlags
    | PilotVoltages
    | Proximity
    | LockPosition
    | PowerMeter
    | HostKeepAlive
)
"""Messages that a host may receive; ``HostKeepAlive`` only where the line is looped."""

HostMessage = HostKeepAlive | Lock | Duty | AllowPower | ResetOrder | ThreePhases
Message = BoardMessage | HostMessage

_Table = Mapping[int, tuple[type[Any], _Kind | None]]

FROM_BOARD: _Table = {
    3: (KeepAlive, None),
    100: (HostKeepAlive, None),
    101: (ResetDone, _Kind.UINT),
    102: (PilotState, _Kind.UINT),
    103: (Relay, _Kind.BOOL),
    104: (ErrorFlags, None),
    105: (PilotVoltages, None),
    106: (Proximity, _Kind.UINT),
    107: (LockPosition, _Kind.UINT),
    108: (PowerMeter, None),
}
FROM_HOST: _Table = {
    100: (HostKeepAlive, None),
    102: (Lock, _Kind.BOOL),
    103: (Duty, _Kind.UINT),
    104: (AllowPower, _Kind.BOOL),
    105: (ResetOrder, _Kind.BOOL),
    106: (ThreePhases, _Kind.BOOL),
}
"""Fields of the containers: number, message, and its kind where it is a plain value."""

_NUMBERS: dict[type[Any], tuple[int, _Kind | None]] = {
    cls: (number, kind) for table in (FROM_BOARD, FROM_HOST) for number, (cls, kind) in table.items()
}


_NESTED: dict[type[Any], dict[int, tuple[str, _Kind]]] = {
    cls: {
        each.metadata['number']: (each.name, each.metadata['kind']) for each in fields(cls) if each.metadata
    }
    for cls in _NUMBERS
}
"""Fields of the nested messages."""


class MalformedError(ValueError):
    """The bytes are no message."""


class YetiParser:
    """Makes messages of bytes; see ``serial_port.Frames``."""

    def __init__(self, table: _Table = FROM_BOARD, *, lenient: bool = False) -> None:
        """
        Read what comes from a board, or with ``FROM_HOST`` what comes from a host.

        A ``lenient`` parser reads as nanopb does, which is the boards' own library: of several messages in a
        payload the last one counts, every number but 0 is true, and a frame that repeats itself counts twice.
        """
        self.unknown = 0
        """Fields with a number that is not known here: newer firmware."""
        self.malformed = 0
        """Frames with a good check that are no message."""
        self.dropped = 0
        """Frames that failed their check, or were no message."""
        self.skipped = 0
        """Bytes in no frame."""
        self._table = table
        self._lenient = lenient
        self._cutter = Cutter(keep_repeated=lenient)

    def feed(self, data: bytes) -> list[Any]:
        """Take bytes; return the messages that are complete."""
        messages = []
        for payload in self._cutter.feed(data):
            message = self.parse(payload)
            if message is not None:
                messages.append(message)
        self.dropped = self._cutter.dropped + self.malformed
        self.skipped = self._cutter.skipped
        return messages

    def take_damaged(self) -> list[bytes]:
        """Return what stood between two end marks and failed its check, each piece once."""
        damaged = self._cutter.damaged
        return [damaged.popleft() for _ in range(len(damaged))]

    def parse(self, payload: bytes) -> Any:
        """Return the message of a payload, ``None`` when it is malformed or unknown."""
        try:
            known = []
            for number, wire, value in _fields(payload):
                if number in self._table:
                    known.append((number, wire, value))
                else:
                    self.unknown += 1
            if not known:
                return None
            if len(known) > 1 and not self._lenient:
                raise MalformedError('more than one message')
            number, wire, value = known[-1]
            cls, kind = self._table[number]
            if self._lenient and kind is _Kind.BOOL and wire == _VARINT:
                value = min(value, 1)
            if kind is not None:
                return cls(_value(kind, wire, value))
            if wire != _BYTES:
                raise MalformedError('no message')
            return self._nested(cls, value)
        except MalformedError:
            self.malformed += 1
            return None

    def reset(self) -> None:
        """Forget a frame that was begun."""
        self._cutter.reset()

    def _nested(self, cls: type[Any], data: bytes) -> Any:
        parts = _NESTED[cls]
        values: dict[str, Any] = {}
        others = []
        for number, wire, value in _fields(data):
            if number in parts:
                name, kind = parts[number]
                values[name] = _value(kind, wire, value)
            else:
                self.unknown += 1
                if wire == _VARINT and value:
                    others.append(number)
        if cls is ErrorFlags and others:
            values['others'] = tuple(sorted(set(others)))
        return cls(**values)


def frame(message: Message) -> bytes:
    """Return the frame of a message."""
    return encode(payload(message))


def payload(message: Message) -> bytes:
    """Return the payload of a message; plain values are sent even when they are zero."""
    number, kind = _NUMBERS[type(message)]
    if kind is not None:
        return _encoded(number, kind, message.value)  # type: ignore[union-attr]
    body = b''.join(
        _encoded(each, kind, value)
        for each, (name, kind) in _NESTED[type(message)].items()
        if (value := getattr(message, name))
    )
    return _varint(number << 3 | _BYTES) + _varint(len(body)) + body


def _encoded(number: int, kind: _Kind, value: Any) -> bytes:
    key = _varint(number << 3 | _WIRE[kind])
    match kind:
        case _Kind.FLOAT:
            return key + struct.pack('<f', value)
        case _Kind.TEXT:
            text = str(value).encode()
            return key + _varint(len(text)) + text
    return key + _varint(int(value))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(data: bytes) -> list[tuple[int, int, Any]]:
    """Return number, wire type and raw value of every field."""
    found: list[tuple[int, int, Any]] = []
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise MalformedError('no field')
        if wire == _VARINT:
            value, at = _read_varint(data, at)
            found.append((number, wire, value))
            continue
        if wire == _BYTES:
            length, at = _read_varint(data, at)
        elif wire in {_FIXED32, _FIXED64}:
            length = 4 if wire == _FIXED32 else 8
        else:
            raise MalformedError('no wire type')
        if length > len(data) - at:
            raise MalformedError('cut off')
        found.append((number, wire, data[at : at + length]))
        at += length
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : at + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise MalformedError('no number')


def _value(kind: _Kind, wire: int, raw: Any) -> Any:
    """Return a value of its kind; a boolean is 0 or 1, an unparsable float becomes NaN."""
    if wire != _WIRE[kind]:
        raise MalformedError('wrong type')
    match kind:
        case _Kind.BOOL:
            if raw > 1:
                raise MalformedError('no boolean')
            return bool(raw)
        case _Kind.UINT:
            if raw >= 1 << 32:
                raise MalformedError('too large')
            return raw
        case _Kind.FLOAT:
            value = struct.unpack('<f', raw)[0]
            return value if math.isfinite(value) else math.nan
    return raw[:MOST_TEXT].decode('ascii', 'replace')
