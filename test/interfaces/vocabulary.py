"""What the interface consists of, taken from the sources of truth: the dataclasses and the definitions."""

from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ament_index_python.packages import get_package_share_directory
from rosidl_adapter.parser import (
    MessageSpecification,
    ServiceSpecification,
    parse_message_string,
    parse_service_string,
)

from evse_manager.charging import inputs
from evse_manager.interface import enums, types
from evse_manager.interface.record_requests import GetRecord, ListRecords

PACKAGE = 'evse_manager'
SHARE = Path(get_package_share_directory(PACKAGE))

OBJECTS = tuple(cls for cls in vars(types).values() if isinstance(cls, type) and is_dataclass(cls))
COMMANDS = tuple(cls for cls in get_args(inputs.Command) if cls is not inputs.ClearFault)
"""``ClearFault`` is asked for by a standard service without arguments, ``std_srvs/Trigger``."""
REQUESTS = (ListRecords, GetRecord)
"""Requests that are no commands of the kernel."""
ENUMERATIONS = tuple(
    cls
    for cls in vars(enums).values()
    if isinstance(cls, type) and issubclass(cls, IntEnum) and cls is not IntEnum
)


def messages() -> dict[str, MessageSpecification]:
    """Return the parsed definition of every message."""
    return {
        path.stem: parse_message_string(PACKAGE, path.stem, path.read_text())
        for path in sorted(SHARE.glob('msg/*.msg'))
    }


def services() -> dict[str, ServiceSpecification]:
    """Return the parsed definition of every service."""
    return {
        path.stem: parse_service_string(PACKAGE, path.stem, path.read_text())
        for path in sorted(SHARE.glob('srv/*.srv'))
    }


def enumeration(hint: Any) -> type[IntEnum] | None:
    """Return the enumeration of a type hint, if it is one or a tuple of one."""
    if get_origin(hint) is tuple:
        return enumeration(get_args(hint)[0])
    return hint if isinstance(hint, type) and issubclass(hint, IntEnum) else None


@cache
def hints(cls: type) -> dict[str, Any]:
    """Return the type hint of each field of a dataclass, in order."""
    found = get_type_hints(cls)
    return {field.name: found[field.name] for field in fields(cls)}
