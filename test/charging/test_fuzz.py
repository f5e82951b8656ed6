"""A share of ``make fuzz`` in every run of the tests."""

import os

import pytest

from charging.fuzz import fuzz

STEPS = int(os.environ.get('EVSE_FUZZ_STEPS', '200000'))


@pytest.mark.timeout(600)
def test_any_inputs_in_any_order_keep_the_invariants() -> None:
    assert fuzz(STEPS, seed=1) >= STEPS
