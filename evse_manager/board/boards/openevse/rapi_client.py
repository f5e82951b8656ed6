"""Requests over RAPI: one in flight, repeated when it is not answered, replies matched by their number."""

from collections.abc import Callable
from dataclasses import dataclass

from evse_manager.board.boards.openevse import rapi

TIMEOUT_S = 0.5
"""A board answers within 30 ms; so long it is waited for (hardware reference 2.1.1)."""

TRIES = 3

Handler = Callable[[rapi.Frame, float], None]
"""Called with the reply and its time."""


@dataclass(slots=True)
class _Request:
    command: str
    handle: Handler
    urgent: bool
    sequence: int
    deadline: float
    tries: int = 1


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

    def begin(self, command: str, handle: Handler, now: float, *, urgent: bool = False) -> None:
        """Send a request; another one in flight is given up, and its late reply will be ignored."""
        self._request = _Request(command, handle, urgent, self._transmit(command), now + TIMEOUT_S)

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

    def failed(self, now: float) -> bool:
        """Repeat a request that was not answered in time; return whether it was the last try."""
        request = self._request
        if request is None or now < request.deadline:
            return False
        self.timeouts += 1
        if request.tries < TRIES:
            self._repeat(request, now)
            return False
        self._request = None
        return True

    def _repeat(self, request: _Request, now: float) -> None:
        request.tries += 1
        request.sequence = self._transmit(request.command)
        request.deadline = now + TIMEOUT_S

    def _transmit(self, command: str) -> int:
        self._sequence = self._sequence % rapi.LARGEST_SEQUENCE + 1
        self._send(rapi.encode(command, self._sequence))
        return self._sequence
