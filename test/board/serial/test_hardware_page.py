"""docs/hardware.md says what the drivers say."""

import importlib.util
import os
from pathlib import Path

import pytest

CHECKOUT = os.environ.get('EVSE_MANAGER_CHECKOUT')


@pytest.mark.skipif(CHECKOUT is None, reason='needs the checkout')
def test_the_page_is_what_the_generator_makes() -> None:
    docs = Path(str(CHECKOUT)) / 'docs'
    spec = importlib.util.spec_from_file_location('generate_hardware', docs / 'generate_hardware.py')
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.page() == (docs / 'hardware.md').read_text(), 'run make docs'
