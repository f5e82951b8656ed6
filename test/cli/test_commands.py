"""``evse`` against real nodes: commands, their exit codes, and what it finds on the graph."""

import json
import subprocess
import sys
import time
from contextlib import redirect_stderr
from io import StringIO

import pytest

from evse_manager.cli.main import main
from evse_manager.interface.enums import StopTransactionReason
from evse_manager.msg import EvseStatus
from evse_manager.nodes import middleware
from harness import EMPTY_DOMAIN, Connector, Probe, Site, authorization

from .conftest import evse, evse_process

pytestmark = pytest.mark.timeout(120)

OK, REFUSED, USAGE, NOT_FOUND = 0, 1, 2, 3
ELSEWHERE = str(EMPTY_DOMAIN)
"""A domain in which no test starts a node."""


def evse_1(*words):
    """Command the one connector by its name, which saves the look for others."""
    return evse(*words, '-c', '/evse_1')


def sentence(result):
    """The one sentence on stderr."""
    assert result.err.startswith('evse: ')
    assert result.err.count('\n') == 1
    return result.err


def test_a_session_is_driven_by_nothing_but_the_command_line(connector: Connector):
    assert evse_process('sim', 'plug-in', '--soc', '40').code == OK
    connector.sees('SS AR')
    assert evse_process('authorize', '04A1B2C3').code == OK
    (started, *_) = connector.sees('TS PC CS')
    assert started.transaction_started[0].id_tag.id_token == '04A1B2C3'
    assert evse_process('limit', '10', '-c', 'evse_1').code == OK
    connector.reaches(lambda status: abs(status.signalled_current_a - 10.0) < 0.1, '10 A')
    assert evse_process('pause', '-c', '/evse_1').code == OK
    connector.sees('PEVSE')
    assert evse_process('resume', '-c', '/evse_1').code == OK
    connector.sees('CR')
    assert evse_process('sim', 'ev-pause', '-c', '/evse_1').code == OK
    connector.sees('PEV')
    assert evse_process('sim', 'ev-resume', '-c', '/evse_1').code == OK
    connector.sees('CR')
    assert evse_process('stop', '--reason', 'remote', '-c', '/evse_1').code == OK
    *_, finished = connector.sees('SC CF TF')
    assert finished.transaction_finished[0].reason == StopTransactionReason.REMOTE
    assert evse_process('sim', 'unplug', '-c', '/evse_1').code == OK
    connector.sees('SF')
    assert evse_process('limit', '--none', '-c', '/evse_1').code == OK


def test_a_refusal_is_exit_code_1_and_the_chargers_sentence(connector: Connector):
    for command in ('pause', 'stop', 'phases'):
        words = [command, '3'] if command == 'phases' else [command]
        result = evse_1(*words)
        assert (result.code, result.out) == (REFUSED, '')
        assert '/evse_1: ' in sentence(result)
    result = evse_1('resume', '--json')
    assert result.code == REFUSED
    assert set(result.record) == {'connector', 'service', 'success', 'message'}
    assert (result.record['service'], result.record['success']) == ('resume_charging', False)
    assert result.record['message'] in sentence(result)


def test_an_environment_that_ros_does_not_take_is_one_sentence():
    result = evse('list', ROS_DOMAIN_ID='first')
    assert (result.code, result.out) == (USAGE, '')
    assert 'ROS_DOMAIN_ID is not an integral number' in sentence(result)


def test_answers_as_json(connector: Connector):
    expected = {'connector': '/evse_1', 'service': 'reserve', 'success': True, 'message': ''}
    assert evse_1('reserve', '42', '--json').record == expected
    connector.sees('ReservationStart')
    assert evse_1('unreserve').code == OK
    connector.sees('ReservationEnd')
    assert evse_1('get-id', '--json').record['connector_id'] == 1
    assert evse_1('id').out == '1\n'
    result = evse_1('phases', '1', '--json')
    assert (result.code, result.record['result']) == (REFUSED, 'ERROR_NOT_CHARGING')


