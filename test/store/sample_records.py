"""Session records for tests: plausible ones with everything in them, and many of them."""

from collections.abc import Iterator
from random import Random
from uuid import UUID

from evse_manager.interface.enums import (
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LimitSource,
    SessionEventEnum,
    StartSessionReason,
    StatusReason,
    StopTransactionReason,
)
from evse_manager.interface.types import (
    Energy,
    Error,
    Powermeter,
    ProvidedIdToken,
    SessionEvent,
    SessionRecord,
    SessionRecordError,
    SessionRecordSample,
    SessionStarted,
    Time,
    TransactionFinished,
    TransactionStarted,
)
from store.owner import EPOCH, SECOND

Event = SessionEventEnum
HOUR = 3600 * SECOND


def at(seconds: float) -> Time:
    return Time(EPOCH + round(seconds * SECOND))


def register(wh: float, seconds: float) -> Powermeter:
    return Powermeter(at(seconds), Energy(wh), 'SDM-1')


def session(
    number: int = 0,
    *,
    connector: str = '/evse_1',
    hours: float = 8.0,
    start_wh: float = 1000.0,
    energy_wh: float = 22_000.0,
    token: str = 'ALICE-04A1B2C3',
    reason: StopTransactionReason = StopTransactionReason.EV_DISCONNECTED,
    every_s: float = 30.0,
) -> SessionRecord:
    """Return a whole session; the numbers of two sessions are a day apart."""
    begin = number * 86400.0
    end = begin + hours * 3600.0
    uuid = str(UUID(int=Random(f'{connector} {number}').getrandbits(128)))
    stop_wh = start_wh + energy_wh
    events = (
        SessionEvent(
            at(begin),
            number * 10 + 1,
            uuid,
            1,
            Event.SESSION_STARTED,
            SessionStarted(at(begin), StartSessionReason.EV_CONNECTED),
        ),
        SessionEvent(
            at(begin + 5),
            number * 10 + 2,
            uuid,
            1,
            Event.TRANSACTION_STARTED,
            transaction_started=TransactionStarted(
                at(begin + 5), ProvidedIdToken(token), register(start_wh, begin + 5)
            ),
        ),
        SessionEvent(at(begin + 9), number * 10 + 3, uuid, 1, Event.CHARGING_STARTED),
        SessionEvent(
            at(end),
            number * 10 + 4,
            uuid,
            1,
            Event.TRANSACTION_FINISHED,
            transaction_finished=TransactionFinished(
                at(end), register(stop_wh, end), '', reason, token, energy_wh
            ),
        ),
        SessionEvent(at(end + 1), number * 10 + 5, uuid, 1, Event.SESSION_FINISHED),
    )
    count = int(hours * 3600.0 / every_s)
    power = energy_wh / hours if hours else 0.0
    samples = tuple(
        SessionRecordSample(
            at(begin + 9 + step * every_s),
            start_wh + power * step * every_s / 3600.0,
            power,
            signalled_current_a=16.0,
            phases=3,
            limit_a=16.0 if step % 4 else 20.0,
            limit_source=LimitSource.ENERGY_MANAGER,
            limit_node='grid',
            cp_state=ControlPilotState.C,
            contactor=ContactorState.CLOSED,
            reason=StatusReason.CHARGING,
        )
        for step in range(count)
    )
    return SessionRecord(
        uuid=uuid,
        connector=connector,
        connector_id=1,
        started=at(begin),
        start_reason=StartSessionReason.EV_CONNECTED,
        finished=at(end + 1),
        transaction_started=at(begin + 5),
        transaction_finished=at(end),
        stop_reason=reason,
        token=token,
        stop_token=token,
        reservation_id=7,
        energy_wh=energy_wh,
        meter_start_wh=start_wh,
        meter_stop_wh=stop_wh,
        meter_id='SDM-1',
        peak_power_w=power,
        error_count=1,
        events=events,
        errors=(
            SessionRecordError(
                Error(ErrorEnum.OTHER, 'TemperatureStop: The charger is too hot.'),
                at(begin + 60),
                at(begin + 90),
            ),
        ),
        samples=samples,
    )


def sessions(count: int, connectors: int = 4) -> Iterator[SessionRecord]:
    """Yield many short sessions of several connectors, in the order in which they finish."""
    tokens = ('ALICE-04A1B2C3', 'BOB-7788', '')
    reasons = (StopTransactionReason.EV_DISCONNECTED, StopTransactionReason.REMOTE)
    for number in range(count):
        yield session(
            number // connectors,
            connector=f'/depot/bay_{number % connectors + 1}',
            hours=1.0,
            start_wh=number // connectors * 1000.0,
            energy_wh=1000.0,
            token=tokens[number % 3],
            reason=reasons[number % 2],
            every_s=1800.0,
        )
