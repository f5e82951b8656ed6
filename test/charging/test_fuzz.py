"""A share of ``make fuzz`` in every run of the tests."""

import os

import pytest

from charging.fuzz import fuzz, play

STEPS = int(os.environ.get('EVSE_FUZZ_STEPS', '200000'))


@pytest.mark.timeout(600)
def test_any_inputs_in_any_order_keep_the_invariants() -> None:
    assert fuzz(STEPS, seed=1) >= STEPS


def test_a_contactor_that_opens_and_closes_between_two_reports_keeps_the_lock() -> None:
    """The walk that found it: the lock was let go for an opening that was over when it was told."""
    assert play(1378)
