"""``evse events``: the session events of a connector, or of all, in words."""

import time
from argparse import Namespace
from contextlib import suppress

from evse_manager.cli import formatting
from evse_manager.cli.errors import ExitCode, NotFoundError
from evse_manager.cli.graph import SETTLE_S, Graph, no_connector_message
from evse_manager.cli.json_output import emit, record
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.screen import make_console, print_lines
from evse_manager.cli.views import event_line, name_width
from evse_manager.cli.watch import REDRAW_S
from evse_manager.cli.watcher import Watcher
from evse_manager.interface.types import SessionEvent


def run_events(given: Namespace, graph: Graph) -> ExitCode:
    """Print past events, then those that come."""
    limit_s = given.timeout or FIND_S
    with suppress(KeyboardInterrupt):
        watcher = Watcher(graph, [given.connector] if given.connector else [], show_tokens=given.show_tokens)
        if given.connector:
            graph.require(given.connector, limit_s)
        elif not graph.discover(limit_s):
            raise NotFoundError(no_connector_message(limit_s))
        Follower(watcher, given).run(limit_s)
    return ExitCode.OK


class Follower:
    """Prints the events that a watcher receives: the history in order of time, then each as it comes."""

    def __init__(self, watcher: Watcher, given: Namespace) -> None:
        self.watcher = watcher
        self.as_json: bool = given.json
        self.history: int = given.history
        self.follow: bool = not given.no_follow
        self.left: int | None = given.count
        self.duration: float | None = given.duration
        self.console = make_console()
        self.pending: list[tuple[str, SessionEvent]] = []
        self.heard_at = time.monotonic()
        watcher.on_event = self.heard

    def heard(self, name: str, event: SessionEvent) -> None:
        """Keep an event until it is printed, and note its time: a pause is the end of the history."""
        self.pending.append((name, event))
        self.heard_at = time.monotonic()

    def run(self, limit_s: float) -> None:
        """Print the history and, by default, follow."""
        started = time.monotonic()
        self.watcher.look()
        self.heard_at = time.monotonic()
        self.watcher.graph.wait_until(lambda: time.monotonic() - self.heard_at >= SETTLE_S, limit_s)
        self.pending.sort(key=lambda pair: pair[1].stamp or 0)
        del self.pending[: max(0, len(self.pending) - self.history)]
        self.print_pending()
        while self.follow and self.left != 0:
            if self.duration is not None and time.monotonic() - started >= self.duration:
                return
            self.watcher.run_for(REDRAW_S)
            self.print_pending()

    def print_pending(self) -> None:
        """Print what came since the last call, oldest first."""
        self.pending.sort(key=lambda pair: pair[1].stamp or 0)
        for name, event in self.pending[: self.left]:
            if self.as_json:
                emit({'connector': name, **record(event), 'text': formatting.event_sentence(event)})
            else:
                bays = self.watcher.monitor.in_order()
                named = name_width(bays, self.console.width) if len(bays) > 1 else 0
                print_lines(self.console, [event_line(name, event, self.console.width, named)])
        if self.left is not None:
            self.left = max(0, self.left - len(self.pending))
        self.pending.clear()
        self.console.file.flush()
