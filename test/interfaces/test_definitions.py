"""Messages, services and dataclasses are one vocabulary: the same names, types and constants."""

import re
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any, get_args, get_origin

import pytest

from evse_manager.interface import endpoints
from evse_manager.interface.enums import ChargeResult, ReservationStatus, SwitchThreePhasesWhileChargingResult
from evse_manager.interface.types import Duration, Time
from interfaces.vocabulary import (
    COMMANDS,
    ENUMERATIONS,
    OBJECTS,
    REQUESTS,
    enumeration,
    hints,
    messages,
    services,
)

MESSAGES = messages()
SERVICES = services()
CONSTANTS_ONLY = {name for name, spec in MESSAGES.items() if not spec.fields}
"""Messages that exist for an enumeration which several others share."""

COUNTERS = re.compile(r'(^|_)(counter|sequence_number|cycles|openings_under_load)$')
PHASES = re.compile(r'phases$|phase_count|nr_of_phases')


def wire_type(hint: Any, name: str) -> str:
    """Return the type that a field with this hint and name must have in its message."""
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        return wire_type(arguments[0], name) + '[]'
    if type(None) in arguments:
        (inner,) = (argument for argument in arguments if argument is not type(None))
        plain = wire_type(inner, name)
        return plain if inner in (float, Time) else f'{plain}[<=1]'
    if hint is int:
        return 'uint64' if COUNTERS.search(name) else 'uint8' if PHASES.search(name) else 'int32'
    if is_dataclass(hint):
        return f'evse_manager/{hint.__name__}'
    if enumeration(hint):
        return 'uint8'
    return {
        float: 'float64',
        bool: 'bool',
        str: 'string',
        Time: 'builtin_interfaces/Time',
        Duration: 'builtin_interfaces/Duration',
    }[hint]


def expected_fields(cls: type) -> list[tuple[str, str]]:
    """Return names and types that the definition of a dataclass must have."""
    bounds = {('BoardState', 'transitions'): 16, ('ProvidedIdToken', 'iso15118_certificate_hash_data'): 4}
    expected = []
    for name, hint in hints(cls).items():
        bound = bounds.get((cls.__name__, name))
        kind = wire_type(hint, name)
        expected.append((name, kind.replace('[]', f'[<={bound}]') if bound else kind))
    return expected


BORROWED = {'SessionRecord': 'SessionStarted', 'SessionRecordSample': 'EvseStatus'}
"""Messages whose enumerations stand in another one, which the comment of the field names."""


def expected_constants(cls: type) -> dict[str, int]:
    """Return the constants that a dataclass's message must have: those of the enumerations that it owns."""
    if cls.__name__ in BORROWED:
        return {}
    enumerations = {name: found for name, hint in hints(cls).items() if (found := enumeration(hint))}
    expected = {}
    for name, members in enumerations.items():
        if members.__name__ not in CONSTANTS_ONLY:
            is_list = get_origin(hints(cls)[name]) is tuple
            singular = name.removesuffix('s') if is_list else name
            prefix = f'{singular.upper()}_' if len(enumerations) > 1 else ''
            expected |= {prefix + member.name: member.value for member in members}
    return expected


def constants(spec: Any) -> dict[str, int]:
    """Return the constants of a parsed definition."""
    return {constant.name: constant.value for constant in spec.constants}


LONG_LIST = '[<=1024]'
"""Bound of lists that may be long: a message cannot stall the node that reads it."""


def unbounded(kind: object) -> str:
    """Return the type of a field; dataclasses do not know the bound of a long list."""
    return str(kind).replace(LONG_LIST, '[]')


@pytest.mark.parametrize('cls', OBJECTS, ids=lambda cls: cls.__name__)
def test_a_dataclass_has_a_message_with_the_same_fields_and_constants(cls: type) -> None:
    spec = MESSAGES[cls.__name__]
    assert [(field.name, unbounded(field.type)) for field in spec.fields] == expected_fields(cls)
    assert constants(spec) == expected_constants(cls)


@pytest.mark.parametrize('cls', COMMANDS + REQUESTS, ids=lambda cls: cls.__name__)
def test_a_command_has_a_service_with_the_same_arguments(cls: type) -> None:
    request = SERVICES[cls.__name__].request
    assert [(field.name, unbounded(field.type)) for field in request.fields] == expected_fields(cls)


def test_every_message_has_a_dataclass_or_is_a_shared_enumeration() -> None:
    assert set(MESSAGES) == {cls.__name__ for cls in OBJECTS} | CONSTANTS_ONLY
    assert {cls.__name__ for cls in ENUMERATIONS} >= CONSTANTS_ONLY


