"""
The clock of simulated time: ``/clock`` from now on, up to twenty times as fast as real time.

Leases and link supervision stay on real time, whatever this clock does; that bounds its rate.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rosgraph_msgs.msg import Clock

from evse_manager.interface.endpoints import CLOCK, Party
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import Time
from evse_manager.nodes.conversions import time_to_message
from evse_manager.nodes.runtime import LoopDeadline, run
from evse_manager.nodes.site_node import SiteNode
from evse_manager.nodes.topics import publisher

PERIOD_S = 0.01
"""How often the time is published, in real seconds."""


@dataclass(frozen=True, slots=True)
class SimulationClockConfig:
    """Parameters of the ``simulation_clock`` node."""

    rate: float = parameter(
        1.0, 'How much faster than real time.', minimum=1.0, maximum=20.0, read_only=False
    )


class SimulationClock(SiteNode[SimulationClockConfig]):
    """Publishes simulated time."""

    def __init__(self) -> None:
        """Begin at the time of the wall; raises ParameterError."""
        super().__init__(Party.CLOCK.value, SimulationClockConfig)
        self.alarm = LoopDeadline(self._publish)
        self._rate = self._config.rate
        self._parameters.on_change(self._change)
        self._base_ns = time.time_ns()
        self._since_ns = time.monotonic_ns()
        self._publisher = publisher(self.node, CLOCK)

    def begin(self) -> None:
        """Let time run."""
        self._publish()

    def now(self) -> Time:
        """Return the simulated time."""
        passed = time.monotonic_ns() - self._since_ns
        return Time(self._base_ns + round(passed * self._rate))

    def _change(self, config: SimulationClockConfig) -> None:
        """Go on from here at another rate."""
        self._base_ns, self._since_ns = self.now(), time.monotonic_ns()
        self._rate = config.rate

    def _publish(self) -> None:
        self._publisher.publish(Clock(clock=time_to_message(self.now())))
        self.alarm.arm(time.monotonic() + PERIOD_S)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(Party.CLOCK, SimulationClock, args)
