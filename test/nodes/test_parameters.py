"""Parameters: wrong ones stop the node at start and say why; settable ones act at once."""

from pathlib import Path

import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue

from harness import Connector, Process, Site

WRONG = {
    'max_current_import_a': ('99.0', 'is 99.0, but must be a number from 0.0 to 80.0 A'),
    'board_lease_s': ('9', 'is 9.0, but must be a number from 0.3 to 2.0 s'),
    'connector_id': ('0', 'is 0, but must be a whole number from 1 to 65535'),
    'connector_type': ('plug', "is 'plug', but must be one of: cable, socket"),
    'three_phases': ('1', 'is 1, but must be true or false'),
    'evse_id': ('12', 'is 12, but must be text'),
    'max_current_export_a': ('.nan', 'is nan, but must be a number'),
    'temperature_stop_c': ('30.0', 'must rise in this order'),
    'ac_nominal_voltage_v': ('much', "is 'much', but must be a number from 80.0 to 300.0 V"),
}


@pytest.mark.parametrize('name', WRONG)
@pytest.mark.fault('P12')
def test_a_wrong_value_stops_the_node_with_name_value_and_range(name: str, site: Site):
    value, reason = WRONG[name]
    process = site.manager('/refused', **{name: value})
    assert process.wait(30.0) == 2
    (line,) = [line for line in process.output.splitlines() if line.startswith('evse_manager:')]
    assert name in line
    assert reason in line
    assert 'Traceback' not in process.output


def test_a_wrong_driver_stops_the_board_node(site: Site):
    process = site.board('/refused', driver='imaginary')
    assert process.wait(30.0) == 2
    assert "driver is 'imaginary', but must be one of" in process.output


@pytest.mark.parametrize('executable', ['evse_manager', 'board_support', 'simulation_clock'])
def test_help_is_a_usage_and_starts_nothing(executable: str, tmp_path: Path):
    helped = Process(executable, '--help', log=tmp_path / 'help.log')
    assert helped.wait() == 0
    assert helped.output.startswith(f'usage: {executable} --ros-args ')
    assert 'docs/interface.md' in helped.output


def test_a_missing_parameter_file_is_named(site: Site):
    process = site.start('evse_manager', '/refused', arguments=('--params-file', '/nowhere/evse.yaml'))
    assert process.wait(30.0) == 2
    assert '/nowhere/evse.yaml' in process.output
    assert 'Traceback' not in process.output


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('max_curent_import_a', 'did you mean max_current_import_a?'),
        ('power_w', 'correct its name or remove it'),
    ],
)
def test_a_misspelt_limit_stops_the_node(site: Site, name: str, hint: str):
    process = site.manager('/misspelt', **{name: 5.0})
    assert process.wait(30.0) == 2
    assert f'there is no parameter {name}, which seems to name a limit' in process.output
    assert hint in process.output
    assert 'Traceback' not in process.output


def number(value: float) -> ParameterValue:
    return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)


def whole(value: int) -> ParameterValue:
    return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)


def set_parameter(connector: Connector, name: str, value: ParameterValue):
    path = f'{connector.namespace}/evse_manager/set_parameters'
    request = [Parameter(name=name, value=value)]
    return connector.probe.call('rcl_interfaces/srv/SetParameters', path, parameters=request).results[0]


def test_an_unknown_name_is_a_warning_and_an_integer_is_taken_for_a_double(site: Site, probe):
    connector = Connector(probe, '/lenient')
    site.board('/lenient')
    process = site.manager('/lenient', max_current_import_a=10, has_ventilaton=True)
    connector.sees('Enabled')
    assert 'no parameter has_ventilaton; it is ignored; did you mean has_ventilation?' in process.output
    connector.reaches(lambda s: s.limit_a == 10.0, 'a limit of 10 A')


def test_a_settable_limit_acts_at_once(site: Site, probe):
    connector = Connector(probe, '/settable')
    site.board('/settable')
    site.manager('/settable', max_current_import_a=16.0)
    connector.sees('Enabled')
    connector.charge()
    connector.reaches(lambda s: s.signalled_current_a == 16.0, '16 A')
    assert set_parameter(connector, 'max_current_import_a', number(12.5)).successful
    connector.reaches(lambda s: s.signalled_current_a == 12.5, '12.5 A', 2.0)
    assert set_parameter(connector, 'max_current_import_a', whole(10)).successful
    connector.reaches(lambda s: s.signalled_current_a == 10.0, '10 A', 2.0)
    assert set_parameter(connector, 'max_current_import_a', number(32.0)).successful
    connector.reaches(lambda s: s.signalled_current_a == 32.0, '32 A', 8.0)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('max_current_import_a', number(81.0)),
        ('max_current_import_a', number(float('nan'))),
        ('enforced_limits_max_age_s', number(-1.0)),
        ('soft_over_current_tolerance_percent', number(50.0)),
        ('temperature_stop_c', number(120.0)),
        ('connector_id', whole(2)),
        ('board_lease_s', number(0.5)),
        ('use_sim_time', ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True)),
        ('nonsense', number(1.0)),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_a_wrong_change_is_refused_with_a_reason(name: str, value: ParameterValue, connector: Connector):
    before = connector.status.limit_a
    result = set_parameter(connector, name, value)
    assert not result.successful
    assert len(result.reason) > 10
    connector.sees_nothing(0.1)
    assert connector.status.limit_a == before


def test_every_parameter_is_described_with_its_range(connector: Connector):
    path = f'{connector.namespace}/evse_manager'
    listed = connector.probe.call('rcl_interfaces/srv/ListParameters', f'{path}/list_parameters').result.names
    ours = sorted(set(listed) - {'use_sim_time', 'start_type_description_service'})
    answer = connector.probe.call(
        'rcl_interfaces/srv/DescribeParameters', f'{path}/describe_parameters', names=ours
    )
    for descriptor in answer.descriptors:
        assert descriptor.description, descriptor.name
        if descriptor.type == ParameterType.PARAMETER_DOUBLE:
            assert descriptor.floating_point_range, descriptor.name
    assert {d.name for d in answer.descriptors if d.name == 'board_lease_s' and d.read_only}
