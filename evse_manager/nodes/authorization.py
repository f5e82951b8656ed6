"""
The authorization node of a site: readers and connectors on one side, the rules on the other.

Nothing is decided here.  What arrives becomes an input of the ``Authorizer``; what it wants stored is stored
before its calls and answers go out.  Tokens are masked wherever they are shown.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from rclpy.impl.rcutils_logger import RcutilsLogger

from evse_manager.authorization.authorizer import Authorizer
from evse_manager.authorization.events import (
    AuthorizationOutput,
    Authorize,
    Call,
    CallAnswered,
    CallLost,
    ClockTick,
    ConnectorReported,
    Input,
    Mark,
    StopCall,
    TokenOutcome,
    TokenPresented,
    TokenValidated,
    TransactionBegun,
    Unmark,
    Validation,
    Withdraw,
)
from evse_manager.authorization.saved import Reservation, Saved
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party, Service
from evse_manager.interface.enums import SessionEventEnum, TokenResultEnum
from evse_manager.interface.tokens import CERTIFICATE_LENGTH, CONNECTORS_MAX, masked
from evse_manager.interface.types import (
    EvseStatus,
    ProvidedIdToken,
    SessionEvent,
    SiteReservation,
    SiteReservations,
    TokenResult,
    ValidationResult,
)
from evse_manager.nodes.authorization_config import AuthorizationConfig, setup
from evse_manager.nodes.authorization_services import AuthorizationServices
from evse_manager.nodes.connector_calls import Calls
from evse_manager.nodes.conversions import ConversionError, from_message, to_message
from evse_manager.nodes.found_connectors import connectors_below
from evse_manager.nodes.parameters import ParameterError
from evse_manager.nodes.publishers import Publishers
from evse_manager.nodes.runtime import DeadlineTimer, NodeTime, run, steady_clock
from evse_manager.nodes.site_node import SiteNode
from evse_manager.nodes.topics import subscribe
from evse_manager.store.authorization_file import AuthorizationFile, authorization_location
from evse_manager.store.location import LockedError

SECOND_S = 1.0
"""How often connectors are looked for, and a failed write is tried again."""

LOG_BURST, LOG_WINDOW_S = 20, 10.0
"""Most lines about tokens in this time, so that a flood of tokens does not flood the log."""

Value = TypeVar('Value')


class TokenLog:
    """Lines about tokens in the log of the node, at most ``LOG_BURST`` in ``LOG_WINDOW_S``."""

    def __init__(self, log: RcutilsLogger) -> None:
        self._log = log
        self._written: list[float] = []
        self._suppressed = 0

    def write(self, line: str, result: TokenResultEnum) -> None:
        """Write a line, unless there were too many."""
        now = time.monotonic()
        self._written = [at for at in self._written if now - at < LOG_WINDOW_S]
        if len(self._written) >= LOG_BURST:
            self._suppressed += 1
            return
        if self._suppressed:
            self._log.warning(f'{self._suppressed} more lines about tokens were left out: too many tokens.')
            self._suppressed = 0
        self._written.append(now)
        if result is TokenResultEnum.REJECTED:
            self._log.warning(line)
        else:
            self._log.info(line)


class AuthorizationNode(SiteNode[AuthorizationConfig]):
    """The authorization of one site, a ``runtime.NodeApp``."""

    def __init__(self, **options: Any) -> None:
        """Read the files, declare the parameters, create the endpoints of the site; raises ParameterError."""
        super().__init__(Party.AUTHORIZATION.value, AuthorizationConfig, **options)
        try:
            self._setup = setup(self._config, self._namespace)
            self._file, saved = self._open_store(self._config.store)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        for warning in self._setup.warnings:
            self._log.warning(warning)
        self._time = NodeTime(self.node)
        self._calls = Calls(self.node, self._time.seconds)
        self._authorizer = Authorizer(self._setup.rules, (), saved)
        self._services = AuthorizationServices(self.node, self._guard, self._time.wall, self._happened)
        self._names: list[str] = []
        self._unsaved: Saved | None = None
        self._shown: tuple[Reservation, ...] | None = None
        self._token_log = TokenLog(self._log)
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
                subscribe(self.node, topic, self._guard(partial(self._on_token, '')))
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

    def withdraw(self) -> None:
        """Store what is not stored yet, and answer whoever waits."""
        self._store()
        self._services.close('refused: the node is shutting down.')
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
        callbacks = (
            (endpoints.topic('status'), self._on_status),
            (endpoints.topic('session_event'), self._on_session_event),
            (endpoints.TOKEN, self._on_token),
        )
        for name in fresh:
            for topic, callback in callbacks:
                subscribe(self.node, topic, self._guard(partial(callback, name)), f'{name}/{topic.name}')
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
            self._services.answer(answer)
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
        self._token_log.write(f'Token {token}{place} {words}{reason}', outcome.result)

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
