"""The driver ``yeti``: boards of the Yeti family over COBS and protobuf, a serial line of 115200 baud."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evse_manager.board.boards.yeti.conversation import Yeti
from evse_manager.board.boards.yeti.messages import BoardMessage, Parser
from evse_manager.board.boards.yeti.meter import YetiMeter
from evse_manager.board.driver import PROBLEM, BoardStyle, Driver, DriverContext, check_parameters
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.transport.port import PortSettings
from evse_manager.board.transport.serial_link import PortLost, PortOpened, SerialLink
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import BoardCapabilities, HardwareCapabilities, Powermeter, Telemetry


@dataclass(frozen=True, slots=True)
class YetiParameters:
    """Parameters of the driver."""

    port: str = parameter('', 'Serial port of the board, as /dev/ttyUSB0 or a stable name below /dev/serial.')
    baud_rate: int = parameter(
        115_200, 'Speed of the port.', unit='baud', choices=(9600, 19200, 38400, 57600, 115_200, 230_400)
    )
    socket: bool = parameter(
        True,
        'Whether lock and cable coding are used where the board reports them; false for an attached cable.',
    )

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_parameters(self)


class YetiDriver(Driver):
    """Joins the serial line and the conversation."""

    style: ClassVar[BoardStyle] = BoardStyle.LOW_LEVEL
    differs: ClassVar[Mapping[int, str]] = {
        27: 'firmware 2.2 reports the order to its coil as the contactor: ChargingStarted, and no current',
        28: 'firmware 2.2 never reports a weld: Error(Relais) when current flows without an order, or when '
        'the contactor does not close again for the same car',
    }
    Parameters: ClassVar[type] = YetiParameters

    def __init__(self, parameters: YetiParameters, context: DriverContext) -> None:
        """Take parameters and context; the port is opened by ``open``."""
        self._parameters = parameters
        self._context = context
        self.port = parameters.port
        settings = PortSettings(parameters.port, parameters.baud_rate)
        self._parser = Parser()
        self._link: SerialLink[BoardMessage] = SerialLink(settings, self._parser, context.wake)
        self._meter = YetiMeter(context.wall)
        self._board = Yeti(self._link.write, socket=parameters.socket, meter=self._meter)

    def open(self) -> None:
        """Open the port; power is withdrawn by the first ``poll``."""
        self._link.open()

    def close(self) -> None:
        """Withdraw power once more and close the port."""
        self._link.close(self._board.farewell())

    def apply(self, outputs: Outputs) -> None:
        """Order what differs from what was ordered before."""
        self._board.apply(outputs, self._context.clock())

    def poll(self) -> Observation | None:
        """Read what came, do what is due, and return the next step of what is observed."""
        board = self._board
        if not board.observations:
            now = self._context.clock()
            received = self._link.receive()
            damaged = self._parser.take_damaged()
            if damaged:
                board.damaged(damaged, now)
            for item in received:
                match item:
                    case PortOpened():
                        board.opened(now)
                    case PortLost(text, silent):
                        board.lost(text, now, port_open=silent)
                    case _:
                        board.message(item, now)
            board.tick(now)
        return board.observations.popleft() if board.observations else None

    def next_poll(self) -> float | None:
        """Return when something is due by itself."""
        if self._board.observations or self._link.pending:
            return self._context.clock()
        return self._board.deadline()

    def telemetry(self) -> Telemetry | None:
        """Return the newest temperature once."""
        return self._meter.take_telemetry()

    def meter(self) -> Powermeter | None:
        """Return the newest sample once."""
        return self._meter.take_sample()

    def capabilities(self) -> BoardCapabilities:
        """Return what Yeti boards can do: no E, no reset of the residual current device."""
        hardware = self._board.hardware
        switches = hardware is not None and hardware.supports_changing_phases_during_charging
        return BoardCapabilities(
            driver='yeti',
            supports_cp_state_f=True,
            supports_hlc_duty=True,
            supports_free_duty=True,
            has_lock=self._board.has_lock,
            has_proximity=self._board.has_proximity,
            has_meter=True,
            supports_phase_switch=switches,
            supports_replug=True,
        )

    def hw_capabilities(self) -> HardwareCapabilities | None:
        """Return the capabilities that the board has reported, if it has."""
        return self._board.hardware

    def diagnostics(self) -> Mapping[str, str]:
        """Return the counters of line and conversation."""
        line = dict(self._link.diagnostics())
        line[PROBLEM] = line[PROBLEM] or self._board.problem
        return {
            **line,
            'messages not known': str(self._parser.unknown),
            'messages malformed': str(self._parser.malformed),
            **self._board.diagnostics(),
        }
