"""
A depot whose processes find each other by a discovery server, which dies and comes back.

The probe of these tests has the variables that the depot names; other processes do not see the site.
"""

import math
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from depot.depot_process import START_S, Depot, is_running, running_depot, wait_until_gone
from evse_manager.depot.discovery_server import RETURNS_AFTER_S, ServerAddress
from evse_manager.energy.ledger import OUTLIVES_VALIDITY_S, VALIDITY_S
from evse_manager.msg import EvseStatus
from fenced import commands
from harness import Connector, Probe, listening, shared_memory_of
from shell import Shell

# After one with a server the other participants of a process find no node: it needs a process of its own.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]

NAMES = ('evse_1', 'evse_2')
FUSE_A = 32.0
TEXT = f"""\
site: {{name: served, namespace: /served}}
grid: {{limit_a: {FUSE_A}, children: [evse_1, evse_2]}}
defaults: {{parameters: {{session_store: "", disable_authentication: true}}}}
connectors: {{evse_1: {{}}, evse_2: {{}}}}
"""

RECOVERY_S = 90.0
"""Start of a worker, discovery by the server, one validity of a grant, 5 s for changes that cars follow."""


@pytest.fixture(scope='module')
def address() -> ServerAddress:
    """An address that nothing listens at."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(('127.0.0.1', 0))
        return ServerAddress(*free.getsockname())


@pytest.fixture(scope='module')
def client(domain: int, address: ServerAddress) -> Iterator[Probe]:
    """A probe that uses the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DISCOVERY_SERVER', str(address))
        patch.setenv('ROS_SUPER_CLIENT', 'TRUE')
        probe = Probe('client')
    yield probe
    probe.close()


def finds_all(probe: Probe) -> None:
    """Wait until the probe finds the nodes of every connector."""
    wanted = {f'/served/{name}/{kind}' for name in NAMES for kind in ('evse_manager', 'board_support')}

    def missing() -> set[str]:
        nodes = probe.node.get_node_names_and_namespaces()
        return wanted - {f'{namespace}/{name}' for name, namespace in nodes}

    probe.wait(lambda: not missing(), lambda: f'{missing()} on the graph', RECOVERY_S)


class Served:
    """The depot, with two cars that charge."""

    def __init__(self, depot: Depot, client: Probe) -> None:
        self.depot, self.client = depot, client
        self.connectors = [depot.connector(name) for name in NAMES]

    def charges(self, for_s: float = 0.0) -> None:
        """
        Wait until every car has its share, and had it for a while, by statuses that come from now on.

        A simulated board that was killed has forgotten its car.
        """
        begun, since = time.time(), math.inf

        def all_charge() -> bool:
            nonlocal since
            for each in self.connectors:
                if each.status.state == EvseStatus.STATE_IDLE:
                    each.call('simulation/plug_in')
            charging = all(
                status.stamp.sec > begun
                and status.state == EvseStatus.STATE_CHARGING
                and status.signalled_current_a == pytest.approx(FUSE_A / 2)
                for status in (each.status for each in self.connectors)
            )
            since = min(since, time.monotonic()) if charging else math.inf
            return time.monotonic() - since >= for_s

        self.client.wait(all_charge, self.why, RECOVERY_S)

    def why(self) -> str:
        return f'{[each.why for each in self.connectors]}; {self.depot.process.output[-3000:]}'

    def kill_server(self) -> int:
        """Kill the server, and return the process that it was."""
        pid = self.depot.discovery_server()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until_gone([pid], 5.0)
        return pid

    def server_returns(self, before: int) -> int:
        pid = self.client.wait(self.depot.discovery_server, self.why, 2 * RETURNS_AFTER_S)
        assert pid != before
        return int(pid)


