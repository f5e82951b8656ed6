"""Every command that README and docs give to type is typed by a test, or the reason why not is listed."""

import re
from pathlib import Path

import pytest

from fenced import LANGUAGES, NOT_TYPED, PROGRAM, SYNOPSIS, TYPED_BY, blocks, commands, pages, typed

TEST = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize('page', pages())
def test_a_command_stands_in_a_block_that_says_so(page: str) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f'{block}: a block has one of the languages {sorted(LANGUAGES)}'
        if block.language in ('sh', 'console') or (block.language == 'text' and page in SYNOPSIS):
            continue
        meant = [line for line in block.text.splitlines() if PROGRAM.match(line)]
        assert meant == [], f'{block}: commands stand in a block sh, or console with $'


def test_every_page_with_commands_has_a_test_that_types_them() -> None:
    assert {page for page in pages() if typed(page)} == set(TYPED_BY)


@pytest.mark.parametrize(('page', 'module'), TYPED_BY.items())
def test_the_test_of_a_page_reads_the_page(page: str, module: str) -> None:
    assert page in (TEST / module).read_text()


def test_every_reason_not_to_type_is_in_use() -> None:
    every = [command for page in pages() for command in commands(page)]
    assert len(every) > 100
    assert [pattern for pattern in NOT_TYPED if not any(re.match(pattern, each) for each in every)] == []
