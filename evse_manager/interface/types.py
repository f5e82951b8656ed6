"""
Plain data types of the interface.

Every class here has a message of the same name with the same fields (``docs/interface.md``); units stand in
the names.  *Unknown* is ``None`` for numbers, objects and times, and the empty string for text.  Fields
marked with ``ABSENT_MINUS_ONE`` say -1 in the message where a person may type them, because rosidl has no
NaN default.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, NewType

from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    Availability,
    BoardErrorEnum,
    CarManufacturerEnum,
    CertificateAction,
    CertificateStatus,
    ChargerState,
    ContactorState,
    ControlPilotState,
    EnergyTransferMode,
    ErrorEnum,
    ExiStreamStatus,
    GrantReason,
    HashAlgorithm,
    IdTokenType,
    LimitOrigin,
    LimitSource,
    LinkState,
    LockState,
    NodeType,
    OpeningReason,
    PauseReason,
    PilotMode,
    ProximityState,
    SessionEventEnum,
    StartSessionReason,
    StatusReason,
    StopTransactionReason,
    TokenResultEnum,
)

Time = NewType('Time', int)
"""A point in time: nanoseconds since 1970-01-01 UTC (``builtin_interfaces/Time``)."""

SECOND_NS = 1_000_000_000
"""Nanoseconds of a second."""

Duration = NewType('Duration', float)
"""A length of time in seconds (``builtin_interfaces/Duration``)."""


def minus_one() -> Any:
    """Return an optional number's field that reads -1 in its message when absent."""
    return field(default=None, metadata={'absent': -1.0})


def all_but(kind: type, *names: str) -> Callable[[Any], tuple[Any, ...]]:
    """Return what takes the values of all other fields from an object of the class, to be compared."""
    return attrgetter(*(each.name for each in fields(kind) if each.name not in names))


# --- metering -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy in Wh."""

    total: float | None = None
    l1: float | None = None
    l2: float | None = None
    l3: float | None = None


@dataclass(frozen=True, slots=True)
class Power:
    """Active power in W; negative is export."""

    total: float | None = None
    l1: float | None = None
    l2: float | None = None
    l3: float | None = None


@dataclass(frozen=True, slots=True)
class ReactivePower:
    """Reactive power in var."""

    total: float | None = None
    l1: float | None = None
    l2: float | None = None
    l3: float | None = None


@dataclass(frozen=True, slots=True)
class Voltage:
    """Voltage in V."""

    dc: float | None = None
    l1: float | None = None
    l2: float | None = None
    l3: float | None = None


@dataclass(frozen=True, slots=True)
class Current:
    """Current in A."""

    dc: float | None = None
    l1: float | None = None
    l2: float | None = None
    l3: float | None = None
    n: float | None = None


@dataclass(frozen=True, slots=True)
class Frequency:
    """Frequency in Hz."""

    l1: float | None = None
    l2: float | None = None
    l3: float | None = None


@dataclass(frozen=True, slots=True)
class Powermeter:
    """One sample of the billing meter."""

    timestamp: Time | None = None
    energy_wh_import: Energy = Energy()
    meter_id: str = ''
    phase_seq_error: bool | None = None
    energy_wh_export: Energy | None = None
    power_w: Power | None = None
    voltage_v: Voltage | None = None
    current_a: Current | None = None
    reactive_power_var: ReactivePower | None = None
    frequency_hz: Frequency | None = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Health of the board; ``temperature_c`` unknown when the sensor is absent."""

    temperature_c: float | None = None
    fan_rpm: float | None = None
    supply_voltage_12v_v: float | None = None
    supply_voltage_minus_12v_v: float | None = None
    rcd_current_ma: float | None = None
    relais_on: bool = False
    stamp: Time | None = None


# --- capabilities, limits, energy ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HardwareCapabilities:
    """The capabilities of the power path."""

    max_current_a_import: float = 0.0
    min_current_a_import: float = 0.0
    max_phase_count_import: int = 0
    min_phase_count_import: int = 0
    max_current_a_export: float = 0.0
    min_current_a_export: float = 0.0
    max_phase_count_export: int = 0
    min_phase_count_export: int = 0
    supports_changing_phases_during_charging: bool = False


@dataclass(frozen=True, slots=True)
class SupportedEnergyTransferModes:
    """How the connector can transfer energy."""

    modes: tuple[EnergyTransferMode, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the connector at this moment."""

    max_current_a: float = 0.0
    nr_of_phases_available: int = 0
    uuid: str = ''
    stamp: Time | None = None


