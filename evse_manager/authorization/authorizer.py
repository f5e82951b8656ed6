"""The authorization of one site: one input in, calls and answers out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from evse_manager.authorization.config import CarOrder, KnownToken, Rules, UnknownTokens
from evse_manager.authorization.connectors import SiteConnector
from evse_manager.authorization.events import (
    AuthorizationOutput,
    CallAnswered,
    CallLost,
    CancelRequested,
    ClockTick,
    ConnectorReported,
    Input,
    ReserveRequested,
    StopCall,
    TokenPresented,
    TokenValidated,
    TransactionBegun,
    ValidationAnswer,
    WithdrawRequested,
)
from evse_manager.authorization.grants import Grants
from evse_manager.authorization.reservations import Reservations
from evse_manager.authorization.saved import Reservation, Saved, SavedTransaction
from evse_manager.authorization.site import AuthorizationState
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    ChargerState,
    StopTransactionReason,
    TokenResultEnum,
)
from evse_manager.interface.tokens import PARENT_LENGTH, is_well_formed, normal_form, objection, same_token
from evse_manager.interface.types import ProvidedIdToken, StopTransactionRequest, Time, ValidationResult

WAITING_MAX = 64
"""Most tokens that wait for a car at a time; a flood of tokens is refused, not stored."""

ASKED_MAX = 16
"""Most tokens that are being validated by another node at a time."""

ACCEPTED = AuthorizationStatus.ACCEPTED

CAR_PRESENTS = (AuthorizationType.AUTOCHARGE, AuthorizationType.PLUG_AND_CHARGE)
"""Tokens that the car itself presents: presented again they do not stop anything."""


NOTHING_SAVED = Saved()


@dataclass(slots=True)
class Waiting:
    """An accepted token that waits for a car at one of its connectors."""

    token: ProvidedIdToken
    verdict: ValidationResult
    connectors: tuple[str, ...]
    deadline: float
    priority: int


@dataclass(slots=True)
class Asked:
    """A token that another node validates."""

    token: ProvidedIdToken
    connectors: tuple[str, ...]
    deadline: float
    repeated: bool


class Authorizer:
    """
    Decides which token starts and stops what; deterministic.

    ``steady`` (seconds, never jumps) rules every time-out; ``wall`` rules the expiry of tokens and
    reservations.  Nothing that charges depends on this object: a transaction goes on without it.

    It is large because the decisions about one token follow each other here: in process, validation, placing,
    matching.
    """

    def __init__(self, rules: Rules, connectors: Sequence[str], saved: Saved = NOTHING_SAVED) -> None:
        """Begin with what was stored by an earlier run; ``connectors`` are the names at this site."""
        self._site = AuthorizationState(rules, connectors)
        self._grants = Grants(self._site, saved.grants)
        self._reservations = Reservations(self._site, saved)
        self._waiting: dict[str, Waiting] = {}
        self._asked: dict[int, Asked] = {}
        self._presented: dict[str, float] = {}
        self._saved = saved
        for each in saved.transactions:
            for connector in self._site.named((each.connector,)):
                connector.settled = connector.begun = each

    @property
    def saved(self) -> Saved:
        """Return what has to be stored."""
        return self._saved

    @property
    def held(self) -> tuple[Reservation, ...]:
        """Return the reservations in force."""
        return tuple(each for each in self._reservations.in_force if not each.pending)

    def configure(self, rules: Rules, connectors: Sequence[str]) -> None:
        """Replace the rules and the connectors; what is under way at those that stay goes on."""
        self._site.configure(rules, connectors)

    def react(self, event: Input, steady: float, wall: Time) -> AuthorizationOutput:
        """Return what an input brings about."""
        self._site.now, self._site.wall = steady, wall
        match event:
            case TokenPresented():
                self._present(event)
            case ConnectorReported():
                self._report(event)
            case TransactionBegun():
                self._begun(event)
            case TokenValidated():
                self._validated(event)
            case CallAnswered(ticket, success, message):
                self._site.outbox.answered(ticket, success, message)
            case CallLost(ticket):
                self._site.outbox.answered(ticket, None, '')
            case ReserveRequested():
                self._reservations.reserve(event)
            case CancelRequested():
                self._reservations.cancel(event)
            case WithdrawRequested():
                self._withdraw_requested(event)
            case ClockTick():
                pass
        self._settle()
        output = self._site.outbox.take()
        output.saved = self._newly_saved()
        output.deadline = self._deadline()
        return output

    # --- a token ---------------------------------------------------------------------------------------

    def _outcome(
        self, token: ProvidedIdToken, result: TokenResultEnum, connector: str = '', reason: str = ''
    ) -> None:
        self._site.outbox.outcome(token.id_token, result, connector, reason, token.request_id)

    def _present(self, event: TokenPresented) -> None:
        token = event.token
        malformed = objection(token)
        if malformed:
            self._outcome(token, TokenResultEnum.REJECTED, event.connector, malformed)
            return
        number = normal_form(token.id_token)
        repeated = self._site.now < self._presented.get(number, -1e9) + self._site.rules.repeat_s
        self._note_presented(number)
        referenced = self._referenced(event)
        if not referenced:
            reason = 'The token names no connector of this site that reports.'
            self._outcome(token, TokenResultEnum.NO_CONNECTOR_AVAILABLE, event.connector, reason)
            return
        if self._in_process(token, referenced, repeated):
            return
        known = self._site.rules.tokens.get(number)
        if known is not None:
            verdict = self._listed(known)
            referenced = tuple(
                name for name in referenced if known.connectors is None or name in known.connectors
            )
            self._decide(token, verdict, referenced, repeated, known.priority)
        elif self._site.rules.accept_prevalidated and token.prevalidated:
            self._decide(token, ValidationResult(ACCEPTED), referenced, repeated, 0)
        elif self._site.rules.unknown is UnknownTokens.ASK:
            self._ask(token, referenced, repeated)
        else:
            reason = 'The token is not in the token list.'
            self._outcome(token, TokenResultEnum.REJECTED, event.connector, reason)

    def _note_presented(self, number: str) -> None:
        """Remember when a token was presented; forget those that count as new again."""
        if len(self._presented) >= WAITING_MAX:
            oldest = self._site.now - self._site.rules.repeat_s
            self._presented = {key: at for key, at in self._presented.items() if at > oldest}
        if number in self._presented or len(self._presented) < 16 * WAITING_MAX:
            self._presented[number] = self._site.now

    def _referenced(self, event: TokenPresented) -> tuple[str, ...]:
        """Return the reporting connectors that a token may mean, in the order of the site."""
        found = []
        for each in sorted(self._site.connectors.values(), key=lambda one: one.order):
            if event.connector and each.name != event.connector:
                continue
            if not self._site.reports(each) or each.status is None:
                continue
            if event.token.connectors and each.status.connector_id not in event.token.connectors:
                continue
            found.append(each.name)
        return tuple(found)

    def _in_process(self, token: ProvidedIdToken, referenced: tuple[str, ...], repeated: bool) -> bool:
        """Answer a token that is already waiting, validated, granted or charging; return whether it was."""
        result = TokenResultEnum.ALREADY_IN_PROCESS
        if normal_form(token.id_token) in self._waiting:
            self._outcome(token, result, reason='The token already waits for a car.')
            return True
        if any(same_token(asked.token.id_token, token.id_token) for asked in self._asked.values()):
            self._outcome(token, result, reason='The token is already being validated.')
            return True
        for holder in self._grants.holders(token.id_token):
            if self._site.reports(holder):
                self._outcome(token, result, holder.name, 'The token is already authorized here.')
                return True
            self._grants.withdraw(holder, TokenResultEnum.WITHDRAWN, 'The token was presented elsewhere.')
        return self._at_own_transaction(token, referenced, repeated)

    def _at_own_transaction(
        self, token: ProvidedIdToken, referenced: tuple[str, ...], repeated: bool
    ) -> bool:
        for connector in self._site.connectors.values():
            running = connector.running
            if (
                running is None
                or not same_token(running.id_token, token.id_token)
                or not self._site.reports(connector)
            ):
                continue
            if connector.name not in referenced:
                reason = f'The token is charging at {connector.name}; present it there to stop.'
                self._outcome(token, TokenResultEnum.REJECTED, connector.name, reason)
            elif token.authorization_type in CAR_PRESENTS:
                reason = 'The car is charging already.'
                self._outcome(token, TokenResultEnum.ALREADY_IN_PROCESS, connector.name, reason)
            elif not self._site.rules.stop_on_same_token:
                self._outcome(token, TokenResultEnum.USED_TO_REAUTHORIZE, connector.name)
            else:
                self._stop(connector, token, StopTransactionReason.LOCAL, repeated=repeated)
            return True
        return False

    def _stop(
        self,
        connector: SiteConnector,
        token: ProvidedIdToken,
        reason: StopTransactionReason,
        *,
        repeated: bool,
    ) -> None:
        """Stop a transaction once, unless the presentation is still the one that began it."""
        status = connector.status
        stopping = connector.stopping or (
            status is not None and status.state is ChargerState.STOPPING_CHARGING
        )
        if stopping or repeated:
            text = 'The transaction is being stopped.' if stopping else 'The token was presented just before.'
            self._outcome(token, TokenResultEnum.ALREADY_IN_PROCESS, connector.name, text)
            return

        def done(success: bool | None, message: str) -> None:
            if success:
                self._outcome(token, TokenResultEnum.USED_TO_STOP_TRANSACTION, connector.name)
                return
            connector.stopping = False
            self._outcome(
                token, TokenResultEnum.REJECTED, connector.name, message or 'The connector does not answer.'
            )

        connector.stopping = True
        request = StopTransactionRequest(reason, token.id_token)
        self._site.outbox.call(connector.name, StopCall(request), done)

    # --- validation ------------------------------------------------------------------------------------

    def _listed(self, known: KnownToken) -> ValidationResult:
        """Return what the token list says of one of its tokens."""
        verdict = ValidationResult(ACCEPTED, expiry_time=known.expires, parent_id_token=known.parent)
        if not known.enabled:
            return replace(
                verdict, authorization_status=AuthorizationStatus.BLOCKED, reason='The token is disabled.'
            )
        if known.expires is not None and self._site.wall >= known.expires:
            return replace(
                verdict, authorization_status=AuthorizationStatus.EXPIRED, reason='The token has expired.'
            )
        if known.valid_from is not None and self._site.wall < known.valid_from:
            return replace(
                verdict,
                authorization_status=AuthorizationStatus.NOT_AT_THIS_TIME,
                reason='The token is not valid yet.',
            )
        return verdict

    def _ask(self, token: ProvidedIdToken, referenced: tuple[str, ...], repeated: bool) -> None:
        if len(self._asked) >= ASKED_MAX:
            reason = 'Too many tokens are being validated; present it again.'
            self._outcome(token, TokenResultEnum.REJECTED, reason=reason)
            return
        deadline = self._site.now + self._site.rules.validate_timeout_s
        self._asked[self._site.outbox.validate(token, referenced)] = Asked(
            token, referenced, deadline, repeated
        )

    def _validated(self, event: TokenValidated) -> None:
        asked = self._asked.pop(event.ticket, None)
        if asked is None:
            return
        verdict = event.result
        if verdict is None:
            reason = 'The validation gave no answer.'
            self._outcome(asked.token, TokenResultEnum.REJECTED, reason=reason)
            return
        parent = verdict.parent_id_token
        if verdict.authorization_status is ACCEPTED:
            if parent and not is_well_formed(parent, PARENT_LENGTH):
                self._outcome(asked.token, TokenResultEnum.REJECTED, reason='The validation is malformed.')
                return
            if verdict.expiry_time is not None and verdict.expiry_time <= self._site.wall:
                verdict = replace(
                    verdict, authorization_status=AuthorizationStatus.EXPIRED, reason='The token has expired.'
                )
        allowed = asked.connectors
        if verdict.evse_ids:
            allowed = tuple(
                name
                for name in allowed
                if name in self._site.connectors and self._id_of(name) in verdict.evse_ids
            )
        if self._in_process(asked.token, allowed, asked.repeated):
            return
        self._decide(asked.token, verdict, allowed, asked.repeated, 0)

    def _id_of(self, name: str) -> int:
        status = self._site.connectors[name].status
        return status.connector_id if status is not None else 0

    def _decide(
        self,
        token: ProvidedIdToken,
        verdict: ValidationResult,
        allowed: tuple[str, ...],
        repeated: bool,
        priority: int,
    ) -> None:
        """Start, stop or wait with a token that was validated."""
        parent, rules = verdict.parent_id_token, self._site.rules
        if verdict.authorization_status is not ACCEPTED:
            reason = verdict.reason or f'The validation said {verdict.authorization_status.name}.'
            self._outcome(token, TokenResultEnum.REJECTED, reason=reason)
            return
        there = [self._site.connectors[name] for name in allowed if name in self._site.connectors]
        if not there:
            self._outcome(
                token, TokenResultEnum.REJECTED, reason='The token is not allowed at this connector.'
            )
            return
        if rules.master_group and same_token(rules.master_group, parent):
            self._master_stop(token, there)
            return
        candidates = [each for each in there if self._can_start(each, token, parent)]
        if parent and (not rules.prefer_start or not candidates):
            for each in there:
                running = each.running
                if running is not None and same_token(running.parent, parent):
                    self._stop(each, token, StopTransactionReason.LOCAL, repeated=repeated)
                    return
                if (
                    not rules.prefer_start
                    and each.grant is not None
                    and same_token(each.grant.parent, parent)
                ):
                    reason = 'A token of the same group is already authorized here.'
                    self._outcome(token, TokenResultEnum.ALREADY_IN_PROCESS, each.name, reason)
                    return
        if not candidates:
            self._refuse(token, parent, there)
            return
        self._place(Waiting(token, verdict, allowed, self._site.now + rules.connection_timeout_s, priority))

    def _master_stop(self, token: ProvidedIdToken, there: Iterable[SiteConnector]) -> None:
        running = [each for each in there if each.status is not None and each.status.transaction_active]
        if not running:
            reason = 'A token of the master group stops transactions only, and none is running here.'
            self._outcome(token, TokenResultEnum.REJECTED, reason=reason)
        for each in running:
            self._stop(each, token, StopTransactionReason.MASTER_PASS, repeated=False)

    def _refuse(self, token: ProvidedIdToken, parent: str, there: list[SiteConnector]) -> None:
        """Say why no connector can take a token: reservations of others, or the state of each."""
        reasons, reserved = [], False
        for each in there:
            reason = each.out_of_order or ('is occupied' if not (each.idle or each.car_waits) else '')
            if not reason:
                reason = self._reservations.objection(each, token.id_token, parent)
                reserved = reserved or bool(reason)
            reasons.append(f'{each.name} {reason}')
        result = TokenResultEnum.REJECTED if reserved else TokenResultEnum.NO_CONNECTOR_AVAILABLE
        shown = '; '.join(reasons[:4]) + (f'; and {len(reasons) - 4} more' if len(reasons) > 4 else '')
        connector = there[0].name if len(there) == 1 else ''
        self._outcome(token, result, connector, f'No connector can take the token: {shown}.')

    # --- matching tokens and cars ----------------------------------------------------------------------

    def _can_start(self, connector: SiteConnector, token: ProvidedIdToken, parent: str) -> bool:
        return (
            self._site.reports(connector)
            and (connector.idle or connector.car_waits)
            and not self._reservations.objection(connector, token.id_token, parent)
        )

    def _place(self, waiting: Waiting) -> None:
        """Grant a token now where it is clear for which car, else let it wait for one."""
        token = waiting.token
        number = normal_form(token.id_token)
        target = self._target(waiting)
        if target is not None:
            self._grant(target, waiting)
        elif len(self._waiting) >= WAITING_MAX:
            reason = 'Too many tokens wait for a car; plug in first, then present the token.'
            self._outcome(token, TokenResultEnum.REJECTED, reason=reason)
        else:
            self._waiting[number] = waiting
            self._outcome(token, TokenResultEnum.WAITING_FOR_CAR)

    def _target(self, waiting: Waiting) -> SiteConnector | None:
        """Return the connector that a token goes to: its reserved one, the only one, or where a car waits."""
        token, parent = waiting.token, waiting.verdict.parent_id_token
        there = [self._site.connectors[name] for name in waiting.connectors if name in self._site.connectors]
        usable = [each for each in there if self._can_start(each, token, parent)]
        for each in usable:
            own = self._reservations.own(token.id_token, parent, each.name)
            if own is not None and own.connector:
                return each
        if len(waiting.connectors) == 1:
            return usable[0] if usable else None
        cars = [each for each in usable if each.car_waits and not each.taken_out]
        if not cars:
            return None
        cars.sort(key=lambda each: (each.waiting_since or 0.0, each.order))
        return cars[-1 if self._site.rules.car_order is CarOrder.LAST_PLUGGED else 0]

    def _match(self) -> None:
        """Bring waiting tokens and waiting cars together: by priority, then first come, first served."""
        for number, waiting in sorted(self._waiting.items(), key=lambda item: -item[1].priority):
            target = self._target(waiting)
            if target is None:
                continue
            del self._waiting[number]
            known = self._site.rules.tokens.get(number)
            verdict = self._listed(known) if known is not None else waiting.verdict
            if verdict.authorization_status is ACCEPTED:
                self._grant(target, replace(waiting, verdict=verdict))
            else:
                self._outcome(waiting.token, TokenResultEnum.REJECTED, reason=verdict.reason)

    def _grant(self, connector: SiteConnector, waiting: Waiting) -> None:
        parent = waiting.verdict.parent_id_token
        own = self._reservations.own(waiting.token.id_token, parent, connector.name)
        number = own.reservation_id if own is not None else 0
        self._grants.give(connector, waiting.token, waiting.verdict, number)

    # --- what the connectors do ------------------------------------------------------------------------

    def _report(self, event: ConnectorReported) -> None:
        for connector in self._site.named((event.connector,)):
            connector.observe(event.status, self._site.now)
            self._grants.take_up(connector)

    def _begun(self, event: TransactionBegun) -> None:
        id_token = event.token.id_token
        if not is_well_formed(id_token):
            return
        for connector in self._site.named((event.connector,)):
            status, settled, grant = connector.status, connector.settled, connector.grant
            newer = connector.running is not None and status is not None
            if newer and status is not None and status.session_uuid != event.session_uuid:
                return  # history from before the running transaction
            known = self._site.rules.tokens.get(normal_form(id_token))
            parent = known.parent if known is not None else ''
            if grant is not None and same_token(grant.id_token, id_token):
                parent = grant.parent
            if settled is not None and settled.session_uuid == event.session_uuid:
                if same_token(settled.id_token, id_token):
                    return
                self._site.changed = True
            connector.begun = SavedTransaction(connector.name, event.session_uuid, id_token, parent)

    def _settle(self) -> None:
        """Bring everything up to what is known now."""
        now = self._site.now
        for ticket in [ticket for ticket, asked in self._asked.items() if now >= asked.deadline]:
            asked = self._asked.pop(ticket)
            reason = 'The validation gave no answer in time.'
            self._outcome(asked.token, TokenResultEnum.REJECTED, reason=reason)
        for connector in self._site.connectors.values():
            self._settle_transaction(connector)
            self._grants.settle(connector)
            plug_in_timeout = self._site.rules.plug_in_timeout_s
            if connector.waiting_since is not None and plug_in_timeout > 0.0:
                connector.taken_out = connector.taken_out or now >= connector.waiting_since + plug_in_timeout
        for number in [number for number, waiting in self._waiting.items() if now >= waiting.deadline]:
            waiting = self._waiting.pop(number)
            reason = 'No car was plugged in within the connection time-out.'
            self._outcome(waiting.token, TokenResultEnum.TIMED_OUT, reason=reason)
        self._reservations.settle()
        self._match()

    def _settle_transaction(self, connector: SiteConnector) -> None:
        """Use up the grant and the reservation of a transaction that has begun."""
        status, grant = connector.status, connector.grant
        if status is None or not status.transaction_active:
            return
        if connector.running is None and grant is not None:
            connector.begun = SavedTransaction(
                connector.name, status.session_uuid, grant.id_token, grant.parent
            )
        running = connector.running
        if running is None:
            return
        if connector.settled != running:
            again = connector.settled is not None and connector.settled.session_uuid == running.session_uuid
            connector.settled = running
            self._site.changed = True
            if not again:
                self._use_up_reservation(connector, running)
        self._grants.use_up(connector, running)

    def _use_up_reservation(self, connector: SiteConnector, running: SavedTransaction) -> None:
        grant = connector.grant
        if grant is not None and grant.reservation_id and same_token(grant.id_token, running.id_token):
            self._reservations.consume(grant.reservation_id)
            return
        own = self._reservations.own(running.id_token, running.parent, connector.name)
        if own is not None and own.connector:
            self._reservations.consume(own.reservation_id)

    def _withdraw_requested(self, event: WithdrawRequested) -> None:
        """Withdraw what a token waits for or is authorized for."""
        if not event.id_token and not event.connector:
            self._site.outbox.answer(ValidationAnswer(event.ticket, False, 'Name a token or a connector.'))
            return
        if event.connector and event.connector not in self._site.connectors:
            text = 'There is no such connector at this site; leave it empty for wherever the token is.'
            self._site.outbox.answer(ValidationAnswer(event.ticket, False, text))
            return
        if event.id_token:
            number = normal_form(event.id_token)
            waiting = self._waiting.pop(number, None)
            asked = [key for key, each in self._asked.items() if same_token(each.token.id_token, number)]
            for key in asked:
                del self._asked[key]
            if waiting is not None or asked:
                self._site.outbox.outcome(event.id_token, TokenResultEnum.WITHDRAWN)
                self._site.outbox.answer(ValidationAnswer(event.ticket, True))
                return
        for connector in self._site.connectors.values():
            if event.connector and connector.name != event.connector:
                continue
            grant, running = connector.grant, connector.running
            if grant is not None and (not event.id_token or same_token(grant.id_token, event.id_token)):
                reports = self._site.reports(connector)
                ticket = event.ticket if reports else None
                self._grants.withdraw(connector, TokenResultEnum.WITHDRAWN, 'Withdrawn by request.', ticket)
                if not reports:
                    text = f'{connector.name} does not report; the authorization ends there when it does.'
                    self._site.outbox.answer(ValidationAnswer(event.ticket, True, text))
                return
            if running is not None and (not event.id_token or same_token(running.id_token, event.id_token)):
                text = f'The transaction at {connector.name} runs already; end it with stop_transaction.'
                self._site.outbox.answer(ValidationAnswer(event.ticket, False, text))
                return
        self._site.outbox.answer(
            ValidationAnswer(event.ticket, False, 'There is no such authorization to withdraw.')
        )

    # --- storing and time ------------------------------------------------------------------------------

    def _newly_saved(self) -> Saved | None:
        """Return the state to store when it may differ from the stored one."""
        if not self._site.changed:
            return None
        self._site.changed = False
        connectors = self._site.connectors.values()
        saved = Saved(
            self._reservations.in_force,
            self._grants.saved,
            tuple(each.settled for each in connectors if each.settled is not None),
            self._reservations.unmarkings,
            self._reservations.next_id,
        )
        if saved == self._saved:
            return None
        self._saved = saved
        return saved

    def _deadline(self) -> float | None:
        """Return when the next thing happens by time alone."""
        times = [waiting.deadline for waiting in self._waiting.values()]
        times += [asked.deadline for asked in self._asked.values()]
        times += self._grants.deadlines()
        times += self._reservations.deadlines()
        return min(times, default=None)
