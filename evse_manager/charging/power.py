"""
Power: whether a current is offered, what the EV makes of it, and the outputs that follow (docs/charging.md,
6).

``advance`` decides the dominant cause of a transaction's rest and publishes its change; ``wanted_outputs``
is the one place from which pilot, contactor permission, lock and phases come.
"""

from dataclasses import replace

from evse_manager.charging import allowance, timers
from evse_manager.charging.allowance import Bound
from evse_manager.charging.connector import Cause, Connector, Offer, PhaseSwitch, Transaction
from evse_manager.charging.faults import PHASES
from evse_manager.charging.supervision import raise_fault
from evse_manager.interface.enums import (
    ContactorState,
    ControlPilotState,
    LimitSource,
    PilotMode,
    SessionEventEnum,
    StatusReason,
)

WAKE_UP_F_S = 4.0
"""Break in F of a wake-up (ISO 15118-3 T_step_EF)."""

WAKE_UP_X1_S = 0.75
"""X1 after the break in F."""

Event = SessionEventEnum


def advance(connector: Connector) -> None:
    """Bring limits, phases and the offer up to date, and publish what the dominant cause has become."""
    connector.allowance = _allowance(connector)
    transaction = connector.running
    if transaction is None:
        connector.offer = None
        connector.phase_switch = None
        if connector.transaction is None and _surely_open(connector):
            connector.phases = connector.allowance.phases or connector.phases
        return
    _phase_switch(connector, transaction)
    cause = _cause(connector)
    _offer(connector, cause)
    if cause is Cause.OFFERED and connector.offer is not None:
        _wake_up(connector, connector.offer)
        cause = _ev(connector, connector.offer, transaction)
    if cause is not Cause.FLOWING and transaction.flowing_since is not None:
        transaction.charged_s += connector.now.steady - transaction.flowing_since
        transaction.flowing_since = None
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


def _allowance(connector: Connector) -> allowance.Allowance:
    """Combine every source of limits."""
    capabilities, config, now = connector.capabilities, connector.config, connector.now
    if capabilities is None:
        return allowance.Allowance(
            0.0, 0.0, connector.connectable_phases[-1], LimitSource.HARDWARE, StatusReason.STARTING
        )
    bounds = [
        Bound(LimitSource.HARDWARE, capabilities.max_current_a_import),
        Bound(LimitSource.PARAMETER, config.max_current_import_a),
        connector.temperature_bound,
    ]
    if config.connector_type == 'socket':
        ampacity = connector.board.cable_ampacity_a if connector.board is not None else None
        bounds.append(Bound(LimitSource.CABLE, ampacity or 0.0))
    bound, connector.external_change = allowance.external_bound(connector.external, now.wall)
    bounds.append(bound)
    expired = False
    if connector.grant is not None and timers.grant.running(connector):
        bounds.append(connector.grant.bound)
    elif config.energy_source == 'manager' or connector.grant is not None:
        expired = True
        failsafe_a = config.failsafe_current_a if connector.grant is not None else 0.0
        bounds.append(Bound(LimitSource.ENERGY_MANAGER, failsafe_a))
    outcome = allowance.combine(
        bounds,
        voltage_v=config.ac_nominal_voltage_v,
        connectable=connector.connectable_phases,
        wanted_phases=connector.wanted_phases if connector.transaction is not None else 3,
        hardware_minimum_a=capabilities.min_current_a_import,
    )
    if expired and outcome.source is LimitSource.ENERGY_MANAGER:
        outcome = replace(outcome, reason=StatusReason.LIMIT_EXPIRED)
    return outcome


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
    if switch.told is None:
        switch.target = target
        paused = not transaction.energy_flowed or timers.phase_pause.over(connector)
        if connected:
            connector.phase_switch = None
        elif _surely_open(connector) and paused:
            switch.told = now
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
    Tell whether the contactor is open and stays so.

    An opening that is told of late may be over while the board is still permitted to close.
    """
    permitted = connector.results.outputs_before.allow_power_on or connector.outputs.allow_power_on
    return connector.contactor is ContactorState.OPEN and not permitted


def _phases_differ(connector: Connector) -> bool:
    """
    Tell whether a board that can switch connects another number of phases than it was told.

    No current may be offered then: a limit in watts was divided by the number that was told.
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


