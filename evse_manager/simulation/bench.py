"""
A whole connector in one process and in lock-step: manager, board loop, simulated world; no ROS, no waiting.

An engineer plays with the model, a test writes down a scenario, a month of charging takes minutes::

    bench = Bench()
    bench.plug_in('single_phase', soc_percent=70.0)
    bench.authorize()
    bench.run_until(lambda b: b.flows, limit_s=30)
    bench.run_for(3600)
    bench.unplug()
    print(bench.codes())          # SS AR TS PC CS SC CF TF SF

Time stands still between the calls; only ``run_for``, ``run_until`` and commands that answer later let it
pass.  With ``leases`` the manager renews its lease and supervises the link as the real node does; without,
nothing but changes is exchanged, which is much quicker.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

from evse_manager.board.controller import LEASE_MAX_S, BoardController
from evse_manager.board.driver import DriverContext
from evse_manager.board.loop import BoardLoop
from evse_manager.charging.commands import Answer
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    BoardCapabilitiesReceived,
    CapabilitiesReceived,
    Command,
    Disable,
    Enable,
    Input,
    MeterSampled,
    PauseCharging,
    ResumeCharging,
    SetExternalLimits,
    StopTransaction,
    TelemetrySampled,
)
from evse_manager.charging.kernel import Kernel, Output
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    StopTransactionReason,
)
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
    StopTransactionRequest,
    Time,
    ValidationResult,
)
from evse_manager.lease.manager import BoardLeaseClient
from evse_manager.manager import ConnectorManager
from evse_manager.simulation.codes import code
from evse_manager.simulation.driver import SimulatedDriver, SimulatedParameters
from evse_manager.simulation.profiles import EvProfile
from evse_manager.simulation.script import ScriptStep, play
from evse_manager.simulation.world import World, WorldSettings

EPOCH = Time(1_767_225_600_000_000_000)
"""2026-01-01 00:00:00 UTC: the default start of the bench's time."""

MANAGER, BOARD = 'bench', 'bench board'
ANSWER_LIMIT_S = 10.0
"""No command takes longer to answer (8 s for ``force_unlock``)."""

DEFAULT_TOKEN = 'DEADBEEF'


class BenchError(Exception):
    """A scenario did not go as written; the text names what was seen instead."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event and when it came, in seconds of the bench."""

    at: float
    event: SessionEvent

    @property
    def code(self) -> str:
        """Return it in short: ``CS``, ``TF(Remote)``."""
        return code(self.event, details=True)


