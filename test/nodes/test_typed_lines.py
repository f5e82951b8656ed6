"""What the interface page and the pages about robots tell people to type does on real nodes what they say."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix

from charge_client import ChargeClient
from evse_manager.interface import endpoints
from evse_manager.msg import EvseStatus
from evse_manager.nodes.qos import STREAM
from harness import Connector, Probe, Site
from typed import LINES, parse, shell_blocks

NAMESPACE = '/evse_1'
"""That of the examples."""

SENT = {typed.path: typed for typed in (parse(line) for line in LINES if ' echo ' not in line)}

STORY: tuple[tuple[str, str, Callable[[EvseStatus], object]], ...] = (
    ('get_id', '', lambda s: s.connector_id == 1),
    ('external_ready_to_start_charging', '', lambda s: s.state == s.STATE_IDLE),
    ('disable', 'Disabled', lambda s: s.state == s.STATE_DISABLED),
    ('enable_disable', 'Enabled', lambda s: s.state == s.STATE_IDLE),
    ('enable', '', lambda s: s.state == s.STATE_IDLE),
    ('reserve', 'ReservationStart', lambda s: list(s.reservation_id) == [42]),
    ('cancel_reservation', 'ReservationEnd', lambda s: not s.reservation_id),
    ('authorize_response', 'SS', lambda s: s.authorized and s.token.endswith('BEEF')),
    ('withdraw_authorization', 'SF', lambda s: not s.authorized),
    ('simulation/set_proximity', '', lambda s: s.state == s.STATE_IDLE),
    ('simulation/plug_in', 'SS AR', lambda s: s.plugged),
    ('authorize_response', 'TS PC CS', lambda s: s.state == s.STATE_CHARGING),
    ('set_external_limits', '', lambda s: s.signalled_current_a == 16.0),
    ('switch_three_phases_while_charging', '', lambda s: s.phases == 3),
    ('pause_charging', 'PEVSE', lambda s: s.paused_by_user),
    ('resume_charging', 'CR', lambda s: s.state == s.STATE_CHARGING),
    ('simulation/ev_pause', 'PEV', lambda s: s.state == s.STATE_CHARGING_PAUSED_EV),
    ('simulation/ev_resume', 'CR', lambda s: s.state == s.STATE_CHARGING),
    ('simulation/replug', 'ReplugStarted ReplugFinished CR', lambda s: s.state == s.STATE_CHARGING),
    ('stop_transaction', 'SC CF TF', lambda s: s.state == s.STATE_FINISHED),
    ('force_unlock', '', lambda s: s.state == s.STATE_FINISHED),
    ('simulation/inject_fault', 'Error', lambda s: s.state == s.STATE_ERROR),
    ('simulation/clear_fault', '', lambda s: s.active_errors),  # the car has to be looked at
    ('simulation/unplug', 'SF AllErrorsCleared', lambda s: s.state == s.STATE_IDLE),
    ('set_faulted', 'PermanentFault', lambda s: s.state == s.STATE_FAULTED),
    ('clear_fault', 'AllErrorsCleared Enabled', lambda s: s.state == s.STATE_IDLE),
)
"""What is typed one after another, the events that follow, and what the status says then."""


@pytest.fixture(scope='module')
def namespace() -> str:
    return NAMESPACE


def send(probe: Probe, name: str) -> object:
    """Call the service as typed."""
    path, kind, request = SENT[f'{NAMESPACE}/{name}']
    client = probe.client(kind, path)
    future = client.call_async(request)
    return probe.wait(lambda: future.result() if future.done() else None, f'{name} answers')


def test_a_session_of_the_services_as_typed(connector: Connector):
    for name, codes, seen in STORY:
        answer = send(connector.probe, name)
        assert getattr(answer, 'success', True), f'{name}: {answer.message}'
        assert getattr(answer, 'result', 1) == 1, f'{name}: {answer.message}'
        assert answer.message == '', name
        connector.sees(codes)
        connector.reaches(seen, f'the effect of {name}')


def test_high_level_communication_as_typed(connector: Connector):
    connector.accepted('simulation/plug_in')  # what is known of the EV belongs to a session
    connector.sees('SS AR')
    publishers = {
        path: connector.probe.publisher(kind, path, STREAM)
        for path, kind, _ in SENT.values()
        if '/hlc/' in path
    }
    info = connector.listen('ev_info')
    manufacturer = connector.listen('car_manufacturer')
    request = connector.listen('iso15118_certificate_request')
    response = connector.listen('hlc/certificate_response')
    for path, publisher in publishers.items():
        publisher.publish(SENT[path].message)
    connector.probe.wait(lambda: info and info[-1].soc_percent == 41.0, 'ev_info')
    connector.probe.wait(lambda: manufacturer and manufacturer[-1].manufacturer == 1, 'the manufacturer')
    connector.probe.wait(lambda: request and request[-1].exi_request == 'gJgC', 'the request')
    assert send(connector.probe, 'set_get_certificate_response').success
    connector.probe.wait(lambda: response and response[-1].exi_response == 'gJgD', 'the response')


def test_a_charge_goal_as_typed(connector: Connector):
    path, _, goal = SENT[f'{NAMESPACE}/charge']
    assert path == connector.path('charge')
    client = ChargeClient(connector)
    handle = client.send_message(goal)
    connector.sees('SS')
    assert send(connector.probe, 'simulation/plug_in').success
    connector.sees('TS PC CS')
    ended = client.result(handle).result
    assert (ended.result, ended.message) == (ended.REACHED, '')
    client.close()


def test_a_black_box_is_asked_for_as_typed(connector: Connector):
    answer = send(connector.probe, 'save_black_box')
    assert not answer.success
    assert 'black_box_folder' in answer.message, 'a connector without files says why it has none'


def test_every_service_is_typed():
    typed = {name for name, _, _ in STORY} | {'set_get_certificate_response', 'save_black_box'}
    typed |= {service.name for service in endpoints.RECORD_SERVICES}  # test_record_services.py types these
    assert typed == {service.name for service in endpoints.SERVICES}


# --- robots ---------------------------------------------------------------------------------------------


class Shell:
    """Runs what a page tells people to type, with `evse` and a `ros2 run` of what is installed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        programs = Path(get_package_prefix('evse_manager')) / 'lib'
        bin_directory = directory / 'bin'
        bin_directory.mkdir()
        ros2 = bin_directory / 'ros2'
        ros2.write_text(f'#!/bin/sh\n[ "$1" = run ] || exit 64\nshift 2\nexec {programs}/evse_manager/"$@"\n')
        ros2.chmod(0o755)
        (bin_directory / 'evse').symlink_to(programs / 'evse_manager' / 'evse')
        self._environment = {**os.environ, 'PATH': f'{bin_directory}:{os.environ["PATH"]}'}
        self._started: list[subprocess.Popen[str]] = []

    def start(self, text: str) -> subprocess.Popen[str]:
        """Start a block or a line."""
        child = subprocess.Popen(
            ['bash', '-c', text],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self._started.append(child)
        return child

    def type(self, line: str) -> str:
        """Run a line that ends by itself, successfully; return what it prints."""
        child = self.start(line)
        output, _ = child.communicate(timeout=40.0)
        assert child.returncode == 0, f'{line}: {output}'
        return output

    def interrupt(self, child: subprocess.Popen[str]) -> str:
        """Press Ctrl-C; return what was printed."""
        os.killpg(child.pid, signal.SIGINT)
        output, _ = child.communicate(timeout=40.0)
        return output

    def close(self) -> None:
        for child in self._started:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@pytest.fixture
def shell(domain: int, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


ROBOT_LINES = [line for block in shell_blocks('docs/robots.md') for line in block.splitlines()]
GOALS = {line for line in ROBOT_LINES if line.startswith(('evse charge', 'ros2 action send_goal'))}
README_LINES = [
    line.partition('  #')[0].rstrip() for block in shell_blocks('README.md') for line in block.splitlines()
]
EXAMPLE = 'python3 examples/dock_and_charge.py'
LAUNCHED = 'ros2 run evse_manager rmf_bridge'


def test_every_line_about_robots_is_typed_here():
    assert set(README_LINES) <= {EXAMPLE, *GOALS}
    others = {line for line in ROBOT_LINES if line not in GOALS and line.partition(' --')[0] != EXAMPLE}
    assert {line.partition(' --')[0] for line in others} <= {LAUNCHED}


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


def test_a_goal_of_the_tools_as_typed(connector: Connector):
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
    assert client.result(handle).result.result == 5
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
