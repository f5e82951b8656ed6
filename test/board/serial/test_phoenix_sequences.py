"""Phoenix with an SDM630 on its bus: the golden sequences through pyserial and a pseudo-terminal."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from board.serial.metered import metered
from board.serial.sequences import SEQUENCES, play

pytestmark = pytest.mark.timeout(240)

LEFT_OUT = {
    # Half a minute and more of the manager's own patience, which no board has a part in.
    'the_ev_does_not_ask',
    'the_ev_is_woken_up',
}
PLAYED = {name: sequence for name, sequence in SEQUENCES.items() if name not in LEFT_OUT}


@pytest.fixture(scope='module')
def played() -> Iterator[dict[str, Future[None]]]:
    futures = play(PLAYED, lambda: metered('phoenix'))
    yield futures
    for future in futures.values():
        future.cancel()


@pytest.mark.parametrize('name', PLAYED)
def test_sequence(played: dict[str, Future[None]], name: str) -> None:
    played[name].result()
