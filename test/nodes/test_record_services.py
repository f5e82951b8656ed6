"""The session records over the graph, and which board's records a manager keeps."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evse_manager.interface import endpoints
from evse_manager.interface.record_requests import RecordPage
from evse_manager.interface.types import SessionRecord
from evse_manager.msg import ExternalLimits, LimitsReq, ScheduleReqEntry
from evse_manager.nodes.conversions import records_from_response
from evse_manager.store.history import HistoryFile
from harness import Connector, Probe, Site, running
from store.ledger import rows
from store.sample_records import session, sessions
from typed import LINES, parse

pytestmark = pytest.mark.timeout(120)

NAMESPACE = '/evse_1'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running(tmp_path) as site:
        yield site


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """What the parameter session_store names."""
    return tmp_path / 'records' / 'evse_1.sqlite3'


@pytest.fixture
def toys(store: Path) -> Path:
    return store.with_name('evse_1-simulated.sqlite3')


def asked(connector: Connector, name: str, **fields: object) -> RecordPage:
    answer = connector.call(name, **fields)
    assert answer.success, answer.message
    assert answer.message == ''
    return records_from_response(answer)


def whole(connector: Connector, uuid: str) -> SessionRecord:
    """Return a session with all its pages joined."""
    joined, page = None, ''
    while True:
        answer = asked(connector, 'records/get', uuid=uuid, page=page)
        (part,) = answer.records
        joined = (
            part
            if joined is None
            else replace(
                joined,
                events=joined.events + part.events,
                errors=joined.errors + part.errors,
                samples=joined.samples + part.samples,
            )
        )
        page = answer.next_page
        if not page:
            return joined


def test_a_session_is_there_while_it_runs_and_when_it_is_over(
    probe: Probe, site: Site, store: Path, toys: Path
) -> None:
    site.board(NAMESPACE)
    connector = Connector(probe, NAMESPACE)
    site.manager(NAMESPACE, session_store=store)
    connector.sees('Enabled')
    assert asked(connector, 'records/list').records == ()
    connector.charge()
    (running_one,) = asked(connector, 'records/list').records
    assert running_one.connector == NAMESPACE
    assert running_one.simulated
    assert running_one.transaction_started is not None
    assert (running_one.finished, running_one.energy_wh) == (None, None)
    assert running_one.token == '*****'
    connector.accepted('pause_charging')
    connector.sees('PEVSE')
    connector.call('simulation/unplug')
    events = connector.sees('SC CF TF SF')

    def in_the_file_of_all() -> bool:
        history = store.with_name('all-connectors-simulated.sqlite3')
        return (
            history.exists()
            and bool(rows(history, 'SELECT name FROM sqlite_master'))
            and bool(rows(history, 'SELECT 1 FROM sessions'))
        )

    probe.wait(in_the_file_of_all, 'the session is copied')
    (record,) = asked(connector, 'records/list', token='token', show_tokens=True).records
    finished = events[2].transaction_finished[0]
    assert record.uuid == running_one.uuid
    assert record.token == 'TOKEN'
    assert record.energy_wh == finished.energy_wh
    assert record.meter_stop_wh == finished.meter_value.energy_wh_import.total
    everything = whole(connector, record.uuid[:8])
    assert [each.sequence_number for each in everything.events] == [
        each.sequence_number for each in connector.all_events if each.uuid == record.uuid
    ]
    reasons = [each.reason.name for each in everything.samples]
    assert {'WAITING_FOR_AUTHORIZATION', 'CHARGING', 'PAUSED_BY_USER'} <= set(reasons)
    assert any(each.contactor.name == 'CLOSED' for each in everything.samples)
    assert any(each.energy_wh is not None for each in everything.samples)
    assert 'there is no session' in connector.refused('records/get', uuid='00000000')
    assert not store.exists(), 'a toy session leaves the file of the real charger alone'
    assert rows(toys, 'SELECT count(*) FROM sessions') == [(1,)]


def test_pages_of_all_connectors_as_typed(probe: Probe, site: Site, store: Path) -> None:
    """The lines of docs/interface.md, on the records of a host with several connectors."""
    store.parent.mkdir()
    history = HistoryFile(store.with_name('all-connectors.sqlite3'))
    known = [*sessions(50), replace(session(99), uuid='0f8fad5b-d9cb-469f-a165-70867728950e')]
    history.add(known)
    history.close()
    connector = Connector(probe, NAMESPACE)
    site.manager(NAMESPACE, session_store=store)
    connector.sees('Enabled')
    typed = {each.path: each for each in (parse(line) for line in LINES if '/records/' in line)}
    assert len(typed) == len(endpoints.RECORD_SERVICES)
    found: list[str] = []
    page = ''
    while True:
        path, kind, request = typed[f'{NAMESPACE}/records/list']
        request.page = page
        client = probe.client(kind, path)
        future = client.call_async(request)
        answer = probe.wait(lambda: future.result() if future.done() else None, 'a page')  # noqa: B023
        assert answer.success, answer.message
        found += [record.uuid for record in answer.records]
        page = answer.next_page
        if not page:
            break
    assert sorted(found) == sorted(record.uuid for record in known)
    path, kind, request = typed[f'{NAMESPACE}/records/get']
    future = probe.client(kind, path).call_async(request)
    answer = probe.wait(lambda: future.result() if future.done() else None, 'the session')
    assert [record.uuid for record in answer.record] == [known[-1].uuid]
    assert asked(connector, 'records/list').records != (), 'its own alone, when no connector is named'
    assert {each.connector for each in asked(connector, 'records/list').records} == {NAMESPACE}


def test_without_records_a_request_is_refused(probe: Probe, site: Site) -> None:
    connector = Connector(probe, NAMESPACE)
    site.manager(NAMESPACE)
    connector.sees('Enabled')
    assert 'keeps no session records' in connector.refused('records/list')


def test_what_is_tried_out_with_a_simulated_board_leaves_the_real_charger_alone(
    probe: Probe, site: Site, store: Path, toys: Path
) -> None:
    connector = Connector(probe, NAMESPACE)
    manager = site.manager(NAMESPACE, session_store=store)
    connector.sees('Enabled')  # no board yet: the records of the real one
    limit = ScheduleReqEntry(limits_to_root=LimitsReq(ac_max_current_a=7.0))
    connector.accepted('set_external_limits', value=ExternalLimits(schedule_import=[limit]))
    limits = 'SELECT external_limits FROM connector'
    probe.wait(lambda: '7.0' in rows(store, limits)[0][0], 'it is recorded')
    last = connector.all_events[-1].sequence_number

    site.board(NAMESPACE)
    probe.wait(lambda: 'Enabled' in connector.codes, 'the manager begins again')
    connector.reaches(lambda status: status.state == status.STATE_IDLE, 'the simulated board is led')
    assert 'The board is a simulated one now' in manager.output
    connector.forget()
    connector.charge()
    assert connector.status.limit_a > 7.0, 'the limit is that of the real charger'
    connector.accepted('set_external_limits', value=ExternalLimits(schedule_import=[limit]))
    connector.reaches(lambda status: status.limit_a == 7.0, 'limited')
    connector.accepted('set_external_limits')
    numbers = [each.sequence_number for each in connector.all_events]
    assert numbers == sorted(set(numbers)), 'readers know events by their numbers'
    assert numbers[-1] > last
    connector.call('simulation/unplug')
    connector.sees('SC CF TF SF')
    probe.wait(lambda: rows(toys, 'SELECT count(*) FROM sessions') == [(1,)], 'recorded among the toys')
    assert rows(store, 'SELECT count(*) FROM sessions') == [(0,)]
    assert '7.0' in rows(store, limits)[0][0], 'the real limit stays'


def test_a_long_page_delays_no_command(probe: Probe, site: Site, store: Path) -> None:
    store.parent.mkdir()
    history = HistoryFile(store.with_name('all-connectors-simulated.sqlite3'))
    history.add([replace(each, connector=NAMESPACE) for each in sessions(400)])
    history.add([session(5, hours=30.0)])
    history.close()
    site.board(NAMESPACE)
    connector = Connector(probe, NAMESPACE)
    site.manager(NAMESPACE, session_store=store)
    connector.sees('Enabled')
    kind = endpoints.LIST_RECORDS.type
    client = probe.client(kind, f'{NAMESPACE}/records/list')
    pages = [client.call_async(endpoints.load(kind).Request(page_size=100)) for _ in range(10)]
    begun = time.monotonic()
    connector.call('get_id')
    assert time.monotonic() - begun < 1.0
    probe.wait(lambda: all(page.done() for page in pages), 'the pages')
    assert {len(page.result().records) for page in pages} == {100}
