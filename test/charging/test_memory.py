"""What outlives the process, and what becomes of it at boot (charging.md 6, golden sequences 1 and 25)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from charging.desk import EPOCH, SECOND, Desk, entry, external, remote_stop, token
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
from evse_manager.charging.persisted_state import Memory
from evse_manager.interface.enums import BoardErrorEnum, LockState, PilotMode, StatusReason
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import Time

CONTINUES = Config(after_power_loss='continue', continue_within_s=600.0, restart_delay_max_s=0.0)
LAST_NUMBER = 100


def remembered(desk: Desk) -> Memory:
    """Return what the keeper of the memory has when the process is killed now."""
    memory = next(output.memory for _, _, output in reversed(desk.tape) if output.memory is not None)
    return replace(memory, written=Time(desk.wall))


def interrupted() -> Memory:
    """Return the memory of a process that was killed while charging."""
    return remembered(Desk().charging())


def restart(memory: Memory, config: Config | None = None, *, ev: str = 'C', outage_s: float = 30.0) -> Desk:
    """Boot another process with a memory, so long after it was last true."""
    assert memory.written is not None
    desk = booting(config)
    desk.wall_offset = memory.written + round(outage_s * SECOND) - (EPOCH + round(desk.t * SECOND))
    desk.ev = ev
    desk.sample()
    desk.do(Start(memory, LAST_NUMBER))
    desk.observe()
    desk.run(1.0)
    return desk


def booting(config: Config | None = None) -> Desk:
    """Return a desk before its start, without the witness, who knows nothing of a former process."""
    desk = Desk(config, boot=False)
    del desk.kernel.step
    return desk


def after(*commands: Command) -> Memory:
    """Return the memory of an idle process that was killed after some commands."""
    desk = Desk()
    for command in commands:
        assert desk.command(command).success
    return remembered(desk)


# --- while it runs ----------------------------------------------------------------------------------


def test_the_meter_value_of_an_open_transaction_is_remembered_every_30_s() -> None:
    desk = Desk().charging()
    begun = len(desk.tape)
    for second in range(95):
        desk.energy_wh = 5000.0 + second
        desk.run(1.0)
    kept = [
        output.memory.session.transaction.meter_value.energy_wh_import.total
        for _, _, output in desk.tape[begun:]
        if output.memory is not None and output.memory.session and output.memory.session.transaction
    ]
    assert len(kept) == 3
    assert kept[1] - kept[0] == kept[2] - kept[1] == 30.0


def test_nothing_is_worth_a_record_while_nothing_changes() -> None:
    desk = Desk().charging()
    begun = len(desk.tape)
    desk.run(20.0)
    assert all(output.memory is None for _, _, output in desk.tape[begun:])


def test_a_finished_transaction_is_not_remembered_as_open() -> None:
    desk = Desk().charging()
    assert desk.command(remote_stop()).success
    desk.pilot('B').run(3.0)
    session = remembered(desk).session
    assert session is not None
    assert session.transaction is None
    assert restart(remembered(desk)).codes() == 'SF Enabled SS(EVConnected) AR'


# --- sequence 25 --------------------------------------------------------------------------------------


def test_what_was_open_is_closed_under_its_old_name_before_anything_else() -> None:
    memory = interrupted()
    desk = restart(memory)
    assert desk.codes() == 'TF(PowerLoss) SF Enabled SS(EVConnected) AR'
    events = [event for _, event in desk.events]
    assert [event.sequence_number for event in events] == [LAST_NUMBER + n for n in range(1, 6)]
    assert memory.session is not None
    assert {event.uuid for event in events[:2]} == {memory.session.uuid}
    assert events[2].uuid == ''


def test_nobody_is_plugged_any_more() -> None:
    assert restart(interrupted(), CONTINUES, ev='A').codes() == 'TF(PowerLoss) SF Enabled'


@pytest.mark.parametrize(('now_wh', 'expected_wh'), [(5600.0, 5600.0), (100.0, 5300.0), (None, 5300.0)])
def test_the_best_meter_value_that_is_known_closes_it(now_wh: float | None, expected_wh: float) -> None:
    """The meter went on, or was reset, or says nothing: energy never runs backwards."""
    before = Desk().charging()
    for second in range(61):
        before.energy_wh = 5000.0 + 5.0 * second
        before.run(1.0)
    before.run(31.0)
    desk = booting()
    desk.metered, desk.energy_wh = now_wh is not None, now_wh
    desk.do(Start(remembered(before), LAST_NUMBER))
    desk.observe()
    desk.run(3.0)
    finished = desk.events[0][1].transaction_finished
    assert finished is not None
    assert finished.meter_value.energy_wh_import.total == expected_wh


# --- after_power_loss: continue -----------------------------------------------------------------------


def test_continue_begins_a_new_session_with_the_stored_token() -> None:
    desk = restart(interrupted(), CONTINUES).run(5.0)
    assert desk.codes() == 'TF(PowerLoss) SF Enabled SS(EVConnected) TS PC CS'
    started = next(e.transaction_started for _, e in desk.events if e.transaction_started is not None)
    assert started.id_tag == token().provided_token


@pytest.mark.parametrize('outage_s', [600.5, 86_400.0, -3600.0], ids=['too long', 'a day', 'clock set back'])
def test_after_too_long_an_outage_a_token_is_asked_for(outage_s: float) -> None:
    desk = restart(interrupted(), CONTINUES, outage_s=outage_s).run(5.0)
    assert desk.codes() == 'TF(PowerLoss) SF Enabled SS(EVConnected) AR'


def test_an_outage_of_just_so_long_is_continued() -> None:
    assert restart(interrupted(), CONTINUES, outage_s=600.0).codes().endswith('TS PC')


def test_continue_waits_a_random_time_for_the_sake_of_the_fuse() -> None:
    desk = booting(replace(CONTINUES, restart_delay_max_s=40.0))
    desk.kernel._connector.random = lambda: 0.5
    desk.ev = 'C'
    desk.sample()
    memory = interrupted()
    desk.do(Start(replace(memory, written=Time(desk.wall)), LAST_NUMBER))
    desk.observe()
    desk.run(15.0)
    assert desk.status.reason is StatusReason.RESTART_DELAY
    assert desk.outputs.pilot_mode is PilotMode.X1
    assert 4.0 <= desk.until(lambda: desk.flows) <= 6.0


def test_a_session_without_a_transaction_is_not_continued() -> None:
    memory = remembered(Desk().plug())
    assert restart(memory, CONTINUES, ev='B').codes() == 'SF Enabled SS(EVConnected) AR'


def test_a_continued_transaction_waits_for_the_end_of_an_error() -> None:
    desk = booting(CONTINUES)
    desk.ev, desk.errors = 'C', (BoardErrorEnum.ENCLOSURE_OPEN,)
    desk.sample()
    desk.do(Start(replace(interrupted(), written=Time(desk.wall)), LAST_NUMBER))
    desk.observe()
    desk.run(5.0)
    assert desk.codes() == 'TF(PowerLoss) SF Enabled Error(Other)'
    desk.report()
    assert desk.run(5.0).codes().endswith('AllErrorsCleared SS(EVConnected) TS PC CS')


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
    desk = restart(memory, CONTINUES).run(10.0)
    assert desk.codes() == 'TF(PowerLoss) SF Disabled'
    assert desk.outputs.pilot_mode is PilotMode.F


def test_external_limits_survive() -> None:
    desk = restart(after(external(entry(11.0))), ev='A')
    assert desk.status.limit_a == 11.0
    assert desk.charging().signalled == 11.0


@pytest.mark.parametrize('found', ['open', 'closed', 'lost'])
def test_a_weld_survives_until_it_is_cleared_with_the_contactor_seen_open(found: str) -> None:
    before = Desk().charging()
    before.welded = True
    before.pilot('A').run(3.0)
    assert before.codes().endswith('Error(Relais) CF TF(EVDisconnected) SF')
    desk = restart(remembered(before), ev='A')
    assert desk.codes() == 'Enabled Error(Relais)'
    assert desk.outputs.pilot_mode is PilotMode.F
    if found == 'open':
        desk.plug().run(5.0)
        assert desk.codes() == 'Enabled Error(Relais)', 'no session'
        assert desk.lock is not LockState.LOCKED
        assert desk.command(ClearFault()).success
        assert desk.run(1.0).codes() == 'Enabled Error(Relais) AllErrorsCleared SS(EVConnected) AR'
        return
    mend: Callable[[], object] = desk.find_board
    if found == 'closed':
        desk.contactor, desk.welded = desk.contactor.CLOSED, True
        desk.observe()
        mend = desk.observe
    else:
        desk.lose_board()
    assert not desk.command(ClearFault()).success
    assert remembered(desk).welded
    desk.welded = False
    mend()
    desk.run(1.0)
    assert desk.command(ClearFault()).success
    assert not remembered(desk).welded


def test_a_memory_without_anything_is_a_first_start() -> None:
    desk = booting()
    desk.do(Start(Memory(), 0))
    desk.observe()
    assert desk.codes() == 'Enabled'
    assert remembered(desk) == Memory(written=Time(desk.wall))
