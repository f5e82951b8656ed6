"""
The commands: each answers whether it is accepted, with a sentence that a person can act on when not.

A refused command changes nothing.  What an accepted one brings about follows from the facts that it changes;
only ``disable`` and ``force_unlock`` answer later than in the same step.
"""

from dataclasses import dataclass

from evse_manager.charging import allowance, owners, sessions
from evse_manager.charging.connector import Connector, Pending
from evse_manager.charging.faults import BOARD_LOST, WELD, Recovery
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    CancelReservation,
    ClearFault,
    Command,
    Disable,
    Enable,
    EnableDisable,
    ForceUnlock,
    PauseCharging,
    Reserve,
    ResumeCharging,
    SetExternalLimits,
    SetFaulted,
    SetGetCertificateResponse,
    StopTransaction,
    SwitchThreePhasesWhileCharging,
    WithdrawAuthorization,
)
from evse_manager.charging.owners import Owner
from evse_manager.interface import tokens
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    Availability,
    ContactorState,
    EnableState,
    ExiStreamStatus,
    LockState,
    StopTransactionReason,
    SwitchThreePhasesWhileChargingResult,
)
from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.interface.types import ProvidedIdToken

DISABLE_ANSWER_S = 1.0
"""``disable`` answers within so long (docs/charging.md)."""

UNLOCK_ANSWER_S = 8.0
"""``force_unlock`` answers within so long (docs/charging.md)."""

EXI_LENGTH = 5600
"""Longest base64 EXI stream (docs/interface.md)."""

PhaseResult = SwitchThreePhasesWhileChargingResult


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a command; ``message`` is empty on plain success."""

    success: bool
    message: str = ''
    result: SwitchThreePhasesWhileChargingResult = PhaseResult.UNSPECIFIED


OK = Answer(True)


def refused(message: str) -> Answer:
    """Return a refusal with its reason."""
    return Answer(False, message)


def execute(connector: Connector, ticket: int, command: Command) -> Answer | None:
    """Carry out a command; ``None`` when the answer comes later."""
    match command:
        case Enable(connector_id):
            return _own(connector, ticket, connector_id, owners.local(EnableState.ENABLE))
        case Disable(connector_id):
            return _own(connector, ticket, connector_id, owners.local(EnableState.DISABLE))
        case EnableDisable(connector_id, source, state, priority):
            return _own(connector, ticket, connector_id, Owner(source, state, priority))
        case ForceUnlock(connector_id):
            return _addressed(connector, connector_id) or _force_unlock(connector, ticket)
        case AuthorizeResponse():
            return _authorize(connector, command)
        case WithdrawAuthorization():
            if sessions.waits_for_token(connector):
                connector.emit_extended(Event.PLUGIN_TIMEOUT)
            return _withdraw(connector)
        case Reserve(reservation_id):
            return _reserve(connector, reservation_id)
        case CancelReservation():
            sessions.end_reservation(connector)
            return OK
        case SetFaulted():
            return _set_faulted(connector)
        case ClearFault():
            return _clear_fault(connector)
        case PauseCharging():
            return _pause(connector)
        case ResumeCharging():
            return _resume(connector)
        case StopTransaction():
            return _stop(connector, command)
        case SetExternalLimits():
            return _set_external_limits(connector, command)
        case SwitchThreePhasesWhileCharging(three_phases):
            return _switch_phases(connector, 3 if three_phases else 1)
        case SetGetCertificateResponse():
            return _certificate_response(connector, command)


def answer_pending(connector: Connector) -> None:
    """Answer the commands whose completion has come, or whose time is over."""
    now = connector.now.steady
    for pending in list(connector.disable_pending):
        if sessions.withdrawn(connector):
            answer = OK
        elif now >= pending.deadline:
            overtaken = connector.wanted_enabled
            wanted = 'it was enabled again meanwhile' if overtaken else 'the disable stays wanted'
            answer = refused(f'The board has not acknowledged that power is withdrawn; {wanted}.')
        else:
            continue
        connector.disable_pending.remove(pending)
        connector.results.answers.append((pending.ticket, answer))
    for pending in list(connector.unlock_pending):
        lock = connector.board.lock if connector.board is not None else LockState.UNKNOWN
        if lock is LockState.UNLOCKED and connector.link_up and not connector.outputs.lock:
            answer = OK
        elif WELD in connector.errors:
            answer = refused(
                'The contactor is welded and the outlet may be live; the connector stays locked.'
            )
        elif now >= pending.deadline:
            answer = refused('The connector did not unlock in time; see the active errors.')
        else:
            continue
        connector.unlock_pending.remove(pending)
        connector.results.answers.append((pending.ticket, answer))


def _addressed(connector: Connector, connector_id: int) -> Answer | None:
    """Refuse a command for another connector; 0 is the whole EVSE."""
    own = connector.config.connector_id
    if connector_id in (0, own):
        return None
    return refused(f'Connector {connector_id} is not here; this is connector {own} (0 = the whole EVSE).')


def _own(connector: Connector, ticket: int, connector_id: int, owner: Owner) -> Answer | None:
    """Take the say of an owner: it is kept, also when a stronger one decides otherwise."""
    elsewhere = _addressed(connector, connector_id)
    if elsewhere is not None:
        return elsewhere
    objection = owners.objection(owner)
    if objection:
        return refused(objection)
    if connector.faulted and owner.state is EnableState.ENABLE:
        return refused('The connector is permanently faulted; clear_fault ends that.')
    connector.owners = owners.with_say(connector.owners, owner)
    decides = owners.deciding(connector.owners)
    if decides is not None and owner.state not in (EnableState.UNASSIGNED, decides.state):
        stays = 'enabled' if connector.wanted_enabled else 'disabled'
        return refused(
            f'The connector stays {stays} by {decides.text}; '
            'a lower number, or UNASSIGNED there, changes that.'
        )
    return OK if connector.wanted_enabled else _disable(connector, ticket)


def _disable(connector: Connector, ticket: int) -> Answer | None:
    """Become unavailable, as the owners want; answers when power is withdrawn."""
    if connector.faulted:
        connector.disabled_while_faulted = True
        return OK
    if connector.announced is Availability.DISABLED:
        return OK
    sessions.end_reservation(connector)
    if connector.started is not None and not connector.link_up:
        return refused('The board cannot be reached; the connector is disabled as soon as it is back.')
    connector.disable_pending.append(Pending(ticket, connector.now.steady + DISABLE_ANSWER_S))
    return None


def _force_unlock(connector: Connector, ticket: int) -> Answer | None:
    if not connector.board_capabilities.has_lock:
        return refused('This connector has no lock.')
    if not connector.link_up:
        return refused('The board cannot be reached, so the lock cannot be moved.')
    if WELD in connector.errors:
        return refused('The contactor is welded and the outlet may be live; the connector stays locked.')
    if not sessions.stop(connector, StopTransactionReason.UNLOCK_COMMAND) and connector.plugged:
        _withdraw(connector)  # a token that waits would begin a transaction that the open lock keeps waiting
    connector.force_unlocked = connector.plugged
    connector.unlock_pending.append(Pending(ticket, connector.now.steady + UNLOCK_ANSWER_S))
    return None


def _token_objection(connector: Connector, token: ProvidedIdToken) -> str:
    """Return why a token can't authorize here at all."""
    malformed = tokens.objection(token)
    if malformed:
        return malformed
    contract = token.authorization_type is AuthorizationType.PLUG_AND_CHARGE
    if contract and not connector.config.payment_enable_contract:
        return 'Plug & Charge is switched off here (payment_enable_contract).'
    if not contract and not connector.config.payment_enable_eim:
        return 'Tokens that a person presents are switched off here (payment_enable_eim).'
    return ''


