"""Which token starts and stops what: the cases of the original's authorization, by their names there."""

import pytest

from authorization.site_model import EPOCH, SECOND, Site, rfid
from evse_manager.authorization.config import CarOrder, KnownToken, Rules, UnknownTokens, token_list
from evse_manager.authorization.events import StopCall
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    CertificateStatus,
    StopTransactionReason,
    TokenResultEnum,
)
from evse_manager.interface.types import ProvidedIdToken, Time, ValidationResult

TIMEOUT_S = 3.0
AGAIN_S = 2.0
"""Longer than the time in which a token counts as the same presentation."""

ACCEPTED = TokenResultEnum.ACCEPTED
WAITING = TokenResultEnum.WAITING_FOR_CAR
IN_PROCESS = TokenResultEnum.ALREADY_IN_PROCESS
NO_CONNECTOR = TokenResultEnum.NO_CONNECTOR_AVAILABLE
REJECTED = TokenResultEnum.REJECTED
TIMED_OUT = TokenResultEnum.TIMED_OUT
STOPPED = TokenResultEnum.USED_TO_STOP_TRANSACTION

LISTED = (
    KnownToken('VALID_1'),
    KnownToken('VALID_2'),
    KnownToken('FLEET_1', parent='FLEET'),
    KnownToken('FLEET_2', parent='FLEET'),
)


def make(*tokens: KnownToken, connectors: int = 2, **rules: object) -> Site:
    listed = token_list(tokens or LISTED)
    return Site(Rules(tokens=listed, connection_timeout_s=TIMEOUT_S, **rules), connectors)  # type: ignore[arg-type]


# --- the cases of the original ------------------------------------------------------------------------


def test_simple_authorization() -> None:
    site = make()
    site.plug(1)
    assert site.present('VALID_1') is ACCEPTED
    assert site.charging() == {1: 'VALID_1'}
    assert site.authorized() == {}


def test_two_referenced_connectors() -> None:
    site = make()
    site.plug(2)
    assert site.present('VALID_1', connectors=(1, 2)) is ACCEPTED
    assert site.charging() == {2: 'VALID_1'}


def test_stop_transaction() -> None:
    site = make()
    site.plug(1)
    site.present('VALID_1')
    site.wait(AGAIN_S)
    assert site.present('VALID_1') is STOPPED
    assert site.charging() == {}
    stop = site.calls[-1].command
    assert isinstance(stop, StopCall)
    assert (stop.request.reason, stop.request.id_tag) == (StopTransactionReason.LOCAL, 'VALID_1')


def test_authorize_first() -> None:
    site = make()
    assert site.present('VALID_1') is WAITING
    site.wait(1.0)
    site.plug(1)
    assert site.last.result is ACCEPTED
    assert site.charging() == {1: 'VALID_1'}


def test_authorize_first_at_one_connector_goes_there_before_the_car() -> None:
    site = make()
    assert site.present('VALID_1', at=2) is ACCEPTED
    assert site.authorized() == {2: 'VALID_1'}
    site.plug(2)
    assert site.charging() == {2: 'VALID_1'}


def test_swipe_multiple_times_with_timeout() -> None:
    site = make()
    assert site.present('VALID_1') is WAITING
    site.wait(1.5)
    assert site.present('VALID_1') is IN_PROCESS
    site.wait(2.0)
    assert site.last.result is TIMED_OUT
    assert site.present('VALID_1') is WAITING
    site.plug(2)
    assert site.last.result is ACCEPTED
    assert site.charging() == {2: 'VALID_1'}


@pytest.mark.parametrize('steps', ['t1 t2 p1 p2', 't1 p1 t2 p2', 'p1 p2 t1 t2', 'p1 t1 p2 t2', 't1 p2 t2 p1'])
def test_two_id_tokens_and_two_plugins_find_each_other_in_any_order(steps: str) -> None:
    site = make()
    for step in steps.split():
        if step[0] == 't':
            site.present(f'VALID_{step[1]}')
        else:
            site.plug(int(step[1]))
    assert sorted(site.charging()) == [1, 2]
    assert sorted(site.charging().values()) == ['VALID_1', 'VALID_2']


