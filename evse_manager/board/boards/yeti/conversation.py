"""
The conversation with a Yeti board: messages and time in, frames and observations out.

Pure: it has no port and no thread, so that it runs in lock-step with a virtual board.  A connection begins
with a restart of the board, after which its contactor is open and it reports its pilot.  Some boards lead
their contactor themselves within what is permitted (firmware 2.2), others obey; with both the controller
decides, and no more is permitted than it wants closed.

Every piece that is sent begins with a keep-alive, whose number no board sends: on a line that is looped back
it returns first, and nothing after it is believed.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import assert_never

from evse_manager.board.boards.yeti.codes import volts
from evse_manager.board.boards.yeti.losses import Losses
from evse_manager.board.boards.yeti.messages import (
    F_DUTY,
    X1_DUTY,
    AllowPower,
    BoardMessage,
    Duty,
    ErrorFlags,
    HostKeepAlive,
    HostMessage,
    KeepAlive,
    LockPosition,
    PilotState,
    PilotVoltages,
    PowerMeter,
    Proximity,
    Relay,
    ResetDone,
    ResetOrder,
    frame,
)
from evse_manager.board.boards.yeti.meter import YetiMeter
from evse_manager.board.boards.yeti.observing import CAUSE_S, awaits_cause, errors, observed
from evse_manager.board.boards.yeti.orders import YetiOrders
from evse_manager.board.boards.yeti.reported import CABLE_S, SOCKET_S, BoardReports
from evse_manager.board.boards.yeti.weld import WeldFinder
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.enums import ContactorState, LinkState
from evse_manager.interface.pilot import MAXIMUM_CURRENT_A, MINIMUM_CURRENT_A
from evse_manager.interface.types import HardwareCapabilities

KEEP_ALIVE_S = 1.0
"""How often the host sends a keep-alive."""

GREETINGS = 3
"""This many keep-alives bring the board's framing in step after a restart."""

RESET_S = 1.0
"""
A board reports its restart within this time after the order.

One that cannot be recognised as the ordered restart is not believed sooner either: it may be a start of the
board's own that crossed the order, and the restart that was ordered is still to come.
"""

RESET_TRIES = 3
GREETING_S = 5.0
"""After a restart the board reports what it is and sees within this time."""

SETTLING_S = 0.5
"""A board that restarted by itself is not believed sooner, so that its absence is seen."""

ALIVE_S = 5.0
"""A board whose keep-alive is missing for this long is lost."""

PROBE_S = 1.0
ECHO_S = 2.5
"""After an own keep-alive came back nothing is believed for this long."""

SAMPLE_S = 0.95
"""Firmware 2.2 measures five times a second; the meter is published once."""

WRAPS_NEAR_MS = 60_000
"""The board's clock of 32 bits in ms begins again after 49 days, which is no restart."""

_LOOPED = 'own requests come back: the line is looped; check that TX and RX are not joined, and the adapter.'


class Stage(Enum):
    """How far the conversation has come."""

    CLOSED = auto()
    RESTARTING = auto()
    """The board was ordered to restart."""
    GREETING = auto()
    """It has restarted; not everything is known."""
    UP = auto()
    LOST = auto()


class Clock:
    """The board's clock, by the keep-alives: milliseconds since it has started."""

    def __init__(self) -> None:
        """Begin without a reading."""
        self.started_at = -math.inf
        """When the board started, on the host's clock; the latest that is possible."""
        self._last_ms = 0

    def read(self, time_stamp_ms: int, now: float) -> bool:
        """Take a time stamp; return whether it shows a restart."""
        if not time_stamp_ms:
            return False
        self.started_at = now - time_stamp_ms / 1000.0
        wraps = self._last_ms > (1 << 32) - WRAPS_NEAR_MS
        restarted = time_stamp_ms < self._last_ms and not wraps
        self._last_ms = time_stamp_ms
        return restarted

    def forget(self) -> None:
        """Let the next time stamp be any."""
        self._last_ms = 0


