"""The protective functions of the hardware: residual current, over-current, emergency stop, temperature."""

from collections.abc import Callable

from evse_manager.interface.enums import BoardErrorEnum
from evse_manager.simulation.scheduler import Event, Scheduler

TRIP_FACTOR = 1.45
"""Over-current trips above this times the limit (as a circuit breaker's conventional tripping current)."""

TRIP_AFTER_S = 1.0
HOT_C = 85.0
COOL_C = 80.0
RESIDUAL_MA = 0.6
RESIDUAL_AT_TRIP_MA = {BoardErrorEnum.RCD_AC: 35.0, BoardErrorEnum.RCD_DC: 8.0}
"""Residual current while the cause lasts."""

_RCD = (BoardErrorEnum.RCD_AC, BoardErrorEnum.RCD_DC, BoardErrorEnum.RCD_SELF_TEST)


class Protection:
    """The set of trips; ``tripped`` is called when one is added and has to cut the coil."""

    def __init__(self, scheduler: Scheduler, clock: Callable[[], float], tripped: Callable[[], None]) -> None:
        """Begin without any."""
        self._causes: set[BoardErrorEnum] = set()
        self._latched: set[BoardErrorEnum] = set()
        self._hot = False
        self._scheduler = scheduler
        self._clock = clock
        self._tripped = tripped
        self._over_current: Event | None = None

    @property
    def errors(self) -> set[BoardErrorEnum]:
        """Return the errors that the board reports."""
        hot = {BoardErrorEnum.OVER_TEMPERATURE} if self._hot else set()
        return self._causes | self._latched | hot

    @property
    def blocks(self) -> bool:
        """Return whether the coil is cut."""
        return bool(self._causes or self._latched)

    @property
    def residual_ma(self) -> float:
        """Return the residual current."""
        return RESIDUAL_MA + sum(RESIDUAL_AT_TRIP_MA.get(code, 0.0) for code in self._causes)

    def cause(self, code: BoardErrorEnum, active: bool) -> None:
        """Begin or end the cause of a trip; residual current devices stay tripped until ``reset_rcd``."""
        if active:
            self._causes.add(code)
            if code in _RCD:
                self._latched.add(code)
            self._tripped()
        else:
            self._causes.discard(code)

    def latch(self, code: BoardErrorEnum) -> None:
        """Trip until unplugged, or until ``reset_rcd`` for a residual current device."""
        self._latched.add(code)
        self._tripped()

    def reset_rcd(self, self_test_fails: bool) -> None:
        """Reset the residual current device; it trips again when its cause lasts or its self-test fails."""
        for code in _RCD:
            if code not in self._causes:
                self._latched.discard(code)
        if self_test_fails:
            self.latch(BoardErrorEnum.RCD_SELF_TEST)

    def unplugged(self) -> None:
        """Forget what ends by unplugging."""
        self._latched.discard(BoardErrorEnum.OVER_CURRENT)
        self._latched.discard(BoardErrorEnum.DIODE_FAULT)

    def watch_current(self, current_a: float, limit_a: float) -> None:
        """Trip when the current has been above the limit for too long."""
        if current_a <= limit_a * TRIP_FACTOR:
            if self._over_current is not None:
                self._over_current.cancel()
                self._over_current = None
        elif self._over_current is None:
            self._over_current = self._scheduler.at(self._clock() + TRIP_AFTER_S, self._trip_over_current)

    def watch_temperature(self, temperature_c: float) -> bool:
        """Report over-temperature above a threshold until below a lower one; return whether that changed."""
        before = self._hot
        self._hot = temperature_c >= (COOL_C if self._hot else HOT_C)
        return self._hot is not before

    def _trip_over_current(self) -> None:
        self._over_current = None
        self.latch(BoardErrorEnum.OVER_CURRENT)
