"""The contactor of the simulated board, with its self-test before closing and its faults."""

from collections.abc import Callable

from evse_manager.interface.enums import ContactorState
from evse_manager.simulation.scheduler import Event, Scheduler

CLOSING_S = 0.03
OPENING_S = 0.02
SELF_TEST_S = 0.1
"""The residual current device is tested before each closing (docs/sources.md, timing)."""

WELD_SEEN_AFTER_S = 0.5
"""A mirror contact that disagrees for this long is a weld."""

DROPS_AFTER_S = 1.0
"""With the fault ``relay_drops`` the contactor holds for this long."""


class Contactor:
    """Position and coil; ``moved`` is called after each change, ``self_test`` returns if it may close."""

    def __init__(
        self,
        scheduler: Scheduler,
        clock: Callable[[], float],
        moved: Callable[[], None],
        self_test: Callable[[], bool],
        self_test_s: float = SELF_TEST_S,
    ) -> None:
        """Begin open; ``self_test_s`` is 0 where the firmware tests before it drives the coil."""
        self.closed = False
        self.weld_seen = False
        """Whether the board has noticed that it does not open."""
        self._ordered = False
        self._scheduler = scheduler
        self._clock = clock
        self._moved = moved
        self._self_test = self_test
        self.self_test_s = self_test_s
        """From the order to close to the coil's current."""
        self._motion: Event | None = None
        self._check: Event | None = None
        self._welded = False
        self._stuck_open = False
        self._drops = False

    @property
    def feedback(self) -> ContactorState:
        """Return the state of the mirror contact."""
        return ContactorState.CLOSED if self.closed else ContactorState.OPEN

    def order(self, closed: bool) -> None:
        """Energize the coil or let go; the same order again changes nothing."""
        if closed is self._ordered:
            return
        self._ordered = closed
        if closed:
            self._plan(self.self_test_s, self._tested)
        else:
            self._plan(OPENING_S, self._open)

    def trip(self) -> None:
        """Let the protection cut the coil, whatever is ordered; only a new order closes again."""
        self.order(False)

    def weld(self, welded: bool) -> None:
        """Weld the contacts as soon as they touch, or part them."""
        self._welded = welded
        if not welded and not self._ordered:
            self._plan(OPENING_S, self._open)

    def block(self, stuck_open: bool) -> None:
        """Let the coil do nothing, or work again."""
        self._stuck_open = stuck_open
        if not stuck_open and self._ordered and not self.closed:
            self._plan(CLOSING_S, self._close)

    def let_drop(self, drops: bool) -> None:
        """Let the contactor fall now and soon after each closing, or hold again."""
        self._drops = drops
        if drops and self.closed:
            self._plan(OPENING_S, self._open)

    def _plan(self, seconds: float, action: Callable[[], None]) -> None:
        if self._motion is not None:
            self._motion.cancel()
        self._motion = self._scheduler.at(self._clock() + seconds, action)

    def _tested(self) -> None:
        if self._self_test():
            self._plan(CLOSING_S, self._close)

    def _close(self) -> None:
        if self._stuck_open:
            return
        self.closed = True
        if self._drops:
            self._plan(DROPS_AFTER_S, self._open)
        self._moved()

    def _open(self) -> None:
        if self._welded and self.closed:
            if self._check is None:
                self._check = self._scheduler.at(self._clock() + WELD_SEEN_AFTER_S, self._look)
            return
        was_closed, self.closed = self.closed, False
        self.weld_seen = False
        if was_closed:
            self._moved()

    def _look(self) -> None:
        self._check = None
        self.weld_seen = self.closed and not self._ordered
        self._moved()
