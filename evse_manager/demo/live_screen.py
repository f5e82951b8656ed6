"""Output of a demonstration: lines that stay, and something live below them on a terminal."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text


class LiveScreen:
    """Prints lines, with live output for as long as a ``with`` block lasts; in a pipe there is none."""

    REDRAW_S = 0.1

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = time.monotonic()
        self.title = ''
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the live output; what was printed stays."""
        if self.live is not None:
            self.live.stop()

    def show(self, piece: Text | Panel) -> None:
        """Print something that stays."""
        self.console.print(piece, soft_wrap=isinstance(piece, Text))
        self.console.file.flush()

    def say(self, text: str, style: str = '') -> None:
        """Print a line of text."""
        self.show(Text(text, style=style))

    def due(self) -> Live | None:
        """Return the live output if it is to be drawn now."""
        now = time.monotonic()
        if self.live is None or now - self._drawn_at < self.REDRAW_S:
            return None
        self._drawn_at = now
        return self.live
