"""A site in memory: connectors with the rules of the charging kernel, readers, and the authorizer between."""

from collections import deque
from dataclasses import dataclass, field, replace

from evse_manager.authorization.authorizer import Authorizer
from evse_manager.authorization.config import Rules
from evse_manager.authorization.events import (
    AuthorizationOutput,
    Authorize,
    Call,
    CallAnswered,
    CallLost,
    CancelRequested,
    ClockTick,
    ConnectorReported,
    Input,
    Mark,
    ReserveRequested,
    StopCall,
    TokenOutcome,
    TokenPresented,
    TokenValidated,
    TransactionBegun,
    Unmark,
    Validation,
    ValidationAnswer,
    Withdraw,
    WithdrawRequested,
)
from evse_manager.authorization.saved import Saved, from_json, to_json
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    Availability,
    ChargerState,
    ErrorEnum,
    TokenResultEnum,
)
from evse_manager.interface.types import Duration, Error, EvseStatus, ProvidedIdToken, Time, ValidationResult

SECOND = 1_000_000_000
EPOCH = Time(1_800_000_000 * SECOND)


def rfid(id_token: str, **fields: object) -> ProvidedIdToken:
    return replace(ProvidedIdToken(id_token, AuthorizationType.RFID), **fields)  # type: ignore[arg-type]


@dataclass
class ModelConnector:
    """The commands that the authorizer calls, with the answers of the charging kernel."""

    name: str
    number: int
    plugged: bool = False
    token: str = ''
    session: str = ''
    session_begun: float = 0.0
    transaction: bool = False
    finished: bool = False
    enabled: bool = True
    faulted: bool = False
    error: bool = False
    mark: int | None = None
    up: bool = True
    sessions: int = 0
    begun: list[tuple[str, ProvidedIdToken, int | None]] = field(default_factory=list)
    presented: ProvidedIdToken = ProvidedIdToken()

    def status(self, now: float) -> EvseStatus:
        if self.faulted:
            state = ChargerState.FAULTED
        elif not self.enabled:
            state = ChargerState.DISABLED
        elif self.error:
            state = ChargerState.ERROR
        elif self.finished:
            state = ChargerState.FINISHED
        elif self.transaction:
            state = ChargerState.CHARGING
        elif self.plugged:
            state = ChargerState.WAITING_FOR_AUTHENTICATION
        else:
            state = ChargerState.IDLE
        available = Availability.ENABLED if self.enabled else Availability.DISABLED
        return EvseStatus(
            connector_id=self.number,
            state=state,
            availability=Availability.FAULTED if self.faulted else available,
            session_uuid=self.session,
            transaction_active=self.transaction,
            reservation_id=self.mark,
            plugged=self.plugged,
            authorized=bool(self.token),
            session_duration=Duration(now - self.session_begun if self.session else 0.0),
            active_errors=(Error(ErrorEnum.OTHER, 'Fault: for the test.'),) if self.error else (),
        )

    def settle(self, now: float) -> None:
        """Let sessions and transactions begin and end, as their facts say."""
        if self.session and ((not self.plugged and not self.token) or self.faulted or not self.enabled):
            self.session, self.transaction, self.finished, self.token = '', False, False, ''
        if self.session and self.finished and not self.plugged:
            self.session, self.finished, self.token = '', False, ''
        if not self.session and (self.plugged or self.token) and not self._blocked:
            self.sessions += 1
            self.session, self.session_begun = f'{self.name}-{self.sessions}', now
        ready = self.session and self.plugged and self.token and not self._blocked
        if ready and not (self.transaction or self.finished):
            self.transaction = True
            self.begun.append((self.session, self.presented, self.mark))
            self.mark = None

    @property
    def _blocked(self) -> bool:
        return self.error or self.faulted or not self.enabled

    def call(self, command: Authorize | Withdraw | StopCall | Mark | Unmark) -> tuple[bool, str]:
        match command:
            case Authorize(token, verdict):
                return self._authorize(token, verdict)
            case Withdraw():
                if not self.transaction and not self.finished:
                    self.token = ''
                return True, ''
            case StopCall():
                if not self.transaction:
                    return False, 'There is no transaction to stop.'
                self.transaction, self.finished, self.token = False, True, ''
                return True, ''
            case Mark(number):
                if self.mark == number:
                    return True, ''
                if self.mark is not None or self._blocked or self.plugged or self.session:
                    return False, 'The connector is in use.'
                self.mark = number
                return True, ''
            case Unmark():
                self.mark = None
                return True, ''

    def _authorize(self, token: ProvidedIdToken, verdict: ValidationResult) -> tuple[bool, str]:
        if verdict.authorization_status is not AuthorizationStatus.ACCEPTED:
            return True, ''
        if self.faulted or not self.enabled:
            return False, 'The connector is disabled; enable it first.'
        if self.transaction or self.finished:
            same = self.transaction and self.token.upper() == token.id_token.upper()
            return same, '' if same else 'A transaction runs under another token; stop it first.'
        self.token, self.presented = token.id_token, token
        return True, ''


