"""
The most that may be signalled, computed from the inputs alone and apart from the kernel (docs/charging.md).

The invariants hold every offer against it, so a source of limits that the kernel forgets shows in any test.
The temperature's ladder is left to ``test_errors.py``.
"""

import math
from dataclasses import dataclass

from evse_manager.charging.inputs import (
    CapabilitiesReceived,
    CommandReceived,
    Input,
    Now,
    ParametersChanged,
    SetExternalLimits,
    Start,
)
from evse_manager.charging.kernel import Output
from evse_manager.interface.enums import LimitSource
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardState,
    EnforcedLimits,
    ExternalLimits,
    HardwareCapabilities,
    LimitsReq,
    LimitsRes,
)
from evse_manager.lease.manager import BoardObserved

NS = 1e-9


@dataclass(frozen=True)
class Bound:
    """Amperes per phase, watts over all phases, phases."""

    current_a: float = math.inf
    power_w: float = math.inf
    phases: int = 3


class LimitOracle:
    """Follows every source of limits but the temperature; an input that never came bounds nothing."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.hardware: HardwareCapabilities | None = None
        self.board: BoardState | None = None
        self.external = ExternalLimits()
        self.grant = Bound()
        self.granted_at = math.inf
        """A connector of an energy manager has nothing before its first grant."""
        self.grant_life_s = 0.0
        if config.energy_source == 'manager':
            self.granted_at = -math.inf

    def take(self, happened: Input, now: Now, output: Output) -> None:
        """Take an input, and whether the kernel accepted it."""
        match happened:
            case Start(remembered):
                self.external = remembered.external_limits
            case ParametersChanged(config):
                self.config = config
            case BoardObserved(state, _):
                self.board = state
            case CapabilitiesReceived(capabilities):
                self.hardware = capabilities
            case CommandReceived(ticket, SetExternalLimits(value)) if dict(output.answers)[ticket].success:
                self.external = value
            case _:
                pass
        if output.enforced_limits is not None:
            self._granted(output.enforced_limits, now)

    def amperes(self, now: Now, phases: int) -> float:
        """Return the highest current per phase that every source allows on so many phases."""
        volts = self.config.ac_nominal_voltage_v
        bounds = self._bounds(now).values()
        return min(min(bound.current_a, bound.power_w / (volts * phases)) for bound in bounds)

    def amperes_of(self, source: LimitSource, now: Now, phases: int) -> float:
        """Return the highest current per phase that one source allows; infinity where it is not followed."""
        bound = self._bounds(now).get(source, Bound())
        return min(bound.current_a, bound.power_w / (self.config.ac_nominal_voltage_v * phases))

    def phases(self, now: Now) -> int:
        """Return how many phases every source allows."""
        return min(bound.phases for bound in self._bounds(now).values())

    @property
    def grant_ends(self) -> float:
        """When the energy manager's limit ends on the steady clock."""
        return self.granted_at + min(self.grant_life_s, self.config.enforced_limits_max_age_s)

    def _granted(self, limits: EnforcedLimits, now: Now) -> None:
        root = limits.limits_root_side or LimitsRes()
        nothing = root.ac_max_current_a is None and root.total_power_w is None
        self.grant_life_s = 0.0
        if limits.valid_until is not None and limits.stamp is not None:
            self.grant_life_s = (limits.valid_until - limits.stamp) * NS
        self.granted_at = now.steady
        self.grant = Bound(0.0) if nothing else _bound(root)

    def _bounds(self, now: Now) -> dict[LimitSource, Bound]:
        bounds = {LimitSource.PARAMETER: Bound(self.config.max_current_import_a)}
        if self.hardware is not None:
            bounds[LimitSource.HARDWARE] = Bound(self.hardware.max_current_a_import)
        if self.config.connector_type == 'socket' and self.board is not None:
            bounds[LimitSource.CABLE] = Bound(self.board.cable_ampacity_a or 0.0)
        granted = math.isfinite(self.granted_at)
        expired = Bound(self.config.failsafe_current_a if granted else 0.0)
        bounds[LimitSource.ENERGY_MANAGER] = self.grant if now.steady < self.grant_ends else expired
        schedule = self.external.schedule_import
        begun = [entry for entry in schedule if (entry.timestamp or 0) <= now.wall] or schedule[:1]
        if begun:
            entry = begun[-1]
            root, leaves = _bound(entry.limits_to_root), _bound(entry.limits_to_leaves)
            share = entry.conversion_efficiency
            current_a = min(root.current_a * share, leaves.current_a)
            sides = (entry.limits_to_root, entry.limits_to_leaves)
            least_a = max(side.ac_min_current_a or 0.0 for side in sides)
            bounds[LimitSource.EXTERNAL] = Bound(
                current_a if current_a >= least_a else 0.0,
                min(root.power_w * share, leaves.power_w),
                min(root.phases, leaves.phases),
            )
        return bounds


def _bound(limits: LimitsReq | LimitsRes) -> Bound:
    """Return one side as a bound; what is no number allows nothing."""
    current, power = limits.ac_max_current_a, limits.total_power_w
    return Bound(
        math.inf if current is None else (0.0 if math.isnan(current) else max(0.0, current)),
        math.inf if power is None else (0.0 if math.isnan(power) else max(0.0, power)),
        limits.ac_max_phase_count or 3,
    )
