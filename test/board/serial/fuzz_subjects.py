"""
The parsers of serial lines under any bytes, each beside an oracle that reads the same bytes in another way.

An oracle knows the whole stream and finds the frames in it by itself (regular expression, bitwise check); the
parser has to return these and no others, keep a bounded buffer and never raise.  Frames that mutation made
valid by chance are valid to the oracle, too: RAPI's check of eight bits lets one in 256 through, Modbus' one
in 65536.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from random import Random
from typing import Any, ClassVar

from evse_manager.board.boards.openevse import rapi
from evse_manager.board.boards.yeti import frames
from evse_manager.board.boards.yeti.messages import (
    ErrorFlags,
    KeepAlive,
    LockPosition,
    PilotState,
    PilotVoltages,
    PowerMeter,
    Proximity,
    Relay,
    ResetDone,
    YetiParser,
    frame,
)
from evse_manager.board.meters.sdm630 import floats
from evse_manager.board.transport.modbus import Answers, Function, Request, framed

LARGEST_PIECE = 4096
"""The reader hands over no more at once."""

LONGEST_LINE, LONGEST_YETI, LONGEST_REPLY = 80, 2048, 256
"""What a parser may keep, in bytes; written down once more, so that its own limit is checked, too."""


def mutated(frame: bytes, random: Random) -> bytes:
    """Return a frame with one to four things wrong, as lines and adapters do them."""
    data = bytearray(frame)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(data)) if data else 0
        match random.randrange(6) if data else 0:
            case 0:
                data[place:place] = random.randbytes(random.randint(1, 8))
            case 1:
                data[place] ^= 1 << random.randrange(8)
            case 2:
                data[place] = random.randrange(256)
            case 3:
                del data[place : place + random.randint(1, 4)]
            case 4:
                del data[place:]
            case 5:
                data += data[place:]
    return bytes(data)


class Subject(ABC):
    """A parser and its oracle."""

    frames: tuple[bytes, ...]
    """Valid frames, the material of mutation and of the corpus."""

    accepted: int = 0
    """Valid frames that were found."""

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """Give bytes to parser and oracle; raise when they disagree."""

    @abstractmethod
    def sealed(self, inside: bytes) -> None:
        """Give any content in a frame whose check is right; no content may raise."""

    @abstractmethod
    def recover(self) -> None:
        """Raise unless a valid frame is read after whatever came before."""


class RapiSubject(Subject):
    """OpenEVSE's framing, and the numbers within."""

    frames = (
        b'$OK 01 0 01 0200^12\r', b'$OK 03 2 03 0540^13\r', b'$OK fe 2 03 0500^17\r',
        b'$OK 08 3 01 0282^12\r',
        b'$AT 03 03 24 0540^36\r', b'$AB 00 8.2.3^1E\r', b'$OK 16^07\r', b'$NK^21\r', b'$OK 8.2.3 5.2.1^2F\r',
        b'$OK fe 0 05 0702 :A5^7D\r',
    )  # fmt: skip
    _FRAME = re.compile(rb'\$([!-\]_-~]+)((?: [!-\]_-~]+)*)\^([0-9A-Fa-f]{2})')
    _NUMBER = re.compile(rb':[0-9A-Fa-f]{2}')

    def __init__(self) -> None:
        """Begin with an empty line."""
        self.parser = rapi.RapiParser()
        self._line = b''

    def feed(self, data: bytes) -> None:
        """Compare with what a regular expression finds."""
        *lines, rest = (self._line + data).split(b'\r')
        self._line = rest[-2 * LONGEST_LINE :]
        wanted = [found for line in lines if (found := self._judged(line)) is not None]
        found = self.parser.feed(data)
        assert len(self.parser._rest) <= LONGEST_LINE, 'the buffer grows'
        assert _once(found) == _once(wanted), f'{found} instead of {wanted}'
        self.accepted += len(found)
        for each in found:
            _interpret(each)

    def sealed(self, inside: bytes) -> None:
        """Close a line by its check."""
        body = b'$' + bytes(byte for byte in inside if byte not in b'$^\r')
        self.feed(b'\r' + body + f'^{_xor(body):02X}\r'.encode('ascii'))

    def recover(self) -> None:
        """Read a state."""
        self.feed(b'\r')
        before = self.accepted
        self.feed(self.frames[-1])
        assert self.accepted == before + 1

    def _judged(self, line: bytes) -> rapi.Frame | None:
        body = line[line.rfind(b'$') :] if b'$' in line else b''
        match = self._FRAME.fullmatch(body)
        if match is None or len(body) > LONGEST_LINE or _xor(body[:-3]) != int(match[3], 16):
            return None
        if b'^' in body[:-3] or len(body) < 6:
            return None
        words = match[2].split(b' ')[1:]
        sequence = None
        if words and words[-1].startswith(b':'):
            if not self._NUMBER.fullmatch(words[-1]):
                return None
            sequence = int(words.pop()[1:], 16)
        return rapi.Frame(match[1].decode(), tuple(word.decode() for word in words), sequence)


