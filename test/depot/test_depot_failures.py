"""
What fails in a depot that charges: workers, energy manager, the depot itself, killed at random.

A passive monitor adds up what the boards have in force and what the cars draw; no fuse may be exceeded at any
moment, and everything has to recover without a person.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from depot.depot_process import Depot, running_depot, wait_until_gone
from evse_manager.demo.site_monitor import SiteMonitor
from evse_manager.depot.site_file import parse_site
from evse_manager.interface import endpoints
from evse_manager.interface.enums import ContactorState
from evse_manager.interface.types import BoardState, Powermeter
from evse_manager.nodes.conversions import from_message
from evse_manager.nodes.qos import profile
from harness import Probe

KILLS = int(os.environ.get('EVSE_MANAGER_KILLS', '4'))

pytestmark = pytest.mark.timeout(300 + 75 * KILLS)
VICTIMS = ('managers', 'boards', 'energy_manager', 'depot')

NAMES = ('evse_1', 'evse_2', 'evse_3', 'evse_4')
FUSE_A = 32.0
SHARE_A = FUSE_A / len(NAMES)
TEXT = f"""\
site: {{name: failures, namespace: /failures}}
grid:
  limit_a: {FUSE_A}
  children:
    row_a: {{limit_a: 20, children: [evse_1, evse_2]}}
    row_b: {{children: [evse_3, evse_4]}}
defaults: {{parameters: {{session_store: "", disable_authentication: true}}}}
connectors: {{evse_1: {{}}, evse_2: {{phases: [L2, L3, L1]}}, evse_3: {{}}, evse_4: {{phases: [L3, L1, L2]}}}}
"""

RECOVERY_S = 90.0
"""Start of a worker with its back-off, one validity of a grant, 5 s for each change that cars follow."""


FRESH_S = 2.5
"""Meters report once a second."""

STEADY_S = 3.5
"""Longer than what a dead process lets go on: a lease of 1 s, and what counts as fresh."""


class Charging:
    """Four cars that want more than the fuse carries, and a monitor of what flows."""

    def __init__(self, folder: Path, probe: Probe) -> None:
        self.probe = probe
        self.monitor = SiteMonitor(parse_site(TEXT))
        self.currents: dict[str, tuple[float, float]] = {}
        """The newest current of each car, and when it was measured."""
        self.states: dict[str, BoardState] = {}
        self._folder = folder
        self._stack = ExitStack()
        self.depot = self._new_depot()
        for name in NAMES:
            self._listen(name, 'board/state', partial(self._on_board, name))
            self._listen(name, 'powermeter', partial(self._on_meter, name))

    def _new_depot(self) -> Depot:
        return self._stack.enter_context(running_depot(self._folder, TEXT, self.probe))

    def _listen(self, name: str, topic: str, heard: object) -> None:
        row = endpoints.topic(topic)
        path = f'/failures/{name}/{topic}'
        self.probe.node.create_subscription(endpoints.load(row.type), path, heard, profile(row.qos))

    def _on_board(self, name: str, message: object) -> None:
        state = from_message(message, BoardState)
        self.states[name] = state
        self.monitor.board(name, state, time.monotonic())

    def _on_meter(self, name: str, message: object) -> None:
        sample = from_message(message, Powermeter)
        current = sample.current_a
        amperes = current.l1 or 0.0 if current is not None else 0.0
        self.currents[name] = (amperes, time.monotonic())
        self.monitor.meter(name, sample, time.monotonic())

    def close(self) -> None:
        self._stack.close()

    def plug_in(self) -> None:
        """Plug in the cars that are not: a simulated board that was killed has forgotten its car."""
        for name in NAMES:
            connector = self.depot.connector(name)
            if not connector.status.plugged:
                connector.call('simulation/plug_in', phases=3, max_current_a=32.0, soc_percent=20.0)

    def recovers(self) -> None:
        """Wait until every car has had its share for a while again, without any other help."""
        end, since = time.monotonic() + RECOVERY_S, time.monotonic()
        while time.monotonic() - since < STEADY_S:
            assert time.monotonic() < end, (self.currents, self.depot.process.output[-4000:])
            if not self.all_charge():
                self.plug_in()
                since = time.monotonic()
            self.probe.spin(0.2)
        self.no_excess()

    def all_charge(self) -> bool:
        """Return whether each car draws its share of the fuse, by samples that are not old."""
        now = time.monotonic()
        newest = [self.currents.get(name, (0.0, 0.0)) for name in NAMES]
        return all(abs(amperes - SHARE_A) < 0.5 and now - at < FRESH_S for amperes, at in newest)

    def is_off(self, name: str) -> bool:
        """Return whether the contactor of a connector is open."""
        return self.states[name].contactor is ContactorState.OPEN

    def no_excess(self) -> None:
        assert self.monitor.messages > 0
        assert self.monitor.violations == []

    def kill(self, victim: str) -> None:
        """Kill a process hard; a depot is started again, as systemd would."""
        if victim != 'depot':
            os.kill(self.depot.worker(victim), signal.SIGKILL)
            return
        workers = self.depot.workers()
        os.kill(self.depot.process.pid, signal.SIGKILL)
        wait_until_gone(workers, 12.0)
        self.depot = self._new_depot()


@pytest.fixture(scope='module')
def charging(domain: int, tmp_path_factory: pytest.TempPathFactory, probe: Probe) -> Iterator[Charging]:
    charging = Charging(tmp_path_factory.mktemp('failures'), probe)
    try:
        charging.recovers()
        yield charging
    finally:
        charging.close()


def test_without_energy_manager_grants_expire_and_charging_resumes_with_it(charging: Charging) -> None:
    pid = charging.depot.worker('energy_manager')
    os.kill(pid, signal.SIGSTOP)
    # Hung, not dead: the depot kills it when it has been silent; until then grants expire.
    charging.probe.wait(lambda: all(map(charging.is_off, NAMES)), 'all contactors open without grants', 30.0)
    charging.recovers()
    assert charging.depot.worker('energy_manager') != pid


def test_boards_without_managers_open_within_their_lease(charging: Charging) -> None:
    charging.kill('managers')
    began = time.monotonic()
    charging.probe.wait(lambda: all(map(charging.is_off, NAMES)), 'all contactors open', 5.0)
    assert time.monotonic() - began < 2.5
    charging.recovers()


def test_a_reload_interrupts_no_other_car(charging: Charging) -> None:
    depot, others = charging.depot, NAMES[:-1]
    cycles = {name: depot.connector(name).status.contactor_cycles for name in others}
    assert all(cycles.values())
    depot.reload(TEXT.replace('evse_4: {', 'evse_4: {max_current_a: 16, '))
    depot.says('evse_4: changed; ending it and starting it again')
    charging.recovers()
    assert {name: depot.connector(name).status.contactor_cycles for name in others} == cycles


def test_a_killed_depot_opens_every_contactor_and_recovers_when_started_again(charging: Charging) -> None:
    charging.kill('depot')
    charging.recovers()


def test_random_kills_exceed_no_fuse_and_everything_recovers(charging: Charging) -> None:
    choice = random.Random(20261127)
    for _ in range(KILLS):
        victim = choice.choice(VICTIMS)
        charging.probe.spin(choice.uniform(0.0, 1.0))
        charging.kill(victim)
        charging.recovers()
    charging.no_excess()
