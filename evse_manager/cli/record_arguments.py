"""The arguments of ``evse sessions`` and ``evse plot``."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from evse_manager.cli import arguments
from evse_manager.interface.enums import StopTransactionReason

ACTIONS = ('list', 'show', 'export', 'verify')
SHOWN = 20


def add_sessions(group: Any, add_view: Callable[..., Any], common: Callable[[], ArgumentParser]) -> None:
    """Add sessions and plot."""
    sessions = add_view(
        group,
        'sessions',
        common(),
        'list, show, export or verify recorded sessions, of connectors on the graph or out of files',
        'evse sessions',
        'evse sessions list --since 2026-11-01 --token 04A1B2C3',
        'evse sessions show 0f8fad5b',
        'evse sessions export --format csv --output november.csv',
        'evse sessions verify --file ~/.ros/evse_manager',
    )
    sessions.add_argument(
        'action',
        nargs='?',
        choices=ACTIONS,
        default='list',
        metavar='ACTION',
        help='list (default), show SESSION, export, or verify (do they sum to what the meter counted?)',
    )
    sessions.add_argument(
        'session',
        nargs='?',
        default='',
        metavar='SESSION',
        help='uuid of the session, or its beginning (8 or more)',
    )
    sessions.add_argument(
        '--since', type=arguments.point_in_time, metavar='TIME', help='only those that began then or later'
    )
    sessions.add_argument(
        '--until', type=arguments.point_in_time, metavar='TIME', help='only those that began before'
    )
    sessions.add_argument('--token', default='', metavar='TOKEN', help='only transactions of this token')
    sessions.add_argument(
        '--reason',
        type=arguments.Choice(StopTransactionReason),
        default=StopTransactionReason.UNSPECIFIED,
        metavar='REASON',
        help='only transactions that finished for this reason, such as local or ev-disconnected',
    )
    sessions.add_argument(
        '--limit',
        type=arguments.integer(1, 10**9),
        metavar='N',
        help=f'at most so many sessions, the newest (default: {SHOWN} in a list, else all)',
    )
    sessions.add_argument(
        '--format',
        choices=('csv', 'json'),
        default='csv',
        metavar='FORMAT',
        help='of export: csv (default) or json',
    )
    sessions.add_argument(
        '--details', action='store_true', help='export events, errors and samples, too (json)'
    )
    sessions.add_argument('--output', '-o', metavar='FILE', help='export into this file (default: print)')
    plot = add_view(
        group,
        'plot',
        common(),
        'draw a recorded session: power, limit and whose it was, pilot state, events',
        'evse plot 0f8fad5b',
        'evse plot 0f8fad5b --file all-connectors.sqlite3 --output night.svg',
    )
    plot.add_argument(
        'session',
        metavar='SESSION',
        help='uuid of the session, or its beginning (8 or more); last = the newest',
    )
    plot.add_argument(
        '--output', '-o', metavar='FILE', help='.png, .svg or .pdf (default: session-<uuid>.png here)'
    )
    for parser in (sessions, plot):
        parser.add_argument(
            '--file',
            nargs='?',
            const='',
            metavar='PATH',
            help='read this file or folder of records and no graph (without a path: the default folder)',
        )
        parser.add_argument(
            '--simulated',
            action='store_true',
            help='with --file: the records of simulated boards in a folder',
        )
