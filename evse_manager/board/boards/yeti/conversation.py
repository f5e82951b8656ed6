"""
The conversation with a Yeti board: messages and time in, frames and observations out.

Pure: it has no port and no thread, so that it runs in lock-step with a virtual board.  The board reports
pilot and contactor and obeys; nothing is acknowledged (hardware reference 2.2).  So what takes power away is
sent anew with each keep-alive, what gives it until it has had its effect, and a connection begins with a
restart of the board, after which it tells everything.

Every piece that is sent begins with a keep-alive, whose number no board sends: on a line that is looped back
it returns first, and nothing after it is believed.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto

from evse_manager.board.boards.yeti.codes import (
    LOCKED,
    NO_CABLE,
    PLUGGED,
    UNLOCKED,
    cable,
    coded,
    flagged,
    lock_state,
    pilot_state,
    volts,
)
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
    frame,
)
from evse_manager.board.boards.yeti.meter import YetiMeter
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.pilot import (
    HLC_DUTY_PERCENT,
    MAXIMUM_CURRENT_A,
    MINIMUM_CURRENT_A,
    current,
    duty_cycle,
)
from evse_manager.interface.types import BoardError, HardwareCapabilities

KEEP_ALIVE_S = 1.0
"""How often the host tells that it lives."""

GREETINGS = 3
"""So many keep-alives bring the board's framing in step after a restart."""

RESET_S = 1.0
"""
A board tells its restart within this time after the order.

It is not believed sooner either: what it tells may be a start of its own that crossed the order, as when both
have got their supply back, and the restart that was ordered is still to come.
"""

RESET_TRIES = 3
GREETING_S = 5.0
"""After a restart it tells what it is and sees within this time."""

SETTLING_S = 0.5
"""
A board that restarted by itself is not believed sooner, so that nobody overlooks that it was away.
"""

CABLE_S = 0.3
"""Pilot and proximity of a plug are told one after the other: so long one waits for the other."""

DOUBT_S = 2.5
"""After a damaged frame pilot and contactor have to be told again within this, as they are each second."""

ALIVE_S = 5.0
"""A board whose keep-alive is missing for so long is lost."""

PROBE_S = 1.0
ECHO_S = 2.5
"""After an own keep-alive came back nothing is believed for so long."""

REPEAT_OPEN_S = 0.3
REPEAT_CLOSE_S = 1.0
CLOSE_TRIES = 3
REPEAT_LOCK_S = 2.0
LOCK_TRIES = 3
"""Orders that had no effect are repeated; the frame may have been lost."""

_LOOPED = 'own requests come back: the line is looped; check that TX and RX are not joined, and the adapter.'


class Stage(Enum):
    """How far the conversation has come."""

    CLOSED = auto()
    RESTARTING = auto()
    """The board was told to restart."""
    GREETING = auto()
    """It has restarted; not everything is known."""
    UP = auto()
    LOST = auto()


