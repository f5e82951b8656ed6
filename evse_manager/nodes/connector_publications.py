"""What the manager of a connector gives, as messages on the connector's topics and lines in its log."""

import os
from collections.abc import Callable, Sequence

from rclpy.node import Node

from evse_manager.charging.battery_state import BatteryState, battery_state
from evse_manager.charging.kernel import Output
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Topic
from evse_manager.interface.enums import ChargerState
from evse_manager.interface.types import BoardCommand, EVInfo, EvseStatus, SessionEvent
from evse_manager.nodes import diagnostics
from evse_manager.nodes.connector_log import ConnectorLog, write
from evse_manager.nodes.conversions import battery_to_message, bool_to_message, to_message
from evse_manager.nodes.diagnostics import Digest, Part
from evse_manager.nodes.publishers import Publishers

HLC_PUBLISHED = 'hlc/certificate_response'


class ConnectorPublications(Publishers):
    """The publishers of one connector's manager."""

    def __init__(self, node: Node, topics: Sequence[Topic], journal: ConnectorLog) -> None:
        """Create one publisher for each topic; ``journal`` makes the lines of the log."""
        super().__init__(node, topics)
        self._namespace: str = node.get_namespace()
        self._log = node.get_logger()
        self._journal = journal
        self._command = to_message(BoardCommand())
        self._ready = False
        self._battery: BatteryState | None = None
        self._digest: Digest | None = None

    def command(self, command: BoardCommand, *, renewal: bool) -> None:
        """Publish a command to the board; a renewal reuses the message before it."""
        if renewal:
            self._command.manager_id = command.manager_id
            self._command.sequence_number = command.sequence_number
            self._command.board_id = command.board_id
        else:
            self._command = to_message(command)
        self.relay('board/command', self._command)
        if not renewal:
            os.sched_yield()  # a board node that this has woken on the same processor acts first

    def output(self, output: Output) -> None:
        """Publish the values of a step."""
        for name, value in (
            ('limits', output.limits),
            ('ev_info', output.ev_info),
            ('car_manufacturer', output.car_manufacturer),
            ('hw_capabilities', output.hw_capabilities),
            ('supported_energy_transfer_modes', output.energy_transfer_modes),
            ('enforced_limits', output.enforced_limits),
            ('powermeter', output.powermeter),
            (HLC_PUBLISHED, output.certificate_response),
        ):
            if value is not None:
                self.publish(name, value)

    def events(self, events: Sequence[SessionEvent]) -> None:
        """Publish and log session events."""
        for event in events:
            self.publish('session_event', event)
            write(self._log, self._journal.event(event))

    def in_command(self, in_command: bool) -> None:
        """Log when another manager has taken the command."""
        for line in self._journal.in_command(in_command):
            write(self._log, line)

    def status(self, status: EvseStatus, ev: EVInfo, *, periodic: bool) -> None:
        """Publish the status, and what follows from it when that changed or the status is ``periodic``."""
        self.publish('status', status)
        for line in self._journal.status(status):
            write(self._log, line)
        if not self._ready and status.state is not ChargerState.STARTING:
            self._ready = True
            self.relay('ready', bool_to_message(True))
        battery = battery_state(status, ev)
        if periodic or battery != self._battery:
            self._battery = battery
            self.relay('battery_state', battery_to_message(battery, status.stamp))

    def diagnostics(
        self, status: EvseStatus, parts: Callable[[EvseStatus], list[Part]], *, periodic: bool
    ) -> None:
        """Publish what ``parts`` returns, when its sentences changed or the status is ``periodic``."""
        topic = endpoints.DIAGNOSTICS.name
        if not self.listened_to(topic):
            return
        found = parts(status)
        news = diagnostics.digest(found)
        if periodic or news != self._digest:
            self._digest = news
            self.relay(topic, diagnostics.array(self._namespace, found, status.stamp))
