"""``evse site`` and ``evse site limit``: how the power of a site is divided, and limits at its nodes."""

import time
from argparse import Namespace

from evse_manager.cli.errors import ExitCode, NotFoundError, UsageError
from evse_manager.cli.graph import Graph, absolute, choose_site
from evse_manager.cli.json_output import emit, record
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.site import print_answer
from evse_manager.cli.site_tree import limit_text, tree_lines
from evse_manager.interface import endpoints
from evse_manager.interface.types import SiteLimit, SiteStatus, Time
from evse_manager.nodes.conversions import to_message

_STATUS, _SET = endpoints.topic('site/status'), endpoints.SET_SITE_LIMIT


def run_site(given: Namespace, graph: Graph) -> ExitCode:
    """Print the tree of a site once."""
    find_s = given.timeout or FIND_S
    site = _site(graph, given.site, find_s)
    status = _status(graph, site, find_s)
    if given.json:
        emit({'site': site, **record(status)})
        return ExitCode.OK
    print(f'{site}: {status.name}')
    for line in tree_lines(status):
        print(line)
    return ExitCode.OK


def run_site_limit(given: Namespace, graph: Graph) -> ExitCode:
    """Set the limit of one source at a node, or clear it."""
    find_s = given.timeout or FIND_S
    given_values = given.limit_a is not None, given.power is not None
    if any(given_values) == given.none:
        raise UsageError('give a limit (evse site limit grid 40), or --none to clear it')
    if given.none and given.for_s is not None:
        raise UsageError('--none clears the limit at once; leave --for out')
    site = _site(graph, given.site, find_s)
    expires = None if given.for_s is None else Time(time.time_ns() + round(given.for_s * 1e9))
    limit = SiteLimit(given.node, given.source, given.priority, given.limit_a, given.power, expires=expires)
    kind = endpoints.load(_SET.type)
    client = graph.node.create_client(kind, absolute(site, _SET.name))
    if not graph.wait_until(client.service_is_ready, find_s, absolute(site, _SET.name)):
        raise NotFoundError(f'{site} takes no limits within {find_s:g} s; does its energy manager run?')
    message = to_message(limit)
    names = message.get_fields_and_field_types()
    future = client.call_async(kind.Request(**{name: getattr(message, name) for name in names}))
    if not graph.wait_until(future.done, max(find_s, FIND_S)):
        raise NotFoundError(f'{site} did not answer in time; the limit may be set, look with evse site')
    answer = future.result()
    done = f'the limit of {limit.source} at {limit.node} is cleared' if given.none else limit_text(limit)
    return print_answer(given, site, answer, f'{done}{f" ({answer.message})" if answer.message else ""}')


def _site(graph: Graph, wanted: str | None, limit_s: float) -> str:
    def sites() -> list[str]:
        return graph.namespaces(graph.publishers_of(_STATUS.name), _STATUS.name)

    return choose_site(graph, wanted, limit_s, sites, missing='energy manager')


def _status(graph: Graph, site: str, limit_s: float) -> SiteStatus:
    heard: list[SiteStatus] = []
    graph.listen(site, _STATUS.name, SiteStatus, heard.append)
    if not graph.wait_until(lambda: bool(heard), limit_s):
        raise NotFoundError(f'{site} said nothing within {limit_s:g} s; does its energy manager run?')
    return heard[-1]
