"""Values of the dataclasses, drawn from their type hints."""

from dataclasses import Field, fields, is_dataclass
from typing import Any, get_args, get_origin

from hypothesis import strategies as st

from evse_manager.interface.types import Duration, Time
from evse_manager.nodes.conversions import TIME_END, message_class
from interfaces.vocabulary import enumeration, hints

INTEGERS = {
    'uint8': st.integers(0, 2**8 - 1),
    'int32': st.integers(-(2**31), 2**31 - 1),
    'uint64': st.integers(0, 2**64 - 1),
}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=20)
TIMES = st.integers(1, TIME_END - 1).map(Time)
# Ten days of nanoseconds: a double holds them exactly enough to come back.
DURATIONS = st.integers(0, 10 * 86_400 * 10**9).map(lambda nanoseconds: Duration(nanoseconds / 1e9))
LONGEST = 3
"""Items in a sequence that has no bound of its own."""


def values(cls: type) -> st.SearchStrategy[Any]:
    """Return every value that an instance of the dataclass may have."""
    return st.builds(cls, **{field.name: field_values(cls, field.name) for field in fields(cls)})


def field_values(cls: type, name: str) -> st.SearchStrategy[Any]:
    """Return every value that a field may have."""
    drawn = _values(hints(cls)[name], _wire(cls, name))
    absent = _field(cls, name).metadata.get('absent')
    return drawn if absent is None else drawn.filter(lambda value: value != absent)


def other_values(cls: type, name: str) -> st.SearchStrategy[Any]:
    """Return the values of a field that differ from its default."""
    hint, default = hints(cls)[name], getattr(cls(), name)
    if hint is bool:
        return st.just(not default)
    absent = _field(cls, name).metadata.get('absent')
    return _values(_present(hint), _wire(cls, name)).filter(lambda value: value not in (default, absent))


def _field(cls: type, name: str) -> Field[Any]:
    (field,) = (field for field in fields(cls) if field.name == name)
    return field


def _wire(cls: type, name: str) -> str:
    wire: str = message_class(cls).get_fields_and_field_types()[name]
    return wire


def _present(hint: Any) -> Any:
    """Return the type hint without ``None``."""
    present = [argument for argument in get_args(hint) if argument is not type(None)]
    return present[0] if type(None) in get_args(hint) else hint


def _values(hint: Any, wire: str) -> st.SearchStrategy[Any]:
    item, _, bound = wire.removeprefix('sequence<').removesuffix('>').partition(', ')
    if get_origin(hint) is tuple:
        return st.lists(_values(get_args(hint)[0], item), max_size=int(bound or LONGEST)).map(tuple)
    if type(None) in get_args(hint):
        return st.none() | _values(_present(hint), item)
    if is_dataclass(hint):
        return values(hint)  # type: ignore[arg-type]
    if enumeration(hint):
        return st.sampled_from(hint)
    plain = {float: NUMBERS, bool: st.booleans(), str: TEXTS, Time: TIMES, Duration: DURATIONS}
    return plain[hint] if hint in plain else INTEGERS[item]
