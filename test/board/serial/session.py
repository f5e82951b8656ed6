"""
One connector in this process, in real time: manager, board loop, a real driver, a virtual board on its port.

As the nodes do it, without DDS between them.  Everything but the virtual board and the driver's reader runs
in the thread of the test, inside of ``sees`` and ``until``.
"""

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evse_manager.board.controller import BoardController
from evse_manager.board.driver import Driver, DriverContext, driver_class
from evse_manager.board.loop import BoardLoop
from evse_manager.charging.commands import Answer
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    BoardCapabilitiesReceived,
    CapabilitiesReceived,
    Command,
    MeterSampled,
    SetExternalLimits,
    TelemetrySampled,
)
from evse_manager.charging.kernel import Output
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import AuthorizationStatus, LinkState
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCommand,
    BoardState,
    EvseStatus,
    ExternalLimits,
    LimitsReq,
    Powermeter,
    ProvidedIdToken,
    ScheduleReqEntry,
    SessionEvent,
    Telemetry,
    Time,
    ValidationResult,
)
from evse_manager.lease.manager import BoardLeaseClient
from evse_manager.manager import ConnectorManager
from evse_manager.simulation.codes import code
from evse_manager.simulation.virtual.host import VirtualBoardHost

PATIENCE_S = 15.0
_managers, _boards = itertools.count(1), itertools.count(1)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition while no node runs."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f'not within {PATIENCE_S:g} s: {what}'
        time.sleep(0.02)


