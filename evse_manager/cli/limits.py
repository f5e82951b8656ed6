"""Arguments of ``evse set-external-limits`` and how they become a schedule."""

import argparse
import json
import sys
import time
from argparse import Namespace
from itertools import pairwise
from pathlib import Path
from typing import Any

from evse_manager.cli import arguments
from evse_manager.cli.errors import UsageError
from evse_manager.interface.types import ExternalLimits, LimitsReq, ScheduleReqEntry, Time

DETAILS = """\
It replaces the limit in force, is stored, and holds until it is replaced.
A schedule file holds a JSON list of steps, each in force until the next begins:
  [{"at": "now", "current": 16}, {"at": "22:00", "current": 32}, {"at": "06:00", "current": 6, "phases": 1},
   {"at": "2030-12-01T06:00", "power": 11000}]
A time of day is the first one after the step before."""

current = arguments.number(0, arguments.MAX_CURRENT_A, 'A')


def power(text: str) -> float:
    """Parse a power in W, or in kW with that unit behind it."""
    kilo = text.strip().lower().endswith('kw')
    digits = text.strip()[:-2] if kilo else text
    if not kilo:
        return arguments.number(0, arguments.MAX_POWER_W, 'W')(digits)
    return 1000.0 * arguments.number(0, arguments.MAX_POWER_W / 1000.0, 'kW')(digits)


ARGUMENTS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ('current',),
        {'nargs': '?', 'type': current, 'metavar': 'AMPERES', 'help': 'highest current per phase, 0 to 80 A'},
    ),
    (
        ('--power',),
        {'type': power, 'metavar': 'W', 'help': 'highest power of all phases together, in W (or 7kW)'},
    ),
    (
        ('--phases',),
        {
            'type': int,
            'choices': (1, 2, 3),
            'default': 0,
            'metavar': '{1,2,3}',
            'help': 'highest number of phases',
        },
    ),
    (
        ('--schedule',),
        {'metavar': 'FILE', 'help': 'a file with a schedule (JSON, see above); - is standard input'},
    ),
    (('--none',), {'action': 'store_true', 'help': 'no limit but what the hardware sets'}),
)


def limit(current_a: float | None, power_w: float | None, phases: int, at: int) -> ScheduleReqEntry:
    """Return one step of a schedule."""
    wanted = LimitsReq(total_power_w=power_w, ac_max_current_a=current_a, ac_max_phase_count=phases)
    return ScheduleReqEntry(timestamp=Time(at), limits_to_root=wanted)


def step(entry: object, position: int, after: int) -> ScheduleReqEntry:
    """Return one step of a schedule file, the first after a time, or refuse it by its position."""
    where = f'step {position} of the schedule'
    if not isinstance(entry, dict):
        raise UsageError(f'{where} is not an object with "at" and a limit')
    unknown = sorted(set(entry) - {'at', 'current', 'power', 'phases'})
    if unknown:
        raise UsageError(f'{where} has an unknown key {unknown[0]!r}; known are at, current, power, phases')
    if 'at' not in entry or len(entry) < 2:
        raise UsageError(f'{where} needs "at" and at least one of "current", "power", "phases"')
    try:
        return limit(
            current(str(entry['current'])) if 'current' in entry else None,
            power(str(entry['power'])) if 'power' in entry else None,
            arguments.integer(1, 3)(str(entry['phases'])) if 'phases' in entry else 0,
            arguments.point_in_time(str(entry['at']), after=after),
        )
    except argparse.ArgumentTypeError as error:
        raise UsageError(f'{where}: {error}') from None


def read_schedule(file: str) -> tuple[ScheduleReqEntry, ...]:
    """Return the steps of a schedule file (``-`` is standard input)."""
    try:
        content = json.loads(sys.stdin.read() if file == '-' else Path(file).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'the schedule {file} cannot be read: {error}') from None
    except json.JSONDecodeError as error:
        raise UsageError(f'the schedule {file} is no JSON: {error}') from None
    if not isinstance(content, list) or not content:
        raise UsageError(f'the schedule {file} is no list of steps; to remove the limit use --none')
    steps: list[ScheduleReqEntry] = []
    for position, entry in enumerate(content, start=1):
        steps.append(step(entry, position, steps[-1].timestamp or 0 if steps else 0))
    times = [entry.timestamp or 0 for entry in steps]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise UsageError(f'the steps of the schedule {file} are not in the order of their times')
    return tuple(steps)


def external_limits(given: Namespace) -> dict[str, Any]:
    """Return the fields of ``set_external_limits``: exactly one of a limit, a schedule, or none."""
    typed = given.current is not None or given.power is not None or bool(given.phases)
    if typed + bool(given.schedule) + given.none != 1:
        raise UsageError('give a limit (evse limit 16), or --schedule FILE, or --none')
    if given.none:
        return {'value': ExternalLimits()}
    if given.schedule:
        return {'value': ExternalLimits(schedule_import=read_schedule(given.schedule))}
    return {
        'value': ExternalLimits(
            schedule_import=(limit(given.current, given.power, given.phases, time.time_ns()),),
        )
    }
