"""
Evaluation of the board's reports, in legal order (docs/interface.md).

Pilot and contactor are taken step by step from the list of transitions, so that two changes in one message
are two steps; everything else is taken from the state as it is now.
"""

from evse_manager.charging import timers
from evse_manager.charging.connector import Connector
from evse_manager.charging.faults import RCD_FAULTS
from evse_manager.interface.enums import ContactorState, ControlPilotState, ProximityState, SessionEventEnum
from evse_manager.interface.types import BoardState, BoardTransition, Time

PILOT_READINGS = (
    ControlPilotState.A,
    ControlPilotState.B,
    ControlPilotState.C,
    ControlPilotState.D,
    ControlPilotState.E,
)

PLUGGED = (ControlPilotState.B, ControlPilotState.C, ControlPilotState.D)

SWAP_S = 5.0
"""
No car is unplugged and another plugged in within this time, so a shorter gap in the view of the cable hides
nothing.  Longer than the longest gap of our own making while a transaction is open: the F of a wake-up, 4 s.
"""

REPLUG_WINDOW_S = 30.0
"""Only in this first part of a transaction may the cable bounce (catalogue F42)."""


def missed_steps(connector: Connector, state: BoardState) -> list[BoardTransition]:
    """
    Return the transitions that this state adds to what was seen.

    A manager that starts takes only the final state.  A gap asks for the contactor to open first: what
    happened in it is not known.
    """
    seen = connector.transition_counter
    connector.transition_counter = state.transition_counter
    if seen is None or state.transition_counter <= seen:
        connector.cable_watched = connector.cable_watched and state.transition_counter == seen
        return []
    new = [step for step in state.transitions if step.counter > seen]
    if len(new) < state.transition_counter - seen:
        connector.open_first = True
        connector.cable_watched = False
    return new


def take_state(connector: Connector, state: BoardState, answered: bool) -> None:
    """Take everything of a state but pilot and contactor."""
    connector.board = state
    connector.board_seen = connector.now.steady
    connector.board_first_seen = min(connector.board_first_seen, connector.now.steady)
    if connector.board_lost:
        # What the pilot showed meanwhile is not known: X1 lasts its minimum from now on.
        connector.x1_since = connector.now.steady
        connector.board_lost = ''
    connector.answered = answered
    if state.replug_active != connector.replug_active:
        connector.replug_active = state.replug_active
        if connector.started is not None:
            started = state.replug_active
            connector.emit(SessionEventEnum.REPLUG_STARTED if started else SessionEventEnum.REPLUG_FINISHED)
    if connector.phases == 0 and state.phases:
        connector.phases = state.phases


def seen_again(connector: Connector, state: BoardState) -> None:
    """Take a state in which nothing changed."""
    connector.board, connector.board_seen = state, connector.now.steady
    if state.cp_state in PILOT_READINGS and not state.replug_active:
        connector.cable_seen = connector.now.steady


def take_missed_step(connector: Connector, step: BoardTransition) -> None:
    """Take a step that an earlier state did not show; the contactor is unknown while the hardware is lost."""
    if step.contactor is ContactorState.UNKNOWN:
        connector.cable_watched = False
    take_step(connector, step.cp_state, step.contactor, step.stamp)


def take_step(
    connector: Connector, cp_state: ControlPilotState, contactor: ContactorState, stamp: Time | None
) -> None:
    """Take one step of pilot and contactor."""
    if contactor is not connector.contactor and contactor is not ContactorState.UNSPECIFIED:
        connector.contactor = contactor
        if contactor is ContactorState.OPEN:
            connector.contactor_open_since = connector.now.steady
            connector.contactor_open_stamp = stamp
        elif contactor is ContactorState.CLOSED:
            connector.contactor_cycles += 1
            connector.closings.append(connector.now.steady)
    if contactor is ContactorState.OPEN:
        connector.open_first = False
    if connector.replug_active:
        return
    if cp_state is ControlPilotState.F:
        connector.cp_state = cp_state
        connector.pilot_read_after_f = False
        if connector.cable_watched:
            connector.cable_seen, connector.cable_watched = connector.now.steady, False
    elif cp_state in PILOT_READINGS:
        connector.cp_state = cp_state
        connector.pilot_read_after_f = True
        if cp_state in PLUGGED:
            _evaluate_gap(connector)
            _plugged(connector)
        elif cp_state is ControlPilotState.A:
            _in_a(connector)
        connector.cable_seen, connector.cable_watched = connector.now.steady, True


def proximity_invalid(connector: Connector) -> bool:
    """Tell whether a plugged socket has no cable whose rating is known."""
    if connector.config.connector_type != 'socket' or not connector.plugged or connector.board is None:
        return False
    return connector.board.proximity in (ProximityState.INVALID, ProximityState.NO_PLUG)


def settle_unplug(connector: Connector) -> None:
    """Count the cable as out once the grace for bouncing plugs is over."""
    if timers.unplug_grace.over(connector):
        _unplugged(connector)


def _evaluate_gap(connector: Connector) -> None:
    """
    End the session when the car that is plugged in now may be another one.

    A gap that the board bridges by its own memory, its numbered steps, hides no unplug; neither does a short
    one.
    """
    gap_s = connector.now.steady - connector.cable_seen
    if not connector.plugged or connector.cable_watched or gap_s <= SWAP_S:
        return
    if connector.session is not None:
        connector.session.ended = True
        connector.session.hidden_for = gap_s
    connector.authorization = None


def _plugged(connector: Connector) -> None:
    connector.left_at = None
    if not connector.plugged:
        connector.plugged = True
        connector.plugged_at = connector.now.steady


def _in_a(connector: Connector) -> None:
    if not connector.plugged:
        _unplugged(connector)
        return
    if connector.left_at is not None:
        return
    transaction = connector.running
    grace = connector.config.replug_grace_s
    if transaction is not None and grace > 0.0 and connector.now.steady - transaction.begun < REPLUG_WINDOW_S:
        connector.left_at = connector.now.steady
    else:
        _unplugged(connector)


def _unplugged(connector: Connector) -> None:
    """
    Note that there is no EV: what an unplug ends, ends.

    Each unplug resets a residual current device once: one whose cause outlasted an unplug waits for the next.
    """
    left, connector.plugged = connector.plugged, False
    if left and connector.session is not None:
        connector.session.ended = True
    elif left:
        # No session could begin; the token was for the car that left, not for the next one.
        connector.authorization = None
    connector.left_at = None
    connector.force_unlocked = False
    connector.errors.unplugged()
    tripped = any(fault in connector.errors for fault in RCD_FAULTS)
    if tripped and (left or not connector.rcd_reset_wanted):
        connector.rcd_reset_wanted = True
        connector.rcd_resets += 1
