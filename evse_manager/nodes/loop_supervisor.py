"""
A thread that watches the loop of a process on the monotonic clock.

Timed waits of rclpy and of the middleware may be on the wall clock: libstdc++ of the wheels turns a steady
wait into ``pthread_cond_timedwait`` on CLOCK_REALTIME, so a wall clock that is set back by N delays the loop
by N.  The supervisor sleeps in ``poll``, whose time-out the kernel counts on the monotonic clock on every
build of Python; ``threading.Event.wait`` does so only where Python was built with ``sem_clockwait``.  It
needs neither executor nor middleware.

When a deadline of the loop is overdue, it first runs the *rescues*: what must happen though the loop does not
run, on a board the control loop that opens the contactor when the lease ends.  Then it wakes the loop.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

LATE_S = 0.02
"""A loop that is late by less is not woken: its own wait ends within this time when the clocks run."""

REPEAT_S = 0.02
"""While the loop stays away the rescues run this often, so that a board's conversation goes on."""

NEVER = float('inf')


class LoopSupervisor:
    """Watches one loop; ``expect`` belongs to the loop's thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Start the thread; ``wake``, called in it, has to end the wait of the loop."""
        self._wake = wake
        self._rescues: tuple[Callable[[], None], ...] = ()
        self._due = NEVER
        self._sleeps_until = NEVER
        self._stopped = False
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._thread = threading.Thread(target=self._run, name='supervisor', daemon=True)
        self._thread.start()

    def add_rescue(self, rescue: Callable[[], None]) -> None:
        """Call ``rescue`` in the thread of the supervisor while the loop is overdue; it must not block."""
        self._rescues = (*self._rescues, rescue)

    def remove_rescue(self, rescue: Callable[[], None]) -> None:
        """Call a rescue no longer."""
        self._rescues = tuple(each for each in self._rescues if each != rescue)

    def expect(self, deadline: float) -> None:
        """
        Note when the loop has to be back from the wait that follows, in seconds of ``time.monotonic``.

        A later deadline than before costs nothing: the thread looks when it wakes.  The order of the two
        steps here and in ``_run`` makes sure that an earlier one is not missed.
        """
        self._due = deadline
        if deadline + LATE_S < self._sleeps_until:
            self._poke()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread."""
        self._stopped = True
        self._poke()
        self._thread.join(1.0)

    def _poke(self) -> None:
        with suppress(BlockingIOError):  # a pipe that is full of pokes wakes the thread too
            os.write(self._writing, b'.')

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._reading, select.POLLIN)
        while not self._stopped:
            self._sleeps_until = NEVER  # whoever sets a deadline from here on pokes
            at = self._due + LATE_S
            now = time.monotonic()
            if now < at:
                self._sleeps_until = at
                self._sleep(poller, at - now)
                continue
            for rescue in self._rescues:
                self._call(rescue)
            self._call(self._wake)
            self._sleep(poller, REPEAT_S)
        os.close(self._reading)

    def _sleep(self, poller: 'select.poll', seconds: float) -> None:
        if poller.poll(None if seconds == NEVER else seconds * 1000.0):
            os.read(self._reading, 4096)

    def _call(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            logging.getLogger(__name__).exception('The supervisor of the loop failed.')
