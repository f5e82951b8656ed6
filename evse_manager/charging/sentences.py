"""The sentences of ``reasons.py``: the cause, whose limit it is, and what would change it."""

from typing import assert_never

from evse_manager.charging import owners
from evse_manager.charging.connector import Connector
from evse_manager.charging.faults import BOARD_LOST, WELD, ActiveError, Recovery, Severity
from evse_manager.interface.enums import (
    ContactorState,
    EnableState,
    LimitSource,
    PilotMode,
    StatusReason,
    StopTransactionReason,
)
from evse_manager.interface.pilot import CURRENT_TOLERANCE_A, MINIMUM_CURRENT_A

ENDINGS = {reason: reason.name.replace('_', ' ').lower() for reason in StopTransactionReason} | {
    StopTransactionReason.UNSPECIFIED: 'no reason given',
    StopTransactionReason.EV_DISCONNECTED: 'the car was disconnected',
    StopTransactionReason.REMOTE: 'stopped from remote',
    StopTransactionReason.LOCAL: 'stopped at the charger',
    StopTransactionReason.OTHER: 'stopped for another reason',
}
"""How a transaction ended, for people."""


# --- whose limit ------------------------------------------------------------------------------------


def _external(connector: Connector) -> str:
    scheduled = len(connector.external.schedule_import) > 1
    return 'the schedule of the external limits' if scheduled else 'the external limits'


def source(connector: Connector) -> str:
    """Return whose limit is the lowest, in words; of an energy manager's, the node of the site that binds."""
    limits = connector.allowance
    match limits.source:
        case LimitSource.HARDWARE:
            return 'the hardware'
        case LimitSource.PARAMETER:
            return 'the parameter max_current_import_a'
        case LimitSource.CABLE:
            return 'the cable'
        case LimitSource.ENERGY_MANAGER if limits.reason is StatusReason.LIMIT_EXPIRED:
            return 'the parameter failsafe_current_a, because the energy manager is silent'
        case LimitSource.ENERGY_MANAGER:
            return f'the site node {limits.node} (energy manager)' if limits.node else 'the energy manager'
        case LimitSource.EXTERNAL:
            return _external(connector)
        case LimitSource.TEMPERATURE:
            return 'the derating of a warm charger'
        case LimitSource.UNSPECIFIED:
            return 'an unknown source'
        case _:
            assert_never(limits.source)


def _remedy(connector: Connector) -> str:
    """Return what raises a limit that is too low."""
    limits = connector.allowance
    match limits.source:
        case LimitSource.HARDWARE | LimitSource.UNSPECIFIED:
            return 'it cannot be raised'
        case LimitSource.PARAMETER:
            return 'raise it'
        case LimitSource.CABLE:
            return 'use another cable'
        case LimitSource.ENERGY_MANAGER:
            return f'charging goes on when {limits.node or "the site"} has more to give'
        case LimitSource.EXTERNAL:
            return 'set_external_limits changes it'
        case LimitSource.TEMPERATURE:
            return 'it rises when the charger has cooled'
        case _:
            assert_never(limits.source)


def _least_a(connector: Connector) -> float:
    hardware = connector.capabilities.min_current_a_import if connector.capabilities is not None else 0.0
    return max(MINIMUM_CURRENT_A, hardware)


def no_energy(connector: Connector) -> str:
    """Return whose limit is too low, and what raises it."""
    limits = connector.allowance
    if connector.capabilities is None:
        return 'The board has not reported what its hardware can carry; check the board node.'
    if limits.source is LimitSource.CABLE and limits.limit_a == 0.0:
        return 'The rating of the cable is not known; plug it in again or use another cable.'
    return (
        f'The limit of {limits.limit_a:.1f} A from {source(connector)} is below the '
        f'{_least_a(connector):g} A that charging needs; {_remedy(connector)}.'
    )


def too_few_phases(connector: Connector) -> str:
    """Return who allows too few phases."""
    least = min(connector.connectable_phases)
    return f'Fewer phases are allowed by {source(connector)} than the {least} that are connected; allow more.'


def charging(connector: Connector) -> str:
    """Return whose limit binds while energy flows."""
    limits, offer = connector.allowance, connector.offer
    if offer is not None and offer.current_a < limits.signalled_a - CURRENT_TOLERANCE_A:
        offered = f'{offer.current_a:.1f} A rise to the limit of {limits.limit_a:.1f} A'
        return f'Charging; {offered}, which comes from {source(connector)}.'
    return f'Charging; the limit of {limits.limit_a:.1f} A comes from {source(connector)}.'


# --- errors -----------------------------------------------------------------------------------------


def _first_error(connector: Connector) -> ActiveError:
    """Return the error that matters most: a lost board, a weld, an emergency, else the oldest."""

    def rank(active: ActiveError) -> tuple[bool, bool, bool]:
        fault = active.fault
        return fault is not BOARD_LOST, fault is not WELD, fault.severity is not Severity.EMERGENCY

    return min(connector.errors, key=rank)


def error(connector: Connector) -> str:
    """Return the sentence of the error that matters most, and what ends it when its cause is gone."""
    active = _first_error(connector)
    fault = active.fault
    if fault is BOARD_LOST:
        return connector.board_lost or fault.sentence
    sentence = fault.sentence.removesuffix('.')
    if active.detail and active.detail != fault.sentence:
        sentence = f'{sentence} ({active.detail.removesuffix(".")})'
    return f'{sentence}{_recovery(active)}.'


