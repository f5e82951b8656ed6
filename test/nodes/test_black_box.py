"""A manager writes its last minutes at a fault and when asked; they replay to the same outputs."""

import signal
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from evse_manager.msg import EvseStatus
from evse_manager.recording.mcap_file import read_journal
from evse_manager.recording.replay import ReplayReport, replay
from harness import Connector, Probe, Process, Site

pytest.importorskip('mcap', reason='the library mcap is not installed (requirements/python.txt)')
pytestmark = pytest.mark.timeout(120)

TOKEN = 'SECRET-04A1B2C3'


def start(site: Site, probe: Probe, namespace: str, folder: Path) -> tuple[Connector, Process]:
    connector = Connector(probe, namespace)
    site.board(namespace)
    manager = site.manager(namespace, black_box_folder=str(folder))
    connector.sees('Enabled')
    return connector, manager


def charge(connector: Connector) -> None:
    connector.accepted('simulation/plug_in')
    connector.sees('SS AR')
    connector.authorize(TOKEN)
    connector.sees('TS PC CS')


def replayed(path: Path) -> ReplayReport:
    report = ReplayReport()
    assert list(replay(read_journal(path).lines, report)) == []
    return report


def test_a_fault_is_written_with_what_led_to_it(site, probe, tmp_path):
    folder = tmp_path / 'box'
    connector, manager = start(site, probe, '/black_box/fault', folder)
    charge(connector)
    connector.accepted('simulation/inject_fault', fault='rcd_ac')
    (path,) = probe.wait(lambda: list(folder.glob('*.mcap')), 'a black box', 30.0)
    assert path.name.startswith('black_box.fault-')
    assert path.name.endswith('-RcdAc.mcap')
    assert path.stat().st_mode & 0o777 == 0o600
    report = replayed(path)
    assert report.turns > 20
    assert report.ended - report.begun >= 3e9, 'what followed the fault is in it'
    texts = [line.text for line in read_journal(path).lines]
    assert any(b'RcdAc' in text for text in texts)
    assert not any(TOKEN.encode() in text for text in texts)
    probe.wait(lambda: str(path) in manager.output, 'the log names the file')


def test_a_black_box_is_written_when_it_is_asked_for(site, probe, tmp_path):
    connector, _ = start(site, probe, '/black_box/asked', tmp_path / 'box')
    charge(connector)
    answer = connector.call('save_black_box')
    assert answer.success, answer.message
    replayed(Path(answer.message))


def test_a_black_box_that_cannot_be_written_stops_nothing(site, probe, tmp_path):
    obstacle = tmp_path / 'file'
    obstacle.write_text('')
    connector, manager = start(site, probe, '/black_box/obstacle', obstacle / 'box')
    heard = connector.listen('/diagnostics')

    def shown() -> tuple[bytes, str]:
        name = 'black_box/obstacle: records'
        found = [part for array in heard for part in array.status if part.name == name]
        return (found[-1].level, found[-1].message) if found else (DiagnosticStatus.STALE, '')

    probe.wait(lambda: shown()[0] == DiagnosticStatus.OK, 'diagnostics without a warning')
    charge(connector)
    assert 'can not be written' in connector.refused('save_black_box')
    connector.reaches(lambda status: status.state == EvseStatus.STATE_CHARGING, 'it charges on')
    failure = f'The black box can not be written to {obstacle / "box"}: Not a directory.'
    probe.wait(lambda: shown()[1].startswith(failure), lambda: f'diagnostics; {shown()}')
    assert shown()[0] == DiagnosticStatus.WARN
    connector.accepted('simulation/inject_fault', fault='rcd_ac')
    probe.wait(lambda: 'After a fault the black box can not be written' in manager.output, 'a warning', 30.0)
    assert 'Traceback' not in manager.output
    obstacle.unlink()
    connector.accepted('save_black_box')
    probe.wait(lambda: shown()[0] == DiagnosticStatus.OK, lambda: f'it is over; {shown()}')


def test_a_connector_without_a_folder_refuses_with_the_reason(site, probe):
    namespace = '/black_box/none'
    connector = Connector(probe, namespace)
    site.board(namespace)
    site.manager(namespace, black_box_folder='""')
    connector.sees('Enabled')
    assert 'black_box_folder' in connector.refused('save_black_box')


def test_an_end_together_with_the_board_is_no_fault(site, probe, tmp_path):
    folder = tmp_path / 'box'
    namespace = '/black_box/end'
    connector = Connector(probe, namespace)
    board = site.board(namespace)
    manager = site.manager(namespace, black_box_folder=str(folder))
    connector.sees('Enabled')
    board.signal(signal.SIGTERM)
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0
    assert not folder.exists()


def test_a_fault_shortly_before_the_end_is_written(site, probe, tmp_path):
    folder = tmp_path / 'box'
    connector, manager = start(site, probe, '/black_box/late', folder)
    charge(connector)
    connector.accepted('simulation/inject_fault', fault='rcd_ac')
    connector.reaches(lambda status: status.active_errors, 'the fault')
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0
    (path,) = folder.glob('*.mcap')
    replayed(path)
