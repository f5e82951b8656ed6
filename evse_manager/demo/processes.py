"""The demonstration's nodes: real processes on a domain of their own, ended without fail."""

import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType

from evse_manager.board.driver import driver_class
from evse_manager.cli.errors import CliError, ExitCode
from evse_manager.simulation.virtual.board import BOARDS, board_class

DOMAINS = range(60, 100)
"""Domains to choose from: not a usual default, with ports below the ephemeral ones (101 is the last)."""
PATIENCE_S = 4.0
"""A node ends within 3 s by itself; after this it is killed."""
PACKAGE = 'evse_manager'


def is_free(domain: int) -> bool:
    """Return whether no process on this machine uses a domain: its first participant's ports are free."""
    for offset in (10, 11):  # RTPS 2.2, section 9.6.1: unicast discovery and data ports of participant 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7400 + 250 * domain + offset))
            except OSError:
                return False
    return True


def free_domain() -> int:
    """Return a domain that is not in use."""
    candidates = random.sample(DOMAINS, len(DOMAINS))
    return next((domain for domain in candidates if is_free(domain)), candidates[0])


def prefix() -> Path | None:
    """Return the prefix that the package is installed in, where an index names it."""
    try:
        # Not needed where the executables are on PATH.
        from ament_index_python.packages import PackageNotFoundError, get_package_prefix  # noqa: PLC0415
    except ImportError:
        return None
    try:
        return Path(get_package_prefix(PACKAGE))
    except PackageNotFoundError:
        return None


def executable(name: str) -> str:
    """Return the path of one of the package's executables."""
    root = prefix()
    path = shutil.which(name, path=str(root / 'lib' / PACKAGE)) if root else None
    path = path or shutil.which(name)
    if path is None:
        raise CliError(
            f'the executable {name} is not installed; build the package and source its setup file',
            ExitCode.REFUSED,
        )
    return path


def surroundings() -> str:
    """Return what to type in a new terminal before ``evse`` works there."""

    def near(path: Path) -> str:
        return shlex.quote(
            str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
        )

    parts = []
    if sys.prefix != sys.base_prefix:
        parts.append(f'. {near(Path(sys.prefix) / "bin" / "activate")}')
    root = prefix()
    if root is not None and root != Path(sys.prefix):
        setups = [folder / 'setup.bash' for folder in (root, root.parent) if (folder / 'setup.bash').exists()]
        parts += [f'. {near(setup)}' for setup in setups[:1]]
    return ' && '.join(parts)


class Nodes:
    """The nodes of one connector, as child processes, for as long as a ``with`` block lasts."""

    def __init__(self, namespace: str, driver: str) -> None:
        self.namespace = namespace
        self.driver = driver
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> 'Nodes':
        self.folder = tempfile.TemporaryDirectory(prefix='evse_demo_')
        return self

    def start(self) -> None:
        """Start the board's node and the manager; a driver of real hardware gets a virtual board."""
        parameters = ['-p', f'driver:={self.driver}']
        if self.driver in BOARDS:
            port = Path(self.folder.name) / 'port'
            self.run('evse_virtual_board', [], [self.driver, '--link', str(port), '--phases', '3'])
            self.wait_for(port)
            parameters += ['-p', f'port:={port}']
            if any(field.name == 'phases' for field in fields(driver_class(self.driver).Parameters)):
                parameters += ['-p', 'phases:=3']
            unit = board_class(self.driver).meter_unit
            if unit is not None:
                parameters += ['-p', 'meter:=sdm630', '-p', f'meter_unit:={unit}']
        self.run('board_support', parameters)
        # The scenario pauses, resumes and fails within a minute, more often than a contactor should close.
        self.run('evse_manager', ['-p', 'closings_per_minute_max:=10'])

    def wait_for(self, port: Path) -> None:
        """Wait until the virtual board has made its port."""
        end = time.monotonic() + PATIENCE_S
        while not port.exists():
            if self.dead() is not None or time.monotonic() > end:
                raise CliError(f'there is no port of a virtual {self.driver}', ExitCode.REFUSED)
            time.sleep(0.05)

    def run(self, name: str, arguments: Sequence[str], first: Sequence[str] = ()) -> None:
        """Start one node in the namespace, with arguments of ROS 2; ``first`` come before them."""
        self.spawn(name, [*first, '--ros-args', '-r', f'__ns:={self.namespace}', *arguments])

    def spawn(self, name: str, arguments: Sequence[str]) -> None:
        """Start a process; what it logs goes to a file, what it stores to a folder of the demonstration."""
        command = [sys.executable, executable(name), *arguments]
        with self.log(name).open('wb') as log:
            self.children[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    'ROS_HOME': self.folder.name,
                    'ROS_LOG_DIR': self.folder.name,
                    'PYTHONUNBUFFERED': '1',
                },
                start_new_session=True,  # Ctrl-C reaches the demonstration alone, which ends the nodes
            )

    def log(self, name: str) -> Path:
        """Return the file that a node logs to."""
        return Path(self.folder.name) / f'{name}.log'

    def dead(self) -> str | None:
        """Return which node has ended without being asked to, and how."""
        for name, child in self.children.items():
            if child.poll() is not None:
                return f'{name} ended with exit code {child.returncode}'
        return None

    def last_words(self, lines: int = 12) -> list[str]:
        """Return the end of each node's log."""
        words = []
        for name in self.children:
            text = self.log(name).read_text(errors='replace').splitlines()
            words += [f'{name}: {line}' for line in text[-lines:]]
        return words

    def end(self, patience_s: float = PATIENCE_S) -> dict[str, int]:
        """End the nodes in order, or by force when they don't; return their exit codes."""
        for child in self.children.values():
            child.terminate()
        deadline = time.monotonic() + patience_s
        for child in self.children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return {name: child.returncode for name, child in self.children.items()}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self.folder.cleanup()
