"""Values as JSON: names as in the messages, enumerations by name, times in ISO 8601, unknown as null."""

import json
import math
import sys
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any, get_type_hints

from evse_manager.cli.formatting import iso
from evse_manager.interface.types import Time


def optional_time(hint: object) -> bool:
    """Return whether a field's type is ``Time`` or ``Time | None``."""
    return hint is Time or Time in getattr(hint, '__args__', ())


def record(value: Any) -> Any:
    """Return a dataclass, or anything inside one, as what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        pairs = ((each.name, getattr(value, each.name)) for each in fields(value))
        return {name: iso(it) if optional_time(hints[name]) else record(it) for name, it in pairs}
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, (tuple, list)):
        return [record(each) for each in value]
    if isinstance(value, dict):
        return {key: record(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def emit(value: Any) -> None:
    """Print one JSON object on one line and push it out, for the reader at the other end of a pipe."""
    text = json.dumps(record(value), ensure_ascii=False, allow_nan=False)
    if not text.isprintable():  # JSON escapes no C1 controls and no bidi marks, which could steer a terminal
        text = json.dumps(record(value), ensure_ascii=True, allow_nan=False)
    sys.stdout.write(text + '\n')
    sys.stdout.flush()