def _authorize(connector: Connector, command: AuthorizeResponse) -> Answer:
    token, validation = command.provided_token, command.validation_result
    own = connector.config.connector_id
    if validation.authorization_status is AuthorizationStatus.UNSPECIFIED:
        return refused('validation_result.authorization_status is missing; 1 is Accepted.')
    if validation.authorization_status is not AuthorizationStatus.ACCEPTED:
        return OK
    reject_reason = _token_objection(connector, token)
    if reject_reason:
        return refused(reject_reason)
    if validation.expiry_time is not None and validation.expiry_time <= connector.now.wall:
        return refused('The token has expired; present a valid one.')
    if validation.evse_ids and own not in validation.evse_ids:
        return refused(f'The validation is for EVSE {list(validation.evse_ids)}, not for {own}.')
    if token.connectors and own not in token.connectors:
        return refused(f'The token is for connectors {list(token.connectors)}, not for {own}.')
    if connector.faulted:
        return refused('The connector is permanently faulted; clear_fault ends that.')
    if not connector.wanted_enabled:
        return refused('The connector is disabled; enable it first.')
    if connector.shutting_down is not None:
        return refused('The charger is shutting down.')
    session = connector.session
    if session is not None and session.transaction is not None:
        own_token = session.transaction.token.id_token
        if connector.running is not None and tokens.same_token(own_token, token.id_token):
            return OK
        if connector.running is not None:
            return refused('A transaction runs under another token; stop it first.')
        return refused('The transaction of this session has ended; unplug the car to begin another.')
    if session is not None and session.ended:
        return refused('The session is ending; try again in a moment.')
    if connector.authorization is None:
        connector.authorized_at = connector.now.steady
    connector.authorization = token
    connector.force_unlocked = connector.force_unlocked and bool(connector.unlock_pending)
    return OK


def _withdraw(connector: Connector) -> Answer:
    session = connector.session
    if session is not None and session.transaction is not None:
        return OK
    if connector.authorization is None:
        return OK
    connector.authorization = None
    if session is not None:
        if session.authorized_announced:
            session.authorized_announced = False
            connector.emit_extended(Event.DEAUTHORIZED)
        session.auth_required_announced = False
        if not connector.plugged:
            session.ended = True
    return OK


