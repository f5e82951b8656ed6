"""
Actions of an operator on a connector, by a key or a button, and which of them need confirmation.

One table for every screen; nothing here imports ROS.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evse_manager.interface.enums import AuthorizationStatus, AuthorizationType, StopTransactionReason
from evse_manager.interface.types import ProvidedIdToken, StopTransactionRequest, ValidationResult


@dataclass(frozen=True)
class Action:
    """A command that takes nothing but the connector."""

    service: str
    """Relative name of the service."""
    label: str
    """One or two words for a button."""
    effect: str
    """The effect, as a question for people; ``{connector}`` stands for the name."""
    confirmed: bool = True
    """Whether it is asked for before: energy may flow, a session ends, or a lock opens."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the request."""

    def question(self, connector: str) -> str:
        """Return what to ask before."""
        return self.effect.format(connector=connector)


PAUSE = Action('pause_charging', 'Pause', 'Pause charging at {connector}?', confirmed=False)
RESUME = Action(
    'resume_charging',
    'Resume',
    'End the pause at {connector}? Energy may flow as soon as the EV asks for it.',
)
STOP = Action(
    'stop_transaction',
    'Stop',
    'Stop the transaction at {connector}? Only a replug begins another one.',
    fields={'request': StopTransactionRequest(reason=StopTransactionReason.LOCAL)},
)
UNLOCK = Action(
    'force_unlock',
    'Unlock',
    'Stop charging at {connector}, open its contactor and unlock the plug?',
    fields={'connector_id': 0},
)
ENABLE = Action(
    'enable',
    'Enable',
    'Make {connector} available? Energy may flow as soon as a token is accepted.',
    fields={'connector_id': 0},
)
DISABLE = Action(
    'disable',
    'Disable',
    'Make {connector} unavailable? A running session is closed in order.',
    fields={'connector_id': 0},
)
CLEAR_FAULT = Action(
    'clear_fault',
    'Clear fault',
    'Reset the latched fault of {connector}? Check first that its cause is gone.',
)

ACTIONS = (PAUSE, RESUME, STOP, UNLOCK, ENABLE, DISABLE, CLEAR_FAULT)
"""In the order of their buttons."""


def authorization(token: str) -> dict[str, Any]:
    """Return the fields of ``authorize_response`` that accept a token, as its operator typed it."""
    return {
        'provided_token': ProvidedIdToken(id_token=token, authorization_type=AuthorizationType.RFID),
        'validation_result': ValidationResult(authorization_status=AuthorizationStatus.ACCEPTED),
    }
