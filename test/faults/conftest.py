"""What the tests of the catalogue share."""

import pytest

from faults.fault_bench import FaultBench


@pytest.fixture
def bench() -> FaultBench:
    """A connector at rest."""
    return FaultBench()


@pytest.fixture
def charging() -> FaultBench:
    """A connector that charges."""
    return FaultBench().charge()
