"""Observation for the control loop, from the reports of a Yeti board and the orders to it."""

from evse_manager.board.boards.yeti.codes import coded, flagged, pilot_state
from evse_manager.board.boards.yeti.messages import F_DUTY
from evse_manager.board.boards.yeti.orders import YetiOrders
from evse_manager.board.boards.yeti.reported import BoardReports
from evse_manager.board.driver_io import Observation
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    PilotMode,
)
from evse_manager.interface.pilot import HLC_DUTY_PERCENT, current
from evse_manager.interface.types import BoardError

CAUSE_S = 0.05
"""A contactor that opens by itself is reported before its cause; the first waits this long for the second."""

HLC_TOLERANCE_PERCENT = 0.1


def observed(
    reported: BoardReports,
    orders: YetiOrders,
    before: Observation,
    *,
    now: float,
    phases: int,
    errors: tuple[BoardError, ...],
    resets: int,
    firmware: str,
) -> Observation:
    """
    Return the observation of a board whose link is up.

    ``before`` is the observation before, ``phases`` what the board connects when nothing was ordered.  The
    pilot output is what was ordered: the board does not report it.
    """
    assert reported.pilot_code is not None
    mode = PilotMode.F if orders.duty == F_DUTY else PilotMode.PWM
    mode = PilotMode.X1 if orders.duty >= 10_000 else mode
    percent = orders.duty / 100.0
    high_level = abs(percent - HLC_DUTY_PERCENT) < HLC_TOLERANCE_PERCENT
    pilot = pilot_state(reported.pilot_code)
    proximity, ampacity = reported.cable_read()
    if reported.awaits_cable(now) and before.cp_state is ControlPilotState.A:
        pilot = ControlPilotState.A
    elif reported.awaits_cable(now):
        proximity, ampacity = before.proximity, before.cable_ampacity_a
    closed = reported.relay or awaits_cause(reported, orders, before, now)
    return Observation(
        link=LinkState.UP,
        cp_state=pilot,
        pilot_mode=mode,
        duty_cycle_percent=percent if mode is PilotMode.PWM else 100.0,
        current_a=orders.wanted.current_a if high_level else current(percent),
        contactor=ContactorState.CLOSED if closed else ContactorState.OPEN,
        lock=reported.lock_read(),
        proximity=proximity,
        cable_ampacity_a=ampacity,
        phases=orders.phases or phases,
        errors=errors,
        resets=resets,
        firmware=firmware,
    )


def awaits_cause(reported: BoardReports, orders: YetiOrders, before: Observation, now: float) -> bool:
    """Return whether an opening that nothing explains yet was reported just now."""
    return (
        not reported.relay
        and before.contactor is ContactorState.CLOSED
        and orders.power is True
        and now < reported.relay_at + CAUSE_S
    )


def errors(reported: BoardReports, *, welded: str, locking: bool | None) -> tuple[BoardError, ...]:
    """Return the active errors; ``welded`` is what shows a weld, ``locking`` the last order to the lock."""
    assert reported.pilot_code is not None
    found = flagged(reported.flags) + coded(reported.pilot_code, reported.proximity)
    if welded:
        found.append(BoardError(BoardErrorEnum.CONTACTOR_WELDED, welded))
    if reported.lock_opened:
        found.append(
            BoardError(BoardErrorEnum.LOCK_UNEXPECTEDLY_OPEN, 'the lock has opened without an order.')
        )
    elif reported.flags.lock and reported.lock is not None:
        code = BoardErrorEnum.LOCK_FAILED_TO_LOCK if locking else BoardErrorEnum.LOCK_FAILED_TO_UNLOCK
        verb = 'locked' if locking else 'unlocked'
        found.append(BoardError(code, f'the connector cannot be {verb} (error flag lock).'))
    return tuple(found)
