"""
Who may use which topic, service and action: the roles of a depot, and their SROS 2 policy.

The roles follow from the tables of ``endpoints.py``; only what a role uses of another's is written here.
``config/security/policies.xml`` is this module's text for any namespace.  For the namespaces of one depot::

    python3 -m evse_manager.interface.security --connectors /depot/bay_1 /depot/bay_2 --site /depot
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from xml.sax.saxutils import escape

from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party, Service, Topic

ANY_NAMESPACE = '/*'
"""In a policy ``*`` stands for any text, slashes included."""

CONNECTOR_TOPICS = (*endpoints.TOPICS, endpoints.TOKEN, endpoints.KEEP_ALIVE)
SITE_TOPICS = (
    *endpoints.SITE_TOPICS,
    endpoints.MARKERS,
    *endpoints.AUTHORIZATION_TOPICS,
    *endpoints.DIAGNOSTIC_TOPICS,
)
CONNECTOR_SERVICES = endpoints.SERVICES
SITE_SERVICES = (*endpoints.SITE_SERVICES, *endpoints.AUTHORIZATION_SERVICES, endpoints.VALIDATE_TOKEN)

OF_EVERY_NODE = ('/rosout', '/parameter_events')
"""Topics that every node of ROS 2 publishes."""

READING_PARAMETERS = ('describe_parameters', 'get_parameter_types', 'get_parameters', 'list_parameters')
SETTING_PARAMETERS = ('set_parameters', 'set_parameters_atomically')
NODE_SERVICES = (*READING_PARAMETERS, *SETTING_PARAMETERS, 'get_type_description')
"""Services that every node of ROS 2 offers, below its name."""

READING = (endpoints.GET_ID, *endpoints.RECORD_SERVICES)
"""Services that change nothing."""

AUTHORIZING = (
    'authorize_response',
    'withdraw_authorization',
    'stop_transaction',
    'reserve',
    'cancel_reservation',
)
"""Commands of a connector that the authorization of a site calls."""

TOKENS = {
    topic.name for topic in (*CONNECTOR_TOPICS, *SITE_TOPICS) if topic.subscriber is Party.AUTHORIZATION
}
"""Topics with whole tokens: for the authorization alone."""


@dataclass(frozen=True, slots=True)
class Space:
    """The namespaces of a depot: of its connectors, of its site, and the topics of its fuses' meters."""

    connectors: Sequence[str] = (ANY_NAMESPACE,)
    sites: Sequence[str] = (ANY_NAMESPACE,)
    meters: Sequence[str] = (f'{ANY_NAMESPACE}/grid_meter',)

    def of_connectors(self, names: Iterable[str]) -> list[str]:
        """Return names of a connector as absolute names at every connector."""
        return _absolute(self.connectors, names)

    def of_site(self, names: Iterable[str]) -> list[str]:
        """Return names of a site as absolute names."""
        return _absolute(self.sites, names)

    def above_connectors(self) -> list[str]:
        """Return the namespaces above the connectors, the root included: in one of them is their site."""
        parts = [each.strip('/').split('/') for each in self.connectors]
        return sorted({'/' + '/'.join(names[:count]) for names in parts for count in range(len(names))})


@dataclass(slots=True)
class Rights:
    """The absolute names that a role may use; everything else is refused."""

    publish: set[str] = field(default_factory=set)
    subscribe: set[str] = field(default_factory=set)
    reply: set[str] = field(default_factory=set)
    request: set[str] = field(default_factory=set)
    execute: set[str] = field(default_factory=set)
    call: set[str] = field(default_factory=set)


def _absolute(namespaces: Sequence[str], names: Iterable[str]) -> list[str]:
    found = list(names)
    return [
        name if name.startswith('/') else f'{each.rstrip("/")}/{name}'
        for each in namespaces
        for name in found
    ]


def _names(rows: Iterable[Topic | Service]) -> list[str]:
    return [row.name for row in rows]


def _node(space: Space, party: Party) -> Rights:
    """Return what follows from the tables for a node of the package, or for one that is beside it."""
    rights = Rights(publish=set(OF_EVERY_NODE))
    for topics, place in ((CONNECTOR_TOPICS, space.of_connectors), (SITE_TOPICS, space.of_site)):
        rights.publish.update(place(_names(topic for topic in topics if topic.publisher is party)))
        rights.subscribe.update(place(_names(topic for topic in topics if topic.subscriber is party)))
    for services, place in ((CONNECTOR_SERVICES, space.of_connectors), (SITE_SERVICES, space.of_site)):
        rights.reply.update(place(_names(service for service in services if service.server is party)))
    return rights


def _own_services(party: Party) -> list[str]:
    return [f'{party}/{name}' for name in NODE_SERVICES]


