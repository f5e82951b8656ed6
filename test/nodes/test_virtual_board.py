"""Real processes around a virtual OpenEVSE: its port, the board node, the manager, and how each may end."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evse_manager.msg import BoardState, ContactorState, EvseStatus
from harness import Connector, Probe, Process, Site, running

pytestmark = pytest.mark.timeout(150)

HEARTBEAT_FALLBACK_A = 6


@dataclass
class Bay:
    """A connector with a virtual board behind a port."""

    connector: Connector
    site: Site
    board: Process
    virtuals: list[Process]
    port: Path
    states: list[BoardState]

    @property
    def virtual(self) -> Process:
        return self.virtuals[-1]

    def shown(self, text: str, limit: float = 10.0) -> None:
        """Wait until the virtual board has shown something."""
        self.connector.probe.wait(lambda: text in self.virtual.output, lambda: self.virtual.output, limit)


@pytest.fixture
def bay(domain: int, probe: Probe, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bay]:
    namespace = f'/{request.node.name.partition("[")[0][:40]}'
    port = tmp_path / 'port'
    virtuals = [virtual_board(tmp_path, port, namespace)]
    try:
        with running(tmp_path) as site:
            probe.wait(port.exists, 'a port')
            connector = Connector(probe, namespace)
            states = connector.listen('board/state')
            board = site.board(namespace, driver='openevse', port=port)
            site.manager(namespace, replug_grace_s=0.0)
            connector.sees('Enabled', 30.0)
            connector.reaches(
                lambda s: s.state == EvseStatus.STATE_IDLE and not s.active_errors, 'idle', 30.0
            )
            connector.forget()
            yield Bay(connector, site, board, virtuals, port, states)
    finally:
        for virtual in virtuals:
            virtual.stop()


def at_rest(status: EvseStatus) -> bool:
    return status.state == EvseStatus.STATE_IDLE and not status.active_errors


def virtual_board(directory: Path, port: Path, namespace: str) -> Process:
    number = len(list(directory.glob('virtual*.log')))
    return Process(
        'evse_virtual_board', 'openevse', '--link', str(port), '--ros-args', '-r', f'__ns:={namespace}',
        log=directory / f'virtual{number}.log',
    )  # fmt: skip


def test_a_whole_session(bay: Bay) -> None:
    connector = bay.connector
    connector.charge()
    bay.shown('state: charging')
    connector.reaches(lambda s: s.power_w > 20_000 / 3, 'power')
    connector.accepted('pause_charging')
    connector.sees('PEVSE')
    bay.shown('state: asleep')
    connector.accepted('resume_charging')
    connector.sees('CR')
    connector.accepted('simulation/ev_pause')
    connector.sees('PEV')
    connector.accepted('simulation/unplug')
    finished = connector.sees('SC CF TF SF')[2].transaction_finished[0]
    assert finished.meter_value.energy_wh_import.total > 1.0


def test_unknown_faults_are_refused_with_the_known_ones(bay: Bay) -> None:
    message = bay.connector.refused('simulation/inject_fault', fault='lock_jam')
    assert 'relay_weld' in message
    assert 'line_drop' in message
    assert 'unplug' in bay.connector.refused('simulation/replug')


def test_faults_of_line_and_board_by_service(bay: Bay) -> None:
    connector = bay.connector
    connector.charge()
    connector.accepted('simulation/inject_fault', fault='line_drop 2')
    connector.sees_nothing(2.0)
    connector.accepted('simulation/inject_fault', fault='link_lost')
    connector.sees('Error')
    connector.accepted('simulation/clear_fault', fault='link_lost')
    connector.sees('AllErrorsCleared')
    connector.probe.wait(lambda: 'CR' in connector.codes, 'charging goes on')


def test_the_board_node_tells_what_is_wrong_with_its_line(bay: Bay) -> None:
    connector = bay.connector
    heard = connector.listen('/diagnostics')

    def told(level: bytes, text: str) -> bool:
        name = f'{connector.namespace.strip("/")}: board link'
        found = [s for array in heard for s in array.status if s.name == name]
        return bool(found) and found[-1].level == level and text in found[-1].message

    connector.probe.wait(lambda: told(b'\x00', 'answers'), 'all is well')
    connector.accepted('simulation/inject_fault', fault='line_corrupt 0')
    connector.probe.wait(lambda: told(b'\x02', 'requests were not answered'), 'a problem', 10.0)
    connector.probe.wait(lambda: 'requests were not answered' in bay.board.output, 'a line in the log')
    connector.accepted('simulation/clear_fault', fault='line_corrupt')
    connector.probe.wait(lambda: told(b'\x00', 'answers'), 'all is well again', 20.0)
    (status,) = next(a.status for a in reversed(heard) if a.status[0].name.endswith(': board link'))
    assert str(bay.port) in status.hardware_id
    assert int({each.key: each.value for each in status.values}['frames']) > 0


def test_an_unplugged_adapter_comes_back(bay: Bay, tmp_path: Path) -> None:
    """The virtual board is killed and started again: its port vanishes and comes back under the same name."""
    connector = bay.connector
    connector.charge()
    namespace = connector.namespace
    # The name goes first: it would lead to the number of a terminal that any process may get next.
    bay.port.unlink()
    os.kill(bay.virtual.pid, signal.SIGKILL)
    connector.sees('Error')
    connector.probe.wait(lambda: 'waiting until it is back' in bay.board.output, 'a line in the log')
    bay.virtual.stop()
    connector.probe.spin(3.0)
    bay.virtuals.append(virtual_board(tmp_path, bay.port, namespace))
    begun = time.monotonic()
    connector.reaches(lambda s: not s.active_errors, 'link up again', 20.0)
    assert time.monotonic() - begun < 15.0
    connector.probe.wait(lambda: 'Serial link to the board recovered' in bay.board.output, 'it is over')
    assert bay.board.output.count('waiting until it is back') == 1
    assert 'There is no port' not in bay.board.output


def test_an_orderly_end_of_the_board_node_opens_and_lets_the_board_sleep(bay: Bay) -> None:
    connector = bay.connector
    connector.charge()
    bay.board.signal(signal.SIGTERM)
    assert bay.board.wait() == 0
    bay.shown('relay: open')
    bay.shown('state: asleep', 8.0)
    assert 'heartbeat: off' not in bay.virtual.output.rpartition('relay: closed')[2]


def test_a_killed_board_node_leaves_the_fallback_current(bay: Bay) -> None:
    bay.connector.charge()
    bay.board.signal(signal.SIGKILL)
    bay.shown(f'limit: {HEARTBEAT_FALLBACK_A} A', 8.0)
    bay.connector.sees('Error')


def test_a_killed_manager_ends_the_power(bay: Bay) -> None:
    connector = bay.connector
    connector.charge()
    connector.probe.wait(lambda: bay.states[-1].contactor == ContactorState.CLOSED, 'closed contactor')
    manager = next(p for p in bay.site._processes if p is not bay.board)
    begun = time.monotonic()
    manager.signal(signal.SIGKILL)
    connector.probe.wait(lambda: bay.states[-1].contactor == ContactorState.OPEN, 'open contactor', 5.0)
    assert time.monotonic() - begun < 2.5
    assert bay.states[-1].opening_reason == BoardState.OPENING_REASON_LEASE_LAPSED


def test_a_port_that_is_missing_or_busy_is_named(bay: Bay, tmp_path: Path) -> None:
    missing = bay.site.board('/missing', driver='openevse', port=tmp_path / 'nix')
    assert missing.wait() != 0
    assert 'plug the adapter in' in missing.output
    busy = bay.site.board('/busy', driver='openevse', port=bay.port)
    assert busy.wait() != 0
    assert 'in use by process' in busy.output


def test_real_hardware_does_not_run_on_simulated_time(bay: Bay) -> None:
    refused = bay.site.board('/simulated', driver='openevse', port=bay.port, use_sim_time=True)
    assert refused.wait() != 0
    assert 'use_sim_time' in refused.output
