"""
The authorization node of a site: readers and connectors on one side, the rules on the other.

Nothing is decided here.  What arrives becomes an input of the ``Authorizer``; what it wants stored is stored
before its calls and answers go out.  Tokens are masked wherever they are shown.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from rclpy.node import Node

from evse_manager.authorization.authorizer import Authorizer
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
from evse_manager.authorization.saved import Reservation, Saved
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party, Service
from evse_manager.interface.enums import ReservationStatus, SessionEventEnum, TokenResultEnum
from evse_manager.interface.tokens import CERTIFICATE_LENGTH, CONNECTORS_MAX, masked
from evse_manager.interface.types import (
    Duration,
    EvseStatus,
    ProvidedIdToken,
    SessionEvent,
    SiteReservation,
    SiteReservations,
    Time,
    TokenResult,
    ValidationResult,
)
from evse_manager.nodes.authorization_config import AuthorizationConfig, absolute, setup
from evse_manager.nodes.connector_calls import Calls
from evse_manager.nodes.conversions import ConversionError, from_message, request_to_command, to_message
from evse_manager.nodes.found_connectors import connectors_below
from evse_manager.nodes.parameters import ParameterError, Parameters, rows
from evse_manager.nodes.publishers import Publishers
from evse_manager.nodes.qos import EVENTS, LATCHED, profile
from evse_manager.nodes.runtime import DeadlineTimer, Guard, LoopDeadline, NodeTime, run, steady_clock
from evse_manager.nodes.services import DeferredReply, create_service
from evse_manager.store.authorization_file import AuthorizationFile, authorization_location
from evse_manager.store.location import LockedError

SECOND_S = 1.0
"""How often connectors are looked for, and a failed write is tried again."""

LOG_BURST, LOG_WINDOW_S = 20, 10.0
"""Most lines about tokens in this time, so that a flood of tokens does not flood the log."""

Value = TypeVar('Value')


@dataclass(frozen=True, slots=True)
class ReserveConnector:
    """The request of ``reserve``."""

    reservation_id: int
    id_token: str
    parent_id_token: str
    connector: str
    expiry_time: Time | None
    duration: Duration


@dataclass(frozen=True, slots=True)
class CancelConnectorReservation:
    """The request of ``cancel_reservation``."""

    reservation_id: int


@dataclass(frozen=True, slots=True)
class WithdrawToken:
    """The request of ``withdraw_token``."""

    id_token: str
    connector: str


class AuthorizationNode:
    """The authorization of one site, a ``runtime.NodeApp``."""

    def __init__(self, **options: Any) -> None:
        """Read the files, declare the parameters, create the endpoints of the site; raises ParameterError."""
        self.node = Node(Party.AUTHORIZATION.value, **options)
        self.finished = False
        self.alarm = LoopDeadline()
        parameters: Parameters[AuthorizationConfig] = Parameters(
            self.node, rows(AuthorizationConfig), AuthorizationConfig
        )
        config = parameters.value
        self._namespace: str = self.node.get_namespace()
        self._log = self.node.get_logger()
        try:
            self._setup = setup(config, self._namespace)
            self._file, self._saved = self._open_store(config.store)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        for warning in self._setup.warnings:
            self._log.warning(warning)
        self._guard = Guard(self.node, lambda _reason: None)
        self._time = NodeTime(self.node)
        self._calls = Calls(self.node, self._time.seconds)
        self._authorizer = Authorizer(self._setup.rules, (), self._saved)
        self._names: list[str] = []
        self._replies: dict[int, tuple[DeferredReply, Callable[[ValidationAnswer, Any], None]]] = {}
        self._tickets = itertools.count(1)
        self._unsaved: Saved | None = None
        self._shown: tuple[Reservation, ...] | None = None
        self._logged: list[float] = []
        self._suppressed = 0
        self._publishers = Publishers(
            self.node,
            [each for each in endpoints.AUTHORIZATION_TOPICS if each.publisher is Party.AUTHORIZATION],
        )
        self._deadline = DeadlineTimer(
            self.node, self._guard(self._on_deadline), self._time.seconds, self._time.clock
        )

    # --- life ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Listen to the readers and the connectors."""
        for topic in endpoints.AUTHORIZATION_TOPICS:
            if topic.subscriber is Party.AUTHORIZATION:
                callback = self._guard(partial(self._on_token, ''))
                self.node.create_subscription(
                    endpoints.load(topic.type), topic.name, callback, profile(topic.qos)
                )
        handlers = {
            'reserve': self._on_reserve,
            'cancel_reservation': self._on_cancel,
            'withdraw_token': self._on_withdraw,
        }
        for service in endpoints.AUTHORIZATION_SERVICES:
            create_service(
                self.node, service, partial(self._on_request, service.name, handlers[service.name])
            )
        self.node.create_timer(SECOND_S, self._guard(self._on_second), clock=steady_clock())
        self._take_in(self._setup.connectors)
        self._publish_reservations()
        if not self._setup.connectors:
            self._on_second()
        self._log.info(
            f'Authorizing with {len(self._setup.rules.tokens)} tokens at '
            f'{len(self._names)} connectors; '
            f'{len(self._authorizer.held)} reservations restored.'
        )

    def end(self) -> None:
        """End: nothing that charges depends on this node."""
        self.finished = True

    def withdraw(self) -> None:
        """Store what is not stored yet, and answer whoever waits."""
        self._store()
        for reply, _ in self._replies.values():
            reply.response.message = 'refused: the node is shutting down.'
            reply.give()
        self._replies.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open_store(self, setting: str) -> tuple[AuthorizationFile | None, Saved]:
        path = authorization_location(setting, self._namespace)
        if path is None:
            return None, Saved()
        try:
            file = AuthorizationFile(path)
            saved, moved = file.load()
        except LockedError as error:
            raise ValueError(
                f'{path} is used by {error}; a site has one authorization node, end the other or set store.'
            ) from error
        except OSError as error:
            raise ValueError(
                f'parameter store: {path} can not be used: {error.strerror or error}.'
            ) from error
        if moved is not None:
            self._log.error(f'{path} was damaged and is now {moved}; reservations made before are lost.')
        return file, saved

    # --- connectors ------------------------------------------------------------------------------------

    def _take_in(self, names: Sequence[str]) -> None:
        """Listen to connectors that are new; those that are known stay."""
        fresh = [name for name in names if name not in self._names]
        if not fresh:
            return
        self._names += fresh
        self._authorizer.configure(self._setup.rules, self._names)
        status, event = (
            endpoints.load('evse_manager/msg/EvseStatus'),
            endpoints.load('evse_manager/msg/SessionEvent'),
        )
        token = endpoints.TOKEN
        for name in fresh:
            subscriptions = (
                (status, 'status', self._on_status, LATCHED),
                (event, 'session_event', self._on_session_event, EVENTS),
                (endpoints.load(token.type), token.name, self._on_token, profile(token.qos)),
            )
            for kind, topic, callback, qos in subscriptions:
                self.node.create_subscription(
                    kind, f'{name}/{topic}', self._guard(partial(callback, name)), qos
                )
            self._calls.prepare(endpoints.service('authorize_response'), f'{name}/authorize_response')

    # --- the rules -------------------------------------------------------------------------------------

    def _happened(self, event: Input) -> None:
        """Let the rules react; store what they want stored, then carry out the rest."""
        output = self._authorizer.react(event, self._time.seconds(), self._time.wall())
        if output.saved is not None:
            self._unsaved = output.saved
            self._store()
        self._carry_out(output)
        times = [at for at in (output.deadline, self._calls.deadline()) if at is not None]
        self._deadline.arm(min(times, default=None))
        self._publish_reservations()

    def _store(self) -> None:
        if self._file is None or self._unsaved is None:
            return
        try:
            self._file.save(self._unsaved)
        except OSError as error:
            self._log.error(
                f'{self._file.path} can not be written ({error.strerror or error}); reservations and '
                'authorizations would be lost at a restart. It is tried again.',
                throttle_duration_sec=60.0,
            )
        else:
            self._unsaved = None

    def _carry_out(self, output: AuthorizationOutput) -> None:
        for outcome in output.outcomes:
            self._tell(outcome)
        for answer in output.answers:
            waiting = self._replies.pop(answer.ticket, None)
            if waiting is not None:
                reply, fill_in = waiting
                reply.response.success = answer.success
                reply.response.message = answer.message
                fill_in(answer, reply.response)
                reply.give()
        for call in output.calls:
            self._call(call)
        for validation in output.validations:
            self._ask(validation)

    def _tell(self, outcome: TokenOutcome) -> None:
        """Publish and log what became of a token."""
        token = masked(outcome.id_token)
        result = TokenResult(
            self._time.wall(), token, outcome.connector, outcome.result, outcome.reason, outcome.request_id
        )
        self._publishers.publish('token_results', result)
        place = f' at {outcome.connector}' if outcome.connector else ''
        reason = f': {outcome.reason}' if outcome.reason else '.'
        words = outcome.result.name.lower().replace('_', ' ')
        self._log_token(f'Token {token}{place} {words}{reason}', outcome.result)

    def _log_token(self, line: str, result: TokenResultEnum) -> None:
        now = time.monotonic()
        self._logged = [at for at in self._logged if now - at < LOG_WINDOW_S]
        if len(self._logged) >= LOG_BURST:
            self._suppressed += 1
            return
        if self._suppressed:
            self._log.warning(f'{self._suppressed} more lines about tokens were left out: too many tokens.')
            self._suppressed = 0
        self._logged.append(now)
        if result is TokenResultEnum.REJECTED:
            self._log.warning(line)
        else:
            self._log.info(line)

    def _publish_reservations(self) -> None:
        held = self._authorizer.held
        if held == self._shown:
            return
        self._shown = held
        self._publishers.publish(
            'reservations',
            SiteReservations(
                self._time.wall(),
                tuple(
                    SiteReservation(
                        each.reservation_id,
                        masked(each.id_token) if each.id_token else '',
                        masked(each.parent) if each.parent else '',
                        each.connector,
                        each.expiry,
                    )
                    for each in held
                ),
            ),
        )

    # --- calls -----------------------------------------------------------------------------------------

    def _call(self, call: Call) -> None:
        service, request = _service_call(call)

        def answered(response: Any) -> None:
            if response is None:
                self._happened(CallLost(call.ticket))
            else:
                self._happened(CallAnswered(call.ticket, bool(response.success), str(response.message)))

        self._calls.call(service, f'{call.connector}/{service.name}', request, self._guard(answered))

    def _ask(self, validation: Validation) -> None:
        service = endpoints.VALIDATE_TOKEN
        request = endpoints.load(service.type).Request()
        request.provided_token = to_message(validation.token)
        request.connectors = list(validation.connectors)

        def answered(response: Any) -> None:
            result = None
            if response is not None:
                result = self._read(service.name, response.validation_result, ValidationResult)
            self._happened(TokenValidated(validation.ticket, result))

        limit = self._setup.rules.validate_timeout_s
        self._calls.call(service, service.name, request, self._guard(answered), limit)

    # --- what arrives ----------------------------------------------------------------------------------

    def _read(self, name: str, message: Any, cls: type[Value]) -> Value | None:
        """Return the value of a message; a malformed one is dropped with a warning that shows no value."""
        try:
            return from_message(message, cls)
        except ConversionError as error:
            text = f'A message on {name} is dropped: {error.path or "its value"} must be {error.allowed}.'
            self._log.warning(text, throttle_duration_sec=10.0)
            return None

    def _on_token(self, connector: str, message: Any) -> None:
        if len(message.connectors) > CONNECTORS_MAX or len(message.certificate) > CERTIFICATE_LENGTH:
            self._log.warning('A token of absurd size is dropped.', throttle_duration_sec=10.0)
            return
        token = self._read('token', message, ProvidedIdToken)
        if token is not None:
            self._happened(TokenPresented(token, connector))

    def _on_status(self, connector: str, message: Any) -> None:
        status = self._read(f'{connector}/status', message, EvseStatus)
        if status is not None:
            self._happened(ConnectorReported(connector, status))

    def _on_session_event(self, connector: str, message: Any) -> None:
        if message.event != SessionEventEnum.TRANSACTION_STARTED:
            return
        event = self._read(f'{connector}/session_event', message, SessionEvent)
        if event is not None and event.transaction_started is not None:
            self._happened(TransactionBegun(connector, event.uuid, event.transaction_started.id_tag))

    def _on_deadline(self) -> None:
        self._calls.settle()
        self._happened(ClockTick())

    def _on_second(self) -> None:
        if not self._setup.connectors:
            self._take_in(connectors_below(self.node, self._namespace))
        self._store()

    # --- services --------------------------------------------------------------------------------------

    def _on_request(
        self, name: str, handle: Callable[[Any, DeferredReply], None], request: Any, reply: DeferredReply
    ) -> None:
        try:
            handle(request, reply)
        except ConversionError as error:
            reply.response.message = f'{name} refused: {error.path or "a value"} must be {error.allowed}.'
            reply.give()
        except Exception as error:  # noqa: BLE001 - an entry point: the caller gets an answer
            self._guard.failed(name, error)
            reply.response.message = f'{name} refused: the node failed; see its log.'
            reply.give()

    def _on_reserve(self, request: Any, reply: DeferredReply) -> None:
        asked = request_to_command(request, ReserveConnector)
        expiry = asked.expiry_time or Time(0)
        if not asked.expiry_time and asked.duration > 0.0:
            expiry = Time(self._time.wall() + round(asked.duration * 1e9))
        if not expiry:
            reply.response.status = int(ReservationStatus.REJECTED)
            reply.response.message = 'reserve refused: give a duration or an expiry_time.'
            reply.give()
            return

        def fill_in(answer: ValidationAnswer, response: Any) -> None:
            response.status = int(answer.result)
            response.reservation_id = answer.reservation_id

        ticket = self._keep(reply, fill_in)
        connector = absolute(asked.connector, self._namespace) if asked.connector else ''
        self._happened(
            ReserveRequested(
                ticket, asked.reservation_id, asked.id_token, asked.parent_id_token, connector, expiry
            )
        )

    def _on_cancel(self, request: Any, reply: DeferredReply) -> None:
        asked = request_to_command(request, CancelConnectorReservation)
        self._happened(CancelRequested(self._keep(reply), asked.reservation_id))

    def _on_withdraw(self, request: Any, reply: DeferredReply) -> None:
        asked = request_to_command(request, WithdrawToken)
        connector = absolute(asked.connector, self._namespace) if asked.connector else ''
        self._happened(WithdrawRequested(self._keep(reply), asked.id_token, connector))

    def _keep(
        self,
        reply: DeferredReply,
        fill_in: Callable[[ValidationAnswer, Any], None] = lambda _answer, _response: None,
    ) -> int:
        ticket = next(self._tickets)
        self._replies[ticket] = (reply, fill_in)
        return ticket


def _service_call(call: Call) -> tuple[Service, Any]:
    """Return the service and the request of a call to a connector."""
    match call.command:
        case Authorize(token, verdict):
            service = endpoints.service('authorize_response')
            request = endpoints.load(service.type).Request()
            request.provided_token = to_message(token)
            request.validation_result = to_message(verdict)
        case Withdraw():
            service = endpoints.service('withdraw_authorization')
            request = endpoints.load(service.type).Request()
        case StopCall(stop):
            service = endpoints.service('stop_transaction')
            request = endpoints.load(service.type).Request()
            request.request = to_message(stop)
        case Mark(number):
            service = endpoints.service('reserve')
            request = endpoints.load(service.type).Request()
            request.reservation_id = number
        case Unmark():
            service = endpoints.service('cancel_reservation')
            request = endpoints.load(service.type).Request()
    return service, request


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(Party.AUTHORIZATION, AuthorizationNode, args)
