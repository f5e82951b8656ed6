"""A recording of a manager, replayed, gives the same outputs to the byte; a change of the manager shows."""

import pytest
from hypothesis import HealthCheck, example, given, settings

from evse_manager import manager
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.types import BoardState, Time
from evse_manager.manager import ConnectorManager
from evse_manager.recording.replay import Difference, ReplayError, ReplayReport, replay
from evse_manager.recording.secrets import Pseudonyms
from evse_manager.recording.window import Line, Window, lines_of
from recording.tapes import COURSES, TOKEN, Tape, charging, end, play, recorded_bench


def replayed(lines: list[Line]) -> tuple[list[Difference], list[Line], ReplayReport]:
    tape, report = Tape(), ReplayReport()
    found = list(replay(lines, report, tape))
    return found, tape.lines, report


@given(COURSES)
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@example(
    [('plug in', 1.0), ('authorize', 20.0), ('fault rcd_ac', 10.0), ('no faults', 10.0), ('unplug', 5.0)]
)
def test_any_session_is_replayed_to_the_same_bytes(course):
    tape = Tape(snapshot_every_s=45.0)
    bench = recorded_bench(tape, Pseudonyms(b'key').hide)
    play(bench, course)
    end(bench)
    found, lines, report = replayed(tape.lines)
    assert report.turns > 5
    assert found == []
    assert lines == tape.lines
    assert not any(TOKEN.encode() in line.text for line in lines)


@given(COURSES)
@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_replay_may_begin_at_any_snapshot(course):
    tape = Tape(snapshot_every_s=40.0)
    bench = recorded_bench(tape, Pseudonyms(b'key').hide)
    play(bench, course)
    for number, line in enumerate(tape.lines):
        if line.is_snapshot:
            found, _, _ = replayed(tape.lines[number:])
            assert found == []


NIGHT = (
    (60.0, 'plug in'),
    (30.0, 'authorize'),
    (3600.0, 'limit'),
    (7200.0, 'no limit'),
    (600.0, 'fault over_temperature'),
    (900.0, 'no faults'),
    (1800.0, 'EV pauses'),
    (1200.0, 'EV resumes'),
    (3600.0, 'pause'),
    (600.0, 'resume'),
    (5400.0, 'unplug'),
    (600.0, 'plug in'),
    (60.0, 'authorize'),
    (2400.0, 'clock back'),
    (1800.0, 'stop'),
    (300.0, 'unplug'),
)
"""What happens in a night, and how many seconds after the thing before."""


@pytest.mark.timeout(240)
def test_a_night_is_replayed_to_the_same_bytes():
    tape = Tape(snapshot_every_s=600.0)
    bench = recorded_bench(tape, Pseudonyms(b'key').hide, leases=False, sample_period_s=10.0)
    for seconds, action in NIGHT:
        bench.run_for(seconds)
        play(bench, [(action, 0.0)])
    bench.run_for(600.0)
    assert bench.now > 8 * 3600
    assert bench.codes().split().count('TF') == 2, 'two transactions in that night'
    found, lines, _ = replayed(tape.lines)
    assert found == []
    assert lines == tape.lines


def test_what_a_window_keeps_is_replayed():
    window = Window(minutes=2)
    bench = charging(recorded_bench(window))
    bench.run_for(400.0)
    lines = [line for segment in window.copy() for line in lines_of(segment)]
    found, _, report = replayed(lines)
    assert found == []
    assert 120.0 <= (report.ended - report.begun) / 1e9 <= 160.0


def test_a_manager_that_decides_otherwise_is_found_out(monkeypatch):
    tape = Tape()
    bench = charging(recorded_bench(tape))
    bench.stop_transaction(token=TOKEN)
    bench.run_for(10.0)
    monkeypatch.setattr(manager, 'STATUS_PERIOD_S', 1.4)
    found, _, report = replayed(tape.lines)
    assert found
    assert report.differences == len(found)
    assert found[0].recorded == 'status', 'a status came later than recorded'
    assert found[0].replayed == '(nothing)'


def test_a_changed_output_is_named_with_time_and_both_values():
    tape = Tape()
    bench = charging(recorded_bench(tape))
    bench.run_for(5.0)
    number = next(i for i, line in enumerate(tape.lines) if b'"allow_power_on":true' in line.text)
    line = tape.lines[number]
    changed = line.text.replace(b'"allow_power_on":true', b'"allow_power_on":false', 1)
    tape.lines[number] = line._replace(text=changed)
    found, _, _ = replayed(tape.lines)
    first = found[0]
    assert (first.at, first.what) == (Time(line.wall), 'command.allow_power_on')
    assert (first.recorded, first.replayed) == ('false', 'true')


def test_a_failure_of_the_manager_is_reproduced(monkeypatch):
    tape = Tape()
    bench = charging(recorded_bench(tape))
    original = ConnectorManager.observe

    def broken(self: ConnectorManager, state: BoardState, now: ClockReadings) -> None:
        if now.clock > 60.0:
            raise ZeroDivisionError('broken in a test')
        original(self, state, now)

    with monkeypatch.context() as patched:
        patched.setattr(ConnectorManager, 'observe', broken)
        with pytest.raises(ZeroDivisionError):
            bench.run_for(120.0)
        assert replayed(tape.lines)[0] == [], 'the replay fails as the recorded manager did'
    found, _, _ = replayed(tape.lines)
    assert ('failure', 'ZeroDivisionError', '(nothing)') in {
        (it.what, it.recorded, it.replayed) for it in found
    }


def test_a_manager_that_takes_the_place_of_another_one_is_replayed_from_its_own_state():
    window = Window(minutes=2)
    charging(recorded_bench(window)).run_for(20.0)
    charging(recorded_bench(window), 'another token').run_for(20.0)
    found, _, report = replayed([line for segment in window.copy() for line in lines_of(segment)])
    assert found == []
    assert report.turns > 100


def test_a_journal_that_fails_stops_no_manager():
    class Broken(Tape):
        def turn(self, line: bytes, now: ClockReadings) -> None:
            if now.steady > 20.0:
                raise MemoryError('no memory in a test')
            super().turn(line, now)

    tape = Broken()
    bench = charging(recorded_bench(tape))
    bench.run_for(60.0)
    assert bench.flows
    assert replayed(tape.lines)[0] == [], 'what was noted before can be replayed'


@pytest.mark.parametrize(
    'lines',
    [
        [],
        [Line(0, False, b'{"do":"run","at":[0.0,0.0,0]}')],
        [Line(0, True, b'not json')],
        [Line(0, True, b'{"state":{"kernel":{"$":"Popen"}},"warning":""}')],
        [Line(0, True, b'{"state":{"take":1},"warning":""}')],
    ],
    ids=['empty', 'no snapshot', 'no json', 'foreign class', 'foreign attribute'],
)
def test_what_is_no_recording_is_refused_with_a_sentence(lines):
    with pytest.raises(ReplayError, match=r'recording|recorded'):
        list(replay(lines, ReplayReport()))
