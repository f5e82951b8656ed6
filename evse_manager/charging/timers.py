"""
The named timers of a connector: everything that time alone brings about.

A timer is a fact that follows from other facts: the time on the steady clock at which it ends, ``None`` while
it does not run.  Whatever waits for a time asks its timer here, and the next deadline is the minimum of them,
so no list of deadlines has to be kept in step with the conditions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from evse_manager.charging.connector import INTERRUPTIONS, Connector
from evse_manager.interface.enums import Availability, PilotMode
from evse_manager.interface.types import SECOND_NS
from evse_manager.metering.thresholds import METER_WAIT_S, SILENT_AFTER_S


class TimerKind(Enum):
    """How the end of a timer is noticed."""

    WAKES = auto()
    """The kernel asks to be called at this time."""
    NOTICED = auto()
    """The next input shows it; it is not worth a call of its own."""
    OBSERVED = auto()
    """Only time in which the board itself has shown the condition counts; every board state is examined."""


@dataclass(frozen=True, slots=True)
class Timer:
    """One named timer; ``ends`` returns when it ends on the steady clock, ``None`` while it does not run."""

    name: str
    ends: Callable[[Connector], float | None]
    kind: TimerKind
    meaning: str

    def over(self, connector: Connector) -> bool:
        """Return whether the timer has run and ended."""
        ends = self.ends(connector)
        return ends is not None and connector.now.steady >= ends

    def running(self, connector: Connector) -> bool:
        """Return whether the timer has not ended yet."""
        ends = self.ends(connector)
        return ends is not None and connector.now.steady < ends

    def shown(self, connector: Connector) -> bool:
        """
        Return whether the board itself has shown the condition until the end.

        A board that fell silent meanwhile shows nothing: it is lost, and never ends as a contactor fault.
        """
        ends = self.ends(connector)
        return ends is not None and connector.board_seen >= ends


TIMERS: dict[TimerKind, list[Timer]] = {kind: [] for kind in TimerKind}
"""All timers by kind, in the order of this file."""


def _timer(kind: TimerKind = TimerKind.WAKES) -> Callable[[Callable[[Connector], float | None]], Timer]:
    def declare(ends: Callable[[Connector], float | None]) -> Timer:
        timer = Timer(ends.__name__, ends, kind, (ends.__doc__ or '').strip())
        TIMERS[kind].append(timer)
        return timer

    return declare


def next_deadline(connector: Connector) -> float | None:
    """Return the earliest time at which anything happens by itself."""
    return _earliest(connector, TimerKind.WAKES)


def next_notice(connector: Connector) -> float | None:
    """Return the earliest time from which on the next input shows something new."""
    return _earliest(connector, TimerKind.NOTICED)


def verdict_pending(connector: Connector) -> bool:
    """Return whether a verdict waits for the board to show a condition for long enough."""
    return any(timer.ends(connector) is not None for timer in TIMERS[TimerKind.OBSERVED])


def _earliest(connector: Connector, kind: TimerKind) -> float | None:
    now, earliest = connector.now.steady, None
    for timer in TIMERS[kind]:
        ends = timer.ends(connector)
        if ends is not None and ends > now and (earliest is None or ends < earliest):
            earliest = ends
    return earliest


# --- life of the process ----------------------------------------------------------------------------

BOOT_S = 5.0
SHUTDOWN_S = 2.5


@_timer()
def boot(connector: Connector) -> float | None:
    """The first event waits for the first complete board state at most 5 s."""
    if connector.begun is None or connector.started is not None:
        return None
    return connector.begun + BOOT_S


@_timer()
def shutdown(connector: Connector) -> float | None:
    """A shutdown waits for contactor and meter at most 2.5 s; the process is gone within 3 s."""
    return None if connector.shutting_down is None else connector.shutting_down + SHUTDOWN_S


@_timer()
def disable_answer(connector: Connector) -> float | None:
    """`disable` answers within 1 s."""
    return min((pending.deadline for pending in connector.disable_pending), default=None)


@_timer()
def unlock_answer(connector: Connector) -> float | None:
    """`force_unlock` answers within 8 s."""
    return min((pending.deadline for pending in connector.unlock_pending), default=None)


# --- cable and meter --------------------------------------------------------------------------------


@_timer()
def unplug_grace(connector: Connector) -> float | None:
    """A cable that left for a moment counts as unplugged after `replug_grace_s`."""
    return None if connector.left_at is None else connector.left_at + connector.config.replug_grace_s


@_timer()
def first_meter_value(connector: Connector) -> float | None:
    """Boot and the start of a transaction wait for the first value of the meter at most 2 s."""
    if connector.meter.sample is not None or (connector.started is not None and connector.session is None):
        return None
    return connector.board_first_seen + METER_WAIT_S


@_timer()
def stop_meter_value(connector: Connector) -> float | None:
    """The end of a transaction waits for a meter value from after the opening at most 2 s."""
    transaction = connector.transaction
    if transaction is None or transaction.stop is None or transaction.stop.opened is None:
        return None
    return transaction.stop.opened + METER_WAIT_S


@_timer()
def meter_lost(connector: Connector) -> float | None:
    """With `fail_on_powermeter_errors` a meter that is silent for 5 s is an error."""
    if not connector.config.fail_on_powermeter_errors or connector.started is None:
        return None
    return max(connector.meter.received, connector.started) + SILENT_AFTER_S


@_timer(TimerKind.NOTICED)
def meter_expected(connector: Connector) -> float | None:
    """A meter that has not reported 5 s after the start is a warning."""
    return None if connector.started is None else connector.started + SILENT_AFTER_S


@_timer(TimerKind.NOTICED)
def meter_silent(connector: Connector) -> float | None:
    """A meter that is silent for 5 s is a warning, and its power is unknown."""
    return connector.meter.received + SILENT_AFTER_S


# --- errors -----------------------------------------------------------------------------------------

CLOSING_S = 3.0
OPENING_S = 1.0
DISAGREEMENT_S = 2.0


@_timer()
def valid_pilot(connector: Connector) -> float | None:
    """A pilot fault ends when the pilot has been valid for 1 s."""
    return connector.errors.next_expiry()


@_timer()
def over_current(connector: Connector) -> float | None:
    """More current than tolerated for `soft_over_current_timeout_s` is an error."""
    if connector.excess_since is None:
        return None
    return connector.excess_since + connector.config.soft_over_current_timeout_s


@_timer(TimerKind.OBSERVED)
def closing(connector: Connector) -> float | None:
    """A contactor that is not closed 3 s after the EV asked does not close (IEC 61851-1 table A.6)."""
    return None if connector.close_wanted_since is None else connector.close_wanted_since + CLOSING_S


@_timer(TimerKind.OBSERVED)
def opening(connector: Connector) -> float | None:
    """A contactor that is not open 1 s after it had to be is welded."""
    return None if connector.weld_suspected_since is None else connector.weld_suspected_since + OPENING_S


@_timer(TimerKind.OBSERVED)
def disagreement(connector: Connector) -> float | None:
    """A board that offers more than ordered for 2 s disagrees."""
    return None if connector.disagreement_since is None else connector.disagreement_since + DISAGREEMENT_S


@_timer()
def f_after_emergency(connector: Connector) -> float | None:
    """The pilot shows F for `state_f_after_fault_s` after an emergency (IEC 61851-1 table A.5)."""
    return connector.f_until if connector.outputs.pilot_mode is PilotMode.F else None


# --- limits -----------------------------------------------------------------------------------------

SCHEDULE_LOOK_S = 60.0
FIRST_LIMIT_S = 3.0


@_timer()
def grant(connector: Connector) -> float | None:
    """The energy manager's limit ends by its own life, at most `enforced_limits_max_age_s`."""
    if connector.grant is None:
        return None
    return connector.grant.ends(connector.config.enforced_limits_max_age_s)


