"""
The conversation with an OpenEVSE board: frames and time in, requests and observations out (hardware reference
2.1.4 to 2.1.7).

Pure: it has no port and no thread, so that it runs in lock-step with a virtual board.  The firmware runs
IEC 61851-1 by itself and starts charging whenever it is awake; so *asleep* is the state of rest here, and the
firmware is awake only as long as power is allowed.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from evse_manager.board.boards.firmware_target import FirmwareTarget, TargetTracker, whole_amperes
from evse_manager.board.boards.openevse import rapi
from evse_manager.board.boards.openevse.codes import FAULT_CODES, RESTING, faults, pilot_mode, pilot_state
from evse_manager.board.boards.openevse.heartbeat import PERIOD_S as HEARTBEAT_PERIOD_S
from evse_manager.board.boards.openevse.heartbeat import PULSE, Heartbeat
from evse_manager.board.boards.openevse.meter import OpenEvseMeter
from evse_manager.board.boards.openevse.rapi_client import TRIES, RapiClient
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.transition_steps import steps
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    PilotMode,
)
from evse_manager.interface.pilot import MINIMUM_CURRENT_A, duty_cycle
from evse_manager.interface.types import BoardError

STATE_PERIOD_S = 1.0
METER_PERIOD_S = 1.0
CAPACITY_PERIOD_S = 1.5
"""How often the current in force is read back while the board is awake; the rest is read more rarely."""

SLOW_PERIOD_S = 10.0
RARE_PERIOD_S = 30.0
MOVING_PERIOD_S = 0.1
"""How often the state is read while the relay has to open: the board does not tell by itself."""

HINT_GAP_S = 0.05
"""Unasked frames only cause a reading of the state, no more often than this."""

SETTLING_S = 0.6
"""After its self-test the board takes an EV that is plugged in for none as long as it debounces."""

LATE_WELD_S = 2.0
"""A stuck relay is told 1.6 s after the unplugging (measured): no new EV is reported before this is over."""

REPEAT_ORDER_S = 1.0
REPEAT_SLEEP_S = 4.0
"""An order that has no effect is repeated; going to sleep takes up to 3 s when the EV draws current."""

PROBE_PERIOD_S = 1.0
"""How often a board that fell silent is asked to sleep."""

RETRY_CURRENT_S = 5.0
"""After a board had accepted a wrong current it is asked so often whether it takes the right one."""

_SET_CURRENT = 'SC'
_PLUGGED = (ControlPilotState.B, ControlPilotState.C, ControlPilotState.D)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What ``$GC`` tells, in A."""

    minimum_a: int
    maximum_a: int


