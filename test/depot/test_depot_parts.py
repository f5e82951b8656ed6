"""The parts of the depot that need no process: shards, back-off, discovery, its protocol."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_manager.depot.backoff import FIRST_S, LONGEST_S, STEADY_S, Backoff
from evse_manager.depot.discovery import participants_here, too_many
from evse_manager.depot.discovery_server import (
    ServerAddress,
    ServerError,
    client_environment,
    parse_address,
    server_environment,
    server_profile,
)
from evse_manager.depot.protocol import Alive, Start, Stop, Stopped, decode, encode
from evse_manager.depot.shards import BEST_SIZE, MOST_WORKERS, assign, shard_count
from evse_manager.nodes.middleware import LOCALHOST_PARTICIPANTS, LOOPBACK

NAMES = st.sets(st.integers(0, 400).map('evse_{}'.format), max_size=120)


@pytest.mark.parametrize(
    ('connectors', 'workers'),
    [(0, 0), (1, 1), (BEST_SIZE, 1), (BEST_SIZE + 1, 2), (300, 6), (600, 12), (10_000, MOST_WORKERS)],
)
def test_few_workers_host_many_connectors(connectors: int, workers: int) -> None:
    assert shard_count(connectors) == workers


def test_all_workers_of_a_machine_find_each_other_on_localhost() -> None:
    assert 2 * MOST_WORKERS + 2 < LOCALHOST_PARTICIPANTS


@given(before=NAMES, after=NAMES)
def test_a_connector_keeps_its_worker(before: set[str], after: set[str]) -> None:
    first = assign(sorted(before), {})
    second = assign(sorted(after), {name: first[name] for name in before & after})
    assert set(second) == after
    assert all(second[name] == first[name] for name in before & after)


@given(NAMES)
def test_workers_are_loaded_evenly(names: set[str]) -> None:
    workers = list(assign(sorted(names), {}).values())
    loads = [workers.count(worker) for worker in set(workers)]
    assert len(loads) == shard_count(len(names))
    assert max(loads, default=0) - min(loads, default=0) <= 1


def test_the_delay_before_a_new_start_doubles_and_begins_again_after_a_steady_time() -> None:
    backoff, now, delays = Backoff(), 100.0, []
    for _ in range(7):
        backoff.started(now)
        delays.append(backoff.delay_s(now + 1.0))
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, LONGEST_S, LONGEST_S]
    backoff.started(now)
    assert backoff.delay_s(now + STEADY_S) == FIRST_S


@pytest.mark.parametrize(
    'message', [Start('a', '/x/a', {'port': 'ü', 'phases': 3, 'f': 1.5}), Stop('a'), Alive(3), Stopped('a')]
)
def test_a_message_is_one_line_and_comes_back_the_same(message: Start | Stop | Alive | Stopped) -> None:
    line = encode(message)
    assert line.count(b'\n') == 1
    assert decode(line) == message


def udp_table(path: Path, *ports: int) -> Path:
    rows = [f'  1: 00000000:{port:04X} 00000000:0000 07 0' for port in ports]
    path.write_text('\n'.join(['  sl  local_address rem_address st', *rows]))
    return path


def test_participants_are_counted_by_their_ports(tmp_path: Path) -> None:
    domain = 7400 + 250 * 5
    table = udp_table(tmp_path / 'udp', domain + 10, domain + 11, domain + 12, domain + 13, domain + 0, 53)
    assert participants_here(5, table) == 2
    assert participants_here(6, table) == 0
    assert participants_here(5, tmp_path / 'none') == 0


@pytest.mark.parametrize(
    ('planned', 'environment', 'warned'),
    [
        (100, {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, False),
        (101, {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, True),
        (101, {'ROS_LOCALHOST_ONLY': '1'}, True),
        (33, {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_STATIC_PEERS': '192.0.2.1'}, False),
        (34, {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_STATIC_PEERS': '192.0.2.1'}, True),
        (
            101,
            {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_DISCOVERY_SERVER': '127.0.0.1:11811'},
            False,
        ),
        (101, {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}, False),
        (101, {}, False),
        (101, {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp'}, False),
    ],
)
def test_more_processes_than_localhost_discovers_are_warned_of(
    planned: int, environment: dict[str, str], warned: bool
) -> None:
    # No test runs on domain 232: it is the last one, and its ports are ephemeral ones.
    warning = too_many(planned, {'ROS_DOMAIN_ID': '232', **environment})
    assert bool(warning) is warned
    assert not warned or 'docs/depot.md' in warning


# --- the discovery server ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('text', 'address'),
    [
        ('127.0.0.1:11811', ServerAddress()),
        ('127.0.0.1', ServerAddress()),
        ('192.0.2.7:65535', ServerAddress('192.0.2.7', 65_535)),
    ],
)
def test_an_address_is_read(text: str, address: ServerAddress) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    'text',
    ['', 'site.yaml', 'localhost:11811', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:65536', '127.0.0.1:-1',
     '1.2.3', '256.0.0.1', '0.0.0.0:11811', '239.255.0.1:11811', '::1', '127.0.0.1;10.0.0.1',
     '127.0.0.1:11811</address>'],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(
        ServerError, match=r'is no address of a discovery server; write ADDRESS:PORT, such as 127'
    ):
        parse_address(text)


def test_workers_use_the_server_with_the_profile_that_they_have_without_it() -> None:
    given = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'HOME': '/home/evse'}
    found = client_environment(ServerAddress(port=5), given)
    assert found['ROS_DISCOVERY_SERVER'] == '127.0.0.1:5'
    assert found['ROS_SUPER_CLIENT'] == 'TRUE'
    assert str(LOOPBACK) in found.values()
    assert 'ROS_DISCOVERY_SERVER' not in given
    assert server_environment(found).get('HOME') == '/home/evse'
    assert not {'ROS_DISCOVERY_SERVER', 'FASTRTPS_DEFAULT_PROFILES_FILE'} & set(server_environment(found))


@pytest.mark.parametrize(
    ('environment', 'text'),
    [
        ({'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp'}, 'for Fast DDS, not for rmw_zenoh_cpp'),
        ({'ROS_DISCOVERY_SERVER': '10.0.0.1:11811'}, 'names a discovery server already'),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, 'RANGE is LOCALHOST; use an address such as'),
    ],
)
def test_where_no_server_can_be_used_the_reason_is_given(environment: dict[str, str], text: str) -> None:
    with pytest.raises(ServerError, match=text):
        client_environment(ServerAddress('192.0.2.7'), environment)


def test_the_profile_of_the_server_has_its_address_alone() -> None:
    root = ElementTree.fromstring(server_profile(ServerAddress('192.0.2.7', 4321)))
    assert {each.text for each in root.findall('.//{*}address')} == {'192.0.2.7'}
    assert [each.text for each in root.findall('.//{*}port')] == ['4321']
    assert [each.text for each in root.findall('.//{*}discoveryProtocol')] == ['SERVER']
