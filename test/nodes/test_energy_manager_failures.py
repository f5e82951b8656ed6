"""
Connectors that misbehave, and meters that lie, before a real energy manager (docs/energy.md).

The connectors are messages of this test: what they draw, follow and say is up to it.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evse_manager.interface import endpoints
from evse_manager.interface.enums import ContactorState, GrantReason, LimitOrigin, NodeType
from evse_manager.interface.types import (
    Current,
    EnergyFlowRequest,
    EnforcedLimits,
    LimitsReq,
    Powermeter,
    ScheduleReqEntry,
    SiteConnectorStatus,
    SiteNodeStatus,
    SiteStatus,
    Time,
)
from evse_manager.nodes.conversions import from_message, to_message
from evse_manager.nodes.qos import NEWEST, profile
from harness import Probe, Site, running

pytestmark = pytest.mark.timeout(150)

HOUSE_A, SAFE_A = 25.0, 20.0
FUSE_A = 32.0
"""What the connectors may use while the meter of the house is silent and counts with HOUSE_A - SAFE_A."""

SITE_FILE = f"""
site: {{name: yard, namespace: /misbehaving}}
grid: {{limit_a: {FUSE_A + HOUSE_A - SAFE_A}, children: {{row_a: {{children: [bay_1, bay_2, bay_3]}},
  house: {{limit_a: {HOUSE_A}, safe_limit_a: {SAFE_A},
    meter: {{topic: meter, timeout_s: 2.0}}, children: [bay_4]}}}}}}
