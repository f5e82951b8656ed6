"""The last minutes in bounded memory."""

from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.types import Time
from evse_manager.recording.journal import Journal
from evse_manager.recording.window import BYTES_PER_MINUTE, SEGMENT_BYTES, Window, lines_of
from recording.tapes import charging, recorded_bench


def test_a_charging_connector_stays_far_below_the_memory_of_its_window():
    window = Window(minutes=3)
    bench = charging(recorded_bench(window))
    bench.run_for(300.0)
    per_minute = window.size / 3
    assert per_minute < BYTES_PER_MINUTE * 1.2
    begun = window.copy()[0].begun
    assert 180.0 <= bench.now - begun <= 225.0


def test_a_flood_shortens_the_window_but_takes_no_more_memory():
    window = Window(minutes=2)
    journal = Journal(window)
    text = ''.join(chr(33 + (7 * number) % 90) for number in range(1000))
    for number in range(5000):
        now = ClockReadings(number * 0.001, number * 0.001, Time(number))
        with journal.turn('fail', now, reason=f'{number * 7919 % 10007} {text[number % 900 :]}'):
            pass
    assert window.size <= 2 * BYTES_PER_MINUTE + 2 * SEGMENT_BYTES
    newest = list(lines_of(window.copy()[-1]))[-1]
    assert newest.wall == 4999


def test_a_copy_does_not_change_when_the_window_does():
    window = Window(minutes=1)
    bench = recorded_bench(window)
    before = window.copy()
    lines = sum(len(list(lines_of(segment))) for segment in before)
    bench.run_for(120.0)
    assert sum(len(list(lines_of(segment))) for segment in before) == lines
