"""The lines of a journal as values again."""

import json
from dataclasses import dataclass
from typing import Any

from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.types import Time
from evse_manager.recording import codec
from evse_manager.recording.window import Line

Given = tuple[str, Any, list[bool]]
"""An output: what it is, its value, and what else was said of it (a command: whether it is a renewal)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of a manager, and what came of it; the fields are those of ``journal.py``."""

    do: str
    now: ClockReadings
    arguments: dict[str, Any]
    drew: list[Any]
    remembered: list[Any]
    warned: str | None
    gave: list[Given]
    raised: str | None


class Decoder:
    """Reads the lines of a journal in their order, beginning with a snapshot."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], Any] = {}
        """The last value of each kind, to which changes refer."""

    def snapshot(self, line: Line) -> dict[str, Any]:
        """Return a snapshot, its state encoded; raises CodecError."""
        self._last.clear()
        plain = _json(line)
        if not isinstance(plain.get('state'), dict) or not isinstance(plain.get('warning'), str):
            raise codec.CodecError('it is no state of a manager')
        return plain

    def turn(self, line: Line) -> Turn:
        """Return a turn; raises CodecError."""
        plain = _json(line)
        try:
            steady, clock, wall = plain['at']
            do = str(plain['do'])
            return Turn(
                do,
                ClockReadings(float(steady), float(clock), Time(int(wall))),
                {name: self._value(do, name, value) for name, value in plain.get('with', {}).items()},
                list(plain.get('drew', ())),
                [codec.decode(each) for each in plain.get('remembered', ())],
                plain.get('warned'),
                [
                    (what, self._value('gave', what, value), flags)
                    for what, value, *flags in plain.get('gave', ())
                ],
                plain.get('raised'),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise codec.CodecError(f'it is no turn of a manager: {error!r}') from error

    def _value(self, role: str, name: str, plain: Any) -> Any:
        key = role, name, codec.class_name(plain)
        value = self._last[key] = codec.decode(plain, self._last.get(key))
        return value


def _json(line: Line) -> dict[str, Any]:
    try:
        plain = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        raise codec.CodecError(f'it is not JSON: {error}') from error
    if not isinstance(plain, dict):
        raise codec.CodecError('it is no JSON object')
    return plain
