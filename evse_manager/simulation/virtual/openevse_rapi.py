"""
The controller of an OpenEVSE in software, speaking RAPI.

Its oddities on the line are those of the unmodified firmware 8.2.3 (hardware reference 2.1.5): a malformed
current becomes the maximum, a line without a checksum is obeyed.  ``openevse_firmware`` is what it does.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from evse_manager.simulation.virtual.board import Value
from evse_manager.simulation.virtual.openevse_firmware import LEAST_A, NAMES, Firmware
from evse_manager.simulation.world import WorldSettings

FIRMWARE, RAPI = '8.2.3', '5.2.1'

BUFFER_BYTES = 32
MOST_WORDS = 10
UART_BYTES = 64
"""What the controller's hardware keeps while the firmware is busy with its self-test."""


class VirtualOpenEvse(Firmware):
    """See the module's description."""

    name: ClassVar[str] = 'openevse'
    baud_rate: ClassVar[int] = 115_200
    faults: ClassVar[Mapping[str, str]] = {
        'ground': 'The earth wire is lost: state 07 while charging, until unplugged.',
        'safety_tests_off': 'Safety tests are switched off in the settings, until cleared.',
        'never_sleeps': 'The firmware does not obey $FS, until cleared.',
        'misreads_current': 'Each $SC is misread and puts the maximum in force, answered $NK, until cleared.',
    }
    missing: ClassVar[frozenset[str]] = frozenset(
        {'rcd_dc', 'lock_jam', 'lock_opens', 'proximity', 'emergency_stop', 'meter_jump'}
    )
    values: ClassVar[Mapping[str, Value]] = {
        'state': Value('state of $GS and $AT, two hexadecimal digits'),
        'pilot': Value('pilot state of $GS and $AT, two hexadecimal digits'),
        'flags': Value('flags of $GS and $AT, four hexadecimal digits'),
        'capacity': Value('current in force of $GC and $AT, in A'),
        'maximum': Value('configured maximum of $GC, in A'),
        'milliamperes': Value('current of $GG'),
        'temperature': Value('first temperature of $GP, in 0.1 °C; -2560 = absent'),
        'settings': Value('flags of $GE, four hexadecimal digits'),
    }

    def __init__(self, settings: WorldSettings | None = None) -> None:
        """Build the board."""
        self.frames_received = 0
        super().__init__(settings)

    def _forget(self) -> None:
        super()._forget()
        self._line = bytearray()
        self._in_frame = False
        self._uart = bytearray()

    # --- the line ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes: a ``$`` begins a line of at most 32 bytes, a carriage return ends it."""
        if not self.running:
            self._uart += data[: UART_BYTES - len(self._uart)]
            return
        for byte in data:
            if byte == ord('$'):
                self._line = bytearray(b'$')
                self._in_frame = True
            elif not self._in_frame:
                continue
            elif byte == ord('\r'):
                self._in_frame = False
                self._obey(bytes(self._line))
            elif len(self._line) >= BUFFER_BYTES - 1:
                self._in_frame = False
            else:
                self._line.append(byte)

    def _obey(self, line: bytes) -> None:
        self.frames_received += 1
        text = line.decode('latin-1')
        for mark, checksum in (('^', _exclusive_or), ('*', _sum)):
            body, found, given = text.rpartition(mark)
            if not found:
                continue
            text = body
            try:
                good = int(given, 16) == checksum(body.encode('latin-1'))
            except ValueError:
                good = False
            if not good:
                self.send(_frame('$NK'))
                return
            break
        words = text[1:].split()
        sequence = ''
        if words and words[-1].startswith(':') and ' :' in text:
            sequence = f' {words.pop()}'
        if not words or len(words) > MOST_WORDS:
            self.send(_frame('$NK'))
            return
        command = _COMMANDS.get(words[0])
        answer = None if command is None else command(self, words[1:])
        if answer is None:
            self.send(_frame(f'$NK{sequence}'))
        else:
            good, values = answer
            values = f' {values}' if values else ''
            self.send(_frame(f'${"OK" if good else "NK"}{values}{sequence}'))
        self.settle()

    def chatter(self) -> bytes:
        """Return the frame that tells the state."""
        return self._told_frame()

    def _told_frame(self) -> bytes:
        state = self.told('state', f'{self.state:02x}')
        pilot = self.told('pilot', f'{self._pilot:02x}')
        amperes = self.told('capacity', str(self.amperes))
        flags = self.told('flags', f'{self._flags():04x}')
        return _frame(f'$AT {state} {pilot} {amperes} {flags}')

    def print_text(self) -> None:
        """Print two lines that are no frames."""
        self.send(b'relayCloseMs: 100\r\nrelayHoldPwm: 255\r\n')

    def self_tested(self, code: int) -> None:
        """Send ``$AB``, then obey what has come in the meantime."""
        self.send(_frame(f'$AB {code:02x} {FIRMWARE}'))
        waiting, self._uart = bytes(self._uart), bytearray()
        self._told = None
        self.receive(waiting)
        if self._told is None:
            self.tell()

    def tell(self) -> None:
        """Send ``$AT``."""
        self.send(self._told_frame())
        self._told = self._worth_telling()

    # --- commands ---------------------------------------------------------------------------------

    def _enable(self, _: list[str]) -> tuple[bool, str]:
        self.enable()
        return True, ''

    def _disable(self, _: list[str]) -> tuple[bool, str]:
        self.disable()
        return True, ''

    def _sleep(self, _: list[str]) -> tuple[bool, str]:
        self.sleep()
        return True, ''

    def _reset(self, _: list[str]) -> tuple[bool, str]:
        self.after(0.05, self.power_up)
        return True, ''

    def _set_current(self, words: list[str]) -> tuple[bool, str] | None:
        if not words:
            return None
        asked = 0xFF if 'misreads_current' in self.own_faults else _byte(words[0])
        return self.set_current(asked, keep=words[1:] != ['V']), str(self.amperes)

    def _heartbeat(self, words: list[str]) -> tuple[bool, str]:
        good = True
        if words == ['165']:
            self.acknowledge_miss()
        elif len(words) >= 2:
            self.set_heartbeat(_byte(words[0]), _byte(words[1]))
        else:
            good = self.pulse()
        return good, f'{self._heart_s} {self._heart_a} {self._heart_missed}'

    def _get_state(self, _: list[str]) -> tuple[bool, str]:
        state = self.told('state', f'{self.state:02x}')
        pilot = self.told('pilot', f'{self._pilot:02x}')
        flags = self.told('flags', f'{self._flags():04x}')
        elapsed = int(self.now - self._relay_at) if self._relay else 0
        return True, f'{state} {elapsed} {pilot} {flags}'

    def _get_settings(self, _: list[str]) -> tuple[bool, str]:
        off = 0x061E if 'safety_tests_off' in self.own_faults else 0
        return True, f'{self._stored_a} {self.told("settings", f"{off | 0x0001:04x}")}'

    def _get_capacity(self, _: list[str]) -> tuple[bool, str]:
        amperes = self.told('capacity', str(self.amperes))
        maximum = self.told('maximum', str(self.maximum_a))
        return True, f'{LEAST_A} {self.maximum_a} {amperes} {maximum}'

    def _get_meter(self, _: list[str]) -> tuple[bool, str]:
        if 'meter_silent' in self.world.active_faults:
            return True, '0 0'
        milliamperes = round(self.world.currents_a[0] * 1000.0)
        millivolts = round(self.world.meter.voltages_v[0] * 1000.0) if milliamperes else 0
        return True, f'{self.told("milliamperes", str(milliamperes))} {millivolts}'

    def _get_energy(self, _: list[str]) -> tuple[bool, str]:
        return True, f'{int(self._session_wh() * 3600.0)} {int(self._stored_wh)}'

    def _get_temperatures(self, _: list[str]) -> tuple[bool, str]:
        temperature = round(self.world.enclosure.temperature_c * 10.0)
        return True, f'{self.told("temperature", str(temperature))} -2560 -2560'

    # --- for people -------------------------------------------------------------------------------

    def describe(self) -> dict[str, str]:
        """Return state, current, pilot, relay and heartbeat."""
        ev = self.world.ev
        return {
            'state': NAMES.get(self.state, f'{self.state:02x}') if self.running else 'booting',
            'pilot': self.seen.cp_state.name,
            'relay': 'closed' if self.world.contactor.closed else 'open',
            'limit': f'{self.amperes} A',
            'EV': 'none' if ev is None else f'draws {max(self.world.currents_a):.0f} A',
            'heartbeat': ('fed', 'acknowledged', 'missed')[self._heart_missed] if self._heart_s else 'off',
        }


