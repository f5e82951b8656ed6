"""Output of the demonstration: the steps so far, and a live line below them on a terminal."""

import time

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evse_manager.cli import formatting
from evse_manager.cli.views import line, sparkline
from evse_manager.demo.live_screen import LiveScreen
from evse_manager.interface.types import SessionEvent

WIDTH = 80
INDENT = 6


class DemoScreen(LiveScreen):
    """Prints the steps, with a live line on a terminal, and records them for a picture."""

    def __init__(self, console: Console, picture: Console | None) -> None:
        super().__init__(console)
        self.picture = picture
        self.reading = ''
        self.powers: list[float] = []
        self.power_at = 0.0

    @property
    def width(self) -> int:
        """Return how wide lines may be: not wider than the picture, which shows the same."""
        return min(self.console.width, WIDTH)

    def show(self, piece: Text | Panel) -> None:
        """Print something that stays, in the picture too."""
        super().show(piece)
        if self.picture is not None:
            self.picture.print(piece)

    def step(self, number: int, count: int, title: str) -> None:
        """Begin a step."""
        self.title = f'{number}/{count} {title}'
        text = Text().append(f'{time.monotonic() - self.started:3.0f} s ', style='dim')
        text.append(f'{number:2d}  {title}', style='bold')
        self.show(text)

    def event(self, event: SessionEvent) -> None:
        """Print a session event in words."""
        style = formatting.event_style(event)
        first = Text().append(f'{" " * INDENT}● {formatting.event_name(event):<19} ', style=style)
        sentence = Text(formatting.event_sentence(event))
        for piece in sentence.wrap(self.console, max(20, self.width - first.cell_len)):
            self.show(first.append_text(piece))
            first = Text(' ' * (INDENT + 22))

    def measured(self, text: str) -> None:
        """Print what was measured at the end of a step."""
        self.show(
            line(Text(' ' * INDENT).append('→ ', style='green').append(text, style='green'), self.width)
        )

    def now(self, reading: str, power_w: float | None) -> None:
        """Bring the live line up to date; in a pipe there is none."""
        now = time.monotonic()
        if now - self.power_at >= 0.5:
            self.powers.append(power_w or 0.0)
            self.power_at = now
        self.reading = reading
        live = self.due()
        if live is None:
            return
        rule = Text('─' * self.width, style='dim')
        head = Text().append(f' {self.title}', style='bold cyan')
        head.append(f'   {formatting.duration(now - self.started)}', style='dim')
        chart = Text(' ' + sparkline(self.powers, max([*self.powers, 1.0]), self.width - 2), style='green')
        body = Text(' ' + reading, style='bold green' if power_w else 'yellow')
        live.update(Group(*(line(each, self.width) for each in (rule, head, body, chart))), refresh=True)

    def panel(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Print the summary."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style='dim')
        grid.add_column()
        for label, value in rows:
            grid.add_row(label, Text(value))
        self.show(Panel(grid, title=title, title_align='left', border_style='green', width=self.width))
