"""
The services of a connector that the manager answers with its kernel, now or later.

While another manager is in command, that one alone answers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node

from evse_manager.charging import inputs
from evse_manager.charging.commands import Answer
from evse_manager.interface import endpoints
from evse_manager.nodes.connector_log import ConnectorLog, write
from evse_manager.nodes.conversions import ConversionError, answer_to_response, refuse, request_to_command
from evse_manager.nodes.runtime import Guard
from evse_manager.nodes.services import DeferredReply, create_service

FAILED = 'the manager failed and withdrew power; see its log.'

Execute = Callable[[inputs.Command, Callable[[Answer], None]], None]
"""Carries out a command, and calls back with its answer now or later."""


class CommandServices:
    """The command services of one connector."""

    def __init__(
        self,
        node: Node,
        guard: Guard,
        journal: ConnectorLog,
        *,
        silent: Callable[[], bool],
        refusal: Callable[[], str],
        execute: Execute,
    ) -> None:
        """
        Offer the services; while ``silent`` another manager answers.

        ``refusal`` returns why no command can be carried out at present, and nothing when one can.
        """
        self._log = node.get_logger()
        self._connector_id: int = node.get_parameter('connector_id').value
        self._guard = guard
        self._journal = journal
        self._silent = silent
        self._refusal = refusal
        self._execute = execute
        create_service(node, endpoints.GET_ID, self._on_get_id)
        for service in endpoints.COMMANDS:
            command = getattr(inputs, endpoints.command_name(service))
            create_service(node, service, partial(self._on_command, service.name, command))

    def _on_get_id(self, _request: Any, reply: DeferredReply) -> None:
        if not self._silent():
            reply.response.connector_id = self._connector_id
            reply.give()

    def _on_command(self, name: str, command: type, request: Any, reply: DeferredReply) -> None:
        """Answer a command at once when it can't reach the manager, else when the manager does."""
        if self._silent():
            return
        try:
            refusal = self._refusal() or self._deliver(name, command, request, reply)
        except Exception as error:  # noqa: BLE001 - an entry point: power is withdrawn, and the caller gets an answer
            self._guard.failed(name, error)
            refusal = FAILED
        if refusal and not reply.given:
            write(self._log, self._journal.refused(name, refusal))
            refuse(reply.response, f'{name} refused: {refusal}')
            reply.give()

    def _deliver(self, name: str, command: type, request: Any, reply: DeferredReply) -> str:
        """Give a command to the kernel; return why its request is malformed, or nothing."""
        try:
            value = command() if command is inputs.ClearFault else request_to_command(request, command)
        except ConversionError as error:
            return str(error)
        self._execute(value, partial(self._answer, name, reply))
        return ''

    def _answer(self, name: str, reply: DeferredReply, answer: Answer) -> None:
        if not answer.success:
            write(self._log, self._journal.refused(name, answer.message))
        answer_to_response(answer, reply.response)
        reply.give()
