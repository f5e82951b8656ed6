"""The outputs of one reaction, and who waits for the answers to the calls that were made."""

import itertools
from collections.abc import Callable

from evse_manager.authorization.events import (
    AuthorizationOutput,
    Authorize,
    Call,
    Mark,
    StopCall,
    TokenOutcome,
    Unmark,
    Validation,
    ValidationAnswer,
    Withdraw,
)
from evse_manager.interface.enums import TokenResultEnum
from evse_manager.interface.types import ProvidedIdToken

Done = Callable[[bool | None, str], None]
"""Gets the result of a call (None = no answer) and its message."""


class Outbox:
    """Collects outputs; a ticket belongs to one call or validation and is used once."""

    def __init__(self) -> None:
        self._output = AuthorizationOutput()
        self._tickets = itertools.count(1)
        self._waiting: dict[int, Done] = {}

    def call(
        self, connector: str, command: Authorize | Withdraw | StopCall | Mark | Unmark, done: Done
    ) -> None:
        """Call a connector; ``done`` is called once, with the answer or without."""
        ticket = next(self._tickets)
        self._waiting[ticket] = done
        self._output.calls.append(Call(ticket, connector, command))

    def validate(self, token: ProvidedIdToken, connectors: tuple[str, ...]) -> int:
        """Ask about a token; return the ticket of the answer."""
        ticket = next(self._tickets)
        self._output.validations.append(Validation(ticket, token, connectors))
        return ticket

    def answered(self, ticket: int, success: bool | None, message: str) -> None:
        """Hand an answer to who waits for it; one that is not waited for is ignored."""
        done = self._waiting.pop(ticket, None)
        if done is not None:
            done(success, message)

    def answer(self, answer: ValidationAnswer) -> None:
        """Answer a request."""
        self._output.answers.append(answer)

    def outcome(
        self,
        id_token: str,
        result: TokenResultEnum,
        connector: str = '',
        reason: str = '',
        request_id: int | None = None,
    ) -> None:
        """Report what became of a token."""
        self._output.outcomes.append(TokenOutcome(id_token, result, connector, reason, request_id))

    def take(self) -> AuthorizationOutput:
        """Return what was collected, and begin again."""
        output, self._output = self._output, AuthorizationOutput()
        return output
