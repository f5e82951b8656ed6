"""A board with a billing meter beside it, on the line of the board or on a port of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from evse_manager.board.driver import BoardStyle, Driver, DriverContext, PortError, check_parameters
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.meters.sdm630 import Sdm630
from evse_manager.board.transport.modbus_master import ModbusBus
from evse_manager.board.transport.port import PortSettings
from evse_manager.interface.enums import BoardErrorEnum
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardError,
    HardwareCapabilities,
    Powermeter,
    Telemetry,
)

NO_METER = 'none'


@dataclass(frozen=True, slots=True)
class MeterParameters:
    """Parameters of a meter beside the board."""

    meter: str = parameter(
        NO_METER,
        'Billing meter beside the board; its samples take the place of those of the board.',
        choices=(NO_METER, 'sdm630'),
    )
    meter_port: str = parameter(
        '', 'Serial port of the meter; empty: it shares the line of the board, which has to be Modbus.'
    )
    meter_baud_rate: int = parameter(
        9600,
        'Speed of the meter on a port of its own.',
        unit='baud',
        choices=(2400, 4800, 9600, 19_200, 38_400),
    )
    meter_parity: str = parameter(
        'N', 'Parity of the meter on a port of its own: none, even or odd.', choices=('N', 'E', 'O')
    )
    meter_stop_bits: int = parameter(1, 'Stop bits of the meter on a port of its own.', choices=(1, 2))
    meter_unit: int = parameter(
        2, 'Modbus address of the meter, another one than that of the board.', minimum=1, maximum=247
    )

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_parameters(self)


class MeteredDriver(Driver):
    """Any driver, and a meter whose samples take the place of the driver's; its faults become the board's."""

    style: ClassVar[BoardStyle] = BoardStyle.LOW_LEVEL
    Parameters: ClassVar[type] = MeterParameters

    def __init__(self, driver: Driver, parameters: MeterParameters, context: DriverContext) -> None:
        """
        Put a meter beside a driver that is not open yet.

        Raises PortError when they cannot share a line.
        """
        vars(self)['style'] = driver.style
        self.driver = driver
        self.world = getattr(driver, 'world', None)
        """The simulated world of a simulated board."""
        self._context = context
        self._meter = Sdm630(parameters.meter_unit, context.wall)
        self._own_bus: ModbusBus | None = None
        shared = getattr(driver, 'bus', None)
        port = getattr(driver, 'port', '')
        if parameters.meter_port and parameters.meter_port == port:
            raise PortError(
                f'Parameters port and meter_port are both {port}; leave meter_port empty where the meter '
                'shares the line of the board, else set the port of the meter.'
            )
        if parameters.meter_port:
            settings = PortSettings(
                parameters.meter_port,
                parameters.meter_baud_rate,
                parity=parameters.meter_parity,
                stop_bits=parameters.meter_stop_bits,
            )
            self._own_bus = ModbusBus(settings, context.wake)
            self._own_bus.add(self._meter)
        elif isinstance(shared, ModbusBus):
            if self._meter.unit in (client.unit for client in shared.master.clients):
                raise PortError(
                    f'Parameters unit and meter_unit are both {self._meter.unit}; two devices of one '
                    'line need two addresses.'
                )
            shared.add(self._meter)
        else:
            raise PortError(
                'Parameter meter_port is empty, but the line of this board is no Modbus; set the port of the '
                'meter.'
            )
        self._last: Observation | None = None
        self._errors: tuple[BoardError, ...] = ()

    def open(self) -> None:
        """Open the board, then the port of the meter."""
        self.driver.open()
        if self._own_bus is None:
            return
        try:
            self._own_bus.open()
        except PortError:
            self.driver.close()
            raise

    def close(self) -> None:
        """Close both."""
        self.driver.close()
        if self._own_bus is not None:
            self._own_bus.close()

    def apply(self, outputs: Outputs) -> None:
        """Hand the outputs to the board."""
        self.driver.apply(outputs)

    def poll(self) -> Observation | None:
        """Return what the board observes, with the errors of the meter."""
        now = self._context.clock()
        if self._own_bus is not None:
            self._own_bus.poll(now)
        observed = self.driver.poll()
        errors = self._meter_errors()
        if observed is None:
            if self._last is None or errors == self._errors:
                return None
            observed = self._last
        self._last, self._errors = observed, errors
        return replace(observed, errors=(*observed.errors, *errors))

    def _meter_errors(self) -> tuple[BoardError, ...]:
        fault = self._meter.fault
        return (BoardError(BoardErrorEnum.METER_FAULT, fault),) if fault else ()

    def next_poll(self) -> float | None:
        """Return when board or meter have something by themselves."""
        due = self.driver.next_poll()
        if self._own_bus is None:
            return due
        meter = self._own_bus.next_poll(self._context.clock())
        return meter if due is None else min(due, meter)

    def capabilities(self) -> BoardCapabilities | None:
        """Return what the board can do, and that there is a meter."""
        capabilities = self.driver.capabilities()
        return None if capabilities is None else replace(capabilities, has_meter=True)

    def hw_capabilities(self) -> HardwareCapabilities | None:
        """Return what the power path of the board can carry."""
        return self.driver.hw_capabilities()

    def telemetry(self) -> Telemetry | None:
        """Return the board's newest reading once."""
        return self.driver.telemetry()

    def meter(self) -> Powermeter | None:
        """Return the meter's newest sample once; the board's own are dropped."""
        self.driver.meter()
        return self._meter.take_sample()

    def diagnostics(self) -> Mapping[str, str]:
        """Return the diagnostic values of board and meter."""
        own = {} if self._own_bus is None else self._own_bus.diagnostics()
        return {
            **self.driver.diagnostics(),
            **{f'meter {name}': value for name, value in own.items()},
            **self._meter.diagnostics(),
        }
