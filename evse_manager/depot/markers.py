"""
A site in three dimensions: the bays with their cables, power and reasons, as markers of RViz.

Pure: a site and what is known of its connectors in, ``Marker`` values out. ``nodes/site_markers.py`` makes
messages of them. All lengths are in metres, in the frame of the site. A pose of the site file is the middle
of a bay; its charger stands at the end that its negative y axis points to.
"""

import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from evse_manager.cli import formatting
from evse_manager.cli.kinds import kind_of
from evse_manager.cli.monitor import ConnectorView
from evse_manager.cli.views import reason, state_word
from evse_manager.depot.site import Connector, Site
from evse_manager.interface.appearance import COLOURS, StateKind
from evse_manager.interface.parameters import parameter
from evse_manager.interface.text import printable

Point = tuple[float, float, float]


class Shape(Enum):
    """Action on a marker: draw it, or remove it."""

    CUBE = 'cube'
    LINE = 'line'
    TEXT = 'text'
    NOTHING = 'nothing'


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker; namespace and number identify it."""

    namespace: str
    number: int
    shape: Shape
    position: Point = (0.0, 0.0, 0.0)
    """Its middle; for a line, the origin of the points."""
    yaw: float = 0.0
    """[rad]"""
    size: Point = (0.0, 0.0, 0.0)
    """Lengths along its own axes; of a line, x is the width; of a text, z is the height of a letter."""
    colour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    """Red, green, blue, opacity, 0..1."""
    points: tuple[Point, ...] = ()
    text: str = ''


@dataclass(frozen=True, slots=True)
class SiteMarkersConfig:
    """Parameters of the ``site_markers`` node."""

    site_file: str = parameter('', 'The site file (docs/depot.md).')
    bay_width_m: float = parameter(2.5, 'Width of a bay.', unit='m', minimum=0.2, maximum=20.0)
    bay_length_m: float = parameter(5.0, 'Length of a bay.', unit='m', minimum=0.2, maximum=40.0)


NAMESPACES = ('bay', 'charger', 'vehicle', 'cable', 'power', 'limit', 'label')
"""Each connector has one marker of each; in RViz they can be switched on and off."""

FLOOR_M = 0.02
POST_M = (0.3, 0.2, 1.4)
BAR_M = 0.22
"""Width and depth of the bar of the power."""
BAR_HEIGHT_M = 2.0
"""Height of the bar at the highest power of the connector."""
LEAST_BAR_M = 0.02
CABLE_M = 0.07
CABLE_POINTS = 9
CABLE_SAG_M = 0.5
LABEL_M = 0.2
LABEL_COLUMNS, LABEL_LINES = 24, 5
"""A label is as wide as a bay, so that those of neighbours do not cover each other."""
GREY = (0.35, 0.35, 0.38)
DARK = (0.15, 0.15, 0.15)


def coloured(kind: StateKind, opacity: float) -> tuple[float, float, float, float]:
    """Return the colour of a kind of states."""
    red, green, blue = COLOURS[kind]
    return red / 255, green / 255, blue / 255, opacity


@dataclass(frozen=True, slots=True)
class Bay:
    """Where a bay is, and how large."""

    connector: Connector
    config: SiteMarkersConfig

    def at(self, x: float, y: float, z: float) -> Point:
        """Return a point of the bay's own axes in the frame of the site."""
        origin_x, origin_y, yaw = self.connector.pose
        cosine, sine = math.cos(yaw), math.sin(yaw)
        return origin_x + cosine * x - sine * y, origin_y + sine * x + cosine * y, z

    @property
    def yaw(self) -> float:
        """Direction of the bay's x axis [rad]."""
        return self.connector.pose[2]

    @property
    def end(self) -> float:
        """Where the charger stands, on the bay's y axis."""
        return -self.config.bay_length_m / 2

    @property
    def scale(self) -> float:
        """How large a vehicle is beside one that fits a bay of 2.5 m by 5 m, in height, too."""
        return min(1.0, self.config.bay_width_m / 2.5, self.config.bay_length_m / 5.0)


def cable(bay: Bay) -> tuple[Point, ...]:
    """Return the line from the charger to the vehicle, which sags in between."""
    post = 1.1 * bay.scale
    inlet = 0.8 * bay.scale
    begin, finish = (0.0, bay.end + 0.1, post), (0.35 * bay.config.bay_width_m * 0.5, bay.end * 0.55, inlet)
    points = []
    for step in range(CABLE_POINTS):
        part = step / (CABLE_POINTS - 1)
        x, y, z = (a + (b - a) * part for a, b in zip(begin, finish))
        sag = CABLE_SAG_M * bay.scale * 4 * part * (1 - part)
        points.append(bay.at(x, y, max(0.05, z - sag)))
    return tuple(points)


def highest_power_w(connector: Connector, voltage_v: float) -> float:
    """Return the power at the highest current of a connector."""
    return max(1.0, connector.max_current_a * voltage_v * len(connector.phases))


