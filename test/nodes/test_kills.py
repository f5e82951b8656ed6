"""Real nodes killed, stalled and cut off, again and again at random moments (EVSE_MANAGER_KILLS)."""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evse_manager.interface.enums import ErrorEnum, StopTransactionReason
from evse_manager.interface.enums import SessionEventEnum as Event
from evse_manager.msg import BoardState, ContactorState, EvseStatus, SessionEvent
from harness import Connector, Probe, Process, Site, authorization, running
from nodes.relay import MANAGER_NAMES, Wire, wire

FAILURES = ('manager killed', 'manager stalled', 'board killed', 'board stalled', 'cut off', 'both killed')
ALL_KILLS = int(os.environ.get('EVSE_MANAGER_KILLS', str(len(FAILURES))))
"""One of each kind; ``make endurance`` asks for more."""
KILLS = max(3, ALL_KILLS // 4)
"""Each takes some seconds; the store alone is killed more often in ``test/store/test_kill.py``."""

BOUND_S = 1.5
"""To the open contactor without a manager, and to the manager's error without a board."""
LONGEST_STALL_S = 4.0


def once(events: list[SessionEvent], kind: Event) -> list[str]:
    """Return the sessions with this event, as a reader counts them who knows events by their number."""
    known = {event.sequence_number: event for event in events}
    return [event.uuid for event in known.values() if event.event == kind]


@pytest.mark.timeout(60 + 30 * KILLS)
def test_whenever_a_manager_is_killed_no_transaction_is_lost(probe: Probe, tmp_path: Path) -> None:
    chance = random.Random(KILLS)
    namespace, file = '/kills', tmp_path / 'kills-simulated.sqlite3'
    parameters = {'session_store': str(tmp_path / 'kills.sqlite3'), 'restart_delay_max_s': 0.0}
    with running(tmp_path) as site:
        site.board(namespace)
        connector = Connector(probe, namespace)

        def boot(policy: str) -> Any:
            connector.forget()
            manager = site.manager(namespace, after_power_loss=policy, **parameters)
            probe.wait(lambda: 'Enabled' in connector.codes, lambda: f'a boot; {connector.codes}')
            return manager

        for number in range(KILLS):
            manager = boot(chance.choice(('close', 'continue')))
            connector.insist('simulation/plug_in')
            if chance.random() < 0.8:
                connector.insist('authorize_response', **authorization(f'TOKEN{number}'))
            if chance.random() < 0.5:
                action = chance.choice(('stop_transaction', 'simulation/unplug', 'pause_charging'))
                connector.insist(action)
            probe.spin(2.0 * chance.random() ** 2)
            manager.signal(signal.SIGKILL)
            manager.wait()
            if chance.random() < 0.3:
                connector.insist('simulation/unplug')
        manager = boot('close')
        manager.signal(signal.SIGTERM)
        assert manager.wait() == 0
        probe.spin(0.5)

    events = connector.all_events
    started, finished = once(events, Event.TRANSACTION_STARTED), once(events, Event.TRANSACTION_FINISHED)
    ended = once(events, Event.SESSION_FINISHED)
    assert started, 'no transaction was under way when the manager was killed'
    assert len(set(finished)) == len(finished), 'one is counted twice'
    assert set(started) <= set(finished), 'one is lost'
    assert len(set(ended)) == len(ended), 'one is counted twice'
    told = {
        event.uuid: StopTransactionReason(event.transaction_finished[0].reason).name
        for event in events
        if event.event == Event.TRANSACTION_FINISHED
    }
    with closing(sqlite3.connect(file)) as connection:
        assert (
            dict(connection.execute('SELECT session_uuid, stop_reason FROM transactions').fetchall()) == told
        )
        assert connection.execute('SELECT * FROM sessions WHERE finished IS NULL').fetchall() == []


class FailingConnector:
    """A connector that charges, and the wire between its manager and its board: three that may fail."""

    def __init__(self, site: Site, probe: Probe, namespace: str, between: Wire, records: Path) -> None:
        self._site, self._probe, self._namespace, self._between = site, probe, namespace, between
        self._parameters = {
            'session_store': str(records), 'restart_delay_max_s': 0.0, 'after_power_loss': 'continue',
        }  # fmt: skip
        self.connector = Connector(probe, namespace)
        self.states: list[BoardState] = self.connector.listen('board/state')
        self.board = site.board(namespace)
        self.manager = self.start_manager()
        self.connector.sees('Enabled')

    def start_manager(self) -> Process:
        return self._site.manager(self._namespace, arguments=MANAGER_NAMES, **self._parameters)

    def plug_in(self) -> None:
        self.connector.insist('simulation/plug_in')
        self.connector.insist('authorize_response', **authorization())

    def charges(self) -> None:
        """Wait until energy flows, and nothing is wrong any more."""
        self._probe.wait(
            lambda: self.states and self.states[-1].contactor == ContactorState.CLOSED,
            lambda: f'closed; {self.connector.codes}; {self.connector.why}',
            30.0,
        )
        self.connector.reaches(
            lambda s: s.state == EvseStatus.STATE_CHARGING and not s.active_errors, 'charging', 30.0
        )

    def inject_failure(self, failure: str, stall_s: float) -> None:
        """Inject a failure, check what has to follow in time, and undo what a person could not."""
        begun = time.time_ns() * 1e-9
        match failure:
            case 'manager killed':
                self.manager.signal(signal.SIGKILL)
                self.opens(begun, begun + BOUND_S + 0.5)
                self.manager = self.start_manager()
            case 'manager stalled':
                self.manager.signal(signal.SIGSTOP)
                self.opens(begun, begun + stall_s)
                self.manager.signal(signal.SIGCONT)
            case 'board killed':
                self.board.signal(signal.SIGKILL)
                self.is_missed(begun)
                self.board = self._site.board(self._namespace)
                self.connector.reaches(lambda s: not s.active_errors and not s.session_uuid, 'a new world')
                self.plug_in()
            case 'board stalled':
                self.board.signal(signal.SIGSTOP)
                self._probe.spin(stall_s)
                self.board.signal(signal.SIGCONT)
                if stall_s > BOUND_S + 0.5:
                    self.is_missed(begun)
            case 'both killed':
                self.manager.signal(signal.SIGKILL)
                self.board.signal(signal.SIGKILL)
                self.board, self.manager = self._site.board(self._namespace), self.start_manager()
                self.connector.sees('TF SF Enabled', 30.0)
                self.plug_in()
            case 'cut off':
                self._between.cut()
                self.opens(begun, begun + stall_s)
                if stall_s > BOUND_S + 0.5:
                    self.is_missed(begun)
                self._between.mend()

    def opens(self, begun: float, end: float) -> None:
        """See that from the bound on until the end, both by the wall clock, the contactor is open."""
        self._probe.spin(max(0.0, end - time.time_ns() * 1e-9))
        late = [state for state in self.states if begun + BOUND_S < seconds(state.stamp) < end]
        assert all(state.contactor == ContactorState.OPEN for state in late)
        assert late or end < begun + BOUND_S + 0.7, 'the board has not reported'

    def is_missed(self, begun: float) -> None:
        """See that the manager says in time that it has lost the board."""
        probe, connector = self._probe, self.connector
        probe.wait(lambda: 'Error' in connector.codes, lambda: f'an error; {connector.codes}', 5.0)
        error = next(event for event in connector.events if event.event == Event.ERROR)
        assert error.error[0].error_code == ErrorEnum.INTERNAL
        assert seconds(error.stamp) - begun <= BOUND_S


def seconds(stamp: Any) -> float:
    return float(stamp.sec + stamp.nanosec * 1e-9)


@pytest.mark.fault('P1', 'P2')
@pytest.mark.timeout(120 + 20 * ALL_KILLS)
def test_whatever_happens_to_the_processes_power_ends_in_time_and_returns(
    probe: Probe, tmp_path: Path
) -> None:
    """Killed, stalled or cut off at a random moment: never a contactor fault, and without a person."""
    chance = random.Random(ALL_KILLS)
    with running(tmp_path) as site, wire('/failures') as between:
        failing = FailingConnector(site, probe, '/failures', between, tmp_path / 'failures.sqlite3')
        failing.plug_in()
        for number in range(ALL_KILLS):
            failing.charges()
            probe.spin(2.0 * chance.random() ** 2)
            failing.connector.forget()
            failure, stall_s = FAILURES[number % len(FAILURES)], chance.uniform(0.2, LONGEST_STALL_S)
            failing.inject_failure(failure, stall_s)
        failing.charges()
    errors = [event.error[0] for event in failing.connector.all_events if event.event == Event.ERROR]
    assert {error.error_code for error in errors} <= {ErrorEnum.INTERNAL}, errors