def test_faults_disable_and_enable(connector: Connector):
    assert evse_1('set-faulted').code == OK
    connector.sees('PermanentFault')
    assert evse_1('enable').code == REFUSED
    assert evse_1('clear-fault').code == OK
    connector.sees('AllErrorsCleared Enabled')
    assert evse_1('disable', '--id', '0').code == OK
    connector.sees('Disabled')
    assert 'connector' in sentence(evse_1('enable', '--id', '77'))
    assert evse_1('enable', '--id', '1').code == OK
    connector.sees('Enabled')


def test_what_the_simulation_does_not_know_is_refused_with_what_it_knows(connector: Connector):
    result = evse_1('sim', 'inject', 'gremlins')
    assert result.code == REFUSED
    assert 'relay_weld' in sentence(result)
    result = evse_1('sim', 'plug-in', '--profile', 'tractor')
    assert result.code == REFUSED
    assert 'single_phase' in sentence(result)
    assert evse_1('sim', 'proximity', '20').code == OK
    assert evse_1('sim', 'proximity', '0').code == OK


def test_list_and_status_tell_why(connector: Connector):
    text = evse('list').out
    assert '/evse_1' in text
    record = evse('list', '--json').record
    assert record['connector'] == '/evse_1'
    assert (record['state'], record['reason']) == ('IDLE', 'AVAILABLE')
    assert record['reason_text']
    assert record['reason_text'] in evse('status').out
    record = evse('status', 'evse_1', '--json').record
    assert set(record) == {'connector', *EvseStatus.get_fields_and_field_types()}
    assert record['state'] == 'IDLE'
    assert record['active_errors'] == []


def test_events_tell_the_history_in_words_and_follow(connector: Connector):
    evse_1('sim', 'plug-in')
    connector.sees('SS AR')
    result = evse('events', '--no-follow', '--history', '2')
    assert result.code == OK
    first, second = result.out.splitlines()
    assert 'SessionStarted' in first
    assert 'plugged in' in first
    assert 'AuthRequired' in second
    record = evse('events', '-c', 'evse_1', '--no-follow', '--history', '1', '--json').record
    assert (record['connector'], record['event']) == ('/evse_1', 'AUTH_REQUIRED')
    assert record['text'] == 'waiting for a token'
    followed = evse('events', '--history', '0', '--for', '1')
    assert (followed.code, followed.out) == (OK, '')
    assert len(evse('events', '--count', '3').out.splitlines()) == 3


def test_events_show_tokens_and_certificates_only_when_asked_for(connector: Connector):
    evse_1('sim', 'plug-in')
    connector.sees('SS AR')
    fields = authorization('04A1B2C3')
    fields['provided_token'].certificate = 'MIIB'
    connector.accepted('authorize_response', **fields)
    connector.sees('TS PC CS')

    def tag(*words):
        events = evse('events', '-c', 'evse_1', '--no-follow', '--history', '3', '--json', *words).records
        (started,) = (event for event in events if event['event'] == 'TRANSACTION_STARTED')
        shown = started['transaction_started']['id_tag']
        return shown['id_token'], shown['certificate'], f'token {shown["id_token"]},' in started['text']

    assert tag() == ('****B2C3', '', True)
    assert tag('--show-tokens') == ('04A1B2C3', 'MIIB', True)
    assert 'token ****B2C3,' in evse('events', '--no-follow', '--history', '3').out


def test_an_unknown_connector_is_exit_code_3_and_tells_who_is_there(connector: Connector):
    for line in ('pause -c evse_9', 'status evse_9', 'events -c /evse_9', 'watch evse_9 --once'):
        began = time.monotonic()
        result = evse(*line.split(), '--timeout', '3')
        assert result.code == NOT_FOUND, line
        assert '/evse_9' in sentence(result)
        assert 'on the graph: /evse_1' in result.err
        assert time.monotonic() - began < 10.0


