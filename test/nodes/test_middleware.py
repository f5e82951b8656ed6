"""How the package configures Fast DDS: what the environment leads to, and what the processes then do."""

import os
import signal
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from evse_manager.interface.endpoints import Qos
from evse_manager.nodes.middleware import (
    LOOPBACK,
    LOOPBACK_PARTICIPANTS,
    NETWORK,
    RANGE,
    configure,
    profiles_variable,
)
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Site

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


def shared_memory_of(pid: int) -> list[str]:
    """Return what a process has mapped of the shared memory of Fast DDS."""
    lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    return [line for line in lines if '/dev/shm/fastrtps' in line or '/dev/shm/fastdds' in line]


def listening(pid: int) -> set[str]:
    """Return the local addresses of the UDP sockets of a process that were bound to a port of DDS."""
    inodes = set()
    for link in Path(f'/proc/{pid}/fd').iterdir():
        try:
            inodes.add(str(link.readlink()).removeprefix('socket:[').removesuffix(']'))
        except FileNotFoundError:  # closed meanwhile
            continue
    rows = [line.split() for line in Path('/proc/net/udp').read_text().splitlines()[1:]]
    return {row[1].partition(':')[0] for row in rows if row[9] in inodes}


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
    """Over shared memory, with many killed processes before, one in some dozens stayed deaf for good."""
    site.board('/early')
    state = probe.listen('evse_manager/msg/BoardState', '/early/board/state', profile(Qos.LATCHED))
    probe.wait(lambda: state, 'the board')
    probe.spin(5.0)  # its initial announcements are over; the next one may be 3 s away
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
