"""Real widgets, drawn in memory; without Qt for Python the tests are skipped with the reason."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from evse_manager.cli.errors import UsageError
from evse_manager.cli.graph import ServiceReply
from evse_manager.cli.monitor import Monitor
from evse_manager.interface.types import EvseStatus, SessionEvent
from evse_manager.rqt.model import Histories

os.environ['QT_QPA_PLATFORM'] = 'offscreen'
PATIENCE_S = 15.0


class RecordedLink:
    """A link without a graph: what a test puts in is shown, calls are kept until the test answers them."""

    def __init__(self) -> None:
        self.monitor = Monitor()
        self.histories = Histories()
        self.events: list[tuple[str, SessionEvent]] = []
        self.calls: list[tuple[str, str, Mapping[str, Any]]] = []
        self.waiting: list[Callable[[ServiceReply], None]] = []
        self.turns = 0
        self.closed = False

    def status(self, name: str, status: EvseStatus, at: float | None = None) -> None:
        """Let a connector send a status, now or at a time of the steady clock."""
        at = time.monotonic() if at is None else at
        self.monitor.offered([*self.monitor.bays, name])
        self.monitor.status(name, status, at)
        self.histories.add(name, status, at)

    def turn(self) -> None:
        self.turns += 1

    def call(
        self,
        connector: str,
        service: str,
        fields: Mapping[str, Any],
        answered: Callable[[ServiceReply], None],
    ) -> None:
        self.calls.append((connector, service, fields))
        self.waiting.append(answered)

    def answer(self, success: bool, message: str = '') -> None:
        """Answer the oldest call."""
        connector, service, _ = self.calls[-len(self.waiting)]
        self.waiting.pop(0)(ServiceReply(connector, service, success, message, {}))

    def close(self) -> None:
        self.closed = True


class Window:
    """A panel, and what a person does with it."""

    def __init__(self, application: Any, panel: Any, link: Any) -> None:
        self.application, self.panel, self.link = application, panel, link

    def redraw(self) -> None:
        self.panel.redraw(time.monotonic())
        self.application.processEvents()

    def until(self, condition: Callable[[], Any], what: Callable[[], str]) -> None:
        """Let Qt run until a condition holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f'not within {PATIENCE_S} s: {what()}'
            self.application.processEvents()
            time.sleep(0.005)

    def cells(self) -> list[list[str]]:
        """Return the texts of the table as they are shown."""
        order = self.panel.table.order
        return [
            [order.index(row, column).data() for column in range(order.columnCount())]
            for row in range(order.rowCount())
        ]

    def events(self) -> list[list[str]]:
        table = self.panel.events
        return [
            [table.item(row, column).text() for column in range(table.columnCount())]
            for row in range(table.rowCount())
        ]

    def press(self, service: str) -> None:
        self.panel.detail.buttons[service].click()
        self.application.processEvents()

    def dialogs(self, kind: str) -> list[Any]:
        from evse_manager.rqt.binding import QtWidgets

        return [box for box in self.panel.findChildren(getattr(QtWidgets, kind)) if box.isVisible()]

    def answer(self, button: str) -> None:
        """Press a button of the question that is asked."""
        from evse_manager.rqt.binding import QtWidgets

        (box,) = self.dialogs('QMessageBox')
        box.button(getattr(QtWidgets.QMessageBox.StandardButton, button)).click()
        self.application.processEvents()

    @property
    def reply(self) -> str:
        text: str = self.panel.detail.answer.text()
        return text


@pytest.fixture(scope='session')
def application() -> Any:
    try:
        from evse_manager.rqt.binding import QtWidgets
    except UsageError as error:
        pytest.skip(str(error))
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(['test'])


@pytest.fixture
def open_window(application: Any) -> Iterator[Callable[[Any], Window]]:
    """Open a panel on a link; it is closed with the test."""
    from evse_manager.rqt.panel import Panel

    panels: list[Any] = []

    def open_one(link: Any) -> Window:
        panel = Panel(link)
        panels.append(panel)
        panel.resize(1240, 760)
        panel.show()
        return Window(application, panel, link)

    yield open_one
    for panel in panels:
        panel.close()
        panel.deleteLater()
    application.processEvents()


@pytest.fixture
def window(open_window: Callable[[Any], Window]) -> Window:
    """A panel on a recorded link."""
    return open_window(RecordedLink())
