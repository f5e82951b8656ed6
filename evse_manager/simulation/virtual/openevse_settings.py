"""
Settings and limits of a virtual OpenEVSE: EEPROM, current in force, heartbeat, throttling by temperature.

Behaviour is that of the recordings in ``test/data/openevse``; the traps are features of the firmware.
"""

from collections.abc import Callable
from dataclasses import dataclass

from evse_manager.simulation.virtual.openevse_terminals import PilotDrive, Terminals

LEAST_A = 6
HARDWARE_MAXIMUM_A = 32
"""Compiled in (EU options); ``$SC n M`` lowers it once and for all."""

MAXIMUM_LEVEL_1_A, DEFAULT_LEVEL_1_A = 24, 12
"""Service level 1 is in force until the self-test at power-up is over, when the EEPROM was erased."""

LEVEL_2 = 0x0001
NO_DIODE_CHECK, NO_VENTILATION_CHECK, NO_GROUND_CHECK, NO_RELAY_CHECK = 0x0002, 0x0004, 0x0008, 0x0010
NO_AUTO_LEVEL = 0x0020
NO_SELF_TEST, NO_TEMPERATURE_CHECK = 0x0200, 0x0400
SAFETY_TESTS_OFF = (
    NO_DIODE_CHECK
    | NO_VENTILATION_CHECK
    | NO_GROUND_CHECK
    | NO_RELAY_CHECK
    | NO_SELF_TEST
    | NO_TEMPERATURE_CHECK
)
"""Flags of the settings (``$GE``)."""

VOLTAGE_MV = {1: 120_000, 2: 230_000}
"""By service level; the board measures no voltage."""

HALF_FROM_C, QUARTER_FROM_C, RESTORED_AT_C = 65.0, 68.0, 62.0
PANIC_C = 71.0
"""Temperatures at which the firmware halves and quarters the current, restores it, and stops."""

NOT_MISSED, ACKNOWLEDGED, MISSED = 0, 1, 2
ACKNOWLEDGEMENT = 165
WORD = 0x1_0000


@dataclass(slots=True)
class Memory:
    """The EEPROM; ``None`` is an erased cell."""

    flags: int | None = None
    level_1_a: int | None = None
    level_2_a: int | None = None
    hardware_a: int | None = None
    heartbeat_s: int | None = None
    heartbeat_a: int = 0
    relay_close_ms: int = 100
    relay_hold: int = 255
    total_wh: int = 0
    residual_trips: int = 0
    ground_trips: int = 0
    stuck_trips: int = 0
    current_writes: int = 0
    """How often a current was stored, which wears the cell; no part of the EEPROM."""


