"""
The lease on the board, seen from the manager; always on the steady clock.

The board node opens the contactor when no command renewed its lease in time; this side numbers and renews the
commands, matches the board states that answer them, and reports when the board counts as lost.
"""

import math
from dataclasses import dataclass, replace

from evse_manager.interface.enums import LinkState
from evse_manager.interface.types import BoardCommand, BoardState, Duration

BOARD_SILENCE_S = 1.2
"""
Without a board state for this long the board is lost: its slowest rate is 1 Hz, and a dead board node has to
be noticed within 1.5 s.  So the check does not wait for the next renewal (``silent_at``).
"""

A_MOMENT_S = 0.001
"""So that a check that is due for the silence finds it over."""

GRACE_S = 0.5
"""A board may obey another manager, or no manager, for a lease and this time before that is an error."""

REFUSED_PERIOD_S = 2.0
"""
Period of the requests for a board that another manager holds: the longest lease (docs/architecture.md).

The board's queue of commands is one deep, so a command that comes with a renewal of the holder takes its
place.  The holder renews three times in its lease; it may miss one, but not three in a row.
"""

NEARBY_S = 2.5
"""Another board, or another manager's board, counts as present for this long after its last state."""

MOST_NAMED = 3
"""Most other boards that a warning names."""

SEVERAL_BOARDS = (
    'Several other board nodes report in this namespace and are left alone; stop them, or give each a'
    ' namespace of its own.'
)

NAME_PARTS = 3
"""Words of a manager's name: start time, name of the node, unique part."""

KEPT_BOARDS = 16
"""Other boards that are remembered; a manager never follows one that it has seen beside its own."""

SILENT = f'The board node has been silent for {BOARD_SILENCE_S} s; check that it runs.'
NO_HARDWARE = 'The board node has lost its hardware; check cable, port and supply.'
CONNECTING = 'The board node is still looking for its hardware; check cable, port and supply.'
OTHER_MANAGER = 'Another manager holds the board; stop one of the two.'
RIVAL = (
    'Another connector was started in this namespace before this one, and this one stands by; give each a'
    ' namespace of its own (-r __ns:=/NAME).'
)
DEAF = (
    'The board node reports but does not take commands; check that both nodes are of one version, and that'
    ' no other node publishes commands.'
)


@dataclass(frozen=True, slots=True)
class BoardObserved:
    """A board state; ``answered`` is whether the board has taken the newest change of the outputs."""

    state: BoardState
    answered: bool


@dataclass(frozen=True, slots=True)
class BoardLost:
    """The board can't be reached or obeys another manager; ``text`` is the reason, for people."""

    text: str


@dataclass(slots=True)
class OtherBoard:
    """When a board that this manager does not use reported, in seconds of the steady clock."""

    first_heard: float
    last_heard: float = -math.inf


