"""
The virtual OpenEVSE against recorded conversations of the real firmware (test/data/openevse/README.md).

The same stimuli and host lines at the same times: the same lines, pilot and relay, within the tolerances of
sections 3 and 6 there.
"""

import math

import pytest

from evse_manager.simulation.virtual.openevse_rapi import exclusive_or
from simulation.openevse_recording import Output, Recording, Seen, recordings, replay, show

pytestmark = pytest.mark.timeout(60)

RECORDINGS = {each.name: each for each in recordings()}
COUNT = 72

TOLERANCE_S = 0.06
"""Pilot, relay and unasked frames after a stimulus or an order; replies of a line that is not blocked."""

LATE_S = {'14': 1.1, '15': 1.4, '16b': 0.16, '17e': 0.16, '17f': 0.16, '17g': 0.16}
"""By scenario: the sensor of temperature, the ammeter's mean, the watchdog's oscillator."""

BURSTS = {'13h': 0.1, '14f': 5.2, '19-': 0.1}
"""
How many of a burst are answered depends on the phase of the loop, as does before which of two blocks a
request is answered (14f); by how much in s the replies differ.
"""

MOST_ODD = 3
STEP_WS = 680
NEIGHBOURS, NEIGHBOURS_OF_MEANS = 4, 8


def tolerance_s(recording: Recording) -> float:
    return next((each for start, each in LATE_S.items() if recording.name.startswith(start)), TOLERANCE_S)


def close(expected: list[Seen], seen: list[Seen], tolerance: float, what: str) -> None:
    """Compare values and times."""
    shown = f'{what} expected:\n{show(expected)}\nseen:\n{show(seen)}'
    assert len(expected) == len(seen), shown
    for want, have in zip(expected, seen, strict=True):
        assert same(want.value, have.value), f'{want} {have}\n{shown}'
        assert abs(want.t - have.t) <= tolerance, f'{want} {have}\n{shown}'


def same(expected: str, seen: str) -> bool:
    try:
        return math.isclose(float(expected), float(seen), abs_tol=1.0)
    except ValueError:
        return expected == seen


def is_reply(seen: Seen) -> bool:
    return seen.value.startswith(('$OK', '$NK'))


def until(recording: Recording, seen: list[Seen]) -> list[Seen]:
    """Leave out what comes after the last recorded entry."""
    return [each for each in seen if each.t <= recording.end]


@pytest.fixture(scope='module', params=RECORDINGS)
def played(request: pytest.FixtureRequest) -> tuple[Recording, Output, Output]:
    recording = RECORDINGS[request.param]
    return recording, recording.output(), replay(recording)


def test_every_recording_is_there() -> None:
    assert len(RECORDINGS) == COUNT


@pytest.mark.parametrize('kind', ['pilot', 'relay'])
def test_pilot_and_relay(played: tuple[Recording, Output, Output], kind: str) -> None:
    recording, expected, seen = played
    changes = until(recording, seen.changes(kind))
    close(expected.changes(kind), changes, tolerance_s(recording), kind)


def test_unasked_lines(played: tuple[Recording, Output, Output]) -> None:
    recording, expected, seen = played
    unasked = [each for each in seen.lines if not is_reply(each)]
    recorded = [each for each in expected.lines if not is_reply(each)]
    close(recorded, unasked[: len(recorded)], tolerance_s(recording), 'unasked')
    assert all(each.t > recording.end - tolerance_s(recording) for each in unasked[len(recorded) :])


def test_checks_are_right(played: tuple[Recording, Output, Output]) -> None:
    frames = [each.value for each in played[2].lines if each.value.startswith('$')]
    assert frames
    for line in frames:
        body, _, check = line.rpartition('^')
        assert f'{exclusive_or(body.encode("latin-1")):02X}' == check


