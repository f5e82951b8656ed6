"""Values in words: numbers with units, durations, states, and session events as sentences."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum

from evse_manager.interface.enums import (
    ErrorEnum,
    LimitSource,
    PauseReason,
    SessionEventEnum,
    StartSessionReason,
    StatusReason,
    StopTransactionReason,
)
from evse_manager.interface.types import Error, EvseStatus, Powermeter, SessionEvent

ABSENT = '\N{EN DASH}'
"""Shown where a value is unknown."""

ABBREVIATIONS = {'RCD', 'SLAC', 'HLC', 'EV', 'EVSE', 'X1', 'EF', 'T'}


def spoken(member: IntEnum) -> str:
    """Return an enumeration's member in words (``CHARGING_PAUSED_EV`` is "charging paused EV")."""
    parts = member.name.split('_')
    return ' '.join(part if part in ABBREVIATIONS else part.lower() for part in parts)


def known(member: IntEnum) -> str:
    """Return an enumeration's member in words, letters as they are, and a dash for *unspecified*."""
    if not member:
        return ABSENT
    return member.name if len(member.name) == 1 else spoken(member)


def camel(member: IntEnum) -> str:
    """Return an enumeration's member as the original interface writes it (``CarDiodeFault``)."""
    parts = member.name.split('_')
    return ''.join(part if part in ABBREVIATIONS else part.capitalize() for part in parts)


def amperes(value: float | None) -> str:
    """Return a current with its unit."""
    return ABSENT if value is None else f'{value:.1f} A'


def power(watts: float | None) -> str:
    """Return a power in W or kW, three figures at least."""
    if watts is None:
        return ABSENT
    return f'{watts:.0f} W' if abs(watts) < 999.5 else f'{watts / 1000:.2f} kW'


def energy(watt_hours: float | None) -> str:
    """Return an energy in Wh or kWh."""
    if watt_hours is None:
        return ABSENT
    if abs(watt_hours) < 99.95:
        return f'{watt_hours:.1f} Wh'
    return f'{watt_hours:.0f} Wh' if abs(watt_hours) < 999.5 else f'{watt_hours / 1000:.3f} kWh'


def duration(seconds: float | None) -> str:
    """Return a duration as ``h:mm:ss``, with days in front when there are some."""
    if seconds is None:
        return ABSENT
    total = max(0, round(seconds))
    days, rest = divmod(total, 86400)
    clock = f'{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}'
    return f'{days} d {clock}' if days else clock


def clock(stamp: int | None) -> str:
    """Return a time of day in local time."""
    if not stamp:
        return '--:--:--'
    return datetime.fromtimestamp(stamp / 1e9).strftime('%H:%M:%S')


def date_and_time(stamp: int | None) -> str:
    """Return a date and time in local time."""
    if not stamp:
        return ABSENT
    return datetime.fromtimestamp(stamp / 1e9).strftime('%Y-%m-%d %H:%M:%S')


def iso(stamp: int | None) -> str | None:
    """Return a time as ISO 8601 in UTC, for machines."""
    if stamp is None:
        return None
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f'{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds // 1000:06d}Z'


# --- the status ---------------------------------------------------------------------------------------

SOURCES = {
    LimitSource.UNSPECIFIED: '',
    LimitSource.HARDWARE: 'the hardware',
    LimitSource.PARAMETER: 'a parameter',
    LimitSource.CABLE: 'the cable',
    LimitSource.ENERGY_MANAGER: 'the energy manager',
    LimitSource.EXTERNAL: 'an external limit',
    LimitSource.TEMPERATURE: 'the temperature',
}


def why(status: EvseStatus) -> str:
    """Return the answer to "why is it (not) charging?" in one sentence."""
    return status.reason_text or sentence(spoken(status.reason) if status.reason else 'unknown')


def current(status: EvseStatus) -> str:
    """Return signalled current and connected phases (16 A on each of three)."""
    phases = f' \N{MULTIPLICATION SIGN} {status.phases}' if status.phases > 1 else ''
    return amperes(status.signalled_current_a) + phases


def limit(status: EvseStatus) -> str:
    """Return the limit in force and whose it is."""
    source = SOURCES[status.limit_source]
    return amperes(status.limit_a) + (f', by {source}' if source else '')


PAUSES = {
    PauseReason.UNSPECIFIED: 'a reason that this version does not know',
    PauseReason.USER_PAUSE: 'pause_charging',
    PauseReason.ERROR: 'an error',
    PauseReason.NO_ENERGY: 'too low a limit',
}


def pauses(status: EvseStatus) -> str:
    """Return everything for which the station pauses the transaction."""
    return ', '.join(PAUSES[reason] for reason in status.pause_reasons)


def is_flowing(status: EvseStatus) -> bool:
    """Return whether energy flows."""
    return status.reason == StatusReason.CHARGING


# --- events -------------------------------------------------------------------------------------------


def sentence(text: str) -> str:
    """Return the text with a capital letter in front."""
    return text[:1].upper() + text[1:]


def meter(sample: Powermeter) -> str:
    """Return the meter's value as it stands in an event."""
    total = sample.energy_wh_import.total
    return ABSENT if total is None else f'{total / 1000:.3f} kWh'


