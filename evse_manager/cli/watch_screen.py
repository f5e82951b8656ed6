"""
The screen of ``evse watch``: draws what the monitor knows as the state of the keys wants it, at any size.

From the top: totals, a line for each site, the connectors or the details of one, the last events, and a line
of keys, of a question, or of what became of a command.
"""

import time
from collections.abc import Sequence

from rich.text import Text

from evse_manager.cli import details, formatting
from evse_manager.cli.details import LimitsView
from evse_manager.cli.monitor import ConnectorView, Monitor, SiteView, loads
from evse_manager.cli.views import (
    card,
    cell,
    event_line,
    heading,
    line,
    name_width,
    reason,
    rows,
    shortened,
    sparkline,
    state_style,
    state_word,
    styled,
    summary,
)
from evse_manager.cli.watch_state import ScreenMode, WatchState

LOOKING_S = 4.0
"""The middleware may take 3 s to find a neighbor."""
NO_CONNECTOR = 'No connector on the graph yet; waiting for one.'
MOST_SITES = 3
CARD_LINES = 14
"""One connector alone is shown with all details where the screen is high enough."""
EVENT_LINES = 5
"""Lines that the last events keep, with their heading, when the connectors do not fit."""

LIST_KEYS = '↑↓ PgUp PgDn  Enter details  / filter  o order  p r s u e d c command  q leaves'
DETAILS_KEYS = 'p pause r resume s stop u unlock e enable d disable c clear fault  Esc list'


def site_line(site: SiteView, width: int, now: float) -> Text:
    """Return what flows at the grid connection of a site against its limit."""
    text = Text().append(site.status.name or site.name, style='bold')
    root = site.root
    if now - site.heard_at > LOOKING_S:
        silence = formatting.duration(now - site.heard_at)
        return line(text.append(f'  the energy manager is silent since {silence}', style='red'), width)
    if root is None or root.limit_a is None:
        return line(text.append('  no limit per phase'), width)
    most_a = max(loads(root))
    phase = loads(root).index(most_a) + 1
    share = most_a / root.limit_a if root.limit_a else 0.0
    style = 'red' if share > 1.0 else 'yellow' if share > 0.95 else 'green'
    text.append(f'  L{phase} {most_a:.1f} of {root.limit_a:.1f} A', style=style)
    if root.limit_a_origin:
        text.append(f' ({formatting.spoken(root.limit_a_origin)})', style='dim')
    if root.limit_w is not None:
        text.append(f', {formatting.power(root.limit_w)} at most')
    waiting = sum(len(node.waiting) for node in site.status.nodes if not node.parent)
    if waiting:
        text.append(f'  {waiting} wait', style='yellow')
    if site.status.warnings:
        text.append(f'  ! {len(site.status.warnings)}', style='yellow')
    room = width - text.cell_len - 2
    if room > 0:
        text.append('  ' + sparkline(site.shares, 1.0, min(room, 60)), style=style)
    return line(text, width)


