"""The argument parser of ``evse``, made from the table of commands."""

import argparse
import difflib
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from evse_manager.cli import arguments
from evse_manager.cli.commands import COMMANDS, SIMULATION, Command
from evse_manager.cli.errors import ExitCode
from evse_manager.cli.record_arguments import add_sessions
from evse_manager.interface.enums import AuthorizationType

FIND_S = 5.0
"""Default time to look for a connector, in seconds."""

EPILOG = """\
examples:
  evse list                          the connectors on the graph
  evse watch                         all of them, live
  evse authorize 04A1B2C3            accept a token
  evse limit 16 -c /depot/evse_7     at most 16 A on one of several connectors
  evse sim plug-in --soc 40          plug a simulated EV in
  evse pause --all                   all connectors at once
  evse status --json                 everything, for a program

exit codes:
  0 done   1 refused by the charger   2 wrong usage   3 no such connector, or no answer in time
"""


class CommandParser(ArgumentParser):
    """Answers wrong usage in one sentence instead of repeating the usage, with the nearest known name."""

    def add_argument(self, *flags: Any, **options: Any) -> argparse.Action:
        """Add an argument, and what a shell completes it to."""
        action = super().add_argument(*flags, **options)
        if isinstance(action.type, arguments.Choice):
            complete_with(action, action.type.names)
        elif action.dest == 'connectors':
            complete_with(action, complete_connectors)
        elif action.metavar in ('FILE', 'PATH'):
            complete_with(action, complete_files)
        return action

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Check a choice; argparse offers no other place for the wording of an unknown one."""
        known = [] if action.choices is None else [str(choice) for choice in action.choices]
        if not known or str(value) in known:
            return
        kind = 'command' if isinstance(action, argparse._SubParsersAction) else str(action.metavar or 'value')
        close = difflib.get_close_matches(str(value), known, n=1)
        hint = f'did you mean {close[0]}?' if close else f'choose one of: {", ".join(known)}'
        self.error(f'unknown {kind} {value!r:.60}; {hint}')

    def error(self, message: str) -> NoReturn:
        """Print the mistake and where help is, and end with the exit code for wrong usage."""
        self.exit(ExitCode.USAGE, f'{self.prog}: {message} (see {self.prog} --help)\n')


class Version(argparse.Action):
    """Prints the versions and ends; they are read only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **{**options, 'default': argparse.SUPPRESS})

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print the versions and end."""
        from evse_manager.cli.version import versions  # noqa: PLC0415 - read only when asked for

        print(f'evse {versions()}', file=sys.stdout)
        parser.exit(ExitCode.OK)


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples as they are and leaves space for long names."""

    def __init__(self, prog: str, **options: Any) -> None:
        options.setdefault('max_help_position', 30)
        super().__init__(prog, **options)


MAX_SITE_CURRENT_A = 100_000.0
"""More than any grid connection carries; above it is a mistake in the unit."""

COMMON = {'connector': None, 'timeout': None, 'json': False, 'show_tokens': False}
"""Defaults of the common options.  They may stand before or after the subcommand, so argparse sets none."""


def common() -> ArgumentParser:
    """Return the options that every subcommand takes, and that may stand before it, too."""
    parser = ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group('common options')
    connector = group.add_argument(
        '-c',
        '--connector',
        type=arguments.namespace,
        metavar='NAMESPACE',
        help='namespace of the connector, such as /evse_1 (default: the only one on the graph)',
    )
    complete_with(connector, complete_connectors)
    group.add_argument(
        '--timeout',
        type=arguments.number(0.1, 3600, 's'),
        metavar='S',
        help=f'how long to look for the connector, and then to wait for its answer (default: {FIND_S:g} s)',
    )
    group.add_argument('--json', action='store_true', help='print JSON, one object per line')
    group.add_argument(
        '--show-tokens',
        action='store_true',
        help='print tokens in full; they are secrets and masked otherwise',
    )
    return parser


def complete_with(action: argparse.Action, completer: Iterable[str] | Callable[..., Iterable[str]]) -> None:
    """Let a shell complete an argument to these, or to what a function returns for its beginning."""
    function = completer if callable(completer) else lambda **_: completer
    action.completer = function  # type: ignore[attr-defined]


def complete_files(prefix: str, **_: Any) -> list[str]:
    """Return the files that begin so, for the completion of a shell."""
    from argcomplete.completers import FilesCompleter  # noqa: PLC0415 - optional

    return list(FilesCompleter()(prefix))


def complete_connectors(prefix: str, **_: Any) -> list[str]:
    """Return the connectors on the graph that begin so, for the completion of a shell."""
    from evse_manager.cli.graph import COMPLETION_S, graph_of_process  # noqa: PLC0415 - parsing does not wait for ROS

    with graph_of_process() as graph:
        return [name for name in graph.discover(COMPLETION_S) if name.startswith(prefix)]


