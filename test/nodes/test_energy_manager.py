"""The energy manager as a process: two connectors, a meter, limits from outside, a second one standing by."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Time

from evse_manager.interface import endpoints
from evse_manager.msg import Current, EvseStatus, LimitOrigin, Powermeter, SiteConnectorStatus, SiteStatus
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Process, Site

SITE_FILE = """
site: {name: yard, namespace: /depot}
grid:
  limit_a: 32.0
  safe_limit_a: 20.0
  meter: {topic: grid_meter, timeout_s: 3.0, measures: house_load}
  children: [bay_1, bay_2]
defaults: {driver: simulated}
connectors:
  bay_1: {}
  bay_2: {phases: [L2, L3, L1]}
"""

METER_PERIOD_S = 0.5


class Depot:
    """The site of these tests."""

    def __init__(self, site: Site, probe: Probe, directory: Path) -> None:
        self.site, self.probe = site, probe
        self.file = directory / 'site.yaml'
        self.file.write_text(SITE_FILE)
        self.store = directory / 'limits.json'
        self.manager = self.start_manager()
        topic = endpoints.topic('site/status')
        self.statuses: list[SiteStatus] = probe.listen(topic.type, '/depot/site/status', profile(topic.qos))
        self.bays = [Connector(probe, f'/depot/bay_{number}') for number in (1, 2)]
        for bay in self.bays:
            site.board(bay.namespace)
            site.manager(bay.namespace, energy_source='manager', disable_authentication=True)
        for bay in self.bays:
            bay.sees('Enabled', 30.0)

    def start_manager(self) -> Process:
        return self.site.start(
            'energy_manager', '/depot', site_file=self.file, limit_store=self.store, minimum_off_time_s=1.0
        )

    def set_limit(self, **fields: Any) -> Any:
        service = endpoints.SET_SITE_LIMIT
        return self.probe.call(service.type, f'/depot/{service.name}', **fields)

    def reaches(self, currents_a: list[float], limit: float = 20.0) -> None:
        self.probe.wait(
            lambda: [bay.status.signalled_current_a for bay in self.bays] == pytest.approx(currents_a),
            lambda: f'{currents_a}, not {[(bay.status.signalled_current_a, bay.why) for bay in self.bays]}',
            limit,
        )

    def connector(self, name: str) -> SiteConnectorStatus:
        return next(each for each in self.statuses[-1].connectors if each.name == name)


@pytest.fixture(scope='module')
def depot(shared_site: Site, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Depot:
    return Depot(shared_site, probe, tmp_path_factory.mktemp('depot'))


def test_two_cars_share_the_safe_limit_while_the_meter_is_silent(depot: Depot) -> None:
    for bay in depot.bays:
        bay.accepted('simulation/plug_in')
    depot.reaches([10.0, 10.0], 40.0)
    status = depot.bays[0].reaches(lambda status: status.state == EvseStatus.STATE_CHARGING, 'charging')
    assert status.limit_node == 'grid'
    assert 'the site node grid (energy manager)' in status.reason_text
    grid = ('grid', 20.0, LimitOrigin.METER_SILENT)

    def as_told() -> tuple[str, float, int]:
        node = depot.statuses[-1].nodes[0]
        return node.name, node.limit_a, node.limit_a_origin

    depot.probe.wait(lambda: as_told() == grid, lambda: f'the status tells {as_told()}')
    assert depot.connector('bay_2').reason == SiteConnectorStatus.LIMITED
    assert any('The meter of grid is silent' in warning for warning in depot.statuses[-1].warnings)


def test_the_house_load_is_subtracted_while_the_meter_reports(depot: Depot) -> None:
    topic = endpoints.topic('powermeter')
    publisher = depot.probe.publisher(topic.type, '/depot/grid_meter', profile(topic.qos))
    due = 0.0

    def sampled() -> bool:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + METER_PERIOD_S
            now = time.time_ns()
            stamp = Time(sec=now // 10**9, nanosec=now % 10**9)
            publisher.publish(Powermeter(timestamp=stamp, current_a=[Current(l1=4.0, l2=4.0, l3=4.0)]))
        return all(bay.status.signalled_current_a == pytest.approx(14.0) for bay in depot.bays)

    depot.probe.wait(sampled, '14 A each', 20.0)
    depot.probe.wait(lambda: depot.statuses[-1].nodes[0].house_load_a.l1 == 4.0, 'the house load is told')
    depot.reaches([10.0, 10.0])  # the meter is silent again


def test_a_limit_is_set_at_run_time_and_survives_a_restart(depot: Depot) -> None:
    refused = depot.set_limit(node='attic', source='operator', limit_a=14.0)
    assert (refused.success, refused.message) == (
        False, "refused: there is no node 'attic'; known are bay_1, bay_2, grid.",
    )  # fmt: skip
    assert depot.set_limit(node='grid', source='operator', limit_a=14.0).success
    depot.reaches([7.0, 7.0], 5.0)
    before = depot.statuses[-1].manager_id
    depot.manager.signal(signal.SIGKILL)
    depot.manager.wait()
    depot.manager = depot.start_manager()
    depot.probe.wait(lambda: depot.statuses[-1].manager_id != before, 'the next one in charge', 20.0)
    assert depot.statuses[-1].limits[0].source == 'operator'
    depot.reaches([7.0, 7.0])
    assert depot.set_limit(node='grid', source='operator').success
    depot.reaches([10.0, 10.0])


def test_a_second_one_stands_by_and_takes_over_without_an_interruption(depot: Depot) -> None:
    second = depot.start_manager()
    depot.probe.wait(lambda: 'this one stands by' in second.output, lambda: second.output, 20.0)
    first_id = depot.statuses[-1].manager_id
    statuses = [bay.listen('status') for bay in depot.bays]
    depot.manager.signal(signal.SIGKILL)
    depot.manager.wait()
    depot.manager = second
    depot.probe.wait(lambda: depot.statuses[-1].manager_id != first_id, 'the second one in charge', 10.0)
    depot.probe.spin(10.0)
    for seen in statuses:
        assert len(seen) > 5
        assert all(status.signalled_current_a == pytest.approx(10.0) for status in seen)


def test_without_a_site_file_it_does_not_start(site: Site) -> None:
    process = site.start('energy_manager')
    assert process.wait(20.0) == 2
    assert 'parameter site_file is empty' in process.output


def test_a_wrong_site_file_is_named_line_by_line(site: Site, tmp_path: Path) -> None:
    file = tmp_path / 'site.yaml'
    file.write_text(SITE_FILE.replace('limit_a: 32.0', 'limit_a: -32.0'))
    process = site.start('energy_manager', site_file=file)
    assert process.wait(20.0) == 2
    assert f'{file}:4' in process.output
