"""What the tests of the catalogue share."""

from collections.abc import Callable

import pytest

from faults.bay import Bay

Measured = Callable[[float, float], None]


@pytest.fixture
def bay() -> Bay:
    """A connector at rest."""
    return Bay()


@pytest.fixture
def charging() -> Bay:
    """A connector that charges."""
    return Bay().charge()


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Take a reaction in seconds and its bound; it goes into the table."""

    def take(seconds: float, bound: float, least: float = 0.0) -> None:
        record_property('measured', seconds)
        assert least <= seconds <= bound, f'{seconds:.3f} s, but {least:g} to {bound:g} s are allowed.'

    return take
