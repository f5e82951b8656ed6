"""
Questions to the operator, in dialogs that do not wait: the window goes on, and a closed dialog means no.

Texts of others are shown as plain text everywhere; Qt would take what looks like HTML for rich text.
"""

from collections.abc import Callable

from evse_manager.interface.text import printable
from evse_manager.rqt.binding import QtCore, QtWidgets

HIGHEST_LIMIT_A = 1000.0


def confirm(parent: QtWidgets.QWidget, question: str, confirmed: Callable[[], None]) -> None:
    """Ask before something; Cancel is the default."""
    box = QtWidgets.QMessageBox(parent)
    box.setWindowTitle('Please confirm')
    box.setIcon(QtWidgets.QMessageBox.Icon.Warning)
    box.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    box.setText(printable(question))
    yes = QtWidgets.QMessageBox.StandardButton.Yes
    cancel = QtWidgets.QMessageBox.StandardButton.Cancel
    box.setStandardButtons(yes | cancel)
    box.setDefaultButton(cancel)
    box.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
    box.buttonClicked.connect(lambda button: confirmed() if box.standardButton(button) == yes else None)
    box.open()


def _input(parent: QtWidgets.QWidget, title: str, label: str) -> QtWidgets.QInputDialog:
    dialog = QtWidgets.QInputDialog(parent)
    dialog.setWindowTitle(title)
    dialog.setLabelText(label)
    dialog.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
    return dialog


def ask_token(parent: QtWidgets.QWidget, given: Callable[[str], None]) -> None:
    """Ask for a token to accept; it is a secret and not echoed."""
    dialog = _input(parent, 'Authorize', 'Token to accept. Energy may flow as soon as the EV asks for it.')
    dialog.setInputMode(QtWidgets.QInputDialog.InputMode.TextInput)
    dialog.setTextEchoMode(QtWidgets.QLineEdit.EchoMode.PasswordEchoOnEdit)
    dialog.textValueSelected.connect(lambda text: given(text.strip()) if text.strip() else None)
    dialog.open()


def ask_limit(parent: QtWidgets.QWidget, current_a: float, given: Callable[[float], None]) -> None:
    """Ask for the highest current per phase [A], beginning with one."""
    dialog = _input(
        parent, 'Limit', 'Highest current per phase in A, replacing the limit that was set before.'
    )
    dialog.setInputMode(QtWidgets.QInputDialog.InputMode.DoubleInput)
    dialog.setDoubleRange(0.0, HIGHEST_LIMIT_A)
    dialog.setDoubleDecimals(1)
    dialog.setDoubleValue(current_a)
    dialog.doubleValueSelected.connect(given)
    dialog.open()
