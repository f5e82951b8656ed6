"""What boards say of themselves; their capabilities and their states arrive in no fixed order."""

from typing import Any

from evse_manager.interface.types import BoardCapabilities

AWAITED_S = 0.5
"""The states of a board wait this long for its capabilities; both are latched and come at once."""

BOARDS_MAX = 16
"""Most boards that are remembered."""


class BoardsHeard:
    """
    Capabilities of the boards in the namespace, by their identification.

    A board that has sent none under its own name is known by those without a name.
    """

    def __init__(self) -> None:
        self._capabilities: dict[str, BoardCapabilities] = {}
        self._simulated: dict[str, bool] = {}
        self._since: dict[str, float] = {}

    def heard(self, capabilities: BoardCapabilities, led: str | None) -> None:
        """
        Note what a board is; ``led``, the board in use, is not forgotten for others.

        An identification belongs to one start of a board, which is simulated or real for good.
        """
        name = capabilities.board_id
        self._capabilities[name] = capabilities
        if not name or name not in self._simulated:
            self._simulated[name] = capabilities.simulated
        _bound(self._capabilities, led)
        _bound(self._simulated, led)

    def capabilities(self, board_id: str | None) -> BoardCapabilities | None:
        """Return the capabilities of a board; None while they are not known, or the board is not."""
        if board_id is None:
            return None
        return self._capabilities.get(board_id, self._capabilities.get(''))

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
        _bound(self._since, board_id)
        return steady < since + AWAITED_S


def _bound(known: dict[str, Any], kept: str | None) -> None:
    while len(known) > BOARDS_MAX:
        del known[next(name for name in known if name != kept)]
