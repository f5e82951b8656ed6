"""The faults that an OpenEVSE finds: residual current, earth, relay, temperature, over-current."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from evse_manager.simulation.virtual.openevse_settings import (
    NO_GROUND_CHECK,
    NO_RELAY_CHECK,
    NO_TEMPERATURE_CHECK,
    PANIC_C,
)
from evse_manager.simulation.virtual.openevse_states import HOT, NO_GROUND, RESIDUAL, STUCK, UNKNOWN
from evse_manager.simulation.virtual.openevse_terminals import Terminals

if TYPE_CHECKING:
    from evse_manager.simulation.virtual.openevse_firmware import Firmware

RETRY_S, RETRIES = 300.0, 6
"""A residual current and a lost earth are tried again after this, so often."""

LOOK_S = 1.0
"""Contacts are looked at so long after the relay was closed or opened."""

HALF_PULSE_S, PULSES = 0.00833, 60
WAIT_S, CLEAR_BEFORE, CLEAR_AFTER = 0.05, 20, 40
"""Steps in which the self-test waits for the input to fall, before and after its pulses."""
REST_S = 1.0

OVER_CURRENT_A, OVER_CURRENT_S = 5.0, 10.0
"""Above the current in force by this, for this long."""


class ResidualCurrent:
    """The residual current device: its latch, and its self-test."""

    def __init__(self, terminals: Terminals) -> None:
        """Begin; an input that is high counts as a trip."""
        self.tripped = terminals.residual()
        self._terminals = terminals
        self._testing = False
        self._worked = False

    def reset(self) -> None:
        """Take back the trip, unless the input is still high."""
        self._testing = False
        self.tripped = self._terminals.residual()

    def interrupted(self) -> bool:
        """Take notice of a rising input; return whether it is the self-test's own."""
        if self._testing:
            self._worked = True
        else:
            self.tripped = True
        return self._testing

    def self_test(self) -> Generator[float, None, bool]:
        """Trip the device on purpose; return whether it did, and the input fell again."""
        if not (yield from self._falls(CLEAR_BEFORE)):
            return False
        self._testing, self._worked = True, False
        for _ in range(PULSES):
            self._terminals.set_test_coil(True)
            yield HALF_PULSE_S
            self._terminals.set_test_coil(False)
            yield HALF_PULSE_S
            if self._worked:
                break
        if not (yield from self._falls(CLEAR_AFTER)):
            return False  # and each trip counts as the test's own from now on
        yield REST_S
        self._testing = self.tripped = False
        return self._worked

    def _falls(self, steps: int) -> Generator[float, None, bool]:
        for _ in range(steps):
            if not self._terminals.residual():
                return True
            yield WAIT_S
        return False


class FirmwareProtection:
    """Looks for faults, once per loop while the board is awake."""

    def __init__(self, firmware: Firmware) -> None:
        """Begin without a fault."""
        self.over_current_since: float | None = None
        self._firmware = firmware
        self._ground_lost_at = 0.0
        self._ground_retries = 0
        self._stuck_since: float | None = None
        self._residual_since = 0.0
        self._residual_retries = 0

    def fault(self, before: int, now: float, *, live: bool) -> Generator[float, None, int | None]:
        """Return the state of a fault, ``UNKNOWN`` when one has just ended, ``None`` without one."""
        found = self._relay_fault(before, now, live)
        if found == UNKNOWN:
            return UNKNOWN
        residual = yield from self._residual_fault(before, now)
        if residual is not None:
            found = residual
        if found != UNKNOWN and self._too_hot():
            found = HOT
        return found

    def over_current(self) -> bool:
        """Return whether the current has been too high for too long."""
        firmware = self._firmware
        limit_ma = (firmware.currents.in_force_a + OVER_CURRENT_A) * 1000.0
        if firmware.ammeter.milliamperes < limit_ma:
            self.over_current_since = None
            return False
        if self.over_current_since is None:
            self.over_current_since = firmware.clock()
        return firmware.clock() - self.over_current_since >= OVER_CURRENT_S

    def _relay_fault(self, before: int, now: float, live: bool) -> int | None:
        firmware = self._firmware
        if firmware.relay_ordered:
            lost = not live and now - firmware.closed_at > LOOK_S
            if lost and firmware.currents.checks(NO_GROUND_CHECK):
                firmware.open_relay()
                firmware.memory.ground_trips += before != NO_GROUND
                self._ground_lost_at = now
                return NO_GROUND
            return None
        if before == NO_GROUND:
            if not firmware.plugged:
                return UNKNOWN
            if self._ground_retries < RETRIES and now - self._ground_lost_at > RETRY_S:
                self._ground_retries += 1
                return None
            return NO_GROUND
        if not firmware.currents.checks(NO_RELAY_CHECK):
            return None
        if not live:
            self._stuck_since = None
            return None
        if before != STUCK and self._stuck_since is None:
            self._stuck_since = now
        since = now if self._stuck_since is None else self._stuck_since
        if before == STUCK or (now - firmware.opened_at > LOOK_S and now - since > LOOK_S):
            firmware.memory.stuck_trips += before != STUCK
            return STUCK
        return None

    def _residual_fault(self, before: int, now: float) -> Generator[float, None, int | None]:
        firmware = self._firmware
        if not firmware.residual.tripped:
            return None
        firmware.state = RESIDUAL
        if before != RESIDUAL:
            firmware.memory.residual_trips += 1
            self._residual_retries = 0
            self._residual_since = now
        elif not firmware.plugged:
            firmware.residual.reset()
            return UNKNOWN
        elif now - self._residual_since >= RETRY_S:
            self._residual_retries += 1
            if self._residual_retries > RETRIES:
                yield from firmware.hard_fault()
                return UNKNOWN
            firmware.residual.reset()
            self._residual_since = 0.0
        return RESIDUAL

    def _too_hot(self) -> bool:
        firmware = self._firmware
        temperature = firmware.temperature_c
        return (
            temperature is not None
            and temperature >= PANIC_C
            and firmware.currents.checks(NO_TEMPERATURE_CHECK)
        )
