"""The terminal: consoles, pictures of them, and single keys."""

import os
import re
import select
import sys
import termios
import tty
from collections.abc import Iterable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from rich.console import Console
from rich.text import Text

from evse_manager.cli.errors import UsageError
from evse_manager.interface.text import ANY_LENGTH, printable

FONTS = "'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, monospace"
"""Fonts of pictures: the first that the viewer's machine has."""
PIPE_WIDTH = 160
"""Width of lines that go into a pipe or file, where nothing wraps them."""


def make_console() -> Console:
    """Return the console of stdout; in a pipe it is wide and plain, unless COLUMNS is set."""
    if sys.stdout.isatty() or 'COLUMNS' in os.environ:
        return Console(highlight=False, markup=False)
    return Console(highlight=False, markup=False, width=PIPE_WIDTH)


def recorder(width: int) -> Console:
    """Return a console that prints nowhere and keeps all, for a picture."""
    return Console(
        highlight=False,
        width=width,
        record=True,
        file=StringIO(),
        force_terminal=True,
        color_system='truecolor',
    )


def print_lines(console: Console, lines: Iterable[Text | str]) -> None:
    """Print lines in full; foreign text in them cannot steer the terminal."""
    for line in lines:
        console.print(shown(line if isinstance(line, Text) else Text(line)), soft_wrap=True)


def shown(piece: Text) -> Text:
    """Return a text in which control characters, bidi marks and the like are replaced by U+FFFD."""
    safe = piece.copy()
    safe.plain = '\n'.join(printable(line, ANY_LENGTH) for line in piece.plain.split('\n'))
    return safe


def save_svg(console: Console, file: str, title: str) -> None:
    """Save what a console has recorded as a picture that needs nothing from the network."""
    svg = re.sub(r'@font-face \{.*?\}\s*', '', console.export_svg(title=title), flags=re.DOTALL)
    svg = svg.replace('Fira Code, monospace', FONTS)
    try:
        Path(file).write_text(svg, encoding='utf-8')
    except OSError as error:
        raise UsageError(f'the picture {file} can not be written: {error}') from None


SEQUENCE = re.compile(r'\x1b\[[0-9;?]*[@-~]|\x1bO[A-Z]|.', re.DOTALL)
"""One key in what a terminal sends: an escape sequence or a character."""


class Keys:
    """Single keys from the terminal while a ``with`` block lasts; nothing where stdin is no terminal."""

    NAMES: ClassVar[dict[str, str]] = {
        '\x1b[A': 'up',
        '\x1bOA': 'up',
        '\x1b[B': 'down',
        '\x1bOB': 'down',
        '\x1b[C': 'right',
        '\x1bOC': 'right',
        '\x1b[D': 'left',
        '\x1bOD': 'left',
        '\x1b[5~': 'page up',
        '\x1b[6~': 'page down',
        '\x1b[H': 'home',
        '\x1bOH': 'home',
        '\x1b[1~': 'home',
        '\x1b[F': 'end',
        '\x1bOF': 'end',
        '\x1b[4~': 'end',
        '\x1b': 'escape',
        '\n': 'enter',
        '\r': 'enter',
        '\x7f': 'backspace',
        '\x08': 'backspace',
    }

    def __init__(self) -> None:
        self.saved: list[Any] | None = None

    def __enter__(self) -> 'Keys':
        with suppress(OSError, ValueError):  # stdin is closed, or no file at all
            if os.isatty(sys.stdin.fileno()):
                self.saved = termios.tcgetattr(sys.stdin.fileno())
                tty.setcbreak(sys.stdin.fileno())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.saved is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self.saved)

    def waiting(self) -> bool:
        """Return whether a key was pressed that has not been taken."""
        return self.saved is not None and bool(select.select([sys.stdin.fileno()], [], [], 0)[0])

    def pressed(self) -> list[str]:
        """Return the keys pressed since the last call."""
        if not self.waiting():
            return []
        text = ''
        with suppress(OSError):  # the terminal is gone
            text = os.read(sys.stdin.fileno(), 256).decode(errors='ignore')
        if not text:
            return ['end of input']
        return [self.NAMES.get(sequence, sequence) for sequence in SEQUENCE.findall(text)]
