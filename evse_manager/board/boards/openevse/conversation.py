"""
The conversation with an OpenEVSE board: frames and time in, requests and observations out.

Pure: it has no port and no thread, so that it runs in lock-step with a virtual board.  The firmware runs
IEC 61851-1 by itself and starts charging whenever it is awake; so *asleep* is the state of rest here, and the
firmware is awake only as long as power is allowed, and for two short looks at the contacts (``weld_check``).
What the firmware does, and what follows for the driver, is in docs/boards/openevse.md.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from evse_manager.board.boards.firmware_target import FirmwareTarget, TargetTracker, whole_amperes
from evse_manager.board.boards.openevse import codes, rapi
from evse_manager.board.boards.openevse.current import Capacity, CurrentInForce
from evse_manager.board.boards.openevse.heartbeat import PERIOD_S as HEARTBEAT_PERIOD_S
from evse_manager.board.boards.openevse.heartbeat import PULSE, Heartbeat
from evse_manager.board.boards.openevse.meter import OpenEvseMeter
from evse_manager.board.boards.openevse.rapi_client import PATIENCE_S, RapiClient
from evse_manager.board.boards.openevse.view import BoardView
from evse_manager.board.boards.openevse.weld_check import WeldCheck
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.transition_steps import steps
from evse_manager.interface.enums import BoardErrorEnum, ContactorState, LinkState, PilotMode
from evse_manager.interface.pilot import duty_cycle
from evse_manager.interface.types import BoardError

STATE_PERIOD_S = 1.0
METER_PERIOD_S = 1.0
CAPACITY_PERIOD_S = 1.5
TEMPERATURE_PERIOD_S = 2.0
"""How often an awake board is asked; one that sleeps more rarely."""

SLOW_PERIOD_S = 10.0
RARE_PERIOD_S = 30.0
MOVING_PERIOD_S = 0.1
"""How often the state is read while the relay has to open: the board does not report that unasked."""

HINT_GAP_S = 0.05
"""Unasked frames only cause a reading of the state, no more often than this."""

REPEAT_ORDER_S = 1.0
REPEAT_SLEEP_S = 4.0
"""An order that has no effect is repeated; going to sleep takes up to 3 s when the EV draws current."""

PROBE_PERIOD_S = 1.0
"""How often a board that fell silent is asked for its state."""

BUSY_S = 5.5
"""
Silence of a board that is awake and may be busy: its self-test before closing (1.1 to 4 s), or the 5 s in
which it is too hot.  One that sleeps, or charges at a moderate temperature, is lost after ``PATIENCE_S``.
"""

WARM_C = 60.0
"""From this temperature on a board that charges may become too hot (71 °C) before it is asked again."""

WAKING_S = 0.5
"""A board without an EV leaves state 00 within two loops."""

STALL_S = 2.0
"""After a gap of this length in its own time the driver knows nothing of the board any more."""


class OpenEvse:
    """See the module's description; every method takes the time in seconds of one clock."""

    def __init__(
        self, send: Callable[[bytes], bool], *, fallback_current_a: int, phases: int, meter: OpenEvseMeter
    ) -> None:
        """Begin without a link; ``opened`` starts the conversation."""
        self.exchange = RapiClient(send)
        self.observations: deque[Observation] = deque()
        """Every step of what is observed, oldest first."""
        self.meter = meter
        self.problem = ''
        """What is wrong with the conversation, for people."""
        self._phases = phases
        self._view = BoardView()
        self._current = CurrentInForce()
        self._heartbeat = Heartbeat(fallback_current_a)
        self._weld = WeldCheck()
        self._targets = TargetTracker()
        self._seen = Observation(link=LinkState.LOST)
        self._link = LinkState.LOST
        self._resets = 0
        self._was_up = False
        self._firmware = ''
        self._checks_off: tuple[str, ...] = ()
        self._open = False
        self._setup: deque[Callable[[float], None]] = deque()
        self._settled_at = -math.inf
        self._begun = -math.inf
        self._looking: float | None = None
        """Since when the board is awake for a look at its contacts, ``None`` outside of one."""
        self._ordered = ''
        self._ordered_at = -math.inf
        self._probe_at = math.inf
        self._due = dict.fromkeys(
            ('state', 'meter', 'capacity', 'heartbeat', 'settings', 'temperature', 'energy'), math.inf
        )
        self._asked = ''
        self._state_read_at = -math.inf
        self._ticked = math.inf

    # --- what happens ------------------------------------------------------------------------------

    @property
    def capacity(self) -> Capacity | None:
        """Return what the board is configured for, once it has answered."""
        return self._current.capacity

    def opened(self, now: float) -> None:
        """Take notice of an open port: read the state, let the board sleep, then get to know it."""
        self._open = True
        self._ticked = now
        self._begin(now)

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Take notice of a lost link; nothing is known from now on."""
        self._open = port_open
        self.exchange.cancel()
        self._lose(text, now)

    def frame(self, frame: rapi.Frame, now: float) -> None:
        """Take a frame from the board."""
        self._notice_stall(now)
        if frame.name == rapi.RESET_DONE:
            self._restarted(frame.words, now)
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
        self._notice_stall(now)
        if outputs.current_a != self._targets.outputs.current_a:
            self._current.new_target()
        self._targets.take(outputs, now)
        if self._link is LinkState.UP and not self._looking_now:
            if self._target(now) is not FirmwareTarget.CHARGE:
                order = self._power_order(now)
                if order is not None:
                    self._order(order, now)
            elif self._awake and self._current.exceeds(self._amperes(now)) and not self.exchange.waits(now):
                self._set_current(now)
        self.tick(now)

    def tick(self, now: float) -> None:
        """Do what is due: repeat, ask, order; then see whether anything has changed."""
        self._notice_stall(now)
        self._ticked = now
        if self.exchange.failed(now, self._patience_s(now)):
            self._lose('the board does not answer; check that it has power.', now)
        self._targets.tick(now)
        if self._view.held_until() > -math.inf and (now >= self._view.held_until() or not self._weld.pending):
            self._view.release()
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
            times = [*self._due.values(), self._current.deadline(self._current_target(self._ticked))]
            if self._may_look(self._ticked):
                times.append(self._weld.deadline())
            if self._ordered:
                times.append(self._ordered_at + self._repeat_after())
        times.append(self._view.deadline(self._ticked))
        return min(times + self._targets.deadlines(self._ticked))

    def farewell(self) -> bytes:
        """Return the last bytes for a board: it sleeps, and its heartbeat stays armed."""
        state = self._view.state
        if self._view.fault or (state is not None and codes.is_fault(state)):
            return b''  # an order would erase the fault, and the relay is open
        if self._link is not LinkState.UP or state is None:
            return rapi.encode('FS', 1)
        if state.state in codes.RESTING and not state.relay_closed:
            return b''
        return rapi.encode('FD', 1) + rapi.encode('FS', 2)

    # --- beginning and end -----------------------------------------------------------------------------

    def _begin(self, now: float, *, tested: bool = False) -> None:
        """
        Get to know the board; unless it is in a fault, it sleeps before anything else is asked.

        Its contacts are looked at first, unless it has just ``tested`` them.
        """
        self.exchange.cancel()
        self._weld = WeldCheck()
        if not tested:
            self._weld.require(now)
        self._link = LinkState.CONNECTING
        self._begun = now
        self._view.forget()
        self._current.forget()
        self._ordered = ''
        self._looking = None
        self._heartbeat.begin()
        self._settled_at = -math.inf
        self._probe_at = math.inf
        self._due = dict.fromkeys(self._due, math.inf)
        self._setup = deque(
            (
                lambda now: self._ask('GS', self._rest_first, now),
                lambda now: self._ask('GV', self._take_version, now),
                lambda now: self._ask('GE', self._take_settings, now),
                lambda now: self._ask('GC', self._take_capacity, now),
                lambda now: self._ask(PULSE, self._take_heartbeat, now),  # to count a miss
                lambda now: self._ask(self._heartbeat.program, self._take_heartbeat, now),
                lambda now: self._ask('GS', self._look_first, now),
            )
        )

    def _restarted(self, words: tuple[str, ...], now: float) -> None:
        """Take notice of the end of a self-test: the controller has forgotten everything but its EEPROM."""
        code = rapi.number(words[0], 16) if words else None
        self._reset_seen(now)
        self._view.started(code or 0)
        if self._open:
            self._begin(now, tested=True)

    def _reset_seen(self, now: float) -> None:
        if not self._was_up:
            return
        self._resets += 1
        self._was_up = False
        state = self._view.state
        if self._link is LinkState.UP and state is not None:
            self._view.take(replace(state, state=rapi.READY, flags=state.flags & rapi.EV_CONNECTED), now)
            self._observe(now)

    def _lose(self, text: str, now: float) -> None:
        self.problem = self.problem or text
        self._setup.clear()
        self._looking = None
        self._link = LinkState.LOST
        self._due = dict.fromkeys(self._due, math.inf)
        self._probe_at = now + PROBE_PERIOD_S

    def _up(self, now: float) -> None:
        self._link = LinkState.UP
        self._was_up = True
        self.problem = ''
        self._due.update(meter=now, energy=now, temperature=now, heartbeat=now + HEARTBEAT_PERIOD_S)
        self._due.update(capacity=now + CAPACITY_PERIOD_S, settings=now + RARE_PERIOD_S)

    def _notice_stall(self, now: float) -> None:
        """Begin again when the driver itself was stopped: what it knows is old; so is what has come."""
        if now > self._ticked + STALL_S and self._link is LinkState.UP:
            self._ticked = now
            self._begin(now)

    # --- what to ask next --------------------------------------------------------------------------------

    def _next(self, now: float) -> None:
        """Send the next request; the line is free."""
        if self._link is LinkState.LOST:
            if now >= self._probe_at:
                self._probe_at = now + PROBE_PERIOD_S
                self._ask('GS', self._answered_again, now)
        elif self._setup:
            if now >= self._settled_at:
                self._setup[0](now)
        elif not self._order_next(now):
            self._ask_next(now)

    def _order_next(self, now: float) -> bool:
        """Send an order that is due; return whether there is one."""
        if self._heartbeat.urgent:
            self._ask(self._heartbeat.program, self._take_heartbeat, now)
        elif (order := self._power_order(now)) is not None and order != 'FE':
            self._order(order, now)
        elif self._current.due(self._current_target(now), now):
            self._set_current(now)
        elif order is not None:
            self._order(order, now)
        elif self._may_look(now) and self._weld.due(now):
            self._look(now)
        else:
            return False
        return True

    def _ask_next(self, now: float) -> None:
        due = min(self._due, key=lambda name: self._due[name])
        if self._due[due] > now:
            return
        awake = self._awake
        match due:
            case 'state':
                command, handle, period = 'GS', self._take_state, STATE_PERIOD_S
            case 'heartbeat':
                period = HEARTBEAT_PERIOD_S if self._heartbeat.runs else math.inf
                command, handle = PULSE, self._take_heartbeat
            case 'meter':
                command, handle, period = 'GG', self._take_meter, METER_PERIOD_S
            case 'capacity':
                command, handle = 'GC', self._take_capacity
                period = CAPACITY_PERIOD_S if awake else SLOW_PERIOD_S
            case 'settings':
                command, handle, period = 'GE', self._take_settings, RARE_PERIOD_S
            case 'temperature':
                command, handle = 'GP', self._take_temperatures
                period = TEMPERATURE_PERIOD_S if awake else SLOW_PERIOD_S
            case _:
                command, handle = 'GU', self._take_energy
                period = TEMPERATURE_PERIOD_S if awake else RARE_PERIOD_S
        self._due[due] = now + period
        self._ask(command, handle, now)
        self._asked = due

    def _ask(self, command: str, handle: Callable[[rapi.Frame, float], bool | None], now: float) -> None:
        """Send a request; ``handle`` returns whether its reply makes sense, ``None`` to ask again later."""

        def answered(frame: rapi.Frame, now: float) -> None:
            sensible = handle(frame, now)
            if self._link is LinkState.CONNECTING and self._setup and not self.exchange.busy:
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
    def _awake(self) -> bool:
        state = self._view.state
        return state is not None and state.state not in codes.RESTING

    @property
    def _looking_now(self) -> bool:
        return self._looking is not None

    def _patience_s(self, now: float) -> float:
        """Return how long the board may be silent: longer only where the firmware may be busy with itself."""
        state = self._view.state
        waking = self._looking_now or self._ordered == 'FE'
        if not waking and (state is None or state.state in codes.RESTING):
            return PATIENCE_S
        charging = state is not None and state.state == rapi.CHARGING
        cool = self.meter.temperature_c is not None and self.meter.temperature_c < WARM_C
        return PATIENCE_S if charging and cool else BUSY_S

    def _amperes(self, now: float) -> int:
        """Return the whole amperes to allow, 0 for none."""
        capacity = self._current.capacity
        if capacity is None:
            return 0
        asked = self._targets.outputs.current_a
        return whole_amperes(asked, capacity.minimum_a, capacity.maximum_a)

    def _target(self, now: float) -> FirmwareTarget:
        may_charge = self._amperes(now) > 0 and not self._current.refusal and not self._view.fault
        return self._targets.wish(now, may_charge=may_charge)

    def _current_target(self, now: float) -> int:
        """Return the current that shall be in force; the least one at rest: the board may wake by itself."""
        amperes = self._amperes(now)
        if amperes and (self._current.refusal or self._target(now) is FirmwareTarget.CHARGE):
            return amperes
        return self._current.capacity.minimum_a if self._current.capacity is not None else 0

    def _power_order(self, now: float) -> str | None:
        """Return the order that brings the board nearer to the target, ``None`` when it is there."""
        state, target = self._view.state, self._target(now)
        if state is None or self._link is not LinkState.UP or self._setup or self._looking_now:
            return None
        if codes.is_fault(state) or (self._view.fault and state.state not in {rapi.CONNECTED, rapi.CHARGING}):
            return None  # the relay is open, and an order would erase the fault
        order: str | None = None
        match target:
            case FirmwareTarget.UNAVAILABLE:
                order = 'FD' if state.state != rapi.DISABLED else None
            case FirmwareTarget.CHARGE:
                rests = state.state in codes.RESTING and not state.relay_closed
                order = 'FE' if rests and self._current.may_wake(self._amperes(now)) else None
            case FirmwareTarget.STOP if state.relay_closed or (self._awake and self.exchange.waits(now)):
                order = 'FD'  # in its self-test the board may be about to close
            case _:
                order = 'FS' if state.state != rapi.ASLEEP else None
        if order is None:
            self._ordered = ''
        elif order != self._ordered or now >= self._ordered_at + self._repeat_after():
            return order
        return None

    def _repeat_after(self) -> float:
        return REPEAT_SLEEP_S if self._ordered == 'FS' and self._view.relay_closed else REPEAT_ORDER_S

    def _order(self, order: str, now: float) -> None:
        if self.exchange.busy and self._asked:
            self._due[self._asked] = now  # given up for the order, so it is asked again
        self._asked = ''
        self._ordered, self._ordered_at = order, now
        self.exchange.begin(order, self._obeyed, now, urgent=order != 'FE')

    def _obeyed(self, frame: rapi.Frame, now: float) -> None:
        self._due['state'] = -math.inf
        if self._ordered == 'FE':
            self._current.doubt()  # a board that has cooled down puts its maximum in force when it wakes
            self._set_current(now)
        else:
            self._ask('GS', self._take_state, now)

    def _set_current(self, now: float) -> None:
        """Order a current; the reply gives what is in force, and it is read back once more."""
        amperes = self._current_target(now)
        if not amperes:
            return
        if self.exchange.busy and self._asked:
            self._due[self._asked] = now

        def answered(frame: rapi.Frame, now: float) -> bool:
            if self._current.replied(frame, amperes, now):
                self._ask('GC', lambda frame, now: self._current_read_back(frame, amperes, now), now)
            return True

        self._ask(self._current.begin(amperes, now), answered, now)

    def _current_read_back(self, frame: rapi.Frame, amperes: int, now: float) -> bool:
        if not self._take_capacity(frame, now):
            self._current.in_force_a = None
        self._current.read_back(amperes, now)
        return True

    # --- looks at the contacts -----------------------------------------------------------------------------

    def _may_look(self, now: float) -> bool:
        """Return whether the board may be woken for a look: it rests, and shall rest."""
        state = self._view.state
        return (
            state is not None
            and state.state in codes.RESTING
            and not state.relay_closed
            and not self._view.fault
            and not self._targets.replugging
            and self._target(now) is not FirmwareTarget.CHARGE
        )

    def _look(self, now: float) -> None:
        self._looking = now
        self._ask('FE', lambda frame, now: self._ask('GS', self._looked, now), now)

    def _looked(self, frame: rapi.Frame, now: float) -> bool | None:
        """Let the board sleep again, unless the look has found a fault; one loop at least has gone by."""
        begun, state = self._looking, rapi.state_of(frame.words) if frame.name == 'OK' else None
        if begun is None:
            return None
        if (
            state is not None
            and state.state == rapi.STARTING
            and not state.connected
            and not state.hard_fault
        ):
            if now < begun + WAKING_S:
                self._ask('GS', self._looked, now)
                return None
            self._view.does_not_wake()
        self._current.doubt()
        if state is not None and (codes.is_fault(state) or state.hard_fault):
            self._looking = None
            return self._take_state(frame, now)
        self._weld.looked(now)
        disabled = self._target(now) is FirmwareTarget.UNAVAILABLE
        self.exchange.begin('FD' if disabled else 'FS', self._sleeps_again, now, urgent=True)
        return None

    def _sleeps_again(self, frame: rapi.Frame, now: float) -> None:
        self._ask('GS', self._look_ended, now)

    def _look_ended(self, frame: rapi.Frame, now: float) -> bool | None:
        self._looking = None
        return self._take_state(frame, now) if not self._setup else None

    # --- what the board reports ----------------------------------------------------------------------------

    def _hint(self, words: tuple[str, ...], now: float) -> None:
        """Take an unasked state as a reason to read it: only a numbered reply is trusted."""
        state = self._view.state
        if len(words) != 4:
            return
        code, pilot, flags = (rapi.number(words[index], 16) for index in (0, 1, 3))
        in_force = rapi.number(words[2])
        if code is None or pilot is None or flags is None or in_force is None:
            return
        self._view.hear(code)
        if state is None or self._link is not LinkState.UP:
            return
        if code == rapi.STARTING and in_force == 0:
            self._begins_self_test(now)
            return
        if self._looking_now:
            return
        if in_force != self._current.in_force_a:
            self._current.changed(in_force)
        if (code, pilot, flags) != (state.state, state.pilot, state.flags):
            self._due['state'] = min(self._due['state'], max(now, self._state_read_at + HINT_GAP_S))

    def _begins_self_test(self, now: float) -> None:
        """Take notice of a board that has just started: it answers when its self-test is over."""
        self._reset_seen(now)
        self.exchange.cancel()
        self._lose('the board has restarted.', now)
        self._probe_at = now + BUSY_S

    def _answered_again(self, frame: rapi.Frame, now: float) -> bool:
        self._begin(now)
        return True

    def _rest_first(self, frame: rapi.Frame, now: float) -> bool | None:
        """Let a board sleep that is in no fault, and wait until it has opened its relay."""
        if not self._take_state(frame, now):
            return False
        state = self._view.state
        assert state is not None
        if codes.is_fault(state) or self._view.fault:
            return True
        if state.state == rapi.ASLEEP and not state.relay_closed:
            return True
        if now >= self._begun + REPEAT_SLEEP_S:
            return state.state in codes.RESTING
        self._settled_at = now + MOVING_PERIOD_S
        if state.state != rapi.ASLEEP:
            self._settled_at = now
            at_once = self._was_up and state.relay_closed and self._target(now) is not FirmwareTarget.PAUSE
            self.exchange.begin('FD' if at_once else 'FS', lambda frame, now: None, now, urgent=True)
        return None

    def _look_first(self, frame: rapi.Frame, now: float) -> bool | None:
        """Look at the contacts before the board counts as known."""
        if not self._take_state(frame, now):
            return False
        if self._weld.pending and self._may_look(now) and now < self._begun + REPEAT_SLEEP_S + BUSY_S:
            self._settled_at = self._weld.deadline()
            if self._weld.due(now):
                self._look(now)
            return None
        return True

    def _take_version(self, frame: rapi.Frame, now: float) -> bool:
        if frame.name == 'OK' and frame.words:
            self._firmware = f'OpenEVSE {" RAPI ".join(frame.words[:2])}'
        return frame.name == 'OK'

    def _take_settings(self, frame: rapi.Frame, now: float) -> bool:
        flags = rapi.number(frame.words[1], 16) if frame.name == 'OK' and len(frame.words) == 2 else None
        if flags is None:
            return False
        self._checks_off = tuple(name for flag, name in rapi.SAFETY_TESTS.items() if flags & flag)
        return True

    def _take_capacity(self, frame: rapi.Frame, now: float) -> bool:
        return self._current.take_capacity(frame)

    def _take_heartbeat(self, frame: rapi.Frame, now: float) -> bool:
        if self._heartbeat.replied(frame, connecting=bool(self._setup)):
            self._current.doubt()
            self._due['capacity'] = now
        return True

    def _take_state(self, frame: rapi.Frame, now: float) -> bool:
        state = rapi.state_of(frame.words) if frame.name == 'OK' else None
        if state is None:
            return False
        before, fault = self._view.state, self._view.fault
        if state != before:
            self._ordered = ''
        was_closed = self._view.relay_closed
        self._view.take(state, now)
        self._state_read_at = now
        moving = state.relay_closed and state.state != rapi.CHARGING
        self._due['state'] = now + (MOVING_PERIOD_S if moving else STATE_PERIOD_S)
        if was_closed is not state.relay_closed:
            self._due['energy'] = min(self._due['energy'], now)
        tripped = before is not None and state.flags & ~before.flags & rapi.RESIDUAL_TRIPPED
        if (was_closed and not state.relay_closed) or (tripped and state.state in codes.RESTING):
            self._weld.require(now)
        self._weld.awake(now, self._awake and not state.relay_closed and not codes.is_fault(state))
        if not state.connected and self._view.closed_since_plug and not state.relay_closed:
            self._view.closed_since_plug = False
            if self._weld.pending:
                self._view.hold_new_ev(now)
        if self._view.fault != fault:
            self._due['meter'] = min(self._due['meter'], now)
        return True

    def _take_meter(self, frame: rapi.Frame, now: float) -> bool:
        values = rapi.numbers(frame.words) if frame.name == 'OK' else None
        if values is not None and len(values) == 2:
            self.meter.currents(values[0], values[1])
        return True

    def _take_energy(self, frame: rapi.Frame, now: float) -> bool:
        """Take the counters if the plug is the same after them: an unplugging moves one into the other."""
        values = rapi.numbers(frame.words) if frame.name == 'OK' else None
        before = self._view.state
        if values is None or len(values) != 2 or before is None:
            return True

        def confirmed(frame: rapi.Frame, now: float) -> bool:
            sensible, state = self._take_state(frame, now), self._view.state
            if sensible and state is not None and state.connected is before.connected:
                self.meter.energies(values[0], values[1], in_session=state.connected)
                if not state.relay_closed:
                    self._due['meter'] = min(self._due['meter'], now)  # the last sample of a session counts
            return sensible

        self._ask('GS', confirmed, now)
        return True

    def _take_temperatures(self, frame: rapi.Frame, now: float) -> bool:
        values = rapi.numbers(frame.words) if frame.name == 'OK' else None
        self.meter.temperatures(values or [], relay_closed=self._view.relay_closed)
        return True

    # --- what is observed ----------------------------------------------------------------------------------

    def _observe(self, now: float) -> None:
        """Hand on what is known when it has changed, in steps that are legal."""
        seen = self._observation(now)
        if seen == self._seen:
            return
        before, self._seen = self._seen, seen
        self.observations.extend(steps(before, seen))

    def _observation(self, now: float) -> Observation:
        state = self._view.state
        if self._link is not LinkState.UP or state is None:
            return replace(self._seen, link=self._link, resets=self._resets, firmware=self._firmware)
        if self._looking_now:
            return self._seen  # asleep for all but one loop
        mode = codes.pilot_mode(state)
        pwm = mode is PilotMode.PWM
        in_force = float(self._current.in_force_a or 0)
        return Observation(
            link=self._link,
            cp_state=self._view.cp_state(now),
            pilot_mode=mode,
            duty_cycle_percent=duty_cycle(in_force) if pwm else 100.0,
            current_a=in_force if pwm else 0.0,
            contactor=self._contactor(state),
            phases=self._phases,
            errors=self._errors(state),
            replug_active=self._targets.replugging,
            resets=self._resets,
            firmware=self._firmware,
        )

    def _contactor(self, state: rapi.State) -> ContactorState:
        if self._view.welded:
            return ContactorState.CLOSED
        if not state.relay_closed:
            return ContactorState.OPEN
        if self.exchange.urgent and self.exchange.overdue:
            return ContactorState.UNKNOWN  # an order to open was not answered
        return ContactorState.CLOSED

    def _errors(self, state: rapi.State) -> tuple[BoardError, ...]:
        errors = codes.errors(self._view.fault, state, self._checks_off)
        if self._current.refusal:
            errors.append(BoardError(BoardErrorEnum.BAD_DATA, self._current.refusal))
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
