"""
The simulated world around one connector: board hardware, cable, EV and meter.

It has a clock of its own in seconds and moves only on request: ``advance`` lets everything happen up to a
time, and stops where something that a board node can see has changed.  The same seed, the same calls at the
same times: the same world, to the last digit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from random import Random

from evse_manager.board.controller import PERIOD_WITH_POWER_S
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ControlPilotState,
    LinkState,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.parameters import check, parameter
from evse_manager.interface.types import BoardError, Powermeter, Telemetry, Time
from evse_manager.simulation.contactor import SELF_TEST_S, Contactor
from evse_manager.simulation.enclosure import Enclosure
from evse_manager.simulation.ev import ElectricVehicle
from evse_manager.simulation.faults import FAULTS, SimulationError, named
from evse_manager.simulation.lock import ConnectorLock
from evse_manager.simulation.meter import Meter, Phases
from evse_manager.simulation.pilot import FILTER_S, Generator, Levels, Load, levels, read
from evse_manager.simulation.profiles import PROFILES, EvProfile
from evse_manager.simulation.protection import Protection
from evse_manager.simulation.scheduler import Event, Scheduler

FIRMWARE = 'simulated 1.0'
NOISE_HALF_PERIOD_S = 0.025
"""Pilot noise of 20 Hz (catalogue F8)."""

METER_JUMP_WH = 100_000.0
WATCHDOG_S = 3.0
"""Without a word from its node for this long the simulated board withdraws power."""

SAMPLE_PERIOD_S = 4 * PERIOD_WITH_POWER_S
"""Samples come together with every fourth board state, so that both nodes wake once for both."""

EXTRA_SAMPLE_S = 1.0
"""With a long sample period the meter also samples so long after each movement of the contactor."""

STEP_RESOLUTION_S = 0.01
"""The steps of the charging curve are found no more precisely than this."""

LONGEST_EV_DELAY_S = 3600.0
SHORTEST_FLAP_S = 0.01
"""Most state changes of an EV per second; a faster one would take all the processor time."""

AMPACITIES_A = (13.0, 20.0, 32.0, 63.0)
"""Ampacities that the resistors of cables can code (docs/sources.md, proximity)."""

NO_CURRENT: Phases = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """The settings of the world; the fields are parameters of the ``simulated`` driver."""

    seed: int = parameter(
        1, 'Seed of everything that is random in the simulated world.', minimum=0, maximum=2**31 - 1
    )
    max_current_a: float = parameter(
        32.0, 'Most current per phase that the simulated board carries.', unit='A', minimum=6.0, maximum=80.0
    )
    min_current_a: float = parameter(
        6.0, 'Least current per phase that the simulated board offers.', unit='A', minimum=6.0, maximum=80.0
    )
    phases: int = parameter(3, 'Phases of the simulated board.', choices=(1, 3))
    voltage_v: float = parameter(230.0, 'Nominal voltage to neutral.', unit='V', minimum=80.0, maximum=300.0)
    ambient_c: float = parameter(
        25.0, 'Temperature of the surroundings.', unit='°C', minimum=-40.0, maximum=60.0
    )
    sample_period_s: float = parameter(
        SAMPLE_PERIOD_S,
        'How often meter and sensors report.',
        unit='s',
        minimum=0.1,
        maximum=3600.0,
    )
    meter_register_wh: float = parameter(
        0.0, 'What the meter shows at the start.', unit='Wh', minimum=0.0, maximum=1e9
    )
    ev_profile: str = parameter(
        'default', 'The EV that is plugged in when none is named.', choices=tuple(PROFILES)
    )

    def __post_init__(self) -> None:
        """Check every value against its range."""
        for spec in fields(self):
            check(spec, getattr(self, spec.name))


class World:
    """
    See the module's description; every method acts at ``now``.

    It is large because board, cable, car and faults meet here; the physics of each part is in a module of its
    own.
    """

    def __init__(
        self,
        settings: WorldSettings | None = None,
        start: float = 0.0,
        wall: Callable[[float], Time] | None = None,
        *,
        protected: bool = True,
    ) -> None:
        """
        Begin at ``start`` seconds without an EV; ``wall`` returns the UTC time stamp of a moment.

        Without ``protected`` the board's firmware is the only protection: neither a self-test nor a trip of
        the hardware keeps the contactor from following its drive, and it moves without a delay for the test.
        """
        self.settings = settings or WorldSettings()
        self.now = start
        self.ev: ElectricVehicle | None = None
        self.outputs = Outputs()
        """The outputs of the board at this moment."""
        self._wall = wall or (lambda seconds: Time(round(seconds * 1e9)))
        self._random = Random(self.settings.seed)
        self._scheduler = Scheduler()
        clock: Callable[[], float] = lambda: self.now  # noqa: E731
        self._protected = protected
        self.contactor: Contactor = Contactor(
            self._scheduler,
            clock,
            self._contactor_moved,
            self._self_test,
            SELF_TEST_S if protected else 0.0,
        )
        self.lock: ConnectorLock = ConnectorLock(self._scheduler, clock, self._touch)
        self.protection: Protection = Protection(self._scheduler, clock, self._tripped)
        self.enclosure: Enclosure = Enclosure(self.settings.ambient_c)
        self.meter: Meter = Meter(self._random, self.settings.voltage_v, self.settings.meter_register_wh)
        tolerance = self._random.uniform(-0.01, 0.01)
        self._generator = Generator(
            12.0 * (1.0 + tolerance), -12.0 * (1.0 + tolerance), 1000.0 * (1.0 - tolerance)
        )
        self.diode_missing = False
        self.pilot_shorted = False
        self.proximity_broken = False
        self.self_test_fails = False
        self.meter_silent = False
        self.draws_too_much = False
        self._faults: set[str] = set()
        self._noisy = False
        self._noise_high = False
        self._noise: Event | None = None
        self._ampacity_a: float | None = 32.0
        self._link = LinkState.UP
        self._watchdog: Event | None = None
        self._resets = 0
        self._phases = self.settings.phases
        self._cp_state = ControlPilotState.A
        self._out_of_window: Event | None = None
        self._pilot_fault = False
        self._currents: Phases = NO_CURRENT
        self._step: Event | None = None
        self._mains = False
        self._missed_samples = 0
        self._sample: Powermeter | None = None
        self._telemetry: Telemetry | None = None
        self._stale = True
        self._observation = Observation()
        self._handed_out: Observation | None = None
        self._scheduler.at(start, self._report)
        self._settle()

    # --- time ----------------------------------------------------------------------------------------

    def next_event(self) -> float | None:
        """Return when something happens by itself next."""
        return self._scheduler.next_time()

    def advance(self, to: float) -> bool:
        """
        Let everything happen up to ``to``, but no further than the first visible change.

        Returns whether it stopped early: then ``observe`` has something, and ``advance`` has to be called
        again.
        """
        while (event := self._scheduler.next_time()) is not None and event <= to:
            self._pass_time(event)
            self._scheduler.run_next()
            self._settle()
            if self._observation != self._handed_out:
                return True
        self._pass_time(to)
        return self._observation != self._handed_out

    def observe(self) -> Observation | None:
        """Return the observation of a board node, ``None`` when it is unchanged."""
        if self._observation == self._handed_out:
            return None
        self._handed_out = self._observation
        return self._observation

    def take_sample(self) -> Powermeter | None:
        """Return the meter's newest sample once."""
        sample, self._sample = self._sample, None
        return sample

    def take_telemetry(self) -> Telemetry | None:
        """Return the newest reading of the sensors once."""
        telemetry, self._telemetry = self._telemetry, None
        return telemetry

    def plan(self, at: float, action: Callable[[], None]) -> None:
        """Plan an action of people or scripts for a time."""
        self._scheduler.at(at, action)

    def protect(self, protected: bool) -> None:
        """Let hardware protect beside the firmware from now on, or no longer; see ``__init__``."""
        self._protected = protected
        self.contactor.self_test_s = SELF_TEST_S if protected else 0.0

    # --- what a board node does -------------------------------------------------------------------------

    def set_outputs(self, outputs: Outputs) -> None:
        """Take new outputs; nothing arrives while the line is cut."""
        if self._link is not LinkState.UP:
            return
        before, self.outputs = self.outputs, outputs
        if outputs.power is not before.power:
            self.contactor.order(outputs.power and not self._blocked)
        if outputs.lock is not None:
            self.lock.order(outputs.lock)
        if outputs.phases and not self.contactor.closed:
            self._phases = min(outputs.phases, self.settings.phases)
        if outputs.rcd_resets > before.rcd_resets:
            self.protection.reset_rcd(self.self_test_fails)
        if (outputs.pilot_mode, outputs.duty_cycle_percent) != (before.pilot_mode, before.duty_cycle_percent):
            self._pilot_changed()
        self._touch()
        self._settle()

    # --- what people do -----------------------------------------------------------------------------------

    def plug_in(self, profile: EvProfile | str = '', **changes: float) -> ElectricVehicle:
        """
        Plug an EV in, by name (empty: the one of the settings) or with values of its own.

        ``changes`` are fields of its profile, as ``soc_percent=20.0``.  Raises SimulationError for an unknown
        name, impossible values, or when an EV is plugged in already.
        """
        if self.ev is not None:
            raise SimulationError('An EV is plugged in already; unplug it first.')
        if isinstance(profile, str):
            profile = profile_named(profile or self.settings.ev_profile)
        profile = replace(profile, **changes)  # type: ignore[arg-type]  # phases is an int
        _check_profile(profile)
        self.ev = ElectricVehicle(profile, self._scheduler, lambda: self.now, self._touch, self._random)
        self.ev.diode = not self.diode_missing
        self.ev.ventilation = 'ventilation' in self._faults
        self.ev.mains_changed(self._mains)
        self._pilot_changed()
        self._touch()
        self._settle()
        return self.ev

    def unplug(self) -> None:
        """Pull the plug at the car, even under load."""
        ev = self._plugged('unplug')
        ev.leave()
        self.ev = None
        self._touch()
        self._settle()

    def ev_pause(self) -> None:
        """Let the EV want no power."""
        self._plugged('pause').pause()
        self._settle()

    def ev_resume(self) -> None:
        """Let the EV want power again."""
        self._plugged('resume').resume()
        self._settle()

    def set_proximity(self, ampacity_a: float) -> None:
        """
        Change the cable's coding; 0 is a cable without a resistor.

        Raises SimulationError for a current that no resistor codes.
        """
        if ampacity_a not in (0.0, *AMPACITIES_A):
            raise SimulationError(f'ampacity_a is {ampacity_a:g}, but must be 0 (none), 13, 20, 32 or 63.')
        self._ampacity_a = ampacity_a or None
        self._touch()
        self._settle()

    @property
    def active_faults(self) -> tuple[str, ...]:
        """Return the names of the faults that are injected."""
        return tuple(name for name in FAULTS if name in self._faults)

    def has(self, fault: str) -> bool:
        """Return whether a fault is injected."""
        return fault in self._faults

    def inject(self, name: str) -> None:
        """
        Inject a fault by name; again changes nothing.

        Raises SimulationError with the list of known names.
        """
        fault = named(name)
        if not fault.momentary:
            self._faults.add(name)
        fault.set(self, True)
        self._faults_changed()

    def clear(self, name: str = '') -> None:
        """Clear a fault by name, or all of them; raises SimulationError with the list of known names."""
        for each in (name,) if name else self.active_faults:
            fault = named(each)
            if each in self._faults:
                self._faults.discard(each)
                fault.set(self, False)
        self._faults_changed()

    # --- hooks of the faults -------------------------------------------------------------------------------

    def set_noise(self, active: bool) -> None:
        """Begin or end the noise on the pilot."""
        self._noisy = active
        if self._noise is not None:
            self._noise.cancel()
            self._noise = None
        if active:
            self._flip_noise()

    def set_ventilation(self, active: bool) -> None:
        """Let the EV ask for ventilation, or no longer."""
        if self.ev is not None:
            self.ev.need_ventilation(active)

    def set_meter_jump(self, active: bool) -> None:
        """Let the meter's register jump, or fall back."""
        self.meter.offset_wh = METER_JUMP_WH if active else 0.0

    def cut_link(self, cut: bool) -> None:
        """Cut or restore the line to the board."""
        self._link = LinkState.LOST if cut else LinkState.UP
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if cut:
            self._watchdog = self._scheduler.at(self.now + WATCHDOG_S, self._lose_outputs)

    def reset_board(self, active: bool) -> None:
        """Restart the board."""
        if active:
            self._resets += 1
            self._lose_outputs()

    # --- inside ------------------------------------------------------------------------------------------

    @property
    def currents_a(self) -> Phases:
        """Return the current of each phase."""
        return self._currents

    @property
    def levels(self) -> Levels:
        """Return the voltages on the pilot."""
        return levels(self.outputs.pilot_mode, self._generator, self._load())

    def _plugged(self, purpose: str) -> ElectricVehicle:
        if self.ev is None:
            raise SimulationError(f'There is no EV to {purpose}; plug one in first.')
        return self.ev

    def _touch(self) -> None:
        self._stale = True

    def _pass_time(self, to: float) -> None:
        """Integrate up to ``to``; everything is steady until then."""
        seconds = to - self.now
        if seconds <= 0.0:
            return
        if self._currents is not NO_CURRENT:
            energy = self.meter.integrate(self._currents, seconds)
            if self.ev is not None:
                self.ev.took(energy)
        self.enclosure.advance(max(self._currents), seconds)
        self.now = to

    def _settle(self) -> None:
        """Bring everything in line after something happened."""
        while self._stale:
            self._stale = False
            if self.contactor.closed is not self._mains:
                self._mains = self.contactor.closed
                if self.ev is not None:
                    self.ev.mains_changed(self._mains)
            self._read_pilot()
            self._let_flow()
            self._observation = self._look()

    def _let_flow(self) -> None:
        """Work out the currents and plan the next step of the charging curve."""
        current_a = self.ev.current_a if self.ev is not None and self._mains else 0.0
        limit_a = self.outputs.over_current_limit_a or self.settings.max_current_a
        if self.draws_too_much and current_a > 0.0:
            current_a = 2.0 * limit_a
        currents = NO_CURRENT
        if self.ev is not None and current_a > 0.0:
            phases = min(self._phases, self.ev.profile.phases)
            currents = (current_a, current_a if phases > 1 else 0.0, current_a if phases > 2 else 0.0)
        if self._protected:
            self.protection.watch_current(current_a, limit_a)
        if currents != self._currents or self._step is None:
            self._currents = currents
            self._plan_step()

    def _plan_step(self) -> None:
        if self._step is not None:
            self._step.cancel()
            self._step = None
        power_w = sum(u * i for u, i in zip(self.meter.voltages_v, self._currents))
        if self.ev is not None and power_w > 0.0:
            missing_wh = self.ev.energy_to_next_step_wh()
            seconds = max(missing_wh / power_w * 3600.0, STEP_RESOLUTION_S)
            self._step = self._scheduler.at(self.now + seconds, self._come_to_step)

    def _come_to_step(self) -> None:
        """Look whether the charging curve goes down; the voltage may have let it come early or late."""
        self._step = None
        if self.ev is not None:
            self.ev.charged_a_step()
        self._touch()

    def _load(self) -> Load:
        if self.pilot_shorted:
            return Load(0.0, diode=False)
        if self.ev is None:
            return Load()
        if self._noisy:
            return self.ev.load_in(ControlPilotState.C if self._noise_high else ControlPilotState.B)
        return self.ev.load

    def _pilot_changed(self) -> None:
        if self.ev is not None:
            self.ev.pilot_changed(self.outputs.pilot_mode, self.outputs.duty_cycle_percent)

    def _read_pilot(self) -> None:
        """Let the board read the pilot, with its filter and its memory of diode faults."""
        reading = read(self.outputs.pilot_mode, self.levels)
        if reading.diode_fault and BoardErrorEnum.DIODE_FAULT not in self.protection.errors:
            self.protection.latch(BoardErrorEnum.DIODE_FAULT)
        if reading.state is None:
            if self._out_of_window is None and not self._pilot_fault:
                self._out_of_window = self._scheduler.at(self.now + FILTER_S, self._give_up_on_pilot)
            return
        if self._out_of_window is not None:
            self._out_of_window.cancel()
            self._out_of_window = None
        self._pilot_fault = False
        self._cp_state = reading.state
        if reading.state is ControlPilotState.A:
            self.protection.unplugged()

    def _give_up_on_pilot(self) -> None:
        self._out_of_window = None
        self._pilot_fault = True
        self._touch()

    def _flip_noise(self) -> None:
        self._noise_high = not self._noise_high
        self._noise = self._scheduler.at(self.now + NOISE_HALF_PERIOD_S, self._flip_noise)
        self._touch()

    def _contactor_moved(self) -> None:
        if self.settings.sample_period_s > EXTRA_SAMPLE_S:
            self._scheduler.at(self.now + EXTRA_SAMPLE_S, self._measure)
        self._touch()

    def _self_test(self) -> bool:
        if self.self_test_fails and self._protected:
            self.protection.latch(BoardErrorEnum.RCD_SELF_TEST)
        return not self._blocked

    @property
    def _blocked(self) -> bool:
        return self._protected and self.protection.blocks

    def _tripped(self) -> None:
        if self._protected:
            self.contactor.trip()
        self._touch()

    def _lose_outputs(self) -> None:
        self.contactor.order(False)
        self.outputs = replace(Outputs(), rcd_resets=self.outputs.rcd_resets)
        self._pilot_changed()
        self._touch()

    def _faults_changed(self) -> None:
        if self.ev is not None:
            self.ev.diode = not self.diode_missing
        self._touch()
        self._settle()

    def _report(self) -> None:
        """Sample meter and sensors, and let the voltages drift."""
        self._scheduler.at(self.now + self.settings.sample_period_s, self._report)
        self._measure()
        self.meter.wander()
        if self._link is LinkState.UP:
            self._telemetry = Telemetry(
                temperature_c=self.enclosure.temperature_c,
                fan_rpm=self.enclosure.fan_rpm,
                supply_voltage_12v_v=self._generator.positive_v,
                supply_voltage_minus_12v_v=self._generator.negative_v,
                rcd_current_ma=self.protection.residual_ma,
                relais_on=self.contactor.closed,
            )
        if self.protection.watch_temperature(self.enclosure.temperature_c):
            self._touch()

    def _measure(self) -> None:
        missed = self._missed_samples
        self._missed_samples = missed + 1 if self.meter_silent else 0
        if not self.meter_silent and self._link is LinkState.UP:
            self._sample = self.meter.sample(self._currents, self._wall(self.now))
        if self._missed_samples == 2 or (missed >= 2 and not self._missed_samples):
            self._touch()

    def _look(self) -> Observation:
        """Return the observation of a board node; behind a cut line it is the last one."""
        if self._link is not LinkState.UP:
            return replace(self._observation, link=self._link)
        outputs = self.outputs
        pwm = outputs.pilot_mode is PilotMode.PWM
        proximity, ampacity = self._proximity()
        return Observation(
            link=self._link,
            cp_state=self._cp_state,
            pilot_mode=outputs.pilot_mode,
            duty_cycle_percent=outputs.duty_cycle_percent if pwm else 100.0,
            current_a=outputs.current_a if pwm else 0.0,
            contactor=self.contactor.feedback,
            lock=self.lock.state,
            proximity=proximity,
            cable_ampacity_a=ampacity,
            phases=self._phases,
            errors=self._errors(),
            resets=self._resets,
            firmware=FIRMWARE,
        )

    def _proximity(self) -> tuple[ProximityState, float | None]:
        if self.proximity_broken:
            return ProximityState.INVALID, None
        if self.ev is None or self._ampacity_a is None:
            return ProximityState.NO_PLUG, None
        return ProximityState.PLUG, self._ampacity_a

    def _errors(self) -> tuple[BoardError, ...]:
        codes = set(self.protection.errors)
        if self._pilot_fault:
            codes.add(BoardErrorEnum.PILOT_FAULT)
        if self.contactor.weld_seen:
            codes.add(BoardErrorEnum.CONTACTOR_WELDED)
        if self.lock.error is not None:
            codes.add(self.lock.error)
        if self.proximity_broken:
            codes.add(BoardErrorEnum.PROXIMITY_FAULT)
        if self._missed_samples >= 2:
            codes.add(BoardErrorEnum.METER_FAULT)
        return tuple(BoardError(code) for code in sorted(codes))


