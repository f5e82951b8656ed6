"""The meter ``sdm630``: Eastron SDM630 over Modbus RTU (hardware reference 2.5)."""

import math
import struct
from collections.abc import Callable, Mapping

from evse_manager.board.transport.modbus import Answer, Function, Request
from evse_manager.board.transport.modbus_master import Order
from evse_manager.interface.types import Powermeter, Time
from evse_manager.metering.register import Phases, Plausibility, Reading

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


class Sdm630:
    """One meter; a ``modbus_bus.Client``."""

    gap_s = 0.1
    """The meter needs silence before each request."""

    urgent = False
    """It can wait for a board on the same line."""

    def __init__(self, unit: int, wall: Callable[[], Time], most_power: Callable[[], float]) -> None:
        """``most_power`` returns what the power path can carry, in W."""
        self.plausibility = Plausibility(most_power)
        self.fault = ''
        """Why there are no samples, for people; empty while there are."""
        self.cycles = 0
        self.unit = unit
        """Its Modbus address."""
        self._wall = wall
        self._open = False
        self._serial: int | None = None
        self._asked_serial = False
        self._failed = 0
        self._due = math.inf
        self._began = -math.inf
        self._phases_due = -math.inf
        self._momentary: tuple[float, ...] | None = None
        self._totals: tuple[float, ...] | None = None
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
        """Take notice of unanswered requests: this cycle comes to nothing."""
        self._fail(f'the meter at unit {self.unit} does not answer; check its wiring and address.', now)

    def next(self, now: float) -> Order | None:
        """Return the next request of a cycle that is due."""
        if not self._open or now < self._due:
            return None
        if not self._asked_serial:
            return Order(Request(self.unit, Function.READ_HOLDING, SERIAL_NUMBER, 2), self._told_serial)
        if self._momentary is None:
            self._began = now
            return Order(self._request(MOMENTARY, MOMENTARY_WORDS), self._told_momentary)
        if self._totals is None:
            return Order(self._request(TOTALS, TOTALS_WORDS), self._told_totals)
        return Order(self._request(ENERGIES, ENERGIES_WORDS), self._told_energies)

    def deadline(self) -> float:
        """Return when the next request is due."""
        return self._due if self._open else math.inf

    # --- a cycle ------------------------------------------------------------------------------------------

    def _request(self, register: int, words: int) -> Request:
        return Request(self.unit, Function.READ_INPUT, register, words)

    def _start_cycle(self) -> None:
        self._momentary = self._totals = None

    def _fail(self, text: str, now: float) -> None:
        self._failed += 1
        if self._failed >= FAILURES:
            self.fault = text
        self._due = now + min(PERIOD_S * self._failed, LONGEST_PERIOD_S)
        self._start_cycle()

    def _good(self, answer: Answer, now: float) -> bool:
        if not answer.good:
            self._fail(f'the meter at unit {self.unit} refuses to tell ({answer.refusal}).', now)
        return answer.good

    def _told_serial(self, answer: Answer, now: float) -> None:
        self._asked_serial = True
        if answer.good:
            self._serial = answer.values[0] << 16 | answer.values[1]

    def _told_momentary(self, answer: Answer, now: float) -> None:
        if self._good(answer, now):
            self._momentary = floats(answer.values)

    def _told_totals(self, answer: Answer, now: float) -> None:
        if not self._good(answer, now):
            return
        self._totals = floats(answer.values)
        if now < self._phases_due:
            self._finish(now)

    def _told_energies(self, answer: Answer, now: float) -> None:
        self._phases_due = now + PHASES_PERIOD_S
        self._energies = floats(answer.values) if answer.good else None
        self._finish(now)

    def _finish(self, now: float) -> None:
        """Make a sample of a complete cycle."""
        momentary, totals, energies = self._momentary, self._totals, self._energies
        assert momentary is not None
        assert totals is not None
        # The registers of the phases belong to the cycle in which they were read.
        self._energies = None
        reading = Reading(
            voltage_v=_phases(momentary, 0),
            current_a=_phases(momentary, 3),
            power_w=_phases(momentary, 6),
            reactive_var=_phases(momentary, 12),
            power_total_w=totals[0],
            reactive_total_var=totals[(0x3C - TOTALS) // 2],
            frequency_hz=totals[(0x46 - TOTALS) // 2],
            import_wh=totals[(0x48 - TOTALS) // 2] * 1000.0,
            export_wh=totals[(0x4A - TOTALS) // 2] * 1000.0,
            import_phases_wh=_phases(energies, 0, 1000.0),
            export_phases_wh=_phases(energies, 3, 1000.0),
        )
        meter_id = 'SDM630' if self._serial is None else f'SDM630 {self._serial}'
        sample = self.plausibility.judge(reading, self._wall(), meter_id, now)
        if sample is None:
            self._fail(f'the meter at unit {self.unit} tells no energy that can be; check its type.', now)
            return
        self._sample = sample
        self.cycles += 1
        self._failed, self.fault = 0, ''
        self._due = max(self._began + PERIOD_S, now)
        self._start_cycle()

    def diagnostics(self) -> Mapping[str, str]:
        """Return what helps to find a fault of the meter."""
        return {
            'meter': 'SDM630' if self._serial is None else f'SDM630 {self._serial}',
            'meter problem': self.fault,
            'meter readings': str(self.cycles),
            'meter values rejected': str(self.plausibility.rejected),
        }


def floats(words: tuple[int, ...]) -> tuple[float, ...]:
    """Return what pairs of registers hold: floats of 32 bits, high word first."""
    data = b''.join(word.to_bytes(2, 'big') for word in words)
    return struct.unpack(f'>{len(words) // 2}f', data)


def _phases(values: tuple[float, ...] | None, first: int, factor: float = 1.0) -> Phases:
    if values is None:
        return None, None, None
    l1, l2, l3 = (value * factor for value in values[first : first + 3])
    return l1, l2, l3
