"""
Why a connector is (not) charging: one enumerated reason and one sentence for people.

``REASONS`` is a table; its first row whose condition holds is the first thing that has to change before
energy flows.  A sentence names the cause, whose limit it is, and what would change it.  No number in it moves
by itself, so that a status is published only when something happens.
"""

from collections.abc import Callable
from dataclasses import dataclass

from evse_manager.charging import power, sentences, timers
from evse_manager.charging.connector import INTERRUPTIONS, Cause, Connector
from evse_manager.charging.faults import BOARD_LOST
from evse_manager.charging.outputs import lock_ready
from evse_manager.interface.enums import (
    PilotMode,
    StatusReason,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One reason: when it is given, and its sentence."""

    reason: StatusReason
    meaning: str
    """For the documentation."""
    holds: Callable[[Connector], bool]
    sentence: Callable[[Connector], str]


def why(connector: Connector) -> tuple[StatusReason, str]:
    """Return the first thing that has to change before energy flows, and a sentence about it."""
    row = next(row for row in REASONS if row.holds(connector))
    return row.reason, row.sentence(connector)


# --- conditions -------------------------------------------------------------------------------------


def _stops(connector: Connector) -> bool:
    return connector.transaction is not None and connector.transaction.stop is not None


def _finished(connector: Connector) -> bool:
    session = connector.session
    return session is not None and session.transaction is not None and session.transaction.finished


def _unplugged(connector: Connector) -> bool:
    return connector.transaction is None and not connector.plugged


def _nothing_signalled(connector: Connector) -> bool:
    return connector.allowance.signalled_a == 0.0


def _limited(reason: StatusReason) -> Callable[[Connector], bool]:
    return lambda connector: connector.allowance.reason is reason and _nothing_signalled(connector)


def _announced(cause: Cause) -> Callable[[Connector], bool]:
    def holds(connector: Connector) -> bool:
        transaction = connector.transaction
        return transaction is not None and transaction.announced is cause

    return holds


def _rests(connector: Connector) -> bool:
    return connector.offer is None and timers.contactor_rest.running(connector)


def _wakes_up(connector: Connector) -> bool:
    return connector.offer is not None and connector.offer.wake_step_mode is not PilotMode.PWM


def _always(_: Connector) -> bool:
    return True


def _says(text: str) -> Callable[[Connector], str]:
    return lambda _: text


R = StatusReason
REASONS: tuple[Row, ...] = (
    Row(R.SHUTTING_DOWN, 'the node is ending', lambda connector: connector.shutting_down is not None,
        _says('The charger is shutting down; start its node again to charge.')),
    Row(R.STARTING, 'the board, its capabilities or its meter are awaited, at most 5 s',
        lambda connector: connector.started is None, sentences.starting),
    Row(R.STOPPING, 'the transaction is closing', _stops, sentences.stopping),
    Row(R.FAULTED, '`set_faulted`, until `clear_fault`', lambda connector: connector.faulted,
        sentences.faulted),
    Row(R.DISABLED, '`disable` or `enable_disable`, until `enable` or the owner of the disable ends it',
        lambda connector: not connector.wanted_enabled, sentences.disabled),
    Row(R.BOARD_LOST, 'the board cannot be asked, or obeys another manager',
        lambda connector: BOARD_LOST in connector.errors, sentences.error),
    Row(R.ERROR, 'another error blocks power', lambda connector: bool(connector.errors), sentences.error),
    Row(R.REPLUG, 'the board plays an unplug and a plug', lambda connector: connector.replug_active,
        _says('The board plays an unplug and a plug to the car, and goes on by itself.')),
    Row(R.RESERVED, 'reserved, no session',
        lambda connector: connector.session is None and connector.reservation_id is not None,
        lambda connector: f'Reserved (reservation {connector.reservation_id}); present its token, or use '
                          'cancel_reservation.'),
    Row(R.AVAILABLE, 'no session', lambda connector: connector.session is None, sentences.available),
    Row(R.TRANSACTION_FINISHED, 'the transaction has ended, the cable is still in', _finished,
        lambda connector: f'The transaction has ended ({sentences.ending(connector)}); unplug the car.'),
    Row(R.WAITING_FOR_PLUG, 'authorized, not plugged in', _unplugged,
        _says('Authorized; plug in the car.')),
    Row(R.WAITING_FOR_METER, 'authorized; the first value of the meter is awaited, at most 2 s',
        lambda connector: connector.transaction is None and connector.authorization is not None,
        _says('Authorized; the first value of the meter is waited for, 2 s at most.')),
    Row(R.WAITING_FOR_AUTHORIZATION, 'plugged in, no token', lambda connector: connector.transaction is None,
        sentences.needs_token),
    Row(R.WAITING_FOR_PLUG, 'the cable bounced out of a transaction (`replug_grace_s`)',
        lambda connector: connector.left_at is not None, sentences.bounced),
    Row(R.PAUSED_BY_USER, '`pause_charging`', lambda connector: connector.paused_by_user,
        _says('Paused by the user; resume_charging ends that.')),
    Row(R.SWITCHING_PHASES, 'the number of phases changes',
        lambda connector: connector.phase_switch is not None, sentences.switching_phases),
    Row(R.WAITING_FOR_FIRST_LIMIT, 'the energy manager may take 3 s to answer a new demand',
        lambda connector: power.waiting_for_first_limit(connector) and _nothing_signalled(connector),
        _says('Waiting for the energy manager to grant a limit, 3 s at most.')),
    Row(R.LIMIT_EXPIRED, 'the energy manager is silent, and `failsafe_current_a` is too low',
        _limited(R.LIMIT_EXPIRED), sentences.expired),
    Row(R.TOO_FEW_PHASES, 'fewer phases are allowed than can be connected',
        lambda connector: connector.allowance.reason is R.TOO_FEW_PHASES, sentences.too_few_phases),
    Row(R.NO_ENERGY, 'the lowest limit is below what charging needs', _nothing_signalled,
        sentences.no_energy),
    Row(R.CHARGING, 'energy flows', _announced(Cause.FLOWING), sentences.charging),
    Row(R.EV_TOGGLES, 'interrupted too often by the car or by errors',
        lambda connector: connector.offer is None and timers.back_off.running(connector),
        _says(f'Interrupted {INTERRUPTIONS} times in a minute, by the car or by errors; a new offer follows '
              'after a minute of rest.')),
    Row(R.TOO_MANY_CLOSINGS, 'the contactor rests (`closings_per_minute_max`, `closings_per_hour_max`)',
        _rests, sentences.too_many_closings),
    Row(R.RESTART_DELAY, 'power is back; a random delay keeps cars from starting at once',
        lambda connector: connector.offer is None and timers.restart_delay.running(connector),
        _says('Power is back; waiting a random time lest all cars start at once (restart_delay_max_s).')),
    Row(R.WAITING_FOR_CONTACTOR, 'what the board did meanwhile is not known: the contactor has to open first',
        lambda connector: connector.offer is None and connector.open_first,
        _says('Waiting until the contactor is seen open, before a new offer.')),
    Row(R.MINIMUM_PAUSE, 'a pause lasts at least 3 s, after F and after the car left C',
        lambda connector: connector.offer is None, sentences.minimum_pause),
    Row(R.WAKING_UP_EV, 'the wake-up of an EV that did not ask', _wakes_up,
        _says('The car did not ask for power; waking it up.')),
    Row(R.WAITING_FOR_LOCK, 'the car asks; the connector is not locked yet',
        lambda connector: connector.ev_asks and not lock_ready(connector),
        _says('Waiting for the connector to lock.')),
    Row(R.WAITING_FOR_CONTACTOR, 'the car asks; the contactor is not closed yet',
        lambda connector: connector.ev_asks, sentences.waiting_for_contactor),
    Row(R.PAUSED_BY_EV, 'the EV left C by itself, or did not ask', _announced(Cause.PAUSED_BY_EV),
        sentences.paused_by_ev),
    Row(R.WAITING_FOR_EV, 'a current is offered', _always, sentences.waiting_for_ev),
)  # fmt: skip
"""Every reason; the first whose condition holds is given."""
