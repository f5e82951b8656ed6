"""A real manager killed again and again at random moments of a life on the graph (EVSE_MANAGER_KILLS)."""

import os
import random
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from evse_manager.charging.enums import SessionEventEnum as Event
from evse_manager.charging.enums import StopTransactionReason
from evse_manager.msg import SessionEvent
from harness import Connector, Probe, authorization, running

KILLS = max(1, int(os.environ.get('EVSE_MANAGER_KILLS', '20')) // 4)
"""Each takes some seconds; the store alone is killed more often in ``test/store/test_kill.py``."""


def once(events: list[SessionEvent], kind: Event) -> list[str]:
    """Return the sessions with this event, as a reader counts them who knows events by their number."""
    known = {event.sequence_number: event for event in events}
    return [event.uuid for event in known.values() if event.event == kind]


def insist(connector: Connector, service: str, **fields: Any) -> None:
    """Call a service again when the call went to the manager that was killed, which the graph still knows."""
    for _ in range(5):
        with suppress(AssertionError):
            connector.call(service, limit=3.0, **fields)
            return
    raise AssertionError(f'{service} does not answer')


@pytest.mark.timeout(60 + 30 * KILLS)
def test_whenever_a_manager_is_killed_no_transaction_is_lost(probe: Probe, tmp_path: Path) -> None:
    chance = random.Random(KILLS)
    namespace, file = '/kills', tmp_path / 'kills.sqlite3'
    parameters = {'session_store': str(file), 'restart_delay_max_s': 0.0}
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
            insist(connector, 'simulation/plug_in')
            if chance.random() < 0.8:
                insist(connector, 'authorize_response', **authorization(f'TOKEN{number}'))
            if chance.random() < 0.5:
                action = chance.choice(('stop_transaction', 'simulation/unplug', 'pause_charging'))
                insist(connector, action)
            probe.spin(2.0 * chance.random() ** 2)
            manager.signal(signal.SIGKILL)
            manager.wait()
            if chance.random() < 0.3:
                insist(connector, 'simulation/unplug')
        manager = boot('close')
        manager.signal(signal.SIGTERM)
        assert manager.wait() == 0
        probe.spin(0.5)

    events = connector.all_events
    started, finished = once(events, Event.TRANSACTION_STARTED), once(events, Event.TRANSACTION_FINISHED)
    ended = once(events, Event.SESSION_FINISHED)
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
