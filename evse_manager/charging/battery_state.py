"""
The battery as a docking stack sees it: whether energy flows, from the charger's side of the cable.

Charging is what ``EvseStatus`` calls charging, no more: the contactor is closed and the transaction is
neither paused nor ended.
"""

from dataclasses import dataclass
from enum import IntEnum

from evse_manager.interface.enums import ChargerState
from evse_manager.interface.types import EVInfo, EvseStatus

FULL_PERCENT = 100.0

NO_VOLTAGE_V = 1.0
"""A phase below this is not connected."""


class PowerSupplyStatus(IntEnum):
    """``power_supply_status`` of ``sensor_msgs/BatteryState``."""

    UNKNOWN = 0
    CHARGING = 1
    DISCHARGING = 2
    NOT_CHARGING = 3
    FULL = 4


@dataclass(frozen=True, slots=True)
class BatteryState:
    """
    The fields of ``sensor_msgs/BatteryState`` that a charger knows; None = unknown (NaN in the message).

    ``current_a`` is positive into the battery: the sum of the phases while energy flows, and 0 otherwise, so
    that a threshold on it never sees the last sample before a pause.  ``voltage_v`` is the mean of the
    phases.  ``percentage`` is 0 to 1.
    """

    power_supply_status: PowerSupplyStatus = PowerSupplyStatus.UNKNOWN
    present: bool = False
    current_a: float | None = None
    voltage_v: float | None = None
    percentage: float | None = None


def battery_state(status: EvseStatus, ev: EVInfo | None) -> BatteryState:
    """Return the battery state of a connector; ``ev`` is what the car reports of itself."""
    flows = status.state is ChargerState.CHARGING
    percent = ev.soc_percent if ev is not None and status.plugged else None
    if percent is not None and not 0.0 <= percent <= FULL_PERCENT:
        percent = None
    if flows:
        supply = PowerSupplyStatus.CHARGING
    elif not status.plugged:
        supply = PowerSupplyStatus.UNKNOWN
    elif percent is not None and percent >= FULL_PERCENT:
        supply = PowerSupplyStatus.FULL
    else:
        supply = PowerSupplyStatus.NOT_CHARGING
    return BatteryState(
        supply,
        status.plugged,
        _sum(status.current_l1_a, status.current_l2_a, status.current_l3_a) if flows else 0.0,
        _mean(status.voltage_l1_v, status.voltage_l2_v, status.voltage_l3_v),
        None if percent is None else percent / FULL_PERCENT,
    )


def _sum(*currents: float | None) -> float | None:
    known = [abs(value) for value in currents if value is not None]
    return sum(known) if known else None


def _mean(*voltages: float | None) -> float | None:
    """Return the mean of the phases that are connected: a phase without voltage does not count."""
    known = [abs(value) for value in voltages if value is not None and abs(value) > NO_VOLTAGE_V]
    return sum(known) / len(known) if known else None
