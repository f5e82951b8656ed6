"""The lease on the board, seen from the manager: numbering, answers, silence, a second manager."""

import math
from dataclasses import replace

import pytest

from evse_manager.interface.enums import LinkState, PilotMode
from evse_manager.interface.types import BoardCommand, BoardState
from evse_manager.lease.board import CommandVerdict, Lease
from evse_manager.lease.manager import (
    CONNECTING,
    DEAF,
    NO_HARDWARE,
    OTHER_MANAGER,
    SILENT,
    BoardLeaseClient,
    BoardLost,
    BoardObserved,
)

X1 = BoardCommand(pilot_mode=PilotMode.X1)
PWM = BoardCommand(pilot_mode=PilotMode.PWM, duty_cycle_percent=10.0, current_a=6.0)
OURS = BoardState(link_state=LinkState.UP, controller_id='me')
FOREIGN = replace(OURS, controller_id='somebody')


def answering(number: int) -> BoardState:
    return replace(OURS, answered_sequence_number=number)


def begun() -> BoardLeaseClient:
    link = BoardLeaseClient('me', 1.0)
    link.stamp(X1, 0.0)
    return link


def test_every_command_has_a_number_a_name_and_a_lease() -> None:
    link = BoardLeaseClient('me', 0.8)
    commands = [link.stamp(X1, 0.0), link.stamp(X1, 0.2), link.stamp(PWM, 0.3)]
    assert [command.sequence_number for command in commands] == [1, 2, 3]
    assert {(command.manager_id, command.lease) for command in commands} == {('me', 0.8)}
    assert [command.pilot_mode for command in commands] == [PilotMode.X1, PilotMode.X1, PilotMode.PWM]


@pytest.mark.parametrize('lease_s', [0.3, 1.0, 2.0])
def test_three_renewals_fit_into_a_lease(lease_s: float) -> None:
    assert 3.0 < lease_s / BoardLeaseClient('me', lease_s).renewal_period < 3.5


def test_a_state_answers_the_newest_change_and_a_renewal_changes_nothing() -> None:
    link = begun()
    link.stamp(PWM, 0.1)
    assert link.observe(answering(1), 0.2) == BoardObserved(answering(1), False)
    assert link.observe(answering(2), 0.2) == BoardObserved(answering(2), True)
    link.stamp(PWM, 0.4)
    assert link.observe(answering(2), 0.5) == BoardObserved(answering(2), True)
    assert link.stamp(PWM, 0.6).sequence_number == 4
    assert link.observe(answering(2), 0.7) == BoardObserved(answering(2), True)
    assert link.stamp(X1, 0.8).sequence_number == 5
    assert link.observe(answering(4), 0.9) == BoardObserved(answering(4), False)


def test_silence_is_said_once() -> None:
    link = begun()
    link.observe(answering(1), 0.0)
    seen = {at: link.check(at) for at in (0.5, 1.0, 1.15, 1.25, 2.0, 2.5, 3.0)}
    assert [at for at, lost in seen.items() if lost is not None] == [1.25]


def test_a_board_that_was_never_heard_is_lost_too() -> None:
    link = begun()
    assert [link.check(at) is not None for at in (0.7, 1.15, 1.25)] == [False, False, True]


def test_a_board_that_comes_back_is_observed_and_may_be_lost_again() -> None:
    link = begun()
    for at in (0.7, 1.15, 1.25, 2.4, 3.2, 4.0, 4.8):
        link.check(at)
    assert isinstance(link.observe(answering(1), 5.0), BoardObserved)
    times = (5.5, 6.0, 6.15, 6.25)
    assert [link.check(at) is not None for at in times] == [False, False, False, True]


def test_a_board_without_hardware_is_lost() -> None:
    assert isinstance(begun().observe(replace(OURS, link_state=LinkState.LOST), 0.1), BoardLost)


