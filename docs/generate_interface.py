"""
Write docs/interface.md: the template, filled in from the definitions, the tables of names and the parameters.

Everything that the page states of the interface is read from where it is defined: msg/ and srv/, the
dataclasses, ``interface/endpoints.py`` and the tables of parameters.  ``make docs`` runs it, in a sourced
workspace.
"""

import re
from collections.abc import Iterable
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from original_names import COMMANDS, ENUMERATIONS, OBJECTS
from rosidl_adapter.parser import (
    MessageSpecification,
    parse_action_string,
    parse_message_string,
    parse_service_string,
)

from evse_manager.board.driver import DRIVERS, driver_class
from evse_manager.board.meters.metered import MeterParameters
from evse_manager.charging import inputs
from evse_manager.depot.markers import SiteMarkersConfig
from evse_manager.interface import endpoints, enums, types
from evse_manager.interface.parameters import Config
from evse_manager.nodes.authorization_config import AuthorizationConfig
from evse_manager.nodes.board_support import BoardSupportConfig
from evse_manager.nodes.energy_manager import EnergyManagerConfig
from evse_manager.nodes.parameters import ParameterRow, rows
from evse_manager.nodes.rmf_bridge import RmfBridgeConfig
from evse_manager.nodes.simulation_clock import SimulationClockConfig
from evse_manager.simulation.faults import FAULTS
from evse_manager.simulation.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'interface.md'
TEMPLATE = ROOT / 'docs' / 'interface.template.md'
CONNECTOR = '/evse_1'
SITE = '/depot'
OURS = '\N{EN DASH}'
NEVER = ''
"""Absent value of a field that is always there."""


def ev_info(**known: str) -> str:
    """Return an EVInfo as typed: numbers that are unknown are NaN."""
    unknown = {
        field.name: '.nan'
        for field in fields(types.EVInfo)
        if float in get_args(get_type_hints(types.EVInfo)[field.name]) and field.name not in known
    }
    return '{' + ', '.join(f'{name}: {value}' for name, value in (known | unknown).items()) + '}'


EXAMPLES = {
    'hlc/ev_info': ev_info(soc_percent='41.0', battery_capacity_wh='58000.0', evcc_id='"00:7D:FA:01:02:03"'),
    'hlc/evcc_id': '{data: "00:7D:FA:01:02:03"}',
    'hlc/certificate_request': (
        '{exi_request: gJgC, iso15118_schema_version: "urn:iso:15118:2:2013:MsgDef", certificate_action: 1}'
    ),
    'energy/limits': (
        f'{{uuid: {CONNECTOR}, stamp: {{sec: 1800000000}}, valid_until: {{sec: 1800000010}}, '
        'limits_root_side: [{ac_max_current_a: 16.0}]}'
    ),
    'enable': '{connector_id: 1}',
    'disable': '{connector_id: 1}',
    'enable_disable': '{source: 7, state: 3, priority: 50}',
    'authorize_response': (
        '{provided_token: {id_token: DEADBEEF, authorization_type: 2}, '
        'validation_result: {authorization_status: 1}}'
    ),
    'reserve': '{reservation_id: 42}',
    'stop_transaction': '{request: {reason: 8}}',
    'force_unlock': '{connector_id: 1}',
    'set_external_limits': '{value: {schedule_import: [{limits_to_root: {ac_max_current_a: 16.0}}]}}',
    'switch_three_phases_while_charging': '{three_phases: true}',
    'set_get_certificate_response': (
        '{certificate_reponse: {status: 1, certificate_action: 1, exi_response: gJgD}}'
    ),
    'records/list': '{since: {sec: 1767225600}, connector: "*", page_size: 20}',
    'records/get': '{uuid: 0f8fad5b}',
    'simulation/plug_in': '{profile: default, soc_percent: 20.0}',
    'simulation/set_proximity': '{ampacity_a: 20.0}',
    'simulation/inject_fault': '{fault: rcd_ac}',
    'simulation/clear_fault': '{fault: rcd_ac}',
    'token': '{id_token: DEADBEEF, authorization_type: 2}',
    'charge': '{token: ROBOT-7, energy_wh: 20.0}',
    'tokens': '{id_token: DEADBEEF, authorization_type: 2}',
}
"""Return the text behind the type in an example line; nothing for types that are not listed."""

SITE_EXAMPLES = {
    'SetSiteLimit': '{node: grid, source: operator, limit_a: 40.0}',
    'ReserveConnector': '{id_token: ROBOT-7, connector: bay_1, duration: {sec: 1800}}',
    'CancelConnectorReservation': '{reservation_id: 1}',
    'WithdrawToken': '{id_token: ROBOT-7}',
    'ValidateToken': '{provided_token: {id_token: DEADBEEF}, connectors: [/depot/bay_1]}',
}
"""The same for services of a site, by the last part of their type: two have the name of a connector's."""


