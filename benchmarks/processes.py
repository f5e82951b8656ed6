"""The processes of a run: started from what is installed, ended by id."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ament_index_python.packages import get_package_prefix

HERE = Path(__file__).parent
STOP_S = 12.0
"""A depot ends within 8 s by itself."""

Child = subprocess.Popen[bytes]


class Processes:
    """Starts nodes of the package and bare ones; ``stop`` ends all of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[Child] = []
        self._started = 0

    @property
    def pids(self) -> list[int]:
        """The running processes."""
        return [process.pid for process in self._running if process.poll() is None]

    def node(self, executable: str, namespace: str, **parameters: object) -> Child:
        """Start an executable of the package in a namespace."""
        program = Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager' / executable
        arguments = [f'-p{name}:={value}' for name, value in parameters.items()]
        split = [part for argument in arguments for part in (argument[:2], argument[2:])]
        return self._start(str(program), '--ros-args', '-r', f'__ns:={namespace}', *split)

    def program(self, executable: str, *arguments: str) -> Child:
        """Start an executable of the package with arguments of its own."""
        program = Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager' / executable
        return self._start(str(program), *arguments)

    def program_of(self, path: Path) -> Child:
        """Start a program of the benchmarks."""
        return self._start(str(path))

    def write(self, name: str, text: str) -> Path:
        """Write a file for the processes."""
        path = self._directory / name
        path.write_text(text)
        return path

    def bare(self, role: str, namespace: str = '/') -> Child:
        """Start one of the nodes of ``bare.py``."""
        return self._start(str(HERE / 'bare.py'), role, '--ros-args', '-r', f'__ns:={namespace}')

    def _start(self, *command: str) -> Child:
        self._started += 1
        log = self._directory / f'{self._started}_{Path(command[0]).name}.log'
        with log.open('w') as output:
            # The same interpreter for all: a shebang through env would be part of the start-up.
            process = subprocess.Popen(
                [sys.executable, *command],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env=os.environ | {'ROS_HOME': str(self._directory)},
            )
        self._running.append(process)
        return process

    def stop(self, *which: Child) -> None:
        """End some processes, or all, in order; by force after a while."""
        ending = list(which) or list(self._running)
        for process in ending:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in ending:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._running.remove(process)

    def complain(self) -> str:
        """Return what the processes wrote, for the message of a failure."""
        texts = ((log.name, log.read_text(errors='replace')[-2000:]) for log in self._directory.glob('*.log'))
        return '\n'.join(f'--- {name}\n{text}' for name, text in texts if text)


@contextmanager
def running() -> Iterator[Processes]:
    """Processes with a directory of their own (logs, session records); both are gone at the end."""
    with tempfile.TemporaryDirectory(prefix='evse_benchmark_') as directory:
        processes = Processes(Path(directory))
        try:
            yield processes
        finally:
            processes.stop()
