"""
The demonstration of a depot (``depot_demo``): simulated connectors share a grid connection that is too small.

It runs the real ``depot`` with a site file, plays the cars, a fault and the grid operator through services,
and returns 0 only when all of it has happened and its monitor saw no limit exceeded.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from evse_manager.cli.arguments import integer
from evse_manager.cli.parser import CommandParser, Formatter
from evse_manager.cli.screen import make_console
from evse_manager.demo.entry_point import add_domain, nodes_of, run
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
    add_domain(parser)
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


def perform(connectors: int, screen: SiteScreen, _domain: int) -> None:
    """Start the depot, play the scenario, end the depot; raises what goes wrong."""
    from evse_manager.demo.scenario import StepFailedError  # noqa: PLC0415
    from evse_manager.demo.site_scenario import SHARE_A, SiteScenario  # noqa: PLC0415

    with screen, nodes_of(screen, NAMESPACE, 'simulated') as (graph, nodes):
        file = Path(nodes.folder.name) / 'site.yaml'
        file.write_text(site_text(connectors, SHARE_A))
        nodes.spawn('depot', [str(file)])
        scenario = SiteScenario(graph, nodes, load_site(file), screen)
        scenario.play()
        codes = nodes.end(END_S)
        if any(codes.values()):
            raise StepFailedError(f'the depot did not end in order: exit codes {codes}')
    monitor = scenario.monitor
    screen.say(
        f'{connectors} connectors, {scenario.energy_wh() / 1000:.2f} kWh; {monitor.messages} messages '
        f'checked, at most {monitor.highest_a:.1f} A on a phase, no limit exceeded.'
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration and return its exit code."""
    given = parse(argv)
    screen = SiteScreen(make_console())
    title = f'evse_manager: a depot of {given.connectors} connectors'
    return run('depot_demo', title, screen, given.domain_id, partial(perform, given.connectors, screen))


if __name__ == '__main__':
    sys.exit(main())
