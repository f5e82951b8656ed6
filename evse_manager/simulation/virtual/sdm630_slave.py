"""
An Eastron SDM630 meter in software (docs/sources.md, SDM630).

``MeterSlave`` measures the world of any virtual board; ``VirtualSdm630`` is a meter on a line of its own,
behind a socket that gives 16 A to whoever plugs in.
"""

import struct
from collections.abc import Mapping
from typing import ClassVar

from evse_manager.board.driver_io import Outputs
from evse_manager.board.transport.modbus import framed
from evse_manager.interface.enums import ControlPilotState, PilotMode
from evse_manager.interface.pilot import duty_cycle
from evse_manager.simulation.faults import FAULTS
from evse_manager.simulation.virtual.board import Value, VirtualBoard
from evse_manager.simulation.virtual.modbus_slave import ILLEGAL_ADDRESS, Refusal, Slave, SlaveLine
from evse_manager.simulation.world import WorldSettings

METER_UNIT = 2
SERIAL_NUMBER = 2_301_234
MOST_REGISTERS = 80
RESOLUTION_KWH = 0.001
OFFERED_A = 16.0

METER_FAULTS = {
    'meter_nan': 'The meter reports NaN for voltage and current, until cleared.',
    'meter_swapped': 'The meter reports the words of its floats in the wrong order, until cleared.',
    'meter_reset': 'The registers of the meter begin at 0 again, once and for good.',
    'meter_phase_missing': 'L2 of the meter is not connected, until cleared.',
    'meter_reversed': "The meter's current transformers are the wrong way round, until cleared.",
    'meter_phase_order': "The meter's phases are wired L3, L1, L2, until cleared.",
    'meter_hz': 'The meter reports ten times the frequency, until cleared.',
    'meter_exception': 'The meter refuses everything (device failure), until cleared.',
    'meter_plain': 'The meter never answers to what is optional (0xFC00 and 0x15A), until cleared.',
    'meter_wrong_unit': 'The meter answers with the address of another unit, until cleared.',
}
"""Faults of the meter beyond those of the world."""

METER_VALUES = {
    'energy': Value('imported energy of the meter, in kWh', float),
    'power': Value('total power of the meter, in W', float),
}
"""Values of the meter that can be made wrong."""


_OF_A_METER = {'relay_weld', 'relay_stuck_open', 'relay_drops', 'meter_silent', 'meter_jump', 'board_reset'}
"""Faults of the world that a meter with a socket has a part for."""


class MeterSlave(Slave):
    """The meter on the line of a board."""

    most_registers = MOST_REGISTERS
    answer_s = 0.02

    def __init__(self, unit: int, board: VirtualBoard) -> None:
        """Measure the world of ``board``; its faults are found there too."""
        super().__init__(unit)
        self._board = board
        self._lost_wh = 0.0
        self._was_reset = False

    def answer(self, frame: bytes) -> bytes:
        """Return the answer with the faults of this moment."""
        faults = self._board.own_faults
        if 'meter_reset' in faults and not self._was_reset:
            self._lost_wh = self._board.world.meter.energy_wh
        self._was_reset = 'meter_reset' in faults
        self.answers_as = self.unit + 5 if 'meter_wrong_unit' in faults else None
        self.refuses = 4 if 'meter_exception' in faults else 0
        if 'meter_plain' in faults and int.from_bytes(frame[2:4], 'big') in (0x15A, 0xFC00):
            return b''
        return super().answer(frame)

    def read_register(self, address: int, *, holding: bool) -> int:
        """Return a register of the meter."""
        if holding:
            if address in {0xFC00, 0xFC01}:
                return SERIAL_NUMBER >> 16 if address == 0xFC00 else SERIAL_NUMBER & 0xFFFF
            raise Refusal(ILLEGAL_ADDRESS)
        if not (address <= 0x4B or 0x15A <= address <= 0x165):
            raise Refusal(ILLEGAL_ADDRESS)
        words = struct.unpack('>2H', struct.pack('>f', self._value(address & ~1)))
        swapped = 'meter_swapped' in self._board.own_faults
        return int(words[(address & 1) ^ swapped])

    def _value(self, address: int) -> float:
        """Return the float that begins at an even address."""
        board, world = self._board, self._board.world
        faults = board.own_faults
        order = (2, 0, 1) if 'meter_phase_order' in faults else (0, 1, 2)
        sign = -1.0 if 'meter_reversed' in faults else 1.0
        gone = 1 if 'meter_phase_missing' in faults else None
        place = address // 2 % 3
        phase = order[place]
        volt = 0.0 if place == gone else world.meter.voltages_v[phase]
        ampere = 0.0 if place == gone else world.currents_a[phase]
        total_w = sign * sum(u * i for u, i in zip(world.meter.voltages_v, world.currents_a))
        kwh = (world.meter.energy_wh - self._lost_wh + world.meter.offset_wh) / 1000.0
        kwh = round(kwh / RESOLUTION_KWH) * RESOLUTION_KWH
        match address:
            case 0x00 | 0x02 | 0x04:
                return float('nan') if 'meter_nan' in faults else volt
            case 0x06 | 0x08 | 0x0A:
                return float('nan') if 'meter_nan' in faults else ampere
            case 0x0C | 0x0E | 0x10:
                return sign * volt * ampere
            case 0x12 | 0x14 | 0x16:
                return volt * ampere
            case 0x1E | 0x20 | 0x22:
                return 1.0
            case 0x34:
                return float(board.reported_value('power', str(total_w)))
            case 0x46:
                return 500.0 if 'meter_hz' in faults else 50.0
            case 0x48:
                return float(board.reported_value('energy', str(kwh)))
            case 0x15A | 0x15C | 0x15E:
                return kwh / 3.0
        return 0.0


class VirtualSdm630(VirtualBoard):
    """See the module's description."""

    name: ClassVar[str] = 'sdm630'
    baud_rate: ClassVar[int] = 9600
    meter_unit: ClassVar[int | None] = METER_UNIT
    faults: ClassVar[Mapping[str, str]] = METER_FAULTS
    missing: ClassVar[frozenset[str]] = frozenset(FAULTS) - _OF_A_METER
    values: ClassVar[Mapping[str, Value]] = METER_VALUES

    def __init__(self, settings: WorldSettings | None = None) -> None:
        """Build the meter and the socket."""
        super().__init__(settings)
        self.meter = MeterSlave(METER_UNIT, self)
        self.line = SlaveLine([self.meter], self.after, self._transmit)

    def _transmit(self, data: bytes) -> None:
        self.send(data)

    def power_up(self) -> None:
        """Begin to measure."""
        self.forget_timers()
        self.react()

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        self.meter.silent = 'meter_silent' in self.world.active_faults
        self.line.receive(data)

    def react(self) -> None:
        """Give power to an EV that asks."""
        asks = self.seen.cp_state is ControlPilotState.C
        outputs = Outputs(
            pilot_mode=PilotMode.PWM,
            duty_cycle_percent=duty_cycle(OFFERED_A),
            current_a=OFFERED_A,
            power=asks,
        )
        if outputs != self.world.outputs:
            self.world.set_outputs(outputs)

    def chatter(self) -> bytes:
        """Return a frame of another device."""
        return framed(bytes((9, 0x84, 2)))

    def describe(self) -> dict[str, str]:
        """Return what flows, for people."""
        world = self.world
        return {
            'EV': 'none' if world.ev is None else f'draws {max(world.currents_a):.0f} A',
            'register': f'{world.meter.energy_wh / 1000.0:.2f} kWh',
        }
