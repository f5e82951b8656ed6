"""
Open-RMF: ``charging_assignments`` in, ``charger_states`` out, for the connectors of a site.

The message packages of Open-RMF are optional: without them the node says in one sentence what is missing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from evse_manager.interface import endpoints
from evse_manager.interface.parameters import parameter
from evse_manager.interface.text import printable
from evse_manager.interface.types import EvseStatus
from evse_manager.nodes.conversions import ConversionError, from_message, time_to_message
from evse_manager.nodes.found_connectors import connectors_below
from evse_manager.nodes.parameters import ParameterError
from evse_manager.nodes.qos import EVENTS, STREAM
from evse_manager.nodes.rmf_chargers import SILENT_S, Assignments, Charger, charger
from evse_manager.nodes.runtime import NodeTime, run, steady_clock
from evse_manager.nodes.site_node import SiteNode
from evse_manager.nodes.topics import subscribe

NAME = 'rmf_bridge'
PERIOD_S = 1.0
"""How often connectors are looked for and every state is published."""

ASSIGNMENTS, STATES = 'charging_assignments', 'charger_states'


@dataclass(frozen=True, slots=True)
class RmfBridgeConfig:
    """Parameters of the ``rmf_bridge`` node."""

    chargers: str = parameter(
        '',
        'Names of chargers in Open-RMF where they are not the last part of the namespace, as '
        'waypoint=connector separated by commas.',
    )


@dataclass(slots=True)
class Reported:
    """Last report of a connector (or when it was found), and what was published of it."""

    status: EvseStatus | None = None
    at: float = 0.0
    shown: Charger | None = None


class RmfBridge(SiteNode[RmfBridgeConfig]):
    """The bridge of one site."""

    def __init__(self, **options: Any) -> None:
        """Import the messages of Open-RMF, declare the parameters; raises ParameterError."""
        self._assignments_type, self._state_type = messages_of_rmf()
        super().__init__(NAME, RmfBridgeConfig, **options)
        self._names = charger_names(self._config.chargers, self._namespace)
        self._time = NodeTime(self.node)
        self._assignments = Assignments()
        self._reported: dict[str, Reported] = {}
        self._states = self.node.create_publisher(self._state_type, STATES, STREAM)

    def begin(self) -> None:
        """Listen to Open-RMF and to the connectors."""
        self.node.create_subscription(
            self._assignments_type, ASSIGNMENTS, self._guard(self._on_assignments), EVENTS
        )
        self.node.create_timer(PERIOD_S, self._guard(self._on_second), clock=steady_clock())
        self._on_second()

    def _on_second(self) -> None:
        status = endpoints.topic('status')
        for connector in connectors_below(self.node, self._namespace):
            if connector not in self._reported:
                self._reported[connector] = Reported(at=time.monotonic())
                on_status = self._guard(partial(self._on_status, connector))
                subscribe(self.node, status, on_status, f'{connector}/{status.name}')
        for connector in self._reported:
            self._publish(connector, always=True)

    def _on_status(self, connector: str, message: Any) -> None:
        try:
            status = from_message(message, EvseStatus)
        except ConversionError as error:
            text = f'A status of {connector} is dropped: {error}'
            self._log.warning(text, throttle_duration_sec=10.0)
            return
        reported = self._reported[connector]
        reported.status, reported.at = status, time.monotonic()
        self._publish(connector, always=False)

    def _on_assignments(self, message: Any) -> None:
        assignments = [(each.robot_name, each.waypoint_name, each.mode) for each in message.assignments]
        ignored = self._assignments.take(message.fleet_name, assignments)
        if ignored:
            self._log.warning(printable(ignored), throttle_duration_sec=10.0)
        for connector in self._reported:
            self._publish(connector, always=False)

    def _publish(self, connector: str, *, always: bool) -> None:
        reported, now = self._reported[connector], time.monotonic()
        if reported.status is None and now < reported.at + SILENT_S:
            return  # it has only just been found
        name = self._names.get(connector, connector.rsplit('/', 1)[-1])
        state = charger(reported.status, now - reported.at, self._assignments.robot_at(name))
        if not always and state == reported.shown:
            return
        reported.shown = state
        message = self._state_type()
        message.charger_time = time_to_message(self._time.wall())
        message.state = int(state.state)
        message.charger_name = name
        message.error_message = state.error
        message.request_id = state.request_id
        message.robot_fleet, message.robot_name = state.robot.fleet, state.robot.name
        self._states.publish(message)


def messages_of_rmf() -> tuple[Any, Any]:
    """Return ``ChargingAssignments`` and ``ChargerState``; raises ParameterError where they are missing."""
    try:
        from rmf_charger_msgs.msg import ChargerState  # noqa: PLC0415 - optional packages
        from rmf_fleet_msgs.msg import ChargingAssignments  # noqa: PLC0415
    except ImportError as error:
        raise ParameterError(
            'the bridge to Open-RMF needs its message packages rmf_charger_msgs and rmf_fleet_msgs; '
            f'install and source them ({error}).'
        ) from error
    return ChargingAssignments, ChargerState


def charger_names(text: str, namespace: str) -> dict[str, str]:
    """Return the name in Open-RMF by connector; raises ParameterError."""
    names: dict[str, str] = {}
    for each in filter(None, (part.strip() for part in text.split(','))):
        name, equals, connector = (part.strip() for part in each.partition('='))
        if not (name and equals and connector) or name in names.values():
            raise ParameterError(
                f'parameter chargers has {each!r}, but must be pairs waypoint=connector, each waypoint once.'
            )
        absolute = connector if connector.startswith('/') else f'{namespace.rstrip("/")}/{connector}'
        names[absolute] = name
    return names


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(NAME, RmfBridge, args)
