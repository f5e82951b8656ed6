"""
The pages typed from top to bottom: every command of ``fenced.typed`` in its order, with what it has to print.

Two scenes share their processes: one connector that the first steps start, and a depot of four.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fenced import blocks, commands_of, reason_not_typed, typed
from harness import Connector, Probe
from shell import INTERRUPTED, Shell

PRINTS = {
    'evse sim inject rcd_ac': 'accepted',
    'evse sessions': 'CARD',
    'evse sessions verify': '',
    'evse sessions export --output sessions.csv': 'in sessions.csv',
    'evse plot last --output session.png': 'session.png',
    'evse run depot --check config/depot.example.yaml': '',
    'evse run depot --print config/depot.example.yaml': 'grid',
    'ros2 topic echo --once /evse_1/status': 'Charging',
}
"""What a command prints, by the command; ``FIRST_STEPS`` has that of ``evse list`` there, in turn."""

PRINTS_OF_FOUR = {
    'evse pause': 'there are 4 connectors',
    'evse limit 99': '0 to 80 A',
    'evse list': '/depot/evse_4',
    'evse stop --all': '4 had nothing to do',
    'evse disable --after-session -c /depot/evse_1': '1 of 1 accepted',
}
"""The same beside four connectors."""

FIRST_STEPS = (
    'Available; plug in a car',
    'Charging; the limit of 32.0 A',
    'Charging; the limit of 10.0 A',
    'Paused by the car',
    'Paused by the user',
    'The residual current device tripped',
    'Available; plug in a car',
)
"""The reason that each ``evse list`` of the first steps shows."""

REFUSED = {
    'evse resume -c /depot/evse_1': 1,
    'evse resume --json -c /depot/evse_1': 1,
    'evse pause': 2,
    'evse limit 99': 2,
}
"""Exit codes of commands that are refused as the page shows it (in the depot of four)."""

SITE = """\
site: {name: yard, namespace: /depot}
grid: {limit_a: 63.0, children: [evse_1, evse_2, evse_3, evse_4]}
defaults: {driver: simulated}
connectors:
  evse_1: {}
  evse_2: {host: shed}
  evse_3: {}
  evse_4: {}
