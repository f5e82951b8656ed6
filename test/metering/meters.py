"""
Every way on which a measurement reaches the kernel: as a sample, or through the meter of each driver.

A way takes what the meter shows (register, power, currents) and returns the sample that the kernel receives.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

from evse_manager.board.boards.openevse.meter import OpenEvseMeter
from evse_manager.board.boards.yeti.messages import PowerMeter
from evse_manager.board.boards.yeti.meter import YetiMeter
from evse_manager.board.meters.sdm630 import Sdm630
from evse_manager.board.transport.modbus import ModbusAnswer, Request
from evse_manager.interface.types import Current, Energy, Power, Powermeter, Time

VOLTAGE_V = 230.0


@dataclass(frozen=True)
class Shown:
    """What the meter shows; ``None`` is not measured."""

    register_wh: float | None = None
    power_w: float | None = None
    currents_a: tuple[float, float, float] | None = None


class Way(Protocol):
    """A way from the meter to the kernel."""

    def sample(self, shown: Shown, now: float, wall: Time) -> Powermeter:
        """Return what the kernel receives of what the meter shows."""


class Plain:
    """No driver: the sample is what the meter shows."""

    def sample(self, shown: Shown, now: float, wall: Time) -> Powermeter:
        return Powermeter(
            timestamp=wall,
            energy_wh_import=Energy(shown.register_wh),
            power_w=None if shown.power_w is None else Power(shown.power_w),
            current_a=None if shown.currents_a is None else Current(None, *shown.currents_a),
        )


class ThroughSdm630:
    """The driver of the billing meter, asked by its bus; ``missing`` registers never answer."""

    def __init__(self, missing: frozenset[int] = frozenset()) -> None:
        self.missing = missing
        self.wall = Time(0)
        self.meter = Sdm630(2, lambda: self.wall)
        self.meter.opened(0.0)
        self.requests: list[int] = []

    def sample(self, shown: Shown, now: float, wall: Time) -> Powermeter:
        self.wall = wall
        for _ in range(10):
            order = self.meter.next(now)
            if order is None:
                break
            self.requests.append(order.request.address)
            if order.request.address in self.missing:
                self.meter.missed(1, now)
            else:
                order.handle(ModbusAnswer(order.request, self._words(order.request, shown)), now)
        sample = self.meter.take_sample()
        assert sample is not None, self.meter.fault
        return sample

    def _words(self, request: Request, shown: Shown) -> tuple[int, ...]:
        nan = float('nan')
        power = nan if shown.power_w is None else shown.power_w
        amperes = (nan, nan, nan) if shown.currents_a is None else shown.currents_a
        third = nan if shown.power_w is None else power / 3.0
        known = {
            0x00: VOLTAGE_V, 0x02: VOLTAGE_V, 0x04: VOLTAGE_V,
            0x06: amperes[0], 0x08: amperes[1], 0x0A: amperes[2],
            0x0C: third, 0x0E: third, 0x10: third, 0x34: power, 0x46: 50.0,
            0x48: nan if shown.register_wh is None else shown.register_wh / 1000.0,
        }  # fmt: skip
        numbers = (known.get(request.address + 2 * place, 0.0) for place in range(request.value // 2))
        data = b''.join(struct.pack('>f', number) for number in numbers)
        return struct.unpack(f'>{request.value}H', data)


class ThroughYeti:
    """The meter of a Yeti board."""

    def __init__(self) -> None:
        self.wall = Time(0)
        self.meter = YetiMeter(lambda: self.wall)

    def sample(self, shown: Shown, now: float, wall: Time) -> Powermeter:
        self.wall = wall
        power = 0.0 if shown.power_w is None else shown.power_w
        l1, l2, l3 = shown.currents_a or ((power / 3.0 / VOLTAGE_V,) * 3)
        self.meter.measured(
            PowerMeter(
                v_l1=VOLTAGE_V, v_l2=VOLTAGE_V, v_l3=VOLTAGE_V, a_l1=l1, a_l2=l2, a_l3=l3,
                w_l1=power / 3.0, w_l2=power / 3.0, w_l3=power / 3.0, wh_total=shown.register_wh or 0.0,
                hz_l1=50.0, hz_l2=50.0, hz_l3=50.0,
            ),
            relay_closed=True,
        )  # fmt: skip
        sample = self.meter.take_sample()
        assert sample is not None
        return sample


class ThroughOpenEvse:
    """The meter of an OpenEVSE with three phases, which measures one current and counts Ws."""

    def __init__(self) -> None:
        self.wall = Time(0)
        self.meter = OpenEvseMeter(VOLTAGE_V, 3, lambda: self.wall)

    def sample(self, shown: Shown, now: float, wall: Time) -> Powermeter:
        self.wall = wall
        if shown.register_wh is not None:
            self.meter.energies(round(shown.register_wh * 3600.0), 0, in_session=True)
        power = 0.0 if shown.power_w is None else shown.power_w
        ampere = power / 3.0 / VOLTAGE_V if shown.currents_a is None else shown.currents_a[0]
        self.meter.currents(round(ampere * 1000.0), 0)
        sample = self.meter.take_sample()
        assert sample is not None
        return sample


WAYS: dict[str, type[Way]] = {
    'kernel alone': Plain,
    'sdm630': ThroughSdm630,
    'yeti': ThroughYeti,
    'openevse': ThroughOpenEvse,
}