def epilog(examples: tuple[str, ...]) -> str:
    """Return the end of a subcommand's help."""
    return 'examples:\n' + '\n'.join(f'  {example}' for example in examples) if examples else ''


def also(command: Command) -> str:
    """Return all names of a subcommand that has several, for its help."""
    names = ', '.join((command.name, *command.aliases))
    return f' Its names: {names}.' if command.aliases else ''


def add_command(group: Any, command: Command, parent: ArgumentParser) -> None:
    """Add the subcommand of one service; its help and its errors have the name that was typed."""
    summary = f'{command.summary[0].upper()}{command.summary[1:]}.{also(command)}'
    options: dict[str, Any] = {
        'description': f'{summary}\n{command.details}'.rstrip(),
        'epilog': epilog(command.examples),
        'formatter_class': Formatter,
        'parents': [parent],
    }
    parser = group.add_parser(command.name, aliases=list(command.aliases), help=command.summary, **options)
    parsers = [parser]
    for alias in command.aliases:
        twin = CommandParser(prog=f'{parser.prog.rpartition(" ")[0]} {alias}', **options)
        group.choices[alias] = twin
        parsers.append(twin)
    for each in parsers:
        for argument in command.arguments:
            action = each.add_argument(*argument.flags, **argument.options)
            if argument.completions:
                complete_with(action, argument.completions)
        each.set_defaults(run='call', command=command)


def add_view(group: Any, name: str, parent: ArgumentParser, summary: str, *examples: str) -> Any:
    """Add a subcommand that shows something."""
    parser = group.add_parser(
        name,
        help=summary,
        description=f'{summary[0].upper()}{summary[1:]}.',
        epilog=epilog(examples),
        formatter_class=Formatter,
        parents=[parent],
    )
    parser.set_defaults(run=name)
    return parser


def add_views(group: Any) -> None:
    """Add list, status, watch, gui and events."""
    parent = common()
    add_view(group, 'list', parent, 'list the connectors on the graph', 'evse list', 'evse list --json')
    status = add_view(
        group,
        'status',
        parent,
        'show all that is known of connectors, and why they are (not) charging',
        'evse status',
        'evse status /depot/evse_7',
        'evse status --json | jq .reason',
    )
    watch = add_view(
        group,
        'watch',
        parent,
        'watch connectors live, as they come and go (without a terminal: a line for each change)',
        'evse watch',
        'evse watch evse_1 evse_2',
        'evse watch --once',
        'evse watch --json | jq .power_w',
    )
    gui = add_view(
        group,
        'gui',
        parent,
        'show connectors in a window: table, commands, plot, events (needs Qt; also a plug-in of rqt)',
        'evse gui',
        'evse gui --for 60 --save-png depot.png',
    )
    gui.add_argument('--save-png', metavar='FILE', help='save a picture of the window when it ends')
    for parser in (status, watch, gui):
        parser.add_argument(
            'connectors',
            nargs='*',
            type=arguments.namespace,
            metavar='CONNECTOR',
            help='namespaces (default: all on the graph)',
        )
    watch.add_argument('--once', action='store_true', help='print the screen once and leave')
    watch.add_argument('--save-svg', metavar='FILE', help='save a picture of the last screen')
    events = add_view(
        group,
        'events',
        parent,
        'follow the session events in words, beginning with the last ones (100 at most)',
        'evse events',
        'evse events --no-follow',
        'evse events -c /evse_1 --history 0 --json',
    )
    number = arguments.integer
    events.add_argument(
        '--history', type=number(0, 100), default=100, metavar='N', help='how many past events (default: 100)'
    )
    events.add_argument('--no-follow', action='store_true', help='leave after the past events')
    events.add_argument('--count', type=number(1, 10**6), metavar='N', help='leave after so many events')
    for parser in (watch, events, gui):
        parser.add_argument(
            '--for',
            dest='duration',
            type=arguments.number(0.1, 1e7, 's'),
            metavar='S',
            help='leave after so many seconds',
        )


