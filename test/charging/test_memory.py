"""What outlives the process, and what becomes of it at boot (docs/charging.md, golden sequences 1 and 25)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from charging.kernel_harness import EPOCH, SECOND, KernelHarness, entry, external, remote_stop, token
from evse_manager.charging.inputs import (
    ClearFault,
    Command,
    Disable,
    Enable,
    Reserve,
    SetFaulted,
    Start,
    WithdrawAuthorization,
)
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.enums import BoardErrorEnum, LockState, PilotMode, StatusReason
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import Time

CONTINUES = Config(after_power_loss='continue', continue_within_s=600.0, restart_delay_max_s=0.0)
LAST_NUMBER = 100


def remembered(harness: KernelHarness) -> PersistedState:
    """Return what the keeper of the memory has when the process is killed now."""
    memory = next(output.memory for _, _, output in reversed(harness.tape) if output.memory is not None)
    return replace(memory, written=Time(harness.wall))


def interrupted() -> PersistedState:
    """Return the memory of a process that was killed while charging."""
    return remembered(KernelHarness().charging())


def restart(
    memory: PersistedState, config: Config | None = None, *, ev: str = 'C', outage_s: float = 30.0
) -> KernelHarness:
    """Boot another process with a memory, so long after it was last true."""
    assert memory.written is not None
    harness = booting(config)
    harness.wall_offset = memory.written + round(outage_s * SECOND) - (EPOCH + round(harness.t * SECOND))
    harness.ev = ev
    harness.sample()
    harness.do(Start(memory, LAST_NUMBER))
    harness.observe()
    harness.run(1.0)
    return harness


def booting(config: Config | None = None) -> KernelHarness:
    """Return a harness before its start, without the invariants, who knows nothing of a former process."""
    harness = KernelHarness(config, boot=False)
    del harness.kernel.take
    return harness


def after(*commands: Command) -> PersistedState:
    """Return the memory of an idle process that was killed after some commands."""
    harness = KernelHarness()
    for command in commands:
        assert harness.command(command).success
    return remembered(harness)


# --- while it runs ----------------------------------------------------------------------------------


def test_the_meter_value_of_an_open_transaction_is_remembered_every_30_s() -> None:
    harness = KernelHarness().charging()
    begun = len(harness.tape)
    for second in range(95):
        harness.energy_wh = 5000.0 + second
        harness.run(1.0)
    kept = [
        output.memory.session.transaction.meter_value.energy_wh_import.total
        for _, _, output in harness.tape[begun:]
        if output.memory is not None and output.memory.session and output.memory.session.transaction
    ]
    assert len(kept) == 3
    assert kept[1] - kept[0] == kept[2] - kept[1] == 30.0


def test_nothing_is_worth_a_record_while_nothing_changes() -> None:
    harness = KernelHarness().charging()
    begun = len(harness.tape)
    harness.run(20.0)
    assert all(output.memory is None for _, _, output in harness.tape[begun:])


def test_a_finished_transaction_is_not_remembered_as_open() -> None:
    harness = KernelHarness().charging()
    assert harness.command(remote_stop()).success
    harness.pilot('B').run(3.0)
    session = remembered(harness).session
    assert session is not None
    assert session.transaction is None
    assert restart(remembered(harness)).codes() == 'SF Enabled SS(EVConnected) AR'


# --- sequence 25 --------------------------------------------------------------------------------------


def test_what_was_open_is_closed_under_its_old_name_before_anything_else() -> None:
    memory = interrupted()
    harness = restart(memory)
    assert harness.codes() == 'TF(PowerLoss) SF Enabled SS(EVConnected) AR'
    events = [event for _, event in harness.events]
    assert [event.sequence_number for event in events] == [LAST_NUMBER + n for n in range(1, 6)]
    assert memory.session is not None
    assert {event.uuid for event in events[:2]} == {memory.session.uuid}
    assert events[2].uuid == ''


def test_nobody_is_plugged_any_more() -> None:
    assert restart(interrupted(), CONTINUES, ev='A').codes() == 'TF(PowerLoss) SF Enabled'


@pytest.mark.parametrize(('now_wh', 'expected_wh'), [(5600.0, 5600.0), (100.0, 5300.0), (None, 5300.0)])
def test_the_best_meter_value_that_is_known_closes_it(now_wh: float | None, expected_wh: float) -> None:
    """The meter went on, or was reset, or says nothing: energy never runs backwards."""
    before = KernelHarness().charging()
    for second in range(61):
        before.energy_wh = 5000.0 + 5.0 * second
        before.run(1.0)
    before.run(31.0)
    harness = booting()
    harness.metered, harness.energy_wh = now_wh is not None, now_wh
    harness.do(Start(remembered(before), LAST_NUMBER))
    harness.observe()
    harness.run(3.0)
    finished = harness.events[0][1].transaction_finished
    assert finished is not None
    assert finished.meter_value.energy_wh_import.total == expected_wh


# --- after_power_loss: continue -----------------------------------------------------------------------


def test_continue_begins_a_new_session_with_the_stored_token() -> None:
    harness = restart(interrupted(), CONTINUES).run(5.0)
    assert harness.codes() == 'TF(PowerLoss) SF Enabled SS(EVConnected) TS PC CS'
    started = next(e.transaction_started for _, e in harness.events if e.transaction_started is not None)
    assert started.id_tag == token().provided_token


@pytest.mark.parametrize('outage_s', [600.5, 86_400.0], ids=['too long', 'a day'])
def test_after_too_long_an_outage_a_token_is_asked_for(outage_s: float) -> None:
    harness = restart(interrupted(), CONTINUES, outage_s=outage_s).run(5.0)
    assert harness.codes() == 'TF(PowerLoss) SF Enabled SS(EVConnected) AR'


def test_an_outage_of_just_so_long_is_continued() -> None:
    assert restart(interrupted(), CONTINUES, outage_s=600.0).codes().endswith('TS PC')


@pytest.mark.parametrize('outage_s', [-1.0, -3600.0, -9e8], ids=['a second', 'an hour', 'no battery'])
def test_a_clock_that_is_earlier_than_before_the_outage_is_no_reason_to_end(outage_s: float) -> None:
    """A controller without a battery continued nothing, ever."""
    assert restart(interrupted(), CONTINUES, outage_s=outage_s).codes().endswith('TS PC')


def test_continue_waits_a_random_time_for_the_sake_of_the_fuse() -> None:
    harness = booting(replace(CONTINUES, restart_delay_max_s=40.0))
    harness.kernel._connector.random = lambda: 0.5
    harness.ev = 'C'
    harness.sample()
    memory = interrupted()
    harness.do(Start(replace(memory, written=Time(harness.wall)), LAST_NUMBER))
    harness.observe()
    harness.run(15.0)
    assert harness.status.reason is StatusReason.RESTART_DELAY
    assert harness.outputs.pilot_mode is PilotMode.X1
    assert 4.0 <= harness.until(lambda: harness.flows) <= 6.0


def test_a_session_without_a_transaction_is_not_continued() -> None:
    memory = remembered(KernelHarness().plug())
    assert restart(memory, CONTINUES, ev='B').codes() == 'SF Enabled SS(EVConnected) AR'


def test_a_continued_transaction_waits_for_the_end_of_an_error() -> None:
    harness = booting(CONTINUES)
    harness.ev, harness.errors = 'C', (BoardErrorEnum.ENCLOSURE_OPEN,)
    harness.sample()
    harness.do(Start(replace(interrupted(), written=Time(harness.wall)), LAST_NUMBER))
    harness.observe()
    harness.run(5.0)
    assert harness.codes() == 'TF(PowerLoss) SF Enabled Error(Other)'
    harness.report()
    assert harness.run(5.0).codes().endswith('AllErrorsCleared SS(EVConnected) TS PC CS')


# --- what is in force -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('commands', 'events'),
    [
        ((), 'Enabled'),
        ((Disable(),), 'Disabled'),
        ((Disable(), Enable()), 'Enabled'),
        ((SetFaulted(),), 'PermanentFault'),
        ((SetFaulted(), ClearFault()), 'Enabled'),
        ((Reserve(9),), 'Enabled ReservationStart'),
        ((token(), WithdrawAuthorization()), 'Enabled'),
        ((token(),), 'SF Enabled'),
    ],
)
def test_availability_and_reservation_survive(commands: tuple[Command, ...], events: str) -> None:
    assert restart(after(*commands), ev='A').codes() == events


def test_a_disabled_connector_stays_so_with_a_car_that_was_charging() -> None:
    memory = replace(interrupted(), enabled=False)
    harness = restart(memory, CONTINUES).run(10.0)
    assert harness.codes() == 'TF(PowerLoss) SF Disabled'
    assert harness.outputs.pilot_mode is PilotMode.F


def test_external_limits_survive() -> None:
    harness = restart(after(external(entry(11.0))), ev='A')
    assert harness.status.limit_a == 11.0
    assert harness.charging().signalled == 11.0


@pytest.mark.parametrize('found', ['open', 'closed', 'lost'])
def test_a_weld_survives_until_it_is_cleared_with_the_contactor_seen_open(found: str) -> None:
    before = KernelHarness().charging()
    before.welded = True
    before.pilot('A').run(3.0)
    assert before.codes().endswith('Error(Relais) CF TF(EVDisconnected) SF')
    harness = restart(remembered(before), ev='A')
    assert harness.codes() == 'Enabled Error(Relais)'
    assert harness.outputs.pilot_mode is PilotMode.F
    if found == 'open':
        harness.plug().run(5.0)
        assert harness.codes() == 'Enabled Error(Relais)', 'no session'
        assert harness.lock is not LockState.LOCKED
        assert harness.command(ClearFault()).success
        assert harness.run(1.0).codes() == 'Enabled Error(Relais) AllErrorsCleared SS(EVConnected) AR'
        return
    mend: Callable[[], object] = harness.find_board
    if found == 'closed':
        harness.contactor, harness.welded = harness.contactor.CLOSED, True
        harness.observe()
        mend = harness.observe
    else:
        harness.lose_board()
    assert not harness.command(ClearFault()).success
    assert remembered(harness).welded
    harness.welded = False
    mend()
    harness.run(1.0)
    assert harness.command(ClearFault()).success
    assert not remembered(harness).welded


def test_a_memory_without_anything_is_a_first_start() -> None:
    harness = booting()
    harness.do(Start(PersistedState(), 0))
    harness.observe()
    assert harness.codes() == 'Enabled'
    assert remembered(harness) == PersistedState(written=Time(harness.wall))
