"""
The limits and times of one connector, for the details of ``evse watch``.

The status names the lowest limit alone; the others come from topics and parameters that are read while the
connector is looked at.
"""

from dataclasses import dataclass

from evse_manager.cli import formatting
from evse_manager.cli.monitor import ConnectorView
from evse_manager.interface.enums import LimitSource
from evse_manager.interface.types import BoardState, EnforcedLimits, EvseStatus, HardwareCapabilities

PARAMETER, FAILSAFE = 'max_current_import_a', 'failsafe_current_a'
PARAMETERS = (PARAMETER, FAILSAFE)
"""Parameters of the manager that limit the current."""


@dataclass
class LimitsView:
    """Limits of the selected connector as far as known; times are of the steady clock."""

    connector: str
    hardware: HardwareCapabilities | None = None
    board: BoardState | None = None
    grant: EnforcedLimits | None = None
    granted_at: float = 0.0
    parameters: dict[str, float] | None = None

    def grant_left_s(self, now: float) -> float | None:
        """Return how much longer the energy manager's limit lasts, ``None`` where there is none."""
        grant = self.grant
        if grant is None or grant.stamp is None or grant.valid_until is None:
            return None
        return max(0.0, (grant.valid_until - grant.stamp) / 1e9 - (now - self.granted_at))


def limit_lines(status: EvseStatus, known: LimitsView, now: float) -> list[str]:
    """Return each source with its limit; a mark stands before the one that binds."""
    values = {
        LimitSource.HARDWARE: _hardware(known),
        LimitSource.PARAMETER: _parameter(known),
        LimitSource.CABLE: _cable(known),
        LimitSource.ENERGY_MANAGER: _grant(known, now),
        LimitSource.EXTERNAL: '',
        LimitSource.TEMPERATURE: '',
    }
    binding = status.limit_source
    if binding in values:
        remark = values[binding].partition(', ')[2]
        values[binding] = ', '.join(
            part
            for part in (
                formatting.amperes(status.limit_a),
                f'at node {status.limit_node}' if status.limit_node else '',
                remark,
            )
            if part
        )
    return [
        f'{"▸" if source is binding else " "} {SOURCES[source]} {value}'
        for source, value in values.items()
        if value
    ]


SOURCES = {
    LimitSource.HARDWARE: 'hardware',
    LimitSource.PARAMETER: 'parameter',
    LimitSource.CABLE: 'cable',
    LimitSource.ENERGY_MANAGER: 'energy manager',
    LimitSource.EXTERNAL: 'external',
    LimitSource.TEMPERATURE: 'derating',
}
"""Sources of limits in one or two words."""


def _hardware(known: LimitsView) -> str:
    hardware = known.hardware
    if hardware is None:
        return ''
    phases = f', {hardware.min_phase_count_import} to {hardware.max_phase_count_import} phases'
    return f'{formatting.amperes(hardware.max_current_a_import)}{phases}'


def _parameter(known: LimitsView) -> str:
    value = (known.parameters or {}).get(PARAMETER)
    return '' if value is None else formatting.amperes(value)


def _cable(known: LimitsView) -> str:
    rating = known.board.cable_ampacity_a if known.board is not None else None
    return '' if rating is None else formatting.amperes(rating)


def _grant(known: LimitsView, now: float) -> str:
    left = known.grant_left_s(now)
    failsafe = (known.parameters or {}).get(FAILSAFE)
    if left is None or known.grant is None:
        return ''
    if left == 0.0:
        return f'{formatting.amperes(failsafe)}, the last limit has run out'
    root = known.grant.limits_root_side
    amperes = root.ac_max_current_a if root is not None else None
    watts = root.total_power_w if root is not None else None
    value = formatting.amperes(amperes) if amperes is not None else formatting.power(watts)
    return f'{value}, for {left:.0f} s unless renewed'


def since_last_event(view: ConnectorView) -> str:
    """Return how long ago the last event was, by the clock that stamped it; empty where there is none."""
    newest = max((event.stamp or 0 for event in view.events), default=0)
    if view.status is None or view.status.stamp is None or not newest:
        return ''
    return formatting.duration((view.status.stamp - newest) / 1e9)
