"""
A Phoenix Contact EV Charge Control Basic in software, with an SDM630 meter at unit 2 of the same line.

Registers are those of the manual 106377_en_04, section 9.2 (docs/sources.md, Phoenix); the times of the
firmware are not published, those here are plausible ones.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from evse_manager.board.driver_io import Outputs
from evse_manager.board.transport.modbus import framed
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ControlPilotState,
    LockState,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.pilot import duty_cycle
from evse_manager.simulation.scheduler import Event
from evse_manager.simulation.virtual.board import Value, VirtualBoard
from evse_manager.simulation.virtual.modbus_slave import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    Refusal,
    Slave,
    SlaveLine,
)
from evse_manager.simulation.virtual.sdm630_slave import METER_FAULTS, METER_UNIT, METER_VALUES, MeterSlave
from evse_manager.simulation.world import WorldSettings

BOARD_UNIT = 1

BOOT_S = 1.0
PILOT_S = 0.1
"""Debouncing of the pilot."""

CLOSING_S = 0.1
GRACE_S = 3.0
"""How long the EV has to stop after the PWM went off."""

ASKS_WITHIN_S, WAKES_FOR_S = 30.0, 3.0
"""Activation mode: an EV that does not ask in B2 sees -12 V once (manual, page 30)."""

BLOCKED_S = 2.5
RESET_S = 1.0
MONITORING_MS = 200
DEFAULT_A = 6
SWITCHES_S1 = 0x06
"""S1/DIP 2 and 3 on: availability and lock obey the line."""

ENABLE, AVAILABLE, LOCK = 20000, 20001, 20002

_RETENTIVE = {
    4000: 1,
    4001: 1,
    4002: 1,
    4006: 0,
    4007: MONITORING_MS,
    4008: 0,
    4009: 0,
    4010: 0,
    4011: 0,
    4012: 1,
}
_READ_ONLY = (4008, 4009)
_RANGES = {4000: 3, 4001: 2, 4002: 3, 4006: 1, 4007: 65535, 4010: 1, 4011: 4, 4012: 2}
_BITS = {
    BoardErrorEnum.PROXIMITY_FAULT: 3,
    BoardErrorEnum.PILOT_FAULT: 4,
    BoardErrorEnum.LOCK_FAILED_TO_LOCK: 6,
    BoardErrorEnum.LOCK_FAILED_TO_UNLOCK: 7,
    BoardErrorEnum.LOCK_UNEXPECTEDLY_OPEN: 8,
    BoardErrorEnum.DIODE_FAULT: 13,
    BoardErrorEnum.RCD_AC: 15,
    BoardErrorEnum.RCD_DC: 15,
    BoardErrorEnum.RCD_SELF_TEST: 16,
}
_OPENING_BITS = (2, 3, 4, 5, 6, 8, 11, 12, 13, 15, 16)
_LETTERS = {
    ControlPilotState.A: 'A', ControlPilotState.B: 'B', ControlPilotState.C: 'C', ControlPilotState.D: 'D',
    ControlPilotState.E: 'E', ControlPilotState.F: 'F',
}  # fmt: skip


VARIANTS: Mapping[str, str] = {
    'stays_closed_in_c1': 'The contactor stays closed while a car stays in C without PWM.',
    'forgets_read_errors': 'An error bit lasts until it was read, however long its cause.',
    'enabled_at_start': 'Charging is enabled after a restart, with the largest current.',
    'keeps_orders': 'Coils and current outlast a restart.',
    'blocks': 'The board answers nothing for 2.5 s when it moves lock or contactor.',
    'activation_shows_f': 'Register 24000 shows F while the board wakes an EV up.',
    'resets_monitor': 'The residual current monitor resets itself 1 s after its cause.',
}
"""Behaviour that neither the manual nor a public source describes; cleared by name only."""


class VirtualPhoenix(VirtualBoard, Slave):
    """
    See the module's description.

    It is large because its attributes are the registers of the board, and what its firmware remembers.
    """

    name: ClassVar[str] = 'phoenix'
    baud_rate: ClassVar[int] = 19_200
    meter_unit: ClassVar[int | None] = METER_UNIT
    faults: ClassVar[Mapping[str, str]] = {
        'silent': 'The board does not answer; its meter does, until cleared.',
        'wrong_unit': 'The board answers with the address of another unit, until cleared.',
        'exception_2': 'The board refuses everything: illegal address, until cleared.',
        'exception_3': 'The board refuses everything: illegal value, until cleared.',
        'exception_4': 'The board refuses everything: device failure, until cleared.',
        'input_registers_only': 'The state is found among the input registers only, until cleared.',
        'no_mirror_contact': 'No mirror contact is wired to input CCR, until cleared.',
        **VARIANTS,
        **METER_FAULTS,
    }
    missing: ClassVar[frozenset[str]] = frozenset({'over_temperature', 'emergency_stop', 'over_current'})
    values: ClassVar[Mapping[str, Value]] = {
        'state': Value('two characters of register 24000, as C2'),
        'current': Value('register 22000, in A', int),
        'signalled': Value('register 24003, in A', int),
        'proximity': Value('register 24001', int),
        'errors': Value('register 24025', int),
        'preset': Value('register 24027, in A', int),
        **METER_VALUES,
    }

    def __init__(self, settings: WorldSettings | None = None) -> None:
        """Build board and meter; retentive registers last over resets."""
        VirtualBoard.__init__(self, settings)
        Slave.__init__(self, BOARD_UNIT)
        self.meter = MeterSlave(METER_UNIT, self)
        self.line = SlaveLine([self, self.meter], self.after, self._transmit)
        self.retentive = dict(_RETENTIVE)
        self.retentive_writes = 0
        """How often a retentive register was written, which wears the memory."""
        self._forget()

    # --- life -------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self.forget_timers()
        self.running = False
        if 'keeps_orders' not in self.own_faults or not hasattr(self, 'coils'):
            at_start = 'enabled_at_start' in self.own_faults
            self.coils = {ENABLE: int(at_start), AVAILABLE: 1, LOCK: 0}
            self.current = int(self.world.settings.max_current_a) if at_start else DEFAULT_A
        self._blocked_until = -math.inf
        self._kept_bits: set[int] = set()
        self._known_bits: set[int] = set()
        self._activation: Event | None = None
        self._activated = self._waking = False
        self._reset: Event | None = None
        self._pilot = ControlPilotState.A
        self._candidate: tuple[ControlPilotState, Event] | None = None
        self._closing: Event | None = None
        self._grace: Event | None = None
        self._relay = False
        self._relay_at = -math.inf
        self._weld = False

    def _transmit(self, data: bytes) -> None:
        self.send(data)

    def power_up(self) -> None:
        """Boot: nothing is answered for a second, then it works by itself."""
        self._forget()
        self._drive()
        self.after(BOOT_S, self._work)

    def _work(self) -> None:
        self.running = True
        self._pilot = self.seen.cp_state if self.seen.cp_state in _LETTERS else ControlPilotState.A

    def receive(self, data: bytes) -> None:
        """Take bytes from the host; while the controller boots only the meter is there."""
        blocked = self.now < self._blocked_until
        self.silent = not self.running or blocked or 'silent' in self.own_faults
        self.answers_as = BOARD_UNIT + 6 if 'wrong_unit' in self.own_faults else None
        self.meter.silent = 'meter_silent' in self.world.active_faults
        self.refuses = next((code for code in (2, 3, 4) if f'exception_{code}' in self.own_faults), 0)
        self.line.receive(data)

    def clear(self, name: str = '') -> None:
        """End a fault, or all; variants are what the board is like, and end only by their names."""
        if name:
            super().clear(name)
            return
        for each in self.active_faults():
            if each not in VARIANTS:
                super().clear(each)
        self.settle()

    def chatter(self) -> bytes:
        """Return a frame of yet another device."""
        return framed(bytes((9, 0x84, 2)))

    # --- registers --------------------------------------------------------------------------------

    def read_register(self, address: int, *, holding: bool) -> int:
        """Return a register of the board."""
        if holding is ('input_registers_only' in self.own_faults) and 24000 <= address < 26000:
            raise Refusal(ILLEGAL_ADDRESS)
        if address in self.retentive:
            return self.retentive[address]
        match address:
            case 1031:
                return ord('V') << 8 | 1
            case 1032 | 1033:
                return address - 1032
            case 2000:
                return SWITCHES_S1
            case 2001:
                return 0
            case 22000:
                return int(self.reported_value('current', str(self.current)))
            case 24000:
                letters = self.reported_value('state', self.state).ljust(2)
                return ord(letters[0]) << 8 | ord(letters[1])
            case 24001:
                return int(self.reported_value('proximity', str(self._proximity())))
            case 24002:
                return round(duty_cycle(float(self._signalled())))
            case 24003:
                return int(self.reported_value('signalled', str(self._signalled())))
            case 24004:
                return 0x08 if self._mirror else 0
            case 24005:
                return 0x04 if self._relay else 0
            case _ if 24017 <= address <= 24020:
                return 0
            case 24025:
                word = int(self.reported_value('errors', str(self._error_word())))
                self._kept_bits.clear()
                return word
            case 24027:
                return int(self.reported_value('preset', str(int(self.world.settings.max_current_a))))
        raise Refusal(ILLEGAL_ADDRESS)

    def write_register(self, address: int, value: int) -> None:
        """Write a register of the board."""
        if address == 22000:
            if not DEFAULT_A <= value <= 63:
                raise Refusal(ILLEGAL_VALUE)
            self.current = value
        elif address in self.retentive and address not in _READ_ONLY:
            if value > _RANGES[address]:
                raise Refusal(ILLEGAL_VALUE)
            self.retentive[address] = value
            self.retentive_writes += 1
        else:
            raise Refusal(ILLEGAL_ADDRESS)
        self.settle()

    def read_coil(self, address: int) -> int:
        """Return a coil of the board."""
        if address not in self.coils:
            raise Refusal(ILLEGAL_ADDRESS)
        return self.coils[address]

    def write_coil(self, address: int, value: int) -> None:
        """Write a coil of the board."""
        if address == 21000 and value:
            self.after(0.05, self.power_up)
            return
        if address not in self.coils:
            raise Refusal(ILLEGAL_ADDRESS)
        if address == LOCK and value != self.coils[LOCK]:
            self._block()
        self.coils[address] = value
        self.settle()

    # --- the state machine ------------------------------------------------------------------------

    @property
    def _enabled(self) -> bool:
        source = self.retentive[4000]
        return source == 0 or (source == 3 and bool(self.coils[ENABLE]))

    @property
    def _available(self) -> bool:
        return self.retentive[4001] != 2 or bool(self.coils[AVAILABLE])

    @property
    def _locked(self) -> bool:
        if self.retentive[4002] != 3:
            return self._pilot not in {ControlPilotState.A, ControlPilotState.E, ControlPilotState.F}
        return bool(self.coils[LOCK])

    @property
    def _mirror(self) -> bool:
        """Whether the normally closed contact conducts."""
        return not self.world.contactor.closed and 'no_mirror_contact' not in self.own_faults

    @property
    def state(self) -> str:
        """Return the two characters of the state."""
        if not self._available or (self._waking and 'activation_shows_f' in self.own_faults):
            return 'F0'
        letter = _LETTERS[self._pilot]
        if letter in 'EF':
            return f'{letter}0'
        return f'{letter}{2 if self._pwm else 1}'

    @property
    def _pwm(self) -> bool:
        fatal = any(bit in _OPENING_BITS for bit in self._bits() if bit not in {11, 13})
        return self._available and self._enabled and not fatal

    def _signalled(self) -> int:
        cable = self._proximity()
        limit = self.current if cable not in {13, 20, 32, 63} else min(self.current, cable)
        return min(limit, int(self.world.settings.max_current_a))

    def _proximity(self) -> int:
        if self.seen.proximity is ProximityState.INVALID:
            return 0xFFFF
        return int(self.seen.cable_ampacity_a or 0)

    def _bits(self) -> set[int]:
        codes = {error.code for error in self.seen.errors}
        bits = {bit for code, bit in _BITS.items() if code in codes}
        if self._pilot is ControlPilotState.E:
            bits.add(4)
        if not self._available:
            bits.add(5)
        if self._pilot is ControlPilotState.D and not self.retentive[4010]:
            bits.add(11)
        if self._weld:
            bits.add(12)
        return bits

    def _error_word(self) -> int:
        word = 0
        forgets = 'forgets_read_errors' in self.own_faults
        for bit in self._kept_bits if forgets else self._bits():
            word |= 1 << bit - 1
        return word

    def react(self) -> None:
        """Let the firmware see the world."""
        if not self.running:
            return
        self._read_pilot()
        self._watch_contactor()
        self._watch_errors()
        self._watch_activation()
        asks = self._pilot is ControlPilotState.C or (
            self._pilot is ControlPilotState.D and bool(self.retentive[4010])
        )
        fatal = any(bit in _OPENING_BITS for bit in self._bits())
        locked = not self._locked or self.world.lock.state is LockState.LOCKED
        if not asks or fatal or not locked:
            self._open()
        elif self._pwm:
            self._stop_grace()
            if not self._relay and self._closing is None:
                self._closing = self.after(CLOSING_S, self._close)
        elif self._relay and self._grace is None and 'stays_closed_in_c1' not in self.own_faults:
            self._grace = self.after(GRACE_S, self._open)
        self._drive()

    def _read_pilot(self) -> None:
        """Debounce the pilot; under -12 V it cannot be read."""
        found = self.seen.cp_state
        if found not in _LETTERS or not self._available or self._waking or found is ControlPilotState.F:
            return
        if self._candidate is not None:
            if self._candidate[0] is found:
                return
            self._candidate[1].cancel()
            self._candidate = None
        if found is not self._pilot:
            self._candidate = (found, self.after(PILOT_S, lambda: self._accept(found)))

    def _accept(self, found: ControlPilotState) -> None:
        self._candidate = None
        self._pilot = found

    def _watch_errors(self) -> None:
        """Keep what is to be kept until it was read, and let the monitor reset itself."""
        self._kept_bits |= self._bits() - self._known_bits
        self._known_bits = self._bits()
        tripped = {15, 16} & self._bits()
        causes = {'rcd_ac', 'rcd_dc', 'rcd_self_test'} & set(self.world.active_faults)
        if 'resets_monitor' in self.own_faults and tripped and not causes and self._reset is None:
            self._reset = self.after(RESET_S, self._reset_monitor)

    def _reset_monitor(self) -> None:
        self._reset = None
        resets = self.world.outputs.rcd_resets + 1
        self.world.set_outputs(replace(self.world.outputs, rcd_resets=resets))

    def _watch_activation(self) -> None:
        """Show -12 V for a while, once, to an EV that does not ask."""
        waits = self._pilot is ControlPilotState.B and self._pwm
        if not self._pwm or self._pilot is ControlPilotState.A:
            self._activated = False
        if not waits and self._activation is not None and not self._waking:
            self._activation.cancel()
            self._activation = None
        elif waits and self._activation is None and not self._activated:
            self._activated = True
            self._activation = self.after(ASKS_WITHIN_S, lambda: self._wake(True))

    def _wake(self, waking: bool) -> None:
        self._waking = waking
        self._activation = self.after(WAKES_FOR_S, lambda: self._wake(False)) if waking else None

    def _watch_contactor(self) -> None:
        """Compare the mirror contact with the order (register 4006)."""
        late = self.now >= self._relay_at + self.retentive[4007] / 1000.0
        if not self.retentive[4006] or self._relay or self._mirror:
            self._weld = False
        elif late:
            self._weld = True

    def _block(self) -> None:
        if 'blocks' in self.own_faults:
            self._blocked_until = self.now + BLOCKED_S

    def _close(self) -> None:
        self._block()
        self._closing = None
        self._relay, self._relay_at = True, self.now

    def _open(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        self._stop_grace()
        if self._relay:
            self._block()
            self._relay, self._relay_at = False, self.now
            self.after(self.retentive[4007] / 1000.0 + 0.001, lambda: None)

    def _stop_grace(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def _drive(self) -> None:
        """Set pilot, contactor and lock."""
        amperes = float(self._signalled())
        pwm = self.running and self._pwm and not self._waking
        mode = PilotMode.PWM if pwm else PilotMode.X1 if self._available and not self._waking else PilotMode.F
        outputs = Outputs(
            pilot_mode=mode,
            duty_cycle_percent=duty_cycle(amperes) if pwm else 100.0,
            current_a=amperes if pwm else 0.0,
            power=self._relay,
            lock=self._locked,
            rcd_resets=self.world.outputs.rcd_resets,
        )
        tripped = any(bit in self._bits() for bit in (15, 16))
        causes = {'rcd_ac', 'rcd_dc', 'rcd_self_test'} & set(self.world.active_faults)
        if self._pilot is ControlPilotState.A and tripped and not causes:
            outputs = replace(outputs, rcd_resets=outputs.rcd_resets + 1)
        if outputs != self.world.outputs:
            self.world.set_outputs(outputs)

    def describe(self) -> dict[str, str]:
        """Return the state of board and world, for people."""
        world = self.world
        return {
            'state': self.state if self.running else 'starting',
            'current': f'{self.current} A',
            'contactor': 'closed' if world.contactor.closed else 'open',
            'lock': world.lock.state.name.lower(),
            'errors': ' '.join(str(bit) for bit in sorted(self._bits())) or 'none',
            'drawn': f'{max(world.currents_a):.1f} A',
        }
