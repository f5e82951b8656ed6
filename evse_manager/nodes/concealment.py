"""Tokens and certificates in messages on the wire, masked before they are recorded."""

import functools
from collections.abc import Callable
from typing import Any

from rclpy.serialization import deserialize_message, serialize_message

from evse_manager.interface import tokens
from evse_manager.interface.endpoints import load
from evse_manager.recording.secrets import ADDRESSES, MANUFACTURER_LENGTH, TEXTS, TOKENS

MASKS: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(TOKENS, tokens.masked),
    **dict.fromkeys(TEXTS, lambda _text: ''),
    **dict.fromkeys(ADDRESSES, lambda text: text[:MANUFACTURER_LENGTH]),
}
"""Name of a field: what is recorded instead of its text."""


def concealed(data: bytes, message_class: Any) -> bytes:
    """Return a serialized message with its secrets masked; the same bytes where its type has none."""
    if not _has_secrets(message_class):
        return data
    message = deserialize_message(data, message_class)
    _mask(message)
    return serialize_message(message)


def _mask(message: Any) -> None:
    for name, kind in message.get_fields_and_field_types().items():
        value = getattr(message, name)
        mask = MASKS.get(name)
        if kind.startswith('string') and mask is not None:
            setattr(message, name, mask(value) if value else value)
        elif hasattr(value, 'get_fields_and_field_types'):
            _mask(value)
        elif '/' in kind:
            for item in value:
                _mask(item)


@functools.cache
def _has_secrets(message_class: Any) -> bool:
    return _any_secret(message_class())


def _any_secret(message: Any) -> bool:
    kinds = message.get_fields_and_field_types()
    if MASKS.keys() & kinds.keys():
        return True
    return any(_any_secret(inner()) for inner in _inner_classes(kinds))


def _inner_classes(kinds: dict[str, str]) -> list[Any]:
    found = []
    for kind in kinds.values():
        if '/' in kind:
            item = kind.removeprefix('sequence<').partition(',')[0].rstrip('>').partition('[')[0]
            package, name = item.split('/')
            found.append(load(f'{package}/msg/{name}'))
    return found
