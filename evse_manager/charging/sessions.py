"""
Availability, sessions and transactions (charging.md sections 2 and 3): when each begins, and how it ends.

``advance`` runs after every input, in the order of an orderly end: availability that was wanted, the running
stop, the end of the session, and only then what may begin.
"""

from collections.abc import Callable

from evse_manager.charging import persistence, timers
from evse_manager.charging.connector import Connector, Session, Transaction, TransactionStop
from evse_manager.charging.faults import WELD
from evse_manager.interface.enums import (
    Availability,
    CarManufacturerEnum,
    ContactorState,
    SessionEventEnum,
    StartSessionReason,
    StopTransactionReason,
)
from evse_manager.interface.types import (
    CarManufacturer,
    EVInfo,
    ProvidedIdToken,
    SessionStarted,
    TransactionFinished,
    TransactionStarted,
)

FREE_TOKEN = ProvidedIdToken(id_token='FREESERVICE', prevalidated=True)
"""The token of a connector that charges without authentication."""

Event = SessionEventEnum


def boot(connector: Connector) -> None:
    """Announce the availability once the board is known, or has kept silent for too long."""
    if connector.started is not None:
        return
    known = connector.link_up and connector.capabilities is not None and not connector.replug_active
    if not timers.boot.over(connector) and not (known and persistence.ready(connector)):
        return
    connector.started = connector.now.steady
    persistence.close_interrupted(connector)
    if connector.faulted:
        announce(connector, Availability.FAULTED)
    elif connector.wanted_enabled:
        announce(connector, Availability.ENABLED)
    else:
        announce(connector, Availability.DISABLED)
    persistence.after_boot(connector)
    if not known:
        connector.board_lost = connector.board_lost or 'The board node has not reported; check that it runs.'


def announce(connector: Connector, availability: Availability) -> None:
    """Publish a change of availability, once."""
    if connector.announced is availability:
        return
    connector.announced = availability
    match availability:
        case Availability.ENABLED:
            connector.emit(Event.ENABLED)
        case Availability.DISABLED:
            connector.emit(Event.DISABLED)
        case Availability.FAULTED:
            connector.emit(Event.PERMANENT_FAULT)


def end_reservation(connector: Connector) -> None:
    """Drop a reservation that was not used."""
    if connector.reservation_id is not None:
        connector.reservation_id = None
        connector.emit(Event.RESERVATION_END)


def stop(connector: Connector, reason: StopTransactionReason, id_tag: str = '') -> bool:
    """Begin to stop the open transaction; false when there is none, or it is stopping already."""
    transaction = connector.running
    if transaction is None:
        return False
    transaction.stop_counting(connector.now.steady)
    transaction.stop = TransactionStop(reason, id_tag, connector.now.steady)
    connector.emit(Event.STOPPING_CHARGING)
    return True


def advance(connector: Connector) -> None:
    """Let everything end that has to, then begin what may."""
    if connector.started is None:
        return
    _stops(connector)
    _finish_transaction(connector)
    _finish_session(connector)
    _availability(connector)
    _start_session(connector)
    _require_authorization(connector)
    _announce_authorization(connector)
    _start_transaction(connector)


def closing(connector: Connector) -> bool:
    """Tell whether the session has to end for another reason than the cable."""
    return not connector.wanted_enabled or connector.faulted or connector.shutting_down is not None


def _stops(connector: Connector) -> None:
    """Stop a transaction whose conditions are gone for good."""
    session = connector.session
    if session is None:
        return
    if session.ended:
        hidden = session.hidden_for is not None
        stop(connector, StopTransactionReason.POWER_LOSS if hidden else StopTransactionReason.EV_DISCONNECTED)
    elif closing(connector):
        session.ended = True
        shutting_down = connector.shutting_down is not None
        stop(connector, StopTransactionReason.REBOOT if shutting_down else StopTransactionReason.OTHER)


