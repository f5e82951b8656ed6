"""
The site file: YAML to a ``Site``, or every mistake in it at once.

``load_site`` needs no ROS and looks at nothing but the file.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from evse_manager.board.driver import DRIVERS
from evse_manager.depot.connector_parameters import ConnectorFacts, given_parameters, node_parameters
from evse_manager.depot.located_yaml import (
    LARGEST_FILE,
    Mistake,
    Mistakes,
    Section,
    compose,
    entries,
    is_null,
    line_of,
    nearest,
    number,
    quote,
    shown,
)
from evse_manager.depot.site import (
    MIN_CURRENT_A,
    ROOT,
    Authorization,
    Connector,
    Measures,
    NodeMeter,
    Phase,
    ScheduleEntry,
    Site,
    Token,
    TreeNode,
)
from evse_manager.depot.site_rules import check_site
from evse_manager.energy.limits import PRIORITY_MAX
from evse_manager.interface.tokens import normal_form

SECTIONS = ('site', 'grid', 'defaults', 'connectors', 'authorization')
SITE_KEYS = ('name', 'namespace', 'nominal_voltage_v', 'frame', 'host')
NODE_KEYS = ('limit_a', 'limit_w', 'phases', 'safe_limit_a', 'meter', 'schedule', 'children')
METER_KEYS = ('topic', 'timeout_s', 'measures')
ENTRY_KEYS = ('from', 'limit_a', 'limit_w')
DEFAULT_KEYS = (
    'host', 'driver', 'phases', 'max_current_a', 'failsafe_current_a', 'priority', 'weight', 'parameters',
)  # fmt: skip
CONNECTOR_KEYS = (*DEFAULT_KEYS, 'port', 'evse_id', 'pose')
AUTHORIZATION_KEYS = ('connection_timeout_s', 'tokens', 'plug_and_go')
TOKEN_KEYS = ('id_token', 'parent', 'connectors', 'priority', 'valid_from', 'expires', 'enabled')

RESERVED_NAMES = frozenset({'site', 'energy_manager', 'authorization', 'tokens', ROOT})
"""Names in the namespace of the site that belong to its own nodes and topics, or to the tree."""

NAME = r'[A-Za-z][A-Za-z0-9_]{0,63}'
HOST = r'[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?'
NAMESPACE = rf'/({NAME}(/{NAME})*)?'
TOPIC = rf'/?{NAME}(/{NAME})*'
TIME_OF_DAY = re.compile(r'([01][0-9]|2[0-3]):([0-5][0-9])')

LARGEST_CURRENT_A, LARGEST_POWER_W = 10_000.0, 10_000_000.0
LARGEST_CONNECTOR_A = 80.0
"""IEC 61851-1, table A.8: the highest current that a duty cycle stands for."""
LONGEST_TIMEOUT_S = 3600.0
DEEPEST_TREE = 32

_NOWHERE = yaml.Mark('', 0, 0, 0, '', 0)


class SiteFileError(ValueError):
    """A site file cannot be used; ``mistakes`` are all of them, the text is one line for each."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(mistakes)
        super().__init__('\n'.join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line for each mistake: ``file:line: what is wrong; what to write instead``."""
        return [
            f'{self.file}:{mistake.line}: {mistake.text}' if mistake.line else f'{self.file}: {mistake.text}'
            for mistake in self.mistakes
        ]


def load_site(path: str | Path) -> Site:
    """Return the site that a file describes; raises SiteFileError with every mistake in it."""
    return parse_site(read_site_file(path), str(path))


def read_site_file(path: str | Path) -> str:
    """Return the text of a site file; raises SiteFileError where it cannot be read."""
    try:
        with Path(path).open('rb') as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise SiteFileError(
                str(path), [Mistake(0, f'the file is larger than {LARGEST_FILE} bytes; name the site file.')]
            )
        return content.decode('utf-8')
    except OSError as error:
        reason = error.strerror or str(error)
        raise SiteFileError(
            str(path), [Mistake(0, f'the file cannot be read ({reason}); check its name and permissions.')]
        ) from error
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise SiteFileError(
            str(path), [Mistake(line, 'this is not UTF-8 text; save the file as UTF-8.')]
        ) from error


def parse_site(text: str, file: str = 'site.yaml') -> Site:
    """Return the site that a text describes; raises SiteFileError with all mistakes."""
    mistakes = Mistakes()
    site = _site(compose(text, mistakes), mistakes)
    if site is not None:
        check_site(site, mistakes)
    if site is None or mistakes.found:
        raise SiteFileError(file, mistakes.found)
    return site


def _site(root: yaml.Node | None, mistakes: Mistakes) -> Site | None:
    if root is None:
        return None
    if not isinstance(root, yaml.MappingNode):
        mistakes.add(
            line_of(root), f'the file is {shown(root)}; write the sections site, grid and connectors.'
        )
        return None
    top = Section(root, 'the file', SECTIONS, mistakes)
    for key in ('site', 'grid', 'connectors'):
        if key not in top:
            top.wrong(key, f'the section {key} is missing; write it (docs/depot.md shows an example).')
    head = Section(top.node('site') or root, 'site', SITE_KEYS if 'site' in top else SECTIONS, mistakes)
    name = head.text('name', 'depot', NAME, 'letters, digits and underscores, a letter first')
    namespace = head.text('namespace', '/depot', NAMESPACE, 'a ROS namespace, such as /depot')
    voltage = head.number('nominal_voltage_v', 230.0, 80.0, 300.0, 'V')
    frame = head.text('frame', 'map', r'\S{1,128}', 'a frame id, such as map')
    host = head.text('host', '', HOST, "a machine's host name")
    connectors = _Connectors(top, namespace, voltage, mistakes).read()
    names = [connector.name for connector in connectors]
    grid_node = top.node('grid')
    tree = _Tree(names, mistakes)
    grid = tree.read(grid_node, top.key_line_of('grid')) if grid_node is not None else None
    authorization = _authorization(top.node('authorization'), names, mistakes)
    if grid is None:
        return None
    connectors = tuple(_with_rights(connector, authorization) for connector in connectors)
    return Site(name, namespace, voltage, frame, host, grid, connectors, authorization)


def _with_rights(connector: Connector, rights: Authorization) -> Connector:
    """Return a connector with the source of its authorization: nothing, the authorization node, or itself."""
    given = dict(connector.manager_parameters)
    if connector.name in rights.plug_and_go:
        given.setdefault('disable_authentication', True)
    elif rights.tokens:
        given.setdefault('goal_authorization', 'site')
    return replace(connector, manager_parameters=tuple(given.items()))


def _phases(section: Section, default: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """Return the phases of a node or connector; wrong ones are left out."""
    if 'phases' not in section:
        return default
    found = []
    for node in section.words('phases', 'phases'):
        if node.value in Phase.__members__:
            found.append(Phase(node.value))
        else:
            section.mistakes.add(
                line_of(node),
                f'{section.title}: there is no phase {quote(node.value)}; write L1, L2 or L3.',
            )
    if not found:
        section.wrong('phases', 'there is no phase left; write for example phases: [L1, L2, L3].')
    return tuple(found) or default


class _Tree:
    """Reads the nodes of the tree."""

    def __init__(self, connectors: Sequence[str], mistakes: Mistakes) -> None:
        self._connectors = connectors
        self._mistakes = mistakes
        self._seen: dict[int, str] = {}

    def read(self, node: yaml.Node, line: int) -> TreeNode:
        return self._node(node, ROOT, (Phase.L1, Phase.L2, Phase.L3), 0, line)

    def _node(self, node: yaml.Node, name: str, phases: tuple[Phase, ...], depth: int, line: int) -> TreeNode:
        section = Section(node, f'node {name}' if depth else name, NODE_KEYS, self._mistakes)
        own = _phases(section, phases)
        for phase in own:
            if phase not in phases:
                section.wrong(
                    'phases', f'{phase} does not reach this node; write some of: {", ".join(phases)}.'
                )
        meter = self._meter(section)
        if meter is None and 'safe_limit_a' in section:
            section.wrong(
                'safe_limit_a',
                'safe_limit_a has no effect without a meter; write meter beside it, or remove it.',
            )
        nodes, connectors = self._children(section, name, own, depth)
        return TreeNode(
            name=name,
            limit_a=section.number('limit_a', None, 0.0, LARGEST_CURRENT_A, 'A', above=True),
            limit_w=section.number('limit_w', None, 0.0, LARGEST_POWER_W, 'W', above=True),
            phases=own,
            safe_limit_a=section.number('safe_limit_a', 0.0, 0.0, LARGEST_CURRENT_A, 'A'),
            meter=meter,
            schedule=self._schedule(section),
            nodes=tuple(nodes),
            connectors=tuple(connectors),
            line=line,
        )

    def _children(
        self, section: Section, name: str, phases: tuple[Phase, ...], depth: int
    ) -> tuple[list[TreeNode], list[str]]:
        node = section.node('children')
        if node is None:
            section.wrong('children', 'there are no children; write children: [connector, ...].')
            return [], []
        if id(node) in self._seen or depth >= DEEPEST_TREE:
            other = self._seen.get(id(node))
            why = f'the tree is deeper than {DEEPEST_TREE}' if other is None else f'these belong to {other}'
            section.wrong('children', f'{why}; write for each node children of its own.')
            return [], []
        self._seen[id(node)] = name
        if isinstance(node, yaml.SequenceNode):
            words = section.words('children', 'names of connectors')
            return [], [word.value for word in words if self._is_connector(section, word)]
        nodes, connectors = [], []
        for key, value in entries(node, f'{section.title}: children', self._mistakes):
            if is_null(value) and key.value in self._connectors:
                connectors.append(key.value)
            elif re.fullmatch(NAME, key.value) is None:
                self._mistakes.add(
                    line_of(key),
                    f'{section.title}: {quote(key.value)} is no name; write letters, digits and underscores.',
                )
            else:
                nodes.append(self._node(value, key.value, phases, depth + 1, line_of(key)))
        return nodes, connectors

    def _is_connector(self, section: Section, word: yaml.ScalarNode) -> bool:
        if word.value in self._connectors:
            return True
        self._mistakes.add(
            line_of(word),
            f'{section.title}: there is no connector {quote(word.value)}; '
            f'{nearest(word.value, self._connectors)}',
        )
        return False

    def _meter(self, section: Section) -> NodeMeter | None:
        node = section.node('meter')
        if node is None:
            return None
        meter = Section(node, f'{section.title}: meter', METER_KEYS, self._mistakes)
        if 'topic' not in meter:
            meter.wrong('topic', 'the topic is missing; write topic: /site/grid_meter, for example.')
        return NodeMeter(
            topic=meter.text('topic', '', TOPIC, 'a topic, such as /site/grid_meter'),
            timeout_s=meter.number('timeout_s', 5.0, 0.5, LONGEST_TIMEOUT_S, 's'),
            measures=Measures(meter.choice('measures', Measures.HOUSE_LOAD, Measures)),
        )

    def _schedule(self, section: Section) -> tuple[ScheduleEntry, ...]:
        found: dict[int, ScheduleEntry] = {}
        for node in section.items('schedule', 'limits with a time of day'):
            entry = Section(node, f'{section.title}: schedule', ENTRY_KEYS, self._mistakes)
            start = self._time_of_day(entry)
            limit_a = entry.number('limit_a', None, 0.0, LARGEST_CURRENT_A, 'A')
            limit_w = entry.number('limit_w', None, 0.0, LARGEST_POWER_W, 'W')
            if limit_a is None and limit_w is None and 'limit_a' not in entry and 'limit_w' not in entry:
                entry.wrong('limit_a', 'there is no limit; write limit_a or limit_w.')
            if start in found:
                entry.wrong('from', 'two entries begin at the same time; remove one.')
            elif start is not None:
                found[start] = ScheduleEntry(start, limit_a, limit_w)
        return tuple(found[start] for start in sorted(found))

    def _time_of_day(self, entry: Section) -> int | None:
        node = entry.node('from')
        match = TIME_OF_DAY.fullmatch(node.value) if isinstance(node, yaml.ScalarNode) else None
        if match is None:
            entry.wrong(
                'from', f'from is {"missing" if node is None else shown(node)}; write a time of day: "06:00".'
            )
            return None
        return int(match[1]) * 3600 + int(match[2]) * 60


class _Connectors:
    """Reads the connectors, each over the defaults."""

    def __init__(self, top: Section, namespace: str, voltage_v: float, mistakes: Mistakes) -> None:
        self._top = top
        self._namespace = namespace
        self._voltage_v = voltage_v
        self._mistakes = mistakes

    def read(self) -> tuple[Connector, ...]:
        node = self._top.node('connectors')
        if node is None:
            return ()
        defaults = self._defaults()
        base = self._facts(defaults, ConnectorFacts(), '')
        shared = given_parameters(defaults)
        used: set[str] = set()
        found = []
        for key, value in entries(node, 'connectors', self._mistakes):
            section = Section(value, f'connector {key.value}', CONNECTOR_KEYS, self._mistakes)
            if re.fullmatch(NAME, key.value) is None:
                self._mistakes.add(
                    line_of(key),
                    f'connectors: {quote(key.value)} is no name; write letters, digits and underscores.',
                )
                continue
            if key.value in RESERVED_NAMES:
                self._mistakes.add(
                    line_of(key), f'connectors: {key.value} belongs to the site itself; choose another name.'
                )
            found.append(self._connector(key, section, base, shared, used))
        for name, value in shared.items():
            if name not in used and found:
                self._mistakes.add(
                    line_of(value),
                    f'defaults: no driver of these connectors has a parameter {name}; correct or remove it.',
                )
        if not found:
            self._top.wrong('connectors', 'there is no connector; write one below connectors.')
        return tuple(found)

    def _defaults(self) -> Section:
        node = self._top.node('defaults') or yaml.MappingNode('tag:yaml.org,2002:map', [], _NOWHERE, _NOWHERE)
        return Section(node, 'defaults', DEFAULT_KEYS, self._mistakes)

    def _facts(self, section: Section, base: ConnectorFacts, name: str) -> ConnectorFacts:
        phases = _phases(section, base.phases)
        if len(phases) not in (1, 3):
            section.wrong('phases', 'two phases are not possible; write one or three, such as [L1, L2, L3].')
            phases = base.phases
        return ConnectorFacts(
            name=name,
            host=section.text('host', base.host, HOST, "a machine's host name"),
            driver=section.choice('driver', '', DRIVERS) if 'driver' in section else base.driver,
            port=section.text('port', '', r'\S+', 'a device, such as /dev/serial/by-id/...'),
            phases=phases,
            max_current_a=section.number(
                'max_current_a', base.max_current_a, MIN_CURRENT_A, LARGEST_CONNECTOR_A, 'A'
            ),
            failsafe_current_a=section.number(
                'failsafe_current_a', base.failsafe_current_a, 0.0, LARGEST_CONNECTOR_A, 'A'
            ),
            priority=section.whole('priority', base.priority, -PRIORITY_MAX, PRIORITY_MAX),
            weight=section.number('weight', base.weight, 0.0, 1000.0, above=True),
            evse_id=section.text('evse_id', name, r'\S{1,64}', 'the EVSE ID, such as "DE*PNX*E1*1"'),
            nominal_voltage_v=self._voltage_v,
        )

    def _connector(
        self,
        key: yaml.ScalarNode,
        section: Section,
        base: ConnectorFacts,
        shared: dict[str, yaml.Node],
        used: set[str],
    ) -> Connector:
        facts = self._facts(section, base, key.value)
        if facts.failsafe_current_a > facts.max_current_a or 0 < facts.failsafe_current_a < MIN_CURRENT_A:
            section.wrong(
                'failsafe_current_a',
                f'failsafe_current_a is {facts.failsafe_current_a:g}; write 0 (pause), or {MIN_CURRENT_A:g} '
                f'to max_current_a ({facts.max_current_a:g} A).',
            )
        own = given_parameters(section)
        manager, board = node_parameters(facts, section, own, shared, used)
        return Connector(
            name=facts.name,
            namespace=f'{self._namespace.rstrip("/")}/{facts.name}',
            host=facts.host,
            driver=facts.driver,
            port=facts.port,
            phases=facts.phases,
            max_current_a=facts.max_current_a,
            failsafe_current_a=facts.failsafe_current_a,
            priority=facts.priority,
            weight=facts.weight,
            evse_id=facts.evse_id,
            pose=self._pose(section),
            manager_parameters=manager,
            board_parameters=board,
            line=line_of(key),
        )

    def _pose(self, section: Section) -> tuple[float, float, float]:
        if 'pose' not in section:
            return 0.0, 0.0, 0.0
        values = [number(node) for node in section.items('pose', 'numbers')]
        given = [value for value in values if value is not None]
        if len(values) != 3 or len(given) != 3:
            section.wrong('pose', 'a pose is three numbers; write [x in m, y in m, yaw in rad].')
            return 0.0, 0.0, 0.0
        return given[0], given[1], given[2]


def parse_authorization(text: str, file: str = 'tokens.yaml') -> Authorization:
    """
    Return what a file of its own says of authorization: what stands below ``authorization`` in a site file.

    Its connectors are not known here, so their names are not checked.  Raises SiteFileError.
    """
    mistakes = Mistakes()
    root = compose(text, mistakes)
    found = _authorization(root, None, mistakes) if root is not None else Authorization(60.0, (), ())
    if mistakes.found:
        raise SiteFileError(file, mistakes.found)
    return found


def _authorization(
    node: yaml.Node | None, connectors: Sequence[str] | None, mistakes: Mistakes
) -> Authorization:
    if node is None:
        return Authorization(60.0, (), ())
    section = Section(node, 'authorization', AUTHORIZATION_KEYS, mistakes)
    tokens: dict[str, Token] = {}
    for index, item in enumerate(section.items('tokens', 'tokens')):
        # The texts of tokens are secrets: messages name them by their place.
        token = _token(Section(item, f'tokens[{index}]', TOKEN_KEYS, mistakes), connectors)
        first = tokens.setdefault(normal_form(token.id_token), token)
        if first is not token and token.id_token:
            mistakes.add(
                token.line,
                f'tokens[{index}]: the same id_token is in line {first.line}, case aside; remove one.',
            )
    return Authorization(
        connection_timeout_s=section.number('connection_timeout_s', 60.0, 1.0, LONGEST_TIMEOUT_S, 's'),
        tokens=tuple(tokens.values()),
        plug_and_go=_known(section, 'plug_and_go', connectors),
    )


def _known(section: Section, key: str, connectors: Sequence[str] | None) -> tuple[str, ...]:
    """Return a list of names of connectors, without those that do not exist (None = not known which)."""
    found = []
    for word in section.words(key, 'names of connectors'):
        if connectors is None or word.value in connectors:
            found.append(word.value)
        else:
            hint = nearest(word.value, connectors)
            section.mistakes.add(
                line_of(word), f'{section.title}: there is no connector {quote(word.value)}; {hint}'
            )
    return tuple(found)


def _token(section: Section, connectors: Sequence[str] | None) -> Token:
    if 'id_token' not in section:
        section.wrong('id_token', 'id_token is missing; write it in quotes.')
    node = section.node('id_token')
    id_token = ''
    if node is not None:
        if isinstance(node, yaml.ScalarNode) and re.fullmatch(r'[!-~]{1,36}', node.value):
            id_token = node.value
        else:
            section.wrong(
                'id_token', 'id_token is not usable; write 1 to 36 ASCII characters without spaces.'
            )
    return Token(
        id_token=id_token,
        parent=section.text(
            'parent', '', r'[!-~]{1,20}', 'a group of 1 to 20 ASCII characters without spaces'
        ),
        connectors=_known(section, 'connectors', connectors) if 'connectors' in section else None,
        priority=section.whole('priority', 0, -PRIORITY_MAX, PRIORITY_MAX),
        expires_ns=_moment(section, 'expires'),
        valid_from_ns=_moment(section, 'valid_from'),
        enabled=section.choice('enabled', 'true', ('true', 'false')) == 'true',
        line=section.line,
    )


def _moment(section: Section, key: str) -> int | None:
    node = section.node(key)
    if node is None:
        return None
    try:
        when = datetime.fromisoformat(node.value if isinstance(node, yaml.ScalarNode) else '')
        seconds = when.timestamp()
    except (ValueError, OverflowError, OSError):
        when = None
    if when is None or when.tzinfo is None or seconds < 0.0:
        section.wrong(key, f'{key} is {shown(node)}; write UTC: "2027-01-01T00:00:00Z".')
        return None
    since = when - datetime.fromtimestamp(0, when.tzinfo)
    return since // timedelta(microseconds=1) * 1000
