"""Configuration of a site's authorization: the token list and the rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from evse_manager.interface.tokens import normal_form
from evse_manager.interface.types import Time


@dataclass(frozen=True, slots=True)
class KnownToken:
    """
    One entry of the token list.

    ``connectors`` are names of connectors (None = all); ``parent`` is the token of its group (empty = none).
    A token may be used from ``valid_from`` until ``expires`` (wall time; None = no bound).  ``priority``
    orders tokens that wait for a car: the highest first.
    """

    id_token: str
    parent: str = ''
    connectors: frozenset[str] | None = None
    enabled: bool = True
    valid_from: Time | None = None
    expires: Time | None = None
    priority: int = 0


class UnknownTokens(Enum):
    """Treatment of a token that is not in the list."""

    REJECT = 'reject'
    ASK = 'ask'


class CarOrder(Enum):
    """Which of several waiting cars a token without a connector goes to."""

    FIRST_PLUGGED = 'first_plugged'
    LAST_PLUGGED = 'last_plugged'


def token_list(tokens: Iterable[KnownToken]) -> Mapping[str, KnownToken]:
    """Return a token list by normal form; raises ValueError when a token is listed twice."""
    listed: dict[str, KnownToken] = {}
    for token in tokens:
        if normal_form(token.id_token) in listed:
            raise ValueError('A token is listed twice (upper and lower case are the same); remove one entry.')
        listed[normal_form(token.id_token)] = token
    return listed


@dataclass(frozen=True, slots=True)
class Rules:
    """
    The rules of a site; times in seconds.

    ``connection_timeout_s``: how long a token waits for a car, and an authorization for its transaction.
    ``plug_in_timeout_s``: after this a waiting car no longer takes a token without a connector (0 = never).
    ``validate_timeout_s``: how long ``ask`` waits for an answer; no answer rejects the token.
    ``prefer_start``: a token of the same group stops a transaction only where none can start.
    ``stop_on_same_token``: a token presented again at its own transaction stops it.
    ``repeat_s``: the same token within this time is still the same presentation (a card left on the reader)
    and never stops what it has just started.
    ``accept_prevalidated``: a token that is not in the list and says it was validated is accepted.
    ``master_group``: tokens with this parent stop any transaction and start none (empty = no such group).
    """

    tokens: Mapping[str, KnownToken] = field(default_factory=dict)
    unknown: UnknownTokens = UnknownTokens.REJECT
    connection_timeout_s: float = 60.0
    plug_in_timeout_s: float = 0.0
    validate_timeout_s: float = 5.0
    repeat_s: float = 1.0
    car_order: CarOrder = CarOrder.FIRST_PLUGGED
    prefer_start: bool = True
    stop_on_same_token: bool = True
    accept_prevalidated: bool = False
    master_group: str = ''
