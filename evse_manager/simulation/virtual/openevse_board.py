"""A virtual OpenEVSE: the program of its controller, wired to the simulated world."""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.pilot import duty_cycle
from evse_manager.simulation.pilot import Levels
from evse_manager.simulation.virtual.board import Value, VirtualBoard
from evse_manager.simulation.virtual.openevse_firmware import Firmware
from evse_manager.simulation.virtual.openevse_settings import HARDWARE_MAXIMUM_A, SAFETY_TESTS_OFF
from evse_manager.simulation.virtual.openevse_states import NAMES
from evse_manager.simulation.virtual.openevse_terminals import PilotDrive, Terminals
from evse_manager.simulation.world import World, WorldSettings

MODES = {
    PilotDrive.UNDRIVEN: PilotMode.X1,
    PilotDrive.PLUS_12: PilotMode.X1,
    PilotDrive.PWM: PilotMode.PWM,
    PilotDrive.MINUS_12: PilotMode.F,
}


HEARTBEATS = ('fed', 'acknowledged', 'missed')

LATE_S = 0.6
"""How late the input of the residual current device falls after a test with ``self_test_late``."""


class WorldTerminals(Terminals):
    """The terminals, connected to a simulated world."""

    def __init__(self, world: World, clock: Callable[[], float]) -> None:
        """Connect to a world."""
        super().__init__()
        self.earth = True
        self.late = False
        self._world = world
        self._clock = clock
        self._high = False
        self._high_until = -math.inf

    def driven(self) -> None:
        """Give pilot and relay to the world."""
        pwm = self.pilot is PilotDrive.PWM
        current_a = float(self.pilot_a) if pwm else 0.0
        self._world.set_outputs(
            Outputs(
                pilot_mode=MODES[self.pilot],
                duty_cycle_percent=duty_cycle(current_a) if pwm else 100.0,
                current_a=current_a,
                power=self.relay,
                over_current_limit_a=float(self.pilot_a) if pwm else self._world.outputs.over_current_limit_a,
            )
        )
        self.look()

    def look(self) -> None:
        """Interrupt the chip when the input of the residual current device has risen."""
        high = self.residual()
        rises, self._high = high and not self._high, high
        if rises:
            self.on_trip()

    def levels(self) -> Levels:
        """Return the voltages on the pilot."""
        return self._world.levels

    def mains(self) -> bool:
        """Return whether voltage is seen behind the relay; without earth there is none."""
        return self._world.contactor.closed and self.earth

    def residual(self) -> bool:
        """Return whether a residual current flows, or the test coil works."""
        coil = self.test_coil and not self._world.has('rcd_self_test')
        if coil and self.late:
            self._high_until = self._clock() + LATE_S
        return coil or self._clock() < self._high_until or self._world.has('rcd_ac')

    def current_a(self) -> float:
        """Return the current of the first phase."""
        return 0.0 if self._world.has('meter_silent') else self._world.currents_a[0]

    def temperature_c(self) -> float:
        """Return the temperature in the enclosure."""
        return self._world.enclosure.temperature_c


class VirtualOpenEvse(VirtualBoard):
    """See the module's description."""

    name: ClassVar[str] = 'openevse'
    baud_rate: ClassVar[int] = 115_200
    protected: ClassVar[bool] = False
    faults: ClassVar[Mapping[str, str]] = {
        'ground': 'The earth wire is lost: state 07 while charging, until unplugged.',
        'self_test_late': 'The residual current device clears 0.6 s late after its self-test, until cleared.',
        'safety_tests_off': 'Safety tests are switched off in the settings, until cleared.',
        'never_sleeps': 'The firmware does not obey $FS, until cleared.',
        'misreads_current': 'Each $SC is misread and puts the maximum in force, answered $NK, until cleared.',
    }
    missing: ClassVar[frozenset[str]] = frozenset(
        {'rcd_dc', 'lock_jam', 'lock_opens', 'proximity', 'emergency_stop', 'meter_jump'}
    )
    values: ClassVar[Mapping[str, Value]] = {
        'state': Value('state of $GS and $AT, two hexadecimal digits'),
        'pilot': Value('pilot state of $GS and $AT, two hexadecimal digits'),
        'flags': Value('flags of $GS and $AT, four hexadecimal digits'),
        'capacity': Value('current in force of $GC and $AT, in A'),
        'maximum': Value('configured maximum of $GC, in A'),
        'milliamperes': Value('current of $GG'),
        'temperature': Value('second temperature of $GP, in 0.1 °C; -2560 = absent'),
        'settings': Value('flags of $GE, four hexadecimal digits'),
    }

    def __init__(self, settings: WorldSettings | None = None) -> None:
        """Build the board with an erased EEPROM."""
        super().__init__(settings or WorldSettings(phases=1))
        self.terminals = WorldTerminals(self.world, lambda: self.now)
        self.firmware = Firmware(self.terminals, lambda: self.now, self.after, self._to_host)
        maximum_a = int(self.world.settings.max_current_a)
        if maximum_a != HARDWARE_MAXIMUM_A:
            self.firmware.memory.hardware_a = self.firmware.memory.level_2_a = maximum_a
        self.firmware.value = self.reported_value
        self.firmware.flaws = self.own_faults

    # --- the board --------------------------------------------------------------------------------

    def power_up(self) -> None:
        """Reset the controller; the EEPROM stays."""
        self.forget_timers()
        self.firmware.power_up()

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        self.firmware.receive(data)

    def _to_host(self, data: bytes) -> None:
        self.send(data)

    def react(self) -> None:
        """Let the world interrupt the program."""
        self.terminals.look()

    def fault(self, name: str, active: bool) -> None:
        """Begin or end a fault of the board's own."""
        if name == 'ground':
            self.terminals.earth = not active
        elif name == 'self_test_late':
            self.terminals.late = active
        elif name == 'safety_tests_off':
            self.firmware.currents.switch(SAFETY_TESTS_OFF, not active)

    def chatter(self) -> bytes:
        """Return the frame that reports the state."""
        return self.firmware.rapi.state_frame().encode('latin-1')

    # --- what tests look at -----------------------------------------------------------------------

    @property
    def amperes(self) -> int:
        """Return the current in force in A."""
        return self.firmware.currents.in_force_a

    @property
    def eeprom_writes(self) -> int:
        """Return how often a current was stored for good, which wears the memory."""
        return self.firmware.memory.current_writes

    def describe(self) -> dict[str, str]:
        """Return state, current, pilot, relay and heartbeat."""
        ev, firmware = self.world.ev, self.firmware
        heartbeat = firmware.heartbeat
        return {
            'state': NAMES.get(firmware.state, f'{firmware.state:02x}') if firmware.running else 'booting',
            'pilot': self.seen.cp_state.name,
            'relay': 'closed' if self.world.contactor.closed else 'open',
            'limit': f'{self.amperes} A',
            'EV': 'none' if ev is None else f'draws {max(self.world.currents_a):.0f} A',
            'heartbeat': ('fed', 'acknowledged', 'missed')[heartbeat.missed]
            if heartbeat.interval_s
            else 'off',
        }
