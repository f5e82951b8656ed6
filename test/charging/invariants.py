"""
The invariants that hold in every test: a checker beside a kernel checks each of its steps.

They are those of docs/faults.md and docs/charging.md; where charging.md differs, it wins.  The checker uses
what any reader sees: the inputs, the outputs, the events and the status.
"""

import math
from dataclasses import replace
from typing import Any

from charging import reason_oracle
from charging.limit_oracle import LimitOracle
from evse_manager.charging.inputs import (
    BoardCapabilitiesReceived,
    ClearFault,
    CommandReceived,
    Disable,
    Enable,
    EnableDisable,
    Input,
    LimitsEnforced,
    Now,
    ParametersChanged,
    PauseCharging,
    ResumeCharging,
    SetExternalLimits,
    SetFaulted,
    Shutdown,
    Start,
    Tick,
)
from evse_manager.charging.kernel import Kernel, Output, Step
from evse_manager.interface import pilot
from evse_manager.interface.enums import (
    Availability,
    ContactorState,
    ControlPilotState,
    EnableSource,
    EnableState,
    ErrorEnum,
    LinkState,
    LockState,
    PilotMode,
    StopTransactionReason,
)
from evse_manager.interface.enums import SessionEventEnum as E
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import BoardCapabilities, BoardCommand, BoardState, EvseStatus, SessionEvent
from evse_manager.lease.manager import BoardLost, BoardObserved

PAYLOADS = {
    'session_started': E.SESSION_STARTED,
    'transaction_started': E.TRANSACTION_STARTED,
    'transaction_finished': E.TRANSACTION_FINISHED,
    'error': E.ERROR,
}

FOLLOWERS = {
    None: {E.SESSION_STARTED},
    E.SESSION_STARTED: {E.AUTH_REQUIRED, E.TRANSACTION_STARTED, E.SESSION_FINISHED},
    E.AUTH_REQUIRED: {E.AUTH_REQUIRED, E.TRANSACTION_STARTED, E.SESSION_FINISHED},
    E.TRANSACTION_STARTED: {E.PREPARE_CHARGING},
    E.STOPPING_CHARGING: {E.CHARGING_FINISHED},
    E.CHARGING_FINISHED: {E.TRANSACTION_FINISHED},
    E.TRANSACTION_FINISHED: {E.SESSION_FINISHED},
    E.SESSION_FINISHED: {E.SESSION_STARTED},
}
"""What may follow what within sessions; everything not named here is an event inside a transaction."""

PAUSES = {E.CHARGING_PAUSED_EV, E.CHARGING_PAUSED_EVSE, E.WAITING_FOR_ENERGY}
FLOWS = {E.CHARGING_STARTED, E.CHARGING_RESUMED}
INSIDE = PAUSES | FLOWS | {E.STOPPING_CHARGING}
SESSION = INSIDE | {event for event in FOLLOWERS if event is not None} | {E.PREPARE_CHARGING}

CONTROLLED = {
    'BoardOverTemperature', 'CableOverTemperature', 'TemperatureStop', 'MeterLost', 'PhaseSwitchFailed'
}  # fmt: skip
"""With these the EV gets time to leave C; every other error opens the contactor in the same step."""

ORDERS: dict[type, tuple[str, str]] = {
    SetFaulted: ('faulted', ''),
    ClearFault: ('', 'faulted'),
    PauseCharging: ('paused', ''),
    ResumeCharging: ('', 'paused'),
}
"""What an accepted command orders, and what it takes back."""

LOCAL_PRIORITY = 100
"""The priority of ``enable`` and ``disable``."""

FORCED_OPENING_S = 6.0
X1_S = 3.0
PACING_S = 5.0
A_MOMENT_S = 1e-6


