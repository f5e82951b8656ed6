"""Which board is a simulated one: its capabilities say so; they and its states arrive in no fixed order."""

from evse_manager.interface.types import BoardCapabilities

AWAITED_S = 0.5
"""The states of a board wait this long for its capabilities; both are latched and come at once."""

BOARDS_MAX = 16
"""Most boards that are remembered."""


class BoardKinds:
    """Boards that have reported, by their identification, and whether they are simulated."""

    def __init__(self) -> None:
        self._simulated: dict[str, bool] = {}
        self._since: dict[str, float] = {}

    def heard(self, capabilities: BoardCapabilities) -> None:
        """Note what a board is."""
        self._simulated.pop(capabilities.board_id, None)
        self._simulated[capabilities.board_id] = capabilities.simulated
        _bound(self._simulated)

    def of(self, board_id: str | None) -> bool | None:
        """Return whether a board is a simulated one; None while that is not known."""
        if board_id is None:
            return None
        return self._simulated.get(board_id, self._simulated.get(''))

    def awaited(self, board_id: str, steady: float) -> bool:
        """Return whether to wait for the capabilities of a board; one that never says is a real one."""
        if self.of(board_id) is not None:
            self._since.pop(board_id, None)
            return False
        since = self._since.setdefault(board_id, steady)
        _bound(self._since)
        return steady < since + AWAITED_S


def _bound(known: dict[str, bool] | dict[str, float]) -> None:
    while len(known) > BOARDS_MAX:
        del known[next(iter(known))]
