"""
The controller of a Yeti board in software, speaking COBS and protobuf.

By default it behaves as firmware 2.2 of the Yeti R1, and is held against recordings of it
(``test/data/yeti``).  A loop with a turn of 50 ms reads the pilot, decides about the contactor by itself and
reports what has changed; at each switching it waits 100 ms for the contacts and looks at nothing else
meanwhile.  Orders for pilot and lock take effect at once, the permission to close at the next turn.

Siblings of the board behave differently in ways that no recording covers; ``VARIANTS`` are what they may do
instead, each on its own or all together as ``sibling``.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import ClassVar

from evse_manager.board.boards.yeti.messages import (
    FROM_HOST,
    AllowPower,
    BoardMessage,
    Duty,
    ErrorFlags,
    HostMessage,
    KeepAlive,
    Lock,
    LockPosition,
    PilotState,
    PilotVoltages,
    PowerMeter,
    Proximity,
    Relay,
    ResetDone,
    ResetOrder,
    ThreePhases,
    YetiParser,
    frame,
)
from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import (
    BoardErrorEnum,
    PilotMode,
)
from evse_manager.interface.pilot import current
from evse_manager.interface.types import Time
from evse_manager.simulation.pilot import read
from evse_manager.simulation.scheduler import Event
from evse_manager.simulation.virtual.board import Value, VirtualBoard
from evse_manager.simulation.virtual.yeti_reports import (
    cable_code,
    error_flags,
    lock_code,
    pilot_voltages,
    power_meter,
)
from evse_manager.simulation.world import NO_CURRENT, WorldSettings

SOFTWARE = '2.2'
BOOT_S = 0.15
"""From the order to restart to the first message; the duration on hardware is not known."""

TURN_S = 0.05
SWITCHING_S = 0.1
"""The control loop waits for the contacts so long, at each switching."""

TURNS_PER_REPORT = 4
"""Telemetry, keep-alive and meter come every fourth turn."""

SLOW_TURNS_PER_REPORT = 20

X1_OPENS_S = 7.0
"""A car that stays in C or D after the PWM ended is switched off under load after so long."""

LOCK_MOTOR_S = 1.0
GREETINGS = 3
"""Keep-alives before the message that the board has restarted."""

REPEAT_S = 1.0
WATCHDOG_S = 5.0
USER, WATCHDOG = 0, 1
X1, F = 10_000, 0

VARIANTS: Mapping[str, str] = {
    'repeats': 'States are reported again each second, until cleared by name.',
    'reports_at_start': 'Every state is reported after a restart, the contactor too, until cleared by name.',
    'has_socket': 'Lock and cable are reported, until cleared by name.',
    'watchdog': 'A host that is silent for 5 s loses its outputs, until cleared by name.',
    'slow': 'Keep-alive, telemetry and meter come once a second, until cleared by name.',
    'obeys': 'The contactor follows the order alone, whatever the pilot shows, until cleared by name.',
    'mirror_contact': 'The contactor is reported as it is, not as ordered, until cleared by name.',
    'protects': 'All error flags are in use, and a trip opens the contactor, until cleared by name.',
    'millivolts': 'Telemetry is in mV with a sign, until cleared by name.',
}
"""Behaviour of siblings in place of that of firmware 2.2."""


class _Pilot(Enum):
    """State of the firmware's control loop, with the code that it reports."""

    A = 0
    B = 1
    C = 2
    D = 3
    E = 4
    F = 5
    DIODE = 7
    """Reported as F."""

    @property
    def code(self) -> int:
        return 5 if self is _Pilot.DIODE else self.value


_RCD = {BoardErrorEnum.RCD_AC, BoardErrorEnum.RCD_DC, BoardErrorEnum.RCD_SELF_TEST}
_TRIPS = {'rcd_ac', 'rcd_dc'}
_LATCHED_FAULTS = {*_TRIPS, 'rcd_self_test'}


class LockMotor:
    """The drive of the lock's motor; there is no position switch."""

    def __init__(self) -> None:
        """Begin at rest."""
        self.drive: bool | None = None
        """Lock, unlock, or off."""
        self.ordered: bool | None = None
        self._until = math.inf

    def order(self, lock: bool, now: float) -> None:
        """Drive for a second, also when the same was ordered before."""
        self.ordered = self.drive = lock
        self.begin_again(now)

    def begin_again(self, now: float) -> None:
        """Let a drive under way begin its time again, as a switching of the contactor does."""
        if self.drive is not None:
            self._until = now + LOCK_MOTOR_S

    def look(self, now: float) -> None:
        """End the drive when its time is over."""
        if now >= self._until:
            self.drive, self._until = None, math.inf


