"""docs/faults.md says what the catalogue says; ``make faults`` alone writes it."""

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

from faults.page import CATALOGUE, Page

PUBLISHED = Path(__file__).parents[2] / 'docs/faults.md'


def without_results(text: str) -> str:
    """Return a page without what differs between runs: the results and the measured reactions."""
    return re.sub(r'(?m)\| (pass|n\. a\.) \|[^|]*\|$', '', text)


def test_the_published_page_is_that_of_the_catalogue(tmp_path: Path) -> None:
    page = Page(tmp_path / 'faults.md')
    for number, entry in tomllib.loads(CATALOGUE.read_text()).items():
        if 'not_applicable' not in entry:
            passed = SimpleNamespace(
                nodeid=number, when='call', passed=True, outcome='passed', user_properties=[('fault', number)]
            )
            page.pytest_runtest_logreport(passed)
    page.pytest_sessionfinish()
    assert without_results(PUBLISHED.read_text()) == without_results((tmp_path / 'faults.md').read_text())
