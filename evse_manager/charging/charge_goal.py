"""
One goal of the ``charge`` action: charge here, until, by.  A deterministic state machine without I/O.

A goal waits for the car and its authorization, then follows the transaction until the first of its targets is
reached, the car is satisfied, or something ends the transaction.  It sends the kernel the same commands as
any other client, and reads only the published status and events.
"""

import math
from dataclasses import dataclass, field, replace
from enum import Enum

from evse_manager.charging.inputs import (
    AuthorizeResponse,
    Command,
    PauseCharging,
    ResumeCharging,
    StopTransaction,
    WithdrawAuthorization,
)
from evse_manager.interface import tokens
from evse_manager.interface.enums import (
    AuthorizationStatus,
    Availability,
    ChargeResult,
    ChargerState,
    SessionEventEnum,
    StatusReason,
    StopTransactionReason,
)
from evse_manager.interface.pilot import MINIMUM_CURRENT_A
from evse_manager.interface.types import (
    EvseStatus,
    OptimizerTarget,
    ProvidedIdToken,
    SessionEvent,
    StopTransactionRequest,
    Time,
    ValidationResult,
)

FULL_AFTER_S = 60.0
"""A car that took energy and then asks for none for this long has what it wants."""

SETTLE_S = 3.0
"""An answer to a stop or a withdrawal shows in the status within this time; else it is commanded again."""

WITHDRAWN_S = 1.0
"""An authorization that was under way shows in the status within this time after it was taken back."""

FLOWS_W = 1.0
"""Less than this is no flow that a time could be estimated from."""

ESTIMATE_VOLTAGE_V = 230.0
"""Voltage of a phase for estimates before energy flows."""

NO_ENERGY = frozenset({StatusReason.NO_ENERGY, StatusReason.LIMIT_EXPIRED})
"""A car wants energy, and the limits allow none; before the first grant nothing is known."""

OUT_OF_ORDER = 'The connector is out of order; clear_fault ends that.'

NANOSECONDS = 1e9


class KeepAliveLost(Enum):
    """Effect on the charging when the client of a goal is silent."""

    CONTINUE = 'continue'
    PAUSE = 'pause'
    STOP = 'stop'


@dataclass(frozen=True, slots=True)
class Goal:
    """
    What a client asks for; None = not given.

    ``energy_wh`` counts from the start of the transaction, ``duration_s`` from the same moment, ``departure``
    is wall time.  ``keep_alive_s``: the longest silence of the client (0 = it need not speak).
    """

    token: str = ''
    energy_wh: float | None = None
    soc_percent: float | None = None
    duration_s: float | None = None
    departure: Time | None = None
    priority: int = 0
    keep_alive_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Policy:
    """
    The connector's rules for goals.

    ``connection_timeout_s``: how long a goal waits for its transaction.  ``by_site``: the token goes to the
    authorization node, else it authorizes directly.
    """

    default_token: str = ''
    connection_timeout_s: float = 60.0
    keep_alive_lost: KeepAliveLost = KeepAliveLost.CONTINUE
    by_site: bool = False


@dataclass(frozen=True, slots=True)
class GoalResult:
    """Data of the goal's transaction; None = unknown."""

    session_uuid: str = ''
    energy_wh: float | None = None
    meter_start_wh: float | None = None
    meter_stop_wh: float | None = None
    started: Time | None = None
    finished: Time | None = None
    reason: StopTransactionReason = StopTransactionReason.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Ending:
    """How a goal has ended; ``message`` is one sentence for people, empty on plain success."""

    result: ChargeResult
    message: str = ''
    record: GoalResult = GoalResult()


@dataclass(frozen=True, slots=True)
class Progress:
    """The feedback: status, charge and what is expected; None = unknown."""

    status: EvseStatus
    soc_percent: float | None = None
    time_to_go_s: float | None = None
    departure_at_risk: bool = False


