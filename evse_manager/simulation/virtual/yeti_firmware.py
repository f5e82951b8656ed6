"""
The controller of a Yeti board in software, speaking COBS and protobuf.

It decides nothing about the contactor: it obeys, and only its protection opens by itself, so that a host that
reacts too late is found out.  What the hardware reference leaves open is assumed: states are told when they
change and again each second with the keep-alive (``tells_once`` takes the second away), and a host that is
silent for 5 s loses its outputs (``no_watchdog`` takes that away).
"""

import math
from collections.abc import Mapping
from dataclasses import replace
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
    Parser,
    PilotState,
    PilotVoltages,
    PowerMeter,
    Proximity,
    Relay,
    ResetDone,
    ResetOrder,
    ThreePhases,
    frame,
)
from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ControlPilotState,
    LockState,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.pilot import current
from evse_manager.interface.types import Powermeter
from evse_manager.simulation.scheduler import Event
from evse_manager.simulation.virtual.board import Value, VirtualBoard
from evse_manager.simulation.world import WorldSettings

SOFTWARE = '2.1'
BOOT_S = 0.15
PERIOD_S = 1.0
WATCHDOG_S = 5.0
USER, WATCHDOG = 0, 1
X1, F = 10_000, 0

_PILOT = {
    ControlPilotState.A: 0,
    ControlPilotState.B: 1,
    ControlPilotState.C: 2,
    ControlPilotState.D: 3,
    ControlPilotState.E: 4,
    ControlPilotState.F: 5,
}
_CABLE = {13.0: 1, 20.0: 2, 32.0: 3, 63.0: 4}
_CABLE_FAULT = 5
_LOCK = {LockState.UNLOCKED: 1, LockState.LOCKED: 2}
_RCD = {BoardErrorEnum.RCD_AC, BoardErrorEnum.RCD_DC}
_RCD_FAULTS = {'rcd_ac', 'rcd_dc', 'rcd_self_test'}
_LOCK_ERRORS = {
    BoardErrorEnum.LOCK_FAILED_TO_LOCK,
    BoardErrorEnum.LOCK_FAILED_TO_UNLOCK,
    BoardErrorEnum.LOCK_UNEXPECTEDLY_OPEN,
}