class BoardLeaseClient:
    """Numbers commands, matches answers, supervises the link."""

    def __init__(self, manager_id: str, lease_s: float) -> None:
        """Begin without any board; ``manager_id`` is new at every start, ``lease_s`` in seconds."""
        self._first_id = manager_id
        self._renamed = 0
        self._holder = ''
        """The manager that the board obeyed in its last state; empty for no manager."""
        self._said = -math.inf
        self._lease_s = lease_s
        self._sequence_number = 0
        self._changed_at = 0
        self._answered = 0
        self._outputs: BoardCommand | None = None
        self._heard: float | None = None
        self._checked: float | None = None
        self._disobeyed_since: float | None = None
        self._disobeys = ''
        self._lost = ''
        """Why the board is lost, as it was reported; empty while it is not."""
        self._board_id: str | None = None
        """The board in use: the first that reported, or its successor after it fell silent."""
        self._state_heard = -math.inf
        """When the board in use last reported."""
        self._others: dict[str, OtherBoard] = {}
        """Boards that this manager does not use."""
        self._rival_heard = -math.inf
        """When another board last reported under a manager that started before this one."""
        self._standing_by = False
        self._present_since = math.inf
        """A board or manager that reported after this time is present."""

    @property
    def manager_id(self) -> str:
        """The name under which commands go out; another one after the board did not take them for a while."""
        return f'{self._first_id} ({self._renamed})' if self._renamed else self._first_id

    @property
    def renewal_period(self) -> float:
        """Seconds between two renewals: three fit into a lease."""
        return self._lease_s / 3.2

    @property
    def is_supervised(self) -> bool:
        """Whether the lease ends by itself; an infinite one is neither renewed nor supervised."""
        return self._lease_s < math.inf

    @property
    def refused(self) -> bool:
        """Whether another manager is in command, so that this one neither renews nor publishes anything."""
        return self._standing_by or self._holder not in {'', self.manager_id}

    @property
    def board_heard(self) -> bool:
        """Whether any state of the board that is led has arrived."""
        return self._board_id is not None

    @property
    def board_id(self) -> str | None:
        """The board in use; None before one reported."""
        return self._board_id

    def would_lead(self, board_id: str) -> bool:
        """Return whether the next state of this board would be taken: it is led, or would be from then on."""
        if board_id == self._board_id:
            return True
        other = self._others.get(board_id)
        vacant = self._board_id is None or self._lost == SILENT
        return vacant and (other is None or not self._is_beside(other))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about other boards, for people; one sentence each."""
        present = sorted(
            name
            for name, other in self._others.items()
            if other.last_heard > self._present_since and self._is_beside(other)
        )
        if len(present) > MOST_NAMED:  # strangers that come and go must not change the text each time
            return (SEVERAL_BOARDS,)
        return tuple(
            f'Another board node reports in this namespace and is left alone ({name}); stop it, or give it a'
            ' namespace of its own.'
            for name in present
        )

    def waits_for_us(self, state: BoardState) -> bool:
        """
        Return whether the board does not know this manager yet and obeys no manager: answer at once.

        Where another manager holds it, a fast answer could only do harm (``REFUSED_PERIOD_S``).
        """
        return (
            self._answered == 0
            and not state.controller_id
            and not self._standing_by
            and state.board_id == (self._board_id or '')
        )

    def may_renew(self, steady: float) -> bool:
        """Return whether the last command may be renewed; a refused manager holds back."""
        if self._standing_by:
            return False
        return not self.refused or steady - self._said >= REFUSED_PERIOD_S

    def stamp(self, outputs: BoardCommand, steady: float) -> BoardCommand:
        """Return ``outputs`` as the next command; the same outputs again are a renewal."""
        number = self._next_number(steady)
        if outputs != self._outputs:
            self._outputs = outputs
            self._changed_at = number
        return replace(
            outputs,
            manager_id=self.manager_id,
            sequence_number=number,
            lease=Duration(self._lease_s),
            board_id=self._board_id or '',
        )

    def _next_number(self, steady: float) -> int:
        if self._heard is None:
            self._heard = steady
        self._said = steady
        self._sequence_number += 1
        return self._sequence_number

    def observe(self, state: BoardState, steady: float) -> BoardObserved | BoardLost | None:
        """
        Take a board state; ``None`` while it says nothing about a board that obeys this manager.

        The state of another board changes nothing, but for one: under a manager that started earlier (whose
        name is the lesser) it makes this one stand by.
        """
        if state.board_id != self._board_id and not self._follow(state, steady):
            return self._note_other(state, steady)
        self._heard = self._state_heard = steady
        self._holder = state.controller_id
        if self._standing_by:
            return None
        ours = self._holder == self.manager_id
        if state.link_state is LinkState.LOST:
            self._lost = NO_HARDWARE
            return BoardLost(NO_HARDWARE)
        answered = ours and state.answered_sequence_number >= self._changed_at
        if state.link_state is LinkState.CONNECTING:
            return self._disobeyed(CONNECTING, steady)
        if ours and state.answered_sequence_number > self._answered:
            self._answered = state.answered_sequence_number
            self._disobeyed_since = None
        if not answered:
            lost = self._disobeyed(OTHER_MANAGER if self.refused else DEAF, steady)
            if lost is not None or self._lost or not ours:
                return lost
            return BoardObserved(state, answered=False)
        self._disobeyed_since = None
        self._lost = ''
        return BoardObserved(state, answered=True)

    def check(self, steady: float) -> BoardLost | None:
        """
        Say when the board has been silent or disobedient for too long; call it several times per lease.

        After a stall of this process the state of the board is unknown: its silence counts from then on.
        """
        if self._heard is None or not self.is_supervised:
            return None
        if self._checked is not None and steady - self._checked > self._lease_s:
            self._heard = steady
        self._checked = steady
        self._present_since = steady - NEARBY_S
        self._standing_by = self._rival_heard > self._present_since
        if self._standing_by:
            return self._report_once(RIVAL)
        if steady - self._heard > BOARD_SILENCE_S:
            return self._report_once(SILENT)
        if self._disobeyed_since is not None:
            return self._disobeyed(self._disobeys, steady)
        return None

    def silent_at(self) -> float | None:
        """Return when the board will have been silent for too long, unless it is lost already."""
        if self._heard is None or self._lost or not self.is_supervised:
            return None
        return self._heard + BOARD_SILENCE_S + A_MOMENT_S

    def _follow(self, state: BoardState, steady: float) -> bool:
        """Use the board of a state, if there is no other or it fell silent; return whether it is used."""
        if not self.would_lead(state.board_id):
            return False
        self._others.pop(state.board_id, None)
        if state.board_id != (self._board_id or ''):  # no command so far has named it
            self._changed_at = self._sequence_number + 1
            self._answered = 0
        self._board_id = state.board_id
        self._disobeyed_since = None
        return True

    def _is_beside(self, other: 'OtherBoard') -> bool:
        """
        Return whether a board was alive beside ours: then it is not ours after a restart.

        Another car may be plugged in there, which must not charge on the token of ours.
        """
        return self._state_heard > other.first_heard

    def _is_rival(self, name: str) -> bool:
        """
        Return whether a name is that of a manager of this namespace that started earlier.

        A name has the start time in 20 digits, the name of the node, and a unique part; a board state with
        any other text must not silence this manager.
        """
        if not '' < name < self._first_id or name == self.manager_id:
            return False
        own, theirs = self._first_id.split(' '), name.split(' ')
        if not (own[0].isdecimal() and len(own) >= NAME_PARTS):
            return True
        time_like = theirs[0].isdecimal() and len(theirs[0]) == len(own[0])
        return len(theirs) >= NAME_PARTS and time_like and theirs[1] == own[1]

    def _note_other(self, state: BoardState, steady: float) -> BoardLost | None:
        """Note a board beside ours; stand by when a manager that started earlier leads it."""
        other = self._others.pop(state.board_id, None) or OtherBoard(first_heard=steady)
        other.last_heard = steady
        self._others[state.board_id] = other
        if len(self._others) > KEPT_BOARDS:
            del self._others[next(iter(self._others))]
        self._present_since = steady - NEARBY_S
        if self._is_rival(state.controller_id):
            self._rival_heard = steady
            self._standing_by = True
            return self._report_once(RIVAL)
        return None

    def _disobeyed(self, how: str, steady: float) -> BoardLost | None:
        """Give the board the time in which another's lease ends, or our own command is answered."""
        self._disobeys = how
        if self._disobeyed_since is None:
            self._disobeyed_since = steady
        if steady - self._disobeyed_since <= self._lease_s + GRACE_S:
            return None
        if how == DEAF and not self._holder:
            self._rename(steady)
        return self._report_once(how)

    def _rename(self, steady: float) -> None:
        """
        Go on under another name: commands are old to a board that has seen a higher number in this one.

        That is what a stray message in this manager's name leaves behind; without a new name the board would
        take no command until the manager is started again.
        """
        self._renamed += 1
        self._changed_at = self._sequence_number + 1
        self._answered = 0
        self._disobeyed_since = steady

    def _report_once(self, why: str) -> BoardLost | None:
        """Say once that the board is lost, and again when there is another reason."""
        if self._lost == why:
            return None
        self._lost = why
        return BoardLost(why)
