"""The end of a process: power is withdrawn first, what is open is closed, all in three seconds."""

import signal
import time

import pytest

from evse_manager.msg import ContactorState
from harness import Connector, Probe, Process, Site


def started(site: Site, probe: Probe, namespace: str) -> tuple[Connector, Process, Process]:
    connector = Connector(probe, namespace)
    board, manager = site.board(namespace), site.manager(namespace)
    connector.sees('Enabled')
    return connector, manager, board


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def number(request: pytest.FixtureRequest) -> signal.Signals:
    return request.param


def test_the_manager_ends_while_charging(number, site: Site, probe: Probe):
    """Golden sequence 29: the contactor is open before the process is gone."""
    connector, manager, board = started(site, probe, f'/manager_{number.name.lower()}')
    connector.charge()
    states = connector.listen('board/state')
    probe.wait(lambda: states and states[-1].contactor == ContactorState.CLOSED, 'closed')

    begun = time.monotonic()
    manager.signal(number)
    connector.sees('SC CF TF SF', 3.0)
    assert connector.all_events[-2].transaction_finished[0].reason == 7  # REBOOT
    assert states[-1].contactor == ContactorState.OPEN
    assert manager.exit_code is None or states[-1].contactor == ContactorState.OPEN
    assert manager.wait(3.0) == 0
    assert time.monotonic() - begun < 3.0
    assert 'Traceback' not in manager.output
    board.stop()


def test_the_board_node_ends_while_charging(number, site: Site, probe: Probe):
    connector, manager, board = started(site, probe, f'/board_{number.name.lower()}')
    connector.charge()
    states = connector.listen('board/state')
    probe.wait(lambda: states and states[-1].contactor == ContactorState.CLOSED, 'closed')
    begun = time.monotonic()
    board.signal(number)
    probe.wait(lambda: states[-1].contactor == ContactorState.OPEN, 'open', 1.0)
    assert board.wait(3.0) == 0
    assert time.monotonic() - begun < 3.0
    assert 'Traceback' not in board.output
    manager.stop()


def test_an_idle_manager_ends_quickly(site: Site, probe: Probe):
    _, manager, board = started(site, probe, '/idle_end')
    begun = time.monotonic()
    manager.signal(signal.SIGTERM)
    assert manager.wait(3.0) == 0
    assert time.monotonic() - begun < 1.5
    board.stop()


@pytest.mark.parametrize('which', ['manager', 'board'])
def test_a_node_that_ended_is_gone_from_the_graph(which: str, site: Site, probe: Probe):
    """A killed one stays there for the 20 s of the middleware's lease; who ends in order says so."""
    connector, manager, board = started(site, probe, f'/{which}_leaves')
    process, topic = {'manager': (manager, 'status'), 'board': (board, 'board/state')}[which]
    process.signal(signal.SIGTERM)
    assert process.wait(5.0) == 0
    probe.wait(lambda: not probe.node.count_publishers(connector.path(topic)), 'gone', 5.0)


def test_a_manager_without_a_board_ends(site: Site, probe: Probe):
    connector = Connector(probe, '/lonely')
    manager = site.manager('/lonely')
    assert connector.status
    manager.signal(signal.SIGINT)
    assert manager.wait(3.0) == 0


def test_a_second_signal_ends_at_once_and_power_is_withdrawn(site: Site, probe: Probe):
    connector, manager, board = started(site, probe, '/twice')
    connector.charge()
    commands, states = connector.listen('board/command'), connector.listen('board/state')
    probe.wait(lambda: commands and states, 'what manager and board tell each other')
    board.signal(signal.SIGSTOP)  # nothing answers, so the first signal alone would wait
    manager.signal(signal.SIGINT)
    probe.wait(lambda: not commands[-1].allow_power_on, 'the withdrawal', 2.0)
    begun = time.monotonic()
    manager.signal(signal.SIGINT)
    assert manager.wait(3.0) == 0
    assert time.monotonic() - begun < 1.0
    board.signal(signal.SIGCONT)
    probe.wait(lambda: states[-1].contactor == ContactorState.OPEN, 'open', 3.0)
    board.stop()


@pytest.mark.fault('C21')
def test_a_service_called_while_the_node_ends_is_refused(site: Site, probe: Probe, measured):
    connector, manager, board = started(site, probe, '/dying')
    connector.charge()
    states = connector.listen('board/state')
    probe.wait(lambda: states, 'a state of the board')
    client = probe.client('evse_manager/srv/PauseCharging', '/dying/pause_charging')
    manager.signal(signal.SIGINT)
    connector.sees('SC', 3.0)
    begun = time.monotonic()
    future = client.call_async(client.srv_type.Request())
    answer = probe.wait(lambda: future.result() if future.done() else None, 'an answer', 2.0)
    measured(time.monotonic() - begun, 1.0)
    assert not answer.success
    assert 'shutting down' in answer.message
    probe.wait(lambda: states[-1].contactor == ContactorState.OPEN, 'open', 3.0)
    assert manager.exit_code is None, 'open before the process is gone'
    assert manager.wait(3.0) == 0
    board.stop()
