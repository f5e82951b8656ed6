"""The ``evse`` command: parses the command line, runs one subcommand, turns failures into exit codes."""

import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from evse_manager.cli.errors import CliError, ExitCode, UsageError
from evse_manager.cli.gui import run_gui
from evse_manager.cli.json_output import emit
from evse_manager.cli.parser import parse
from evse_manager.cli.start import start

if TYPE_CHECKING:
    from evse_manager.cli.graph import Graph

MODULES = {
    'call': 'call',
    'everywhere': 'everywhere',
    'list': 'status',
    'status': 'status',
    'watch': 'watch',
    'events': 'events',
    'token': 'site',
    'reservations': 'site',
    'site': 'site_power',
    'site_limit': 'site_power',
    'charge': 'charge',
    'record': 'recording',
    'report': 'report',
    'sessions': 'sessions',
    'plot': 'plot',
}
"""Package of the subcommands; a module, and ROS with it, is imported when its subcommand runs."""

OF_FILES = ('sessions', 'plot')
"""Subcommands that need no graph with ``--file``."""


def run(given: Namespace, graph: 'Graph | None') -> ExitCode:
    """Run the parsed subcommand, on the graph unless it reads files alone; return its exit code."""

    def subcommand() -> ExitCode:
        module = importlib.import_module(f'.{MODULES[given.run]}', __package__)
        if graph is not None:
            graph.enter()
        code: ExitCode = getattr(module, f'run_{given.run}')(given, graph)
        return code

    return outcome(given, subcommand)


def run_replay(given: Namespace) -> ExitCode:
    """Run ``replay``, which needs no graph; return its exit code."""

    def subcommand() -> ExitCode:
        from evse_manager.cli.replaying import run_replay as replay  # noqa: PLC0415 - imported when it runs

        return replay(given)

    return outcome(given, subcommand)


def outcome(given: Namespace, subcommand: Callable[[], ExitCode]) -> ExitCode:
    """Return the exit code of a subcommand; print why it failed."""
    try:
        code = subcommand()
        sys.stdout.flush()
        return code
    except CliError as error:
        if given.json:
            emit({'success': False, 'message': str(error)})
        print(f'evse: {error}', file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (head, jq) has seen enough; nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``evse`` and return its exit code."""
    given = parse(None if argv is None else list(argv))
    if given.run == 'run':
        try:
            start(given.executable, given.arguments)
        except UsageError as error:
            print(f'evse: {error}', file=sys.stderr)
            return error.code
    if given.run == 'gui':
        return run_gui(given)
    if given.run == 'replay':
        return run_replay(given)
    if given.run in OF_FILES and given.file is not None:
        return run(given, None)
    try:
        from evse_manager.cli.graph import graph_of_process  # noqa: PLC0415 - help and wrong usage do not wait for ROS
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    graph = graph_of_process()
    code = ExitCode.REFUSED
    try:
        code = run(given, graph)
    finally:
        graph.leave(code)
    return code


if __name__ == '__main__':
    sys.exit(main())