def test_two_plugins_with_invalid_rfid() -> None:
    site = make()
    site.plug(1)
    site.plug(2)
    assert site.present('VALID_1') is ACCEPTED
    assert site.present('STOLEN') is REJECTED
    assert site.charging() == {1: 'VALID_1'}


def test_faulted_state() -> None:
    site = make()
    site.set(1, faulted=True)
    site.set(2, faulted=True)
    assert site.present('VALID_1') is NO_CONNECTOR
    assert 'c1 is out of order' in site.last.reason


def test_transaction_finish_and_two_transactions_start_stop() -> None:
    site = make()
    site.plug(1)
    site.plug(2)
    site.present('VALID_1')
    site.present('VALID_2')
    assert site.charging() == {1: 'VALID_1', 2: 'VALID_2'}
    site.wait(AGAIN_S)
    assert site.present('VALID_2') is STOPPED
    assert site.charging() == {1: 'VALID_1'}
    assert site.present('VALID_1') is STOPPED
    assert site.charging() == {}


def test_parent_id_finish() -> None:
    site = make(prefer_start=False)
    site.plug(1)
    site.present('FLEET_1')
    site.wait(AGAIN_S)
    assert site.present('FLEET_2') is STOPPED
    assert site.charging() == {}


def test_parent_id_no_finish() -> None:
    site = make(prefer_start=True)
    site.plug(1)
    site.present('FLEET_1')
    assert site.present('FLEET_2') is WAITING
    site.plug(2)
    assert site.charging() == {1: 'FLEET_1', 2: 'FLEET_2'}


def test_parent_id_finish_because_no_available_connector() -> None:
    site = make(prefer_start=True)
    site.plug(1)
    site.present('FLEET_1')
    site.set(2, faulted=True)
    assert site.present('FLEET_2') is STOPPED
    assert site.charging() == {}


def test_parent_id_at_the_connector_itself_stops_whatever_is_preferred() -> None:
    site = make()
    site.plug(1)
    site.present('FLEET_1')
    assert site.present('FLEET_2', at=1) is STOPPED


def test_parent_id_of_an_authorization_without_transaction() -> None:
    site = make(prefer_start=False)
    site.present('FLEET_1', at=1)
    assert site.present('FLEET_2') is IN_PROCESS
    assert site.authorized() == {1: 'FLEET_1'}


def test_reservation() -> None:
    site = make()
    assert site.reserve('VALID_1', at=1).success
    assert site.marks() == {1: 1}


def test_reservation_in_past() -> None:
    site = make()
    refused = site.reserve('VALID_1', at=1, for_s=-1.0)
    assert not refused.success
    assert refused.result.name == 'REJECTED'
    assert site.marks() == {}


def test_reservation_with_authorization() -> None:
    site = make()
    site.reserve('VALID_1', at=1)
    site.plug(1)
    assert site.present('VALID_2', at=1) is REJECTED
    assert site.charging() == {}
    assert site.present('VALID_1', at=1) is ACCEPTED
    assert site.charging() == {1: 'VALID_1'}
    assert site.reservations() == {}


def test_reservation_with_parent_id_tag() -> None:
    site = make()
    site.reserve('OTHER_FLEET_TOKEN', at=1, parent='FLEET')
    site.plug(1)
    assert site.present('VALID_1', at=1) is REJECTED
    assert site.present('FLEET_2', at=1) is ACCEPTED


def test_complete_event_flow() -> None:
    site = make()
    for _ in range(2):
        site.plug(1)
        assert site.present('VALID_1') is ACCEPTED
        site.set(1, error=True)
        site.wait(AGAIN_S)
        site.set(1, error=False)
        assert site.charging() == {1: 'VALID_1'}
        site.unplug(1)
        assert site.charging() == {}
        site.wait(AGAIN_S)


def test_authorization_timeout_and_reswipe() -> None:
    site = make()
    site.present('VALID_1')
    site.wait(TIMEOUT_S)
    assert site.last.result is TIMED_OUT
    site.plug(1)
    assert site.charging() == {}
    assert site.present('VALID_1') is ACCEPTED


def test_authorization_without_transaction() -> None:
    site = make()
    assert site.present('VALID_1', at=1) is ACCEPTED
    site.wait(AGAIN_S)
    assert site.present('VALID_1', at=1) is IN_PROCESS
    site.wait(AGAIN_S)
    assert site.last.result is TIMED_OUT
    assert site.authorized() == {}
    assert site.present('VALID_1', at=1) is ACCEPTED


