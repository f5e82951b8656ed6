"""The kernel of a connector leading a busy life, for the records that it leaves behind."""

from collections.abc import Callable
from random import Random
from uuid import UUID

from evse_manager.charging.inputs import (
    AuthorizeResponse,
    BoardCapabilitiesReceived,
    CancelReservation,
    CapabilitiesReceived,
    ClearFault,
    Command,
    CommandReceived,
    Disable,
    Enable,
    Input,
    MeterSampled,
    Now,
    PauseCharging,
    Reserve,
    ResumeCharging,
    SetExternalLimits,
    SetFaulted,
    Shutdown,
    Start,
    StopTransaction,
    Tick,
)
from evse_manager.charging.kernel import Kernel, Output
from evse_manager.interface.enums import (
    AuthorizationStatus,
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    PilotMode,
    StopTransactionReason,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardCommand,
    BoardError,
    BoardState,
    Energy,
    Error,
    ExternalLimits,
    HardwareCapabilities,
    LimitsReq,
    Powermeter,
    ProvidedIdToken,
    ScheduleReqEntry,
    StopTransactionRequest,
    Time,
    ValidationResult,
)
from evse_manager.lease.manager import BoardObserved
from evse_manager.store import Entry, Remembered

SECOND = 1_000_000_000
EPOCH = Time(1_767_225_600 * SECOND)
OUTAGE_S = 30.0


def token(id_token: str) -> AuthorizeResponse:
    return AuthorizeResponse(
        ProvidedIdToken(id_token), ValidationResult(authorization_status=AuthorizationStatus.ACCEPTED)
    )


def limit(current_a: float) -> SetExternalLimits:
    entry = ScheduleReqEntry(limits_to_root=LimitsReq(ac_max_current_a=current_a))
    return SetExternalLimits(ExternalLimits(schedule_import=(entry,)))


RARE: tuple[str | Command, ...] = (
    'error',
    'wait',
    Disable(),
    SetFaulted(),
    CancelReservation(),
    StopTransaction(StopTransactionRequest(StopTransactionReason.REMOTE, 'BOB')),
    limit(16.0),
    limit(20.0),
    SetExternalLimits(),
)
COMMON: tuple[str | Command, ...] = (
    'plug',
    'ask',
    'unplug',
    'mend',
    token('ALICE'),
    token('BOB'),
    Reserve(7),
    PauseCharging(),
    ResumeCharging(),
    Enable(),
    ClearFault(),
)
ACTIONS = (*RARE, *COMMON * 9)
"""What may happen next; what ends charging is rare, so that there is some to interrupt."""


class Life:
    """A kernel, a board that obeys at once, a meter, and time that passes as called for."""

    def __init__(
        self,
        keep: Callable[[Entry], None],
        remembered: Remembered | None = None,
        *,
        seed: int = 0,
        plugged: bool = False,
        config: Config | None = None,
    ) -> None:
        """Boot with what is remembered; ``keep`` gets all that is worth a record."""
        remembered = remembered or Remembered()
        self._random = Random(seed)
        self._keep = keep
        self._kernel = Kernel(config or Config(), self._uuid)
        self._errors: tuple[Error, ...] = ()
        self._epoch = remembered.memory.written or EPOCH
        self.t = OUTAGE_S
        self.ev = 'C' if plugged else 'A'
        self.wh = (self._epoch + self.t * SECOND - EPOCH) / SECOND  # 3.6 kW, on and on
        self._fault = False
        self._outputs = BoardCommand()
        self._deadline: float | None = None
        self._tickets = 0
        self.finished = False
        self._do(BoardCapabilitiesReceived(BoardCapabilities(supports_cp_state_f=True, has_meter=True)))
        self._do(CapabilitiesReceived(HardwareCapabilities(32.0, 6.0, 3, 1)))
        self._do(Start(remembered.memory, remembered.last_sequence_number))
        self._sample()
        self.wait(1.0)

    @property
    def now(self) -> Now:
        return Now(self.t, Time(round(self._epoch + self.t * SECOND)))

    def act(self, action: str | Command) -> None:
        """Let something happen, and then a moment pass."""
        match action:
            case 'plug' if self.ev == 'A':
                self.ev = 'B'
            case 'ask' if self.ev == 'B':
                self.ev = 'C'
            case 'unplug':
                self.ev = 'A'
            case 'wait':
                self.wait(31.0)
            case 'error' | 'mend':
                self._fault = action == 'error'
            case str():
                pass
            case command:
                self._tickets += 1
                self._do(CommandReceived(self._tickets, command))
        self._observe()
        self.wait(self._random.choice((0.3, 3.0)))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = self.t + seconds
        while self.t < end:
            step = min(end, self.t + 1.0)
            if self._deadline is not None and self.t < self._deadline < step:
                step = self._deadline
            self.wh += step - self.t
            self.t = step
            self._do(Tick())
            self._sample()
            self._observe()

    def end(self) -> None:
        """Shut down in order."""
        self._do(Shutdown())
        self.wait(5.0)
        assert self.finished

    def _uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128)))

    def _sample(self) -> None:
        self._do(MeterSampled(Powermeter(timestamp=self.now.wall, energy_wh_import=Energy(total=self.wh))))

    def _observe(self) -> None:
        outputs = self._outputs
        in_f = outputs.pilot_mode is PilotMode.F
        asks = self.ev == 'C' and not in_f and not self._fault
        closed = asks and outputs.allow_power_on
        state = BoardState(
            stamp=self.now.wall,
            cp_state=ControlPilotState.F if in_f else ControlPilotState[self.ev],
            pilot_mode=outputs.pilot_mode,
            current_a=outputs.current_a,
            contactor=ContactorState.CLOSED if closed else ContactorState.OPEN,
            lock=LockState.NONE,
            phases=outputs.phases or 3,
            active_errors=(BoardError(BoardErrorEnum.DIODE_FAULT),) if self._fault else (),
            fault_counter=int(self._fault),
            link_state=LinkState.UP,
            controller_id='life',
        )
        self._do(BoardObserved(state, True))

    def _do(self, happened: Input) -> None:
        output = self._kernel.step(happened, self.now)
        self._record(output)
        self._deadline = output.deadline
        self.finished = self.finished or output.finished
        if output.outputs is not None:
            self._outputs = output.outputs
            self._observe()

    def _record(self, output: Output) -> None:
        errors = None
        if output.status is not None and output.status.active_errors != self._errors:
            errors = self._errors = output.status.active_errors
        if output.events or output.memory is not None or errors is not None:
            self._keep(Entry(self.now.wall, output.events, output.memory, errors))