def test_a_refused_manager_waits_the_lease_and_half_a_second_more() -> None:
    link = begun()
    said = []
    for tick in range(1, 40):
        at = tick / 10
        if isinstance(link.observe(FOREIGN, at), BoardLost) or link.check(at) is not None:
            said.append(at)
    assert said == [pytest.approx(1.7)]


def test_a_board_that_was_silent_and_then_obeys_somebody_else_is_lost_for_that_reason() -> None:
    link = begun()
    assert link.check(0.7) is None
    assert link.check(1.3) == BoardLost(SILENT)
    said = [(at / 10, link.observe(FOREIGN, at / 10)) for at in range(14, 40)]
    assert [(at, lost) for at, lost in said if lost is not None] == [
        (pytest.approx(3.0), BoardLost(OTHER_MANAGER))
    ]


def test_only_a_board_that_obeys_nobody_waits_for_a_manager_it_has_not_heard_of() -> None:
    link = begun()
    assert link.waits_for_us(replace(OURS, controller_id=''))
    assert not link.waits_for_us(replace(OURS, controller_id='somebody'))
    link.observe(answering(1), 0.1)
    assert not link.waits_for_us(replace(OURS, controller_id=''))


def test_a_refused_manager_asks_seldom_and_at_once_when_the_board_is_free() -> None:
    link = begun()
    asked = []
    for tick in range(1, 130):
        at = tick / 20
        link.observe(FOREIGN, at)
        if link.may_renew(at):
            link.stamp(X1, at)
            asked.append(at)
    assert asked == [2.0, 4.0, 6.0]
    assert link.refused
    free = replace(OURS, controller_id='')
    link.observe(free, 6.5)
    assert link.waits_for_us(free)
    assert link.may_renew(6.5)


@pytest.mark.parametrize('lease_s', [0.3, 1.0, 2.0])
@pytest.mark.parametrize('intruders_s', [0.3, 1.0, 2.0])
def test_a_refused_manager_that_takes_the_place_of_every_renewal_it_can_never_gets_the_board(
    lease_s: float, intruders_s: float
) -> None:
    """The worst case of a queue that is one deep: each of its commands comes with a renewal of the holder."""
    board, holder, intruder = (
        Lease(2.0),
        BoardLeaseClient('holder', lease_s),
        BoardLeaseClient('intruder', intruders_s),
    )
    intruder.stamp(X1, 0.0)
    held = BoardState(link_state=LinkState.UP, controller_id='holder')
    displaced = 0
    for number in range(200):
        at = number * holder.renewal_period
        command = holder.stamp(X1, at)
        if number and intruder.may_renew(at):
            command, displaced = intruder.stamp(X1, at), displaced + 1
        offer = board.offer(command.manager_id, command.sequence_number, command.lease, at)
        intruder.observe(held, at)
        assert (offer is CommandVerdict.ACCEPTED) is (command.manager_id == 'holder')
        assert board.holder == 'holder'
    assert displaced > 5


def test_a_manager_that_gets_the_board_in_time_says_nothing() -> None:
    link = begun()
    assert [link.observe(FOREIGN, at / 10) for at in range(1, 11)] == [None] * 10
    assert isinstance(link.observe(answering(1), 1.2), BoardObserved)
    assert link.check(2.0) is None


def test_a_board_that_nobody_holds_yet_says_nothing() -> None:
    assert begun().observe(replace(OURS, controller_id=''), 0.1) is None


def test_a_board_that_reports_but_does_not_obey_is_lost() -> None:
    link = begun()
    link.observe(answering(1), 0.0)
    link.stamp(PWM, 0.1)
    said = []
    for tick in range(2, 40):
        at = tick / 10
        if isinstance(link.observe(answering(1), at), BoardLost) or link.check(at) is not None:
            said.append(at)
    assert said == [pytest.approx(1.8, abs=0.11)]


