"""The window: the table of connectors, one of them in detail, and the events of all."""

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from evse_manager.cli.graph import ServiceReply
from evse_manager.interface.text import printable
from evse_manager.nodes.conversions import ConversionError
from evse_manager.rqt.binding import QtCore, QtGui, QtWidgets
from evse_manager.rqt.detail import Detail, plain_label
from evse_manager.rqt.link import Link
from evse_manager.rqt.model import event_row, headline, row_of, rows_of
from evse_manager.rqt.table import ConnectorTable, EventTable

TURN_MS = 50
"""How often the graph is given a turn."""
REDRAW_S = 0.25
"""How often the window is drawn."""


class Panel(QtWidgets.QWidget):
    """Everything of the plug-in; it owns the link and closes it."""

    def __init__(self, link: Link, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName('EvsePanel')
        self.setWindowTitle('EV charging connectors')
        self._link: Link | None = link
        self._redraw_at = 0.0
        self._failures: set[str] = set()
        self.headline = plain_label(self, wrapped=False)
        self.filter = QtWidgets.QLineEdit(self)
        self.filter.setPlaceholderText('Filter: name, state or reason')
        self.filter.setClearButtonEnabled(True)
        self.filter.setMaximumWidth(260)
        self.table = ConnectorTable(self)
        self.detail = Detail(self, self._call)
        self.events = EventTable(self)
        self.splitters = self._lay_out()
        self.filter.textChanged.connect(self.table.order.want)
        self.table.selectionModel().selectionChanged.connect(self._selected)
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._turn)
        self._timer.start(TURN_MS)

    def _lay_out(self) -> dict[str, QtWidgets.QSplitter]:
        """Arrange the parts; return what the user can move, by the name of its setting."""
        top = QtWidgets.QHBoxLayout()
        top.addWidget(self.headline, 1)
        top.addWidget(self.filter)
        left = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical, self)
        left.addWidget(self.table)
        left.addWidget(self.events)
        left.setStretchFactor(0, 3)
        left.setStretchFactor(1, 2)
        scroll = QtWidgets.QScrollArea(self)
        scroll.setWidget(self.detail)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        across = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal, self)
        across.addWidget(left)
        across.addWidget(scroll)
        across.setStretchFactor(0, 3)
        across.setStretchFactor(1, 2)
        across.setSizes([700, 480])
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(across, 1)
        return {'table_events': left, 'table_detail': across}

    # --- turns -----------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if self._link is None:
            return
        try:
            self._link.turn()
            now = time.monotonic()
            if now >= self._redraw_at:
                self._redraw_at = now + REDRAW_S
                self.redraw(now)
        except Exception as error:  # noqa: BLE001 - an entry point: PyQt5 ends rqt, with all its plug-ins, for it
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Show that something broke; its traceback is printed once."""
        self.headline.setText(printable(f'This window is not up to date: {error!r}; see the terminal.'))
        if repr(error) not in self._failures:
            self._failures.add(repr(error))
            traceback.print_exception(error)

    def redraw(self, now: float) -> None:
        """Show what is known at a moment of the steady clock."""
        if self._link is None:
            return
        monitor = self._link.monitor
        self.headline.setText(headline(monitor, now))
        self.table.take(rows_of(monitor, now))
        if self._link.events:
            self.events.add(event_row(name, event) for name, event in self._link.events)
            self._link.events.clear()
        self._show_selected(now)

    def _selected(self, *_: Any) -> None:
        self._show_selected(time.monotonic())

    def _show_selected(self, now: float) -> None:
        if self._link is None:
            return
        view = self._link.monitor.bays.get(self.table.selected)
        if view is None:
            self.detail.show_nothing()
            self.detail.plot.take((), now)
            return
        self.detail.show_connector(view, row_of(view, now))
        self.detail.plot.take(self._link.histories.of(view.name, now), now)

    def _call(
        self,
        connector: str,
        service: str,
        fields: Mapping[str, Any],
        answered: Callable[[ServiceReply], None],
    ) -> None:
        if self._link is None:
            return
        try:
            self._link.call(connector, service, fields, answered)
        except ConversionError as error:
            answered(ServiceReply(connector, service, False, str(error), {}))

    # --- end -------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """Leave the graph; the window stays as it is."""
        link, self._link = self._link, None
        self._timer.stop()
        if link is not None:
            link.close()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the graph with the window."""
        self.shut_down()
        super().closeEvent(event)
