"""Absurd messages, drawn from the definitions of the messages: whatever fits the wire, sense or not."""

import math
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from evse_manager.interface import endpoints
from evse_manager.nodes.conversions import ConversionError, from_message

NUMBERS = st.one_of(
    st.sampled_from((math.nan, math.inf, -math.inf, 1e308, -1e300, 5e-324, -0.0, -1.0, 0.0, 6.0, 80.1)),
    st.floats(),
)
TEXTS = st.one_of(
    st.sampled_from(('', ' ', '../../etc/passwd', '\x1b[2J', "'; DROP TABLE sessions; --", '%s%n', 'é' * 37)),
    st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=20),
)
VERY_LONG = 'x' * 100_000
HUGE = 1_000
"""Items of a huge sequence."""


def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.sampled_from((low, high, 0, 1, 2)) | st.integers(low, high)


PLAIN: dict[str, st.SearchStrategy[Any]] = {
    'boolean': st.booleans(),
    'double': NUMBERS,
    'string': TEXTS,
    'uint8': _integers(0, 2**8 - 1),
    'int32': _integers(-(2**31), 2**31 - 1),
    'uint32': _integers(0, 2**32 - 1),
    'uint64': _integers(0, 2**64 - 1),
}


def absurd(cls: Any, *, huge: bool = False) -> st.SearchStrategy[Any]:
    """Return any message (or request) of a class; with ``huge`` also such with very long texts and lists."""
    wires = cls.get_fields_and_field_types()
    return st.builds(cls, **{name: _values(wire, huge=huge) for name, wire in wires.items()})


def _values(wire: str, *, huge: bool) -> st.SearchStrategy[Any]:
    if wire.startswith('sequence<'):
        item, _, bound = wire.removeprefix('sequence<').removesuffix('>').partition(', ')
        items = _values(item, huge=False)
        few = st.lists(items, max_size=min(int(bound or 3), 3))
        return few if bound or not huge else few | items.map(lambda one: [one] * HUGE)
    if wire == 'string' and huge:
        return TEXTS | st.just(VERY_LONG)
    if wire in PLAIN:
        return PLAIN[wire]
    package, _, name = wire.partition('/')
    return absurd(endpoints.load(f'{package}/msg/{name}'), huge=huge)


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Return so many values of a strategy, the same ones in each run."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def readable(message: Any, cls: type) -> bool:
    """Return whether the nodes take a message for a value at all."""
    try:
        from_message(message, cls)
    except ConversionError:
        return False
    return True
