"""The motor that locks the connector, with its faults."""

from collections.abc import Callable

from evse_manager.interface.enums import BoardErrorEnum, LockState
from evse_manager.simulation.scheduler import Event, Scheduler

TRAVEL_S = 0.4
RETRY_S = 1.0
TRIES = 3
"""Attempts of the motor before the board reports an error (catalogue F24)."""


class ConnectorLock:
    """Position and motor; ``moved`` is called after every change."""

    def __init__(self, scheduler: Scheduler, clock: Callable[[], float], moved: Callable[[], None]) -> None:
        """Begin unlocked."""
        self.error: BoardErrorEnum | None = None
        self._locked = False
        self._wanted = False
        self._scheduler = scheduler
        self._clock = clock
        self._moved = moved
        self._motion: Event | None = None
        self._jammed = False
        self._slips = False

    @property
    def state(self) -> LockState:
        """Return the state that the board sees."""
        if self._motion is not None:
            return LockState.MOVING
        return LockState.LOCKED if self._locked else LockState.UNLOCKED

    def order(self, locked: bool) -> None:
        """Lock or unlock; the same order again changes nothing."""
        if locked is self._wanted:
            return
        self._wanted = locked
        self.error = None
        self._move(TRAVEL_S, 1)

    def jam(self, jammed: bool) -> None:
        """Let the motor stall, or run again."""
        self._jammed = jammed
        if not jammed and self._wanted is not self._locked:
            self._move(TRAVEL_S, 1)

    def slip(self, slips: bool) -> None:
        """Let the lock spring open and never hold, or hold again."""
        self._slips = slips
        if slips and self._locked:
            self._locked = False
            self._stop()
            self.error = BoardErrorEnum.LOCK_UNEXPECTEDLY_OPEN if self._wanted else None
            self._moved()
        elif not slips and self._wanted and not self._locked:
            self._move(TRAVEL_S, 1)

    def _move(self, seconds: float, attempt: int) -> None:
        self._stop()
        self._motion = self._scheduler.at(self._clock() + seconds, lambda: self._arrive(attempt))
        self._moved()

    def _stop(self) -> None:
        if self._motion is not None:
            self._motion.cancel()
            self._motion = None

    def _arrive(self, attempt: int) -> None:
        self._motion = None
        if self._jammed and self._wanted is not self._locked:
            if attempt < TRIES:
                self._move(RETRY_S, attempt + 1)
                return
            failed_to_lock = BoardErrorEnum.LOCK_FAILED_TO_LOCK
            self.error = failed_to_lock if self._wanted else BoardErrorEnum.LOCK_FAILED_TO_UNLOCK
        elif self._slips and self._wanted:
            self.error = BoardErrorEnum.LOCK_UNEXPECTEDLY_OPEN
        else:
            self._locked = self._wanted
            self.error = None
        self._moved()
