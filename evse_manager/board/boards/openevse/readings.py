"""Periodic readings of an OpenEVSE, their periods, and the use of the replies."""

import math

from evse_manager.board.boards.openevse import codes, rapi
from evse_manager.board.boards.openevse.heartbeat import PERIOD_S as HEARTBEAT_PERIOD_S
from evse_manager.board.boards.openevse.heartbeat import PULSE
from evse_manager.board.boards.openevse.knowledge import Handler, Knowledge

STATE_PERIOD_S = 1.0
METER_PERIOD_S = 1.0
CAPACITY_PERIOD_S = 1.5
TEMPERATURE_PERIOD_S = 2.0
ENERGY_PERIOD_S = 2.0
"""How often an awake board is asked; one that sleeps more rarely."""

SLOW_PERIOD_S = 10.0
RARE_PERIOD_S = 30.0
MOVING_PERIOD_S = 0.1
"""How often the state is read while the relay has to open: the board does not report that unasked."""

HINT_GAP_S = 0.05
"""Unasked frames only cause a reading of the state, no more often than this."""

NAMES = ('state', 'meter', 'capacity', 'heartbeat', 'settings', 'temperature', 'energy')


class Readings:
    """Times are seconds of one clock."""

    def __init__(self, known: Knowledge) -> None:
        """Ask for nothing yet."""
        self._known = known
        self._due = dict.fromkeys(NAMES, math.inf)
        self._asked = ''
        self._state_read_at = -math.inf
        known.given_up = self._ask_again

    def stop(self) -> None:
        """Ask for nothing until ``start``."""
        self._due = dict.fromkeys(NAMES, math.inf)

    def start(self, now: float) -> None:
        """Begin to ask: the board is known."""
        self._due.update(meter=now, energy=now, temperature=now, heartbeat=now + HEARTBEAT_PERIOD_S)
        self._due.update(capacity=now + CAPACITY_PERIOD_S, settings=now + RARE_PERIOD_S)

    def deadline(self) -> float:
        """Return when the next question is due."""
        return min(self._due.values())

    def ask_next(self, now: float) -> None:
        """Ask what is due, if anything."""
        due = min(self._due, key=lambda name: self._due[name])
        if self._due[due] > now:
            return
        command, handle, period = self._question(due)
        self._due[due] = now + period

        def answered(frame: rapi.Frame, now: float) -> bool | None:
            self._asked = ''
            return handle(frame, now)

        self._known.ask(command, answered, now)
        self._asked = due

    def ask_state(self, now: float) -> None:
        """Ask for the state at once."""
        self._known.ask('GS', self.take_state, now)

    def state_now(self) -> None:
        """Have the state asked for next."""
        self._due['state'] = -math.inf

    def hint(self, state: rapi.State, in_force_a: int, now: float) -> None:
        """Take an unasked report as a reason to ask: only a numbered reply is trusted."""
        known = self._known
        if in_force_a != known.current.in_force_a:
            known.current.changed(in_force_a)
        if state != known.view.state:
            self._due['state'] = min(self._due['state'], max(now, self._state_read_at + HINT_GAP_S))

    def _question(self, name: str) -> tuple[str, Handler, float]:
        """Return command, handler and period of a question."""
        awake = self._known.awake
        match name:
            case 'state':
                return 'GS', self.take_state, STATE_PERIOD_S
            case 'heartbeat':
                return (
                    PULSE,
                    self.take_heartbeat,
                    HEARTBEAT_PERIOD_S if self._known.heartbeat.runs else math.inf,
                )
            case 'meter':
                return 'GG', self._take_meter, METER_PERIOD_S
            case 'capacity':
                return 'GC', self.take_capacity, CAPACITY_PERIOD_S if awake else SLOW_PERIOD_S
            case 'settings':
                return 'GE', self.take_settings, RARE_PERIOD_S
            case 'temperature':
                return 'GP', self._take_temperatures, TEMPERATURE_PERIOD_S if awake else SLOW_PERIOD_S
            case _:
                return 'GU', self._take_energy, ENERGY_PERIOD_S if awake else RARE_PERIOD_S

    def _ask_again(self, now: float) -> None:
        """Have a question asked again that was given up for an order."""
        if self._asked:
            self._due[self._asked] = now
        self._asked = ''

    # --- replies ------------------------------------------------------------------------------------

    def take_version(self, frame: rapi.Frame, now: float) -> bool:
        """Take the reply to ``$GV``."""
        if frame.name == 'OK' and frame.words:
            self._known.firmware = f'OpenEVSE {" RAPI ".join(frame.words[:2])}'
        return frame.name == 'OK'

    def take_settings(self, frame: rapi.Frame, now: float) -> bool:
        """Take the reply to ``$GE``."""
        flags = rapi.number(frame.words[1], 16) if frame.name == 'OK' and len(frame.words) == 2 else None
        if flags is None:
            return False
        self._known.checks_off = tuple(name for flag, name in rapi.SAFETY_TESTS.items() if flags & flag)
        return True

    def take_capacity(self, frame: rapi.Frame, now: float) -> bool:
        """Take the reply to ``$GC``."""
        return self._known.current.take_capacity(frame)

    def take_heartbeat(self, frame: rapi.Frame, now: float) -> bool:
        """Take the reply to ``$SY``."""
        if self._known.heartbeat.replied(frame, connecting=self._known.connecting):
            self._known.current.doubt()
            self._due['capacity'] = now
        return True

    def take_state(self, frame: rapi.Frame, now: float) -> bool:
        """Take the reply to ``$GS``."""
        state = rapi.state_of(frame.words) if frame.name == 'OK' else None
        if state is None:
            return False
        known = self._known
        before, fault, was_closed = known.view.state, known.view.fault, known.view.relay_closed
        if state != before:
            known.ordered = ''
        known.view.take(state, now)
        self._state_read_at = now
        moving = state.relay_closed and state.state != rapi.CHARGING
        self._due['state'] = now + (MOVING_PERIOD_S if moving else STATE_PERIOD_S)
        if was_closed is not state.relay_closed:
            self._due['energy'] = min(self._due['energy'], now)
        if known.view.fault != fault:
            self._due['meter'] = min(self._due['meter'], now)
        self._watch_contacts(before, was_closed, now)
        return True

    def _watch_contacts(self, before: rapi.State | None, was_closed: bool, now: float) -> None:
        """Have the contacts looked at after an opening, and hold back a new EV until that was done."""
        known, state = self._known, self._known.view.state
        assert state is not None
        tripped = before is not None and bool(state.flags & ~before.flags & rapi.RESIDUAL_TRIPPED)
        if (was_closed and not state.relay_closed) or (tripped and state.state in codes.RESTING):
            known.weld.require(now)
        known.weld.awake(now, known.awake and not state.relay_closed and not codes.is_fault(state))
        if not state.connected and known.view.closed_since_plug and not state.relay_closed:
            known.view.closed_since_plug = False
            if known.weld.pending:
                known.view.hold_new_ev(now)

    def _take_meter(self, frame: rapi.Frame, now: float) -> bool:
        values = rapi.numbers(frame.words) if frame.name == 'OK' else None
        if values is not None and len(values) == 2:
            self._known.meter.currents(values[0], values[1])
        return True

    def _take_energy(self, frame: rapi.Frame, now: float) -> bool:
        """Take the counters if the plug is the same after them: an unplugging moves one into the other."""
        values = rapi.numbers(frame.words) if frame.name == 'OK' else None
        before = self._known.view.state
        if values is None or len(values) != 2 or before is None:
            return True

        def confirmed(frame: rapi.Frame, now: float) -> bool:
            sensible, state = self.take_state(frame, now), self._known.view.state
            if sensible and state is not None and state.connected is before.connected:
                self._known.meter.energies(values[0], values[1], in_session=state.connected)
                if not state.relay_closed:
                    self._due['meter'] = min(self._due['meter'], now)  # the last sample of a session counts
            return sensible

        self._known.ask('GS', confirmed, now)
        return True

    def _take_temperatures(self, frame: rapi.Frame, now: float) -> bool:
        values = rapi.numbers(frame.words) if frame.name == 'OK' else None
        self._known.meter.temperatures(values or [], relay_closed=self._known.view.relay_closed)
        return True
