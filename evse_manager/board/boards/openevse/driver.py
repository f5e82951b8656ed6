"""The driver ``openevse``: OpenEVSE boards over RAPI, a serial line of 115200 baud."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evse_manager.board.boards.openevse.conversation import OpenEvse
from evse_manager.board.boards.openevse.meter import OpenEvseMeter
from evse_manager.board.boards.openevse.rapi import Frame, RapiParser
from evse_manager.board.boards.serial_driver import Conversation, NewestReadings, SerialDriver
from evse_manager.board.driver import BoardStyle, DriverContext, check_parameters
from evse_manager.board.transport.port import PortSettings
from evse_manager.board.transport.serial_link import SerialLink
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import BoardCapabilities, HardwareCapabilities

SILENCE_S = 7.0
"""A board that is too hot is silent for 5 s; the conversation itself notices sooner what it need not bear."""


@dataclass(frozen=True, slots=True)
class OpenEvseParameters:
    """Parameters of the driver."""

    port: str = parameter('', 'Serial port of the board, as /dev/ttyUSB0 or a stable name below /dev/serial.')
    baud_rate: int = parameter(
        115_200, 'Speed of the port.', unit='baud', choices=(9600, 19200, 38400, 57600, 115_200)
    )
    phases: int = parameter(
        1, 'Phases of the installation; the board does not know, and measures one.', choices=(1, 3)
    )
    voltage_v: float = parameter(
        230.0,
        'Voltage to compute power with where the board measures none.',
        unit='V',
        minimum=80.0,
        maximum=300.0,
    )
    fallback_current_a: int = parameter(
        6,
        'Current to which the board goes down by itself when this node is dead; it does not open.',
        unit='A',
        minimum=6,
        maximum=80,
    )

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_parameters(self)


class OpenEvseDriver(SerialDriver[Frame]):
    """The board sleeps until power is allowed; closing switches its heartbeat off while it sleeps."""

    style: ClassVar[BoardStyle] = BoardStyle.HIGH_LEVEL
    Parameters: ClassVar[type] = OpenEvseParameters
    differs: ClassVar[Mapping[int, str]] = {
        14: 'state D is a fault of the board until the EV is unplugged: `Error(VentilationNotAvailable)`, '
        'then `AllErrorsCleared SC CF TF SF`.',
        27: 'the board reports what it has ordered of its relay, not the contacts, and 1 s later '
        '*no ground*: `TS PC CS Error(RCD)`.',
        28: 'a weld is found at the second look, 1.5 s after the opening: `SC CF TF Error(Relais)`.',
    }

    def __init__(self, parameters: OpenEvseParameters, context: DriverContext) -> None:
        """Take parameters and context; the port is opened by ``open``."""
        self._parameters = parameters
        self._clock = context.clock
        self.port = parameters.port
        settings = PortSettings(parameters.port, parameters.baud_rate, silence_s=SILENCE_S)
        self._link = SerialLink(settings, RapiParser(), context.wake)
        self._meter = OpenEvseMeter(parameters.voltage_v, parameters.phases, context.wall)
        self._board = OpenEvse(
            self._link.write,
            fallback_current_a=parameters.fallback_current_a,
            phases=parameters.phases,
            meter=self._meter,
        )

    @property
    def _conversation(self) -> Conversation:
        return self._board

    @property
    def _readings(self) -> NewestReadings:
        return self._meter

    def _take(self, frame: Frame, now: float) -> None:
        self._board.frame(frame, now)

    def capabilities(self) -> BoardCapabilities:
        """Return what every OpenEVSE can do: no 5 %, no lock, no E; left alone it falls back but stays on."""
        return BoardCapabilities(
            driver='openevse',
            supports_cp_state_f=True,
            has_meter=True,
            supports_replug=True,
            runs_iec61851=True,
        )

    def hw_capabilities(self) -> HardwareCapabilities | None:
        """Return the configuration that the board has reported, if it has."""
        capacity = self._board.capacity
        if capacity is None:
            return None
        phases = self._parameters.phases
        return HardwareCapabilities(
            max_current_a_import=float(capacity.maximum_a),
            min_current_a_import=float(capacity.minimum_a),
            max_phase_count_import=phases,
            min_phase_count_import=phases,
        )
