"""Measurements of an OpenEVSE: one current, perhaps a voltage, counted energy, temperatures."""

from collections.abc import Callable, Sequence

from evse_manager.board.boards.serial_driver import NewestReadings
from evse_manager.interface.types import Current, Energy, Power, Powermeter, Telemetry, Time, Voltage
from evse_manager.metering.validation import plausible, plausible_temperature

NOMINAL_MV = frozenset({0, 120_000, 230_000, 240_000})
"""Voltage that a board without a voltmeter reports: the nominal voltage of its build."""

WS_PER_WH = 3600


class OpenEvseMeter(NewestReadings):
    """
    Converts replies into samples.

    The board counts Ws since the EV was plugged in and, apart from that, whole Wh of finished sessions.
    Their sum is the register: it goes on over an unplugging and over a restart of this node.  A reset loses
    the Ws; what its steps mean for a transaction is decided in ``metering``.
    """

    def __init__(self, voltage_v: float, phases: int, wall: Callable[[], Time]) -> None:
        """``voltage_v`` stands in where the board measures none."""
        super().__init__(wall)
        self._voltage_v = voltage_v
        self._phases = phases
        self.temperature_c: float | None = None
        """Newest temperature in °C."""
        self._register_wh: float | None = None

    def currents(self, milliamperes: int, millivolts: int) -> None:
        """Take the reply to ``$GG``; it measures one phase, the others are alike."""
        current_a = milliamperes / 1000.0
        measured_v = None if millivolts in NOMINAL_MV else millivolts / 1000.0
        power_w = current_a * (measured_v or self._voltage_v)
        three = self._phases == 3
        sample = Powermeter(
            timestamp=self._wall(),
            energy_wh_import=Energy(total=self._register_wh),
            meter_id='OpenEVSE',
            power_w=Power(total=power_w * self._phases, l1=power_w),
            voltage_v=Voltage(l1=measured_v),
            current_a=Current(l1=current_a, l2=current_a if three else None, l3=current_a if three else None),
        )
        self._sample, left_out = plausible(sample)
        self.implausible += left_out

    def energies(self, session_ws: int, total_wh: int, *, in_session: bool) -> None:
        """Take the reply to ``$GU``; at the unplugging the total grows by the session, in whole Wh."""
        if session_ws < 0 or total_wh < 0:
            self.implausible += 1
            return
        self._register_wh = float(total_wh + (session_ws // WS_PER_WH if in_session else 0))

    def temperatures(self, tenths: Sequence[int], *, relay_closed: bool) -> None:
        """Take the reply to ``$GP`` in 0.1 °C: the hottest sensor counts, absent ones do not."""
        found = [each for each in tenths if plausible_temperature(each / 10.0) is not None]
        self.temperature_c = max(found) / 10.0 if found else None
        self._telemetry = Telemetry(temperature_c=self.temperature_c, relais_on=relay_closed)
