"""The RAPI commands of an OpenEVSE, with what the firmware does for wrong arguments."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from evse_manager.simulation.virtual import openevse_settings as settings
from evse_manager.simulation.virtual.openevse_states import Flag
from evse_manager.simulation.virtual.openevse_terminals import PilotDrive

if TYPE_CHECKING:
    from evse_manager.simulation.virtual.openevse_firmware import Firmware
    from evse_manager.simulation.virtual.openevse_rapi import Rapi

VERSION, RAPI_VERSION = '8.2.3.EU', '5.2.1'
NO_SENSOR = -2560
NO_CLOCK = '165 165 165 165 165 85'
"""Reply to ``$GT`` without a real-time clock."""

FEATURES = {
    'D': settings.NO_DIODE_CHECK,
    'F': settings.NO_SELF_TEST,
    'G': settings.NO_GROUND_CHECK,
    'R': settings.NO_RELAY_CHECK,
    'T': settings.NO_TEMPERATURE_CHECK,
    'V': settings.NO_VENTILATION_CHECK,
}
"""Tests that ``$FF`` switches."""

Reply = tuple[bool, str]
"""Whether it was obeyed (OK or NK), and values."""

NO, DONE = (False, ''), (True, '')


class Commands:
    """Obeys one command; what takes time is done by ``work`` before the reply is sent."""

    def __init__(self, firmware: Firmware, rapi: Rapi) -> None:
        """Take orders for a firmware."""
        self._firmware = firmware
        self._rapi = rapi
        self._work: Generator[float, None, None] | None = None

    def obey(self, name: str, words: list[str]) -> Reply:
        """Obey a command; only the first two characters of its name count."""
        command = COMMANDS.get(name[:2])
        return command(self, words) if command is not None else NO

    def work(self) -> Generator[float, None, None]:
        """Do what the command that was obeyed last still has to do."""
        work, self._work = self._work, None
        if work is not None:
            yield from work

    # --- values -----------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """Return the state as it is sent."""
        return self._firmware.value('state', f'{self._firmware.state:02x}')

    @property
    def pilot(self) -> str:
        """Return the pilot field as it is sent."""
        return self._firmware.value('pilot', f'{self._firmware.pilot.field:02x}')

    @property
    def flags(self) -> str:
        """Return the flags as they are sent."""
        flags = self._firmware.flags
        if self._firmware.lock_is_manual:
            flags |= Flag.LOCK_IS_MANUAL
        return self._firmware.value('flags', f'{flags:04x}')

    # --- orders -----------------------------------------------------------------------------------

    def _enable(self, _: list[str]) -> Reply:
        self._firmware.enable()
        return DONE

    def _disable(self, _: list[str]) -> Reply:
        self._work = self._firmware.disable()
        return DONE

    def _sleep(self, _: list[str]) -> Reply:
        if 'never_sleeps' not in self._firmware.flaws:
            self._firmware.sleep()
        return DONE

    def _reset(self, _: list[str]) -> Reply:
        self._work = self._firmware.reboot()
        return NO

    def _feature(self, words: list[str]) -> Reply:
        if len(words) != 2 or words[1][:1] not in {'0', '1'} or words[0][:1] not in FEATURES:
            return NO
        self._firmware.currents.switch(FEATURES[words[0][0]], words[1][0] == '1')
        return DONE

    def _print(self, words: list[str]) -> Reply:
        return (len(words) >= 3 and not self._firmware.flags & Flag.HARD_FAULT), ''

    def _one_word(self, words: list[str]) -> Reply:
        return len(words) == 1, ''

    def _lock(self, words: list[str]) -> Reply:
        if len(words) != 1:
            return NO
        match words[0][:1]:
            case '0' | '1' as digit:
                self._work = self._firmware.move_lock(digit == '1', force=True)
            case 'A' | 'M' as letter:
                self._firmware.lock_is_manual = letter == 'M'
            case _:
                return NO
        return DONE

    def _set_current(self, words: list[str]) -> Reply:
        currents = self._firmware.currents
        if not 1 <= len(words) <= 2:
            return NO
        asked = 0xFF if 'misreads_current' in self._firmware.flaws else number(words[0]) & 0xFF
        if len(words) == 2 and words[1].startswith('M'):
            good = currents.restrict_hardware(asked)
            return good, str(currents.hardware_a)
        if currents.throttled and asked > currents.in_force_a:
            good = False
        else:
            good = currents.set(asked, keep=len(words) == 1)
        return good, str(currents.in_force_a)

    def _level(self, words: list[str]) -> Reply:
        return (len(words) == 1 and words[0][:1] in {'1', '2'}), ''

    def _heartbeat(self, words: list[str]) -> Reply:
        heartbeat = self._firmware.heartbeat
        match words:
            case []:
                good = heartbeat.beat()
            case [cookie]:
                good = heartbeat.acknowledge(number(cookie) & 0xFF)
            case [interval, fallback]:
                good = heartbeat.program(number(interval) & 0xFFFF, number(fallback) & 0xFF)
            case _:
                good = False
        return good, self._get_heartbeat(words)[1]

    def _relay_timing(self, words: list[str]) -> Reply:
        if len(words) == 2:
            close, hold = (number(word) & 0xFF for word in words)
            self._firmware.memory.relay_close_ms, self._firmware.memory.relay_hold = close, hold
            self._rapi.print(f'\nZ0 {close} {hold}\r\n')
        return DONE

    # --- questions --------------------------------------------------------------------------------

    def _get_plug(self, _: list[str]) -> Reply:
        unknown = self._firmware.terminals.pilot is PilotDrive.MINUS_12
        return True, '2' if unknown else str(int(self._firmware.plugged))

    def _get_lock(self, _: list[str]) -> Reply:
        return True, f'{int(self._firmware.locked)} {"M" if self._firmware.lock_is_manual else "A"}'

    def _get_scale(self, _: list[str]) -> Reply:
        return True, f'{self._firmware.ammeter.scale} {self._firmware.ammeter.offset}'

    def _get_currents(self, _: list[str]) -> Reply:
        currents, value = self._firmware.currents, self._firmware.value
        in_force = value('capacity', str(currents.in_force_a))
        maximum = value('maximum', str(currents.maximum_a))
        return True, f'{settings.LEAST_A} {currents.hardware_a} {in_force} {maximum}'

    def _get_settings(self, _: list[str]) -> Reply:
        currents = self._firmware.currents
        return True, f'{currents.in_force_a} {self._firmware.value("settings", f"{currents.flags:04x}")}'

    def _get_trips(self, _: list[str]) -> Reply:
        memory = self._firmware.memory
        return True, f'{memory.residual_trips:x} {memory.ground_trips:x} {memory.stuck_trips:x}'

    def _get_current(self, _: list[str]) -> Reply:
        current = self._firmware.value('milliamperes', str(self._firmware.ammeter.milliamperes))
        return True, f'{current} {self._firmware.millivolts}'

    def _get_temperatures(self, _: list[str]) -> Reply:
        read = self._firmware.temperature_c
        tenths = NO_SENSOR if read is None else round(read * 10.0)
        return True, f'{NO_SENSOR} {self._firmware.value("temperature", str(tenths))} {NO_SENSOR}'

    def _get_state(self, _: list[str]) -> Reply:
        elapsed = self._firmware.elapsed_s + self._firmware.accumulated_s
        return True, f'{self.state} {elapsed} {self.pilot} {self.flags}'

    def _get_energy(self, _: list[str]) -> Reply:
        return True, f'{self._firmware.energy.session_ws} {self._firmware.memory.total_wh}'

    def _get_version(self, _: list[str]) -> Reply:
        return True, f'{VERSION} {RAPI_VERSION}'

    def _get_heartbeat(self, _: list[str]) -> Reply:
        heartbeat = self._firmware.heartbeat
        return True, f'{heartbeat.interval_s} {heartbeat.fallback_a} {heartbeat.missed}'

    def _get_clock(self, _: list[str]) -> Reply:
        return True, NO_CLOCK

    def _get_timer(self, _: list[str]) -> Reply:
        return True, '0 0 0 0'


COMMANDS: dict[str, Callable[[Commands, list[str]], Reply]] = {
    'FB': Commands._one_word,
    'FD': Commands._disable,
    'FE': Commands._enable,
    'FF': Commands._feature,
    'FP': Commands._print,
    'FR': Commands._reset,
    'FS': Commands._sleep,
    'F0': Commands._one_word,
    'SC': Commands._set_current,
    'SL': Commands._level,
    'SY': Commands._heartbeat,
    'S5': Commands._lock,
    'GA': Commands._get_scale,
    'GC': Commands._get_currents,
    'GD': Commands._get_timer,
    'GE': Commands._get_settings,
    'GF': Commands._get_trips,
    'GG': Commands._get_current,
    'GP': Commands._get_temperatures,
    'GS': Commands._get_state,
    'GT': Commands._get_clock,
    'GU': Commands._get_energy,
    'GV': Commands._get_version,
    'GY': Commands._get_heartbeat,
    'G0': Commands._get_plug,
    'G5': Commands._get_lock,
    'Z0': Commands._relay_timing,
}
"""The commands of this build; anything else is NK."""


def number(word: str) -> int:
    """Return a number as the firmware reads it: digits are not checked, and 32 bits are kept."""
    value = 0
    for digit in word:
        value = (value * 10 + ord(digit) - ord('0')) & 0xFFFF_FFFF
    return value
