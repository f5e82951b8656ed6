"""Processes that die, stall or come twice: power never outlives the lease; what returns is taken up."""

import signal
import time

import pytest

from evse_manager.charging.enums import ErrorEnum
from evse_manager.msg import ContactorState, EvseStatus
from evse_manager.nodes import names
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Site

STATUS_QOS = profile(names.topic('status').qos)
LEASE_S = 1.0
SLACK_S = 0.7
"""Opening time of the contactor, and scheduling on a busy machine."""


def charging(site: Site, probe: Probe, namespace: str):
    connector = Connector(probe, namespace)
    board, manager = site.board(namespace), site.manager(namespace)
    connector.sees('Enabled')
    connector.charge()
    states = connector.listen('board/state')
    probe.wait(lambda: states and states[-1].contactor == ContactorState.CLOSED, 'closed')
    return connector, manager, board, states


@pytest.mark.fault('P2')
def test_the_board_node_is_killed_and_returns(site: Site, probe: Probe, measured):
    """Catalogue P2: an error within 5 s; the new board node is read and obeyed without a person."""
    connector, manager, board, _ = charging(site, probe, '/board_killed')
    board.signal(signal.SIGKILL)
    begun = time.monotonic()
    (error,) = connector.sees('Error', 5.0)
    measured(time.monotonic() - begun, 5.0)
    assert error.error[0].error_code == ErrorEnum.INTERNAL
    connector.reaches(lambda s: s.reason == EvseStatus.REASON_BOARD_LOST, 'board lost')
    board = site.board('/board_killed')  # its simulated world begins without a car
    connector.sees('AllErrorsCleared SC CF TF SF')
    connector.charge()
    board.stop()
    manager.stop()


@pytest.mark.fault('P1')
def test_the_manager_is_killed_and_returns(site: Site, probe: Probe, measured):
    """Catalogue P1: the contactor opens within the lease; the next manager starts from the board's state."""
    connector, manager, board, states = charging(site, probe, '/manager_killed')
    manager.signal(signal.SIGKILL)
    begun = time.monotonic()
    probe.wait(lambda: states[-1].contactor == ContactorState.OPEN, 'open', 5.0)
    measured(time.monotonic() - begun, LEASE_S + SLACK_S)
    manager = site.manager('/manager_killed')
    connector.sees('Enabled SS AR')
    connector.authorize()
    connector.sees('TS PC CS')
    board.stop()
    manager.stop()


@pytest.mark.fault('L16')
def test_the_manager_is_stalled_and_goes_on(site: Site, probe: Probe, measured):
    """Catalogue L16: the board opens by itself; afterwards charging resumes."""
    connector, manager, board, states = charging(site, probe, '/stalled')
    manager.signal(signal.SIGSTOP)
    begun = time.monotonic()
    probe.wait(lambda: states[-1].contactor == ContactorState.OPEN, 'open', 5.0)
    measured(time.monotonic() - begun, LEASE_S + SLACK_S)
    manager.signal(signal.SIGCONT)
    probe.wait(lambda: states[-1].contactor == ContactorState.CLOSED, 'closed again')
    connector.reaches(lambda s: s.state == EvseStatus.STATE_CHARGING, 'charging again')
    board.stop()
    manager.stop()


@pytest.mark.fault('C22')
def test_a_second_manager_is_refused(site: Site, probe: Probe):
    """Catalogue C22: the first one keeps the board, the second one says so."""
    connector, manager, board, states = charging(site, probe, '/contested')
    holder = states[-1].controller_id
    own_names = ('-r', 'session_event:=intruder/session_event', '-r', 'status:=intruder/status')
    second = site.start(
        'evse_manager', '/contested', rename='intruder', arguments=own_names, session_store='""'
    )
    statuses = connector.probe.listen('evse_manager/msg/EvseStatus', '/contested/intruder/status', STATUS_QOS)
    probe.wait(lambda: statuses and statuses[-1].active_errors, 'an error of the second manager', 10.0)
    assert 'nother manager' in statuses[-1].active_errors[0].vendor_error
    assert states[-1].controller_id == holder
    assert states[-1].contactor == ContactorState.CLOSED
    connector.sees_nothing(0.2)
    manager.stop()
    probe.wait(lambda: states[-1].controller_id not in ('', holder), 'the second manager takes over')
    probe.wait(lambda: not statuses[-1].active_errors, 'no error is left')
    second.stop()
    board.stop()
