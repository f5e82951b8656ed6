"""
The protocol of a board driver: one class behind one small interface, found by its name.

``docs/writing_a_driver.md`` leads through a complete example.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from importlib import import_module
from typing import Any, ClassVar

from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.parameters import check
from evse_manager.interface.types import BoardCapabilities, HardwareCapabilities, Powermeter, Telemetry, Time


class DriverError(Exception):
    """A driver cannot work; the text is one sentence with the cause and what to do."""


class UnknownDriverError(DriverError):
    """There is no driver of that name."""


class ClockError(DriverError):
    """The driver works with real hardware and therefore not under simulated time."""


class PortError(DriverError):
    """The port cannot be used."""


class PortMissingError(PortError):
    """The port does not exist: wrong name, or the adapter is unplugged."""


class PortDeniedError(PortError):
    """The user may not open the port."""


class PortBusyError(PortError):
    """Another process holds the port."""


PROBLEM = 'problem'
"""Key of ``Driver.diagnostics``: what is wrong with the line, one sentence for people; empty = nothing."""

PORT = 'port'
"""Key of ``Driver.diagnostics``: which port it is."""


class BoardStyle(Enum):
    """Who runs the state machine of IEC 61851-1."""

    LOW_LEVEL = auto()
    """The board reports the raw pilot and obeys; this package decides about the contactor."""
    HIGH_LEVEL = auto()
    """The board's firmware decides; this package permits and forbids."""


@dataclass(frozen=True, slots=True)
class DriverContext:
    """Services of the node that a driver may use."""

    clock: Callable[[], float]
    """The node's clock in seconds; simulated time where the node has it."""

    wall: Callable[[], Time]
    """UTC in nanoseconds, for time stamps."""

    wake: Callable[[], None]
    """Ask for a ``poll`` soon; may be called from any thread."""


class Driver(ABC):
    """
    A board.

    All methods but ``wake`` of the context run in one thread and never block: a driver that waits for a port
    does so in a thread of its own and calls ``wake``.  Only ``open`` raises, and only ``DriverError``.
    """

    style: ClassVar[BoardStyle]
    """Who runs IEC 61851-1."""

    supports_simulated_time: ClassVar[bool] = False
    """Real hardware does not run faster because ``/clock`` does."""

    differs: ClassVar[Mapping[int, str]] = {}
    """
    Golden sequences (docs/charging.md) that the board cannot bring about as they are written, by number: what
    comes instead.  docs/hardware.md lists them.
    """

    Parameters: ClassVar[type]
    """Frozen dataclass of ``charging.config.parameter`` fields: the node declares and documents them."""

    @abstractmethod
    def __init__(self, parameters: Any, context: DriverContext) -> None:
        """Take the parameters (an instance of ``Parameters``); touch no hardware yet."""

    @abstractmethod
    def open(self) -> None:
        """
        Open the port exclusively, withdraw power before anything else, and begin to read.

        Raises DriverError when it cannot work at all.  A link that is lost later is reported by ``poll``
        instead, and the driver tries to reopen it without end.
        """

    @abstractmethod
    def close(self) -> None:
        """End threads and close the port; called once, after power was withdrawn."""

    @abstractmethod
    def apply(self, outputs: Outputs) -> None:
        """
        Make the board have these outputs.

        Called with the complete outputs whenever they change, and again after the link came up and after each
        reset of the board.  Sending may take its time; the order within: what takes power away first.
        """

    @abstractmethod
    def poll(self) -> Observation | None:
        """
        Return the oldest observation not yet returned, ``None`` when there is none.

        Called until ``None`` comes; no step may be left out, because each is evaluated on its own.
        """

    @abstractmethod
    def capabilities(self) -> BoardCapabilities | None:
        """Return what the board can do, ``None`` while that is unknown."""

    @abstractmethod
    def hw_capabilities(self) -> HardwareCapabilities | None:
        """Return what the power path can carry, ``None`` while that is unknown."""

    def next_poll(self) -> float | None:
        """Return when ``poll`` will have something new by itself, in seconds of the node's clock."""
        return None

    def telemetry(self) -> Telemetry | None:
        """Return a reading that was not yet returned, ``None`` when there is none."""
        return None

    def meter(self) -> Powermeter | None:
        """Return a sample that was not yet returned, ``None`` when there is none."""
        return None

    def diagnostics(self) -> Mapping[str, str]:
        """
        Return what helps to find a fault of the link (counters, port), for ``/diagnostics``.

        The text under ``PROBLEM`` is logged, too.
        """
        return {}


DRIVERS: dict[str, str] = {
    'openevse': 'evse_manager.board.boards.openevse.driver:OpenEvseDriver',
    'phoenix': 'evse_manager.board.boards.phoenix.driver:PhoenixDriver',
    'simulated': 'evse_manager.simulation.driver:SimulatedDriver',
    'yeti': 'evse_manager.board.boards.yeti.driver:YetiDriver',
}
"""Every driver by name, as ``module:class``; the module is imported only when the driver is chosen."""


def driver_class(name: str) -> type[Driver]:
    """Import and return the driver of a name; raises UnknownDriverError with the list of known names."""
    if name not in DRIVERS:
        raise UnknownDriverError(f'There is no driver {name!r}; choose one of: {", ".join(sorted(DRIVERS))}.')
    module, _, attribute = DRIVERS[name].partition(':')
    found: type[Driver] = getattr(import_module(module), attribute)
    return found


def check_parameters(parameters: Any) -> None:
    """
    Check every field of a ``Parameters`` object against its range; call it in ``__post_init__``.

    Raises ConfigError with the parameter's name, the value and what is allowed.
    """
    for spec in dataclasses.fields(parameters):
        check(spec, getattr(parameters, spec.name))
