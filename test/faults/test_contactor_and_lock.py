"""Faults of contactor and connector lock (catalogue F16 to F20, F24 to F27)."""

import pytest

from charging.desk import Desk
from evse_manager.charging.inputs import ClearFault, ForceUnlock, Start
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LockState,
    PilotMode,
)
from faults.bay import Bay


def test_F16_contactor_never_closes(bay, measured):
    bay.inject('relay_stuck_open')
    bay.plug_in()
    bay.authorize()
    bay.run_until(lambda b: b.board.outputs.power, 20.0)
    measured(bay.until_error(ErrorEnum.RELAIS), 3.5, 3.0)
    assert bay.codes(details=True).endswith('TS PC Error(Relais)')
    assert not bay.board.outputs.power
    bay.clear()
    bay.run_for(30.0)
    assert bay.error_codes == {'ContactorNotClosing'}, 'until unplugged'
    bay.fresh_session()


def test_F17_contactor_opens_by_itself(charging, measured):
    charging.inject('relay_drops')
    measured(charging.until_error(ErrorEnum.RELAIS), 0.5)
    charging.clear()
    cycles = charging.status.contactor_cycles
    charging.run_for(60.0)
    assert charging.error_codes == {'ContactorOpened'}
    assert charging.status.contactor_cycles == cycles, 'it is not closed again'
    charging.fresh_session()


def test_F18_contactor_is_welded_at_the_stop(charging, measured):
    charging.inject('relay_weld')
    since = len(charging.events)
    assert charging.stop_transaction().success
    charging.run_until(lambda b: b.board_state.cp_state is ControlPilotState.B, 5.0)
    measured(charging.until_error(ErrorEnum.RELAIS), 1.0)
    charging.run_until(lambda b: b.pilot is PilotMode.F, 1.0)
    charging.run_for(3.0)
    assert charging.codes(since, details=True) == 'SC Error(Relais) CF TF(Remote)'
    assert charging.board_state.lock is LockState.LOCKED, 'the outlet may be live'
    charging.ev_pause()
    charging.run_for(2.0)
    charging.unplug()
    charging.run_for(10.0)
    assert charging.board_state.lock is LockState.LOCKED
    assert not charging.command(ClearFault()).success, 'while the board sees it closed'
    charging.plug_in()
    charging.authorize()
    charging.run_for(10.0)
    assert charging.codes(since).split().count('TS') == 0, 'the next plug is refused'
    charging.unplug()
    charging.clear()
    charging.run_for(5.0)
    assert charging.error_codes == {'ContactorWelded'}, 'latched'
    charging.do(ClearFault())
    charging.fresh_session()


def test_F19_a_weld_is_told_late_after_the_unplug():
    desk = Desk().charging()
    desk.welded = True
    desk.pilot('A').run(1.6)
    desk.report(BoardErrorEnum.CONTACTOR_WELDED)
    assert 'Error(Relais)' in desk.codes()
    since = len(desk.events)
    desk.plug().run(1.0)
    assert 'SS' not in desk.codes(since).split(), 'no session within 2 s after the unplug, nor later'
    desk.run(30.0)
    assert 'SS' not in desk.codes(since).split()
    desk.welded = False
    desk.report().pilot('A').run(1.0)
    assert desk.command(ClearFault()).success
    assert desk.run(1.0).plug().codes().endswith('AllErrorsCleared SS(EVConnected) AR')


def test_F20_the_contactor_is_closed_in_a_at_boot(measured):
    desk = Desk(boot=False)
    desk.contactor, desk.welded = ContactorState.CLOSED, True
    desk.do(Start())
    desk.observe()
    measured(desk.until(lambda: 'Error(Relais)' in desk.codes()), 1.25)
    assert desk.outputs.pilot_mode is PilotMode.F
    assert desk.codes() == 'Enabled Error(Relais)'
    desk.plug().run(10.0)
    assert desk.codes() == 'Enabled Error(Relais)'
    assert not desk.command(ClearFault()).success
    desk.pilot('A')
    desk.welded = False
    desk.observe()
    assert desk.run(5.0).codes() == 'Enabled Error(Relais)', 'latched'
    assert desk.command(ClearFault()).success


def count_moves(bay: Bay) -> list[float]:
    """Return a list that grows with every move of the lock's motor."""
    moves: list[float] = []
    lock, move = bay.world.lock, bay.world.lock._move

    def counted(seconds: float, attempt: int) -> None:
        moves.append(bay.now)
        move(seconds, attempt)

    lock._move = counted  # type: ignore[method-assign]
    return moves


def test_F24_the_lock_does_not_lock(bay, measured):
    bay.inject('lock_jam')
    moves = count_moves(bay)
    bay.plug_in()
    measured(bay.run_until(lambda b: 'LockFailed' in b.error_codes), 5.0)
    bay.authorize()
    bay.run_for(30.0)
    assert len(moves) == 3, 'tries of the motor'
    assert bay.status.contactor_cycles == 0
    bay.clear()
    bay.run_for(5.0)
    assert bay.error_codes == {'LockFailed'}, 'until unplugged'
    bay.fresh_session()


def test_F25_the_lock_opens_while_charging(charging, measured):
    charging.inject('lock_opens')
    measured(charging.until_open(), 0.5)
    assert charging.error_codes == {'LockOpened'}
    charging.clear()
    charging.run_for(30.0)
    assert charging.error_codes == {'LockOpened'}, 'until unplugged'
    charging.fresh_session()


def test_F26_the_lock_does_not_unlock(charging, measured):
    since = len(charging.events)
    charging.inject('lock_jam')
    charging.unplug()
    measured(charging.run_until(lambda b: 'UnlockFailed' in b.error_codes), 5.0)
    assert charging.codes(since, details=True) == 'SC CF TF(EVDisconnected) SF Error(Other)', 'in this order'
    charging.clear()
    charging.run_for(10.0)
    assert not charging.active
    charging.plug_in()
    charging.run_for(1.0)
    charging.fresh_session()


@pytest.mark.parametrize('profile', ['default', 'stays_in_c'])
def test_F27_force_unlock_while_charging(bay, profile, measured):
    charging = bay.charge(profile)
    begun = charging.now
    order: list[str] = []

    def watch(bay):
        seen = 'unlocked' if bay.board_state.lock is LockState.UNLOCKED else 'locked'
        seen += ' closed' if bay.closed else ' open'
        if not order or order[-1] != seen:
            order.append(seen)

    charging.watchers.append(watch)
    charging.do(ForceUnlock())
    measured(charging.now - begun, 7.5)
    assert order == ['locked closed', 'locked open', 'unlocked open']
    charging.run_for(3.0)
    assert charging.codes(details=True).endswith('SC CF TF(UnlockCommand)')
    charging.fresh_session()