# --- pieces of Markdown -----------------------------------------------------------------------------------


def table(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Return a table; bars inside the cells are escaped."""
    head = list(header)
    body = [[cell.replace('|', '\\|') for cell in line] for line in lines]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in [head, ['---'] * len(head), *body])


def code(text: str) -> str:
    """Return a piece of code, or nothing for an empty text."""
    return f'`{text}`' if text else ''


def shell(lines: Iterable[str]) -> str:
    """Return lines to be typed."""
    return '\n'.join(['```sh', *lines, '```'])


# --- topics and services ----------------------------------------------------------------------------------


def absolute(name: str, namespace: str = CONNECTOR) -> str:
    """Return the name of a topic or service of the connector, or the site, of the examples."""
    return name if name.startswith('/') else f'{namespace}/{name}'


def typed(name: str, kind: str = '') -> str:
    """Return what is typed behind the type, in quotation marks that a shell leaves alone."""
    example = SITE_EXAMPLES.get(kind) or EXAMPLES.get(name)
    return f" '{example}'" if example else ''


def listen_or_talk(topic: endpoints.Topic, namespace: str) -> str:
    """Return an example line: one talks to the manager where another node would, and listens otherwise."""
    name = absolute(topic.name, namespace)
    spoken_by = (endpoints.Party.HLC, endpoints.Party.ENERGY, endpoints.Party.ANYONE)
    if topic.publisher in spoken_by and topic not in endpoints.SITE_TOPICS:
        return f'ros2 topic pub --once {name} {topic.type}{typed(topic.name)}'
    # What is kept for late readers goes only to those that ask for it, reliably.
    late = ' --qos-reliability reliable --qos-durability transient_local' if topic.qos.value.latched else ''
    depth = f' --qos-depth {topic.qos.value.depth}' if topic.qos is endpoints.Qos.EVENTS else ''
    return f'ros2 topic echo {name} {topic.type}{late}{depth}'


def topics(group: Iterable[endpoints.Topic], namespace: str = CONNECTOR) -> str:
    """Return the table of some topics and a line to try each."""
    group = list(group)
    lines = (
        (
            code(topic.name),
            code(topic.type),
            topic.qos.text.removeprefix('reliable, '),
            f'{topic.publisher} → {topic.subscriber}',
            topic.when,
        )
        for topic in group
    )
    header = ('Topic', 'Type', 'QoS', 'From → to', 'When')
    return f'{table(header, lines)}\n\n{shell(listen_or_talk(topic, namespace) for topic in group)}'


def callable_services(group: Iterable[endpoints.Service], namespace: str = CONNECTOR) -> str:
    """Return the table of some services and a line to try each."""
    group = list(group)
    lines = ((code(service.name), code(service.type), service.does) for service in group)
    calls = (
        f'ros2 service call {absolute(service.name, namespace)} {service.type}'
        f'{typed(service.name, service.type_name)}'
        for service in group
    )
    return f'{table(("Service", "Type", "Does"), lines)}\n\n{shell(calls)}'


# --- parameters -------------------------------------------------------------------------------------------


def parameter_table(of_rows: Iterable[ParameterRow]) -> str:
    """Return the table of some parameters."""
    lines = (
        (
            code(row.name),
            code(str(row.default).lower() if isinstance(row.default, bool) else str(row.default))
            or '(empty)',
            row.allowed,
            'at start' if row.read_only else 'at any time',
            row.description,
        )
        for row in of_rows
    )
    return table(('Parameter', 'Default', 'Allowed', 'Set', 'Meaning'), lines)


def parameters() -> str:
    """Return the tables of all nodes."""
    parts = ['### Of `evse_manager`', parameter_table(rows(Config))]
    parts += ['### Of `board_support`', parameter_table(rows(BoardSupportConfig))]
    parts += ['### Of `board_support`, for a meter beside the board', parameter_table(rows(MeterParameters))]
    for name in sorted(DRIVERS):
        of_driver = rows(driver_class(name).Parameters)
        parts += [f'### Of `board_support` with the driver `{name}`', parameter_table(of_driver)]
    parts += ['### Of `energy_manager`', parameter_table(rows(EnergyManagerConfig))]
    parts += ['### Of `authorization`', parameter_table(rows(AuthorizationConfig))]
    parts += ['### Of `site_markers`', parameter_table(rows(SiteMarkersConfig))]
    parts += ['### Of `simulation_clock`', parameter_table(rows(SimulationClockConfig))]
    parts += ['### Of `rmf_bridge`', parameter_table(rows(RmfBridgeConfig))]
    return '\n\n'.join(parts)


# --- messages ---------------------------------------------------------------------------------------------


def comment(element: Any) -> str:
    """Return the comment of a definition, a field or a constant in one line (constants stand below here)."""
    text = ' '.join(line.strip() for line in element.annotations.get('comment', []))
    return text.replace('*', '\\*').replace('constants above', 'constants below')


def unit(field: Any) -> str:
    """Return the unit of a field."""
    return str(field.annotations.get('unit', '')).replace('degC', '°C')


def absent(field: Any, hint: Any, minus_one: bool) -> str:
    """Return what the field looks like when there is nothing to say."""
    if type(None) in get_args(hint):
        inner = next(argument for argument in get_args(hint) if argument is not type(None))
        if inner is float:
            return '\N{MINUS SIGN}1' if minus_one else 'NaN'
        return 'zero' if inner is types.Time else 'empty'
    return absent_by_comment(field)


def absent_by_comment(field: Any) -> str:
    """Return the absent value of a field that its dataclass always has: what its comment says of it."""
    if str(field.type) == 'uint8' and 'one of' in comment(field):
        return '0'
    found = re.search(r'\b(empty|0 or NaN|0|zero)( =| on| unless)', comment(field), re.IGNORECASE)
    return found[1].replace('Empty', 'empty') if found else NEVER


def field_table(specs: Iterable[Any], originals: Iterable[str], absents: Iterable[str]) -> str:
    """Return the table of some fields."""
    lines = (
        (
            OURS if original == '-' else code(original),
            code(field.name),
            code(str(field.type).removeprefix('evse_manager/')),
            unit(field),
            nothing,
            comment(field),
        )
        for field, original, nothing in zip(specs, originals, absents, strict=True)
    )
    return table(('Original', 'Field', 'Type', 'Unit', 'Absent', 'Meaning'), lines)


def enumerations_of(name: str) -> list[type[IntEnum]]:
    """Return the enumerations whose constants stand in a message, in the order of its fields."""
    shared = getattr(enums, name, None)
    if isinstance(shared, type):
        return [shared]
    return owned_enumerations(getattr(types, name))


def owned_enumerations(cls: type) -> list[type[IntEnum]]:
    """Return the enumerations of a dataclass that have no message of their own, in field order."""
    hints = get_type_hints(cls)
    found = ((get_args(hint) or (hint,))[0] for hint in (hints[field.name] for field in fields(cls)))
    return [
        hint
        for hint in found
        if isinstance(hint, type)
        and issubclass(hint, IntEnum)
        and not (ROOT / 'msg' / f'{hint.__name__}.msg').exists()
    ]


def constant_table(constants: Iterable[Any], of: list[type[IntEnum]]) -> str:
    """Return the table of a definition's constants."""
    originals: list[str] = []
    for enumeration in of:
        values = ENUMERATIONS.get(enumeration.__name__, ('', ''))[1].split()
        originals += ['-', *(values or ['-'] * (len(enumeration) - 1))]
    lines = (
        (
            OURS if original == '-' else code(original),
            code(constant.name),
            str(constant.value),
            comment(constant),
        )
        for constant, original in zip(constants, originals, strict=True)
    )
    return table(('Original', 'Constant', 'Value', 'Meaning'), lines)


def origin(name: str, of: list[type[IntEnum]]) -> str:
    """Return one line on where a message comes from."""
    found = [OBJECTS[name][0]] if name in OBJECTS else []
    found += [ENUMERATIONS[cls.__name__][0] for cls in of if cls.__name__ in ENUMERATIONS]
    return f'Original: {", ".join(f"`{each}`" for each in found)}.' if found else 'Ours.'


def message_section(name: str, spec: MessageSpecification) -> str:
    """Return what is to be said of one message."""
    of = enumerations_of(name) if spec.constants else []
    parts = [f'### {name}', f'{comment(spec)} {origin(name, of)}']
    if spec.fields:
        cls = getattr(types, name)
        hints = get_type_hints(cls)
        originals = OBJECTS[name][1].split() if name in OBJECTS else ['-'] * len(spec.fields)
        absents = [
            absent(field, hints[field.name], 'absent' in plain.metadata)
            for field, plain in zip(spec.fields, fields(cls), strict=True)
        ]
        parts.append(field_table(spec.fields, originals, absents))
    if spec.constants:
        parts.append(constant_table(spec.constants, of))
    return '\n\n'.join(parts)


def messages() -> str:
    """Return all messages: first those with fields, in the vocabulary's order, then the shared constants."""
    found = {path.stem: path.read_text() for path in (ROOT / 'msg').glob('*.msg')}
    specs = {name: parse_message_string('evse_manager', name, text) for name, text in found.items()}
    order = list(vars(types)) + list(vars(enums))
    ordered = sorted(specs, key=lambda name: (not specs[name].fields, order.index(name)))
    return '\n\n'.join(message_section(name, specs[name]) for name in ordered)


def service_section(name: str) -> str:
    """Return what is to be said of one service."""
    spec = parse_service_string('evse_manager', name, (ROOT / 'srv' / f'{name}.srv').read_text())
    parts = [f'### {name} (service)', comment(spec.request)]
    arguments, result = COMMANDS.get(name, (' '.join('-' for _ in spec.request.fields), '-'))
    if spec.request.fields:
        absents = [absent_by_comment(field) for field in spec.request.fields]
        parts += ['Request:', field_table(spec.request.fields, arguments.split(), absents)]
    absents = [absent_by_comment(field) for field in spec.response.fields]
    originals = [result, *['-'] * (len(spec.response.fields) - 1)]
    parts += ['Response:', field_table(spec.response.fields, originals, absents)]
    if spec.request.constants:
        parts.append(constant_table(spec.request.constants, owned_enumerations(getattr(inputs, name))))
    if spec.response.constants:
        parts.append(constant_table(spec.response.constants, [enums.SwitchThreePhasesWhileChargingResult]))
    return '\n\n'.join(parts)


def services() -> str:
    """Return all services of our own types, in the order of the table of names."""
    every = (
        *endpoints.SERVICES,
        *endpoints.SITE_SERVICES,
        *endpoints.AUTHORIZATION_SERVICES,
        *endpoints.RECORD_SERVICES,
        endpoints.VALIDATE_TOKEN,
    )
    ours = [service.type_name for service in every if service.type.startswith('evse_manager/')]
    return '\n\n'.join(service_section(name) for name in dict.fromkeys(ours))


def action() -> str:
    """Return the action of a connector, and a line to try it."""
    name = endpoints.CHARGE.rsplit('/', 1)[1]
    spec = parse_action_string('evse_manager', name, (ROOT / 'action' / f'{name}.action').read_text())
    header = ('Action', 'Type', 'Does')
    parts = [
        table(header, [(code(endpoints.CHARGE_NAME), code(endpoints.CHARGE), comment(spec.goal))]),
        shell(
            [
                f'ros2 action send_goal --feedback {absolute(endpoints.CHARGE_NAME)} {endpoints.CHARGE}'
                f'{typed(endpoints.CHARGE_NAME)}'
            ]
        ),
    ]
    for title, part in (('Goal', spec.goal), ('Feedback', spec.feedback), ('Result', spec.result)):
        absents = [absent_by_comment(field) for field in part.fields]
        parts += [f'{title}:', field_table(part.fields, ['-'] * len(part.fields), absents)]
    parts.append(constant_table(spec.result.constants, [enums.ChargeResult]))
    return '\n\n'.join(parts)


def page() -> str:
    """Return the whole page."""
    parts = {
        'connector_topics': topics(endpoints.VARIABLES),
        'board_topics': topics(endpoints.BOARD_TOPICS),
        'hlc_topics': topics(endpoints.HLC_TOPICS),
        'energy_topics': topics(endpoints.ENERGY_TOPICS),
        'site_topics': topics((*endpoints.SITE_TOPICS, endpoints.MARKERS), SITE),
        'site_services': callable_services(endpoints.SITE_SERVICES, SITE),
        'authorization_topics': topics(endpoints.AUTHORIZATION_TOPICS, SITE),
        'token_topic': topics((endpoints.TOKEN,)),
        'action': action(),
        'keep_alive_topic': topics((endpoints.KEEP_ALIVE,)),
        'other_topics': topics((*endpoints.DIAGNOSTIC_TOPICS, endpoints.CLOCK)),
        'commands': callable_services(
            (endpoints.GET_ID, endpoints.EXTERNAL_READY, endpoints.SAVE_BLACK_BOX, *endpoints.COMMANDS)
        ),
        'authorization_services': callable_services(
            (*endpoints.AUTHORIZATION_SERVICES, endpoints.VALIDATE_TOKEN), SITE
        ),
        'record_services': callable_services(endpoints.RECORD_SERVICES),
        'simulation_services': callable_services(endpoints.SIMULATION_SERVICES),
        'profiles': table(
            ('Profile', 'What it does'),
            ((code(name), profile.description) for name, profile in PROFILES.items()),
        ),
        'faults': table(
            ('Fault', 'What it does'), ((code(name), fault.description) for name, fault in FAULTS.items())
        ),
        'parameters': parameters(),
        'messages': messages(),
        'services': services(),
    }
    filled = re.sub(r'\{\{ (\w+) \}\}', lambda match: parts[match[1]], TEMPLATE.read_text())
    note = '<!-- Written by docs/generate_interface.py from interface.template.md; run `make docs`. -->'
    return f'{note}\n\n{filled}'


if __name__ == '__main__':
    PAGE.write_text(page())
