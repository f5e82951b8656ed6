"""
A board node whose executor hangs in a callback for as long as a message on ``hang`` says.

It prints when the contactor of the simulated world opens and closes, in seconds of the monotonic clock, from
a thread of its own.
"""

import sys
import threading
import time
from typing import Any

from std_msgs.msg import Float64

from evse_manager.interface.endpoints import Party
from evse_manager.nodes.board_support import BoardSupport
from evse_manager.nodes.runtime import run


class HangingBoard(BoardSupport):
    """See the module's description."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.node.create_subscription(Float64, 'hang', self._hang, 1)
        if hasattr(self._driver, 'world'):
            threading.Thread(target=self._watch, daemon=True).start()

    def _hang(self, message: Float64) -> None:
        print('hangs', flush=True)
        time.sleep(message.data)
        print('hangs no longer', flush=True)

    def _watch(self) -> None:
        closed = False
        while True:
            if self._driver.world.contactor.closed != closed:
                closed = not closed
                print(f'{"closed" if closed else "open"} {time.monotonic():.3f}', flush=True)
            time.sleep(0.01)


sys.exit(run(Party.BOARD, HangingBoard))
