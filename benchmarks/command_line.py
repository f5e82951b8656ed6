"""
The command line: one call of ``evse`` beside a bare rclpy call, and ``evse watch`` of a hundred connectors.

The connectors that are watched are one publisher that speaks as a hundred charging ones do, so that nothing
but the screen is measured.
"""

import os
import pty
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import fake_depot
from ament_index_python.packages import get_package_prefix
from machine import Watch, cpu_s
from processes import Processes
from samples import quantile

HERE = Path(__file__).parent
NAMESPACE = '/called'
SERVICE = 'external_ready_to_start_charging'
LIMIT_S = 30.0
SETTLE_S = 15.0
"""By then every connector is found, and the history of events has arrived."""


def measure(processes: Processes, *, calls: int, seconds: float) -> dict[str, Any]:
    """Return the seconds of whole processes that call a service once, and the processor time of a watch."""
    processes.node('board_support', NAMESPACE, driver='simulated')
    processes.node('evse_manager', NAMESPACE)
    evse = str(Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager' / 'evse')
    commands = {
        'bare rclpy call': [str(HERE / 'bare_call.py'), f'{NAMESPACE}/{SERVICE}'],
        'evse ready -c': [evse, 'ready', '-c', NAMESPACE],
        'evse status': [evse, 'status', NAMESPACE],
        'evse --help': [evse, '--help'],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    used: dict[str, list[float]] = {name: [] for name in commands}
    watch = Watch(processes.pids)
    for run in range(calls + 1):
        for name, command in commands.items():
            began, before = time.monotonic(), _children_s()
            subprocess.run([sys.executable, *command], check=True, timeout=LIMIT_S, stdout=subprocess.DEVNULL)
            if run:  # before the first, files come from the disk
                took[name].append(time.monotonic() - began)
                used[name].append(_children_s() - before)
    figures = {
        name: {
            'runs': len(each),
            'median_s': quantile(each, 0.5),
            'min_s': min(each),
            'max_s': max(each),
            'cpu_s': quantile(used[name], 0.5),
        }
        for name, each in took.items()
    }
    conditions = watch.end()
    processes.stop()
    return {'figures': figures, 'watch': _watch(processes, evse, seconds), 'machine': conditions}


def _children_s() -> float:
    """Return the processor time of the processes that have ended: it hardly depends on what else runs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _watch(processes: Processes, evse: str, seconds: float) -> dict[str, Any]:
    """Return the processor time of ``evse watch`` in a terminal of 80 by 24."""
    depot = processes.program_of(HERE / 'fake_depot.py')
    master, slave = pty.openpty()
    os.environ['TERM'] = 'xterm-256color'
    child = subprocess.Popen(
        [sys.executable, evse, 'watch'], stdin=slave, stdout=slave, start_new_session=True
    )
    drawn = bytearray()
    reader = threading.Thread(target=_read, args=(master, drawn), daemon=True)
    reader.start()
    try:
        time.sleep(SETTLE_S)
        before, of_depot, began = cpu_s(child.pid), cpu_s(depot.pid), time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - began
        used, fake = cpu_s(child.pid) - before, cpu_s(depot.pid) - of_depot
    finally:
        os.write(master, b'q')
        child.wait(LIMIT_S)
        os.close(slave)
    found = f'{fake_depot.COUNT} connectors'.encode() in bytes(drawn)
    if not found:
        raise RuntimeError('evse watch did not find all connectors')
    return {'connectors': fake_depot.COUNT, 'cores': used / elapsed, 'publisher_cores': fake / elapsed}


def _read(master: int, drawn: bytearray) -> None:
    while True:
        try:
            drawn += os.read(master, 65536)
        except OSError:
            return
