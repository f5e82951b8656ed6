"""The site file: what it means, and every mistake in it with its line and its remedy."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_manager.depot.main import main
from evse_manager.depot.site import Measures, Phase, ScheduleEntry, Site
from evse_manager.depot.site_file import SiteFileError, load_site, parse_site

CONFIG = Path(__file__).resolve().parents[2] / 'config'

TEXT = """\
site:
  name: yard
  namespace: /depot
grid:
  limit_a: 80.0
  safe_limit_a: 20.0
  meter: {topic: /site/grid_meter}
  schedule:
    - {from: 22:00, limit_a: 70.0}
    - {from: "06:00", limit_w: 20000}
  children:
    row_a:
      limit_a: 40.0
      children: [evse_1, evse_2]
    row_b:
      limit_a: 32.0
      children: [evse_3]
defaults:
  driver: simulated
  parameters: {has_ventilation: true}
connectors:
  evse_1: {driver: yeti, port: /dev/ttyUSB0}
  evse_2: {phases: [L2], failsafe_current_a: 6.0}
  evse_3: {parameters: {ev_profile: default}}
authorization:
  tokens:
    - {id_token: "04A2B3C4", expires: "2027-01-01T00:00:00Z"}
"""


def mistakes(text: str) -> list[str]:
    """Return the mistakes of a text as ``line: text``."""
    with pytest.raises(SiteFileError) as caught:
        parse_site(text, 'yard.yaml')
    return [line.removeprefix('yard.yaml:').lstrip() for line in caught.value.lines()]


# --- what it means -------------------------------------------------------------------------------------


def test_the_text_of_these_tests_is_valid() -> None:
    site = parse_site(TEXT)
    assert [connector.name for connector in site.connectors] == ['evse_1', 'evse_2', 'evse_3']
    assert [node.name for node in site.grid.walk()] == ['grid', 'row_a', 'row_b']
    assert site.grid.meter is not None
    assert site.grid.meter.measures is Measures.HOUSE_LOAD
    assert site.grid.schedule == (
        ScheduleEntry(6 * 3600, None, 20_000.0),
        ScheduleEntry(22 * 3600, 70.0, None),
    )
    assert site.connector('evse_2').phases == (Phase.L2,)


def test_the_example_of_the_documentation() -> None:
    site = load_site(CONFIG / 'depot.example.yaml')
    assert site.namespace == '/depot'
    assert [connector.namespace for connector in site.connectors] == [f'/depot/bay_{n}' for n in (1, 2, 3, 4)]
    assert site.connector('bay_2').phases == (Phase.L2, Phase.L3, Phase.L1)
    assert site.connector('bay_3').priority == 10
    assert list(site.grid.all_connectors()) == ['bay_1', 'bay_2', 'bay_3', 'bay_4']
    assert site.grid.lowest_limit_a == 32.0
    first, second = site.authorization.tokens
    assert (first.parent, first.connectors) == ('fleet', ('bay_1', 'bay_2'))
    assert second.expires_ns == datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1e9
    assert site.authorization.plug_and_go == ('bay_4',)


@pytest.mark.parametrize(
    ('name', 'count'), [('depot_1.yaml', 1), ('depot.example.yaml', 4), ('depot_100.yaml', 100)]
)
def test_every_example_is_valid_and_printed(
    name: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(CONFIG / name), '--check']) == 0
    assert f'{count} connectors, no mistakes' in capsys.readouterr().out
    assert main([str(CONFIG / name), '--print']) == 0
    printed = capsys.readouterr().out
    for connector in load_site(CONFIG / name).connectors:
        assert re.search(rf'─ {connector.name}: at most', printed)


def test_a_limit_follows_from_the_nodes_above(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'site.yaml'
    path.write_text(TEXT.replace('limit_a: 80.0', 'limit_a: 30.0'))
    assert main([str(path), '--print']) == 0
    printed = capsys.readouterr().out
    assert '30 A follow from the nodes above' in printed
    assert 'evse_1: at most 30 A on L1 L2 L3' in printed


def test_keys_become_parameters_of_the_nodes() -> None:
    site = parse_site(TEXT)
    manager = dict(site.connector('evse_2').manager_parameters)
    assert manager['three_phases'] is False
    assert manager['energy_source'] == 'manager'
    assert manager['has_ventilation'] is True
    assert manager['connector_id'] == 2
    board = dict(site.connector('evse_1').board_parameters)
    assert board['driver'] == 'yeti'
    assert board['port'] == '/dev/ttyUSB0'
    assert dict(site.connector('evse_2').board_parameters)['phases'] == 1


def test_lines_do_not_count_when_connectors_are_compared() -> None:
    assert parse_site(TEXT).connectors == parse_site('# a comment\n\n' + TEXT).connectors
    changed = parse_site(TEXT.replace('[L2]', '[L3]'))
    differing = [old.name for old, new in zip(parse_site(TEXT).connectors, changed.connectors) if old != new]
    assert differing == ['evse_2']


@pytest.mark.parametrize(
    ('host', 'connectors', 'main_machine'),
    [
        ('shed', ['bay_4'], False),
        ('office', ['bay_1', 'bay_2', 'bay_3'], True),
    ],
)
def test_a_machine_starts_its_connectors(host: str, connectors: list[str], main_machine: bool) -> None:
    site = load_site(CONFIG / 'depot.example.yaml')
    assert [connector.name for connector in site.connectors_of(host)] == connectors
    assert site.is_main(host) is main_machine


def test_the_named_machine_is_the_main_one() -> None:
    site = parse_site(TEXT.replace('name: yard', 'name: yard\n  host: office'))
    assert len(site.connectors_of('office')) == 3
    assert site.is_main('office')
    assert not site.connectors_of('laptop')
    assert not site.is_main('laptop')


def test_an_alias_may_repeat_values() -> None:
    text = TEXT.replace('{phases: [L2], failsafe_current_a: 6.0}', '&two {phases: [L2]}').replace(
        '{parameters: {ev_profile: default}}', '*two'
    )
    assert parse_site(text).connector('evse_3').phases == (Phase.L2,)


# --- mistakes ------------------------------------------------------------------------------------------

TABLE = [
    # what is written, instead of what, the line, and what is said of it
    ('naem: yard', 'name: yard', 2, "site: there is no key 'naem'; did you mean name?"),
    ('gird:', 'grid:', 4, "the file: there is no key 'gird'; did you mean grid?"),
    ('name: 1 2', 'name: yard', 2, 'site: name is 1 2; write letters, digits'),
    ('namespace: depot', 'namespace: /depot', 3, 'site: namespace is depot; write a ROS namespace'),
    ('limit_a: -80.0', 'limit_a: 80.0', 5, 'grid: limit_a is -80.0; write a number above 0'),
    ('limit_a: .nan', 'limit_a: 80.0', 5, 'grid: limit_a is .nan; write a number'),
    ('limit_a: .inf', 'limit_a: 80.0', 5, 'grid: limit_a is .inf; write a number'),
    ('limit_a: "80"', 'limit_a: 80.0', 5, "grid: limit_a is '80' in quotes; write a number"),
    ('limit_a: [80]', 'limit_a: 80.0', 5, 'grid: limit_a is a list; write a number'),
    ('phases: [L1]', 'limit_a: 80.0', 4, 'grid: there is no limit; write limit_a'),
    ('limit_a: 5.0', 'limit_a: 32.0', 15, 'row_b: limit_a 5 A cannot carry the minimum of one connector'),
    ('limit_w: 1379', 'limit_a: 32.0', 15, 'the minimum of one connector; write at least 1380'),
    ('safe_limit_a: 90', 'safe_limit_a: 20.0', 4, 'safe_limit_a 90 A is above limit_a'),
    ('limit_a: 32.0\n      safe_limit_a: 1', 'limit_a: 32.0', 17, 'safe_limit_a has no effect without'),
    ('meter: {topik: /x}', 'meter: {topic: /site/grid_meter}', 7, "no key 'topik'; did you mean topic"),
    ('meter: {}', 'meter: {topic: /site/grid_meter}', 7, 'the topic is missing'),
    ('{topic: /x, timeout_s: 0}', '{topic: /site/grid_meter}', 7, 'timeout_s is 0; write a number from'),
    ('{topic: /x, measures: all}', '{topic: /site/grid_meter}', 7, 'measures is all; write one of'),
    ('{from: 24:00, limit_a: 7', '{from: 22:00, limit_a: 70.0', 9, 'from is 24:00; write a time of day'),
    ('{from: 22:00', '{from: "06:00"', 10, 'two entries begin at the same time'),
    ('{from: "07:00"}', '{from: "06:00", limit_w: 20000}', 10, 'there is no limit; write limit_a or limit_w'),
    ('[evse_1]', '[evse_1, evse_2]', 23, 'connector evse_2 is below no node; add it to the children'),
    ('[evse_3, evse_1]', '[evse_3]', 15, 'connector evse_1 is below two nodes, row_a and row_b'),
    ('[evse_1, evse_2, evse_2]', '[evse_1, evse_2]', 14, 'children has evse_2 twice'),
    ('[evse_1, evse_2, evse_33]', '[evse_1, evse_2]', 14, "no connector 'evse_33'; did you mean evse_3?"),
    ('row_a:', 'row_b:', 15, "'row_a' is there twice, first in line 12; remove one"),
    ('evse_1:\n', 'row_b:\n', 15, 'node evse_1: a connector has this name'),
    ('grid:\n      limit', 'row_b:\n      limit', 15, 'node grid: the node in line 4 has this name'),
    ('phases: [L2]\n      limit_a: 40', 'limit_a: 40', 23, 'L1, L3 does not exist at node row_a; write'),
    ('phases: [L4]\n      limit_a: 40', 'limit_a: 40', 13, "there is no phase 'L4'; write L1, L2 or L3"),
    ('driver: simulatd', 'driver: simulated', 19, 'defaults: driver is simulatd; did you mean simulated?'),
    ('{has_ventilatoin: true}', '{has_ventilation: true}', 20, 'has a parameter has_ventilatoin'),
    ('{has_ventilation: 1}', '{has_ventilation: true}', 20, 'has_ventilation is 1; write true or false'),
    ('{driver: yeti}', '{driver: yeti, port: /dev/ttyUSB0}', 22, 'driver yeti needs a port'),
    ('{port: /dev/ttyUSB0}', '{driver: yeti, port: /dev/ttyUSB0}', 22, 'driver simulated has no port'),
    ('driver: yeti, port: /dev/ttyUSB0, parameters: {socket: 3}', 'driver: yeti, port: /dev/ttyUSB0', 22,
     'socket is 3; write true or false'),
    ('{phases: [L1, L2]}', '{phases: [L2], failsafe_current_a: 6.0}', 23, 'two phases are not possible'),
    ('{phases: [L1, L1, L3]}', '{phases: [L2], failsafe_current_a: 6.0}', 23, 'phases has L1 twice'),
    ('{phases: []}', '{phases: [L2], failsafe_current_a: 6.0}', 23, 'there is no phase left'),
    ('failsafe_current_a: 5', 'failsafe_current_a: 6.0', 23, 'is 5; write 0 (pause), or 6'),
    ('failsafe_current_a: 33', 'failsafe_current_a: 6.0', 23, '0 (pause), or 6 to max_current_a (32 A)'),
    ('failsafe_current_a: 25', 'failsafe_current_a: 6.0', 4,
     'node grid: the failsafe_current_a of its connectors add up to 25 A on L2, above its lowest'),
    ('weight: 0', 'failsafe_current_a: 6.0', 23, 'weight is 0; write a number above 0'),
    ('priority: 1.5', 'failsafe_current_a: 6.0', 23, 'priority is 1.5; write a whole number'),
    ('pose: [1, 2]', 'failsafe_current_a: 6.0', 23, 'a pose is three numbers'),
    ('max_current_a: 5', 'failsafe_current_a: 6.0', 23, 'max_current_a is 5; write a number from 6 to 80 A'),
    ('evse_id: evse_1', 'failsafe_current_a: 6.0', 23, 'evse_1 has the evse_id evse_1 already'),
    ('{driver: yeti, port: /dev/ttyUSB0}', '{parameters: {ev_profile: default}}', 24,
     '/dev/ttyUSB0 is the port of evse_1 already'),
    ('{ev_profile: tank}', '{ev_profile: default}', 24, "ev_profile is 'tank', but must be one of"),
    ('{max_current_import_a: 9}', '{ev_profile: default}', 24, 'is set by max_current_a; write that instead'),
    ('{energy_source: local}', '{ev_profile: default}', 24, 'parameter energy_source is not free'),
    ('{ev_profil: x}', '{ev_profile: default}', 24, "no parameter 'ev_profil'; did you mean ev_profile?"),
    ('{meter_port: /dev/x}', '{ev_profile: default}', 24, 'meter_port has no effect without a meter'),
    ('site: {}', 'evse_3: {parameters: {ev_profile: default}}', 24, 'site belongs to the site itself'),
    ('evse-3: {}', 'evse_3: {parameters: {ev_profile: default}}', 24, "'evse-3' is no name"),
    ('{expires: "2027-01-01T00:00:00"', '{id_token: "04A2B3C4", expires: "2027-01-01T00:00:00Z"', 27,
     'id_token is missing'),
    ('expires: 2027-01-01', 'expires: "2027-01-01T00:00:00Z"', 27, 'expires is 2027-01-01; write UTC'),
    ('connectors: [evse_9]', 'expires: "2027-01-01T00:00:00Z"', 27, "there is no connector 'evse_9'"),
    ('"04A2B3C4"}\n    - {id_token: 04a2b3c4', '"04A2B3C4"', 28, 'the same id_token is in line 27'),
    ('tokens: 3\n  plug_and_go:', 'tokens:', 26, 'tokens is 3; write a list of tokens'),
    ('{parameters: {ev_profile: [', '{parameters: {ev_profile: default}}', 26, 'this is not YAML'),
]  # fmt: skip


@pytest.mark.parametrize(
    ('written', 'instead_of', 'line', 'said'), TABLE, ids=[f'{row[2]}-{row[0][:30]}' for row in TABLE]
)
def test_a_mistake_is_named_with_its_line(written: str, instead_of: str, line: int, said: str) -> None:
    assert instead_of in TEXT
    found = mistakes(TEXT.replace(instead_of, written, 1))
    assert any(each.startswith(f'{line}: ') and said in each for each in found), '\n'.join(found)


def test_every_mistake_says_what_to_do() -> None:
    for written, instead_of, _, _ in TABLE:
        for each in mistakes(TEXT.replace(instead_of, written, 1)):
            assert re.search(r'[;,?] ?\w*.*[.?]$', each), each
            assert '\n' not in each


def test_all_mistakes_come_at_once() -> None:
    text = (
        TEXT.replace('limit_a: 80.0', 'limit_a: -1')
        .replace('[evse_3]', '[evse_4]')
        .replace('weight', 'wieght')
        .replace('[L2]', '[L9]')
    )
    lines = [int(each.partition(':')[0]) for each in mistakes(text)]
    assert lines == sorted(lines)
    assert {5, 17, 23, 24} <= set(lines)


def test_the_text_of_a_token_is_not_repeated_in_messages() -> None:
    text = TEXT.replace('"04A2B3C4"', '"04A2B3C4 SECRET"')
    assert not any('SECRET' in each for each in mistakes(text))


def test_a_port_may_exist_on_two_machines() -> None:
    text = TEXT.replace(
        '{parameters: {ev_profile: default}}', '{driver: yeti, port: /dev/ttyUSB0, host: shed}'
    )
    assert parse_site(text).connector('evse_3').host == 'shed'


def test_fail_safe_currents_count_on_the_phases_they_load() -> None:
    text = TEXT.replace('limit_w: 20000', 'limit_w: 3000').replace('safe_limit_a: 20.0', 'safe_limit_a: 15.0')
    single = text.replace(
        '{parameters: {ev_profile: default}}', '{phases: [L3], failsafe_current_a: 15.0}'
    ).replace('failsafe_current_a: 6.0', 'failsafe_current_a: 15.0')
    assert [each for each in mistakes(single) if '6900 W' in each]
    assert not [each for each in mistakes(single) if ' A on ' in each]


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('', 'the file is empty'),
        ('- a list', 'the file is a list'),
        ('just words', 'the file is just words'),
        ('a: b: c', 'this is not YAML'),
        ('site: {}\n---\nsite: {}', 'this is not YAML'),
        ('- ' * 1000, 'nested too deeply'),
        ('site: \x00', 'this is not YAML'),
        ('!!python/object:os.system {}', 'the section site is missing'),
    ],
)
def test_what_is_no_site_at_all(text: str, said: str) -> None:
    found = mistakes(text)
    assert any(said in each for each in found), found


def test_a_tree_that_contains_itself_is_a_mistake() -> None:
    text = TEXT.replace('children: [evse_3]', 'children: &c {row_c: {limit_a: 9, children: *c}}')
    assert any('these belong to row_b' in each for each in mistakes(text))


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'latin.yaml').write_bytes(b'site:\n  name: caf\xe9\n')
    for name, said in (
        ('missing.yaml', 'No such file'),
        ('', 'Is a directory'),
        ('latin.yaml', 'latin.yaml:2: this is not UTF-8'),
    ):
        assert main([str(tmp_path / name), '--check']) == 2
        assert said in capsys.readouterr().err


# --- garbage -------------------------------------------------------------------------------------------


def accepted_or_refused(text: str) -> Site | None:
    """Parse a text; nothing but a site or a list of mistakes may come of it."""
    try:
        return parse_site(text)
    except SiteFileError as error:
        found = error.mistakes
    assert found
    assert all(each.line <= len(text.splitlines()) + 2 for each in found)
    return None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_refused_with_reasons(text: str) -> None:
    assert accepted_or_refused(text) is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_means_something(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(start, min(len(TEXT), start + 30)))
    piece = data.draw(st.text(alphabet='abL123.:-{}[]&*!"\n ', max_size=12))
    accepted_or_refused(TEXT[:start] + piece + TEXT[end:])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = [
    ('site',), ('site', 'name'), ('grid',), ('grid', 'limit_a'), ('grid', 'meter'), ('grid', 'schedule'),
    ('grid', 'children'), ('grid', 'children', 'row_a'), ('grid', 'children', 'row_a', 'children'),
    ('defaults',), ('defaults', 'parameters'), ('connectors',), ('connectors', 'evse_1'),
    ('connectors', 'evse_2', 'phases'), ('connectors', 'evse_2', 'pose'), ('authorization',),
    ('authorization', 'tokens'), ('authorization', 'plug_and_go'),
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_any_value_in_any_place_is_refused_or_means_something(path: tuple[str, ...], value: object) -> None:
    document = yaml.safe_load(TEXT)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    accepted_or_refused(yaml.safe_dump(document, allow_unicode=True))