@dataclass(frozen=True, slots=True)
class PricePerkWh:
    """A price, valid from ``timestamp``; ``currency`` is the three letters of ISO 4217."""

    timestamp: Time | None = None
    value: float | None = None
    currency: str = ''


@dataclass(frozen=True, slots=True)
class LimitsReq:
    """Limits that are asked for; phase counts 0 and numbers None are not given."""

    total_power_w: float | None = minus_one()
    ac_max_current_a: float | None = minus_one()
    ac_min_current_a: float | None = minus_one()
    ac_max_phase_count: int = 0
    ac_min_phase_count: int = 0
    ac_supports_changing_phases_during_charging: bool | None = None


@dataclass(frozen=True, slots=True)
class LimitsRes:
    """Limits that are handed out; negative numbers other than -1 are export."""

    total_power_w: float | None = minus_one()
    ac_max_current_a: float | None = minus_one()
    ac_max_phase_count: int = 0


@dataclass(frozen=True, slots=True)
class ScheduleReqEntry:
    """One step of a schedule that is asked for, in force from ``timestamp`` to the next entry's."""

    timestamp: Time | None = None
    limits_to_root: LimitsReq = LimitsReq()
    limits_to_leaves: LimitsReq = LimitsReq()
    conversion_efficiency: float = 1.0
    price_per_kwh: PricePerkWh | None = None


@dataclass(frozen=True, slots=True)
class ScheduleResEntry:
    """One step of a schedule that is handed out."""

    timestamp: Time | None = None
    limits_to_root: LimitsRes = LimitsRes()
    price_per_kwh: PricePerkWh | None = None