class OpenEvse:
    """See the module's description; every method takes the time in seconds of one clock."""

    def __init__(
        self, send: Callable[[bytes], bool], *, fallback_current_a: int, phases: int, meter: OpenEvseMeter
    ) -> None:
        """Begin without a link; ``opened`` starts the conversation."""
        self.exchange = RapiClient(send)
        self.observations: deque[Observation] = deque()
        """Every step of what is observed, oldest first."""
        self.capacity: Capacity | None = None
        self.meter = meter
        self.problem = ''
        """What is wrong with the conversation, for people."""
        self._heartbeat = Heartbeat(fallback_current_a)
        self._phases = phases
        self._wishes = TargetTracker()
        self._seen = Observation(link=LinkState.LOST)
        self._link = LinkState.LOST
        self._resets = 0
        self._firmware = ''
        self._setup: deque[Callable[[float], None]] = deque()
        self._open = False
        self._was_up = False
        self._state: rapi.State | None = None
        self._in_force_a = 0
        self._verified_a = 0
        self._current_tries = 0
        self._refused = ''
        self._refused_a = 0
        self._retry_current_at = math.inf
        self._checks_off: tuple[str, ...] = ()
        self._ordered = ''
        self._ordered_at = -math.inf
        self._probe_at = math.inf
        self._due = dict.fromkeys(('state', 'meter', 'capacity', 'heartbeat', 'settings', 'slow'), math.inf)
        self._asked = ''
        self._state_read_at = -math.inf
        self._begun = -math.inf
        self._settled_at = -math.inf
        self._closed_since_plug = False
        self._hold_until = -math.inf
        self._ticked = -math.inf

    # --- what happens ------------------------------------------------------------------------------

    def opened(self, now: float) -> None:
        """Take notice of an open port: withdraw power before anything else, then get to know the board."""
        self._open = True
        self._begin(now)

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Take notice of a lost link; nothing is known from now on."""
        self._open = port_open
        self.exchange.cancel()
        self._lose(text, now)

    def frame(self, frame: rapi.Frame, now: float) -> None:
        """Take a frame from the board."""
        if frame.name == rapi.RESET_DONE:
            self._restarted(now)
        elif frame.name == rapi.STATE_CHANGED:
            self._hint(frame.words, now)
        elif frame.name not in rapi.ASYNCHRONOUS:
            self.exchange.take(frame, now)
            if self.exchange.echoes and self._link is not LinkState.UP:
                self.problem = (
                    'own requests come back: the line is looped; check that TX and RX are not joined.'
                )
        if self._link is LinkState.LOST:
            self._probe_at = min(self._probe_at, now + HINT_GAP_S)
        self.tick(now)

    def apply(self, outputs: Outputs, now: float) -> None:
        """Make the board have these outputs; what takes power away does not wait for a reply to others."""
        if outputs.current_a != self._wishes.outputs.current_a:
            self._current_tries = 0
        self._wishes.take(outputs, now)
        if self._link is LinkState.UP and self._wish(now) is not FirmwareTarget.CHARGE:
            order = self._power_order(now)
            if order is not None:
                self._order(order, now)
        self.tick(now)

    def tick(self, now: float) -> None:
        """Do what is due: repeat, ask, order; then look whether anything has changed."""
        self._ticked = now
        if self.exchange.failed(now):
            self._lose(f'{TRIES} requests were not answered; check that the board has power.', now)
        if now >= self._hold_until:
            self._hold_until = -math.inf
        self._wishes.tick(now)
        if self._open and not self.exchange.busy:
            self._next(now)
        self._observe(now)

    def deadline(self) -> float:
        """Return when ``tick`` has something to do by itself."""
        if not self._open:
            return math.inf
        in_flight = self.exchange.deadline
        if in_flight is not None:
            times = [in_flight]
        elif self._link is LinkState.LOST:
            times = [self._probe_at]
        elif self._link is LinkState.CONNECTING:
            times = [self._settled_at]
        else:
            times = [*self._due.values(), self._retry_current_at]
            if self._ordered:
                times.append(self._ordered_at + self._patience())
        if self._hold_until > self._ticked:
            times.append(self._hold_until)
        return min(times + self._wishes.deadlines(self._ticked))

    def farewell(self) -> bytes:
        """
        Return the last bytes for a board: it sleeps, and its heartbeat is off only when that is certain.

        A heartbeat that is left on without being fed would stay missed for ever.
        """
        if self._link is not LinkState.UP or self._state is None:
            return rapi.encode('FS', 1)
        resting = self._state.state in {*RESTING, *FAULT_CODES} and not self._relay_closed
        if not resting:
            return rapi.encode('FD', 1) + rapi.encode('FS', 2)
        return rapi.encode(self._heartbeat.disarm, 1) if self._heartbeat.runs else b''

    # --- beginning and end -----------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Get to know the board; it sleeps before anything else happens."""
        self._link = LinkState.CONNECTING
        self._begun = now
        self._state = None
        self._verified_a = 0
        self._current_tries = 0
        self._refused, self._retry_current_at = '', math.inf
        self._ordered = ''
        self._heartbeat.begin()
        self._probe_at = math.inf
        self._due = dict.fromkeys(self._due, math.inf)
        self._setup = deque(
            (
                lambda now: self._ask('FS', self._slept, now),
                lambda now: self._ask('GV', self._told_version, now),
                lambda now: self._ask('GE', self._told_settings, now),
                lambda now: self._ask('GC', self._told_capacity, now),
                lambda now: self._ask(self._heartbeat.program, self._told_heartbeat, now),
                lambda now: self._ask('GS', self._told_first_state, now),
            )
        )

    def _restarted(self, now: float) -> None:
        """Take notice of the end of a self-test: the controller has forgotten everything."""
        if self._was_up:
            self._resets += 1
            self._was_up = False
            if self._link is LinkState.UP:
                self._state = rapi.State(rapi.READY, self._state.pilot if self._state else rapi.READY, 0)
                self._observe(now)
        self._settled_at = now + SETTLING_S
        self._closed_since_plug, self._hold_until = False, -math.inf
        self.exchange.cancel()
        if self._open:
            self._begin(now)

    def _lose(self, text: str, now: float) -> None:
        self.problem = self.problem or text
        self._setup.clear()
        self._link = LinkState.LOST
        self._due = dict.fromkeys(self._due, math.inf)
        self._probe_at = now + PROBE_PERIOD_S

    def _up(self, now: float) -> None:
        self._link = LinkState.UP
        self._was_up = True
        self.problem = ''
        self._due.update(meter=now, slow=now, heartbeat=now + HEARTBEAT_PERIOD_S)
        self._due.update(capacity=now + CAPACITY_PERIOD_S, settings=now + RARE_PERIOD_S)

    # --- what to ask next --------------------------------------------------------------------------------

    def _next(self, now: float) -> None:
        """Send the next request; the line is free."""
        if self._link is LinkState.LOST:
            if now >= self._probe_at:
                self._probe_at = now + PROBE_PERIOD_S
                self._ask('FS', self._answered_again, now)
            return
        if self._setup:
            if len(self._setup) > 1 or now >= self._settled_at:
                self._setup[0](now)
            return
        urgent = self._heartbeat.urgent
        if urgent is not None:
            self._ask(urgent, self._told_heartbeat, now)
            return
        if now >= self._retry_current_at:
            self._set_current(self._refused_a, now)
            return
        order = self._power_order(now)
        if order is not None:
            self._order(order, now)
            return
        due = min(self._due, key=lambda name: self._due[name])
        if self._due[due] > now:
            return
        awake = self._state is not None and self._state.state not in RESTING
        match due:
            case 'state':
                self._due['state'] = now + STATE_PERIOD_S
                self._ask('GS', self._told_state, now)
            case 'heartbeat':
                self._due['heartbeat'] = now + HEARTBEAT_PERIOD_S if self._heartbeat.runs else math.inf
                self._ask(PULSE, self._told_heartbeat, now)
            case 'meter':
                self._due['meter'] = now + METER_PERIOD_S
                self._ask('GG', self._told_meter, now)
            case 'capacity':
                self._due['capacity'] = now + (CAPACITY_PERIOD_S if awake else SLOW_PERIOD_S)
                self._ask('GC', self._told_capacity, now)
            case 'settings':
                self._due['settings'] = now + RARE_PERIOD_S
                self._ask('GE', self._told_settings, now)
            case _:
                self._due['slow'] = now + (SLOW_PERIOD_S if awake else RARE_PERIOD_S)
                self._ask('GU', self._told_energy, now)
        self._asked = due

    def _ask(self, command: str, handle: Callable[[rapi.Frame, float], bool | None], now: float) -> None:
        """Send a request; ``handle`` returns whether its reply makes sense, ``None`` to ask again later."""

        def answered(frame: rapi.Frame, now: float) -> None:
            sensible = handle(frame, now)
            if self._link is LinkState.CONNECTING and self._setup:
                self._step_of_setup(sensible, now)

        self._asked = ''
        self.exchange.begin(command, answered, now)

    def _step_of_setup(self, sensible: bool | None, now: float) -> None:
        if sensible is None:
            return
        if not sensible:
            self.problem = 'the board does not answer as an OpenEVSE does; check its firmware, and the port.'
            self._lose(self.problem, now)
            return
        self._setup.popleft()
        if not self._setup:
            self._up(now)

    # --- power ---------------------------------------------------------------------------------------------

    @property
    def _relay_closed(self) -> bool:
        return self._state is not None and bool(self._state.flags & rapi.RELAY_CLOSED)

    def _amperes(self) -> int:
        """Return the whole amperes to allow, 0 for none."""
        if self.capacity is None:
            return 0
        asked = self._wishes.outputs.current_a
        return whole_amperes(asked, self.capacity.minimum_a, self.capacity.maximum_a)

    def _wish(self, now: float) -> FirmwareTarget:
        return self._wishes.wish(now, may_charge=self._amperes() > 0 and not self._refused)

    def _power_order(self, now: float) -> str | None:
        """Return the order that brings the board nearer to the wish, ``None`` when it is there."""
        if self._state is None or self._link is not LinkState.UP or self._setup:
            return None
        state, wish = self._state.state, self._wish(now)
        if state in FAULT_CODES or state == rapi.STARTING:
            return None  # the relay is open, and another state would hide the fault
        order: str | None = None
        match wish:
            case FirmwareTarget.UNAVAILABLE:
                order = 'FD' if state != rapi.DISABLED else None
            case FirmwareTarget.CHARGE if self._verified_a != self._amperes():
                return _SET_CURRENT
            case FirmwareTarget.CHARGE:
                order = 'FE' if state in RESTING else None
            case FirmwareTarget.STOP if self._relay_closed:
                order = 'FD'
            case _:
                order = 'FS' if state != rapi.ASLEEP else None
        if order is None:
            self._ordered = ''
        elif order != self._ordered or now >= self._ordered_at + self._patience():
            return order
        return None

    def _patience(self) -> float:
        return REPEAT_SLEEP_S if self._ordered == 'FS' and self._relay_closed else REPEAT_ORDER_S

    def _order(self, order: str, now: float) -> None:
        if order == _SET_CURRENT:
            self._set_current(self._amperes(), now)
            return
        if self.exchange.busy and self._asked:
            self._due[self._asked] = now  # given up for the order, so it is asked again
        self._asked = ''
        self._ordered, self._ordered_at = order, now
        self.exchange.begin(order, self._obeyed, now, urgent=order != 'FE')

    def _obeyed(self, frame: rapi.Frame, now: float) -> None:
        self._due['state'] = -math.inf

    def _set_current(self, amperes: int, now: float) -> None:
        """Order a current; the reply tells what is in force, and it is read back once more."""
        self._retry_current_at = now + RETRY_CURRENT_S if self._refused else math.inf
        self._ask(f'SC {amperes} V', lambda frame, now: self._current_set(frame, amperes, now), now)

    def _current_set(self, frame: rapi.Frame, amperes: int, now: float) -> bool:
        in_force = rapi.numbers(frame.words[:1])
        if frame.name == 'OK' and in_force == [amperes]:
            self._ask('GC', lambda frame, now: self._current_read_back(frame, amperes, now), now)
        else:
            self._current_wrong(amperes, in_force[0] if in_force else None, now)
        return True

    def _current_read_back(self, frame: rapi.Frame, amperes: int, now: float) -> bool:
        if not self._told_capacity(frame, now) or self._in_force_a != amperes:
            self._current_wrong(amperes, self._in_force_a, now)
            return True
        self._verified_a = amperes
        self._current_tries = 0
        self._refused, self._retry_current_at = '', math.inf
        return True

    def _current_wrong(self, amperes: int, in_force: int | None, now: float) -> None:
        """Try once more, then let the board sleep: a malformed current is its maximum to this firmware."""
        self._verified_a = 0
        if in_force is not None:
            self._in_force_a = in_force
        self._current_tries += 1
        if self._current_tries >= 2:
            told = 'an unknown current is' if in_force is None else f'{in_force} A are'
            self._refused = (
                f'{amperes} A were ordered, but {told} in force; the board is kept asleep until it obeys.'
            )
            self._refused_a = amperes
            self._retry_current_at = now + RETRY_CURRENT_S

    # --- what the board tells -----------------------------------------------------------------------------

    def _hint(self, words: tuple[str, ...], now: float) -> None:
        """Take an unasked state as a reason to read it: only a numbered reply is trusted."""
        if len(words) != 4 or self._state is None or self._link is not LinkState.UP:
            return
        state, pilot, flags = (rapi.number(words[index], 16) for index in (0, 1, 3))
        if rapi.number(words[2]) != self._in_force_a:
            self._due['capacity'] = min(self._due['capacity'], now)
        if (state, pilot, flags) != (self._state.state, self._state.pilot, self._state.flags):
            self._due['state'] = min(self._due['state'], max(now, self._state_read_at + HINT_GAP_S))

    def _slept(self, frame: rapi.Frame, now: float) -> bool:
        return frame.name == 'OK'

    def _answered_again(self, frame: rapi.Frame, now: float) -> bool:
        self._begin(now)
        return True

    def _told_version(self, frame: rapi.Frame, now: float) -> bool:
        if frame.name == 'OK' and frame.words:
            self._firmware = f'OpenEVSE {" RAPI ".join(frame.words[:2])}'
        return frame.name == 'OK'

    def _told_settings(self, frame: rapi.Frame, now: float) -> bool:
        flags = rapi.number(frame.words[1], 16) if frame.name == 'OK' and len(frame.words) == 2 else None
        if flags is None:
            return False
        self._checks_off = tuple(name for flag, name in rapi.SAFETY_TESTS.items() if flags & flag)
        return True

    def _told_capacity(self, frame: rapi.Frame, now: float) -> bool:
        told = rapi.numbers(frame.words) if frame.name == 'OK' else None
        if told is None or len(told) != 4:
            return False
        minimum, hardware, in_force, maximum = told
        maximum = min(maximum, hardware)
        if not (0 < minimum <= maximum <= 80 and 0 <= in_force <= 255):
            return False
        self.capacity = Capacity(max(minimum, int(MINIMUM_CURRENT_A)), maximum)
        self._in_force_a = in_force
        if in_force > self._verified_a:
            self._verified_a = 0
        return True

    def _told_heartbeat(self, frame: rapi.Frame, now: float) -> bool:
        if self._heartbeat.told(frame, connecting=bool(self._setup)):
            self._verified_a = 0
        return True

    def _told_first_state(self, frame: rapi.Frame, now: float) -> bool | None:
        """Wait until a board that was found charging has gone to sleep."""
        sensible = self._told_state(frame, now)
        if self._relay_closed and now < self._begun + REPEAT_SLEEP_S:
            self._settled_at = now + MOVING_PERIOD_S
            return None
        return sensible

    def _told_state(self, frame: rapi.Frame, now: float) -> bool:
        state = rapi.state_of(frame.words) if frame.name == 'OK' else None
        if state is None:
            return False
        if state != self._state:
            self._ordered = ''
        was_charging = self._relay_closed
        self._state, self._state_read_at = state, now
        moving = self._relay_closed and state.state != rapi.CHARGING
        self._due['state'] = now + (MOVING_PERIOD_S if moving else STATE_PERIOD_S)
        if was_charging is not self._relay_closed:
            self._due['slow'] = min(self._due['slow'], now)
        return True

    def _told_meter(self, frame: rapi.Frame, now: float) -> bool:
        told = rapi.numbers(frame.words) if frame.name == 'OK' else None
        if told is not None and len(told) == 2:
            self.meter.currents(told[0], told[1], now)
        return True

    def _told_energy(self, frame: rapi.Frame, now: float) -> bool:
        told = rapi.numbers(frame.words) if frame.name == 'OK' else None
        if told is not None and len(told) == 2:
            self.meter.energies(told[0], told[1])
            if not self._relay_closed:
                self._due['meter'] = min(self._due['meter'], now)  # the last sample of a session counts
        self._ask('GP', self._told_temperatures, now)
        return True

    def _told_temperatures(self, frame: rapi.Frame, now: float) -> bool:
        told = rapi.numbers(frame.words) if frame.name == 'OK' else None
        self.meter.temperatures(told or [], relay_closed=self._relay_closed)
        return True

    # --- what is observed ----------------------------------------------------------------------------------

    def _observe(self, now: float) -> None:
        """Hand on what is known when it has changed, in steps that are legal."""
        seen = self._look(now)
        if seen == self._seen:
            return
        before, self._seen = self._seen, seen
        self.observations.extend(steps(before, seen))

    def _look(self, now: float) -> Observation:
        state = self._state
        if self._link is not LinkState.UP or state is None:
            return replace(self._seen, link=self._link, resets=self._resets, firmware=self._firmware)
        contactor = self._contactor(state)
        cp_state = self._cp_state(state, contactor, now)
        mode = pilot_mode(state)
        pwm = mode is PilotMode.PWM
        in_force = float(self._in_force_a)
        return Observation(
            link=self._link,
            cp_state=cp_state,
            pilot_mode=mode,
            duty_cycle_percent=duty_cycle(in_force) if pwm else 100.0,
            current_a=in_force if pwm else 0.0,
            contactor=contactor,
            phases=self._phases,
            errors=self._errors(state),
            replug_active=self._wishes.replugging,
            resets=self._resets,
            firmware=self._firmware,
        )

    def _contactor(self, state: rapi.State) -> ContactorState:
        if state.state == rapi.STUCK_RELAY:
            return ContactorState.CLOSED
        if not self._relay_closed:
            return ContactorState.OPEN
        if self.exchange.urgent and self.exchange.overdue:
            return ContactorState.UNKNOWN  # an order to open was not answered: nobody knows
        return ContactorState.CLOSED

    def _cp_state(self, state: rapi.State, contactor: ContactorState, now: float) -> ControlPilotState:
        if state.state == rapi.STARTING:
            return self._seen.cp_state
        cp_state = pilot_state(state)
        if contactor is ContactorState.CLOSED:
            self._closed_since_plug = True
        elif cp_state is ControlPilotState.A and self._closed_since_plug:
            self._closed_since_plug = False
            self._hold_until = now + LATE_WELD_S
        if cp_state in _PLUGGED and now < self._hold_until and contactor is ContactorState.OPEN:
            return ControlPilotState.A
        return cp_state

    def _errors(self, state: rapi.State) -> tuple[BoardError, ...]:
        errors = faults(state, self._checks_off)
        if self._refused:
            errors.append(BoardError(BoardErrorEnum.BAD_DATA, self._refused))
        return tuple(errors)

    def diagnostics(self) -> Mapping[str, str]:
        """Return what helps to find a fault of the conversation."""
        return {
            'firmware': self._firmware,
            'requests not answered in time': str(self.exchange.timeouts),
            'replies too late or twice': str(self.exchange.stale),
            'own requests that came back': str(self.exchange.echoes),
            'restarts of the board': str(self._resets),
            'heartbeats missed': str(self._heartbeat.misses),
        }
