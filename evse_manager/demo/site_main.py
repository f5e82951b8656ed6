"""
The demonstration of a depot (``depot_demo``): simulated connectors share a grid connection that is too small.

It runs the real ``depot`` with a site file, plays the cars, a fault and the grid operator through services,
and returns 0 only when all of it has happened and its monitor saw no limit exceeded.
"""

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from evse_manager.cli.arguments import integer
from evse_manager.cli.errors import CliError, ExitCode
from evse_manager.cli.parser import CommandParser, Formatter
from evse_manager.cli.screen import make_console
from evse_manager.demo.processes import Nodes, free_domain, surroundings
from evse_manager.demo.site_screen import SiteScreen
from evse_manager.depot.site_file import load_site

NAMESPACE = '/depot'
END_S = 12.0
"""A depot ends within 8 s by itself."""
DETAILS = """\
Starts a depot of simulated connectors on a grid connection that is too small for
all of them. Cars come and go, a fault stops one of them, the grid operator lowers
the limit; a monitor adds up what flows. About 80 seconds, nothing to click."""

EPILOG = """\
examples:
  depot_demo
  depot_demo --connectors 100

exit codes:
  0 all of it happened, and no limit was exceeded
  1 a step failed (it says which, and what was seen)
  2 wrong usage   130 ended by Ctrl-C
"""


def parse(argv: Sequence[str] | None) -> Namespace:
    """Parse the command line."""
    parser = CommandParser(prog='depot_demo', description=DETAILS, epilog=EPILOG, formatter_class=Formatter)
    parser.add_argument(
        '--connectors', type=integer(2, 300), default=4, metavar='N', help='how many (default: 4)'
    )
    parser.add_argument(
        '--domain-id',
        type=integer(0, 101),
        metavar='N',
        help='ROS domain to run on (default: one that no other process uses)',
    )
    return parser.parse_args(None if argv is None else list(argv))


def site_text(connectors: int, share_a: float) -> str:
    """Return the site file of the demonstration: every car may charge, together they want too much."""
    names = ', '.join(f'evse_{number}' for number in range(1, connectors + 1))
    lines = '\n'.join(f'  evse_{number}: {{}}' for number in range(1, connectors + 1))
    return (
        f'site: {{name: demo, namespace: {NAMESPACE}}}\n'
        f'grid: {{limit_a: {share_a * connectors:g}, children: [{names}]}}\n'
        'defaults: {parameters: {session_store: "", disable_authentication: true}}\n'
        f'connectors:\n{lines}\n'
    )


def hint(screen: SiteScreen, domain: int) -> None:
    """Say how to look on from a second terminal."""
    around = surroundings()
    lines = [f'  {around}'] if around else []
    lines += [
        f'  export ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST',
        '  evse watch',
    ]
    screen.say('To look on from a second terminal, type there:', 'dim')
    for line in lines:
        screen.say(line, 'cyan')


def perform(given: Namespace, screen: SiteScreen) -> None:
    """Start the depot, play the scenario, end the depot; raises what goes wrong."""
    # Not before the domain is chosen and the help printed: this is where ROS comes in.
    from evse_manager.cli.graph import Graph  # noqa: PLC0415
    from evse_manager.demo.scenario import StepFailedError  # noqa: PLC0415
    from evse_manager.demo.site_scenario import SHARE_A, SiteScenario  # noqa: PLC0415

    # The graph is left last: where that hangs, the process ends, and the depot must be gone before.
    with Graph() as graph, Nodes(NAMESPACE, 'simulated') as nodes:
        try:
            file = Path(nodes.folder.name) / 'site.yaml'
            file.write_text(site_text(given.connectors, SHARE_A))
            nodes.spawn('depot', [str(file)])
            scenario = SiteScenario(graph, nodes, load_site(file), screen)
            scenario.play()
            codes = nodes.end(END_S)
            if any(codes.values()):
                raise StepFailedError(f'the depot did not end in order: exit codes {codes}')
        except CliError:
            for text in nodes.last_words():
                screen.say(text, 'dim')
            raise
        finally:
            # Ending takes a few seconds at most and must not be cut short by another Ctrl-C.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
    monitor = scenario.monitor
    screen.say(
        f'{given.connectors} connectors, {scenario.energy_wh() / 1000:.2f} kWh; {monitor.messages} messages '
        f'checked, at most {monitor.highest_a:.1f} A on a phase, no limit exceeded.'
    )


def interrupt(number: int, frame: object) -> None:
    """Treat the wish to end, and a closed terminal, like Ctrl-C."""
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration and return its exit code."""
    given = parse(argv)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    domain = free_domain() if given.domain_id is None else given.domain_id
    os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    try:
        with ExitStack() as stack:
            screen = SiteScreen(make_console())
            screen.say(f'evse_manager: a depot of {given.connectors} connectors', 'bold')
            hint(screen, domain)
            stack.enter_context(screen)
            perform(given, screen)
    except CliError as error:
        print(f'depot_demo: {error}', file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print('depot_demo: ended by a signal; its nodes are gone', file=sys.stderr)
        return ExitCode.INTERRUPTED
    screen.say(f'All of it happened, in {time.monotonic() - screen.started:.0f} s.', 'bold green')
    screen.say('Next: plug a car in by hand, as docs/first_steps.md shows.', 'dim')
    return ExitCode.OK


if __name__ == '__main__':
    sys.exit(main())
