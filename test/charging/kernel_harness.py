"""
The kernel in a harness: a board without physics that obeys at once, and is made to fail by hand.

Everything the board reports is an attribute that a test may set; time passes only in ``run`` and ``until``,
from one deadline, board report or meter sample to the next.  Whole sequences with the real board loop and the
simulated world are in ``test_golden_sequences.py``; here tests decide every reading and every instant.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from charging.invariants import InvariantChecker
from evse_manager.charging.commands import Answer
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    BoardCapabilitiesReceived,
    CapabilitiesReceived,
    Command,
    CommandReceived,
    Input,
    LimitsEnforced,
    MeterSampled,
    Now,
    SetExternalLimits,
    Start,
    StopTransaction,
    TelemetrySampled,
    Tick,
)
from evse_manager.charging.kernel import Kernel, Output
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    OpeningReason,
    PilotMode,
    ProximityState,
    StopTransactionReason,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardCommand,
    BoardError,
    BoardState,
    BoardTransition,
    Current,
    Energy,
    EnforcedLimits,
    EvseStatus,
    ExternalLimits,
    HardwareCapabilities,
    LimitsReq,
    LimitsRes,
    Powermeter,
    ProvidedIdToken,
    ScheduleReqEntry,
    SessionEvent,
    StopTransactionRequest,
    Telemetry,
    Time,
    ValidationResult,
)
from evse_manager.lease.manager import BoardLost, BoardObserved
from evse_manager.simulation.codes import code

SECOND = 1_000_000_000
EPOCH = 1_767_225_600 * SECOND
HARDWARE = HardwareCapabilities(32.0, 6.0, 3, 1, supports_changing_phases_during_charging=True)
BOARD = BoardCapabilities(supports_cp_state_f=True, has_lock=True, has_meter=True, supports_phase_switch=True)
REPORT_S = 0.25
"""How often the board reports without a change."""
KEPT_TRANSITIONS = 16
NOT_CLOSING = (BoardErrorEnum.METER_FAULT, BoardErrorEnum.VENDOR_WARNING, BoardErrorEnum.SAFETY_TESTS_OFF)
"""What a board may report and close all the same."""


def token(id_token: str = 'DEADBEEF', **validation: object) -> AuthorizeResponse:
    """Return the answer of a backend that accepts a card."""
    return AuthorizeResponse(
        ProvidedIdToken(id_token, AuthorizationType.RFID),
        replace(ValidationResult(AuthorizationStatus.ACCEPTED), **validation),
    )


def remote_stop(
    reason: StopTransactionReason = StopTransactionReason.REMOTE, tag: str = ''
) -> StopTransaction:
    """Return a stop from afar."""
    return StopTransaction(StopTransactionRequest(reason, tag))


def external(*entries: ScheduleReqEntry) -> SetExternalLimits:
    """Return the command that sets a schedule."""
    return SetExternalLimits(ExternalLimits(schedule_import=entries))


def entry(
    current_a: float | None = None, *, power_w: float | None = None, phases: int = 0, at: int = 0
) -> ScheduleReqEntry:
    """Return one entry of a schedule, on the root side."""
    return ScheduleReqEntry(Time(at), LimitsReq(power_w, current_a, ac_max_phase_count=phases))


class KernelHarness:
    """See the module's description."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        hardware: HardwareCapabilities | None = HARDWARE,
        board: BoardCapabilities = BOARD,
        boot: bool = True,
        uuid: str = '',
        report_s: float = REPORT_S,
    ) -> None:
        self.report_s = report_s
        self.t = 1000.0
        self.wall_offset = 0
        """How far, in ns, the wall clock has been set."""
        numbers = count(1)
        self.kernel = Kernel(config or Config(), lambda: f'uuid-{next(numbers)}', uuid)
        self.invariants = InvariantChecker.watch(self.kernel, config or Config())
        self.events: list[tuple[float, SessionEvent]] = []
        self.answers: dict[int, Answer] = {}
        self.answered_at: dict[int, float] = {}
        self.outputs = BoardCommand()
        self.history: list[tuple[float, BoardCommand]] = []
        self.deadline: float | None = None
        self.last = Output()
        self.finished = False
        self.tape: list[tuple[Input, Now, Output]] = []
        """All inputs of the kernel, and its outputs."""
        self._tickets = count(1)
        # What the board reports, and how it fails.
        self.ev = 'A'
        self.contactor = ContactorState.OPEN
        self.welded = self.blocked = self.jammed = self.deaf = self.silent = False
        self.phases_stuck = False
        self.errors: tuple[BoardErrorEnum, ...] = ()
        self.fault_counter = 0
        self.opening_reason = OpeningReason.UNSPECIFIED
        self.replugging = False
        self.ampacity_a: float | None = None
        self.proximity = ProximityState.NOT_AVAILABLE
        self.offered_more_a = 0.0
        self.phases = hardware.max_phase_count_import if hardware is not None else 3
        self.has_lock, self.lock = board.has_lock, LockState.UNLOCKED
        self.transitions: list[BoardTransition] = []
        self._next_report = self.t + report_s
        # What the meter and the sensors report.
        self.metered = True
        self.energy_wh: float | None = 5000.0
        self.drawn_a: float | None = None
        self.do(BoardCapabilitiesReceived(board))
        if hardware is not None:
            self.do(CapabilitiesReceived(hardware))
        if boot:
            self.do(Start())
            self.observe()

    # --- time ----------------------------------------------------------------------------------

    @property
    def now(self) -> Now:
        return Now(self.t, Time(self.wall))

    @property
    def wall(self) -> int:
        return EPOCH + round(self.t * SECOND) + self.wall_offset

    def run(self, seconds: float) -> 'KernelHarness':
        """Let time pass."""
        self._advance(self.t + seconds, lambda: False)
        return self

    def until(self, reached: Callable[[], bool], limit_s: float = 60.0) -> float:
        """Let time pass until something is so; return how long it took, infinity when too long."""
        start = self.t
        return self.t - start if self._advance(start + limit_s, reached) else math.inf

    def _advance(self, end: float, reached: Callable[[], bool]) -> bool:
        while not reached():
            if self.t >= end:
                return False
            sample = math.floor(self.t) + 1.0
            deadline = math.inf if self.deadline is None else self.deadline
            self.t = max(self.t, min(end, self._next_report, sample, deadline))
            if deadline <= self.t:
                self.do(Tick())
            if sample <= self.t and self.metered:
                self.sample()
            if self._next_report <= self.t:
                self._next_report += self.report_s
                if not self.silent:
                    self.observe()
        return True

    # --- inputs --------------------------------------------------------------------------------

    def do(self, happened: Input) -> Output:
        """Hand an input to the kernel, and let the board obey."""
        output = self.last = self.kernel.step(happened, self.now)
        self.tape.append((happened, self.now, output))
        self.events += [(self.t, event) for event in output.events]
        self.answers.update(output.answers)
        self.answered_at.update({ticket: self.t for ticket, _ in output.answers})
        self.deadline, self.finished = output.deadline, self.finished or output.finished
        if output.outputs is not None:
            self.outputs = output.outputs
            self.history.append((self.t, output.outputs))
            if not self.silent:
                self.observe()
        return output

    def observe(self) -> Output:
        """Let the board look, act, and report."""
        self._act()
        return self.do(BoardObserved(self.state(), not self.deaf))

    def state(self) -> BoardState:
        """Return what the board reports."""
        signals = self.outputs.pilot_mode is PilotMode.PWM
        return BoardState(
            stamp=self.now.wall,
            cp_state=self.cp_state,
            pilot_mode=self.outputs.pilot_mode,
            duty_cycle_percent=self.outputs.duty_cycle_percent,
            current_a=self.outputs.current_a + self.offered_more_a if signals else 0.0,
            contactor=self.contactor,
            lock=self.lock if self.has_lock else LockState.NONE,
            proximity=self.proximity,
            cable_ampacity_a=self.ampacity_a,
            phases=self.phases,
            active_errors=tuple(BoardError(error) for error in self.errors),
            fault_counter=self.fault_counter,
            opening_reason=self.opening_reason,
            replug_active=self.replugging,
            link_state=LinkState.UP,
            controller_id='harness',
            transition_counter=self.transitions[-1].counter if self.transitions else 0,
            transitions=tuple(self.transitions[-KEPT_TRANSITIONS:]),
        )

    @property
    def cp_state(self) -> ControlPilotState:
        """What the board reads from the pilot: nothing under F."""
        return ControlPilotState.F if self.outputs.pilot_mode is PilotMode.F else ControlPilotState[self.ev]

    def pilot(self, *states: str) -> 'KernelHarness':
        """Let the EV (or a short) put the pilot into each state in turn, and the board report each."""
        for state in states:
            self.ev = state
            self.observe()
        return self

    def pilot_unseen(self, *states: str) -> 'KernelHarness':
        """Let the pilot run through states that one report lists."""
        for state in states:
            self.ev = state
            self._act()
        self.observe()
        return self

    def report(self, *errors: BoardErrorEnum) -> 'KernelHarness':
        """Let the board report exactly these errors."""
        self.errors = errors
        self.observe()
        return self

    def lose_board(self) -> 'KernelHarness':
        """Let the board fall silent, and the link supervision say so."""
        self.silent = True
        self.do(BoardLost('The board is silent.'))
        return self

    def find_board(self) -> 'KernelHarness':
        """Let the board report again."""
        self.silent = False
        self.observe()
        return self

    def sample(self) -> 'KernelHarness':
        """Let the meter report."""
        drawn = self.drawn_a
        self.do(
            MeterSampled(
                Powermeter(
                    timestamp=self.now.wall,
                    energy_wh_import=Energy(total=self.energy_wh),
                    current_a=Current(l1=drawn, l2=drawn, l3=drawn) if drawn is not None else None,
                )
            )
        )
        return self

    def temperature(self, celsius: float | None) -> 'KernelHarness':
        """Let the board report its temperature twice, as often as it needs to be believed."""
        return self.sensed(celsius).sensed(celsius)

    def sensed(self, celsius: float | None) -> 'KernelHarness':
        """Let the board report its temperature once."""
        self.do(TelemetrySampled(Telemetry(temperature_c=celsius)))
        return self

    def grant(
        self,
        current_a: float | None,
        life_s: float = 10.0,
        *,
        power_w: float | None = None,
        phases: int = 0,
        uuid: str = '',
    ) -> 'KernelHarness':
        """Let the energy manager hand out a limit."""
        stamp = self.wall
        self.do(
            LimitsEnforced(
                EnforcedLimits(
                    uuid,
                    Time(stamp),
                    Time(stamp + round(life_s * SECOND)),
                    LimitsRes(power_w, current_a, phases),
                )
            )
        )
        return self

    def send(self, command: Command) -> int:
        """Send a command; return its ticket."""
        ticket = next(self._tickets)
        self.do(CommandReceived(ticket, command))
        return ticket

    def command(self, command: Command) -> Answer:
        """Send a command and wait for its answer, 8 s at most."""
        ticket = self.send(command)
        assert self.until(lambda: ticket in self.answers, 8.0) <= 8.0, f'{command} is never answered.'
        return self.answers[ticket]

    def lapse(self, *steps: tuple[str, PilotMode]) -> 'KernelHarness':
        """
        Let the lease lapse while the manager stands still, and the EV take these steps before it goes on.

        Only the newest state reaches the manager, and by then the pilot shows again what it ordered last.
        """
        self.contactor = ContactorState.OPEN
        self.fault_counter += 1
        self.opening_reason = OpeningReason.LEASE_LAPSED
        for state, pilot_mode in ((self.ev, PilotMode.X1), *steps):
            self.ev = state
            number = self.transitions[-1].counter + 1 if self.transitions else 1
            self._note(number, self.cp_state, pilot_mode)
        self.do(BoardObserved(self.state(), answered=True))
        return self

    # --- short scripts -------------------------------------------------------------------------

    def plug(self) -> 'KernelHarness':
        """Plug an EV in that asks for nothing yet."""
        return self.pilot('B')

    def authorize(self) -> 'KernelHarness':
        """Present a good token."""
        assert self.command(token()).success
        return self

    def offered(self) -> 'KernelHarness':
        """Come to an offer in state B."""
        self.run(4.0).plug().authorize()
        self.run(0.5)
        return self

    def charging(self) -> 'KernelHarness':
        """Come to a flow of energy."""
        self.offered().pilot('C')
        self.run(0.5)
        assert self.flows, self.status
        return self

    # --- what can be seen ----------------------------------------------------------------------

    @property
    def status(self) -> EvseStatus:
        return self.kernel.status(self.now)

    @property
    def flows(self) -> bool:
        return self.contactor is ContactorState.CLOSED

    @property
    def signalled(self) -> float:
        """The current on the pilot, 0 under X1 and F."""
        return self.outputs.current_a

    def codes(self, since: int = 0) -> str:
        """Return the events in short codes."""
        return ' '.join(code(event, details=True) for _, event in self.events[since:])

    def says(self, action: Callable[[], object]) -> str:
        """Return the codes of the events that an action brings about."""
        since = len(self.events)
        action()
        return self.codes(since)

    # --- the board -----------------------------------------------------------------------------

    def _act(self) -> None:
        wanted, cp_state = self.outputs, self.cp_state
        asks = cp_state is ControlPilotState.C or (
            cp_state is ControlPilotState.D and wanted.ventilation_allowed
        )
        closed = self.contactor is ContactorState.CLOSED
        may_stay = wanted.allow_power_on and asks and not self.replugging
        may_close = (
            may_stay
            and wanted.pilot_mode is PilotMode.PWM
            and wanted.acknowledged_fault_counter == self.fault_counter
            and not set(self.errors) - set(NOT_CLOSING)
        )
        closes = (may_stay if closed else may_close and not self.blocked) or (closed and self.welded)
        self.contactor = ContactorState.CLOSED if closes else ContactorState.OPEN
        if self.has_lock and not self.jammed:
            self.lock = LockState.LOCKED if wanted.lock else LockState.UNLOCKED
        if wanted.phases and not closes and not self.phases_stuck:
            self.phases = wanted.phases
        last = self.transitions[-1] if self.transitions else None
        if last is None or (last.cp_state, last.contactor) != (cp_state, self.contactor):
            number = last.counter + 1 if last is not None else 1
            self._note(number, cp_state, wanted.pilot_mode)

    def _note(self, number: int, cp_state: ControlPilotState, pilot_mode: PilotMode) -> None:
        self.transitions.append(BoardTransition(number, cp_state, self.contactor, self.now.wall, pilot_mode))
