"""
The reservations of a site.

A reservation for a connector is marked there, so that the connector shows it; one for *any* connector keeps
one fitting connector free for as long as one can be kept free.  Who may start where is decided here alone.
"""

from dataclasses import replace

from evse_manager.authorization.config import UnknownTokens
from evse_manager.authorization.connectors import SETTLE_S, SiteConnector
from evse_manager.authorization.events import (
    CancelRequested,
    Mark,
    ReserveRequested,
    Unmark,
    ValidationAnswer,
)
from evse_manager.authorization.matching import kept
from evse_manager.authorization.saved import Reservation, Saved, Unmarking
from evse_manager.authorization.site import AuthorizationState
from evse_manager.interface.enums import ReservationStatus
from evse_manager.interface.tokens import PARENT_LENGTH, is_well_formed, normal_form, same_token

RESERVATIONS_MAX = 256
"""Most reservations of a site at a time."""

ID_MAX = 2**31 - 1
"""Largest number of a reservation."""

CONFIRM_S = 2.0
"""The wall clock has to say for this long that a reservation is over: one reading may be wrong."""

RETRY_S = 2.0
"""Pause before a call that failed is made again."""

PENDING_S = 5.0
"""A reservation that its connector has not confirmed by then is refused."""

LOST_S = 30.0
"""For this long a call without an answer may still be carried out."""


