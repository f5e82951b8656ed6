"""Dependencies point inward: what each layer of the package may import, and no circle anywhere."""

import ast
import sys
from collections.abc import Callable, Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import evse_manager

PURE = {'interface', 'charging', 'metering', 'lease', 'energy', 'authorization'}
KNOWS = {
    'interface': set(),
    'metering': {'interface'},
    'lease': {'interface'},
    'energy': {'interface'},
    'authorization': {'interface'},
    'charging': {'interface', 'metering', 'lease'},
    'board': {'interface', 'metering', 'lease'},
    'simulation': PURE | {'board', 'manager'},
    'store': PURE,
    'recording': PURE | {'manager'},
}
"""Layer: the other layers it may import.  ``nodes``, ``depot``, ``cli`` and ``demo`` may import all."""

LIBRARIES = {'board': {'serial'}, 'recording': {'mcap'}}
"""Layer: the libraries it may use beside the standard one."""

PACKAGE = next(
    path for path in map(Path, evse_manager.__path__) if (path / 'charging').is_dir()
)  # where extend_path found several places, the one with our modules


def layer_of(module: Path) -> str | None:
    """Return the layer that a module lies in; None for nodes and cli, which may import all."""
    folder = module.relative_to(PACKAGE).parent.as_posix()
    layers = [layer for layer in KNOWS if folder == layer or folder.startswith(f'{layer}/')]
    return max(layers, key=len, default=None)


def for_types_only(node: ast.AST) -> bool:
    """Return whether a statement imports for annotations alone, and nothing at run time."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == 'TYPE_CHECKING'


def imported(module: Path, *, at_run_time: bool = False) -> Iterator[str]:
    """Yield the absolute dotted name of everything that a module imports."""
    parents = ['evse_manager', *module.relative_to(PACKAGE).parent.parts]
    tree = ast.parse(module.read_text())
    types = {each for node in ast.walk(tree) if for_types_only(node) for each in ast.walk(node)}
    for node in ast.walk(tree):
        if at_run_time and node in types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) + 1 - node.level] if node.level else []
            yield from ('.'.join(filter(None, [*base, node.module, alias.name])) for alias in node.names)


MODULES = sorted(path for path in PACKAGE.rglob('*.py') if layer_of(path))


def test_every_inner_layer_is_looked_at() -> None:
    assert {'charging', 'board', 'simulation', 'store'} <= {layer_of(module) for module in MODULES}


@pytest.mark.parametrize('module', MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_what_its_layer_knows(module: Path) -> None:
    layer = layer_of(module)
    assert layer is not None
    layers = KNOWS[layer] | {layer.split('/')[0]}
    libraries = sys.stdlib_module_names | LIBRARIES.get(layer, set())
    for name in imported(module):
        top, *inside = name.split('.')
        if top == 'evse_manager':
            assert inside[0] in layers, f'{layer} may not know {name}'
        else:
            assert top in libraries, f'{layer} may not use {name}'


def module_name(path: Path) -> str:
    parts = ['evse_manager', *path.relative_to(PACKAGE).with_suffix('').parts]
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


GENERATED = {'msg', 'srv', 'action'}


def test_no_modules_import_each_other_in_a_circle() -> None:
    ours = (path for path in PACKAGE.rglob('*.py') if not GENERATED & set(path.parts))
    paths = {module_name(path): path for path in ours}
    imports = {
        name: {
            found
            for found in map(longest_known(paths), imported(path, at_run_time=True))
            if found not in ('', name)
        }
        for name, path in paths.items()
    }
    TopologicalSorter(imports).prepare()  # raises CycleError with the circle


def longest_known(names: Collection[str]) -> Callable[[str], str]:
    """Return a function that maps what is imported to the module that it comes from."""

    def known(name: str) -> str:
        while name and name not in names:
            name = name.rpartition('.')[0]
        return '' if name == 'evse_manager' else name

    return known
