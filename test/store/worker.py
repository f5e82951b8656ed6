"""A process that charges as fast as it can, and is killed by ``test_kill.py`` at any moment."""

import os
import queue
import sys
from pathlib import Path
from random import Random

from evse_manager.interface.parameters import Config
from evse_manager.interface.types import SessionEvent
from evse_manager.store import Entry, SessionStore, archive, session_store
from evse_manager.store.codec import encode

from .life import ACTIONS, EPOCH, Life


def main(records: str, told: str, seed: str, orderly: bool) -> None:
    """Run until killed, or for a moment and end in order; the file ``told`` lists the published events."""
    session_store.PUBLISH_AFTER_S = 60.0  # what is published is recorded, however slow the machine is
    random = Random(seed)
    awake: queue.SimpleQueue[None] = queue.SimpleQueue()
    life: Life | None = None
    archive.GATHER_S = 0.01  # so that kills meet the copying, too
    store = SessionStore(
        Path(records),
        36500,
        now=lambda: life.now.wall if life else EPOCH,
        wake=lambda: awake.put(None),
        history=Path(records).with_name('all-connectors.sqlite3'),
    )
    output = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def tell(events: tuple[SessionEvent, ...]) -> None:
        for event in events:
            os.write(output, (encode(event) + '\n').encode())

    def keep(entry: Entry) -> None:
        store.keep(entry, lambda: tell(entry.events))
        while not store.is_settled and random.random() < 0.9:
            awake.get()
            store.settle()

    remembered = store.open()
    assert store.warning == ''
    tell(remembered.undelivered)
    store.published_undelivered()
    config = Config(after_power_loss=random.choice(('close', 'continue')), restart_delay_max_s=0.0)
    life = Life(keep, remembered, seed=random.getrandbits(32), plugged=random.random() < 0.5, config=config)
    while not orderly or random.random() < 0.95:
        life.act(random.choice(ACTIONS))
    life.end()
    store.flush(10.0)
    store.close(10.0)


if __name__ == '__main__':
    main(*sys.argv[1:4], orderly=sys.argv[4] == 'orderly')
