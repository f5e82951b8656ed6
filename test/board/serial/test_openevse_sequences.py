"""OpenEVSE: the golden sequences through pyserial and a pseudo-terminal."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from board.serial.sequences import NUMBERS, play, possible
from board.serial.session import Session

pytestmark = pytest.mark.timeout(240)

POSSIBLE = possible('openevse')


@pytest.fixture(scope='module')
def played() -> Iterator[dict[str, Future[None]]]:
    futures = play(POSSIBLE, lambda: Session('openevse'))
    yield futures
    for future in futures.values():
        future.cancel()


def test_no_sequence_is_forgotten() -> None:
    assert set(NUMBERS.values()) == set(range(1, 30))


@pytest.mark.parametrize('name', POSSIBLE)
def test_sequence(played: dict[str, Future[None]], name: str) -> None:
    played[name].result()
