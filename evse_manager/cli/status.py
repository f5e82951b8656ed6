"""``evse list`` and ``evse status``: the connectors on the graph now."""

import sys
import time
from argparse import Namespace

from evse_manager.cli.errors import ExitCode, NotFoundError
from evse_manager.cli.graph import Graph, no_connector_message
from evse_manager.cli.json_output import emit, record
from evse_manager.cli.monitor import ConnectorView
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.screen import make_console, print_lines
from evse_manager.cli.views import card, heading, rows
from evse_manager.interface.types import EvseStatus


def run_list(given: Namespace, graph: Graph) -> ExitCode:
    """Print a line for each connector."""
    statuses = read(graph, given.timeout or FIND_S, [given.connector] if given.connector else [])
    if given.json:
        for name, status in statuses.items():
            emit({'connector': name, **summary(status)})
        return ExitCode.OK
    bays, now = as_bays(statuses)
    console = make_console()
    print_lines(console, [heading(bays, console.width), *rows(bays, console.width, now)])
    if sys.stdout.isatty() and not given.connector:
        print('(found so far; one that has just started may take 3 s to appear)', file=sys.stderr)
    return ExitCode.OK


def run_status(given: Namespace, graph: Graph) -> ExitCode:
    """Print a card for each connector."""
    statuses = read(graph, given.timeout or FIND_S, given.connectors)
    if given.json:
        for name, status in statuses.items():
            emit({'connector': name, **record(status)} if status else {'connector': name})
    else:
        bays, now = as_bays(statuses)
        console = make_console()
        for position, view in enumerate(bays):
            print_lines(console, [*([''] if position else []), *card(view, console.width, now)])
    silent = [name for name, status in statuses.items() if status is None]
    if silent:
        print(f'evse: no status from {", ".join(silent)} in time', file=sys.stderr)
    return ExitCode.NOT_FOUND if silent else ExitCode.OK


def summary(status: EvseStatus | None) -> dict[str, object]:
    """Return the few fields of ``evse list --json``."""
    wanted = ('state', 'reason', 'reason_text', 'signalled_current_a', 'power_w', 'session_energy_wh')
    return {name: record(getattr(status, name)) if status else None for name in wanted}


def as_bays(statuses: dict[str, EvseStatus | None]) -> tuple[list[ConnectorView], float]:
    """Return connectors to be shown."""
    now = time.monotonic()
    return [
        ConnectorView(name, status, None if status is None else now) for name, status in statuses.items()
    ], now


def read(graph: Graph, limit_s: float, wanted: list[str]) -> dict[str, EvseStatus | None]:
    """Return the status of the wanted connectors (none: of all); None where none came in time."""
    statuses: dict[str, EvseStatus | None] = {}
    for name in wanted:
        graph.require(name, limit_s)
    found = list(dict.fromkeys(wanted)) or graph.discover(limit_s)
    if not found:
        raise NotFoundError(no_connector_message(limit_s))
    for name in found:
        statuses[name] = None
        listen(graph, name, statuses)
    graph.wait_until(lambda: all(statuses.values()), limit_s)
    return statuses


def listen(graph: Graph, name: str, statuses: dict[str, EvseStatus | None]) -> None:
    """Put a connector's newest status into the dictionary as it comes."""

    def heard(status: EvseStatus) -> None:
        statuses[name] = status

    graph.listen(name, 'status', EvseStatus, heard)