@_timer()
def schedule(connector: Connector) -> float | None:
    """The next entry of the external limits; at least every 60 s, because the wall clock may jump."""
    if connector.external_change is None:
        return None
    seconds = (connector.external_change - connector.now.wall) / SECOND_NS
    return connector.now.steady + min(max(seconds, 0.001), SCHEDULE_LOOK_S)


@_timer()
def first_limit(connector: Connector) -> float | None:
    """The energy manager may take 3 s to answer a new demand."""
    transaction = connector.running
    return None if transaction is None else transaction.demand_since + FIRST_LIMIT_S


# --- offer ------------------------------------------------------------------------------------------

X1_S = 3.0
PACING_S = 5.0
EV_FOLLOWS_S = 5.0
WAKE_UP_AFTER_S = 30.0
AFTER_WAKE_UP_S = 10.0
PHASES_S = 5.0
INTERRUPTED_WITHIN_S = 60.0
BACK_OFF_S = 60.0


@_timer()
def x1_minimum(connector: Connector) -> float | None:
    """X1, once set, lasts at least 3 s (T_step_X1)."""
    return None if connector.running is None else connector.x1_since + X1_S


@_timer()
def restart_delay(connector: Connector) -> float | None:
    """After a supply fault or a power loss the next offer waits a random time."""
    return None if connector.running is None else connector.offers_held_until


