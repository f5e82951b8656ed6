"""Drivers of boards on a serial line of their own: line, conversation and meter joined in one way."""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from evse_manager.board.driver import PROBLEM, Driver
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.transport.serial_link import PortLost, PortOpened, SerialLink
from evse_manager.interface.types import Powermeter, Telemetry, Time

F = TypeVar('F')


class Conversation(Protocol):
    """A conversation with one board; every time is in seconds of one clock."""

    observations: deque[Observation]
    """Every step of what is observed, oldest first."""
    problem: str
    """Problem of the conversation, for people; empty when there is none."""

    def opened(self, now: float) -> None:
        """Begin: the port is open."""

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Report the loss of the link, with its reason for people."""

    def apply(self, outputs: Outputs, now: float) -> None:
        """Order what the outputs stand for."""

    def tick(self, now: float) -> None:
        """Do what is due."""

    def deadline(self) -> float:
        """Return when something is due by itself."""

    def farewell(self) -> bytes:
        """Return the last orders before the port is closed."""

    def diagnostics(self) -> Mapping[str, str]:
        """Return the counters of the conversation."""


class NewestReadings:
    """The newest sample and telemetry of a board's own meter, each returned once."""

    def __init__(self, wall: Callable[[], Time]) -> None:
        """``wall`` is the clock of the samples."""
        self.implausible = 0
        """Readings that were not used."""
        self._wall = wall
        self._sample: Powermeter | None = None
        self._telemetry: Telemetry | None = None

    def take_sample(self) -> Powermeter | None:
        """Return a sample that was not yet returned."""
        sample, self._sample = self._sample, None
        return sample

    def take_telemetry(self) -> Telemetry | None:
        """Return a reading that was not yet returned."""
        telemetry, self._telemetry = self._telemetry, None
        return telemetry


class SerialDriver(Driver, Generic[F]):
    """A driver whose constructor sets clock and link; ``F`` is a frame of the line."""

    _clock: Callable[[], float]
    _link: SerialLink[F]

    @property
    @abstractmethod
    def _conversation(self) -> Conversation:
        """The conversation with the board."""

    @property
    @abstractmethod
    def _readings(self) -> NewestReadings:
        """The readings of the board's own meter."""

    @abstractmethod
    def _take(self, frame: F, now: float) -> None:
        """Hand a received frame to the conversation."""

    def _before_frames(self, now: float) -> None:
        """Called after bytes were read, before their frames are taken."""

    def open(self) -> None:
        """Open the port; the first ``poll`` withdraws power."""
        self._link.open()

    def close(self) -> None:
        """Send the last orders and close the port."""
        self._link.close(self._conversation.farewell())

    def apply(self, outputs: Outputs) -> None:
        """Order what the outputs stand for, as far as the board is known; the rest follows by itself."""
        self._conversation.apply(outputs, self._clock())

    def poll(self) -> Observation | None:
        """Read what came, do what is due, and return the next step of what is observed."""
        board = self._conversation
        if not board.observations:
            now = self._clock()
            received = self._link.receive()
            self._before_frames(now)
            for item in received:
                match item:
                    case PortOpened():
                        board.opened(now)
                    case PortLost(text, silent):
                        board.lost(text, now, port_open=silent)
                    case _:
                        self._take(item, now)
            board.tick(now)
        return board.observations.popleft() if board.observations else None

    def next_poll(self) -> float | None:
        """Return when something is due by itself."""
        if self._conversation.observations or self._link.pending:
            return self._clock()
        return self._conversation.deadline()

    def telemetry(self) -> Telemetry | None:
        """Return the newest temperature once."""
        return self._readings.take_telemetry()

    def meter(self) -> Powermeter | None:
        """Return the newest sample once."""
        return self._readings.take_sample()

    def diagnostics(self) -> Mapping[str, str]:
        """Return the counters of line and conversation."""
        line = dict(self._link.diagnostics())
        line[PROBLEM] = line[PROBLEM] or self._conversation.problem
        return {**line, **self._conversation.diagnostics()}
