"""Description of the topics of a recording: definitions of their types, and quality of service."""

import functools
import re
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.qos import QoSProfile

SEPARATOR = '=' * 80

PRIMITIVES = frozenset(
    {'bool', 'byte', 'char', 'float32', 'float64', 'string', 'wstring'}
    | {f'{sign}int{bits}' for sign in ('', 'u') for bits in (8, 16, 32, 64)}
)

INFINITE = '{sec: 9223372036, nsec: 854775807}'

_FIELD = re.compile(r'^([A-Za-z][A-Za-z0-9_/]*)(?:<=\d+)?(?:\[(?:<=)?\d*\])?\s+[A-Za-z]')
"""The type of a field, without the bounds of a string (``string<=8``) and an array (``[3]``, ``[<=8]``)."""


class DefinitionError(Exception):
    """The definition of a type is not installed; the text names it."""


@functools.cache
def definition(type_name: str) -> str:
    """
    Return the definitions of a message type (``evse_manager/msg/Limits``) and of all types in it.

    Raises DefinitionError when one of them is not installed.
    """
    texts = {type_name: _text(type_name)}
    waiting = [type_name]
    while waiting:
        outer = waiting.pop()
        for inner in types_in(texts[outer], outer.partition('/')[0]):
            if inner not in texts:
                texts[inner] = _text(inner)
                waiting.append(inner)
    own, *others = texts
    parts = [texts[own]]
    for other in others:
        package, _, name = other.split('/')
        parts += [f'{SEPARATOR}\nMSG: {package}/{name}', texts[other]]
    return '\n'.join(parts)


def types_in(text: str, package: str) -> list[str]:
    """Return the message types that the fields of a definition have, in full."""
    found = []
    for line in text.splitlines():
        field = _FIELD.match(line.strip())
        if field is None or field[1] in PRIMITIVES:
            continue
        *owner, name = field[1].split('/')
        found.append(f'{owner[0] if owner else package}/msg/{name}')
    return found


def _text(type_name: str) -> str:
    package, _, name = type_name.split('/')
    try:
        return (Path(get_package_share_directory(package)) / 'msg' / f'{name}.msg').read_text()
    except (PackageNotFoundError, OSError) as error:
        raise DefinitionError(f'the definition of {type_name} is not installed') from error


def qos_text(profile: QoSProfile) -> str:
    """Return a profile as ``ros2 bag`` writes it into the metadata of a channel."""
    return (
        f'- history: {profile.history.name.lower()}\n'
        f'  depth: {profile.depth}\n'
        f'  reliability: {profile.reliability.name.lower()}\n'
        f'  durability: {profile.durability.name.lower()}\n'
        f'  deadline: {INFINITE}\n'
        f'  lifespan: {INFINITE}\n'
        f'  liveliness: {profile.liveliness.name.lower()}\n'
        f'  liveliness_lease_duration: {INFINITE}\n'
        '  avoid_ros_namespace_conventions: false\n'
    )