def _interpret(found: rapi.Frame) -> None:
    """Check what the conversation makes of the words."""
    state = rapi.state_of(found.words)
    shape = re.fullmatch(r'[0-9a-fA-F]{2} \d{1,10} [0-9a-fA-F]{2} [0-9a-fA-F]{4}', ' '.join(found.words))
    assert (state is not None) == (shape is not None), f'{found.words} as {state}'
    if state is not None:
        told = (f'{state.state:02x}', f'{state.pilot:02x}', f'{state.flags:04x}')
        assert told == tuple(found.words[index].lower() for index in (0, 2, 3))
    numbers = rapi.numbers(found.words)
    whole = all(re.fullmatch(r'-?[0-9]{1,10}', word) for word in found.words)
    assert (numbers is not None) == whole, f'{found.words} as {numbers}'


def _xor(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
    return value


class YetiSubject(Subject):
    """Yeti's framing and messages."""

    frames = tuple(
        frame(message)
        for message in (
            PilotState(1), PilotState(2), Relay(True), Relay(False), LockPosition(2), ResetDone(1),
            Proximity(3), ErrorFlags(diode=True), ErrorFlags(over_current=True),
            PilotVoltages(9000, 2**32 - 12000), KeepAlive(7, 1, 2, 3, 4, '2.1', 32.0, 6.0, 3, 1, True),
            PowerMeter(time_stamp=1, v_l1=230.5, a_n=0.5, wh_total=1234.0, phase_seq_error=True),
        )
    )  # fmt: skip
    _PLAIN: ClassVar[dict[type, bytes]] = {
        PilotState: b'\xb0\x06',
        Relay: b'\xb8\x06',
        Proximity: b'\xd0\x06',
        LockPosition: b'\xd8\x06',
    }
    """Messages that carry one number, and the bytes before it."""

    def __init__(self) -> None:
        """Begin with an empty line."""
        self.parser = YetiParser()
        self.cutter = frames.Cutter()
        self._line = b''

    def feed(self, data: bytes) -> None:
        """Compare with the payloads that a slow reading finds."""
        *lines, rest = (self._line + data).split(b'\0')
        self._line = rest[: LONGEST_YETI + 1]  # more makes no frame, whatever follows
        wanted = [found for line in lines if (found := _unpacked(line))]
        found = self.cutter.feed(data)
        assert len(self.cutter._rest) <= LONGEST_YETI, 'the buffer grows'
        assert _once(found) == _once(wanted), f'{found} instead of {wanted}'
        self.accepted += len(found)
        told = self.parser.feed(data)
        assert len(told) <= len(found), 'messages without a frame'
        for message in told:
            assert any(self._carries(payload, message) for payload in found), f'{message} from {found}'

    def sealed(self, inside: bytes) -> None:
        """Frame any payload."""
        self.feed(b'\0' + frames.encode(inside))

    def recover(self) -> None:
        """Read a state."""
        self.feed(b'\0')
        before = self.accepted
        self.feed(self.frames[0])
        assert self.accepted == before + 1

    def _carries(self, payload: bytes, message: Any) -> bool:
        """Return whether a payload holds a message with one number; others need only be sound."""
        tag = self._PLAIN.get(type(message))
        if tag is None:
            return True
        places = (match.end() for match in re.finditer(re.escape(tag), payload))
        return any(_varint(payload[place:]) == message.value for place in places)


def _varint(data: bytes) -> int:
    end = next((index for index, byte in enumerate(data) if byte < 0x80), 0)
    return sum((byte & 0x7F) * 128**index for index, byte in enumerate(data[: end + 1]))


def _unpacked(line: bytes) -> bytes:
    """Return the payload of a COBS frame whose remainder of the CRC is none, nothing otherwise."""
    if len(line) > LONGEST_YETI:
        return b''
    out, rest = b'', line
    while rest:
        if len(rest) < rest[0]:
            return b''
        out += rest[1 : rest[0]] + (b'' if rest[0] == 255 else b'\0')
        rest, last = rest[rest[0] :], rest[0]
    if line and last != 255:
        out = out[:-1]
    remainder = 0xFFFF_FFFF
    for byte in out:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0xEDB8_8320 if remainder & 1 else 0)
    return out[:-4] if len(out) > 4 and remainder == 0 else b''


