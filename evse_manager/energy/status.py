"""What the energy manager says of itself: per node and per connector, what is granted and why not more."""

from dataclasses import dataclass
from enum import IntEnum

from evse_manager.energy.limits import LimitOrigin
from evse_manager.interface.types import Current, Time


class GrantReason(IntEnum):
    """Why a connector has the grant that it has (``SiteConnectorStatus.reason``)."""

    UNSPECIFIED = 0
    NO_DEMAND = 1
    """It asks for nothing."""
    FULL = 2
    """It has all that it asks for or has use for."""
    LIMITED = 3
    """It has less than it asks for: the binding node is full."""
    MINIMUM_DOES_NOT_FIT = 4
    """It waits: its minimum does not fit into the binding node."""
    TURN_OF_OTHERS = 5
    """It waits for its turn: not all minima fit at once."""
    MINIMUM_PAUSE = 6
    """It waits for the end of its minimum off-time."""
    REDUCTIONS_PENDING = 7
    """It waits until other connectors have followed their reductions."""
    STARTING = 8
    """The energy manager has just started and gives no increase yet."""
    SILENT = 9
    """It is not heard; what it may still use is reserved."""
    CONTACTOR_UNKNOWN = 10
    """Its contactor is unknown; its last grant stays reserved."""
    NOT_FOLLOWING = 11
    """It did not follow a reduction, and its grant was withdrawn."""
    OVERDRAW = 12
    """It draws more than granted; what it draws is reserved."""
    REQUEST_REFUSED = 13
    """Its newest request makes no sense."""
    BELOW_MINIMUM = 14
    """A limit of the connector itself is below its minimum."""


WAITING = frozenset(
    {
        GrantReason.MINIMUM_DOES_NOT_FIT,
        GrantReason.TURN_OF_OTHERS,
        GrantReason.MINIMUM_PAUSE,
        GrantReason.REDUCTIONS_PENDING,
        GrantReason.STARTING,
        GrantReason.CONTACTOR_UNKNOWN,
        GrantReason.NOT_FOLLOWING,
        GrantReason.REQUEST_REFUSED,
        GrantReason.BELOW_MINIMUM,
    }
)
"""With these reasons a connector that wants energy waits for it."""


@dataclass(frozen=True, slots=True)
class SiteNodeStatus:
    """
    One node with children.

    ``limit_a`` is the lowest limit per phase and ``limit_w`` that of the power (None = no limit), each with
    whose it is; ``house_load_a`` is subtracted from it.  ``granted_a`` is what counts for the connectors
    below, ``reserve_a`` the part of it that belongs to no car that charges: failsafe currents, silent
    connectors, grants that are ending.
    """

    name: str = ''
    parent: str = ''
    limit_a: float | None = None
    limit_a_origin: LimitOrigin = LimitOrigin.UNSPECIFIED
    limit_a_source: str = ''
    limit_w: float | None = None
    limit_w_origin: LimitOrigin = LimitOrigin.UNSPECIFIED
    limit_w_source: str = ''
    measured_a: Current = Current()
    house_load_a: Current = Current()
    granted_a: Current = Current()
    granted_w: float | None = None
    reserve_a: Current = Current()
    meter_silent: bool = False
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteConnectorStatus:
    """
    One connector: what it wants, has, uses, what counts for it, and why it has not more.

    ``binding_node`` is the node whose limit binds, empty when none does.
    """

    name: str = ''
    uuid: str = ''
    parent: str = ''
    priority: int = 0
    wants_a: float = 0.0
    granted_a: float = 0.0
    granted_phases: int = 0
    counted_a: Current = Current()
    measured_a: Current = Current()
    binding_node: str = ''
    reason: GrantReason = GrantReason.UNSPECIFIED
    reason_text: str = ''


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """The whole site; nodes stand before their children."""

    stamp: Time | None = None
    name: str = ''
    manager_id: str = ''
    nodes: tuple[SiteNodeStatus, ...] = ()
    connectors: tuple[SiteConnectorStatus, ...] = ()
    warnings: tuple[str, ...] = ()
