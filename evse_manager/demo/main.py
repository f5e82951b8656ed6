"""
The demonstration (``evse_demo``): one simulated connector goes through a whole session, in real time.

It starts the real nodes, plays operator and EV through their services, and returns 0 only when everything
that it prints has really happened.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial

from evse_manager.cli.arguments import namespace
from evse_manager.cli.errors import UsageError
from evse_manager.cli.parser import CommandParser, Formatter
from evse_manager.cli.screen import make_console, recorder, save_svg
from evse_manager.demo.entry_point import add_domain, nodes_of, run
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
    add_domain(parser)
    parser.add_argument(
        '--namespace',
        type=namespace,
        default='/evse_1',
        metavar='NAME',
        help='namespace of the connector (default: /evse_1)',
    )
    parser.add_argument('--save-svg', metavar='FILE', help='save a picture of the demonstration')
    return parser.parse_args(None if argv is None else list(argv))


def refuse_company(given: Namespace, domain: int) -> None:
    """Raise UsageError where the namespace is in use: a real charger must not be played with."""
    from evse_manager.cli.graph import graph_of_process  # noqa: PLC0415

    with graph_of_process() as graph:
        if given.namespace in graph.discover(LOOK_S):
            raise UsageError(
                f'there is a connector {given.namespace} on ROS domain {domain} already; '
                'end it, or choose another --namespace or --domain-id'
            )


def perform(given: Namespace, screen: DemoScreen, domain: int) -> None:
    """Start the nodes, run the scenario, end the nodes; raises what goes wrong."""
    from evse_manager.demo.scenario import Scenario, StepFailedError  # noqa: PLC0415

    screen.say('')
    with screen:
        if given.domain_id is not None:
            refuse_company(given, domain)
        with nodes_of(screen, given.namespace, given.driver) as (graph, nodes):
            nodes.start()
            scenario = Scenario(graph, nodes, given.namespace, screen, given.driver)
            scenario.run()
            codes = nodes.end()
            if any(codes.values()):
                raise StepFailedError(f'the nodes did not end in order: exit codes {codes}')
            scenario.conclude()
    if screen.picture is not None:
        save_svg(screen.picture, given.save_svg, 'make demo')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration and return its exit code."""
    given = parse(argv)
    screen = DemoScreen(make_console(), recorder(WIDTH) if given.save_svg else None)
    title = 'evse_manager: one charging session, from plug to unplug'
    return run('evse_demo', title, screen, given.domain_id, partial(perform, given, screen))


if __name__ == '__main__':
    sys.exit(main())
