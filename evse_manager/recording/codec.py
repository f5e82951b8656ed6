"""
Values of the kernel as plain JSON and back, exactly: inputs, outputs, and the state of a whole manager.

An object is an object with its class under ``$`` and its attributes by name; enumerations, tuples, deques and
dictionaries carry a mark of their own.  Only classes of the pure packages are made, without a call of their
constructors, so that a file from a stranger can build values and run nothing.  Callables are left out and put
back by the name of their attribute.
"""

import functools
import importlib
import json
import pkgutil
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import chain
from typing import Any

TOP = __name__.partition('.')[0]
PACKAGES = tuple(f'{TOP}.{name}' for name in ('interface', 'metering', 'lease', 'charging'))
"""The packages whose classes may be in a recording."""

CLASS, MEMBER, TUPLE, SET, DEQUE, MAPPING = '$', '$enum', '$tuple', '$set', '$deque', '$map'
CALLABLE, CHANGES = '$call', '$~'
"""Marks of a JSON object: what it stands for."""

Hide = Callable[[str, str], str]
"""Returns what is recorded for the text of an attribute, by its name."""


class CodecError(ValueError):
    """A recorded value cannot be read; the text says why."""


def plainly(_name: str, text: str) -> str:
    """Record a text as it is."""
    return text


def encode(value: Any, hide: Hide = plainly, name: str = '') -> Any:
    """Return a value as what JSON can hold; ``name`` is that of the attribute it belongs to."""
    kind: type = type(value)
    if kind is str:
        return hide(name, value)
    if value is None or kind in (bool, int, float):
        return value
    if isinstance(value, Enum):
        return {MEMBER: f'{kind.__name__}.{value.name}'}
    if kind is list:
        return [encode(item, hide, name) for item in value]
    if kind is tuple:
        return {TUPLE: [encode(item, hide, name) for item in value]}
    if kind in (frozenset, set):
        items = [encode(item, hide, name) for item in value]
        return {SET: sorted(items, key=json.dumps), 'of': kind.__name__}  # in an order that is no accident
    if kind is deque:
        return {DEQUE: [encode(item, hide, name) for item in value], 'longest': value.maxlen}
    if kind is dict:
        return {MAPPING: [[encode(key, hide, name), encode(item, hide, name)] for key, item in value.items()]}
    if _is_ours(kind):
        return {
            CLASS: kind.__name__,
            **{key: encode(getattr(value, key), hide, key) for key in attributes(value)},
        }
    if callable(value):
        return {CALLABLE: name}
    raise TypeError(f'{kind.__qualname__} cannot be recorded.')


def changes(before: Any, value: Any, hide: Hide = plainly, name: str = '') -> Any:
    """Return a value as its difference to another one of the same class, or whole when there is none."""
    kind = type(value)
    if kind is not type(before) or not _fields(kind):
        return encode(value, hide, name)
    different = {}
    for key in _fields(kind):
        old, new = getattr(before, key), getattr(value, key)
        if old is new:
            continue
        inner_kind = type(new)
        if type(old) is inner_kind and _fields(inner_kind):
            inner = changes(old, new, hide, key)
            if inner[CHANGES]:
                different[key] = inner
        # 1 == True == 1.0 and 0.0 == -0.0, which are not the same to the byte
        elif old != new or type(old) is not inner_kind or (new == 0 and str(old) != str(new)):
            different[key] = encode(new, hide, key)
    return {CHANGES: different, CLASS: kind.__name__}


def class_name(plain: Any) -> str:
    """Return the name of the class of an encoded object; empty for any other value."""
    return str(plain.get(CLASS, '')) if isinstance(plain, dict) else ''


def decode(plain: Any, before: Any = None, callables: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """
    Return the value that was encoded; ``before`` is the value to which the changes refer.

    Raises CodecError when the text was not made by this version's ``encode`` or ``changes``.
    """
    try:
        return _decode(plain, before, callables or {})
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CodecError(f'a recorded value cannot be read by this version: {error!r}') from error


def _decode(plain: Any, before: Any, callables: Mapping[str, Callable[..., Any]]) -> Any:
    def inner(item: Any) -> Any:
        return _decode(item, None, callables)

    match plain:
        case dict():
            pass
        case list():
            return [inner(item) for item in plain]
        case _:
            return plain
    if CHANGES in plain:
        kind = type(before)
        if kind.__name__ != plain[CLASS]:
            raise CodecError(f'there is no {plain[CLASS]!r:.60} before its changes')
        new: Any = object.__new__(kind)
        changed = plain[CHANGES]
        for key in _fields(kind):
            old = getattr(before, key)
            object.__setattr__(new, key, _decode(changed[key], old, callables) if key in changed else old)
        return new
    if CLASS in plain:
        value: Any = object.__new__(_class(plain[CLASS]))
        for key, item in plain.items():
            if key != CLASS:
                object.__setattr__(value, key, inner(item))
        return value
    if MEMBER in plain:
        cls, _, member = plain[MEMBER].partition('.')
        return _class(cls)[member]  # type: ignore[index]
    if TUPLE in plain:
        return tuple(inner(item) for item in plain[TUPLE])
    if SET in plain:
        kinds: dict[str, Callable[..., Any]] = {'frozenset': frozenset, 'set': set}
        return kinds[plain['of']](inner(item) for item in plain[SET])
    if DEQUE in plain:
        return deque((inner(item) for item in plain[DEQUE]), maxlen=plain['longest'])
    if MAPPING in plain:
        return {inner(key): inner(item) for key, item in plain[MAPPING]}
    return callables[plain[CALLABLE]]


def attributes(value: Any) -> list[str]:
    """Return the names of all attributes of an object, slots and others."""
    kind: type = type(value)
    names = chain(_slots(kind), getattr(value, '__dict__', ()))
    return [name for name in names if hasattr(value, name)]


@functools.cache
def _slots(cls: type) -> tuple[str, ...]:
    slots = (base.__dict__.get('__slots__', ()) for base in cls.__mro__)
    return tuple(name for names in slots for name in ((names,) if isinstance(names, str) else names))


def _fields(cls: type[Any]) -> tuple[str, ...]:
    found = _FIELDS.get(cls)
    if found is None:
        found = _FIELDS[cls] = tuple(each.name for each in fields(cls)) if is_dataclass(cls) else ()
    return found


_FIELDS: dict[type[Any], tuple[str, ...]] = {}


@functools.cache
def _is_ours(cls: type) -> bool:
    return classes().get(cls.__name__) is cls


@functools.cache
def classes() -> dict[str, type]:
    """Return every class of the pure packages by name; of two of one name, that of the inner package."""
    found: dict[str, type] = {}
    for package in PACKAGES:
        parent = importlib.import_module(package)
        for module in pkgutil.iter_modules(parent.__path__, f'{parent.__name__}.'):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and value.__module__ == module.name:
                    found.setdefault(value.__name__, value)
    return found


def _class(name: str) -> type:
    return classes()[name]
