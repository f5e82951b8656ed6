"""Output of the demonstration of a depot: the steps so far, and a live table below them on a terminal."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from evse_manager.cli.formatting import amperes, energy, power
from evse_manager.cli.views import state_style, state_word
from evse_manager.demo.live_screen import LiveScreen
from evse_manager.depot.site import ROOT, Site

if TYPE_CHECKING:
    from evse_manager.demo.site_monitor import SiteMonitor
    from evse_manager.demo.site_scenario import Seen

BAR_WIDTH = 40
MOST_ROWS = 12
"""Connectors in the table; of more, those that charge least stand below it as a number."""


class SiteScreen(LiveScreen):
    """Prints the steps; on a terminal with a live table, in a pipe as plain text."""

    REDRAW_S = 0.2

    def step(self, number: int, count: int, title: str) -> None:
        """Begin a step."""
        self.title = f'{number}/{count} {title}'
        self.say(f'{time.monotonic() - self.started:3.0f} s  {number}  {title}', 'bold')

    def note(self, text: str) -> None:
        """Print what was measured in a step."""
        self.say(f'         → {text}', 'green')

    def now(self, site: Site, seen: Mapping[str, 'Seen'], monitor: 'SiteMonitor') -> None:
        """Bring the table up to date; in a pipe there is none."""
        live = self.due()
        if live is not None:
            live.update(Group(self._bars(site, monitor), self._table(seen)), refresh=True)

    def _bars(self, site: Site, monitor: 'SiteMonitor') -> Group:
        """Return what is measured on each phase of the grid connection, against the limit."""
        limit, lines = monitor.limit_a(ROOT), []
        for phase, current in monitor.sums(ROOT).measured_a.items():
            filled = max(0, min(BAR_WIDTH, round(BAR_WIDTH * current / limit))) if limit else 0
            line = Text(f' {phase} ', style='bold').append('█' * filled, style='green')
            line.append('·' * (BAR_WIDTH - filled), style='dim')
            lines.append(line.append(f' {current:5.1f} of {limit:g} A'))
        head = Text(f' {site.name}: {self.title}', style='bold cyan')
        return Group(head, *lines)

    def _table(self, seen: Mapping[str, 'Seen']) -> Table:
        table = Table(box=None, pad_edge=True, header_style='dim')
        for title in ('connector', 'state', 'offered', 'current', 'power', 'energy'):
            table.add_column(title, justify='left' if title in ('connector', 'state') else 'right')
        table.add_column('why', overflow='ellipsis', no_wrap=True)
        shown = (
            sorted(seen.items(), key=lambda each: -each[1].power_w)[:MOST_ROWS]
            if len(seen) > MOST_ROWS
            else seen.items()
        )
        for name, each in shown:
            table.add_row(
                name,
                Text(state_word(each.status), style=state_style(each.status)),
                amperes(each.status.signalled_current_a),
                amperes(each.current_a),
                power(each.power_w),
                energy(each.status.session_energy_wh),
                each.status.reason_text,
            )
        if len(seen) > MOST_ROWS:
            table.add_row(f'{len(seen) - MOST_ROWS} more', *[''] * 6)
        return table
