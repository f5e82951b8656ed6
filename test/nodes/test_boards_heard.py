"""Which board is a simulated one, whoever says so."""

from evse_manager.interface.types import BoardCapabilities
from evse_manager.nodes.boards_heard import BOARDS_MAX, BoardsHeard


def told(board_id: str, *, simulated: bool) -> BoardCapabilities:
    return BoardCapabilities(board_id=board_id, simulated=simulated)


def test_one_start_of_a_board_is_simulated_or_real_for_good() -> None:
    boards = BoardsHeard()
    boards.heard(told('real', simulated=False), 'real')
    for name in ('', 'other', 'real'):
        boards.heard(told(name, simulated=True), 'real')
    assert boards.of('real') is False
    assert boards.of('other') is True


def test_a_board_without_a_name_of_its_own_is_what_was_said_last() -> None:
    boards = BoardsHeard()
    assert boards.of('') is None
    for simulated in (True, False):
        boards.heard(told('', simulated=simulated), '')
        assert boards.of('') is simulated
    assert boards.of('unnamed in its capabilities') is False


def test_strangers_do_not_displace_the_board_in_use() -> None:
    boards = BoardsHeard()
    boards.heard(told('real', simulated=False), None)
    for number in range(10 * BOARDS_MAX):
        boards.heard(told(f'stranger {number}', simulated=True), 'real')
    assert boards.of('real') is False
    assert boards.capabilities('real') == told('real', simulated=False)
    assert boards.of('stranger 0') is None


def test_capabilities_are_awaited_for_a_while() -> None:
    boards = BoardsHeard()
    assert boards.awaited('real', 100.0)
    assert boards.awaited('real', 100.4)
    assert not boards.awaited('real', 100.6)
    boards.heard(told('real', simulated=True), None)
    assert not boards.awaited('real', 100.7)
    assert boards.capabilities('real') == told('real', simulated=True)
