"""What ``/diagnostics`` shows: a level and a sentence for each part, and a group in the aggregator."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from evse_manager.board.driver import PROBLEM
from evse_manager.charging.allowance import grant
from evse_manager.charging.status import MeterReport
from evse_manager.interface.enums import Availability, ErrorEnum, LimitSource, LinkState
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    EnforcedLimits,
    Error,
    EvseStatus,
    LimitsRes,
    SiteConnectorStatus,
    SiteNodeStatus,
    SiteStatus,
    Time,
)
from evse_manager.nodes import diagnostics
from evse_manager.nodes.diagnostics import ERROR, OK, PARTS, STALE, WARN, Part
from harness import Connector, Probe, Site

SECOND = 10**9
STATUS = EvseStatus(reason_text='Available; plug in a car.', limit_a=32.0, limit_source=LimitSource.HARDWARE)
RCD = replace(STATUS, active_errors=(Error(ErrorEnum.RCD, 'RcdAc: tripped'),))
FAULTED = replace(STATUS, availability=Availability.FAULTED, reason_text='Put out of order.')
GRANTED = replace(STATUS, limit_a=10.0, limit_source=LimitSource.ENERGY_MANAGER, limit_node='row')
METER = MeterReport(present=True, silent=False, warnings=(), register_wh=1234.5, power_w=0.0)
LIMITS = EnforcedLimits(
    stamp=Time(0), valid_until=Time(10 * SECOND), limits_root_side=LimitsRes(ac_max_current_a=10.0)
)
GRANT = grant(LIMITS, 0.0, Time(0))
MANAGED = Config(energy_source='manager', failsafe_current_a=8.0)
SITE = SiteStatus(
    name='yard',
    nodes=(SiteNodeStatus(name='grid', limit_a=80.0, waiting=('bay_1',)),),
    connectors=(SiteConnectorStatus(name='bay_1'), SiteConnectorStatus(name='bay_2')),
)

CASES: dict[str, tuple[Part, bytes, str]] = {
    'an idle connector': (diagnostics.connector(STATUS), OK, 'Available; plug in a car.'),
    'an error': (diagnostics.connector(RCD), ERROR, 'RcdAc: tripped'),
    'out of order': (diagnostics.connector(FAULTED), ERROR, 'Put out of order.'),
    'a warning': (diagnostics.connector(replace(STATUS, warnings=('Warm.',))), WARN, 'Warm.'),
    'a meter': (diagnostics.meter(METER), OK, 'The meter reports.'),
    'no meter': (diagnostics.meter(replace(METER, present=False)), OK, 'The board has no meter.'),
    'a silent meter': (
        diagnostics.meter(replace(METER, silent=True)),
        STALE,
        'The meter is silent: energy is not counted; check its wiring.',
    ),
    'an odd meter': (diagnostics.meter(replace(METER, warnings=('It runs back.',))), WARN, 'It runs back.'),
    'a limit': (
        diagnostics.energy(GRANTED, MANAGED, GRANT),
        OK,
        'The limit is 10.0 A (energy manager, site node row).',
    ),
    'no site': (diagnostics.energy(STATUS, Config(), None), OK, 'The limit is 32.0 A (hardware).'),
    'a silent energy manager': (
        diagnostics.energy(STATUS, MANAGED, None),
        STALE,
        'The energy manager is silent, so that 8.0 A are the most (failsafe_current_a); check that it runs.',
    ),
    'records': (diagnostics.records((), '/a/b.sqlite3', ''), OK, 'All session records are written.'),
    'no records': (
        diagnostics.records((), '', ''),
        OK,
        'No session records are kept (session_store is empty).',
    ),
    'failing records': (diagnostics.records(('Full.', ''), '/a/b', ''), WARN, 'Full.'),
    'a failing black box': (diagnostics.records(('', 'No room.'), '/a/b', '/a/box'), WARN, 'No room.'),
    'both failing': (diagnostics.records(('Full.', 'No room.'), '/a/b', '/a/box'), WARN, 'Full. No room.'),
    'a board': (diagnostics.board_link('yeti', LinkState.UP, {}), OK, 'The board answers.'),
    'a complaint': (diagnostics.board_link('yeti', LinkState.UP, {PROBLEM: 'Noise.'}), WARN, 'Noise.'),
    'a lost board': (diagnostics.board_link('yeti', LinkState.LOST, {}), ERROR, 'The board does not answer.'),
    'a site': (diagnostics.site(SITE), OK, '2 connectors share the power; 1 waiting.'),
    'a site with a warning': (diagnostics.site(replace(SITE, warnings=('Hot.',))), WARN, 'Hot.'),
    'a worker': (diagnostics.worker('shed', 3, [], 0), OK, '3 of 3 nodes run.'),
    'a failing node': (
        diagnostics.worker('shed', 2, ['bay_3'], 0),
        WARN,
        '2 of 3 nodes run. Started again, see the log: bay_3.',
    ),
    'failing nodes only': (
        diagnostics.worker('shed', 0, ['bay_3'], 0),
        ERROR,
        '0 of 1 nodes run. Started again, see the log: bay_3.',
    ),
    'failing callbacks': (
        diagnostics.worker('shed', 3, [], 2),
        WARN,
        '3 of 3 nodes run. 2 callbacks failed, see the log.',
    ),
}


@pytest.mark.parametrize('name', CASES)
def test_each_part_has_its_level_and_sentence(name: str) -> None:
    part, level, sentence = CASES[name]
    assert (part.level, part.sentence) == (level, sentence)
    assert part.name in PARTS


def analyzers() -> dict[str, dict[str, Any]]:
    path = Path(__file__).parents[2] / 'config' / 'diagnostics_analyzers.yaml'
    parameters = yaml.safe_load(path.read_text(encoding='utf-8'))['analyzers']['ros__parameters']
    return {name: each for name, each in parameters.items() if isinstance(each, dict)}


@pytest.mark.parametrize('part', PARTS)
@pytest.mark.parametrize('source', ['/depot/bay_1', '/', 'shed/managers 1', '/connector/worker'])
def test_each_part_falls_into_one_group_of_the_aggregator(part: str, source: str) -> None:
    """``contains`` of a GenericAnalyzer is a search for the text in the name of the status."""
    (status,) = diagnostics.array(source, [Part(part, OK, 'Fine.')], Time(0)).status
    groups = analyzers().items()
    found = [name for name, each in groups if any(text in status.name for text in each['contains'])]
    assert len(found) == 1


def test_the_analyzers_are_what_the_aggregator_loads() -> None:
    paths = [each['path'] for each in analyzers().values()]
    assert len(set(paths)) == len(paths) == len(PARTS)
    for each in analyzers().values():
        assert set(each) == {'type', 'path', 'contains', 'timeout'}
        assert each['type'] == 'diagnostic_aggregator/GenericAnalyzer'
        assert isinstance(each['timeout'], float)


# --- over the graph -----------------------------------------------------------------------------------


class Heard:
    """The newest status of each name on ``/diagnostics``."""

    def __init__(self, connector: Connector) -> None:
        self._probe = connector.probe
        self._heard = connector.listen('/diagnostics')

    def newest(self) -> dict[str, Any]:
        return {status.name: status for array in self._heard for status in array.status}

    def becomes(self, name: str, level: bytes, words: str) -> None:
        def holds() -> bool:
            status = self.newest().get(name)
            return status is not None and status.level == level and words in status.message

        self._probe.wait(holds, lambda: f'{name} {level!r} {words}; {self.newest().get(name)}')


def test_a_connector_publishes_all_its_parts(connector: Connector) -> None:
    name = connector.namespace.strip('/')
    heard = Heard(connector)
    heard.becomes(f'{name}: connector', OK, 'Available')
    heard.becomes(f'{name}: board link', OK, 'The board answers.')
    heard.becomes(f'{name}: meter', OK, 'The meter reports.')
    heard.becomes(f'{name}: energy', OK, 'The limit is 32.0 A (hardware).')
    heard.becomes(f'{name}: records', OK, 'session_store is empty')
    assert heard.newest()[f'{name}: connector'].hardware_id == 'DE*PNX*E1234567*1'
    connector.accepted('simulation/inject_fault', fault='rcd_dc')
    heard.becomes(f'{name}: connector', ERROR, 'RcdDc')
    connector.accepted('simulation/inject_fault', fault='meter_silent')
    heard.becomes(f'{name}: meter', STALE, 'silent')
    connector.accepted('simulation/clear_fault', fault='meter_silent')
    heard.becomes(f'{name}: meter', OK, 'reports')
    connector.accepted('simulation/inject_fault', fault='link_lost')
    heard.becomes(f'{name}: board link', ERROR, 'does not answer')


def test_a_connector_without_its_energy_manager_is_stale(site: Site, probe: Probe) -> None:
    managed = Connector(probe, '/managed')
    heard = Heard(managed)
    site.board('/managed')
    site.manager('/managed', energy_source='manager')
    managed.sees('Enabled')
    heard.becomes('managed: energy', STALE, '0.0 A are the most')