class Session:
    """``with Session('openevse') as session``: the board is known and at rest inside of the block."""

    def __init__(
        self,
        board: str,
        config: Config | None = None,
        host: VirtualBoardHost | None = None,
        driver: str = '',
        beside: Callable[[Driver, DriverContext], Driver] = lambda driver, _: driver,
        **parameters: Any,
    ) -> None:
        """``beside`` puts something beside the driver, as a meter."""
        # A stable name: the number of a port that is pulled goes to another test's.
        self._folder = tempfile.TemporaryDirectory()
        self.host = host or VirtualBoardHost(board, Path(self._folder.name) / 'port')
        cls = driver_class(driver or board)
        self._woken = threading.Event()
        context = DriverContext(clock=self.clock, wall=self._wall, wake=self._woken.set)
        parameters.setdefault('port', self.host.port)
        self._make_driver = lambda: beside(cls(cls.Parameters(**parameters), context), context)
        self._config = config or Config(replug_grace_s=0.0)
        self.memory = PersistedState()
        """State that the manager would have stored."""
        self.events: list[SessionEvent] = []
        self.states: list[BoardState] = []
        """Every state that the board published."""
        self.times: list[float] = []
        """When the events came."""
        self.sample: Powermeter | None = None
        self.telemetry: Telemetry | None = None
        self._uuids = itertools.count(1)
        self._mark = 0
        self._make_nodes()

    def _make_nodes(self) -> None:
        """Make a driver, its loop, and a manager, that know nothing yet."""
        self.driver: Driver = self._make_driver()
        self.board = BoardController(self.driver.style, board_id=f'board {next(_boards)}')
        self._loop = BoardLoop(self.driver, self.board)
        self.manager = ConnectorManager(
            self._config,
            BoardLeaseClient(f'test {next(_managers)}', 1.0),
            self,
            new_uuid=self._new_uuid,
            random=lambda: 0.0,
        )
        self._told: dict[str, object] = {}

    def _start_nodes(self) -> None:
        self.driver.open()
        self.manager.start(self._moment(), self.memory)
        self.until(lambda: self.link is LinkState.UP and self.driver.hw_capabilities() is not None, 'link up')

    def __enter__(self) -> Self:
        self.host.start()
        try:
            self._start_nodes()
            self.until(lambda: 'Enabled' in self.codes, 'Enabled')
            self.until(lambda: not self.status.active_errors, 'no errors')
        except BaseException:
            self._end()
            raise
        self.forget()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.shut_down(self._moment())
        self._end()

    def _end(self) -> None:
        self.driver.close()
        self.host.close()
        self._folder.cleanup()

    # --- what a test does and sees -----------------------------------------------------------------

    def do(self, command: str) -> None:
        """Let something happen to EV, board or line."""
        self.host.execute(command)

    def command(self, command: Command) -> Answer:
        answers: list[Answer] = []
        self.manager.execute(command, answers.append, self._moment())
        self.until(lambda: answers, f'an answer to {command}')
        return answers[0]

    def authorize(self, status: AuthorizationStatus = AuthorizationStatus.ACCEPTED) -> Answer:
        return self.command(AuthorizeResponse(ProvidedIdToken(id_token='TOKEN'), ValidationResult(status)))

    def limit(self, current_a: float | None) -> Answer:
        if current_a is None:
            return self.command(SetExternalLimits(ExternalLimits()))
        entry = ScheduleReqEntry(self._wall(), LimitsReq(ac_max_current_a=current_a))
        return self.command(SetExternalLimits(ExternalLimits(schedule_import=(entry,))))

    def charge(self, ev: str = '') -> None:
        self.do(f'plug_in {ev}')
        self.sees('SS AR')
        self.authorize()
        self.sees('TS PC CS')

    def shut_down(self) -> None:
        self.manager.shut_down(self._moment())
        self.until(lambda: self.manager.finished, 'the end', 5.0)

    def replug(self) -> None:
        """Begin a virtual replug of the board's own."""
        self._loop.replug(self._moment())

    def loses_power(self, remembered: PersistedState | None = None) -> None:
        """
        Let the power be cut and come back: board, board node and manager start again.

        The manager finds what it had stored, or what is given instead.
        """
        self.driver.close()
        self.host.execute('reset')
        self._wait_without_nodes(
            lambda: self.host.call(self.host.describe)['state'] not in {'booting', 'starting'},
            'the board has started',
        )
        if remembered is not None:
            self.memory = remembered
        self._make_nodes()
        self._start_nodes()

    @property
    def codes(self) -> list[str]:
        """The events since ``forget``, in short."""
        return [code(event) for event in self.events[self._mark :]]

    @property
    def last(self) -> SessionEvent:
        """The newest event that ``sees`` has seen."""
        return self.events[self._mark - 1]

    @property
    def status(self) -> EvseStatus:
        return self.manager.status(self._moment())

    @property
    def state(self) -> BoardState:
        return self.board.state(self._moment())

    @property
    def link(self) -> LinkState:
        return self.state.link_state

    @property
    def relay_closed(self) -> bool:
        """Whether the virtual contactor is closed in truth."""
        return bool(self.host.call(lambda: self.host.board.world.contactor.closed))

    def opens(self, limit_s: float = PATIENCE_S) -> None:
        """Wait until the virtual contactor is open in truth."""
        self.until(lambda: not self.relay_closed, 'open contactor', limit_s)

    def forget(self) -> None:
        self._mark = len(self.events)

    def sees(self, codes: str, limit_s: float = PATIENCE_S, *, or_else: str = '') -> None:
        """Wait for exactly these events, or for as many others."""
        wanted = codes.split()
        self.until(lambda: len(self.codes) >= len(wanted), f'events {codes}', limit_s)
        seen = self.codes[: len(wanted)]
        assert seen in (wanted, or_else.split()), f'wanted {codes}; {self._why()}'
        self._mark += len(wanted)

    def sees_nothing(self, seconds: float = 1.0) -> None:
        self.pass_time(seconds)
        assert self.codes == [], self._why()

    def pass_time(self, seconds: float) -> None:
        self._run(self.clock() + seconds, lambda: False)

    def until(self, condition: Callable[[], object], what: str, limit_s: float = PATIENCE_S) -> float:
        """Wait for a condition; return how long it took."""
        begun = self.clock()
        assert self._run(begun + limit_s, condition), f'not within {limit_s:g} s: {what}; {self._why()}'
        return self.clock() - begun

    def _why(self) -> str:
        status = self.status
        faults = [error.vendor_error for error in status.active_errors]
        state = self.state
        return (
            f'events since: {" ".join(self.codes) or "none"}; {status.reason_text} {faults} '
            f'board: {state.link_state.name} {state.cp_state.name} {state.pilot_mode.name} '
            f'{state.contactor.name} {state.active_errors}; {dict(self.driver.diagnostics())}'
        )

    def stall(self, seconds: float) -> None:
        """Let the nodes do nothing at all for a while."""
        time.sleep(seconds)

    # --- time ----------------------------------------------------------------------------------------

    def clock(self) -> float:
        """Return the steady time of this process in seconds."""
        return time.monotonic()

    def _wall(self) -> Time:
        return Time(time.time_ns())

    def _wait(self, until: float) -> None:
        """Wait for a time, or for the driver."""
        self._woken.wait(max(until - self.clock(), 0.0))

    def _wait_without_nodes(self, condition: Callable[[], object], what: str) -> None:
        until(condition, what)

    # --- the nodes -----------------------------------------------------------------------------------

    def _run(self, end: float, condition: Callable[[], object]) -> bool:
        while True:
            self._woken.clear()
            self._step()
            if condition():
                return True
            now = self.clock()
            if now >= end:
                return False
            times = [
                end,
                now + 0.25,
                self.board.steady_deadline(),
                self.manager.steady_deadline(),
                self.manager.clock_deadline(),
            ]
            times += [
                each for each in (self.driver.next_poll(), self.board.clock_deadline()) if each is not None
            ]
            self._wait(min(times))

    def _step(self) -> None:
        self._loop.run(self._moment())
        self._report()
        self.manager.run(self._moment())
        self._report()

    def _report(self) -> None:
        state = self.board.take_state(self._moment())
        if state is not None:
            self.states.append(state)
            self.manager.observe(state, self._moment())
        sample, telemetry = self.driver.meter(), self.driver.telemetry()
        if sample is not None:
            self.sample = sample
            self.manager.take(MeterSampled(sample), self._moment())
        if telemetry is not None:
            self.telemetry = telemetry
            self.manager.take(TelemetrySampled(telemetry), self._moment())
        for name, make in (
            ('capabilities', BoardCapabilitiesReceived),
            ('hw_capabilities', CapabilitiesReceived),
        ):
            told = getattr(self.driver, name)()
            if told is not None and told != self._told.get(name):
                self._told[name] = told
                self.manager.take(make(told), self._moment())

    # --- what the manager calls ----------------------------------------------------------------------

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        self._loop.command(command, self._moment())

    def publish(self, output: Output) -> None:
        self.memory = output.memory or self.memory

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        self.events.extend(events)
        self.times.extend(self.clock() for _ in events)

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        pass

    # --- time and names ------------------------------------------------------------------------------

    def _moment(self) -> ClockReadings:
        steady = self.clock()
        return ClockReadings(steady, steady, self._wall())

    def _new_uuid(self) -> str:
        return f'00000000-0000-4000-8000-{next(self._uuids):012d}'
