"""Which board the open records belong to: those of a simulated board are apart from a real one's."""

from enum import Enum, auto

from evse_manager.interface.types import BoardCapabilities, BoardState
from evse_manager.nodes.boards_heard import BoardsHeard


class Admission(Enum):
    """What to do with a board state."""

    TAKE = auto()
    TAKE_FIRST = auto()
    """Take it; it is the first one of its board with the open records."""
    WAIT = auto()
    """Its board has not reported its kind yet."""
    CHANGE_RECORDS = auto()
    """It belongs to the records of the other kind, which must be opened first."""


class RecordedBoard:
    """Keeps the states of a board back until it is known whose records they belong to."""

    def __init__(self) -> None:
        self.boards = BoardsHeard()
        self._board_id: str | None = None
        """The board whose kind is known to be that of the open records."""
        self._waiting: BoardState | None = None

    def heard(self, capabilities: BoardCapabilities, led: str | None) -> BoardState | None:
        """Note what a board is, while ``led`` is in use; return the state that waited for it."""
        self.boards.heard(capabilities, led)
        if capabilities.board_id in ('', self._board_id):
            self._board_id = None  # its next state is looked at again
        waiting, self._waiting = self._waiting, None
        return waiting

    def admit(self, state: BoardState, open_kind: bool | None, steady: float) -> Admission:
        """
        Return what to do with a state of the board that is led, received at ``steady``.

        ``open_kind`` says whether the open records are a simulated board's; None while none are open.
        """
        if state.board_id == self._board_id:
            return Admission.TAKE
        if self.boards.awaited(state.board_id, steady):
            self._waiting = state
            return Admission.WAIT
        if open_kind is not None and bool(self.boards.of(state.board_id)) is not open_kind:
            return Admission.CHANGE_RECORDS
        self._board_id, self._waiting = state.board_id, None
        return Admission.TAKE_FIRST
