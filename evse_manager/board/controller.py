"""
The IEC 61851-1 loop of one board: it decides about the contactor before it reports.

Pure: commands, observations and the time come in, the wanted outputs and the published state come out.  The
contactor of a low-level board closes only when everything is right at once, and whatever ends that opens it
in the same step.  The firmware of a high-level board decides by itself; here it is permitted to, under the
same lease, errors and acknowledgements.
"""

import math
from dataclasses import replace

from evse_manager.board.driver import BoardStyle
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.replug import Replug
from evse_manager.board.transition_log import TransitionLog
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    OpeningReason,
    PilotMode,
)
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardCommand,
    BoardError,
    BoardState,
    Duration,
    HardwareCapabilities,
    all_but,
)
from evse_manager.lease.board import CommandVerdict, Lease
from evse_manager.lease.validation import BLOCKING, OPENING, reject_reason

LEASE_MAX_S = 2.0
"""No manager may hold the board for longer without a word (docs/architecture.md)."""

REST_AFTER_OPENING_S = 1.0
"""The contactor rests open for this long, so that a noisy pilot can't make it bang (catalogue F8)."""

PERIOD_WITH_POWER_S = 0.248
"""The state is published at least 4 times a second while power is allowed ..."""

PERIOD_WITHOUT_POWER_S = 0.7
"""... and at least once a second otherwise, with time to spare on a busy machine."""

ON_TIME_S = 0.1
"""A state that is late by less does not put off those after it, so that the rate holds on a busy machine."""

EARLY_BESIDE_A_SAMPLE = 0.4
"""When so much of its period is over, a sample of the meter takes the state along."""

WHAT_IS_WANTED = all_but(BoardCommand, 'sequence_number', 'lease')
"""Fields of a command that are more than a renewal of the lease."""

_CHARGING_STATES = (ControlPilotState.C, ControlPilotState.D)
_QUIET_STATES = (ControlPilotState.A, ControlPilotState.B)
_NO_COMMAND = BoardCommand(pilot_mode=PilotMode.X1)
_OUR_FAULTS = frozenset(OpeningReason) - {
    OpeningReason.UNSPECIFIED,
    OpeningReason.COMMANDED,
    OpeningReason.SHUTDOWN,
}