def test_plug_and_charge() -> None:
    site = make(unknown=UnknownTokens.ASK)
    site.plug(1)
    contract = ProvidedIdToken(
        'DE-ABC-C123456-7', AuthorizationType.PLUG_AND_CHARGE, certificate='-----BEGIN CERTIFICATE-----'
    )
    assert site.present(contract, at=1) is None
    verdict = ValidationResult(AuthorizationStatus.ACCEPTED, CertificateStatus.ACCEPTED)
    assert site.validated(verdict) is ACCEPTED
    assert site.charging() == {1: 'DE-ABC-C123456-7'}


@pytest.mark.parametrize(
    ('evse_ids', 'result'), [((), ACCEPTED), ((1,), ACCEPTED), ((1, 7), ACCEPTED), ((2,), REJECTED)]
)
def test_empty_intersection(evse_ids: tuple[int, ...], result: TokenResultEnum) -> None:
    site = make(unknown=UnknownTokens.ASK)
    site.plug(1)
    site.present('GUEST', connectors=(1,))
    assert site.validated(ValidationResult(AuthorizationStatus.ACCEPTED, evse_ids=evse_ids)) is result
    assert bool(site.charging()) is (result is ACCEPTED)


# --- later cases of the original ----------------------------------------------------------------------


def test_withdraw_authorization() -> None:
    site = make()
    site.present('VALID_1', at=1)
    assert site.withdraw('valid_1').success
    assert site.authorized() == {}
    assert site.last.result is TokenResultEnum.WITHDRAWN


def test_withdraw_authorization_at_a_connector() -> None:
    site = make()
    site.present('VALID_1', at=1)
    assert not site.withdraw(at=2).success
    assert site.withdraw(at=1).success
    assert site.authorized() == {}


def test_withdraw_authorization_during_transaction() -> None:
    site = make()
    site.plug(1)
    site.present('VALID_1')
    answer = site.withdraw('VALID_1')
    assert not answer.success
    assert 'stop_transaction' in answer.message
    assert site.charging() == {1: 'VALID_1'}


def test_withdraw_authorization_while_waiting_for_plug_in() -> None:
    site = make()
    site.present('VALID_1')
    assert site.withdraw('VALID_1').success
    site.plug(1)
    assert site.charging() == {}


def test_withdraw_authorization_with_timeout() -> None:
    site = make()
    site.present('VALID_1', at=1)
    site.wait(TIMEOUT_S)
    assert not site.withdraw('VALID_1').success


def test_withdraw_at_an_unknown_connector_takes_back_nothing() -> None:
    site = make()
    site.present('VALID_1')
    answer = site.withdraw('VALID_1', at=99)
    assert not answer.success
    assert 'no such connector' in answer.message
    assert site.withdraw('VALID_1').success, 'the token waits still'


def test_withdraw_without_a_name() -> None:
    assert not make().withdraw().success


@pytest.mark.parametrize(('plug_in_timeout_s', 'result'), [(0.0, ACCEPTED), (2.0, WAITING)])
def test_plug_in_time_out(plug_in_timeout_s: float, result: TokenResultEnum) -> None:
    site = make(plug_in_timeout_s=plug_in_timeout_s)
    site.plug(1)
    site.wait(2.5)
    assert site.present('VALID_1') is result
    assert site.present('VALID_2', at=1) is (REJECTED if result is REJECTED else site.last.result)


def test_a_car_after_its_plug_in_time_out_takes_a_token_that_names_it() -> None:
    site = make(plug_in_timeout_s=2.0)
    site.plug(1)
    site.wait(2.5)
    assert site.present('VALID_1', at=1) is ACCEPTED


def test_token_timed_out() -> None:
    site = make()
    site.present('VALID_1')
    site.wait(TIMEOUT_S)
    assert [each.result for each in site.outcomes] == [WAITING, TIMED_OUT]


def test_token_swipe_race_with_timeout() -> None:
    site = make()
    site.present('VALID_1')
    site.wait(TIMEOUT_S - 0.001)
    assert site.present('VALID_1') is IN_PROCESS
    site.wait(0.001)
    assert site.last.result is TIMED_OUT
    assert site.present('VALID_1') is WAITING


