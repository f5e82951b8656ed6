"""
The demonstration (``evse_demo``): one simulated connector goes through a whole session, in real time.

It starts the real nodes, plays operator and EV through their services, and returns 0 only when everything
that it prints has really happened.
"""

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack

from evse_manager.cli.arguments import integer, namespace
from evse_manager.cli.errors import CliError, ExitCode, UsageError
from evse_manager.cli.parser import CommandParser, Formatter
from evse_manager.cli.screen import make_console, recorder, save_svg
from evse_manager.demo.processes import Nodes, free_domain, surroundings
from evse_manager.demo.screen import WIDTH, DemoScreen

LOOK_S = 4.5
"""
How long a domain that was chosen by the user is searched for a connector of the same name: Fast DDS repeats a
lost announcement after 3 s.
"""

DETAILS = """\
Starts a manager and a simulated board, plugs an electric car in, charges it,
changes the limit, pauses and resumes from both sides, lets an error come and go,
stops, and unplugs: about a minute, nothing to click. It runs on a ROS domain of
its own, which it prints, so that evse watch can look on from a second terminal."""

EPILOG = """\
examples:
  evse_demo
  evse_demo --save-svg demo.svg

exit codes:
  0 all of it happened   1 a step failed (it says which, and what was seen)
  2 wrong usage          130 ended by Ctrl-C
"""


def parse(argv: Sequence[str] | None) -> Namespace:
    """Parse the command line."""
    parser = CommandParser(prog='evse_demo', description=DETAILS, epilog=EPILOG, formatter_class=Formatter)
    parser.add_argument(
        '--driver', default='simulated', metavar='NAME', help='driver of the board (default: simulated)'
    )
    parser.add_argument(
        '--domain-id',
        type=integer(0, 101),
        metavar='N',
        help='ROS domain to run on (default: one that is not in use)',
    )
    parser.add_argument(
        '--namespace',
        type=namespace,
        default='/evse_1',
        metavar='NAME',
        help='namespace of the connector (default: /evse_1)',
    )
    parser.add_argument('--save-svg', metavar='FILE', help='save a picture of the demonstration')
    return parser.parse_args(None if argv is None else list(argv))


def hint(screen: DemoScreen, domain: int) -> None:
    """Tell how to look on from a second terminal."""
    screen.say('To look on from a second terminal, type there:', 'dim')
    around = surroundings()
    if around:
        screen.say(f'  {around}', 'cyan')
    screen.say(f'  export ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST', 'cyan')
    screen.say('  evse watch', 'cyan')
    screen.say('')


def interrupt(number: int, frame: object) -> None:
    """Treat the wish to end, and a closed terminal, like Ctrl-C."""
    raise KeyboardInterrupt


def refuse_company(given: Namespace, domain: int) -> None:
    """Raise UsageError where the namespace is in use: a real charger must not be played with."""
    from evse_manager.cli.graph import Graph  # noqa: PLC0415

    with Graph() as graph:
        if given.namespace in graph.discover(LOOK_S):
            raise UsageError(
                f'there is a connector {given.namespace} on ROS domain {domain} already; '
                'end it, or choose another --namespace or --domain-id'
            )


def perform(given: Namespace, domain: int, screen: DemoScreen) -> None:
    """Start the nodes, run the scenario, end the nodes; raises what goes wrong."""
    # Not before the domain is chosen and the help printed: this is where ROS comes in.
    from evse_manager.cli.graph import Graph  # noqa: PLC0415
    from evse_manager.demo.scenario import Scenario, StepFailedError  # noqa: PLC0415

    if given.domain_id is not None:
        refuse_company(given, domain)
    # The graph is left last: where that hangs, the process ends, and the nodes must be gone before.
    with Graph() as graph, Nodes(given.namespace, given.driver) as nodes:
        try:
            nodes.start()
            scenario = Scenario(graph, nodes, given.namespace, screen, given.driver)
            scenario.run()
            codes = nodes.end()
            if any(codes.values()):
                raise StepFailedError(f'the nodes did not end in order: exit codes {codes}')
            scenario.conclude()
        except CliError:
            screen.close()
            for text in nodes.last_words():
                screen.say(text, 'dim')
            raise
        finally:
            # Ending the nodes takes a few seconds at most and must not be cut short by another Ctrl-C.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration and return its exit code."""
    given = parse(argv)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    domain = free_domain() if given.domain_id is None else given.domain_id
    os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    picture = recorder(WIDTH) if given.save_svg else None
    try:
        with ExitStack() as stack:
            screen = DemoScreen(make_console(), picture)
            screen.say('evse_manager: one charging session, from plug to unplug', 'bold')
            hint(screen, domain)
            stack.enter_context(screen)
            perform(given, domain, screen)
        if picture is not None:
            save_svg(picture, given.save_svg, 'make demo')
    except CliError as error:
        print(f'evse_demo: {error}', file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print('evse_demo: ended by a signal; its nodes are gone', file=sys.stderr)
        return ExitCode.INTERRUPTED
    screen.say(f'All of it happened, in {time.monotonic() - screen.started:.0f} s.', 'bold green')
    screen.say('Next: plug a car in by hand, as docs/first_steps.md shows.', 'dim')
    return ExitCode.OK


if __name__ == '__main__':
    sys.exit(main())
