"""A plugged-in electric vehicle: its resistor and its current follow the pilot."""

import math
from collections.abc import Callable
from random import Random

from evse_manager.interface.enums import ControlPilotState, PilotMode
from evse_manager.interface.pilot import current
from evse_manager.simulation.pilot import RESISTANCE_OHM, Load
from evse_manager.simulation.profiles import WAKE_BY_F_S, EvProfile
from evse_manager.simulation.scheduler import Event, Scheduler

OPEN_AFTER_S = 0.3
"""A car first ends its current and then, after this long, leaves C."""

BCB_PULSE_S = 0.3
"""Length of the pulses and pauses of a BCB toggle (docs/sources.md, timing: 200 to 400 ms)."""

RESISTOR_TOLERANCE = 0.01
FULL_PERCENT = 100.0
LEAST_TAPER = 0.1


class ElectricVehicle:
    """
    An EV on the cable.

    ``changed`` is called after every change of the resistor or of the current that comes from the car itself.

    It is large because a car has a pilot, a battery and habits, each with its own timers.
    """

    def __init__(
        self,
        profile: EvProfile,
        scheduler: Scheduler,
        clock: Callable[[], float],
        changed: Callable[[], None],
        random: Random,
    ) -> None:
        """Plug it in, with the pilot in X1 and the mains off."""
        self.profile = profile
        self.soc_percent = profile.soc_percent
        self.energy_taken_wh = 0.0
        """Energy from the outlet since it was plugged in."""
        self.current_a = 0.0
        """Current it draws per phase while the mains is on."""
        self.ventilation = False
        """Whether it needs ventilation: D instead of C, and it waits there for it."""
        self.diode = True
        self.resistance_override_ohm: float | None = None
        """A resistance that no car should have; ``None`` = the right one."""
        self._scheduler = scheduler
        self._clock = clock
        self._changed = changed
        self._tolerance = 1.0 + random.uniform(-RESISTOR_TOLERANCE, RESISTOR_TOLERANCE)
        self._in_c = not profile.has_b_state
        self._paused = False
        self._asleep = profile.asleep
        self._mains = False
        self._started = False
        self._mode = PilotMode.X1
        self._duty_percent = 100.0
        self._f_since = math.inf
        self._followed_a = 0.0
        self._reaction: Event | None = None
        self._flap: Event | None = None
        self._drawing: Event | None = None

    # --- what hangs on the pilot ---------------------------------------------------------------------

    @property
    def state(self) -> ControlPilotState:
        """Return the state that the car means to show."""
        if not self._in_c:
            return ControlPilotState.B
        return ControlPilotState.D if self.ventilation else ControlPilotState.C

    @property
    def load(self) -> Load:
        """Return the load of the car on the pilot."""
        return self.load_in(self.state)

    def load_in(self, state: ControlPilotState) -> Load:
        """Return the load of the car on the pilot in another state."""
        nominal = self.resistance_override_ohm
        if nominal is None:
            nominal = RESISTANCE_OHM[state]
        return Load(nominal * self._tolerance, self.diode)

    # --- what happens to it --------------------------------------------------------------------------

    def pilot_changed(self, mode: PilotMode, duty_percent: float) -> None:
        """See a new pilot; the reaction takes its time."""
        now = self._clock()
        if mode is PilotMode.F and self._mode is not PilotMode.F:
            self._f_since = now
        elif mode is not PilotMode.F and self._mode is PilotMode.F and now - self._f_since >= WAKE_BY_F_S:
            self._asleep = False
        self._mode, self._duty_percent = mode, duty_percent
        if not self._offered():
            self._react_in(self.profile.stop_delay_s)
        elif self._in_c:
            self._react_in(self.profile.reaction_s)
        else:
            self._react_in(self.profile.ask_delay_s)

    def mains_changed(self, on: bool) -> None:
        """See the contactor close or open."""
        self._mains = on
        self._started = False
        if self._drawing is not None:
            self._drawing.cancel()
        if on:
            self._drawing = self._after(self.profile.start_delay_s, self._start)
        self._draw()

    def pause(self) -> None:
        """Want no power: end the current, then leave C."""
        self._paused = True
        self._end()

    def resume(self) -> None:
        """Want power again, and ask for it when it is offered."""
        self._paused = False
        self._draw()
        if self._offered():
            self._react_in(self.profile.ask_delay_s)

    def need_ventilation(self, needed: bool) -> None:
        """Need ventilation, or no longer."""
        self.ventilation = needed
        if not needed and not self._offered():
            self._react_in(self.profile.stop_delay_s)

    def toggle_bcb(self, pulses: int = 1) -> None:
        """Show C for a moment from B, which asks the charger for attention but not for power."""
        for pulse in range(pulses):
            self._after(2.0 * pulse * BCB_PULSE_S, lambda: self._switch(True))
            self._after((2.0 * pulse + 1.0) * BCB_PULSE_S, lambda: self._switch(False))

    def took(self, energy_wh: float) -> None:
        """Take energy from the outlet."""
        self.energy_taken_wh += energy_wh
        gained = energy_wh * self.profile.efficiency / self.profile.battery_capacity_wh * 100.0
        self.soc_percent = min(self.soc_percent + gained, FULL_PERCENT)

    def energy_to_next_step_wh(self) -> float:
        """Return how much energy from the outlet it takes until its current changes by itself."""
        missing = (self._next_step_percent() - self.soc_percent) / 100.0
        return max(missing, 0.0) * self.profile.battery_capacity_wh / self.profile.efficiency

    def charged_a_step(self) -> None:
        """Come to the next step of the charging curve."""
        if self.soc_percent >= FULL_PERCENT - 1e-6:
            self.soc_percent = FULL_PERCENT
            self._end()
        else:
            self._draw()

    def leave(self) -> None:
        """Be unplugged: nothing planned happens any more."""
        for event in (self._reaction, self._flap, self._drawing):
            if event is not None:
                event.cancel()
        self._changed = lambda: None

    # --- behavior --------------------------------------------------------------------------------

    def _after(self, seconds: float, action: Callable[[], None]) -> Event:
        return self._scheduler.at(self._clock() + seconds, action)

    def _offered(self) -> float:
        """Return the current that the pilot offers at this moment, 0 for none that it can use."""
        offer = current(self._duty_percent) if self._mode is PilotMode.PWM else 0.0
        return offer if offer >= self.profile.min_current_a - 0.01 else 0.0

    def _wants(self) -> bool:
        return self.profile.asks and not self._asleep and not self._paused and self.soc_percent < FULL_PERCENT

    def _react_in(self, seconds: float) -> None:
        due = self._clock() + seconds
        if self._reaction is not None and self._reaction.action is not None:
            if self._reaction.time <= due:
                return
            self._reaction.cancel()
        self._reaction = self._scheduler.at(due, self._react)

    def _react(self) -> None:
        offer = self._offered()
        if offer:
            follows = self.profile.follows_reductions or offer > self._followed_a
            self._followed_a = offer if follows else self._followed_a
            if self._wants() and not self._in_c:
                self._switch(True)
            self._draw()
        elif self.profile.leaves_c and not (self.ventilation and self._in_c):
            self._followed_a = 0.0
            self.current_a = 0.0
            self._switch(False)

    def _start(self) -> None:
        self._started = True
        self._draw()

    def _draw(self) -> None:
        """Draw the minimum of the offered, wanted and possible current."""
        wanted = self._mains and self._started and self._in_c and self._wants()
        most = self.profile.max_current_a * self._taper()
        drawn = min(self._followed_a * self.profile.draw_factor, most) if wanted else 0.0
        if drawn != self.current_a:
            self.current_a = drawn
            self._changed()

    def _taper(self) -> float:
        """Return the share of the current at this state of charge, in steps of a percent."""
        start = self.profile.taper_from_percent
        if self.soc_percent < start - 1e-6:
            return 1.0
        step = math.floor(self.soc_percent + 1e-6) + 0.5
        return 1.0 - (1.0 - LEAST_TAPER) * (step - start) / max(FULL_PERCENT - start, 1.0)

    def _next_step_percent(self) -> float:
        if self.soc_percent < self.profile.taper_from_percent - 1e-6:
            return self.profile.taper_from_percent
        return min(math.floor(self.soc_percent + 1e-6) + 1.0, FULL_PERCENT)

    def _end(self) -> None:
        self.current_a = 0.0
        self._changed()
        self._after(OPEN_AFTER_S, self._leave_c_unless_wanted)

    def _leave_c_unless_wanted(self) -> None:
        if not self._wants():
            self._switch(False)

    def _switch(self, to_c: bool) -> None:
        """Close or open the switch between B and C, where the car has one."""
        if not self.profile.has_b_state:
            to_c = True
        if to_c is not self._in_c:
            self._in_c = to_c
            if not to_c:
                self.current_a = 0.0
            self._flap_later()
        self._changed()

    def _flap_later(self) -> None:
        if self._flap is not None:
            self._flap.cancel()
        if self.profile.flap_period_s and self._offered():
            self._flap = self._after(self.profile.flap_period_s, self._flap_now)

    def _flap_now(self) -> None:
        if self._in_c or (self._offered() and self._wants()):
            self._switch(not self._in_c)
            self._draw()
