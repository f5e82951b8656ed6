"""The lines of the pages that a person types, and the messages that the tools make of them."""

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from evse_manager.interface import endpoints

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs' / 'interface.md').read_text()
LINES = [
    line
    for line in PAGE.splitlines()
    if line.startswith(('ros2 service call', 'ros2 topic', 'ros2 action send_goal'))
]


def shell_blocks(page: str) -> list[str]:
    """Return the commands of a page of the project, block by block."""
    return re.findall(r'```sh\n(.*?)```', (ROOT / page).read_text(), re.DOTALL)


class Typed(NamedTuple):
    """A line that sends something: where to, of which type, and the message (a service's request, a goal)."""

    path: str
    type: str
    message: Any


def parse(line: str) -> Typed:
    """Return what a ``ros2 service call``, ``ros2 topic pub`` or ``ros2 action send_goal`` sends."""
    _, noun, _, *rest = shlex.split(line)
    path, kind, *typed = [word for word in rest if word not in ('--once', '--feedback')]
    loaded = endpoints.load(kind)
    part = {'service': 'Request', 'action': 'Goal'}.get(noun)
    blank = (loaded if part is None else getattr(loaded, part))()
    return Typed(path, kind, fill(blank, yaml.safe_load(typed[0]) if typed else {}))


def fill(message: Any, typed: dict[str, Any]) -> Any:
    """Fill a message as the command line of ROS 2 does."""
    kinds = message.get_fields_and_field_types()
    for name, value in typed.items():
        item = kinds[name].removeprefix('sequence<').partition(',')[0].removesuffix('>')
        if isinstance(value, dict):
            fill(getattr(message, name), value)
        elif isinstance(value, list) and '/' in item:
            package, _, kind = item.partition('/')
            setattr(message, name, [fill(endpoints.load(f'{package}/msg/{kind}')(), each) for each in value])
        else:
            setattr(message, name, value)
    return message
