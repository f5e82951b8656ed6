"""Real managers killed at work and started again: what was open is closed once, what was in force stays."""

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evse_manager.interface.enums import SessionEventEnum, StopTransactionReason
from evse_manager.msg import (
    ContactorState,
    EvseStatus,
    ExternalLimits,
    LimitsReq,
    ScheduleReqEntry,
    SessionEvent,
)
from harness import SHORT, Connector, Probe, Process, Site, running

pytestmark = pytest.mark.timeout(120)


@dataclass
class Bay:
    """A connector whose manager can be killed; its board goes on, as hardware does."""

    site: Site
    probe: Probe
    namespace: str
    file: Path
    board: Process
    manager: Process | None = None
    parameters: dict[str, Any] | None = None

    def start(self, **parameters: Any) -> Connector:
        """Start the manager, and listen to it alone."""
        self.parameters = {'session_store': str(self.setting), 'restart_delay_max_s': 0.0, **parameters}
        connector = Connector(self.probe, self.namespace, restarted=self.manager is not None)
        self.manager = self.site.manager(self.namespace, **self.parameters)
        return connector

    @property
    def setting(self) -> Path:
        """What the parameter names: with a simulated board the records are in the file beside it."""
        return self.file.with_name('bay.sqlite3')

    def kill(self, *, at_once: bool = False) -> None:
        """Kill the manager when its events are noted as published: those that are not are published again."""
        assert self.manager is not None
        told = 'SELECT delivered_sequence_number = last_sequence_number FROM connector'
        if not at_once:
            self.probe.wait(lambda: self.rows(told) == [(1,)], 'all events are noted as told')
        self.manager.signal(signal.SIGKILL)
        self.manager.wait()

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def bay(probe: Probe, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bay]:
    namespace = '/' + request.node.name.split('[')[0]
    with running(tmp_path) as site:
        yield Bay(
            site, probe, namespace, tmp_path / 'records' / 'bay-simulated.sqlite3', site.board(namespace)
        )


def seconds(stamp: Any) -> float:
    return float(stamp.sec + stamp.nanosec * 1e-9)


def transaction_finished(events: list[SessionEvent]) -> SessionEvent:
    return next(event for event in events if event.event == SessionEvent.TRANSACTION_FINISHED)


@pytest.mark.fault('P1', 'P3')
def test_sequence_25_closes_the_transaction_and_asks_for_a_token(bay: Bay) -> None:
    before = bay.start()
    before.sees('Enabled')
    before.charge()
    uuid = before.status.session_uuid
    last = before.all_events[-1].sequence_number
    bay.kill()

    after = bay.start()
    events = after.sees('TF SF Enabled SS AR')
    after.sees_nothing(1.0)
    finished = transaction_finished(events)
    assert [event.uuid == uuid for event in events] == [True, True, False, False, False]
    assert finished.transaction_finished[0].reason == StopTransactionReason.POWER_LOSS
    assert finished.transaction_finished[0].meter_value.energy_wh_import.total >= 0.0
    assert [event.sequence_number for event in events] == list(range(last + 1, last + 6))
    assert bay.rows('SELECT session_uuid, stop_reason FROM transactions') == [(uuid, 'POWER_LOSS')]

    after.authorize()
    after.sees('TS PC CS')  # nothing of before stands in the way
    assert len(bay.rows('SELECT 1 FROM transactions WHERE finished IS NULL')) == 1


@pytest.mark.fault('P3')
def test_continue_goes_on_with_the_stored_token(bay: Bay) -> None:
    before = bay.start(after_power_loss='continue')
    before.sees('Enabled')
    before.charge()
    old = before.status.session_uuid
    bay.kill()

    after = bay.start(after_power_loss='continue')
    events = after.sees('TF SF Enabled SS TS PC CS')
    assert transaction_finished(events).uuid == old
    started = next(event for event in events if event.event == SessionEvent.TRANSACTION_STARTED)
    assert started.uuid != old
    assert started.transaction_started[0].id_tag.id_token == 'TOKEN'
    assert bay.rows('SELECT token, stop_reason FROM transactions ORDER BY started') == [
        ('TOKEN', 'POWER_LOSS'),
        ('TOKEN', None),
    ]


def test_an_orderly_end_leaves_nothing_to_close(bay: Bay) -> None:
    before = bay.start()
    before.sees('Enabled')
    before.charge()
    assert bay.manager is not None
    bay.manager.signal(signal.SIGTERM)
    before.sees('SC CF TF SF')
    assert bay.manager.wait() == 0

    after = bay.start()
    after.sees('Enabled SS AR')
    assert bay.rows('SELECT stop_reason FROM transactions') == [('REBOOT',)]


@pytest.mark.fault('P4')
def test_disabled_stays_disabled(bay: Bay) -> None:
    before = bay.start()
    before.sees('Enabled')
    before.accepted('disable', connector_id=0)
    bay.kill(at_once=True)

    after = bay.start()
    after.sees('Disabled')
    bay.kill(at_once=True)
    bay.start().sees('Disabled')


def test_a_permanent_fault_stays(bay: Bay) -> None:
    before = bay.start()
    before.sees('Enabled')
    before.accepted('set_faulted')
    bay.kill()

    after = bay.start()
    after.sees('PermanentFault')
    after.accepted('clear_fault')
    after.sees('AllErrorsCleared Enabled')


@pytest.mark.fault('P6')
def test_a_reservation_is_kept(bay: Bay) -> None:
    before = bay.start()
    before.sees('Enabled')
    before.accepted('reserve', reservation_id=17)
    bay.kill()

    after = bay.start()
    after.sees('Enabled ReservationStart')
    assert list(after.status.reservation_id) == [17]
    after.charge()
    assert bay.rows('SELECT reservation_id, ended IS NOT NULL, session_uuid FROM reservations') == [
        (17, 1, after.status.session_uuid)
    ]


