"""The demonstration of a depot: all of it happens, and nothing of it remains."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix

pytestmark = pytest.mark.timeout(300)

LIMIT_S = 200.0
"""The demonstration takes 80 s on a machine with nothing else to do."""

STEPS = 9


def demo(log: Path, *arguments: str) -> 'subprocess.Popen[bytes]':
    program = Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager' / 'depot_demo'
    with log.open('w') as output:
        return subprocess.Popen(
            [str(program), *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def depots() -> set[int]:
    """The processes of demonstrations' depots and of their workers that run on this machine."""
    found = set()
    for folder in Path('/proc').iterdir():
        try:
            words = (folder / 'environ').read_text(errors='replace') if folder.name.isdecimal() else ''
        except OSError:
            continue
        if 'evse_demo_' in words and 'ROS_HOME=' in words:
            found.add(int(folder.name))
    return found


def test_all_of_it_happens_in_order_and_no_limit_is_exceeded(tmp_path: Path) -> None:
    log = tmp_path / 'demo.log'
    child = demo(log)
    try:
        code = child.wait(LIMIT_S)
    finally:
        child.kill()
    text = log.read_text()
    assert code == 0, text
    assert re.findall(r'^ *\d+ s  (\d)  ', text, re.M) == [str(step) for step in range(1, STEPS + 1)]
    assert re.search(r'1 car with 32\.0 A each', text)
    assert re.search(r'4 cars with 10\.0 A each; 40 A allowed', text)
    assert re.search(r'2 cars with 20\.0 A each', text)
    assert len(re.findall(r'3 cars with 13\.3 A each', text)) == 3
    assert re.search(r'3 cars with 8\.0 A each; 24 A allowed', text)
    assert re.search(r'\d{3,} messages checked, at most (3\d|40)\.\d A on a phase, no limit exceeded', text)


def test_a_signal_ends_it_and_its_depot(tmp_path: Path) -> None:
    before = depots()
    log = tmp_path / 'demo.log'
    child = demo(log)
    try:
        end = time.monotonic() + 60.0
        while '  2  ' not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        assert depots() - before
        child.send_signal(signal.SIGTERM)
        assert child.wait(30.0) == 130
    finally:
        child.kill()
    assert not depots() - before