class WatchScreen:
    """Draws the screen; ``state`` is moved by the keys."""

    def __init__(self, state: WatchState | None = None, *, keys: bool = True) -> None:
        """Draw with a selection and a line of keys, or without ``keys`` a picture that stands still."""
        self.state = state or WatchState()
        self.limits: LimitsView | None = None
        self._keys = keys

    def draw(self, monitor: Monitor, width: int, height: int, now: float) -> list[Text]:
        """Return the lines of the screen, at most ``height`` of them."""
        bays = self.state.listed(monitor, now)
        selected = self.state.position(bays)
        clock = time.strftime('%H:%M:%S')
        title = cell(f'evse watch · {summary(monitor, now)}', max(0, width - len(clock)), 'bold')
        top = [title.append(clock, style='dim') if width > len(clock) else title]
        sites = sorted(monitor.sites.values(), key=lambda site: site.name)[:MOST_SITES]
        top += [site_line(site, width, now) for site in sites]
        top += [] if sites else [Text()]
        room = max(1, height - len(top) - (1 if self._keys else 0))
        alone = len(monitor.bays) == 1 and room >= CARD_LINES
        footer = [self._footer(width, details=alone or self._shows_details())] if self._keys else []
        if bays and (alone or self._shows_details()):
            body, seen = self._details(bays[selected], width, now), bays[selected : selected + 1]
        else:
            body, seen = self._list(bays, selected, width, room, now), bays
            if not bays:
                body = [line(self._nothing(monitor, now), width, 'yellow')]
        events = _events(monitor, width, room - len(body), seen if self._shows_details() else None)
        filler: list[Text] = [Text()] * max(0, room - len(body) - len(events)) if self._keys else []
        return [*top, *body, *events, *filler, *footer][:height]

    def _shows_details(self) -> bool:
        return self.state.mode is ScreenMode.DETAILS or self.state.confirms_details

    def _nothing(self, monitor: Monitor, now: float) -> str:
        if monitor.bays:
            return f'No connector with {self.state.filter!r}; Esc shows all.'
        return 'Looking for connectors …' if now - monitor.began < LOOKING_S else NO_CONNECTOR

    def _footer(self, width: int, *, details: bool) -> Text:
        state = self.state
        match state.mode:
            case ScreenMode.CONFIRM if state.order is not None:
                order = state.order
                return line(f'[y/n] {order.action.question(order.connector)}', width, 'bold reverse')
            case ScreenMode.FILTER:
                return line(f'filter: {state.filter}▏  Enter keeps it, Esc shows all', width, 'bold')
            case _:
                if state.message:
                    return line(state.message, width, 'bold')
                return line(DETAILS_KEYS if details else LIST_KEYS, width, 'dim')

    # --- the list ----------------------------------------------------------------------------------------

    def _list(
        self, bays: Sequence[ConnectorView], selected: int, width: int, room: int, now: float
    ) -> list[Text]:
        """Return the connectors: with reasons below them if they fit, else a page of one line each."""
        if not self._keys or self.state.filter == '':
            full = rows(bays, width, now)
            if len(full) < room - (EVENT_LINES if self._keys else 0):
                self.state.page_size = max(1, len(bays))
                marked = _mark(full, bays, selected, width) if self._keys and len(bays) > 1 else full
                return [heading(bays, width), *marked]
        size = max(1, room - 2 - (EVENT_LINES if room > 2 * EVENT_LINES else 0))
        self.state.page_size = size
        first = selected // size * size
        shown = bays[first : first + size]
        lines = [
            _compact(view, bays, width, now, selected=self._keys and first + index == selected)
            for index, view in enumerate(shown)
        ]
        words = f'{first + 1} to {first + len(shown)} of {len(bays)}, those first that need attention'
        if self.state.by_name:
            words = f'{first + 1} to {first + len(shown)} of {len(bays)}, by name'
        if self.state.filter:
            words += f', with {self.state.filter!r}'
        lines += [Text()] * (size - len(lines)) if len(bays) > size else []
        return [_compact_heading(bays, width), *lines, line(words, width, 'dim')]

    # --- details -------------------------------------------------------------------------------------------

    def _details(self, view: ConnectorView, width: int, now: float) -> list[Text]:
        """Return all that is known of one connector, its limits by source and its times."""
        known, more = self.limits, []
        if view.status is not None and known is not None and known.connector == view.name:
            limits = details.limit_lines(view.status, known, now)
            more = [('' if index else 'limits', text) for index, text in enumerate(limits)]
        since = details.since_last_event(view)
        return card(view, width, now, [*more, ('since', f'{since} since the last event')] if since else more)


def _mark(lines: list[Text], bays: Sequence[ConnectorView], selected: int, width: int) -> list[Text]:
    """Return the lines with the selected connector's own one turned round."""
    name = shortened(bays[selected].name, name_width(bays, width)) if bays else ''
    for piece in lines:
        if name and piece.plain.startswith(f'{name} '):
            piece.stylize('reverse')
            break
    return lines


def _compact_heading(bays: Sequence[ConnectorView], width: int) -> Text:
    names = name_width(bays, width)
    columns = [cell('connector', names), cell('state', 12), cell('power', 9, right=True), Text('why')]
    return styled(columns, width, 'bold')


def _compact(
    view: ConnectorView, bays: Sequence[ConnectorView], width: int, now: float, *, selected: bool
) -> Text:
    """Return a connector as one line with its reason."""
    names = name_width(bays, width)
    status = view.status
    silent = view.silence(now) is not None
    state, style, power = '', 'dim', formatting.ABSENT
    if status is not None:
        state, style = ('silent', 'bold red') if silent else (state_word(status), state_style(status))
        power = formatting.ABSENT if silent else formatting.power(status.power_w)
    columns = [
        cell(shortened(view.name, names), names, 'bold'),
        cell(state, 12, style),
        cell(power, 9, right=True),
        reason(view, now),
    ]
    return styled(columns, width, 'reverse' if selected else '')


def _events(monitor: Monitor, width: int, room: int, of: Sequence[ConnectorView] | None) -> list[Text]:
    """Return the newest events (of some connectors), as many as fit."""
    count = min(room - 2, 40)
    if count <= 0:
        return []
    if of is None:
        newest = monitor.last_events(count)
        named = 0 if len(monitor.bays) == 1 else name_width([view for view, _ in newest], width)
    else:
        newest = [(view, event) for view in of for event in list(view.events)[-count:]]
        named = 0
    if not newest:
        return []
    lines = [event_line(view.name, event, width, named) for view, event in newest]
    return [Text(), line('last events', width, 'bold'), *lines]