def test_external_limits_are_kept(bay: Bay) -> None:
    before = bay.start()
    before.sees('Enabled')
    entry = ScheduleReqEntry(limits_to_root=LimitsReq(ac_max_current_a=11.0))
    before.accepted('set_external_limits', value=ExternalLimits(schedule_import=[entry]))
    bay.kill()

    after = bay.start()
    after.sees('Enabled')
    after.reaches(lambda status: status.limit_a == 11.0, 'the limit of before is in force')
    (limits,) = bay.rows('SELECT limits FROM external_limits')
    (stored,) = json.loads(limits[0])['schedule_import']
    assert stored['limits_to_root'] == {'ac_max_current_a': 11.0}


def test_a_weld_is_remembered_until_somebody_clears_it(bay: Bay) -> None:
    before = bay.start()
    before.sees('Enabled')
    before.charge()
    before.accepted('simulation/inject_fault', fault='relay_weld')
    before.call('stop_transaction')
    before.sees('SC Error CF TF')
    bay.kill()
    before.accepted('simulation/clear_fault', fault='')

    after = bay.start()
    after.sees('SF Enabled Error')
    assert bay.rows('SELECT code, ended_by_restart FROM errors WHERE cleared IS NOT NULL') == [('RELAIS', 1)]
    after.accepted('clear_fault')
    after.sees('AllErrorsCleared SS AR')
    assert bay.rows('SELECT count(*) FROM errors WHERE cleared IS NULL') == [(0,)]


def test_every_event_told_is_recorded_with_its_number(bay: Bay) -> None:
    connector = bay.start()
    connector.sees('Enabled')
    connector.charge()
    connector.accepted('pause_charging')
    connector.sees('PEVSE')
    connector.call('simulation/unplug')
    connector.sees('SC CF TF SF')
    told = [(event.sequence_number, SHORT[SessionEventEnum(event.event)]) for event in connector.all_events]
    recorded = bay.rows('SELECT sequence_number, event FROM events ORDER BY sequence_number')
    assert [(number, SHORT[SessionEventEnum[name]]) for number, name in recorded] == told


def test_a_second_manager_on_the_same_file_keeps_no_records_and_says_so(bay: Bay) -> None:
    bay.start().sees('Enabled')
    other = bay.site.manager('/other', session_store=str(bay.setting))
    assert bay.manager is not None
    bay.probe.wait(lambda: 'No session records are kept' in other.output, lambda: other.output)
    assert f'process {bay.manager.pid}' in other.output


@pytest.mark.fault('P5')
def test_with_a_damaged_file_charging_goes_on_and_a_warning_says_so(bay: Bay) -> None:
    bay.file.parent.mkdir()
    bay.file.write_bytes(b'this is no database ' * 500)
    connector = bay.start()
    connector.sees('Enabled')
    connector.charge()
    status: EvseStatus = connector.status
    assert any('was damaged' in warning for warning in status.warnings)
    assert len(list(bay.file.parent.glob('*.bad-*'))) == 1
    assert len(bay.rows('SELECT 1 FROM transactions')) == 1


@pytest.mark.fault('P5', 'P14')
def test_where_nothing_can_be_written_charging_goes_on(bay: Bay) -> None:
    bay.file.parent.write_text('a file, where a folder should be')
    connector = bay.start()
    connector.sees('Enabled')
    connector.charge()
    assert any('can not be written' in warning for warning in connector.status.warnings)
    bay.file.parent.unlink()
    connector.reaches(lambda status: not status.warnings, 'the records are complete again')
    assert len(bay.rows('SELECT 1 FROM transactions')) == 1


@pytest.mark.fault('P14')
def test_a_disk_that_hangs_delays_no_power_and_events_by_a_second_at_most(bay: Bay) -> None:
    connector = bay.start()
    connector.sees('Enabled')
    connector.charge()
    states = connector.listen('board/state')
    bay.probe.wait(lambda: states and states[-1].contactor == ContactorState.CLOSED, 'closed')
    with closing(sqlite3.connect(bay.file, isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')  # whatever the manager writes now waits
        connector.accepted('simulation/inject_fault', fault='emergency_stop')
        (error,) = connector.sees('Error', 5.0)
        assert time.time_ns() * 1e-9 - seconds(error.stamp) < 1.2, 'told after a second'
        bay.probe.wait(lambda: states[-1].contactor == ContactorState.OPEN, 'open')
        opened = next(state for state in states if state.contactor == ContactorState.OPEN)
        assert seconds(opened.stamp) - seconds(error.stamp) < 0.3, 'power did not wait'
        connector.reaches(lambda status: status.warnings, 'a warning')
        begun = time.monotonic()
        connector.accepted('stop_transaction')
        connector.sees('SC CF TF')
        assert time.monotonic() - begun < 3.0, 'nor does anything else, from now on'
        other.execute('ROLLBACK')
    connector.reaches(lambda status: not status.warnings, 'the records are complete again')
    assert bay.rows('SELECT stop_reason FROM transactions') == [('OTHER',)]
    recorded = [number for (number,) in bay.rows('SELECT sequence_number FROM events ORDER BY 1')]
    assert recorded == [event.sequence_number for event in connector.all_events]


def test_auto_is_a_file_under_ros_home(bay: Bay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('ROS_HOME', str(tmp_path / 'home'))
    bay.start(session_store='auto').sees('Enabled')
    assert (tmp_path / 'home' / 'evse_manager' / f'{bay.namespace[1:]}-simulated.sqlite3').exists()