class ModbusSubject(Subject):
    """Replies of a Phoenix board and of an SDM630, looked for while their requests are in flight."""

    requests = (
        Request(1, Function.READ_HOLDING, 24000, 6),
        Request(1, Function.READ_HOLDING, 24025, 1),
        Request(1, Function.READ_COILS, 20000, 3),
        Request(1, Function.WRITE_COIL, 20000, 0),
        Request(1, Function.WRITE_REGISTER, 22000, 16),
        Request(2, Function.READ_INPUT, 0, 0x1E),
    )
    frames = (
        framed(bytes.fromhex('01030c 4332 0020 0000 0010 0000 0000')),
        framed(bytes.fromhex('010302 0040')),
        framed(bytes.fromhex('010101 05')),
        requests[3].encode(),
        requests[4].encode(),
        framed(bytes((2, 4, 60)) + bytes.fromhex('43663333') * 15),
        framed(bytes.fromhex('018302')),
        framed(bytes.fromhex('028402')),
    )
    PIECES_OF_A_REQUEST = 5

    def __init__(self) -> None:
        """Begin without a request."""
        self.answers = Answers()
        self._fed = 0
        self._line = b''
        self._request: Request | None = None

    def feed(self, data: bytes) -> None:
        """Compare what is taken for a reply with the bytes since the request."""
        if self._fed % self.PIECES_OF_A_REQUEST == 0:
            self._ask(self.requests[self._fed // self.PIECES_OF_A_REQUEST % len(self.requests)])
        self._fed += 1
        self._line = self._line[-LONGEST_REPLY:] + data
        found = self.answers.feed(data)
        assert len(self.answers._buffer) <= LONGEST_REPLY, 'the buffer grows'
        if self._request is None:
            assert not found, 'a reply to nothing'
            return
        wanted = self._judged(self._request)
        assert [(each.values, each.exception) for each in found] == wanted, f'{found} instead of {wanted}'
        for each in found:
            assert each.request is self._request
            if each.request.function is Function.READ_INPUT and each.good:
                floats(each.values)
        if found:
            self.accepted += 1
            self._request = None

    def sealed(self, inside: bytes) -> None:
        """Answer a request by a frame of its form with any content."""
        for request in self.requests:
            self._ask(request)
            self._fed = 1
            length = request.reply_length() - 2
            self.feed(framed((request.reply_start() + inside).ljust(length, b'\0')[:length]))
            assert self._request is None, 'a reply was not found'

    def recover(self) -> None:
        """Find the reply to a request."""
        self._ask(self.requests[0])
        self._fed = 1
        before = self.accepted
        self.feed(self.frames[0])
        assert self.accepted == before + 1

    def _ask(self, request: Request) -> None:
        self._request = Request(request.unit, request.function, request.address, request.value)
        self._line = b''
        self.answers.expect(self._request)

    def _judged(self, request: Request) -> list[tuple[tuple[int, ...], int]]:
        """Return values and exception of the first reply on the line, nothing where there is none."""
        length = {1: 6, 3: 5 + 2 * request.value, 4: 5 + 2 * request.value, 5: 8, 6: 8}[request.function]
        heads = [(bytes((request.unit, request.function + 0x80)), 5)]
        if request.writes:
            heads.append((request.encode()[:6], length))
        else:
            heads.append((bytes((request.unit, request.function, length - 5)), length))
        places = sorted(
            (match.start(), size)
            for head, size in heads
            for match in re.finditer(b'(?=' + re.escape(head) + b')', self._line, re.DOTALL)
        )
        for place, size in places:
            reply = self._line[place : place + size]
            if len(reply) == size and _remainder(reply) == 0:
                if reply[1] & 0x80:
                    return [((), reply[2] or 0xFF)]
                data = reply[3:-2]
                if request.writes:
                    return [((), 0)]
                if request.function is Function.READ_COILS:
                    return [(tuple(data[0] >> bit & 1 for bit in range(request.value)), 0)]
                return [(tuple(256 * high + low for high, low in zip(data[::2], data[1::2], strict=True)), 0)]
        return []


def _remainder(data: bytes) -> int:
    """Return Modbus' CRC over data and check, which is 0 when they fit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def _once(items: Iterable[Any]) -> list[Any]:
    """Return what remains when repetitions in a row are reported once."""
    kept: list[Any] = []
    for item in items:
        if not kept or kept[-1] != item:
            kept.append(item)
    return kept


SUBJECTS: dict[str, type[Subject]] = {'rapi': RapiSubject, 'yeti': YetiSubject, 'modbus': ModbusSubject}
