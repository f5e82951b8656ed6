"""Goals of the action ``charge``: many at once, and ended from outside by a death or a command."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from std_msgs.msg import Empty

from charge_client import ChargeClient
from evse_manager.action import Charge
from evse_manager.interface.enums import StopTransactionReason
from evse_manager.msg import EvseStatus
from evse_manager.nodes.qos import STREAM
from evse_manager.srv import EnableDisable
from harness import Connector, Probe, Site

CLIENT = Path(__file__).with_name('charging_client.py')
MANY = 40


@pytest.fixture
def client(connector: Connector) -> Iterator[ChargeClient]:
    client = ChargeClient(connector)
    yield client
    client.close()


def test_of_many_goals_at_once_one_is_served_and_each_other_refused(client: ChargeClient) -> None:
    connector, probe = client.connector, client.probe
    sent = [client.send_later(Charge.Goal(token='ROBOT-7', energy_wh=3.0)) for _ in range(MANY)]
    probe.wait(lambda: all(each.done() for each in sent), 'every goal is answered', 30.0)
    handles = [each.result() for each in sent]
    assert all(handle.accepted for handle in handles)
    results = [handle.get_result_async() for handle in handles]
    probe.wait(lambda: sum(each.done() for each in results) == MANY - 1, 'all but one goal end', 30.0)
    connector.sees('SS')
    connector.accepted('simulation/plug_in')
    probe.wait(lambda: all(each.done() for each in results), 'the last goal ends', 30.0)
    connector.sees('TS PC CS SC CF TF')
    counted = Counter(each.result().result.result for each in results)
    assert counted == {Charge.Result.REACHED: 1, Charge.Result.REFUSED: MANY - 1}
    refusals = {each.result().result.message for each in results} - {''}
    assert refusals == {'A goal is being served at this connector; cancel it first.'}


def test_goals_that_come_and_are_cancelled_without_end_leave_nothing_behind(client: ChargeClient) -> None:
    for _ in range(10):
        handle = client.send(energy_wh=3.0)
        client.connector.sees('SS')
        handle.cancel_goal_async()
        assert client.result(handle).status == GoalStatus.STATUS_CANCELED
        client.connector.sees('SF')
    assert not client.connector.status.authorized
    client.connector.accepted('simulation/plug_in')
    client.connector.sees('SS AR')


@pytest.mark.parametrize(
    ('service', 'fields', 'result', 'words'),
    [
        ('stop_transaction', {}, Charge.Result.STOPPED, 'stopped'),
        ('disable', {}, Charge.Result.STOPPED, 'stopped'),
        (
            'enable_disable',
            {'state': EnableDisable.Request.STATE_DISABLE, 'source': EnableDisable.Request.SOURCE_MOBILE_APP},
            Charge.Result.STOPPED,
            'stopped',
        ),
        ('set_faulted', {}, Charge.Result.FAULTED, 'clear_fault'),
        ('force_unlock', {}, Charge.Result.STOPPED, 'unlock command'),
    ],
)
def test_whoever_ends_the_transaction_ends_the_goal_with_the_reason(
    client: ChargeClient, service: str, fields: dict[str, Any], result: int, words: str
) -> None:
    connector = client.connector
    handle = client.send()
    connector.sees('SS')
    connector.accepted('simulation/plug_in')
    connector.sees('TS PC CS')
    connector.accepted(service, **({'priority': 5} if service == 'enable_disable' else {}), **fields)
    ended = client.result(handle)
    assert (ended.status, ended.result.result) == (GoalStatus.STATUS_ABORTED, result)
    assert words in ended.result.message
    assert ended.result.session_uuid
    if service == 'enable_disable':
        unassigned = {**fields, 'state': EnableDisable.Request.STATE_UNASSIGNED}
        connector.accepted('enable_disable', **unassigned)


def test_a_flood_of_words_and_goals_delays_nothing_and_prints_no_token(site: Site, probe: Probe) -> None:
    connector = Connector(probe, '/flood')
    site.board('/flood')
    manager = site.manager('/flood')
    connector.sees('Enabled')
    client = ChargeClient(connector)
    alive = probe.publisher('std_msgs/msg/Empty', connector.path('charge/keep_alive'), STREAM)
    handle = client.send(energy_wh=3.0, keep_alive=Duration(sec=5))
    connector.sees('SS')
    refused = [
        client.send_later(Charge.Goal(token='SECRET\x1b[2J' + 'x' * 300, energy_wh=3.0)) for _ in range(MANY)
    ]
    for _ in range(2000):
        alive.publish(Empty())
    connector.accepted('simulation/plug_in')
    connector.sees('TS PC CS SC CF TF')
    assert client.result(handle).result.result == Charge.Result.REACHED
    probe.wait(lambda: all(each.done() for each in refused), 'every goal is answered')
    assert 'SECRET' not in manager.output
    assert 'Traceback' not in manager.output
    client.close()


@contextmanager
def other_process(namespace: str, keep_alive_s: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client in a process of its own, which a test may kill."""
    child = subprocess.Popen([sys.executable, str(CLIENT), namespace, str(keep_alive_s)])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize('policy', ['continue', 'pause', 'stop'])
