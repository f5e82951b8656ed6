"""State of one connector as the authorization sees it: its newest status and whose token is there."""

from dataclasses import dataclass, field

from evse_manager.authorization.saved import SavedTransaction
from evse_manager.interface.enums import Availability, ChargerState
from evse_manager.interface.types import EvseStatus

SILENT_S = 5.0
"""A connector whose status (1 Hz) is missing for this long is silent: it takes no token and holds none."""

SETTLE_S = 2.0
"""For this long after an answer a status may still be from before it."""


@dataclass(slots=True)
class TokenGrant:
    """
    An authorization given to a connector whose transaction has not begun.

    ``deadline``: when it is withdrawn.  ``answered``: when the connector accepted it; None while the call is
    under way.  ``withdrawing``: the authorization is over here and has to be taken back there; it is called
    again at ``retry``.
    """

    id_token: str
    parent: str
    deadline: float
    reservation_id: int = 0
    answered: float | None = None
    withdrawing: bool = False
    calling: bool = False
    retry: float = 0.0
    request_id: int | None = None
    """That of the token as it was presented."""
    tickets: list[int] = field(default_factory=list)
    """Requests that wait for the withdrawal."""


@dataclass(slots=True)
class MarkCalls:
    """
    The calls that mark a connector as reserved, or take the mark away.

    ``calling``: one is under way; ``retry``: not before.  ``set``, ``taken`` and ``lost`` are the numbers of
    the last mark that was set, taken away, or set without an answer; a status may be older than that.
    """

    calling: bool = False
    retry: float = 0.0
    set: int | None = None
    set_at: float = 0.0
    taken: int | None = None
    taken_at: float = 0.0
    lost: int | None = None


@dataclass(slots=True)
class SiteConnector:
    """One connector of the site."""

    name: str
    order: int
    status: EvseStatus | None = None
    seen: float = 0.0
    waiting_since: float | None = None
    """Since when a car waits here for a token; orders the cars."""
    taken_out: bool = False
    """The waiting car no longer takes tokens without a connector (plug-in time-out)."""
    grant: TokenGrant | None = None
    begun: SavedTransaction | None = None
    """The newest transaction whose start was seen, or which was granted here."""
    stopping: bool = False
    """A stop was called for the running transaction."""
    mark: MarkCalls = field(default_factory=MarkCalls)
    """Calls that mark the connector as reserved."""
    settled: SavedTransaction | None = None
    """The newest transaction that was seen running: its reservation is used up."""

    def reachable(self, now: float) -> bool:
        """Return whether the connector reports."""
        return self.status is not None and now < self.seen + SILENT_S

    @property
    def occupied(self) -> bool:
        """Return whether a car, a session or an authorization is there."""
        status = self.status
        return status is not None and bool(
            status.plugged
            or status.transaction_active
            or status.authorized
            or status.session_uuid
            or self.grant is not None
        )

    @property
    def out_of_order(self) -> str:
        """Return why the connector can't serve anyone, without "The connector"; empty when it can."""
        status = self.status
        if status is None or status.state in (ChargerState.STARTING, ChargerState.UNSPECIFIED):
            return 'has not reported yet'
        if status.availability is Availability.FAULTED or status.state is ChargerState.FAULTED:
            return 'is out of order'
        if status.active_errors or status.state is ChargerState.ERROR:
            return 'has an error'
        if status.availability is not Availability.ENABLED or status.state is ChargerState.DISABLED:
            return 'is disabled'
        return ''

    @property
    def faulted(self) -> bool:
        """Return whether an error or a fault is why the connector is out of order."""
        return self.out_of_order in ('is out of order', 'has an error')

    @property
    def idle(self) -> bool:
        """Return whether a token may come before the car here."""
        status = self.status
        return (
            status is not None
            and not self.out_of_order
            and not self.occupied
            and status.state is ChargerState.IDLE
        )

    @property
    def car_waits(self) -> bool:
        """Return whether a car is plugged in that needs a token."""
        status = self.status
        return (
            status is not None
            and not self.out_of_order
            and status.plugged
            and status.state is ChargerState.WAITING_FOR_AUTHENTICATION
            and not status.authorized
            and not status.transaction_active
            and self.grant is None
        )

    @property
    def running(self) -> SavedTransaction | None:
        """Return the token of the open transaction, if there is one and its token is known."""
        status, begun = self.status, self.begun
        if status is None or begun is None or not status.transaction_active:
            return None
        return begun if begun.session_uuid == status.session_uuid else None

    def observe(self, status: EvseStatus, now: float) -> None:
        """Take a status; the place in line begins with the session."""
        before = self.status
        self.status, self.seen = status, now
        new_session = before is None or before.session_uuid != status.session_uuid
        if new_session or not status.transaction_active:
            self.stopping = False
        if not status.plugged:
            self.waiting_since, self.taken_out = None, False
        elif self.waiting_since is None or (before is not None and new_session):
            age = status.session_duration if before is None else 0.0
            self.waiting_since, self.taken_out = now - age, False
