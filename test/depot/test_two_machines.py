"""
One site on two machines (network namespaces): connectors on one, the energy manager on the other.

Their clocks are a day apart.  When the cable is pulled the grants end within their validity and the
connectors pause; when it is back they charge again, with the same session and without an operator.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from depot.depot_process import wait_until_gone
from depot.machines import Machines, NoNamespacesError
from evse_manager.demo.site_monitor import SiteMonitor
from evse_manager.depot.site_file import parse_site
from evse_manager.energy.ledger import OUTLIVES_VALIDITY_S, VALIDITY_S
from evse_manager.interface import endpoints
from evse_manager.interface.enums import ContactorState
from evse_manager.interface.types import BoardState, Powermeter
from evse_manager.msg import EvseStatus
from evse_manager.nodes import middleware
from evse_manager.nodes.conversions import from_message
from evse_manager.nodes.qos import profile
from harness import Connector, Probe, Process
from nodes.wall_clock import WallClock

pytestmark = [pytest.mark.alone, pytest.mark.timeout(420)]

DAY_S = 86_400.0
NAMES = ('evse_1', 'evse_2')
FUSE_A = 20.0
SITE_FILE = f"""\
site: {{name: two_machines, namespace: /two_machines, host: office}}
grid: {{limit_a: {FUSE_A}, children: [evse_1, evse_2]}}
defaults: {{host: yard, parameters: {{session_store: "", disable_authentication: true}}}}
connectors: {{evse_1: {{}}, evse_2: {{}}}}
"""

MESSAGES_S = 2.0
"""Grants and states are sent at least once a second."""

FORGOTTEN_S = 25.0
"""After 20 s Fast DDS forgets a participant that it does not hear."""

RECOVERY_S = 90.0


class TwoMachines:
    """A depot on each of two machines, and a probe and a monitor on the one of the connectors."""

    def __init__(self, machines: Machines, folder: Path, stack: ExitStack) -> None:
        self.machines = machines
        self.clock = WallClock(folder)
        self.clock.shift(-DAY_S)
        self.monitor = SiteMonitor(parse_site(SITE_FILE))
        self.states: dict[str, BoardState] = {}
        self.probe = self._new_probe(stack)
        for name in NAMES:
            self._listen(name, 'board/state', partial(self._on_board, name))
            self._listen(name, 'powermeter', partial(self._on_meter, name))
        self.connectors = [Connector(self.probe, f'/two_machines/{name}') for name in NAMES]
        self.depots = {
            'yard': self._depot(stack, folder, 'yard', {}),
            'office': self._depot(stack, folder, 'office', self.clock.environment),
        }

    def _new_probe(self, stack: ExitStack) -> Probe:
        """Return a probe that uses the middleware as the nodes do."""
        with pytest.MonkeyPatch.context() as patch:
            # Restored: the nodes choose their profile themselves.
            for name in (middleware.profiles_variable(), middleware.QOS_FROM_PROFILE):
                patch.setenv(name, '')
            middleware.configure(os.environ)
            probe = Probe('two_machines_probe')
        stack.callback(probe.close)
        return probe

    def _depot(self, stack: ExitStack, folder: Path, host: str, environment: dict[str, str]) -> Process:
        home = folder / host
        home.mkdir()
        file = home / 'site.yaml'
        file.write_text(SITE_FILE)
        process = Process(
            'depot', str(file), '--host', host,
            log=home / 'depot.log', prefix=self.machines.prefix(host), ROS_HOME=str(home), **environment,
        )  # fmt: skip
        stack.callback(self._end, process)
        return process

    def _end(self, process: Process) -> None:
        children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
        process.stop()
        wait_until_gone([int(pid) for pid in children], 15.0)

    def _listen(self, name: str, topic: str, heard: object) -> None:
        row = endpoints.topic(topic)
        path = f'/two_machines/{name}/{topic}'
        self.probe.node.create_subscription(endpoints.load(row.type), path, heard, profile(row.qos))

    def _on_board(self, name: str, message: object) -> None:
        self.states[name] = from_message(message, BoardState)
        self.monitor.board(name, self.states[name], time.monotonic())

    def _on_meter(self, name: str, message: object) -> None:
        self.monitor.meter(name, from_message(message, Powermeter), time.monotonic())

    def logs(self) -> str:
        return '\n'.join(depot.output[-3000:] for depot in self.depots.values())

    def all_charge(self) -> bool:
        return all(
            each.status.state == EvseStatus.STATE_CHARGING
            and abs(each.status.signalled_current_a - FUSE_A / len(NAMES)) < 0.2
            for each in self.connectors
        )

    def charges(self) -> None:
        self.probe.wait(self.all_charge, self.logs, RECOVERY_S)

    def is_off(self) -> bool:
        return all(state.contactor is ContactorState.OPEN for state in self.states.values())


@pytest.fixture(scope='module')
def two(domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoMachines]:
    with ExitStack() as stack:
        try:
            machines = Machines(stack)
            stack.enter_context(machines.on('yard'))
        except NoNamespacesError as error:
            pytest.skip(f'two machines cannot be simulated here: {error}')
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv(middleware.RANGE, 'SUBNET')
        yield TwoMachines(machines, tmp_path_factory.mktemp('two_machines'), stack)


def test_connectors_charge_with_grants_of_a_machine_whose_clock_is_a_day_behind(two: TwoMachines) -> None:
    two.probe.wait(
        lambda: all(
            depot is not None and 'processes run after' in depot.output for depot in two.depots.values()
        ),
        two.logs,
        RECOVERY_S,
    )
    for connector in two.connectors:
        connector.sees('Enabled', RECOVERY_S)
        connector.accepted('simulation/plug_in')
    two.charges()
    assert two.monitor.violations == []


def test_a_pulled_cable_ends_charging_within_the_validity_and_it_resumes_by_itself(two: TwoMachines) -> None:
    two.charges()
    sessions = [each.status.session_uuid for each in two.connectors]
    assert all(sessions)
    two.machines.pull()
    began = time.monotonic()
    limit = VALIDITY_S + OUTLIVES_VALIDITY_S
    two.probe.wait(two.is_off, two.logs, limit + MESSAGES_S)
    assert all(
        each.status.session_uuid == session for each, session in zip(two.connectors, sessions, strict=True)
    )
    two.probe.spin(max(0.0, FORGOTTEN_S - (time.monotonic() - began)))
    assert two.is_off()
    two.machines.plug()
    two.charges()
    assert [each.status.session_uuid for each in two.connectors] == sessions
    assert two.monitor.violations == []


def test_a_clock_that_jumps_by_two_days_disturbs_no_car(two: TwoMachines) -> None:
    two.charges()
    cycles = [each.status.contactor_cycles for each in two.connectors]
    two.clock.shift(2 * DAY_S)
    two.probe.spin(VALIDITY_S + OUTLIVES_VALIDITY_S)
    two.charges()
    assert [each.status.contactor_cycles for each in two.connectors] == cycles
    assert two.monitor.violations == []