def manager(space: Space) -> Rights:
    """Return the rights of the manager of a connector."""
    rights = _node(space, Party.MANAGER)
    rights.reply.update(space.of_connectors(_own_services(Party.MANAGER)))
    rights.execute.update(space.of_connectors([endpoints.CHARGE_NAME]))
    # A charge goal that the site authorizes (goal_authorization site) presents its token like a reader.
    rights.publish.update(space.of_connectors([endpoints.TOKEN.name]))
    results = endpoints.TOKEN_RESULTS.name
    rights.subscribe.update((*space.of_site([results]), *_absolute(space.above_connectors(), [results])))
    return rights


def board(space: Space) -> Rights:
    """Return the rights of the board node of a connector."""
    rights = _node(space, Party.BOARD)
    rights.reply.update(space.of_connectors(_own_services(Party.BOARD)))
    return rights


def energy_manager(space: Space) -> Rights:
    """Return the rights of the energy manager of a site."""
    rights = _node(space, Party.ENERGY)
    rights.reply.update(space.of_site(_own_services(Party.ENERGY)))
    # Another energy manager that stands by, and the meters at the fuses.
    rights.subscribe.update((*space.of_site(_names(endpoints.SITE_TOPICS)), *space.meters))
    return rights


def authorization(space: Space) -> Rights:
    """Return the rights of the authorization node of a site."""
    rights = _node(space, Party.AUTHORIZATION)
    rights.reply.update(space.of_site(_own_services(Party.AUTHORIZATION)))
    rights.subscribe.update(space.of_connectors(['status', 'session_event']))
    rights.request.update(space.of_connectors(AUTHORIZING))
    rights.request.update(space.of_site([endpoints.VALIDATE_TOKEN.name]))
    return rights


def site_markers(space: Space) -> Rights:
    """Return the rights of the node that draws a site for RViz."""
    rights = _node(space, Party.MARKERS)
    rights.reply.update(space.of_site(_own_services(Party.MARKERS)))
    rights.reply.update(f'/{name}' for name in _own_services(Party.MARKERS))  # in whatever namespace it runs
    rights.subscribe.update(space.of_connectors(['status']))
    return rights


def depot(space: Space) -> Rights:
    """Return the rights of the processes of ``depot``: all of its workers share one enclave."""
    workers = Rights(reply={'/depot_*/get_type_description'})  # each has a node for its diagnostics
    return union(manager(space), board(space), energy_manager(space), authorization(space), workers)


def _of_others() -> Rights:
    """Return what every node of ROS 2 has, for nodes whose names are not known here."""
    return Rights(publish=set(OF_EVERY_NODE), reply={f'{ANY_NAMESPACE}/{name}' for name in NODE_SERVICES})


def hlc(space: Space) -> Rights:
    """Return the rights of a node for high-level communication (ISO 15118)."""
    return union(_of_others(), _node(space, Party.HLC))


def _tokens(space: Space) -> set[str]:
    at_connector = [topic.name for topic in CONNECTOR_TOPICS if topic.name in TOKENS]
    of_site = [topic.name for topic in SITE_TOPICS if topic.name in TOKENS]
    return {*space.of_connectors(at_connector), *space.of_site(of_site)}


def reader(space: Space) -> Rights:
    """Return the rights of a reader of tokens."""
    return union(_of_others(), Rights(publish=_tokens(space)))


def back_end(space: Space) -> Rights:
    """Return the rights of a bridge to a back end that says which tokens may charge."""
    return union(_of_others(), Rights(reply=set(space.of_site([endpoints.VALIDATE_TOKEN.name]))))


def robot(space: Space) -> Rights:
    """Return the rights of a robot that charges by the action."""
    charging = Rights(
        publish=set(space.of_connectors([endpoints.KEEP_ALIVE.name])),
        subscribe=set(space.of_connectors(['status', 'battery_state'])),
        call=set(space.of_connectors([endpoints.CHARGE_NAME])),
    )
    return union(_of_others(), charging)


def observer(space: Space) -> Rights:
    """Return the rights of whoever looks, records and plots: everything but whole tokens, and no command."""
    read = [f'{party}/{name}' for party in (Party.MANAGER, Party.BOARD) for name in READING_PARAMETERS]
    of_site = [
        f'{party}/{name}' for party in (Party.ENERGY, Party.AUTHORIZATION) for name in READING_PARAMETERS
    ]
    reading = Rights(
        subscribe={
            *OF_EVERY_NODE,
            *space.of_connectors(topic.name for topic in CONNECTOR_TOPICS if topic.name not in TOKENS),
            *space.of_site(topic.name for topic in SITE_TOPICS if topic.name not in TOKENS),
        },
        request={*space.of_connectors([*_names(READING), *read]), *space.of_site(of_site)},
    )
    return union(_of_others(), reading)


