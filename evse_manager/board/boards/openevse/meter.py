"""What an OpenEVSE measures: one current, perhaps a voltage, counted energy, temperatures."""

from collections.abc import Callable, Sequence

from evse_manager.interface.types import Current, Energy, Power, Powermeter, Telemetry, Time, Voltage

LARGEST_MA = 200_000
LARGEST_MV = 500_000
ABSENT_TEMPERATURE = -2560
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = -550, 1500
"""In 0.1 °C; anything beyond is no temperature."""


LONGEST_STEP_S = 3.0
"""Over a longer gap between two readings nothing is reckoned."""


class OpenEvseMeter:
    """
    Makes samples of replies.

    The board counts Ws since the EV was plugged in and, apart from that, finished Wh; the register here grows
    by what the former grows, so that it never falls back.  Between two readings it grows by power and time.
    """

    def __init__(self, voltage_v: float, phases: int, wall: Callable[[], Time]) -> None:
        """``voltage_v`` stands in where the board measures none."""
        self.implausible = 0
        """Readings that were not used."""
        self._voltage_v = voltage_v
        self._phases = phases
        self._wall = wall
        self._register_wh: float | None = None
        self._reckoned_wh = 0.0
        self._told_wh = 0.0
        self._power: tuple[float, float] | None = None
        self._session_ws = 0
        self._sample: Powermeter | None = None
        self._telemetry: Telemetry | None = None

    def take_sample(self) -> Powermeter | None:
        """Return a sample that was not yet returned."""
        sample, self._sample = self._sample, None
        return sample

    def take_telemetry(self) -> Telemetry | None:
        """Return a reading that was not yet returned."""
        telemetry, self._telemetry = self._telemetry, None
        return telemetry

    def currents(self, milliamperes: int, millivolts: int, now: float) -> None:
        """Take the reply to ``$GG``; it measures one phase, the others are alike."""
        if self._register_wh is None:
            return
        if not (0 <= milliamperes <= LARGEST_MA and 0 <= millivolts <= LARGEST_MV):
            self.implausible += 1
            return
        current_a = milliamperes / 1000.0
        measured_v = millivolts / 1000.0 if millivolts else None
        power_w = current_a * (measured_v or self._voltage_v)
        three = self._phases == 3
        if self._power is not None and now - self._power[0] <= LONGEST_STEP_S:
            mean_w = (self._power[1] + power_w) / 2.0 * self._phases
            self._reckoned_wh += mean_w * (now - self._power[0]) / 3600.0
        self._power = (now, power_w)
        self._told_wh = max(self._told_wh, self._register_wh + self._reckoned_wh)
        self._sample = Powermeter(
            timestamp=self._wall(),
            energy_wh_import=Energy(total=self._told_wh),
            meter_id='OpenEVSE',
            power_w=Power(total=power_w * self._phases, l1=power_w),
            voltage_v=Voltage(l1=measured_v),
            current_a=Current(l1=current_a, l2=current_a if three else None, l3=current_a if three else None),
        )

    def energies(self, session_ws: int, total_wh: int) -> None:
        """Take the reply to ``$GU``."""
        if session_ws < 0 or total_wh < 0:
            self.implausible += 1
            return
        if self._register_wh is None:
            self._register_wh = self._told_wh = float(total_wh)
        else:
            grown = session_ws - self._session_ws if session_ws >= self._session_ws else session_ws
            self._register_wh += grown / 3600.0
        self._reckoned_wh = 0.0
        self._session_ws = session_ws

    def temperatures(self, tenths: Sequence[int], *, relay_closed: bool) -> None:
        """Take the reply to ``$GP``: the hottest sensor counts, absent ones do not."""
        found = [each for each in tenths if LOWEST_TEMPERATURE <= each <= HIGHEST_TEMPERATURE]
        self._telemetry = Telemetry(
            temperature_c=max(found) / 10.0 if found else None, relais_on=relay_closed
        )
