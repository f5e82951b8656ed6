"""A depot as a process, its workers, and the connectors that a test sees of it."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from harness import Connector, Probe, Process

WORKER = 'evse_manager.depot.worker'
SERVER = 'fast-discovery-server'
START_S = 60.0
"""Longest wait for a depot on a busy machine."""


def site_text(namespace: str, **connectors: dict[str, Any]) -> str:
    """Return a site file with these connectors on one fuse; nothing is recorded."""
    return yaml.safe_dump(
        {
            'site': {'name': namespace.strip('/'), 'namespace': namespace},
            'grid': {'limit_a': 80.0, 'children': list(connectors)},
            'defaults': {'parameters': {'session_store': ''}},
            'connectors': connectors,
        }
    )


def command_line(pid: int) -> list[str]:
    """Return the words of a process; empty when it is gone, or a zombie."""
    try:
        return Path(f'/proc/{pid}/cmdline').read_text().rstrip('\0').split('\0')
    except OSError:
        return []


def is_running(pid: int) -> bool:
    """Return whether a process executes: it exists and is no zombie."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state not in 'ZX'


class Depot:
    """A running depot."""

    def __init__(self, folder: Path, text: str, probe: Probe, *arguments: str, **environment: str) -> None:
        self.file = folder / 'site.yaml'
        self.file.write_text(text)
        self.namespace: str = yaml.safe_load(text)['site']['namespace']
        self.probe = probe
        self._connectors: dict[str, Connector] = {}
        self.process = Process(
            'depot',
            str(self.file),
            *arguments,
            log=folder / 'depot.log',
            **{'ROS_HOME': str(folder / 'ros'), **environment},
        )

    def connector(self, name: str) -> Connector:
        """Return what is seen of a connector, once all of them have been made."""
        if not self._connectors:
            self.says('processes run after')
        if name not in self._connectors:
            self._connectors[name] = Connector(self.probe, f'{self.namespace}/{name}', restarted=True)
        return self._connectors[name]

    def workers(self) -> dict[int, str]:
        """Return the processes of its workers: id and kind."""
        return {
            pid: words[words.index(WORKER) + 1] for pid, words in self._children().items() if WORKER in words
        }

    def discovery_server(self) -> int | None:
        """Return the process of its discovery server."""
        found = [pid for pid, words in self._children().items() if words[0].endswith(SERVER)]
        return found[0] if found else None

    def _children(self) -> dict[int, list[str]]:
        """Return its processes with their words."""
        found = {}
        for folder in Path('/proc').iterdir():
            if not folder.name.isdecimal() or not is_running(int(folder.name)):
                continue
            try:
                parent = int((folder / 'stat').read_text().rpartition(')')[2].split()[1])
            except OSError:
                continue
            words = command_line(int(folder.name))
            if parent == self.process.pid and words:
                found[int(folder.name)] = words
        return found

    def worker(self, kind: str) -> int:
        """Return the only process of a kind; one that has just ended is started again after its back-off."""

        def only() -> int | None:
            pids = [pid for pid, found in self.workers().items() if found == kind]
            return pids[0] if len(pids) == 1 else None

        found: int = self.probe.wait(only, f'one process of {kind}', START_S)
        return found

    def says(self, text: str, limit: float = START_S) -> None:
        """Wait until the log contains a text."""
        self.probe.wait(lambda: text in self.process.output, lambda: self.process.output, limit)

    def reload(self, text: str) -> None:
        """Replace the site file, and let the depot read it."""
        self.file.write_text(text)
        self.process.signal(signal.SIGHUP)


def wait_until_gone(pids: Iterator[int] | list[int] | dict[int, str], limit: float) -> float:
    """Wait until no process of these runs; return how long that took."""
    began, left = time.monotonic(), list(pids)
    while left := [pid for pid in left if is_running(pid)]:
        assert time.monotonic() - began < limit, [command_line(pid) for pid in left]
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def running_depot(folder: Path, text: str, probe: Probe, *arguments: str) -> Iterator[Depot]:
    """A depot that is gone at the end, with all of its workers."""
    depot = Depot(folder, text, probe, *arguments)
    try:
        yield depot
    finally:
        workers = depot.workers()
        depot.process.signal(signal.SIGCONT)
        depot.process.signal(signal.SIGTERM)
        try:
            depot.process.wait(12.0)
        finally:
            for pid in workers:
                if is_running(pid):
                    os.kill(pid, signal.SIGKILL)
            depot.process.stop()
