"""Reservations: for a connector, for any connector, their marks, their end, and what survives a restart."""

import pytest

from authorization.site_model import EPOCH, SECOND, Site
from evse_manager.authorization.config import KnownToken, Rules, UnknownTokens, token_list
from evse_manager.authorization.matching import kept
from evse_manager.interface.enums import ReservationStatus, TokenResultEnum
from evse_manager.interface.types import Time

ACCEPTED, REJECTED = TokenResultEnum.ACCEPTED, TokenResultEnum.REJECTED

A, B, C = KnownToken('TOKEN_A'), KnownToken('TOKEN_B'), KnownToken('TOKEN_C')


def make(*tokens: KnownToken, connectors: int = 2, **rules: object) -> Site:
    listed = token_list(tokens or (A, B, C, KnownToken('FLEET_1', parent='FLEET')))
    return Site(Rules(tokens=listed, connection_timeout_s=30.0, **rules), connectors)  # type: ignore[arg-type]


# --- for one connector --------------------------------------------------------------------------------


def test_the_transaction_of_a_reserved_token_carries_its_number_and_uses_it_up() -> None:
    site = make()
    assert site.reserve('TOKEN_A', at=1, number=7).reservation_id == 7
    assert site.present('TOKEN_A') is ACCEPTED, 'a token goes to its reserved connector, before the car'
    site.plug(1)
    (begun,) = site.connectors[1].begun
    assert begun[2] == 7
    assert site.reservations() == {}
    assert site.marks() == {}


def test_a_reserved_token_takes_its_own_connector_and_not_the_first_car() -> None:
    site = make()
    site.reserve('TOKEN_A', at=2)
    site.plug(1)
    site.present('TOKEN_A')
    site.plug(2)
    assert site.charging() == {2: 'TOKEN_A'}


def test_a_reservation_of_an_unknown_connector_is_refused_and_replaces_none() -> None:
    site = make()
    assert site.reserve('TOKEN_A', at=1, number=7).success
    answer = site.reserve('TOKEN_A', at=99, number=7)
    assert (answer.success, answer.result) == (False, ReservationStatus.REJECTED)
    assert 'no such connector' in answer.message
    assert site.marks() == {1: 7}


@pytest.mark.parametrize(
    ('facts', 'result'),
    [
        ({'faulted': True}, ReservationStatus.FAULTED),
        ({'error': True}, ReservationStatus.FAULTED),
        ({'plugged': True}, ReservationStatus.OCCUPIED),
        ({'enabled': False}, ReservationStatus.UNAVAILABLE),
        ({'mark': 99}, ReservationStatus.OCCUPIED),
    ],
)
@pytest.mark.parametrize('at', [1, None])
def test_a_connector_that_can_not_be_reserved_refuses_with_the_reason(
    facts: dict[str, object], result: ReservationStatus, at: int | None
) -> None:
    site = make(connectors=1)
    site.set(1, **facts)
    answer = site.reserve('TOKEN_A', at=at)
    assert not answer.success
    if 'mark' not in facts or at is not None:
        assert answer.result is result
    assert answer.message.endswith('.')
    assert site.reservations() == {}


def test_a_silent_connector_is_unavailable() -> None:
    site = make()
    site.set(1, up=False)
    site.wait(10.0)
    assert site.reserve('TOKEN_A', at=1).result is ReservationStatus.UNAVAILABLE


def test_a_connector_in_use_is_occupied() -> None:
    site = make()
    site.present('TOKEN_A', at=1)
    assert site.reserve('TOKEN_B', at=1).result is ReservationStatus.OCCUPIED
    site.plug(1)
    assert site.reserve('TOKEN_B', at=1).result is ReservationStatus.OCCUPIED


def test_a_connector_is_reserved_once() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    again = site.reserve('TOKEN_B', at=1)
    assert again.result is ReservationStatus.OCCUPIED
    assert 'reservation 1' in again.message
    assert site.reservations() == {1: 'c1'}