def test_a_killed_client_is_missed_as_the_parameter_says(site: Site, probe: Probe, policy: str) -> None:
    namespace = f'/client_{policy}'
    connector = Connector(probe, namespace)
    site.board(namespace)
    site.manager(namespace, goal_keep_alive_lost=policy)
    connector.sees('Enabled')
    with other_process(namespace, keep_alive_s=2) as child:
        connector.sees('SS', 30.0)
        connector.accepted('simulation/plug_in')
        connector.sees('TS PC CS')
        connector.sees_nothing(3.0)  # the client speaks
        child.kill()
        child.wait()
    match policy:
        case 'continue':
            connector.sees_nothing(4.0)
            assert connector.status.state == EvseStatus.STATE_CHARGING
        case 'pause':
            connector.sees('PEVSE')
        case _:
            *_, finished = connector.sees('SC CF TF')
            assert finished.transaction_finished[0].reason == StopTransactionReason.TIMEOUT


def test_without_keep_alive_a_killed_client_changes_nothing(connector: Connector) -> None:
    with other_process(connector.namespace, keep_alive_s=0) as child:
        connector.sees('SS', 30.0)
        connector.accepted('simulation/plug_in')
        connector.sees('TS PC CS')
        child.kill()
        child.wait()
    connector.sees_nothing(2.0)
    client = ChargeClient(connector)
    refused = client.result(client.send())
    assert 'A goal is being served' in refused.result.message
    connector.accepted('stop_transaction')
    connector.sees('SC CF TF')
    client.close()


def test_a_killed_manager_has_lost_the_goal_and_says_so(site: Site, probe: Probe, tmp_path: Path) -> None:
    namespace = '/manager_killed'
    connector = Connector(probe, namespace, restarted=True)
    parameters = {
        'session_store': str(tmp_path / 'goal.sqlite3'),
        'after_power_loss': 'continue',
        'restart_delay_max_s': 0.0,
    }
    site.board(namespace)
    manager = site.manager(namespace, **parameters)
    connector.sees('Enabled')
    client = ChargeClient(connector)
    handle = client.send()
    connector.sees('SS')
    connector.accepted('simulation/plug_in')
    connector.sees('TS PC CS')
    manager.signal(signal.SIGKILL)
    manager.wait()
    connector.forget()
    site.manager(namespace, **parameters)
    probe.wait(lambda: 'CS' in connector.codes, lambda: f'charging again; {connector.codes}', 30.0)

    def lost() -> bool:
        """Ask for the result, as often as it takes the graph to forget the killed server."""
        future = handle.get_result_async()
        probe.spin(1.0)
        return future.done() and future.result().status == GoalStatus.STATUS_UNKNOWN

    probe.wait(lost, 'the new server answers that it does not know the goal', 30.0)
    handle = client.send()  # a new goal joins the transaction of the same token
    connector.accepted('stop_transaction')
    assert client.result(handle).result.result == Charge.Result.STOPPED
    client.close()
