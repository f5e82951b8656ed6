"""Inputs and outputs of a site's authorization."""

from dataclasses import dataclass, field

from evse_manager.authorization.saved import Saved
from evse_manager.interface.enums import ReservationStatus, TokenResultEnum
from evse_manager.interface.types import (
    EvseStatus,
    ProvidedIdToken,
    StopTransactionRequest,
    Time,
    ValidationResult,
)

# --- inputs -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenPresented:
    """A reader read a token; ``connector`` is empty for a reader of the site."""

    token: ProvidedIdToken
    connector: str = ''


@dataclass(frozen=True, slots=True)
class ConnectorReported:
    """A connector published its status."""

    connector: str
    status: EvseStatus


@dataclass(frozen=True, slots=True)
class TransactionBegun:
    """A connector published TransactionStarted for a session."""

    connector: str
    session_uuid: str
    token: ProvidedIdToken


@dataclass(frozen=True, slots=True)
class TokenValidated:
    """The answer to a ``Validation``; None when there is no answer."""

    ticket: int
    result: ValidationResult | None


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """A connector answered a ``Call``."""

    ticket: int
    success: bool
    message: str = ''


@dataclass(frozen=True, slots=True)
class CallLost:
    """A ``Call`` was not answered; whether the connector carried it out is unknown."""

    ticket: int


@dataclass(frozen=True, slots=True)
class ReserveRequested:
    """
    Reserve a connector, or any fitting one (``connector`` empty), for a token or its group.

    ``reservation_id`` 0 lets the authorization choose a number; the number of an existing reservation
    replaces it.
    """

    ticket: int
    reservation_id: int
    id_token: str
    parent: str
    connector: str
    expiry: Time


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Cancel a reservation."""

    ticket: int
    reservation_id: int


@dataclass(frozen=True, slots=True)
class WithdrawRequested:
    """Withdraw what a token, or the token at a connector, is authorized for but does not use yet."""

    ticket: int
    id_token: str = ''
    connector: str = ''


@dataclass(frozen=True, slots=True)
class ClockTick:
    """The deadline has come; at any other time a tick changes nothing."""


Input = (
    TokenPresented
    | ConnectorReported
    | TransactionBegun
    | TokenValidated
    | CallAnswered
    | CallLost
    | ReserveRequested
    | CancelRequested
    | WithdrawRequested
    | ClockTick
)

# --- outputs ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Authorize:
    """Call ``authorize_response``."""

    provided_token: ProvidedIdToken
    validation_result: ValidationResult


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Call ``withdraw_authorization``."""


@dataclass(frozen=True, slots=True)
class StopCall:
    """Call ``stop_transaction``."""

    request: StopTransactionRequest


@dataclass(frozen=True, slots=True)
class Mark:
    """Call ``reserve``: the connector shows itself as reserved."""

    reservation_id: int


@dataclass(frozen=True, slots=True)
class Unmark:
    """Call ``cancel_reservation``."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a connector; ``CallAnswered`` or ``CallLost`` must follow with its ticket."""

    ticket: int
    connector: str
    command: Authorize | Withdraw | StopCall | Mark | Unmark


@dataclass(frozen=True, slots=True)
class Validation:
    """Ask another node about a token at some connectors; ``TokenValidated`` may follow with the ticket."""

    ticket: int
    token: ProvidedIdToken
    connectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenOutcome:
    """
    What became of a token, for the log and for readers; ``id_token`` is whole and must be masked there.

    ``request_id`` is that of the token as it was presented.
    """

    id_token: str
    result: TokenResultEnum
    connector: str = ''
    reason: str = ''
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class ValidationAnswer:
    """The answer to a request of a service; ``message`` is empty on plain success."""

    ticket: int
    success: bool
    message: str = ''
    result: ReservationStatus = ReservationStatus.UNSPECIFIED
    reservation_id: int = 0


@dataclass(slots=True)
class AuthorizationOutput:
    """
    What one input brought about.

    ``saved`` is not None when it changed: store it before carrying out the calls and answers.
    ``deadline`` is the steady time of the next ``ClockTick``; None when nothing is due.
    """

    calls: list[Call] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    answers: list[ValidationAnswer] = field(default_factory=list)
    outcomes: list[TokenOutcome] = field(default_factory=list)
    saved: Saved | None = None
    deadline: float | None = None
