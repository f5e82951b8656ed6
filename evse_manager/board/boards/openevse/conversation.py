"""
The conversation with an OpenEVSE board: frames and time in, requests and observations out.

Pure: it has no port and no thread, so that it runs in lock-step with a virtual board.  The firmware runs
IEC 61851-1 by itself and starts charging whenever it is awake; so *asleep* is the state of rest here, and the
firmware is awake only as long as power is allowed, and for two short looks at the contacts (``weld_check``).
docs/boards/openevse.md describes the firmware's behaviour and its consequences for the driver.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from evse_manager.board.boards.firmware_target import FirmwareTarget
from evse_manager.board.boards.openevse import codes, rapi
from evse_manager.board.boards.openevse.current import CurrentRange
from evse_manager.board.boards.openevse.heartbeat import PULSE
from evse_manager.board.boards.openevse.knowledge import BUSY_S, Handler, Knowledge
from evse_manager.board.boards.openevse.looks import Looks
from evse_manager.board.boards.openevse.meter import OpenEvseMeter
from evse_manager.board.boards.openevse.observing import observation
from evse_manager.board.boards.openevse.orders import REPEAT_SLEEP_S, OpenEvseOrders
from evse_manager.board.boards.openevse.rapi_client import RapiClient
from evse_manager.board.boards.openevse.readings import HINT_GAP_S, MOVING_PERIOD_S, Readings
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.transition_steps import steps
from evse_manager.interface.enums import LinkState

PROBE_PERIOD_S = 1.0
"""How often a board that fell silent is asked for its state."""

STALL_S = 2.0
"""After a gap of this length in its own time the driver knows nothing of the board any more."""

LOOKS_WITHIN_S = REPEAT_SLEEP_S + BUSY_S
"""The looks at the contacts put off the connection for no longer than this."""


class OpenEvse:
    """
    See the module's description; every method takes the time in seconds of one clock.

    It is large because setup, due questions and loss share what is in doubt.
    """

    def __init__(
        self, send: Callable[[bytes], bool], *, fallback_current_a: int, phases: int, meter: OpenEvseMeter
    ) -> None:
        """Begin without a link; ``opened`` starts the conversation."""
        self.client = RapiClient(send)
        self.observations: deque[Observation] = deque()
        """Every step of what is observed, oldest first."""
        self.problem = ''
        """Problem of the conversation, for people."""
        self.known = Knowledge(self.client, meter, fallback_current_a)
        self.known.replied = self._replied
        self._readings = Readings(self.known)
        self._orders = OpenEvseOrders(self.known, self._readings)
        self._looks = Looks(self.known, self._readings)
        self._phases = phases
        self._seen = Observation(link=LinkState.LOST)
        self._link = LinkState.LOST
        self._resets = 0
        self._was_up = False
        self._open = False
        self._setup: deque[tuple[str, Handler]] = deque()
        self._settled_at = -math.inf
        self._begun = -math.inf
        self._probe_at = math.inf
        self._ticked = math.inf

    # --- what happens ------------------------------------------------------------------------------

    @property
    def capacity(self) -> CurrentRange | None:
        """Return what the board is configured for, once it has answered."""
        return self.known.current.capacity

    def opened(self, now: float) -> None:
        """Take notice of an open port: read the state, let the board sleep, then get to know it."""
        self._open = True
        self._ticked = now
        self._begin(now)

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Take notice of a lost link; nothing is known from now on."""
        self._open = port_open
        self.client.cancel()
        self._lose(text, now)

    def frame(self, frame: rapi.Frame, now: float) -> None:
        """Take a frame from the board."""
        self._notice_stall(now)
        if frame.name == rapi.RESET_DONE:
            self._restarted(frame.words, now)
        elif frame.name == rapi.STATE_CHANGED:
            self._hear(frame.words, now)
        elif frame.name not in rapi.ASYNCHRONOUS:
            self.client.take(frame, now)
            if self.client.echoes and self._link is not LinkState.UP:
                self.problem = (
                    'own requests come back: the line is looped; check that TX and RX are not joined.'
                )
        if self._link is LinkState.LOST:
            self._probe_at = min(self._probe_at, now + HINT_GAP_S)
        self.tick(now)

    def apply(self, outputs: Outputs, now: float) -> None:
        """Make the board have these outputs; what takes power away does not wait for a reply to others."""
        self._notice_stall(now)
        known = self.known
        if outputs.current_a != known.targets.outputs.current_a:
            known.current.new_target()
        known.targets.take(outputs, now)
        if self._link is LinkState.UP and not known.looking:
            if known.target(now) is not FirmwareTarget.CHARGE:
                order = self._orders.power_order(now)
                if order is not None:
                    self._orders.send(order, now)
            elif known.awake and known.current.exceeds(known.amperes()) and not self.client.waits(now):
                self._orders.set_current(now)
        self.tick(now)

    def tick(self, now: float) -> None:
        """Do what is due: repeat, ask, order; then see whether anything has changed."""
        self._notice_stall(now)
        self._ticked = now
        known = self.known
        if self.client.failed(now, known.patience_s()):
            self._lose('requests were not answered; check that the board has power.', now)
        known.targets.tick(now)
        if not known.weld.pending:
            known.view.release()
        if self._open and not self.client.busy:
            self._next(now)
        self._observe(now)

    def deadline(self) -> float:
        """Return when ``tick`` has something to do by itself."""
        if not self._open:
            return math.inf
        known = self.known
        in_flight = self.client.deadline
        if in_flight is not None:
            times = [in_flight]
        elif self._link is LinkState.LOST:
            times = [self._probe_at]
        elif self._link is LinkState.CONNECTING:
            times = [self._settled_at]
        else:
            times = [self._readings.deadline(), self._looks.deadline(self._ticked)]
            times.append(known.current.deadline(known.current_target(self._ticked)))
            if known.ordered:
                times.append(self._orders.repeat_at())
        times.append(known.view.deadline(self._ticked))
        return min(times + known.targets.deadlines(self._ticked))

    def farewell(self) -> bytes:
        """Return the last bytes for a board: it sleeps, and its heartbeat stays armed."""
        state = self.known.view.state
        if self.known.view.fault or (state is not None and codes.is_fault(state)):
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
        known, readings = self.known, self._readings
        self._link = LinkState.CONNECTING
        self._begun = now
        known.begin()
        known.connecting = True
        if not tested:
            known.weld.require(now)
        readings.stop()
        self._settled_at = -math.inf
        self._probe_at = math.inf
        self._setup = deque(
            (
                ('GS', self._rest_first),
                ('GV', readings.take_version),
                ('GE', readings.take_settings),
                ('GC', readings.take_capacity),
                (PULSE, readings.take_heartbeat),  # to count a miss
                (known.heartbeat.program, readings.take_heartbeat),
                ('GS', self._look_first),
            )
        )

    def _replied(self, sensible: bool | None, now: float) -> None:
        """Go on with the setup after a reply."""
        if self._link is not LinkState.CONNECTING or not self._setup or self.client.busy or sensible is None:
            return
        if not sensible:
            self.problem = 'the board does not answer as an OpenEVSE does; check its firmware, and the port.'
            self._lose(self.problem, now)
            return
        self._setup.popleft()
        if not self._setup:
            self._link = LinkState.UP
            self._was_up = True
            self.known.connecting = False
            self.problem = ''
            self._readings.start(now)

    def _rest_first(self, frame: rapi.Frame, now: float) -> bool | None:
        """Let a board sleep that is in no fault, and wait until it has opened its relay."""
        known = self.known
        if not self._readings.take_state(frame, now):
            return False
        state = known.view.state
        assert state is not None
        if codes.is_fault(state) or known.view.fault:
            return True
        if state.state == rapi.ASLEEP and not state.relay_closed:
            return True
        if now >= self._begun + REPEAT_SLEEP_S:
            return state.state in codes.RESTING
        self._settled_at = now + MOVING_PERIOD_S
        if state.state != rapi.ASLEEP:
            self._settled_at = now
            at_once = self._was_up and state.relay_closed and known.target(now) is not FirmwareTarget.PAUSE
            known.ask('FD' if at_once else 'FS', lambda frame, now: None, now, urgent=True)
        return None

    def _look_first(self, frame: rapi.Frame, now: float) -> bool | None:
        """
        Look at the contacts before the board counts as known, at the first time.

        Later the looks follow, so that the cable is in sight again soon.
        """
        if not self._readings.take_state(frame, now):
            return False
        if self._was_up:
            return True
        if self.known.weld.pending and self._looks.possible(now) and now < self._begun + LOOKS_WITHIN_S:
            self._settled_at = self.known.weld.deadline()
            if self._looks.due(now):
                self._looks.begin(now)
            return None
        return True

    def _restarted(self, words: tuple[str, ...], now: float) -> None:
        """Take notice of the end of a self-test: the controller has forgotten everything but its EEPROM."""
        code = rapi.number(words[0], 16) if words else None
        self._count_reset(now)
        self.known.view.started(code or 0)
        if self._open:
            self._begin(now, tested=True)

    def _count_reset(self, now: float) -> None:
        if not self._was_up:
            return
        self._resets += 1
        self._was_up = False
        view = self.known.view
        if self._link is LinkState.UP and view.state is not None:
            view.take(replace(view.state, state=rapi.READY, flags=view.state.flags & rapi.EV_CONNECTED), now)
            self._observe(now)

    def _lose(self, text: str, now: float) -> None:
        self.problem = self.problem or text
        self._setup.clear()
        self.known.woken_at = None
        self._link = LinkState.LOST
        self._readings.stop()
        self._probe_at = now + PROBE_PERIOD_S

    def _notice_stall(self, now: float) -> None:
        """Begin again when the driver itself was stopped: what it knows is old; so is what has come."""
        if now > self._ticked + STALL_S and self._link is LinkState.UP:
            self._ticked = now
            self._begin(now)

    # --- what to do next ---------------------------------------------------------------------------------

    def _next(self, now: float) -> None:
        """Send the next request; the line is free."""
        if self._link is LinkState.LOST:
            if now >= self._probe_at:
                self._probe_at = now + PROBE_PERIOD_S
                self.known.ask('GS', self._answered_again, now)
        elif self._setup:
            if now >= self._settled_at:
                command, handle = self._setup[0]
                self.known.ask(command, handle, now)
        elif not self._order_next(now):
            self._readings.ask_next(now)

    def _order_next(self, now: float) -> bool:
        """Send an order that is due; return whether there is one."""
        known = self.known
        order = self._orders.power_order(now)
        if known.heartbeat.urgent:
            known.ask(known.heartbeat.program, self._readings.take_heartbeat, now)
        elif order is not None and order != 'FE':
            self._orders.send(order, now)
        elif known.current.due(known.current_target(now), now):
            self._orders.set_current(now)
        elif order is not None:
            self._orders.send(order, now)
        elif self._looks.due(now):
            self._looks.begin(now)
        else:
            return False
        return True

    def _answered_again(self, frame: rapi.Frame, now: float) -> None:
        self._begin(now)

    def _hear(self, words: tuple[str, ...], now: float) -> None:
        """Take an unasked report of the state."""
        report = rapi.report_of(words)
        if report is None:
            return
        state, in_force_a = report
        self.known.view.hear(state.state)
        if self.known.view.state is None or self._link is not LinkState.UP:
            return
        if state.state == rapi.STARTING and in_force_a == 0:
            self._count_reset(now)
            self.client.cancel()
            self._lose('the board has restarted.', now)  # it answers when its self-test is over
        elif not self.known.looking:
            self._readings.hint(state, in_force_a, now)

    # --- what is observed ----------------------------------------------------------------------------------

    def _observe(self, now: float) -> None:
        """Hand on what is known when it has changed, in steps that are legal."""
        known = self.known
        if known.looking and self._link is LinkState.UP:
            return  # asleep for all but one loop
        if self._link is LinkState.UP and known.view.state is not None:
            seen = observation(known, self._phases, now)
        else:
            seen = self._seen
        seen = replace(seen, link=self._link, resets=self._resets, firmware=known.firmware)
        if seen != self._seen:
            before, self._seen = self._seen, seen
            self.observations.extend(steps(before, seen))

    def diagnostics(self) -> Mapping[str, str]:
        """Return what helps to find a fault of the conversation."""
        return {
            'firmware': self.known.firmware,
            'requests not answered in time': str(self.client.timeouts),
            'replies too late or twice': str(self.client.stale),
            'own requests that came back': str(self.client.echoes),
            'restarts of the board': str(self._resets),
            'heartbeats missed': str(self.known.heartbeat.misses),
        }
