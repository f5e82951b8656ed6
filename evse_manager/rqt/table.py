"""The table of connectors, and the one of events: plain text, sorted and filtered by Qt."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from evse_manager.cli.monitor import natural
from evse_manager.interface.appearance import COLOURS
from evse_manager.rqt.binding import QtCore, QtGui, QtWidgets
from evse_manager.rqt.model import EventRow, TableRow

COLUMNS = ('Connector', 'State', 'Power', 'Limit', 'Reason')
NAME, STATE, POWER, LIMIT, REASON = range(len(COLUMNS))
LEFT = QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignVCenter
RIGHT = QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter
EVENT_COLUMNS = ('Time', 'Connector', 'Event', 'What happened')
EVENTS_KEPT = 1000


def dot(colour: tuple[int, int, int], size: int = 12) -> QtGui.QPixmap:
    """Return a round mark of a colour."""
    pixmap = QtGui.QPixmap(size, size)
    pixmap.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(pixmap)
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.setPen(QtCore.Qt.PenStyle.NoPen)
    painter.setBrush(QtGui.QColor(*colour))
    painter.drawEllipse(1, 1, size - 2, size - 2)
    painter.end()
    return pixmap


def fit(table: QtWidgets.QTableView, longest: Sequence[str]) -> None:
    """Make rows as high as a line of the font, and the first columns as wide as their longest texts."""
    metrics = table.fontMetrics()
    table.verticalHeader().setDefaultSectionSize(metrics.height() + 8)
    for column, text in enumerate(longest):
        table.horizontalHeader().resizeSection(column, metrics.horizontalAdvance(text) + 14)


class ConnectorModel(QtCore.QAbstractTableModel):
    """The rows of the connectors, in the order of their names."""

    def __init__(self, parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self.rows: list[TableRow] = []
        self._dots = {kind: dot(colour) for kind, colour in COLOURS.items()}

    def take(self, rows: list[TableRow]) -> None:
        """Show these rows; what has not changed is not drawn again."""
        if [row.name for row in rows] != [row.name for row in self.rows]:
            self.layoutAboutToBeChanged.emit()
            before = self.persistentIndexList()
            names = {row.name: position for position, row in enumerate(rows)}
            after = [
                self.createIndex(names[name], index.column())
                if (name := self.rows[index.row()].name) in names
                else QtCore.QModelIndex()
                for index in before
            ]
            self.rows = rows
            self.changePersistentIndexList(before, after)
            self.layoutChanged.emit()
            return
        changed = [position for position, row in enumerate(rows) if row != self.rows[position]]
        self.rows = rows
        for position in changed:
            self.dataChanged.emit(self.index(position, 0), self.index(position, len(COLUMNS) - 1))

    def rowCount(self, parent: Any = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of connectors."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Any = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the title of a column."""
        if orientation != QtCore.Qt.Orientation.Horizontal or role != QtCore.Qt.ItemDataRole.DisplayRole:
            return None
        return COLUMNS[section]

    def data(self, index: Any, role: int = 0) -> Any:
        """Return text, mark or alignment of a cell."""
        row, column = self.rows[index.row()], index.column()
        if role == QtCore.Qt.ItemDataRole.DisplayRole:
            return (row.name, row.state, row.power, row.limit, row.reason)[column]
        if role == QtCore.Qt.ItemDataRole.DecorationRole and column == STATE:
            return self._dots[row.kind]
        if role == QtCore.Qt.ItemDataRole.TextAlignmentRole and column == POWER:
            return RIGHT
        return None


class ConnectorOrder(QtCore.QSortFilterProxyModel):
    """Sorts numbers as numbers, and keeps the rows that hold a text."""

    def __init__(self, model: ConnectorModel) -> None:
        super().__init__(model)
        self._wanted = ''
        self._model = model
        self.setSourceModel(model)

    def want(self, text: str) -> None:
        """Keep the rows that hold this text in any column."""
        self._wanted = text.casefold()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: Any) -> bool:  # noqa: N802 - Qt's name
        """Return whether a row is shown."""
        row = self._model.rows[source_row]
        return any(self._wanted in text.casefold() for text in (row.name, row.state, row.reason))

    def lessThan(self, source_left: Any, source_right: Any) -> bool:  # noqa: N802 - Qt's name
        """Return whether one row comes before another in ascending order."""
        left: TableRow = self._model.rows[source_left.row()]
        right: TableRow = self._model.rows[source_right.row()]
        column = source_left.column()
        if column == POWER:
            return left.power_w < right.power_w
        if column == LIMIT:
            return left.limit_a < right.limit_a
        if column == STATE:
            return (left.attention, natural(left.name)) < (right.attention, natural(right.name))
        if column == REASON:
            return left.reason < right.reason
        return natural(left.name) < natural(right.name)


def style(table: QtWidgets.QTableView) -> None:
    """Give a table the look of the window: striped rows without a grid, a plain header."""
    table.setAlternatingRowColors(True)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setStretchLastSection(True)
    header.setHighlightSections(False)
    header.setDefaultAlignment(LEFT)


class ConnectorTable(QtWidgets.QTableView):
    """The view of the connectors; one is selected."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.rows = ConnectorModel(self)
        self.order = ConnectorOrder(self.rows)
        self.setModel(self.order)
        self.setSortingEnabled(True)
        self.sortByColumn(NAME, QtCore.Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.SingleSelection)
        style(self)
        fit(self, ('/depot/evse_100', '● needs token', '-100.00 kW', '32.0 A, by the energy manager'))

    @property
    def selected(self) -> str:
        """Name of the selected connector; empty = none."""
        chosen = self.selectionModel().selectedRows()
        return self.rows.rows[self.order.mapToSource(chosen[0]).row()].name if chosen else ''

    def select(self, name: str) -> None:
        """Select a connector, if it is shown."""
        for position in range(self.order.rowCount()):
            if self.order.index(position, NAME).data() == name:
                self.selectRow(position)

    def take(self, rows: list[TableRow]) -> None:
        """Show these rows; the first connector is selected where none was."""
        self.rows.take(rows)
        if rows and not self.selected and self.order.rowCount():
            self.selectRow(0)


class EventTable(QtWidgets.QTableWidget):
    """The events of all connectors, the newest on top."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(0, len(EVENT_COLUMNS), parent)
        self._stamps: list[int] = []
        """Negative time stamps of the rows, ascending."""
        self.setHorizontalHeaderLabels(list(EVENT_COLUMNS))
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        style(self)
        fit(self, ('00:00:00', '/depot/evse_100', 'TransactionFinished'))

    def add(self, events: Iterable[EventRow]) -> None:
        """Show more events; those of the history arrive connector by connector."""
        for event in events:
            position = bisect_left(self._stamps, -event.stamp)
            self._stamps.insert(position, -event.stamp)
            self.insertRow(position)
            for column, text in enumerate((event.time, event.connector, event.event, event.sentence)):
                self.setItem(position, column, QtWidgets.QTableWidgetItem(text))
        del self._stamps[EVENTS_KEPT:]
        self.setRowCount(len(self._stamps))