@_timer()
def back_off(connector: Connector) -> float | None:
    """After three interruptions by the EV or by errors in 60 s the next offer waits 60 s."""
    times = connector.interruptions
    if connector.running is None or len(times) < INTERRUPTIONS or times[-1] - times[0] > INTERRUPTED_WITHIN_S:
        return None
    return times[-1] + BACK_OFF_S


@_timer()
def contactor_rest(connector: Connector) -> float | None:
    """
    After too many closings in a minute or an hour the contactor rests.

    One budget counts every closing, whether the EV, an error, a limit, a pause or a change of phases caused
    it.
    """
    closings, config = connector.closings, connector.config
    ends = [
        closings[-most] + period
        for most, period in ((config.closings_per_minute_max, 60.0), (config.closings_per_hour_max, 3600.0))
        if len(closings) >= most
    ]
    return None if connector.running is None else max(ends, default=None)


@_timer()
def phase_pause(connector: Connector) -> float | None:
    """Before the phases change the contactor stays open for `switch_3ph1ph_delay_s`."""
    switch = connector.phase_switch
    if connector.running is None or switch is None or switch.ordered_at is not None:
        return None
    return connector.contactor_open_since + connector.config.switch_3ph1ph_delay_s


@_timer()
def phase_switch(connector: Connector) -> float | None:
    """A board that has not switched the phases after 5 s has failed to."""
    switch = connector.phase_switch
    if connector.running is None or switch is None or switch.ordered_at is None:
        return None
    return switch.ordered_at + PHASES_S


@_timer()
def wake_step(connector: Connector) -> float | None:
    """A step of the wake-up: F for 4 s (T_step_EF), then X1 for 0.75 s."""
    return None if connector.offer is None else connector.offer.wake_step_until


@_timer()
def wake_up(connector: Connector) -> float | None:
    """An EV that stays in B for 30 s after the offer is woken up once (IEC 61851-1 A.5.3)."""
    return None if connector.offer is None else connector.offer.since + WAKE_UP_AFTER_S


@_timer()
def after_wake_up(connector: Connector) -> float | None:
    """An EV that does not ask 10 s after the wake-up counts as pausing."""
    offer = connector.offer
    return None if offer is None or offer.wake_over is None else offer.wake_over + AFTER_WAKE_UP_S


@_timer()
def pacing(connector: Connector) -> float | None:
    """While charging the current rises at most every 5 s."""
    offer = connector.offer
    if offer is None or connector.allowance.signalled_a <= offer.current_a:
        return None
    return offer.changed + PACING_S


@_timer()
def ev_follows(connector: Connector) -> float | None:
    """An EV may take 5 s to follow a lower duty cycle; then the over-current limit follows."""
    peaks = connector.offered_peaks
    return peaks[1][0] + EV_FOLLOWS_S if connector.offer is not None and len(peaks) > 1 else None


# --- contactor and lock -----------------------------------------------------------------------------

FORCED_OPENING_S = 6.0
UNLOCK_IN_F_S = 5.0


@_timer()
def forced_opening(connector: Connector) -> float | None:
    """An EV that stays in C after X1 is switched off under load after 6 s (IEC 61851-1 table A.6)."""
    if connector.offer is not None or not connector.outputs.allow_power_on:
        return None
    return connector.x1_since + FORCED_OPENING_S


@_timer()
def unlock(connector: Connector) -> float | None:
    """In F and Disabled the connector is unlocked 5 s after the contactor opened."""
    mode = connector.outputs.pilot_mode
    return unlock_at(connector, mode) if connector.outputs.lock and out_of_use(connector, mode) else None


def unlock_at(connector: Connector, mode: PilotMode) -> float:
    """Return when a connector that shows ``mode`` is unlocked."""
    since = connector.f_since if mode is PilotMode.F else connector.x1_since
    return max(connector.contactor_open_since, since) + UNLOCK_IN_F_S


def unavailable(connector: Connector) -> bool:
    """Return whether the connector is disabled or faulted and no transaction is open."""
    disabled = connector.announced in (Availability.DISABLED, Availability.FAULTED)
    return disabled and connector.transaction is None


def out_of_use(connector: Connector, mode: PilotMode) -> bool:
    """Return whether no power is available (pilot in F, or disabled); boards without F show it as X1."""
    return mode is PilotMode.F or unavailable(connector)
