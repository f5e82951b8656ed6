"""The window with real nodes: it finds a connector, shows its messages, and its buttons command it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evse_manager.rqt.link import GraphLink
from harness import Connector

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def watching(connector: Connector, open_window: Callable[[Any], Any]) -> Any:
    """A window that has found the connector of this file."""
    window = open_window(GraphLink())
    window.until(
        lambda: [row[:2] for row in window.cells()] == [[connector.namespace, 'idle']],
        lambda: f'the connector in the table: {window.cells()}',
    )
    return window


def shows(window: Any, state: str) -> None:
    window.until(lambda: window.cells()[0][1] == state, lambda: f'state {state}: {window.cells()}')


def test_buttons_charge_pause_resume_and_stop_a_real_connector(watching: Any, connector: Connector) -> None:
    connector.accepted('simulation/plug_in')
    shows(watching, 'needs token')
    watching.press('authorize_response')
    (dialog,) = watching.dialogs('QInputDialog')
    dialog.setTextValue('04A1B2C3')
    dialog.accept()
    shows(watching, 'charging')
    watching.until(lambda: 'accepted' in watching.reply, lambda: watching.reply)
    watching.until(lambda: 'kW' in watching.cells()[0][2], lambda: f'power: {watching.cells()}')
    watching.press('pause_charging')
    shows(watching, 'paused')
    watching.press('resume_charging')
    watching.answer('Yes')
    shows(watching, 'charging')
    watching.press('stop_transaction')
    watching.answer('Yes')
    shows(watching, 'finished')
    watching.until(
        lambda: [row[2] for row in watching.events()][:1] == ['TransactionFinished'],
        lambda: f'the last event: {watching.events()[:3]}',
    )
    assert all('04A1B2C3' not in cell for row in watching.events() for cell in row)
    assert len(watching.link.histories.of(connector.namespace, float('inf'))) >= 1


def test_the_sentence_of_a_refusal_is_shown(watching: Any, connector: Connector) -> None:
    watching.press('pause_charging')
    watching.until(lambda: 'refused' in watching.reply, lambda: watching.reply)
    assert len(watching.reply) > len('Pause refused: ')


def test_a_connector_that_does_not_answer_is_reported(
    watching: Any, connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('evse_manager.rqt.link.FIND_S', 0.3)
    answers: list[Any] = []
    watching.link.call('/nobody', 'pause_charging', {}, answers.append)
    watching.until(lambda: answers, lambda: 'a reply without a server')
    assert not answers[0].success
    assert 'no answer within 0.3 s' in answers[0].message


def threads() -> int:
    """Return how many threads this process has, those of the middleware included."""
    return len(list(Path('/proc/self/task').iterdir()))


def test_closing_leaves_no_thread_and_no_node(
    connector: Connector, open_window: Callable[[Any], Any]
) -> None:
    probe = connector.probe
    before = threads()
    window = open_window(GraphLink())
    window.until(window.cells, lambda: 'the connector in the table')
    node = window.link._graph.node.get_name()
    probe.wait(lambda: node in probe.node.get_node_names(), 'the node is on the graph')
    assert threads() > before
    window.panel.close()
    probe.wait(lambda: node not in probe.node.get_node_names(), 'the node has left the graph')
    probe.wait(lambda: threads() <= before, lambda: f'{threads()} threads, {before} before the window')