class Yeti:
    """See the module's description; every method takes the time in seconds of one clock."""

    def __init__(self, send: Callable[[bytes], bool], *, socket: bool, meter: YetiMeter) -> None:
        """Begin without a link; ``socket`` is whether there is a lock, and a cable to read."""
        self.observations: deque[Observation] = deque()
        """Every step of what is observed, oldest first."""
        self.hardware: HardwareCapabilities | None = None
        self.meter = meter
        self.problem = ''
        """What is wrong with the conversation, for people."""
        self.echoes = 0
        self.resets = 0
        self._send = send
        self._socket = socket
        self._stage = Stage.CLOSED
        self._deadline = math.inf
        self._tries = 0
        self._keep_alive_at = math.inf
        self._alive_at = -math.inf
        self._echo_until = -math.inf
        self._settled_at = -math.inf
        self._now = -math.inf
        self._outputs = Outputs()
        self._seen = Observation(link=LinkState.LOST)
        self._software = ''
        self._voltages = ''
        self._forget()

    def _forget(self) -> None:
        """Know nothing of the board, which has forgotten everything."""
        self._greeted = False
        self._pilot: int | None = None
        self._relay: bool | None = None
        self._flags = ErrorFlags()
        self._proximity: int | None = None
        self._cable_missing_at: float | None = None
        self._doubts: set[type] = set()
        self._doubt_at = math.inf
        self._lock: int | None = None
        self._lock_opened = False
        self._duty_told = X1_DUTY
        self._power_told: bool | None = None
        self._power_at = -math.inf
        self._power_tries = 0
        self._lock_told: bool | None = None
        self._lock_at = -math.inf
        self._lock_tries = 0
        self._phases_told = 0

    # --- what happens ------------------------------------------------------------------------------

    def opened(self, now: float) -> None:
        """Take notice of an open port: withdraw power before anything else, then restart the board."""
        self.problem = ''
        self._echo_until = -math.inf
        self._begin(now)
        self._observe()

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Take notice of a lost link; nothing is known from now on."""
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

    def damaged(self, now: float) -> None:
        """Take notice of a frame that could not be read: it may have been a state."""
        self._doubts = {PilotState, Relay}
        self._doubt_at = min(self._doubt_at, now + DOUBT_S)

    def apply(self, outputs: Outputs, now: float) -> None:
        """Make the board have these outputs."""
        if outputs.lock is not self._outputs.lock:
            self._lock_opened = False
        self._outputs = outputs
        if self._stage is Stage.UP:
            self._bring(now)
        self._observe()

    def tick(self, now: float) -> None:
        """Do what is due: live, repeat, give up."""
        self._now = now
        if self._stage is Stage.UP and now >= self._alive_at + ALIVE_S:
            self._lose(f'no keep-alive of the board in {ALIVE_S:g} s; check its supply and the cable.', now)
        elif self._stage is Stage.RESTARTING and now >= self._deadline:
            if self._tries < RESET_TRIES:
                self._restart(now)
            else:
                self._lose('the board does not restart when told to; check that TX reaches its RX.', now)
        elif self._stage is Stage.GREETING and now >= self._deadline:
            what = ', '.join(self._missing())
            self._lose(f'the board does not tell {what}; check its firmware and parameter socket.', now)
        elif self._stage is Stage.UP and now >= self._doubt_at:
            self.problem = 'a frame was damaged, and the board does not repeat its states; it is restarted.'
            self._begin(now)
        elif self._stage is Stage.UP:
            self._repeat(now)
        self._come_up(now)
        if now >= self._keep_alive_at:
            self._transmit(now, *self._refreshed())
        self._observe()

    def deadline(self) -> float:
        """Return when ``tick`` has something to do by itself."""
        times = [self._keep_alive_at]
        if self._stage in {Stage.RESTARTING, Stage.GREETING}:
            times.append(self._deadline)
        if self._stage is Stage.GREETING and self._settled_at > self._now:
            times.append(self._settled_at)
        if self._stage is Stage.UP:
            times += [self._alive_at + ALIVE_S, self._repeat_power_at(), self._repeat_lock_at()]
            times.append(self._doubt_at)
            if self._awaits_cable and self._cable_missing_at is not None:
                times.append(self._cable_missing_at + CABLE_S)
        return min(times)

    def farewell(self) -> bytes:
        """Return the last bytes for a board: no power."""
        return frame(HostKeepAlive()) + frame(AllowPower(False)) + frame(Duty(X1_DUTY))

    # --- beginning and end -----------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        self._forget()
        self._tries = 0
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._stage = Stage.RESTARTING
        self._deadline = self._settled_at = now + RESET_S
        self._tries += 1
        self._transmit(now, AllowPower(False), Duty(X1_DUTY), ResetOrder(True), greetings=GREETINGS)

    def _restarted(self, now: float) -> None:
        """Take notice of a restart, whoever asked for it: the outputs are gone."""
        if self._stage is Stage.UP:
            self.resets += 1
            self._settled_at = now + SETTLING_S
            self.problem = 'the board has restarted by itself; waiting until it has settled.'
            self._seen = replace(self._seen, contactor=ContactorState.UNKNOWN, resets=self.resets)
            self.observations.append(self._seen)
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

    def _take(self, message: BoardMessage, now: float) -> None:
        if isinstance(message, ResetDone):
            self._restarted(now)
            return
        if self._stage is Stage.LOST:
            if isinstance(message, KeepAlive):
                self._begin(now)
            return
        if self._stage is Stage.RESTARTING:
            return  # from before the restart
        self._doubts.discard(type(message))
        if not self._doubts:
            self._doubt_at = math.inf
        match message:
            case KeepAlive():
                self._told_what_it_is(message, now)
            case PilotState(value):
                self._pilot = value
            case Relay(value):
                self._relay = value
            case ErrorFlags():
                self._flags = message
            case Proximity(value):
                self._proximity = value
            case LockPosition(value):
                self._told_lock(value)
            case PowerMeter():
                self.meter.measured(message, relay_closed=self._relay is True)
            case PilotVoltages(high, low):
                self._voltages = f'{volts(high):.2f} V, {volts(low):.2f} V'
        without = self._socket and self._proximity == NO_CABLE and self._pilot in PLUGGED
        if not without:
            self._cable_missing_at = None
        elif self._cable_missing_at is None:
            self._cable_missing_at = now
        self._come_up(now)

    def _missing(self) -> list[str]:
        """Return what the board has not told yet."""
        told = {
            'what it is': self._greeted,
            'its pilot': self._pilot is not None,
            'its contactor': self._relay is not None,
            'its lock': not self._socket or self._lock is not None,
            'its cable': not self._socket or self._proximity is not None,
        }
        return [name for name, known in told.items() if not known]

    def _come_up(self, now: float) -> None:
        if self._stage is Stage.GREETING and now >= self._settled_at and not self._missing():
            self._stage = Stage.UP
            self.problem = ''
            self._bring(now)

    def _told_what_it_is(self, told: KeepAlive, now: float) -> None:
        self._alive_at = now
        self._software = f'Yeti {told.software}'.strip()
        if not (
            0.0 < told.min_current_a <= told.max_current_a <= MAXIMUM_CURRENT_A
            and 1 <= max(told.min_phases, 1) <= told.max_phases <= 3
        ):
            if self._stage is Stage.GREETING:
                self.problem = 'the board tells impossible capabilities; check its firmware.'
            return
        self._greeted = True
        self.hardware = HardwareCapabilities(
            max_current_a_import=told.max_current_a,
            min_current_a_import=max(told.min_current_a, MINIMUM_CURRENT_A),
            max_phase_count_import=told.max_phases,
            min_phase_count_import=max(told.min_phases, 1),
            supports_changing_phases_during_charging=told.switches_phases,
        )
        if self._stage is Stage.UP:
            self._bring(now)

    def _told_lock(self, position: int) -> None:
        opened = self._lock == LOCKED and position == UNLOCKED
        self._lock_opened = (self._lock_opened or opened) and position != LOCKED and bool(self._outputs.lock)
        self._lock = position

    # --- orders ----------------------------------------------------------------------------------------

    def _transmit(self, now: float, *messages: HostMessage, greetings: int = 1) -> None:
        """Send messages behind a keep-alive, or several."""
        alive = HostKeepAlive(time_stamp=int(now) & 0xFFFF_FFFF)
        self._send(frame(alive) * greetings + b''.join(frame(each) for each in messages))
        self._keep_alive_at = now + KEEP_ALIVE_S

    def _refreshed(self) -> list[HostMessage]:
        """Return what goes with each keep-alive; a closing is never ordered by habit."""
        if self._stage is not Stage.UP:
            return [AllowPower(False), Duty(X1_DUTY)]
        return [*([] if self._outputs.power else [AllowPower(False)]), Duty(self._duty_told)]

    def _bring(self, now: float) -> None:
        """Order what is not as it shall be; what takes power away first, what gives it last."""
        outputs = self._outputs
        orders: list[HostMessage] = []
        if not outputs.power and self._power_told is not False:
            orders.append(self._order_power(False, now))
        duty = self._duty()
        if duty != self._duty_told:
            self._duty_told = duty
            orders.append(Duty(duty))
        if self._socket and outputs.lock is not None and outputs.lock is not self._lock_told:
            self._lock_tries = 0
            orders.append(self._order_lock(outputs.lock, now))
        switches = self.hardware is not None and self.hardware.supports_changing_phases_during_charging
        if switches and outputs.phases not in {0, self._phases_told} and self._relay is False:
            self._phases_told = outputs.phases
            orders.append(ThreePhases(outputs.phases == 3))
        if outputs.power and self._power_told is not True:
            self._power_tries = 0
            orders.append(self._order_power(True, now))
        if orders:
            self._transmit(now, *orders)

    def _duty(self) -> int:
        """Return the duty cycle to order in 0.01 %, never more current than the outputs say."""
        outputs = self._outputs
        if outputs.pilot_mode in {PilotMode.F, PilotMode.E}:
            return F_DUTY
        percent = outputs.duty_cycle_percent
        if outputs.pilot_mode is not PilotMode.PWM or self.hardware is None or not math.isfinite(percent):
            return X1_DUTY
        if current(percent) > self.hardware.max_current_a_import:
            percent = duty_cycle(self.hardware.max_current_a_import)
        duty = math.floor(percent * 100.0 + 1e-6)
        return duty if 0 < duty < 10_000 else X1_DUTY

    def _order_power(self, power: bool, now: float) -> AllowPower:
        self._power_told, self._power_at = power, now
        self._power_tries += 1
        return AllowPower(power)

    def _order_lock(self, lock: bool, now: float) -> Lock:
        self._lock_told, self._lock_at = lock, now
        self._lock_tries += 1
        return Lock(lock)

    def _repeat(self, now: float) -> None:
        """Order once more what had no effect."""
        if now >= self._repeat_power_at():
            self._transmit(now, self._order_power(self._outputs.power, now))
        if now >= self._repeat_lock_at() and self._lock_told is not None:
            self._transmit(now, self._order_lock(self._lock_told, now))

    def _repeat_power_at(self) -> float:
        if self._power_told is False and self._relay is True:
            return self._power_at + REPEAT_OPEN_S
        if self._power_told is True and self._relay is False and self._power_tries < CLOSE_TRIES:
            return self._power_at + REPEAT_CLOSE_S
        return math.inf

    def _repeat_lock_at(self) -> float:
        wanted = LOCKED if self._lock_told else UNLOCKED
        if self._lock_told is None or self._lock == wanted or self._lock_tries >= LOCK_TRIES:
            return math.inf
        return self._lock_at + REPEAT_LOCK_S

    # --- what is observed ----------------------------------------------------------------------------------

    def _observe(self) -> None:
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            self.observations.append(seen)

    def _look(self) -> Observation:
        if self._stage is not Stage.UP:
            connecting = self._stage is not Stage.CLOSED and not self.problem
            link = LinkState.CONNECTING if connecting else LinkState.LOST
            return replace(self._seen, link=link, firmware=self._software)
        assert self._pilot is not None
        duty = self._duty_told
        mode = PilotMode.F if duty == F_DUTY else PilotMode.X1 if duty >= 10_000 else PilotMode.PWM
        percent = duty / 100.0
        high_level = abs(percent - HLC_DUTY_PERCENT) < 0.1
        pilot = pilot_state(self._pilot)
        proximity, ampacity = self._cable()
        if self._awaits_cable and self._seen.cp_state is ControlPilotState.A:
            pilot = ControlPilotState.A
        elif self._awaits_cable:
            proximity, ampacity = self._seen.proximity, self._seen.cable_ampacity_a
        phases = self.hardware.max_phase_count_import if self.hardware is not None else 0
        return Observation(
            link=LinkState.UP,
            cp_state=pilot,
            pilot_mode=mode,
            duty_cycle_percent=percent if mode is PilotMode.PWM else 100.0,
            current_a=self._outputs.current_a if high_level else current(percent),
            contactor=ContactorState.CLOSED if self._relay else ContactorState.OPEN,
            lock=self._lock_state(),
            proximity=proximity,
            cable_ampacity_a=ampacity,
            phases=self._phases_told or phases,
            errors=self._errors(),
            resets=self.resets,
            firmware=self._software,
        )

    @property
    def _awaits_cable(self) -> bool:
        return self._cable_missing_at is not None and self._now < self._cable_missing_at + CABLE_S

    def _cable(self) -> tuple[ProximityState, float | None]:
        if not self._socket or self._proximity is None:
            return ProximityState.NOT_AVAILABLE, None
        return cable(self._proximity)

    def _lock_state(self) -> LockState:
        if not self._socket:
            return LockState.NONE
        return lock_state(self._lock)

    def _errors(self) -> tuple[BoardError, ...]:
        assert self._pilot is not None
        errors = flagged(self._flags) + coded(self._pilot, self._proximity if self._socket else None)
        if self._lock_opened:
            errors.append(
                BoardError(BoardErrorEnum.LOCK_UNEXPECTEDLY_OPEN, 'the lock has opened without an order.')
            )
        elif self._flags.lock and self._socket:
            locking = bool(self._lock_told)
            code = BoardErrorEnum.LOCK_FAILED_TO_LOCK if locking else BoardErrorEnum.LOCK_FAILED_TO_UNLOCK
            errors.append(
                BoardError(
                    code,
                    f'the connector cannot be {"locked" if locking else "unlocked"} (error flag lock).',
                )
            )
        return tuple(errors)

    def diagnostics(self) -> Mapping[str, str]:
        """Return what helps to find a fault of the conversation."""
        return {
            'firmware': self._software,
            'own requests that came back': str(self.echoes),
            'restarts of the board': str(self.resets),
            'voltages of the pilot': self._voltages,
            'measurements not used': str(self.meter.implausible),
        }
