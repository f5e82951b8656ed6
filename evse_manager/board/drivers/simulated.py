"""The driver ``simulated``: the physical model of ``simulation/`` on the node's clock."""

from typing import ClassVar

from ...charging.types import BoardCapabilities, HardwareCapabilities, Powermeter, Telemetry, Time
from ...simulation.world import World, WorldSettings
from ..driver import BoardStyle, Driver, DriverContext
from ..values import Observation, Outputs


class SimulatedDriver(Driver):
    """A low-level board that exists only in here; ``world`` is there to play with."""

    style: ClassVar[BoardStyle] = BoardStyle.LOW_LEVEL
    supports_simulated_time: ClassVar[bool] = True
    Parameters: ClassVar[type] = WorldSettings

    def __init__(self, parameters: WorldSettings, context: DriverContext) -> None:
        """Build the world; it begins when the driver is opened."""
        self._settings = parameters
        self._context = context
        self.world = World(parameters)
        self._capabilities = _capabilities(parameters)
        self._hw_capabilities = _hw_capabilities(parameters)

    def open(self) -> None:
        """Begin the world at the clock's time."""
        start = self._context.clock()
        stamp = self._context.wall()

        def wall(seconds: float) -> Time:
            return Time(stamp + round((seconds - start) * 1e9))

        self.world = World(self._settings, start, wall)

    def close(self) -> None:
        """Do nothing: there is no port."""

    def apply(self, outputs: Outputs) -> None:
        """Hand the outputs to the world."""
        self.world.set_outputs(outputs)

    def poll(self) -> Observation | None:
        """Let the world go on up to the clock's time, or to the first change before."""
        self.world.advance(self._context.clock())
        return self.world.observe()

    def next_poll(self) -> float | None:
        """Return when something happens in the world by itself."""
        return self.world.next_event()

    def telemetry(self) -> Telemetry | None:
        """Return the newest reading once."""
        return self.world.take_telemetry()

    def meter(self) -> Powermeter | None:
        """Return the newest sample once."""
        return self.world.take_sample()

    def capabilities(self) -> BoardCapabilities:
        """Return what the simulated board can do."""
        return self._capabilities

    def hw_capabilities(self) -> HardwareCapabilities:
        """Return what the simulated board carries."""
        return self._hw_capabilities


def _capabilities(settings: WorldSettings) -> BoardCapabilities:
    return BoardCapabilities(
        driver='simulated',
        supports_cp_state_e=True,
        supports_cp_state_f=True,
        supports_hlc_duty=True,
        supports_free_duty=True,
        has_lock=True,
        has_proximity=True,
        has_meter=True,
        supports_rcd_reset=True,
        supports_phase_switch=settings.phases == 3,
        supports_replug=True,
        has_watchdog=True,
    )


def _hw_capabilities(settings: WorldSettings) -> HardwareCapabilities:
    return HardwareCapabilities(
        max_current_a_import=settings.max_current_a,
        min_current_a_import=settings.min_current_a,
        max_phase_count_import=settings.phases,
        min_phase_count_import=1,
        supports_changing_phases_during_charging=settings.phases == 3,
    )
