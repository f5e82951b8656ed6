"""Two boards, two managers, two complete connectors in one namespace, over DDS: one pair is in command."""

import pytest

from evse_manager.msg import BoardState, ContactorState, EvseStatus
from harness import Connector, Probe, Site

pytestmark = pytest.mark.timeout(150)


def closed_boards(states: list[BoardState]) -> set[str]:
    return {state.board_id for state in states if state.contactor == ContactorState.CLOSED}


def test_a_second_complete_connector_never_closes_and_everybody_can_read_why(
    site: Site, probe: Probe
) -> None:
    namespace = '/one_in_command'
    connector = Connector(probe, namespace)
    states: list[BoardState] = connector.listen('board/state')
    site.board(namespace)
    site.manager(namespace)
    connector.sees('Enabled')
    connector.reaches(lambda status: status.state == EvseStatus.STATE_IDLE, 'idle')
    in_command = probe.wait(lambda: states and states[-1].board_id, 'a state that names its board')
    assert in_command.startswith(f'{namespace}/board_support ')

    site.board(namespace)
    second = site.manager(namespace)
    probe.wait(lambda: len({state.board_id for state in states}) == 2, 'a second board')
    connector.reaches(
        lambda status: any('Another board node' in warning for warning in status.warnings), 'a warning'
    )
    probe.wait(lambda: 'StandsBy' in second.output, lambda: second.output)
    probe.spin(0.5)  # what the second one said before it heard the first arrives
    connector.forget()

    connector.accepted('simulation/plug_in')
    connector.sees('SS AR')
    connector.authorize()
    connector.sees('TS PC CS')
    probe.wait(lambda: closed_boards(states), 'closed')
    probe.spin(3.0)
    assert closed_boards(states) == {in_command}
    assert connector.codes == []


def test_a_second_manager_is_silent_until_the_first_is_gone(site: Site, probe: Probe) -> None:
    namespace = '/second_manager'
    connector = Connector(probe, namespace)
    site.board(namespace)
    first = site.manager(namespace)
    connector.sees('Enabled')
    statuses = connector.listen('status')
    second = site.manager(namespace)
    probe.wait(lambda: 'StandsBy' in second.output, lambda: second.output)
    connector.reaches(lambda status: status.state == EvseStatus.STATE_IDLE, 'idle')
    connector.forget()
    since = len(statuses)
    probe.spin(4.0)
    assert connector.codes == []
    assert len(statuses) - since <= 6, 'two managers publish'
    first.stop()
    connector.sees('Enabled', 20.0)
    connector.charge()
