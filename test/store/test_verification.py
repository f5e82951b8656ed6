"""The energy of all sessions is what the meter counted, or it is said where they differ."""

from dataclasses import replace

import pytest

from evse_manager.interface.types import SessionRecord
from evse_manager.store.verification import DifferenceKind, Finding, Verdict, verify
from store.sample_records import session


def days(count: int) -> list[SessionRecord]:
    """Return sessions of one meter that follow each other without a gap."""
    return [session(day, start_wh=1000.0 * day, energy_wh=1000.0, hours=0.0) for day in range(count)]


def test_sessions_that_follow_each_other_agree() -> None:
    (meter,) = verify(days(5))
    assert meter.verdict is Verdict.AGREES
    assert (meter.transactions, meter.sessions_wh, meter.registers_wh) == (5, 5000.0, 5000.0)
    assert meter.findings == ()


def test_the_order_of_the_records_does_not_matter() -> None:
    assert verify(days(5)[::-1]) == verify(days(5))


def test_a_session_that_is_missing_is_found_between_its_neighbours() -> None:
    known = days(5)
    (meter,) = verify([*known[:2], *known[3:]])
    assert meter.verdict is Verdict.DIFFERS
    assert meter.difference_wh == 1000.0
    assert meter.findings == (Finding(DifferenceKind.BETWEEN, known[3].uuid, known[1].uuid, 1000.0),)


def test_a_meter_that_was_reset_is_found() -> None:
    known = [*days(2), session(9, start_wh=0.0, energy_wh=1000.0, hours=0.0)]
    (meter,) = verify(known)
    assert meter.verdict is Verdict.DIFFERS
    assert meter.findings == (Finding(DifferenceKind.BACKWARDS, known[2].uuid, known[1].uuid, -2000.0),)


@pytest.mark.parametrize('marked', [False, True])
def test_a_session_with_another_energy_than_its_registers_is_found(marked: bool) -> None:
    known = days(3)
    known[1] = replace(known[1], energy_wh=900.0, energy_is_lower_bound=marked)
    (meter,) = verify(known)
    assert meter.verdict is Verdict.DIFFERS
    assert meter.findings == (Finding(DifferenceKind.WITHIN, known[1].uuid, energy_wh=100.0, marked=marked),)


def test_two_faults_that_cancel_out_are_found_all_the_same() -> None:
    known = days(3)
    known[0] = replace(known[0], energy_wh=1100.0)
    known[1] = replace(known[1], energy_wh=900.0)
    (meter,) = verify(known)
    assert meter.difference_wh == 0.0
    assert meter.verdict is Verdict.DIFFERS
    assert len(meter.findings) == 2


def test_a_session_without_a_register_is_named() -> None:
    known = days(3)
    known[1] = replace(known[1], meter_stop_wh=None)
    (meter,) = verify(known)
    assert meter.verdict is Verdict.DIFFERS
    assert [finding.kind for finding in meter.findings] == [
        DifferenceKind.NO_REGISTER,
        DifferenceKind.BETWEEN,
    ]
    (alone,) = verify([known[1]])
    assert alone.verdict is Verdict.UNKNOWN


def test_the_resolution_of_the_register_is_no_difference() -> None:
    known = [replace(each, energy_wh=1000.4) for each in days(5)]
    (meter,) = verify(known)
    assert meter.verdict is Verdict.AGREES


def test_each_connector_and_each_meter_is_judged_by_itself() -> None:
    other = replace(session(0, connector='/evse_2', start_wh=7.0), meter_id='')
    new = replace(session(9, start_wh=0.0), meter_id='SDM-2')
    meters = verify([*days(2), other, new])
    assert [(each.connector, each.meter_id) for each in meters] == [
        ('/evse_1', 'SDM-1'),
        ('/evse_1', 'SDM-2'),
        ('/evse_2', ''),
    ]
    assert {each.verdict for each in meters} == {Verdict.AGREES}


def test_open_sessions_and_those_without_a_transaction_are_left_out() -> None:
    known = days(1)
    unfinished = replace(session(5), transaction_finished=None, energy_wh=None)
    bare = replace(session(6), transaction_started=None, transaction_finished=None)
    assert verify([*known, unfinished, bare]) == verify(known)
    assert verify([]) == []
