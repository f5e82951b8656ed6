"""
Stalls: a process that stands still for 0.1 to 10 s at any moment, as under SIGSTOP or a starved machine.

Everything runs in lock-step.  What arrives at a process that stands still is queued as the middleware does
it: of states and commands only the newest.  Nothing may be announced that did not happen.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evse_manager.charging.inputs import MeterSampled, TelemetrySampled
from evse_manager.interface.enums import ContactorState, SessionEventEnum
from evse_manager.interface.types import BoardCommand, BoardState, Powermeter
from faults.fault_bench import FaultBench


class StallBench(FaultBench):
    """A bench whose manager or board node can stand still; the simulated hardware goes on."""

    def __init__(self) -> None:
        self.manager_stands = self.board_stands = False
        self.queue_first = True
        """After a stall the manager takes what is queued before it does what is due; else the other way."""
        self._state: BoardState | None = None
        self._sample: Powermeter | None = None
        self._command: BoardCommand | None = None
        self.opened = False
        super().__init__()

    def stall_manager(self, seconds: float) -> None:
        """Let the manager stand still."""
        self.manager_stands = True
        self.run_for(seconds)
        self.manager_stands = False
        if self.queue_first:
            self._take_queued()
        self.manager.run(self._moment())
        self._take_queued()
        self._settle()

    def stall_board(self, seconds: float) -> None:
        """Let the board node stand still."""
        self.board_stands = True
        self.run_for(seconds)
        self.board_stands = False
        self._loop.run(self._moment())
        command, self._command = self._command, None
        if command is not None:
            self._loop.command(command, self._moment())
        self._settle()

    def _take_queued(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            self.manager.observe(state, self._moment())
        sample, self._sample = self._sample, None
        if sample is not None:
            self.manager.take(MeterSampled(sample), self._moment())

    def next_event(self) -> float:
        board = (self._driver.next_poll(), self.board.clock_deadline(), self.board.steady_deadline())
        manager = (self.manager.clock_deadline(), self.manager.steady_deadline())
        times = (() if self.board_stands else board) + (() if self.manager_stands else manager)
        return min((time for time in times if time is not None), default=float('inf'))

    def _settle(self) -> None:
        moment = self._moment()
        progress = True
        while progress:
            progress = False
            if not self.board_stands:
                self._loop.run(moment)
                progress = self._report()
            due = min(self.manager.clock_deadline(), self.manager.steady_deadline()) <= self.now
            if due and not self.manager_stands:
                self.manager.run(moment)
                progress = True
        self.opened = self.opened or self.board.contactor is ContactorState.OPEN
        for watcher in self.watchers:
            watcher(self)

    def _report(self) -> bool:
        moment = self._moment()
        state = self.board.take_state(moment)
        sample, telemetry = self._driver.meter(), self._driver.telemetry()
        if self.manager_stands:
            self._state, self._sample = state or self._state, sample or self._sample
        else:
            if state is not None:
                self.manager.observe(state, moment)
            if sample is not None:
                self.manager.take(MeterSampled(sample), moment)
            if telemetry is not None:
                self.manager.take(TelemetrySampled(telemetry), moment)
        return state is not None or sample is not None or telemetry is not None

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        if self.board_stands:
            self._command = command
        else:
            super().send_command(command, renewal=renewal)


def charging(offset_s: float) -> StallBench:
    """Return a bench with a car that charges for good, some time into its session."""
    bench = StallBench()
    bench.charge()
    bench.run_for(3.0 + offset_s)
    bench.opened = False
    return bench


STALLS = st.floats(0.1, 10.0)
OFFSETS = st.floats(0.0, 2.0)
CHECKED = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@CHECKED
@given(STALLS, OFFSETS, st.booleans())
def test_F48_a_manager_that_stands_still_announces_nothing_that_did_not_happen(
    seconds: float, offset_s: float, queue_first: bool
) -> None:
    bench = charging(offset_s)
    bench.queue_first = queue_first
    since = len(bench.events)
    bench.stall_manager(seconds)
    bench.run_for(20.0)
    assert bench.flows, bench.status.reason_text
    assert bench.codes(since) == ('CR' if bench.opened else ''), f'stood still for {seconds} s'


@CHECKED
@given(STALLS, OFFSETS)
def test_F48_a_board_node_that_stands_still_is_lost_and_nothing_else(seconds: float, offset_s: float) -> None:
    bench = charging(offset_s)
    since = len(bench.events)
    bench.stall_board(seconds)
    bench.run_for(20.0)
    assert bench.flows, bench.status.reason_text
    assert bench.codes(since, details=True) in {
        '',
        'CR',
        'Error(Internal) AllErrorsCleared CR',
    }, f'stood still for {seconds} s'
    announced = {recorded.event.event for recorded in bench.events[since:]}
    assert (SessionEventEnum.CHARGING_RESUMED in announced) == bench.opened


@pytest.mark.parametrize('seconds', [2.0, 10.0])
def test_F48_stalls_are_no_interruptions_by_the_car(seconds: float) -> None:
    bench = charging(0.0)
    for _ in range(3):
        bench.stall_manager(seconds)
        bench.run_for(30.0)
        assert bench.flows
    assert 'PEV' not in bench.codes()
