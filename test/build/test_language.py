"""Plain technical English: words that docstrings and comments do without (CONTRIBUTING.md)."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import evse_manager

GENERATED = {'msg', 'srv', 'action'}
"""Folders of an installed package that hold generated interfaces."""

PACKAGE = next(path for path in map(Path, evse_manager.__path__) if (path / 'charging').is_dir())

TESTS = Path(__file__).parents[1]

AVOIDED = {
    'an inverted sentence': r'So (?:long|many|much|seldom|often|little|few|late|early|small|large|fast|far)',
    'report, return, publish, log': r'tell|tells|told|telling',
    'compute, correct, repair': r'reckon\w*|mend|mends|mended|mending',
    'again, without end': r'anew|for ever|forever',
    'no node, another manager, a reader': r'[Nn]obody|[Ss]omebody|[Ee]verybody|[Aa]nybody|whom',
    'runs, is valid': r'lives|living',
    'package, layer, entry point, harness': r'rooms?|doors?|desks?|rigs?|witness\w*|story',
    'check, evaluate, decide': r'judge\w*|judging',
    'a noun instead of a clause': r'what of|be it|takes? notice',
    'damaged, unable to receive': r'spoilt|gone mad|deaf',
}
"""What to write instead, and a pattern of what is avoided."""

PATTERNS = {instead: re.compile(rf'(?<!\w)(?:{pattern})(?!\w)') for instead, pattern in AVOIDED.items()}

CODE = re.compile(r'``[^`]*``|`[^`]*`')

ALLOWED: frozenset[tuple[str, str]] = frozenset()
"""File and word that are right there."""


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring and comment, without the code that they quote."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                for number, line in enumerate(text.splitlines()):
                    yield node.lineno + number, CODE.sub('', line)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], CODE.sub('', token.string)


def found(path: str, source: str) -> list[str]:
    return [
        f'{path}:{line}: {match.group()!r}; write: {instead}'
        for line, text in texts(source)
        for instead, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
        if (path, match.group()) not in ALLOWED
    ]


def modules() -> list[Path]:
    """Return the modules of the product."""
    return sorted(
        path for path in PACKAGE.rglob('*.py') if path.relative_to(PACKAGE).parts[0] not in GENERATED
    )


@pytest.mark.parametrize('root', [PACKAGE, TESTS], ids=['product', 'tests'])
def test_docstrings_and_comments_are_plain_technical_english(root: Path) -> None:
    sources = modules() if root is PACKAGE else sorted(set(TESTS.rglob('*.py')) - {Path(__file__)})
    assert len(sources) > 200
    problems = [
        problem
        for module in sources
        for problem in found(module.relative_to(root).as_posix(), module.read_text(encoding='utf-8'))
    ]
    assert not problems, '\n'.join(problems)


@pytest.mark.parametrize(
    'source',
    [
        '"""So long a state counts."""',
        'X = 1\n"""Nobody holds the board."""',
        'x = 1  # told by the board',
        'def f():\n    """\n    Return the state.\n\n    It is judged later.\n    """',
    ],
)
def test_an_avoided_word_is_found(source: str) -> None:
    assert len(found('module.py', source)) == 1


def test_quoted_code_and_other_words_are_not_avoided() -> None:
    assert not found('module.py', '"""Return ``told``: the headroom, also of an amended file."""')


SHARED_NAMES = frozenset({'Connector', 'Kind', 'Measures', 'NodeMeter', 'Start', 'Stop'})
"""Classes of the site file and the workers' protocol (``depot``) that may share a name with another package's."""


def test_no_two_classes_of_the_product_share_a_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules():
        for node in ast.walk(ast.parse(module.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module.relative_to(PACKAGE).as_posix())
    shared = {
        name: sorted(modules)
        for name, modules in places.items()
        if len({module for module in modules if name not in SHARED_NAMES or not module.startswith('depot/')})
        > 1
        or len(set(modules)) < len(modules)
    }
    assert len(places) > 200
    assert not shared
