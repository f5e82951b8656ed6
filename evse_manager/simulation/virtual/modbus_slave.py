"""
Devices on a virtual Modbus line, at the level of bytes.

A frame ends by silence.  What fails its check or is for another unit is ignored in silence, as real devices
do; a device without the address in question answers with an exception.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from evse_manager.board.transport.modbus import framed, is_frame
from evse_manager.simulation.scheduler import Event

SILENCE_S = 0.004
"""3.5 characters at 9600 baud: the end of a frame."""

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4
MOST_REGISTERS = 125


class Refusal(Exception):  # noqa: N818 - an answer of the protocol
    """The device answers with an exception."""

    def __init__(self, code: int) -> None:
        """``code`` is that of the protocol."""
        super().__init__(code)
        self.code = code


class Slave(ABC):
    """One device; a subclass has registers and coils."""

    most_registers = MOST_REGISTERS
    """Most registers that can be read at once."""

    answer_s = 0.008
    """How long it takes to answer."""

    def __init__(self, unit: int) -> None:
        """``unit`` is its address."""
        self.unit = unit
        self.silent = False
        """It does not answer."""
        self.answers_as: int | None = None
        """It answers with another unit's address."""
        self.refuses = 0
        """It answers everything with this exception."""

    @abstractmethod
    def read_register(self, address: int, *, holding: bool) -> int:
        """Return a register; raises ``Refusal``."""

    def read_coil(self, address: int) -> int:
        """Return a coil; raises ``Refusal``."""
        raise Refusal(ILLEGAL_ADDRESS)

    def write_register(self, address: int, value: int) -> None:
        """Write a register; raises ``Refusal``."""
        raise Refusal(ILLEGAL_ADDRESS)

    def write_coil(self, address: int, value: int) -> None:
        """Write a coil; raises ``Refusal``."""
        raise Refusal(ILLEGAL_ADDRESS)

    def answer(self, frame: bytes) -> bytes:
        """Return the answer to a good frame for this unit; an empty one is not sent."""
        function = frame[1]
        unit = self.unit if self.answers_as is None else self.answers_as
        try:
            if self.refuses:
                raise Refusal(self.refuses)
            body = self._answer(function, frame)
        except Refusal as refusal:
            return framed(bytes((unit, function | 0x80, refusal.code)))
        return framed(bytes((unit, function)) + body)

    def _answer(self, function: int, frame: bytes) -> bytes:
        if len(frame) != 8 or function not in {1, 3, 4, 5, 6}:
            raise Refusal(ILLEGAL_FUNCTION)
        address, value = int.from_bytes(frame[2:4], 'big'), int.from_bytes(frame[4:6], 'big')
        match function:
            case 1:
                if not 1 <= value <= 2000:
                    raise Refusal(ILLEGAL_VALUE)
                bits = [self.read_coil(address + place) for place in range(value)]
                data = bytearray((value + 7) // 8)
                for place, bit in enumerate(bits):
                    data[place // 8] |= bit << place % 8
            case 3 | 4:
                if not 1 <= value <= self.most_registers:
                    raise Refusal(ILLEGAL_VALUE)
                data = bytearray()
                for place in range(value):
                    data += (self.read_register(address + place, holding=function == 3) & 0xFFFF).to_bytes(
                        2, 'big'
                    )
            case 5:
                if value not in {0, 0xFF00}:
                    raise Refusal(ILLEGAL_VALUE)
                self.write_coil(address, int(value > 0))
                return frame[2:6]
            case _:
                self.write_register(address, value)
                return frame[2:6]
        return bytes((len(data),)) + bytes(data)


class SlaveLine:
    """The side of the line where the devices are."""

    def __init__(
        self,
        slaves: list[Slave],
        after: Callable[[float, Callable[[], None]], Event],
        send: Callable[[bytes], None],
    ) -> None:
        """``after`` plans, ``send`` answers."""
        self.frames_received = 0
        self._slaves = slaves
        self._after = after
        self._send = send
        self._buffer = bytearray()
        self._end: Event | None = None

    def receive(self, data: bytes) -> None:
        """Take bytes; silence ends a frame."""
        self._buffer += data[: 512 - len(self._buffer)]
        if self._end is not None:
            self._end.cancel()
        self._end = self._after(SILENCE_S, self._frame_ended)

    def _frame_ended(self) -> None:
        frame, self._buffer, self._end = bytes(self._buffer), bytearray(), None
        if not is_frame(frame):
            return
        self.frames_received += 1
        for slave in self._slaves:
            if slave.unit == frame[0] and not slave.silent:
                answer = slave.answer(frame)
                if answer:
                    self._after(slave.answer_s, lambda answer=answer: self._send(answer))  # type: ignore[misc]