def test_every_service_is_in_the_table_of_services() -> None:
    every = (
        *endpoints.SERVICES,
        *endpoints.SITE_SERVICES,
        *endpoints.AUTHORIZATION_SERVICES,
        *endpoints.RECORD_SERVICES,
        endpoints.VALIDATE_TOKEN,
    )
    ours = {service.type_name for service in every if service.type.startswith('evse_manager/')}
    assert set(SERVICES) == ours


def test_a_borrowed_constant_is_named_by_its_field() -> None:
    for name, owner in BORROWED.items():
        spec = MESSAGES[name]
        named = [field for field in spec.fields if owner in ' '.join(field.annotations['comment'])]
        assert named
        assert not spec.constants


def test_the_shared_enumerations_have_exactly_the_members_constants() -> None:
    shared = {cls.__name__: {member.name: member.value for member in cls} for cls in ENUMERATIONS}
    for name in CONSTANTS_ONLY:
        assert constants(MESSAGES[name]) == shared[name]


def test_the_result_of_the_phase_switch_has_exactly_the_members_constants() -> None:
    response = SERVICES['SwitchThreePhasesWhileCharging'].response
    assert constants(response) == {
        member.name: member.value for member in SwitchThreePhasesWhileChargingResult
    }


def test_a_command_has_exactly_the_constants_of_its_enumerations() -> None:
    for cls in COMMANDS:
        assert constants(SERVICES[cls.__name__].request) == expected_constants(cls)


def test_every_enumeration_is_used_by_the_interface() -> None:
    every = (hint for cls in (*OBJECTS, *COMMANDS) for hint in hints(cls).values())
    used = {found for hint in every if (found := enumeration(hint))}
    assert used | {
        SwitchThreePhasesWhileChargingResult,
        ReservationStatus,
        ChargeResult,
    } == set(ENUMERATIONS)


@pytest.mark.parametrize('cls', ENUMERATIONS, ids=lambda cls: cls.__name__)
def test_an_enumeration_counts_from_unspecified_zero_without_gaps(cls: type[IntEnum]) -> None:
    assert cls(0).name == 'UNSPECIFIED'
    assert [member.value for member in cls] == list(range(len(cls)))


@pytest.mark.parametrize('name', MESSAGES)
def test_a_message_and_each_of_its_fields_is_explained(name: str) -> None:
    spec = MESSAGES[name]
    assert spec.annotations['comment']
    assert [field.name for field in spec.fields if not any(field.annotations['comment'])] == []


@pytest.mark.parametrize('name', SERVICES)
def test_a_service_and_each_of_its_arguments_is_explained(name: str) -> None:
    spec = SERVICES[name]
    for field in spec.request.fields + spec.response.fields:
        assert any(field.annotations['comment']), field.name


@pytest.mark.parametrize('name', SERVICES)
def test_every_response_has_a_sentence_and_a_verdict(name: str) -> None:
    answers = {field.name: str(field.type) for field in SERVICES[name].response.fields}
    verdicts = {
        'GetId': {'connector_id': 'int32'},
        'SwitchThreePhasesWhileCharging': {'result': 'uint8', 'success': 'bool'},
        'ReserveConnector': {'success': 'bool', 'status': 'uint8', 'reservation_id': 'int32'},
        'ListRecords': {
            'success': 'bool',
            'records': 'evse_manager/SessionRecord[<=100]',
            'next_page': 'string',
        },
        'GetRecord': {'success': 'bool', 'record': 'evse_manager/SessionRecord[<=1]', 'next_page': 'string'},
        'ValidateToken': {'validation_result': 'evse_manager/ValidationResult'},
    }
    assert answers == {**verdicts.get(name, {'success': 'bool'}), 'message': 'string'}


def test_a_physical_number_states_its_unit_and_an_optional_one_what_absent_looks_like() -> None:
    silent = []
    for cls in OBJECTS:
        marked = {field.name: 'absent' in field.metadata for field in fields(cls)}
        for field in MESSAGES[cls.__name__].fields:
            comment = ' '.join(field.annotations['comment'])
            hint = hints(cls)[field.name]
            unit_is_told = 'unit' in field.annotations or 'currency' in comment or 'Share' in comment
            if float in (hint, *get_args(hint)) and not unit_is_told:
                silent.append(f'{cls.__name__}.{field.name}: unit')
            if type(None) in get_args(hint):
                word = (
                    '-1 =' if marked[field.name] else 'NaN' if float in get_args(hint) else '(empty|zero|UTC)'
                )
                if not re.search(word, comment, re.IGNORECASE):
                    silent.append(f'{cls.__name__}.{field.name}: absent')
    assert silent == []
