"""
OpenEVSE: the golden sequences, in lock-step with the virtual board.

A few are played on a pseudo-terminal as well, through pyserial and in real time.
"""

import pytest

from board.serial.lock_step import LockStepSession
from board.serial.sequences import NUMBERS, SEQUENCES, possible
from board.serial.session import Session

pytestmark = pytest.mark.timeout(120)

POSSIBLE = possible('openevse')

ON_A_PORT = ('the_ev_pauses_and_leaves', 'the_limit_drops_and_returns', 'power_is_lost_in_a_transaction')


def test_no_sequence_is_forgotten() -> None:
    assert set(NUMBERS.values()) == set(range(1, 30))


@pytest.mark.parametrize('name', POSSIBLE)
def test_sequence(name: str) -> None:
    with LockStepSession() as session:
        SEQUENCES[name](session)


@pytest.mark.parametrize('name', ON_A_PORT)
def test_sequence_on_a_port(name: str) -> None:
    with Session('openevse') as session:
        SEQUENCES[name](session)