@dataclass(slots=True)
class GoalOutput:
    """
    What one input brought about.

    ``present``: a token for the authorization node.  ``ending`` is not None once, at the end.
    ``deadline`` is the steady time of the next ``tick``.
    """

    commands: list[Command] = field(default_factory=list)
    present: ProvidedIdToken | None = None
    ending: Ending | None = None
    deadline: float | None = None


class ChargeGoal:
    """
    A goal under way.

    Every method takes the steady time in seconds and the wall time, and returns the output.  After an ending
    nothing more comes.

    It is large because its inputs, rules and reports work on the same facts, and are read from top to bottom.
    """

    def __init__(self, goal: Goal, policy: Policy) -> None:
        self._goal = goal
        self._policy = policy
        self._token = goal.token or policy.default_token
        self._status: EvseStatus | None = None
        self._soc: float | None = None
        self._record = GoalResult()
        self._began: float | None = None
        """When the transaction began; None = it has not."""
        self._accepted = 0.0
        self._heard = 0.0
        self._silent = False
        self._flowed = False
        self._car_pauses_since: float | None = None
        self._wanted_end: tuple[ChargeResult, str, StopTransactionReason] | None = None
        self._commanded: float | None = None
        """When the end was commanded last."""
        self._authorized_here = False
        self._ended = False
        self._now, self._wall = 0.0, Time(0)
        self._output = GoalOutput()

    # --- inputs ----------------------------------------------------------------------------------------

    def accept(self, status: EvseStatus, soc_percent: float | None, now: float, wall: Time) -> GoalOutput:
        """Begin: refuse what is impossible, else authorize, or join the transaction of the same token."""
        self._now, self._wall, self._accepted, self._heard = now, wall, now, now
        self._status, self._soc = status, soc_percent
        refusal = self._objection(status)
        if refusal:
            self._finish(ChargeResult.REFUSED, refusal)
        elif status.transaction_active:
            self._begin_transaction()
        elif not status.authorized:
            self._authorize()
        return self._settle()

    def observe(self, status: EvseStatus, soc_percent: float | None, now: float, wall: Time) -> GoalOutput:
        """Take a status of the connector and what the car says of its charge."""
        self._now, self._wall, self._status, self._soc = now, wall, status, soc_percent
        return self._settle()

    def happened(self, event: SessionEvent, now: float, wall: Time) -> GoalOutput:
        """Take a session event of the connector."""
        self._now, self._wall = now, wall
        started, finished = event.transaction_started, event.transaction_finished
        if started is not None and event.event is SessionEventEnum.TRANSACTION_STARTED:
            if not self._own(started.id_tag.id_token):
                self._authorized_here = False
                self._finish(ChargeResult.REFUSED, 'Another token has begun the transaction here.')
                return self._take()
            self._begin_transaction()
            self._record = replace(
                self._record,
                session_uuid=event.uuid,
                meter_start_wh=started.meter_value.energy_wh_import.total,
                started=started.timestamp,
            )
        elif finished is not None and self._began is not None:
            self._record = replace(
                self._record,
                session_uuid=event.uuid,
                meter_stop_wh=finished.meter_value.energy_wh_import.total,
                finished=finished.timestamp,
                reason=finished.reason,
            )
            self._transaction_over(finished.reason)
        return self._settle()

    def refused(self, message: str, now: float, wall: Time) -> GoalOutput:
        """The kernel, or the authorization node, has refused the token."""
        self._now, self._wall = now, wall
        if self._began is None and self._wanted_end is None:
            self._authorized_here = False
            self._finish(ChargeResult.REFUSED, message)
        return self._settle()

    def cancel(self, now: float, wall: Time) -> GoalOutput:
        """The client cancels: the transaction is stopped in order, then the goal ends."""
        self._now, self._wall = now, wall
        self._end(ChargeResult.CANCELLED, '', StopTransactionReason.REMOTE)
        return self._settle()

    def keep_alive(self, now: float, wall: Time) -> GoalOutput:
        """The client is there."""
        self._now, self._wall, self._heard = now, wall, now
        if self._silent:
            self._silent = False
            if self._policy.keep_alive_lost is KeepAliveLost.PAUSE and self._began is not None:
                self._output.commands.append(ResumeCharging())
        return self._settle()

    def tick(self, now: float, wall: Time) -> GoalOutput:
        """The deadline has come; at any other time a tick changes nothing."""
        self._now, self._wall = now, wall
        return self._settle()

    # --- what is reported ------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Return whether the goal has ended."""
        return self._ended

    def progress(self) -> Progress | None:
        """Return the feedback; None before the first status."""
        status = self._status
        if status is None:
            return None
        to_go = self._time_to_go(status)
        departure = self._goal.departure
        late = departure is not None and self._is_late(departure, status, to_go)
        return Progress(status, self._soc, to_go, late)

    def target(self) -> OptimizerTarget | None:
        """Return what the energy manager is asked for; None when the goal has no target."""
        goal = self._goal
        if goal.energy_wh is None and goal.soc_percent is None and goal.departure is None:
            return None
        left = self._energy_left()
        return OptimizerTarget(
            energy_amount_needed_kwh=None if left is None else left / 1000.0,
            charge_to_max_percent=goal.soc_percent,
            car_battery_soc_percent=self._soc,
            leave_time=goal.departure,
        )

    @property
    def priority(self) -> int:
        """Return the priority that the client asks for."""
        return self._goal.priority

    def _energy_left(self) -> float | None:
        if self._goal.energy_wh is None:
            return None
        return max(0.0, self._goal.energy_wh - self._energy_so_far())

    def _energy_so_far(self) -> float:
        status = self._status
        if self._began is None or status is None or status.session_energy_wh is None:
            return 0.0
        return status.session_energy_wh

    def _is_late(self, departure: Time, status: EvseStatus, to_go: float | None) -> bool:
        """Return whether the targets will not be reached by the departure, with the present limits."""
        if self._energy_left() and status.reason in NO_ENERGY:
            return True
        wanted = self._goal.energy_wh is not None or self._goal.soc_percent is not None
        return wanted and self._wall + (to_go or 0.0) * NANOSECONDS > departure

    def _time_to_go(self, status: EvseStatus) -> float | None:
        """Estimate the time until the energy or the duration is reached; None = unknown."""
        times = []
        left, power_w = self._energy_left(), _expected_power_w(status)
        if left is not None and power_w is not None:
            times.append(left / power_w * 3600.0)
        if self._goal.duration_s is not None and self._began is not None:
            times.append(max(0.0, self._began + self._goal.duration_s - self._now))
        return min(times, default=None)

    # --- the rules -------------------------------------------------------------------------------------

    def _objection(self, status: EvseStatus) -> str:
        goal = self._goal
        if not tokens.is_well_formed(self._token):
            return (
                f'token must be 1 to {tokens.TOKEN_LENGTH} printable ASCII characters (or set default_token).'
            )
        if goal.energy_wh is not None and not 0.0 < goal.energy_wh < math.inf:
            return 'energy_wh must be above 0 (-1 = not given).'
        if goal.soc_percent is not None and not 0.0 < goal.soc_percent <= 100.0:
            return 'soc_percent must be above 0 and at most 100 (-1 = not given).'
        if goal.duration_s is not None and goal.duration_s < 0.0:
            return 'duration must not be negative (zero = not given).'
        if goal.departure is not None and goal.departure <= self._wall:
            return 'departure lies in the past; give a later time (zero = not given).'
        if status.availability is Availability.FAULTED:
            return OUT_OF_ORDER
        if status.availability is not Availability.ENABLED:
            return 'The connector is disabled; enable it first.'
        if status.state is ChargerState.FINISHED:
            return 'The transaction of this session has ended; unplug the car to begin another.'
        if status.transaction_active and not self._may_be_own(status.token):
            return 'A transaction runs under another token; stop it first.'
        return ''

    def _own(self, id_token: str) -> bool:
        return tokens.same_token(id_token, self._token)

    def _may_be_own(self, shown: str) -> bool:
        """Return whether a masked token is that of this goal, as far as its readable end shows."""
        return tokens.same_token(shown, tokens.masked(self._token))

    def _authorize(self) -> None:
        token = ProvidedIdToken(self._token)
        if self._policy.by_site:
            self._output.present = token
        else:
            accepted = ValidationResult(AuthorizationStatus.ACCEPTED)
            self._output.commands.append(AuthorizeResponse(token, accepted))
        self._authorized_here = True

    def _begin_transaction(self) -> None:
        if self._began is not None:
            return
        self._began = self._now
        if self._silent and self._policy.keep_alive_lost is KeepAliveLost.PAUSE:
            self._output.commands.append(PauseCharging())

    def _end(self, result: ChargeResult, message: str, reason: StopTransactionReason) -> None:
        """Want the end; the first reason for it stays."""
        if self._wanted_end is None:
            self._wanted_end = (result, message, reason)

    def _settle(self) -> GoalOutput:
        """Bring the goal up to what is known now."""
        if self._ended:
            return self._take()
        status = self._status
        if status is not None:
            if status.transaction_active and self._began is None and self._may_be_own(status.token):
                self._begin_transaction()
            self._watch_client()
            if self._began is None:
                self._wait(status)
            else:
                self._follow(status)
        return self._take()

    def _watch_client(self) -> None:
        limit = self._goal.keep_alive_s
        if limit <= 0.0 or self._silent or self._now < self._heard + limit:
            return
        self._silent = True
        match self._policy.keep_alive_lost:
            case KeepAliveLost.CONTINUE:
                pass
            case KeepAliveLost.PAUSE:
                if self._began is not None:
                    self._output.commands.append(PauseCharging())
            case KeepAliveLost.STOP:
                text = f'The client has been silent for {limit:g} s.'
                self._end(ChargeResult.KEEP_ALIVE_LOST, text, StopTransactionReason.TIMEOUT)

    def _wait(self, status: EvseStatus) -> None:
        """Wait for the transaction: for the car, and for the authorization."""
        if status.availability is Availability.FAULTED:
            self._end(ChargeResult.FAULTED, status.reason_text, StopTransactionReason.OTHER)
        elif self._goal.departure is not None and self._wall >= self._goal.departure:
            self._end(ChargeResult.REACHED, 'The departure has come.', StopTransactionReason.OTHER)
        elif self._now >= self._accepted + self._policy.connection_timeout_s:
            missing = 'authorization' if status.plugged else 'car'
            text = f'No {missing} within {self._policy.connection_timeout_s:g} s.'
            self._end(ChargeResult.REFUSED, text, StopTransactionReason.OTHER)
        if self._wanted_end is not None:
            self._withdraw(status)

    def _withdraw(self, status: EvseStatus) -> None:
        """Take the authorization back, and end when the connector has shown for a while that it has none."""
        if self._wanted_end is None:
            return
        if not self._authorized_here:
            self._finish(*self._wanted_end[:2])
        elif self._commanded is None or (status.authorized and self._now >= self._commanded + SETTLE_S):
            self._commanded = self._now
            self._output.commands.append(WithdrawAuthorization())
        elif not status.authorized and self._now >= self._commanded + WITHDRAWN_S:
            self._authorized_here = False
            self._withdraw(status)

    def _follow(self, status: EvseStatus) -> None:
        """Follow the transaction until a target is reached, then stop it."""
        if not status.transaction_active:
            return  # TransactionFinished says why
        self._watch_targets(status)
        if self._wanted_end is None or (
            self._commanded is not None and self._now < self._commanded + SETTLE_S
        ):
            return
        if status.state is ChargerState.STOPPING_CHARGING:
            return
        self._commanded = self._now
        request = StopTransactionRequest(self._wanted_end[2], self._token)
        self._output.commands.append(StopTransaction(request))

    def _watch_targets(self, status: EvseStatus) -> None:
        goal = self._goal
        self._flowed = self._flowed or status.state is ChargerState.CHARGING
        if status.state is not ChargerState.CHARGING_PAUSED_EV:
            self._car_pauses_since = None
        elif self._car_pauses_since is None:
            self._car_pauses_since = self._now
        reached = ChargeResult.REACHED
        if goal.energy_wh is not None and self._energy_so_far() >= goal.energy_wh:
            self._end(reached, '', StopTransactionReason.ENERGY_LIMIT_REACHED)
        elif goal.soc_percent is not None and self._soc is not None and self._soc >= goal.soc_percent:
            self._end(reached, '', StopTransactionReason.SOC_LIMIT_REACHED)
        elif goal.departure is not None and self._wall >= goal.departure:
            self._end(reached, 'The departure has come.', StopTransactionReason.TIME_LIMIT_REACHED)
        elif goal.duration_s is not None and self._now >= (self._began or 0.0) + goal.duration_s:
            self._end(reached, '', StopTransactionReason.TIME_LIMIT_REACHED)
        elif (
            self._flowed
            and self._car_pauses_since is not None
            and self._now >= self._car_pauses_since + FULL_AFTER_S
        ):
            self._end(ChargeResult.FULL, '', StopTransactionReason.STOPPED_BY_EV)

    def _transaction_over(self, reason: StopTransactionReason) -> None:
        """End the goal with its transaction."""
        status, wanted = self._status, self._wanted_end
        if wanted is not None and reason is wanted[2]:
            self._finish(*wanted[:2])
        elif reason is StopTransactionReason.EV_DISCONNECTED:
            self._finish(ChargeResult.UNPLUGGED, 'The car was unplugged.')
        elif status is not None and (status.availability is Availability.FAULTED or status.active_errors):
            self._finish(ChargeResult.FAULTED, _fault(status))
        else:
            words = reason.name.lower().replace('_', ' ')
            self._finish(ChargeResult.STOPPED, f'The transaction was stopped ({words}).')

    def _finish(self, result: ChargeResult, message: str) -> None:
        if self._ended:
            return
        self._ended = True
        record, status = self._record, self._status
        if record.meter_start_wh is not None and record.meter_stop_wh is not None:
            record = replace(record, energy_wh=record.meter_stop_wh - record.meter_start_wh)
        elif self._began is not None and status is not None:
            record = replace(record, energy_wh=status.session_energy_wh)
        self._output.ending = Ending(result, message, record)

    def _take(self) -> GoalOutput:
        output, self._output = self._output, GoalOutput()
        output.deadline = None if self._ended else self._deadline()
        return output

    def _deadline(self) -> float | None:
        """Return when something happens by time alone."""
        goal, times = self._goal, []
        if self._began is None:
            times.append(self._accepted + self._policy.connection_timeout_s)
        elif goal.duration_s is not None:
            times.append(self._began + goal.duration_s)
        if goal.departure is not None:
            times.append(self._now + (goal.departure - self._wall) / NANOSECONDS)
        if goal.keep_alive_s > 0.0 and not self._silent:
            times.append(self._heard + goal.keep_alive_s)
        if self._car_pauses_since is not None:
            times.append(self._car_pauses_since + FULL_AFTER_S)
        if self._wanted_end is not None:
            again = SETTLE_S if self._began is not None else WITHDRAWN_S
            times = [(self._commanded if self._commanded is not None else self._now) + again]
        return min(times, default=None)


def _fault(status: EvseStatus) -> str:
    """Return what is wrong: the status itself may still speak of the end of the transaction."""
    if status.availability is Availability.FAULTED or not status.active_errors:
        return OUT_OF_ORDER
    _, _, sentence = status.active_errors[0].vendor_error.partition(': ')
    return sentence or status.reason_text


def _expected_power_w(status: EvseStatus) -> float | None:
    """Return the power that flows, else what the limits allow [W]; None = they allow no charging."""
    if status.state is ChargerState.CHARGING and status.power_w is not None and status.power_w > FLOWS_W:
        return status.power_w
    if status.limit_a < MINIMUM_CURRENT_A:
        return None
    return status.limit_a * max(1, status.phases) * ESTIMATE_VOLTAGE_V