def test_reswipe_publishes_used_to_reauthorize() -> None:
    site = make(stop_on_same_token=False)
    site.plug(1)
    site.present('VALID_1')
    site.wait(AGAIN_S)
    assert site.present('VALID_1') is TokenResultEnum.USED_TO_REAUTHORIZE
    assert site.charging() == {1: 'VALID_1'}


def test_master_pass_group_id() -> None:
    site = make(*LISTED, KnownToken('POLICE', parent='MASTER'), master_group='MASTER')
    site.plug(1)
    assert site.present('POLICE') is REJECTED
    site.present('VALID_1')
    assert site.present('POLICE') is STOPPED
    stop = site.calls[-1].command
    assert isinstance(stop, StopCall)
    assert stop.request.reason is StopTransactionReason.MASTER_PASS
    assert site.charging() == {}


@pytest.mark.parametrize('typed', ['DEADBEEF', 'deadbeef', 'DeadBeef'])
def test_case_insensitive_token_stops_its_own_transaction(typed: str) -> None:
    site = make(KnownToken('DEADBEEF'))
    site.plug(1)
    site.present('DEADBEEF')
    site.wait(AGAIN_S)
    assert site.present(typed) is STOPPED


def test_case_insensitive_list_lookup() -> None:
    site = make(KnownToken('deadbeef'))
    site.plug(1)
    assert site.present('DEADBEEF') is ACCEPTED


def test_case_insensitive_parent() -> None:
    site = make(KnownToken('A_1', parent='fleet'), KnownToken('A_2', parent='FLEET'))
    site.plug(1)
    site.present('A_1')
    assert site.present('A_2', at=1) is STOPPED


def test_case_insensitive_reservation() -> None:
    site = make()
    site.reserve('valid_1', at=1)
    site.plug(1)
    assert site.present('VALID_1', at=1) is ACCEPTED


def test_case_insensitive_while_waiting() -> None:
    site = make()
    site.present('VALID_1')
    assert site.present('valid_1') is IN_PROCESS


def test_case_insensitive_list_has_no_two_of_one_token() -> None:
    with pytest.raises(ValueError, match='listed twice'):
        token_list((KnownToken('abc'), KnownToken('ABC')))


@pytest.mark.parametrize(('order', 'number'), [(CarOrder.FIRST_PLUGGED, 2), (CarOrder.LAST_PLUGGED, 1)])
def test_plug_events_first_and_last(order: CarOrder, number: int) -> None:
    site = make(car_order=order)
    site.plug(2)
    site.wait(1.0)
    site.plug(1)
    site.present('VALID_1')
    assert site.charging() == {number: 'VALID_1'}


def test_subsequent_valid_tokens() -> None:
    site = make(connectors=1)
    site.plug(1)
    assert site.present('VALID_1') is ACCEPTED
    assert site.present('VALID_2') is NO_CONNECTOR
    assert site.charging() == {1: 'VALID_1'}


def test_multiple_authorization_requests_are_validated_at_once() -> None:
    site = make(unknown=UnknownTokens.ASK)
    site.plug(1)
    site.plug(2)
    site.present('GUEST_1')
    site.present('GUEST_2')
    assert site.present('GUEST_1') is IN_PROCESS
    first, second = site.validations
    assert (first.token.id_token, second.token.id_token) == ('GUEST_1', 'GUEST_2')
    site.validated(ValidationResult(AuthorizationStatus.ACCEPTED))
    assert site.charging() == {1: 'GUEST_2'}


def test_authorization_after_plug_in_and_plug_out() -> None:
    site = make()
    site.plug(1)
    site.unplug(1)
    assert site.present('VALID_1') is WAITING
    site.plug(2)
    assert site.charging() == {2: 'VALID_1'}


def test_plug_and_charge_rejected() -> None:
    site = make(unknown=UnknownTokens.ASK)
    site.plug(1)
    site.present(ProvidedIdToken('DE-ABC-C123456-7', AuthorizationType.PLUG_AND_CHARGE), at=1)
    verdict = ValidationResult(AuthorizationStatus.INVALID, CertificateStatus.CERTIFICATE_REVOKED, 'Revoked.')
    assert site.validated(verdict) is REJECTED
    assert site.charging() == {}