_Command = Callable[[VirtualOpenEvse, list[str]], tuple[bool, str] | None]


def _constant(answer: str) -> _Command:
    return lambda board, words: (True, answer)


_COMMANDS: dict[str, _Command] = {
    'FE': VirtualOpenEvse._enable,
    'FD': VirtualOpenEvse._disable,
    'FS': VirtualOpenEvse._sleep,
    'FR': VirtualOpenEvse._reset,
    'SC': VirtualOpenEvse._set_current,
    'SY': VirtualOpenEvse._heartbeat,
    'GS': VirtualOpenEvse._get_state,
    'GE': VirtualOpenEvse._get_settings,
    'GC': VirtualOpenEvse._get_capacity,
    'GG': VirtualOpenEvse._get_meter,
    'GU': VirtualOpenEvse._get_energy,
    'GP': VirtualOpenEvse._get_temperatures,
    'GV': _constant(f'{FIRMWARE} {RAPI}'),
    'GF': _constant('0 0 0'),
    'F0': _constant(''),
    'FB': _constant(''),
    'FP': _constant(''),
    'SL': _constant(''),
}


def _byte(word: str) -> int:
    """Return a number as the firmware reads it: digits are not checked, and the sum is cut to eight bits."""
    number = 0
    for digit in word:
        number = number * 10 + ord(digit) - ord('0')
    return number & 0xFF


def _exclusive_or(data: bytes) -> int:
    check = 0
    for byte in data:
        check ^= byte
    return check


def _sum(data: bytes) -> int:
    return sum(data) & 0xFF


def _frame(text: str) -> bytes:
    return f'{text}^{_exclusive_or(text.encode("latin-1")):02X}\r'.encode('latin-1')
