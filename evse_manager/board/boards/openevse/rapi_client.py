"""Requests over RAPI: one in flight, repeated when it is not answered, replies matched by their number."""

from collections.abc import Callable
from dataclasses import dataclass

from evse_manager.board.boards.openevse import rapi

TIMEOUT_S = 0.5
"""A board that is not busy answers within 40 ms; a request is repeated after this."""

SHORT_TIMEOUT_S = 0.25
SHORT = ('FS', 'SC')
"""Orders that are repeated sooner; ``$FD`` is answered after 0.3 s, when the lock has moved."""

TRIES = 3
"""How often a request is sent that the board cannot read."""

OVERDUE_S = 0.1
"""A request that has waited for longer than this waits for a board that is busy, or was lost."""

PATIENCE_S = TRIES * TIMEOUT_S
"""Silence after which a board that has no reason for it is lost."""

FRAGILE = ('SC', 'SY')
"""
Requests that are repeated only when the line is alive.

A busy board keeps 63 bytes and drops the rest; a current that was cut there is another current.
"""

PING = 'GS'

Handler = Callable[[rapi.Frame, float], None]
"""Called with the reply and its time."""


@dataclass(slots=True)
class _Request:
    command: str
    handle: Handler
    urgent: bool
    sequence: int
    deadline: float
    begun: float
    tries: int = 1
    asked_for_life: bool = False
    """Whether the board was asked something harmless instead of a repetition."""

    @property
    def fragile(self) -> bool:
        return self.command.startswith(FRAGILE)

    @property
    def timeout_s(self) -> float:
        return SHORT_TIMEOUT_S if self.command.startswith(SHORT) else TIMEOUT_S


class RapiClient:
    """Times are seconds of one clock."""

    def __init__(self, send: Callable[[bytes], bool]) -> None:
        """``send`` takes the bytes of a request."""
        self.timeouts = 0
        self.stale = 0
        """Replies to requests that had been given up, or that came twice."""
        self.echoes = 0
        """Own requests that came back."""
        self._send = send
        self._request: _Request | None = None
        self._sequence = 0
        self._numbered = False

    @property
    def busy(self) -> bool:
        """Return whether a request is in flight."""
        return self._request is not None

    @property
    def overdue(self) -> bool:
        """Return whether the request in flight had to be repeated."""
        return self._request is not None and self._request.tries > 1

    @property
    def urgent(self) -> bool:
        """Return whether the request in flight must not be given up for another."""
        return self._request is not None and self._request.urgent

    @property
    def deadline(self) -> float | None:
        """Return when ``failed`` has something to do."""
        return self._request.deadline if self._request is not None else None

    def waits(self, now: float) -> bool:
        """Return whether the board is silent for longer than a loop of its takes."""
        return self._request is not None and now > self._request.begun + OVERDUE_S

    def begin(self, command: str, handle: Handler, now: float, *, urgent: bool = False) -> None:
        """Send a request; another one in flight is given up, and its late reply will be ignored."""
        begun = self._request.begun if self._request is not None else now
        sequence = self._transmit(command)
        self._request = _Request(command, handle, urgent, sequence, now, begun)
        self._request.deadline = now + self._request.timeout_s

    def cancel(self) -> None:
        """Give up the request in flight."""
        self._request = None

    def take(self, frame: rapi.Frame, now: float) -> None:
        """Take any frame that is not asynchronous; the reply in time calls the request's handler."""
        request = self._request
        if frame.name not in rapi.REPLIES:
            self.echoes += 1
            return
        if frame.sequence is not None:
            self._numbered = True
        if request is None or (frame.sequence is not None and frame.sequence != request.sequence):
            self.stale += 1
            if request is not None and request.asked_for_life:
                self._repeat(request, now)  # the board answers again
            return
        if frame.sequence is None:
            if frame.name == 'NK' and request.tries < TRIES:
                self._repeat(request, now)  # the board could not read the request
                return
            if frame.name == 'OK' and self._numbered:
                self.stale += 1
                return
        self._request = None
        request.handle(frame, now)

    def failed(self, now: float, patience_s: float = PATIENCE_S) -> bool:
        """Repeat a request that was not answered in time; return whether the silence is too long."""
        request = self._request
        if request is None or now < request.deadline:
            return False
        self.timeouts += 1
        if now < request.begun + patience_s:
            if request.fragile:
                self._transmit(PING)
                request.asked_for_life = True
                request.tries += 1
                request.deadline = now + request.timeout_s
            else:
                self._repeat(request, now)
            return False
        self._request = None
        return True

    def _repeat(self, request: _Request, now: float) -> None:
        request.tries += 1
        request.asked_for_life = False
        request.sequence = self._transmit(request.command)
        request.deadline = now + request.timeout_s

    def _transmit(self, command: str) -> int:
        self._sequence = self._sequence % rapi.LARGEST_SEQUENCE + 1
        self._send(rapi.encode(command, self._sequence))
        return self._sequence
