"""
Tokens as text: the one normal form in which they are compared, their bounds, and their masked form.

Upper and lower case of a token are the same, whatever its kind: readers of one card differ in case, and the
identifiers of OCPP 1.6 (``CiString``) and 2.0.1 (``identifierString``) are compared without regard to case.
"""

from dataclasses import replace

from evse_manager.interface.types import ProvidedIdToken, SessionEvent, SessionRecord

TOKEN_LENGTH = 36
"""Longest token, in characters."""

PARENT_LENGTH = 20
"""Longest token of a group, in characters (``ValidationResult.parent_id_token``)."""

CERTIFICATE_LENGTH = 5500
"""Longest contract certificate, in characters."""

CONNECTORS_MAX = 256
"""Most connectors that a token may name."""


def normal_form(id_token: str) -> str:
    """Return the form in which tokens are compared, stored as keys and looked up."""
    return id_token.upper()


def same_token(first: str, second: str) -> bool:
    """Return whether two texts are the same token; an empty text is no token and equals none."""
    return bool(first) and normal_form(first) == normal_form(second)


def masked(id_token: str) -> str:
    """Return a token with only its last characters readable, for logs and status; at most TOKEN_LENGTH."""
    if not is_well_formed(id_token):
        return f'(malformed, {len(id_token)} characters)'
    hidden = hidden_length(id_token)
    return '*' * hidden + id_token[hidden:]


def hidden_length(id_token: str) -> int:
    """Return how many characters of a token must stay hidden; the rest, its end, may be shown."""
    return len(id_token) - 4 if len(id_token) > 6 else len(id_token)


def is_well_formed(id_token: str, length: int = TOKEN_LENGTH) -> bool:
    """Return whether a text is 1 to ``length`` printable ASCII characters."""
    return 1 <= len(id_token) <= length and all(' ' <= character <= '~' for character in id_token)


def objection(token: ProvidedIdToken) -> str:
    """Return why a token as presented is malformed, in one sentence without its text; empty if it is not."""
    if not is_well_formed(token.id_token):
        return f'id_token must be 1 to {TOKEN_LENGTH} printable ASCII characters.'
    if len(token.connectors) > CONNECTORS_MAX or any(number < 1 for number in token.connectors):
        return f'connectors must be at most {CONNECTORS_MAX} numbers of at least 1.'
    if len(token.certificate) > CERTIFICATE_LENGTH:
        return f'certificate must be at most {CERTIFICATE_LENGTH} characters.'
    return ''


def concealed(event: SessionEvent) -> SessionEvent:
    """Return an event whose tokens are masked and whose certificate is left out: they are secrets."""
    started, finished = event.transaction_started, event.transaction_finished
    if started is not None:
        token = replace(started.id_tag, id_token=_masked(started.id_tag.id_token), certificate='')
        event = replace(event, transaction_started=replace(started, id_tag=token))
    if finished is not None:
        event = replace(event, transaction_finished=replace(finished, id_tag=_masked(finished.id_tag)))
    return event


def concealed_record(record: SessionRecord) -> SessionRecord:
    """Return a session record whose tokens are masked and whose certificates are left out."""
    return replace(
        record,
        token=_masked(record.token),
        stop_token=_masked(record.stop_token),
        events=tuple(map(concealed, record.events)),
    )


def _masked(id_token: str) -> str:
    return masked(id_token) if id_token else ''
