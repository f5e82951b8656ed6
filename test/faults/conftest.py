"""What the tests of the catalogue share."""

import pytest

from faults.bay import Bay


@pytest.fixture
def bay() -> Bay:
    """A connector at rest."""
    return Bay()


@pytest.fixture
def charging() -> Bay:
    """A connector that charges."""
    return Bay().charge()
