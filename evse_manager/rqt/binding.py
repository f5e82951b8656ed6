"""
The Qt binding: rqt's own (``python_qt_binding``) where it is installed, else PySide6, else PyQt5.

All other modules import ``QtCore``, ``QtGui`` and ``QtWidgets`` from here, and use what the three have in
common: enumerations by their full names, functions as slots, no signals of their own.
"""

import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from evse_manager.cli.errors import UsageError

CANDIDATES = ('python_qt_binding', 'PySide6', 'PyQt5')
MODULES = ('QtCore', 'QtGui', 'QtWidgets')


BROKEN = '6.12.0'
"""This PySide6 drops a reference to None with each call, which soon ends a process of Python 3.11."""


def installed_version(name: str) -> str:
    """Return the version of a binding; empty = it is not installed by pip, or not at all."""
    try:
        return version(f'{name}-Essentials')
    except PackageNotFoundError:
        return ''


def choose(candidates: Iterable[str] = CANDIDATES) -> tuple[Any, ...]:
    """
    Return the modules of the first binding that can be imported.

    Raises UsageError with the reason of each, when none can be.
    """
    reasons = []
    for name in candidates:
        if name == 'PySide6' and sys.version_info < (3, 12) and installed_version(name) == BROKEN:
            reasons.append(f'PySide6 {BROKEN} crashes on Python 3.11; install another version')
            continue
        try:
            return tuple(import_module(f'{name}.{module}') for module in MODULES)
        except ImportError as error:  # also a library of the system, such as libEGL, that the binding needs
            reasons.append(f'{name}: {error}')
    raise UsageError(
        'a window needs Qt for Python; install python3-pyqt5 or, in a virtual environment, '
        f'PySide6-Essentials ({"; ".join(reasons)}).'
    )


if TYPE_CHECKING:
    from PySide6 import QtCore, QtGui, QtWidgets
else:
    QtCore, QtGui, QtWidgets = choose()

__all__ = ['QtCore', 'QtGui', 'QtWidgets']