def recorder(space: Space) -> Rights:
    """Return the rights of ``evse record``: an observer that also receives tokens, and masks them."""
    return union(observer(space), Rights(subscribe=_tokens(space)))


def operator(space: Space) -> Rights:
    """Return the rights of whoever also commands, over the command line, the window or rqt."""
    write = [f'{party}/{name}' for party in (Party.MANAGER, Party.BOARD) for name in SETTING_PARAMETERS]
    of_site = [
        f'{party}/{name}' for party in (Party.ENERGY, Party.AUTHORIZATION) for name in SETTING_PARAMETERS
    ]
    services = [service for service in SITE_SERVICES if service is not endpoints.VALIDATE_TOKEN]
    commands = Rights(
        publish=set(space.of_connectors([endpoints.KEEP_ALIVE.name])),
        request={
            *space.of_connectors([*_names(CONNECTOR_SERVICES), *write]),
            *space.of_site([*_names(services), *of_site]),
        },
        call=set(space.of_connectors([endpoints.CHARGE_NAME])),
    )
    return union(observer(space), commands, reader(space))


def union(*parts: Rights) -> Rights:
    """Return what one of several may do."""
    return Rights(
        *(set().union(*(getattr(part, name) for part in parts)) for name in Rights.__dataclass_fields__)
    )


ROLES = {
    'manager': manager,
    'board': board,
    'energy_manager': energy_manager,
    'authorization': authorization,
    'site_markers': site_markers,
    'depot': depot,
    'hlc': hlc,
    'reader': reader,
    'back_end': back_end,
    'robot': robot,
    'observer': observer,
    'recorder': recorder,
    'operator': operator,
}
"""Every role, by the last part of its enclave ``/evse/…``."""

KINDS = {
    'topics': ('topic', ('subscribe', 'publish')),
    'services': ('service', ('reply', 'request')),
    'actions': ('action', ('call', 'execute')),
}
"""The elements of a policy's profile, what each lists, and the rights that it states."""


def _denied(rights: Rights, qualifier: str, known: set[str]) -> list[str]:
    """Return names of others that an allowed name with ``*`` lets in, as ``/*/limits`` does energy/limits."""
    own: set[str] = getattr(rights, qualifier)
    return sorted(name for name in known - own if any(fnmatchcase(name, each) for each in own))


def _profile(role: str, rights: Rights, known: Mapping[str, set[str]]) -> Iterable[str]:
    yield f'    <enclave path="/evse/{role}">'
    yield '      <profiles>'
    yield f'        <profile ns="/" node="{role}">'
    for kind, (item, qualifiers) in KINDS.items():
        for qualifier in qualifiers:
            denied = _denied(rights, qualifier, known[kind])
            for rule, names in (('ALLOW', sorted(getattr(rights, qualifier))), ('DENY', denied)):
                if names:
                    yield f'          <{kind} {qualifier}="{rule}">'
                    yield from (f'            <{item}>{escape(name)}</{item}>' for name in names)
                    yield f'          </{kind}>'
    yield '        </profile>'
    yield '      </profiles>'
    yield '    </enclave>'


def policies(space: Space) -> str:
    """Return the SROS 2 policy of all roles."""
    roles = {role: rights(space) for role, rights in ROLES.items()}
    known = {
        kind: set().union(*(getattr(each, name) for each in roles.values() for name in qualifiers))
        for kind, (_, qualifiers) in KINDS.items()
    }
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!-- Generated from evse_manager/interface/endpoints.py; what it is for: docs/security.md. -->',
        '<policy version="0.2.0">',
        '  <enclaves>',
        *(line for role, rights in roles.items() for line in _profile(role, rights, known)),
        '  </enclaves>',
        '</policy>',
    ]
    return '\n'.join(lines) + '\n'


def main(words: Sequence[str] | None = None) -> None:
    """Print the policy for the namespaces that are given."""
    parser = argparse.ArgumentParser(
        prog='python3 -m evse_manager.interface.security', description='Print the SROS 2 policy of a depot.'
    )
    every = Space()
    parser.add_argument('--connectors', nargs='+', metavar='NAMESPACE', default=every.connectors)
    parser.add_argument('--site', metavar='NAMESPACE', default=every.sites[0], help='namespace of the site')
    parser.add_argument(
        '--meters', nargs='*', metavar='TOPIC', default=every.meters, help="topics of the fuses' meters"
    )
    given = parser.parse_args(words)
    print(policies(Space(given.connectors, [given.site], given.meters)), end='')


if __name__ == '__main__':
    main()
