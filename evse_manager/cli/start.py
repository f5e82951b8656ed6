"""Starting the package's executables where ``ros2 run`` does not exist."""

import difflib
import os
from pathlib import Path
from typing import NoReturn

from ament_index_python.packages import get_package_prefix

from evse_manager.cli.errors import UsageError


def executables() -> dict[str, Path]:
    """Return the installed executables of the package by name."""
    folder = Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager'
    return {path.name: path for path in sorted(folder.iterdir()) if os.access(path, os.X_OK)}


def start(name: str, arguments: list[str]) -> NoReturn:
    """
    Replace this process by an executable of the package.

    Raises UsageError with the known names, when there is no such executable.
    """
    known = executables()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f'did you mean {close[0]}?' if close else f'choose one of: {", ".join(known)}.'
        raise UsageError(f'there is no executable {name!r:.60}; {hint}')
    os.execv(known[name], [name, *arguments])  # the same process id, so that signals reach the node
