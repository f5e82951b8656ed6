"""
Power: whether a current is offered, what the EV makes of it, and the outputs that follow (docs/charging.md,
6).

``advance`` decides the dominant cause of a transaction's rest and publishes its change; ``wanted_outputs``
is the one place from which pilot, contactor permission, lock and phases come.
"""

import math
from dataclasses import replace

from evse_manager.charging import allowance
from evse_manager.charging.allowance import Bound
from evse_manager.charging.connector import INTERRUPTIONS, Cause, Connector, Offer, PhaseSwitch, Transaction
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

X1_S = 3.0
"""X1, once set, lasts at least so long (docs/sources.md, timing, T_step_X1)."""


PACING_S = 5.0
"""While charging the current rises at most so often (docs/sources.md, pilot voltages)."""

WAKE_UP_AFTER_S = 30.0
"""So long an offer in B lasts before the one wake-up (IEC 61851-1 A.5.3)."""

WAKE_UP_F_S = 4.0
"""Break in F of a wake-up (ISO 15118-3 T_step_EF)."""

WAKE_UP_X1_S = 0.75
"""X1 after the break in F."""

AFTER_WAKE_UP_S = 10.0
"""So long after the wake-up an EV that still does not ask counts as pausing (docs/sources.md, timing)."""

FIRST_LIMIT_S = 3.0
"""So long the energy manager may take to answer a new demand (docs/charging.md)."""

PHASES_S = 5.0
"""So long a board may take to switch phases."""

INTERRUPTED_WITHIN_S = 60.0
BACK_OFF_S = 60.0
"""After three interruptions in a minute, power waits a minute before it is offered again (catalogue F41)."""

SCHEDULE_LOOK_S = 60.0
"""A schedule is looked at again at the latest after so long, because the wall clock may jump."""

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
    if connector.contactor is not ContactorState.CLOSED and resting_until(connector) is not None:
        connector.offer = None


def backing_off_until(connector: Connector) -> float | None:
    """Return until when an offer has to wait after too many interruptions; ``None`` when it need not."""
    times = connector.interruptions
    if len(times) < INTERRUPTIONS or times[-1] - times[0] > INTERRUPTED_WITHIN_S:
        return None
    until = times[-1] + BACK_OFF_S
    return until if connector.now.steady < until else None


def resting_until(connector: Connector) -> float | None:
    """
    Return until when the contactor rests because it has closed too often; ``None`` when it may close.

    One budget counts every closing, whether the EV, an error, a limit, a pause or a change of phases caused
    it.
    """
    now, closings = connector.now.steady, connector.closings
    config = connector.config
    until = max(
        closings[-most] + period if len(closings) >= most else -math.inf
        for most, period in ((config.closings_per_minute_max, 60.0), (config.closings_per_hour_max, 3600.0))
    )
    return until if now < until else None


def waiting_for_first_limit(connector: Connector) -> bool:
    """Tell whether the energy manager still has time to answer a new demand."""
    transaction = connector.running
    return (
        transaction is not None
        and connector.config.energy_source == 'manager'
        and connector.allowance.source is LimitSource.ENERGY_MANAGER
        and transaction.announced not in (Cause.FLOWING, Cause.NO_ENERGY)
        and connector.now.steady < transaction.demand_since + FIRST_LIMIT_S
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
    if connector.grant is not None and now.steady < connector.grant.ends(config.enforced_limits_max_age_s):
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
        pause = connector.config.switch_3ph1ph_delay_s if transaction.energy_flowed else 0.0
        if connected:
            connector.phase_switch = None
        elif _surely_open(connector) and now >= connector.contactor_open_since + pause:
            switch.told = now
            connector.phases = switch.target
    elif connector.answered and board is not None and board.phases == switch.target:
        connector.phase_switch = None
    elif now >= switch.told + PHASES_S:
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
    permitted = connector.told.allow_power_on or connector.outputs.allow_power_on
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
    held_back = connector.replug_active or connector.open_first or backing_off_until(connector) is not None
    resting = connector.contactor is not ContactorState.CLOSED and resting_until(connector) is not None
    if cause is not Cause.OFFERED or held_back:
        connector.offer = None
    elif offer is None:
        rested = connector.outputs.pilot_mode is PilotMode.X1 and now >= connector.x1_since + X1_S
        if rested and not resting and now >= connector.offers_held_until:
            connector.offer = Offer(now, now, current)
            connector.offered_peaks.clear()
            connector.offered_peaks.append((now, current))
    elif current < offer.current_a or (current > offer.current_a and now >= offer.changed + PACING_S):
        offer.current_a, offer.changed = current, now
        connector.offered_peaks.append((now, current))


def _wake_up(connector: Connector, offer: Offer) -> None:
    """Wake an EV that leaves an offer alone: once per offer, F and then X1."""
    now = connector.now.steady
    if offer.wake_step_until is not None:
        if now < offer.wake_step_until:
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
    if asleep and now >= offer.since + WAKE_UP_AFTER_S:
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
        refused = offer.wake_over is not None and now >= offer.wake_over + AFTER_WAKE_UP_S
        if offer.ev_left or refused:
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


def deadlines(connector: Connector) -> list[float | None]:
    """Return when something here happens by time alone."""
    now, times = connector.now.steady, list[float | None]()
    transaction, offer, switch = connector.running, connector.offer, connector.phase_switch
    if connector.grant is not None:
        times.append(connector.grant.ends(connector.config.enforced_limits_max_age_s))
    if connector.external_change is not None:
        seconds = (connector.external_change - connector.now.wall) / allowance.SECOND
        times.append(now + min(max(seconds, 0.001), SCHEDULE_LOOK_S))
    if transaction is not None:
        times.append(transaction.demand_since + FIRST_LIMIT_S)
        times.append(connector.x1_since + X1_S)
        times.append(connector.offers_held_until)
        times.append(backing_off_until(connector))
        times.append(resting_until(connector))
        if switch is not None:
            pause = connector.config.switch_3ph1ph_delay_s
            times.append(
                connector.contactor_open_since + pause if switch.told is None else switch.told + PHASES_S
            )
    if offer is not None:
        times.append(offer.wake_step_until)
        times.append(offer.since + WAKE_UP_AFTER_S)
        times.append(None if offer.wake_over is None else offer.wake_over + AFTER_WAKE_UP_S)
        times.append(offer.changed + PACING_S if connector.allowance.signalled_a > offer.current_a else None)
    return times
