"""What ``evse`` understands: the parser, made from the table of commands."""

import argparse
from argparse import ArgumentParser, Namespace
from typing import Any, NoReturn

from evse_manager.cli import arguments
from evse_manager.cli.commands import COMMANDS, SIMULATION, Command
from evse_manager.cli.errors import ExitCode

FIND_S = 5.0
"""How long a connector is looked for, unless ``--timeout`` says otherwise."""

EPILOG = """\
examples:
  evse list                          the connectors on the graph
  evse watch                         all of them, live
  evse authorize 04A1B2C3            accept a token
  evse limit 16 -c /depot/evse_7     at most 16 A on one of several connectors
  evse sim plug-in --soc 40          plug a simulated EV in
  evse status --json                 everything, for a program

exit codes:
  0 done   1 refused by the charger   2 wrong usage   3 no such connector, or no answer in time
"""


class Parser(ArgumentParser):
    """Answers wrong usage in one sentence instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and end with the exit code for wrong usage."""
        self.exit(ExitCode.USAGE, f'{self.prog}: {message} (see {self.prog} --help)\n')


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples as they are and leaves room for long names."""

    def __init__(self, prog: str, **options: Any) -> None:
        options.setdefault('max_help_position', 30)
        super().__init__(prog, **options)


def common(several: bool = False) -> ArgumentParser:
    """Return the options of every subcommand."""
    parser = ArgumentParser(add_help=False)
    group = parser.add_argument_group('common options')
    if not several:
        group.add_argument(
            '-c',
            '--connector',
            type=arguments.namespace,
            metavar='NAMESPACE',
            help='namespace of the connector, such as /evse_1 (default: the only one on the graph)',
        )
    group.add_argument(
        '--timeout',
        type=arguments.number(0.1, 3600, 's'),
        metavar='S',
        help=f'how long to look for the connector, and then to wait for its answer (default: {FIND_S:g} s)',
    )
    group.add_argument('--json', action='store_true', help='print JSON, one object per line')
    return parser


def epilog(examples: tuple[str, ...]) -> str:
    """Return the end of a subcommand's help."""
    return 'examples:\n' + '\n'.join(f'  {example}' for example in examples) if examples else ''


def add_command(group: Any, command: Command, parent: ArgumentParser) -> None:
    """Add the subcommand of one service."""
    parser = group.add_parser(
        command.name,
        aliases=list(command.aliases),
        help=command.summary,
        description=f'{command.summary[0].upper()}{command.summary[1:]}.\n{command.details}'.rstrip(),
        epilog=epilog(command.examples),
        formatter_class=Formatter,
        parents=[parent],
    )
    for each in command.arguments:
        parser.add_argument(*each.flags, **each.options)
    parser.set_defaults(run='call', command=command)


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
    """Add list, status, watch and events."""
    several = common(several=True)
    add_view(group, 'list', several, 'list the connectors on the graph', 'evse list', 'evse list --json')
    status = add_view(
        group,
        'status',
        several,
        'show all that is known of connectors, and why they are (not) charging',
        'evse status',
        'evse status /depot/evse_7',
        'evse status --json | jq .reason',
    )
    watch = add_view(
        group,
        'watch',
        several,
        'watch connectors live, as they come and go (without a terminal: a line for each change)',
        'evse watch',
        'evse watch evse_1 evse_2',
        'evse watch --once',
        'evse watch --json | jq .power_w',
    )
    for parser in (status, watch):
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
        common(),
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
    for parser in (watch, events):
        parser.add_argument(
            '--for',
            dest='duration',
            type=arguments.number(0.1, 1e7, 's'),
            metavar='S',
            help='leave after so many seconds',
        )


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
    parser = Parser(
        prog='evse',
        description='Watch and command the charging connectors on the ROS 2 graph.',
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    top = parser.add_subparsers(title='subcommands', metavar='COMMAND', required=True)
    parent = common()
    add_views(top)
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
    """Parse a command line; wrong usage ends the process with exit code 2, as argparse does."""
    return build_parser().parse_args(argv)