def _finish_transaction(connector: Connector) -> None:
    """Close a stopping transaction once the contactor is open and the meter has been read after that."""
    transaction = connector.transaction
    if transaction is None or transaction.stop is None:
        return
    now, stopping = connector.now.steady, transaction.stop
    if not connector.board_lost and WELD not in connector.errors:
        if connector.contactor is ContactorState.OPEN and stopping.opened is None:
            stopping.opened = now
            stopping.opened_stamp = connector.contactor_open_stamp
            if connector.contactor_open_since < stopping.begun:
                stopping.opened = connector.contactor_open_since
        if not _stop_complete(connector, stopping):
            return
    transaction.finished = True
    complete = stopping.opened is not None and connector.meter.sampled_after(
        stopping.opened_stamp, stopping.opened
    )
    transaction.energy = energy = connector.meter.final_energy(complete=complete)
    connector.emit(Event.CHARGING_FINISHED)
    connector.emit(
        Event.TRANSACTION_FINISHED,
        transaction_finished=TransactionFinished(
            timestamp=connector.now.wall,
            meter_value=connector.meter.value(),
            reason=stopping.reason,
            id_tag=stopping.id_tag,
            energy_wh=energy.energy_wh,
            energy_is_lower_bound=energy.is_lower_bound,
            energy_is_integrated=energy.is_integrated,
        ),
    )
    connector.authorization = None


def _stop_complete(connector: Connector, stopping: TransactionStop) -> bool:
    """Tell whether nothing more needs to be waited for."""
    if timers.shutdown.over(connector):
        return True
    if stopping.opened is None:
        return False
    return (
        connector.meter.sample is None
        or connector.meter.sampled_after(stopping.opened_stamp, stopping.opened)
        or timers.stop_meter_value.over(connector)
    )


def _finish_session(connector: Connector) -> None:
    """Close a session that has ended and has no open transaction."""
    session = connector.session
    if session is None or not session.ended or connector.transaction is not None:
        return
    connector.emit(Event.SESSION_FINISHED)
    connector.session = None
    connector.authorization = None
    connector.paused_by_user = False
    connector.ev_info = EVInfo()
    connector.interruptions.clear()
    _continue_after_gap(connector, session)


def _continue_after_gap(connector: Connector, session: Session) -> None:
    """Authorize again with the token of a transaction that ended because its cable was out of sight."""
    transaction = session.transaction
    if (
        session.hidden_for is not None
        and transaction is not None
        and transaction.stop is not None
        and transaction.stop.reason is StopTransactionReason.POWER_LOSS
        and connector.config.after_power_loss == 'continue'
        and session.hidden_for <= connector.config.continue_within_s
        and connector.plugged
        and not closing(connector)
    ):
        persistence.authorize_again(connector, transaction.token)


def _availability(connector: Connector) -> None:
    """Become what is wanted once no session is open and the board obeys."""
    if connector.session is not None:
        return
    if connector.faulted:
        if connector.disabled_while_faulted:
            announce(connector, Availability.DISABLED)
    elif connector.wanted_enabled:
        announce(connector, Availability.ENABLED)
    elif connector.link_up and (connector.contactor is ContactorState.OPEN or WELD in connector.errors):
        announce(connector, Availability.DISABLED)


def _meter_may_come(connector: Connector) -> bool:
    """Tell whether the first value of the meter is worth waiting for: a transaction starts with it."""
    return (
        connector.board_capabilities.has_meter
        and connector.meter.sample is None
        and timers.first_meter_value.running(connector)
    )


Conditions = dict[str, Callable[[Connector], bool]]

SESSION_WAITS: Conditions = {
    'a session is open': lambda connector: connector.session is not None,
    'the connector is not enabled': lambda connector: connector.announced is not Availability.ENABLED,
    'it is to be disabled, faulted or shut down': closing,
    'an error is active': lambda connector: bool(connector.errors),
    'the board plays a replug': lambda connector: connector.replug_active,
    'the pilot was not read after F': lambda connector: not connector.pilot_read_after_f,
}
"""No session begins while any of these holds."""