class Bench:
    """
    See the module's description; every call acts at ``now``.

    It is large because it offers every action of a person, a script or a test by name.
    """

    def __init__(
        self,
        config: Config | None = None,
        settings: WorldSettings | None = None,
        *,
        leases: bool = False,
        epoch: Time = EPOCH,
        random: Callable[[], float] = lambda: 0.0,
        make_manager: Callable[..., ConnectorManager] = ConnectorManager,
    ) -> None:
        """
        Put everything together and start it; the first event (Enabled) comes at once.

        ``random`` (0 to 1) spreads restarts, as in the kernel; ``make_manager`` takes what a
        ``ConnectorManager`` takes.
        """
        self.now = 0.0
        self.events: list[Recorded] = []
        """Every session event since the start."""
        self.sample: Powermeter | None = None
        """The meter's newest sample."""
        self.renewing = True
        """With ``leases``: False simulates a manager that has died, as the board sees it."""
        self.watchers: list[Callable[[Bench], None]] = []
        """Called after everything that happened at one instant: a place for a test's invariants."""
        self._leases = leases
        self._epoch = epoch
        self._answers: dict[int, Answer] = {}
        self._tickets = 0
        self._uuids = 0
        self._planned: list[tuple[float, Callable[[], None]]] = []
        context = DriverContext(clock=lambda: self.now, wall=self._wall, wake=lambda: None)
        self._driver = SimulatedDriver(_parameters(settings or WorldSettings()), context)
        self._driver.open()
        config = config or Config()
        lease_s, longest_s = (config.board_lease_s, LEASE_MAX_S) if leases else (math.inf, math.inf)
        self.board = BoardController(lease_max_s=longest_s, board_id=BOARD)
        """The board's loop; ``board.state(...)`` is easier had as ``bench.board_state``."""
        self._loop = BoardLoop(self._driver, self.board)
        self.manager = make_manager(
            config, BoardLeaseClient(MANAGER, lease_s), self, new_uuid=self._new_uuid, random=random
        )
        """The manager, as the node runs it."""
        self._loop.run(self._moment())
        self.manager.take(BoardCapabilitiesReceived(self._driver.capabilities()), self._moment())
        self.manager.take(CapabilitiesReceived(self._driver.hw_capabilities()), self._moment())
        self.manager.start(self._moment())
        self.manager.renew(self._moment())  # the board wants two fresh commands before it allows power
        self._settle()

    # --- what can be seen ----------------------------------------------------------------------------

    @property
    def kernel(self) -> Kernel:
        """The charging kernel."""
        return self.manager.kernel

    @property
    def finished(self) -> bool:
        """Whether a shutdown is complete."""
        return self.manager.finished

    @property
    def world(self) -> World:
        """The simulated world: voltages, temperatures, the EV."""
        return self._driver.world

    @property
    def board_state(self) -> BoardState:
        """The board's state as it is now."""
        return self.board.state(self._moment())

    @property
    def status(self) -> EvseStatus:
        """The kernel's status as it is now."""
        return self.manager.status(self._moment())

    @property
    def flows(self) -> bool:
        """Whether the EV draws current at this moment."""
        return max(self.world.currents_a) > 0.0

    def codes(self, since: int = 0, *, details: bool = False) -> str:
        """
        Return the events in short codes, as ``SS AR TS PC CS``.

        ``since`` leaves out so many of the oldest; ``details`` adds what the payload says, as ``TF(Remote)``.
        """
        return ' '.join(code(recorded.event, details=details) for recorded in self.events[since:])

    # --- time ----------------------------------------------------------------------------------------

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self._run(self.now + seconds, None)

    def run_to(self, at: float) -> None:
        """Let time pass up to ``at``; benches that are run to their next event in turn are in lock-step."""
        self._run(at, None)

    def next_event(self) -> float:
        """Return when something happens next by itself, anywhere; infinity for never."""
        times = (self._driver.next_poll(), self.board.clock_deadline(), self.manager.clock_deadline())
        due = min((time for time in times if time is not None), default=math.inf)
        if self._planned:
            due = min(due, self._planned[0][0])
        if self._leases:
            due = min(due, self.board.steady_deadline(), self.manager.steady_deadline())
        return due

    def run_until(self, predicate: Callable[['Bench'], bool], limit_s: float = 60.0) -> float:
        """
        Let time pass until ``predicate`` of this bench holds; return how long that took in seconds.

        Raises BenchError when it does not within ``limit_s``.
        """
        start = self.now
        if not self._run(start + limit_s, predicate):
            raise BenchError(
                f'Not within {limit_s:g} s; events: {self.codes(details=True)}; {self.status.reason_text}'
            )
        return self.now - start

    def plan(self, at: float, action: Callable[[], None]) -> None:
        """Plan an action for a time of the bench, for scripts."""
        self._planned.append((at, action))
        self._planned.sort(key=lambda planned: planned[0])

    def play(self, steps: tuple[ScriptStep, ...]) -> None:
        """Plan the steps of a script from now on; ``run_for`` plays them."""
        start = self.now
        play(steps, self, lambda at, action: self.plan(start + at, action))

    # --- the world --------------------------------------------------------------------------------------

    def plug_in(self, profile: EvProfile | str = '', **changes: float) -> None:
        """Plug in an EV by name; ``changes`` are fields of its profile, as ``soc_percent=20.0``."""
        self.world.plug_in(profile, **changes)
        self._settle()

    def unplug(self) -> None:
        """Pull the plug at the car."""
        self.world.unplug()
        self._settle()

    def ev_pause(self) -> None:
        """Let the EV want no power."""
        self.world.ev_pause()
        self._settle()

    def ev_resume(self) -> None:
        """Let the EV want power again."""
        self.world.ev_resume()
        self._settle()

    def set_proximity(self, ampacity_a: float) -> None:
        """Change the cable's coding."""
        self.world.set_proximity(ampacity_a)
        self._settle()

    def inject(self, fault: str) -> None:
        """Inject a fault by name."""
        self.world.inject(fault)
        self._settle()

    def clear(self, fault: str = '') -> None:
        """Clear a fault by name, or all."""
        self.world.clear(fault)
        self._settle()

    def replug(self) -> None:
        """Begin a virtual replug of the board's own."""
        self._loop.replug(self._moment())
        self._settle()

    # --- the manager ------------------------------------------------------------------------------------

    def command(self, command: Command) -> Answer:
        """
        Send a command and return its answer; time passes only where the answer takes time.

        Raises BenchError when no answer comes.
        """
        ticket = self.send(command)
        if ticket not in self._answers and not self._run(
            self.now + ANSWER_LIMIT_S, lambda _: ticket in self._answers
        ):
            raise BenchError(f'No answer to {command!r} within {ANSWER_LIMIT_S:g} s.')
        return self._answers.pop(ticket)

    def send(self, command: Command) -> int:
        """Send a command without waiting; return its ticket, for ``answer``."""
        self._tickets += 1
        self.manager.execute(command, partial(self._answers.__setitem__, self._tickets), self._moment())
        self._settle()
        return self._tickets

    def answer(self, ticket: int) -> Answer | None:
        """Return the answer to a command that was sent, ``None`` while there is none."""
        return self._answers.get(ticket)

    def feed(self, happened: Input) -> None:
        """Hand any other input to the kernel."""
        self.manager.take(happened, self._moment())
        self._settle()

    def authorize(self, token: str = DEFAULT_TOKEN) -> Answer:
        """Authorize as a card reader and its backend would."""
        provided = ProvidedIdToken(id_token=token, authorization_type=AuthorizationType.RFID)
        return self.command(AuthorizeResponse(provided, ValidationResult(AuthorizationStatus.ACCEPTED)))

    def limit(self, current_a: float | None = None) -> Answer:
        """Set an external limit in A per phase; ``None`` takes it away."""
        if current_a is None:
            return self.command(SetExternalLimits(ExternalLimits()))
        entry = ScheduleReqEntry(self._wall(), LimitsReq(ac_max_current_a=current_a))
        return self.command(SetExternalLimits(ExternalLimits(schedule_import=(entry,))))

    def pause_charging(self) -> Answer:
        """Pause the transaction."""
        return self.command(PauseCharging())

    def resume_charging(self) -> Answer:
        """End the pause."""
        return self.command(ResumeCharging())

    def stop_transaction(
        self, reason: StopTransactionReason = StopTransactionReason.REMOTE, token: str = ''
    ) -> Answer:
        """End the transaction."""
        return self.command(StopTransaction(StopTransactionRequest(reason, token)))

    def enable(self) -> Answer:
        """Make the connector available."""
        return self.command(Enable())

    def disable(self) -> Answer:
        """Make the connector unavailable."""
        return self.command(Disable())

    def shut_down(self, limit_s: float = 5.0) -> float:
        """Shut the manager down in order; return how long it took in seconds."""
        self.manager.shut_down(self._moment())
        self._settle()
        return self.run_until(lambda bench: bench.finished, limit_s)

    def set_wall_clock(self, seconds: float) -> None:
        """Let the wall clock jump by so many seconds, as NTP or a person does."""
        self._epoch = Time(self._epoch + round(seconds * 1e9))

    # --- inside ------------------------------------------------------------------------------------------

    def _wall(self) -> Time:
        return Time(self._epoch + round(self.now * 1e9))

    def _moment(self) -> ClockReadings:
        return ClockReadings(self.now, self.now, self._wall())

    def _new_uuid(self) -> str:
        self._uuids += 1
        return f'00000000-0000-4000-8000-{self._uuids:012d}'

    def _run(self, end: float, predicate: Callable[['Bench'], bool] | None) -> bool:
        if predicate is not None and predicate(self):
            return True
        while (at := self.next_event()) <= end:
            self.now = max(self.now, at)
            self._settle()
            if predicate is not None and predicate(self):
                return True
        self.now = max(self.now, end)
        self._loop.run(self._moment())
        return predicate is not None and predicate(self)

    def _settle(self) -> None:
        """Let everything that is due at this instant happen, in the order of the real nodes."""
        while self._planned and self._planned[0][0] <= self.now:
            self._planned.pop(0)[1]()
        while True:
            self._loop.run(self._moment())
            progress = self._report()
            if min(self.manager.clock_deadline(), self.manager.steady_deadline()) <= self.now:
                self.manager.run(self._moment())
                progress = True
            if not progress:
                break
        for watcher in self.watchers:
            watcher(self)

    def _report(self) -> bool:
        """Hand what the board has to say to the kernel; return whether there was anything."""
        moment = self._moment()
        state = self.board.take_state(moment, heartbeat=self._leases)
        if state is not None:
            self.manager.observe(state, moment)
        sample, telemetry = self._driver.meter(), self._driver.telemetry()
        if sample is not None:
            self.sample = sample
            self.manager.take(MeterSampled(sample), moment)
        if telemetry is not None:
            self.manager.take(TelemetrySampled(telemetry), moment)
        return state is not None or sample is not None or telemetry is not None

    # --- what the manager calls ------------------------------------------------------------------------

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        """Hand a command to the board, unless the manager is simulated as dead."""
        if self.renewing:
            self._loop.command(command, self._moment())

    def publish(self, output: Output) -> None:
        """Ignore what only nodes publish."""

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        """Collect the events."""
        self.events.extend(Recorded(self.now, event) for event in events)

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        """Ignore what only nodes publish: the status is a property here."""


def _parameters(settings: WorldSettings) -> SimulatedParameters:
    return SimulatedParameters(**{spec.name: getattr(settings, spec.name) for spec in fields(WorldSettings)})
