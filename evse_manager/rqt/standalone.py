"""``evse gui``: the window without rqt."""

import os
import signal
import sys
from argparse import Namespace

from evse_manager.cli.errors import ExitCode, UsageError
from evse_manager.nodes import middleware
from evse_manager.rqt.binding import QtCore, QtWidgets
from evse_manager.rqt.link import GraphLink
from evse_manager.rqt.panel import Panel

WIDTH, HEIGHT = 1240, 760


def prepare_platform(picture: bool) -> None:
    """Let Qt draw in memory for a picture without a display; raises UsageError where a window has none."""
    if any(os.environ.get(name) for name in ('QT_QPA_PLATFORM', 'DISPLAY', 'WAYLAND_DISPLAY')):
        return
    if not picture:
        raise UsageError('there is no display for a window (DISPLAY is not set); use: evse watch')
    os.environ['QT_QPA_PLATFORM'] = 'offscreen'


def run_window(given: Namespace) -> ExitCode:
    """Show the window until it is closed, Ctrl-C, or the time given; then save a picture if wanted."""
    prepare_platform(bool(given.save_png))
    middleware.configure()
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(sys.argv[:1])
    panel = Panel(GraphLink(given.connectors))
    try:
        panel.resize(WIDTH, HEIGHT)
        panel.show()
        # Python's handlers run between two turns of the panel's timer.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: application.quit())
        if given.duration is not None:
            QtCore.QTimer.singleShot(round(given.duration * 1000), application.quit)
        (getattr(application, 'exec', None) or application.exec_)()
        if given.save_png:
            save_picture(panel, given.save_png)
    finally:
        panel.shut_down()
        panel.deleteLater()
    return ExitCode.OK


def save_picture(panel: Panel, file: str) -> None:
    """Save a picture of the window as PNG."""
    if not panel.grab().save(file, 'PNG'):
        raise UsageError(f'the picture {file} can not be written; give a file in an existing folder.')
