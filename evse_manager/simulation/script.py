"""
Scripts of timed steps that drive the simulated world, for demonstrations and tests.

A script is a text with one step per line: when, what, and with which values::

    # a car comes, charges, and something happens to it
    0        plug_in single_phase soc_percent=35
    2        authorize
    +60      limit 10
    +10:00   inject ventilation
    +30      clear ventilation
    1:00:00  unplug

A time is seconds, ``minutes:seconds`` or ``hours:minutes:seconds`` since the start, or after the step before
when it begins with ``+``.  ``#`` begins a comment.  ``STEPS`` lists every step with its values.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

from evse_manager.simulation.faults import FAULTS
from evse_manager.simulation.profiles import PROFILES, EvProfile

_NUMBERS = {field.name: field.type for field in fields(EvProfile) if field.type in {float, int}}


class ScriptError(ValueError):
    """A script cannot be read; the text names line, cause and what is allowed."""


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One step: seconds since the start, name, values in order, values by name."""

    at: float
    name: str
    values: tuple[str | float, ...] = ()
    named: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class StepKind:
    """Kind of a step, and how it is written."""

    usage: str
    description: str
    of_the_world: bool = True
    """Whether the world alone can do it; the others need the manager too."""


STEPS: dict[str, StepKind] = {
    'plug_in': StepKind(
        'plug_in [PROFILE] [FIELD=NUMBER ...]', 'Plug an EV in; fields of its profile may be changed.'
    ),
    'unplug': StepKind('unplug', 'Pull the plug.'),
    'ev_pause': StepKind('ev_pause', 'The EV wants no power.'),
    'ev_resume': StepKind('ev_resume', 'The EV wants power again.'),
    'set_proximity': StepKind(
        'set_proximity AMPERES', "Change the cable's coding: 13, 20, 32, 63, or 0 for none."
    ),
    'inject': StepKind('inject FAULT', 'Inject a fault.'),
    'clear': StepKind('clear [FAULT]', 'Clear a fault, or all.'),
    'replug': StepKind('replug', 'Begin a virtual replug.', of_the_world=False),
    'authorize': StepKind('authorize [TOKEN]', 'Present a token that is accepted.', of_the_world=False),
    'limit': StepKind(
        'limit [AMPERES]', 'Set an external limit per phase, or take it away.', of_the_world=False
    ),
    'pause_charging': StepKind('pause_charging', 'Pause the transaction.', of_the_world=False),
    'resume_charging': StepKind('resume_charging', 'End the pause.', of_the_world=False),
    'stop_transaction': StepKind('stop_transaction', 'End the transaction.', of_the_world=False),
    'enable': StepKind('enable', 'Make the connector available.', of_the_world=False),
    'disable': StepKind('disable', 'Make it unavailable.', of_the_world=False),
    'end': StepKind('end', 'Let the script last until here.', of_the_world=False),
}
"""Every step of a script."""


def parse(text: str) -> tuple[ScriptStep, ...]:
    """Read a script; raises ScriptError for the first line that cannot be read."""
    steps: list[ScriptStep] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split('#', 1)[0].split()
        if not words:
            continue
        before = steps[-1].at if steps else 0.0
        try:
            steps.append(_step(words, before))
        except ValueError as error:
            raise ScriptError(f'Line {number}: {error}') from error
    return tuple(steps)


def world_only(steps: tuple[ScriptStep, ...]) -> None:
    """
    Check that the world alone can play a script.

    Raises ScriptError with the first step that needs a manager.
    """
    for step in steps:
        if not STEPS[step.name].of_the_world:
            allowed = ', '.join(name for name, kind in STEPS.items() if kind.of_the_world)
            raise ScriptError(f'{step.name} is nothing that a board can do; allowed are: {allowed}.')


def play(
    steps: tuple[ScriptStep, ...], target: object, plan: Callable[[float, Callable[[], None]], None]
) -> None:
    """Plan every step on ``target``, whose methods have the names of the steps; ``end`` does nothing."""
    for step in steps:
        if step.name != 'end':
            plan(step.at, _action(step, getattr(target, step.name)))


def _action(step: ScriptStep, method: Callable[..., object]) -> Callable[[], None]:
    def act() -> None:
        method(*step.values, **dict(step.named))

    return act


def _step(words: list[str], before: float) -> ScriptStep:
    if len(words) < 2:
        raise ValueError('a step is a time and a name, as "2.5 unplug".')
    at = before + _seconds(words[0][1:]) if words[0].startswith('+') else _seconds(words[0])
    if at < before:
        raise ValueError(f'the time {words[0]} lies before that of the step before.')
    name, arguments = words[1], words[2:]
    if name not in STEPS:
        raise ValueError(f'there is no step {name!r}; choose one of: {", ".join(STEPS)}.')
    values: list[str | float] = []
    named: list[tuple[str, float]] = []
    for argument in arguments:
        key, equals, value = argument.partition('=')
        if equals:
            named.append((key, _number(key, value)))
        else:
            values.append(_number('the value', argument) if name in {'limit', 'set_proximity'} else argument)
    _check(name, values, named)
    return ScriptStep(at, name, tuple(values), tuple(named))


def _check(name: str, values: list[str | float], named: list[tuple[str, float]]) -> None:
    most = 1 if '[' in STEPS[name].usage or name in {'inject', 'set_proximity'} else 0
    least = 1 if name in {'inject', 'set_proximity'} else 0
    if not least <= len(values) <= most or (named and name != 'plug_in'):
        raise ValueError(f'it is written: {STEPS[name].usage}')
    for key, _ in named:
        if key not in _NUMBERS:
            raise ValueError(f'an EV has no {key!r}; choose one of: {", ".join(_NUMBERS)}.')
    if name == 'plug_in' and values and values[0] not in PROFILES:
        raise ValueError(f'there is no EV profile {values[0]!r}; choose one of: {", ".join(PROFILES)}.')
    if name in {'inject', 'clear'} and values and values[0] not in FAULTS:
        raise ValueError(f'there is no fault {values[0]!r}; choose one of: {", ".join(FAULTS)}.')


def _seconds(text: str) -> float:
    parts = text.split(':')
    if len(parts) > 3:
        raise ValueError(f'{text} is no time; write seconds, minutes:seconds or hours:minutes:seconds.')
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60.0 + _number('the time', part)
    return seconds


def _number(what: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f'{what} is {text!r}, but must be a number.') from None
    if not math.isfinite(number) or number < 0.0:
        raise ValueError(f'{what} is {text}, but must be a number of at least 0.')
    return int(number) if what == 'phases' else number
