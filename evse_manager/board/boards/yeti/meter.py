"""Measurements of a Yeti board, as samples of a meter."""

from evse_manager.board.boards.serial_driver import NewestReadings
from evse_manager.board.boards.yeti.messages import PowerMeter
from evse_manager.interface.types import (
    Current,
    Energy,
    Frequency,
    Power,
    Powermeter,
    Telemetry,
    Voltage,
)
from evse_manager.metering.validation import plausible, plausible_temperature


class YetiMeter(NewestReadings):
    """
    Converts messages into samples.

    The wire leaves zeros out, so that a phase without voltage and current cannot be distinguished from one
    that is not measured: it is left out here too.  The board counts from zero after each restart; what that
    means for a transaction is decided in ``metering``.
    """

    def measured(self, meter: PowerMeter, *, relay_closed: bool) -> None:
        """Take what the board has measured."""
        self._telemetry = Telemetry(temperature_c=_hottest(meter), relais_on=relay_closed)
        volts = (meter.v_l1, meter.v_l2, meter.v_l3)
        amperes = (meter.a_l1, meter.a_l2, meter.a_l3)
        used = [volt != 0.0 or ampere != 0.0 for volt, ampere in zip(volts, amperes)]

        def phases(*values: float | None) -> list[float | None]:
            return [value if is_used else None for value, is_used in zip(values, used)]

        watts = phases(meter.w_l1, meter.w_l2, meter.w_l3)
        known = [watt for watt in watts if watt is not None]
        l1, l2, l3 = phases(*amperes)
        sample = Powermeter(
            timestamp=self._wall(),
            energy_wh_import=Energy(meter.wh_total or meter.wh_l1 + meter.wh_l2 + meter.wh_l3),
            meter_id='Yeti',
            phase_seq_error=meter.phase_seq_error,
            power_w=Power(sum(known) if known else None, *watts),
            voltage_v=Voltage(None, *phases(*(volt or None for volt in volts))),
            current_a=Current(l1=l1, l2=l2, l3=l3, n=meter.a_n),
            frequency_hz=Frequency(*phases(meter.hz_l1, meter.hz_l2, meter.hz_l3)),
        )
        self._sample, left_out = plausible(sample)
        self.implausible += left_out


def _hottest(meter: PowerMeter) -> float | None:
    """Return the highest temperature; exactly 0 is a sensor that is absent."""
    sensors = (meter.c_l1, meter.c_l2, meter.c_l3, meter.c_n)
    found = [each for each in sensors if each != 0.0 and plausible_temperature(each) is not None]
    return max(found, default=None)
