"""
The parameters of a connector's two nodes: from the keys of the site file, and those below ``parameters``.

A parameter goes to the node that has it; one that both nodes have goes to both.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

import yaml

from evse_manager.board.driver import DriverError, driver_class
from evse_manager.board.meters.metered import MeterParameters
from evse_manager.depot.located_yaml import (
    Section,
    boolean,
    entries,
    line_of,
    nearest,
    number,
    quote,
    shown,
    whole,
)
from evse_manager.depot.site import Phase
from evse_manager.interface.parameters import Config, ConfigError, check

INSTEAD = {
    'evse_id': 'evse_id',
    'ac_nominal_voltage_v': 'nominal_voltage_v of the site',
    'max_current_import_a': 'max_current_a',
    'three_phases': 'phases',
    'phases': 'phases',
    'failsafe_current_a': 'failsafe_current_a',
    'driver': 'driver',
    'port': 'port',
}
"""Parameter: the key of the site file that sets it."""

NOT_YOURS = {'energy_source': 'every connector of a site gets its energy from the energy manager'}
"""Parameter: why it is not for the site file."""


@dataclass(frozen=True, slots=True)
class ConnectorFacts:
    """Values of the keys of a connector, the defaults included."""

    name: str = ''
    host: str = ''
    driver: str = 'simulated'
    port: str = ''
    phases: tuple[Phase, ...] = (Phase.L1, Phase.L2, Phase.L3)
    max_current_a: float = 32.0
    failsafe_current_a: float = 0.0
    priority: int = 0
    weight: float = 1.0
    evse_id: str = ''
    nominal_voltage_v: float = 230.0


Values = tuple[tuple[str, Any], ...]
Tables = tuple[Mapping[str, Field[Any]], Mapping[str, Field[Any]]]


def given_parameters(section: Section) -> dict[str, yaml.Node]:
    """Return what is given below ``parameters``, by name, as it is in the file."""
    node = section.node('parameters')
    if node is None:
        return {}
    title = f'{section.title}: parameters'
    return {key.value: value for key, value in entries(node, title, section.mistakes)}


def node_parameters(
    facts: ConnectorFacts,
    section: Section,
    own: Mapping[str, yaml.Node],
    shared: Mapping[str, yaml.Node],
    used: set[str],
) -> tuple[Values, Values]:
    """
    Return the parameters of the manager and of the board node that differ from their defaults.

    ``shared`` are those of ``defaults``: what this connector's driver does not have is skipped there, and
    ``used`` gets the names of the others.
    """
    manager = {spec.name: spec for spec in fields(Config)}
    board = _board_table(facts, section)
    if board is None:  # noted; which parameters there are is unknown
        used.update(shared)
        return (), ()
    given: dict[str, Any] = {}
    for name, node in shared.items():
        if name in INSTEAD or name in NOT_YOURS or name in manager or name in board:
            used.add(name)
            if name not in own:
                given |= _take(name, node, (manager, board), section)
    for name, node in own.items():
        given |= _take(name, node, (manager, board), section)
    meant = _meant(facts, board)
    _check_meter(given, section)
    return (
        _values(manager, {**meant, **given, 'energy_source': 'manager'}),
        _values(board, {**meant, **given, 'driver': facts.driver}),
    )


def _board_table(facts: ConnectorFacts, section: Section) -> dict[str, Field[Any]] | None:
    """Return the parameters of a board node with this driver; None, and a note, where it cannot be used."""
    if not facts.driver:
        return None
    try:
        own = fields(driver_class(facts.driver).Parameters)
    except (DriverError, ImportError) as error:
        section.wrong('driver', f'driver {facts.driver} cannot be used: {error}; install what it needs.')
        return None
    table = {spec.name: spec for spec in (*fields(MeterParameters), *own)}
    if 'port' in table and not facts.port:
        section.wrong('port', f'driver {facts.driver} needs a port; write port: /dev/serial/by-id/...')
    if 'port' not in table and facts.port:
        section.wrong(
            'port', f'driver {facts.driver} has no port; remove it, or name the driver of the board.'
        )
    return table


def _meant(facts: ConnectorFacts, board: Iterable[str]) -> dict[str, Any]:
    """Return what the keys of the site file mean as parameters."""
    number = facts.name.rpartition('_')[2]
    meant = {
        'evse_id': facts.evse_id,
        'ac_nominal_voltage_v': facts.nominal_voltage_v,
        'max_current_import_a': facts.max_current_a,
        'three_phases': len(facts.phases) == 3,
        'failsafe_current_a': facts.failsafe_current_a,
        'port': facts.port,
        'phases': len(facts.phases),
        'voltage_v': facts.nominal_voltage_v,
    }
    if number.isdecimal() and len(number) < 5 and int(number) > 0:
        meant['connector_id'] = int(number)
    return meant


def _take(name: str, node: yaml.Node, tables: Tables, section: Section) -> dict[str, Any]:
    """Return one parameter as it is in the file, or note what is wrong with it and return nothing."""

    def wrong(text: str) -> dict[str, Any]:
        section.mistakes.add(line_of(node), f'{section.title}: {text}')
        return {}

    specs = [table[name] for table in tables if name in table]
    if name in INSTEAD:
        return wrong(f'parameter {name} is set by {INSTEAD[name]}; write that instead.')
    if name in NOT_YOURS:
        return wrong(f'parameter {name} is not free: {NOT_YOURS[name]}; remove it.')
    if not specs:
        return wrong(f'there is no parameter {quote(name)}; {nearest(name, [*tables[0], *tables[1]])}')
    value = _value(node, type(specs[0].default))
    if value is None:
        return wrong(f'parameter {name} is {shown(node)}; write {_KINDS[type(specs[0].default)]}.')
    try:
        for spec in specs:
            check(spec, value)
    except ConfigError as error:
        return wrong(f'parameter {error}')
    return {name: value}


_KINDS = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text'}


def _value(node: yaml.Node, kind: type) -> Any:
    """Return the value that a scalar means as a parameter of this type, else None."""
    if kind is bool:
        return boolean(node)
    if kind is int:
        return whole(node)
    if kind is float:
        return number(node)
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _check_meter(given: Mapping[str, Any], section: Section) -> None:
    """Note a port of a meter that is not there."""
    port = given.get('meter_port')
    if port and given.get('meter', 'none') == 'none':
        section.wrong('parameters', 'meter_port has no effect without a meter; write meter: sdm630, too.')


def _values(table: Mapping[str, Field[Any]], wanted: Mapping[str, Any]) -> Values:
    """Return what differs from the defaults of a table, sorted by name; the driver is always named."""
    return tuple(sorted(_differing(table, wanted)))


def _differing(table: Mapping[str, Field[Any]], wanted: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in wanted.items():
        if name == 'driver' or (name in table and value != table[name].default):
            yield name, value
