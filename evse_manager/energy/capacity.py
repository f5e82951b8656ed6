"""Current that each node of the tree leaves to the connectors below it: its limits, less the house load."""

import math
from zoneinfo import ZoneInfo

from evse_manager.energy.limits import LimitBook, LimitBound, fuse_bounds
from evse_manager.energy.meters import NO_LOAD, HouseLoadMeter
from evse_manager.energy.tree import Topology
from evse_manager.interface.enums import LimitOrigin
from evse_manager.interface.types import Time


class Capacity:
    """
    The limits of all nodes at one moment.

    ``headroom`` is, per constraint, what the connectors may use together; infinite without a limit, and
    negative where the house load alone exceeds the limit.
    """

    def __init__(self, topology: Topology, book: LimitBook) -> None:
        """Every metered node starts with a silent meter."""
        self._topology = topology
        self._book = book
        self._zone = ZoneInfo(topology.tree.time_zone) if topology.tree.time_zone else None
        fuses = topology.tree.fuses
        self.meters = [HouseLoadMeter(fuse.meter) if fuse.meter is not None else None for fuse in fuses]
        self.bound_a = [LimitBound() for _ in fuses]
        self.bound_w = [LimitBound() for _ in fuses]
        self.house_a = [NO_LOAD for _ in fuses]
        self.silent = [meter is not None for meter in self.meters]
        self.headroom = [math.inf] * topology.constraint_count
        self.finite: tuple[int, ...] = ()
        """The constraints that limit something."""

    def update(self, steady: float, wall: Time) -> None:
        """Bring everything to this moment."""
        topology, tree = self._topology, self._topology.tree
        passed_on: list[list[float]] = [[0.0, 0.0, 0.0] for _ in tree.fuses]
        for index in range(topology.fuse_count - 1, -1, -1):
            fuse, meter = tree.fuses[index], self.meters[index]
            self.bound_a[index], self.bound_w[index] = fuse_bounds(fuse, self._book, wall, self._zone)
            load = passed_on[index]
            house = (load[0], load[1], load[2])
            if meter is not None:
                self.silent[index] = meter.silent(steady)
                unknown = self.silent[index]
                house = self._unmeasured(index, fuse.phases, meter) if unknown else meter.load()
            parent = topology.parent_of[index]
            if parent >= 0 and self.meters[parent] is None:
                for phase in range(3):
                    passed_on[parent][phase] += house[phase]
            self.house_a[index] = house
            if self.silent[index]:
                self.house_a[index] = NO_LOAD
                self.bound_a[index] = self.bound_a[index].with_(fuse.safe_limit_a, LimitOrigin.METER_SILENT)
                self.bound_w[index] = self.bound_w[index].with_(fuse.safe_limit_w, LimitOrigin.METER_SILENT)
        self._set_headroom()

    def _unmeasured(
        self, index: int, phases: tuple[int, ...], meter: HouseLoadMeter
    ) -> tuple[float, float, float]:
        """Return the house load that the node above has to expect while the meter of a node is silent."""
        kept = self.bound_a[index].limit - self._topology.tree.fuses[index].safe_limit_a
        if not math.isfinite(kept):
            return meter.load()
        first, second, third = (max(0.0, kept) if phase in phases else 0.0 for phase in range(3))
        return first, second, third

    def _set_headroom(self) -> None:
        topology = self._topology
        voltage = topology.tree.nominal_voltage_v
        for index in range(topology.fuse_count):
            house = self.house_a[index]
            for phase in range(3):
                self.headroom[topology.current_constraint(index, phase)] = (
                    self.bound_a[index].limit - house[phase]
                )
            self.headroom[topology.power_constraint(index)] = self.bound_w[index].limit - voltage * sum(house)
        finite = tuple(index for index, headroom in enumerate(self.headroom) if headroom < math.inf)
        if finite != self.finite:
            self.finite = finite
