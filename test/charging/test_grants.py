"""Which grants of energy managers a connector takes, and how long they last."""

import pytest

from charging.kernel_harness import KernelHarness
from evse_manager.charging import allowance
from evse_manager.charging.allowance import Grant
from evse_manager.charging.inputs import LimitsEnforced
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import EnforcedLimits, LimitsRes, Time

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND
MAX_AGE_S = 10.0


def wall(steady: float) -> Time:
    return Time(START + round(steady * SECOND))


def grant(
    received: float,
    stamp: float,
    *,
    manager_id: str = 'm',
    request: float | None = None,
    clock_s: float = 0.0,
) -> Grant:
    """Return a grant of 10 s; ``clock_s`` is how far the connector's wall clock was set since its request."""
    limits = EnforcedLimits(
        stamp=wall(stamp),
        valid_until=wall(stamp + 10.0),
        limits_root_side=LimitsRes(ac_max_current_a=16.0),
        manager_id=manager_id,
        request_stamp=None if request is None else wall(request),
        binding_node='row_a',
    )
    return allowance.grant(limits, received, wall(received + clock_s))


def outdated(new: Grant, before: Grant | None) -> bool:
    return allowance.outdated(new, before, new.received, MAX_AGE_S)


@pytest.mark.parametrize(
    ('taken', 'ends'),
    [
        (grant(100.0, 100.0), 110.0),
        (grant(100.0, 100.0, request=99.5), 109.5),
        (grant(108.0, 100.0, request=99.5), 109.5),
        (grant(100.0, 5000.0, request=99.5), 109.5),
        (grant(100.0, 100.0, request=99.5, clock_s=-3600.0), 110.0),
    ],
    ids=['from reception', 'from the request', 'a late one', 'clocks that differ', 'own clock set back'],
)
def test_the_life_of_a_grant(taken: Grant, ends: float) -> None:
    assert taken.ends(MAX_AGE_S) == pytest.approx(ends)


def test_a_grant_that_ended_on_its_way_is_ignored() -> None:
    assert outdated(grant(110.0, 100.0, request=99.5), None)
    assert not outdated(grant(109.0, 100.0, request=99.5), None)


def test_of_one_energy_manager_an_older_grant_is_ignored_at_any_time() -> None:
    newer = grant(101.0, 100.9, request=100.8)
    assert outdated(grant(102.0, 100.0, request=99.9), newer)
    assert outdated(grant(150.0, 100.0), newer)
    assert not outdated(grant(102.0, 100.9, request=100.8), newer)
    assert not outdated(grant(102.0, 101.9, request=101.8), newer)


def test_of_another_one_an_older_grant_is_ignored_while_it_could_have_been_on_its_way() -> None:
    newer = grant(101.0, 100.9, request=95.0)
    assert outdated(grant(106.0, 100.0, manager_id='other'), newer)
    assert not outdated(grant(111.5, 100.0, manager_id='other'), newer)


def test_a_sender_without_an_identity_is_taken_as_it_comes() -> None:
    assert not outdated(grant(102.0, 50.0, manager_id=''), grant(101.0, 100.9))
    assert not outdated(grant(102.0, 50.0), grant(101.0, 100.9, manager_id=''))


def test_the_binding_node_stands_with_the_limit() -> None:
    assert grant(100.0, 100.0).bound.node == 'row_a'


# --- in the kernel ------------------------------------------------------------------------------------


def managed(current_a: float) -> KernelHarness:
    """Return a charging connector whose energy manager has granted this current, bound by the node row_a."""
    harness = KernelHarness(Config(energy_source='manager')).grant(16.0).charging()
    hand_out(harness, current_a, harness.wall)
    return harness


def hand_out(harness: KernelHarness, current_a: float, stamp: int) -> None:
    limits = EnforcedLimits(
        stamp=Time(stamp),
        valid_until=Time(stamp + 10 * SECOND),
        limits_root_side=LimitsRes(ac_max_current_a=current_a),
        manager_id='m',
        request_stamp=Time(stamp),
        binding_node='row_a',
    )
    harness.do(LimitsEnforced(limits))


def test_the_status_names_the_node_that_binds() -> None:
    harness = managed(10.0)
    assert (harness.status.limit_a, harness.status.limit_node) == (10.0, 'row_a')
    assert harness.status.reason_text == (
        'Charging; the limit of 10.0 A comes from the site node row_a (energy manager).'
    )
    assert managed(63.0).status.limit_node == ''


def test_a_late_grant_raises_nothing() -> None:
    harness = managed(10.0)
    hand_out(harness, 16.0, harness.wall - SECOND)
    assert harness.status.limit_a == 10.0