def _offer(connector: Connector, cause: Cause) -> None:
    """Make, change or withdraw the offer."""
    now, offer = connector.now.steady, connector.offer
    current = connector.allowance.signalled_a
    held_back = connector.replug_active or connector.open_first or timers.back_off.running(connector)
    resting = connector.contactor is not ContactorState.CLOSED and timers.contactor_rest.running(connector)
    if cause is not Cause.OFFERED or held_back:
        connector.offer = None
    elif offer is None:
        rested = connector.outputs.pilot_mode is PilotMode.X1 and timers.x1_minimum.over(connector)
        if rested and not resting and timers.restart_delay.over(connector):
            connector.offer = Offer(now, now, current)
            connector.offered_peaks.clear()
            connector.offered_peaks.append((now, current))
    elif current < offer.current_a or timers.pacing.over(connector):
        offer.current_a, offer.changed = current, now
        connector.offered_peaks.append((now, current))


def _wake_up(connector: Connector, offer: Offer) -> None:
    """Wake an EV that leaves an offer alone: once per offer, F and then X1."""
    now = connector.now.steady
    if offer.wake_step_until is not None:
        if timers.wake_step.running(connector):
            return
        if offer.wake_step_mode is PilotMode.F:
            offer.wake_step_mode = PilotMode.X1
            offer.wake_step_until = now + WAKE_UP_X1_S
        else:
            offer.wake_step_mode = PilotMode.PWM
            offer.wake_step_until = None
            offer.wake_over = now
        return
    asleep = not offer.ev_asked and not offer.woken and connector.cp_state is ControlPilotState.B
    if asleep and timers.wake_up.over(connector):
        offer.woken = True
        if connector.config.legacy_wakeup_enabled and connector.board_capabilities.supports_cp_state_f:
            offer.wake_step_mode = PilotMode.F
            offer.wake_step_until = now + WAKE_UP_F_S
        else:
            offer.wake_over = now


def _ev(connector: Connector, offer: Offer, transaction: Transaction) -> Cause:
    """Return what the EV makes of the offer: it takes it, left it, or has not decided."""
    now = connector.now.steady
    if offer.wake_step_mode is not PilotMode.PWM:
        return Cause.OFFERED
    if connector.pilot_mode is not PilotMode.PWM:
        offer.ev_asked = False
        offer.since = now
        return Cause.OFFERED
    if connector.ev_asks:
        offer.ev_asked = True
        return Cause.FLOWING if connector.contactor is ContactorState.CLOSED else Cause.OFFERED
    if connector.cp_state is ControlPilotState.B:
        if offer.ev_asked and not offer.ev_left:
            # The outputs are still those of the step before, in which the EV asked.
            offer.ev_left = connector.outputs.allow_power_on
            if not offer.ev_left:
                offer.ev_asked, offer.since = False, now
        if offer.ev_left or timers.after_wake_up.over(connector):
            return Cause.PAUSED_BY_EV
    return Cause.OFFERED


def _announce(connector: Connector, transaction: Transaction, cause: Cause) -> None:
    """Publish the dominant cause when it has changed."""
    now = connector.now.steady
    refused = (Cause.ERROR, Cause.PAUSED_BY_EVSE)
    if transaction.announced in refused and cause not in refused:
        transaction.announced = Cause.OFFERED
        transaction.demand_since = now
    before = transaction.announced
    quiet_switch = not connector.paused_by_user and not transaction.energy_flowed
    if (
        cause is before
        or (cause is Cause.NO_ENERGY and waiting_for_first_limit(connector))
        or (cause is Cause.PAUSED_BY_EVSE and quiet_switch)
        or (cause is Cause.OFFERED and before is Cause.PAUSED_BY_EV)
    ):
        return
    transaction.announced = cause
    match cause:
        case Cause.PAUSED_BY_EVSE:
            connector.emit(Event.CHARGING_PAUSED_EVSE)
        case Cause.NO_ENERGY:
            connector.emit(Event.WAITING_FOR_ENERGY)
        case Cause.PAUSED_BY_EV:
            connector.interruptions.append(now)
            connector.emit(Event.CHARGING_PAUSED_EV)
        case Cause.FLOWING:
            transaction.flowing_since = now
            connector.emit(Event.CHARGING_RESUMED if transaction.energy_flowed else Event.CHARGING_STARTED)
            transaction.energy_flowed = True
        case Cause.ERROR | Cause.OFFERED:
            pass