class Yeti:
    """
    See the module's description; every method takes the time in seconds of one clock.

    It is large because line, board and orders meet here; parts that work alone are in ``BoardReports``,
    ``YetiOrders``, ``Losses`` and ``WeldFinder``.
    """

    def __init__(self, send: Callable[[bytes], bool], *, socket: bool, meter: YetiMeter) -> None:
        """Begin without a link; with ``socket`` lock and cable are used where the board reports them."""
        self.observations: deque[Observation] = deque()
        """Every step of what is observed, oldest first."""
        self.hardware: HardwareCapabilities | None = None
        self.has_lock = self.has_proximity = False
        """Reports of the board since the port was opened."""
        self.meter = meter
        self.problem = ''
        """Problem of the conversation, for people."""
        self.echoes = self.resets = 0
        self._send = send
        self._socket = socket
        self._socket_known = not socket
        self._stage = Stage.CLOSED
        self._deadline = math.inf
        self._tries = 0
        self._restart_at = -math.inf
        self._keep_alive_at = math.inf
        self._alive_at = self._echo_until = self._settled_at = self._now = -math.inf
        self._sampled_at = -math.inf
        self._software = self._voltages = ''
        self._seen = Observation(link=LinkState.LOST)
        self._clock = Clock()
        self._orders = YetiOrders()
        self._losses = Losses()
        self._weld = WeldFinder()
        self._reported = BoardReports()

    # --- what happens ------------------------------------------------------------------------------

    def opened(self, now: float) -> None:
        """Take an open port: withdraw power before anything else, then restart the board."""
        self.problem = ''
        self._echo_until = -math.inf
        self.has_lock = self.has_proximity = False
        self._socket_known = not self._socket
        self._begin(now)
        self._observe()

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Take a lost link; nothing is known from now on."""
        self._lose(text, now)
        if not port_open:
            self._stage = Stage.CLOSED
            self._keep_alive_at = math.inf
        self._observe()

    def message(self, message: BoardMessage, now: float) -> None:
        """Take a message from the board."""
        self._now = now
        if self._stage is Stage.CLOSED:
            return
        if isinstance(message, HostKeepAlive):
            self._looped(now)
        elif now >= self._echo_until:
            self._take(message, now)
        self._observe()

    def damaged(self, pieces: Iterable[bytes], now: float) -> None:
        """Take what could not be read: it may have been a state."""
        self._losses.damaged(pieces, now)

    def apply(self, outputs: Outputs, now: float) -> None:
        """Make the board have these outputs."""
        if outputs.lock is not self._orders.wanted.lock:
            self._reported.lock_opened = False
        self._orders.want(outputs)
        self._adjust(now)
        self._observe()

    def tick(self, now: float) -> None:
        """Do what is due: keep-alives, repetitions, time-outs."""
        self._now = now
        match self._stage:
            case Stage.RESTARTING if now >= self._deadline:
                if self._tries < RESET_TRIES:
                    self._restart(now)
                else:
                    self._lose('the board does not restart on command; check that TX reaches its RX.', now)
            case Stage.GREETING if now >= self._deadline:
                missing = ', '.join(self._missing())
                self._lose(f'the board does not report {missing}; check its firmware.', now)
            case Stage.UP:
                self._look_after(now)
            case Stage.CLOSED | Stage.RESTARTING | Stage.GREETING | Stage.LOST:
                pass
            case _ as never:
                assert_never(never)
        self._come_up(now)
        if now >= self._keep_alive_at:
            up = self._stage is Stage.UP
            self._transmit(now, *(self._orders.refreshed() if up else [AllowPower(False), Duty(X1_DUTY)]))
        self._observe()

    def deadline(self) -> float:
        """Return when ``tick`` has something to do by itself."""
        times = [self._keep_alive_at]
        reported, orders = self._reported, self._orders
        if self._stage in {Stage.RESTARTING, Stage.GREETING}:
            times.append(self._deadline)
        if self._stage is Stage.GREETING:
            times += [each for each in (self._settled_at, self._socket_until()) if each > self._now]
        if self._stage is Stage.UP:
            times += [
                self._alive_at + ALIVE_S,
                self._losses.deadline,
                self._weld.deadline,
                orders.deadline(relay=reported.relay, lock=reported.lock),
                orders.opening_overdue_at(relay=reported.relay, relay_reported_at=reported.relay_at),
            ]
            if self._awaits_cause():
                times.append(reported.relay_at + CAUSE_S)
            if reported.cable_missing_at is not None and reported.awaits_cable(self._now):
                times.append(reported.cable_missing_at + CABLE_S)
        return min(times)

    def farewell(self) -> bytes:
        """Return the last bytes for a board: no power."""
        return frame(HostKeepAlive()) + frame(AllowPower(False)) + frame(Duty(X1_DUTY))

    # --- beginning and end -----------------------------------------------------------------------------

    def _forget(self) -> None:
        """Know nothing of the board, which has forgotten everything."""
        self._reported = BoardReports()
        self._orders.forget()
        self._losses.forget()

    def _begin(self, now: float) -> None:
        self._forget()
        self._tries = 0
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._stage = Stage.RESTARTING
        self._restart_at = now
        self._deadline = self._settled_at = now + RESET_S
        self._tries += 1
        self._clock.forget()
        self._transmit(now, AllowPower(False), Duty(X1_DUTY), ResetOrder(True), greetings=GREETINGS)

    def _restarted(self, now: float) -> None:
        """Take a restart, whoever asked for it: the outputs are gone."""
        if self._stage is Stage.UP:
            self.resets += 1
            self._settled_at = now + SETTLING_S
            self.problem = 'the board has restarted by itself; waiting until it has settled.'
            self._seen = replace(self._seen, contactor=ContactorState.UNKNOWN, resets=self.resets)
            self.observations.append(self._seen)
        elif self._stage is Stage.RESTARTING and self._clock.started_at >= self._restart_at:
            self._settled_at = now
        self._forget()
        self._stage = Stage.GREETING
        self._deadline = now + GREETING_S
        self._transmit(now, AllowPower(False), Duty(X1_DUTY), greetings=GREETINGS)

    def _lose(self, text: str, now: float) -> None:
        self.problem = self.problem or text
        self._stage = Stage.LOST
        self._keep_alive_at = now + PROBE_S

    def _looped(self, now: float) -> None:
        self.echoes += 1
        self._echo_until = now + ECHO_S
        if self._stage is not Stage.LOST:
            self.problem = _LOOPED
            self._lose(_LOOPED, now)

    def _missing(self) -> list[str]:
        """Return what the board has to report and has not yet."""
        reported = self._reported
        waits = self._now < self._socket_until()
        missing = {
            'what it is': not reported.greeted,
            'its pilot': reported.pilot is None,
            'its lock': (self.has_lock or waits) and reported.lock is None,
            'its cable': (self.has_proximity or waits) and reported.proximity is None,
        }
        return [name for name, is_missing in missing.items() if is_missing]

    def _socket_until(self) -> float:
        """Return until when a board that is not known yet is waited for to report lock and cable."""
        return -math.inf if self._socket_known else self._reported.pilot_at + SOCKET_S

    def _come_up(self, now: float) -> None:
        if self._stage is Stage.GREETING and now >= self._settled_at and not self._missing():
            self._stage = Stage.UP
            self._socket_known = True
            self.problem = ''
            self._bring(now)

    # --- messages --------------------------------------------------------------------------------------

    def _take(self, message: BoardMessage, now: float) -> None:
        restarted = isinstance(message, ResetDone)
        if isinstance(message, KeepAlive):
            restarted = self._clock.read(message.time_stamp, now) and self._stage is Stage.UP
        if restarted:
            self._restarted(now)
        if self._stage is Stage.LOST:
            if isinstance(message, KeepAlive):
                self._begin(now)
            return
        if self._stage is Stage.RESTARTING:
            return  # from before the restart
        self._losses.came(message)
        match message:
            case KeepAlive():
                self._greeted(message, now)
            case PilotVoltages(high, low):
                self._voltages = f'{volts(high):g} V, {volts(low):g} V'
                self._reported.check.measured(high, under_f=self._orders.duty == F_DUTY)
                self._adjust(now)
            case PowerMeter():
                self._measured(message, now)
            case PilotState() | Relay() | ErrorFlags() | Proximity() | LockPosition():
                self._state(message, now)
            case HostKeepAlive() | ResetDone():
                pass
            case _ as never:
                assert_never(never)
        self._come_up(now)

    def _state(self, message: PilotState | Relay | ErrorFlags | Proximity | LockPosition, now: float) -> None:
        reported = self._reported
        if isinstance(message, PilotState) and 0 in {reported.pilot, message.value}:
            self._orders.car_left()
        if self._socket:
            self.has_lock = self.has_lock or isinstance(message, LockPosition)
            self.has_proximity = self.has_proximity or isinstance(message, Proximity)
        elif isinstance(message, LockPosition | Proximity):
            return
        if isinstance(message, Relay) and message.value is not reported.relay:
            self._sampled_at = -math.inf
        reported.take(message, now, lock_wanted=bool(self._orders.wanted.lock))
        self._adjust(now)

    def _adjust(self, now: float) -> None:
        """
        Order what is not as wanted; no permission without a request for power, nor with a fault.

        On firmware 2.2 a permission outlasts both, and the board would close on it by itself.
        """
        flags = self._reported.flags
        asks = self._reported.pilot_code == 2 or (
            self._reported.pilot_code == 3 and self._orders.wanted.ventilation_allowed
        )
        faulty = flags.diode or flags.rcd or flags.rcd_self_test or flags.pilot or flags.over_current
        if not asks or faulty:
            self._orders.revoke()
        if self._stage is Stage.UP:
            self._bring(now)

    def _greeted(self, message: KeepAlive, now: float) -> None:
        self._alive_at = now
        self._software = f'Yeti {message.software}'.strip()
        if not (
            0.0 < message.min_current_a <= message.max_current_a <= MAXIMUM_CURRENT_A
            and 1 <= max(message.min_phases, 1) <= message.max_phases <= 3
        ):
            if self._stage is Stage.GREETING:
                self.problem = 'the board reports impossible capabilities; check its firmware.'
            return
        self._reported.greeted = True
        self.hardware = HardwareCapabilities(
            max_current_a_import=message.max_current_a,
            min_current_a_import=max(message.min_current_a, MINIMUM_CURRENT_A),
            max_phase_count_import=message.max_phases,
            min_phase_count_import=max(message.min_phases, 1),
            supports_changing_phases_during_charging=message.switches_phases,
        )
        if self._stage is Stage.UP:
            self._bring(now)

    def _measured(self, message: PowerMeter, now: float) -> None:
        """Take a measurement, for the meter and for what it shows of a weld."""
        self._weld.measured(message, now)
        if now >= self._sampled_at + SAMPLE_S:
            self._sampled_at = now
            self.meter.measured(message, relay_closed=self._reported.relay)

    # --- while the link is up --------------------------------------------------------------------------

    def _look_after(self, now: float) -> None:
        """See to what time alone brings about while the link is up."""
        reported, orders = self._reported, self._orders
        doubts = self._losses.evaluate() if now >= self._losses.deadline else set()
        overdue = orders.opening_overdue_at(relay=reported.relay, relay_reported_at=reported.relay_at)
        if now >= self._alive_at + ALIVE_S:
            self._lose(f'no keep-alive of the board in {ALIVE_S:g} s; check its supply and the cable.', now)
        elif now >= overdue:
            self._ask_by_restart('the board does not report that its contactor has opened', now)
        elif ErrorFlags in doubts and (reported.relay or (reported.flags != ErrorFlags())):
            self._ask_by_restart('an error flag of the board may have been lost on the line', now)
        elif reported.check.asks_unreported and not reported.relay and not orders.power:
            self._ask_by_restart('a state of the pilot was lost on the line', now)
        else:
            self._repeat(now)

    def _ask_by_restart(self, cause: str, now: float) -> None:
        """Restart a board, after which it reports its states; there is no other way to ask it."""
        self.problem = f'{cause}; it is restarted.'
        self._begin(now)

    def _repeat(self, now: float) -> None:
        orders = self._orders.repeated(now, relay=self._reported.relay, lock=self._reported.lock)
        if orders:
            self._transmit(now, *orders)

    def _bring(self, now: float) -> None:
        orders = self._orders.due(
            self.hardware, contactor_open=not self._reported.relay, has_lock=self.has_lock, now=now
        )
        if orders:
            self._transmit(now, *orders)

    def _transmit(self, now: float, *messages: HostMessage, greetings: int = 1) -> None:
        """Send messages behind a keep-alive, or several."""
        alive = HostKeepAlive(time_stamp=int(now) & 0xFFFF_FFFF)
        self._send(frame(alive) * greetings + b''.join(frame(each) for each in messages))
        self._keep_alive_at = now + KEEP_ALIVE_S

    # --- what is observed ----------------------------------------------------------------------------------

    def _observe(self) -> None:
        off = not self._reported.relay and (
            self._orders.power is not True or self._orders.insisted(self._now)
        )
        self._weld.off(off=off, now=self._now)
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            self.observations.append(seen)

    def _look(self) -> Observation:
        reported, orders = self._reported, self._orders
        if self._stage is not Stage.UP:
            connecting = self._stage is not Stage.CLOSED and not self.problem
            link = LinkState.CONNECTING if connecting else LinkState.LOST
            return replace(self._seen, link=link, firmware=self._software)
        return observed(
            reported,
            orders,
            self._seen,
            now=self._now,
            phases=self.hardware.max_phase_count_import if self.hardware is not None else 0,
            errors=errors(reported, welded=self._weld.finding(self._now), locking=orders.lock_ordered),
            resets=self.resets,
            firmware=self._software,
        )

    def _awaits_cause(self) -> bool:
        return awaits_cause(self._reported, self._orders, self._seen, self._now)

    def diagnostics(self) -> Mapping[str, str]:
        """Return what helps to find a fault of the conversation."""
        return {
            'firmware': self._software,
            'lock reported': 'yes' if self.has_lock else 'no',
            'cable reported': 'yes' if self.has_proximity else 'no',
            'own requests that came back': str(self.echoes),
            'restarts of the board': str(self.resets),
            'voltages of the pilot': self._voltages,
            'measurements not used': str(self.meter.implausible),
        }
