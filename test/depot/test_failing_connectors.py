"""
What fails between the energy manager and single connectors of a site, each node a process of its own.

The site charges two cars on one fuse: what one of them keeps reserved, the other one lacks.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from evse_manager.energy.connector import FOLLOWS_WITHIN_S, SILENT_AFTER_S
from evse_manager.energy.ledger import OUTLIVES_VALIDITY_S, VALIDITY_S
from evse_manager.interface import endpoints
from evse_manager.msg import ContactorState, Error, EvseStatus, SiteConnectorStatus, SiteStatus
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Process, Site, running

pytestmark = pytest.mark.timeout(180)

FUSE_A, FAILSAFE_A = 32.0, 8.0
SHARE_A = FUSE_A / 2
SITE_FILE = f"""
site: {{name: failing, namespace: /failing}}
grid: {{limit_a: {FUSE_A}, children: [bay_1, bay_2]}}
connectors:
  bay_1: {{failsafe_current_a: {FAILSAFE_A}}}
  bay_2: {{}}
"""

LESS_A = 12.0
"""A share of 16 A is above what is tolerated then, and below what the board itself would trip at."""

MESSAGES_S = 2.0
"""Grants, requests and states are sent at least once a second."""

SETTLED_S = 60.0
"""A start, one validity of a grant, and 5 s for each change that cars follow."""


class Failing:
    """The site of these tests."""

    def __init__(self, site: Site, probe: Probe, folder: Path) -> None:
        self.site, self.probe = site, probe
        self.file = folder / 'site.yaml'
        self.file.write_text(SITE_FILE)
        topic = endpoints.topic('site/status')
        self.statuses: list[SiteStatus] = probe.listen(topic.type, '/failing/site/status', profile(topic.qos))
        self.energy_manager = self.start_energy_manager()
        self.bays = [
            Connector(probe, f'/failing/bay_{number}', restarted=True) for number in (1, 2)
        ]  # fmt: skip
        for bay in self.bays:
            site.board(bay.namespace)
        self.managers = [self.start_manager(number) for number in (1, 2)]
        for bay in self.bays:
            bay.sees('Enabled', SETTLED_S)

    def start_energy_manager(self) -> Process:
        return self.site.start(
            'energy_manager', '/failing', site_file=self.file, limit_store='""', minimum_off_time_s=1.0
        )

    def start_manager(self, number: int) -> Process:
        return self.site.manager(
            f'/failing/bay_{number}',
            connector_id=number,
            energy_source='manager',
            disable_authentication=True,
            failsafe_current_a=FAILSAFE_A if number == 1 else 0.0,
        )

    def set_limit(self, **fields: Any) -> None:
        service = endpoints.SET_SITE_LIMIT
        answer = self.probe.call(service.type, f'/failing/{service.name}', **fields)
        assert answer.success, answer.message

    def charges(self, *profiles: str) -> None:
        """Plug in cars of these profiles where there is none, and wait until each has its share."""
        for bay, name in zip(self.bays, profiles or ('', ''), strict=True):
            if not bay.status.plugged:
                bay.accepted('simulation/plug_in', profile=name)
        self.probe.wait(self.all_charge, self.why, SETTLED_S)

    def all_charge(self) -> bool:
        return all(
            bay.status.state == EvseStatus.STATE_CHARGING
            and bay.status.signalled_current_a == pytest.approx(SHARE_A)
            and self.known(number).measured_a.l1 > 0.9 * SHARE_A
            for number, bay in enumerate(self.bays, 1)
        )

    def known(self, number: int) -> SiteConnectorStatus:
        """Return what the energy manager says of a connector."""
        return next(each for each in self.statuses[-1].connectors if each.name == f'bay_{number}')

    def why(self) -> str:
        sentences = [each.reason_text for each in self.statuses[-1].connectors] if self.statuses else []
        return f'{sentences}; {[(bay.status.signalled_current_a, bay.why) for bay in self.bays]}'


@pytest.fixture(scope='module')
def site_of_two(domain: int, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failing]:
    folder = tmp_path_factory.mktemp('failing')
    with running(folder) as site:
        yield Failing(site, probe, folder)


@pytest.fixture
def failing(site_of_two: Failing) -> Failing:
    """Two cars that charge with equal shares."""
    site_of_two.charges()
    return site_of_two


def test_without_energy_manager_one_takes_its_failsafe_current_and_the_other_pauses(
    failing: Failing,
) -> None:
    first, second = failing.bays
    sessions = [bay.status.session_uuid for bay in failing.bays]
    cycles = first.status.contactor_cycles
    failing.energy_manager.signal(SIGKILL)
    failing.energy_manager.wait()
    failing.probe.wait(
        lambda: (
            first.status.signalled_current_a == FAILSAFE_A
            and second.status.reason == EvseStatus.REASON_LIMIT_EXPIRED
            and second.status.contactor == ContactorState.OPEN
        ),
        failing.why,
        VALIDITY_S + OUTLIVES_VALIDITY_S + MESSAGES_S,
    )
    assert first.status.state == EvseStatus.STATE_CHARGING
    failing.energy_manager = failing.start_energy_manager()
    failing.charges()
    assert first.status.contactor_cycles == cycles
    assert [bay.status.session_uuid for bay in failing.bays] == sessions


def test_a_silent_connector_counts_with_its_last_grant_and_then_with_its_failsafe_current(
    failing: Failing,
) -> None:
    second = failing.bays[1]
    failing.managers[0].signal(SIGKILL)
    failing.managers[0].wait()
    began = time.monotonic()
    failing.probe.wait(
        lambda: failing.known(1).reason == SiteConnectorStatus.SILENT,
        failing.why,
        SILENT_AFTER_S + MESSAGES_S,
    )
    assert failing.known(1).counted_a.l1 == pytest.approx(SHARE_A)

    failing.probe.wait(lambda: second.status.signalled_current_a > SHARE_A + 0.1, failing.why, SETTLED_S)
    # Its last grant was sent at most one second before it was killed.
    assert time.monotonic() - began >= VALIDITY_S + OUTLIVES_VALIDITY_S - 1.0
    failing.probe.wait(
        lambda: second.status.signalled_current_a == pytest.approx(FUSE_A - FAILSAFE_A),
        failing.why,
        SETTLED_S,
    )
    assert failing.known(1).reason == SiteConnectorStatus.SILENT
    assert failing.known(1).counted_a.l1 == pytest.approx(FAILSAFE_A)
    failing.managers[0] = failing.start_manager(1)
    failing.charges()


def test_a_connector_that_draws_too_much_takes_from_the_other_until_it_is_switched_off(
    failing: Failing,
) -> None:
    first, second = failing.bays
    first.accepted('simulation/unplug')
    first.reaches(lambda status: not status.plugged, 'unplugged')
    first.accepted('simulation/plug_in', profile='overdraws')
    failing.probe.wait(
        lambda: failing.known(1).reason == SiteConnectorStatus.OVERDRAW, failing.why, SETTLED_S
    )
    drawn = failing.known(1).counted_a.l1
    failing.probe.wait(
        lambda: second.status.signalled_current_a <= FUSE_A - drawn + 0.1, failing.why, 3 * MESSAGES_S
    )
    first.reaches(
        lambda status: any(error.error_code == Error.OVER_CURRENT for error in status.active_errors),
        'over-current',
    )
    first.reaches(lambda status: status.contactor == ContactorState.OPEN, 'open', MESSAGES_S)
    first.accepted('simulation/unplug')
    first.reaches(lambda status: not status.active_errors, 'no error')


def test_a_connector_that_does_not_follow_a_reduction_loses_its_grant_and_is_switched_off(
    failing: Failing,
) -> None:
    first = failing.bays[0]
    first.accepted('simulation/unplug')
    first.reaches(lambda status: not status.plugged, 'unplugged')
    failing.charges('ignores_reductions', '')
    failing.set_limit(node='bay_1', source='operator', limit_a=LESS_A)
    first.reaches(lambda status: status.signalled_current_a == LESS_A, 'the lower current', 5.0)
    reduced = time.monotonic()
    failing.probe.wait(
        lambda: failing.known(1).reason == SiteConnectorStatus.NOT_FOLLOWING,
        failing.why,
        FOLLOWS_WITHIN_S + 2 * MESSAGES_S,
    )
    assert time.monotonic() - reduced >= FOLLOWS_WITHIN_S - MESSAGES_S
    assert failing.known(1).granted_a == 0.0
    assert failing.known(1).measured_a.l1 == pytest.approx(SHARE_A, abs=0.5)
    assert any('bay_1' in text and 'reduction' in text for text in failing.statuses[-1].warnings)
    first.reaches(
        lambda status: any(error.error_code == Error.OVER_CURRENT for error in status.active_errors),
        'it draws on: over-current',
        10.0,
    )
    first.reaches(lambda status: status.contactor == ContactorState.OPEN, 'open', MESSAGES_S)
    second = failing.bays[1]
    failing.probe.wait(
        lambda: second.status.signalled_current_a == pytest.approx(FUSE_A - FAILSAFE_A),
        failing.why,
        SETTLED_S,
    )
    failing.set_limit(node='bay_1', source='operator')
    first.accepted('simulation/unplug')


def test_an_energy_manager_refuses_failsafe_currents_that_exceed_a_fuse(site: Site, tmp_path: Path) -> None:
    file = tmp_path / 'site.yaml'
    file.write_text(SITE_FILE.replace('bay_2: {}', 'bay_2: {failsafe_current_a: 30}'))
    process = site.start('energy_manager', site_file=file)
    assert process.wait(30.0) == 2
    assert '38' in process.output, process.output
    assert 'failsafe' in process.output
