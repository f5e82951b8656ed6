"""Boards and managers beside ours: which board is led, which are named, and who stands by."""

from dataclasses import replace

import pytest

from evse_manager.interface.enums import LinkState, PilotMode
from evse_manager.interface.types import BoardCommand, BoardState
from evse_manager.lease.manager import (
    KEPT_BOARDS,
    RIVAL,
    SEVERAL_BOARDS,
    SILENT,
    BoardLeaseClient,
    BoardLost,
    BoardObserved,
)

X1 = BoardCommand(pilot_mode=PilotMode.X1)
ME = '00000000000000000005 /evse_1/evse_manager me'
EARLIER = '00000000000000000001 /evse_1/evse_manager other'


def state(board: str, controller: str = ME, answered: int = 0) -> BoardState:
    return BoardState(
        link_state=LinkState.UP, board_id=board, controller_id=controller, answered_sequence_number=answered
    )


def leading() -> BoardLeaseClient:
    """Return a manager whose board ``ours`` has obeyed it since 0 s."""
    link = BoardLeaseClient(ME, 1.0)
    assert link.observe(state('ours', ''), 0.0) is None
    link.stamp(X1, 0.0)
    assert link.observe(state('ours', answered=1), 0.0) == BoardObserved(state('ours', answered=1), True)
    return link


def warning(board: str) -> str:
    return (
        f'Another board node reports in this namespace and is left alone ({board}); stop it, or give it a'
        ' namespace of its own.'
    )


# --- which board is led ---------------------------------------------------------------------------------


def test_the_first_board_that_reports_is_led_and_named_in_every_command() -> None:
    link = BoardLeaseClient(ME, 1.0)
    assert (link.board_heard, link.board_id) == (False, None)
    assert link.would_lead('ours')
    assert link.stamp(X1, 0.0).board_id == ''
    link.observe(state('ours', ''), 0.0)
    assert (link.board_heard, link.board_id) == (True, 'ours')
    assert link.stamp(X1, 0.1).board_id == 'ours'
    assert link.would_lead('ours')
    assert not link.would_lead('other')


def test_an_answer_to_a_command_that_did_not_name_the_board_does_not_count() -> None:
    link = BoardLeaseClient(ME, 1.0)
    link.stamp(X1, 0.0)
    assert link.observe(state('ours', answered=1), 0.1) == BoardObserved(state('ours', answered=1), False)
    link.stamp(X1, 0.2)
    assert link.observe(state('ours', answered=2), 0.3) == BoardObserved(state('ours', answered=2), True)


def test_a_board_waits_for_a_manager_only_if_it_is_the_one_that_is_led() -> None:
    link = BoardLeaseClient(ME, 1.0)
    assert link.waits_for_us(state('', ''))
    assert not link.waits_for_us(state('ours', ''))
    link.observe(state('ours', ''), 0.0)
    assert link.waits_for_us(state('ours', ''))
    assert not link.waits_for_us(state('other', ''))


def test_after_the_silence_of_its_board_a_manager_leads_the_next_one_that_reports() -> None:
    link = leading()
    assert link.observe(state('next', ''), 1.0) is None
    assert link.board_id == 'ours', 'it is not silent yet'
    assert link.check(1.25) == BoardLost(SILENT)
    assert link.would_lead('next')
    old = state('next', answered=1)
    assert link.observe(old, 1.5) is None, 'an answer to a command for the board before'
    assert link.board_id == 'next'
    number = link.stamp(X1, 1.5).sequence_number
    answer = state('next', answered=number)
    assert link.observe(answer, 1.6) == BoardObserved(answer, True)
    assert not link.would_lead('ours')


def test_the_next_board_has_its_own_time_to_obey() -> None:
    link = leading()
    link.observe(state('ours', 'somebody'), 0.5)
    assert link.check(1.75) == BoardLost(SILENT)
    assert link.observe(state('next', 'somebody'), 2.25) is None
    assert link.observe(state('next', 'somebody'), 3.0) is None
    assert link.observe(state('next', 'somebody'), 3.75) is None
    assert isinstance(link.observe(state('next', 'somebody'), 4.0), BoardLost)


def test_a_board_that_was_seen_beside_ours_is_never_led() -> None:
    link = leading()
    link.observe(state('other', ''), 0.5)
    link.observe(state('ours', answered=1), 0.6)
    assert link.check(1.9) == BoardLost(SILENT)
    assert not link.would_lead('other')
    assert link.observe(state('other', ''), 2.0) is None
    assert link.board_id == 'ours'
    assert link.would_lead('new')