def test_change_availability() -> None:
    site = make()
    site.set(1, enabled=False)
    site.plug(1)
    assert site.present('VALID_1', at=1) is NO_CONNECTOR
    assert 'disabled' in site.last.reason
    site.set(1, enabled=True)
    assert site.present('VALID_1', at=1) is ACCEPTED


# --- the catalogue, and this project's own rules ------------------------------------------------------


def test_c9_same_token_twice_and_another_token_during_a_session() -> None:
    site = make()
    site.plug(1)
    site.present('FLEET_1', at=1)
    assert site.present('FLEET_1', at=1) is IN_PROCESS, 'a card left on the reader stops nothing'
    assert site.present('VALID_1', at=1) is NO_CONNECTOR
    assert site.charging() == {1: 'FLEET_1'}
    assert site.present('FLEET_2', at=1) is STOPPED


def test_c12_reservation_for_a_and_car_with_b() -> None:
    site = make(connectors=1)
    site.reserve('VALID_1', at=1)
    site.plug(1)
    assert site.present('VALID_2') is REJECTED
    assert site.charging() == {}
    assert site.present('VALID_1') is ACCEPTED


def test_token_case_of_the_field() -> None:
    site = make(KnownToken('DEADBEEF'))
    site.plug(1)
    site.present('DEADBEEF', at=1)
    site.wait(AGAIN_S)
    assert site.present('deadbeef', at=1) is STOPPED


@pytest.mark.parametrize(
    ('known', 'reason'),
    [
        (KnownToken('X', enabled=False), 'disabled'),
        (KnownToken('X', expires=Time(EPOCH)), 'expired'),
        (KnownToken('X', valid_from=Time(EPOCH + 1)), 'not valid yet'),
        (KnownToken('X', connectors=frozenset({'c2'})), 'not allowed at this connector'),
    ],
)
def test_a_listed_token_that_may_not_start_here(known: KnownToken, reason: str) -> None:
    site = make(known)
    site.plug(1)
    assert site.present('X', at=1) is REJECTED
    assert reason in site.last.reason
    assert site.charging() == {}


def test_a_token_that_expires_while_it_waits_starts_nothing() -> None:
    site = make(KnownToken('X', expires=Time(EPOCH + SECOND)))
    assert site.present('X') is WAITING
    site.wait(2.0)
    site.plug(1)
    assert site.last.result is REJECTED
    assert site.charging() == {}


def test_a_listed_token_waits_only_for_cars_at_its_connectors() -> None:
    site = make(KnownToken('X', connectors=frozenset({'c2', 'c3'})), connectors=3)
    site.plug(1)
    assert site.present('X') is WAITING
    site.plug(3)
    assert site.charging() == {3: 'X'}


def test_the_highest_priority_of_waiting_tokens_gets_the_car() -> None:
    site = make(KnownToken('LOW'), KnownToken('HIGH', priority=5))
    site.present('LOW')
    site.present('HIGH')
    site.plug(1)
    assert site.charging() == {1: 'HIGH'}


def test_a_token_that_charges_elsewhere_starts_no_second_transaction() -> None:
    site = make()
    site.plug(1)
    site.plug(2)
    site.present('VALID_1', at=1)
    site.wait(AGAIN_S)
    assert site.present('VALID_1', at=2) is REJECTED
    assert 'c1' in site.last.reason
    assert site.charging() == {1: 'VALID_1'}


def test_a_token_is_free_again_when_its_connector_is_silent() -> None:
    site = make()
    site.plug(1)
    site.present('VALID_1', at=1)
    site.set(1, up=False)
    site.wait(10.0)
    site.plug(2)
    assert site.present('VALID_1', at=2) is ACCEPTED


def test_two_readers_at_once_start_one_transaction() -> None:
    site = make()
    site.plug(1)
    site.hold = True
    assert site.present('VALID_1') is None
    assert site.present('VALID_1', at=1) is IN_PROCESS
    site.hold = False
    site.deliver()
    assert site.charging() == {1: 'VALID_1'}


