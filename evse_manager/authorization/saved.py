"""
The state that survives the end of the process, as plain data and as JSON text.

Everything is stored before it acts: a grant before the connector is called, a cancelled reservation before
the answer.  Times are wall time; what runs on the steady clock begins again after a restart.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from evse_manager.interface.types import Time

VERSION = 1
"""Version of the JSON document."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """
    A reservation for a token or its group; ``connector`` empty = any fitting one.

    ``pending``: the connector has not confirmed yet and the client has no answer; such a reservation does not
    survive a restart.
    """

    reservation_id: int
    id_token: str
    parent: str
    connector: str
    expiry: Time
    pending: bool = False


@dataclass(frozen=True, slots=True)
class SavedGrant:
    """An authorization given to a connector whose transaction has not begun."""

    connector: str
    id_token: str
    parent: str
    reservation_id: int = 0


@dataclass(frozen=True, slots=True)
class SavedTransaction:
    """The token of a connector's newest transaction."""

    connector: str
    session_uuid: str
    id_token: str
    parent: str


@dataclass(frozen=True, slots=True)
class Unmarking:
    """A reservation that is over, whose mark a connector may still show."""

    connector: str
    reservation_id: int


@dataclass(frozen=True, slots=True)
class Saved:
    """The complete stored state."""

    reservations: tuple[Reservation, ...] = ()
    grants: tuple[SavedGrant, ...] = ()
    transactions: tuple[SavedTransaction, ...] = ()
    unmarkings: tuple[Unmarking, ...] = ()
    next_reservation_id: int = 1


class SavedError(ValueError):
    """A stored document can't be used; the text is one sentence without its contents."""


def to_json(saved: Saved) -> str:
    """Return the document of a state."""
    return json.dumps({'version': VERSION, **asdict(saved)}, indent=1)


def from_json(text: str) -> Saved:
    """Return the state of a document; raises SavedError."""
    try:
        document = json.loads(text)
        if document.pop('version') != VERSION:
            raise SavedError(f'The stored authorizations are not of version {VERSION}; move the file away.')
        lists = {
            name: tuple(_row(kind, row) for row in document.pop(name))
            for name, kind in (
                ('reservations', Reservation),
                ('grants', SavedGrant),
                ('transactions', SavedTransaction),
                ('unmarkings', Unmarking),
            )
        }
        saved = replace(Saved(), next_reservation_id=_typed(document.pop('next_reservation_id'), 1), **lists)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, SavedError):
            raise
        raise SavedError('The stored authorizations are damaged; move the file away.') from error
    if document:
        raise SavedError('The stored authorizations have unknown members; move the file away.')
    return saved


def _row(kind: type, row: dict[str, Any]) -> Any:
    made = kind(**row)
    for name in kind.__dataclass_fields__:  # type: ignore[attr-defined]
        expected = {'reservation_id': 1, 'expiry': 1, 'pending': True}.get(name, '')
        _typed(getattr(made, name), expected)
    return made


def _typed(value: Any, like: Any) -> Any:
    if type(value) is not type(like):
        raise TypeError
    return value
