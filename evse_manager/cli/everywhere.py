"""
One command for many connectors at once (``--all``), and after the session of each (``--after-session``).

Every connector is called whatever its status says, because a status is old when it arrives.  A refusal counts
as nothing to do where the status shows nothing that the command could act on.
"""

import math
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from evse_manager.cli.calls import SLOW, PendingCall
from evse_manager.cli.commands import Command
from evse_manager.cli.errors import CliError, ExitCode, NotFoundError
from evse_manager.cli.graph import Graph, ServiceReply, no_connector_message
from evse_manager.cli.json_output import emit
from evse_manager.cli.monitor import natural
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.status import listen
from evse_manager.cli.watcher import SITE
from evse_manager.interface.text import printable
from evse_manager.interface.types import EvseStatus, SiteStatus

IDLE: dict[str, Callable[[EvseStatus], bool]] = {
    'pause_charging': lambda status: not status.transaction_active,
    'resume_charging': lambda status: not status.paused_by_user,
    'stop_transaction': lambda status: not status.transaction_active,
}
"""Whether a command has nothing to act on at a connector; the others always have."""

REPEAT_S = 3.5
"""Fast DDS repeats a missed announcement after 3 s; waited for where no energy manager names all."""

STATUS_S = 1.0
"""How long the first status of a connector is waited for, once its answer is there."""


@dataclass
class CommandTarget:
    """One connector of the many, and how far it is."""

    name: str
    call: PendingCall | None = None
    printed: bool = False


def run_everywhere(given: Namespace, graph: Graph) -> ExitCode:
    """Call the service at every connector, print who refused and a summary."""
    find_s = given.timeout or FIND_S
    names = chosen(given, graph, find_s)
    statuses: dict[str, EvseStatus | None] = dict.fromkeys(names)
    for name in names:
        listen(graph, name, statuses)
    after_session = getattr(given, 'after_session', False)
    if after_session:
        graph.wait_until(lambda: all(statuses.values()), find_s)
    run = Run(given, graph, statuses, after_session=after_session)
    graph.wait_until(run.finished, math.inf)
    graph.wait_until(lambda: all(statuses.values()), STATUS_S)
    return run.report()


def chosen(given: Namespace, graph: Graph, limit_s: float) -> list[str]:
    """Return the connectors that are meant: with ``--all`` those at or below the namespace that is named."""
    if not given.all:
        name = graph.choose(given.connector, limit_s)
        graph.require(name, limit_s)
        return [name]
    above = given.connector
    found = set(graph.discover(limit_s))
    expected = members(graph) if found else set()

    def complete() -> bool:
        now = set(graph.connectors())
        known = bool(expected) and expected >= now
        return expected <= now and (known or time.monotonic() - graph.began >= REPEAT_S)

    if found:
        graph.wait_until(complete, limit_s, 'all connectors')
    found |= expected | set(graph.connectors())
    names = [name for name in found if above is None or name == above or name.startswith(f'{above}/')]
    if not names:
        raise NotFoundError(f'no connector below {above}' if found else no_connector_message(limit_s))
    return sorted(names, key=natural)


def members(graph: Graph) -> set[str]:
    """Return the connectors that the energy managers on the graph name: none of them may be missed."""
    sites: dict[str, SiteStatus] = {}
    paths = graph.publishers_of(SITE)
    for path in paths:
        namespace = path.removesuffix(f'/{SITE}') or '/'
        graph.listen(namespace, SITE, SiteStatus, partial(sites.__setitem__, namespace))
    graph.wait_until(lambda: len(sites) == len(paths), STATUS_S)
    return {each.uuid for status in sites.values() for each in status.connectors if each.uuid}


class Run:
    """The calls of one command at many connectors."""

    def __init__(
        self, given: Namespace, graph: Graph, statuses: dict[str, EvseStatus | None], *, after_session: bool
    ) -> None:
        self._given = given
        self._graph = graph
        self._statuses = statuses
        self._after_session = after_session
        self._command: Command = given.command
        self._targets = [CommandTarget(name) for name in statuses]

    def finished(self) -> bool:
        """Begin what may begin, and return whether every connector has answered or failed to."""
        over = [self._over(target) for target in self._targets]
        return all(over)

    def _over(self, target: CommandTarget) -> bool:
        if target.call is None:
            if not self._may_begin(target):
                return False
            target.call = self._call(target.name)
        return target.call.poll()

    def _may_begin(self, target: CommandTarget) -> bool:
        status = self._statuses[target.name]
        if not self._after_session or (status is not None and not status.session_uuid):
            return True
        if not target.printed and not self._given.json:
            target.printed = True
            print(f'{target.name}: waiting for the end of its session', flush=True)
        return False

    def _call(self, name: str) -> PendingCall:
        find_s = self._given.timeout or FIND_S
        service = self._command.service
        answer_s = self._given.timeout or SLOW.get(service, FIND_S)
        fields = self._command.request(self._given)
        return PendingCall(self._graph, name, service, fields, find_s=find_s, answer_s=answer_s)

    def report(self) -> ExitCode:
        """Print a line for each connector that did not accept, and the sums; return the exit code."""
        accepted = idle = refused = silent = 0
        for target in self._targets:
            assert target.call is not None
            outcome = target.call.outcome
            assert outcome is not None
            success = isinstance(outcome, ServiceReply) and outcome.success
            message = str(outcome) if isinstance(outcome, CliError) else outcome.message
            if self._given.json:
                emit(
                    {
                        'connector': target.name,
                        'service': target.call.service,
                        'success': success,
                        'message': message,
                    }
                )
            if success:
                accepted += 1
                continue
            if isinstance(outcome, CliError):
                silent += 1
            elif self._nothing_to_do(target.name):
                idle += 1
                continue
            else:
                refused += 1
            text = message if isinstance(outcome, CliError) else f'{target.name}: {message}'
            print(printable(f'evse: {text}'), file=sys.stderr)
        if not self._given.json:
            counts = ((refused, 'refused'), (silent, 'did not answer'), (idle, 'had nothing to do'))
            parts = [f'{accepted} of {len(self._targets)} accepted']
            parts += [f'{count} {words}' for count, words in counts if count]
            print(f'{self._command.name}: {", ".join(parts)}')
        if silent:
            return ExitCode.NOT_FOUND
        return ExitCode.REFUSED if refused else ExitCode.OK

    def _nothing_to_do(self, name: str) -> bool:
        status, idle = self._statuses[name], IDLE.get(self._command.service)
        return status is not None and idle is not None and idle(status)
