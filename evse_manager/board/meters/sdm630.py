"""
The meter ``sdm630``: Eastron SDM630 over Modbus RTU.

It converts registers into samples; what they mean is decided in ``metering``.  Serial number and energy of
the single phases are optional: siblings of the meter do not have them, and some never answer when they are
asked.
"""

import math
import struct
from collections.abc import Callable, Mapping

from evse_manager.board.transport.modbus import Function, ModbusAnswer, Request
from evse_manager.board.transport.modbus_master import Order
from evse_manager.interface.types import (
    Current,
    Energy,
    Frequency,
    Power,
    Powermeter,
    ReactivePower,
    Time,
    Voltage,
)
from evse_manager.metering.validation import plausible

PERIOD_S = 1.0
PHASES_PERIOD_S = 10.0
"""How often the registers of the single phases are read."""

LONGEST_PERIOD_S = 5.0
"""A silent meter is asked more and more rarely, up to this."""

FAILURES = 2
"""Cycles without an answer that are a fault (docs/faults.md, M1)."""

MOMENTARY, MOMENTARY_WORDS = 0x00, 0x1E
TOTALS, TOTALS_WORDS = 0x34, 0x18
ENERGIES, ENERGIES_WORDS = 0x15A, 0x0C
SERIAL_NUMBER = 0xFC00

OPTIONAL = {SERIAL_NUMBER: 'serial number (0xFC00)', ENERGIES: 'energy of the phases (0x15A)'}
"""Registers that the meter may lack."""

OPTIONAL_FAILURES = 3
"""Failures in a row after which an optional register counts as missing."""

OPTIONAL_RETRY_S = 600.0
"""How often a missing register is asked for again."""

Phases = tuple[float | None, float | None, float | None]


