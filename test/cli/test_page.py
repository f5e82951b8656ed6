"""docs/cli.md names every subcommand, and every line that it gives to type is understood."""

import re
import shlex
from pathlib import Path

import pytest

from evse_manager.cli.commands import COMMANDS, SIMULATION
from evse_manager.cli.parser import parse
from fenced import commands, pages

PAGE = (Path(__file__).parents[2] / 'docs' / 'cli.md').read_text()
WRONG_ON_PURPOSE = 'evse limit 99'
TYPED = sorted(
    {
        command
        for page in pages()
        for command in commands(page)
        if re.match(r'evse (?!run )[a-z-]', command) and command != WRONG_ON_PURPOSE
    }
)
"""The lines for ``evse`` of all pages."""


@pytest.mark.parametrize(
    'name', ['token', 'reservations', 'site', 'site limit', 'charge', 'sessions', 'plot']
)
def test_every_subcommand_of_a_site_is_on_the_page(name):
    assert f'| `{name}` |' in PAGE


@pytest.mark.parametrize('command', [*COMMANDS, *SIMULATION], ids=lambda command: command.words)
def test_every_subcommand_and_alias_is_on_the_page(command):
    for name in (command.name, *command.aliases):
        assert re.search(rf'`(sim )?{name}`', PAGE)


@pytest.mark.parametrize('line', TYPED)
def test_what_people_are_told_to_type_is_understood(line):
    words = shlex.split(line.partition(' | ')[0])
    assert parse(words[1:]).run


def test_the_pages_have_things_to_type():
    assert len(TYPED) > 40