def test_a_board_that_was_seen_at_the_same_instant_as_ours_at_most_may_be_led() -> None:
    link = leading()
    link.observe(state('other', ''), 0.0)
    assert link.check(1.25) == BoardLost(SILENT)
    assert link.would_lead('other')


def test_the_boards_that_reported_last_are_remembered() -> None:
    link = leading()
    for place in range(KEPT_BOARDS):
        link.observe(state(f'other {place:02}', ''), 0.1)
    link.observe(state('other 00', ''), 0.2)
    link.observe(state('ours', answered=1), 0.3)
    link.observe(state('other 16', ''), 0.4)
    link.observe(state('ours', answered=1), 0.5)
    assert link.check(1.75) == BoardLost(SILENT)
    assert [name for name in map('other {:02}'.format, range(KEPT_BOARDS + 1)) if link.would_lead(name)] == [
        'other 01'
    ]


# --- warnings -------------------------------------------------------------------------------------------


def test_a_board_beside_ours_is_named_until_it_is_silent_for_two_and_a_half_seconds() -> None:
    link = leading()
    assert link.warnings == ()
    link.observe(state('other', ''), 0.25)
    assert link.warnings == (), 'ours has not reported since'
    link.observe(state('ours', answered=1), 0.5)
    assert link.warnings == (warning('other'),)
    for tick in range(3, 11):
        link.observe(state('ours', answered=1), tick / 4.0)
        link.check(tick / 4.0)
        assert link.warnings == (warning('other'),)
    link.check(2.75)
    assert link.warnings == ()


@pytest.mark.parametrize('count', [1, 2, 3, 4, 5])
def test_up_to_three_boards_are_named_in_order(count: int) -> None:
    link = leading()
    names = [f'board {place}' for place in range(count)]
    for name in reversed(names):
        link.observe(state(name, ''), 0.25)
    link.observe(state('ours', answered=1), 0.5)
    assert link.warnings == (tuple(map(warning, names)) if count <= 3 else (SEVERAL_BOARDS,))


# --- an earlier manager ---------------------------------------------------------------------------------


def test_a_manager_stands_by_while_an_earlier_one_is_heard() -> None:
    link = leading()
    assert not link.refused
    assert link.observe(state('other', EARLIER), 0.25) == BoardLost(RIVAL)
    assert link.observe(state('other', EARLIER), 0.5) is None, 'reported once'
    answer = state('ours', answered=1)
    assert link.observe(answer, 0.75) is None
    assert link.refused
    assert not link.may_renew(10.0)
    assert not link.waits_for_us(state('ours', ''))
    for tick in range(4, 12):
        assert link.check(tick / 4.0) is None
        assert link.refused
        assert link.observe(answer, tick / 4.0) is None
    assert link.check(3.0) is None, 'nothing was heard of it for exactly 2.5 s'
    assert not link.refused
    assert link.may_renew(3.0)
    assert link.observe(answer, 3.0) == BoardObserved(answer, True)


def test_a_manager_that_stands_by_reports_it_at_a_check_after_another_reason() -> None:
    link = leading()
    assert link.observe(state('other', EARLIER), 1.0) == BoardLost(RIVAL)
    lost = replace(state('ours'), link_state=LinkState.LOST)
    assert link.observe(lost, 1.1) is None
    assert link.check(1.2) is None
    link.observe(state('other', EARLIER), 1.3)
    assert [link.check(at) for at in (2.2, 3.2, 3.75)] == [None, None, None]
    assert link.check(4.0) == BoardLost(SILENT)
    assert link.observe(state('other', EARLIER), 4.5) == BoardLost(RIVAL)


@pytest.mark.parametrize(
    ('own', 'name', 'stands_by'),
    [
        (ME, '00000000000000000001 /evse_1/evse_manager', False),
        (ME, '00000000000000000001 /evse_1/evse_manager other more', True),
        (ME, '0000000000000000000! /evse_1/evse_manager other', False),
        (ME, ME, False),
        ('me', 'earlier', True),
        ('me', 'me', False),
        ('me', 'other', False),
        ('1 me', '!', True),
        ('a name of words', '!', True),
    ],
)
def test_a_name_must_have_time_node_and_a_unique_part_where_the_own_one_does(
    own: str, name: str, stands_by: bool
) -> None:
    link = BoardLeaseClient(own, 1.0)
    link.stamp(X1, 0.0)
    link.observe(state('ours', ''), 0.1)
    assert link.observe(state('other', name), 0.2) == (BoardLost(RIVAL) if stands_by else None)
    assert link.refused is stands_by