def started_because(event: SessionEvent) -> str:
    """Return what started the session, in words."""
    reasons = {
        StartSessionReason.EV_CONNECTED: 'an EV was plugged in',
        StartSessionReason.AUTHORIZED: 'a token was accepted, no EV yet',
    }
    reason = event.session_started.reason if event.session_started else StartSessionReason.UNSPECIFIED
    return 'a session began' + (f': {reasons[reason]}' if reason in reasons else '')


def transaction_started(event: SessionEvent) -> str:
    """Return who began the transaction, at which meter value."""
    payload = event.transaction_started
    if payload is None:
        return 'a transaction began'
    reservation = '' if payload.reservation_id is None else f', reservation {payload.reservation_id}'
    token = payload.id_tag.id_token or ABSENT
    return f'transaction began, token {token}{reservation}, meter {meter(payload.meter_value)}'


def transaction_finished(event: SessionEvent) -> str:
    """Return why the transaction ended, and the meter value."""
    payload = event.transaction_finished
    if payload is None:
        return 'the transaction ended'
    reason = camel(payload.reason) if payload.reason != StopTransactionReason.UNSPECIFIED else ABSENT
    delivered = ''
    if payload.energy_wh is not None:
        least = 'at least ' if payload.energy_is_lower_bound else ''
        delivered = f'{least}{energy(payload.energy_wh)} delivered, '
    return f'transaction ended ({reason}), {delivered}meter {meter(payload.meter_value)}'


def error(cause: Error | None, known: str = '') -> str:
    """Return what is wrong: the sentence, unless the reader knows it already, and its code in brackets."""
    if cause is None:
        return 'an error'
    code = camel(cause.error_code) if cause.error_code != ErrorEnum.UNSPECIFIED else 'error'
    vendor, colon, meaning = cause.vendor_error.partition(': ')
    if not cause.vendor_error:
        return code
    if not colon:
        return cause.vendor_error if vendor == code else f'{cause.vendor_error} [{code}]'
    return vendor if meaning.removesuffix('.') in known else f'{meaning} [{vendor}]'


SENTENCES: dict[SessionEventEnum, str | Callable[[SessionEvent], str]] = {
    SessionEventEnum.ENABLED: 'the connector is available',
    SessionEventEnum.DISABLED: 'the connector is not available',
    SessionEventEnum.SESSION_STARTED: started_because,
    SessionEventEnum.AUTH_REQUIRED: 'waiting for a token',
    SessionEventEnum.TRANSACTION_STARTED: transaction_started,
    SessionEventEnum.PREPARE_CHARGING: 'power is offered, waiting for the EV to ask',
    SessionEventEnum.CHARGING_STARTED: 'energy flows',
    SessionEventEnum.CHARGING_PAUSED_EV: 'the EV paused',
    SessionEventEnum.CHARGING_PAUSED_EVSE: 'the charger paused',
    SessionEventEnum.WAITING_FOR_ENERGY: 'no energy is available for this connector',
    SessionEventEnum.CHARGING_RESUMED: 'energy flows again',
    SessionEventEnum.STOPPING_CHARGING: 'charging is being stopped',
    SessionEventEnum.CHARGING_FINISHED: 'charging is over, the contactor is open',
    SessionEventEnum.TRANSACTION_FINISHED: transaction_finished,
    SessionEventEnum.SESSION_FINISHED: 'the session is over',
    SessionEventEnum.ERROR: lambda event: error(event.error),
    SessionEventEnum.ALL_ERRORS_CLEARED: 'nothing is wrong any more',
    SessionEventEnum.PERMANENT_FAULT: 'the connector is out of order until clear-fault',
    SessionEventEnum.RESERVATION_START: 'the connector is reserved',
    SessionEventEnum.RESERVATION_END: 'the reservation is over',
    SessionEventEnum.REPLUG_STARTED: 'a virtual replug began',
    SessionEventEnum.REPLUG_FINISHED: 'the virtual replug is over',
    SessionEventEnum.AUTHORIZED: 'the token is accepted',
    SessionEventEnum.DEAUTHORIZED: 'the authorization was withdrawn',
    SessionEventEnum.PLUGIN_TIMEOUT: 'no token came in time',
}


def event_name(event: SessionEvent) -> str:
    """Return the event's name as the original interface writes it (``ChargingStarted``)."""
    return camel(event.event)


def event_sentence(event: SessionEvent) -> str:
    """Return the event in words."""
    words = SENTENCES.get(event.event, 'an event of a kind that this version does not know')
    return words if isinstance(words, str) else words(event)


GOOD = frozenset(
    {SessionEventEnum.CHARGING_STARTED, SessionEventEnum.CHARGING_RESUMED, SessionEventEnum.ENABLED}
)
BAD = frozenset({SessionEventEnum.ERROR, SessionEventEnum.PERMANENT_FAULT})
WAITING = frozenset(
    {
        SessionEventEnum.AUTH_REQUIRED,
        SessionEventEnum.CHARGING_PAUSED_EV,
        SessionEventEnum.CHARGING_PAUSED_EVSE,
        SessionEventEnum.WAITING_FOR_ENERGY,
        SessionEventEnum.DISABLED,
    }
)


def event_style(event: SessionEvent) -> str:
    """Return the colour of an event on a terminal."""
    if event.event in BAD:
        return 'bold red'
    if event.event in GOOD:
        return 'green'
    return 'yellow' if event.event in WAITING else 'cyan'
