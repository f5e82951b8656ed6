"""What an engineer reads in the log: every transition once on /rosout, with connector, session and code."""

from collections.abc import Callable

import pytest
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile

from evse_manager.interface import types
from evse_manager.interface.enums import SessionEventEnum
from evse_manager.interface.tokens import masked
from evse_manager.nodes.connector_log import ConnectorLog
from harness import Connector, Probe, Site

pytestmark = pytest.mark.timeout(150)

INFO, WARNING, ERROR = 20, 30, 40
"""``Log.INFO`` and so on, which some versions of rclpy have as bytes."""

ROSOUT = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def level(value: object) -> int:
    return value[0] if isinstance(value, bytes) else int(str(value))


def test_every_transition_is_logged_once_and_nothing_periodically(site: Site, probe: Probe) -> None:
    namespace = '/connector_log'
    lines: list[Log] = probe.listen('rcl_interfaces/msg/Log', '/rosout', ROSOUT)
    connector = Connector(probe, namespace)
    states = connector.listen('board/state')
    board = site.board(namespace)
    probe.wait(lambda: states, 'a board')
    site.manager(namespace, connector_id=7)
    connector.sees('Enabled')

    def of_manager() -> list[Log]:
        return [line for line in lines if line.name == 'connector_log.evse_manager']

    def logged(text: str, severity: int, times: int = 1) -> Log:
        """Wait for a line with a text; return it after a look that it came once."""
        found: Callable[[], list[Log]] = lambda: [line for line in of_manager() if text in line.msg]  # noqa: E731
        probe.wait(lambda: len(found()) >= times, lambda: f'{text}: {[line.msg for line in of_manager()]}')
        assert len(found()) == times, [line.msg for line in found()]
        assert {level(line.level) for line in found()} == {severity}
        assert all(line.msg.startswith('connector=7') for line in found())
        return found()[-1]

    logged('Enabled', INFO)
    logged('Link the board answers.', INFO)
    connector.charge()
    session = connector.all_events[-1].uuid
    for code in (
        'SessionStarted',
        'AuthRequired',
        'TransactionStarted',
        'PrepareCharging',
        'ChargingStarted',
    ):
        assert f'session={session} ' in logged(f' {code}', INFO).msg
    assert 'token=*****' in logged('TransactionStarted', INFO).msg
    connector.refused('reserve', reservation_id=5)
    logged('reserve refused', WARNING)
    count = len(of_manager())
    probe.spin(4.0)
    assert len(of_manager()) == count, [line.msg for line in of_manager()[count:]]

    connector.accepted('simulation/inject_fault', fault='rcd_dc')
    connector.reaches(lambda status: status.active_errors, 'an error')
    assert f'session={session} ' in logged('RcdDc', ERROR).msg
    connector.accepted('simulation/clear_fault', fault='')
    connector.accepted('simulation/unplug')
    assert 'reason=' in logged('TransactionFinished', INFO).msg
    logged('SessionFinished', INFO)
    board.stop()
    logged('Link the board does not answer.', WARNING)


@pytest.mark.parametrize('token', ['X', 'CARD', 'TOKEN', 'ROBOT7', 'ROBOT-7', 'B0A01234567890'])
def test_a_token_is_masked_as_everywhere_else(token: str) -> None:
    started = types.TransactionStarted(id_tag=types.ProvidedIdToken(id_token=token))
    event = types.SessionEvent(event=SessionEventEnum.TRANSACTION_STARTED, transaction_started=started)
    _, line = ConnectorLog(1).event(event)
    assert line.endswith(f'token={masked(token)}')
    assert token not in line
