"""What a Yeti board measures, as samples of a meter."""

import math
from collections.abc import Callable

from evse_manager.board.boards.yeti.messages import PowerMeter
from evse_manager.interface.types import (
    Current,
    Energy,
    Frequency,
    Power,
    Powermeter,
    Telemetry,
    Time,
    Voltage,
)

LARGEST_V = 500.0
LARGEST_A = 200.0
LARGEST_W = 100_000.0
LARGEST_WH = 1e9
LEAST_HZ, LARGEST_HZ = 40.0, 70.0
LOWEST_C, HIGHEST_C = -55.0, 150.0


class YetiMeter:
    """
    Makes samples of messages.

    The wire leaves zeros out, so that a phase without voltage cannot be told from one that is not measured:
    such a phase is left out here too.  The board counts from zero after each restart; the register here goes
    on from where it was.
    """

    def __init__(self, wall: Callable[[], Time]) -> None:
        """Begin without any reading."""
        self.implausible = 0
        """Readings that were not used."""
        self._wall = wall
        self._counted_wh = 0.0
        self._before_wh = 0.0
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

    def measured(self, meter: PowerMeter, *, relay_closed: bool) -> None:
        """Take what the board has measured."""
        self._telemetry = Telemetry(temperature_c=self._hottest(meter), relais_on=relay_closed)
        counted = meter.wh_total or meter.wh_l1 + meter.wh_l2 + meter.wh_l3
        if not 0.0 <= counted <= LARGEST_WH:
            self.implausible += 1
            return
        if counted < self._counted_wh:
            self._before_wh += self._counted_wh
        self._counted_wh = counted
        voltages = [
            self._within(each, 0.0, LARGEST_V) or None for each in (meter.v_l1, meter.v_l2, meter.v_l3)
        ]

        def phase(index: int, value: float, lowest: float, highest: float) -> float | None:
            return None if voltages[index] is None else self._within(value, lowest, highest)

        amperes = [
            phase(index, value, 0.0, LARGEST_A)
            for index, value in enumerate((meter.a_l1, meter.a_l2, meter.a_l3))
        ]
        watts = [
            phase(index, value, -LARGEST_W, LARGEST_W)
            for index, value in enumerate((meter.w_l1, meter.w_l2, meter.w_l3))
        ]
        hertz = [
            phase(index, value, LEAST_HZ, LARGEST_HZ)
            for index, value in enumerate((meter.hz_l1, meter.hz_l2, meter.hz_l3))
        ]
        known = [each for each in watts if each is not None]
        self._sample = Powermeter(
            timestamp=self._wall(),
            energy_wh_import=Energy(self._before_wh + counted),
            meter_id='Yeti',
            phase_seq_error=meter.phase_seq_error,
            power_w=Power(sum(known) if known else None, *watts),
            voltage_v=Voltage(None, *voltages),
            current_a=Current(
                l1=amperes[0], l2=amperes[1], l3=amperes[2], n=self._within(meter.a_n, 0.0, LARGEST_A)
            ),
            frequency_hz=Frequency(*hertz),
        )

    def _hottest(self, meter: PowerMeter) -> float | None:
        """Return the highest temperature; exactly 0 is a sensor that is absent."""
        sensors = (meter.c_l1, meter.c_l2, meter.c_l3, meter.c_n)
        found = [each for each in sensors if LOWEST_C <= each <= HIGHEST_C and each != 0.0]
        return max(found) if found else None

    def _within(self, value: float, lowest: float, highest: float) -> float | None:
        if math.isfinite(value) and lowest <= value <= highest:
            return value
        self.implausible += 1
        return None
