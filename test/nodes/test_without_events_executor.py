"""The nodes on an rclpy that has no ``EventsExecutor``: slower, and right all the same."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evse_manager.msg import ContactorState
from harness import Connector, Probe

NODE = """
import sys
sys.modules['rclpy.experimental.events_executor'] = None  # importing it fails
from evse_manager.nodes.{module} import main
sys.exit(main())
"""


@pytest.fixture
def nodes(domain: int, tmp_path: Path, namespace: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    started = {}
    for module in ('board_support', 'evse_manager_node'):
        with (tmp_path / f'{module}.log').open('w') as log:
            started[module] = subprocess.Popen(
                [sys.executable, '-c', NODE.format(module=module), '--ros-args', '-r', f'__ns:={namespace}',
                 '-p', 'session_store:=""'],
                stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path,
            )  # fmt: skip
    yield started
    for child in started.values():
        child.kill()
        child.wait()


def test_a_session_and_an_end_in_order_while_charging(
    nodes: dict[str, subprocess.Popen[bytes]], probe: Probe, namespace: str
):
    connector = Connector(probe, namespace)
    connector.sees('Enabled')
    connector.charge()
    connector.accepted('pause_charging')
    connector.sees('PEVSE')
    connector.accepted('resume_charging')
    connector.sees('CR')
    connector.accepted('force_unlock')  # this one answers later
    connector.sees('SC CF TF')
    connector.accepted('simulation/unplug')
    connector.sees('SF')
    connector.charge()
    states = connector.listen('board/state')
    probe.wait(lambda: states and states[-1].contactor == ContactorState.CLOSED, 'closed')
    nodes['evse_manager_node'].send_signal(signal.SIGINT)
    connector.sees('SC CF TF SF')
    assert states[-1].contactor == ContactorState.OPEN
    assert nodes['evse_manager_node'].wait(5.0) == 0
    nodes['board_support'].send_signal(signal.SIGTERM)
    assert nodes['board_support'].wait(5.0) == 0