def add_site(group: Any) -> None:
    """Add token and reservations, which talk to the authorization node, and charge."""
    token = add_view(
        group,
        'token',
        common(),
        'present a token, as a reader would, and print what became of it',
        'evse token 04A1B2C3',
        'evse token ROBOT-7 -c /depot/bay_1',
    )
    token.add_argument('token', type=arguments.text_of('token'), metavar='TOKEN', help='the token')
    token.add_argument(
        '--type',
        type=arguments.Choice(AuthorizationType),
        default=AuthorizationType.RFID,
        metavar='TYPE',
        help='how it was presented: ocpp, rfid, autocharge or plug-and-charge (default: rfid)',
    )
    reservations = add_view(
        group,
        'reservations',
        common(),
        'list the reservations of a site, make one, or cancel one',
        'evse reservations',
        'evse reservations --add ROBOT-7 --at bay_1 --for 30',
        'evse reservations --cancel 1',
    )
    reservations.add_argument('--add', default='', metavar='TOKEN', help='reserve for this token')
    reservations.add_argument('--parent', default='', metavar='TOKEN', help="the group's token")
    reservations.add_argument(
        '--at', metavar='CONNECTOR', help='its name at the site (default: any that fits)'
    )
    reservations.add_argument(
        '--for',
        dest='minutes',
        type=arguments.number(0.1, 1e6, 'min'),
        default=15.0,
        metavar='MIN',
        help='how long (default: %(default)g min)',
    )
    reservations.add_argument(
        '--cancel', type=arguments.integer(1, 2**31 - 1), metavar='N', help='cancel this one'
    )
    for parser in (token, reservations, *add_site_power(group)):
        parser.add_argument(
            '--site',
            type=arguments.namespace,
            metavar='NAMESPACE',
            help='namespace of the site, such as /depot (default: the only one on the graph)',
        )
    charge = add_view(
        group,
        'charge',
        common(),
        'charge until a target or a time, and follow it; Ctrl-C stops it in order',
        'evse charge --until 80% --by 06:30',
        'evse charge ROBOT-7 --until 10kWh -c /depot/bay_1',
    )
    charge.add_argument(
        'token',
        nargs='?',
        default='',
        metavar='TOKEN',
        help="the token (default: the connector's default_token)",
    )
    charge.add_argument(
        '--until', type=arguments.charge_target, metavar='TARGET', help='80%%, 10kWh or 500Wh (default: full)'
    )
    charge.add_argument(
        '--by', type=arguments.future_time, metavar='TIME', help='departure: 06:30, 2026-11-28T06:30 or +8h'
    )
    charge.add_argument(
        '--for',
        dest='minutes',
        type=arguments.number(0.1, 1e5, 'min'),
        metavar='MIN',
        help='how long at most',
    )
    charge.add_argument(
        '--priority',
        type=arguments.integer(-(10**6), 10**6),
        default=0,
        metavar='N',
        help='higher is served first',
    )


def add_site_power(group: Any) -> tuple[Any, Any]:
    """Add site and site limit, which talk to the energy manager; return their parsers."""
    site = add_view(
        group,
        'site',
        common(),
        'show how the power of a site is divided: limits, what flows, who waits and why',
        'evse site',
        'evse site --json | jq .nodes',
        'evse site limit grid 40 --for 2h --source operator',
    )
    site.set_defaults(site=None)
    below = site.add_subparsers(title='subcommands', metavar='COMMAND')
    limit = add_view(
        below,
        'limit',
        common(),
        'limit a node of the site: the grid connection, a feeder or a connector',
        'evse site limit row_a 20',
        'evse site limit grid 40 --for 2h --source grid_operator --priority 5',
        'evse site limit grid --none --source grid_operator',
    )
    limit.set_defaults(run='site_limit')
    limit.add_argument(
        'node', type=arguments.text_of('node'), metavar='NODE', help='its name in the site file'
    )
    limit.add_argument(
        'limit_a',
        nargs='?',
        type=arguments.number(0, MAX_SITE_CURRENT_A, 'A'),
        metavar='AMPERES',
        help='highest current per phase',
    )
    limit.add_argument(
        '--power',
        type=arguments.number(0, 3 * 400.0 * MAX_SITE_CURRENT_A, 'W'),
        metavar='W',
        help='highest power of all phases together',
    )
    limit.add_argument(
        '--for',
        dest='for_s',
        type=arguments.duration,
        metavar='TIME',
        help='90s, 30m, 2h, 1d (default: until cleared)',
    )
    limit.add_argument(
        '--source',
        type=arguments.text_of('source'),
        default='operator',
        metavar='NAME',
        help='who sets it; another source cannot replace it (default: %(default)s)',
    )
    limit.add_argument(
        '--priority',
        type=arguments.integer(-(2**31), 2**31 - 1),
        default=0,
        metavar='N',
        help='it takes this priority or a higher one to replace it (default: 0)',
    )
    limit.add_argument('--none', action='store_true', help="clear this source's limit")
    return site, limit


