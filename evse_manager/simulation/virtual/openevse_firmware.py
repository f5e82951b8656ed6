"""
The firmware of an OpenEVSE: what it does with pilot, relay and heartbeat, whatever is said on its line.

Behaviour and times are those measured on the unmodified firmware 8.2.3 (hardware reference 2.1.5).  Left out:
the display, timers, and the relay's pulse at power-up.
"""

import math
from abc import abstractmethod
from dataclasses import replace

from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import BoardErrorEnum, ControlPilotState, PilotMode
from evse_manager.interface.pilot import duty_cycle
from evse_manager.simulation.scheduler import Event
from evse_manager.simulation.virtual.board import VirtualBoard
from evse_manager.simulation.world import WorldSettings

STARTING, A, B, C, VENT, DIODE, GFI, NO_GROUND, STUCK, GFI_TEST, HOT, OVER_CURRENT = range(12)
"""States as RAPI codes them ..."""
ASLEEP, DISABLED = 0xFE, 0xFF

BOOT_TEXT_S = 2.21
FIRST_FRAME_S = 2.22
SELF_TESTED_S = 3.25
"""When the controller, once powered, prints its text, its first frame, and ``$AB`` (EU build)."""

PLUGGED_S = 0.35
PILOT_S = 0.26
"""Debouncing of a plug and of every other change of the pilot."""

CLOSING_S = 0.95
CLOSING_FROM_A_S = 1.20
"""Self-test of the residual current device and rest, from C on; the relay needs 0.13 s more."""

REPORTED_S = 0.02
"""From a change to its ``$AT``."""

CHARGING_S = 0.16
"""From the order to close to the state of charging, 30 ms after the relay has moved."""

GRACE_S = 3.0
"""How long ``$FS`` waits for the EV to stop ..."""
SMALL_CURRENT_A = 1.0
"""... or for less than this."""

SLEEP_LOOK_S = 0.1
NO_POWER_SEEN_S = 1.0
STUCK_S = 1.6
"""A relay that is closed so long after it was let go is stuck."""

CLEARED_S = 0.4
HOT_C, COOL_C = 71.0, 65.0
HEARTBEAT_LATE_S = 0.02

LEAST_A = 6
_HARD_FAULTS = (DIODE, GFI, NO_GROUND, STUCK, GFI_TEST, HOT, OVER_CURRENT)
_PILOT_CODES = {
    ControlPilotState.A: A,
    ControlPilotState.B: B,
    ControlPilotState.C: C,
    ControlPilotState.D: VENT,
    ControlPilotState.E: DIODE,
}
_REPORTED = {
    BoardErrorEnum.DIODE_FAULT: DIODE,
    BoardErrorEnum.RCD_AC: GFI,
    BoardErrorEnum.RCD_SELF_TEST: GFI_TEST,
    BoardErrorEnum.OVER_CURRENT: OVER_CURRENT,
}

NAMES = {
    STARTING: 'starting', A: 'ready', B: 'connected', C: 'charging', VENT: 'ventilation required',
    DIODE: 'diode fault', GFI: 'residual current', NO_GROUND: 'no ground', STUCK: 'stuck relay',
    GFI_TEST: 'self-test failed', HOT: 'too hot', OVER_CURRENT: 'over-current', ASLEEP: 'asleep',
    DISABLED: 'disabled',
}  # fmt: skip
"""What people call the states."""


