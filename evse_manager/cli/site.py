"""``evse token`` and ``evse reservations``: the authorization of a site."""

import random
import sys
from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from typing import Any

from evse_manager.cli.errors import ExitCode, NotFoundError, UsageError
from evse_manager.cli.formatting import iso
from evse_manager.cli.graph import Graph, absolute, choose_site
from evse_manager.cli.json_output import emit, record
from evse_manager.cli.parser import FIND_S
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Service, Topic
from evse_manager.interface.enums import ReservationStatus, TokenResultEnum
from evse_manager.interface.tokens import masked
from evse_manager.interface.types import ProvidedIdToken, SiteReservations, TokenResult
from evse_manager.nodes.conversions import from_message, to_message
from evse_manager.nodes.topics import publisher, subscribe

_TOPICS: Mapping[str, Topic] = {
    each.name: each for each in (*endpoints.AUTHORIZATION_TOPICS, endpoints.TOKEN)
}
_SERVICES: Mapping[str, Service] = {each.name: each for each in endpoints.AUTHORIZATION_SERVICES}

DONE = (TokenResultEnum.ACCEPTED, TokenResultEnum.USED_TO_STOP_TRANSACTION, TokenResultEnum.WAITING_FOR_CAR)
"""Results that do what the token was presented for."""


def run_token(given: Namespace, graph: Graph) -> ExitCode:
    """Present a token to the site, or at one connector, and print what became of it."""
    find_s = given.timeout or FIND_S
    site = _site(graph, given.site, find_s)
    results: list[TokenResult] = []
    own, number = masked(given.token), random.getrandbits(31)

    def heard(message: Any) -> None:
        result = from_message(message, TokenResult)
        if result.request_id == number:
            results.append(result)

    row = _TOPICS['token_results']
    results_path = absolute(site, row.name)
    subscribe(graph.node, row, heard, results_path)
    where = _TOPICS['token' if given.connector else 'tokens']
    path = absolute(given.connector or site, where.name)
    tokens = publisher(graph.node, where, path)

    def connected() -> bool:
        return tokens.get_subscription_count() > 0 and graph.node.count_publishers(results_path) > 0

    if not graph.wait_until(connected, find_s, f'who reads {path}'):
        raise NotFoundError(f'nothing reads {path} within {find_s:g} s; is the connector one of {site}?')
    tokens.publish(to_message(ProvidedIdToken(given.token, given.type, number)))
    if not graph.wait_until(lambda: bool(results), find_s):
        raise NotFoundError(f'{site} did not say within {find_s:g} s what became of the token')
    result = results[0]
    if given.json:
        emit({'site': site, **record(result)})
    else:
        place = f' at {result.connector}' if result.connector else ''
        words = result.result.name.lower().replace('_', ' ')
        text = f'{own}{place}: {words}{": " + result.reason if result.reason else ""}'
        print(text, file=sys.stdout if result.result in DONE else sys.stderr)
    return ExitCode.OK if result.result in DONE else ExitCode.REFUSED


def run_reservations(given: Namespace, graph: Graph) -> ExitCode:
    """List, make or cancel reservations of a site."""
    find_s = given.timeout or FIND_S
    site = _site(graph, given.site, find_s)
    if given.add and given.cancel is not None:
        raise UsageError('give --add or --cancel, not both')
    if given.add:
        return _add(given, graph, site, find_s)
    if given.cancel is not None:
        answer = _call(graph, site, 'cancel_reservation', find_s, reservation_id=given.cancel)
        return print_answer(given, site, answer, f'reservation {given.cancel} is cancelled')
    return _list(given, graph, site, find_s)


def _add(given: Namespace, graph: Graph, site: str, find_s: float) -> ExitCode:
    from builtin_interfaces.msg import Duration  # noqa: PLC0415 - this command alone needs it

    answer = _call(
        graph,
        site,
        'reserve',
        find_s,
        id_token=given.add,
        parent_id_token=given.parent,
        connector=given.at or '',
        duration=Duration(sec=round(given.minutes * 60.0)),
    )
    status = ReservationStatus(answer.status).name.lower()
    if not answer.success and not given.json:
        print(f'evse: {site}: {status}: {answer.message}', file=sys.stderr)
        return ExitCode.REFUSED
    return print_answer(given, site, answer, f'reservation {answer.reservation_id} is made')


def _list(given: Namespace, graph: Graph, site: str, find_s: float) -> ExitCode:
    heard: list[SiteReservations] = []
    row = _TOPICS['reservations']
    subscribe(
        graph.node,
        row,
        lambda message: heard.append(from_message(message, SiteReservations)),
        absolute(site, row.name),
    )
    if not graph.wait_until(lambda: bool(heard), find_s):
        raise NotFoundError(f'{site} did not say within {find_s:g} s what is reserved')
    for each in heard[-1].reservations:
        if given.json:
            emit({'site': site, **record(each)})
        else:
            group = f' or group {each.parent_token}' if each.parent_token else ''
            print(
                f'{each.reservation_id}: {each.connector or "any connector"} for '
                f'{each.token or "any token"}{group} until {iso(each.expiry_time)}'
            )
    if not heard[-1].reservations and not given.json:
        print(f'{site}: nothing is reserved')
    return ExitCode.OK


def print_answer(given: Namespace, site: str, answer: Any, text: str) -> ExitCode:
    """Print the answer of a service: ``text`` when it was accepted, else the reason, to stderr."""
    if given.json:
        emit({'site': site, 'success': answer.success, 'message': answer.message})
    elif answer.success:
        print(f'{site}: {text}')
    else:
        print(f'evse: {site}: {answer.message}', file=sys.stderr)
    return ExitCode.OK if answer.success else ExitCode.REFUSED


def _site(graph: Graph, wanted: str | None, limit_s: float) -> str:
    hint = ' (a connector without one takes evse authorize and evse reserve)'
    sites = partial(graph.offering, _SERVICES['reserve'])
    return choose_site(graph, wanted, limit_s, sites, missing='authorization node', hint=hint)


def _call(graph: Graph, site: str, name: str, limit_s: float, **fields: Any) -> Any:
    row = _SERVICES[name]
    kind = endpoints.load(row.type)
    client = graph.node.create_client(kind, absolute(site, name))
    if not graph.wait_until(client.service_is_ready, limit_s, absolute(site, name)):
        raise NotFoundError(f'{site} offers no {name} within {limit_s:g} s; does its authorization node run?')
    future = client.call_async(kind.Request(**fields))
    if not graph.wait_until(future.done, max(limit_s, FIND_S) + 2.0):
        raise NotFoundError(f'{site} did not answer {name} in time')
    return future.result()