class ResidualCurrentTrip:
    """The interrupt of the trip input: it counts once per closing, and not while the contactor switches."""

    def __init__(self, causes: set[str]) -> None:
        """Begin unarmed; ``causes`` are those that last at this moment."""
        self.armed = False
        self.seen = False
        self._causes = causes

    def look(self, causes: set[str]) -> None:
        """Take an edge of the input: a new cause."""
        if causes - self._causes and self.armed:
            self.take()
        self._causes = causes

    def take(self) -> None:
        """Take a trip."""
        self.armed, self.seen = False, True


class VirtualYeti(VirtualBoard):
    """
    See the module's description.

    It is large because its attributes are the variables of the firmware, and each message has a method.
    """

    name: ClassVar[str] = 'yeti'
    baud_rate: ClassVar[int] = 115_200
    faults: ClassVar[Mapping[str, str]] = {
        'no_keep_alive': 'The board sends everything but keep-alives, until cleared.',
        'deaf': 'The board receives nothing, until cleared.',
        'sibling': f'All of {", ".join(VARIANTS)} at once, until cleared by name.',
        **VARIANTS,
    }
    protected: ClassVar[bool] = False
    missing: ClassVar[frozenset[str]] = frozenset({'emergency_stop'})
    values: ClassVar[Mapping[str, Value]] = {
        'pilot': Value('state of the pilot, 0 to 5 for A to F', int),
        'relay': Value('contactor, 0 or 1', int),
        'proximity': Value('coding of the cable, 0 to 5', int),
        'lock': Value('lock, 0 to 2', int),
        'max_current': Value('largest current in A of the keep-alive', float),
        'energy': Value('counted energy in Wh', float),
        'temperature': Value('temperature in °C; 0 = absent', float),
    }

    def __init__(self, settings: WorldSettings | None = None) -> None:
        """Build the board; it starts with ``power_up``."""
        super().__init__(settings)
        self.boot_s = BOOT_S
        self.frames_received = 0
        self.closings = 0
        """How often the contactor's coil was energized."""
        self._reason = USER
        self._adopt_variants()
        self._reset()

    def _reset(self) -> None:
        self.forget_timers()
        self.running = False
        self.coil = False
        self.phases = 3
        """Phases that the contactor connects, from one closing to the next."""
        self.duty = X1
        """Ordered duty in 0.01 %: 0 is F, from 10000 on X1."""
        self.lock_motor = LockMotor()
        self._parser = YetiParser(FROM_HOST, lenient=True)
        self._allow = False
        self._three_phases = True
        self._pilot = _Pilot.E
        self._pwm_before = False
        self._x1_until = math.inf
        self._weld = False
        self._trip = ResidualCurrentTrip(self._rcd_causes())
        self._sent: dict[type, tuple[BoardMessage, object]] = {}
        self._heart: Event | None = None
        self._voltages = 0.0, 0.0
        self._started_at = self.now
        self._counted_from = self.world.meter.sample(NO_CURRENT, Time(0)).energy_wh_import

    @property
    def permitted(self) -> bool:
        """Return whether the host's permission to close stands."""
        return self._allow

    # --- variants ---------------------------------------------------------------------------------

    def _has(self, variant: str) -> bool:
        return variant in self.own_faults or 'sibling' in self.own_faults

    def fault(self, name: str, active: bool) -> None:
        """Adopt a variant."""
        self._adopt_variants()

    def clear(self, name: str = '') -> None:
        """End a fault, or all; variants are what the board is like, and end only by their names."""
        if name:
            super().clear(name)
            return
        for each in self.active_faults():
            if each not in {'sibling', *VARIANTS}:
                super().clear(each)
        self.settle()

    def _adopt_variants(self) -> None:
        self.world.protect(self._has('protects'))

    # --- life -------------------------------------------------------------------------------------

    def power_up(self) -> None:
        """Start without outputs."""
        self._reset()
        self._drive()
        self.after(self.boot_s, self._work)

    def watchdog_reset(self) -> None:
        """Restart as by the chip's own watchdog."""
        self._reason = WATCHDOG
        self.power_up()

    def _work(self) -> None:
        self.running = True
        self._started_at = self.now
        for _ in range(GREETINGS):
            self._report_life()
        self.send(frame(ResetDone(self._reason)))
        self._reason = USER
        if not self._has('reports_at_start'):
            self._sent = {Relay: (Relay(False), None), ErrorFlags: (ErrorFlags(), None)}
        self._feed()
        self._go_on(self._control())
        self._go_on(self._repetition())

    def _go_on(self, thread: Iterator[float]) -> None:
        """Run a thread of the firmware up to its next wait."""
        seconds = next(thread)
        self.after(seconds, lambda: self._go_on(thread))

    def _repetition(self) -> Iterator[float]:
        while True:
            yield REPEAT_S
            if self._has('repeats'):
                self._sent.clear()

    # --- the control loop -------------------------------------------------------------------------

    def _control(self) -> Iterator[float]:
        """Read, decide, report: a turn each 50 ms, and longer when the contactor is switched."""
        turn = 0
        while True:
            yield TURN_S
            if turn % (SLOW_TURNS_PER_REPORT if self._has('slow') else TURNS_PER_REPORT) == 0:
                self._report_measurements()
            turn += 1
            self._measure()
            if self._pwm_before and not self._pwm:
                self._x1_until = self.now + X1_OPENS_S
            elif self._pwm:
                self._x1_until = math.inf
            if not self._has('obeys'):
                yield from self._lead_contactor()
            if self._pilot is _Pilot.A:
                self._forget_car()
            self._pwm_before = self._pwm
            self.lock_motor.look(self.now)
            self._report_changes()

    @property
    def _pwm(self) -> bool:
        return F < self.duty < X1

    def _measure(self) -> None:
        """Read the pilot; a voltage in no window keeps the old state, and F is as ordered, not measured."""
        levels = self.world.levels
        self._voltages = levels.high_v, levels.low_v
        if self._has('protects'):
            self._pilot = _Pilot[self.seen.cp_state.name]
            return
        if self.duty == F:
            self._pilot = _Pilot.F
            return
        reading = read(PilotMode.PWM if self._pwm else PilotMode.X1, levels)
        if reading.diode_fault:
            self._pilot = _Pilot.DIODE
        elif reading.state is not None:
            self._pilot = _Pilot[reading.state.name]
        elif self._pilot in {_Pilot.F, _Pilot.DIODE}:
            self._pilot = _Pilot.E

    def _lead_contactor(self) -> Iterator[float]:
        """Switch the contactor by pilot and permission; yields the time that the switching takes."""
        if self._pilot not in {_Pilot.C, _Pilot.D}:
            if self._pilot is _Pilot.A and self._pwm:
                self._order_pilot(X1)
            yield from self._switch(False)
            return
        if not self._allow or (not self._pwm and self.now >= self._x1_until):
            yield from self._switch(False)
        # What is ordered while the contactor opens counts at once.
        if self._allow and self._pwm and not self._weld:
            yield from self._switch(True)

    def _switch(self, on: bool) -> Iterator[float]:
        if on is self.coil:
            return
        self._energize(on)
        yield SWITCHING_S
        self._arm(on)
        if not on:
            self._weld = self._weld or self.world.contactor.closed
        self.lock_motor.begin_again(self.now)

    def _arm(self, on: bool) -> None:
        """Take trips while closed; a cause that lasts trips again at once."""
        self._trip.armed = on
        if on and self._rcd_causes():
            self._trip.take()

    def _energize(self, on: bool) -> None:
        self.coil = on
        self.closings += on
        self._trip.armed = False
        if on:
            self.phases = 3 if self._three_phases else 1
        self._drive()

    def _forget_car(self) -> None:
        self._trip.seen = self._weld = False
        self._drive()

    # --- the line ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes of the host; while starting, and with the fault ``deaf``, they are lost."""
        if not self.running or 'deaf' in self.own_faults:
            return
        for message in self._parser.feed(data):
            self.frames_received += 1
            self._feed()
            self._obey(message)
            if isinstance(message, ResetOrder):
                return
            self.settle()

    def _obey(self, message: HostMessage) -> None:
        match message:
            case AllowPower(allow):
                self._allow = allow
                if self._has('obeys') and allow is not self.coil:
                    self._energize(allow)
                    self._arm(allow)
            case Duty(duty):
                self._order_pilot(min(duty, X1))
            case Lock(lock):
                self.lock_motor.order(lock, self.now)
                self._drive()
            case ThreePhases(three):
                self._three_phases = three
            case ResetOrder():
                self._reason = USER
                self.power_up()

    def _order_pilot(self, duty: int) -> None:
        self.duty = duty
        if duty == F:
            self._pilot = _Pilot.F
        self._drive()

    def _feed(self) -> None:
        """Restart the time-out for messages of the host; only a sibling reacts to its end."""
        if self._heart is not None:
            self._heart.cancel()
        self._heart = self.after(WATCHDOG_S, self._starve)

    def _starve(self) -> None:
        if self._has('watchdog'):
            self._obey(AllowPower(False))
            self._order_pilot(X1)

    # --- what is reported -------------------------------------------------------------------------

    def react(self) -> None:
        """Take the edge of a trip, as an interrupt does."""
        self._trip.look(self._rcd_causes())

    def _rcd_causes(self) -> set[str]:
        return _TRIPS & set(self.world.active_faults)

    def _report_life(self) -> None:
        if 'no_keep_alive' not in self.own_faults:
            self.send(frame(self._keep_alive()))

    def _report_measurements(self) -> None:
        self.send(frame(self._telemetry()))
        self._report_life()
        if not self.world.meter_silent:
            self.send(frame(self._measured()))

    def _keep_alive(self) -> KeepAlive:
        settings = self.world.settings
        return KeepAlive(
            time_stamp=max(round((self.now - self._started_at) * 1000.0), 1),
            protocol_minor=1,
            software=SOFTWARE,
            max_current_a=float(self.reported_value('max_current', str(settings.max_current_a))),
            min_current_a=settings.min_current_a,
            max_phases=settings.phases,
            min_phases=1,
            switches_phases=settings.phases == 3,
        )

    def _telemetry(self) -> PilotVoltages:
        return pilot_voltages(*self._voltages, millivolts=self._has('millivolts'))

    def _measured(self) -> PowerMeter:
        sample = self.world.meter.sample(self.world.currents_a, Time(0))
        measured = power_meter(sample, self._counted_from, self.world.enclosure.temperature_c)
        wrong = {}
        if 'energy' in self.wrong:
            wrong['wh_total'] = float(self.wrong['energy'])
        if 'temperature' in self.wrong:
            wrong |= dict.fromkeys(('c_l1', 'c_l2', 'c_l3', 'c_n'), float(self.wrong['temperature']))
        return replace(measured, **wrong)  # type: ignore[arg-type]

    def _report_changes(self) -> None:
        for message, key in self._states():
            if self._sent.get(type(message)) != (message, key):
                self._sent[type(message)] = message, key
                self.send(frame(message))

    def _states(self) -> Iterator[tuple[BoardMessage, object]]:
        """Return what is reported when it changes, each with what else counts as a change of it."""
        closed = self.world.contactor.closed if self._has('mirror_contact') else self.coil
        yield PilotState(int(self.reported_value('pilot', str(self._pilot.code)))), self._pilot
        yield Relay(bool(int(self.reported_value('relay', str(int(closed)))))), None
        yield self._flags(), None
        if self._has('has_socket'):
            yield Proximity(int(self.reported_value('proximity', str(cable_code(self.seen))))), None
            yield LockPosition(int(self.reported_value('lock', str(lock_code(self.seen))))), None

    def _flags(self) -> ErrorFlags:
        if not self._has('protects'):
            return ErrorFlags(diode=self._pilot is _Pilot.DIODE, rcd=self._trip.seen)
        return error_flags(self.seen)

    def _drive(self) -> None:
        """Set the outputs; on a sibling unplugging ends what the residual current device has latched."""
        mode = PilotMode.F if self.duty == F else PilotMode.PWM if self._pwm else PilotMode.X1
        percent = self.duty / 100.0
        outputs = Outputs(
            pilot_mode=mode,
            duty_cycle_percent=percent if mode is PilotMode.PWM else 100.0,
            current_a=current(percent),
            power=self.coil,
            lock=self.lock_motor.ordered,
            phases=self.phases,
            rcd_resets=self.world.outputs.rcd_resets,
        )
        tripped = _RCD & self.world.protection.errors
        causes = _LATCHED_FAULTS & set(self.world.active_faults)
        if self._pilot is _Pilot.A and tripped and not causes:
            outputs = replace(outputs, rcd_resets=outputs.rcd_resets + 1)
        if outputs != self.world.outputs:
            self.world.set_outputs(outputs)

    def chatter(self) -> bytes:
        """Return a frame with the voltages of the pilot."""
        return frame(self._telemetry())

    # --- for people -------------------------------------------------------------------------------

    def describe(self) -> dict[str, str]:
        """Return pilot, contactor, lock and EV."""
        outputs = self.world.outputs
        offered = f'{outputs.current_a:.1f} A' if outputs.pilot_mode is PilotMode.PWM else 'nothing'
        flags = self._flags()
        names = [name for name in ErrorFlags.__dataclass_fields__ if getattr(flags, name)]
        drawn = max(self.world.currents_a)
        return {
            'state': 'working' if self.running else 'booting',
            'pilot': self._pilot.name,
            'output': f'{outputs.pilot_mode.name}, offers {offered}',
            'coil': 'on' if self.coil else 'off',
            'relay': 'closed' if self.world.contactor.closed else 'open',
            'lock': self.seen.lock.name.lower(),
            'EV': 'none' if self.world.ev is None else f'draws {math.floor(drawn + 0.5)} A',
            'errors': ' '.join(names) or 'none',
        }
