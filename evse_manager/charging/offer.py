"""The offer on the pilot: when a current is offered, how it changes, and what the EV makes of it."""

from evse_manager.charging import timers
from evse_manager.charging.connector import Cause, Connector, Offer
from evse_manager.interface.enums import ContactorState, ControlPilotState, PilotMode

WAKE_UP_F_S = 4.0
"""Break in F of a wake-up (ISO 15118-3 T_step_EF; docs/sources.md, timing)."""

WAKE_UP_X1_S = 0.75
"""X1 after the break in F (docs/sources.md, timing)."""


def settle(connector: Connector, cause: Cause) -> None:
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


def wake_up(connector: Connector, offer: Offer) -> None:
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


def answer_of_ev(connector: Connector, offer: Offer) -> Cause:
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