def label(view: ConnectorView, connector: Connector, kind: StateKind, now: float) -> str:
    """Return name, state and power, and the reason in lines that fit beside the others."""
    status = view.status
    parts = [connector.name]
    if status is None or kind is StateKind.SILENT:
        parts.append('silent')
    else:
        parts.append(state_word(status))
        if status.power_w:
            parts.append(formatting.power(status.power_w))
    why = printable(reason(view, now).plain)
    lines = textwrap.wrap(why, LABEL_COLUMNS, max_lines=LABEL_LINES, placeholder=' ...')
    return '\n'.join([printable(', '.join(parts)), *lines])


def markers_of(bay: Bay, number: int, view: ConnectorView, voltage_v: float, now: float) -> Iterator[Marker]:
    """Yield the markers of one connector, one in each of ``NAMESPACES``."""
    connector, config, status = bay.connector, bay.config, view.status
    kind = kind_of(view, now)
    known = status if kind is not StateKind.SILENT else None
    yield Marker(
        'bay', number, Shape.CUBE, bay.at(0.0, 0.0, FLOOR_M / 2), bay.yaw,
        (config.bay_width_m, config.bay_length_m, FLOOR_M), coloured(kind, 0.75),
    )  # fmt: skip
    width, depth, height = (length * bay.scale for length in POST_M)
    yield Marker(
        'charger', number, Shape.CUBE, bay.at(0.0, bay.end, height / 2), bay.yaw, (width, depth, height),
        (*GREY, 1.0),
    )  # fmt: skip
    if known is not None and known.plugged:
        body = (0.72 * config.bay_width_m, 0.8 * config.bay_length_m, 1.3 * bay.scale)
        yield Marker(
            'vehicle', number, Shape.CUBE, bay.at(0.0, 0.07 * config.bay_length_m, 0.3 + body[2] / 2),
            bay.yaw, body, (0.75, 0.75, 0.78, 0.55),
        )  # fmt: skip
        yield Marker(
            'cable', number, Shape.LINE, size=(CABLE_M * bay.scale, 0.0, 0.0),
            colour=coloured(kind, 1.0) if kind is StateKind.CHARGING else (*DARK, 1.0), points=cable(bay),
        )  # fmt: skip
    else:
        yield Marker('vehicle', number, Shape.NOTHING)
        yield Marker('cable', number, Shape.NOTHING)
    yield from _bar(bay, number, view, kind, voltage_v)
    yield Marker(
        'label', number, Shape.TEXT, bay.at(0.0, 0.1 * config.bay_length_m, 2.2 * bay.scale),
        size=(0.0, 0.0, LABEL_M * bay.scale), colour=(1.0, 1.0, 1.0, 1.0),
        text=label(view, connector, kind, now),
    )  # fmt: skip


def _bar(bay: Bay, number: int, view: ConnectorView, kind: StateKind, voltage_v: float) -> Iterator[Marker]:
    """Yield the bar of the power, and the plate at the height of the limit."""
    status = view.status
    if status is None or kind is StateKind.SILENT:
        yield Marker('power', number, Shape.NOTHING)
        yield Marker('limit', number, Shape.NOTHING)
        return
    full, top, side = BAR_HEIGHT_M * bay.scale, highest_power_w(bay.connector, voltage_v), BAR_M * bay.scale
    x = 0.38 * bay.config.bay_width_m
    part = min(1.0, abs(status.power_w or 0.0) / top)
    height = max(LEAST_BAR_M, full * part)
    yield Marker(
        'power', number, Shape.CUBE, bay.at(x, bay.end, height / 2), bay.yaw, (side, side, height),
        coloured(StateKind.CHARGING, 1.0),
    )  # fmt: skip
    limit = full * min(1.0, status.limit_a / max(1.0, bay.connector.max_current_a))
    yield Marker(
        'limit', number, Shape.CUBE, bay.at(x, bay.end, limit), bay.yaw, (2 * side, 2 * side, 0.03),
        coloured(StateKind.TROUBLE, 0.9),
    )  # fmt: skip


class Composer:
    """Markers of a whole site; numbers stay with their connectors, and what is gone is removed."""

    def __init__(self, config: SiteMarkersConfig) -> None:
        self._config = config
        self._numbers: dict[str, int] = {}
        self._removed: list[int] = []

    def take(self, site: Site) -> None:
        """Take a site; markers of connectors that it no longer has are removed from now on."""
        names = {connector.namespace for connector in site.connectors}
        gone = [name for name in self._numbers if name not in names]
        self._removed += [self._numbers.pop(name) for name in gone]
        free = max((*self._numbers.values(), *self._removed), default=-1) + 1
        for connector in site.connectors:
            if connector.namespace not in self._numbers:
                self._numbers[connector.namespace] = free
                free += 1

    def compose(self, site: Site, views: Mapping[str, ConnectorView], now: float) -> list[Marker]:
        """
        Return every marker of a site that was taken; ``views`` are by namespace.

        What was removed stays in the list: the newest list is all that a late reader gets, and an earlier one
        may have missed a list.
        """
        markers = [
            Marker(namespace, number, Shape.NOTHING) for number in self._removed for namespace in NAMESPACES
        ]
        for connector in site.connectors:
            view = views.get(connector.namespace) or ConnectorView(connector.namespace)
            bay, number = Bay(connector, self._config), self._numbers[connector.namespace]
            markers += markers_of(bay, number, view, site.nominal_voltage_v, now)
        return markers
