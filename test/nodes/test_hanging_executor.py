"""A board node whose executor hangs still opens the contactor when the lease ends, with every driver."""

import re
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rclpy.qos import QoSProfile

from evse_manager.msg import BoardState, ContactorState
from harness import Connector, Probe, Process, running

pytestmark = [pytest.mark.timeout(180), pytest.mark.alone]

HANGS_S = 5.0
OPEN_WITHIN_S = 1.5


CONTACTOR = re.compile(r'(?:relay|contactor): (\w+)')


def contactor_is_open(virtual: Process) -> bool:
    """Whether a virtual board last reported that its contactor opened."""
    reports = CONTACTOR.findall(virtual.output)
    return bool(reports) and reports[-1] == 'open'


@pytest.mark.parametrize('driver', ['simulated', 'openevse', 'phoenix', 'yeti'])
def test_the_lease_ends_though_the_executor_hangs(
    driver: str, domain: int, probe: Probe, tmp_path: Path
) -> None:
    namespace = f'/hanging_{driver}'
    parameters: dict[str, Any] = {'driver': driver}
    virtual = None
    if driver != 'simulated':
        port = tmp_path / 'port'
        virtual = Process(
            'evse_virtual_board', driver, '--link', str(port), '--ros-args', '-r', f'__ns:={namespace}',
            log=tmp_path / 'virtual.log',
        )  # fmt: skip
        probe.wait(port.exists, 'a port')
        parameters['port'] = port
    ros = ['--ros-args', '-r', f'__ns:={namespace}']
    for name, value in parameters.items():
        ros += ['-p', f'{name}:={value}']
    program = str(Path(__file__).with_name('hanging_board.py'))
    board = Process(sys.executable, program, *ros, log=tmp_path / 'board.log')
    try:
        with running(tmp_path) as site:
            connector = Connector(probe, namespace)
            states: list[BoardState] = connector.listen('board/state')
            manager = site.manager(namespace, replug_grace_s=0.0)
            connector.sees('Enabled', 30.0)
            connector.reaches(lambda status: not status.active_errors, 'no errors', 30.0)
            connector.forget()
            connector.charge()
            probe.wait(lambda: states[-1].contactor == ContactorState.CLOSED, 'closed')
            hang = probe.publisher('std_msgs/msg/Float64', f'{namespace}/hang', QoSProfile(depth=1))
            assert virtual is None or not contactor_is_open(virtual)
            hang.publish(_message(HANGS_S))
            probe.wait(lambda: 'hangs\n' in board.output, 'the hang')
            heard = len(states)
            manager.signal(signal.SIGKILL)
            begun = time.monotonic()
            if virtual is None:
                probe.wait(lambda: 'open ' in board.output, 'open', HANGS_S)
            else:
                probe.wait(partial(contactor_is_open, virtual), lambda: board.output, HANGS_S)
            assert time.monotonic() - begun < OPEN_WITHIN_S
            assert len(states) == heard, 'the executor did not hang'
            assert 'hangs no longer' not in board.output
            probe.wait(lambda: len(states) > heard, 'a state after the hang')
            assert states[-1].contactor == ContactorState.OPEN
            assert states[-1].opening_reason == BoardState.OPENING_REASON_LEASE_LAPSED
    finally:
        board.stop()
        if virtual is not None:
            virtual.stop()


def _message(value: float) -> Any:
    from std_msgs.msg import Float64

    return Float64(data=value)
