"""The three clocks of a connector, read at one moment."""

from dataclasses import dataclass

from evse_manager.interface.types import Time


@dataclass(frozen=True, slots=True)
class ClockReadings:
    """
    One moment on the three clocks of a node.

    ``steady`` is the monotonic clock in seconds; it never jumps, and leases and link supervision use it.
    ``clock`` is the node's clock in seconds (simulated time where there is such, else the steady clock);
    deadlines of charging and the hardware use it.  ``wall`` is UTC in nanoseconds; it only stamps.
    """

    steady: float
    clock: float
    wall: Time
