"""Inputs of the kernel: one small type per input, and the two clocks that come with each."""

from dataclasses import dataclass

from evse_manager.charging.owners import PRIORITY_MAX
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.enums import EnableSource, EnableState
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    EnforcedLimits,
    EVInfo,
    ExternalLimits,
    HardwareCapabilities,
    Powermeter,
    ProvidedIdToken,
    ResponseExiStreamStatus,
    StopTransactionRequest,
    Telemetry,
    Time,
    ValidationResult,
)
from evse_manager.lease.manager import BoardLost, BoardObserved


@dataclass(frozen=True, slots=True)
class Now:
    """
    The time of an input on both clocks.

    ``steady`` counts seconds and never jumps: every deadline is on it.  ``wall`` is UTC and may jump: it
    stamps events and decides what is wall time by nature (schedules, the expiry of tokens).
    """

    steady: float
    wall: Time


# --- commands: fields are named as in the requests of the services of the same names -------------------


@dataclass(frozen=True, slots=True)
class Enable:
    """Make the connector available."""

    connector_id: int = 0


@dataclass(frozen=True, slots=True)
class Disable:
    """Make the connector unavailable; a running session is closed in order."""

    connector_id: int = 0


@dataclass(frozen=True, slots=True)
class EnableDisable:
    """The say of one of several owners; the lowest priority number wins (``owners.py``)."""

    connector_id: int = 0
    source: EnableSource = EnableSource.UNSPECIFIED
    state: EnableState = EnableState.UNSPECIFIED
    priority: int = PRIORITY_MAX


@dataclass(frozen=True, slots=True)
class AuthorizeResponse:
    """Result of an authorization request."""

    provided_token: ProvidedIdToken = ProvidedIdToken()
    validation_result: ValidationResult = ValidationResult()


@dataclass(frozen=True, slots=True)
class WithdrawAuthorization:
    """The authorization given before the transaction began is no longer valid."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep the connector for a reservation."""

    reservation_id: int = 0


@dataclass(frozen=True, slots=True)
class CancelReservation:
    """Drop the reservation, if there is one."""


@dataclass(frozen=True, slots=True)
class SetFaulted:
    """Put the connector out of order until ``ClearFault``."""


@dataclass(frozen=True, slots=True)
class ClearFault:
    """The operator's reset of a latched fault."""


@dataclass(frozen=True, slots=True)
class PauseCharging:
    """Pause the transaction."""


@dataclass(frozen=True, slots=True)
class ResumeCharging:
    """End the pause of ``PauseCharging``."""


@dataclass(frozen=True, slots=True)
class StopTransaction:
    """End the transaction; only a replug can begin another one."""

    request: StopTransactionRequest = StopTransactionRequest()


@dataclass(frozen=True, slots=True)
class ForceUnlock:
    """Stop, open and unlock."""

    connector_id: int = 0


@dataclass(frozen=True, slots=True)
class SetExternalLimits:
    """Replace the operator's schedules."""

    value: ExternalLimits = ExternalLimits()


@dataclass(frozen=True, slots=True)
class SwitchThreePhasesWhileCharging:
    """Change between one phase and three."""

    three_phases: bool = False


@dataclass(frozen=True, slots=True)
class SetGetCertificateResponse:
    """Answer to a certificate request; the argument's misspelling is the interface's own."""

    certificate_reponse: ResponseExiStreamStatus = ResponseExiStreamStatus()


Command = (
    Enable
    | Disable
    | EnableDisable
    | AuthorizeResponse
    | WithdrawAuthorization
    | Reserve
    | CancelReservation
    | SetFaulted
    | ClearFault
    | PauseCharging
    | ResumeCharging
    | StopTransaction
    | ForceUnlock
    | SetExternalLimits
    | SwitchThreePhasesWhileCharging
    | SetGetCertificateResponse
)


# --- everything else that happens ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """
    The node is up; the kernel waits for the first complete board state, at most 5 s.

    ``remembered`` is what an earlier run of this connector left behind; the numbers of the events go on
    after ``last_sequence_number``.
    """

    remembered: PersistedState = PersistedState()
    last_sequence_number: int = 0


@dataclass(frozen=True, slots=True)
class ParametersChanged:
    """Parameters were changed at run time; they hold from this input on."""

    config: Config


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come (a tick at any other time changes nothing)."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The node is to end: withdraw power, close what is open."""


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A command, answered under its ``ticket``."""

    ticket: int
    command: Command


@dataclass(frozen=True, slots=True)
class CapabilitiesReceived:
    """The capabilities of the power path became known or changed."""

    capabilities: HardwareCapabilities


@dataclass(frozen=True, slots=True)
class BoardCapabilitiesReceived:
    """The other capabilities of the board became known or changed."""

    capabilities: BoardCapabilities


@dataclass(frozen=True, slots=True)
class MeterSampled:
    """The billing meter reported."""

    sample: Powermeter


@dataclass(frozen=True, slots=True)
class TelemetrySampled:
    """The board reported its health."""

    sample: Telemetry


@dataclass(frozen=True, slots=True)
class LimitsEnforced:
    """The energy manager handed out a limit."""

    limits: EnforcedLimits


@dataclass(frozen=True, slots=True)
class EvInfoReceived:
    """The high-level-communication node reported data of the EV."""

    info: EVInfo


@dataclass(frozen=True, slots=True)
class EvccIdReceived:
    """The EV's MAC address became known."""

    evcc_id: str


@dataclass(frozen=True, slots=True)
class HlcPresence:
    """A high-level-communication node appeared or went."""

    present: bool


Input = (
    Start
    | ParametersChanged
    | Tick
    | Shutdown
    | CommandReceived
    | BoardObserved
    | BoardLost
    | CapabilitiesReceived
    | BoardCapabilitiesReceived
    | MeterSampled
    | TelemetrySampled
    | LimitsEnforced
    | EvInfoReceived
    | EvccIdReceived
    | HlcPresence
)
