"""Text from elsewhere (a firmware, a back end, any node) cannot steer the terminal it is shown in."""

import io
import json
from contextlib import redirect_stdout

import pytest
from rich.console import Console
from rich.text import Text

from evse_manager.cli.json_output import emit
from evse_manager.cli.screen import print_lines
from evse_manager.cli.views import cell, line
from evse_manager.interface.text import LONGEST, printable

STEERING = (
    '\x1b[2J\x1b[31m',  # clears the screen, sets a colour
    '\x1b]0;title\x07',  # sets the title of the window
    '\x9b31m',  # the same as a C1 control
    '\x08\x08',
    '\r',
    '\u202e',  # writes from right to left
    '\u2066',
    '\u200b',
    '\x00',
    '\x7f',
)


def printed(piece: Text | str) -> str:
    out = io.StringIO()
    print_lines(Console(file=out, highlight=False, markup=False, width=80), [piece])
    return out.getvalue().removesuffix('\n')


@pytest.mark.parametrize('steering', STEERING, ids=ascii)
def test_nothing_that_steers_a_terminal_is_printed(steering: str) -> None:
    text = f'The board says {steering}hello.'
    shown = [
        printable(text), printed(text), printed(Text(text, style='bold')), line(text, 80).plain,
        line(Text(text), 80).plain, cell(text, 60).plain,
    ]  # fmt: skip
    for each in shown:
        assert each.isprintable()
        assert 'The board says' in each
        assert 'hello.' in each


@pytest.mark.parametrize('steering', STEERING, ids=ascii)
def test_json_carries_the_text_as_it_is_and_prints_nothing_that_steers(steering: str) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        emit({'text': steering})
    assert out.getvalue().removesuffix('\n').isprintable()
    assert json.loads(out.getvalue()) == {'text': steering}


def test_ordinary_text_of_any_language_stays_as_it_is() -> None:
    for text in ('16 A · 11 kW …', 'Überstrom', '充電中', ''):
        assert printable(text) == text


def test_a_long_text_is_cut() -> None:
    assert len(printable('x' * 10_000_000)) == LONGEST
