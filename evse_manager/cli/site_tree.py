"""The tree of a site as lines of text: limits, what is measured, granted and reserved, who waits and why."""

from collections.abc import Iterator

from evse_manager.cli.formatting import amperes, date_and_time, power
from evse_manager.interface.enums import GrantReason, LimitOrigin
from evse_manager.interface.types import Current, SiteConnectorStatus, SiteLimit, SiteNodeStatus, SiteStatus

ORIGINS = {
    LimitOrigin.FUSE: 'fuse',
    LimitOrigin.SCHEDULE: 'schedule',
    LimitOrigin.RUN_TIME: 'set',
    LimitOrigin.METER_SILENT: 'safe limit: its meter is silent',
}

WAITS = frozenset(GrantReason) - {
    GrantReason.UNSPECIFIED,
    GrantReason.NO_DEMAND,
    GrantReason.FULL,
    GrantReason.LIMITED,
}
"""Reasons that a connector needs words for; the others show in the numbers."""


def tree_lines(status: SiteStatus) -> Iterator[str]:
    """Yield nodes with their connectors, then the limits that were set at run time and the warnings."""
    for node in status.nodes:
        if not node.parent:
            yield from _node(status, node, '', '')
    for limit in status.limits:
        yield f'limit set: {limit_text(limit)}'
    for text in status.warnings:
        yield f'warning: {text}'


def limit_text(limit: SiteLimit) -> str:
    """Return a limit that was set at run time in words."""
    if limit.schedule:
        value = f'a schedule of {len(limit.schedule)} steps'
    else:
        value = ' and '.join(filter(None, (_or_empty(limit.limit_a), _watts(limit.limit_w))))
    until = f' until {date_and_time(limit.expires)}' if limit.expires else ''
    priority = f' with priority {limit.priority}' if limit.priority else ''
    return f'{value} at {limit.node} by {limit.source}{priority}{until}'


def _node(status: SiteStatus, node: SiteNodeStatus, first: str, rest: str) -> Iterator[str]:
    facts = [
        f'{_limits(node)}',
        f'measured {_phases(node.measured_a)}',
        f'granted {_phases(node.granted_a)}',
    ]
    if _most(node.reserve_a) > 0.0:
        facts.append(f'of that reserved {_phases(node.reserve_a)}')
    if _most(node.house_load_a) > 0.0:
        facts.append(f'house {_phases(node.house_load_a)}')
    if node.waiting:
        facts.append(f'{len(node.waiting)} waiting')
    yield f'{first}{node.name}: {"; ".join(facts)}'
    children: list[SiteNodeStatus | SiteConnectorStatus] = [
        *(each for each in status.nodes if each.parent == node.name),
        *(each for each in status.connectors if each.parent == node.name),
    ]
    for child in children:
        branch, stem = ('└─ ', '   ') if child is children[-1] else ('├─ ', '│  ')
        if isinstance(child, SiteNodeStatus):
            yield from _node(status, child, rest + branch, rest + stem)
        else:
            yield f'{rest}{branch}{_connector(child)}'


def _connector(connector: SiteConnectorStatus) -> str:
    if connector.reason is GrantReason.NO_DEMAND:
        return f'{connector.name}: asks for nothing'
    has = f'{amperes(connector.granted_a)} of {amperes(connector.wants_a)}'
    phases = f' on {connector.granted_phases} phases' if connector.granted_phases in (2, 3) else ''
    phases = ' on 1 phase' if connector.granted_phases == 1 else phases
    draws = f', draws {_phases(connector.measured_a)}' if _most(connector.measured_a) > 0.0 else ''
    binds = f'; limited by {connector.binding_node}' if connector.binding_node else ''
    priority = f'; priority {connector.priority}' if connector.priority else ''
    why = f'; {connector.reason_text}' if connector.reason in WAITS and connector.reason_text else ''
    return f'{connector.name}: {has}{phases}{draws}{binds}{priority}{why}'


def _limits(node: SiteNodeStatus) -> str:
    """Return the limits of a node, and whose they are."""
    shown = []
    if node.limit_a is not None:
        shown.append(f'{amperes(node.limit_a)} ({_whose(node.limit_a_origin, node.limit_a_source)})')
    if node.limit_w is not None:
        shown.append(f'{power(node.limit_w)} ({_whose(node.limit_w_origin, node.limit_w_source)})')
    return f'limit {" and ".join(shown)}' if shown else 'no limit of its own'


def _whose(origin: LimitOrigin, source: str) -> str:
    return source or ORIGINS.get(origin, 'unknown')


def _phases(current: Current) -> str:
    """Return the current of each phase, or the one that all have."""
    values = [value or 0.0 for value in (current.l1, current.l2, current.l3)]
    if max(values) - min(values) < 0.05:
        return amperes(values[0])
    return f'{"/".join(f"{value:.1f}" for value in values)} A'


def _most(current: Current) -> float:
    return max(value or 0.0 for value in (current.l1, current.l2, current.l3))


def _or_empty(value: float | None) -> str:
    return '' if value is None else amperes(value)


def _watts(value: float | None) -> str:
    return '' if value is None else power(value)
