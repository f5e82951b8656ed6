"""
The values of a site: the content of a site file (docs/depot.md).

Lines of the file are kept for messages and do not count in comparisons: a connector equals another one when
both mean the same.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ROOT = 'grid'
"""Name of the root of the tree."""

MIN_CURRENT_A = 6.0
"""Lowest current per phase that a control pilot can offer (IEC 61851-1, table A.8)."""


class Phase(StrEnum):
    """A phase of the site."""

    L1 = 'L1'
    L2 = 'L2'
    L3 = 'L3'


class Measures(StrEnum):
    """Quantity that a meter of the tree measures."""

    HOUSE_LOAD = 'house_load'
    """Everything below its node but the connectors."""
    TOTAL = 'total'
    """Everything below its node, the connectors included."""


@dataclass(frozen=True, slots=True)
class NodeMeter:
    """A meter at a node of the tree."""

    topic: str
    """Topic of ``evse_manager/msg/Powermeter``; absolute, or relative to the namespace of the site."""
    timeout_s: float
    """Silence after which the safe limit of the node applies [s]."""
    measures: Measures


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """A limit from a time of day on, until the next entry; the last one lasts until the first one."""

    from_s: int
    """Seconds after midnight, wall time of the site."""
    limit_a: float | None
    """Per phase [A]; None = no such limit."""
    limit_w: float | None
    """Of all phases together [W]; None = no such limit."""


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A fuse or a distribution board; the lowest of its limits applies."""

    name: str
    limit_a: float | None
    """Per phase [A]; None = no such limit."""
    limit_w: float | None
    """Of all phases together [W]; None = no such limit."""
    phases: tuple[Phase, ...]
    safe_limit_a: float
    """Per phase, for everything below, while the meter is silent [A]; meaningless without a meter."""
    meter: NodeMeter | None
    schedule: tuple[ScheduleEntry, ...]
    """In ascending order of time."""
    nodes: 'tuple[TreeNode, ...]'
    """The nodes directly below."""
    connectors: tuple[str, ...]
    """The names of the connectors directly below."""
    line: int = field(default=0, compare=False)

    def walk(self) -> 'Iterator[TreeNode]':
        """Yield this node and all below, parents first."""
        yield self
        for node in self.nodes:
            yield from node.walk()

    def all_connectors(self) -> Iterator[str]:
        """Yield the names of the connectors below, directly or not."""
        for node in self.walk():
            yield from node.connectors

    @property
    def lowest_limit_a(self) -> float:
        """Return the lowest current per phase that the node may ever be limited to [A]; infinity = none."""
        limits = (self.limit_a, *(entry.limit_a for entry in self.schedule))
        safe = (self.safe_limit_a,) if self.meter is not None else ()
        return min((*(each for each in limits if each is not None), *safe), default=math.inf)

    @property
    def lowest_limit_w(self) -> float:
        """Return the lowest power that the node may ever be limited to [W]; infinity = none."""
        limits = (self.limit_w, *(entry.limit_w for entry in self.schedule))
        return min((each for each in limits if each is not None), default=math.inf)


@dataclass(frozen=True, slots=True)
class Connector:
    """One connector of the site."""

    name: str
    namespace: str
    """Fully qualified namespace of its nodes: the ``uuid`` of its energy messages."""
    host: str
    """Machine that starts it; empty = the main one."""
    driver: str
    """Name of the board's driver."""
    port: str
    """Serial port of the board; empty = none."""
    phases: tuple[Phase, ...]
    """The phases of the site that its L1, L2, L3 are connected to; one or three."""
    max_current_a: float
    """Most current per phase [A]."""
    failsafe_current_a: float
    """Current per phase that it charges with while the energy manager is silent [A]; 0 = pause."""
    priority: int
    """Higher is served first."""
    weight: float
    """Share of what is left after the minima."""
    evse_id: str
    pose: tuple[float, float, float]
    """x [m], y [m] and yaw [rad] in the frame of the site."""
    manager_parameters: tuple[tuple[str, Any], ...]
    """All parameters of its manager that differ from their defaults, by name."""
    board_parameters: tuple[tuple[str, Any], ...]
    """All parameters of its board node that differ from their defaults, by name."""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the site knows."""

    id_token: str
    parent: str
    """Group of tokens; empty = none."""
    connectors: tuple[str, ...] | None
    """Connectors it may charge at; None = all."""
    priority: int
    expires_ns: int | None
    """UTC in nanoseconds; None = never."""
    valid_from_ns: int | None = None
    """UTC in nanoseconds; None = always."""
    enabled: bool = True
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Authorization:
    """Who may charge."""

    connection_timeout_s: float
    """How long an authorization waits for a plug [s]."""
    tokens: tuple[Token, ...]
    plug_and_go: tuple[str, ...]
    """Connectors that need no token."""


@dataclass(frozen=True, slots=True)
class Site:
    """A whole site."""

    name: str
    namespace: str
    """Absolute namespace of the energy manager; connectors are below it."""
    nominal_voltage_v: float
    frame: str
    host: str
    """Machine of the energy manager and of connectors without a host; empty = not named."""
    grid: TreeNode
    connectors: tuple[Connector, ...]
    authorization: Authorization

    def connector(self, name: str) -> Connector:
        """Return a connector by its name; raises KeyError."""
        for connector in self.connectors:
            if connector.name == name:
                return connector
        raise KeyError(name)

    def is_main(self, host: str) -> bool:
        """
        Return whether a machine starts the energy manager and the connectors that name no host.

        That is the machine that ``site: host:`` names; without it, one that no connector names.
        """
        if self.host:
            return host == self.host
        return all(connector.host != host for connector in self.connectors)

    def connectors_of(self, host: str) -> tuple[Connector, ...]:
        """Return the connectors that a machine starts."""
        main = self.is_main(host)
        return tuple(
            connector
            for connector in self.connectors
            if connector.host == host or (main and not connector.host)
        )

    def hosts(self) -> tuple[str, ...]:
        """Return the machines that the file names, in its order."""
        named = (self.host, *(connector.host for connector in self.connectors))
        return tuple(dict.fromkeys(host for host in named if host))
