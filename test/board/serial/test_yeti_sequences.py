"""Yeti: the golden sequences through pyserial and a pseudo-terminal."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from board.serial.sequences import SEQUENCES, play
from board.serial.session import Session

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope='module')
def played() -> Iterator[dict[str, Future[None]]]:
    futures = play(SEQUENCES, lambda: Session('yeti'))
    yield futures
    for future in futures.values():
        future.cancel()


@pytest.mark.parametrize('name', SEQUENCES)
def test_sequence(played: dict[str, Future[None]], name: str) -> None:
    played[name].result()
