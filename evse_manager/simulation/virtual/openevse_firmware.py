"""
The program of an OpenEVSE's controller: one loop of 10 to 40 ms that reads, decides, drives and answers.

Behaviour and times are those of the unmodified firmware 8.2.3 (EU options), as recorded in
``test/data/openevse``.  The program is written as the chip runs it: a generator that yields how long the chip
is busy, in seconds.  While it is busy nothing is answered and no order is obeyed.
"""

from collections.abc import Callable, Generator

from evse_manager.simulation.scheduler import Event
from evse_manager.simulation.virtual.openevse_meter import Ammeter, FirmwareEnergyCounter, reading_s
from evse_manager.simulation.virtual.openevse_pilot import AB_V, BC_V, PilotReader
from evse_manager.simulation.virtual.openevse_protection import FirmwareProtection, ResidualCurrent
from evse_manager.simulation.virtual.openevse_rapi import Rapi
from evse_manager.simulation.virtual.openevse_settings import (
    NO_RELAY_CHECK,
    NO_SELF_TEST,
    NO_TEMPERATURE_CHECK,
    VOLTAGE_MV,
    Currents,
    HeartbeatSettings,
    Memory,
)
from evse_manager.simulation.virtual.openevse_states import (
    ASLEEP,
    CHARGING,
    CONNECTED,
    DIODE,
    DISABLED,
    FAULTS,
    HOT,
    OVER_CURRENT,
    SELF_TEST,
    STUCK,
    UNKNOWN,
    VENTILATION,
    Flag,
)
from evse_manager.simulation.virtual.openevse_terminals import PilotDrive, Terminals

Program = Generator[float, None, None]
"""Yields the seconds in which the chip is busy."""

START_S, PORT_FROM_S = 2.205, 0.5
"""From power-up to the first text; bytes that come before the port exists are lost."""

PILOT_READ_S = 0.0106
MAINS_READ_S = 0.0187
"""100 readings of the pilot; mains sense takes a period of the mains without voltage, else no time."""

LOOP_S, NOTHING_S = 0.001, 0.005
"""The rest of a loop, and a loop in which nothing is read."""

LOCK_S = 0.3
"""The lock's motor runs at each plug and unplug."""

SLEEP_GRACE_S, SLEEP_CURRENT_A = 3.0, 1.0
EARLY_FAULT_S = 2.0
"""A fault so soon after closing is a hard fault."""

HOT_GRACE_S, OVER_CURRENT_GRACE_S = 5.0, 1.0
RESET_S, RESET_GRACE_S = 1.03, 3.0

SENSOR_MS = 1000
"""How often the temperature is read."""
TICK_S, TICK_PHASE = 0.001024, 0.55
"""Period of the chip's timer, which counts the milliseconds, and its phase in the recordings."""


class WatchdogResetError(Exception):
    """The watchdog resets the chip."""


