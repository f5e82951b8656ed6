"""A depot of real processes: hosting, supervision, reload, and what one connector does to the others."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from depot.depot_process import START_S, Depot, is_running, running_depot, site_text, wait_until_gone
from evse_manager.msg import EvseStatus
from harness import Connector, Probe, Process

pytestmark = pytest.mark.timeout(180)

IDLE = EvseStatus.STATE_IDLE


def is_idle(connector: Connector, limit: float = START_S) -> None:
    connector.reaches(lambda status: status.state == IDLE, 'idle', limit)


@pytest.fixture(scope='module')
def depot(domain: int, tmp_path_factory: pytest.TempPathFactory, probe: Probe) -> Iterator[Depot]:
    """A depot of three connectors that the tests of this file share."""
    folder = tmp_path_factory.mktemp('depot')
    text = site_text('/hosted', evse_1={}, evse_2={'phases': ['L2']}, evse_3={'max_current_a': 16.0})
    with running_depot(folder, text, probe) as depot:
        for name in ('evse_1', 'evse_2', 'evse_3'):
            is_idle(depot.connector(name))
        yield depot


def test_a_hosted_connector_looks_like_a_single_one(depot: Depot, probe: Probe) -> None:
    expected = {
        (kind, f'/hosted/{name}')
        for name in ('evse_1', 'evse_2', 'evse_3')
        for kind in ('evse_manager', 'board_support')
    }
    probe.wait(
        lambda: expected <= set(probe.node.get_node_names_and_namespaces()),
        lambda: f'the graph lacks {expected - set(probe.node.get_node_names_and_namespaces())}',
    )
    assert depot.connector('evse_3').call('get_id').connector_id == 3
    get = probe.call(
        'rcl_interfaces/srv/GetParameters',
        '/hosted/evse_3/evse_manager/get_parameters',
        names=['max_current_import_a', 'energy_source'],
    )
    assert [get.values[0].double_value, get.values[1].string_value] == [16.0, 'manager']


def test_managers_and_boards_are_in_different_processes(depot: Depot) -> None:
    kinds = list(depot.workers().values())
    assert kinds.count('managers') == 1
    assert kinds.count('boards') == 1


def test_a_killed_board_worker_is_started_again_and_its_connectors_recover(depot: Depot) -> None:
    pid = depot.worker('boards')
    connector = depot.connector('evse_1')
    os.kill(pid, signal.SIGKILL)
    connector.reaches(lambda status: status.reason == EvseStatus.REASON_BOARD_LOST, 'the board is lost', 3.0)
    for name in ('evse_1', 'evse_2', 'evse_3'):
        is_idle(depot.connector(name))
    assert depot.worker('boards') != pid
    assert re.search(r'boards 1 has ended with signal SIGKILL; it is started again in', depot.process.output)


def test_a_killed_manager_worker_is_started_again(depot: Depot, probe: Probe) -> None:
    pid = depot.worker('managers')
    connector = depot.connector('evse_2')
    connector.forget()
    os.kill(pid, signal.SIGKILL)
    connector.sees('Enabled', START_S)
    is_idle(connector)
    assert depot.worker('managers') != pid


def test_a_worker_that_hangs_is_killed_and_started_again(depot: Depot) -> None:
    pid = depot.worker('boards')
    os.kill(pid, signal.SIGSTOP)
    depot.says(f'(process {pid}) does not answer; it is killed.')
    is_idle(depot.connector('evse_1'))
    assert depot.worker('boards') != pid


def test_reload_touches_nothing_but_what_has_changed(domain: int, tmp_path: Path, probe: Probe) -> None:
    text = site_text('/reloaded', evse_1={}, evse_2={}, evse_3={})
    with running_depot(tmp_path, text, probe) as depot:
        untouched, changed, removed = (depot.connector(f'evse_{number}') for number in (1, 2, 3))
        for connector in (untouched, changed, removed):
            connector.sees('Enabled', START_S)
            is_idle(connector)
        untouched.accepted('simulation/plug_in')
        untouched.sees('SS AR')
        workers = depot.workers()

        depot.reload('site: {name: reloaded, namespace: /reloaded}\ngrid: {limit_a: -3}')
        depot.says('the site stays as it is')
        assert 'limit_a is -3' in depot.process.output

        depot.reload(site_text('/reloaded', evse_1={}, evse_2={'max_current_a': 10.0}, evse_4={}))
        changed.sees('Enabled', START_S)
        is_idle(changed)
        is_idle(depot.connector('evse_4'))

        def namespaces() -> set[str]:
            return {namespace for _, namespace in probe.node.get_node_names_and_namespaces()}

        probe.wait(
            lambda: '/reloaded/evse_3' not in namespaces(), lambda: f'evse_3 gone; {namespaces()}', 30.0
        )
        assert '/reloaded/evse_4' in namespaces()
        assert depot.workers() == workers
        untouched.sees_nothing()
        assert untouched.status.session_uuid
        assert 'Traceback' not in depot.process.output, depot.process.output


def test_a_depot_that_ends_leaves_no_process(domain: int, tmp_path: Path, probe: Probe) -> None:
    with running_depot(tmp_path, site_text('/ended', evse_1={}, evse_2={}), probe) as depot:
        is_idle(depot.connector('evse_2'))
        workers = depot.workers()
        assert workers
        depot.process.signal(signal.SIGTERM)
        assert depot.process.wait(12.0) == 0
        assert not any(map(is_running, workers))
        assert not list((tmp_path / 'ros').rglob('site_*.yaml'))


def test_a_killed_depot_leaves_no_process(domain: int, tmp_path: Path, probe: Probe) -> None:
    with running_depot(tmp_path, site_text('/killed', evse_1={}, evse_2={}), probe) as depot:
        connector = depot.connector('evse_2')
        is_idle(connector)
        workers = depot.workers()
        os.kill(depot.process.pid, signal.SIGKILL)
        wait_until_gone(workers, 10.0)


def test_a_connector_in_trouble_delays_no_other(domain: int, tmp_path: Path, probe: Probe) -> None:
    controller, silent_port = os.openpty()
    text = site_text(
        '/trouble',
        evse_1={},
        missing_port={'driver': 'yeti', 'port': '/dev/does_not_exist'},
        stuck_port={'driver': 'openevse', 'port': os.ttyname(silent_port)},
        full_disk={'parameters': {'session_store': '/dev/full/records.sqlite3'}},
    )
    try:
        with running_depot(tmp_path, text, probe) as depot:
            healthy = depot.connector('evse_1')
            is_idle(healthy)
            depot.connector('full_disk').reaches(lambda status: status.warnings, 'a warning', START_S)
            depot.connector('stuck_port').reaches(
                lambda status: (
                    status.reason == EvseStatus.REASON_BOARD_LOST or status.state == EvseStatus.STATE_STARTING
                ),
                'no board',
            )
            slowest = 0.0
            end = time.monotonic() + 4.0
            while time.monotonic() < end:
                began = time.monotonic()
                healthy.call('get_id')
                slowest = max(slowest, time.monotonic() - began)
                assert healthy.status.reason == EvseStatus.REASON_AVAILABLE
                probe.spin(0.05)
            assert slowest < 0.5
            assert depot.workers()
    finally:
        os.close(controller)
        os.close(silent_port)


def test_a_file_with_mistakes_starts_nothing(domain: int, tmp_path: Path, probe: Probe) -> None:
    text = site_text('/refused', evse_1={'driver': 'perpetuum_mobile'})
    depot = Depot(tmp_path, text, probe)
    try:
        assert depot.process.wait(START_S) == 2
        assert 'driver is perpetuum_mobile' in depot.process.output
    finally:
        depot.process.stop()


def test_a_second_depot_of_a_site_is_refused(depot: Depot, probe: Probe) -> None:
    workers = depot.workers()
    second = Process(
        'depot',
        str(depot.file),
        log=depot.file.with_name('second.log'),
        ROS_HOME=str(depot.file.parent / 'ros'),
    )
    try:
        assert second.wait(START_S) == 1
        assert 'another depot runs site hosted here' in second.output
    finally:
        second.stop()
    assert depot.workers() == workers


def test_a_machine_starts_only_what_is_its_own(domain: int, tmp_path: Path, probe: Probe) -> None:
    text = site_text('/machines', evse_1={}, evse_2={'host': 'shed'})
    with running_depot(tmp_path, text, probe, '--host', 'shed') as depot:
        is_idle(depot.connector('evse_2'))
        depot.says('1 connectors in 2 processes run')
        namespaces = {namespace for _, namespace in probe.node.get_node_names_and_namespaces()}
        assert '/machines/evse_1' not in namespaces
