"""
The facts about one connector, and nothing that decides.

Charging is described by these orthogonal facts rather than by many states; the published state follows from
them (``status.py``).  The modules beside this file change the facts; only ``Connector.emit`` makes events.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import Any

from evse_manager.charging.allowance import Allowance, Grant, usable
from evse_manager.charging.faults import ErrorSet
from evse_manager.charging.inputs import Now
from evse_manager.charging.owners import Owners, enabled
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.enums import (
    Availability,
    ContactorState,
    ControlPilotState,
    LimitSource,
    PilotMode,
    SessionEventEnum,
    StartSessionReason,
    StatusReason,
    StopTransactionReason,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardCommand,
    BoardState,
    CarManufacturer,
    EnforcedLimits,
    EVInfo,
    ExternalLimits,
    HardwareCapabilities,
    Powermeter,
    ProvidedIdToken,
    ResponseExiStreamStatus,
    SessionEvent,
    Time,
)
from evse_manager.metering.account import MeterAccount
from evse_manager.metering.energy import TransactionEnergy
from evse_manager.metering.slow import SteadyTemperature

INTERRUPTIONS = 3
"""Number of the newest interruptions of the energy that are remembered (catalogue F41)."""


CLOSINGS_KEPT = 1000
"""As many closings are remembered as ``closings_per_hour_max`` may allow."""


class Cause(IntEnum):
    """Why no energy flows in a transaction, by rank: the lowest number dominates."""

    ERROR = auto()
    PAUSED_BY_EVSE = auto()
    NO_ENERGY = auto()
    PAUSED_BY_EV = auto()
    OFFERED = auto()
    FLOWING = auto()


@dataclass(slots=True)
class TransactionStop:
    """A transaction is ending: why, since when, and when the contactor was seen open."""

    reason: StopTransactionReason
    id_tag: str
    begun: float
    opened: float | None = None
    opened_stamp: Time | None = None


@dataclass(slots=True)
class Transaction:
    """Facts about the one transaction of a session."""

    token: ProvidedIdToken
    begun: float
    started: Time
    start_wh: float | None
    kept_value: Powermeter
    """The newest meter value that is worth to be remembered across a restart."""
    kept_at: float
    kept_reading_wh: float | None = None
    kept_energy: TransactionEnergy = TransactionEnergy()
    reservation_id: int | None = None
    announced: Cause = Cause.OFFERED
    energy_flowed: bool = False
    flowing_since: float | None = None
    charged_s: float = 0.0
    demand_since: float = 0.0
    stop: TransactionStop | None = None
    finished: bool = False
    energy: TransactionEnergy | None = None
    """Its result, once it is finished."""

    def stop_counting(self, steady: float) -> None:
        """End the stretch of charging time that is being counted, if there is one."""
        if self.flowing_since is not None:
            self.charged_s += steady - self.flowing_since
            self.flowing_since = None


@dataclass(slots=True)
class Session:
    """From the first touch of a user to the last."""

    uuid: str
    reason: StartSessionReason
    begun: float
    started: Time = Time(0)
    auth_required_announced: bool = False
    authorized_announced: bool = False
    transaction: Transaction | None = None
    ended: bool = False
    """The cable was seen out, or the session was ended from outside: it closes as soon as it can."""
    hidden_for: float | None = None
    """Its cable was out of sight for so many seconds, so that the car may be another one."""


@dataclass(slots=True)
class Offer:
    """A current is on the pilot."""

    since: float
    changed: float
    current_a: float
    ev_asked: bool = False
    ev_left: bool = False
    """The EV asked, was allowed power, and went back to B."""
    woken: bool = False
    wake_step_until: float | None = None
    wake_step_mode: PilotMode = PilotMode.PWM
    wake_over: float | None = None


@dataclass(slots=True)
class PhaseSwitch:
    """A change to another number of phases; ``ordered_at`` is ``None`` before the board was ordered."""

    target: int
    ordered_at: float | None = None


@dataclass(slots=True)
class Pending:
    """A command that is answered later."""

    ticket: int
    deadline: float


@dataclass(slots=True)
class Results:
    """Results of the present step; no fact outlives its step here."""

    outputs_before: BoardCommand = BoardCommand()
    """Outputs that the board still has, however many changes the step makes."""
    events: list[SessionEvent] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    certificate_response: ResponseExiStreamStatus | None = None
    enforced_limits: EnforcedLimits | None = None
    powermeter: Powermeter | None = None


def _no_allowance() -> Allowance:
    return Allowance(0.0, 0.0, 0, LimitSource.HARDWARE, StatusReason.STARTING)


@dataclass(slots=True)
class Connector:
    """
    Every fact of one connector.

    It is large because the facts are orthogonal: each rule of the kernel reads several groups of them.
    """

    config: Config
    new_uuid: Callable[[], str]
    uuid: str
    random: Callable[[], float]
    now: Now = Now(0.0, Time(0))

    # availability
    restored: PersistedState | None = None
    begun: float | None = None
    """When the kernel was started; nothing follows from the facts before."""
    started: float | None = None
    announced: Availability = Availability.UNSPECIFIED
    owners: Owners = ()
    faulted: bool = False
    disabled_while_faulted: bool = False
    shutting_down: float | None = None
    reservation_id: int | None = None

    # board
    capabilities: HardwareCapabilities | None = None
    board_capabilities: BoardCapabilities = BoardCapabilities()
    board: BoardState | None = None
    board_seen: float = -math.inf
    board_first_seen: float = math.inf
    board_lost: str = ''
    answered: bool = False
    cp_state: ControlPilotState = ControlPilotState.UNSPECIFIED
    pilot_mode: PilotMode = PilotMode.UNSPECIFIED
    """The output of the pilot at the step that is being taken, or now."""
    pilot_read_after_f: bool = False
    cable_seen: float = -math.inf
    """When the pilot was last read."""
    cable_watched: bool = True
    """Whether every step of the pilot since then is known."""
    plugged: bool = False
    plugged_at: float = 0.0
    left_at: float | None = None
    contactor: ContactorState = ContactorState.UNKNOWN
    contactor_open_since: float = math.inf
    contactor_open_stamp: Time | None = None
    contactor_cycles: int = 0
    closings: deque[float] = field(default_factory=lambda: deque(maxlen=CLOSINGS_KEPT))
    """When the contactor was last seen to close."""
    transition_counter: int | None = None
    open_first: bool = False
    replug_active: bool = False

    # faults
    errors: ErrorSet = field(default_factory=ErrorSet)
    emergency_at: float = -math.inf
    """When the newest emergency was raised; F on the pilot follows for ``state_f_after_fault_s``."""
    counted_faults: int | None = None
    close_wanted_since: float | None = None
    weld_suspected_since: float | None = None
    excess_since: float | None = None
    disagreement_since: float | None = None
    offered_peaks: deque[tuple[float, float]] = field(default_factory=deque)
    interruptions: deque[float] = field(default_factory=lambda: deque(maxlen=INTERRUPTIONS))
    """When the flow of energy was last interrupted by the EV or by an error."""
    rcd_resets: int = 0
    rcd_reset_wanted: bool = False

    # session
    authorization: ProvidedIdToken | None = None
    authorized_at: float = 0.0
    session: Session | None = None
    paused_by_user: bool = False
    force_unlocked: bool = False
    disable_pending: list[Pending] = field(default_factory=list)
    unlock_pending: list[Pending] = field(default_factory=list)

    # energy
    meter: MeterAccount = field(default_factory=MeterAccount)
    temperature: SteadyTemperature = field(default_factory=SteadyTemperature)
    derating_step: int = 0
    grant: Grant | None = None
    external: ExternalLimits = ExternalLimits()
    external_change: Time | None = None
    wanted_phases: int = 3
    phases: int = 0
    phase_switch: PhaseSwitch | None = None
    allowance: Allowance = field(default_factory=_no_allowance)
    offer: Offer | None = None
    offers_held_until: float = -math.inf
    x1_since: float = 0.0
    f_since: float = 0.0

    # high-level communication
    hlc_present: bool = False
    ev_info: EVInfo = EVInfo()
    car_manufacturer: CarManufacturer = CarManufacturer()

    # outputs
    outputs: BoardCommand = BoardCommand()
    sequence_number: int = 0
    results: Results = field(default_factory=Results)

    def emit(self, event: SessionEventEnum, **payload: Any) -> None:
        """Append an event, stamped and numbered."""
        self.sequence_number += 1
        self.results.events.append(
            SessionEvent(
                stamp=self.now.wall,
                sequence_number=self.sequence_number,
                uuid=self.session.uuid if self.session is not None else '',
                connector_id=self.config.connector_id,
                event=event,
                **payload,
            )
        )

    def emit_extended(self, event: SessionEventEnum) -> None:
        """Append an event that the original of the interface does not have; only where that is wanted."""
        if self.config.extended_events:
            self.emit(event)

    @property
    def wanted_enabled(self) -> bool:
        """Whether the owners want the connector to be available."""
        return enabled(self.owners)

    @property
    def transaction(self) -> Transaction | None:
        """The session's transaction while it is open, also while it stops."""
        if self.session is None or self.session.transaction is None or self.session.transaction.finished:
            return None
        return self.session.transaction

    @property
    def running(self) -> Transaction | None:
        """The session's transaction while it is open and not stopping."""
        transaction = self.transaction
        return transaction if transaction is not None and transaction.stop is None else None

    @property
    def link_up(self) -> bool:
        """Whether the board can be asked and obeys this manager."""
        return self.board is not None and not self.board_lost

    @property
    def ev_asks(self) -> bool:
        """Whether the EV is in a state that asks for power which this bay may give."""
        if self.cp_state is ControlPilotState.D:
            return self.config.has_ventilation
        return self.cp_state is ControlPilotState.C

    @property
    def f_until(self) -> float:
        """When the F that shows an emergency on the pilot ends."""
        return self.emergency_at + self.config.state_f_after_fault_s

    @property
    def in_c_or_d(self) -> bool:
        """Whether the EV is in C or D."""
        return self.cp_state in (ControlPilotState.C, ControlPilotState.D)

    @property
    def usable_capabilities(self) -> HardwareCapabilities | None:
        """Limits of hardware and parameters together; ``None`` before the board reported."""
        return None if self.capabilities is None else usable(self.capabilities, self.config)

    @property
    def rated_power_w(self) -> float:
        """Power of the connector at its rated current and nominal voltage."""
        if self.capabilities is None:
            return 3 * 80.0 * self.config.ac_nominal_voltage_v
        phases = max(1, self.capabilities.max_phase_count_import)
        return self.capabilities.max_current_a_import * phases * self.config.ac_nominal_voltage_v

    @property
    def connectable_phases(self) -> tuple[int, ...]:
        """The phase counts that the contactor can connect, lowest first."""
        capabilities = self.usable_capabilities
        if capabilities is None:
            return (1,)
        most = max(1, capabilities.max_phase_count_import)
        least = max(1, min(capabilities.min_phase_count_import, most))
        if capabilities.supports_changing_phases_during_charging and least < most:
            return (least, most)
        return (most,)
