"""docs/cli.md names every subcommand, and what it tells people to type is understood."""

import re
import shlex
from pathlib import Path

import pytest

from evse_manager.cli.commands import COMMANDS, SIMULATION
from evse_manager.cli.parser import parse

PAGE = (Path(__file__).parents[2] / 'docs' / 'cli.md').read_text()
OTHER_PAGES = ('authorization.md', 'recording.md', 'robots.md', 'views.md')
WRONG_ON_PURPOSE = 'evse limit 99'
TYPED = [
    line
    for block in re.findall(r'```\n(.*?)```', PAGE, re.DOTALL)
    for line in re.findall(r'^(?:\$ )?(evse [a-z].*)$', block, re.MULTILINE)
    if '[' not in line
    and 'COMMAND' not in line
    and line != WRONG_ON_PURPOSE
    and not line.startswith('evse limit: ')
]

TYPED_ELSEWHERE = [
    line
    for name in OTHER_PAGES
    for block in re.findall(
        r'```sh\n(.*?)```', (Path(__file__).parents[2] / 'docs' / name).read_text(), re.DOTALL
    )
    for line in re.findall(r'^(evse [a-z].*)$', block, re.MULTILINE)
]


@pytest.mark.parametrize(
    'name', ['token', 'reservations', 'site', 'site limit', 'charge', 'sessions', 'plot']
)
def test_every_subcommand_of_a_site_is_on_the_page(name):
    assert f'| `{name}` |' in PAGE


@pytest.mark.parametrize('command', [*COMMANDS, *SIMULATION], ids=lambda command: command.words)
def test_every_subcommand_and_alias_is_on_the_page(command):
    for name in (command.name, *command.aliases):
        assert re.search(rf'`(sim )?{name}`', PAGE)


@pytest.mark.parametrize('line', TYPED + TYPED_ELSEWHERE)
def test_what_people_are_told_to_type_is_understood(line):
    words = shlex.split(line.partition('  ')[0].partition(' | ')[0], comments=True)
    assert parse(words[1:]).run


def test_the_page_has_things_to_type():
    assert len(TYPED) > 10
