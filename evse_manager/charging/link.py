"""
The lease on the board, seen from the manager; always on the steady clock.

The board node opens the contactor when no command renewed its lease in time; this side numbers and renews the
commands, tells which board states answer them, and says when the board is to be called lost.
"""

from dataclasses import replace

from .enums import LinkState
from .inputs import BoardLost, BoardObserved
from .types import BoardCommand, BoardState, Duration

BOARD_SILENCE_S = 1.5
"""Without a board state for this long the board is lost (its slowest rate is 1 Hz; catalogue P2)."""

REFUSED_GRACE_S = 0.5
"""How much longer than the other's lease a refused manager waits before it calls it an error (board.md 3)."""


class BoardLink:
    """Numbers commands, matches answers, supervises the link."""

    def __init__(self, manager_id: str, lease_s: float) -> None:
        """Begin without any board; ``manager_id`` is new at every start, ``lease_s`` in seconds."""
        self._manager_id = manager_id
        self._lease_s = lease_s
        self._sequence_number = 0
        self._changed_at = 0
        self._outputs: BoardCommand | None = None
        self._heard: float | None = None
        self._refused_since: float | None = None
        self._lost = False

    @property
    def renewal_period(self) -> float:
        """Seconds between two renewals: three fit into a lease."""
        return self._lease_s / 3.2

    def stamp(self, outputs: BoardCommand, steady: float) -> BoardCommand:
        """Return ``outputs`` as the next command; the same outputs again are a renewal."""
        if self._heard is None:
            self._heard = steady
        self._sequence_number += 1
        if outputs != self._outputs:
            self._outputs = outputs
            self._changed_at = self._sequence_number
        return replace(
            outputs,
            manager_id=self._manager_id,
            sequence_number=self._sequence_number,
            lease=Duration(self._lease_s),
        )

    def observe(self, state: BoardState, steady: float) -> BoardObserved | BoardLost | None:
        """Take a board state; ``None`` while another manager, or nobody yet, holds the board."""
        self._heard = steady
        if state.link_state is LinkState.LOST:
            self._lost = True
            return BoardLost('The board node has lost its hardware; check cable, port and supply.')
        if state.link_state is LinkState.CONNECTING:
            return None
        if state.controller_id == self._manager_id:
            self._refused_since = None
            self._lost = False
            answered = state.answered_sequence_number >= self._changed_at
            return BoardObserved(state, answered)
        if state.controller_id:
            return self._refused(steady)
        return None

    def check(self, steady: float) -> BoardLost | None:
        """Say once when the board has been silent, or held by somebody else, for too long."""
        if self._heard is None or self._lost:
            return None
        if steady - self._heard > BOARD_SILENCE_S:
            self._lost = True
            return BoardLost(f'The board node has been silent for {BOARD_SILENCE_S} s; check that it runs.')
        if self._refused_since is not None:
            return self._refused(steady)
        return None

    def _refused(self, steady: float) -> BoardLost | None:
        """Wait for the other manager's lease to end, and half a second more."""
        if self._refused_since is None:
            self._refused_since = steady
        if self._lost or steady - self._refused_since <= self._lease_s + REFUSED_GRACE_S:
            return None
        self._lost = True
        return BoardLost('Another manager holds the board; stop one of the two.')