class Currents:
    """The current in force and its limits, in A."""

    def __init__(self, memory: Memory, terminals: Terminals) -> None:
        """Begin as after a reset; no current is in force before ``set_level``."""
        self.in_force_a = 0
        self.flags = (memory.flags or 0) | NO_AUTO_LEVEL
        self.throttled = False
        """Whether the current was halved for the temperature, and not restored since."""
        self.quartered = False
        self._memory = memory
        self._terminals = terminals

    @property
    def level(self) -> int:
        """Return the service level."""
        return 2 if self.flags & LEVEL_2 else 1

    def checks(self, flag: int) -> bool:
        """Return whether the test that a flag switches off is on."""
        return not self.flags & flag

    def switch(self, flag: int, on: bool) -> None:
        """Switch the test that a flag stands for, and store it."""
        self.flags = self.flags & ~flag if on else self.flags | flag
        self._memory.flags = self.flags

    def set_level(self) -> None:
        """Put service level 2 and its maximum in force."""
        self.flags |= LEVEL_2
        self._memory.flags = self.flags
        self.set(self.maximum_a, keep=False)

    @property
    def hardware_a(self) -> int:
        """Return the maximum of the hardware."""
        return MAXIMUM_LEVEL_1_A if self.level == 1 else self._memory.hardware_a or HARDWARE_MAXIMUM_A

    @property
    def maximum_a(self) -> int:
        """Return the configured maximum."""
        stored = self._memory.level_1_a if self.level == 1 else self._memory.level_2_a
        stored = stored or (DEFAULT_LEVEL_1_A if self.level == 1 else HARDWARE_MAXIMUM_A)
        return min(max(stored, LEAST_A), self.hardware_a)

    def set(self, amperes: int, *, keep: bool) -> bool:
        """Put a current in force, as near as allowed; return whether it is the one that was asked for."""
        most = self.hardware_a if keep else self.maximum_a
        self.in_force_a = amperes if LEAST_A <= amperes <= most else LEAST_A if amperes < LEAST_A else most
        if keep:
            self._memory.current_writes += 1
            if self.level == 1:
                self._memory.level_1_a = self.in_force_a
            else:
                self._memory.level_2_a = self.in_force_a
        if self._terminals.pilot is PilotDrive.PWM:
            self.offer()
        return self.in_force_a == amperes

    def restrict_hardware(self, amperes: int) -> bool:
        """Store the maximum of the hardware; only the first time counts."""
        if self._memory.hardware_a is not None or not LEAST_A <= amperes <= HARDWARE_MAXIMUM_A:
            return False
        self._memory.hardware_a = amperes
        if self.in_force_a > amperes:
            self.set(amperes, keep=False)
        return True

    def offer(self) -> None:
        """Signal the current in force."""
        if self.in_force_a >= LEAST_A:
            self._terminals.set_pilot(PilotDrive.PWM, self.in_force_a)

    def restore(self, temperature_c: float) -> None:
        """Raise the current again when it has cooled down: to the maximum, whatever was ordered before."""
        if self.throttled and temperature_c <= RESTORED_AT_C:
            self.throttled = False
            self._throttle(self.maximum_a)
        elif self.quartered and temperature_c <= HALF_FROM_C:
            self.quartered = False
            self._throttle(self.maximum_a // 2)

    def reduce(self, temperature_c: float) -> None:
        """Reduce the maximum when it is hot, whatever lower current was ordered before."""
        if not self.throttled and temperature_c >= HALF_FROM_C:
            self.throttled = True
            self._throttle(self.maximum_a // 2)
        elif not self.quartered and temperature_c >= QUARTER_FROM_C:
            self.quartered = True
            self._throttle(self.maximum_a // 4)

    def _throttle(self, amperes: int) -> None:
        self.set(amperes, keep=False)
        if self._terminals.pilot is not PilotDrive.PWM:
            self.offer()


class HeartbeatSettings:
    """Supervision of the host; its settings are in the EEPROM."""

    def __init__(self, memory: Memory, currents: Currents, clock: Callable[[], float]) -> None:
        """Begin switched off; ``load`` reads the settings."""
        self.interval_s = self.fallback_a = 0
        self.missed = NOT_MISSED
        self._memory = memory
        self._currents = currents
        self._clock = clock
        self._beaten = clock()

    def load(self) -> None:
        """Read the settings at the end of the start; the first beat is due one interval from now."""
        if self._memory.heartbeat_s is not None:
            self.interval_s, self.fallback_a = self._memory.heartbeat_s, self._memory.heartbeat_a
        self._beaten = self._clock()

    def beat(self) -> bool:
        """Take a beat; return whether no miss waits to be acknowledged."""
        self._beaten = self._clock()
        return self.missed != MISSED

    def program(self, interval_s: int, fallback_a: int) -> bool:
        """Store new settings, which ends a miss without a change of the current; 0 s switches it off."""
        good = interval_s != 0 or self._restore()
        self.interval_s, self.fallback_a = interval_s, fallback_a
        self._memory.heartbeat_s, self._memory.heartbeat_a = interval_s, fallback_a
        self.missed = NOT_MISSED
        self._beaten = self._clock()
        return good

    def acknowledge(self, cookie: int) -> bool:
        """Acknowledge a miss: the *maximum* is in force afterwards, not the current from before."""
        if cookie != ACKNOWLEDGEMENT:
            return False
        if self.missed != MISSED:
            return True
        if not self._restore():
            return False
        self.missed = ACKNOWLEDGED
        return True

    def check(self) -> None:
        """Reduce the current when a beat is overdue, and again each interval."""
        overdue_s = (self.interval_s * 1000 % WORD) / 1000.0
        if self.interval_s and self._clock() - self._beaten > overdue_s:
            if self.fallback_a < self._currents.in_force_a:
                self._currents.set(self.fallback_a, keep=False)
            self.missed = MISSED
            self._beaten = self._clock()

    def _restore(self) -> bool:
        if self.missed == NOT_MISSED:
            return True
        if self._currents.throttled:
            return False
        return self._currents.set(self._currents.maximum_a, keep=False)