def profile_named(name: str) -> EvProfile:
    """Return the EV of a name; raises SimulationError with the list of known names."""
    if name not in PROFILES:
        raise SimulationError(f'There is no EV profile {name!r:.60}; choose one of: {", ".join(PROFILES)}.')
    return PROFILES[name]


def _check_profile(profile: EvProfile) -> None:
    """Refuse an EV that can't exist."""
    limits = {
        'max_current_a': (1.0, 80.0),
        'phases': (1, 3),
        'soc_percent': (0.0, 100.0),
        'battery_capacity_wh': (1.0, 10_000_000.0),
        'min_current_a': (0.0, 80.0),
        'efficiency': (0.01, 1.0),
        'taper_from_percent': (0.0, 100.0),
        'draw_factor': (0.0, 10.0),
        **{each.name: (0.0, LONGEST_EV_DELAY_S) for each in fields(EvProfile) if each.name.endswith('_s')},
    }
    for name, (low, high) in limits.items():
        value = getattr(profile, name)
        if not math.isfinite(value) or not low <= value <= high:
            raise SimulationError(f'{name} is {value:g}, but must lie in {low:g} to {high:g}.')
    if 0.0 < profile.flap_period_s < SHORTEST_FLAP_S:
        raise SimulationError(
            f'flap_period_s is {profile.flap_period_s:g}, but must be 0 or at least {SHORTEST_FLAP_S:g}.'
        )
