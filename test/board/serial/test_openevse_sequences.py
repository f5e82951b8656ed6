"""OpenEVSE: the golden sequences through pyserial and a pseudo-terminal."""

from collections.abc import Iterator

import pytest

from board.serial.sequences import NUMBERS, Played, possible
from board.serial.session import Session

pytestmark = pytest.mark.timeout(240)

POSSIBLE = possible('openevse')


@pytest.fixture(scope='module')
def played() -> Iterator[Played]:
    with Played() as played:
        played.begin(POSSIBLE, lambda: Session('openevse'))
        yield played


def test_no_sequence_is_forgotten() -> None:
    assert set(NUMBERS.values()) == set(range(1, 30))


@pytest.mark.parametrize('name', POSSIBLE)
def test_sequence(played: Played, name: str) -> None:
    played.result(name)
