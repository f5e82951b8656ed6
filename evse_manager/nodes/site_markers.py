"""
Markers of a site for RViz: ``visualization_msgs/MarkerArray`` on ``markers`` in the namespace of the site.

It listens to the status of each connector and takes part in nothing: it may fail or be missing without any
consequence for charging.  The site file is read again when it has changed.
"""

import math
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker as MarkerMessage
from visualization_msgs.msg import MarkerArray

from evse_manager.cli.monitor import Monitor
from evse_manager.depot.markers import Composer, Marker, Shape, SiteMarkersConfig
from evse_manager.depot.site import Site
from evse_manager.depot.site_file import SiteFileError, load_site
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party
from evse_manager.interface.types import EvseStatus
from evse_manager.nodes.conversions import ConversionError, from_message
from evse_manager.nodes.parameters import ParameterError
from evse_manager.nodes.runtime import LoopDeadline, run
from evse_manager.nodes.site_node import SiteNode
from evse_manager.nodes.topics import publisher, subscribe

GATHER_S = 0.5
"""Statuses that come within this time are published together."""
REPEAT_S = 2.0
"""Everything is published again after this; the file is looked at as often."""
LIFETIME_S = 6
"""RViz removes markers that were not published for this long, so that no marker outlives its node."""

TYPES = {
    Shape.CUBE: MarkerMessage.CUBE,
    Shape.LINE: MarkerMessage.LINE_STRIP,
    Shape.TEXT: MarkerMessage.TEXT_VIEW_FACING,
}
STATUS = endpoints.topic('status')


def to_message(marker: Marker, frame: str) -> MarkerMessage:
    """Return the message of a marker; its stamp is zero, so that RViz takes the newest transform."""
    message = MarkerMessage(ns=marker.namespace, id=marker.number)
    message.header.frame_id = frame
    message.pose.orientation.w = 1.0
    if marker.shape is Shape.NOTHING:
        message.action = MarkerMessage.DELETE
        return message
    message.action = MarkerMessage.ADD
    message.type = TYPES[marker.shape]
    message.lifetime.sec = LIFETIME_S
    x, y, z = map(float, marker.position)
    message.pose.position = Point(x=x, y=y, z=z)
    message.pose.orientation.z = math.sin(marker.yaw / 2)
    message.pose.orientation.w = math.cos(marker.yaw / 2)
    x, y, z = map(float, marker.size)
    message.scale = Vector3(x=x, y=y, z=z)
    red, green, blue, opacity = map(float, marker.colour)
    message.color = ColorRGBA(r=red, g=green, b=blue, a=opacity)
    message.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in marker.points]
    message.text = marker.text
    return message


class Messages:
    """The messages of markers; one that has not changed is the same as before."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, int], tuple[Marker, str, MarkerMessage]] = {}

    def array(self, markers: Iterable[Marker], frame: str) -> MarkerArray:
        """Return the message of all markers in a frame."""
        messages = []
        for marker in markers:
            key = (marker.namespace, marker.number)
            known = self._of.get(key)
            if known is None or known[:2] != (marker, frame):
                known = self._of[key] = (marker, frame, to_message(marker, frame))
            messages.append(known[2])
        return MarkerArray(markers=messages)


class SiteMarkers(SiteNode[SiteMarkersConfig]):
    """Publishes the markers of one site; RViz removes them by itself when it ends."""

    def __init__(self, **options: Any) -> None:
        """Read the site file; raises ParameterError."""
        super().__init__(Party.MARKERS.value, SiteMarkersConfig, **options)
        self.alarm = LoopDeadline(self._due)
        if not self._config.site_file:
            raise ParameterError('parameter site_file is empty; give the site file of the depot.')
        self._file = Path(self._config.site_file)
        self._monitor = Monitor()
        self._messages = Messages()
        self._composer = Composer(self._config)
        self._subscriptions: dict[str, Any] = {}
        self._publisher: Any = None
        self._state = self._file_state()
        try:
            self._site = load_site(self._file)
        except SiteFileError as error:
            raise ParameterError(f'parameter site_file: {error}') from error

    # --- life ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Listen to the connectors, and publish."""
        self._take(self._site)
        topic = f'{self._site.namespace.rstrip("/")}/{endpoints.MARKERS.name}'
        self._publisher = publisher(self.node, endpoints.MARKERS, topic)
        self._log.info(f'{len(self._site.connectors)} connectors of site {self._site.name} on {topic}.')
        self._publish()

    # --- the site --------------------------------------------------------------------------------------

    def _file_state(self) -> tuple[int, int] | None:
        """Return what changes with the file's content; None = it can not be read."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def _look_at_file(self) -> None:
        state = self._file_state()
        if state is None or state == self._state:
            return
        self._state = state
        try:
            site = load_site(self._file)
        except SiteFileError as error:
            self._log.warning(f'The site stays as it was, its file has mistakes: {error}')
            return
        if site.namespace != self._site.namespace:
            self._log.warning('The namespace of the site has changed; start site_markers again.')
            return
        self._take(site)
        self._log.info(f'{self._file} has changed: {len(site.connectors)} connectors.')

    def _take(self, site: Site) -> None:
        self._site = site
        self._composer.take(site)
        wanted = {connector.namespace for connector in site.connectors}
        for namespace in set(self._subscriptions) - wanted:
            self.node.destroy_subscription(self._subscriptions.pop(namespace))
            self._monitor.bays.pop(namespace, None)
        for connector in site.connectors:
            if connector.namespace not in self._subscriptions:
                self._subscriptions[connector.namespace] = subscribe(
                    self.node,
                    STATUS,
                    self._guard(partial(self._on_status, connector.namespace)),
                    f'{connector.namespace}/{STATUS.name}',
                )

    # --- messages --------------------------------------------------------------------------------------

    def _on_status(self, namespace: str, message: Any) -> None:
        now = time.monotonic()
        try:
            self._monitor.status(namespace, from_message(message, EvseStatus), now)
        except ConversionError as error:
            self._monitor.garbled(namespace, f'status can not be understood: {error}', now)
        self.alarm.arm(min(self.alarm.at, now + GATHER_S))

    def _due(self) -> None:
        self._guard(self._publish)()
        if not self.finished:
            self.alarm.arm(time.monotonic() + REPEAT_S)

    def _publish(self) -> None:
        self._look_at_file()
        now = time.monotonic()
        markers = self._composer.compose(self._site, self._monitor.bays, now)
        self._publisher.publish(self._messages.array(markers, self._site.frame))
        self.alarm.arm(min(self.alarm.at, now + REPEAT_S))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(Party.MARKERS, SiteMarkers, args)
