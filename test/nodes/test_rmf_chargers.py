"""The connectors as chargers of Open-RMF: states, assignments, and the refusal without its messages."""

import sys
from typing import Any

import pytest

from evse_manager.interface.enums import Availability, ChargerState, ErrorEnum, LinkState
from evse_manager.interface.types import Error, EvseStatus
from evse_manager.nodes.parameters import ParameterError
from evse_manager.nodes.rmf_bridge import charger_names, messages_of_rmf
from evse_manager.nodes.rmf_chargers import (
    NAME_LENGTH,
    ROBOTS_MAX,
    Assignments,
    Charger,
    RmfState,
    Robot,
    charger,
)

CHARGE, WAIT = 0, 1
HERE = Robot('fleet_a', 'robot_1')


def status(**fields: Any) -> EvseStatus:
    return EvseStatus(
        **{
            'state': ChargerState.IDLE,
            'availability': Availability.ENABLED,
            'link_state': LinkState.UP,
            'reason_text': 'why',
            **fields,
        }
    )


BROKEN = (Error(ErrorEnum.RELAIS, 'Weld: open.'),)


@pytest.mark.parametrize(
    ('seen', 'robot', 'expected'),
    [
        (status(), None, Charger(RmfState.IDLE)),
        (status(), HERE, Charger(RmfState.ASSIGNED, robot=HERE)),
        (status(plugged=True, session_uuid='u'), None, Charger(RmfState.ASSIGNED, request_id='u')),
        (
            status(transaction_active=True, plugged=True, session_uuid='u', state=ChargerState.CHARGING),
            HERE,
            Charger(RmfState.CHARGING, request_id='u', robot=HERE),
        ),
        (
            status(plugged=True, session_uuid='u', state=ChargerState.FINISHED),
            HERE,
            Charger(RmfState.RELEASED, request_id='u', robot=HERE),
        ),
        (status(active_errors=BROKEN), None, Charger(RmfState.ERROR, 'why')),
        (status(active_errors=BROKEN, transaction_active=True), None, Charger(RmfState.ERROR, 'why')),
        (status(availability=Availability.DISABLED), None, Charger(RmfState.ERROR, 'why')),
        (status(availability=Availability.FAULTED), HERE, Charger(RmfState.ERROR, 'why', robot=HERE)),
        (status(link_state=LinkState.LOST), None, Charger(RmfState.ERROR, 'why')),
    ],
)
def test_the_state_of_a_charger(seen: EvseStatus, robot: Robot | None, expected: Charger) -> None:
    assert charger(seen, 0.0, robot) == expected


@pytest.mark.parametrize(('seen', 'age_s'), [(None, 0.0), (status(), 5.0)])
def test_a_connector_that_does_not_report_is_an_error(seen: EvseStatus | None, age_s: float) -> None:
    silent = charger(seen, age_s, HERE)
    assert silent.state is RmfState.ERROR
    assert 'does not report' in silent.error


def test_a_robot_is_at_the_waypoint_that_it_was_sent_to_last() -> None:
    assignments = Assignments()
    assert assignments.take('fleet_a', [('robot_1', 'bay_1', CHARGE), ('robot_2', 'bay_2', WAIT)]) == ''
    assert assignments.robot_at('bay_1') == HERE
    assert assignments.robot_at('bay_2') is None
    assignments.take('fleet_a', [('robot_1', 'bay_2', CHARGE)])
    assert (assignments.robot_at('bay_1'), assignments.robot_at('bay_2')) == (None, HERE)
    assignments.take('fleet_b', [('robot_1', 'bay_2', CHARGE)])
    assert assignments.robot_at('bay_2') == Robot('fleet_b', 'robot_1')
    assignments.take('fleet_b', [('robot_1', 'parking', WAIT)])
    assert assignments.robot_at('bay_2') == HERE


@pytest.mark.parametrize(
    'assignment',
    [
        ('', 'bay_1', CHARGE),
        ('robot_1', '', CHARGE),
        ('r' * (NAME_LENGTH + 1), 'bay_1', CHARGE),
        ('r', 'b', 7),
    ],
)
def test_an_assignment_that_makes_no_sense_is_ignored_with_the_reason(
    assignment: tuple[str, str, int],
) -> None:
    assignments = Assignments()
    assert assignments.take('fleet_a', [assignment, ('robot_2', 'bay_2', CHARGE)]).endswith('.')
    assert assignments.robot_at('bay_1') is None
    assert assignments.robot_at('bay_2') == Robot('fleet_a', 'robot_2')


def test_a_flood_of_robots_is_bounded() -> None:
    assignments = Assignments()
    many = [(f'robot_{number}', 'bay_1', CHARGE) for number in range(ROBOTS_MAX + 1)]
    assert str(ROBOTS_MAX) in assignments.take('fleet_a', many)
    assert assignments.robot_at('bay_1') == Robot('fleet_a', f'robot_{ROBOTS_MAX - 1}')


def test_chargers_are_named_by_their_connector_or_by_the_parameter() -> None:
    assert charger_names('', '/depot') == {}
    named = charger_names('dock_7=bay_1, dock_8=/hall/bay_2', '/depot')
    assert named == {'/depot/bay_1': 'dock_7', '/hall/bay_2': 'dock_8'}
    for wrong in ('dock_7', '=bay_1', 'dock_7=', 'dock_7=bay_1,dock_7=bay_2'):
        with pytest.raises(ParameterError, match='waypoint=connector'):
            charger_names(wrong, '/depot')


def test_without_the_messages_of_open_rmf_one_sentence_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, 'rmf_charger_msgs.msg', None)
    with pytest.raises(ParameterError, match='rmf_charger_msgs and rmf_fleet_msgs; install') as refusal:
        messages_of_rmf()
    assert str(refusal.value).count('\n') == 0
