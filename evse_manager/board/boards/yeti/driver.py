"""The driver ``yeti``: boards of the Yeti family over COBS and protobuf, a serial line of 115200 baud."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evse_manager.board.boards.serial_driver import Conversation, NewestReadings, SerialDriver
from evse_manager.board.boards.yeti.conversation import Yeti
from evse_manager.board.boards.yeti.messages import BoardMessage, YetiParser
from evse_manager.board.boards.yeti.meter import YetiMeter
from evse_manager.board.driver import BoardStyle, DriverContext, check_parameters
from evse_manager.board.transport.port import PortSettings
from evse_manager.board.transport.serial_link import SerialLink
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import BoardCapabilities, HardwareCapabilities


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


class YetiDriver(SerialDriver[BoardMessage]):
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
        self._clock = context.clock
        self.port = parameters.port
        settings = PortSettings(parameters.port, parameters.baud_rate)
        self._parser = YetiParser()
        self._link = SerialLink(settings, self._parser, context.wake)
        self._meter = YetiMeter(context.wall)
        self._board = Yeti(self._link.write, socket=parameters.socket, meter=self._meter)

    @property
    def _conversation(self) -> Conversation:
        return self._board

    @property
    def _readings(self) -> NewestReadings:
        return self._meter

    def _before_frames(self, now: float) -> None:
        damaged = self._parser.take_damaged()
        if damaged:
            self._board.damaged(damaged, now)

    def _take(self, frame: BoardMessage, now: float) -> None:
        self._board.message(frame, now)

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
        """Return the counters of line, parser and conversation."""
        parser = {
            'messages not known': str(self._parser.unknown),
            'messages malformed': str(self._parser.malformed),
        }
        return {**super().diagnostics(), **parser}
