"""A board controller on a table: commands, observations and time by hand, one line each."""

from dataclasses import replace

from evse_manager.board.controller import BoardController
from evse_manager.board.driver import BoardStyle
from evse_manager.board.driver_io import Observation
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import ContactorState, ControlPilotState, LinkState, LockState, PilotMode
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardCommand,
    BoardState,
    Duration,
    HardwareCapabilities,
    Time,
)

CAPABILITIES = BoardCapabilities(
    driver='table',
    supports_cp_state_e=True,
    supports_cp_state_f=True,
    supports_hlc_duty=True,
    supports_free_duty=True,
    has_lock=True,
    supports_rcd_reset=True,
    supports_phase_switch=True,
)
HARDWARE = HardwareCapabilities(
    max_current_a_import=32.0, min_current_a_import=6.0, max_phase_count_import=3, min_phase_count_import=1
)
OFFER = BoardCommand(
    manager_id='m1',
    lease=Duration(1.0),
    pilot_mode=PilotMode.PWM,
    duty_cycle_percent=16.0 / 0.6,
    current_a=16.0,
    allow_power_on=True,
    lock=True,
    phases=3,
)
WITHDRAWN = replace(
    OFFER, pilot_mode=PilotMode.X1, duty_cycle_percent=100.0, current_a=0.0, allow_power_on=False
)
READY = Observation(
    link=LinkState.UP,
    cp_state=ControlPilotState.B,
    pilot_mode=PilotMode.X1,
    contactor=ContactorState.OPEN,
    lock=LockState.LOCKED,
    phases=3,
)


class ControllerHarness:
    """Holds the controller and the time; a board that follows the outputs until a test changes it."""

    def __init__(self, style: BoardStyle = BoardStyle.LOW_LEVEL) -> None:
        self.controller = BoardController(style, CAPABILITIES, HARDWARE)
        self.time = 100.0
        self.sequence = 0
        self.board = READY
        self.see()

    @property
    def now(self) -> ClockReadings:
        return ClockReadings(self.time, self.time, Time(int(self.time * 1e9)))

    @property
    def state(self) -> BoardState:
        return self.controller.state(self.now)

    @property
    def power(self) -> bool:
        return self.controller.outputs.power

    def command(self, command: BoardCommand = OFFER, **changes: object) -> None:
        """Send a command with the next sequence number, unless ``sequence_number`` is given."""
        self.sequence += 1
        command = replace(command, sequence_number=self.sequence, acknowledged_fault_counter=self.faults)
        self.take(replace(command, **changes))

    def take(self, command: BoardCommand) -> None:
        """Hand a command to the controller as the loop does."""
        if not self.controller.renew(command, self.now):
            self.controller.command(command, self.now)

    @property
    def faults(self) -> int:
        return self.state.fault_counter

    def see(self, **changes: object) -> None:
        """Let the board change, and be observed."""
        self.board = replace(self.board, **changes)
        self.controller.observe(self.board, self.now)

    def follow(self) -> None:
        """Let the board's pilot and contactor do what the outputs say."""
        outputs = self.controller.outputs
        self.see(
            pilot_mode=outputs.pilot_mode,
            duty_cycle_percent=outputs.duty_cycle_percent,
            current_a=outputs.current_a,
            contactor=ContactorState.CLOSED if outputs.power else ContactorState.OPEN,
        )

    def wait(self, seconds: float) -> None:
        self.time += seconds
        self.controller.tick(self.now)

    def offer(self) -> None:
        """Two fresh commands, the pilot in force, the contactor rested."""
        self.command()
        self.command()
        self.follow()
        self.wait(0.9)
        self.command()
        self.wait(0.2)

    def charge(self) -> None:
        """Bring it to a closed contactor in C."""
        self.offer()
        self.see(cp_state=ControlPilotState.C)
        assert self.power
        self.follow()
        self.command()
