"""``ros2 launch evse_manager evse.launch.py``: one connector with each board, and a meter beside it."""

import shutil
import signal
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


@pytest.mark.parametrize('board', sorted(set(BOARDS) - {'sdm630'}))
def test_a_session_with_a_board_behind_a_port(
    domain: int, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str
) -> None:
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))
    namespace, port = f'/launched_{board}', tmp_path / 'port'
    meter = ['meter:=sdm630'] if board_class(board).meter_unit is not None else []
    virtual = Process(
        'evse_virtual_board', board, '--link', str(port), '--ros-args', '-r', f'__ns:={namespace}',
        log=tmp_path / 'virtual.log',
    )  # fmt: skip
    try:
        probe.wait(port.exists, 'a port')
        launched = Process(
            str(ROS2), 'launch', 'evse_manager', 'evse.launch.py', f'driver:={board}',
            f'port:={port}', f'namespace:={namespace}', *meter, log=tmp_path / 'launch.log',
        )  # fmt: skip
        try:
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
            launched.signal(signal.SIGINT)
            assert launched.wait() == 0, launched.output
        finally:
            launched.stop()
    finally:
        virtual.stop()