class Firmware:
    """
    See the module's description; the surroundings give time (``clock``, ``after``) and the terminals.

    It is large because its attributes are the variables of the program, named as there.
    """

    def __init__(
        self,
        terminals: Terminals,
        clock: Callable[[], float],
        after: Callable[[float, Callable[[], None]], Event],
        send: Callable[[bytes], None],
    ) -> None:
        """Build a controller without power, with an erased EEPROM."""
        self.memory = Memory()
        self.value: Callable[[str, str], str] = lambda name, right: right
        """Values that are sent in place of right ones, by name."""
        self.flaws: set[str] = set()
        """Faults of the firmware itself: ``never_sleeps``, ``misreads_current``."""
        self.terminals = terminals
        self.clock = clock
        self._after = after
        self._send = send
        self._busy: Event | None = None
        self._forget()

    def power_up(self) -> None:
        """Start, or start again after a reset: everything but the EEPROM is lost."""
        if self._busy is not None:
            self._busy.cancel()
        self.terminals.reset()
        self._forget()
        self._program = self._main()
        self._go_on()

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        self.rapi.receive(data)

    def _forget(self) -> None:
        """Set up the memory of the program as after a reset."""
        self.running = False
        """Whether the self-test is over."""
        self.state = UNKNOWN
        self.flags = Flag.SESSION_ENDED
        self.currents = Currents(self.memory, self.terminals)
        self.pilot = PilotReader(self.currents)
        self.heartbeat = HeartbeatSettings(self.memory, self.currents, self.clock)
        self.ammeter = Ammeter()
        self.energy = FirmwareEnergyCounter(self.memory, self.clock)
        self.residual = ResidualCurrent(self.terminals)
        self.protection = FirmwareProtection(self)
        self.rapi = Rapi(self, self._after, self._send)
        self.terminals.on_trip = self._tripped
        self.temperature_c: float | None = None
        self.locked = False
        self.lock_is_manual = False
        self.elapsed_s = 0
        self.accumulated_s = 0
        self.closed_at = self.opened_at = 0.0
        self._read_at = milliseconds(self.clock())

    def _go_on(self) -> None:
        try:
            self._busy = self._after(next(self._program), self._go_on)
        except WatchdogResetError:
            self.power_up()

    # --- the program ------------------------------------------------------------------------------

    def _main(self) -> Program:
        yield PORT_FROM_S
        self.rapi.begin()
        yield START_S - PORT_FROM_S
        self.print_relay()
        self.terminals.set_pilot(PilotDrive.PLUS_12)
        yield 0.001
        self.rapi.notify(force=True)
        yield from self._self_tests()
        self.running = True
        self.currents.set_level()
        self.rapi.boot_notification()
        self.heartbeat.load()
        while True:
            yield from self._update()
            self.energy.update(
                plugged=self.plugged,
                relay=self.relay_ordered,
                millivolts=self.millivolts,
                milliamperes=self.ammeter.milliamperes,
            )
            yield LOOP_S
            yield from self._process_inputs()

    def _self_tests(self) -> Program:
        """Test relay and residual current device; after a failure only orders are taken, until a reset."""
        yield MAINS_READ_S
        failed = UNKNOWN
        if self.currents.checks(NO_RELAY_CHECK) and self.terminals.mains():
            failed = STUCK
        elif self.currents.checks(NO_SELF_TEST) and not (yield from self.residual.self_test()):
            failed = SELF_TEST
        if failed != UNKNOWN:
            self.state = failed
            self.running = True
            self.rapi.boot_notification()
            self.rapi.notify(force=True)
            while True:
                yield NOTHING_S
                yield from self._process_inputs()

    def _process_inputs(self) -> Program:
        yield from self.rapi.run()
        if milliseconds(self.clock()) - self._read_at >= SENSOR_MS:
            self._read_at = milliseconds(self.clock())
            self.temperature_c = self.terminals.temperature_c()

    def _update(self) -> Program:
        now = self.clock()
        if self.state == DISABLED:
            yield NOTHING_S
            return
        high_v, low_v = yield from self._read_pilot()
        moved = self.plugged is not bool(self.flags & Flag.WAS_CONNECTED)
        if moved and self.plugged:
            self.elapsed_s = self.accumulated_s = 0
        if self.state == ASLEEP:
            yield from self._stay_asleep(now, high_v, moved=moved)
            return
        live = self.terminals.mains()
        if not live:
            yield MAINS_READ_S
        before = self.state
        fault = yield from self.protection.fault(before, now, live=live)
        if fault == UNKNOWN:
            self.state = UNKNOWN
            return
        if fault is not None:
            self.state = fault
            self.pilot.in_fault(fault, now)
        else:
            if before in FAULTS:
                self.terminals.set_pilot(PilotDrive.PLUS_12)
                before = UNKNOWN
            pwm = self.terminals.pilot is PilotDrive.PWM
            self.state = self.pilot.classify(before, now, high_v, low_v, pwm=pwm)
        if self.state != before and not (yield from self._enter(now)):
            return
        if fault is not None and before == CHARGING and now - self.closed_at <= EARLY_FAULT_S:
            yield from self.hard_fault()
            return
        yield from self._measure()
        self.heartbeat.check()
        self._throttle()
        self.rapi.notify()

    def _stay_asleep(self, now: float, high_v: float, *, moved: bool) -> Program:
        """Open the relay when the car has stopped; asleep nothing else is looked at."""
        if self.relay_ordered:
            yield reading_s(self.clock(), self.terminals.current_a())
            current_a = self.terminals.current_a()
            slept = now - self.opened_at
            if high_v >= BC_V or current_a <= SLEEP_CURRENT_A or slept >= SLEEP_GRACE_S:
                self.open_relay()
        elif moved:
            self.rapi.notify()

    def _read_pilot(self) -> Generator[float, None, tuple[float, float]]:
        """Read both halves, and note the plug, which moves the lock."""
        before = self.terminals.levels()
        yield PILOT_READ_S
        after = self.terminals.levels()
        high_v, low_v = max(before.high_v, after.high_v), min(before.low_v, after.low_v)
        if self.terminals.pilot is not PilotDrive.MINUS_12:
            self._set_flag(Flag.WAS_CONNECTED, self.plugged)
            plugged = high_v < AB_V
            self._set_flag(Flag.CONNECTED, plugged)
            if not plugged:
                self.flags |= Flag.SESSION_ENDED
            if not self.lock_is_manual:
                yield from self.move_lock(plugged)
        return high_v, low_v

    def _enter(self, now: float) -> Generator[float, None, bool]:
        """Act on a new state; return whether the loop goes on."""
        match self.state:
            case state if state == CONNECTED:
                self.open_relay()
                self.currents.offer()
            case state if state == CHARGING:
                self.currents.offer()
                if self.currents.checks(NO_SELF_TEST) and not (yield from self.residual.self_test()):
                    self.state = SELF_TEST
                    self.terminals.set_pilot(PilotDrive.PLUS_12)
                    yield from self.hard_fault()
                    return False
                yield from self._close_relay()
            case state if state == HOT:
                self.terminals.set_pilot(PilotDrive.PLUS_12)
                yield max(HOT_GRACE_S - (self.clock() - now), 0.0)
                self.open_relay()
                yield from self.hard_fault()
            case state if state == STUCK:
                self.open_relay()
                yield from self.hard_fault(ends=False)
            case state if state in {VENTILATION, DIODE}:
                self.open_relay()
                self.terminals.set_pilot(PilotDrive.PLUS_12)
                yield from self.hard_fault()
            case _:  # ready, and the faults that are tried again
                self.terminals.set_pilot(PilotDrive.PLUS_12)
                self.open_relay()
        return True

    def hard_fault(self, *, ends: bool = True) -> Program:
        """Stay in a fault until the car is unplugged, or until a reset; only orders are taken."""
        self.flags |= Flag.HARD_FAULT
        self.rapi.notify()
        while True:
            yield from self._process_inputs()
            if self.terminals.pilot is PilotDrive.MINUS_12:
                yield NOTHING_S
                continue
            yield from self._read_pilot()
            if ends and not self.plugged:
                break
        self.state = UNKNOWN
        self.flags &= ~Flag.HARD_FAULT

    def _measure(self) -> Program:
        """Read the current while charging, and stop when it is too high for too long."""
        if self.state != CHARGING:
            self.protection.over_current_since = None
            return
        yield reading_s(self.clock(), self.terminals.current_a())
        self.ammeter.add(self.terminals.current_a())
        if self.protection.over_current():
            self.state = OVER_CURRENT
            self.terminals.set_pilot(PilotDrive.PLUS_12)
            yield OVER_CURRENT_GRACE_S
            self.open_relay()
            yield from self.hard_fault()
            self.protection.over_current_since = None

    def _throttle(self) -> None:
        """Follow the temperature: up in any state, down once per second of charging."""
        hot = self.temperature_c
        checks = hot is not None and self.currents.checks(NO_TEMPERATURE_CHECK)
        if checks and hot is not None:
            self.currents.restore(hot)
        if self.state == CHARGING:
            before, self.elapsed_s = self.elapsed_s, int(self.clock() - self.closed_at)
            if checks and hot is not None and self.elapsed_s != before:
                self.currents.reduce(hot)

    # --- parts ------------------------------------------------------------------------------------

    @property
    def plugged(self) -> bool:
        """Return whether a car is seen; not updated while the pilot is -12 V."""
        return bool(self.flags & Flag.CONNECTED)

    @property
    def relay_ordered(self) -> bool:
        """Return whether the relay is driven, as the program knows."""
        return bool(self.flags & Flag.RELAY)

    @property
    def millivolts(self) -> int:
        """Return the voltage that energy is counted with."""
        return VOLTAGE_MV[self.currents.level]

    def _set_flag(self, flag: int, on: bool) -> None:
        self.flags = self.flags | flag if on else self.flags & ~flag

    def print_relay(self) -> None:
        """Print two lines that are no frames."""
        self.rapi.print(f'\nrelayCloseMs: {self.memory.relay_close_ms}\r\n')
        self.rapi.print(f'relayHoldPwm: {self.memory.relay_hold}\r\n')

    def move_lock(self, locked: bool, *, force: bool = False) -> Program:
        """Run the motor of the lock, unless it is where it shall be."""
        if force or locked is not self.locked:
            self.locked = locked
            yield LOCK_S

    def _close_relay(self) -> Program:
        self.print_relay()
        self.terminals.set_relay(True)
        yield self.memory.relay_close_ms / 1000.0
        self.flags |= Flag.RELAY
        if self.flags & Flag.SESSION_ENDED:
            self.accumulated_s = 0
            self.flags &= ~Flag.SESSION_ENDED
        else:
            self.accumulated_s += self.elapsed_s
            self.elapsed_s = 0
        self.closed_at = self.clock()

    def open_relay(self) -> None:
        """Let go of the relay; an open relay counts as opened at this moment too."""
        self.terminals.set_relay(False)
        self.flags &= ~Flag.RELAY
        self.opened_at = self.clock()
        self.ammeter.milliamperes = 0

    def _tripped(self) -> None:
        """Handle the interrupt of the residual current device, whatever the program does."""
        if self.residual.interrupted():
            return
        self.flags |= Flag.RESIDUAL_TRIPPED
        self.open_relay()
        self.terminals.set_pilot(PilotDrive.PLUS_12)

    # --- orders -----------------------------------------------------------------------------------

    def enable(self) -> None:
        """Wake up: state 00 until the pilot is debounced."""
        if self.state in {ASLEEP, DISABLED}:
            self.state = UNKNOWN
            self.terminals.set_pilot(PilotDrive.PLUS_12)

    def disable(self) -> Program:
        """Open at once and show -12 V; the lock moves before anything is answered."""
        if self.state != DISABLED:
            self.terminals.set_pilot(PilotDrive.MINUS_12)
            self.state = DISABLED
            self.open_relay()
            if not self.lock_is_manual:
                yield from self.move_lock(False, force=True)

    def sleep(self) -> None:
        """Show +12 V, and open when the car has stopped."""
        if self.state != ASLEEP:
            self.terminals.set_pilot(PilotDrive.PLUS_12)
            self.state = ASLEEP
            self.opened_at = self.clock()

    def reboot(self) -> Program:
        """Wait for the watchdog; a closed relay stays closed for 3 s more."""
        self.terminals.set_pilot(PilotDrive.PLUS_12)
        if self.relay_ordered:
            yield RESET_GRACE_S
        yield RESET_S
        raise WatchdogResetError


def milliseconds(seconds: float) -> int:
    """Return what the chip's counter of milliseconds shows; it advances in steps of 1.024 ms."""
    return int(int(seconds / TICK_S + TICK_PHASE) * TICK_S * 1000.0)
