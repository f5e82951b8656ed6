"""Subcommands that call one service of a connector."""

import sys
from argparse import Namespace

from evse_manager.cli import formatting
from evse_manager.cli.calls import SLOW, call_service
from evse_manager.cli.commands import Command
from evse_manager.cli.errors import ExitCode
from evse_manager.cli.graph import Graph, ServiceReply
from evse_manager.cli.json_output import emit
from evse_manager.cli.parser import FIND_S
from evse_manager.interface.text import printable


def run_call(given: Namespace, graph: Graph) -> ExitCode:
    """Call the service and print its result."""
    command: Command = given.command
    fields = command.request(given)
    find_s = given.timeout or FIND_S
    namespace = graph.choose(given.connector, find_s, graph.simulations if command.simulated else None)
    answer_s = given.timeout or SLOW.get(command.service, FIND_S)
    reply = call_service(graph, namespace, command.service, fields, find_s=find_s, answer_s=answer_s)
    report(command, reply, given.json)
    return ExitCode.OK if reply.success else ExitCode.REFUSED


def report(command: Command, reply: ServiceReply, as_json: bool) -> None:
    """Print the answer: to stdout when it was accepted, the reason to stderr when it was refused."""
    if as_json:
        emit(
            {
                'connector': reply.connector,
                'service': reply.service,
                'success': reply.success,
                'message': reply.message,
                **reply.fields,
            }
        )
    if not reply.success:
        result = reply.fields.get('result')
        reason = (
            reply.message
            or f'{command.words} refused: {formatting.camel(result) if result else "no reason given"}'
        )
        print(printable(f'evse: {reply.connector}: {reason}'), file=sys.stderr)
    elif not as_json:
        connector_id = reply.fields.get('connector_id')
        print(
            connector_id
            if connector_id is not None
            else printable(f'{reply.connector}: {reply.message or "accepted"}')
        )