"""


@pytest.fixture
def shell(domain: int, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path, HOME=str(tmp_path), QT_QPA_PLATFORM='offscreen', MPLBACKEND='agg')
    yield shell
    shell.close()


def enters(shell: Shell, line: str, seen: Callable[[], object], probe: Probe) -> None:
    """Type a line that runs until Ctrl-C, and press that when it is seen to work."""
    running = shell.start(f'exec {line}')
    probe.wait(lambda: seen() or running.poll() is not None, f'{line} works', 60.0)
    assert running.poll() is None, f'{line}: {running.communicate()[0]}'
    shell.interrupt(running)
    assert running.returncode in INTERRUPTED, f'{line}: {running.communicate()[0]}'


def watched(probe: Probe, topic: str) -> Callable[[], object]:
    """Return whether a command line listens to a topic."""
    return lambda: any(
        info.node_name.startswith('_evse_cli_') for info in probe.node.get_subscriptions_info_by_topic(topic)
    )


def here(line: str) -> str:
    """Return a line of a page with the connector of this test."""
    return line.replace('/depot/bay_1', '/depot/evse_1')


def of(page: str, language: str) -> list[str]:
    """Return the commands of a page that are typed and stand in blocks of this language."""
    found = [
        command for block in blocks(page) if block.language == language for command in commands_of(block)
    ]
    return [command for command in found if reason_not_typed(command) is None]


@pytest.mark.timeout(400)
def test_the_first_steps_and_what_one_connector_needs(shell: Shell, probe: Probe, tmp_path: Path) -> None:
    reasons = iter(FIRST_STEPS)
    connector = Connector(probe, '/evse_1')
    steps = typed('docs/first_steps.md')
    assert set(typed('README.md')) <= set(steps)
    for line in steps[: steps.index('kill %1 %2')]:
        if line == 'evse watch':
            enters(shell, line, watched(probe, '/evse_1/status'), probe)
            continue
        said = shell.type(line)
        if line.startswith('evse run board_support'):
            connector.reaches(lambda status: status.state == status.STATE_IDLE, 'idle', 60.0)
        elif line.startswith(('evse authorize', 'evse resume', 'evse sim ev-resume')):
            connector.reaches(lambda status: status.state == status.STATE_CHARGING, 'charging', 60.0)
        elif line in ('evse sim ev-pause', 'evse pause'):
            connector.reaches(lambda status: status.state != status.STATE_CHARGING, 'paused')
        elif line == 'evse sim unplug':
            connector.reaches(lambda status: status.state == status.STATE_IDLE, 'idle again')
        elif line == 'evse sim inject rcd_ac':
            connector.reaches(lambda status: status.active_errors, 'the fault')
        assert (next(reasons) if line == 'evse list' else PRINTS.get(line, '')) in said, line
    assert next(reasons, None) is None
    assert (tmp_path / 'window.png').stat().st_size > 10_000
    assert (tmp_path / 'sessions.csv').read_text().count('\n') == 3

    for line in of('docs/cli.md', 'sh'):
        uuid = (tmp_path / 'sessions.csv').read_text().splitlines()[1][:8]
        said = shell.type(line.replace('0f8fad5b', uuid))
        if line.startswith('evse authorize'):
            connector.reaches(lambda status: status.state == status.STATE_CHARGING, 'charging', 60.0)
        assert PRINTS.get(line, '') in said

    shell.type('kill %1 %2')
    black_boxes = list((tmp_path / '.ros/evse_manager/black_box').glob('*RcdAc*.mcap'))
    (replay,) = (line for line in typed('docs/recording.md') if line.startswith('evse replay'))
    shutil.copy(black_boxes[0], tmp_path / replay.split()[-1])
    shell.type(replay)

    folder = tmp_path / '.ros/evse_manager'
    for name in ('all-connectors', 'evse_1'):  # the page speaks of the files of a real board
        source = next(path for path in folder.glob(f'{name}*simulated*.sqlite3'))
        with sqlite3.connect(source) as simulated, sqlite3.connect(folder / f'{name}.sqlite3') as copy:
            simulated.backup(copy)
    said = [shell.type(line) for line in typed('docs/records.md')]
    assert any('***CARD' in each or 'MY-CARD' in each for each in said)
    assert (folder / 'charged.csv').read_text().count('\n') >= 3
    assert (folder / 'copy.sqlite3').stat().st_size > 0


@pytest.mark.timeout(400)
def test_a_depot_and_what_several_connectors_need(shell: Shell, probe: Probe, tmp_path: Path) -> None:
    (tmp_path / 'site.yaml').write_text(SITE)
    check, show, one, main, shed = typed('docs/depot.md')
    for line in (check, show):
        assert PRINTS[line] in shell.type(line)

    first = Connector(probe, '/depot/evse_1')
    depot = shell.start(f'exec {one}')
    first.reaches(lambda status: status.state == status.STATE_IDLE, 'a depot of one', 60.0)
    for line in typed('docs/energy.md'):
        shell.type(line)
    shell.interrupt(depot)
    assert depot.returncode == 0

    depots = [shell.start(f'exec {line}') for line in (main, shed)]
    four = [Connector(probe, f'/depot/evse_{number}') for number in (1, 2, 3, 4)]
    for connector in four:
        connector.reaches(lambda status: status.state == status.STATE_IDLE, 'a depot of four', 90.0)
    for line in of('docs/cli.md', 'console'):
        assert PRINTS_OF_FOUR.get(line, '') in shell.type(line, REFUSED.get(line, 0)), line
    for line in typed('docs/recording.md'):
        if line.startswith('evse record'):
            enters(shell, here(line), watched(probe, '/depot/evse_1/status'), probe)
        elif line.startswith('evse report'):
            assert '.tar.gz' in shell.type(here(line))
    for depot in depots:
        shell.interrupt(depot)
        assert depot.returncode == 0


def test_the_policy_of_the_security_page(shell: Shell, tmp_path: Path) -> None:
    for line in typed('docs/security.md'):
        shell.type(line)
    assert '/depot/bay_2/status' in (tmp_path / 'policies.xml').read_text()