@pytest.mark.parametrize(
    ('token', 'parent', 'number', 'words'),
    [
        ('', '', 0, 'Name the token'),
        ('x' * 37, '', 0, 'id_token'),
        ('a\x1bb', '', 0, 'id_token'),
        ('TOKEN_A', 'x' * 21, 0, 'parent'),
        ('TOKEN_A', '', -1, 'reservation_id'),
        ('TOKEN_A', '', 2**31, 'reservation_id'),
        ('STRANGER', '', 0, 'token list'),
    ],
)
def test_an_impossible_request_is_rejected(token: str, parent: str, number: int, words: str) -> None:
    site = make()
    answer = site.reserve(token, parent=parent, number=number)
    assert answer.result is ReservationStatus.REJECTED
    assert words in answer.message
    assert site.reservations() == {}


def test_an_unknown_token_can_be_reserved_for_where_unknown_tokens_are_asked_about() -> None:
    assert make(unknown=UnknownTokens.ASK).reserve('STRANGER').success


def test_a_token_is_not_reserved_a_connector_that_it_may_not_use() -> None:
    site = make(KnownToken('X', connectors=frozenset({'c2'})))
    assert site.reserve('X', at=1).result is ReservationStatus.REJECTED


def test_a_refusal_of_the_connector_is_the_answer() -> None:
    site = make()
    site.connectors[1].plugged = True  # its status has not arrived yet
    answer = site.reserve('TOKEN_A', at=1)
    assert (answer.success, answer.result) == (False, ReservationStatus.OCCUPIED)
    assert answer.message == 'The connector is in use.'
    assert site.reservations() == {}


def test_a_connector_that_does_not_answer_refuses_and_ends_up_unmarked() -> None:
    site = make()
    site.hold = True
    site.tickets = 41
    with pytest.raises(KeyError):
        site.reserve('TOKEN_A', at=1)
    site.deliver(lose_answer=True)
    assert site.answers[42].result is ReservationStatus.UNAVAILABLE
    assert site.marks() == {1: 1}
    site.hold = False
    site.wait(5.0)
    assert site.marks() == {}
    assert site.reservations() == {}
    assert site.reserve('TOKEN_B', at=1).success


def test_overwrite_reservation() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1, number=5)
    assert site.reserve('TOKEN_B', at=2, number=5).success
    assert site.reservations() == {5: 'c2'}
    site.wait(3.0)
    assert site.marks() == {2: 5}
    site.plug(1)
    assert site.present('TOKEN_C', at=1) is ACCEPTED


def test_a_refused_overwrite_keeps_the_reservation() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1, number=5)
    site.connectors[2].plugged = True
    assert not site.reserve('TOKEN_B', at=2, number=5).success
    assert site.reservations() == {5: 'c1'}
    site.wait(3.0)
    assert site.marks() == {1: 5}


def test_overwrite_at_the_same_connector_changes_the_token() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1, number=5)
    assert site.reserve('TOKEN_B', at=1, number=5).success
    site.wait(3.0)
    assert site.marks() == {1: 5}
    site.plug(1)
    assert site.present('TOKEN_A', at=1) is REJECTED
    assert site.present('TOKEN_B', at=1) is ACCEPTED


def test_numbers_that_are_chosen_here_are_free() -> None:
    site = make(connectors=3)
    site.reserve('TOKEN_A', at=1, number=1)
    assert site.reserve('TOKEN_B', at=2).reservation_id == 2
    assert site.reserve('TOKEN_C', at=3).reservation_id == 3


def test_cancel() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    assert site.cancel(1).success
    assert site.reservations() == {}
    assert site.marks() == {}
    again = site.cancel(1)
    assert not again.success
    assert 'no reservation 1' in again.message


def test_cancel_and_reserve_under_the_same_number() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1, number=5)
    site.hold = True
    site.cancel(5)
    site.hold = False
    site.wait(1.0)
    assert site.reserve('TOKEN_B', at=1, number=5).success
    site.wait(5.0)
    assert site.marks() == {1: 5}


def test_cancelled_while_the_connector_is_silent_the_mark_goes_when_it_is_back() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    site.set(1, up=False)
    site.wait(10.0)
    assert site.cancel(1).success
    site.connectors[1].up = True
    site.wait(3.0)
    assert site.marks() == {}


def test_an_expired_reservation_ends_by_the_wall_clock() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1, for_s=10.0)
    site.plug(1)
    site.wait(9.0)
    assert site.present('TOKEN_B', at=1) is REJECTED
    site.wait(4.0)
    assert site.reservations() == {}
    assert site.marks() == {}
    assert site.present('TOKEN_B', at=1) is ACCEPTED


