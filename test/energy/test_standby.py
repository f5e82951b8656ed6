"""Of several energy managers one is in charge; another takes over when that one is silent."""

import math

from evse_manager.energy.standby import TAKE_OVER_S, Change, Standby


def test_one_that_hears_no_other_takes_charge() -> None:
    one = Standby('b', 10.0)
    assert one.look(10.0 + TAKE_OVER_S - 0.1) is Change.NOTHING
    assert one.next_look() == 10.0 + TAKE_OVER_S
    assert one.look(10.0 + TAKE_OVER_S) is Change.TAKES_CHARGE
    assert one.in_charge
    assert one.next_look() == math.inf
    assert one.look(1e6) is Change.NOTHING, 'it is in charge already'


def test_a_second_one_stands_by_and_takes_over_after_silence() -> None:
    second = Standby('a', 0.0)
    for second_s in range(1, 60):
        assert second.hear('b', float(second_s)) is Change.NOTHING
        assert second.look(second_s + 0.9) is Change.NOTHING
        assert (second.in_charge, second.other) == (False, 'b')
    assert second.look(59.0 + TAKE_OVER_S) is Change.TAKES_CHARGE


def test_of_two_in_charge_the_one_with_the_greater_identity_stands_back() -> None:
    one, other = Standby('a', 0.0), Standby('b', 0.0)
    assert one.look(5.0) is other.look(5.0) is Change.TAKES_CHARGE
    assert one.hear('b', 5.1) is Change.NOTHING
    assert other.hear('a', 5.1) is Change.STANDS_BACK
    assert (one.in_charge, other.in_charge) == (True, False)
    assert other.next_look() == 5.1 + TAKE_OVER_S


def test_its_own_reports_are_no_other_one() -> None:
    one = Standby('a', 0.0)
    one.look(5.0)
    assert one.hear('a', 5.1) is Change.NOTHING
    assert one.other == ''
    assert one.in_charge
