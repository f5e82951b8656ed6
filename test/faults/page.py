"""
The catalogue of faults as a table: which tests belong to which number, and what became of them.

A test belongs to a number by its name (``test_F16_…``), by the name of its case in the suites of serial lines
(``l7_…``), or by the marker ``fault('P1')``.
"""

import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CATALOGUE = Path(__file__).with_name('catalogue.toml')
IN_NAME = re.compile(r'^test_((?:[FLCMP]\d+_)+)')
IN_CASE = re.compile(r'(?:^|_)l(\d+)(?=_)')
ROOMS = {
    'F': 'Pilot, cable, contactor, protection',
    'L': 'Serial line and board',
    'C': 'Commands, authorization, session',
    'M': 'Meter',
    'P': 'Process and persistence',
}
INTRODUCTION = """\
# The fault catalogue

The faults, the required reaction with its deadline, and the results of the tests. `make faults` runs the
tests and writes this page. The F, C and M scenarios run the real kernel, the real
[board](glossary.md#board) loop and the simulated world in simulated time (`test/faults/`); P and L run real
processes and real serial ports by this machine's clock.

OPEN: the [contactor](glossary.md#contactor) is seen open within the bound, counted from when the cause is
there; [X1](glossary.md#x1), F: the pilot; EVT: a [session](glossary.md#session) event; ERR: an error by its
stable code. *Measured* is the longest reaction of a test.
"""


def numbers(item: pytest.Item) -> list[str]:
    """Return the numbers of the catalogue that a test belongs to."""
    found = [str(number) for mark in item.iter_markers('fault') for number in mark.args]
    if match := IN_NAME.match(item.name):
        found += match[1].strip('_').split('_')
    case = getattr(item, 'callspec', None)
    if case is not None and 'serial' in item.path.parts:
        found += [f'L{number}' for number in IN_CASE.findall(case.id)]
    return found


@dataclass
class Result:
    """What became of the tests of one number."""

    tests: dict[str, str] = field(default_factory=dict)
    measured: list[float] = field(default_factory=list)

    @property
    def word(self) -> str:
        outcomes = set(self.tests.values())
        if 'failed' in outcomes:
            return '**FAIL**'
        return 'pass' if 'passed' in outcomes else 'no test'


class Page:
    """A plugin of pytest that writes the table when the tests are over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: dict[str, Result] = defaultdict(Result)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for number in [value for name, value in report.user_properties if name == 'fault']:
            result = self._results[str(number)]
            if result.tests.get(report.nodeid) != 'failed' and (report.when == 'call' or not report.passed):
                result.tests[report.nodeid] = report.outcome
            if report.when == 'call':
                result.measured += [float(v) for name, v in report.user_properties if name == 'measured']

    def pytest_sessionfinish(self) -> None:
        catalogue = tomllib.loads(CATALOGUE.read_text(encoding='utf-8'))
        self._path.write_text(self._text(catalogue), encoding='utf-8')

    def _text(self, catalogue: dict[str, dict[str, str]]) -> str:
        words = {number: self._word(number, entry) for number, entry in catalogue.items()}
        counts = {word: list(words.values()).count(word) for word in sorted(set(words.values()))}
        lines = [INTRODUCTION, f'{len(words)} scenarios: ' + self._sum(counts) + '.', '']
        for room, title in ROOMS.items():
            lines += [f'## {title}', '', '| # | Stimulus | Expected | Bound | Result | Measured |']
            lines.append('|---|---|---|---|---|---|')
            for number, entry in catalogue.items():
                if number.startswith(room):
                    lines.append(self._row(number, entry, words[number]))
            lines.append('')
        lines += ['## Not applicable, and notes', '', '| # | Why |', '|---|---|']
        for number, entry in catalogue.items():
            why = entry.get('not_applicable', entry.get('note', ''))
            if words[number] == 'no test':
                why = 'no test runs it yet' + (f'; {why}' if why else '')
            if why:
                lines.append(f'| {number} | {why} |')
        return '\n'.join(lines) + '\n'

    def _word(self, number: str, entry: dict[str, str]) -> str:
        word = self._results[number].word
        return 'n. a.' if word == 'no test' and 'not_applicable' in entry else word

    def _row(self, number: str, entry: dict[str, str], word: str) -> str:
        measured = max(self._results[number].measured, default=None)
        shown = '' if measured is None else f'{measured:.2f} s'
        cells = (number, entry['stimulus'], entry['expected'], entry.get('bound', ''), word, shown)
        return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'

    @staticmethod
    def _sum(counts: dict[str, int]) -> str:
        names = {
            'pass': 'passed',
            '**FAIL**': 'failed',
            'n. a.': 'not applicable',
            'no test': 'without a test',
        }
        return ', '.join(f'{counts[word]} {name}' for word, name in names.items() if word in counts)
