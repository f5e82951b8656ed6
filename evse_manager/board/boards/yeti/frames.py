"""
The framing of the Yeti family of boards: COBS, closed by a zero byte, around payload and CRC
(docs/sources.md, Yeti).

The check is CRC-32/JAMCRC, little-endian: reflected polynomial EDB88320, begun with all ones, not inverted.
"""

import zlib
from collections import deque

MOST_BYTES = 2048
"""No frame is longer: what comes without an end mark is thrown away beyond."""

MOST_DAMAGED = 64
LONGEST_RUN = 254
CHECK_BYTES = 4
END = b'\0'


def check(data: bytes) -> int:
    """Return the CRC of some bytes."""
    return zlib.crc32(data) ^ 0xFFFF_FFFF


def encode(payload: bytes) -> bytes:
    """Return the frame of a payload, with its end mark."""
    return stuff(payload + check(payload).to_bytes(CHECK_BYTES, 'little')) + END


def decode(frame: bytes) -> bytes | None:
    """Return the payload of a frame without its end mark, ``None`` when its check fails."""
    body = unstuff(frame)
    if body is None:
        return None
    payload, found = body[:-CHECK_BYTES], body[-CHECK_BYTES:]
    if not payload or check(payload) != int.from_bytes(found, 'little'):
        return None
    return payload


def stuff(data: bytes) -> bytes:
    """
    Return bytes without any zero: COBS.

    Each zero becomes the distance to the next one; runs of 254 bytes without a zero are marked by 255.
    """
    out = bytearray()
    for run in data.split(END):
        long = len(run) // LONGEST_RUN * LONGEST_RUN
        for at in range(0, long, LONGEST_RUN):
            out.append(LONGEST_RUN + 1)
            out += run[at : at + LONGEST_RUN]
        out.append(len(run) - long + 1)
        out += run[long:]
    return bytes(out)


def unstuff(data: bytes) -> bytes | None:
    """Return what ``stuff`` was given, ``None`` when the distances do not fit."""
    out = bytearray()
    at = 0
    while at < len(data):
        distance = data[at]
        end = at + distance
        if distance == 0 or end > len(data):
            return None
        out += data[at + 1 : end]
        at = end
        if distance <= LONGEST_RUN and at < len(data):
            out.append(0)
    return bytes(out)


class Cutter:
    """Cuts a stream of bytes into payloads; never raises, keeps at most ``MOST_BYTES``."""

    def __init__(self, *, keep_repeated: bool = False) -> None:
        """Begin outside of any frame; ``keep_repeated`` returns a frame that follows itself each time."""
        self.dropped = 0
        """Frames that failed their check."""
        self.skipped = 0
        """Bytes of what was too long to be a frame."""
        self.damaged: deque[bytes] = deque(maxlen=MOST_DAMAGED)
        """The newest of them, without their end marks."""
        self._keep_repeated = keep_repeated
        self._rest = b''
        self._overlong = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the payloads that are complete, a frame that repeats itself once."""
        payloads = []
        last = b''
        *frames, rest = (self._rest + data).split(END)
        for frame in frames:
            if self._overlong or len(frame) > MOST_BYTES:
                self.skipped += len(frame) + 1
                self._overlong = False
                self.damaged.append(frame)
                last = b''
                continue
            if not frame or (frame == last and not self._keep_repeated):
                continue
            last = frame
            payload = decode(frame)
            if payload is None:
                self.dropped += 1
                self.damaged.append(frame)
            else:
                payloads.append(payload)
        if len(rest) > MOST_BYTES:
            self._overlong = True
        if self._overlong:
            self.skipped += len(rest)
            rest = b''
        self._rest = rest
        return payloads

    def reset(self) -> None:
        """Forget a frame that was begun."""
        self._rest = b''
        self._overlong = False