connectors: {{bay_1: {{}}, bay_2: {{}}, bay_3: {{failsafe_current_a: 6.0}}, bay_4: {{}}}}
"""

ASK_S = 0.5
SLACK_A = 0.11


def now() -> Time:
    return Time(time.time_ns())


class Bay:
    """A connector in messages; it follows its grants until a test changes that."""

    def __init__(self, probe: Probe, name: str) -> None:
        self.name, self.uuid = name, f'/misbehaving/{name}'
        self.wants_a = 0.0
        self.follows = True
        self.draws_more_a = 0.0
        self.speaks = True
        self.spoil: Callable[[EnergyFlowRequest], EnergyFlowRequest] = lambda request: request
        self.grant: EnforcedLimits | None = None
        self._followed: EnforcedLimits | None = None
        request, limits = endpoints.topic('energy/request'), endpoints.topic('energy/limits')
        self._publisher = probe.publisher(request.type, f'{self.uuid}/{request.name}', NEWEST)
        probe.node.create_subscription(
            endpoints.load(limits.type), f'{self.uuid}/{limits.name}', self._on_limits, NEWEST
        )

    def _on_limits(self, message: object) -> None:
        self.grant = from_message(message, EnforcedLimits)
        if self.follows:
            self._followed = self.grant

    @staticmethod
    def _amperes(grant: EnforcedLimits | None) -> float:
        limits = grant.limits_root_side if grant is not None else None
        return (limits.ac_max_current_a if limits is not None else None) or 0.0

    @property
    def granted_a(self) -> float:
        return self._amperes(self.grant)

    @property
    def draw_a(self) -> float:
        current = self._amperes(self._followed) if self.wants_a else 0.0
        return current + self.draws_more_a if current else 0.0

    def ask(self) -> None:
        if not self.speaks:
            return
        followed = self._followed
        current = self.draw_a
        limits = LimitsReq(ac_max_current_a=self.wants_a, ac_min_current_a=6.0, ac_max_phase_count=3)
        request = EnergyFlowRequest(
            uuid=self.uuid,
            stamp=now(),
            node_type=NodeType.EVSE,
            energy_usage_root=Powermeter(
                timestamp=now(), current_a=Current(l1=current, l2=current, l3=current)
            ),
            schedule_import=(
                ScheduleReqEntry(timestamp=now(), limits_to_root=limits, limits_to_leaves=limits),
            ),
            contactor=ContactorState.CLOSED if current else ContactorState.OPEN,
            grant_stamp=followed.stamp if followed is not None else None,
            grant_manager_id=followed.manager_id if followed is not None else '',
            granted=followed.limits_root_side if followed is not None else None,
        )
        self._publisher.publish(to_message(self.spoil(request)))


class Yard:
    """The energy manager, its connectors and its meter."""

    def __init__(self, site: Site, probe: Probe, folder: Path) -> None:
        self.probe = probe
        file = folder / 'site.yaml'
        file.write_text(SITE_FILE)
        site.start(
            'energy_manager',
            '/misbehaving',
            site_file=file,
            limit_store=folder / 'limits.json',
            minimum_off_time_s=1.0,
        )
        status = endpoints.topic('site/status')
        self._statuses = probe.listen(status.type, '/misbehaving/site/status', profile(status.qos))
        self.bays = [Bay(probe, f'bay_{number}') for number in (1, 2, 3, 4)]
        meter = endpoints.topic('powermeter')
        self._meter = probe.publisher(meter.type, '/misbehaving/meter', profile(meter.qos))
        self.sample: Callable[[], Powermeter] | None = None
        self._asked = 0.0

    def reaches(self, condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
        """Let the connectors ask until the condition holds; no fuse is exceeded in the meantime."""

        def tried() -> bool:
            if time.monotonic() >= self._asked + ASK_S:
                self._asked = time.monotonic()
                for bay in self.bays:
                    bay.ask()
                if self.sample is not None:
                    self._meter.publish(to_message(self.sample()))
            return bool(self._statuses) and condition()

        self.probe.wait(
            tried, lambda: f'{what}; {self.status.connectors if self._statuses else "no status"}', limit_s
        )

    @property
    def status(self) -> SiteStatus:
        return from_message(self._statuses[-1], SiteStatus)

    def connector(self, bay: Bay) -> SiteConnectorStatus:
        return next(each for each in self.status.connectors if each.name == bay.name)

    def node(self, name: str) -> SiteNodeStatus:
        return next(each for each in self.status.nodes if each.name == name)

    def reason(self, bay: Bay) -> GrantReason:
        return self.connector(bay).reason


@pytest.fixture
def yard(domain: int, probe: Probe, tmp_path: Path) -> Iterator[Yard]:
    with running(tmp_path) as site:
        yield Yard(site, probe, tmp_path)


def test_a_connector_that_draws_too_much_is_named_and_the_others_shrink(yard: Yard) -> None:
    greedy, other = yard.bays[:2]
    greedy.wants_a = other.wants_a = 32.0
    share = (FUSE_A - 6.0) / 2  # 6 A are the failsafe current of bay_3
    yard.reaches(lambda: other.granted_a >= share - SLACK_A, 'equal shares')
    before = other.granted_a
    greedy.draws_more_a = 4.0
    yard.reaches(lambda: yard.reason(greedy) is GrantReason.OVERDRAW, 'overdraw seen')
    assert any(greedy.name in warning and 'draws' in warning for warning in yard.status.warnings)
    yard.reaches(
        lambda: other.granted_a < before and greedy.draw_a + other.draw_a + 6.0 <= FUSE_A + SLACK_A,
        'room for it',
    )


def test_negative_use_frees_nothing(yard: Yard) -> None:
    wrong, other = yard.bays[:2]
    wrong.wants_a = other.wants_a = 32.0
    negative = Powermeter(current_a=Current(l1=-50.0, l2=-50.0, l3=-50.0))
    wrong.spoil = lambda request: replace(
        request, energy_usage_root=replace(negative, timestamp=now()), contactor=ContactorState.CLOSED
    )
    yard.reaches(lambda: other.granted_a >= 12.0 and wrong.granted_a >= 6.0, 'grants for both')
    assert yard.connector(wrong).granted_a + other.granted_a <= FUSE_A - 6.0 + SLACK_A


@pytest.mark.parametrize('lie', [1e9, -1e9, math.nan], ids=['huge', 'hugely negative', 'no number'])
def test_a_lying_meter_counts_as_silent(yard: Yard, lie: float) -> None:
    bay = yard.bays[3]
    bay.wants_a = 32.0
    yard.sample = lambda: Powermeter(timestamp=now(), current_a=Current(l1=2.0, l2=2.0, l3=2.0))
    yard.reaches(lambda: bay.granted_a >= 23.0 - SLACK_A, 'the limit less the house load')
    yard.sample = lambda: Powermeter(
        timestamp=now(), current_a=None if math.isnan(lie) else Current(l1=lie, l2=lie, l3=lie)
    )
    yard.reaches(lambda: bay.granted_a <= SAFE_A + SLACK_A, 'the safe limit')
    yard.reaches(
        lambda: (
            yard.node('house').limit_a_origin is LimitOrigin.METER_SILENT
            and any('house' in warning for warning in yard.status.warnings)
        ),
        'the silent meter is named',
    )
