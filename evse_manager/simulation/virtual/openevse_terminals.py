"""Wiring of the controller of a virtual OpenEVSE: pilot, relay, and the inputs that it reads."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto

from evse_manager.simulation.pilot import Levels


class PilotDrive(Enum):
    """Signals of the controller on the pilot."""

    UNDRIVEN = auto()
    """After a reset, before the pin is set up."""
    PLUS_12 = auto()
    PWM = auto()
    MINUS_12 = auto()


class Terminals(ABC):
    """
    The electronics around the chip.

    The firmware drives ``set_pilot``, ``set_relay`` and ``set_test_coil`` and reads the rest.  The input of
    the residual current device interrupts the chip when it rises: ``on_trip`` is called.
    """

    def __init__(self) -> None:
        """Begin with everything off."""
        self.pilot = PilotDrive.UNDRIVEN
        self.pilot_a = 0
        """Current in A that the duty cycle means, while the drive is PWM."""
        self.relay = False
        """Drive of the relay."""
        self.test_coil = False
        self.on_trip: Callable[[], None] = lambda: None

    def set_pilot(self, drive: PilotDrive, amperes: int = 0) -> None:
        """Drive the pilot."""
        if (drive, amperes) != (self.pilot, self.pilot_a):
            self.pilot, self.pilot_a = drive, amperes
            self.driven()

    def set_relay(self, closed: bool) -> None:
        """Drive the relay."""
        if closed is not self.relay:
            self.relay = closed
            self.driven()

    def set_test_coil(self, on: bool) -> None:
        """Drive the test coil of the residual current device."""
        self.test_coil = on
        self.driven()

    def reset(self) -> None:
        """Lose every drive, as in a reset of the chip."""
        self.test_coil = False
        self.set_relay(False)
        self.set_pilot(PilotDrive.UNDRIVEN)

    @abstractmethod
    def driven(self) -> None:
        """Act on a drive that has changed."""

    @abstractmethod
    def levels(self) -> Levels:
        """Return the voltages on the pilot."""

    @abstractmethod
    def mains(self) -> bool:
        """Return whether voltage is seen behind the relay."""

    @abstractmethod
    def residual(self) -> bool:
        """Return whether the input of the residual current device is high."""

    @abstractmethod
    def current_a(self) -> float:
        """Return the current in A through the transformer."""

    @abstractmethod
    def temperature_c(self) -> float:
        """Return what the sensor in the enclosure reads, in °C."""
