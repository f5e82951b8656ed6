"""A class can be read in one sitting, or its docstring says why it is large."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import evse_manager

PACKAGE = next(path for path in map(Path, evse_manager.__path__) if (path / 'charging').is_dir())

LINES_MAX = 300
ATTRIBUTES_MAX = 20
REASON = 'It is large because '


def is_a_record(node: ast.ClassDef) -> bool:
    """Return whether the fields are a format rather than state: a frozen dataclass or an enumeration."""
    decorators = [ast.unparse(each) for each in node.decorator_list]
    return any('frozen=True' in each for each in decorators) or any(
        ast.unparse(base).endswith(('Enum', 'Flag')) for base in node.bases
    )


def attributes(node: ast.ClassDef) -> set[str]:
    """Return the fields of a dataclass, and all that is assigned to ``self``."""
    fields = {
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and 'ClassVar' not in ast.unparse(each.annotation)
    }
    assigned = {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and isinstance(each.value, ast.Name)
        and each.value.id == 'self'
    }
    return fields | assigned


def too_large(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        lines, count = (node.end_lineno or 0) - node.lineno + 1, len(attributes(node))
        large = lines > LINES_MAX or (count > ATTRIBUTES_MAX and not is_a_record(node))
        if large is not (REASON in (ast.get_docstring(node) or '')):
            yield f'{node.name}: {lines} lines, {count} attributes'


def test_large_classes_and_no_others_give_a_reason() -> None:
    generated = {PACKAGE / kind for kind in ('msg', 'srv', 'action')}
    modules = sorted(path for path in PACKAGE.rglob('*.py') if path.parent not in generated)
    assert len(modules) > 200
    problems = [f'{path.name}: {each}' for path in modules for each in too_large(path.read_text())]
    assert not problems, '\n'.join(problems)


def with_attributes(count: int, docstring: str = '') -> str:
    assignments = '\n'.join(f'        self.a{number} = 0' for number in range(count))
    return f'class Large:\n    """{docstring}"""\n    def __init__(self):\n{assignments}'


@pytest.mark.parametrize(
    'source',
    [
        with_attributes(21),
        with_attributes(20, f'{REASON}it once was.'),
        'class Long:\n' + '    x = 1\n' * 300,
        '@dataclass\nclass Fields:\n' + ''.join(f'    a{number}: int\n' for number in range(21)),
    ],
)
def test_a_large_class_is_found(source: str) -> None:
    assert len(list(too_large(source))) == 1


@pytest.mark.parametrize(
    'source',
    [
        with_attributes(20),
        with_attributes(21, f'{REASON}of its parts.'),
        '@dataclass(frozen=True)\nclass Fields:\n' + ''.join(f'    a{number}: int\n' for number in range(21)),
    ],
)
def test_a_small_one_one_with_a_reason_and_a_record_are_right(source: str) -> None:
    assert not list(too_large(source))
