"""Faults of contactor and connector lock (catalogue F16 to F20, F24 to F27)."""

import pytest

from charging.kernel_harness import KernelHarness
from evse_manager.charging.inputs import ClearFault, ForceUnlock, Start
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LockState,
    PilotMode,
)
from faults.fault_bench import FaultBench


def test_F16_contactor_never_closes(bench, measured):
    bench.inject('relay_stuck_open')
    bench.plug_in()
    bench.authorize()
    bench.run_until(lambda b: b.board.outputs.power, 20.0)
    measured(bench.until_error(ErrorEnum.RELAIS), 3.5, 3.0)
    assert bench.codes(details=True).endswith('TS PC Error(Relais)')
    assert not bench.board.outputs.power
    bench.clear()
    bench.run_for(30.0)
    assert bench.error_codes == {'ContactorNotClosing'}, 'until unplugged'
    bench.fresh_session()


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
    harness = KernelHarness().charging()
    harness.welded = True
    harness.pilot('A').run(1.6)
    harness.report(BoardErrorEnum.CONTACTOR_WELDED)
    assert 'Error(Relais)' in harness.codes()
    since = len(harness.events)
    harness.plug().run(1.0)
    assert 'SS' not in harness.codes(since).split(), 'no session within 2 s after the unplug, nor later'
    harness.run(30.0)
    assert 'SS' not in harness.codes(since).split()
    harness.welded = False
    harness.report().pilot('A').run(1.0)
    assert harness.command(ClearFault()).success
    assert harness.run(1.0).plug().codes().endswith('AllErrorsCleared SS(EVConnected) AR')


def test_F20_the_contactor_is_closed_in_a_at_boot(measured):
    harness = KernelHarness(boot=False)
    harness.contactor, harness.welded = ContactorState.CLOSED, True
    harness.do(Start())
    harness.observe()
    measured(harness.until(lambda: 'Error(Relais)' in harness.codes()), 1.25)
    assert harness.outputs.pilot_mode is PilotMode.F
    assert harness.codes() == 'Enabled Error(Relais)'
    harness.plug().run(10.0)
    assert harness.codes() == 'Enabled Error(Relais)'
    assert not harness.command(ClearFault()).success
    harness.pilot('A')
    harness.welded = False
    harness.observe()
    assert harness.run(5.0).codes() == 'Enabled Error(Relais)', 'latched'
    assert harness.command(ClearFault()).success


def count_moves(bench: FaultBench) -> list[float]:
    """Return a list that grows with every move of the lock's motor."""
    moves: list[float] = []
    lock, move = bench.world.lock, bench.world.lock._move

    def counted(seconds: float, attempt: int) -> None:
        moves.append(bench.now)
        move(seconds, attempt)

    lock._move = counted  # type: ignore[method-assign]
    return moves


def test_F24_the_lock_does_not_lock(bench, measured):
    bench.inject('lock_jam')
    moves = count_moves(bench)
    bench.plug_in()
    measured(bench.run_until(lambda b: 'LockFailed' in b.error_codes), 5.0)
    bench.authorize()
    bench.run_for(30.0)
    assert len(moves) == 3, 'tries of the motor'
    assert bench.status.contactor_cycles == 0
    bench.clear()
    bench.run_for(5.0)
    assert bench.error_codes == {'LockFailed'}, 'until unplugged'
    bench.fresh_session()


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
def test_F27_force_unlock_while_charging(bench, profile, measured):
    charging = bench.charge(profile)
    begun = charging.now
    order: list[str] = []

    def watch(bench):
        seen = 'unlocked' if bench.board_state.lock is LockState.UNLOCKED else 'locked'
        seen += ' closed' if bench.closed else ' open'
        if not order or order[-1] != seen:
            order.append(seen)

    charging.watchers.append(watch)
    charging.do(ForceUnlock())
    measured(charging.now - begun, 7.5)
    assert order == ['locked closed', 'locked open', 'unlocked open']
    charging.run_for(3.0)
    assert charging.codes(details=True).endswith('SC CF TF(UnlockCommand)')
    charging.fresh_session()