@dataclass(frozen=True, slots=True)
class ExternalLimits:
    """An operator's schedules for this connector; empty means hardware limits."""

    schedule_import: tuple[ScheduleReqEntry, ...] = ()
    schedule_export: tuple[ScheduleReqEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class EnforcedLimits:
    """
    The energy manager's grant.

    It is valid for ``valid_until`` - ``stamp`` from the request that it answers on, or from its reception.
    """

    uuid: str = ''
    stamp: Time | None = None
    valid_until: Time | None = None
    limits_root_side: LimitsRes | None = None
    schedule: tuple[ScheduleResEntry, ...] = ()
    manager_id: str = ''
    request_stamp: Time | None = None
    binding_node: str = ''


@dataclass(frozen=True, slots=True)
class OptimizerTarget:
    """The target of the driver."""

    energy_amount_needed_kwh: float | None = None
    charge_to_max_percent: float | None = None
    car_battery_soc_percent: float | None = None
    leave_time: Time | None = None
    price_limit: float | None = None
    full_autonomy: bool | None = None


@dataclass(frozen=True, slots=True)
class EnergyFlowRequest:
    """Request of a node of the energy tree; ``children`` are uuids."""

    uuid: str = ''
    stamp: Time | None = None
    node_type: NodeType = NodeType.UNSPECIFIED
    children: tuple[str, ...] = ()
    priority: int = 0
    optimizer_target: OptimizerTarget | None = None
    energy_usage_root: Powermeter | None = None
    energy_usage_leaves: Powermeter | None = None
    schedule_import: tuple[ScheduleReqEntry, ...] = ()
    schedule_export: tuple[ScheduleReqEntry, ...] = ()
    limit_in_force: LimitsRes | None = None
    contactor: ContactorState = ContactorState.UNSPECIFIED
    grant_stamp: Time | None = None
    grant_manager_id: str = ''
    granted: LimitsRes | None = None


# --- authorization -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CertificateHashDataInfo:
    """Identification of one certificate of a contract's chain."""

    hash_algorithm: HashAlgorithm = HashAlgorithm.UNSPECIFIED
    issuer_name_hash: str = ''
    issuer_key_hash: str = ''
    serial_number: str = ''
    responder_url: str = ''


@dataclass(frozen=True, slots=True)
class ProvidedIdToken:
    """A token as it was presented."""

    id_token: str = ''
    authorization_type: AuthorizationType = AuthorizationType.UNSPECIFIED
    request_id: int | None = None
    id_token_type: IdTokenType = IdTokenType.UNSPECIFIED
    connectors: tuple[int, ...] = ()
    prevalidated: bool | None = None
    certificate: str = ''
    iso15118_certificate_hash_data: tuple[CertificateHashDataInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The verdict of the authority on a token."""

    authorization_status: AuthorizationStatus = AuthorizationStatus.UNSPECIFIED
    certificate_status: CertificateStatus = CertificateStatus.UNSPECIFIED
    reason: str = ''
    expiry_time: Time | None = None
    parent_id_token: str = ''
    evse_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenResult:
    """Result of a token that was presented at a site; ``token`` is masked."""

    stamp: Time | None = None
    token: str = ''
    connector: str = ''
    result: TokenResultEnum = TokenResultEnum.UNSPECIFIED
    reason: str = ''
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class SiteReservation:
    """A reservation of a site; the tokens are masked, ``connector`` is empty for any."""

    reservation_id: int = 0
    token: str = ''
    parent_token: str = ''
    connector: str = ''
    expiry_time: Time | None = None


@dataclass(frozen=True, slots=True)
class SiteReservations:
    """The reservations of a site that are in force."""

    stamp: Time | None = None
    reservations: tuple[SiteReservation, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestExiStreamSchema:
    """The EV's certificate request, base64 EXI."""

    exi_request: str = ''
    iso15118_schema_version: str = ''
    certificate_action: CertificateAction = CertificateAction.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class ResponseExiStreamStatus:
    """The answer to a certificate request; ``exi_response`` only with ACCEPTED."""

    status: ExiStreamStatus = ExiStreamStatus.UNSPECIFIED
    certificate_action: CertificateAction = CertificateAction.UNSPECIFIED
    exi_response: str = ''


# --- session -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StopTransactionRequest:
    """Why, and with which token, a transaction is to end."""

    reason: StopTransactionReason = StopTransactionReason.UNSPECIFIED
    id_tag: str = ''


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """Payload of SESSION_STARTED."""

    timestamp: Time | None = None
    reason: StartSessionReason = StartSessionReason.UNSPECIFIED
    logging_path: str = ''


@dataclass(frozen=True, slots=True)
class TransactionStarted:
    """Payload of TRANSACTION_STARTED."""

    timestamp: Time | None = None
    id_tag: ProvidedIdToken = ProvidedIdToken()
    meter_value: Powermeter = Powermeter()
    signed_meter_value: str = ''
    reservation_id: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionFinished:
    """Payload of TRANSACTION_FINISHED."""

    timestamp: Time | None = None
    meter_value: Powermeter = Powermeter()
    signed_meter_value: str = ''
    reason: StopTransactionReason = StopTransactionReason.UNSPECIFIED
    id_tag: str = ''
    energy_wh: float | None = None
    energy_is_lower_bound: bool = False
    energy_is_integrated: bool = False


@dataclass(frozen=True, slots=True)
class Error:
    """An error; ``vendor_error`` reads ``Code: one sentence``."""

    error_code: ErrorEnum = ErrorEnum.UNSPECIFIED
    vendor_error: str = ''


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One event; the payload is present exactly where the event has one."""

    stamp: Time | None = None
    sequence_number: int = 0
    uuid: str = ''
    connector_id: int = 0
    event: SessionEventEnum = SessionEventEnum.UNSPECIFIED
    session_started: SessionStarted | None = None
    transaction_started: TransactionStarted | None = None
    transaction_finished: TransactionFinished | None = None
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class EVInfo:
    """The data that the EV reports about itself."""

    soc_percent: float | None = None
    present_voltage_v: float | None = None
    present_current_a: float | None = None
    target_voltage_v: float | None = None
    target_current_a: float | None = None
    maximum_current_limit_a: float | None = None
    minimum_current_limit_a: float | None = None
    maximum_voltage_limit_v: float | None = None
    maximum_power_limit_w: float | None = None
    estimated_time_full: Time | None = None
    departure_time: Time | None = None
    estimated_time_bulk: Time | None = None
    evcc_id: str = ''
    remaining_energy_needed_wh: float | None = None
    battery_capacity_wh: float | None = None
    battery_full_soc_percent: float | None = None
    battery_bulk_soc_percent: float | None = None


@dataclass(frozen=True, slots=True)
class CarManufacturer:
    """Who made the car."""

    manufacturer: CarManufacturerEnum = CarManufacturerEnum.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class EvseId:
    """The identification of the EVSE (ISO 15118)."""

    evse_id: str = ''


@dataclass(frozen=True, slots=True)
class EvseStatus:
    """Everything a monitor needs, and first of all why this connector is (not) charging."""

    stamp: Time | None = None
    connector_id: int = 0
    evse_id: str = ''
    state: ChargerState = ChargerState.UNSPECIFIED
    availability: Availability = Availability.UNSPECIFIED
    reason: StatusReason = StatusReason.UNSPECIFIED
    reason_text: str = ''
    session_uuid: str = ''
    transaction_active: bool = False
    reservation_id: int | None = None
    token: str = ''
    plugged: bool = False
    authorized: bool = False
    paused_by_user: bool = False
    signalled_current_a: float = 0.0
    phases: int = 0
    limit_a: float = 0.0
    limit_source: LimitSource = LimitSource.UNSPECIFIED
    power_w: float | None = None
    session_energy_wh: float | None = None
    session_duration: Duration = Duration(0.0)
    charging_duration: Duration = Duration(0.0)
    active_errors: tuple[Error, ...] = ()
    warnings: tuple[str, ...] = ()
    contactor: ContactorState = ContactorState.UNSPECIFIED
    lock: LockState = LockState.UNSPECIFIED
    cp_state: ControlPilotState = ControlPilotState.UNSPECIFIED
    link_state: LinkState = LinkState.UNSPECIFIED
    contactor_cycles: int = 0
    openings_under_load: int = 0
    limit_node: str = ''
    state_text: str = ''
    current_l1_a: float | None = None
    current_l2_a: float | None = None
    current_l3_a: float | None = None
    voltage_l1_v: float | None = None
    voltage_l2_v: float | None = None
    voltage_l3_v: float | None = None
    temperature_c: float | None = None
    pause_reasons: tuple[PauseReason, ...] = ()


# --- site ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SiteNodeStatus:
    """
    One node with children.

    ``limit_a`` is the lowest limit per phase and ``limit_w`` that of the power (None = no limit), each with
    whose it is; ``house_load_a`` is subtracted from it.  ``granted_a`` is what counts for the connectors
    below, ``reserve_a`` the part of it that belongs to no car that charges: failsafe currents, silent
    connectors, grants that are ending.
    """

    name: str = ''
    parent: str = ''
    limit_a: float | None = None
    limit_a_origin: LimitOrigin = LimitOrigin.UNSPECIFIED
    limit_a_source: str = ''
    limit_w: float | None = None
    limit_w_origin: LimitOrigin = LimitOrigin.UNSPECIFIED
    limit_w_source: str = ''
    measured_a: Current = Current()
    house_load_a: Current = Current()
    granted_a: Current = Current()
    granted_w: float | None = None
    reserve_a: Current = Current()
    meter_silent: bool = False
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteConnectorStatus:
    """
    One connector: what it wants, has, uses, what counts for it, and why it has not more.

    ``binding_node`` is the node whose limit binds, empty when none does.
    """

    name: str = ''
    uuid: str = ''
    parent: str = ''
    priority: int = 0
    wants_a: float = 0.0
    granted_a: float = 0.0
    granted_phases: int = 0
    counted_a: Current = Current()
    measured_a: Current = Current()
    binding_node: str = ''
    reason: GrantReason = GrantReason.UNSPECIFIED
    reason_text: str = ''


@dataclass(frozen=True, slots=True)
class SiteLimit:
    """A limit that one source has set, or asks for, at one node; without any number it is cleared."""

    node: str = ''
    source: str = ''
    priority: int = 0
    limit_a: float | None = minus_one()
    limit_w: float | None = minus_one()
    schedule: tuple[ScheduleReqEntry, ...] = ()
    expires: Time | None = None


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """The whole site; nodes stand before their children."""

    stamp: Time | None = None
    name: str = ''
    manager_id: str = ''
    nodes: tuple[SiteNodeStatus, ...] = ()
    connectors: tuple[SiteConnectorStatus, ...] = ()
    warnings: tuple[str, ...] = ()
    limits: tuple[SiteLimit, ...] = ()


# --- records -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionRecordError:
    """An error of a recorded session."""

    error: Error = Error()
    raised: Time | None = None
    cleared: Time | None = None
    ended_by_restart: bool = False


@dataclass(frozen=True, slots=True)
class SessionRecordSample:
    """One point in the course of a recorded session; ``None`` is what was not known at that point."""

    stamp: Time | None = None
    energy_wh: float | None = None
    power_w: float | None = None
    current_l1_a: float | None = None
    current_l2_a: float | None = None
    current_l3_a: float | None = None
    signalled_current_a: float | None = None
    phases: int = 0
    limit_a: float | None = None
    limit_source: LimitSource = LimitSource.UNSPECIFIED
    limit_node: str = ''
    cp_state: ControlPilotState = ControlPilotState.UNSPECIFIED
    contactor: ContactorState = ContactorState.UNSPECIFIED
    reason: StatusReason = StatusReason.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session from the records of a host; a list leaves ``events``, ``errors`` and ``samples`` empty."""

    uuid: str = ''
    connector: str = ''
    connector_id: int = 0
    started: Time | None = None
    start_reason: StartSessionReason = StartSessionReason.UNSPECIFIED
    finished: Time | None = None
    transaction_started: Time | None = None
    transaction_finished: Time | None = None
    stop_reason: StopTransactionReason = StopTransactionReason.UNSPECIFIED
    token: str = ''
    stop_token: str = ''
    reservation_id: int | None = None
    energy_wh: float | None = None
    energy_is_lower_bound: bool = False
    energy_is_integrated: bool = False
    meter_start_wh: float | None = None
    meter_stop_wh: float | None = None
    meter_id: str = ''
    peak_power_w: float | None = None
    error_count: int = 0
    simulated: bool = False
    events: tuple[SessionEvent, ...] = ()
    errors: tuple[SessionRecordError, ...] = ()
    samples: tuple[SessionRecordSample, ...] = ()


# --- board ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoardCommand:
    """
    The complete wanted state of a board's outputs.

    Counters instead of flags make it idempotent: the board resets its RCD, or plays a virtual replug, once
    each time the counter has grown.
    """

    manager_id: str = ''
    sequence_number: int = 0
    lease: Duration = Duration(0.0)
    pilot_mode: PilotMode = PilotMode.UNSPECIFIED
    duty_cycle_percent: float = 100.0
    current_a: float = 0.0
    allow_power_on: bool = False
    ventilation_allowed: bool = False
    lock: bool = False
    phases: int = 0
    over_current_limit_a: float = 0.0
    rcd_reset_counter: int = 0
    replug_counter: int = 0
    acknowledged_fault_counter: int = 0
    board_id: str = ''


@dataclass(frozen=True, slots=True)
class BoardTransition:
    """
    One step of pilot and contactor; ``counter`` grows by one with each.

    ``pilot_mode`` is the output at that time: state B under X1 follows from the EVSE, not from the EV.
    """

    counter: int = 0
    cp_state: ControlPilotState = ControlPilotState.UNSPECIFIED
    contactor: ContactorState = ContactorState.UNSPECIFIED
    stamp: Time | None = None
    pilot_mode: PilotMode = PilotMode.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class BoardError:
    """An active error or warning of a board, with a detail for people."""

    code: BoardErrorEnum = BoardErrorEnum.UNSPECIFIED
    detail: str = ''


@dataclass(frozen=True, slots=True)
class BoardState:
    """The complete observed state of a board."""

    stamp: Time | None = None
    cp_state: ControlPilotState = ControlPilotState.UNSPECIFIED
    pilot_mode: PilotMode = PilotMode.UNSPECIFIED
    duty_cycle_percent: float = 100.0
    current_a: float = 0.0
    contactor: ContactorState = ContactorState.UNSPECIFIED
    lock: LockState = LockState.UNSPECIFIED
    proximity: ProximityState = ProximityState.UNSPECIFIED
    cable_ampacity_a: float | None = None
    phases: int = 0
    active_errors: tuple[BoardError, ...] = ()
    fault_counter: int = 0
    opening_reason: OpeningReason = OpeningReason.UNSPECIFIED
    openings_under_load: int = 0
    replug_active: bool = False
    firmware: str = ''
    link_state: LinkState = LinkState.UNSPECIFIED
    controller_id: str = ''
    answered_sequence_number: int = 0
    transition_counter: int = 0
    transitions: tuple[BoardTransition, ...] = ()
    board_id: str = ''


@dataclass(frozen=True, slots=True)
class BoardCapabilities:
    """Capabilities of a board beyond ``HardwareCapabilities``."""

    driver: str = ''
    runs_iec61851: bool = False
    supports_cp_state_e: bool = False
    supports_cp_state_f: bool = False
    supports_hlc_duty: bool = False
    supports_free_duty: bool = False
    has_lock: bool = False
    has_proximity: bool = False
    has_meter: bool = False
    supports_rcd_reset: bool = False
    supports_phase_switch: bool = False
    supports_replug: bool = False
    has_watchdog: bool = False
    simulated: bool = False
    board_id: str = ''
