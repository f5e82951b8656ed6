"""The command line: every service has a subcommand, and wrong usage is refused in one sentence."""

import argparse
import json
import math
import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_manager.cli import arguments, limits
from evse_manager.cli.commands import COMMANDS, SIMULATION
from evse_manager.cli.errors import ExitCode, UsageError
from evse_manager.cli.parser import build_parser, parse
from evse_manager.interface import endpoints
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    CertificateAction,
    EnableSource,
    EnableState,
    ExiStreamStatus,
    IdTokenType,
    StopTransactionReason,
)
from evse_manager.interface.types import (
    ExternalLimits,
    ProvidedIdToken,
    ResponseExiStreamStatus,
    StopTransactionRequest,
)

EVERY_COMMAND = (*COMMANDS, *SIMULATION)

ARGUMENTS = {
    'reserve': ['7'],
    'enable_disable': ['disable'],
    'set_external_limits': ['16'],
    'switch_three_phases_while_charging': ['3'],
    'simulation/set_proximity': ['32'],
    'simulation/inject_fault': ['diode'],
}
"""What services need; the others need nothing."""


def request(line):
    parsed = parse(line.split())
    return parsed.command.request(parsed)


def refusal(line, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(line if isinstance(line, list) else line.split())
    assert ended.value.code == ExitCode.USAGE
    return capsys.readouterr().err


def test_every_service_of_the_interface_has_a_subcommand():
    read_by_sessions = {service.name for service in endpoints.RECORD_SERVICES}
    called = {command.service for command in EVERY_COMMAND}
    assert called | read_by_sessions == {service.name for service in endpoints.SERVICES}


@pytest.mark.parametrize('command', EVERY_COMMAND, ids=lambda command: command.words)
def test_the_subcommand_is_called_as_the_service_with_dashes(command):
    parsed = parse([*command.words.split(), *ARGUMENTS.get(command.service, [])])
    assert parsed.command is command
    assert command.name == command.service.split('/')[-1].replace('_', '-')


@pytest.mark.parametrize('command', EVERY_COMMAND, ids=lambda command: command.words)
def test_the_request_has_exactly_the_fields_of_the_service(command):
    row = endpoints.service(command.service)
    fields = endpoints.load(row.type).Request.get_fields_and_field_types()
    parsed = parse([*command.words.split(), *ARGUMENTS.get(command.service, [])])
    assert set(command.request(parsed)) == set(fields)


@pytest.mark.parametrize('command', EVERY_COMMAND, ids=lambda command: command.words)
def test_every_alias_and_every_example_works(command):
    prefix = ['sim'] if command.simulated else []
    for alias in command.aliases:
        assert parse([*prefix, alias, *ARGUMENTS.get(command.service, [])]).command is command
    assert command.examples
    for example in command.examples:
        program, *words = example.split()
        assert program == 'evse'
        assert parse(words).command is command


@pytest.mark.parametrize('command', EVERY_COMMAND, ids=lambda command: command.words)
def test_common_options_are_taken_by_every_command(command):
    words = [*command.words.split(), *ARGUMENTS.get(command.service, [])]
    parsed = parse([*words, '-c', 'depot/evse_7', '--timeout', '2.5', '--json'])
    assert (parsed.connector, parsed.timeout, parsed.json) == ('/depot/evse_7', 2.5, True)
    parsed = parse(['-c', '/evse_1', '--timeout', '2.5', '--json', *words])
    assert (parsed.connector, parsed.timeout, parsed.json) == ('/evse_1', 2.5, True)
    parsed = parse(['-c', '/evse_1', *words, '-c', '/evse_2'])
    assert parsed.connector == '/evse_2', 'the last one counts'
    parsed = parse(words)
    assert (parsed.connector, parsed.timeout, parsed.json) == (None, None, False)


@pytest.mark.parametrize('view', ['status', 'watch'])
def test_views_take_connectors_as_option_and_as_argument(view):
    assert parse(['-c', 'evse_1', view, 'evse_2']).connectors == ['/evse_1', '/evse_2']
    assert parse([view, '-c', 'evse_1']).connectors == ['/evse_1']
    assert parse([view]).connectors == []


def test_without_a_command_the_help_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        parse([])
    assert ended.value.code == ExitCode.OK
    assert 'usage: evse' in capsys.readouterr().out


def test_the_versions_are_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(['--version'])
    assert ended.value.code == ExitCode.OK
    assert re.fullmatch(r'evse \d+\.\d+\.\d+ \(ROS 2 \w+\)\n', capsys.readouterr().out)


def test_help_names_every_subcommand_and_the_exit_codes():
    text = build_parser().format_help()
    for command in COMMANDS:
        assert command.name in text
    for code in (ExitCode.OK, ExitCode.REFUSED, ExitCode.USAGE, ExitCode.NOT_FOUND):
        assert f'{code.value} ' in text.partition('exit codes:')[2]


def test_enable_disable_speaks_for_a_source():
    fields = request('enable-disable disable --source csms --priority 50')
    assert fields == {
        'connector_id': 0,
        'source': EnableSource.CSMS,
        'state': EnableState.DISABLE,
        'priority': 50,
    }


@pytest.mark.parametrize('wrong', ['', 'maybe', 'disable --priority 10001', 'disable --source nobody'])
def test_enable_disable_refuses_what_makes_no_sense(wrong, capsys):
    assert 'evse enable-disable' in refusal(f'enable-disable {wrong}', capsys)


def test_authorize_accepts_a_token_unless_told_otherwise():
    fields = request('authorize 04A1B2C3')
    assert fields['provided_token'] == ProvidedIdToken('04A1B2C3', AuthorizationType.RFID)
    assert fields['validation_result'].authorization_status == AuthorizationStatus.ACCEPTED
    fields = request(
        'authorize X --status no-credit --type OCPP --token-type iso14443 '
        '--only-connector 1 --only-connector 2 --only-evse 3 --parent P --reason broke --prevalidated '
        '--expires 2030-01-01T00:00:00+00:00'
    )
    token, result = fields['provided_token'], fields['validation_result']
    assert (token.id_token_type, token.connectors, token.prevalidated) == (IdTokenType.ISO14443, (1, 2), True)
    assert (result.authorization_status, result.evse_ids) == (AuthorizationStatus.NO_CREDIT, (3,))
    assert (result.parent_id_token, result.reason) == ('P', 'broke')
    assert result.expiry_time == 1893456000 * 10**9


def test_stop_carries_reason_and_token():
    assert request('stop') == {'request': StopTransactionRequest(StopTransactionReason.LOCAL)}
    wanted = StopTransactionRequest(StopTransactionReason.DE_AUTHORIZED, 'T')
    for spelling in ('de-authorized', 'DE_AUTHORIZED', 'DeAuthorized'):
        assert request(f'stop-transaction --reason {spelling} --token T') == {'request': wanted}


def test_phases_and_certificate_response():
    assert request('phases 1') == {'three_phases': False}
    assert request('phases 3') == {'three_phases': True}
    wanted = ResponseExiStreamStatus(ExiStreamStatus.ACCEPTED, CertificateAction.UPDATE, 'gAA=')
    assert request('certificate-response gAA= --action update') == {'certificate_reponse': wanted}


def test_a_limit_is_a_schedule_of_one_step():
    (entry,) = request('limit 16 --power 7kW --phases 1')['value'].schedule_import
    limits = entry.limits_to_root
    assert (limits.ac_max_current_a, limits.total_power_w, limits.ac_max_phase_count) == (16.0, 7000.0, 1)
    assert entry.timestamp
    assert request('limit --none') == {'value': ExternalLimits()}
    assert request('limit 16A') != request('limit 0')


def test_a_schedule_comes_from_a_file(tmp_path):
    file = tmp_path / 'night.json'
    file.write_text(json.dumps([{'at': '+1h', 'current': 32}, {'at': '+8h', 'power': '7kW', 'phases': 1}]))
    first, second = request(f'limit --schedule {file}')['value'].schedule_import
    assert first.limits_to_root.ac_max_current_a == 32.0
    assert (second.limits_to_root.total_power_w, second.limits_to_root.ac_max_phase_count) == (7000.0, 1)
    assert second.timestamp - first.timestamp == pytest.approx(7 * 3600e9, abs=1e9)


@pytest.mark.parametrize('hour', range(24))
def test_times_of_day_in_a_schedule_follow_one_another_at_any_hour(hour):
    now = datetime(2026, 11, 27, hour, 30).astimezone()
    times, after = [], 0
    for text in ('now', '22:00', '06:00'):
        after = arguments.point_in_time(text, now, after)
        times.append(datetime.fromtimestamp(after / 1e9).astimezone())
    assert times[0] == now
    assert [time.hour for time in times[1:]] == [22, 6]
    assert now < times[1] <= now + timedelta(days=1)
    assert times[1] < times[2] <= times[1] + timedelta(days=1)


def test_the_schedule_of_the_help_works(tmp_path):
    file = tmp_path / 'help.json'
    file.write_text(re.search(r'\[\{.*?\}\]', limits.DETAILS, re.DOTALL)[0])
    assert len(request(f'limit --schedule {file}')['value'].schedule_import) == 4


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ('{', 'no JSON'),
        ('[]', 'no list of steps'),
        ('{"at": "+1h"}', 'no list of steps'),
        ('[5]', 'step 1'),
        ('[{"at": "+1h"}]', 'needs "at" and at least one'),
        ('[{"current": 5}]', 'needs "at" and at least one'),
        ('[{"at": "+1h", "current": 5, "amps": 3}]', "'amps'"),
        ('[{"at": "+1h", "current": NaN}]', 'out of range'),
        ('[{"at": "+1h", "current": 81}]', 'out of range'),
        ('[{"at": "+1h", "phases": 4}]', 'out of range'),
        ('[{"at": "soon", "current": 5}]', 'no time'),
        ('[{"at": "+2h", "current": 5}, {"at": "+1h", "current": 6}]', 'order'),
    ],
)
def test_a_wrong_schedule_is_refused(tmp_path, content, reason):
    file = tmp_path / 'schedule.json'
    file.write_text(content)
    with pytest.raises(UsageError, match=reason):
        request(f'limit --schedule {file}')


