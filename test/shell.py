"""Types what a page says, in a folder of its own, with ``evse`` and what tests need of ``ros2``."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ament_index_python.packages import get_package_prefix

from fenced import ROOT

LIMIT_S = 60.0
"""Longest time of a command that ends by itself, on a busy machine."""

INTERRUPTED = (0, 130, -signal.SIGINT)
"""Exit codes of what was ended by Ctrl-C."""

TOOLS = Path(__file__).with_name('ros2_tools.py')


class Shell:
    """A terminal: what is exported, and what runs in the background, stays for the commands after it."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        programs = Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager'
        folder = directory / 'bin'
        folder.mkdir()
        (folder / 'evse').symlink_to(programs / 'evse')
        (folder / 'ros2').write_text(f'#!/bin/sh\nexec {sys.executable} {TOOLS} "$@"\n')
        (folder / 'ros2').chmod(0o755)
        for name in ('config', 'examples'):  # pages are typed in the checkout
            (directory / name).symlink_to(ROOT / name)
        self._environment = {**os.environ, 'PATH': f'{folder}:{os.environ["PATH"]}', **environment}
        self._started: list[subprocess.Popen[str]] = []
        self._background: list[subprocess.Popen[str]] = []

    def start(self, text: str) -> subprocess.Popen[str]:
        """Start a block or a line."""
        child = subprocess.Popen(
            ['bash', '-c', text],
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self._started.append(child)
        return child

    def type(self, line: str, code: int = 0) -> str:
        """Run a line until it ends, with this exit code; return what it prints."""
        if line.startswith('export '):
            self._environment |= dict(re.findall(r'(\w+)=(\S+)', line))
            return ''
        if re.fullmatch(r'cd \S+', line):
            self.directory = Path(line.split()[1].replace('~', self._environment['HOME']))
            return ''
        if line.startswith('kill %'):
            for child in self._background:
                os.killpg(child.pid, signal.SIGTERM)
            return ''.join(child.communicate(timeout=LIMIT_S)[0] for child in self._background)
        if line.endswith(' &'):
            self._background.append(self.start(f'exec {line.removesuffix(" &")}'))
            return ''
        child = self.start(line)
        output, _ = child.communicate(timeout=LIMIT_S)
        assert child.returncode == code, f'{line}: exit code {child.returncode}: {output}'
        return output

    def interrupt(self, child: subprocess.Popen[str]) -> str:
        """Press Ctrl-C; return what was printed."""
        os.killpg(child.pid, signal.SIGINT)
        output, _ = child.communicate(timeout=LIMIT_S)
        return output

    def close(self) -> None:
        for child in self._started:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
