"""The authorization node over real DDS: readers, two simulated connectors, reservations, its restart."""

import json
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from action_msgs.msg import GoalStatus

from charge_client import ChargeClient
from evse_manager.action import Charge
from evse_manager.interface import endpoints
from evse_manager.msg import EvseStatus, ProvidedIdToken, ReservationStatus, TokenResult, ValidationResult
from evse_manager.nodes.qos import LATCHED, STREAM
from harness import Connector, Probe, Process, Site, running

SITE = '/yard'
START_S = 50.0
"""Five processes start at once, on a busy machine."""

TOKENS = """\
connection_timeout_s: 6.0
tokens:
  - {id_token: DEADBEEF}
  - {id_token: ROBOT-7, parent: fleet}
  - {id_token: ROBOT-8, parent: fleet}
  - {id_token: ONLY-TWO, connectors: [two]}
"""


class Yard:
    """Two connectors, the authorization node, and a reader."""

    def __init__(self, site: Site, probe: Probe, directory: Path) -> None:
        self.site, self.probe = site, probe
        self.store = directory / 'authorization.json'
        self.tokens = directory / 'tokens.yaml'
        self.tokens.write_text(TOKENS)
        self.tokens.chmod(0o600)
        self.one, self.two = (self._connector(name, number) for number, name in enumerate(('one', 'two'), 1))
        self.results: list[TokenResult] = probe.listen(
            'evse_manager/msg/TokenResult', f'{SITE}/token_results', STREAM
        )
        self.held: list[Any] = probe.listen(
            'evse_manager/msg/SiteReservations', f'{SITE}/reservations', LATCHED
        )
        self.process = self.start()
        probe.wait(lambda: self.held, 'the authorization node runs', START_S)
        self._readers = {'': self.reader(''), 'one': self.reader('one')}
        for connector in (self.one, self.two):
            connector.sees('Enabled', START_S)

    def _connector(self, name: str, number: int) -> Connector:
        namespace = f'{SITE}/{name}'
        self.site.board(namespace)
        self.site.manager(
            namespace, connector_id=number, closings_per_minute_max=60, goal_authorization='site'
        )
        return Connector(self.probe, namespace)

    def reader(self, connector: str) -> Any:
        """Return a reader at a connector, or one of the site."""
        topic = f'{connector}/token' if connector else 'tokens'
        return self.probe.publisher('evse_manager/msg/ProvidedIdToken', f'{SITE}/{topic}', STREAM)

    def start(self, **parameters: Any) -> Process:
        return self.site.start('authorization', SITE, tokens_file=self.tokens, store=self.store, **parameters)

    def present(self, token: str, result: int, at: str = '') -> TokenResult:
        """Present a token until it has the result; return that."""
        seen = len(self.results)
        self._readers[at].publish(ProvidedIdToken(id_token=token, authorization_type=2))
        self.probe.wait(
            lambda: any(each.result == result for each in self.results[seen:]),
            lambda: f'result {result} of {token}; {[(r.result, r.reason) for r in self.results[seen:]]}',
        )
        return next(each for each in self.results[seen:] if each.result == result)

    def call(self, name: str, **fields: Any) -> Any:
        kind = next(each.type for each in endpoints.AUTHORIZATION_SERVICES if each.name == name)
        return self.probe.call(kind, f'{SITE}/{name}', **fields)


