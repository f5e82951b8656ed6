"""``evse gui``: the window of all connectors; Qt and ROS are imported when it runs."""

import sys
from argparse import Namespace

from evse_manager.cli.errors import CliError, ExitCode


def run_gui(given: Namespace) -> ExitCode:
    """Show the window; return the exit code."""
    try:
        from evse_manager.rqt.standalone import run_window  # noqa: PLC0415 - Qt may be missing

        return run_window(given)
    except CliError as error:
        print(f'evse: {error}', file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
