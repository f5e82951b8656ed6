"""The installed ``evse`` as a user runs it, and one connector of real processes for each file of tests."""

import json
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from ament_index_python.packages import get_package_prefix

from evse_manager.cli.main import main
from evse_manager.nodes import middleware

LIMIT_S = 20.0
"""Longest time that any call of ``evse`` may take on a busy machine."""


def program(name: str) -> str:
    return str(Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager' / name)


@dataclass(frozen=True)
class Result:
    """What a call of ``evse`` left behind."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> dict[str, Any]:
        (record,) = self.records
        return record


def evse(*words: str, **environment: str) -> Result:
    """Call ``evse`` within this process, which saves the start of an interpreter; the connector is real."""
    with (
        TemporaryFile('w+') as out,
        TemporaryFile('w+') as err,
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patch.setattr(middleware, 'configure', lambda: None)  # this process is not one of the package
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        out.seek(0)
        err.seek(0)
        return Result(code, out.read(), err.read())


def evse_process(*words: str, limit: float = LIMIT_S) -> Result:
    """Call the installed ``evse`` as a user does, and wait for its end."""
    done = subprocess.run(
        [program('evse'), *words],
        capture_output=True,
        text=True,
        timeout=limit,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope='module')
def namespace() -> str:
    """Every connector of this graph has the same name."""
    return '/evse_1'
