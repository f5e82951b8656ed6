"""The heartbeat of an OpenEVSE: programming it ends a miss; the acknowledgement would raise the current."""

from evse_manager.board.boards.openevse.heartbeat import Heartbeat
from evse_manager.board.boards.openevse.rapi import Frame


def reply(words: str, name: str = 'OK') -> Frame:
    return Frame(name, tuple(words.split()))


def running() -> Heartbeat:
    heartbeat = Heartbeat(6)
    assert heartbeat.program == 'SY 5 6'
    assert not heartbeat.replied(reply('5 6 0'), connecting=True)
    assert not heartbeat.urgent
    return heartbeat


def test_a_miss_has_it_programmed_and_the_current_ordered_again() -> None:
    heartbeat = running()
    assert heartbeat.replied(reply('5 6 2', 'NK'), connecting=False)
    assert heartbeat.urgent
    assert heartbeat.replied(reply('5 6 2', 'NK'), connecting=False)
    assert heartbeat.misses == 1, 'one miss, however often it is reported'
    assert not heartbeat.replied(reply('5 6 0'), connecting=False)
    assert not heartbeat.urgent


def test_a_board_that_has_forgotten_it_is_programmed_again() -> None:
    heartbeat = running()
    heartbeat.replied(reply('0 0 0'), connecting=False)
    assert heartbeat.urgent


def test_a_firmware_without_one_is_left_alone() -> None:
    heartbeat = Heartbeat(6)
    heartbeat.replied(reply('', 'NK'), connecting=True)
    assert not heartbeat.runs
    assert not heartbeat.urgent


def test_a_spoilt_request_later_does_not_end_it() -> None:
    heartbeat = running()
    heartbeat.replied(reply('', 'NK'), connecting=False)
    assert heartbeat.runs
