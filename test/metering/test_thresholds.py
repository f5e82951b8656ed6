"""There is one table of thresholds, and the page shows all of it."""

import ast
import re
from pathlib import Path

import evse_manager.metering
from evse_manager.metering import thresholds

PAGE = Path(__file__).parents[2] / 'docs' / 'metering.md'
ROW = re.compile(r'^\| `([A-Z_0-9]+)` \| ([-0-9.]+) \| (.+) \|$', re.MULTILINE)
VALUES = {name: value for name, value in vars(thresholds).items() if name.isupper()}


def test_the_page_shows_every_threshold_with_its_source() -> None:
    assert {name: float(value) for name, value, _ in ROW.findall(PAGE.read_text())} == VALUES


def test_no_other_module_of_the_package_has_a_number_of_its_own() -> None:
    allowed = {0, 1, 2, 3, 10, 1000, 3600}
    """Parts of formulas: a mean of two, three phases, tenths, kilo, seconds of an hour."""
    folder = Path(evse_manager.metering.__path__[0])
    modules = [path for path in folder.glob('*.py') if path.name != 'thresholds.py']
    assert len(modules) > 5
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                assert node.value in allowed, f'{path.name}:{node.lineno} has {node.value}'
