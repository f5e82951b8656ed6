"""The driver ``simulated``: the physical model of ``simulation/`` on the node's clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from evse_manager.board.driver import PROBLEM, BoardStyle, Driver, DriverContext, DriverError
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import BoardCapabilities, HardwareCapabilities, Powermeter, Telemetry, Time
from evse_manager.simulation.faults import SimulationError
from evse_manager.simulation.script import ScriptError, parse, play, world_only
from evse_manager.simulation.world import World, WorldSettings


@dataclass(frozen=True, slots=True)
class SimulatedParameters(WorldSettings):
    """Parameters of the ``simulated`` driver: the world's, and what happens in it."""

    script: str = parameter('', 'File with timed steps to play from the start on (docs/simulation.md).')


class SimulatedDriver(Driver):
    """A low-level board that exists only in here; ``world`` is there to play with."""

    style: ClassVar[BoardStyle] = BoardStyle.LOW_LEVEL
    supports_simulated_time: ClassVar[bool] = True
    Parameters: ClassVar[type] = SimulatedParameters

    def __init__(self, parameters: SimulatedParameters, context: DriverContext) -> None:
        """Build the world; it begins when the driver is opened."""
        self._settings = parameters
        self._context = context
        self._refused = ''
        self.world = World(parameters)
        self._capabilities = _capabilities(parameters)
        self._hw_capabilities = _hw_capabilities(parameters)

    def open(self) -> None:
        """Begin the world, and its script, at the clock's time."""
        start = self._context.clock()

        def wall(seconds: float) -> Time:
            return Time(self._context.wall() - round((self._context.clock() - seconds) * 1e9))

        self.world = World(self._settings, start, wall)
        self._play_script(start)

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

    def diagnostics(self) -> Mapping[str, str]:
        """Return which step of the script could not be done last."""
        return {PROBLEM: self._refused}

    def _play_script(self, start: float) -> None:
        path = self._settings.script
        if not path:
            return
        try:
            steps = parse(Path(path).read_text(encoding='utf-8'))
            world_only(steps)
        except (OSError, UnicodeDecodeError, ScriptError) as error:
            raise DriverError(f'script {path} cannot be played: {error}') from error
        play(steps, self.world, lambda at, act: self.world.plan(start + at, self._tolerant(act)))

    def _tolerant(self, act: Callable[[], None]) -> Callable[[], None]:
        """Let a step that is impossible when its time comes be no more than a remark."""

        def tried() -> None:
            try:
                act()
            except SimulationError as error:
                self._refused = f'a step of the script was not possible: {error}'

        return tried

    def capabilities(self) -> BoardCapabilities:
        """Return the capabilities of the simulated board."""
        return self._capabilities

    def hw_capabilities(self) -> HardwareCapabilities:
        """Return the capabilities of the simulated power path."""
        return self._hw_capabilities


def _capabilities(settings: WorldSettings) -> BoardCapabilities:
    return BoardCapabilities(
        driver='simulated',
        simulated=True,
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
