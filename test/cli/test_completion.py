"""What a shell completes: commands, members of enumerations, faults, profiles, files, and connectors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evse_manager.interface.enums import StopTransactionReason
from evse_manager.simulation.faults import FAULTS
from evse_manager.simulation.profiles import PROFILES
from harness import Connector

pytest.importorskip(
    'argcomplete', reason='the library argcomplete is not installed (requirements/python.txt)'
)


def completed(line: str, folder: Path) -> set[str]:
    """Return what a shell in this folder is offered at the end of a line."""
    out = folder / '.completions'
    environment = {
        '_ARGCOMPLETE': '1',
        '_ARGCOMPLETE_IFS': '\n',
        '_ARGCOMPLETE_SHELL': 'bash',
        '_ARGCOMPLETE_STDOUT_FILENAME': str(out),
        'COMP_LINE': line,
        'COMP_POINT': str(len(line)),
        'COMP_TYPE': '9',
    }
    subprocess.run(
        [sys.executable, '-c', 'from evse_manager.cli.main import main; main()'],
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
        timeout=30.0,
    )
    return {each.strip() for each in out.read_text().split('\n') if each.strip()}


def beginning(names: object, with_: str) -> set[str]:
    found = {name for name in names if name.startswith(with_)}  # type: ignore[attr-defined]
    assert found
    return found


REASONS = [member.name.lower().replace('_', '-') for member in StopTransactionReason if member]


@pytest.mark.parametrize(
    ('line', 'offered'),
    [
        ('evse pau', {'pause', 'pause-charging'}),
        ('evse sim unp', {'unplug'}),
        ('evse sim inject rc', beginning(FAULTS, 'rc')),
        ('evse sim clear v', beginning(FAULTS, 'v')),
        ('evse sim plug-in --profile s', beginning(PROFILES, 's')),
        ('evse stop --reason e', beginning(REASONS, 'e')),
        ('evse limit --schedule ni', {'night.json'}),
        ('evse replay ni', {'night.json'}),
        ('evse reserve ni', set()),
        ('evse authorize ni', set()),
    ],
)
def test_a_shell_is_offered_what_fits(line: str, offered: set[str], tmp_path: Path) -> None:
    (tmp_path / 'night.json').write_text('[]')
    assert completed(line, tmp_path) == offered


@pytest.mark.parametrize('line', ['evse pause -c /ev', 'evse status /ev', 'evse -c /ev'])
def test_a_shell_is_offered_the_connectors_on_the_graph(
    line: str, connector: Connector, tmp_path: Path
) -> None:
    offered: set[str] = set()
    for _ in range(10):  # a shell waits for 1 s, the middleware may need 3 s: people press Tab again
        offered = offered or completed(line, tmp_path)
    assert offered == {connector.namespace}