class BoardController:
    """
    The board as the manager sees it; see the module's description.

    It is large because everything that must be right at once for the contactor to close is compared here in
    one step.
    """

    def __init__(
        self,
        style: BoardStyle = BoardStyle.LOW_LEVEL,
        capabilities: BoardCapabilities | None = None,
        hardware: HardwareCapabilities | None = None,
        lease_max_s: float = LEASE_MAX_S,
        board_id: str = '',
    ) -> None:
        """
        Begin without any command or observation: nothing is allowed, the contactor is unknown.

        Only commands that name ``board_id`` are obeyed; it is new at each start of a board node.
        """
        self.capabilities = capabilities
        self.hardware = hardware
        self.outputs = Outputs()
        """Outputs that the driver applies to the board."""
        self._style = style
        self._board_id = board_id
        self._lease = Lease(lease_max_s)
        self._command = _NO_COMMAND
        self._said: tuple[object, ...] | None = None
        """The newest command and the conditions of its validation, while its repetition changes nothing."""
        self._counters: tuple[int, int] | None = None
        self._objection = ''
        self._answered = 0
        self._held_since: float | None = None
        """When the present holder took the lease."""
        self._observed = Observation()
        self._resets: int | None = None
        self._opened_at: float | None = None
        self._reason = OpeningReason.UNSPECIFIED
        self._fault_counter = 0
        self._openings_under_load = 0
        self._seen_closed = False
        self._confirmed = False
        self._replug = Replug()
        self._history = TransitionLog()
        self._shut_down = False
        self._clock = -math.inf
        self._published: BoardState | None = None
        self._publish_due = True
        self._published_at = 0.0

    # --- inputs ------------------------------------------------------------------------------------

    def renew(self, command: BoardCommand, now: ClockReadings) -> bool:
        """
        Take a command that only repeats its predecessor: it renews the lease, and has no other effect.

        Nearly all commands do; ``tick`` sees to what time brings about.  False when it may be anything more:
        then nothing was taken, and it is one for ``command``.
        """
        lease = self._lease
        renewed = (
            lease.confirmed
            and lease.expires is not None
            and now.steady < lease.expires
            and command.lease > 0.0
            and self._said == self._saying(command)
            and lease.offer(command.manager_id, command.sequence_number, command.lease, now.steady)
            is CommandVerdict.ACCEPTED
        )
        if renewed:
            self._answered = command.sequence_number
        return renewed

    def command(self, command: BoardCommand, now: ClockReadings) -> None:
        """Take a manager's command; a replayed or absurd one, or one for another board, allows nothing."""
        self._watch_lease(now)
        if command.board_id != self._board_id:
            self._settle(now)
            return
        offer = self._lease.offer(command.manager_id, command.sequence_number, command.lease, now.steady)
        if offer is not CommandVerdict.ACCEPTED:
            self._settle(now)
            return
        if self._held_since is None:
            self._held_since = now.steady
        self._objection = reject_reason(command, self.capabilities, self.hardware)
        if self._objection:
            self._want_nothing(command.manager_id)
        else:
            self._count(command, now)
            self._want(replace(command, sequence_number=0, lease=Duration(0.0)))
            self._said = self._saying(command)
        self._answered = command.sequence_number
        self._settle(now)

    def refuse(
        self, board_id: str, manager_id: str, sequence_number: int, reason: str, now: ClockReadings
    ) -> None:
        """Take a command that could not even be read as a withdrawal of power; ``reason`` is for people."""
        self._watch_lease(now)
        if board_id != self._board_id:
            return
        offer = self._lease.offer(manager_id, sequence_number, LEASE_MAX_S, now.steady)
        if offer is CommandVerdict.ACCEPTED:
            self._answered = sequence_number
            self.fail(reason, now)

    def fail(self, reason: str, now: ClockReadings) -> None:
        """Withdraw power until the next good command, because something here failed."""
        self._objection = reason
        self._want_nothing(self._command.manager_id)
        self._settle(now)

    def observe(self, observed: Observation, now: ClockReadings) -> None:
        """Take what the board does; the reaction is in ``outputs`` when this returns."""
        before, self._observed = self._observed, observed
        self._history.note(observed.cp_state, self.contactor, now, observed.pilot_mode)
        if observed.contactor is ContactorState.OPEN and before.contactor is not ContactorState.OPEN:
            self._opened_at = now.clock
        self._settle(now)

    def tick(self, now: ClockReadings) -> None:
        """Let time pass: leases lapse, a replug goes on."""
        self._settle(now)

    def replug(self, now: ClockReadings) -> None:
        """Begin a virtual replug of the board's own."""
        self._begin_replug(now)
        self._settle(now)

    def shut_down(self, now: ClockReadings) -> None:
        """Withdraw power for good: the node ends."""
        self._shut_down = True
        self._replug.abort()
        self._settle(now)

    # --- what comes out ----------------------------------------------------------------------------

    @property
    def contactor(self) -> ContactorState:
        """Return the contactor's feedback, *unknown* while the link is not up."""
        return self._observed.contactor if self._observed.link is LinkState.UP else ContactorState.UNKNOWN

    @property
    def power_allowed(self) -> bool:
        """Return whether a valid command allows power at this moment."""
        return self._command.allow_power_on and self._confirmed and not self._shut_down

    def steady_deadline(self) -> float:
        """Return when ``tick`` and ``take_state`` are next due on the steady clock, in seconds."""
        due = self._published_at + self._period()
        expires = self._lease.expires
        return due if expires is None else min(due, expires)

    def lease_deadline(self) -> float | None:
        """Return when the lease ends on the steady clock, ``None`` without a holder."""
        return self._lease.expires

    def clock_deadline(self) -> float | None:
        """Return when ``tick`` is next due on the node's clock, ``None`` when nothing waits for it."""
        if self._replug.active:
            return self._replug.deadline
        if self._opened_at is None or self.outputs.power or not self.power_allowed:
            return None
        rested = self._opened_at + REST_AFTER_OPENING_S
        return rested if rested > self._clock else None

    def take_state(
        self, now: ClockReadings, *, heartbeat: bool = True, accompanied: bool = False
    ) -> BoardState | None:
        """
        Return the state when it has to be published, ``None`` otherwise.

        That is when it changed, or when its period is over (with ``heartbeat``).  One that is ``accompanied``
        by a sample goes early: both nodes then wake once for both.
        """
        state = self._state()
        period = self._period()
        due_at = self._published_at + period
        early = period * (1.0 - EARLY_BESIDE_A_SAMPLE) if accompanied else 0.0
        due = heartbeat and now.steady >= due_at - early
        if not due and not self._publish_due and state == self._published:
            return None
        self._publish_due = False
        self._published = state
        self._published_at = due_at if due_at <= now.steady < due_at + ON_TIME_S else now.steady
        return self._complete(state, now)

    def state(self, now: ClockReadings) -> BoardState:
        """Return the state as it is, published or not."""
        return self._complete(self._state(), now)

    def _complete(self, state: BoardState, now: ClockReadings) -> BoardState:
        """Add what changes without being worth a message of its own."""
        recent = self._history.recent(now, self._held_since)
        return replace(state, stamp=now.wall, answered_sequence_number=self._answered, transitions=recent)

    def _period(self) -> float:
        """Return how often the state is published; a contactor that should be open is watched closely too."""
        watched = self.power_allowed or self.contactor is not ContactorState.OPEN
        return PERIOD_WITH_POWER_S if watched else PERIOD_WITHOUT_POWER_S

    # --- the loop ----------------------------------------------------------------------------------

    def _want(self, wanted: BoardCommand) -> None:
        if wanted != self._command:
            self._command = wanted
            self._publish_due = True

    def _saying(self, command: BoardCommand) -> tuple[object, ...]:
        return WHAT_IS_WANTED(command), self.capabilities, self.hardware

    def _want_nothing(self, manager_id: str) -> None:
        """Take the wish for power back; lock and phases stay as they are."""
        self._said = None
        self._want(
            replace(self._command, manager_id=manager_id, pilot_mode=PilotMode.X1, allow_power_on=False)
        )

    def _count(self, command: BoardCommand, now: ClockReadings) -> None:
        """Do what counters stand for that have grown since the holder's last command."""
        counters = (command.rcd_reset_counter, command.replug_counter)
        if self._counters is not None and command.manager_id == self._command.manager_id:
            if counters[0] > self._counters[0]:
                self.outputs = replace(self.outputs, rcd_resets=self.outputs.rcd_resets + 1)
            if counters[1] > self._counters[1]:
                self._begin_replug(now)
        self._counters = counters

    def _begin_replug(self, now: ClockReadings) -> None:
        if self._style is BoardStyle.HIGH_LEVEL:
            self.outputs = replace(self.outputs, replugs=self.outputs.replugs + 1)
        else:
            self._replug.start(now.clock)

    def _watch_lease(self, now: ClockReadings) -> None:
        """Withdraw what a lapsed manager had allowed; the lock stays as it is."""
        if not self._lease.lapse(now.steady):
            return
        self._held_since = None
        if self.outputs.power:
            self._withdraw(OpeningReason.LEASE_LAPSED, now)
        self._want_nothing(self._command.manager_id)
        self._publish_due = True

    def _settle(self, now: ClockReadings) -> None:
        """Bring the outputs in line with everything that is known; the one place that decides."""
        self._watch_lease(now)
        self._confirmed = self._lease.confirmed
        self._replug.run(now.clock, self.contactor is ContactorState.OPEN)
        self._clock = now.clock
        power = self.outputs.power
        if power:
            fell = self._seen_closed and self.contactor is not ContactorState.CLOSED
            reason = self._reason_to_open(fell)
            if reason is not None:
                self._withdraw(reason, now)
            power = self.outputs.power
        elif self._may_close(now):
            power = True
        self._seen_closed = self.contactor is ContactorState.CLOSED
        self._resets = self._observed.resets
        self._write(power)

    def _reason_to_open(self, fell: bool) -> OpeningReason | None:
        """Return why power has to end, or has ended, now; ``None`` when it may go on."""
        observed = self._observed
        if self._shut_down:
            return OpeningReason.SHUTDOWN
        if observed.link is not LinkState.UP:
            return OpeningReason.LINK_LOST
        if observed.resets != self._resets:
            return OpeningReason.BOARD_RESET
        if self._errors_of(OPENING) or self._objection:
            return OpeningReason.PROTECTION
        if not self._command.allow_power_on or self._command.pilot_mode in {PilotMode.F, PilotMode.E}:
            return OpeningReason.COMMANDED
        if self._replug.active:
            return OpeningReason.COMMANDED
        if self._style is BoardStyle.LOW_LEVEL and self._lock_missing():
            return OpeningReason.PROTECTION
        if not self._pilot_asks() and (self._style is BoardStyle.LOW_LEVEL or fell):
            return OpeningReason.PILOT
        if not fell:
            return None
        if self._errors_of(BLOCKING):
            return OpeningReason.PROTECTION  # the hardware did not wait for the manager's decision
        # A firmware that was ordered to pause opens when the EV has stopped, which may still show C.
        paused = self._style is BoardStyle.HIGH_LEVEL and self._command.pilot_mode is PilotMode.X1
        return OpeningReason.COMMANDED if paused else OpeningReason.BY_ITSELF

    def _may_close(self, now: ClockReadings) -> bool:
        """Return whether everything is right at once."""
        observed = self._observed
        permitted = (
            self.power_allowed
            and not self._objection
            and observed.link is LinkState.UP
            and not self._replug.active
            and self._command.pilot_mode is PilotMode.PWM
            and self._command.acknowledged_fault_counter == self._fault_counter
            and observed.contactor is ContactorState.OPEN
            and not self._errors_of(OPENING)
            and not self._errors_of(BLOCKING)
        )
        if not permitted or self._style is BoardStyle.HIGH_LEVEL:
            return permitted
        return (
            self._opened_at is not None
            and now.clock >= self._opened_at + REST_AFTER_OPENING_S
            and observed.pilot_mode is PilotMode.PWM
            and self._pilot_asks()
            and not self._lock_missing()
            and not self._phases_differ()
        )

    def _pilot_asks(self) -> bool:
        cp_state = self._observed.cp_state
        return cp_state is ControlPilotState.C or (
            cp_state is ControlPilotState.D and self._command.ventilation_allowed
        )

    def _lock_missing(self) -> bool:
        has_lock = self.capabilities is not None and self.capabilities.has_lock
        return has_lock and self._observed.lock is not LockState.LOCKED

    def _phases_differ(self) -> bool:
        switches = self.capabilities is not None and self.capabilities.supports_phase_switch
        return switches and self._command.phases not in {0, self._observed.phases}

    def _errors_of(self, kind: frozenset[BoardErrorEnum]) -> bool:
        return any(error.code in kind for error in self._observed.errors)

    def _withdraw(self, reason: OpeningReason, now: ClockReadings) -> None:
        """Note an opening and its reason; one of our own has to be acknowledged before the next closing."""
        by_pilot_alone = reason is OpeningReason.PILOT and self._observed.cp_state in _QUIET_STATES
        if reason in _OUR_FAULTS and not by_pilot_alone:
            self._fault_counter += 1
        if self._seen_closed and self._observed.cp_state in _CHARGING_STATES:
            self._openings_under_load += 1
        self._reason = reason
        self._opened_at = now.clock
        if not (by_pilot_alone and self._style is BoardStyle.HIGH_LEVEL):
            self.outputs = replace(self.outputs, power=False)

    def _write(self, power: bool) -> None:
        """Compose the outputs; what needs an open contactor waits for it."""
        command = self._command
        replugging = self._replug.pilot_mode
        mode = PilotMode.X1 if self._shut_down or self._objection else command.pilot_mode
        mode = replugging if replugging is not None else mode
        pwm = mode is PilotMode.PWM
        safe = self.contactor is ContactorState.OPEN and not power
        lock = self.outputs.lock
        if self._lease.holder and not self._objection and not self._shut_down and (command.lock or safe):
            lock = command.lock
        phases = self.outputs.phases
        if command.phases and safe:
            phases = command.phases
        outputs = replace(
            self.outputs,
            pilot_mode=mode,
            duty_cycle_percent=command.duty_cycle_percent if pwm else 100.0,
            current_a=command.current_a if pwm else 0.0,
            power=power,
            lock=lock,
            phases=phases,
            ventilation_allowed=command.ventilation_allowed,
            over_current_limit_a=command.over_current_limit_a,
        )
        if outputs != self.outputs:
            self.outputs = outputs

    def _state(self) -> BoardState:
        """Compose the state without what ``_complete`` adds."""
        observed = self._observed
        errors = observed.errors
        if self._objection:
            errors = (*errors, BoardError(BoardErrorEnum.BAD_DATA, self._objection))
        return BoardState(
            cp_state=observed.cp_state,
            pilot_mode=observed.pilot_mode,
            duty_cycle_percent=observed.duty_cycle_percent,
            current_a=observed.current_a,
            contactor=self.contactor,
            lock=observed.lock,
            proximity=observed.proximity,
            cable_ampacity_a=observed.cable_ampacity_a,
            phases=observed.phases,
            active_errors=errors,
            fault_counter=self._fault_counter,
            opening_reason=self._reason,
            openings_under_load=self._openings_under_load,
            replug_active=self._replug.active or observed.replug_active,
            firmware=observed.firmware,
            link_state=observed.link,
            controller_id=self._lease.holder,
            transition_counter=self._history.counter,
            board_id=self._board_id,
        )
