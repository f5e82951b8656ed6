"""Recorded sessions of the bench: a random course of a connector's life, and the tape of its journal."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from hypothesis import strategies as st

from evse_manager.charging.inputs import ParametersChanged
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.parameters import Config
from evse_manager.recording.codec import plainly
from evse_manager.recording.journal import Journal, JournaledManager
from evse_manager.recording.window import Line
from evse_manager.simulation.bench import Bench, BenchError
from evse_manager.simulation.faults import FAULTS, SimulationError
from evse_manager.simulation.world import WorldSettings

TOKEN = 'SECRET-04A1B2C3'


class Tape:
    """A sink that keeps everything, with a snapshot every so many seconds."""

    def __init__(self, snapshot_every_s: float = 1e9) -> None:
        self.lines: list[Line] = []
        self._every = snapshot_every_s
        self._begun = 0.0

    def wants_snapshot(self, steady: float) -> bool:
        return steady - self._begun >= self._every

    def snapshot(self, line: bytes, now: ClockReadings) -> None:
        self._begun = now.steady
        self.lines.append(Line(now.wall, True, line))

    def turn(self, line: bytes, now: ClockReadings) -> None:
        self.lines.append(Line(now.wall, False, line))


def recorded_bench(
    sink: Any, hide: Callable[[str, str], str] = plainly, *, leases: bool = True, sample_period_s: float = 1.0
) -> Bench:
    return Bench(
        None,
        WorldSettings(sample_period_s=sample_period_s),
        leases=leases,
        random=iter_random(),
        make_manager=partial(JournaledManager, Journal(sink, hide)),
    )


def iter_random() -> Callable[[], float]:
    numbers = iter(range(1, 10**9))
    return lambda: (next(numbers) * 0.618) % 1.0


def charging(bench: Bench, token: str = TOKEN) -> Bench:
    bench.plug_in()
    bench.authorize(token)
    bench.run_until(lambda b: b.flows, 60.0)
    return bench


ACTIONS: dict[str, Callable[[Bench], object]] = {
    'plug in': lambda bench: bench.plug_in(),
    'unplug': lambda bench: bench.unplug(),
    'authorize': lambda bench: bench.authorize(TOKEN),
    'authorize another': lambda bench: bench.authorize('another-token'),
    'EV pauses': lambda bench: bench.ev_pause(),
    'EV resumes': lambda bench: bench.ev_resume(),
    'pause': lambda bench: bench.pause_charging(),
    'resume': lambda bench: bench.resume_charging(),
    'stop': lambda bench: bench.stop_transaction(token=TOKEN),
    'limit': lambda bench: bench.limit(10.0),
    'no limit': lambda bench: bench.limit(None),
    'disable': lambda bench: bench.disable(),
    'enable': lambda bench: bench.enable(),
    'replug': lambda bench: bench.replug(),
    'clock forward': lambda bench: bench.set_wall_clock(3600.0),
    'clock back': lambda bench: bench.set_wall_clock(-7200.5),
    'parameters': lambda bench: bench.feed(ParametersChanged(Config(max_current_import_a=13.0))),
    'look at the status': lambda bench: bench.status,
    'manager stalls': lambda bench: setattr(bench, 'renewing', not bench.renewing),
    'manager fails': lambda bench: bench.manager.fail('it failed in a test', bench._moment()),
    'a second': lambda bench: bench.run_for(1.0),
    'half a minute': lambda bench: bench.run_for(30.3),
    'a minute': lambda bench: bench.run_for(60.0),
    **{f'fault {name}': lambda bench, name=name: bench.inject(name) for name in FAULTS},
    'no faults': lambda bench: bench.clear(),
}

COURSES = st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.floats(0.0, 12.0)), min_size=1, max_size=10)


def play(bench: Bench, course: list[tuple[str, float]]) -> None:
    for name, seconds in course:
        with suppress(SimulationError, BenchError):  # what cannot be done now is left out
            ACTIONS[name](bench)
        bench.run_for(seconds)


def end(bench: Bench) -> None:
    """End the manager as its node does."""
    with suppress(BenchError):
        bench.shut_down()
    bench.manager.close(bench._moment(), 'the node is shutting down')