def test_replies(played: tuple[Recording, Output, Output]) -> None:
    recording, expected, seen = played
    wanted = [each for each in expected.lines if is_reply(each)]
    given = [each for each in seen.lines if is_reply(each)]
    burst_s = BURSTS.get(recording.name[:3])
    if burst_s is not None:
        wanted, given = in_both(wanted, given, burst_s)
    assert len(wanted) <= len(given) <= len(wanted) + 1, f'{show(wanted)}\nseen:\n{show(given)}'
    for want, have in zip(wanted, given):
        reach = NEIGHBOURS_OF_MEANS if want.value.endswith('230000', 0, -3) else NEIGHBOURS
        near = neighbours(expected.lines, want, reach)
        assert fits(want.value, have.value, near), f'{want} {have}\n{near}'
        assert burst_s or fits_in_time(recording, want, have, expected, seen), f'{want} {have}'


def in_both(wanted: list[Seen], given: list[Seen], most_s: float) -> tuple[list[Seen], list[Seen]]:
    """Leave out replies of a burst that only one of both has, a few in all."""
    kept_wanted, kept_given = [], []
    left = list(given)
    for want in wanted:
        name = numbered(want.value)
        match = next(
            (each for each in left if numbered(each.value) == name and abs(each.t - want.t) < most_s), None
        )
        if match is not None:
            left.remove(match)
            kept_wanted.append(want)
            kept_given.append(match)
    assert len(wanted) - len(kept_wanted) + len(left) <= MOST_ODD, show(left)
    return kept_wanted, kept_given


def numbered(line: str) -> str:
    """Return what identifies a reply: its number, else the text."""
    body = line.partition('^')[0]
    return body.rpartition(':')[2] if ' :' in body else body


def neighbours(lines: list[Seen], want: Seen, reach: int) -> list[str]:
    """Return the lines before and after a reply: a request near an event may meet either state."""
    at = lines.index(want)
    return [each.value for each in lines[max(at - reach, 0) : at + reach + 1]]


def fits(want: str, have: str, near: list[str]) -> bool:
    if have == want or body(have) in map(body, near):
        return True
    wanted, given = body(want).split(), body(have).split()
    if len(wanted) != len(given) or wanted[0] != given[0]:
        return False
    others = [each.split() for each in map(body, near)]
    if len(given) == 5:
        return near_state(given, [each for each in others if len(each) == 5 and each[0] != '$NK'])
    if len(given) == 3:
        return near_number(given, [each for each in others if len(each) == 3 and each[0] == '$OK'])
    return False


def body(line: str) -> str:
    """Return a reply without its number and its check."""
    return line.partition('^')[0].partition(' :')[0]


def near_state(given: list[str], others: list[list[str]]) -> bool:
    """Each field is that of before or after; seconds are counted as whole ones."""
    replies = [each for each in others if each[0] == '$OK' and len(each[1]) == 2]
    reports = [['$OK', each[1], '', each[2], each[4]] for each in others if each[0] == '$AT']
    seconds = any(abs(int(given[2]) - int(each[2])) <= 1 for each in replies)
    return seconds and all(given[at] in {each[at] for each in replies + reports} for at in (1, 3, 4))


def near_number(given: list[str], others: list[list[str]]) -> bool:
    """Current and energy: means over a step of the load, and counts of one loop more or less."""
    numbers = [int(each[1]) for each in others]
    value = int(given[1])
    if given[2] == '230000':
        return min(numbers) <= value <= max(numbers)
    return any(abs(value - each) <= STEP_WS for each in numbers)


def fits_in_time(recording: Recording, want: Seen, have: Seen, expected: Output, seen: Output) -> bool:
    """Replies come within the tolerance, or just before and just after the line was blocked."""
    tolerance = tolerance_s(recording)
    if abs(want.t - have.t) <= tolerance:
        return True
    late = expected if want.t > have.t else seen
    begin, end = sorted((want.t, have.t))
    answered = [each.t for each in late.lines if is_reply(each)]
    return not any(begin + tolerance < each < end - tolerance for each in answered)