class VirtualYeti(VirtualBoard):
    """See the module's description."""

    name: ClassVar[str] = 'yeti'
    baud_rate: ClassVar[int] = 115_200
    faults: ClassVar[Mapping[str, str]] = {
        'tells_once': 'States are told only when they change, until cleared.',
        'no_watchdog': 'A silent host keeps its outputs, until cleared.',
        'no_keep_alive': 'The board sends everything but keep-alives, until cleared.',
        'deaf': 'The board hears nothing, until cleared.',
    }
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
        self.frames_received = 0
        self.closings = 0
        """How often the contactor was ordered to close."""
        self._reason = USER
        self._reset()

    def _reset(self) -> None:
        self.forget_timers()
        self.running = False
        self._parser = Parser(FROM_HOST)
        self._allow = False
        self._duty = X1
        self._lock: bool | None = None
        self._phases = 0
        self._told: dict[type, BoardMessage] = {}
        self._heart: Event | None = None

    # --- life -------------------------------------------------------------------------------------

    def power_up(self) -> None:
        """Start without outputs, tell so, and then everything."""
        self._reset()
        self._drive()
        self.after(BOOT_S, self._work)

    def _work(self) -> None:
        self.running = True
        self.send(frame(ResetDone(self._reason)))
        self._reason = WATCHDOG
        self._feed()
        self._beat()

    def _beat(self) -> None:
        """Tell all, once a second."""
        self.after(PERIOD_S, self._beat)
        if 'no_keep_alive' not in self.own_faults:
            self.send(frame(self._keep_alive()))
        if 'tells_once' not in self.own_faults:
            self._told.clear()
        self.react()
        levels = self.world.levels
        high, low = (round(each * 1000.0) & 0xFFFF_FFFF for each in (levels.high_v, levels.low_v))
        self.send(frame(PilotVoltages(high, low)))
        sample = self.world.take_sample()
        if sample is not None:
            self.send(frame(self._measured(sample)))

    def _keep_alive(self) -> KeepAlive:
        settings = self.world.settings
        return KeepAlive(
            time_stamp=int(self.now),
            hw_type=1,
            hw_revision=2,
            protocol_major=2,
            software=SOFTWARE,
            max_current_a=float(self.told('max_current', str(settings.max_current_a))),
            min_current_a=settings.min_current_a,
            max_phases=settings.phases,
            min_phases=1,
            switches_phases=settings.phases == 3,
        )

    def _measured(self, sample: Powermeter) -> PowerMeter:
        volts, amperes, power = sample.voltage_v, sample.current_a, sample.power_w
        energy, hertz = sample.energy_wh_import, sample.frequency_hz
        assert volts is not None
        assert amperes is not None
        assert power is not None
        assert hertz is not None
        celsius = float(self.told('temperature', str(self.world.enclosure.temperature_c)))
        return PowerMeter(
            time_stamp=int(self.now),
            v_l1=volts.l1 or 0.0,
            v_l2=volts.l2 or 0.0,
            v_l3=volts.l3 or 0.0,
            a_l1=amperes.l1 or 0.0,
            a_l2=amperes.l2 or 0.0,
            a_l3=amperes.l3 or 0.0,
            a_n=amperes.n or 0.0,
            wh_l1=energy.l1 or 0.0,
            wh_l2=energy.l2 or 0.0,
            wh_l3=energy.l3 or 0.0,
            wh_total=float(self.told('energy', str(energy.total))),
            c_l1=celsius,
            w_l1=power.l1 or 0.0,
            w_l2=power.l2 or 0.0,
            w_l3=power.l3 or 0.0,
            hz_l1=hertz.l1 or 0.0,
            hz_l2=hertz.l2 or 0.0,
            hz_l3=hertz.l3 or 0.0,
            phase_seq_error=bool(sample.phase_seq_error),
        )

    # --- the line ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes of the host; while starting, and when deaf, they are lost."""
        if not self.running or 'deaf' in self.own_faults:
            return
        for message in self._parser.feed(data):
            self.frames_received += 1
            self._feed()
            self._obey(message)
            if isinstance(message, ResetOrder):
                return
            self._drive()
            self.settle()

    def _obey(self, message: HostMessage) -> None:
        match message:
            case AllowPower(allow):
                self.closings += allow and not self._allow
                self._allow = allow
            case Duty(duty):
                self._duty = min(duty, X1)
            case Lock(lock):
                self._lock = lock
            case ThreePhases(three):
                self._phases = 3 if three else 1
            case ResetOrder():
                self._reason = USER
                self.power_up()

    def _feed(self) -> None:
        """Hear the host's heart."""
        if self._heart is not None:
            self._heart.cancel()
        self._heart = self.after(WATCHDOG_S, self._starve)

    def _starve(self) -> None:
        if 'no_watchdog' not in self.own_faults:
            self._allow = False
            self._duty = X1
            self._drive()

    # --- the board --------------------------------------------------------------------------------

    def react(self) -> None:
        """Tell what has changed."""
        if not self.running:
            return
        self._drive()
        for message in self._states():
            if self._told.get(type(message)) != message:
                self._told[type(message)] = message
                self.send(frame(message))

    def _states(self) -> tuple[BoardMessage, ...]:
        seen = self.seen
        cable = 0
        if seen.proximity is ProximityState.INVALID:
            cable = _CABLE_FAULT
        elif seen.cable_ampacity_a is not None:
            cable = _CABLE[seen.cable_ampacity_a]
        return (
            PilotState(int(self.told('pilot', str(_PILOT[seen.cp_state])))),
            Relay(bool(int(self.told('relay', str(int(self.world.contactor.closed)))))),
            self._flags(),
            Proximity(int(self.told('proximity', str(cable)))),
            LockPosition(int(self.told('lock', str(_LOCK.get(seen.lock, 0))))),
        )

    def _flags(self) -> ErrorFlags:
        errors = {error.code for error in self.seen.errors}
        return ErrorFlags(
            diode=BoardErrorEnum.DIODE_FAULT in errors,
            rcd_self_test=BoardErrorEnum.RCD_SELF_TEST in errors,
            rcd=bool(errors & _RCD),
            ventilation=self.seen.cp_state is ControlPilotState.D,
            lock=bool(errors & _LOCK_ERRORS),
            pilot=BoardErrorEnum.PILOT_FAULT in errors,
            over_current=BoardErrorEnum.OVER_CURRENT in errors,
        )

    def _drive(self) -> None:
        """Set the outputs; unplugging ends what the residual current device has latched."""
        duty = self._duty
        mode = PilotMode.F if duty == F else PilotMode.X1 if duty >= X1 else PilotMode.PWM
        outputs = Outputs(
            pilot_mode=mode,
            duty_cycle_percent=duty / 100.0 if mode is PilotMode.PWM else 100.0,
            current_a=current(duty / 100.0),
            power=self._allow,
            lock=self._lock,
            phases=self._phases,
            rcd_resets=self.world.outputs.rcd_resets,
        )
        tripped = (_RCD | {BoardErrorEnum.RCD_SELF_TEST}) & self.world.protection.errors
        causes = _RCD_FAULTS & set(self.world.active_faults)
        if self.seen.cp_state is ControlPilotState.A and tripped and not causes:
            outputs = replace(outputs, rcd_resets=outputs.rcd_resets + 1)
        if outputs != self.world.outputs:
            self.world.set_outputs(outputs)

    def chatter(self) -> bytes:
        """Return a frame that tells the pilot's voltages."""
        return frame(PilotVoltages(9000, 2**32 - 12_000))

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
            'pilot': self.seen.cp_state.name,
            'output': f'{outputs.pilot_mode.name}, offers {offered}',
            'relay': 'closed' if self.world.contactor.closed else 'open',
            'lock': self.seen.lock.name.lower(),
            'EV': 'none' if self.world.ev is None else f'draws {math.floor(drawn + 0.5)} A',
            'errors': ' '.join(names) or 'none',
        }
