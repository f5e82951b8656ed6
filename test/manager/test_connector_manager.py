"""The manager loop without ROS: order within a step, records, renewals, silence, fail-safe, the end."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

from evse_manager.charging.commands import Answer
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    BoardCapabilitiesReceived,
    CapabilitiesReceived,
    Command,
    ForceUnlock,
    MeterSampled,
    Reserve,
)
from evse_manager.charging.kernel import Output
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import (
    AuthorizationStatus,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    PilotMode,
    SessionEventEnum,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardCommand,
    BoardState,
    EvseStatus,
    HardwareCapabilities,
    Powermeter,
    ProvidedIdToken,
    SessionEvent,
    Time,
    ValidationResult,
)
from evse_manager.lease.manager import BOARD_SILENCE_S, BoardLeaseClient
from evse_manager.manager import (
    HOLD_AFTER_FAILURE_S,
    IGNORED_LIMITS,
    IGNORED_LIMITS_S,
    ConnectorManager,
    Records,
)

E = SessionEventEnum
LEASE_S = 1.0


class SlowRecords:
    """Records that exist only when the test writes them."""

    def __init__(self) -> None:
        self.warning = ''
        self.overdue_at: float | None = None
        self.waiting: list[Callable[[], None]] = []
        self.finished = False

    def keep(self, output: Output, publish: Callable[[], None]) -> None:
        if output.events or output.answers:
            self.waiting.append(publish)
        else:
            publish()

    def settle(self) -> None:
        waiting, self.waiting, self.overdue_at = self.waiting, [], None
        for publish in waiting:
            publish()

    def finish(self) -> None:
        self.settle()
        self.finished = True


class Connector:
    """A manager, and a board that answers each command in the next report."""

    def __init__(self, records: Records | None = None, name: str = 'manager') -> None:
        self.steady = 100.0
        self.log: list[tuple[str, Any]] = []
        self.commands: list[tuple[float, BoardCommand, bool]] = []
        self.board = BoardState(
            cp_state=ControlPilotState.A,
            pilot_mode=PilotMode.X1,
            contactor=ContactorState.OPEN,
            lock=LockState.NONE,
            phases=3,
            link_state=LinkState.UP,
        )
        numbers = count(1)
        self.manager = ConnectorManager(
            Config(),
            BoardLeaseClient(name, LEASE_S),
            self,
            records,
            new_uuid=lambda: f'{name} {next(numbers)}',
            random=lambda: 0.0,
        )
        self.manager.take(BoardCapabilitiesReceived(BoardCapabilities()), self.now)
        self.manager.take(CapabilitiesReceived(HardwareCapabilities(32.0, 6.0, 3, 1)), self.now)
        self.manager.start(self.now)

    @property
    def now(self) -> ClockReadings:
        return ClockReadings(self.steady, self.steady, Time(round(self.steady * 1e9)))

    @property
    def newest(self) -> BoardCommand:
        return self.commands[-1][1]

    def report(self, **changes: Any) -> None:
        """Let the board report that it has the newest command."""
        command = self.newest
        if not command.allow_power_on:
            changes.setdefault('contactor', ContactorState.OPEN)
        self.board = replace(
            self.board,
            pilot_mode=command.pilot_mode,
            duty_cycle_percent=command.duty_cycle_percent,
            current_a=command.current_a,
            controller_id=command.manager_id,
            answered_sequence_number=command.sequence_number,
            **changes,
        )
        self.manager.observe(self.board, self.now)

    def run(self, seconds: float, *, reporting: bool = True) -> None:
        """Let time pass from deadline to deadline; the board reports four times a second."""
        end, report = self.steady + seconds, self.steady + 0.25
        while True:
            due = min(self.manager.steady_deadline(), self.manager.clock_deadline(), report)
            if due > end:
                break
            self.steady = max(due, self.steady)
            self.manager.run(self.now)
            if report <= self.steady:
                report += 0.25
                if reporting:
                    self.report()
        self.steady = end

    def execute(self, command: Command) -> list[Answer]:
        answers: list[Answer] = []
        self.manager.execute(command, answers.append, self.now)
        return answers

    def offered(self) -> 'Connector':
        """Come to an offer to a car in B."""
        self.run(4.0)
        self.report(cp_state=ControlPilotState.B)
        self.execute(
            AuthorizeResponse(ProvidedIdToken('CARD'), ValidationResult(AuthorizationStatus.ACCEPTED))
        )
        self.run(1.0)
        return self

    def events(self) -> list[SessionEventEnum]:
        return [event.event for name, events in self.log if name == 'events' for event in events]

    # --- callbacks ---

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        self.commands.append((self.steady, command, renewal))
        self.log.append(('renewal' if renewal else 'command', command))

    def publish(self, output: Output) -> None:
        self.log.append(('output', output))

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        self.log.append(('events', events))

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        self.log.append(('periodic' if periodic else 'status', status))


def test_the_command_goes_out_before_what_is_reported_about_it() -> None:
    connector = Connector().offered()
    assert connector.newest.pilot_mode is PilotMode.PWM
    connector.report(cp_state=ControlPilotState.C, contactor=ContactorState.CLOSED)
    connector.log.clear()
    connector.report(cp_state=ControlPilotState.A, contactor=ContactorState.OPEN)
    assert [name for name, _ in connector.log][:4] == ['command', 'events', 'output', 'status']
    assert E.SESSION_FINISHED in connector.events()


def test_events_and_answers_wait_for_their_records_but_the_command_does_not() -> None:
    records = SlowRecords()
    connector = Connector(records)
    connector.run(4.0)
    records.settle()
    connector.log.clear()
    connector.report(cp_state=ControlPilotState.B)
    answers = connector.execute(
        AuthorizeResponse(ProvidedIdToken('CARD'), ValidationResult(AuthorizationStatus.ACCEPTED))
    )
    assert connector.newest.pilot_mode is PilotMode.PWM
    assert not connector.events()
    assert not answers
    records.settle()
    assert connector.events()[:2] == [E.SESSION_STARTED, E.AUTH_REQUIRED]
    assert [answer.success for answer in answers] == [True]


def test_records_that_are_overdue_are_published_at_that_time() -> None:
    records = SlowRecords()
    connector = Connector(records)
    connector.run(4.0)
    connector.report(cp_state=ControlPilotState.B)
    assert records.waiting
    connector.log.clear()
    records.overdue_at = connector.steady + 0.9
    assert connector.manager.steady_deadline() <= records.overdue_at
    connector.run(0.89)
    assert not connector.events()
    connector.run(0.02)
    assert connector.events()


def test_the_lease_is_renewed_three_times_with_rising_numbers_and_the_same_outputs() -> None:
    connector = Connector().offered()
    since = len(connector.commands)
    connector.run(10.0)
    renewals = connector.commands[since:]
    assert 30 <= len(renewals) <= 45
    assert all(later - earlier < LEASE_S / 3.0 for (earlier, *_), (later, *_) in pairwise(renewals))
    numbers = [command.sequence_number for _, command, _ in renewals]
    assert numbers == sorted(set(numbers))
    assert len({replace(command, sequence_number=0) for _, command, _ in renewals}) == 1
    assert all(renewal for _, _, renewal in renewals)


def test_the_status_is_published_once_a_second_without_a_change() -> None:
    connector = Connector()
    connector.run(10.0)
    connector.log.clear()
    connector.run(10.0)
    assert 9 <= sum(name == 'periodic' for name, _ in connector.log) <= 11
    assert not any(name == 'status' for name, _ in connector.log)


def test_limits_that_are_ignored_are_named_in_the_status_while_they_arrive() -> None:
    connector = Connector()
    connector.run(4.0)
    assert IGNORED_LIMITS not in connector.manager.status(connector.now).warnings
    connector.manager.ignore_limits(connector.now)
    connector.run(IGNORED_LIMITS_S - 1.0)
    assert IGNORED_LIMITS in connector.manager.status(connector.now).warnings
    connector.run(1.0)
    assert IGNORED_LIMITS not in connector.manager.status(connector.now).warnings


def test_a_silent_board_is_lost_at_that_time_and_power_is_withdrawn() -> None:
    connector = Connector().offered()
    connector.report(cp_state=ControlPilotState.C, contactor=ContactorState.CLOSED)
    assert connector.newest.allow_power_on
    connector.report(cp_state=ControlPilotState.C)
    heard = connector.steady
    connector.log.clear()
    connector.run(BOARD_SILENCE_S + 0.05, reporting=False)
    assert E.ERROR in connector.events()
    assert connector.steady - heard < 1.3
    assert connector.manager.status(connector.now).contactor is ContactorState.UNKNOWN


def test_a_failure_withdraws_power_and_nothing_is_heard_of_the_board_for_a_while() -> None:
    connector = Connector().offered()
    connector.report(cp_state=ControlPilotState.C, contactor=ContactorState.CLOSED)
    assert connector.newest.allow_power_on
    connector.manager.fail('A callback failed.', connector.now)
    assert not connector.newest.allow_power_on
    assert connector.newest.pilot_mode is PilotMode.X1
    failed = connector.steady
    connector.report(contactor=ContactorState.OPEN)
    while connector.steady < failed + HOLD_AFTER_FAILURE_S - 0.5:
        connector.run(0.25)
        assert not connector.newest.allow_power_on
    connector.run(6.0)
    assert connector.newest.allow_power_on, connector.manager.status(connector.now).reason_text


def test_a_command_whose_step_fails_is_not_answered_twice(monkeypatch: Any) -> None:
    connector = Connector().offered()

    def broken(*_: object) -> None:
        raise ValueError('broken')

    with monkeypatch.context() as patch:
        patch.setattr(connector.manager.kernel, 'take', broken)
        answers: list[Answer] = []
        try:
            connector.manager.execute(Reserve(7), answers.append, connector.now)
        except ValueError:
            answers.append(Answer(False, 'answered by the owner'))
    connector.run(10.0)
    assert [answer.message for answer in answers] == ['answered by the owner']


def test_a_shutdown_ends_the_session_and_the_close_answers_what_waits() -> None:
    records = SlowRecords()
    connector = Connector(records).offered()
    records.settle()
    connector.report(cp_state=ControlPilotState.C, contactor=ContactorState.CLOSED)
    waiting = connector.execute(ForceUnlock())
    connector.manager.shut_down(connector.now)
    assert not connector.newest.allow_power_on
    connector.report(cp_state=ControlPilotState.B, contactor=ContactorState.OPEN)
    connector.manager.take(MeterSampled(Powermeter(timestamp=connector.now.wall)), connector.now)
    connector.run(3.0)
    assert connector.manager.finished
    connector.manager.close(connector.now, 'refused: the end.')
    assert records.finished
    assert connector.events()[-1] is E.SESSION_FINISHED
    assert len(waiting) == 1


def test_a_manager_that_never_started_is_finished_at_once() -> None:
    connector = Connector()
    manager = ConnectorManager(Config(), BoardLeaseClient('other', LEASE_S), connector)
    manager.run(connector.now)
    assert manager.steady_deadline() == manager.clock_deadline() == float('inf')
    manager.shut_down(connector.now)
    assert manager.finished


def test_a_call_of_run_without_a_cause_does_nothing() -> None:
    connector = Connector().offered()
    connector.log.clear()
    connector.manager.run(connector.now)
    assert not connector.log


def test_many_managers_in_one_thread_do_not_disturb_each_other() -> None:
    connectors = [Connector(name=f'manager {number}') for number in range(20)]
    for connector in connectors[::2]:
        connector.offered()
        connector.report(cp_state=ControlPilotState.C, contactor=ContactorState.CLOSED)
    assert [connector.newest.allow_power_on for connector in connectors] == [True, False] * 10
    connectors[0].manager.fail('one of them fails', connectors[0].now)
    assert [connector.newest.allow_power_on for connector in connectors[1:]] == ([False, True] * 10)[:19]
