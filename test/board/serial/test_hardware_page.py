"""docs/hardware.md and docs/boards/ say what the drivers say, and there is a page for every board."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from board.serial.test_port import SERIAL
from evse_manager.simulation.virtual.board import BOARDS

DOCS = Path(__file__).parents[3] / 'docs'


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location('generate_hardware', DOCS / 'generate_hardware.py')
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    return generator


def test_the_pages_are_what_the_generator_makes(generator: ModuleType) -> None:
    for path, text in generator.pages().items():
        assert text == path.read_text(), 'run make docs'
        assert '{' + 'parameters' not in text


@pytest.mark.parametrize('board', sorted({*SERIAL, *BOARDS}))
def test_every_board_has_a_page_that_is_linked(board: str) -> None:
    page = (DOCS / 'boards' / f'{board}.md').read_text()
    assert page.startswith(f'# {board}\n')
    for part in ('**Wiring.**', '**Parameters**', '**What to check first.**', '| `'):
        assert part in page
    assert f'](boards/{board}.md)' in (DOCS / 'hardware.md').read_text()
