"""Commands for many connectors at once, against real nodes."""

import subprocess

import pytest

from harness import Connector, Probe, Site

from .conftest import evse, program

pytestmark = pytest.mark.timeout(120)

OK, REFUSED, NOT_FOUND = 0, 1, 3


@pytest.fixture(scope='module')
def second(shared: Connector, shared_site: Site, probe: Probe) -> Connector:
    """Another connector beside the shared one."""
    connector = Connector(probe, '/depot/evse_2')
    shared_site.board('/depot/evse_2')
    shared_site.manager('/depot/evse_2')
    connector.sees('Enabled')
    return connector


def test_all_are_called_and_those_with_nothing_to_do_are_counted(
    connector: Connector, second: Connector
) -> None:
    connector.charge()
    result = evse('pause', '--all')
    assert (result.code, result.err) == (OK, '')
    assert result.out == 'pause-charging: 1 of 2 accepted, 1 had nothing to do\n'
    connector.reaches(lambda status: status.paused_by_user, 'a pause')
    result = evse('resume', '--all')
    assert result.out == 'resume-charging: 1 of 2 accepted, 1 had nothing to do\n'
    result = evse('stop', '--all', '--json')
    assert {record['connector']: record['success'] for record in result.records} == {
        '/evse_1': True,
        '/depot/evse_2': False,
    }
    connector.reaches(lambda status: not status.transaction_active, 'the end of the transaction')


def test_who_refuses_is_named_and_changes_the_exit_code(connector: Connector, second: Connector) -> None:
    connector.accepted('set_faulted')
    result = evse('enable', '--all')
    assert result.code == REFUSED
    assert result.err.startswith('evse: /evse_1: ')
    assert 'clear_fault' in result.err
    assert result.err.count('\n') == 1
    assert result.out == 'enable: 1 of 2 accepted, 1 refused\n'
    connector.accepted('clear_fault')


def test_a_namespace_narrows_it(connector: Connector, second: Connector) -> None:
    result = evse('disable', '--all', '-c', '/depot')
    assert result.out == 'disable: 1 of 1 accepted\n'
    second.reaches(lambda status: status.state_text == 'disabled', 'disabled')
    assert connector.status.state_text != 'disabled'
    assert evse('enable', '--all', '-c', '/depot').code == OK
    result = evse('enable', '--all', '-c', '/nowhere')
    assert (result.code, result.err) == (NOT_FOUND, 'evse: no connector below /nowhere\n')


def test_disable_after_the_session_waits_for_its_end(connector: Connector) -> None:
    connector.charge()
    with subprocess.Popen(
        [program('evse'), 'disable', '--after-session', '-c', '/evse_1'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == '/evse_1: waiting for the end of its session\n'
        assert child.poll() is None
        connector.accepted('simulation/unplug')
        out, err = child.communicate(timeout=20.0)
    assert (child.returncode, out, err) == (OK, 'disable: 1 of 1 accepted\n', '')
    connector.reaches(lambda status: status.state_text == 'disabled', 'disabled')
