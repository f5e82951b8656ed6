"""
Persistent state of a connector across a restart, and its use at boot (docs/charging.md).

The kernel returns its state with every step that changes it; its owner stores it and passes it to ``Start``.
"""

from dataclasses import replace

from evse_manager.charging import owners, timers
from evse_manager.charging.connector import Connector, Session, Transaction
from evse_manager.charging.faults import WELD
from evse_manager.charging.persisted_state import OpenSession, OpenTransaction, PersistedState
from evse_manager.charging.supervision import raise_fault
from evse_manager.interface.enums import EnableState, SessionEventEnum, StopTransactionReason
from evse_manager.interface.types import Energy, Powermeter, ProvidedIdToken, TransactionFinished
from evse_manager.metering.energy import TransactionEnergy

KEEP_EVERY_S = 30.0
"""While a transaction is open its meter value is worth remembering so often."""


def memory(connector: Connector) -> PersistedState:
    """Return what is to be remembered of the connector as it is now; ``written`` is left to the keeper."""
    if connector.started is None and connector.restored is not None:
        return replace(connector.restored, written=None)
    return PersistedState(
        enabled=connector.wanted_enabled,
        owners=connector.owners,
        faulted=connector.faulted,
        welded=WELD in connector.errors,
        reservation_id=connector.reservation_id,
        external_limits=connector.external,
        session=_open_session(connector.session),
    )


def restore(connector: Connector, remembered: PersistedState) -> None:
    """Take back what was remembered; the boot announces it."""
    connector.restored = remembered
    connector.owners = remembered.owners
    if connector.wanted_enabled and not remembered.enabled:
        connector.owners = (owners.local(EnableState.DISABLE),)
    connector.faulted = remembered.faulted
    connector.external = remembered.external_limits


def keep_meter_value(connector: Connector) -> None:
    """Renew the meter value that would close the open transaction after a power loss."""
    transaction = connector.transaction
    if transaction is not None and connector.now.steady >= transaction.kept_at + KEEP_EVERY_S:
        transaction.kept_value = connector.meter.value()
        transaction.kept_reading_wh = connector.meter.reading_wh
        transaction.kept_energy = connector.meter.energy
        transaction.kept_at = connector.now.steady


def ready(connector: Connector) -> bool:
    """Tell whether the boot may go on: an interrupted transaction waits a moment for the meter."""
    remembered = connector.restored
    if remembered is None or remembered.session is None or remembered.session.transaction is None:
        return True
    if not connector.board_capabilities.has_meter or connector.meter.sample is not None:
        return True
    return timers.first_meter_value.over(connector)


def close_interrupted(connector: Connector) -> None:
    """Close what was open when the power went, under its old uuid (sequence 25)."""
    remembered = connector.restored
    if remembered is None or remembered.session is None:
        return
    interrupted = remembered.session
    connector.session = Session(interrupted.uuid, interrupted.reason, connector.now.steady)
    if interrupted.transaction is not None:
        value, energy = _last_value(connector, interrupted.transaction)
        connector.emit(
            SessionEventEnum.TRANSACTION_FINISHED,
            transaction_finished=TransactionFinished(
                timestamp=connector.now.wall,
                meter_value=value,
                reason=StopTransactionReason.POWER_LOSS,
                energy_wh=energy.energy_wh,
                energy_is_lower_bound=energy.is_lower_bound,
                energy_is_integrated=energy.is_integrated,
            ),
        )
    connector.emit(SessionEventEnum.SESSION_FINISHED)
    connector.session = None


def after_boot(connector: Connector) -> None:
    """Bring back the rest once the availability is announced: the weld, the reservation, the charging."""
    remembered = connector.restored
    if remembered is None:
        return
    if remembered.welded:
        raise_fault(connector, WELD)
    if remembered.reservation_id is not None and remembered.enabled and not remembered.faulted:
        connector.reservation_id = remembered.reservation_id
        connector.emit(SessionEventEnum.RESERVATION_START)
    _continue(connector, remembered)


def _continue(connector: Connector, remembered: PersistedState) -> None:
    """Authorize again with the stored token, where the operator wants that and the outage was short."""
    interrupted = remembered.session
    if (
        connector.config.after_power_loss != 'continue'
        or interrupted is None
        or interrupted.transaction is None
        or not connector.plugged
        or not remembered.enabled
        or remembered.faulted
        or remembered.written is None
    ):
        return
    # A clock without a battery starts earlier than the record was written, so the length is not known; the
    # record is the newest by its number, and the operator wants it continued.
    outage_s = (connector.now.wall - remembered.written) * 1e-9
    if outage_s <= connector.config.continue_within_s:
        authorize_again(connector, interrupted.transaction.token)


def authorize_again(connector: Connector, token: ProvidedIdToken) -> None:
    """Continue with the token of an interrupted transaction; the first offer waits a random time."""
    connector.authorization = token
    connector.authorized_at = connector.now.steady
    delay = connector.config.restart_delay_max_s * connector.random()
    connector.offers_held_until = connector.now.steady + delay


def _open_session(session: Session | None) -> OpenSession | None:
    if session is None:
        return None
    transaction = session.transaction
    return OpenSession(
        uuid=session.uuid,
        reason=session.reason,
        started=session.started,
        transaction=_open_transaction(transaction) if transaction and not transaction.finished else None,
    )


def _open_transaction(transaction: Transaction) -> OpenTransaction:
    return OpenTransaction(
        token=transaction.token,
        started=transaction.started,
        start_wh=transaction.start_wh,
        reservation_id=transaction.reservation_id,
        meter_value=transaction.kept_value,
        reading_wh=transaction.kept_reading_wh,
        energy=transaction.kept_energy,
    )


def _last_value(connector: Connector, interrupted: OpenTransaction) -> tuple[Powermeter, TransactionEnergy]:
    """
    Return the stop value and the energy: what was stored, and what the register shows to have come since.

    A register that fell, or rose by more than can have flowed, adds nothing.
    """
    value, energy = interrupted.meter_value, interrupted.energy
    known_wh = value.energy_wh_import.total
    if known_wh is None:
        known_wh = interrupted.start_wh
    if energy.energy_wh is None and known_wh is not None and interrupted.start_wh is not None:
        energy = replace(energy, energy_wh=known_wh - interrupted.start_wh)
    reading_wh = known_wh if interrupted.reading_wh is None else interrupted.reading_wh
    rise_wh = connector.meter.rise_over_power_loss(reading_wh, connector.rated_power_w)
    if rise_wh is None or known_wh is None:
        value = replace(value, energy_wh_import=Energy(total=known_wh))
        return value, replace(energy, is_lower_bound=energy.energy_wh is not None)
    value = replace(connector.meter.value(), energy_wh_import=Energy(total=known_wh + rise_wh))
    if energy.energy_wh is not None:
        energy = replace(energy, energy_wh=energy.energy_wh + rise_wh)
    return value, energy