class InvariantChecker:
    """Judges every step of one kernel; an invariant that does not hold is an ``AssertionError``."""

    @staticmethod
    def watch(kernel: Kernel, config: Config, past: 'list[SessionEvent] | None' = None) -> 'InvariantChecker':
        """Stand beside a kernel from now on; ``past`` are the events that were published before."""
        invariants = InvariantChecker(config)
        take = kernel.take
        for event in past or []:
            invariants._event(event)
            invariants.begun = invariants.link = True
            invariants.outputs = BoardCommand(pilot_mode=PilotMode.X1)

        def watched(happened: Input, now: Now) -> Step:
            step = take(happened, now)

            def judged(_: Step) -> Output:
                output = step.report()
                invariants.judge(happened, now, output, kernel.status(now))
                return output

            if step.unchanged:  # the manager asks for no report then
                judged(step)
                return step
            return replace(step, reporter=judged)

        kernel.take = watched  # type: ignore[method-assign]
        return invariants

    def __init__(self, config: Config) -> None:
        self.config = config
        self.limit_oracle = LimitOracle(config)
        self.steps = 0
        self.events: list[SessionEvent] = []
        self.outputs = BoardCommand()
        self.withdrawn_at = -math.inf
        self.raised_at = -math.inf
        self.mode_since = -math.inf
        self.error_at = -math.inf
        self.waking = False
        self.board: BoardState | None = None
        self.counted = 0
        """The transitions that were seen before the newest board state."""
        self.board_capabilities = BoardCapabilities()
        self.link = False
        self.begun = False
        self.waits_for_time = False
        self.unanswered: set[int] = set()
        self.clearing = False
        self.shutting_down = False
        self.granted = False
        self.last: E | None = None
        self.uuid = ''
        self.uuids: set[str] = set()
        self.started_wh: float | None = None
        self.transaction = self.flowed = self.errors = self.reserved = False
        self.availability: E | None = None
        self.replugging = False
        self.faulted = False
        """A permanent fault is an error too: ``AllErrorsCleared`` waits for its end."""
        self.welded = False
        self.contactor = ContactorState.UNKNOWN
        self.closings: list[float] = []
        self.status = EvseStatus()
        self.ordered: set[str] = set()
        self.says: dict[EnableSource, tuple[int, bool]] = {}
        """Per owner: its priority, and whether it enables."""
        """What operators ordered and have not taken back."""

    def judge(self, happened: Input, now: Now, output: Output, status: EvseStatus) -> None:
        """Judge one step."""
        self.steps += 1
        self._input(happened, now)
        self.limit_oracle.take(happened, now, output)
        reserved, seen = self.reserved, len(self.events)
        for event in output.events:
            self._event(event)
            if event.event is E.ERROR:
                self.error_at = now.steady
        if reserved and not self.reserved:
            assert {E.RESERVATION_END, E.TRANSACTION_STARTED} & {event.event for event in self.events[seen:]}
        self.unanswered -= {ticket for ticket, _ in output.answers}
        self._ends(output, status)
        self._outputs(now, output, status)
        self._status(output, status)
        self._reason(happened, now, output, status)
        self._deadline(now, output, status)
        self._weld(status)
        self._still(happened, output, status)
        self.status = status

    # --- one subject each ----------------------------------------------------------------------

    def _input(self, happened: Input, now: Now) -> None:
        self.clearing = False
        if isinstance(happened, CommandReceived):
            self.unanswered.add(happened.ticket)
        match happened:
            case Start():
                self.begun = True
            case ParametersChanged(config):
                self.config = config
            case Shutdown():
                self.shutting_down = True
            case BoardObserved(state, _):
                self.counted = self.board.transition_counter if self.board is not None else 0
                self.board, self.link = state, True
                new = [step.contactor for step in state.transitions if step.counter > self.counted]
                for contactor in (*new, state.contactor):
                    if contactor is ContactorState.CLOSED and self.contactor is ContactorState.OPEN:
                        self.closings.append(now.steady)
                    self.contactor = contactor
            case BoardLost():
                self.link = False
            case BoardCapabilitiesReceived(capabilities):
                self.board_capabilities = capabilities
            case LimitsEnforced():
                self.granted = True
            case CommandReceived(_, SetExternalLimits(value)):
                self.waits_for_time = self.waits_for_time or len(value.schedule_import) > 1
            case CommandReceived(_, ClearFault()):
                self.clearing = True
            case _:
                pass

    def _event(self, event: SessionEvent) -> None:
        """Sessions and transactions are well-formed, payloads are where they belong, numbers run on."""
        kind = event.event
        self.events.append(event)
        assert event.sequence_number == len(self.events)
        assert event.stamp is not None
        assert event.connector_id == self.config.connector_id
        for name, owner in PAYLOADS.items():
            assert (getattr(event, name) is not None) == (kind is owner), event
        if kind in SESSION:
            self._session_event(event)
        else:
            assert event.uuid == self.uuid, f'{event} belongs to another session than {self.uuid!r}.'
        match kind:
            case E.ERROR:
                assert event.error is not None
                assert event.error.error_code is not ErrorEnum.UNSPECIFIED
                assert ': ' in event.error.vendor_error
                self.errors = True
            case E.ALL_ERRORS_CLEARED:
                self.errors = self.faulted = False
            case E.ENABLED | E.DISABLED | E.PERMANENT_FAULT:
                assert kind is not self.availability, f'{kind.name} twice.'
                self.availability = kind
                self.faulted = self.faulted or kind is E.PERMANENT_FAULT
            case E.RESERVATION_START:
                assert not self.reserved
                assert self.uuid == ''
                self.reserved = True
            case E.RESERVATION_END:
                assert self.reserved
                self.reserved = False
            case E.REPLUG_STARTED | E.REPLUG_FINISHED:
                assert self.replugging == (kind is E.REPLUG_FINISHED)
                self.replugging = not self.replugging
            case _:
                pass

    def _session_event(self, event: SessionEvent) -> None:
        kind, last = event.event, self.last
        allowed = FOLLOWERS.get(last, INSIDE)
        assert kind in allowed, f'{kind.name} after {last.name if last else "nothing"}.'
        self.last = kind
        if kind is E.SESSION_STARTED:
            assert self.availability is E.ENABLED
            assert event.uuid not in self.uuids
            assert event.uuid
            self.uuid = event.uuid
            self.uuids.add(event.uuid)
        assert event.uuid == self.uuid
        if kind is E.SESSION_FINISHED:
            self.uuid = ''
        elif kind is E.TRANSACTION_STARTED:
            assert event.transaction_started is not None
            assert not self.errors, 'A transaction began during an error.'
            assert (event.transaction_started.reservation_id is not None) == self.reserved
            self.started_wh = event.transaction_started.meter_value.energy_wh_import.total
            self.transaction, self.flowed, self.reserved = True, False, False
        elif kind is E.TRANSACTION_FINISHED:
            finished = event.transaction_finished
            assert finished is not None
            assert finished.reason is not StopTransactionReason.UNSPECIFIED
            stop_wh = finished.meter_value.energy_wh_import.total
            if self.started_wh is not None:
                assert stop_wh is not None
                assert stop_wh >= self.started_wh, 'Energy ran backwards.'
            self.transaction = False
        elif kind is E.CHARGING_STARTED:
            assert not self.flowed, 'CS twice in a transaction.'
            self.flowed = True
        elif kind is E.CHARGING_RESUMED:
            assert self.flowed, 'CR before CS.'
        if kind in FLOWS:
            assert self.board is not None
            seen = [step.contactor for step in self.board.transitions]
            assert ContactorState.CLOSED in (self.board.contactor, *seen)
        if kind is E.CHARGING_PAUSED_EV:
            assert kind is not last or self.errors_since(kind), f'{kind.name} twice.'

    def errors_since(self, kind: E) -> bool:
        """Tell whether an error came between the newest event and the one of its kind before."""
        for event in reversed(self.events[:-1]):
            if event.event is kind:
                return False
            if event.event in {E.ERROR, E.ALL_ERRORS_CLEARED}:
                return True
        return False

    def _ends(self, output: Output, status: EvseStatus) -> None:
        """A transaction ends after the contactor opened, unless that is unknown or it never will."""
        kinds = {event.event for event in output.events}
        if E.CHARGING_FINISHED in kinds and self.link and not self.shutting_down:
            assert self.board is not None
            new = [step for step in self.board.transitions if step.counter > self.counted]
            opened = ContactorState.OPEN in (self.board.contactor, *(step.contactor for step in new))
            assert opened or 'ContactorWelded' in _codes(status), 'Finished before the contactor opened.'
        if E.CHARGING_PAUSED_EV in kinds:
            assert self.outputs.pilot_mode is PilotMode.PWM, 'No current was offered that the EV could leave.'

    def _outputs(self, now: Now, output: Output, status: EvseStatus) -> None:
        before = self.outputs
        if output.outputs is not None:
            assert output.outputs != before, 'Outputs that did not change.'
            self.outputs = output.outputs
        out = self.outputs
        for number in (out.duty_cycle_percent, out.current_a, out.over_current_limit_a):
            assert math.isfinite(number)
            assert 0.0 <= number <= 100.0
        assert out.phases in (0, 1, 3)
        pwm = out.pilot_mode is PilotMode.PWM
        if out.pilot_mode is not before.pilot_mode:
            if pwm:
                rested = now.steady - self.mode_since
                assert before.pilot_mode is PilotMode.X1
                assert rested >= (0.75 if self.waking else X1_S) - A_MOMENT_S, f'X1 lasted {rested:g} s only.'
            self.waking = (out.pilot_mode is PilotMode.F and before.pilot_mode is PilotMode.PWM) or (
                self.waking and not pwm
            )
            self.mode_since = now.steady
        if pwm:
            assert status.transaction_active
            assert not status.active_errors
            assert not status.paused_by_user
            assert self.link
            assert out.current_a >= pilot.MINIMUM_CURRENT_A
            assert out.current_a <= status.limit_a + pilot.CURRENT_TOLERANCE_A
            self._ceiling(now)
            assert math.isclose(pilot.current(out.duty_cycle_percent), out.current_a, abs_tol=0.1)
        else:
            assert (out.current_a, out.duty_cycle_percent) == (0.0, 100.0)
        if pwm and before.pilot_mode is PilotMode.PWM and out.current_a > before.current_a:
            assert now.steady >= self.raised_at + PACING_S - A_MOMENT_S, 'The duty rose too soon.'
        if out.current_a > before.current_a:
            self.raised_at = now.steady
        if out.phases != before.phases:
            assert not before.allow_power_on, 'The phases were switched under power.'
        self._permission(now, before, status)
        self._lock(before)

    def _ceiling(self, now: Now) -> None:
        """No source of limits is exceeded, in amperes, watts or phases, by what the contactor connects."""
        phases = self.outputs.phases
        hardware, board = self.limit_oracle.hardware, self.board
        if hardware is not None and hardware.supports_changing_phases_during_charging:
            assert board is not None
            assert board.phases in (0, phases), f'{phases} phases are reckoned with, not {board.phases}.'
        most_a = self.limit_oracle.amperes(now, phases)
        assert self.outputs.current_a <= most_a + pilot.CURRENT_TOLERANCE_A + A_MOMENT_S, (
            f'{self.outputs.current_a} A are signalled, {most_a} A allowed.'
        )
        assert phases <= self.limit_oracle.phases(now)

    def _permission(self, now: Now, before: BoardCommand, status: EvseStatus) -> None:
        """Power needs everything to be right at once, or was just withdrawn from an EV that is still in C."""
        out = self.outputs
        if not out.allow_power_on:
            return
        assert status.transaction_active
        assert status.plugged
        assert self.link
        assert not self.shutting_down
        assert _codes(status) <= CONTROLLED, 'An emergency opens at once.'
        self._closings(now)
        if out.pilot_mode is PilotMode.PWM:
            assert not status.active_errors
            if not self.board_capabilities.runs_iec61851:
                assert status.cp_state in (ControlPilotState.C, ControlPilotState.D)
                assert status.cp_state is ControlPilotState.C or self.config.has_ventilation
            if self.board_capabilities.has_lock and not before.allow_power_on:
                assert self.board is not None
                assert self.board.lock is LockState.LOCKED
            self.withdrawn_at = now.steady
        else:
            assert before.allow_power_on, 'The contactor was allowed without an offer.'
            assert now.steady <= self.withdrawn_at + FORCED_OPENING_S + 0.5
            assert out.pilot_mode is PilotMode.X1

    def _closings(self, now: Now) -> None:
        """No closing is permitted beyond what the contactor may do in a minute and in an hour."""
        if self.contactor is ContactorState.CLOSED:
            return
        config = self.config
        for most, seconds in ((config.closings_per_minute_max, 60.0), (config.closings_per_hour_max, 3600.0)):
            recent = [at for at in self.closings if at > now.steady - seconds]
            assert len(recent) < most, f'{len(recent)} closings in {seconds:g} s, and one more is permitted.'

    def _lock(self, before: BoardCommand) -> None:
        if before.lock and not self.outputs.lock:
            assert self.board is not None
            assert self.board.contactor is ContactorState.OPEN, 'Unlocked under load.'
            assert not self.welded or self.clearing, 'Unlocked though welded.'

    def _reason(self, happened: Input, now: Now, output: Output, status: EvseStatus) -> None:
        """The reported reason for the flow of energy is true."""
        match happened:
            case CommandReceived(_, Enable(number)):
                self._say(number, EnableSource.LOCAL_API, EnableState.ENABLE, LOCAL_PRIORITY)
            case CommandReceived(_, Disable(number)):
                self._say(number, EnableSource.LOCAL_API, EnableState.DISABLE, LOCAL_PRIORITY)
            case CommandReceived(_, EnableDisable(number, source, state, priority)):
                self._say(number, source, state, priority)
            case CommandReceived(ticket, command) if answer := dict(output.answers).get(ticket):
                adds, removes = ORDERS.get(type(command), ('', ''))
                if answer.success:
                    self.ordered = (self.ordered | {adds}) - {removes}
            case Start(remembered):
                self.ordered |= {'faulted'} if remembered.faulted else set()
                for owner in remembered.owners:
                    self._say(0, owner.source, owner.state, owner.priority)
                if not remembered.enabled and not remembered.owners:
                    self._say(0, EnableSource.LOCAL_API, EnableState.DISABLE, LOCAL_PRIORITY)
            case Shutdown():
                self.ordered.add('shutdown')
            case _:
                pass
        if not self.transaction:
            self.ordered.discard('paused')
        reason_oracle.judge(self.facts(now, status))

    def _say(self, number: int, source: EnableSource, state: EnableState, priority: int) -> None:
        """Take what one owner wants: the lowest priority number wins, of equal ones the disable."""
        malformed = state is EnableState.UNSPECIFIED or not 0 <= priority <= 10_000
        if malformed or number not in (0, self.config.connector_id):
            return
        if state is EnableState.ENABLE and 'faulted' in self.ordered:
            return
        self.says.pop(source, None)
        if state is not EnableState.UNASSIGNED:
            self.says[source] = (priority, state is EnableState.ENABLE)
        self.ordered.discard('disabled')
        if self.says and not min(self.says.values())[1]:
            self.ordered.add('disabled')

    def facts(self, now: Now, status: EvseStatus) -> reason_oracle.Facts:
        """Return what is known without asking the kernel."""
        return reason_oracle.Facts(
            now,
            status,
            self.outputs,
            self.board,
            self.link,
            self.limit_oracle,
            self.last,
            self.transaction,
            self.availability,
            self.ordered,
        )

    def _status(self, output: Output, status: EvseStatus) -> None:
        assert status.session_uuid == self.uuid
        assert status.transaction_active == self.transaction
        assert (status.reservation_id is not None) == self.reserved
        if not self.faulted:
            assert bool(status.active_errors) == self.errors or not self.begun
        assert status.reason_text
        assert len(_codes(status)) == len(status.active_errors)
        assert self.link or status.link_state is not LinkState.UP
        for answer in output.answers:
            assert answer[1].success or answer[1].message, 'A refusal without a reason.'

    def _deadline(self, now: Now, output: Output, status: EvseStatus) -> None:
        if output.deadline is not None:
            assert output.deadline > now.steady
        idle = (
            self.begun
            and status.availability is not Availability.UNSPECIFIED
            and not status.session_uuid
            and not status.active_errors
            and not self.shutting_down
            and not self.granted
            and not self.config.fail_on_powermeter_errors
            and not self.outputs.lock
            and not self.unanswered
            and now.steady >= self.error_at + self.config.state_f_after_fault_s
        )
        if idle and output.deadline is not None:
            assert self.waits_for_time, (
                f'An idle connector wants to be woken in {output.deadline - now.steady} s.'
            )

    def _weld(self, status: EvseStatus) -> None:
        welded = any(error.vendor_error.startswith('ContactorWelded') for error in status.active_errors)
        if self.welded and not welded:
            assert self.clearing, 'A weld ended without the operator.'
        self.welded = welded
        assert not (welded and self.outputs.allow_power_on)

    def _still(self, happened: Input, output: Output, status: EvseStatus) -> None:
        """A status is published exactly when something discrete has changed."""
        if output.status is not None:
            assert output.status == status
        elif self.steps > 1 and not isinstance(happened, Tick):
            assert _discrete(status) == _discrete(self.status)


def _codes(status: EvseStatus) -> set[str]:
    """Return the stable codes of the active errors."""
    return {error.vendor_error.split(':')[0] for error in status.active_errors}


def _discrete(status: EvseStatus) -> EvseStatus:
    absent: dict[str, Any] = {
        'stamp': None, 'power_w': None, 'session_energy_wh': None, 'session_duration': 0.0,
        'charging_duration': 0.0, 'temperature_c': None,
        'current_l1_a': None, 'current_l2_a': None, 'current_l3_a': None,
        'voltage_l1_v': None, 'voltage_l2_v': None, 'voltage_l3_v': None,
    }  # fmt: skip
    return replace(status, **absent)
