"""``evse watch``: every connector on the graph at a glance, updated as it changes."""

import time
from argparse import Namespace
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from evse_manager.cli import formatting
from evse_manager.cli.details import LimitsView
from evse_manager.cli.errors import ExitCode, NotFoundError
from evse_manager.cli.graph import Graph, no_connector_message
from evse_manager.cli.json_output import emit, record
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.screen import Keys, make_console, print_lines, recorder, save_svg
from evse_manager.cli.views import event_line, name_width, state_word
from evse_manager.cli.watch_screen import WatchScreen
from evse_manager.cli.watch_state import ScreenMode, WatchState
from evse_manager.cli.watcher import LOOK_S, Watcher
from evse_manager.interface.types import EvseStatus, SessionEvent

REDRAW_S = 0.25


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
        print_lines(picture, WatchScreen(keys=False).draw(watcher.monitor, width, height, time.monotonic()))
        save_svg(picture, given.save_svg, 'evse watch')
    return ExitCode.OK


def once(watcher: Watcher, console: Console, given: Namespace) -> None:
    """Print the screen once every connector on the graph has reported."""
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
    print_lines(console, WatchScreen(keys=False).draw(watcher.monitor, console.width, height - 1, now))


def live(watcher: Watcher, console: Console, duration: float | None) -> None:
    """Keep the whole terminal up to date, and let keys act on the selected connector."""
    end = None if duration is None else time.monotonic() + duration
    with Keys() as keys, Live(console=console, screen=True, auto_refresh=False) as display:
        screen = WatchScreen(keys=keys.saved is not None)
        state = screen.state
        while not state.ends and (end is None or time.monotonic() < end):
            watcher.run_for(REDRAW_S, keys.waiting)
            order = state.press(keys.pressed(), watcher.monitor, time.monotonic())
            if order is not None:
                watcher.give(order)
                state.message = f'{order.connector}: {order.action.label.lower()} …'
            state.message = ' '.join(watcher.results()) or state.message
            screen.limits = limits(watcher, state)
            width, height = console.size
            lines = screen.draw(watcher.monitor, width, height, time.monotonic())
            display.update(Group(*lines), refresh=True)


def limits(watcher: Watcher, state: WatchState) -> LimitsView | None:
    """Return the limits of the connector whose details are shown."""
    shown = state.mode is ScreenMode.DETAILS or len(watcher.monitor.bays) == 1
    if not shown or not state.selected:
        return None
    view = watcher.limits_of(state.selected)
    watcher.ask_parameters(view)
    return view


def follow(watcher: Watcher, console: Console, given: Namespace) -> None:
    """Print a line for each change, or JSON for each status: for pipes, files and logs."""
    statuses: list[tuple[str, EvseStatus]] = []
    events: list[tuple[str, SessionEvent]] = []
    # Printing in the callback would break the executor, not this loop, when the reader has left.
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
