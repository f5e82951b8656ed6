"""
The commands of docs/interface.md that ``test_typed_lines.py`` leaves: topics, the site, tokens, parameters.

Each ``topic echo`` finds a publisher of its type whose quality of service fits; what is sent arrives.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, qos_check_compatible

from evse_manager.interface import endpoints
from evse_manager.msg import ProvidedIdToken
from evse_manager.nodes.qos import STREAM, profile
from fenced import typed
from harness import Connector, Probe, running
from shell import Shell

PAGE = 'docs/interface.md'
NAMESPACE, SITE = '/evse_1', '/depot'
TYPED_ELSEWHERE = re.compile(
    r'ros2 (service call|action send_goal --feedback) /evse_1/|ros2 topic pub --once /evse_1/hlc/'
)
"""By test_typed_lines.py and test_record_services.py."""

COMMANDS = [line for line in typed(PAGE) if not TYPED_ELSEWHERE.match(line)]
ECHOES = sorted({line for line in COMMANDS if line.startswith('ros2 topic echo')})
SENT = {line.split()[4]: line for line in COMMANDS if ' pub ' in line}
CALLS = [line for line in COMMANDS if line.startswith('ros2 service call')]
MANAGER = next(line for line in COMMANDS if line.startswith('ros2 run evse_manager evse_manager'))
PARAMETER = next(line for line in COMMANDS if line.startswith('ros2 param set'))
SITE_FILE = """\
site: {name: yard, namespace: /depot}
grid: {limit_a: 63.0, children: [bay_1]}
defaults: {driver: simulated}
connectors:
  bay_1: {pose: [0.0, 0.0, 0.0]}
"""
TOKENS = 'tokens: [{id_token: ROBOT-7}]\n'


@pytest.fixture(scope='module')
def depot(domain: int, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The connector as the page starts it, a second one of a site, the nodes of the site, a clock."""
    directory: Path = tmp_path_factory.mktemp('interface')
    site_file, tokens = directory / 'site.yaml', directory / 'tokens.yaml'
    site_file.write_text(SITE_FILE)
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    shell = Shell(directory, ROS_HOME=str(directory))
    with running(directory, {'ROS_HOME': str(directory)}) as site:
        shell.start(f'exec {MANAGER}')
        site.board(NAMESPACE)
        site.board(f'{SITE}/bay_1')
        site.manager(f'{SITE}/bay_1', energy_source='manager')
        site.start('energy_manager', SITE, site_file=site_file, limit_store='""')
        site.start(
            'authorization',
            SITE,
            tokens_file=tokens,
            store='""',
            connectors=f'{NAMESPACE},{SITE}/bay_1',
        )
        site.start('site_markers', SITE, site_file=site_file)
        site.start('simulation_clock', '/')
        Connector(probe, NAMESPACE).sees('Enabled', 60.0)
        Connector(probe, f'{SITE}/bay_1').sees('Enabled', 60.0)
        yield shell
        shell.close()


def test_every_command_of_the_page_is_typed_somewhere() -> None:
    rest = set(COMMANDS) - {*ECHOES, *SENT.values(), *CALLS, MANAGER, PARAMETER}
    assert rest == set()
    assert len(ECHOES) > 25


@pytest.mark.parametrize('line', ECHOES, ids=lambda line: line.split()[3])
def test_what_is_echoed_is_published_as_typed(line: str, depot: Shell, probe: Probe) -> None:
    words = shlex.split(line)
    path, kind = words[3], words[4]
    found = probe.wait(lambda: probe.node.get_publishers_info_by_topic(path), f'somebody publishes {path}')
    latched = 'transient_local' in words
    asked = QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    )
    for publisher in found:
        assert publisher.topic_type == kind
        assert qos_check_compatible(publisher.qos_profile, asked)[0] is not QoSCompatibility.ERROR
        assert (publisher.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL) is latched


def heard_at(probe: Probe, topic: endpoints.Topic, namespace: str) -> list[Any]:
    return probe.listen(topic.type, f'{namespace}/{topic.name}', profile(topic.qos))


@pytest.mark.parametrize('path', [f'{SITE}/tokens', f'{NAMESPACE}/token'])
def test_a_token_as_typed_is_decided_about(path: str, depot: Shell, probe: Probe) -> None:
    results = heard_at(probe, endpoints.TOKEN_RESULTS, SITE)
    depot.type(SENT[path])
    probe.wait(lambda: any(each.token.endswith('BEEF') for each in results), 'a result')


def test_limits_as_typed_arrive_at_a_manager_with_energy_source_manager(depot: Shell, probe: Probe) -> None:
    connector = Connector(probe, NAMESPACE)
    enforced = connector.listen('enforced_limits')
    depot.type(SENT[f'{NAMESPACE}/energy/limits'])
    probe.wait(lambda: enforced and enforced[-1].uuid == NAMESPACE, 'the limits are accepted')


def test_the_keep_alive_as_typed_has_a_listener(depot: Shell) -> None:
    depot.type(SENT[f'{NAMESPACE}/{endpoints.KEEP_ALIVE.name}'])


def test_the_services_of_a_site_as_typed_succeed_in_their_order(depot: Shell, probe: Probe) -> None:
    reader = probe.publisher('evse_manager/msg/ProvidedIdToken', f'{SITE}/tokens', STREAM)
    accepted = []
    for line in CALLS:
        if line.split()[3].endswith('withdraw_token'):  # there is one to withdraw
            reader.publish(ProvidedIdToken(id_token='ROBOT-7', authorization_type=2))
            probe.spin(1.5)
        said = depot.type(line)
        accepted.append((line.split()[3], 'success=True' in said))
    assert accepted == [(path, True) for path, _ in accepted]
    assert len(accepted) == 4


def test_the_parameter_as_typed_acts(depot: Shell, probe: Probe) -> None:
    connector = Connector(probe, NAMESPACE)
    depot.type(PARAMETER)
    connector.reaches(lambda status: status.limit_a <= 20.0, 'the limit')
