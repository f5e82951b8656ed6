"""The tree that the energy manager divides, from a site."""

import math

from evse_manager.depot.site import Measures, Phase, Site, TreeNode
from evse_manager.energy import tree
from evse_manager.energy.tree import ConnectorSpec, FuseSpec, MeterSpec, ScheduleStep, SiteTree

PHASES = {Phase.L1: 0, Phase.L2: 1, Phase.L3: 2}
MEASURES = {Measures.HOUSE_LOAD: tree.MeteredQuantity.HOUSE_LOAD, Measures.TOTAL: tree.MeteredQuantity.TOTAL}


def energy_tree(site: Site) -> SiteTree:
    """Return the tree of a site; raises TreeError."""
    parents = {name: node.name for node in site.grid.walk() for name in node.connectors}
    above = {child.name: node.name for node in site.grid.walk() for child in node.nodes}
    return SiteTree(
        site.name,
        tuple(_fuse(node, above.get(node.name, '')) for node in site.grid.walk()),
        tuple(
            ConnectorSpec(
                name=connector.name,
                uuid=connector.namespace,
                parent=parents[connector.name],
                phases=tuple(PHASES[phase] for phase in connector.phases),
                max_current_a=connector.max_current_a,
                failsafe_current_a=connector.failsafe_current_a,
                priority=connector.priority,
                weight=connector.weight,
            )
            for connector in site.connectors
        ),
        site.nominal_voltage_v,
    )


def _fuse(node: TreeNode, parent: str) -> FuseSpec:
    meter = node.meter
    return FuseSpec(
        name=node.name,
        parent=parent,
        limit_a=_or_infinite(node.limit_a),
        limit_w=_or_infinite(node.limit_w),
        phases=tuple(PHASES[phase] for phase in node.phases),
        safe_limit_a=node.safe_limit_a if meter is not None else 0.0,
        meter=None if meter is None else MeterSpec(meter.topic, meter.timeout_s, MEASURES[meter.measures]),
        schedule=tuple(
            ScheduleStep(entry.from_s, _or_infinite(entry.limit_a), _or_infinite(entry.limit_w))
            for entry in node.schedule
        ),
    )


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value