@pytest.mark.parametrize('kind', [AuthorizationType.AUTOCHARGE, AuthorizationType.PLUG_AND_CHARGE])
def test_a_token_that_the_car_presents_again_stops_nothing(kind: AuthorizationType) -> None:
    site = make()
    site.plug(1)
    site.present(ProvidedIdToken('VALID_1', kind), at=1)
    site.wait(AGAIN_S)
    assert site.present(ProvidedIdToken('VALID_1', kind), at=1) is IN_PROCESS
    assert site.charging() == {1: 'VALID_1'}


@pytest.mark.parametrize(
    'id_token', ['', 'x' * 37, 'a\x1b[2Jb', 'a\nb', 'caf\u00e9', '\u202eabc', 'x' * 1_000_000]
)
def test_a_malformed_token_is_rejected_without_its_text(id_token: str) -> None:
    site = make()
    site.plug(1)
    assert site.present(id_token) is REJECTED
    assert '\x1b' not in site.last.reason
    assert len(site.last.reason) < 200
    assert site.calls == []


@pytest.mark.parametrize('fields', [{'connectors': (0,)}, {'connectors': (-3,)}, {'certificate': 'x' * 5501}])
def test_a_token_with_impossible_fields_is_rejected(fields: dict[str, object]) -> None:
    site = make()
    site.plug(1)
    assert site.present('VALID_1', **fields) is REJECTED
    assert site.calls == []


@pytest.mark.parametrize(('accept', 'result'), [(False, REJECTED), (True, ACCEPTED)])
def test_a_prevalidated_token_follows_its_rule(accept: bool, result: TokenResultEnum) -> None:
    site = make(accept_prevalidated=accept)
    site.plug(1)
    assert site.present('REMOTE_START', prevalidated=True) is result


def test_a_disabled_token_is_not_saved_by_its_own_word() -> None:
    site = make(KnownToken('X', enabled=False), accept_prevalidated=True)
    site.plug(1)
    assert site.present('X', prevalidated=True) is REJECTED


def test_a_validation_without_an_answer_rejects() -> None:
    site = make(unknown=UnknownTokens.ASK, validate_timeout_s=2.0)
    site.plug(1)
    site.present('GUEST')
    site.wait(2.0)
    assert site.last.result is REJECTED
    assert site.validated(ValidationResult(AuthorizationStatus.ACCEPTED)) is None, 'too late'
    assert site.charging() == {}


def test_a_validation_of_an_expired_token_rejects() -> None:
    site = make(unknown=UnknownTokens.ASK)
    site.plug(1)
    site.present('GUEST')
    assert site.validated(ValidationResult(AuthorizationStatus.ACCEPTED, expiry_time=EPOCH)) is REJECTED


def test_a_flood_of_tokens_is_refused_and_leaves_room_for_no_more_than_the_bound() -> None:
    site = make(unknown=UnknownTokens.ASK)
    for number in range(200):
        site.present(f'GUEST_{number}')
    assert len(site.validations) == 16
    assert site.last.result is REJECTED
    site.wait(6.0)
    site.plug(1)
    assert site.present('VALID_1') is ACCEPTED


def test_a_connector_that_refuses_gives_its_reason() -> None:
    site = make()
    site.plug(1)
    site.hold = True
    site.present('VALID_1')
    site.connectors[1].enabled = False
    site.hold = False
    site.deliver()
    assert site.outcomes[-1].result is REJECTED
    assert 'disabled' in site.outcomes[-1].reason
    assert site.present('VALID_1', at=1) is NO_CONNECTOR


def test_a_token_whose_connector_does_not_answer_is_withdrawn_there() -> None:
    site = make()
    site.hold = True
    site.present('VALID_1', at=1)
    site.deliver(lose_answer=True)
    assert site.connectors[1].token == 'VALID_1'
    assert site.last.result is REJECTED
    site.hold = False
    site.wait(6.0)
    assert site.authorized() == {}
    assert site.present('VALID_1', at=1) is ACCEPTED


def test_the_time_out_is_called_again_until_the_connector_answers() -> None:
    site = make()
    site.present('VALID_1', at=1)
    site.lose = True
    site.wait(TIMEOUT_S + 3.0)
    assert site.authorized() == {1: 'VALID_1'}
    site.lose = False
    site.wait(3.0)
    assert site.authorized() == {}


def test_a_rejected_token_reports_rfid() -> None:
    assert rfid('X').authorization_type is AuthorizationType.RFID
