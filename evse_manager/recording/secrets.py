"""
Tokens and certificates in recordings: replaced, so that a file can be passed on and still be replayed.

A token is replaced by another one of the same length and the same masked form (``tokens.masked``); equal
tokens stay equal, whatever their case.  The key of the replacement is in the memory of one process and in no
file.
"""

import secrets
from hashlib import blake2b

from evse_manager.interface import tokens

TOKENS = frozenset({'id_token', 'id_tag', 'parent_id_token', 'default_token'})
"""Attributes that are tokens."""

TEXTS = frozenset({'certificate', 'exi_request', 'exi_response'})
"""Attributes that are certificates, or streams with certificates in them."""

ADDRESSES = frozenset({'evcc_id'})
"""Attributes that are the address of a car, by which some cars are authorized."""

KNOWN_TOKENS = frozenset({'FREESERVICE'})
"""Tokens that are the kernel's own (``disable_authentication``)."""

ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUV'
"""Characters of a replacement."""

MANUFACTURER_LENGTH = 10
"""Characters of an address that name the manufacturer of the car; they stay."""


class Pseudonyms:
    """Replaces the secrets of one process."""

    def __init__(self, key: bytes | None = None) -> None:
        """``key`` is drawn at random unless a test gives one."""
        self._key = key or secrets.token_bytes(32)

    def hide(self, name: str, text: str) -> str:
        """Return what stands for the text of an attribute of this name."""
        if not text:
            return text
        if name in TOKENS:
            return self.token(text)
        if name in TEXTS:
            return self._characters(text, len(text))
        if name in ADDRESSES:
            kept = text[:MANUFACTURER_LENGTH]
            return kept + self._characters(text.upper(), len(text) - len(kept))
        return text

    def token(self, token: str) -> str:
        """Return the token that stands for this one."""
        if token in KNOWN_TOKENS:
            return token
        if not tokens.is_well_formed(token):
            return '\N{REPLACEMENT CHARACTER}' * len(token)  # as malformed as before
        hidden = tokens.hidden_length(token)
        return self._characters(tokens.normal_form(token), hidden) + token[hidden:]

    def _characters(self, text: str, length: int) -> str:
        found = ''
        for number in range(length // 64 + 1):
            digest = blake2b(f'{number} {text}'.encode(), key=self._key).digest()
            found += ''.join(ALPHABET[byte % len(ALPHABET)] for byte in digest)
        return found[:length]