def test_one_wrong_reading_of_the_wall_clock_ends_no_reservation() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    wall = site.wall
    site.wall = Time(EPOCH + 20 * 365 * 86400 * SECOND)
    site.wait(1.0)
    site.wall = wall
    site.wait(10.0)
    assert site.reservations() == {1: 'c1'}


def test_a_disabled_connector_keeps_its_reservation_and_shows_it_again_when_enabled() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    site.set(1, enabled=False)
    site.wait(3.0)
    assert site.marks() == {}
    assert site.reservations() == {1: 'c1'}
    site.set(1, enabled=True)
    site.wait(3.0)
    assert site.marks() == {1: 1}


def test_an_authorization_that_timed_out_leaves_the_reservation() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    site.present('TOKEN_A')
    site.wait(31.0)
    assert site.authorized() == {}
    assert site.reservations() == {1: 'c1'}
    assert site.marks() == {1: 1}


def test_a_reservation_of_another_node_keeps_tokens_out() -> None:
    site = make(connectors=1)
    site.set(1, mark=99)
    site.plug(1)
    assert site.present('TOKEN_A') is REJECTED
    assert site.marks() == {1: 99}


# --- for any connector --------------------------------------------------------------------------------


def test_one_connector_is_kept_free_for_a_reservation_of_any() -> None:
    site = make(connectors=2)
    site.reserve('TOKEN_A')
    site.plug(1)
    assert site.present('TOKEN_B', at=1) is ACCEPTED
    site.plug(2)
    assert site.present('TOKEN_C', at=2) is REJECTED
    assert 'kept free' in site.last.reason
    assert site.present('TOKEN_A', at=2) is ACCEPTED
    assert site.reservations() == {}


def test_a_reserved_token_without_a_connector_goes_to_the_first_car() -> None:
    site = make(connectors=2)
    site.reserve('TOKEN_A')
    site.plug(2)
    assert site.present('TOKEN_A') is ACCEPTED
    assert site.charging() == {2: 'TOKEN_A'}
    assert site.reservations() == {}


def test_as_many_reservations_of_any_as_connectors() -> None:
    site = make(connectors=2)
    assert site.reserve('TOKEN_A').success
    assert site.reserve('TOKEN_B').success
    refused = site.reserve('TOKEN_C')
    assert refused.result is ReservationStatus.OCCUPIED
    assert site.reservations() == {1: '', 2: ''}


def test_a_connector_that_is_kept_free_is_not_reserved_by_name() -> None:
    site = make(connectors=1)
    site.reserve('TOKEN_A')
    assert site.reserve('TOKEN_B', at=1).result is ReservationStatus.OCCUPIED


def test_a_reservation_of_any_counts_only_the_connectors_of_its_token() -> None:
    site = make(KnownToken('X', connectors=frozenset({'c1'})), B, C, connectors=2)
    assert site.reserve('X').success
    site.plug(1)
    assert site.present('TOKEN_B', at=1) is REJECTED
    site.plug(2)
    assert site.present('TOKEN_B', at=2) is ACCEPTED


def test_two_reservations_with_overlapping_connectors_are_both_kept() -> None:
    narrow = KnownToken('NARROW', connectors=frozenset({'c1'}))
    site = make(narrow, A, B, C, connectors=2)
    assert site.reserve('TOKEN_A').success
    assert site.reserve('NARROW').success
    site.plug(1)
    assert site.present('TOKEN_A', at=1) is REJECTED, 'it would take the only connector of the other'
    site.plug(2)
    assert site.present('TOKEN_A', at=2) is ACCEPTED
    assert site.present('NARROW', at=1) is ACCEPTED


def test_a_connector_that_fails_is_no_reason_to_drop_a_reservation() -> None:
    site = make(connectors=2)
    site.reserve('TOKEN_A')
    site.set(1, faulted=True)
    site.plug(2)
    assert site.present('TOKEN_B', at=2) is REJECTED
    site.set(2, error=True)
    assert site.reservations() == {1: ''}
    site.set(2, error=False)
    assert site.present('TOKEN_A', at=2) is ACCEPTED


