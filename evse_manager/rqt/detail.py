"""One connector: why it does (not) charge, everything that is known, its commands, the plot."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from evse_manager.cli import formatting
from evse_manager.cli.actions import ACTIONS, Action, authorization
from evse_manager.cli.commands import COMMANDS
from evse_manager.cli.graph import ServiceReply
from evse_manager.cli.limits import limit
from evse_manager.cli.monitor import ConnectorView
from evse_manager.cli.views import complaints, facts
from evse_manager.interface.appearance import COLOURS, StateKind
from evse_manager.interface.text import printable
from evse_manager.interface.types import ExternalLimits
from evse_manager.rqt import dialogs
from evse_manager.rqt.binding import QtCore, QtGui, QtWidgets
from evse_manager.rqt.model import TableRow
from evse_manager.rqt.plot import Plot
from evse_manager.rqt.table import dot

Call = Callable[[str, str, Mapping[str, Any], Callable[[ServiceReply], None]], None]
"""Calls a service: connector, service, fields, and who gets the reply."""

BUTTON_COLUMNS = 3
SUMMARIES = {command.service: f'{command.summary[0].upper()}{command.summary[1:]}.' for command in COMMANDS}
FAINT = 150
"""Opacity of the names of values, 0..255."""
START_LIMIT_A = 16.0
"""Initial value in the dialog of the limit while the limit is unknown."""


def plain_label(parent: QtWidgets.QWidget, *, wrapped: bool = True) -> QtWidgets.QLabel:
    """Return a label that shows foreign text as it is, and lets it be copied."""
    label = QtWidgets.QLabel(parent)
    label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    label.setWordWrap(wrapped)
    label.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
    label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def faint_label(parent: QtWidgets.QWidget) -> QtWidgets.QLabel:
    """Return a label for the name of a value: less prominent than the value."""
    label = QtWidgets.QLabel(parent)
    palette = label.palette()
    colour = palette.color(QtGui.QPalette.ColorRole.WindowText)
    colour.setAlpha(FAINT)
    palette.setColor(QtGui.QPalette.ColorRole.WindowText, colour)
    label.setPalette(palette)
    return label


def tinted(colour: StateKind) -> str:
    """Return a style sheet for text in the colour of a kind, darkened to be read on white."""
    red, green, blue = (round(part * 0.75) for part in COLOURS[colour])
    return f'color: rgb({red}, {green}, {blue});'


class Detail(QtWidgets.QWidget):
    """Shows one connector and commands it."""

    def __init__(self, parent: QtWidgets.QWidget, call: Call) -> None:
        super().__init__(parent)
        self._call = call
        self._name = ''
        self._limit_a = START_LIMIT_A
        self._mark = QtWidgets.QLabel(self)
        self.title = plain_label(self, wrapped=False)
        font = self.title.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.25)
        self.title.setFont(font)
        self.reason = plain_label(self)
        self.complaints = plain_label(self)
        self.complaints.setStyleSheet(tinted(StateKind.TROUBLE))
        self._facts = QtWidgets.QGridLayout()
        self._facts.setColumnStretch(1, 1)
        self._facts.setVerticalSpacing(2)
        self._shown: list[tuple[QtWidgets.QLabel, QtWidgets.QLabel]] = []
        self.buttons: dict[str, QtWidgets.QPushButton] = {}
        self.answer = plain_label(self)
        self.plot = Plot(self)
        self._lay_out()
        self.show_nothing()

    def _lay_out(self) -> None:
        heading = QtWidgets.QHBoxLayout()
        heading.addWidget(self._mark)
        heading.addWidget(self.title, 1)
        grid = QtWidgets.QGridLayout()
        grid.setSpacing(4)
        presses: list[tuple[str, str, Callable[[], None]]] = [
            ('authorize_response', 'Authorize…', self._authorize),
            ('set_external_limits', 'Limit…', self._ask_limit),
            *((action.service, action.label, partial(self._act, action)) for action in ACTIONS),
        ]
        for position, (service, label, press) in enumerate(presses):
            button = QtWidgets.QPushButton(label, self)
            button.setToolTip(SUMMARIES[service])
            button.clicked.connect(partial(_pressed, press))
            self.buttons[service] = button
            grid.addWidget(button, position // BUTTON_COLUMNS, position % BUTTON_COLUMNS)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(heading)
        layout.addWidget(self.reason)
        layout.addWidget(self.complaints)
        layout.addLayout(self._facts)
        layout.addLayout(grid)
        layout.addWidget(self.answer)
        layout.addWidget(self.plot, 1)

    # --- what is shown ---------------------------------------------------------------------------------

    def show_nothing(self) -> None:
        """Show that no connector is selected."""
        self._choose('')
        self.title.setText('No connector selected')
        self.reason.setText('')
        self.complaints.hide()
        self._show_facts([])
        self._mark.setPixmap(dot(COLOURS[StateKind.OFF], 16))

    def show_connector(self, view: ConnectorView, row: TableRow) -> None:
        """Show a connector."""
        self._choose(view.name)
        self._mark.setPixmap(dot(COLOURS[row.kind], 16))
        self.title.setText(f'{row.name} \N{EN DASH} {row.state}')
        self.reason.setText(row.reason)
        wrong = '\n'.join(printable(text.plain) for text in complaints(view))
        self.complaints.setText(wrong)
        self.complaints.setVisible(bool(wrong))
        self._show_facts(facts(view.status) if view.status is not None else [])
        if view.status is not None:
            self._limit_a = view.status.limit_a

    def _choose(self, name: str) -> None:
        """Note which connector is shown; what another one answered is gone."""
        if name == self._name and self.buttons['enable'].isEnabled() == bool(name):
            return
        self._name = name
        self.answer.setText('')
        for button in self.buttons.values():
            button.setEnabled(bool(name))

    def _show_facts(self, pairs: list[tuple[str, str]]) -> None:
        while len(self._shown) < len(pairs):
            label, value = faint_label(self), plain_label(self)
            position = len(self._shown)
            self._facts.addWidget(label, position, 0, QtCore.Qt.AlignmentFlag.AlignTop)
            self._facts.addWidget(value, position, 1)
            self._shown.append((label, value))
        for position, (label, value) in enumerate(self._shown):
            visible = position < len(pairs)
            label.setVisible(visible)
            value.setVisible(visible)
            if visible:
                label.setText(pairs[position][0])
                value.setText(printable(pairs[position][1]))

    # --- commands --------------------------------------------------------------------------------------

    def _act(self, action: Action) -> None:
        name = self._name
        if action.confirmed:
            dialogs.confirm(
                self,
                action.question(name),
                lambda: self._send(name, action.service, action.label, action.fields),
            )
        else:
            self._send(name, action.service, action.label, action.fields)

    def _authorize(self) -> None:
        name = self._name
        dialogs.ask_token(
            self,
            lambda token: self._send(name, 'authorize_response', 'Authorize', authorization(token)),
        )

    def _ask_limit(self) -> None:
        name = self._name

        def given(current_a: float) -> None:
            value = ExternalLimits(schedule_import=(limit(current_a, None, 0, time.time_ns()),))
            self._send(
                name, 'set_external_limits', f'Limit {formatting.amperes(current_a)}', {'value': value}
            )

        dialogs.ask_limit(self, self._limit_a, given)

    def _send(self, name: str, service: str, label: str, fields: Mapping[str, Any]) -> None:
        self.answer.setStyleSheet('')
        self.answer.setText(f'{label}: waiting for the answer of {printable(name)} …')
        self._call(name, service, fields, partial(self._answered, label))

    def _answered(self, label: str, reply: ServiceReply) -> None:
        if reply.connector != self._name:
            return  # another connector is shown by now; its own events say what became of it
        self.answer.setStyleSheet(tinted(StateKind.CHARGING if reply.success else StateKind.TROUBLE))
        text = reply.message or ('accepted' if reply.success else 'no reason given')
        self.answer.setText(printable(f'{label}{"" if reply.success else " refused"}: {text}'))


def _pressed(press: Callable[[], None], *_checked: bool) -> None:
    press()
