"""Every failure that the page of the depot describes names the tests that show it, and those exist."""

import re
from collections import Counter

import pytest

from fenced import ROOT

PAGE = (ROOT / 'docs' / 'depot.md').read_text()
SECTION = PAGE.partition('## What happens when')[2].partition('\n## ')[0]
TEST = re.compile(r'^(?:async )?def (test_\w+)\(', re.MULTILINE)


def rows(first_cell: str) -> dict[str, str]:
    """Return the rows of a table of the section by their first cell."""
    lines = iter(SECTION.splitlines())
    next(line for line in lines if line.startswith(f'| {first_cell} |'))
    next(lines)
    found = {}
    for line in lines:
        if not line.startswith('|'):
            break
        name, _, rest = line.strip('| ').partition(' | ')
        found[name] = rest
    return found


FAILURES, TESTED = rows('…'), rows('Failure')
KNOWN = Counter(
    name for path in (ROOT / 'test').rglob('test_*.py') for name in TEST.findall(path.read_text())
)


def test_every_failure_has_a_row_of_tests() -> None:
    assert len(FAILURES) > 10
    assert list(TESTED) == list(FAILURES)


@pytest.mark.parametrize('failure', TESTED)
def test_its_tests_exist_by_that_name_once(failure: str) -> None:
    named = re.findall(r'`(\w+)`', TESTED[failure])
    assert named
    assert [name for name in named if KNOWN[name] != 1] == []
