"""Types of command-line arguments: each turns text into a value or refuses it in one sentence."""

import argparse
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Generic, TypeVar

MAX_CURRENT_A = 80.0
"""Highest current that the interface takes (IEC 61851-1, table A.8: the duty cycle ends at 80 A)."""
MAX_POWER_W = 3 * 400.0 * MAX_CURRENT_A
"""More than any connector of ``MAX_CURRENT_A`` can carry; above it is a mistake in the unit."""

UNITS_S = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
LONGEST_DURATION_S = 366 * 86400

E = TypeVar('E', bound=IntEnum)


def number(minimum: float, maximum: float, unit: str = '') -> Callable[[str], float]:
    """Return a type for finite numbers in a range; ``unit`` may stand behind the number (``16A``)."""
    suffix = f' {unit}' if unit else ''

    def parse(text: str) -> float:
        digits = text.strip()
        if unit and digits.lower().endswith(unit.lower()):
            digits = digits[: -len(unit)]
        try:
            value = float(digits)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a number; give {minimum:g} to {maximum:g}{suffix}'
            ) from None
        if not math.isfinite(value) or not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(
                f'{text!r} is out of range; give {minimum:g} to {maximum:g}{suffix}'
            )
        return value

    return parse


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return a type for whole numbers in a range."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a whole number; give {minimum} to {maximum}'
            ) from None
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f'{text!r} is out of range; give {minimum} to {maximum}')
        return value

    return parse


def dashed(member: IntEnum) -> str:
    """Return an enumeration's member as people type it: ``DE_AUTHORIZED`` is ``de-authorized``."""
    return member.name.lower().replace('_', '-')


def choices_of(enumeration: type[E]) -> list[str]:
    """Return what ``choice`` takes for an enumeration."""
    return [dashed(member) for member in enumeration if member]


class Choice(Generic[E]):
    """A type for an enumeration's members, in any case, with dashes or underscores."""

    def __init__(self, enumeration: type[E]) -> None:
        self.names = choices_of(enumeration)
        """The members as people type them."""
        self._known = {member.name: member for member in enumeration if member}
        self._compact = {key.replace('_', ''): member for key, member in self._known.items()}

    def __call__(self, text: str) -> E:
        """Return the member; raises ArgumentTypeError with what there is."""
        name = text.strip().upper().replace('-', '_')
        member = self._known.get(name) or self._compact.get(name.replace('_', ''))
        if member is None:
            raise argparse.ArgumentTypeError(f'{text!r} is not known; choose one of: {", ".join(self.names)}')
        return member


def text_of(what: str, limit: int = 255) -> Callable[[str], str]:
    """Return a type for text that is neither empty nor absurdly long."""

    def parse(text: str) -> str:
        if not text.strip():
            raise argparse.ArgumentTypeError(f'an empty {what} says nothing; give at least one character')
        if len(text) > limit:
            raise argparse.ArgumentTypeError(
                f'a {what} of {len(text)} characters is too long; at most {limit}'
            )
        return text

    return parse


def namespace(text: str) -> str:
    """Return a connector's namespace with its leading slash: ``evse_1`` is ``/evse_1``."""
    name = '/' + text.strip().strip('/')
    if name != '/' and not re.fullmatch(r'(/[A-Za-z_][A-Za-z0-9_]*)+', name):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no namespace; it looks like /evse_1 or /depot/evse_7 (letters, digits, underscores)'
        )
    return name


def charge_target(text: str) -> tuple[str, float]:
    """Return the field of a charge goal and its value: ``80%`` or ``10kWh`` or ``500Wh``."""
    found = re.fullmatch(r'(\d+(?:\.\d+)?)\s*(%|kwh|wh)', text.strip().lower())
    if not found:
        raise argparse.ArgumentTypeError(f'{text!r} is no target; give 80%, 10kWh or 500Wh')
    value, unit = float(found[1]), found[2]
    if unit == '%':
        if not 0.0 < value <= 100.0:
            raise argparse.ArgumentTypeError(f'{text!r} is out of range; give more than 0% and at most 100%')
        return 'soc_percent', value
    value *= 1000.0 if unit == 'kwh' else 1.0
    if not 0.0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f'{text!r} is out of range; give more than 0 and at most 1000 kWh')
    return 'energy_wh', value


def duration(text: str) -> float:
    """Return seconds: ``90s``, ``30m``, ``2h`` or ``1d``."""
    found = re.fullmatch(r'(\d+(?:\.\d+)?)\s*([smhd])', text.strip().lower())
    seconds = float(found[1]) * UNITS_S[found[2]] if found else 0.0
    if not 0.0 < seconds <= LONGEST_DURATION_S:
        raise argparse.ArgumentTypeError(f'{text!r} is no duration; give 90s, 30m, 2h or 1d, 366d at most')
    return seconds


def future_time(text: str) -> int:
    """Return ``point_in_time``; a time of day that is over today is tomorrow's."""
    return point_in_time(text, after=round(datetime.now(UTC).timestamp() * 1e9))


def point_in_time(text: str, now: datetime | None = None, after: int = 0) -> int:
    """
    Return nanoseconds since 1970 UTC.

    Takes ISO 8601 (``2026-11-22T18:00``, local time unless an offset is given), a time of day (``18:00``), an
    offset from now (``+30m``, ``+2h``, ``+90s``), or ``now``.  A time of day is of today, or the first later
    than ``after``.
    """
    now = now or datetime.now(UTC)
    offset = re.fullmatch(r'\+(\d+(?:\.\d+)?)([smhd])', text.strip())
    try:
        if text.strip() == 'now':
            moment = now
        elif offset:
            seconds = float(offset[1]) * UNITS_S[offset[2]]
            moment = now + timedelta(seconds=seconds)
        elif re.fullmatch(r'\d{1,2}:\d{2}(:\d{2})?', text.strip()):
            hour, minute, *rest = (int(part) for part in text.split(':'))
            moment = now.astimezone().replace(
                hour=hour, minute=minute, second=rest[0] if rest else 0, microsecond=0
            )
            while moment.timestamp() * 1e9 <= after:
                moment += timedelta(days=1)
        else:
            moment = datetime.fromisoformat(text.strip())
        seconds = moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no time; give 2026-11-22T18:00, 18:00, +30m or now'
        ) from None
    if not 0 <= seconds < 2**31:  # builtin_interfaces/Time counts seconds in an int32
        raise argparse.ArgumentTypeError(f'{text!r} is out of range; give a time between 1970 and 2038')
    return round(seconds * 1e6) * 1000