class Reservations:
    """
    The reservations in force, and the marks of them at the connectors.

    It is large because a change of a reservation and the mark of it are undone together when the connector
    refuses.
    """

    def __init__(self, site: AuthorizationState, saved: Saved) -> None:
        """Begin with what was stored; a reservation that was pending is undone."""
        self._site = site
        self._in_force = {each.reservation_id: each for each in saved.reservations if not each.pending}
        undone = [
            Unmarking(each.connector, each.reservation_id) for each in saved.reservations if each.pending
        ]
        self._unmarkings: dict[Unmarking, float | None] = dict.fromkeys((*saved.unmarkings, *undone))
        self._expired_since: dict[int, float] = {}
        self._pending: dict[int, tuple[int, float, Reservation | None]] = {}
        self.next_id = saved.next_reservation_id
        site.changed = site.changed or bool(undone)

    @property
    def in_force(self) -> tuple[Reservation, ...]:
        """Return the reservations, pending ones included."""
        return tuple(self._in_force.values())

    @property
    def unmarkings(self) -> tuple[Unmarking, ...]:
        """Return the marks that may still have to be taken away."""
        return tuple(self._unmarkings)

    # --- who may start where ---------------------------------------------------------------------------

    def own(self, id_token: str, parent: str, connector: str) -> Reservation | None:
        """Return the reservation that a token would use at a connector: one for it before one for any."""
        usable = [
            each
            for each in self._in_force.values()
            if not each.pending and _matches(each, id_token, parent) and connector in self._fitting(each)
        ]
        return min(
            usable, key=lambda each: (not each.connector, each.expiry, each.reservation_id), default=None
        )

    def objection(self, connector: SiteConnector, id_token: str, parent: str) -> str:
        """Return why reservations of others keep a token from starting at a connector; empty if none does."""
        own = self.own(id_token, parent, connector.name)
        for each in self._in_force.values():
            if each.connector == connector.name and each is not own and not _matches(each, id_token, parent):
                return f'is reserved (reservation {each.reservation_id})'
        if self._foreign_mark(connector) is not None:
            return 'is reserved by another node'
        if all(each.connector for each in self._in_force.values() if each is not own):
            return ''
        every = {each.reservation_id: self._fitting(each) for each in self._in_force.values()}
        others = {
            number: names for number, names in every.items() if own is None or number != own.reservation_id
        }
        available = {each.name for each in self._site.connectors.values() if self._can_be_kept(each)}
        left = kept(others, available - {connector.name}) + (own is not None)
        return 'is kept free for a reservation' if left < kept(every, available) else ''

    def _fitting(self, reservation: Reservation) -> frozenset[str]:
        if reservation.connector:
            return frozenset((reservation.connector,))
        known = self._site.rules.tokens.get(normal_form(reservation.id_token))
        named = known.connectors if known is not None else None
        return frozenset(self._site.connectors) if named is None else named

    def _can_be_kept(self, connector: SiteConnector) -> bool:
        """Return whether a connector could serve a reservation: free, or only a car without a token there."""
        return self._site.reports(connector) and (connector.idle or connector.car_waits)

    def _foreign_mark(self, connector: SiteConnector) -> int | None:
        """Return the number of a reservation that this node knows nothing of, and the connector shows."""
        mark = connector.status.reservation_id if connector.status is not None else None
        if mark is None:
            return None
        known = self._in_force.get(mark)
        if known is not None and known.connector == connector.name:
            return None
        if any(each.connector == connector.name and each.reservation_id == mark for each in self._unmarkings):
            return None
        if connector.mark.taken == mark and connector.seen < connector.mark.taken_at + SETTLE_S:
            return None
        return mark

    # --- requests --------------------------------------------------------------------------------------

    def reserve(self, request: ReserveRequested) -> None:
        """Reserve, or refuse with the reason; one that needs its connector is answered when it has agreed."""
        number = request.reservation_id or self._free_number(self.next_id)
        replaced = self._in_force.get(number)
        refusal = self._refusal(request, number, replaced)
        if refusal is not None:
            self._site.outbox.answer(ValidationAnswer(request.ticket, False, refusal[1], refusal[0]))
            return
        reservation = Reservation(
            number,
            request.id_token,
            request.parent,
            request.connector,
            request.expiry,
            pending=bool(request.connector),
        )
        self._site.changed = True
        if not request.reservation_id:
            self.next_id = self._free_number(number + 1)
        self._expired_since.pop(number, None)
        if not reservation.connector:
            self._in_force[number] = reservation
            self._replace(replaced, reservation)
            self._site.outbox.answer(
                ValidationAnswer(request.ticket, True, '', ReservationStatus.ACCEPTED, number)
            )
            return
        self._in_force[number] = reservation
        self._pending[number] = (request.ticket, self._site.now + PENDING_S, replaced)

    def _replace(self, replaced: Reservation | None, by: Reservation) -> None:
        if replaced is not None and replaced.connector and replaced.connector != by.connector:
            self._unmarkings[Unmarking(replaced.connector, replaced.reservation_id)] = None

    def _free_number(self, number: int) -> int:
        while number in self._in_force or number > ID_MAX:
            number = 1 if number > ID_MAX else number + 1
        return number

    def _refusal(
        self,
        request: ReserveRequested,
        number: int,
        replaced: Reservation | None,
    ) -> tuple[ReservationStatus, str] | None:
        rejected, id_token, parent = ReservationStatus.REJECTED, request.id_token, request.parent
        if not 0 <= request.reservation_id <= ID_MAX:
            return rejected, f'reservation_id must be 0 (choose one) to {ID_MAX}.'
        if not id_token and not parent:
            return rejected, 'Name the token, or the parent token of the group, that the reservation is for.'
        if id_token and not is_well_formed(id_token):
            return rejected, 'id_token must be 1 to 36 printable ASCII characters.'
        if parent and not is_well_formed(parent, PARENT_LENGTH):
            return rejected, f'The parent token must be 1 to {PARENT_LENGTH} printable ASCII characters.'
        if request.expiry <= self._site.wall:
            return rejected, 'The expiry lies in the past; give a later one.'
        rules = self._site.rules
        known = rules.tokens.get(normal_form(id_token)) if id_token else None
        if id_token and known is None and not parent and rules.unknown is UnknownTokens.REJECT:
            return (
                rejected,
                'The token is not in the token list and could not use the reservation; add it first.',
            )
        if replaced is not None and number in self._pending:
            return rejected, f'Reservation {number} is being made; try again in a moment.'
        if replaced is not None and self._in_use(number):
            return ReservationStatus.OCCUPIED, f'Reservation {number} is being used and can not be replaced.'
        if replaced is None and len(self._in_force) >= RESERVATIONS_MAX:
            return rejected, f'There are {RESERVATIONS_MAX} reservations already; cancel one first.'
        if not request.connector:
            return self._refusal_of_any(request, replaced)
        connector = self._site.connectors.get(request.connector)
        if connector is None:
            return rejected, 'There is no such connector at this site; leave it empty for any.'
        if known is not None and known.connectors is not None and connector.name not in known.connectors:
            return rejected, 'The token is not allowed at this connector.'
        return self._refusal_at(connector, replaced)

    def _refusal_at(
        self, connector: SiteConnector, replaced: Reservation | None
    ) -> tuple[ReservationStatus, str] | None:
        if not self._site.reports(connector):
            return (
                ReservationStatus.UNAVAILABLE,
                f'Connector {connector.name} does not report; check its manager.',
            )
        if connector.out_of_order:
            kind = ReservationStatus.FAULTED if connector.faulted else ReservationStatus.UNAVAILABLE
            return kind, f'Connector {connector.name} {connector.out_of_order}.'
        for each in self._in_force.values():
            if each.connector == connector.name and each is not replaced:
                text = f'Connector {connector.name} is already reserved (reservation {each.reservation_id}).'
                return ReservationStatus.OCCUPIED, text
        if self._foreign_mark(connector) is not None:
            return (
                ReservationStatus.OCCUPIED,
                f'Connector {connector.name} is already reserved by another node.',
            )
        if not connector.idle:
            return ReservationStatus.OCCUPIED, f'Connector {connector.name} is in use.'
        others = self._others(replaced)
        available = self._free()
        if kept(others, available - {connector.name}) < kept(others, available):
            return ReservationStatus.OCCUPIED, f'Connector {connector.name} is kept free for a reservation.'
        return None

    def _refusal_of_any(
        self, request: ReserveRequested, replaced: Reservation | None
    ) -> tuple[ReservationStatus, str] | None:
        wanted = Reservation(0, request.id_token, request.parent, '', request.expiry)
        fitting = self._fitting(wanted)
        others, available = self._others(replaced), self._free()
        if kept({**others, 0: fitting}, available) > kept(others, available):
            return None
        if fitting & available:
            return ReservationStatus.OCCUPIED, 'All free connectors are reserved already.'
        there = [self._site.connectors[name] for name in fitting if name in self._site.connectors]
        if any(self._site.reports(each) and not each.out_of_order for each in there):
            return ReservationStatus.OCCUPIED, 'All fitting connectors are in use.'
        if any(self._site.reports(each) and each.faulted for each in there):
            return ReservationStatus.FAULTED, 'All fitting connectors have a fault.'
        return ReservationStatus.UNAVAILABLE, 'No fitting connector is enabled and reports.'

    def _others(self, replaced: Reservation | None) -> dict[int, frozenset[str]]:
        return {
            each.reservation_id: self._fitting(each)
            for each in self._in_force.values()
            if each is not replaced
        }

    def _free(self) -> frozenset[str]:
        return frozenset(
            each.name
            for each in self._site.connectors.values()
            if self._site.reports(each) and each.idle and self._foreign_mark(each) is None
        )

    def _in_use(self, number: int) -> bool:
        return any(
            each.grant is not None and each.grant.reservation_id == number
            for each in self._site.connectors.values()
        )

    def cancel(self, request: CancelRequested) -> None:
        """Cancel a reservation; it is over with the answer, whether or not its connector can be reached."""
        if request.reservation_id not in self._in_force:
            text = f'There is no reservation {request.reservation_id}; list them with evse reservations.'
            self._site.outbox.answer(ValidationAnswer(request.ticket, False, text))
            return
        self._drop_pending(request.reservation_id, 'The reservation was cancelled meanwhile.')
        if request.reservation_id in self._in_force:
            self._end(request.reservation_id)
        self._site.outbox.answer(
            ValidationAnswer(request.ticket, True, reservation_id=request.reservation_id)
        )

    def consume(self, number: int) -> None:
        """A transaction has begun with the reservation; its connector took the mark away itself."""
        reservation = self._in_force.get(number)
        if reservation is None:
            return
        if number in self._pending:
            self._drop_pending(number, 'The reservation was used meanwhile.')
        self._in_force.pop(number, None)
        self._expired_since.pop(number, None)
        self._site.changed = True

    def _end(self, number: int) -> None:
        reservation = self._in_force.pop(number)
        self._expired_since.pop(number, None)
        self._site.changed = True
        if reservation.connector:
            self._unmarkings[Unmarking(reservation.connector, number)] = None

    # --- time ------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """End what is over by time, and bring the marks of the connectors to what is reserved."""
        now = self._site.now
        for number in [number for number, (_, until, _) in self._pending.items() if now >= until]:
            name = self._in_force[number].connector
            self._drop_pending(number, f'Connector {name} has not confirmed the reservation in time.')
        for number, each in list(self._in_force.items()):
            if number in self._pending or self._site.wall < each.expiry:
                self._expired_since.pop(number, None)
            elif now >= self._expired_since.setdefault(number, now) + CONFIRM_S:
                self._end(number)
        for connector in self._site.connectors.values():
            self._settle_mark(connector)

    def _drop_pending(
        self, number: int, text: str, result: ReservationStatus = ReservationStatus.UNAVAILABLE
    ) -> None:
        """Refuse a reservation that waits for its connector; the one that it replaces stays."""
        found = self._pending.pop(number, None)
        if found is None:
            return
        ticket, _, replaced = found
        reservation = self._in_force.pop(number)
        self._site.changed = True
        if replaced is not None:
            self._in_force[number] = replaced
        if replaced is None or replaced.connector != reservation.connector:
            self._unmarkings[Unmarking(reservation.connector, number)] = None
        self._site.outbox.answer(ValidationAnswer(ticket, False, text, result))

    def _settle_mark(self, connector: SiteConnector) -> None:
        mark, now = connector.mark, self._site.now
        if connector.status is None or mark.calling or not self._site.reports(connector):
            return
        shown = connector.status.reservation_id
        for each in [each for each in self._unmarkings if each.connector == connector.name]:
            since, number = self._unmarkings[each], each.reservation_id
            if since is None:
                since = self._unmarkings[each] = now
            if shown == number or (mark.set == number and now < mark.set_at + SETTLE_S):
                if now >= mark.retry:
                    self._take_mark(connector, each)
                return
            if connector.seen >= since + (LOST_S if mark.lost == number else SETTLE_S):
                del self._unmarkings[each]
                self._site.changed = True
        reserved = next((each for each in self._in_force.values() if each.connector == connector.name), None)
        if reserved is None or now < mark.retry:
            return
        number = reserved.reservation_id
        just_set = mark.set == number and now < mark.set_at + SETTLE_S  # the status is from before
        if number in self._pending or (shown is None and connector.idle and not just_set):
            self._set_mark(connector, number)

    def _take_mark(self, connector: SiteConnector, unmarking: Unmarking) -> None:
        mark = connector.mark

        def done(success: bool | None, _message: str) -> None:
            mark.calling = False
            if not success:
                mark.retry = self._site.now + RETRY_S
                return
            mark.set = None
            mark.taken, mark.taken_at = unmarking.reservation_id, self._site.now
            self._forget(unmarking)

        mark.calling = True
        self._site.outbox.call(connector.name, Unmark(), done)

    def _forget(self, unmarking: Unmarking) -> None:
        if unmarking in self._unmarkings:
            del self._unmarkings[unmarking]
            self._site.changed = True

    def _set_mark(self, connector: SiteConnector, number: int) -> None:
        mark = connector.mark

        def done(success: bool | None, message: str) -> None:
            mark.calling = False
            if success:
                mark.set, mark.set_at = number, self._site.now
            else:
                mark.retry = self._site.now + RETRY_S
                mark.lost = number if success is None else None
            held = self._in_force.get(number)
            if success and held is not None and held.connector == connector.name:
                self._forget(Unmarking(connector.name, number))
            if number in self._pending:
                self._confirm(number, connector.name, success, message)

        mark.calling = True
        self._site.outbox.call(connector.name, Mark(number), done)

    def _confirm(self, number: int, name: str, success: bool | None, message: str) -> None:
        """Answer the request that waits for the connector."""
        if not success:
            result = ReservationStatus.UNAVAILABLE if success is None else ReservationStatus.OCCUPIED
            self._drop_pending(number, message or f'Connector {name} does not answer.', result)
            return
        ticket, _, replaced = self._pending.pop(number)
        confirmed = self._in_force[number] = replace(self._in_force[number], pending=False)
        self._site.changed = True
        self._replace(replaced, confirmed)
        self._site.outbox.answer(ValidationAnswer(ticket, True, '', ReservationStatus.ACCEPTED, number))

    def deadlines(self) -> list[float]:
        """Return when something here happens by time alone."""
        times = [until for _, until, _ in self._pending.values()]
        times += [since + CONFIRM_S for since in self._expired_since.values()]
        times += [
            self._site.now + (each.expiry - self._site.wall) * 1e-9
            for number, each in self._in_force.items()
            if number not in self._pending and number not in self._expired_since
        ]
        return times


def _matches(reservation: Reservation, id_token: str, parent: str) -> bool:
    return (
        same_token(reservation.id_token, id_token)
        or same_token(reservation.parent, parent)
        or same_token(reservation.parent, id_token)
    )