def test_the_last_connector_goes_to_whichever_reservation_comes_first() -> None:
    site = make(connectors=2)
    site.reserve('TOKEN_A')
    site.reserve('TOKEN_B')
    site.set(1, faulted=True)
    site.set(2, faulted=True)
    site.set(2, faulted=False)
    site.plug(2)
    assert site.present('TOKEN_C', at=2) is REJECTED, 'one of the two is still kept'
    assert site.present('TOKEN_B', at=2) is ACCEPTED


def test_waiting_tokens_do_not_take_the_last_connector_of_a_reservation() -> None:
    site = make(connectors=2)
    site.reserve('TOKEN_A')
    site.present('TOKEN_B')
    site.present('TOKEN_C')
    site.plug(1)
    site.plug(2)
    assert site.charging() == {1: 'TOKEN_B'}
    site.present('TOKEN_A')
    assert site.charging() == {1: 'TOKEN_B', 2: 'TOKEN_A'}


def test_a_group_may_use_a_reservation_of_its_parent() -> None:
    site = make(connectors=1)
    assert site.reserve(parent='FLEET').success
    site.plug(1)
    assert site.present('TOKEN_A') is REJECTED
    assert site.present('FLEET_1') is ACCEPTED


@pytest.mark.parametrize(
    ('fitting', 'available', 'most'),
    [
        ({}, 'ab', 0),
        ({1: 'ab', 2: 'a'}, 'ab', 2),
        ({1: 'a', 2: 'a'}, 'ab', 1),
        ({1: 'abc', 2: 'ab', 3: 'a'}, 'abc', 3),
        ({1: 'abc', 2: 'ab', 3: 'a'}, 'ab', 2),
        ({1: 'ab', 2: 'bc', 3: 'cd', 4: 'da'}, 'abcd', 4),
    ],
)
def test_the_most_reservations_that_can_be_kept(fitting: dict[int, str], available: str, most: int) -> None:
    assert kept({number: set(names) for number, names in fitting.items()}, set(available)) == most


# --- restart ------------------------------------------------------------------------------------------


def test_reservations_are_stored_and_restored() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    site.reserve('TOKEN_B')
    site.restart()
    assert site.reservations() == {1: 'c1', 2: ''}
    site.plug(1)
    assert site.present('TOKEN_C', at=1) is REJECTED
    assert site.present('TOKEN_A', at=1) is ACCEPTED


def test_a_cancelled_reservation_is_not_resurrected() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    site.hold = True
    assert site.cancel(1).success
    site.hold = False
    site.restart()
    assert site.reservations() == {}
    site.wait(3.0)
    assert site.marks() == {}


def test_a_used_reservation_is_not_resurrected() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1)
    site.plug(1)
    site.present('TOKEN_A')
    site.unplug(1)
    site.restart()
    assert site.reservations() == {}
    site.wait(5.0)
    assert site.marks() == {}


def test_a_reservation_that_was_never_answered_is_undone_at_the_restart() -> None:
    site = make()
    site.hold = True
    with pytest.raises(KeyError):
        site.reserve('TOKEN_A', at=1)
    site.connectors[1].mark = 1  # the connector had agreed when the process was killed
    site.hold = False
    site.restart()
    assert site.reservations() == {}
    site.wait(3.0)
    assert site.marks() == {}


def test_a_reservation_that_expired_while_the_process_was_down_is_over() -> None:
    site = make()
    site.reserve('TOKEN_A', at=1, for_s=10.0)
    site.wall = Time(site.wall + 60 * SECOND)
    site.restart()
    site.wait(3.0)
    assert site.reservations() == {}
    assert site.marks() == {}


def test_an_authorization_given_before_the_restart_still_times_out() -> None:
    site = make()
    site.present('TOKEN_A', at=1)
    site.restart()
    assert site.authorized() == {1: 'TOKEN_A'}
    assert site.present('TOKEN_A', at=2) is TokenResultEnum.ALREADY_IN_PROCESS
    site.wait(31.0)
    assert site.authorized() == {}


def test_a_transaction_goes_on_over_the_restart_and_its_token_stops_it() -> None:
    site = make(KnownToken('FLEET_1', parent='FLEET'), KnownToken('FLEET_2', parent='FLEET'))
    site.plug(1)
    site.present('FLEET_1')
    site.restart()
    assert site.charging() == {1: 'FLEET_1'}
    assert site.present('FLEET_2', at=1) is TokenResultEnum.USED_TO_STOP_TRANSACTION
