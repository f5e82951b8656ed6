"""``ros2 launch evse_manager``: each board, a meter beside it; and what ends is started again."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evse_manager.msg import EvseStatus
from evse_manager.simulation.virtual.board import BOARDS, board_class
from harness import Connector, Probe, Process

ROS2 = shutil.which('ros2')

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(ROS2 is None, reason='needs the command ros2, which does not come as a wheel'),
]


@pytest.fixture(autouse=True)
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))


@contextmanager
def launched(log: Path, *arguments: str) -> Iterator[Process]:
    process = Process(str(ROS2), 'launch', 'evse_manager', *arguments, log=log)
    try:
        yield process
    finally:
        process.stop()


@pytest.mark.parametrize(
    ('node', 'back'), [('evse_manager', 'Enabled'), ('board_support', 'AllErrorsCleared')]
)
def test_a_node_that_was_killed_is_started_again(
    domain: int, probe: Probe, tmp_path: Path, node: str, back: str
) -> None:
    namespace = f'/launched_again_{node}'
    with launched(tmp_path / 'launch.log', 'evse.launch.py', f'namespace:={namespace}') as launch:
        connector = Connector(probe, namespace)
        connector.sees('Enabled', 30.0)
        connector.charge()
        connector.forget()
        pid = re.search(rf'\[{node}-\d\]: process started with pid \[(\d+)\]', launch.output)
        assert pid is not None
        os.kill(int(pid[1]), signal.SIGKILL)
        probe.wait(lambda: back in connector.codes, lambda: f'{back}; {connector.codes}', 40.0)
        launch.signal(signal.SIGINT)
        assert launch.wait() == 0, launch.output


def test_a_port_may_come_later(domain: int, probe: Probe, tmp_path: Path) -> None:
    namespace, port = '/launched_early', tmp_path / 'port'
    with launched(
        tmp_path / 'launch.log', 'evse.launch.py', 'driver:=yeti', f'port:={port}', f'namespace:={namespace}'
    ) as launch:
        probe.wait(lambda: 'There is no port' in launch.output, lambda: launch.output, 30.0)
        virtual = Process('evse_virtual_board', 'yeti', '--link', str(port), log=tmp_path / 'virtual.log')
        try:
            connector = Connector(probe, namespace)
            connector.reaches(
                lambda s: s.state == EvseStatus.STATE_IDLE and not s.active_errors, 'idle', 30.0
            )
        finally:
            virtual.stop()


def test_a_demonstration_that_fails_fails_launch(domain: int, tmp_path: Path) -> None:
    with launched(tmp_path / 'launch.log', 'demo.launch.py', 'namespace:=no name') as launch:
        assert launch.wait() == 1, launch.output
        assert 'the demonstration failed with exit code 2' in launch.output


@pytest.mark.parametrize('board', sorted(set(BOARDS) - {'sdm630'}))
def test_a_session_with_a_board_behind_a_port(domain: int, probe: Probe, tmp_path: Path, board: str) -> None:
    namespace, port = f'/launched_{board}', tmp_path / 'port'
    meter = ['meter:=sdm630'] if board_class(board).meter_unit is not None else []
    virtual = Process(
        'evse_virtual_board', board, '--link', str(port), '--ros-args', '-r', f'__ns:={namespace}',
        log=tmp_path / 'virtual.log',
    )  # fmt: skip
    try:
        probe.wait(port.exists, 'a port')
        with launched(
            tmp_path / 'launch.log', 'evse.launch.py', f'driver:={board}', f'port:={port}',
            f'namespace:={namespace}', *meter,
        ) as launch:  # fmt: skip
            connector = Connector(probe, namespace)
            connector.sees('Enabled', 30.0)
            connector.reaches(
                lambda s: s.state == EvseStatus.STATE_IDLE and not s.active_errors, 'idle', 30.0
            )
            connector.forget()
            connector.charge()
            connector.reaches(lambda s: s.power_w > 1000.0, 'power', 20.0)
            connector.accepted('simulation/unplug')
            connector.probe.wait(lambda: 'SF' in connector.codes, lambda: f'SF; {connector.codes}')
            launch.signal(signal.SIGINT)
            assert launch.wait() == 0, launch.output
    finally:
        virtual.stop()
