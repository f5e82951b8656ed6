"""
Write one small program per entry of ``[project.scripts]`` into a directory.

usage: write_executables.py PYPROJECT_TOML DIRECTORY

CMake installs the programs into ``lib/evse_manager`` (``ros2 run``, launch) and ``bin``, so that the list of
executables stands only in ``pyproject.toml``, where pip finds it too.  Files of former entries are removed.
"""

import sys
import tomllib
from pathlib import Path

PROGRAM = """#!/usr/bin/env python3
import sys

from {module} import {function}

sys.exit({function}())
"""


def write_executables(pyproject: Path, directory: Path) -> None:
    """Write the programs that are missing or differ, and remove those that are no longer listed."""
    scripts: dict[str, str] = tomllib.loads(pyproject.read_text())['project']['scripts']
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        if old.name not in scripts:
            old.unlink()
    for name, entry_point in scripts.items():
        module, function = entry_point.split(':')
        text = PROGRAM.format(module=module, function=function)
        path = directory / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        path.chmod(0o755)


if __name__ == '__main__':
    write_executables(Path(sys.argv[1]), Path(sys.argv[2]))
