"""Dependencies point inward: what each room of the package may import."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import evse_manager

KNOWS = {
    'charging': set(),
    'board': {'charging'},
    'board/drivers': {'charging', 'board', 'simulation'},  # the driver of the simulated board
    'energy': {'charging'},
    'simulation': {'charging', 'board'},
    'store': {'charging'},
}
"""Room: the other rooms it may know.  A longer path prevails over its parent."""

LIBRARIES = {'board': {'serial'}, 'board/drivers': {'serial'}}
"""Room: the libraries it may use beside the standard one."""

PACKAGE = next(
    path for path in map(Path, evse_manager.__path__) if (path / 'charging').is_dir()
)  # where extend_path found several places, the one with our modules


def room_of(module: Path) -> str | None:
    """Return the room that a module lies in; None for nodes and cli, which may know everybody."""
    folder = module.relative_to(PACKAGE).parent.as_posix()
    rooms = [room for room in KNOWS if folder == room or folder.startswith(f'{room}/')]
    return max(rooms, key=len, default=None)


def imported(module: Path) -> Iterator[str]:
    """Yield the absolute dotted name of everything that a module imports."""
    parents = ['evse_manager', *module.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) + 1 - node.level] if node.level else []
            yield from ('.'.join(filter(None, [*base, node.module, alias.name])) for alias in node.names)


MODULES = sorted(path for path in PACKAGE.rglob('*.py') if room_of(path))


def test_every_inner_room_is_looked_at() -> None:
    assert {'charging', 'board', 'simulation', 'store'} <= {room_of(module) for module in MODULES}


@pytest.mark.parametrize('module', MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_what_its_room_knows(module: Path) -> None:
    room = room_of(module)
    assert room is not None
    rooms = KNOWS[room] | {room.split('/')[0]}
    libraries = sys.stdlib_module_names | LIBRARIES.get(room, set())
    for name in imported(module):
        top, *inside = name.split('.')
        if top == 'evse_manager':
            assert inside[0] in rooms, f'{room} may not know {name}'
        else:
            assert top in libraries, f'{room} may not use {name}'