@pytest.fixture(scope='module')
def served(
    client: Probe, address: ServerAddress, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp('served')
    with running_depot(folder, TEXT, client, '--discovery-server', str(address)) as depot:
        served = Served(depot, client)
        served.charges()
        yield served


def test_the_server_listens_on_the_loopback_interface_alone(served: Served, address: ServerAddress) -> None:
    pid = served.depot.discovery_server()
    assert pid is not None
    assert listening(pid) == {'0100007F'}
    assert shared_memory_of(pid) == []
    for worker in served.depot.workers():
        assert listening(worker) == {'0100007F'}
    assert f'ROS_DISCOVERY_SERVER={address} ROS_SUPER_CLIENT=TRUE' in served.depot.process.output


def test_only_its_clients_see_the_site(served: Served, probe: Probe) -> None:
    finds_all(served.client)
    probe.spin(1.0)
    namespaces = {space for _, space in probe.node.get_node_names_and_namespaces()}
    assert not any(space.startswith('/served') for space in namespaces)


def test_a_terminal_with_the_variables_of_the_page_sees_every_connector(
    served: Served, address: ServerAddress, tmp_path: Path
) -> None:
    exports = [command for command in commands('docs/depot.md') if command.startswith('export ')]
    (line,) = (each.replace(str(ServerAddress()), str(address)) for each in exports)
    shell = Shell(tmp_path)
    try:
        shell.type(line)
        said = shell.type('evse list')
    finally:
        shell.close()
    for name in NAMES:
        assert f'/served/{name}' in said


def test_cars_go_on_charging_while_a_killed_server_is_away_and_after_it_is_back(served: Served) -> None:
    served.charges()
    cycles = [each.status.contactor_cycles for each in served.connectors]
    seen = [each.listen('status') for each in served.connectors]
    served.client.wait(lambda: all(seen), 'both report')
    before = served.kill_server()
    served.depot.says('discovery server has ended with signal SIGKILL; it is started again in')
    served.server_returns(before)
    end = time.monotonic() + 3 * RETURNS_AFTER_S
    for messages in seen:
        messages.clear()
    served.client.wait(lambda: time.monotonic() > end, 'the time is over', 4 * RETURNS_AFTER_S)
    for messages in seen:
        assert len(messages) > 10, 'it reports at least once a second'
        assert all(status.state == EvseStatus.STATE_CHARGING for status in messages)
        assert all(status.signalled_current_a == pytest.approx(FUSE_A / 2) for status in messages)
    assert [each.status.contactor_cycles for each in served.connectors] == cycles


@pytest.mark.parametrize('victim', ['boards', 'managers', 'energy_manager'])
def test_a_worker_that_dies_with_the_server_recovers_by_itself(served: Served, victim: str) -> None:
    served.charges()
    worker, server = served.depot.worker(victim), served.depot.discovery_server()
    assert server is not None
    os.kill(server, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    wait_until_gone([server, worker], 5.0)
    served.server_returns(server)
    # What the dead energy manager had granted is over by then.
    served.charges(for_s=VALIDITY_S + OUTLIVES_VALIDITY_S)
    assert served.depot.worker(victim) != worker


def test_who_starts_after_the_server_has_returned_finds_all(
    served: Served, address: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.charges()
    served.server_returns(served.kill_server())
    monkeypatch.setenv('ROS_DISCOVERY_SERVER', str(address))
    monkeypatch.setenv('ROS_SUPER_CLIENT', 'TRUE')
    late = Probe('late')
    try:
        finds_all(late)
        status = Connector(late, '/served/evse_2').status
        assert status.state == EvseStatus.STATE_CHARGING
    finally:
        late.close()


def test_the_server_ends_with_the_depot(client: Probe, address: ServerAddress, served: Served) -> None:
    server = served.depot.discovery_server()
    workers = served.depot.workers()
    assert server is not None
    served.depot.process.signal(signal.SIGTERM)
    assert served.depot.process.wait(12.0) == 0
    assert not any(map(is_running, [server, *workers]))
    assert not list((served.depot.file.parent / 'ros').rglob('*.xml'))


def test_the_server_ends_with_a_killed_depot(
    client: Probe, address: ServerAddress, served: Served, tmp_path: Path
) -> None:
    with running_depot(tmp_path, TEXT, client, '--discovery-server', str(address)) as depot:
        server = client.wait(depot.discovery_server, 'the server runs', START_S)
        workers = depot.workers()
        os.kill(depot.process.pid, signal.SIGKILL)
        wait_until_gone([server, *workers], 12.0)


REFUSED = {
    'no address': (
        'localhost',
        {},
        "'localhost' is no address of a discovery server; write ADDRESS:PORT, such",
    ),
    'another server': (
        '127.0.0.1',
        {'ROS_DISCOVERY_SERVER': '127.0.0.1:5'},
        'names a discovery server already',
    ),
    'network': (
        '192.0.2.1:11811',
        {},
        'is reached over the network, but ROS_AUTOMATIC_DISCOVERY_RANGE is LOCAL',
    ),
}
"""The argument, the environment, and what the answer says."""


@pytest.mark.parametrize('case', REFUSED)
def test_a_server_that_cannot_be_is_refused_in_one_sentence(
    domain: int, probe: Probe, tmp_path: Path, case: str
) -> None:
    argument, environment, text = REFUSED[case]
    depot = Depot(tmp_path, TEXT, probe, '--discovery-server', argument, **environment)
    try:
        assert depot.process.wait(START_S) == 2
        assert text in depot.process.output
        assert len(depot.process.output.strip().splitlines()) == 1
    finally:
        depot.process.stop()


def test_a_server_whose_port_is_taken_is_tried_again(client: Probe, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(('127.0.0.1', 0))
        place = ServerAddress(*taken.getsockname())
        with running_depot(tmp_path, TEXT, client, '--discovery-server', str(place)) as depot:
            client.wait(
                lambda: re.search(r'discovery server has ended with .*; it is started', depot.process.output),
                lambda: depot.process.output,
                START_S,
            )