@pytest.mark.parametrize(
    'line', ['limit', 'limit 16 --none', 'limit --none --schedule x', 'limit --schedule nowhere.json']
)
def test_limits_that_do_not_fit_together_are_refused(line):
    with pytest.raises(UsageError):
        request(line)


def test_plug_in_leaves_to_the_profile_what_is_not_given():
    fields = request('sim plug-in')
    assert fields['profile'] == ''
    assert fields['phases'] == 0
    assert all(math.isnan(fields[name]) for name in ('max_current_a', 'soc_percent', 'battery_capacity_wh'))
    fields = request('sim plug-in --profile slow --soc 95 --current 16 --phases 1 --battery 60000')
    assert (fields['profile'], fields['phases'], fields['max_current_a']) == ('slow', 1, 16.0)
    assert (fields['soc_percent'], fields['battery_capacity_wh']) == (95.0, 60000.0)


def test_faults_may_be_typed_with_dashes():
    assert request('sim inject relay-weld') == {'fault': 'relay_weld'}
    assert request('sim clear') == {'fault': ''}


@pytest.mark.parametrize(
    ('line', 'hint'),
    [
        ('frobnicate', 'unknown command'),
        ('pasue', 'did you mean pause?'),
        ('statsu', 'did you mean status?'),
        ('sim plugin', 'did you mean plug-in?'),
        ('limit nan', '0 to 80 A'),
        ('limit inf', '0 to 80 A'),
        ('limit -- -1', '0 to 80 A'),
        ('limit 80.1', '0 to 80 A'),
        ('limit sixteen', '0 to 80 A'),
        ('limit --power 1e9', 'W'),
        ('limit --phases 4', 'choose one of: 1, 2, 3'),
        ('phases 2', 'choose one of: 1, 3'),
        ('reserve', 'required'),
        ('reserve many', 'whole number'),
        ('reserve -- -3', 'out of range'),
        ('reserve 99999999999', 'out of range'),
        ('enable --id -1', 'out of range'),
        ('stop --reason bored', 'local'),
        ('authorize --status perhaps', 'accepted'),
        ('authorize --expires someday', '18:00'),
        ('authorize --expires 1969-01-01T00:00:00', '1970'),
        ('pause -c evse-1', 'namespace'),
        ('pause --timeout 0', 'out of range'),
        ('pause --timeout nan', 'out of range'),
        ('status /evse_1 depot//evse_1', 'namespace'),
        ('sim', 'required'),
        ('sim plug-in --soc 101', '1 to 100'),
        ('sim proximity 16', 'choose one of'),
        ('events --history 1000', '0 to 100'),
        (['authorize', ''], 'empty token'),
        (['authorize', 'x' * 300], 'too long'),
        (['sim', 'inject', ' '], 'empty fault'),
    ],
)
def test_wrong_usage_is_refused_in_one_sentence(line, hint, capsys):
    text = refusal(line, capsys)
    assert hint in text
    assert text.count('\n') == 1
    assert '--help' in text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_current_outside_the_range_gets_through(value):
    try:
        taken = limits.current(repr(value))
    except argparse.ArgumentTypeError:
        assert not 0 <= value <= 80
    else:
        assert taken == value
        assert 0 <= value <= 80


@pytest.mark.parametrize('name', ['limit', 'set-external-limits'])
def test_help_and_errors_have_the_name_that_was_typed(name, capsys):
    with pytest.raises(SystemExit):
        parse([name, '99'])
    assert capsys.readouterr().err.startswith(f'evse {name}: ')
    with pytest.raises(SystemExit):
        parse([name, '--help'])
    shown = capsys.readouterr().out
    assert f'usage: evse {name} ' in shown
    assert 'Its names: set-external-limits, limit.' in shown
    assert parse([name, '16']).command.service == 'set_external_limits'


@pytest.mark.parametrize(
    ('line', 'run'),
    [
        ('pause', 'call'),
        ('pause --all', 'everywhere'),
        ('stop --all -c /depot', 'everywhere'),
        ('disable --after-session', 'everywhere'),
        ('disable', 'call'),
    ],
)
def test_one_connector_is_called_and_many_together(line, run):
    assert parse(line.split()).run == run


@pytest.mark.parametrize('line', ['unlock --all', 'enable --after-session', 'auth --all', 'phases 1 --all'])
def test_only_some_commands_go_everywhere(line):
    with pytest.raises(SystemExit):
        parse(line.split())