class Sdm630:
    """One meter; a ``modbus_master.Client``."""

    gap_s = 0.1
    """The meter needs silence before each request."""

    urgent = False
    """It can wait for a board on the same line."""

    def __init__(self, unit: int, wall: Callable[[], Time]) -> None:
        """Begin with nothing read."""
        self.rejected = 0
        """Impossible numbers that were left out."""
        self.fault = ''
        """Why there are no samples, for people; empty while there are."""
        self.cycles = 0
        self.unit = unit
        """Its Modbus address."""
        self._wall = wall
        self._open = False
        self._serial: int | None = None
        self._failed = 0
        self._due = math.inf
        self._began = -math.inf
        self._asked: int | None = None
        self._optional_failed = dict.fromkeys(OPTIONAL, 0)
        self._optional_due = dict.fromkeys(OPTIONAL, -math.inf)
        self._momentary: tuple[float, ...] | None = None
        self._energies: tuple[float, ...] | None = None
        self._sample: Powermeter | None = None
        self.probes: tuple[Request, ...] = (self._request(0x46, 2), self._request(0x34, 4))

    def take_sample(self) -> Powermeter | None:
        """Return a sample that was not yet returned."""
        sample, self._sample = self._sample, None
        return sample

    # --- a client of the bus ---------------------------------------------------------------------------

    def opened(self, now: float) -> None:
        """Take notice of an open port."""
        self._open = True
        self._due = now
        self._start_cycle()

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Take notice of a lost line."""
        self._open = port_open
        self.fault = text
        self._start_cycle()

    def missed(self, count: int, now: float) -> None:
        """Take notice of an unanswered request: the cycle goes on without what is optional."""
        if self._asked in OPTIONAL:
            self._optional_missing(self._asked, now)
        else:
            self._fail(f'the meter at unit {self.unit} does not answer; check its wiring and address.', now)

    def next(self, now: float) -> Order | None:
        """Return the next request of a cycle that is due."""
        if not self._open or now < self._due:
            return None
        order = self._next(now)
        self._asked = order.request.address
        return order

    def _next(self, now: float) -> Order:
        if self._momentary is None:
            self._began = now
            return Order(self._request(MOMENTARY, MOMENTARY_WORDS), self._on_momentary)
        if self._serial is None and now >= self._optional_due[SERIAL_NUMBER]:
            return Order(Request(self.unit, Function.READ_HOLDING, SERIAL_NUMBER, 2), self._on_serial)
        if self._energies is None and now >= self._optional_due[ENERGIES]:
            return Order(self._request(ENERGIES, ENERGIES_WORDS), self._on_energies)
        return Order(self._request(TOTALS, TOTALS_WORDS), self._on_totals)

    def deadline(self) -> float:
        """Return when the next request is due."""
        return self._due if self._open else math.inf

    # --- a cycle ------------------------------------------------------------------------------------------

    def _request(self, register: int, words: int) -> Request:
        return Request(self.unit, Function.READ_INPUT, register, words)

    def _start_cycle(self) -> None:
        self._momentary = self._energies = None
        self._asked = None

    def _fail(self, text: str, now: float) -> None:
        self._failed += 1
        if self._failed >= FAILURES:
            self.fault = text
        self._due = now + min(PERIOD_S * self._failed, LONGEST_PERIOD_S)
        self._start_cycle()

    def _good(self, answer: ModbusAnswer, now: float) -> bool:
        if not answer.good:
            self._fail(f'the meter at unit {self.unit} refuses to answer ({answer.refusal}).', now)
        return answer.good

    def _optional_missing(self, register: int, now: float) -> None:
        """Go on without an optional register, and ask for it again later."""
        self._optional_failed[register] += 1
        missing = self._optional_failed[register] >= OPTIONAL_FAILURES
        self._optional_due[register] = now + (OPTIONAL_RETRY_S if missing else PHASES_PERIOD_S)

    def _on_serial(self, answer: ModbusAnswer, now: float) -> None:
        if not answer.good:
            self._optional_missing(SERIAL_NUMBER, now)
            return
        self._optional_failed[SERIAL_NUMBER] = 0
        self._serial = answer.values[0] << 16 | answer.values[1]

    def _on_momentary(self, answer: ModbusAnswer, now: float) -> None:
        if self._good(answer, now):
            self._momentary = floats(answer.values)

    def _on_energies(self, answer: ModbusAnswer, now: float) -> None:
        if not answer.good:
            self._optional_missing(ENERGIES, now)
            return
        self._optional_failed[ENERGIES] = 0
        self._optional_due[ENERGIES] = now + PHASES_PERIOD_S
        self._energies = floats(answer.values)

    def _on_totals(self, answer: ModbusAnswer, now: float) -> None:
        if not self._good(answer, now):
            return
        assert self._momentary is not None
        sample, left_out = plausible(self._converted(self._momentary, floats(answer.values)))
        self.rejected += left_out
        if not _measures(sample):
            self._fail(f'the meter at unit {self.unit} sends no possible value; check its type.', now)
            return
        self._sample = sample
        self.cycles += 1
        self._failed, self.fault = 0, ''
        self._due = max(self._began + PERIOD_S, now)
        self._start_cycle()

    def _converted(self, momentary: tuple[float, ...], totals: tuple[float, ...]) -> Powermeter:
        """Return a complete cycle as a sample."""

        def total(register: int, factor: float = 1.0) -> float:
            return totals[(register - TOTALS) // 2] * factor

        return Powermeter(
            timestamp=self._wall(),
            energy_wh_import=Energy(total(0x48, 1000.0), *_phases(self._energies, 0, 1000.0)),
            meter_id=self._meter_id,
            energy_wh_export=Energy(total(0x4A, 1000.0), *_phases(self._energies, 3, 1000.0)),
            power_w=Power(total(0x34), *_phases(momentary, 6)),
            voltage_v=Voltage(None, *_phases(momentary, 0)),
            current_a=Current(None, *_phases(momentary, 3)),
            reactive_power_var=ReactivePower(total(0x3C), *_phases(momentary, 12)),
            frequency_hz=Frequency(total(0x46)),
        )

    @property
    def _meter_id(self) -> str:
        return 'SDM630' if self._serial is None else f'SDM630 {self._serial}'

    def diagnostics(self) -> Mapping[str, str]:
        """Return what helps to find a fault of the meter."""
        missing = [text for register, text in OPTIONAL.items() if self._is_missing(register)]
        return {
            'meter': self._meter_id,
            'meter problem': self.fault,
            'meter readings': str(self.cycles),
            'meter values rejected': str(self.rejected),
            'meter registers missing': ', '.join(missing),
        }

    def _is_missing(self, register: int) -> bool:
        return self._optional_failed[register] >= OPTIONAL_FAILURES


def _measures(sample: Powermeter) -> bool:
    """Return whether a sample has anything that the connector needs."""
    current, power = sample.current_a, sample.power_w
    values = (
        sample.energy_wh_import.total,
        *((power.total,) if power is not None else ()),
        *((current.l1, current.l2, current.l3) if current is not None else ()),
    )
    return any(value is not None for value in values)


def floats(words: tuple[int, ...]) -> tuple[float, ...]:
    """Return what pairs of registers hold: floats of 32 bits, high word first."""
    data = b''.join(word.to_bytes(2, 'big') for word in words)
    return struct.unpack(f'>{len(words) // 2}f', data)


def _phases(values: tuple[float, ...] | None, first: int, factor: float = 1.0) -> Phases:
    if values is None:
        return None, None, None
    l1, l2, l3 = (value * factor for value in values[first : first + 3])
    return l1, l2, l3
