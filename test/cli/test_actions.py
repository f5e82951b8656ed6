"""The operator's actions: each is a service, and what moves energy or opens a lock is asked for first."""

import pytest

from evse_manager.cli.actions import ACTIONS, PAUSE, Action
from evse_manager.interface import endpoints


@pytest.mark.parametrize('action', ACTIONS, ids=lambda action: action.service)
def test_an_action_is_a_command_of_the_interface(action: Action) -> None:
    assert endpoints.service(action.service) in endpoints.COMMANDS


def test_only_a_pause_needs_no_confirmation() -> None:
    assert [action for action in ACTIONS if not action.confirmed] == [PAUSE]


@pytest.mark.parametrize('action', ACTIONS, ids=lambda action: action.service)
def test_a_question_names_the_connector_once(action: Action) -> None:
    assert action.question('/depot/bay_1').count('/depot/bay_1') == 1
    assert '?' in action.question('')