TRANSACTION_WAITS: Conditions = {
    'no car is plugged in': lambda connector: not connector.plugged,
    'an error is active': lambda connector: bool(connector.errors),
    'the board is lost': lambda connector: not connector.link_up,
    'the board plays a replug': lambda connector: connector.replug_active,
    'the first value of the meter may still come (2 s)': _meter_may_come,
}
"""No transaction begins in an authorized session while any of these holds."""


def _blocked(connector: Connector, conditions: Conditions) -> bool:
    return any(holds(connector) for holds in conditions.values())


def _start_session(connector: Connector) -> None:
    """Begin a session with the first touch of a user, unless something forbids it."""
    if _blocked(connector, SESSION_WAITS):
        return
    token_first = connector.authorization is not None and (
        not connector.plugged or connector.authorized_at < connector.plugged_at
    )
    if not connector.plugged and not token_first:
        return
    reason = StartSessionReason.AUTHORIZED if token_first else StartSessionReason.EV_CONNECTED
    connector.session = Session(connector.new_uuid(), reason, connector.now.steady, connector.now.wall)
    connector.ev_info = EVInfo()
    connector.car_manufacturer = CarManufacturer(CarManufacturerEnum.UNKNOWN)
    connector.emit(
        Event.SESSION_STARTED, session_started=SessionStarted(timestamp=connector.now.wall, reason=reason)
    )
    if connector.config.disable_authentication and connector.authorization is None:
        connector.authorization = FREE_TOKEN
        connector.authorized_at = connector.now.steady


def waits_for_token(connector: Connector) -> bool:
    """Return whether a car is plugged in whose session has no token yet."""
    session = connector.session
    return (
        session is not None
        and not session.ended
        and session.transaction is None
        and connector.plugged
        and connector.authorization is None
    )


def _require_authorization(connector: Connector) -> None:
    """Ask for a token, once, when the car is there before it."""
    session = connector.session
    if session is None or session.auth_required_announced or not waits_for_token(connector):
        return
    session.auth_required_announced = True
    connector.emit(Event.AUTH_REQUIRED)


def _announce_authorization(connector: Connector) -> None:
    """Publish, once, that the session has a token."""
    session = connector.session
    if session is None or session.ended or session.transaction is not None or session.authorized_announced:
        return
    if connector.authorization is not None:
        session.authorized_announced = True
        connector.emit_extended(Event.AUTHORIZED)


def _start_transaction(connector: Connector) -> None:
    """Begin the one transaction of a session: plugged, authorized, nothing wrong."""
    session, token = connector.session, connector.authorization
    if session is None or session.ended or session.transaction is not None or token is None:
        return
    if _blocked(connector, TRANSACTION_WAITS):
        return
    now = connector.now.steady
    connector.meter.begin(now, connector.rated_power_w)
    value = connector.meter.value()
    session.transaction = Transaction(
        token=token,
        begun=now,
        started=connector.now.wall,
        start_wh=connector.meter.register_wh,
        kept_value=value,
        kept_at=now,
        reservation_id=connector.reservation_id,
        demand_since=now,
    )
    connector.paused_by_user = False
    connector.wanted_phases = connector.connectable_phases[-1]
    connector.emit(
        Event.TRANSACTION_STARTED,
        transaction_started=TransactionStarted(
            timestamp=connector.now.wall,
            id_tag=token,
            meter_value=value,
            reservation_id=connector.reservation_id,
        ),
    )
    connector.reservation_id = None
    connector.emit(Event.PREPARE_CHARGING)


def withdrawn(connector: Connector) -> bool:
    """Tell whether the board has acknowledged that there is no power to be had."""
    return connector.link_up and connector.answered and connector.offer is None