class Firmware(VirtualBoard):
    """The state machine; a subclass says on the line what happens, and takes orders from there."""

    def __init__(self, settings: WorldSettings | None = None) -> None:
        """Build the board; EEPROM values last over resets."""
        super().__init__(settings or WorldSettings(phases=1))
        self.eeprom_writes = 0
        """How often a current was stored for good, which wears the memory."""
        self.maximum_a = int(self.world.settings.max_current_a)
        self._stored_a = self.maximum_a
        self._stored_wh = 0.0
        self._forget()

    # --- what the line has to say -----------------------------------------------------------------

    @abstractmethod
    def print_text(self) -> None:
        """Print what the controller prints when it starts."""

    @abstractmethod
    def tell(self) -> None:
        """Tell the state, unasked."""

    @abstractmethod
    def self_tested(self, code: int) -> None:
        """Tell what the self-test came to, and begin to take orders."""

    # --- life -------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Be as after power-up, before anything is printed."""
        self.forget_timers()
        self.running = False
        self.state = STARTING
        self.amperes = self._stored_a
        self._pilot = A
        self._candidate: tuple[int, Event] | None = None
        self._closing: Event | None = None
        self._relay = False
        self._relay_at = -math.inf
        self._sleeping: float | None = None
        self._hot = False
        self._fault_since = 0.0
        self._no_ground = False
        self._heart_s = 0
        self._heart_a = 0
        self._heart_missed = 0
        self._heart: Event | None = None
        self._before_miss_a = 0
        self._session_from_wh = self.world.meter.energy_wh
        self._session_over = False
        self._told: tuple[int, int, int, int] | None = None

    def power_up(self) -> None:
        """Boot: text, first frame, self-test, ``$AB``, and then it works by itself."""
        self._forget()
        self._drive()
        self.after(BOOT_TEXT_S, self.print_text)
        self.after(FIRST_FRAME_S, self.tell)
        self.after(SELF_TESTED_S, self._work)

    def _work(self) -> None:
        stuck = self.world.contactor.closed
        self.running = True
        self.state = STUCK if stuck else A
        self.self_tested(STUCK if stuck else 0)

    def _worth_telling(self) -> tuple[int, int, int, int]:
        return self.state, self._pilot, self.amperes, self._flags() & 0x010A

    def _flags(self) -> int:
        flags = 0x0200 if self._session_over else 0
        if self._relay and self._closing is None:
            flags |= 0x0040
        if self._pilot != A:
            flags |= 0x0500
        if self.state == GFI:
            flags |= 0x0080
        if self.state in _HARD_FAULTS:
            flags |= 0x0002
        return flags

    # --- the state machine ------------------------------------------------------------------------

    def react(self) -> None:
        """Let the firmware see the world."""
        if not self.running:
            return
        self._read_pilot()
        self._look_for_faults()
        if self.state in {A, B, C, VENT}:
            self._follow_pilot()
        self._drive()
        if self._told is not None and self._worth_telling() != self._told:
            self._told = self._worth_telling()
            self.after(REPORTED_S, self.tell)

    def _read_pilot(self) -> None:
        """Debounce the pilot; under -12 V it cannot be read."""
        code = _PILOT_CODES.get(self.seen.cp_state)
        if code is None or self.state == DISABLED:
            return
        if self._candidate is not None:
            if self._candidate[0] == code:
                return
            self._candidate[1].cancel()
            self._candidate = None
        if code != self._pilot:
            delay = PLUGGED_S if self._pilot == A else PILOT_S
            self._candidate = (code, self.after(delay, lambda: self._accept(code)))

    def _accept(self, code: int) -> None:
        was_a = self._pilot == A
        self._candidate = None
        self._pilot = code
        if was_a:
            self._session_from_wh = self.world.meter.energy_wh
            self._session_over = False
        elif code == A:
            self._stored_wh += self._session_wh()
            self._session_from_wh = self.world.meter.energy_wh
            self._session_over = True
        if code == C and self.state in {A, B} and self._closing is None:
            self._closing = self.after(CLOSING_FROM_A_S if was_a else CLOSING_S, self._close)

    def _follow_pilot(self) -> None:
        """Go with the pilot, where no fault and no order forbids it."""
        if self._pilot == DIODE:
            self._fail(DIODE)
        elif self._pilot == VENT:
            self._open()
            self.state = VENT
        elif self._pilot != C:
            self._open()
            self.state = self._pilot
        elif self.state != C:
            self.state = B
            if self._closing is None:
                self._closing = self.after(CLOSING_S, self._close)

    def _close(self) -> None:
        self._closing = None
        if self.state in {A, B} and self._pilot == C:
            self._relay = True
            self._relay_at = self.now
            self._closing = self.after(CHARGING_S, self._charge)
            self.after(NO_POWER_SEEN_S, lambda: None)

    def _charge(self) -> None:
        self._closing = None
        self.state = C

    def _open(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._relay:
            self._relay = False
            self._relay_at = self.now
            self.after(STUCK_S, lambda: None)

    def _fail(self, state: int) -> None:
        if self.state != state:
            self._fault_since = self.now
            self.after(CLEARED_S, lambda: None)
        self._open()
        self.state = state

    def _look_for_faults(self) -> None:
        errors = {error.code for error in self.seen.errors}
        temperature = self.world.enclosure.temperature_c
        self._hot = temperature >= (COOL_C if self._hot else HOT_C)
        resting = self.now >= self._relay_at + STUCK_S
        without_power = self.now >= self._relay_at + NO_POWER_SEEN_S and not self.world.contactor.closed
        if self._pilot == A:
            self._no_ground = False
        elif self._relay and (without_power or 'ground' in self.own_faults):
            self._no_ground = True
        if not self._relay and self.world.contactor.closed and resting:
            self._fail(STUCK)
        elif self.state in {ASLEEP, DISABLED, STUCK}:
            if self.state == STUCK and not self.world.contactor.closed:
                self.state = self._pilot if self._pilot in {A, B} else B
        elif found := next((state for code, state in _REPORTED.items() if code in errors), None):
            self._fail(found)
        elif self._no_ground:
            self._fail(NO_GROUND)
        elif self._hot:
            self._fail(HOT)
        elif self.state in _HARD_FAULTS and self.now >= self._fault_since + CLEARED_S and self._healed():
            self.state = self._pilot if self._pilot in {A, B} else B

    def _healed(self) -> bool:
        if self.state in {GFI, GFI_TEST, OVER_CURRENT, NO_GROUND}:
            return self._pilot == A
        return self._pilot != DIODE

    def _drive(self) -> None:
        """Set the pilot and the relay."""
        if self._sleeping is not None:
            self._finish_sleep()
        match self.state:
            case _ if self.state in {B, C, VENT, DIODE}:
                mode = PilotMode.PWM
            case _ if self.state == DISABLED:
                mode = PilotMode.F
            case _:
                mode = PilotMode.X1
        pwm = mode is PilotMode.PWM
        unplugged = self._pilot == A and self.seen.cp_state is ControlPilotState.A
        outputs = Outputs(
            pilot_mode=mode,
            duty_cycle_percent=duty_cycle(float(self.amperes)) if pwm else 100.0,
            current_a=float(self.amperes) if pwm else 0.0,
            power=self._relay,
            over_current_limit_a=float(self.amperes),
            rcd_resets=self.world.outputs.rcd_resets,
        )
        tripped = {BoardErrorEnum.RCD_AC, BoardErrorEnum.RCD_SELF_TEST} & self.world.protection.errors
        causes = {'rcd_ac', 'rcd_self_test'} & set(self.world.active_faults)
        if unplugged and tripped and not causes:
            outputs = replace(outputs, rcd_resets=outputs.rcd_resets + 1)
        if outputs != self.world.outputs:
            self.world.set_outputs(outputs)

    def _finish_sleep(self) -> None:
        """Open the relay when the EV has stopped, or has had its time."""
        assert self._sleeping is not None
        drawn = max(self.world.currents_a)
        if self.state == ASLEEP and self._relay:
            if drawn >= SMALL_CURRENT_A and self.now < self._sleeping:
                self.after(SLEEP_LOOK_S, lambda: None)
                return
            self._open()
        self._sleeping = None

    def _session_wh(self) -> float:
        return self.world.meter.energy_wh - self._session_from_wh

    # --- orders -----------------------------------------------------------------------------------

    def enable(self) -> None:
        """Wake up."""
        if self.state in {ASLEEP, DISABLED}:
            self._sleeping = None
            self._open()
            self.state = A
            if self._pilot == C:
                self.state = B

    def disable(self) -> None:
        """Open at once, and show -12 V."""
        self._open()
        self.state = DISABLED

    def sleep(self) -> None:
        """Show +12 V, and open when the EV has stopped."""
        if self.state != ASLEEP and 'never_sleeps' not in self.own_faults:
            self.state = ASLEEP
            if self._closing is not None:
                self._closing.cancel()
                self._closing = None
            self._sleeping = self.now + GRACE_S

    def set_current(self, asked: int, *, keep: bool) -> bool:
        """Put a current in force, as far as it may; return whether it is the one that was asked for."""
        self.amperes = min(max(asked, LEAST_A), self.maximum_a)
        if keep:
            self.eeprom_writes += 1
            self._stored_a = self.amperes
        return asked == self.amperes

    # --- the heartbeat ----------------------------------------------------------------------------

    def set_heartbeat(self, seconds: int, amperes: int) -> None:
        """Program it; 0 s switches it off."""
        self._heart_s, self._heart_a = seconds, amperes
        self._heart_missed = 0
        self._beat()

    def acknowledge_miss(self) -> None:
        """Go back to the current from before a miss."""
        if self._heart_missed == 2:
            self._heart_missed = 1
            self.amperes = max(self.amperes, self._before_miss_a)
        self._beat()

    def pulse(self) -> bool:
        """Feed it; return whether no miss waits to be acknowledged."""
        if self._heart_missed == 2:
            return False
        self._heart_missed = 0
        self._beat()
        return True

    def _beat(self) -> None:
        if self._heart is not None:
            self._heart.cancel()
            self._heart = None
        if self._heart_s:
            self._heart = self.after(self._heart_s + HEARTBEAT_LATE_S, self._miss)

    def _miss(self) -> None:
        self._heart_missed = 2
        if self.amperes > self._heart_a:
            self._before_miss_a = self.amperes
            self.amperes = self._heart_a
        self._beat()
