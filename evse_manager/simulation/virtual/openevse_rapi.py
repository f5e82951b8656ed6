"""
The line of an OpenEVSE: its serial port with 63 bytes of buffer, RAPI frames, and the commands.

Traps of the firmware, all recorded: digits of numbers are not checked, a line without a check is obeyed, a
current without a second argument is stored in the EEPROM.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from evse_manager.simulation.scheduler import Event
from evse_manager.simulation.virtual.openevse_commands import VERSION, Commands
from evse_manager.simulation.virtual.openevse_states import (
    CHARGING,
    CONNECTED,
    READY,
    REPORTED,
    UNKNOWN,
    Flag,
)

if TYPE_CHECKING:
    from evse_manager.simulation.virtual.openevse_firmware import Firmware

BYTE_S = 10.0 / 115_200.0
BUFFER_BYTES = 63
"""Bytes that the port keeps while the program is busy; the rest is lost."""

LINE_BYTES = 32
"""A line has up to 31 characters; a longer one is dropped."""

MOST_WORDS = 10
HEXADECIMAL = '0123456789abcdefABCDEF'


class Rapi:
    """See the module's description."""

    def __init__(
        self,
        firmware: Firmware,
        after: Callable[[float, Callable[[], None]], Event],
        send: Callable[[bytes], None],
    ) -> None:
        """Build a port that does not exist before ``begin``."""
        self.lines_received = 0
        self._firmware = firmware
        self._after = after
        self._send = send
        self._commands = Commands(firmware, self)
        self._begun = False
        self._arriving: deque[tuple[float, int]] = deque()
        self._wire_free_at = self._sent_at = 0.0
        self._buffer = bytearray()
        self._line = bytearray()
        self._sequence = 0
        self._reported = (UNKNOWN, UNKNOWN, 0, 0)

    # --- the port ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Set up the port; what came before is lost."""
        self._take_arrived()
        self._buffer.clear()
        self._begun = True

    def receive(self, data: bytes) -> None:
        """Take bytes from the host; each needs its time on the wire."""
        now = self._firmware.clock()
        if not self._begun:
            return
        for byte in data:
            self._wire_free_at = max(self._wire_free_at, now) + BYTE_S
            self._arriving.append((self._wire_free_at, byte))

    def print(self, text: str) -> None:
        """Send text; it is complete at the host when its last byte is."""
        data = text.encode('latin-1')
        now = self._firmware.clock()
        self._sent_at = max(self._sent_at, now) + len(data) * BYTE_S
        self._after(self._sent_at - now, lambda: self._send(data))

    def run(self) -> Generator[float, None, None]:
        """Obey the lines that are complete; bytes that arrive meanwhile wait for the next time."""
        self._take_arrived()
        waiting = len(self._buffer)
        for _ in range(waiting):
            byte = self._buffer.pop(0)
            if byte == ord('$'):
                self._line = bytearray(b'$')
            elif not self._line:
                continue
            elif len(self._line) >= LINE_BYTES:
                self._line.clear()
            elif byte == ord('\r'):
                line, self._line = bytes(self._line), bytearray()
                yield from self._obey(line.decode('latin-1'))
                self._take_arrived()
            else:
                self._line.append(byte)

    def _take_arrived(self) -> None:
        now = self._firmware.clock()
        while self._arriving and self._arriving[0][0] <= now:
            byte = self._arriving.popleft()[1]
            if len(self._buffer) < BUFFER_BYTES:
                self._buffer.append(byte)

    # --- frames -----------------------------------------------------------------------------------

    def notify(self, *, force: bool = False) -> None:
        """Send ``$AT`` when state, pilot field, current or a reported flag has changed."""
        firmware = self._firmware
        state, flags = firmware.state, firmware.flags & REPORTED
        plugged = bool(flags & Flag.CONNECTED)
        reported = (state, firmware.pilot.field, firmware.currents.in_force_a, flags)
        odd = state == UNKNOWN or (
            plugged if state == READY else state in {CONNECTED, CHARGING} and not plugged
        )
        if force or (not odd and reported != self._reported):
            self._reported = reported
            self.print(self.state_frame())

    def state_frame(self) -> str:
        """Return ``$AT`` as it would be sent now."""
        firmware, shown = self._firmware, self._commands
        current = firmware.value('capacity', str(firmware.currents.in_force_a))
        return frame(f'$AT {shown.state} {shown.pilot} {current} {shown.flags}')

    def boot_notification(self) -> None:
        """Send ``$AB`` with the outcome of the self-test."""
        self.print(frame(f'$AB {self._firmware.state:02x} {VERSION}'))

    def _obey(self, line: str) -> Generator[float, None, None]:
        self.lines_received += 1
        words = tokens(line)
        if words is None:
            self.print(frame('$NK'))
            return
        sequence = 0
        if len(words) > 1 and words[-1].startswith(':'):
            sequence = two_digits(words.pop()[1:])
        good, values = self._commands.obey(words[0], words[1:])
        yield from self._commands.work()
        values = f' {values}' if values else ''
        number = f' :{sequence:02X}' if sequence else ''
        self.print(frame(f'${"OK" if good else "NK"}{values}{number}'))
        self.notify()


def tokens(line: str) -> list[str] | None:
    """Return the words of a line, ``None`` when its check is wrong or it has too many words."""
    text, mark, check = _cut(line[2:])
    text = line[1:2] + text
    words = [text[:1] + text[1:].partition(' ')[0], *text[1:].split(' ')[1:]]
    if len(words) > MOST_WORDS:
        return None
    covered = f'${text}'.encode('latin-1')
    if mark == '^' and two_digits(check) != exclusive_or(covered):
        return None
    if mark == '*' and two_digits(check) != sum(covered) & 0xFF:
        return None
    return words


def _cut(text: str) -> tuple[str, str, str]:
    """Return text, mark and check, at the first of the two marks."""
    at = min((text.index(mark) for mark in '^*' if mark in text), default=len(text))
    return text[:at], text[at : at + 1], text[at + 1 :]


def two_digits(text: str) -> int:
    """Return the number of two hexadecimal digits as the firmware reads it; what follows is ignored."""
    number = 0
    for index, digit in enumerate(text[:2]):
        if digit not in HEXADECIMAL:
            return 0
        number = (number << 4 if index else 0) + int(digit, 16)
    return number


def exclusive_or(data: bytes) -> int:
    """Return the check of some bytes."""
    check = 0
    for byte in data:
        check ^= byte
    return check


def frame(text: str) -> str:
    """Return a frame with its check."""
    return f'{text}^{exclusive_or(text.encode("latin-1")):02X}\r'