class Site:
    """Connectors ``c1``, ``c2``, …; time stands still unless ``wait`` is called."""

    def __init__(self, rules: Rules, connectors: int = 2) -> None:
        self.rules = rules
        self.connectors = {n: ModelConnector(f'c{n}', n) for n in range(1, connectors + 1)}
        self.by_name = {each.name: each for each in self.connectors.values()}
        self.now, self.wall = 100.0, EPOCH
        self.outcomes: list[TokenOutcome] = []
        self.answers: dict[int, ValidationAnswer] = {}
        self.validations: list[Validation] = []
        self.calls: list[Call] = []
        self.held: deque[Call] = deque()
        self.hold = False
        self.lose = False
        self.tickets = 0
        self.stored = to_json(Saved())
        self.deadline: float | None = None
        self.authorizer = self._started()
        self.report()

    # --- what a test does ------------------------------------------------------------------------------

    def present(
        self, token: str | ProvidedIdToken, at: int | None = None, **fields: object
    ) -> TokenResultEnum | None:
        """Present a token at the site's reader, or a connector's; return what has become of it so far."""
        provided = rfid(token, **fields) if isinstance(token, str) else token
        before = len(self.outcomes)
        self.react(TokenPresented(provided, self.connectors[at].name if at else ''))
        mine = [each for each in self.outcomes[before:] if each.id_token == provided.id_token]
        return mine[-1].result if mine else None

    def plug(self, number: int) -> None:
        self.connectors[number].plugged = True
        self.changed(number)

    def unplug(self, number: int) -> None:
        connector = self.connectors[number]
        connector.plugged = False
        connector.token = ''
        self.changed(number)

    def set(self, number: int, **facts: object) -> None:
        for name, value in facts.items():
            setattr(self.connectors[number], name, value)
        if facts.get('enabled') is False or facts.get('faulted'):
            self.connectors[number].mark = None
        self.changed(number)

    def wait(self, seconds: float) -> None:
        """Let time pass: every connector reports once a second, and every deadline is kept."""
        end = self.now + seconds
        while True:
            second = int(self.now) + 1.0
            step = min(end, second if self.deadline is None else max(self.deadline, self.now))
            step = min(step, second)
            self.wall = Time(self.wall + round((step - self.now) * SECOND))
            self.now = step
            if step == second:
                self.report()
            self.react(ClockTick())
            if self.now >= end:
                return

    def reserve(
        self,
        token: str = '',
        at: int | None = None,
        *,
        number: int = 0,
        parent: str = '',
        for_s: float = 600.0,
    ) -> ValidationAnswer:
        self.tickets += 1
        ticket, name = self.tickets, f'c{at}' if at else ''
        expiry = Time(self.wall + round(for_s * SECOND))
        self.react(ReserveRequested(ticket, number, token, parent, name, expiry))
        return self.answers[ticket]

    def cancel(self, number: int) -> ValidationAnswer:
        self.tickets += 1
        self.react(CancelRequested(self.tickets, number))
        return self.answers[self.tickets]

    def withdraw(self, token: str = '', at: int | None = None) -> ValidationAnswer:
        self.tickets += 1
        ticket = self.tickets
        self.react(WithdrawRequested(ticket, token, f'c{at}' if at else ''))
        return self.answers[ticket]

    def validated(self, result: ValidationResult | None) -> TokenResultEnum | None:
        before = len(self.outcomes)
        self.react(TokenValidated(self.validations[-1].ticket, result))
        return self.outcomes[-1].result if len(self.outcomes) > before else None

    def restart(self) -> None:
        """Kill the authorizer and start it with what it stored; the calls under way are lost with it."""
        self.held.clear()
        self.deadline = None
        self.authorizer = self._started()
        for connector in self.connectors.values():
            for session, token, _ in connector.begun:  # the latched history
                self.react(TransactionBegun(connector.name, session, token))
        self.report()

    # --- what a test looks at --------------------------------------------------------------------------

    @property
    def last(self) -> TokenOutcome:
        return self.outcomes[-1]

    def charging(self) -> dict[int, str]:
        return {n: each.token for n, each in self.connectors.items() if each.transaction}

    def authorized(self) -> dict[int, str]:
        return {n: each.token for n, each in self.connectors.items() if each.token and not each.transaction}

    def reservations(self) -> dict[int, str]:
        """Return per reservation the connector, ``''`` for any."""
        return {each.reservation_id: each.connector for each in self.authorizer.held}

    def marks(self) -> dict[int, int]:
        return {n: each.mark for n, each in self.connectors.items() if each.mark is not None}

    # --- the wiring ------------------------------------------------------------------------------------

    def _started(self) -> Authorizer:
        return Authorizer(
            self.rules, [each.name for each in self.connectors.values()], from_json(self.stored)
        )

    def report(self) -> None:
        for number in self.connectors:
            self.changed(number)

    def changed(self, number: int) -> None:
        connector = self.connectors[number]
        if not connector.up:
            return
        before = len(connector.begun)
        connector.settle(self.now)
        for session, token, _ in connector.begun[before:]:
            self.react(TransactionBegun(connector.name, session, token))
        self.react(ConnectorReported(connector.name, connector.status(self.now)))

    def react(self, event: Input) -> None:
        self._carry_out(self.authorizer.react(event, self.now, self.wall))

    def _carry_out(self, output: AuthorizationOutput) -> None:
        if output.saved is not None:
            self.stored = to_json(output.saved)
        self.deadline = output.deadline
        self.outcomes.extend(output.outcomes)
        self.answers.update({each.ticket: each for each in output.answers})
        self.validations.extend(output.validations)
        self.calls.extend(output.calls)
        self.held.extend(output.calls)
        while self.held and not self.hold:
            self.deliver()

    def deliver(self, *, lose_answer: bool = False) -> None:
        """Carry out the oldest call that is held back."""
        call = self.held.popleft()
        connector = self.by_name[call.connector]
        if self.lose or not connector.up:
            self.react(CallLost(call.ticket))
            return
        success, message = connector.call(call.command)
        self.react(CallLost(call.ticket) if lose_answer else CallAnswered(call.ticket, success, message))
        self.changed(connector.number)