def test_nobody_there_is_exit_code_3_soon(domain: int):
    assert str(domain) != ELSEWHERE
    for words in (['list'], ['status'], ['pause'], ['sim', 'unplug'], ['events'], ['watch', '--once']):
        result = evse(*words, '--timeout', '0.5', ROS_DOMAIN_ID=ELSEWHERE)
        assert result.code == NOT_FOUND, words
        assert f'ROS_DOMAIN_ID {ELSEWHERE}' in sentence(result)
    result = evse('pause', '--json', '--timeout', '0.5', ROS_DOMAIN_ID=ELSEWHERE)
    assert result.record['success'] is False
    assert result.record['message'] in result.err


class Terminal(StringIO):
    """What a person reads on stderr."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize('line', ['pause', 'status', 'list', 'events', 'disable --after-session', 'report'])
def test_a_person_reads_what_is_looked_for_when_it_takes_longer(line, monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', ELSEWHERE)
    monkeypatch.setattr(middleware, 'configure', lambda: None)  # this process is not one of the package
    with redirect_stderr(Terminal()) as terminal:
        code = main([*line.split(), '-c', 'evse_9', '--timeout', '1.3'])
    assert code == NOT_FOUND
    searching, failure = terminal.getvalue().splitlines()
    assert searching.startswith('evse: looking for /evse_9')
    assert '/evse_9' in failure


def test_a_program_reads_the_failure_alone():
    result = evse('status', '-c', 'evse_9', '--timeout', '1.3', ROS_DOMAIN_ID=ELSEWHERE)
    assert result.code == NOT_FOUND
    assert 'looking for' not in sentence(result)


def test_wrong_usage_is_exit_code_2_and_sends_nothing(connector: Connector):
    for words in (['limit', 'nan'], ['limit'], ['limit', '81'], ['phases', '2'], ['fly']):
        result = evse(*words)
        assert (result.code, result.out) == (USAGE, '')
        assert result.err.count('\n') == 1
    connector.sees_nothing()


def test_help_and_wrong_usage_do_not_wait_for_ros():
    code = (
        'import sys\n'
        'from evse_manager.cli.main import main\n'
        'try: main(sys.argv[1:])\n'
        'except SystemExit: pass\n'
        'assert "rclpy" not in sys.modules and "rich" not in sys.modules\n'
    )
    for words in (['--help'], ['sim', 'plug-in', '--help'], ['limit', 'nan']):
        subprocess.run([sys.executable, '-c', code, *words], check=True, capture_output=True, timeout=20)


def test_one_of_several_connectors_has_to_be_named(connector: Connector, site: Site, probe: Probe):
    second = Connector(probe, '/depot/evse_2')
    processes = site.board('/depot/evse_2'), site.manager('/depot/evse_2')
    second.sees('Enabled')
    result = evse('get-id')
    for _ in range(5):  # a busy machine may find the second one late
        result = result if result.code == USAGE else evse('get-id')
    assert result.code == USAGE
    assert '/depot/evse_2, /evse_1' in sentence(result)
    assert evse('get-id', '-c', 'depot/evse_2').code == OK
    both = ['/evse_1', '/depot/evse_2']
    assert [record['connector'] for record in evse('status', *both, '--json').records] == both
    processes[1].stop()
    # The board alone can still be played with.
    assert evse('sim', 'plug-in', '-c', '/depot/evse_2').code == OK
    result = evse('pause', '-c', '/depot/evse_2', '--timeout', '1')
    assert result.code == NOT_FOUND
    processes[0].stop()


def test_a_schedule_file_reaches_the_charger(connector: Connector, tmp_path):
    file = tmp_path / 'night.json'
    file.write_text(json.dumps([{'at': '+0s', 'current': 9}, {'at': '+1h', 'current': 20}]))
    assert evse_1('limit', '--schedule', str(file)).code == OK
    connector.reaches(lambda status: abs(status.limit_a - 9.0) < 0.01, 'a limit of 9 A')
    assert evse_1('limit', '--none').code == OK
    connector.reaches(lambda status: status.limit_a > 9.0, 'the hardware limit')
