"""
The electrical tree of a site: grid connection, feeders (fuses) and connectors.

Limits are amperes per phase and watts over all phases; an absent limit is infinite.  Phases are numbered 0,
1, 2 for L1, L2, L3 of the grid connection.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from evse_manager.interface.pilot import MAXIMUM_CURRENT_A, MINIMUM_CURRENT_A

PHASE_NAMES = ('L1', 'L2', 'L3')


class TreeError(ValueError):
    """The site tree is not usable; the text names every mistake, one a line."""


class MeteredQuantity(IntEnum):
    """Quantity that the meter of a node measures."""

    HOUSE_LOAD = 1
    """Everything below the node except the connectors."""
    TOTAL = 2
    """Everything below the node, the connectors included."""


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """A meter at a node; after ``timeout_s`` seconds without a valid sample it counts as silent."""

    topic: str
    timeout_s: float = 5.0
    measures: MeteredQuantity = MeteredQuantity.HOUSE_LOAD


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """A limit from ``from_s`` (seconds after local midnight) until the next step, every day."""

    from_s: float
    limit_a: float = math.inf
    limit_w: float = math.inf


@dataclass(frozen=True, slots=True)
class FuseSpec:
    """
    A node with children: the grid connection (``parent`` empty) or a feeder.

    ``safe_limit_a`` and ``safe_limit_w`` are what the connectors below may use together while the node's
    meter is silent.
    """

    name: str
    parent: str = ''
    limit_a: float = math.inf
    limit_w: float = math.inf
    phases: tuple[int, ...] = (0, 1, 2)
    safe_limit_a: float = 0.0
    safe_limit_w: float = math.inf
    meter: MeterSpec | None = None
    schedule: tuple[ScheduleStep, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """
    A connector.

    ``uuid`` is its fully qualified namespace; ``phases`` lists the phase of the site on which its own L1,
    L2, L3 are connected.  ``failsafe_current_a`` is what it uses by itself when no grant is in force.
    """

    name: str
    uuid: str
    parent: str
    phases: tuple[int, ...] = (0, 1, 2)
    max_current_a: float = 32.0
    failsafe_current_a: float = 0.0
    priority: int = 0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SiteTree:
    """
    A whole site; the first fuse is the grid connection and parents stand before their children.

    ``time_zone`` is the IANA name in which schedules count; empty is the zone of the machine.  Raises
    TreeError with every mistake, among them failsafe currents that exceed a fuse.
    """

    name: str
    fuses: tuple[FuseSpec, ...]
    connectors: tuple[ConnectorSpec, ...]
    nominal_voltage_v: float = 230.0
    time_zone: str = ''

    def __post_init__(self) -> None:
        """Check names, parents, phases, numbers and failsafe currents."""
        problems = list(_problems(self))
        if not problems:
            problems = list(_failsafe_problems(self))
        if problems:
            raise TreeError('\n'.join(problems))


def _problems(tree: SiteTree) -> Iterator[str]:
    known: dict[str, FuseSpec] = {}
    if not tree.fuses:
        yield 'the site has no grid connection; give at least one node with a limit.'
    if not _in(tree.nominal_voltage_v, 80.0, 300.0):
        yield f'nominal_voltage_v is {tree.nominal_voltage_v}, but must lie in 80 to 300 V.'
    for index, fuse in enumerate(tree.fuses):
        if fuse.name in known:
            yield f'{fuse.name}: the name is used twice; give each node a name of its own.'
        if index == 0 and fuse.parent:
            yield f'{fuse.name}: the first node is the grid connection and has no parent.'
        if index > 0 and fuse.parent not in known:
            yield f'{fuse.name}: its parent {fuse.parent!r} is not listed before it.'
        yield from _fuse_problems(fuse, known.get(fuse.parent))
        known[fuse.name] = fuse
    names, uuids = set(known), set[str]()
    for connector in tree.connectors:
        if connector.name in names or connector.uuid in uuids:
            yield f'{connector.name}: its name or namespace is used twice.'
        names.add(connector.name)
        uuids.add(connector.uuid)
        parent = known.get(connector.parent)
        if parent is None:
            yield f'{connector.name}: its parent {connector.parent!r} does not exist.'
        yield from _connector_problems(connector, parent)


def _fuse_problems(fuse: FuseSpec, parent: FuseSpec | None) -> Iterator[str]:
    yield from _phase_problems(fuse.name, fuse.phases, parent)
    limits = {'limit_a': fuse.limit_a, 'limit_w': fuse.limit_w, 'safe_limit_a': fuse.safe_limit_a,
              'safe_limit_w': fuse.safe_limit_w}  # fmt: skip
    for key, value in limits.items():
        if not value >= 0.0:
            yield f'{fuse.name}: {key} is {value}, but must be a number of 0 or more.'
    if fuse.meter is not None and not _in(fuse.meter.timeout_s, 0.1, 3600.0):
        yield f'{fuse.name}: timeout_s of its meter is {fuse.meter.timeout_s}, but must lie in 0.1 to 3600 s.'
    previous = -1.0
    for step in fuse.schedule:
        if not previous < step.from_s < 86400.0:
            yield f'{fuse.name}: the steps of its schedule must rise from 00:00 to before 24:00.'
        if not (step.limit_a >= 0.0 and step.limit_w >= 0.0):
            yield f'{fuse.name}: a limit of its schedule is not a number of 0 or more.'
        previous = step.from_s


def _connector_problems(connector: ConnectorSpec, parent: FuseSpec | None) -> Iterator[str]:
    yield from _phase_problems(connector.name, connector.phases, parent)
    if not _in(connector.max_current_a, MINIMUM_CURRENT_A, MAXIMUM_CURRENT_A):
        yield f'{connector.name}: max_current_a is {connector.max_current_a}, but must lie in 6 to 80 A.'
    if not _in(connector.failsafe_current_a, 0.0, connector.max_current_a):
        yield (
            f'{connector.name}: failsafe_current_a is {connector.failsafe_current_a}, '
            'but must lie in 0 to max_current_a.'
        )
    if not _in(connector.weight, 0.001, 1000.0):
        yield f'{connector.name}: weight is {connector.weight}, but must lie in 0.001 to 1000.'


def _phase_problems(name: str, phases: tuple[int, ...], parent: FuseSpec | None) -> Iterator[str]:
    if not phases or len(set(phases)) != len(phases) or not set(phases) <= {0, 1, 2}:
        yield f'{name}: its phases must be one to three different ones of L1, L2, L3.'
    elif parent is not None and not set(phases) <= set(parent.phases):
        missing = ', '.join(PHASE_NAMES[phase] for phase in phases if phase not in parent.phases)
        yield f'{name}: {parent.name} above it does not carry {missing}.'


def _failsafe_problems(tree: SiteTree) -> Iterator[str]:
    parents = {fuse.name: fuse.parent for fuse in tree.fuses}
    amperes = {(fuse.name, phase): 0.0 for fuse in tree.fuses for phase in range(3)}
    watts = dict.fromkeys(parents, 0.0)
    for connector in tree.connectors:
        node = connector.parent
        while node:
            for phase in connector.phases:
                amperes[node, phase] += connector.failsafe_current_a
                watts[node] += connector.failsafe_current_a * tree.nominal_voltage_v
            node = parents[node]
    for fuse in tree.fuses:
        most = max(amperes[fuse.name, phase] for phase in range(3))
        if most > fuse.limit_a + 1e-9:
            yield (
                f'{fuse.name}: the failsafe currents below it add up to {most:g} A on one phase, '
                f'but it carries {fuse.limit_a:g} A; lower failsafe_current_a.'
            )
        if watts[fuse.name] > fuse.limit_w + 1e-6:
            yield (
                f'{fuse.name}: the failsafe currents below it add up to {watts[fuse.name]:g} W, '
                f'but it carries {fuse.limit_w:g} W; lower failsafe_current_a.'
            )


def _in(value: float, low: float, high: float) -> bool:
    """Return whether a number lies in the range; NaN does not."""
    return low <= value <= high


class Topology:
    """
    Indices over a tree, made once.

    A *constraint* is a phase of a fuse (``3 * fuse + phase``) or the power of a fuse (``3 * fuses + fuse``).
    """

    def __init__(self, tree: SiteTree) -> None:
        """Index a checked tree."""
        self.tree = tree
        self.fuse_count = len(tree.fuses)
        self.fuse_of = {fuse.name: index for index, fuse in enumerate(tree.fuses)}
        self.connector_of = {spec.uuid: index for index, spec in enumerate(tree.connectors)}
        self.parent_of = [self.fuse_of.get(fuse.parent, -1) for fuse in tree.fuses]
        paths: list[tuple[int, ...]] = []
        for index in range(self.fuse_count):
            parent = self.parent_of[index]
            paths.append((index, *paths[parent]) if parent >= 0 else (index,))
        self.path_of = [paths[self.fuse_of[spec.parent]] for spec in tree.connectors]
        """Per connector, its fuses from the nearest to the grid connection."""

    @property
    def constraint_count(self) -> int:
        """Number of constraints."""
        return 4 * self.fuse_count

    def current_constraint(self, fuse: int, phase: int) -> int:
        """Return the constraint of one phase of a fuse [A]."""
        return 3 * fuse + phase

    def power_constraint(self, fuse: int) -> int:
        """Return the constraint of the power of a fuse [W]."""
        return 3 * self.fuse_count + fuse

    def fuse_of_constraint(self, constraint: int) -> int:
        """Return the fuse to which a constraint belongs."""
        border = 3 * self.fuse_count
        return constraint // 3 if constraint < border else constraint - border

    def describe(self, constraint: int) -> str:
        """Return a constraint in words: the name of the fuse, and its phase or that it is the power."""
        name = self.tree.fuses[self.fuse_of_constraint(constraint)].name
        if constraint < 3 * self.fuse_count:
            return f'{name} ({PHASE_NAMES[constraint % 3]})'
        return f'{name} (power)'
