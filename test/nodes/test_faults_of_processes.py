"""
Processes that die, stall, are cut off or come twice: no power outlives the lease, what returns is taken up.

Reactions are measured by the stamps in the messages of the nodes, not by when this process receives them.
"""

import signal
import time
from typing import Any

import pytest

from evse_manager.interface import endpoints
from evse_manager.interface.enums import ErrorEnum
from evse_manager.msg import BoardState, ContactorState, EvseStatus
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Process, Site
from nodes.relay import MANAGER_NAMES, wire

STATUS_QOS = profile(endpoints.topic('status').qos)
OPEN_S = 1.5
"""From the manager's last moment to the open contactor: a lease of 1 s, at the latest this."""
NOTICED_S = 1.5
"""From the last moment of the board node to the manager's error."""


def charging(
    site: Site, probe: Probe, namespace: str, **parameters: Any
) -> tuple[Connector, Process, Process, list[BoardState]]:
    connector = Connector(probe, namespace)
    board, manager = site.board(namespace), site.manager(namespace, **parameters)
    connector.sees('Enabled')
    connector.charge()
    states = connector.listen('board/state')
    probe.wait(lambda: states and states[-1].contactor == ContactorState.CLOSED, 'closed')
    return connector, manager, board, states


def seconds_after(begun_ns: int, stamp: Any) -> float:
    return stamp.sec + stamp.nanosec * 1e-9 - begun_ns * 1e-9


def until_open(probe: Probe, states: list[BoardState], begun_ns: int) -> float:
    """Wait until the board says that its contactor is open; return how long after the beginning it opened."""
    probe.wait(lambda: states[-1].contactor == ContactorState.OPEN, 'open', 10.0)
    opened = next(
        state
        for state, before in zip(reversed(states), reversed(states[:-1]), strict=False)
        if before.contactor != ContactorState.OPEN
    )
    assert opened.opening_reason == BoardState.OPENING_REASON_LEASE_LAPSED
    return seconds_after(begun_ns, opened.stamp)


def is_lost(connector: Connector, begun_ns: int) -> float:
    """Wait for the manager's error; return how long after the beginning it was raised."""
    (error,) = connector.sees('Error', 10.0)
    assert error.error[0].error_code == ErrorEnum.INTERNAL
    status = connector.reaches(lambda s: s.reason == EvseStatus.REASON_BOARD_LOST, 'board lost')
    assert status.contactor == ContactorState.UNKNOWN, 'what it cannot know'
    assert status.signalled_current_a == 0.0
    return seconds_after(begun_ns, error.stamp)


@pytest.mark.fault('P2')
def test_the_board_node_is_killed_and_returns(site: Site, probe: Probe, measured):
    """Catalogue P2: an error within 1.5 s; the new board node is read and obeyed without a person."""
    connector, manager, board, _ = charging(site, probe, '/board_killed')
    begun = time.time_ns()
    board.signal(signal.SIGKILL)
    measured(is_lost(connector, begun), NOTICED_S)
    board = site.board('/board_killed')  # its simulated world begins without a car
    connector.sees('AllErrorsCleared SC CF TF SF')
    connector.insist('simulation/plug_in')
    connector.sees('SS AR')
    connector.authorize()
    connector.sees('TS PC CS')
    board.stop()
    manager.stop()


@pytest.mark.fault('P2')
def test_the_board_node_is_stalled_and_goes_on(site: Site, probe: Probe, measured):
    connector, manager, board, states = charging(site, probe, '/board_stalled')
    begun = time.time_ns()
    board.signal(signal.SIGSTOP)
    measured(is_lost(connector, begun), NOTICED_S)
    board.signal(signal.SIGCONT)
    until_open(probe, states, begun)  # the lease has lapsed meanwhile
    connector.sees('AllErrorsCleared CR')
    probe.wait(lambda: states[-1].contactor == ContactorState.CLOSED, 'closed again')
    board.stop()
    manager.stop()


@pytest.mark.fault('P1')
def test_the_manager_is_killed_and_returns(site: Site, probe: Probe, measured):
    """Catalogue P1: the contactor opens within the lease; the next manager starts from the board's state."""
    connector, manager, board, states = charging(site, probe, '/manager_killed')
    begun = time.time_ns()
    manager.signal(signal.SIGKILL)
    measured(until_open(probe, states, begun), OPEN_S)
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
    begun = time.time_ns()
    manager.signal(signal.SIGSTOP)
    measured(until_open(probe, states, begun), OPEN_S)
    manager.signal(signal.SIGCONT)
    probe.wait(lambda: states[-1].contactor == ContactorState.CLOSED, 'closed again')
    connector.reaches(lambda s: s.state == EvseStatus.STATE_CHARGING, 'charging again')
    assert 'Error' not in connector.codes, 'a lapsed lease is no fault'
    board.stop()
    manager.stop()


@pytest.mark.fault('P1', 'P2')
def test_manager_and_board_are_cut_off_from_each_other_and_found_again(site: Site, probe: Probe, measured):
    """Both live: the board opens by its lease, the manager says that it knows nothing, and all resumes."""
    with wire('/partition') as between:
        connector, manager, board, states = charging(site, probe, '/partition', arguments=MANAGER_NAMES)
        begun = time.time_ns()
        between.cut()
        measured(is_lost(connector, begun), NOTICED_S)
        measured(until_open(probe, states, begun), OPEN_S)
        probe.spin(1.0)
        assert states[-1].contactor == ContactorState.OPEN
        between.mend()
        connector.sees('AllErrorsCleared CR')
        probe.wait(lambda: states[-1].contactor == ContactorState.CLOSED, 'closed again')
        board.stop()
        manager.stop()


@pytest.mark.fault('C22')
def test_a_second_manager_is_refused(site: Site, probe: Probe):
    """Catalogue C22: the first one keeps the board, the second one says so in its log and is silent."""
    connector, manager, board, states = charging(site, probe, '/contested')
    holder = states[-1].controller_id
    own_names = ('-r', 'session_event:=intruder/session_event', '-r', 'status:=intruder/status')
    second = site.start(
        'evse_manager', '/contested', rename='intruder', arguments=own_names, session_store='""'
    )
    statuses = connector.probe.listen('evse_manager/msg/EvseStatus', '/contested/intruder/status', STATUS_QOS)
    probe.wait(lambda: 'StandsBy' in second.output, lambda: f'the second one says so: {second.output}', 30.0)
    probe.spin(0.5)  # it may have published before it heard the board
    statuses.clear()
    probe.spin(2.5)
    assert not statuses, 'a manager that stands by publishes its status'
    assert states[-1].controller_id == holder
    assert states[-1].contactor == ContactorState.CLOSED
    connector.sees_nothing(0.2)
    manager.stop()
    probe.wait(lambda: states[-1].controller_id not in ('', holder), 'the second manager takes over')
    probe.wait(lambda: statuses and not statuses[-1].active_errors, 'no error is left')
    second.stop()
    board.stop()
