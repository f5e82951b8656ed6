"""
The protocol between the depot and its workers: lines of JSON on pipes.

Orders go to the standard input of a worker, reports come from a pipe of their own.  The end of the orders
means that the depot is dead.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

HEARTBEAT_S = 1.0
"""Period of the reports of a worker whose loop turns."""


class Kind(StrEnum):
    """Kind of node that a worker hosts; manager and board of a connector are never in one process."""

    BOARDS = 'boards'
    MANAGERS = 'managers'
    ENERGY = 'energy_manager'
    AUTHORIZATION = 'authorization'


@dataclass(frozen=True, slots=True)
class Start:
    """Host a node: its key, its namespace, its parameters."""

    key: str
    namespace: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """End a node in order."""

    key: str


@dataclass(frozen=True, slots=True)
class Alive:
    """The loop turns; ``running`` of the nodes that were ordered work."""

    running: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """A node that was ordered to end has ended."""

    key: str


Message = Start | Stop | Alive | Stopped

_KINDS: dict[str, type[Message]] = {cls.__name__: cls for cls in (Start, Stop, Alive, Stopped)}


def encode(message: Message) -> bytes:
    """Return a message as one line."""
    return json.dumps([type(message).__name__, asdict(message)]).encode() + b'\n'


def decode(line: bytes) -> Message:
    """Return the message of a line; raises ValueError, TypeError or KeyError for a malformed one."""
    name, values = json.loads(line)
    return _KINDS[name](**values)
