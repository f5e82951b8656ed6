"""docs/charging.md is what the code and its tests say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / 'docs'


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location('generate_charging', DOCS / 'generate_charging.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generator: ModuleType) -> None:
    page = (DOCS / 'charging.md').read_text(encoding='utf-8')
    assert page == generator.page(), 'run make docs'


def test_every_cause_recovery_and_class_has_words(generator: ModuleType) -> None:
    for words, kinds in (
        (generator.ENDS_BY, generator.Recovery),
        (generator.CLASSES, generator.Severity),
        (generator.CAUSES, generator.Cause),
    ):
        assert set(words) == set(kinds)