def add_recording(group: Any) -> None:
    """Add record, replay and report."""
    record = add_view(
        group,
        'record',
        common(),
        'record the topics of connectors and of their site to an MCAP file, as they come and go',
        'evse record',
        'evse record -o night.mcap --max-size 100',
        'evse record /depot/bay_1 --for 600',
    )
    record.add_argument(
        'connectors',
        nargs='*',
        type=arguments.namespace,
        metavar='CONNECTOR',
        help='namespaces (default: all on the graph, and those that appear)',
    )
    record.add_argument(
        '-o',
        '--output',
        type=Path,
        metavar='FILE',
        help='the file, which must not exist (default: evse-TIME.mcap in this directory)',
    )
    record.add_argument(
        '--max-size',
        type=arguments.number(0, 1e6, 'MB'),
        default=500.0,
        metavar='MB',
        help='go on in a further file, FILE-2.mcap, at this size; 0 for never (default: %(default)g)',
    )
    record.add_argument(
        '--for',
        dest='duration',
        type=arguments.number(0.1, 1e7, 's'),
        metavar='S',
        help='end after so many seconds (default: with Ctrl-C)',
    )
    report = add_view(
        group,
        'report',
        common(),
        'gather versions, parameters, status, events, black boxes and logs into one file, without secrets',
        'evse report',
        'evse report -c /depot/bay_1 -o problem.tar.gz',
    )
    report.add_argument(
        '-o',
        '--output',
        type=Path,
        metavar='FILE',
        help='the file, which must not exist (default: evse-report-TIME.tar.gz in this directory)',
    )
    report.add_argument(
        '--hours',
        type=arguments.number(0, 1e5, 'h'),
        default=24.0,
        metavar='H',
        help='log files that were written in the last hours (default: %(default)g)',
    )
    replay = add_view(
        group,
        'replay',
        common(),
        'run the manager again with what a black box recorded, and compare every output',
        'evse replay bay_1-20261127T041207Z-RcdDc.mcap',
    )
    replay.add_argument('file', type=Path, metavar='FILE', help='a black box that a manager wrote')
    replay.add_argument('--all', action='store_true', help='show all differences (default: the first 20)')


def add_run(group: Any) -> None:
    """Add ``run``, which starts a node without the tools of ROS 2."""
    summary = "start one of the package's executables, as ros2 run does"
    parser = group.add_parser(
        'run',
        help=summary,
        description=f'{summary[0].upper()}{summary[1:]}.',
        epilog=epilog(
            (
                'evse run evse_manager --ros-args -r __ns:=/evse_1',
                'evse run board_support --ros-args -r __ns:=/evse_1 -p driver:=simulated',
            )
        ),
        formatter_class=Formatter,
    )
    parser.add_argument('executable', metavar='EXECUTABLE', help='evse_manager, board_support, …')
    parser.add_argument(
        'arguments', nargs=argparse.REMAINDER, metavar='ARGUMENT', help='arguments of the executable'
    )
    parser.set_defaults(run='run')


def build_parser() -> ArgumentParser:
    """Return the parser of ``evse``."""
    parser = CommandParser(
        prog='evse',
        description='Watch and command the charging connectors on the ROS 2 graph.',
        epilog=EPILOG,
        formatter_class=Formatter,
        parents=[common()],
    )
    parser.add_argument('--version', action=Version, help='print the version of the package and of ROS 2')
    top = parser.add_subparsers(title='subcommands', metavar='COMMAND')
    parent = common()
    add_views(top)
    add_site(top)
    add_recording(top)
    add_sessions(top, add_view, common)
    for command in COMMANDS:
        add_command(top, command, parent)
    simulation = top.add_parser(
        'sim',
        help='play with the simulated board and EV',
        description='Commands of the simulated board and EV (driver "simulated").',
        epilog=epilog(tuple(command.examples[0] for command in SIMULATION)),
        formatter_class=Formatter,
    )
    below = simulation.add_subparsers(title='subcommands', metavar='COMMAND', required=True)
    for command in SIMULATION:
        add_command(below, command, parent)
    add_run(top)
    return parser


def parse(argv: list[str] | None = None) -> Namespace:
    """
    Parse a command line; wrong usage ends the process with exit code 2, as argparse does.

    Without a subcommand the help is printed.
    """
    parser = build_parser()
    complete(parser)
    given = parser.parse_args(argv)
    for name, default in COMMON.items():
        vars(given).setdefault(name, default)
    if 'run' not in given:
        parser.print_help()
        parser.exit(ExitCode.OK)
    if getattr(given, 'all', False) or getattr(given, 'after_session', False):
        given.run = 'everywhere'
    if 'connectors' in given and given.connector is not None:
        given.connectors = [given.connector, *given.connectors]
    return given


def complete(parser: ArgumentParser) -> None:
    """Answer a shell that asks for completions, where argcomplete is installed."""
    if '_ARGCOMPLETE' not in os.environ:
        return
    try:
        from argcomplete import autocomplete  # noqa: PLC0415 - optional
        from argcomplete.completers import SuppressCompleter  # noqa: PLC0415
    except ImportError:
        return
    autocomplete(parser, default_completer=SuppressCompleter())  # files complete only what is a file
