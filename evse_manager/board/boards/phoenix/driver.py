"""The driver ``phoenix``: Phoenix Contact EV Charge Control Basic over Modbus RTU."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evse_manager.board.boards.phoenix.conversation import Phoenix
from evse_manager.board.boards.phoenix.registers import SMALLEST_A
from evse_manager.board.driver import PROBLEM, BoardStyle, Driver, DriverContext, check_parameters
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.transport.modbus_master import ModbusBus
from evse_manager.board.transport.port import PortSettings
from evse_manager.interface.enums import LinkState
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import BoardCapabilities, HardwareCapabilities

FRAME_GAP_S = 0.02
"""Pause between the last two frames, whose replies are no longer read."""


@dataclass(frozen=True, slots=True)
class PhoenixParameters:
    """Parameters of the driver."""

    port: str = parameter('', 'Serial port of the board, as /dev/ttyUSB0 or a stable name below /dev/serial.')
    baud_rate: int = parameter(
        19_200, 'Speed of the port (S2/DIP 1 of the board).', unit='baud', choices=(9600, 19_200)
    )
    parity: str = parameter('N', 'Parity of the port: none, even or odd.', choices=('N', 'E', 'O'))
    stop_bits: int = parameter(1, 'Stop bits of the port.', choices=(1, 2))
    unit: int = parameter(1, 'Modbus address of the board (S2/DIP 2 to 6).', minimum=1, maximum=247)
    phases: int = parameter(3, 'Phases of the installation; the board does not know.', choices=(1, 3))
    board_current_a: int = parameter(
        32,
        'Most current per phase that contactor and wiring carry; switches S1/DIP 5 and 6 may set less.',
        unit='A',
        minimum=6,
        maximum=63,
    )
    rest_current_a: int = parameter(
        6,
        'Current that the board keeps while nothing is allowed, so that it is safe when this node is '
        'dead and the board is enabled by other means.',
        unit='A',
        minimum=6,
        maximum=63,
    )
    contactor_feedback: str = parameter(
        'mirror',
        'Source of the contactor state: its mirror contact (normally closed) at input CCR, or '
        'only the state that the board intends. Without a mirror contact a welded contactor is not seen.',
        choices=('mirror', 'state'),
    )

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_parameters(self)


class PhoenixDriver(Driver):
    """Joins the line and the conversation."""

    style: ClassVar[BoardStyle] = BoardStyle.HIGH_LEVEL
    Parameters: ClassVar[type] = PhoenixParameters

    def __init__(self, parameters: PhoenixParameters, context: DriverContext) -> None:
        """Take parameters and context; the port is opened by ``open``."""
        self._parameters = parameters
        self._context = context
        self.port = parameters.port
        settings = PortSettings(
            parameters.port, parameters.baud_rate, parity=parameters.parity, stop_bits=parameters.stop_bits
        )
        self.bus = ModbusBus(settings, context.wake)
        """The line; a meter may share it."""
        self._board = Phoenix(
            parameters.unit,
            phases=parameters.phases,
            maximum_a=parameters.board_current_a,
            rest_current_a=parameters.rest_current_a,
            mirror_contact=parameters.contactor_feedback == 'mirror',
        )
        self.bus.add(self._board)

    def open(self) -> None:
        """Open the port; the first request withdraws power."""
        self.bus.open()

    def close(self) -> None:
        """Leave the board not enabled and with the current of rest, and close the port."""
        last = self._board.farewell()
        for request in last[:-1]:
            self.bus.link.write(request.encode())
            time.sleep(FRAME_GAP_S)
        self.bus.close(last[-1].encode() if last else b'')

    def apply(self, outputs: Outputs) -> None:
        """Take what is wanted; the next requests bring the board there."""
        now = self._context.clock()
        self._board.apply(outputs, now)
        self.bus.poll(now)

    def poll(self) -> Observation | None:
        """Read what came, ask what is due, and return the next step of what is observed."""
        board = self._board
        if not board.observations:
            now = self._context.clock()
            self.bus.poll(now)
            board.tick(now)
        return board.observations.popleft() if board.observations else None

    def next_poll(self) -> float | None:
        """Return when something is due by itself."""
        now = self._context.clock()
        return now if self._board.observations else self.bus.next_poll(now)

    def capabilities(self) -> BoardCapabilities:
        """Return what the board can do; its switches may take state F and the lock away."""
        board = self._board
        return BoardCapabilities(
            driver='phoenix',
            runs_iec61851=True,
            supports_cp_state_f=board.can_be_unavailable,
            has_lock=board.has_lock,
            has_proximity=board.has_proximity,
            supports_replug=board.can_be_unavailable,
        )

    def hw_capabilities(self) -> HardwareCapabilities | None:
        """Return what switches and parameters allow, once the switches were read."""
        if not self._board.known:
            return None
        phases = self._parameters.phases
        return HardwareCapabilities(
            max_current_a_import=float(self._board.maximum_a),
            min_current_a_import=float(SMALLEST_A),
            max_phase_count_import=phases,
            min_phase_count_import=phases,
        )

    def diagnostics(self) -> Mapping[str, str]:
        """Return the counters of line and conversation."""
        line = dict(self.bus.diagnostics())
        up = self._board.link is LinkState.UP
        if not up and self.bus.echoing:
            line[PROBLEM] = 'own requests come back; check that the adapter does not echo, and the wiring.'
        else:
            line[PROBLEM] = line[PROBLEM] or self._board.problem
        return {**line, **self._board.diagnostics()}
