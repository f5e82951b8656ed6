"""
Plain values as JSON and back, exactly.

Enumerations go by name, times and durations are numbers; a field at its default is left out, so that records
are short, and readable by a later version that has more fields.
"""

import functools
import json
import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import IntEnum
from typing import Any, TypeVar, cast

T = TypeVar('T')


class DecodeError(ValueError):
    """A record does not hold what it should; the text says where."""


def encode(value: Any) -> str:
    """Return a dataclass as JSON."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(',', ':'))


def decode(text: str, cls: type[T]) -> T:
    """Return what ``encode`` was given; raises DecodeError for anything else."""
    try:
        return cast(T, _value(json.loads(text), cls, cls.__name__))
    except (TypeError, ValueError, RecursionError) as error:
        raise DecodeError(str(error)) from error


def _plain(value: Any) -> Any:
    if isinstance(value, IntEnum):
        return value.name
    if is_dataclass(value):
        pairs = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: _plain(it) for field, it in pairs if it != _default(field)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _value(value: Any, hint: Any, where: str) -> Any:
    """Return ``value`` as what the annotation ``hint`` says."""
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = (each for each in arguments if each is not types.NoneType)
        return _value(value, hint, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise DecodeError(f'{where} is {value!r}, but must be a list.')
        return tuple(_value(item, arguments[0], f'{where}[{number}]') for number, item in enumerate(value))
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise DecodeError(f'{where} is {value!r}, but must be an object.')
        hints = _hints(cast(type, hint))
        known = {name: it for name, it in value.items() if name in hints}  # a later version may know more
        return cast(type, hint)(
            **{name: _value(it, hints[name], f'{where}.{name}') for name, it in known.items()}
        )
    if issubclass(hint, IntEnum):
        if value not in hint.__members__:
            raise DecodeError(f'{where} is {value!r}, which is no {hint.__name__}.')
        return hint[value]
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise DecodeError(f'{where} is {value!r}, but must be of type {hint.__name__}.')
    return value
