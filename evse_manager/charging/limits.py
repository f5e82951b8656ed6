"""
The limit in force: the lowest of all sources, and the current that is signalled from it.

Every source gives an upper bound here, and only here; ``allowance.combine`` takes the minimum.
"""

from dataclasses import replace

from evse_manager.charging import allowance, timers
from evse_manager.charging.allowance import Allowance, Bound
from evse_manager.charging.connector import Connector
from evse_manager.interface.enums import LimitSource, StatusReason
from evse_manager.interface.pilot import MINIMUM_CURRENT_A
from evse_manager.interface.types import HardwareCapabilities

DERATED = {1: 0.5, 2: 0.25, 3: 0.25}
"""Share of the current by the step of derating; at the last step an error stops charging as well."""


def in_force(connector: Connector) -> Allowance:
    """Return the limit that all sources leave, and whose it is."""
    capabilities, config, now = connector.capabilities, connector.config, connector.now
    if capabilities is None:
        return Allowance(
            0.0, 0.0, connector.connectable_phases[-1], LimitSource.HARDWARE, StatusReason.STARTING
        )
    bounds = [
        Bound(LimitSource.HARDWARE, capabilities.max_current_a_import),
        Bound(LimitSource.PARAMETER, config.max_current_import_a),
        _temperature(connector, capabilities),
    ]
    if config.connector_type == 'socket':
        ampacity = connector.board.cable_ampacity_a if connector.board is not None else None
        bounds.append(Bound(LimitSource.CABLE, ampacity or 0.0))
    bound, connector.external_change = allowance.external_bound(connector.external, now.wall)
    bounds.append(bound)
    expired = False
    if connector.grant is not None and timers.grant.running(connector):
        bounds.append(connector.grant.bound)
    elif config.energy_source == 'manager' or connector.grant is not None:
        expired = True
        failsafe_a = config.failsafe_current_a if connector.grant is not None else 0.0
        bounds.append(Bound(LimitSource.ENERGY_MANAGER, failsafe_a))
    outcome = allowance.combine(
        bounds,
        voltage_v=config.ac_nominal_voltage_v,
        connectable=connector.connectable_phases,
        wanted_phases=connector.wanted_phases if connector.transaction is not None else 3,
        hardware_minimum_a=capabilities.min_current_a_import,
    )
    if expired and outcome.source is LimitSource.ENERGY_MANAGER:
        outcome = replace(outcome, reason=StatusReason.LIMIT_EXPIRED)
    return outcome


def _temperature(connector: Connector, capabilities: HardwareCapabilities) -> Bound:
    """Return what the temperature allows of the current that hardware and parameters allow, 6 A at least."""
    share = DERATED.get(connector.derating_step)
    if share is None:
        return Bound(LimitSource.TEMPERATURE)
    full = allowance.usable(capabilities, connector.config).max_current_a_import
    return Bound(LimitSource.TEMPERATURE, max(MINIMUM_CURRENT_A, full * share))
