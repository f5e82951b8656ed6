"""The lease on the side of the board: one holder while it renews, and two fresh commands before power."""

import math

import pytest

from evse_manager.lease.board import REMEMBERED_MANAGERS, CommandVerdict, Lease

ACCEPTED, REPLAYED, FOREIGN = CommandVerdict.ACCEPTED, CommandVerdict.REPLAYED, CommandVerdict.FOREIGN


@pytest.fixture
def lease() -> Lease:
    return Lease(2.0)


def test_nobody_holds_a_new_lease(lease: Lease) -> None:
    assert (lease.holder, lease.expires, lease.confirmed) == ('', None, False)
    assert not lease.lapse(1e9), 'a lease without a holder does not lapse'


def test_the_first_command_takes_the_lease_and_the_second_confirms_it(lease: Lease) -> None:
    assert lease.offer('m', 1, 1.0, 100.0) is ACCEPTED
    assert (lease.holder, lease.expires, lease.confirmed) == ('m', 101.0, False)
    assert lease.offer('m', 2, 1.0, 100.5) is ACCEPTED
    assert (lease.expires, lease.confirmed) == (101.5, True)


@pytest.mark.parametrize(
    ('number', 'verdict'), [(0, REPLAYED), (7, REPLAYED), (8, ACCEPTED), (1000, ACCEPTED)]
)
def test_only_a_newer_sequence_number_renews(lease: Lease, number: int, verdict: CommandVerdict) -> None:
    lease.offer('m', 7, 1.0, 0.0)
    assert lease.offer('m', number, 1.0, 0.5) is verdict
    assert lease.expires == (1.5 if verdict is ACCEPTED else 1.0)


def test_the_sequence_number_zero_is_the_lowest(lease: Lease) -> None:
    assert lease.offer('m', 0, 1.0, 0.0) is ACCEPTED
    assert Lease(2.0).offer('m', -1, 1.0, 0.0) is REPLAYED


def test_another_manager_and_no_manager_are_refused_while_the_lease_holds(lease: Lease) -> None:
    lease.offer('m', 1, 1.0, 0.0)
    assert lease.offer('other', 99, 1.0, 0.999) is FOREIGN
    assert lease.offer('', 99, 1.0, 0.999) is FOREIGN
    assert lease.holder == 'm'
    assert lease.offer('other', 99, 1.0, 1.0) is ACCEPTED, 'the lease ends at its very deadline'
    assert (lease.holder, lease.confirmed) == ('other', False)


def test_a_gap_takes_the_confirmation_away(lease: Lease) -> None:
    for number in (1, 2):
        lease.offer('m', number, 1.0, 0.0)
    assert not lease.lapse(0.999)
    assert lease.confirmed
    assert lease.lapse(1.0)
    assert (lease.holder, lease.expires, lease.confirmed) == ('', None, False)
    assert not lease.lapse(1.0), 'it ends once'
    lease.offer('m', 3, 1.0, 2.0)
    assert not lease.confirmed
    lease.offer('m', 4, 1.0, 2.1)
    assert lease.confirmed


@pytest.mark.parametrize(
    ('asked', 'granted'),
    [(0.5, 0.5), (2.0, 2.0), (2.1, 2.0), (math.inf, 2.0), (0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0)],
)
def test_no_lease_is_longer_than_the_longest(lease: Lease, asked: float, granted: float) -> None:
    lease.offer('m', 1, asked, 10.0)
    assert lease.expires == 10.0 + granted


def test_old_commands_of_former_managers_stay_old(lease: Lease) -> None:
    for manager in range(REMEMBERED_MANAGERS):
        assert lease.offer(f'm{manager}', 5, 1.0, 10.0 * manager) is ACCEPTED
    later = 10.0 * REMEMBERED_MANAGERS
    assert lease.offer('m0', 5, 1.0, later) is REPLAYED, 'the oldest that is remembered'
    assert lease.offer('new', 1, 1.0, later) is ACCEPTED
    assert lease.offer('m1', 5, 1.0, later + 1.0) is REPLAYED
    assert lease.offer('m0', 5, 1.0, later + 1.0) is ACCEPTED, 'forgotten for the newest'


def test_a_manager_that_returns_is_remembered_longest(lease: Lease) -> None:
    for manager in range(REMEMBERED_MANAGERS):
        lease.offer(f'm{manager}', 5, 1.0, 10.0 * manager)
    later = 10.0 * REMEMBERED_MANAGERS
    assert lease.offer('m0', 6, 1.0, later) is ACCEPTED
    assert lease.offer('new', 1, 1.0, later + 1.0) is ACCEPTED
    assert lease.offer('m0', 6, 1.0, later + 2.0) is REPLAYED