def _recovery(active: ActiveError) -> str:
    """Return what ends an error whose cause is gone, unless its sentence says so already."""
    if active.present:
        return ''
    match active.fault.recovery:
        case Recovery.UNPLUG:
            return '' if 'unplug' in active.fault.sentence else '; unplug the car to end this error'
        case Recovery.OPERATOR:
            return '; it is open again, and clear_fault ends this error'
        case Recovery.VALID_PILOT:
            return '; it is valid again and watched for a second'
        case Recovery.CLEAR:
            return ''


def with_error(connector: Connector, text: str) -> str:
    """Return a text, followed by the sentence of the first error."""
    return f'{text} {error(connector)}' if connector.errors else text


# --- the other sentences ----------------------------------------------------------------------------


def disabled(connector: Connector) -> str:
    """Return who has disabled the connector, and what ends that."""
    owner = owners.deciding(connector.owners)
    if owner is None or owner == owners.local(EnableState.DISABLE):
        return with_error(connector, 'Disabled; enable makes it available.')
    text = f'Disabled by {owner.text}; enable_disable in its name ends that.'
    return with_error(connector, text)


def starting(connector: Connector) -> str:
    """Return why the connector is still starting."""
    if connector.board is None:
        return 'Waiting for the first state of the board, 5 s at most.'
    return 'Waiting for the capabilities of the board and the first value of its meter, 5 s at most.'


def ending(connector: Connector) -> str:
    """Return how the session's transaction ends or ended."""
    session = connector.session
    transaction = session.transaction if session is not None else None
    stop = transaction.stop if transaction is not None else None
    return ENDINGS[stop.reason] if stop is not None else 'as ordered'


def stopping(connector: Connector) -> str:
    """Return which step of the end of a transaction is awaited."""
    transaction = connector.transaction
    assert transaction is not None
    assert transaction.stop is not None
    step = 'the contactor opens' if transaction.stop.opened is None else 'the meter is read'
    return f'The transaction is ending ({ending(connector)}): {step}.'


def faulted(connector: Connector) -> str:
    """Return what ends a permanent fault."""
    if connector.wanted_enabled:
        return with_error(connector, 'Put out of order; clear_fault ends that.')
    return with_error(connector, 'Put out of order and disabled; clear_fault and then enable end that.')


def available(connector: Connector) -> str:
    """Return what begins a session."""
    if not connector.pilot_read_after_f:
        return 'Available; the pilot is being read to see whether a car is plugged in.'
    if connector.config.disable_authentication:
        return 'Available; plug in a car.'
    return 'Available; plug in a car or present a token.'


def needs_token(connector: Connector) -> str:
    """Return which token is awaited."""
    if connector.reservation_id is not None:
        return f'Plugged in and reserved (reservation {connector.reservation_id}); present its token.'
    return 'Plugged in; present a token.'


def bounced(connector: Connector) -> str:
    """Return how long a cable that bounced out may stay out."""
    grace_s = connector.config.replug_grace_s
    return f'The plug was pulled; the session ends unless it is plugged in again within {grace_s:g} s.'


def switching_phases(connector: Connector) -> str:
    """Return how many phases will be connected."""
    assert connector.phase_switch is not None
    phases = 'one phase' if connector.phase_switch.target == 1 else 'three phases'
    return f'Switching to {phases}, with the contactor open.'


def expired(connector: Connector) -> str:
    """Return why there is no limit of the energy manager."""
    if connector.grant is None:
        return 'The energy manager has granted no limit; check that it runs and knows this connector.'
    return "The energy manager's limit has run out; check that the energy manager runs."


def too_many_closings(connector: Connector) -> str:
    """Return which limit of closings is reached."""
    config, now = connector.config, connector.now.steady
    most = config.closings_per_hour_max
    hourly = len(connector.closings) >= most and now < connector.closings[-most] + 3600.0
    period, name = ('hour', 'closings_per_hour_max') if hourly else ('minute', 'closings_per_minute_max')
    return f'The contactor closed too often in one {period}; it rests before the next offer ({name}).'


def minimum_pause(connector: Connector) -> str:
    """Return what the next offer waits for."""
    if connector.outputs.pilot_mode is PilotMode.F:
        return 'The pilot shows F after a fault; after it, and 3 s of rest, there is a new offer.'
    if connector.outputs.allow_power_on:
        return 'Waiting for the car to stop drawing current before a new offer, 6 s at most.'
    return 'The pilot rests for 3 s before a new offer.'


def waiting_for_contactor(connector: Connector) -> str:
    """Return why the contactor is still awaited."""
    if connector.contactor is ContactorState.CLOSED:
        return 'Waiting for the board to confirm the new offer.'
    return 'Waiting for the contactor to close, 3 s at most.'


def paused_by_ev(connector: Connector) -> str:
    """Return whether the EV paused, or never asked."""
    if connector.offer is not None and connector.offer.ev_left:
        return 'Paused by the car; it resumes when the car asks for power.'
    return 'The car does not ask for power though it was woken up; check the settings of the car.'


def waiting_for_ev(connector: Connector) -> str:
    """Return which current waits for the EV."""
    assert connector.offer is not None
    return f'{connector.offer.current_a:.1f} A are offered; waiting for the car to ask.'
