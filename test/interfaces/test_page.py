"""docs/interface.md says what is: it is generated, complete, and its lines work as typed."""

import importlib
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evse_manager.charging import inputs
from evse_manager.interface import endpoints
from evse_manager.nodes.conversions import request_to_command
from interfaces.vocabulary import ENUMERATIONS, messages, services
from typed import LINES, PAGE, parse

DOCS = Path(__file__).resolve().parents[2] / 'docs'
IRREGULAR = {
    'eMAID': 'EMAID',
    'VAR': 'reactive_power_var',
    'iso15118CertificateHashData': 'iso15118_certificate_hash_data',
    'iso15118SchemaVersion': 'iso15118_schema_version',
    'car_manufacturer': 'manufacturer',
}
"""Names that no rule makes."""


@pytest.fixture(scope='module')
def docs_importable() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield


@pytest.fixture(scope='module')
def originals(docs_importable: None) -> ModuleType:
    return importlib.import_module('original_names')


def snake(name: str) -> str:
    """Return a name of the original interface in snake_case."""
    words = re.sub(r'([a-z])([A-Z])', r'\1_\2', name)
    return re.sub(r'([A-Z]{2,})([A-Z][a-z])', r'\1_\2', words).lower()


def test_the_page_is_what_the_generator_writes(docs_importable: None) -> None:
    generator = importlib.import_module('generate_interface')
    assert generator.page() == PAGE, 'run `make docs` and commit docs/interface.md'


def test_every_message_service_topic_and_field_is_on_the_page() -> None:
    for name, spec in messages().items():
        assert f'### {name}\n' in PAGE
        assert all(f'| `{field.name}` |' in PAGE for field in spec.fields)
        assert all(f'| `{constant.name}` |' in PAGE for constant in spec.constants)
    for name in services():
        assert f'### {name} (service)\n' in PAGE
    for each in (*endpoints.TOPICS, *endpoints.SITE_TOPICS, *endpoints.SERVICES, *endpoints.SITE_SERVICES):
        assert f'| `{each.name}` | `{each.type}` |' in PAGE


def test_an_original_field_and_its_ros_name_are_the_same_word(originals: ModuleType) -> None:
    for name, (_, words) in originals.OBJECTS.items():
        fields = messages()[name].fields
        for field, original in zip(fields, words.split(), strict=True):
            word = IRREGULAR.get(original, snake(original))
            assert original == '-' or field.name.startswith((word, original.lower()))


def test_an_original_value_and_its_constant_are_the_same_word(originals: ModuleType) -> None:
    enumerations = {cls.__name__: cls for cls in ENUMERATIONS}
    for name, (_, words) in originals.ENUMERATIONS.items():
        members = [member.name for member in enumerations[name]][1:]
        made = [IRREGULAR.get(word, snake(word).upper()) for word in words.split()]
        assert [word.replace('_', '') for word in made] == [member.replace('_', '') for member in members]


def test_an_original_argument_keeps_its_name(originals: ModuleType) -> None:
    of_connector = {service.type_name for service in (endpoints.GET_ID, *endpoints.COMMANDS)}
    ours = {'EnableDisable'}
    commands = {name: spec for name, spec in services().items() if name in of_connector - ours}
    assert {
        name: ' '.join(field.name for field in spec.request.fields) for name, spec in commands.items()
    } == {name: arguments for name, (arguments, _) in originals.COMMANDS.items()}


def test_every_topic_and_service_has_a_line_to_try() -> None:
    tried = {line.removeprefix('ros2 topic pub --once ').split()[0] for line in LINES if ' pub ' in line}
    tried |= {line.replace(' --feedback', '').split()[3] for line in LINES if ' pub ' not in line}
    everything = (
        *endpoints.TOPICS,
        endpoints.CLOCK,
        endpoints.TOKEN,
        endpoints.KEEP_ALIVE,
        *endpoints.SERVICES,
    )
    of_the_site = (
        *endpoints.SITE_TOPICS,
        endpoints.MARKERS,
        *endpoints.SITE_SERVICES,
        *endpoints.AUTHORIZATION_TOPICS,
        *endpoints.AUTHORIZATION_SERVICES,
        endpoints.VALIDATE_TOKEN,
    )
    assert tried == {
        *(each.name if each.name.startswith('/') else f'/evse_1/{each.name}' for each in everything),
        *(f'/depot/{each.name}' for each in of_the_site),
        f'/evse_1/{endpoints.CHARGE_NAME}',
    }


@pytest.mark.parametrize('line', [line for line in LINES if '{' in line], ids=lambda line: line.split("'")[0])
def test_what_is_typed_fits_its_type_and_is_understood(line: str) -> None:
    path, kind, message = parse(line)
    assert os.environ['ROS_PYTHON_CHECK_FIELDS'] == '1'
    command = getattr(inputs, kind.rsplit('/', 1)[1], None)
    if command is not None and '/srv/' in kind:
        request_to_command(message, command)
    assert path.startswith(('/evse_1/', '/depot/'))


def test_the_links_of_the_page_lead_somewhere() -> None:
    headings = re.findall(r'^#+ (.+)$', PAGE, re.MULTILINE)
    anchors = {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}
    assert set(re.findall(r'\]\(#([^)]+)\)', PAGE)) <= anchors
