"""``site_markers`` as a process: markers follow the connectors' states, silence, and the site file."""

from pathlib import Path
from typing import Any

import pytest

from evse_manager.interface import endpoints
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Process, Site

pytest.importorskip('visualization_msgs.msg', reason='markers need visualization_msgs')

pytestmark = pytest.mark.timeout(120)

SITE_FILE = """
site: {name: marked, namespace: /marked, frame: yard}
grid: {limit_a: 32.0, children: [bay_1, bay_2]}
defaults: {driver: simulated}
connectors:
  bay_1: {pose: [1.0, 2.0, 0.0]}
  bay_2: {pose: [4.0, 2.0, 0.0]}
"""
SMALLER = SITE_FILE.replace(', bay_2', '').replace('  bay_2: {pose: [4.0, 2.0, 0.0]}\n', '')


class Shown:
    """The newest markers, as RViz would hold them."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        topic = endpoints.MARKERS
        self.arrays: list[Any] = probe.listen(topic.type, f'/marked/{topic.name}', profile(topic.qos))

    def marker(self, namespace: str, number: int) -> Any:
        """Return a marker, or None where there is none."""
        found = [
            each
            for each in (self.arrays[-1].markers if self.arrays else [])
            if (each.ns, each.id) == (namespace, number) and each.action == each.ADD
        ]
        return found[0] if found else None

    def label(self, number: int) -> str:
        marker = self.marker('label', number)
        return marker.text if marker is not None else ''

    def until(self, condition: Any, what: str) -> Any:
        return self.probe.wait(condition, lambda: f'{what}; labels {[self.label(0), self.label(1)]}', 30.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / 'site.yaml'
    path.write_text(SITE_FILE)
    return path


def test_markers_follow_state_silence_and_file(probe: Probe, site: Site, file: Path) -> None:
    bay = Connector(probe, '/marked/bay_1')
    site.board('/marked/bay_1')
    manager = site.manager('/marked/bay_1')
    bay.sees('Enabled', 30.0)
    node = site.start('site_markers', '/marked', site_file=file)
    shown = Shown(probe)
    shown.until(lambda: shown.label(0).startswith('bay_1, idle'), 'idle')
    assert shown.label(1).startswith('bay_2, silent')
    floor = shown.marker('bay', 0)
    assert floor.header.frame_id == 'yard'
    assert (floor.pose.position.x, floor.pose.position.y) == (1.0, 2.0)
    assert floor.lifetime.sec > 2
    assert shown.marker('cable', 0) is None

    bay.charge()
    shown.until(lambda: shown.label(0).startswith('bay_1, charging'), 'charging')
    shown.until(lambda: shown.marker('power', 0).scale.z > 0.1, 'a bar of power')
    assert shown.marker('cable', 0).type == shown.marker('cable', 0).LINE_STRIP
    assert len(shown.marker('cable', 0).points) > 2

    late = Shown(probe)  # a late reader gets everything at once
    late.until(lambda: late.label(0).startswith('bay_1, charging'), 'charging, for a late reader')

    file.write_text(SITE_FILE.replace('limit_a: 32.0', 'limit_a: -1'))
    shown.until(lambda: 'has mistakes' in node.output, 'the mistake is logged')
    assert shown.marker('bay', 1) is not None
    file.write_text(SMALLER)
    shown.until(lambda: shown.marker('bay', 1) is None, 'bay_2 is removed')
    assert {each.action for each in shown.arrays[-1].markers if each.id == 1} == {floor.DELETE}

    manager.stop()
    shown.until(lambda: shown.label(0).startswith('bay_1, silent'), 'silence')
    assert shown.marker('power', 0) is None


def ends_with_the_mistake(process: Process, mistake: str) -> None:
    assert process.wait() == 2, process.output
    assert mistake in process.output


def test_a_missing_site_file_is_named(site: Site, domain: int) -> None:
    ends_with_the_mistake(site.start('site_markers', '/marked'), 'parameter site_file is empty')


def test_a_site_file_with_mistakes_is_refused(site: Site, domain: int, file: Path) -> None:
    file.write_text(SITE_FILE.replace('limit_a', 'limt_a'))
    ends_with_the_mistake(site.start('site_markers', '/marked', site_file=file), 'limit_a')
