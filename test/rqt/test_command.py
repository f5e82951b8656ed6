"""``evse gui`` as a process: a picture without a display, an orderly end, refusals."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ament_index_python.packages import get_package_prefix

EVSE = Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager' / 'evse'
LIMIT_S = 30.0

pytestmark = pytest.mark.timeout(120)


def environment(**more: str) -> dict[str, str]:
    """Return the environment without a display."""
    left_out = ('DISPLAY', 'WAYLAND_DISPLAY', 'QT_QPA_PLATFORM')
    return {name: value for name, value in os.environ.items() if name not in left_out} | more


def test_a_picture_needs_no_display(application: Any, domain: int, tmp_path: Path) -> None:
    file = tmp_path / 'window.png'
    done = subprocess.run(
        [EVSE, 'gui', '--for', '1', '--save-png', file],
        env=environment(), capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert file.read_bytes().startswith(b'\x89PNG')


def test_a_window_without_a_display_is_refused(application: Any, domain: int) -> None:
    done = subprocess.run(
        [EVSE, 'gui'], env=environment(), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 2
    assert done.stderr == 'evse: there is no display for a window (DISPLAY is not set); use: evse watch\n'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_the_window_in_order(
    application: Any, domain: int, tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / 'window.png'
    window = subprocess.Popen(
        [EVSE, 'gui', '--save-png', file],
        env=environment(QT_QPA_PLATFORM='offscreen'), stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until_shown(window.pid)
        window.send_signal(number)
        _, errors = window.communicate(timeout=LIMIT_S)
    finally:
        window.kill()
    assert window.returncode == 0, errors
    assert b'Traceback' not in errors
    assert file.exists()


def wait_until_shown(process: int) -> None:
    """Wait until the process handles SIGHUP, which it does last before its window reacts."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        status = Path(f'/proc/{process}/status').read_text()
        caught = int(next(line.split()[1] for line in status.splitlines() if line.startswith('SigCgt')), 16)
        if caught >> (signal.SIGHUP - 1) & 1:
            return
        time.sleep(0.02)
    raise AssertionError('SIGHUP is not handled')
