"""OpenEVSE: the golden sequences through pyserial and a pseudo-terminal."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from board.serial.sequences import SEQUENCES, play
from board.serial.session import Session

pytestmark = pytest.mark.timeout(240)

IMPOSSIBLE = {
    # The board tells the order to its relay, not the contacts: it calls both cases by other names, and later.
    'the_contactor_does_not_close',
    'the_contactor_is_welded',
}
POSSIBLE = {name: sequence for name, sequence in SEQUENCES.items() if name not in IMPOSSIBLE}


@pytest.fixture(scope='module')
def played() -> Iterator[dict[str, Future[None]]]:
    futures = play(POSSIBLE, lambda: Session('openevse'))
    yield futures
    for future in futures.values():
        future.cancel()


@pytest.mark.parametrize('name', POSSIBLE)
def test_sequence(played: dict[str, Future[None]], name: str) -> None:
    played[name].result()
