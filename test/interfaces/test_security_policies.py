"""config/security/policies.xml is generated, complete, valid for SROS 2, and gives no role too much."""

import importlib
from pathlib import Path

import pytest
from lxml import etree

from evse_manager.interface import endpoints, security
from evse_manager.interface.endpoints import Service, Topic
from sros2_policy import grants, permissions, schema

ROOT = Path(__file__).resolve().parents[2]
POLICIES = (ROOT / 'config' / 'security' / 'policies.xml').read_text()
GRANTS = grants(POLICIES)
COMMAND = {
    service.name for service in (*endpoints.COMMANDS, endpoints.EXTERNAL_READY, endpoints.SET_SITE_LIMIT)
}


def test_the_file_is_what_the_generator_writes() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'docs'))
        generator = importlib.import_module('generate_security')
    assert generator.policy_file() == POLICIES, 'run `make docs` and commit config/security/policies.xml'


def test_the_policy_is_valid_for_sros2() -> None:
    schema('policy.xsd').assertValid(etree.fromstring(POLICIES.encode()))


def test_the_permissions_that_sros2_makes_of_it_are_valid() -> None:
    schema('permissions.xsd').assertValid(permissions(POLICIES))


def test_every_role_has_an_enclave() -> None:
    assert set(GRANTS) == {f'/evse/{role}' for role in security.ROLES}


def rows(found: object) -> list[Topic | Service]:
    """Return the topics and services in a value of the module, as it is or in a table."""
    items = found if isinstance(found, tuple) else (found,)
    return [item for item in items if isinstance(item, (Topic, Service))]


def test_every_topic_and_service_of_the_interface_is_placed() -> None:
    declared = {row for value in vars(endpoints).values() for row in rows(value)}
    placed = {
        *security.CONNECTOR_TOPICS,
        *security.SITE_TOPICS,
        *security.CONNECTOR_SERVICES,
        *security.SITE_SERVICES,
    }
    assert declared - placed == {endpoints.CLOCK}, 'simulated time has no place in a secured depot'


@pytest.mark.parametrize(
    'role', ['observer', 'recorder', 'robot', 'reader', 'site_markers', 'hlc', 'back_end']
)
def test_a_role_that_does_not_command_can_call_no_command(role: str) -> None:
    requests = {name for name in GRANTS[f'/evse/{role}'].publish.allow if name.startswith('rq/')}
    assert not {name for name in requests if name.removesuffix('Request').rpartition('/')[2] in COMMAND}
    assert not GRANTS[f'/evse/{role}'].publish.allows('rt/depot/bay_1/board/command')


def test_only_the_authorization_and_a_recorder_hear_tokens_at_the_readers() -> None:
    hearers = {role for role, grant in GRANTS.items() if grant.subscribe.allows('rt/depot/bay_1/token')}
    assert hearers == {'/evse/authorization', '/evse/depot', '/evse/recorder'}


def test_only_the_manager_commands_the_board() -> None:
    leaders = {role for role, grant in GRANTS.items() if grant.publish.allows('rt/depot/bay_1/board/command')}
    assert leaders == {'/evse/manager', '/evse/depot'}


def test_only_the_energy_manager_grants_power() -> None:
    grantors = {
        role for role, grant in GRANTS.items() if grant.publish.allows('rt/depot/bay_1/energy/limits')
    }
    assert grantors == {'/evse/energy_manager', '/evse/depot'}


def test_the_namespaces_of_a_depot_narrow_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    security.main(['--connectors', '/depot/bay_1', '/depot/bay_2', '--site', '/depot', '--meters'])
    narrow = grants(capsys.readouterr().out)['/evse/operator']
    assert narrow.publish.allows('rq/depot/bay_2/disableRequest')
    assert not narrow.publish.allows('rq/depot/bay_3/disableRequest')
    assert narrow.publish.allows('rq/depot/site/set_limitRequest')
    assert not narrow.publish.allows('rr/depot/bay_1/evse_manager/set_parametersReply')
    assert narrow.publish.allows('rr/rqt_1/set_parametersReply'), 'its own node has parameters'
    assert not any('*' in name for name in narrow.publish.allow if name.startswith(('rt/', 'rq/')))


def test_an_unknown_qualifier_is_not_valid() -> None:
    broken = POLICIES.replace('subscribe="ALLOW"', 'subscribe="PERHAPS"', 1)
    assert not schema('policy.xsd').validate(etree.fromstring(broken.encode()))
