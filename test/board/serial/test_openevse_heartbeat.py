"""The heartbeat of an OpenEVSE: a miss is acknowledged, a board that forgot it is programmed again."""

from evse_manager.board.boards.openevse.heartbeat import ACKNOWLEDGE, Heartbeat
from evse_manager.board.boards.openevse.rapi import Frame


def reply(words: str, name: str = 'OK') -> Frame:
    return Frame(name, tuple(words.split()))


def running() -> Heartbeat:
    heartbeat = Heartbeat(6)
    assert heartbeat.program == 'SY 5 6'
    heartbeat.told(reply('5 6 0'), connecting=True)
    assert heartbeat.urgent is None
    return heartbeat


def test_a_miss_is_acknowledged_and_the_current_is_to_be_ordered_again() -> None:
    heartbeat = running()
    assert not heartbeat.told(reply('5 6 2', 'NK'), connecting=False)
    assert heartbeat.urgent == ACKNOWLEDGE
    assert not heartbeat.told(reply('5 6 2', 'NK'), connecting=False)
    assert heartbeat.misses == 1, 'one miss, however often it is told'
    assert heartbeat.told(reply('5 6 1'), connecting=False), 'the board was at the fallback'
    assert heartbeat.urgent is None
    assert not heartbeat.told(reply('5 6 0'), connecting=False)


def test_a_board_that_has_forgotten_it_is_programmed_again() -> None:
    heartbeat = running()
    heartbeat.told(reply('0 0 0'), connecting=False)
    assert heartbeat.urgent == heartbeat.program


def test_a_firmware_without_one_is_left_alone() -> None:
    heartbeat = Heartbeat(6)
    heartbeat.told(reply('', 'NK'), connecting=True)
    assert not heartbeat.runs
    assert heartbeat.urgent is None


def test_a_spoilt_request_later_does_not_end_it() -> None:
    heartbeat = running()
    heartbeat.told(reply('', 'NK'), connecting=False)
    assert heartbeat.runs
