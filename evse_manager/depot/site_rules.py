"""Rules that the parts of a site must satisfy together; every violation is reported at its line."""

from collections.abc import Iterator

from evse_manager.depot.located_yaml import Mistakes
from evse_manager.depot.site import MIN_CURRENT_A, Connector, Phase, Site, TreeNode

EPSILON = 1e-6
"""Rounding of sums, in amperes or watts."""


def check_site(site: Site, mistakes: Mistakes) -> None:
    """Note everything in which the parts of a site contradict each other."""
    _check_names(site, mistakes)
    _check_places(site, mistakes)
    _check_limits(site, mistakes)
    _check_phases(site, mistakes)
    _check_failsafe(site, mistakes)
    _check_unique(site, mistakes)


def _check_names(site: Site, mistakes: Mistakes) -> None:
    lines: dict[str, int] = {}
    for node in site.grid.walk():
        if node.name in lines:
            mistakes.add(
                node.line,
                f'node {node.name}: the node in line {lines[node.name]} has this name; choose another.',
            )
        lines.setdefault(node.name, node.line)
    for connector in site.connectors:
        if connector.name in lines:
            mistakes.add(
                lines[connector.name],
                f'node {connector.name}: a connector has this name; choose another, or list the connector '
                'below children.',
            )


def _check_places(site: Site, mistakes: Mistakes) -> None:
    """Note connectors that are not below exactly one node."""
    places: dict[str, TreeNode] = {}
    for node in site.grid.walk():
        for name in node.connectors:
            if name in places:
                mistakes.add(
                    node.line,
                    f'connector {name} is below two nodes, {places[name].name} and {node.name}; remove it '
                    'from one.',
                )
            places.setdefault(name, node)
    for connector in site.connectors:
        if connector.name not in places:
            mistakes.add(
                connector.line,
                f'connector {connector.name} is below no node; add it to the children of its fuse.',
            )


def _check_limits(site: Site, mistakes: Mistakes) -> None:
    """Note nodes that cannot carry the minimum of one connector, and a root without a limit."""
    watts = MIN_CURRENT_A * site.nominal_voltage_v
    if site.grid.limit_a is None and site.grid.limit_w is None:
        mistakes.add(
            site.grid.line,
            'grid: there is no limit; write limit_a, the current per phase of the grid connection.',
        )
    for node in site.grid.walk():
        if node.limit_a is not None and node.limit_a < MIN_CURRENT_A:
            mistakes.add(
                node.line,
                f'node {node.name}: limit_a {node.limit_a:g} A cannot carry the minimum of one connector; '
                f'write at least {MIN_CURRENT_A:g}.',
            )
        if node.limit_w is not None and node.limit_w < watts:
            mistakes.add(
                node.line,
                f'node {node.name}: limit_w {node.limit_w:g} W cannot carry the minimum of one connector; '
                f'write at least {watts:g}.',
            )
        if node.meter is not None and node.limit_a is not None and node.safe_limit_a > node.limit_a:
            mistakes.add(
                node.line,
                f'node {node.name}: safe_limit_a {node.safe_limit_a:g} A is above limit_a; write the current '
                'that is safe while the meter is silent.',
            )


def _with_connectors(site: Site) -> Iterator[tuple[TreeNode, list[Connector]]]:
    """Yield each node with the connectors below it; names that do not exist were noted before."""
    known = {connector.name: connector for connector in site.connectors}
    for node in site.grid.walk():
        yield node, [known[name] for name in dict.fromkeys(node.all_connectors()) if name in known]


def _check_phases(site: Site, mistakes: Mistakes) -> None:
    for node, connectors in _with_connectors(site):
        for connector in connectors:
            missing = [phase for phase in connector.phases if phase not in node.phases]
            if missing and connector.name in node.connectors:
                mistakes.add(
                    connector.line,
                    f'connector {connector.name}: {", ".join(missing)} does not exist at node {node.name}; '
                    f'write some of: {", ".join(node.phases)}.',
                )


def _check_failsafe(site: Site, mistakes: Mistakes) -> None:
    """Note nodes that the fail-safe currents of their connectors together exceed."""
    for node, connectors in _with_connectors(site):
        start = f'node {node.name}: the failsafe_current_a of its connectors add up to'
        for phase, current in _failsafe_currents(connectors).items():
            if current > node.lowest_limit_a + EPSILON:
                mistakes.add(
                    node.line,
                    f'{start} {current:g} A on {phase}, above its lowest limit of {node.lowest_limit_a:g} A; '
                    'lower them, 0 pauses.',
                )
        total = sum(each.failsafe_current_a * len(each.phases) for each in connectors)
        power = total * site.nominal_voltage_v
        if power > node.lowest_limit_w + EPSILON:
            mistakes.add(
                node.line,
                f'{start} {power:g} W, above its lowest limit of {node.lowest_limit_w:g} W; lower them, '
                '0 pauses.',
            )


def _failsafe_currents(connectors: list[Connector]) -> dict[Phase, float]:
    currents = dict.fromkeys(Phase, 0.0)
    for connector in connectors:
        for phase in connector.phases:
            currents[phase] += connector.failsafe_current_a
    return currents


def _check_unique(site: Site, mistakes: Mistakes) -> None:
    """Note ports and identifications that two connectors have."""
    ports: dict[tuple[str, str], str] = {}
    ids: dict[str, str] = {}
    for connector in site.connectors:
        meter_port = dict(connector.board_parameters).get('meter_port', '')
        used = {port for port in (connector.port, meter_port) if port}
        for port in sorted(used):
            other = ports.setdefault((connector.host, port), connector.name)
            if other != connector.name:
                mistakes.add(
                    connector.line,
                    f'connector {connector.name}: {port} is the port of {other} already; write its own.',
                )
        other = ids.setdefault(connector.evse_id, connector.name)
        if other != connector.name:
            mistakes.add(
                connector.line,
                f'connector {connector.name}: {other} has the evse_id {connector.evse_id} already; write its '
                'own.',
            )
