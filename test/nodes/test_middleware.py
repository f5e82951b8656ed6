"""How the package configures Fast DDS: what the environment leads to, and what the processes then do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from evse_manager.interface.endpoints import Qos
from evse_manager.nodes.middleware import (
    LOOPBACK,
    LOOPBACK_PARTICIPANTS,
    NETWORK,
    QOS_FROM_PROFILE,
    RANGE,
    configure,
    profiles_variable,
)
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Site, listening, shared_memory_of

pytestmark = pytest.mark.timeout(120)

RESTARTS = int(os.environ.get('EVSE_MANAGER_KILLS', '4'))
"""``make endurance`` asks for more."""


@pytest.mark.parametrize(
    ('environment', 'profile', 'discovery_range'),
    [
        ({RANGE: 'LOCALHOST'}, LOOPBACK, 'SYSTEM_DEFAULT'),
        ({RANGE: 'localhost'}, LOOPBACK, 'SYSTEM_DEFAULT'),
        ({'ROS_LOCALHOST_ONLY': '1'}, LOOPBACK, 'SYSTEM_DEFAULT'),
        ({}, NETWORK, None),
        ({RANGE: 'SUBNET'}, NETWORK, 'SUBNET'),
        ({'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp'}, NETWORK, None),
    ],
)
def test_the_discovery_range_chooses_the_profile(
    environment: dict[str, str], profile: Path, discovery_range: str | None
) -> None:
    configure(environment)
    given = {name: value for name, value in environment.items() if 'PROFILES_FILE' in name}
    assert given == {profiles_variable(): str(profile)}
    assert environment[QOS_FROM_PROFILE] == '1'
    assert environment.get(RANGE) == discovery_range
    assert 'ROS_LOCALHOST_ONLY' not in environment
    again = dict(environment)
    configure(again)  # as a child does
    assert again == environment


@pytest.mark.parametrize(
    'chosen',
    [
        {RANGE: 'OFF'},
        {RANGE: 'LOCALHOST', 'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp'},
        {RANGE: 'LOCALHOST', 'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {RANGE: 'LOCALHOST', 'FASTDDS_BUILTIN_TRANSPORTS': 'SHM'},
        {RANGE: 'LOCALHOST', 'ROS_STATIC_PEERS': '192.0.2.1'},
        {RANGE: 'LOCALHOST', 'RMW_FASTRTPS_PUBLICATION_MODE': 'ASYNCHRONOUS'},
        {RANGE: 'LOCALHOST', QOS_FROM_PROFILE: '1'},
        {'ROS_DISCOVERY_SERVER': '127.0.0.1:11811'},
    ],
)
def test_what_the_user_chose_is_left_alone(chosen: dict[str, str]) -> None:
    environment = dict(chosen)
    configure(environment)
    assert environment == chosen


def test_the_profile_looks_at_as_many_processes_as_the_depot_counts_on() -> None:
    found = ElementTree.parse(LOOPBACK).getroot().findall('.//{*}maxInitialPeersRange')
    assert [int(element.text or '') for element in found] == [LOOPBACK_PARTICIPANTS]


ENDPOINTS = """
import os
from pathlib import Path
from evse_manager.nodes import middleware
middleware.configure(os.environ)
import rclpy
from evse_manager.interface import endpoints
from evse_manager.nodes.qos import profile

def resident_mb():
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6

rclpy.init()
node = rclpy.create_node('endpoints')
topics = [each for each in endpoints.TOPICS if not each.name.startswith('/')]
services = endpoints.SERVICES

def offer(namespace):
    for each in topics:
        kind, qos = endpoints.load(each.type), profile(each.qos)
        node.create_publisher(kind, f'/{namespace}/{each.name}', qos)
        node.create_subscription(kind, f'/{namespace}/{each.name}', print, qos)
    for each in services:
        node.create_service(endpoints.load(each.type), f'/{namespace}/{each.name}', print)

offer('first')
before = resident_mb()
for number in range(4):
    offer(f'connector_{number}')
print((resident_mb() - before) / 4)
os._exit(0)
"""


def test_endpoints_take_no_memory_for_the_longest_messages_of_their_types(domain: int) -> None:
    """A connector whose every endpoint is here took 32 MB when that was reserved, and takes 2.3 MB."""
    done = subprocess.run(
        [sys.executable, '-c', ENDPOINTS], capture_output=True, text=True, timeout=60.0, check=True
    )
    assert 0.0 < float(done.stdout) < 8.0


SEEK = """
import os, sys, time
from evse_manager.cli.graph import graph_of_process

graph = graph_of_process()
graph.enter()
begun = time.monotonic()
found = graph.wait_until(lambda: sys.argv[1] in graph.connectors(), 20.0)
print(time.monotonic() - begun if found else 'not found', flush=True)
os._exit(0)
"""


def test_a_process_that_starts_beside_others_learns_of_them_soon(site: Site, probe: Probe) -> None:
    """By itself Fast DDS lets half of them wait for the next announcement of the others, up to 3 s."""
    site.board('/here')
    site.manager('/here')
    Connector(probe, '/here').sees('Enabled')
    probe.spin(5.0)  # the initial announcements are over
    took = []
    for _ in range(8):
        done = subprocess.run(
            [sys.executable, '-c', SEEK, '/here'], capture_output=True, text=True, timeout=60.0, check=True
        )
        took.append(float(done.stdout))
    assert max(took) < 1.5, took


def test_a_node_has_no_shared_memory_and_listens_on_the_loopback_interface_alone(
    site: Site, probe: Probe
) -> None:
    board, manager = site.board('/local'), site.manager('/local')
    Connector(probe, '/local').sees('Enabled')
    for process in (board, manager):
        assert shared_memory_of(process.pid) == []
        assert listening(process.pid) == {'0100007F'}


@pytest.mark.timeout(60 + 20 * RESTARTS)
def test_a_manager_that_is_killed_and_started_again_hears_and_is_heard(site: Site, probe: Probe) -> None:
    """Over shared memory, with many killed processes before, one in some dozens never received anything."""
    site.board('/early')
    state = probe.listen('evse_manager/msg/BoardState', '/early/board/state', profile(Qos.LATCHED))
    probe.wait(lambda: state, 'the board')
    probe.spin(5.0)  # its initial announcements are over; the next one may be half a second away
    heard_s = []
    for _ in range(RESTARTS):
        manager = site.manager('/early')
        begun = time.monotonic()
        connector = Connector(probe, '/early', restarted=True)
        connector.sees('Enabled')
        assert connector.call('get_id').connector_id == 1
        heard_s.append(time.monotonic() - begun)
        manager.signal(signal.SIGKILL)
        manager.wait()
        probe.wait(lambda: state[-1].controller_id == '', 'the lease ends')
    print(f'start to answer: median {sorted(heard_s)[RESTARTS // 2]:.2f} s, longest {max(heard_s):.2f} s')
