"""The voltages of the pilot, held against the state that the board has reported, which may be outdated."""

from collections.abc import Mapping

from evse_manager.board.boards.yeti.codes import F_CODE, STATE_BY_VOLTAGE, volts

AGREEING = 3
"""Readings in a row that must agree with each other to outvote the reported state."""

SAFER: Mapping[int, frozenset[int]] = {
    0: frozenset({0, 1, 2, 3, 4}),
    1: frozenset({0, 1, 2, 3, 4}),
    2: frozenset(),
    3: frozenset({2}),
    4: frozenset({0, 1, 2, 3, 4}),
}
"""States that a voltage may replace; a voltage alone never becomes C or D (a request for power)."""


class PilotCheck:
    """
    Finds a lost state of the pilot.

    A reported state counts as measurable once a voltage has agreed with it; only then may voltages outvote
    it, so that a board with another scale is never misread.
    """

    def __init__(self) -> None:
        """Begin without any state."""
        self.reported(None)

    def reported(self, code: int | None) -> None:
        """Take a state that the board has reported; ``None`` is a board that has restarted."""
        self.replacement: int | None = None
        """Code of the state that the voltages show and that is safer than the reported one."""
        self.asks_unreported = False
        """Whether the voltages show a request for power that was not reported."""
        self._reported = code
        self._agreed = False
        self._other: int | None = None
        self._times = 0

    def measured(self, high: int, *, under_f: bool) -> None:
        """Take a reading of the positive half; ``under_f`` is whether F is ordered."""
        reported = self._reported
        if reported is None or reported == F_CODE or under_f:
            self._times = 0
            return
        shown = state_by_voltage(volts(high))
        if shown == reported:
            self._agreed = True
            self._times = 0
            self.replacement, self.asks_unreported = None, False
            return
        self._times = self._times + 1 if shown == self._other else 1
        self._other = shown
        if not self._agreed or self._times < AGREEING:
            return
        if reported in SAFER.get(shown, frozenset()):
            self.replacement = shown
        else:
            self.asks_unreported = True


def state_by_voltage(high_v: float) -> int:
    """Return the code of the state of a voltage, A to E."""
    return next((code for code, least_v in STATE_BY_VOLTAGE if high_v >= least_v), 4)
