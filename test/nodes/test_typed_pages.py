"""The commands of docs/robots.md and docs/authorization.md do what the pages say."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from charge_client import ChargeClient
from evse_manager.action import Charge
from harness import Connector, Probe, Site
from shell import Shell
from typed import ROOT, parse, shell_blocks

# --- robots ---------------------------------------------------------------------------------------------


@pytest.fixture
def shell(domain: int, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


ROBOT_LINES = [line for block in shell_blocks('docs/robots.md') for line in block.splitlines()]
GOALS = {line for line in ROBOT_LINES if line.startswith(('evse charge', 'ros2 action send_goal'))}
EXAMPLE = 'python3 examples/dock_and_charge.py'
(BRIDGE,) = (line for line in ROBOT_LINES if line.startswith('ros2 run evse_manager rmf_bridge'))


def test_every_line_about_robots_is_typed_here():
    assert set(ROBOT_LINES) == {EXAMPLE, BRIDGE, *GOALS}


@pytest.mark.skipif(find_spec('rmf_fleet_msgs') is not None, reason='the messages of Open-RMF are installed')
def test_the_bridge_to_open_rmf_as_typed_says_what_is_missing(shell: Shell):
    typed = shell.start(BRIDGE)
    said, _ = typed.communicate(timeout=40.0)
    assert typed.returncode != 0
    assert 'needs its message packages rmf_charger_msgs and rmf_fleet_msgs' in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize('line', sorted(line for line in GOALS if line.startswith('evse')))
def test_a_goal_of_the_command_line_as_typed(site: Site, probe: Probe, shell: Shell, line: str):
    connector = Connector(probe, '/evse_1')
    site.board('/evse_1')
    site.manager('/evse_1', default_token='ROBOT-1')
    connector.sees('Enabled')
    connector.accepted('simulation/plug_in')
    connector.sees('SS AR')
    typed = shell.start(line)
    connector.sees('TS PC CS', 30.0)
    assert 'ancel' in shell.interrupt(typed)
    connector.sees('SC CF TF')


def test_the_example_as_typed(site: Site, probe: Probe, shell: Shell):
    connector = Connector(probe, '/evse_1')
    site.board('/evse_1')
    site.manager('/evse_1')
    connector.sees('Enabled')
    assert shell.type(f'cd {ROOT} && {EXAMPLE}').rstrip().endswith('undocked')
    connector.sees('SS TS PC CS SC CF TF SF')


def test_a_goal_of_the_tools_as_typed(site: Site, probe: Probe):
    connector = Connector(probe, '/evse_1')
    site.board('/evse_1')
    site.manager('/evse_1')
    connector.sees('Enabled')
    (line,) = (line for line in GOALS if line.startswith('ros2'))
    path, _, goal = parse(line)
    assert path == connector.path('charge')
    client = ChargeClient(connector)
    connector.accepted('simulation/plug_in')
    connector.sees('SS AR')
    handle = client.send_message(goal)
    connector.sees('TS PC CS')
    connector.probe.wait(lambda: client.feedback, 'feedback')
    handle.cancel_goal_async()
    assert client.result(handle).result.result == Charge.Result.CANCELLED
    client.close()


# --- authorization --------------------------------------------------------------------------------------

NODE_BLOCK, TOKEN_BLOCK, RESERVATION_BLOCK = shell_blocks('docs/authorization.md')

AUTHORIZATION_STORY = (
    ('evse token 04A2B3C4', 'accepted', 'SS'),
    ('evse sim plug-in', '', 'TS PC CS'),
    ('evse token 04A2B3C4', 'used to stop transaction', 'SC CF TF'),
    ('evse reservations', 'nothing is reserved', ''),
    ('evse reservations --add ROBOT-7 --at bay_1 --for 30', 'reservation 1 is made', ''),
    ('evse reservations --add ROBOT-7 --for 30', 'reservation 2 is made', ''),
    ('evse reservations --cancel 1', 'reservation 1 is cancelled', ''),
)
"""Each line of the page in turn, what it prints, and the events at the connector."""


@pytest.mark.timeout(300)
def test_the_authorization_page_as_typed(site: Site, probe: Probe, shell: Shell, tmp_path: Path):
    typed = [line for block in (TOKEN_BLOCK, RESERVATION_BLOCK) for line in block.splitlines()]
    assert [line for line, _, _ in AUTHORIZATION_STORY] == typed
    node = shell.start(NODE_BLOCK.replace('--ros-args', f'--ros-args -p store:={tmp_path}/store.json'))
    connector = Connector(probe, '/evse_1')
    site.board('/evse_1')
    site.manager('/evse_1')
    connector.sees('Enabled', 30.0)
    probe.wait(lambda: probe.node.count_subscribers('/evse_1/token'), 'the node reads the connector', 30.0)
    for line, printed, codes in AUTHORIZATION_STORY:
        if '--at bay_1' in line:  # a second connector, free and known to the node
            bay = Connector(probe, '/bay_1')
            site.board('/bay_1')
            site.manager('/bay_1', connector_id=2)
            bay.sees('Enabled', 30.0)
            probe.wait(lambda: probe.node.count_subscribers('/bay_1/token'), 'it is found', 30.0)
            connector.accepted('simulation/unplug')
            connector.sees('SF')
            probe.spin(2.5)
        assert printed in shell.type(line), line
        connector.sees(codes)
        probe.spin(1.2)  # a card left on the reader does not stop what it began
    shell.interrupt(node)
