"""
Power in a transaction: phases, the dominant cause of its rest, and the event that announces it.

Limits come from ``limits.py``, the offer on the pilot from ``offer.py``, and the outputs follow in
``outputs.py``.
"""

from collections.abc import Callable

from evse_manager.charging import limits, offer, timers
from evse_manager.charging.connector import Cause, Connector, PhaseSwitch, Transaction
from evse_manager.charging.faults import PHASES
from evse_manager.charging.supervision import raise_fault
from evse_manager.interface.enums import (
    ContactorState,
    LimitSource,
    SessionEventEnum,
    StatusReason,
)

Event = SessionEventEnum


def advance(connector: Connector) -> None:
    """Bring limits, phases and the offer up to date, and publish what the dominant cause has become."""
    connector.allowance = limits.in_force(connector)
    transaction = connector.running
    if transaction is None:
        connector.offer = None
        connector.phase_switch = None
        if connector.transaction is None and _surely_open(connector):
            connector.phases = connector.allowance.phases or connector.phases
        return
    _phase_switch(connector, transaction)
    cause = _cause(connector)
    offer.settle(connector, cause)
    if cause is Cause.OFFERED and connector.offer is not None:
        offer.wake_up(connector, connector.offer)
        cause = offer.answer_of_ev(connector, connector.offer)
    if cause is not Cause.FLOWING:
        transaction.stop_counting(connector.now.steady)
    _announce(connector, transaction, cause)
    if connector.contactor is not ContactorState.CLOSED and timers.contactor_rest.running(connector):
        connector.offer = None


def waiting_for_first_limit(connector: Connector) -> bool:
    """Tell whether the energy manager still has time to answer a new demand."""
    transaction = connector.running
    return (
        transaction is not None
        and connector.config.energy_source == 'manager'
        and connector.allowance.source is LimitSource.ENERGY_MANAGER
        and transaction.announced not in (Cause.FLOWING, Cause.NO_ENERGY)
        and timers.first_limit.running(connector)
    )


def _phase_switch(connector: Connector, transaction: Transaction) -> None:
    """Bring the connected phases to what is wanted and allowed, always with the contactor open."""
    now, target = connector.now.steady, connector.allowance.phases
    board = connector.board
    switch = connector.phase_switch
    if connector.errors:
        connector.phase_switch = None
        return
    connected = target == connector.phases and not _phases_differ(connector)
    if switch is None:
        if connected or connector.allowance.reason is StatusReason.TOO_FEW_PHASES:
            return
        switch = connector.phase_switch = PhaseSwitch(target)
    if switch.ordered_at is None:
        switch.target = target
        paused = not transaction.energy_flowed or timers.phase_pause.over(connector)
        if connected:
            connector.phase_switch = None
        elif _surely_open(connector) and paused:
            switch.ordered_at = now
            connector.phases = switch.target
    elif connector.answered and board is not None and board.phases == switch.target:
        connector.phase_switch = None
    elif timers.phase_switch.over(connector):
        connector.phase_switch = None
        connector.phases = board.phases if board is not None and board.phases else connector.phases
        connector.wanted_phases = connector.phases
        raise_fault(connector, PHASES)
        connector.errors.cause_gone(PHASES, now)


def _surely_open(connector: Connector) -> bool:
    """
    Return whether the contactor is open and stays so.

    An opening that is reported late may be over while the board is still permitted to close.
    """
    permitted = connector.results.outputs_before.allow_power_on or connector.outputs.allow_power_on
    return connector.contactor is ContactorState.OPEN and not permitted


def _phases_differ(connector: Connector) -> bool:
    """
    Return whether a board that can switch connects another number of phases than ordered.

    No current may be offered then: a limit in watts was divided by the ordered number.
    """
    board, capabilities = connector.board, connector.capabilities
    switches = capabilities is not None and capabilities.supports_changing_phases_during_charging
    return switches and board is not None and board.phases not in (0, connector.phases)


def _cause(connector: Connector) -> Cause:
    """Return the dominant cause, before asking the EV."""
    if connector.errors or not connector.link_up:
        return Cause.ERROR
    if connector.paused_by_user or connector.phase_switch is not None:
        return Cause.PAUSED_BY_EVSE
    if connector.allowance.signalled_a == 0.0:
        return Cause.NO_ENERGY
    return Cause.OFFERED


ANNOUNCED: dict[Cause, Event | None] = {
    Cause.ERROR: None,
    Cause.PAUSED_BY_EVSE: Event.CHARGING_PAUSED_EVSE,
    Cause.NO_ENERGY: Event.WAITING_FOR_ENERGY,
    Cause.PAUSED_BY_EV: Event.CHARGING_PAUSED_EV,
    Cause.OFFERED: None,
    Cause.FLOWING: Event.CHARGING_RESUMED,
}
"""
The event of each cause, published when it becomes the dominant one, in the order of their rank.

Errors have events of their own (``supervision.py``); the first flow of a transaction is ChargingStarted.
"""

Silence = Callable[[Connector, Transaction, Cause], bool]

SILENT: dict[str, Silence] = {
    'the cause is announced already': lambda _, transaction, cause: cause is transaction.announced,
    'the energy manager may still answer a new demand': lambda connector, _, cause: (
        cause is Cause.NO_ENERGY and waiting_for_first_limit(connector)
    ),
    'the phases change before energy flowed': lambda connector, transaction, cause: (
        cause is Cause.PAUSED_BY_EVSE and not connector.paused_by_user and not transaction.energy_flowed
    ),
    'an offer follows a pause by the EV': lambda _, transaction, cause: (
        cause is Cause.OFFERED and transaction.announced is Cause.PAUSED_BY_EV
    ),
}
"""When a dominant cause is not announced."""


def _announce(connector: Connector, transaction: Transaction, cause: Cause) -> None:
    """Publish the dominant cause when it has changed."""
    now = connector.now.steady
    refused = (Cause.ERROR, Cause.PAUSED_BY_EVSE)
    if transaction.announced in refused and cause not in refused:
        transaction.announced = Cause.OFFERED
        transaction.demand_since = now
    if any(silent(connector, transaction, cause) for silent in SILENT.values()):
        return
    transaction.announced = cause
    event = ANNOUNCED[cause]
    if cause is Cause.PAUSED_BY_EV:
        connector.interruptions.append(now)
    elif cause is Cause.FLOWING:
        transaction.flowing_since = now
        event = event if transaction.energy_flowed else Event.CHARGING_STARTED
        transaction.energy_flowed = True
    if event is not None:
        connector.emit(event)
