"""The demonstration: all of it happens, and nothing of it remains."""

import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from evse_manager.simulation.virtual.board import BOARDS

from .conftest import program

pytestmark = pytest.mark.timeout(180)

LIMIT_S = 120.0

EVENTS = """
    SessionStarted AuthRequired TransactionStarted PrepareCharging ChargingStarted
    ChargingPausedEV ChargingResumed
    ChargingPausedEVSE ChargingResumed
    Error AllErrorsCleared ChargingResumed
    StoppingCharging ChargingFinished TransactionFinished SessionFinished
""".split()  # noqa: SIM905 - the scenario at a glance

EVENTS_OF = {
    'openevse': """
        SessionStarted AuthRequired TransactionStarted PrepareCharging ChargingStarted
        ChargingPausedEV ChargingResumed
        ChargingPausedEVSE ChargingResumed
        Error
        StoppingCharging ChargingFinished TransactionFinished
        AllErrorsCleared SessionFinished
    """.split()  # noqa: SIM905
}
"""The firmware of an OpenEVSE ends the fault of state D with the unplug alone."""


def processes_of(namespace):
    """The processes of a namespace that run on this machine, by id."""
    found = {}
    for folder in Path('/proc').iterdir():
        try:
            words = (folder / 'cmdline').read_text().split('\0')
        except (OSError, ValueError):
            continue
        if f'__ns:={namespace}' in words:
            found[next(word.rpartition('/')[2] for word in words if 'lib/evse_manager/' in word)] = int(
                folder.name
            )
    return found


@contextmanager
def demo(*words, log):
    """A running demonstration with its own namespace; whatever it leaves behind is found by that."""
    namespace = f'/demo_{os.getpid()}_{time.monotonic_ns()}'
    with log.open('w') as output:
        child = subprocess.Popen(
            [program('evse_demo'), '--namespace', namespace, *words],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    child.namespace = namespace
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        left = processes_of(namespace)
        for process in left.values():
            os.kill(process, signal.SIGKILL)
    assert left == {}, f'left behind: {left}'


def wait_for(text, log, child, limit=40.0):
    end = time.monotonic() + limit
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        assert child.poll() is None, log.read_text()
        time.sleep(0.1)


def test_all_of_it_happens_in_order_and_in_time(tmp_path):
    log, picture = tmp_path / 'demo.log', tmp_path / 'demo.svg'
    began = time.monotonic()
    with demo('--save-svg', str(picture), log=log) as child:
        code = child.wait(LIMIT_S)
    text = log.read_text()
    assert code == 0, text
    assert time.monotonic() - began < 90.0
    assert re.findall(r'● (\w+)', text) == ['Enabled', *EVENTS]
    assert re.search(r'→ 2\d\.\d\d kW  32\.0 A', text)
    assert re.search(r'→ 1[01]\.\d\d kW  16\.0 A .* duty 26\.7 %', text)
    assert 'VentilationNotAvailable' in text
    summary = text.partition('Session summary')[2]
    assert re.search(r'energy +\d+\.\d Wh', summary)
    assert re.search(r'duration +0:0\d:\d\d, charging 0:0\d:\d\d', summary)
    assert re.search(rf'events +{len(EVENTS)}: ', summary)
    assert re.search(r'export ROS_DOMAIN_ID=\d+ ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST\n  evse watch', text)
    assert '\x1b' not in text
    assert picture.read_text().startswith('<svg')


def test_all_of_it_happens_with_every_board_behind_a_port(tmp_path):
    boards = sorted(set(BOARDS) - {'sdm630'})
    with ExitStack() as stack:
        children = {
            board: stack.enter_context(demo('--driver', board, log=tmp_path / f'{board}.log'))
            for board in boards
        }
        codes = {board: child.wait(LIMIT_S) for board, child in children.items()}
    told = {board: (tmp_path / f'{board}.log').read_text() for board in boards}
    assert codes == dict.fromkeys(boards, 0), '\n'.join(told.values())
    for board, text in told.items():
        events = EVENTS_OF.get(board, EVENTS)
        assert re.findall(r'● (\w+)', text) == ['Enabled', *events]
        assert re.search(r'energy +\d+\.\d Wh', text)


@pytest.mark.parametrize(
    'number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_signal_ends_it_and_its_nodes(tmp_path, number):
    log = tmp_path / 'demo.log'
    with demo(log=log) as child:
        wait_for('SessionStarted', log, child)
        assert set(processes_of(child.namespace)) == {'evse_manager', 'board_support'}
        child.send_signal(number)
        assert child.wait(8.0) == 130


def test_a_node_that_dies_is_a_failed_step(tmp_path):
    log = tmp_path / 'demo.log'
    with demo(log=log) as child:
        wait_for('AuthRequired', log, child)
        os.kill(processes_of(child.namespace)['evse_manager'], signal.SIGKILL)
        assert child.wait(20.0) == 1
    last = log.read_text().splitlines()[-1]
    assert re.match(r'evse_demo: step \d+ ".*": evse_manager ended with exit code -9', last)


def test_a_driver_that_there_is_not_is_told_in_the_nodes_own_words(tmp_path):
    log = tmp_path / 'demo.log'
    with demo('--driver', 'perpetuum_mobile', log=log) as child:
        assert child.wait(30.0) == 1
    text = log.read_text()
    assert 'board_support ended with exit code 2' in text
    assert re.search(r'board_support: .*perpetuum_mobile', text)


def test_a_connector_that_is_there_already_is_left_alone(tmp_path, shared, domain):
    log = tmp_path / 'demo.log'
    with demo('--domain-id', str(domain), '--namespace', shared.namespace, log=log) as child:
        assert child.wait(20.0) == 2
    assert re.search(
        rf'there is a connector {shared.namespace} on ROS domain {domain} already', log.read_text()
    )
    shared.sees_nothing(0.1)


def test_wrong_usage_starts_nothing(tmp_path):
    log = tmp_path / 'demo.log'
    with demo('--domain-id', '102', log=log) as child:
        assert child.wait(10.0) == 2
    assert log.read_text().count('\n') == 1
