"""The machine: which one, how busy with other things, and what its processes use."""

import os
import platform
import re
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

TICK_S = 1 / os.sysconf('SC_CLK_TCK')

FOREIGN_SHARE_MAX = 0.10
"""Other processes may use so much of one core before a run is called noisy."""


def description() -> dict[str, str]:
    """Return what the figures depend on."""
    cpu = re.search(r'model name\s*: (.*)', Path('/proc/cpuinfo').read_text())
    memory = int(re.search(r'MemTotal:\s*(\d+)', Path('/proc/meminfo').read_text())[1])
    return {
        'processor': f'{os.cpu_count()} x {cpu[1] if cpu else platform.machine()}',
        'memory': f'{memory / 2**20:.0f} GiB',
        'kernel': f'Linux {platform.release().split("-")[0]}',
        'Python': platform.python_version(),
        'rclpy': _version(),
        'middleware': os.environ.get('RMW_IMPLEMENTATION') or 'rmw_fastrtps_cpp (default)',
    }


def _version() -> str:
    for package in ('ros-jazzy-rclpy', 'ros-kilted-rclpy', 'rclpy'):
        try:
            return f'{version(package)} ({os.environ.get("ROS_DISTRO") or package.split("-")[1]})'
        except (PackageNotFoundError, IndexError):
            continue
    return 'unknown'


def cpu_s(pid: int) -> float:
    """Return the processor time of a process with all its threads, to the nanosecond."""
    total = 0
    for task in Path(f'/proc/{pid}/task').iterdir():
        total += int((task / 'schedstat').read_text().split()[0])
    return total * 1e-9


def memory(pid: int) -> dict[str, float]:
    """Return resident and proportional memory in MB, and the number of threads."""
    rollup = Path(f'/proc/{pid}/smaps_rollup').read_text()
    sizes = {
        key: round(int(value) / 1024, 1) for key, value in re.findall(r'^(Rss|Pss):\s+(\d+) kB', rollup, re.M)
    }
    threads = len(list(Path(f'/proc/{pid}/task').iterdir()))
    return {'rss_mb': sizes['Rss'], 'pss_mb': sizes['Pss'], 'threads': threads}


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def _busy_s() -> float:
    """Return the time that all processors have worked since boot, the hypervisor's share included."""
    fields = Path('/proc/stat').read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) * TICK_S


class Watch:
    """Tells what other processes than ours used while something was measured."""

    def __init__(self, pids: Iterable[int] = ()) -> None:
        """``pids`` are our running processes; they have to run until the end."""
        self._pids = list(pids)
        self._began, self._busy, self._own = time.monotonic(), _busy_s(), self._own_s()

    def _own_s(self) -> float:
        times = os.times()
        dead_and_self = times.user + times.system + times.children_user + times.children_system
        return dead_and_self + sum(cpu_s(pid) for pid in self._pids)

    def end(self) -> dict[str, Any]:
        """Return the share of one core that others used, the load average, and whether that is too much."""
        elapsed = time.monotonic() - self._began
        foreign = max(0.0, (_busy_s() - self._busy - (self._own_s() - self._own)) / elapsed)
        return {
            'seconds': round(elapsed, 1),
            'foreign_share': round(foreign, 3),
            'load': round(load(), 2),
            'noisy': foreign > FOREIGN_SHARE_MAX,
        }
