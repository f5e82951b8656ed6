"""Every fault of line and board (catalogue L1 to L24) is played on every serial driver where it applies."""

import re

import pytest

from board.serial import test_openevse_link, test_phoenix_sessions, test_yeti_link
from board.serial.test_port import SERIAL

PLAYED = {
    'openevse': test_openevse_link.ALL,
    'phoenix': test_phoenix_sessions.PLAYED,
    'yeti': test_yeti_link.FAULTS,
}

DOES_NOT_APPLY = {
    'openevse': {22: 'no Modbus', 23: 'no Modbus'},
    'phoenix': {21: 'the board does not tell which of its tests are on'},
    'yeti': {
        14: 'the board acknowledges nothing',
        15: 'the board does not tell what it signals',
        21: 'the board does not tell which of its tests are on',
        22: 'no Modbus',
        23: 'no Modbus',
    },
}


def test_every_driver_is_among_them() -> None:
    assert set(SERIAL) == set(PLAYED) == set(DOES_NOT_APPLY)


@pytest.mark.parametrize('driver', SERIAL)
def test_no_fault_is_forgotten(driver: str) -> None:
    played = {int(number) for name in PLAYED[driver] for number in re.findall(r'(?:^|_)l(\d+)(?=_)', name)}
    every_port = {9}  # test_port.py
    assert played | every_port == set(range(1, 25)) - set(DOES_NOT_APPLY[driver])
