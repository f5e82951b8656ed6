"""A site as text: the tree with the limits that follow from it, as ``depot --print`` shows it."""

import math
from collections.abc import Iterator

from evse_manager.depot.site import Connector, ScheduleEntry, Site, TreeNode


def site_lines(site: Site) -> Iterator[str]:
    """Yield the lines of a site: its head, its tree, its machines, who may charge."""
    yield f'{site.name}: {len(site.connectors)} connectors in {site.namespace}, {site.nominal_voltage_v:g} V'
    yield from _node_lines(site, site.grid, '', '', math.inf)
    hosts = ', '.join(
        f'{host} ({len(site.connectors_of(host))} connectors{", energy manager" * site.is_main(host)})'
        for host in site.hosts()
    )
    if hosts:
        others = '' if site.host else f'; a machine of another name: {len(site.connectors_of(""))} connectors'
        yield f'machines: {hosts}{others}'
    rights = site.authorization
    yield (
        f'authorization: {len(rights.tokens)} tokens, a plug within {rights.connection_timeout_s:g} s; '
        f'without a token: {", ".join(rights.plug_and_go) or "no connector"}'
    )


def _node_lines(site: Site, node: TreeNode, first: str, rest: str, above_a: float) -> Iterator[str]:
    """Yield a node and what is below it; ``above_a`` is the lowest limit of the nodes above."""
    own_a = node.limit_a if node.limit_a is not None else math.inf
    yield f'{first}{node.name}: {"; ".join(_limits(site, node, own_a, above_a))}'
    children: list[TreeNode | Connector] = [*node.nodes, *(site.connector(name) for name in node.connectors)]
    for child in children:
        last = child is children[-1]
        branch, stem = ('└─ ', '   ') if last else ('├─ ', '│  ')
        if isinstance(child, TreeNode):
            yield from _node_lines(site, child, rest + branch, rest + stem, min(own_a, above_a))
        else:
            yield f'{rest}{branch}{_connector(site, child, min(own_a, above_a))}'


def _limits(site: Site, node: TreeNode, own_a: float, above_a: float) -> Iterator[str]:
    own = _limit(node.limit_a, node.limit_w) or 'no limit of its own'
    yield f'{own} on {" ".join(node.phases)}'
    if above_a < own_a:
        yield f'{above_a:g} A follow from the nodes above'
    demand_a = max(
        sum(
            connector.max_current_a
            for connector in map(site.connector, node.all_connectors())
            if phase in connector.phases
        )
        for phase in node.phases
    )
    shared = 'shared' if demand_a > min(own_a, above_a) else 'enough for all'
    yield f'connectors below take up to {demand_a:g} A ({shared})'
    if node.schedule:
        yield ', '.join(map(_scheduled, node.schedule))
    if node.meter is not None:
        yield (
            f'{node.meter.measures} measured on {node.meter.topic}, {node.safe_limit_a:g} A after '
            f'{node.meter.timeout_s:g} s of silence'
        )


def _limit(limit_a: float | None, limit_w: float | None) -> str:
    """Return a limit for people; empty = none."""
    amperes = f'{limit_a:g} A per phase' if limit_a is not None else ''
    watts = f'{limit_w:g} W' if limit_w is not None else ''
    return ' and '.join(filter(None, (amperes, watts)))


def _scheduled(entry: ScheduleEntry) -> str:
    hours, minutes = divmod(entry.from_s // 60, 60)
    return f'{_limit(entry.limit_a, entry.limit_w)} from {hours:02d}:{minutes:02d}'


def _connector(site: Site, connector: Connector, above_a: float) -> str:
    facts = [
        f'at most {min(connector.max_current_a, above_a):g} A on {" ".join(connector.phases)}',
        f'{connector.failsafe_current_a:g} A without the energy manager'
        if connector.failsafe_current_a
        else 'pauses without the energy manager',
        ' '.join(filter(None, (connector.driver, connector.port))),
    ]
    if connector.priority:
        facts.append(f'priority {connector.priority}')
    if connector.weight != 1.0:
        facts.append(f'weight {connector.weight:g}')
    if connector.host:
        facts.append(f'on machine {connector.host}')
    return f'{connector.name}: {"; ".join(facts)}'
