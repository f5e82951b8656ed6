"""What real nodes have on the graph is what the SROS 2 policy of their role allows, and no more."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from rclpy.node import NodeNameNonExistentError

from evse_manager.interface import endpoints, security
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Process, Site
from sros2_policy import grants

BAY, SITE = '/policed/bay_1', '/policed'
SITE_FILE = f"""
site: {{name: yard, namespace: {SITE}}}
grid:
  limit_a: 32.0
  safe_limit_a: 20.0
  meter: {{topic: grid_meter, timeout_s: 3.0, measures: house_load}}
  children: [bay_1]
defaults: {{driver: simulated}}
connectors:
  bay_1: {{pose: [0.0, 0.0, 0.0]}}
"""
TOKENS = 'tokens: [{id_token: DEADBEEF}]\n'
GRANTS = grants(security.policies(security.Space([BAY], [SITE], [f'{SITE}/grid_meter'])))
INSTALLED = grants(security.policies(security.Space()))
NODES = {
    'manager': ('evse_manager', BAY),
    'board': ('board_support', BAY),
    'energy_manager': ('energy_manager', SITE),
    'authorization': ('authorization', SITE),
    'site_markers': ('site_markers', SITE),
}
"""Role: the node that has it here, and its namespace."""

NOT_USED_HERE = {
    'authorization': [  # a client is made at its first call; validate_token with unknown_tokens ask alone
        *(f'{BAY}/{name}' for name in security.AUTHORIZING if name != 'authorize_response'),
        f'{SITE}/validate_token',
    ],
    'site_markers': ['/site_markers/'],  # where it runs outside of the namespace of the site
}
"""What a role may use and its node does not here, by the beginning of the name."""

PROGRAMS = {
    ('watch', BAY): 'observer',
    ('events', '-c', BAY): 'observer',
    ('record', BAY, '--output', 'FILE'): 'recorder',
    ('charge', 'DEADBEEF', '-c', BAY, '--until', '10kWh'): 'operator',
}
"""Calls of ``evse`` that stay on the graph, and the role that they need."""


class Used(NamedTuple):
    """The DDS topics that a node writes and reads."""

    publish: frozenset[str]
    subscribe: frozenset[str]


@pytest.fixture(scope='module')
def policed(shared_site: Site, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Probe:
    """A connector of a site with every node of the package, and another site beside it."""
    directory: Path = tmp_path_factory.mktemp('policed')
    site_file, tokens = directory / 'site.yaml', directory / 'tokens.yaml'
    site_file.write_text(SITE_FILE)
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    shared_site.board(BAY)
    shared_site.manager(BAY, energy_source='manager', goal_authorization='site')
    shared_site.start('energy_manager', SITE, site_file=site_file, limit_store='""')
    shared_site.start('authorization', SITE, tokens_file=tokens, store='""')
    shared_site.start('site_markers', SITE, site_file=site_file)
    reader = endpoints.AUTHORIZATION_TOPICS[0]
    probe.node.create_publisher(endpoints.load(reader.type), f'/elsewhere/{reader.name}', profile(reader.qos))
    Connector(probe, BAY).sees('Enabled', 60.0)
    return probe


def used_by(probe: Probe, name: str, namespace: str) -> Used:
    """Return the DDS topics that a node writes and reads, hidden ones included; none before it is known."""

    def found(ask: Callable[..., list[tuple[str, list[str]]]]) -> frozenset[str]:
        try:
            return frozenset(topic for topic, _ in ask(name, namespace, no_demangle=True))
        except NodeNameNonExistentError:
            return frozenset()

    return Used(
        found(probe.node.get_publisher_names_and_types_by_node),
        found(probe.node.get_subscriber_names_and_types_by_node),
    )


def expected(role: str) -> Used:
    """Return what the policy allows a role, without what its node does not use here."""
    unused = tuple(NOT_USED_HERE.get(role, ()))
    return Used(
        *(
            frozenset(name for name in names.allow if not (unused and name[2:].startswith(unused)))
            for names in GRANTS[f'/evse/{role}']
        )
    )


@pytest.mark.parametrize('role', NODES)
def test_a_node_uses_what_its_role_is_allowed_and_nothing_else(role: str, policed: Probe) -> None:
    policed.wait(
        lambda: used_by(policed, *NODES[role]) == expected(role),
        lambda: '; '.join(
            f'not allowed {sorted(used - names)}, not used {sorted(names - used)}'
            for used, names in zip(used_by(policed, *NODES[role]), expected(role))
        ),
    )


@pytest.mark.parametrize('role', NODES)
def test_the_installed_policy_allows_a_node_what_it_uses(role: str, policed: Probe) -> None:
    """Its names have wildcards instead of the namespaces of a depot."""
    installed = INSTALLED[f'/evse/{role}']
    for used, names in zip(used_by(policed, *NODES[role]), installed):
        assert used
        assert [topic for topic in used if not names.allows(topic)] == []


@pytest.mark.parametrize(('words', 'role'), PROGRAMS.items(), ids=lambda value: value[0])
def test_the_command_line_uses_nothing_that_its_role_may_not(
    words: tuple[str, ...], role: str, policed: Probe, tmp_path: Path
) -> None:
    words = tuple(str(tmp_path / 'night.mcap') if word == 'FILE' else word for word in words)
    program = Process('evse', *words, '--timeout', '30', log=tmp_path / 'evse.log')
    try:
        name, namespace = policed.wait(
            lambda: next(
                (
                    node
                    for node in policed.node.get_node_names_and_namespaces()
                    if node[0] == f'_evse_cli_{program.pid}'
                ),
                None,
            ),
            lambda: f'evse is on the graph; {program.output}',
        )
        policed.wait(
            lambda: any('/policed/' in topic for topic in used_by(policed, name, namespace).subscribe),
            lambda: f'evse listens; {program.output}',
        )
        policed.spin(0.3)
        for used, names in zip(used_by(policed, name, namespace), GRANTS[f'/evse/{role}']):
            assert [topic for topic in used if not names.allows(topic)] == []
    finally:
        program.stop()


def test_the_processes_of_a_depot_use_nothing_that_their_role_may_not(
    domain: int, probe: Probe, tmp_path: Path
) -> None:
    file = tmp_path / 'site.yaml'
    file.write_text(SITE_FILE.replace(SITE, '/guarded'))
    depot = Process('depot', str(file), log=tmp_path / 'depot.log', ROS_HOME=str(tmp_path))
    names = INSTALLED['/evse/depot']
    try:
        seen: dict[tuple[str, str], Used] = {}

        def complete() -> bool:
            for node in probe.node.get_node_names_and_namespaces():
                if node[1].startswith('/guarded') or node[0].startswith('depot_'):
                    seen[node] = used_by(probe, *node)
            return len(seen) >= 5 and all(used.publish for used in seen.values())

        probe.wait(complete, lambda: f'manager, board, energy manager, two workers: {seen}; {depot.output}')
        for used in seen.values():
            assert [topic for topic in used.publish if not names.publish.allows(topic)] == []
            assert [topic for topic in used.subscribe if not names.subscribe.allows(topic)] == []
    finally:
        depot.stop()
