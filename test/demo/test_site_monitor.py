"""The passive monitor of a site: what it adds up, and what it calls an excess."""

import math

import pytest

from evse_manager.demo.site_monitor import CARS_FOLLOW_S, OFFERS_FOLLOW_S, SiteMonitor
from evse_manager.depot.site import Phase
from evse_manager.depot.site_file import parse_site
from evse_manager.interface.enums import ContactorState, PilotMode
from evse_manager.interface.types import BoardState, Current, Energy, Powermeter

SITE = parse_site("""\
site: {name: yard}
grid:
  limit_a: 40
  children:
    row: {limit_a: 30, children: [evse_1, evse_2]}
    evse_3:
connectors:
  evse_1: {phases: [L1, L2, L3]}
  evse_2: {phases: [L2, L3, L1]}
  evse_3: {phases: [L3]}
""")


def offer(
    amperes: float,
    contactor: ContactorState = ContactorState.CLOSED,
    pilot: PilotMode = PilotMode.PWM,
) -> BoardState:
    return BoardState(pilot_mode=pilot, current_a=amperes, contactor=contactor)


def sample(*amperes: float) -> Powermeter:
    l1, l2, l3 = (*amperes, 0.0, 0.0)[:3]
    return Powermeter(energy_wh_import=Energy(total=0.0), current_a=Current(l1=l1, l2=l2, l3=l3))


@pytest.fixture
def monitor() -> SiteMonitor:
    return SiteMonitor(SITE)


def test_offers_within_every_limit_are_no_excess(monitor: SiteMonitor) -> None:
    monitor.board('evse_1', offer(15.0), 0.0)
    monitor.board('evse_2', offer(15.0), 0.0)
    monitor.board('evse_3', offer(10.0), 0.0)
    assert monitor.violations == []
    assert monitor.messages == 3
    assert monitor.sums('grid').offered_a == {Phase.L1: 30.0, Phase.L2: 30.0, Phase.L3: 40.0}


@pytest.mark.parametrize(
    ('connector', 'amperes', 'node'), [('evse_2', 15.5, 'row L'), ('evse_3', 10.5, 'grid L3')]
)
def test_an_offer_above_a_fuse_is_an_excess(
    monitor: SiteMonitor, connector: str, amperes: float, node: str
) -> None:
    for name, current in {'evse_1': 15.0, 'evse_2': 15.0, 'evse_3': 10.0, connector: amperes}.items():
        monitor.board(name, offer(current), 0.0)
    assert any(each.startswith(node) and 'offered' in each for each in monitor.violations)


@pytest.mark.parametrize(
    'state', [offer(40.0, ContactorState.OPEN), offer(40.0, ContactorState.CLOSED, PilotMode.X1)]
)
def test_what_no_car_can_use_does_not_count(monitor: SiteMonitor, state: BoardState) -> None:
    monitor.board('evse_1', state, 0.0)
    assert monitor.violations == []


def test_a_car_counts_on_the_phases_that_it_uses_and_with_what_it_can_take(monitor: SiteMonitor) -> None:
    monitor.car('evse_1', 1, 16.0)
    monitor.car('evse_2', 1, 16.0)
    monitor.board('evse_1', offer(30.0), 0.0)
    monitor.board('evse_2', offer(30.0), 0.0)
    assert monitor.sums('row').offered_a == {Phase.L1: 16.0, Phase.L2: 16.0, Phase.L3: 0.0}
    assert monitor.violations == []


def test_measured_currents_count_on_the_phases_of_the_site(monitor: SiteMonitor) -> None:
    monitor.meter('evse_2', sample(12.0, 11.0, 10.0), 0.0)
    monitor.meter('evse_3', sample(6.0), 0.0)
    assert monitor.sums('grid').measured_a == {Phase.L1: 10.0, Phase.L2: 12.0, Phase.L3: 17.0}
    assert monitor.highest_a == 17.0
    monitor.meter('evse_1', sample(31.0), 0.0)
    assert any(each.startswith('row L1') and 'measured' in each for each in monitor.violations)


def test_offers_and_cars_have_their_time_to_follow_a_lower_limit(monitor: SiteMonitor) -> None:
    monitor.board('evse_1', offer(30.0), 0.0)
    monitor.meter('evse_1', sample(30.0, 30.0, 30.0), 0.0)
    monitor.limit('grid', 20.0, 10.0)
    monitor.board('evse_1', offer(30.0), 10.0 + OFFERS_FOLLOW_S - 0.1)
    monitor.board('evse_1', offer(20.0), 10.0 + OFFERS_FOLLOW_S)
    monitor.meter('evse_1', sample(30.0, 30.0, 30.0), 10.0 + CARS_FOLLOW_S - 0.1)
    assert monitor.violations == []
    monitor.meter('evse_1', sample(30.0, 30.0, 30.0), 10.0 + CARS_FOLLOW_S)
    assert monitor.violations


def test_an_offer_that_does_not_follow_is_an_excess(monitor: SiteMonitor) -> None:
    monitor.limit('grid', 20.0, 10.0)
    monitor.board('evse_1', offer(30.0), 10.0 + OFFERS_FOLLOW_S)
    assert monitor.violations


def test_a_limit_that_is_taken_back_leaves_the_fuse(monitor: SiteMonitor) -> None:
    monitor.limit('grid', 20.0, 0.0)
    monitor.limit('grid', math.inf, 100.0)
    assert monitor.limit_a('grid') == 40.0
    monitor.board('evse_1', offer(30.0), 200.0)
    assert monitor.violations == []
