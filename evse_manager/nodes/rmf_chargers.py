"""
Chargers as Open-RMF sees them: which robot a charger is assigned to, and the state of each.

Pure; the node is ``rmf_bridge.py``.  The numbers of the states are those of
``rmf_charger_msgs/ChargerState``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from evse_manager.interface.enums import Availability, ChargerState, LinkState
from evse_manager.interface.types import EvseStatus

ROBOTS_MAX = 1000
"""Most robots whose assignments are remembered."""

NAME_LENGTH = 100
"""Longest name of a fleet, robot or waypoint."""

SILENT_S = 5.0
"""A connector whose status (1 Hz) is missing for this long does not report."""


class RmfState(IntEnum):
    """``state`` of ``rmf_charger_msgs/ChargerState``."""

    IDLE = 1
    ASSIGNED = 2
    CHARGING = 3
    RELEASED = 4
    ERROR = 200


class Mode(IntEnum):
    """``mode`` of ``rmf_fleet_msgs/ChargingAssignment``."""

    CHARGE = 0
    WAIT = 1


@dataclass(frozen=True, slots=True)
class Robot:
    """A robot by its names in Open-RMF."""

    fleet: str = ''
    name: str = ''


@dataclass(frozen=True, slots=True)
class Charger:
    """The state of a charger; ``request_id`` is the session's uuid, ``error`` is empty unless in ERROR."""

    state: RmfState
    error: str = ''
    request_id: str = ''
    robot: Robot = Robot()


class Assignments:
    """The newest assignment of each robot; a message that names a robot again replaces its old one."""

    def __init__(self) -> None:
        self._waypoints: dict[Robot, str] = {}

    def take(self, fleet: str, assignments: Iterable[tuple[str, str, int]]) -> str:
        """
        Take the assignments of a fleet: robot, waypoint and mode.

        Return why some of them are ignored, in one sentence; empty when none is.
        """
        ignored = ''
        for name, waypoint, mode in assignments:
            robot = Robot(fleet, name)
            if max(map(len, (fleet, name, waypoint))) > NAME_LENGTH or not (name and waypoint):
                ignored = f'A charging assignment needs names of 1 to {NAME_LENGTH} characters.'
            elif mode not in tuple(Mode):
                ignored = f'A charging assignment has the unknown mode {mode}.'
            elif robot not in self._waypoints and len(self._waypoints) >= ROBOTS_MAX:
                ignored = f'More than {ROBOTS_MAX} robots have charging assignments.'
            else:
                self._waypoints.pop(robot, None)
                if mode == Mode.CHARGE:
                    self._waypoints[robot] = waypoint
        return ignored

    def robot_at(self, waypoint: str) -> Robot | None:
        """Return the robot that is assigned to a waypoint to charge; of several the newest."""
        return next((robot for robot, at in reversed(self._waypoints.items()) if at == waypoint), None)


def charger(status: EvseStatus | None, seen_s: float, robot: Robot | None) -> Charger:
    """Return the state of a charger from its newest status, which is ``seen_s`` seconds old."""
    assigned = robot or Robot()
    if status is None or seen_s >= SILENT_S:
        return Charger(RmfState.ERROR, 'The connector does not report; check its manager.', '', assigned)
    session = status.session_uuid
    if (
        status.active_errors
        or status.availability is not Availability.ENABLED
        or status.link_state is LinkState.LOST
    ):
        return Charger(RmfState.ERROR, status.reason_text, session, assigned)
    if status.transaction_active:
        return Charger(RmfState.CHARGING, '', session, assigned)
    if status.state is ChargerState.FINISHED:
        return Charger(RmfState.RELEASED, '', session, assigned)
    if robot is not None or status.plugged or status.authorized:
        return Charger(RmfState.ASSIGNED, '', session, assigned)
    return Charger(RmfState.IDLE)