def test_a_board_that_has_seen_a_higher_number_in_this_name_is_led_under_another() -> None:
    """A stray command in the manager's name must not end the board's obedience for good."""
    link, lease = begun(), Lease(2.0)
    assert lease.offer('me', 2**64 - 1, 0.0, 0.0) is CommandVerdict.ACCEPTED
    lost, led_at = [], None
    for tick in range(1, 60):
        at = tick / 10
        command = link.stamp(X1, at)
        lease.offer(command.manager_id, command.sequence_number, command.lease, at)
        seen = replace(OURS, controller_id=lease.holder)
        if lease.holder == link.manager_id != 'me':
            seen = replace(seen, answered_sequence_number=command.sequence_number)
        observed = link.observe(seen, at)
        if isinstance(observed, BoardLost):
            lost.append(at)
        elif isinstance(observed, BoardObserved) and observed.answered:
            led_at = led_at or at
    assert lost == [pytest.approx(1.6, abs=0.11)]
    assert led_at == pytest.approx(1.7, abs=0.11)


def test_a_board_that_never_listens_is_tried_under_one_name_after_the_other() -> None:
    link = begun()
    told, names = [], {}
    for tick in range(1, 62):
        at = tick / 10
        names.setdefault(link.stamp(X1, at).manager_id, at)
        if isinstance(link.observe(replace(OURS, controller_id=''), at), BoardLost):
            told.append(at)
    assert len(told) == 1
    assert list(names) == ['me', 'me (1)', 'me (2)', 'me (3)']


def test_after_a_stall_of_this_process_the_silence_is_counted_anew() -> None:
    link = begun()
    link.observe(answering(1), 0.0)
    assert link.check(0.3) is None
    assert link.check(10.0) is None
    assert [link.check(10.0 + at) is not None for at in (0.7, 1.15, 1.25)] == [False, False, True]


def test_the_end_of_a_silence_is_known_before_the_next_renewal() -> None:
    """With a lease of 2 s a renewal comes every 0.6 s: too seldom to notice a dead board within 1.5 s."""
    link = BoardLeaseClient('me', 2.0)
    assert link.silent_at() is None, 'nothing was asked yet'
    link.stamp(X1, 0.0)
    link.observe(answering(1), 0.3)
    due = link.silent_at()
    assert due is not None
    assert 1.5 < due < 1.6
    assert link.check(due - 0.01) is None
    assert link.check(due) is not None
    assert link.silent_at() is None, 'said once'


@pytest.mark.parametrize(
    ('state', 'why', 'name_after'),
    [
        (FOREIGN, OTHER_MANAGER, 'me'),
        (OURS, DEAF, 'me'),
        (replace(OURS, controller_id=''), DEAF, 'me (1)'),
        (replace(OURS, link_state=LinkState.CONNECTING), CONNECTING, 'me'),
        (replace(OURS, link_state=LinkState.CONNECTING, controller_id=''), CONNECTING, 'me'),
    ],
    ids=['another holds it', 'it does not answer', 'no manager holds it', 'no hardware yet', 'a new board'],
)
@pytest.mark.parametrize('by_check', [True, False])
def test_a_board_is_lost_when_it_has_not_obeyed_for_more_than_the_lease_and_half_a_second(
    state: BoardState, why: str, name_after: str, by_check: bool
) -> None:
    link = begun()
    for at in (1.0, 2.0, 2.5):
        assert not isinstance(link.observe(state, at), BoardLost)
        assert link.check(at) is None
    assert link.manager_id == 'me'
    if by_check:
        assert link.check(2.75) == BoardLost(why)
    else:
        assert link.observe(state, 2.75) == BoardLost(why)
    assert link.manager_id == name_after
    assert link.observe(state, 2.8) is None, 'reported once, and not observed either'
    assert link.check(2.9) is None


def test_an_answer_under_the_old_name_is_none_under_the_new_one() -> None:
    link = begun()
    free = replace(OURS, controller_id='')
    for at in (1.0, 2.0, 2.75):
        link.observe(free, at)
    assert link.manager_id == 'me (1)'
    assert link.waits_for_us(free)
    renamed = replace(OURS, controller_id='me (1)', answered_sequence_number=1)
    assert link.observe(renamed, 2.8) is None
    number = link.stamp(X1, 2.9).sequence_number
    answer = replace(renamed, answered_sequence_number=number)
    assert link.observe(answer, 3.0) == BoardObserved(answer, True)