@pytest.fixture(scope='module')
def yard(domain: int, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    directory = tmp_path_factory.mktemp('yard')
    with running(directory) as site:
        yield Yard(site, probe, directory)


@pytest.fixture(autouse=True)
def at_rest(yard: Yard) -> Iterator[None]:
    yield
    for connector in (yard.one, yard.two):
        connector.to_rest()


def test_plug_first_then_a_token_and_the_token_again(yard: Yard) -> None:
    yard.one.accepted('simulation/plug_in')
    yard.one.sees('SS AR')
    accepted = yard.present('DEADBEEF', TokenResult.ACCEPTED)
    assert accepted.connector == yard.one.namespace
    assert accepted.token == '****BEEF'
    started = yard.one.sees('TS PC CS')[0]
    assert started.transaction_started[0].id_tag.id_token == 'DEADBEEF'
    yard.probe.spin(1.2)
    yard.present('deadbeef', TokenResult.USED_TO_STOP_TRANSACTION)
    yard.one.sees('SC CF TF')


def test_token_first_then_the_car(yard: Yard) -> None:
    yard.present('ROBOT-7', TokenResult.WAITING_FOR_CAR)
    yard.two.accepted('simulation/plug_in')
    assert yard.two.sees('SS AR TS PC CS')[2].transaction_started[0].id_tag.id_token == 'ROBOT-7'


def test_a_connectors_own_reader_authorizes_before_the_car_and_times_out(yard: Yard) -> None:
    yard.present('ROBOT-7', TokenResult.ACCEPTED, at='one')
    yard.one.sees('SS SF')
    yard.probe.wait(lambda: yard.results[-1].result == TokenResult.TIMED_OUT, 'the result of the time-out')


@pytest.mark.parametrize('token', ['STOLEN', 'x' * 400, 'a\x1b[2Jb', ''])
def test_a_token_that_is_not_known_or_malformed_is_rejected(yard: Yard, token: str) -> None:
    yard.one.accepted('simulation/plug_in')
    yard.one.sees('SS AR')
    rejected = yard.present(token, TokenResult.REJECTED)
    assert rejected.reason
    yard.one.sees_nothing()
    assert '\x1b[2J' not in yard.process.output
    assert 'x' * 37 not in yard.process.output


def test_a_reservation_is_shown_kept_and_used(yard: Yard) -> None:
    answer = yard.call('reserve', id_token='ROBOT-8', connector='one', duration=seconds(600))
    assert (answer.success, answer.status, answer.message) == (True, ReservationStatus.ACCEPTED, '')
    yard.one.sees('ReservationStart')
    (held,) = yard.probe.wait(lambda: yard.held[-1].reservations, 'the reservation is published')
    assert (held.reservation_id, held.connector) == (answer.reservation_id, yard.one.namespace)
    assert held.token == '***OT-8'
    yard.one.accepted('simulation/plug_in')
    yard.one.sees('SS AR')
    yard.present('DEADBEEF', TokenResult.REJECTED, at='one')
    yard.present('robot-8', TokenResult.ACCEPTED, at='one')
    (started, *_) = yard.one.sees('TS PC CS')
    assert list(started.transaction_started[0].reservation_id) == [answer.reservation_id]
    yard.probe.wait(lambda: not yard.held[-1].reservations, 'the reservation is used up')


def test_a_reservation_without_an_end_or_of_an_occupied_connector_is_refused(yard: Yard) -> None:
    assert 'duration' in yard.call('reserve', id_token='ROBOT-8').message
    yard.one.accepted('simulation/plug_in')
    yard.one.sees('SS AR')
    yard.one.reaches(lambda status: status.plugged, 'plugged')
    yard.probe.spin(0.3)
    refused = yard.call('reserve', id_token='ROBOT-8', connector='one', duration=seconds(600))
    assert (refused.success, refused.status) == (False, ReservationStatus.OCCUPIED)


@pytest.mark.parametrize(
    ('token', 'words'), [('STOLEN', 'not in the token list'), ('ONLY-TWO', 'not allowed at this connector')]
)
def test_a_goal_whose_token_the_site_refuses_ends_at_once_with_the_reason(
    yard: Yard, token: str, words: str
) -> None:
    client = ChargeClient(yard.one)
    ended = client.result(client.send(token=token), 5.0)  # long before any time-out of the goal
    assert (ended.status, ended.result.result) == (GoalStatus.STATUS_ABORTED, Charge.Result.REFUSED)
    assert words in ended.result.message
    yard.one.sees_nothing()
    client.close()


def test_a_goal_at_a_connector_that_is_reserved_for_another_is_refused(yard: Yard) -> None:
    reserved = yard.call('reserve', id_token='ROBOT-8', connector='one', duration=seconds(60))
    client = ChargeClient(yard.one)
    ended = client.result(client.send(token='DEADBEEF'), 5.0)
    assert ended.result.result == Charge.Result.REFUSED
    assert f'reservation {reserved.reservation_id}' in ended.result.message
    assert yard.call('cancel_reservation', reservation_id=reserved.reservation_id).success
    yard.one.sees('ReservationStart ReservationEnd')
    client.close()


def test_a_goal_whose_token_the_site_knows_charges(yard: Yard) -> None:
    client = ChargeClient(yard.one)
    handle = client.send(token='ROBOT-7', energy_wh=5.0)
    yard.one.sees('SS')
    yard.one.accepted('simulation/plug_in')
    started = yard.one.sees('TS PC CS')[0].transaction_started[0]
    assert started.id_tag.id_token == 'ROBOT-7'
    assert client.result(handle).result.result == Charge.Result.REACHED
    client.close()


def test_a_reservation_of_any_answers_with_its_number_and_keeps_one_connector_free(yard: Yard) -> None:
    reserved = yard.call('reserve', id_token='ROBOT-7', duration=seconds(60))
    assert reserved.success, reserved.message
    assert reserved.reservation_id > 0
    yard.one.charge()  # one of two is taken; the other is kept free
    yard.two.accepted('simulation/plug_in')
    yard.two.sees('SS AR')
    assert 'kept free' in yard.present('DEADBEEF', TokenResult.REJECTED).reason
    yard.present('ROBOT-7', TokenResult.ACCEPTED)
    yard.two.sees('TS PC CS')
    yard.probe.wait(lambda: not yard.held[-1].reservations, 'the reservation is used up')


def test_one_token_at_two_readers_at_once_starts_one_transaction(yard: Yard) -> None:
    for connector in (yard.one, yard.two):
        connector.accepted('simulation/plug_in')
        connector.sees('SS AR')
    yard.probe.spin(0.5)
    seen = len(yard.results)
    readers = yard.reader('one'), yard.reader('two')
    yard.process.signal(signal.SIGSTOP)  # it finds both when it goes on
    for number, reader in enumerate(readers):
        reader.publish(ProvidedIdToken(id_token='DEADBEEF', authorization_type=2, request_id=[number]))
    yard.process.signal(signal.SIGCONT)
    yard.probe.wait(
        lambda: {each.request_id[0] for each in yard.results[seen:] if each.request_id} == {0, 1},
        'both readers have a result',
    )
    results = {each.request_id[0]: each.result for each in yard.results[seen:]}
    assert sorted(results.values()) == sorted([TokenResult.ACCEPTED, TokenResult.ALREADY_IN_PROCESS])
    yard.probe.spin(1.0)
    assert (yard.one.codes + yard.two.codes).count('TS') == 1


def test_withdraw_token(yard: Yard) -> None:
    yard.present('ROBOT-7', TokenResult.WAITING_FOR_CAR)
    assert yard.call('withdraw_token', id_token='robot-7').success
    assert not yard.call('withdraw_token', id_token='robot-7').success


def test_requests_that_name_an_unknown_connector_are_refused_and_change_nothing(yard: Yard) -> None:
    held = yard.call('reserve', id_token='ROBOT-8', connector='one', duration=seconds(600))
    assert held.success
    yard.one.sees('ReservationStart')
    refused = yard.call(
        'reserve',
        reservation_id=held.reservation_id,
        id_token='ROBOT-8',
        connector='attic',
        duration=seconds(600),
    )
    assert (refused.success, refused.status) == (False, ReservationStatus.REJECTED)
    assert refused.message == 'There is no such connector at this site; leave it empty for any.'
    yard.present('ROBOT-7', TokenResult.WAITING_FOR_CAR)
    refused = yard.call('withdraw_token', id_token='ROBOT-7', connector='attic')
    assert not refused.success
    assert refused.message.startswith('There is no such connector at this site')
    assert not yard.call('cancel_reservation', reservation_id=held.reservation_id + 1000).success
    yard.one.sees_nothing()
    assert [each.reservation_id for each in yard.held[-1].reservations] == [held.reservation_id]
    assert yard.call('withdraw_token', id_token='ROBOT-7').success, 'it waits still'
    assert yard.call('cancel_reservation', reservation_id=held.reservation_id).success
    yard.one.sees('ReservationEnd')


def test_killed_and_started_again_it_knows_what_runs_and_what_is_reserved(yard: Yard) -> None:
    yard.one.accepted('simulation/plug_in')
    yard.one.sees('SS AR')
    yard.present('ROBOT-7', TokenResult.ACCEPTED)
    yard.one.sees('TS PC CS')
    reserved = yard.call('reserve', id_token='DEADBEEF', connector='two', duration=seconds(600))
    assert reserved.success
    assert stat.S_IMODE(yard.store.stat().st_mode) == 0o600
    assert len(json.loads(yard.store.read_text())['reservations']) == 1
    yard.process.signal(signal.SIGKILL)
    yard.process.wait()
    yard.one.sees_nothing(1.0)
    assert yard.one.status.state == EvseStatus.STATE_CHARGING, 'its death changes nothing that charges'
    yard.held.clear()
    yard.process = yard.start()
    yard.probe.wait(lambda: yard.held and yard.held[-1].reservations, 'the reservation is restored', START_S)
    yard.probe.spin(2.0)
    yard.present('ROBOT-8', TokenResult.USED_TO_STOP_TRANSACTION, at='one')
    yard.one.sees('SC CF TF')
    kind = endpoints.AUTHORIZATION_SERVICES[1].type
    fresh = Probe('after_restart')
    try:
        answer = fresh.call(kind, f'{SITE}/cancel_reservation', reservation_id=reserved.reservation_id)
    finally:
        fresh.close()
    assert answer.success
    yard.two.reaches(lambda status: not status.reservation_id, 'not reserved')


def test_a_second_node_of_the_site_is_refused(yard: Yard) -> None:
    second = yard.start()
    assert second.wait() == 2
    assert 'one authorization node' in second.output


def test_ask_leaves_unknown_tokens_to_another_node(yard: Yard) -> None:
    yard.process.stop()
    yard.held.clear()
    yard.process = yard.site.start(
        'authorization', SITE, tokens_file=yard.tokens, store='""', unknown_tokens='ask'
    )
    yard.probe.wait(lambda: yard.held, 'the authorization node runs', START_S)

    def validate(request: Any, response: Any) -> Any:
        known = request.provided_token.id_token == 'GUEST'
        response.validation_result = ValidationResult(authorization_status=1 if known else 5)
        return response

    yard.probe.node.create_service(
        endpoints.load(endpoints.VALIDATE_TOKEN.type), f'{SITE}/validate_token', validate
    )
    yard.one.accepted('simulation/plug_in')
    yard.one.sees('SS AR')
    yard.probe.spin(3.0)
    yard.present('STRANGER', TokenResult.REJECTED)
    yard.present('GUEST', TokenResult.ACCEPTED)
    yard.one.sees('TS PC')


def test_no_log_shows_a_whole_token(yard: Yard) -> None:
    shown = yard.process.output
    assert 'Token' in shown
    for token in ('GUEST', 'DEADBEEF', 'ROBOT-7', 'STRANGER'):
        assert token not in shown


def seconds(count: int) -> Any:
    from builtin_interfaces.msg import Duration

    return Duration(sec=count)