def _reserve(connector: Connector, reservation_id: int) -> Answer:
    if connector.reservation_id == reservation_id:
        return OK
    if connector.reservation_id is not None:
        return refused(f'The connector is already reserved (reservation {connector.reservation_id}).')
    if connector.faulted or not connector.wanted_enabled or connector.announced is not Availability.ENABLED:
        return refused('The connector is not enabled.')
    if connector.shutting_down is not None:
        return refused('The charger is shutting down.')
    if connector.errors:
        return refused('The connector has an error; see the active errors.')
    if connector.plugged or connector.session is not None or connector.authorization is not None:
        return refused('The connector is in use.')
    connector.reservation_id = reservation_id
    connector.emit(Event.RESERVATION_START)
    return OK


def _set_faulted(connector: Connector) -> Answer:
    if connector.faulted:
        return OK
    connector.faulted = True
    connector.disabled_while_faulted = False
    sessions.end_reservation(connector)
    if connector.started is not None:
        sessions.announce(connector, Availability.FAULTED)
    return OK


def _clear_fault(connector: Connector) -> Answer:
    latched = [active for active in connector.errors if active.fault.recovery is Recovery.OPERATOR]
    if not latched and not connector.faulted:
        return refused('There is no latched fault; other errors end by themselves when their cause does.')
    if any(active.present for active in latched) or (
        latched and connector.contactor is not ContactorState.OPEN
    ):
        return refused('The board still reports the contactor as not open; have it replaced first.')
    connector.errors.reset_latched()
    connector.faulted = False
    connector.disabled_while_faulted = False
    if not connector.errors:
        connector.emit(Event.ALL_ERRORS_CLEARED)
    return OK


def _pause(connector: Connector) -> Answer:
    if connector.running is None:
        return refused('There is no transaction to pause.')
    connector.paused_by_user = True
    return OK


def _resume(connector: Connector) -> Answer:
    if connector.running is None:
        return refused('There is no transaction to resume; after a stop the car must be unplugged first.')
    if not connector.paused_by_user:
        return refused(f'Charging is not paused by the user: {_why_not_flowing(connector)}')
    connector.paused_by_user = False
    return OK


def _why_not_flowing(connector: Connector) -> str:
    if connector.errors:
        return 'an error blocks it, and it resumes when that ends.'
    if connector.allowance.signalled_a == 0.0:
        return 'there is no energy, and it resumes when the limit allows 6 A.'
    if connector.contactor is ContactorState.CLOSED:
        return 'it is running.'
    return 'it resumes when the car asks for power.'


def _stop(connector: Connector, command: StopTransaction) -> Answer:
    reason = command.request.reason or StopTransactionReason.OTHER
    if command.request.id_tag and not tokens.is_well_formed(command.request.id_tag):
        return refused(f'id_tag must be at most {tokens.TOKEN_LENGTH} printable ASCII characters.')
    if not sessions.stop(connector, reason, command.request.id_tag):
        return refused('There is no transaction to stop.')
    return OK


def _set_external_limits(connector: Connector, command: SetExternalLimits) -> Answer:
    reject_reason = allowance.reject_reason(command.value)
    if reject_reason:
        return refused(reject_reason)
    connector.external = command.value
    return OK


def _switch_phases(connector: Connector, phases: int) -> Answer:
    capabilities = connector.capabilities
    transaction = connector.running
    if capabilities is None or not (
        capabilities.supports_changing_phases_during_charging and phases in connector.connectable_phases
    ):
        message = f'This charger cannot switch to {phases} phase{"s" if phases > 1 else ""} while charging.'
        return Answer(False, message, PhaseResult.ERROR_NOT_SUPPORTED)
    if connector.errors or BOARD_LOST in connector.errors or not connector.link_up:
        message = 'An error keeps the phases from being switched; see the active errors.'
        return Answer(False, message, PhaseResult.ERROR_HARDWARE)
    if transaction is None or not transaction.energy_flowed:
        return Answer(
            False, 'The phases can be switched only while charging.', PhaseResult.ERROR_NOT_CHARGING
        )
    connector.wanted_phases = phases
    return Answer(True, '', PhaseResult.SUCCESS)


def _certificate_response(connector: Connector, command: SetGetCertificateResponse) -> Answer:
    response = command.certificate_reponse
    if response.status is ExiStreamStatus.UNSPECIFIED or not response.certificate_action:
        return refused('certificate_reponse needs a status and a certificate_action.')
    if len(response.exi_response) > EXI_LENGTH:
        return refused(f'certificate_reponse.exi_response is longer than {EXI_LENGTH} characters.')
    if response.exi_response and response.status is not ExiStreamStatus.ACCEPTED:
        return refused('certificate_reponse.exi_response is allowed only with status Accepted.')
    if not connector.hlc_present:
        return refused('There is no high-level-communication node to take the response.')
    connector.results.certificate_response = response
    return OK