def test_a_board_without_hardware_is_lost_at_once_with_every_state() -> None:
    link = begun()
    gone = replace(OURS, link_state=LinkState.LOST)
    assert [link.observe(gone, at) for at in (0.1, 0.2)] == [BoardLost(NO_HARDWARE)] * 2
    assert link.silent_at() is None
    assert link.observe(answering(1), 0.3) == BoardObserved(answering(1), True)
    assert link.silent_at() is not None


def test_a_board_that_answers_late_but_goes_on_answering_obeys() -> None:
    """The outputs change faster than they are answered, for longer than a board may disobey."""
    link = BoardLeaseClient('me', 1.0)
    for tick in range(40):
        at = tick / 4.0
        link.stamp(PWM if tick % 2 else X1, at)
        observed = link.observe(answering(tick), at)
        assert observed == BoardObserved(answering(tick), False)
        assert link.check(at) is None


def test_a_moment_of_obedience_starts_the_time_of_disobedience_again() -> None:
    link = begun()
    for at in (1.0, 2.0, 2.5):
        assert link.observe(FOREIGN, at) is None
    assert link.observe(answering(1), 2.5) == BoardObserved(answering(1), True)
    assert [link.observe(FOREIGN, at) for at in (3.0, 3.75, 4.5)] == [None] * 3
    assert link.observe(FOREIGN, 4.625) == BoardLost(OTHER_MANAGER)


def test_a_board_is_silent_after_more_than_1_2_s() -> None:
    link = begun()
    link.observe(answering(1), 0.0)
    assert link.silent_at() == pytest.approx(1.201)
    assert link.check(0.5) is None
    assert link.check(1.2) is None
    assert link.check(1.201) == BoardLost(SILENT)


def test_renewals_do_not_put_off_the_silence_of_a_board_that_was_never_heard() -> None:
    link = BoardLeaseClient('me', 1.0)
    assert link.check(100.0) is None, 'nothing was asked yet'
    link.stamp(X1, 100.0)
    link.stamp(X1, 101.0)
    assert link.check(101.25) == BoardLost(SILENT)


def test_a_stall_is_longer_than_a_lease() -> None:
    link = begun()
    assert link.check(0.25) is None
    assert link.check(1.25) == BoardLost(SILENT), 'checks a lease apart are no stall'


def test_an_endless_lease_is_not_supervised() -> None:
    link = BoardLeaseClient('me', math.inf)
    link.stamp(X1, 0.0)
    assert not link.is_supervised
    assert (link.check(1000.0), link.silent_at()) == (None, None)
    assert BoardLeaseClient('me', 1e9).is_supervised


def test_a_refused_manager_that_has_not_asked_yet_may_ask_at_once() -> None:
    link = BoardLeaseClient('me', 1.0)
    link.observe(FOREIGN, 0.0)
    assert link.refused
    assert link.may_renew(0.0)


@pytest.mark.parametrize(
    ('name', 'stands_by'),
    [
        ('00000000000000000001 /evse_1/evse_manager other', True),
        ('00000000000000000009 /evse_1/evse_manager other', False),
        ('00000000000000000001 /evse_2/evse_manager other', False),
        ('0 /evse_1/evse_manager other', False),
        ('!', False),
        ('', False),
    ],
)
def test_only_an_earlier_manager_of_the_same_name_silences_one(name: str, stands_by: bool) -> None:
    link = BoardLeaseClient('00000000000000000005 /evse_1/evse_manager me', 1.0)
    link.stamp(X1, 0.0)
    link.observe(BoardState(link_state=LinkState.UP, board_id='ours'), 0.1)
    link.observe(BoardState(link_state=LinkState.UP, board_id='stranger', controller_id=name), 0.2)
    assert link.refused is stands_by
