"""The entry point of a demonstration: its ROS domain, its signals, the end of its nodes, its exit code."""

import os
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evse_manager.cli.arguments import integer
from evse_manager.cli.errors import CliError, ExitCode
from evse_manager.demo.live_screen import LiveScreen
from evse_manager.demo.processes import Nodes, free_domain, surroundings

if TYPE_CHECKING:
    from evse_manager.cli.graph import Graph


def add_domain(parser: ArgumentParser) -> None:
    """Add the option for the ROS domain."""
    parser.add_argument(
        '--domain-id',
        type=integer(0, 101),
        metavar='N',
        help='ROS domain to run on (default: one that is not in use)',
    )


def interrupt(number: int, frame: object) -> None:
    """Treat the wish to end, and a closed terminal, like Ctrl-C."""
    raise KeyboardInterrupt


def hint(screen: LiveScreen, domain: int) -> None:
    """Print how to look on from a second terminal."""
    screen.say('To look on from a second terminal, type there:', 'dim')
    around = surroundings()
    if around:
        screen.say(f'  {around}', 'cyan')
    screen.say(f'  export ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST', 'cyan')
    screen.say('  evse watch', 'cyan')


@contextmanager
def nodes_of(screen: LiveScreen, namespace: str, driver: str) -> 'Iterator[tuple[Graph, Nodes]]':
    """Give the graph and the nodes of a demonstration; print the end of their logs when it fails."""
    # Not before the domain is chosen and the help printed: this is where ROS comes in.
    from evse_manager.cli.graph import graph_of_process  # noqa: PLC0415

    # The graph is left last: where that hangs, the process ends, and the nodes must be gone before.
    with graph_of_process() as graph, Nodes(namespace, driver) as nodes:
        try:
            yield graph, nodes
        except CliError:
            screen.close()
            for text in nodes.last_words():
                screen.say(text, 'dim')
            raise
        finally:
            # Ending takes a few seconds at most and must not be cut short by another Ctrl-C.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)


def run(
    name: str, title: str, screen: LiveScreen, domain_id: int | None, perform: Callable[[int], None]
) -> int:
    """Run a demonstration on a ROS domain, None for one that is not in use; return its exit code."""
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    domain = free_domain() if domain_id is None else domain_id
    os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    try:
        screen.say(title, 'bold')
        hint(screen, domain)
        perform(domain)
    except CliError as error:
        print(f'{name}: {error}', file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print(f'{name}: ended by a signal; its nodes are gone', file=sys.stderr)
        return ExitCode.INTERRUPTED
    screen.say(f'All of it happened, in {time.monotonic() - screen.started:.0f} s.', 'bold green')
    screen.say('Next: plug a car in by hand, as docs/first_steps.md shows.', 'dim')
    return ExitCode.OK
