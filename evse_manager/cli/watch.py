"""``evse watch``: every connector on the graph at a glance, live."""

import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from evse_manager.cli import formatting
from evse_manager.cli.errors import ExitCode, NotFoundError
from evse_manager.cli.graph import Graph, no_connector_message
from evse_manager.cli.json_output import emit, record
from evse_manager.cli.monitor import Monitor, concealed
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.screen import Keys, make_console, print_lines, recorder, save_svg
from evse_manager.cli.views import Screen, event_line, name_width, state_word
from evse_manager.interface.types import EvseStatus, SessionEvent

REDRAW_S = 0.25
LOOK_S = 0.5
"""How often the graph is searched for connectors that came or went."""


class Watcher:
    """Listens to every connector on the graph, or to the wanted ones, and keeps a monitor of them."""

    def __init__(self, graph: Graph, wanted: list[str], *, show_tokens: bool = False) -> None:
        self.graph = graph
        self.show_tokens = show_tokens
        self.wanted = wanted
        self.monitor = Monitor()
        self.on_status: Callable[[str, EvseStatus], None] = lambda name, status: None
        self.on_event: Callable[[str, SessionEvent], None] = lambda name, event: None
        self.next_look = 0.0
        self.listened: set[str] = set()

    def look(self) -> None:
        """Find connectors that came or went, and listen to the new ones."""
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + LOOK_S
        present = [name for name in self.graph.connectors() if not self.wanted or name in self.wanted]
        self.monitor.offered(present)
        for name in present:
            if name not in self.listened:
                self.listened.add(name)
                self.listen(name)

    def listen(self, name: str) -> None:
        """Listen to one connector; the subscriptions outlive its node, which may come back."""

        def status(value: EvseStatus) -> None:
            self.monitor.status(name, value, time.monotonic())
            self.on_status(name, value)

        def event(value: SessionEvent) -> None:
            if not self.show_tokens:
                value = concealed(value)
            if self.monitor.event(name, value):
                self.on_event(name, value)

        def garbled(trouble: str) -> None:
            self.monitor.garbled(name, trouble, time.monotonic())

        self.graph.listen(name, 'status', EvseStatus, status, garbled)
        self.graph.listen(name, 'session_event', SessionEvent, event, garbled)

    def run_for(self, seconds: float) -> None:
        """Take what arrives, for so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.look()
            self.graph.spin(min(left, LOOK_S))

    def everybody_spoke(self) -> bool:
        """Return whether a status of every connector is there."""
        bays = self.monitor.bays
        return bool(bays) and all(view.status is not None or view.trouble for view in bays.values())


def run_watch(given: Namespace, graph: Graph) -> ExitCode:
    """Watch until q, Ctrl-C, or the time given."""
    watcher = Watcher(graph, given.connectors, show_tokens=given.show_tokens)
    console = make_console()
    with suppress(KeyboardInterrupt):
        if given.once:
            once(watcher, console, given)
        elif console.is_terminal and not given.json:
            live(watcher, console, given.duration)
        else:
            follow(watcher, console, given)
    if given.save_svg:
        width, height = (console.width, console.height) if console.is_terminal else (100, 24)
        picture = recorder(width)
        print_lines(picture, Screen().draw(watcher.monitor, width, height, time.monotonic(), keys=False))
        save_svg(picture, given.save_svg, 'evse watch')
    return ExitCode.OK


def once(watcher: Watcher, console: Console, given: Namespace) -> None:
    """Print the screen once everybody on the graph has spoken."""
    limit_s = given.timeout or FIND_S
    found = watcher.graph.discover(limit_s)
    for name in given.connectors:
        if name not in found:
            raise watcher.graph.missing(name, limit_s)
    if not found:
        raise NotFoundError(no_connector_message(limit_s))
    watcher.look()
    watcher.graph.wait_until(watcher.everybody_spoke, limit_s)
    watcher.run_for(given.duration or LOOK_S)  # the history of events comes right behind the status
    now = time.monotonic()
    if given.json:
        for view in watcher.monitor.in_order():
            emit({'connector': view.name, **(record(view.status) if view.status else {})})
        return
    height = console.height if console.is_terminal else 10_000
    print_lines(console, Screen().draw(watcher.monitor, console.width, height - 1, now, keys=False))


def live(watcher: Watcher, console: Console, duration: float | None) -> None:
    """Keep the whole terminal up to date."""
    end = None if duration is None else time.monotonic() + duration
    screen = Screen()
    with Keys() as keys, Live(console=console, screen=True, auto_refresh=False) as display:
        while end is None or time.monotonic() < end:
            watcher.run_for(REDRAW_S)
            for key in keys.pressed():
                if key in ('q', 'Q', '\x04'):
                    return
                screen.scroll({'up': -1, 'down': 1, 'page up': -10, 'page down': 10}.get(key, 0))
            width, height = console.size
            lines = screen.draw(watcher.monitor, width, height, time.monotonic(), keys.saved is not None)
            display.update(Group(*lines), refresh=True)


def follow(watcher: Watcher, console: Console, given: Namespace) -> None:
    """Print a line for each change, or JSON for each status: for pipes, files and logs."""
    statuses: list[tuple[str, EvseStatus]] = []
    events: list[tuple[str, SessionEvent]] = []
    # Nothing is printed where it is heard: a reader who has left would break the executor, not this loop.
    watcher.on_status = lambda name, status: statuses.append((name, status))
    watcher.on_event = lambda name, event: events.append((name, event))
    last: dict[str, tuple[object, ...]] = {}
    gone: set[str] = set()
    end = None if given.duration is None else time.monotonic() + given.duration
    while end is None or time.monotonic() < end:
        watcher.run_for(REDRAW_S)
        if given.json:
            for name, status in statuses:
                emit({'connector': name, **record(status)})
        else:
            named = name_width(watcher.monitor.in_order(), console.width)
            lines = [event_line(name, event, console.width, named) for name, event in events]
            lines += [status_line(name, status) for name, status in statuses if is_change(name, status, last)]
            now = time.monotonic()
            silent = {view.name for view in watcher.monitor.bays.values() if view.silence(now) is not None}
            lines += [presence_line(name, name in silent) for name in sorted(silent ^ gone)]
            gone = silent
            print_lines(console, lines)
            console.file.flush()
        statuses.clear()
        events.clear()


def is_change(name: str, status: EvseStatus, last: dict[str, tuple[object, ...]]) -> bool:
    """Return whether a status differs in more than its numbers, and remember it."""
    current = round(status.signalled_current_a, 1)
    facts = (status.state, status.reason, status.reason_text, current, status.active_errors)
    changed = last.get(name) != facts
    last[name] = facts
    return changed


def status_line(name: str, status: EvseStatus) -> Text:
    """Return a status as one line."""
    energy = formatting.energy(status.session_energy_wh)
    numbers = f'{formatting.current(status)}, {formatting.power(status.power_w)}, {energy}'
    state = state_word(status)
    return Text(f'{formatting.clock(status.stamp)}  {name}  {state}  {numbers}  {formatting.why(status)}')


def presence_line(name: str, silent: bool) -> Text:
    """Return the line for a connector that fell silent, or speaks again."""
    return Text(f'{formatting.clock(time.time_ns())}  {name}  {"gone or silent" if silent else "back"}')
