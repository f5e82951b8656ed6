"""
The master of a Modbus line: one request at a time, shared by all devices on the line.

A device is a ``Client`` that returns its next request; the bus sends it and hands the answer back.
Nothing is repeated here: a client that got no answer asks again, unless something else has become more
important.

Replies carry no number, so one that comes late could be taken for the reply to the next request of the same
form.  Therefore after an unanswered reading the device is first asked for something of *another* length
(``Client.probes``): devices answer in order, so once that is answered nothing late can follow.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from evse_manager.board.transport.modbus import Answers, ModbusAnswer, Request
from evse_manager.board.transport.port import PortSettings
from evse_manager.board.transport.serial_link import PortLost, PortOpened, SerialLink

TIMEOUT_S = 0.5
"""How long an answer is waited for (catalogue L2)."""

LATE_S = 3.0
"""After so long no late answer comes any more."""

Handler = Callable[[ModbusAnswer, float], None]


@dataclass(frozen=True, slots=True)
class Order:
    """A request, and what to do with its answer (called with the answer and the time)."""

    request: Request
    handle: Handler


class Client(Protocol):
    """A device on the line; times are seconds of one clock."""

    gap_s: float
    """Silence that the device needs before each request."""

    unit: int
    """Its address on the line."""

    probes: tuple[Request, ...]
    """Readings of different lengths; see the module's description."""

    @property
    def urgent(self) -> bool:
        """
        Return whether its next request goes before those of all other clients.

        True for a few requests in a row at most, or the others would never be sent.
        """

    def opened(self, now: float) -> None:
        """Take notice of an open port."""

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Take notice of a lost line."""

    def missed(self, count: int, now: float) -> None:
        """Take notice of requests that were not answered, ``count`` of them in a row."""

    def next(self, now: float) -> Order | None:
        """Return the most important request that is due; the same again until it is answered."""

    def deadline(self) -> float:
        """Return when ``next`` has something by itself."""


@dataclass(slots=True)
class _Place:
    client: Client
    missed: int = 0
    unanswered: dict[tuple[int, int], float] = field(default_factory=dict)
    """Forms of readings whose answer may still come, and until when."""
    blocked_until: float = -math.inf


class Master:
    """The order of requests on one line; pure, its bytes go through ``send``."""

    def __init__(self, send: Callable[[bytes], bool], answers: Answers) -> None:
        """Begin without devices."""
        self.requests = 0
        self.timeouts = 0
        self.refusals = 0
        """Exceptions."""
        self._send = send
        self._answers = answers
        self._places: list[_Place] = []
        self._turn = 0
        self._in_flight: tuple[_Place, Order, float] | None = None
        self._silent_since = -math.inf
        self._held_until = math.inf
        """The line is kept silent until then for one that needs a longer silence."""

    def add(self, client: Client) -> None:
        """Serve a device; devices take turns, urgent requests come first."""
        self._places.append(_Place(client))

    @property
    def clients(self) -> list[Client]:
        """Return the devices."""
        return [place.client for place in self._places]

    def cancel(self) -> None:
        """Forget the request in flight: the port is gone."""
        self._in_flight = None
        self._held_until = math.inf
        self._answers.expect(None)
        for place in self._places:
            place.unanswered.clear()
            place.missed = 0

    def take(self, answer: ModbusAnswer, now: float) -> None:
        """Take the answer to the request in flight."""
        if self._in_flight is None or answer.request is not self._in_flight[1].request:
            return
        place, order, _ = self._in_flight
        self._in_flight = None
        self._silent_since = now
        self.refusals += not answer.good
        place.missed = 0
        if not answer.request.writes:
            place.unanswered.clear()
        order.handle(answer, now)

    def tick(self, now: float) -> None:
        """Give up what was not answered in time, and send the next request."""
        if self._in_flight is not None:
            place, order, deadline = self._in_flight
            if now < deadline:
                return
            self._in_flight = None
            self._answers.expect(None)
            self._silent_since = deadline - TIMEOUT_S
            self.timeouts += 1
            place.missed += 1
            if not order.request.writes:
                place.unanswered[order.request.shape] = now + LATE_S
            place.client.missed(place.missed, now)
        self._held_until = math.inf
        for place in self._in_turn():
            wanted = self._gate(place, place.client.next(now), now)
            if wanted is None:
                continue
            may_at = self._may_at(place)
            if now < may_at:
                self._held_until = may_at
            else:
                self._transmit(place, wanted, now)
            return

    def deadline(self) -> float:
        """Return when ``tick`` has something to do."""
        if self._in_flight is not None:
            return self._in_flight[2]
        wanted = (
            max(place.client.deadline(), place.blocked_until, self._may_at(place))
            for place in self._places
            if self._held_until == math.inf or place.client.urgent
        )
        return min(self._held_until, min(wanted, default=math.inf))

    def _in_turn(self) -> list[_Place]:
        """Return who may ask next, the first first."""
        in_turn = self._places[self._turn :] + self._places[: self._turn]
        return sorted(in_turn, key=lambda place: not place.client.urgent) if len(in_turn) > 1 else in_turn

    def _may_at(self, place: _Place) -> float:
        return self._silent_since + place.client.gap_s

    def _gate(self, place: _Place, wanted: Order | None, now: float) -> Order | None:
        """Return what may be sent without mistaking a late answer for its own."""
        place.unanswered = {shape: until for shape, until in place.unanswered.items() if now < until}
        place.blocked_until = -math.inf
        if wanted is None or wanted.request.writes or wanted.request.shape not in place.unanswered:
            return wanted
        for probe in place.client.probes:
            if probe.shape not in place.unanswered:
                request = Request(probe.unit, probe.function, probe.address, probe.value)
                return Order(request, lambda answer, now: None)
        place.blocked_until = min(place.unanswered.values())
        return None

    def _transmit(self, place: _Place, order: Order, now: float) -> None:
        if not place.client.urgent:  # an urgent request does not count as a turn
            self._turn = (self._places.index(place) + 1) % len(self._places)
        self.requests += 1
        self._in_flight = (place, order, now + TIMEOUT_S)
        self._answers.expect(order.request)
        self._send(order.request.encode())


class ModbusBus:
    """A serial port with a ``Master`` on it, run by the thread that calls ``poll``."""

    def __init__(self, settings: PortSettings, wake: Callable[[], None]) -> None:
        """Take the settings; nothing is opened yet."""
        self.settings = settings
        self.answers = Answers()
        self.link: SerialLink[ModbusAnswer] = SerialLink(settings, self.answers, wake)
        self.master = Master(self.link.write, self.answers)

    def add(self, client: Client) -> None:
        """Serve a device; before ``open``."""
        self.master.add(client)

    def open(self) -> None:
        """Open the port and begin to read; raises PortError when the port cannot be opened."""
        self.link.open()

    def close(self, goodbye: bytes = b'') -> None:
        """Send the last bytes, end the reader, close the port."""
        self.link.close(goodbye)

    def poll(self, now: float) -> None:
        """Handle received frames and send due requests."""
        for item in self.link.receive():
            match item:
                case PortOpened():
                    self.master.cancel()
                    for client in self.master.clients:
                        client.opened(now)
                case PortLost(text, silent):
                    if not silent:
                        self.master.cancel()
                    for client in self.master.clients:
                        client.lost(text, now, port_open=silent)
                case ModbusAnswer():
                    self.master.take(item, now)
        if self.link.is_open:
            self.master.tick(now)

    def next_poll(self, now: float) -> float:
        """Return when ``poll`` has something to do by itself."""
        if self.link.pending:
            return now
        return self.master.deadline() if self.link.is_open else math.inf

    @property
    def echoing(self) -> bool:
        """Return whether requests come back."""
        return self.answers.echoes > 0

    def diagnostics(self) -> Mapping[str, str]:
        """Return the counters of line and requests."""
        return {
            **self.link.diagnostics(),
            'requests': str(self.master.requests),
            'requests not answered in time': str(self.master.timeouts),
            'requests refused (exceptions)': str(self.master.refusals),
            'unexpected frames': str(self.answers.strays),
            'own requests that came back': str(self.answers.echoes),
        }
