"""What ``site/set_limit`` of a real energy manager refuses: a sentence, and earlier limits stay."""

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Time

from evse_manager.interface import endpoints
from evse_manager.msg import LimitsReq, ScheduleReqEntry, SiteStatus
from evse_manager.nodes.qos import profile
from harness import Probe, Site

SITE_FILE = """
site: {name: refusing, namespace: /refusing}
grid: {limit_a: 32.0, children: [bay_1]}
connectors: {bay_1: {}}
"""

GOOD = {'node': 'grid', 'source': 'operator', 'priority': 5, 'limit_a': 20.0}
NOW_S = int(time.time())


def step(at: int, **limits: float) -> ScheduleReqEntry:
    return ScheduleReqEntry(timestamp=Time(sec=at), limits_to_root=LimitsReq(**limits))


REFUSED = {
    'unknown node': ({'node': 'attic'}, "there is no node 'attic'; known are bay_1, grid."),
    'no node': ({'node': ''}, "there is no node ''; known are bay_1, grid."),
    'connector by its namespace': ({'node': '/refusing/bay_1'}, "no node '/refusing/bay_1'; known are bay_1"),
    'too long node': ({'node': 'n' * 100_000}, "there is no node 'nnn"),
    'no source': ({'source': ''}, 'name the source of the limit'),
    'too long source': ({'source': 'x' * 65}, 'longer than 64 characters'),
    'source that steers a terminal': ({'source': 'a\x1b[2J'}, 'characters that cannot be shown'),
    'not a number': ({'limit_a': math.nan}, 'limit_a is nan, but must be a finite number (-1 = not given).'),
    'infinite': ({'limit_a': math.inf}, 'limit_a is inf, but must be a finite number'),
    'power that is not a number': ({'limit_w': math.nan}, 'limit_w is nan, but must be a finite number'),
    'negative': ({'limit_a': -5.0}, 'limit_a is -5.0, but must be a number of 0 or more.'),
    'nearly not given': ({'limit_a': -0.999}, 'limit_a is -0.999, but must be'),
    'negative power': ({'limit_a': -1.0, 'limit_w': -2.0}, 'limit_w is -2.0, but must be'),
    'one of two is wrong': ({'limit_w': -2.0}, 'limit_w is -2.0, but must be'),
    'expired': ({'expires': Time(sec=NOW_S - 3600)}, 'expired already; give a later expiry.'),
    'impossible expiry': ({'expires': Time(sec=-1)}, 'expires is -1 s and 0 ns, but must be a time'),
    'priority too high': (
        {'priority': 1_000_001},
        'priority is 1000001, but must lie in -1000000 to 1000000.',
    ),
    'priority too low': ({'priority': -1_000_001}, 'priority is -1000001, but must lie in'),
    'lower priority than before': (
        {'priority': 4},
        "limit of 'operator' at grid has the priority 5; give that",
    ),
    'clear with a lower priority': ({'priority': 4, 'limit_a': -1.0}, 'has the priority 5; give that or a'),
    'limit and schedule': (
        {'schedule': [step(1, ac_max_current_a=9.0)]},
        'give either limit_a and limit_w or',
    ),
    'schedule whose second step is wrong': (
        {'limit_a': -1.0, 'schedule': [step(1, ac_max_current_a=9.0), step(2, ac_max_current_a=math.nan)]},
        'schedule[1].limits_to_root.ac_max_current_a is nan',
    ),
    'schedule whose second step is negative': (
        {'limit_a': -1.0, 'schedule': [step(1, ac_max_current_a=9.0), step(2, ac_max_current_a=-3.0)]},
        'limit_a is -3.0, but must be a number of 0 or more.',
    ),
    'schedule that goes back': (
        {'limit_a': -1.0, 'schedule': [step(2, ac_max_current_a=9.0), step(1, ac_max_current_a=8.0)]},
        'the steps of the schedule must rise in time.',
    ),
    'step without a limit': (
        {'limit_a': -1.0, 'schedule': [step(1, ac_max_current_a=9.0), step(2)]},
        'a step limits nothing; give limit_a or limit_w.',
    ),
    'too many steps': (
        {'limit_a': -1.0, 'schedule': [step(at, ac_max_current_a=9.0) for at in range(1, 1002)]},
        'more than 1000 steps',
    ),
}
"""What differs from ``GOOD``, and what the answer says."""


class Refusing:
    """An energy manager with limits that were set before."""

    def __init__(self, site: Site, probe: Probe, folder: Path) -> None:
        self.probe = probe
        self.store = folder / 'limits.json'
        file = folder / 'site.yaml'
        file.write_text(SITE_FILE)
        topic = endpoints.topic('site/status')
        self.statuses: list[SiteStatus] = probe.listen(
            topic.type, '/refusing/site/status', profile(topic.qos)
        )
        site.start('energy_manager', '/refusing', site_file=file, limit_store=self.store)
        for fields in (GOOD, {'node': 'bay_1', 'source': 'bridge', 'limit_a': 10.0}):
            assert self.set_limit(**fields).success

    def set_limit(self, **fields: Any) -> Any:
        service = endpoints.SET_SITE_LIMIT
        return self.probe.call(service.type, f'/refusing/{service.name}', **fields)

    def limits(self) -> list[tuple[str, str, int, float]]:
        """Return the limits of the next status."""
        seen = len(self.statuses)
        self.probe.wait(lambda: len(self.statuses) > seen, 'the next status')
        return [(each.node, each.source, each.priority, each.limit_a) for each in self.statuses[-1].limits]


@pytest.fixture(scope='module')
def refusing(shared_site: Site, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Refusing:
    refusing = Refusing(shared_site, probe, tmp_path_factory.mktemp('refusing'))
    refusing.probe.wait(lambda: len(refusing.statuses[-1].limits) == 2, 'both limits')
    return refusing


@pytest.mark.parametrize(('fields', 'words'), REFUSED.values(), ids=REFUSED)
def test_a_wrong_request_is_refused_and_earlier_limits_stay(
    refusing: Refusing, fields: dict[str, Any], words: str
) -> None:
    stored = refusing.store.read_bytes()
    answer = refusing.set_limit(**{**GOOD, **fields})
    assert not answer.success
    assert words in answer.message
    assert len(answer.message) < 300
    assert refusing.store.read_bytes() == stored


def test_after_all_that_the_limits_are_as_before_and_a_right_request_is_taken(refusing: Refusing) -> None:
    assert refusing.limits() == [('bay_1', 'bridge', 0, 10.0), ('grid', 'operator', 5, 20.0)]
    assert refusing.statuses[-1].nodes[0].limit_a == 20.0
    assert refusing.set_limit(**{**GOOD, 'limit_a': 16.0}).success
    refusing.probe.wait(lambda: refusing.statuses[-1].nodes[0].limit_a == 16.0, 'the new limit')
    stored = json.loads(refusing.store.read_text())
    assert [each['steps'][0]['limit_a'] for each in stored if each['node'] == 'grid'] == [16.0]
