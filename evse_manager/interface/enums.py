"""
Enumerations of the interface.

Names and values equal the constants of the messages.  Zero is always *unspecified*, so that a
default-constructed message is never a valid value; values are only ever appended.
"""

from enum import IntEnum


class SessionEventEnum(IntEnum):
    """Kinds of events (``SessionEvent.event``), in the order of the original interface."""

    UNSPECIFIED = 0
    ENABLED = 1
    DISABLED = 2
    SESSION_STARTED = 3
    AUTH_REQUIRED = 4
    TRANSACTION_STARTED = 5
    PREPARE_CHARGING = 6
    CHARGING_STARTED = 7
    CHARGING_PAUSED_EV = 8
    CHARGING_PAUSED_EVSE = 9
    WAITING_FOR_ENERGY = 10
    CHARGING_RESUMED = 11
    STOPPING_CHARGING = 12
    CHARGING_FINISHED = 13
    TRANSACTION_FINISHED = 14
    SESSION_FINISHED = 15
    ERROR = 16
    ALL_ERRORS_CLEARED = 17
    PERMANENT_FAULT = 18
    RESERVATION_START = 19
    RESERVATION_END = 20
    REPLUG_STARTED = 21
    REPLUG_FINISHED = 22
    AUTHORIZED = 23
    DEAUTHORIZED = 24
    PLUGIN_TIMEOUT = 25


class ErrorEnum(IntEnum):
    """Cause of an error event (``Error.error_code``)."""

    UNSPECIFIED = 0
    CAR = 1
    CAR_DIODE_FAULT = 2
    RELAIS = 3
    RCD = 4
    VENTILATION_NOT_AVAILABLE = 5
    OVER_CURRENT = 6
    INTERNAL = 7
    SLAC = 8
    HLC = 9
    OTHER = 10


class StopTransactionReason(IntEnum):
    """Why a transaction ended; the values follow OCPP 1.6 and 2.0.1."""

    UNSPECIFIED = 0
    EMERGENCY_STOP = 1
    EV_DISCONNECTED = 2
    HARD_RESET = 3
    LOCAL = 4
    OTHER = 5
    POWER_LOSS = 6
    REBOOT = 7
    REMOTE = 8
    SOFT_RESET = 9
    UNLOCK_COMMAND = 10
    DE_AUTHORIZED = 11
    ENERGY_LIMIT_REACHED = 12
    GROUND_FAULT = 13
    LOCAL_OUT_OF_CREDIT = 14
    MASTER_PASS = 15
    OVERCURRENT_FAULT = 16
    POWER_QUALITY = 17
    SOC_LIMIT_REACHED = 18
    STOPPED_BY_EV = 19
    TIME_LIMIT_REACHED = 20
    TIMEOUT = 21


class StartSessionReason(IntEnum):
    """Cause of the beginning of a session (``SessionStarted.reason``)."""

    UNSPECIFIED = 0
    EV_CONNECTED = 1
    AUTHORIZED = 2


class EnableSource(IntEnum):
    """Who wants a connector enabled or disabled (``enable_disable``)."""

    UNSPECIFIED = 0
    LOCAL_API = 1
    LOCAL_KEY_LOCK = 2
    SERVICE_TECHNICIAN = 3
    REMOTE_KEY_LOCK = 4
    MOBILE_APP = 5
    FIRMWARE_UPDATE = 6
    CSMS = 7


class EnableState(IntEnum):
    """State that an owner requests for a connector (``enable_disable``)."""

    UNSPECIFIED = 0
    UNASSIGNED = 1
    DISABLE = 2
    ENABLE = 3


class EnergyTransferMode(IntEnum):
    """A way to transfer energy (``SupportedEnergyTransferModes.modes``), as in ISO 15118 and OCPP 2.1."""

    UNSPECIFIED = 0
    AC_SINGLE_PHASE_CORE = 1
    AC_TWO_PHASE = 2
    AC_THREE_PHASE_CORE = 3
    DC_CORE = 4
    DC_EXTENDED = 5
    DC_COMBO_CORE = 6
    DC_UNIQUE = 7
    DC = 8
    AC_BPT = 9
    AC_BPT_DER = 10
    AC_DER = 11
    DC_BPT = 12
    DC_ACDP = 13
    DC_ACDP_BPT = 14
    WPT = 15
    MCS = 16
    MCS_BPT = 17


class SwitchThreePhasesWhileChargingResult(IntEnum):
    """Answer of ``switch_three_phases_while_charging``."""

    UNSPECIFIED = 0
    SUCCESS = 1
    ERROR_NOT_SUPPORTED = 2
    ERROR_NOT_CHARGING = 3
    ERROR_HARDWARE = 4


class CarManufacturerEnum(IntEnum):
    """Who made the car (``CarManufacturer.manufacturer``)."""

    UNSPECIFIED = 0
    VOLKSWAGEN_GROUP = 1
    TESLA = 2
    UNKNOWN = 3


class AuthorizationStatus(IntEnum):
    """Result of a token's validation."""

    UNSPECIFIED = 0
    ACCEPTED = 1
    BLOCKED = 2
    CONCURRENT_TX = 3
    EXPIRED = 4
    INVALID = 5
    NO_CREDIT = 6
    NOT_ALLOWED_TYPE_EVSE = 7
    NOT_AT_THIS_LOCATION = 8
    NOT_AT_THIS_TIME = 9
    UNKNOWN = 10


class CertificateStatus(IntEnum):
    """Result of a contract certificate's validation (``ValidationResult.certificate_status``)."""

    UNSPECIFIED = 0
    ACCEPTED = 1
    SIGNATURE_ERROR = 2
    CERTIFICATE_EXPIRED = 3
    CERTIFICATE_REVOKED = 4
    NO_CERTIFICATE_AVAILABLE = 5
    CERT_CHAIN_ERROR = 6
    CONTRACT_CANCELLED = 7


class AuthorizationType(IntEnum):
    """How a token was presented (``ProvidedIdToken.authorization_type``)."""

    UNSPECIFIED = 0
    OCPP = 1
    RFID = 2
    AUTOCHARGE = 3
    PLUG_AND_CHARGE = 4


class IdTokenType(IntEnum):
    """Kind of a token (``ProvidedIdToken.id_token_type``)."""

    UNSPECIFIED = 0
    CENTRAL = 1
    EMAID = 2
    MAC_ADDRESS = 3
    ISO14443 = 4
    ISO15693 = 5
    KEY_CODE = 6
    LOCAL = 7
    NO_AUTHORIZATION = 8


class TokenResultEnum(IntEnum):
    """Result of a token that was presented at a site (``TokenResult.result``)."""

    UNSPECIFIED = 0
    ACCEPTED = 1
    WAITING_FOR_CAR = 2
    ALREADY_IN_PROCESS = 3
    NO_CONNECTOR_AVAILABLE = 4
    REJECTED = 5
    TIMED_OUT = 6
    WITHDRAWN = 7
    USED_TO_STOP_TRANSACTION = 8
    USED_TO_REAUTHORIZE = 9


class ReservationStatus(IntEnum):
    """Answer to a request for a reservation; the names are those of OCPP."""

    UNSPECIFIED = 0
    ACCEPTED = 1
    FAULTED = 2
    OCCUPIED = 3
    REJECTED = 4
    UNAVAILABLE = 5


class ChargeResult(IntEnum):
    """How a goal of the action ``charge`` has ended (``Charge.Result.result``)."""

    UNSPECIFIED = 0
    REACHED = 1
    FULL = 2
    UNPLUGGED = 3
    STOPPED = 4
    CANCELLED = 5
    REFUSED = 6
    FAULTED = 7
    KEEP_ALIVE_LOST = 8


class HashAlgorithm(IntEnum):
    """Hash of a certificate's identification (``CertificateHashDataInfo.hash_algorithm``)."""

    UNSPECIFIED = 0
    SHA256 = 1
    SHA384 = 2
    SHA512 = 3


class CertificateAction(IntEnum):
    """The action on the contract certificate that the EV requests."""

    UNSPECIFIED = 0
    INSTALL = 1
    UPDATE = 2


class ExiStreamStatus(IntEnum):
    """Outcome of a certificate request (``ResponseExiStreamStatus.status``)."""

    UNSPECIFIED = 0
    ACCEPTED = 1
    FAILED = 2


class NodeType(IntEnum):
    """Kind of a node in the energy tree (``EnergyFlowRequest.node_type``)."""

    UNSPECIFIED = 0
    UNDEFINED = 1
    EVSE = 2
    GENERIC = 3


class ControlPilotState(IntEnum):
    """State of the control pilot as measured by the board (IEC 61851-1, table A.1)."""

    UNSPECIFIED = 0
    A = 1
    B = 2
    C = 3
    D = 4
    E = 5
    F = 6


class PilotMode(IntEnum):
    """The output of the board on the control pilot: steady +12 V, PWM, steady -12 V, or 0 V."""

    UNSPECIFIED = 0
    X1 = 1
    PWM = 2
    F = 3
    E = 4


class ContactorState(IntEnum):
    """Feedback of the contactor; *unknown* when the board cannot be asked."""

    UNSPECIFIED = 0
    OPEN = 1
    CLOSED = 2
    UNKNOWN = 3


class LockState(IntEnum):
    """State of the connector lock; *none* when the board has no lock."""

    UNSPECIFIED = 0
    UNLOCKED = 1
    LOCKED = 2
    MOVING = 3
    UNKNOWN = 4
    NONE = 5


class LinkState(IntEnum):
    """State of the line between the board node and the hardware, or between manager and board node."""

    UNSPECIFIED = 0
    UP = 1
    CONNECTING = 2
    LOST = 3


class ProximityState(IntEnum):
    """Reading of the proximity resistor (``BoardState.proximity``); sockets only."""

    UNSPECIFIED = 0
    NOT_AVAILABLE = 1
    NO_PLUG = 2
    PLUG = 3
    INVALID = 4


class OpeningReason(IntEnum):
    """Why the board last opened the contactor (``BoardState.opening_reason``)."""

    UNSPECIFIED = 0
    COMMANDED = 1
    PILOT = 2
    LEASE_LAPSED = 3
    LINK_LOST = 4
    BOARD_RESET = 5
    PROTECTION = 6
    BY_ITSELF = 7
    SHUTDOWN = 8


class BoardErrorEnum(IntEnum):
    """Errors and warnings that a board reports (``BoardError.code``)."""

    UNSPECIFIED = 0
    DIODE_FAULT = 1
    PILOT_FAULT = 2
    CONTACTOR_WELDED = 3
    CONTACTOR_FAULT = 4
    RCD_AC = 5
    RCD_DC = 6
    RCD_SELF_TEST = 7
    GROUND_FAULT = 8
    OVER_CURRENT = 9
    OVER_TEMPERATURE = 10
    CABLE_OVER_TEMPERATURE = 11
    LOCK_FAILED_TO_LOCK = 12
    LOCK_FAILED_TO_UNLOCK = 13
    LOCK_UNEXPECTEDLY_OPEN = 14
    PROXIMITY_FAULT = 15
    EMERGENCY_STOP = 16
    ENCLOSURE_OPEN = 17
    WATER_INGRESS = 18
    TILT = 19
    OVER_VOLTAGE = 20
    UNDER_VOLTAGE = 21
    SUPPLY_LOST = 22
    PERMANENT_FAULT = 23
    SAFETY_TESTS_OFF = 24
    BAD_DATA = 25
    METER_FAULT = 26
    VENDOR_ERROR = 27
    VENDOR_WARNING = 28


class ChargerState(IntEnum):
    """The published state of the charger (``EvseStatus.state``)."""

    UNSPECIFIED = 0
    DISABLED = 1
    IDLE = 2
    WAITING_FOR_AUTHENTICATION = 3
    PREPARE_CHARGING = 4
    WAITING_FOR_ENERGY = 5
    CHARGING = 6
    CHARGING_PAUSED_EV = 7
    CHARGING_PAUSED_EVSE = 8
    STOPPING_CHARGING = 9
    FINISHED = 10
    ERROR = 11
    FAULTED = 12
    T_STEP_EF = 13
    T_STEP_X1 = 14
    REPLUG = 15
    STARTING = 16


class Availability(IntEnum):
    """Whether the connector may be used (``EvseStatus.availability``)."""

    UNSPECIFIED = 0
    ENABLED = 1
    DISABLED = 2
    FAULTED = 3


class StatusReason(IntEnum):
    """Why energy flows or does not flow (``EvseStatus.reason``)."""

    UNSPECIFIED = 0
    CHARGING = 1
    STARTING = 2
    AVAILABLE = 3
    RESERVED = 4
    DISABLED = 5
    FAULTED = 6
    ERROR = 7
    BOARD_LOST = 8
    WAITING_FOR_PLUG = 9
    WAITING_FOR_AUTHORIZATION = 10
    WAITING_FOR_LOCK = 11
    WAITING_FOR_FIRST_LIMIT = 12
    NO_ENERGY = 13
    LIMIT_EXPIRED = 14
    TOO_FEW_PHASES = 15
    WAITING_FOR_EV = 16
    WAKING_UP_EV = 17
    WAITING_FOR_CONTACTOR = 18
    PAUSED_BY_EV = 19
    PAUSED_BY_USER = 20
    SWITCHING_PHASES = 21
    MINIMUM_PAUSE = 22
    EV_TOGGLES = 23
    REPLUG = 24
    STOPPING = 25
    TRANSACTION_FINISHED = 26
    SHUTTING_DOWN = 27
    RESTART_DELAY = 28
    TOO_MANY_CLOSINGS = 29
    WAITING_FOR_METER = 30


class PauseReason(IntEnum):
    """Why the station pauses a transaction (``EvseStatus.pause_reasons``)."""

    UNSPECIFIED = 0
    USER_PAUSE = 1
    ERROR = 2
    NO_ENERGY = 3


class LimitSource(IntEnum):
    """Whose limit is the lowest (``EvseStatus.limit_source``)."""

    UNSPECIFIED = 0
    HARDWARE = 1
    PARAMETER = 2
    CABLE = 3
    ENERGY_MANAGER = 4
    EXTERNAL = 5
    TEMPERATURE = 6


class LimitOrigin(IntEnum):
    """Whose limit binds at a node of a site (``SiteNodeStatus.limit_a_origin``)."""

    UNSPECIFIED = 0
    FUSE = 1
    SCHEDULE = 2
    RUN_TIME = 3
    METER_SILENT = 4


class GrantReason(IntEnum):
    """Why a connector has the grant that it has (``SiteConnectorStatus.reason``)."""

    UNSPECIFIED = 0
    NO_DEMAND = 1
    """It asks for nothing."""
    FULL = 2
    """It has all that it asks for or has use for."""
    LIMITED = 3
    """It has less than it asks for: the binding node is full."""
    MINIMUM_DOES_NOT_FIT = 4
    """It waits: its minimum does not fit into the binding node."""
    TURN_OF_OTHERS = 5
    """It waits for its turn: not all minima fit at once."""
    MINIMUM_PAUSE = 6
    """It waits for the end of its minimum off-time."""
    REDUCTIONS_PENDING = 7
    """It waits until other connectors have followed their reductions."""
    STARTING = 8
    """The energy manager has just started and gives no increase yet."""
    SILENT = 9
    """It is silent; what it may still use is reserved."""
    CONTACTOR_UNKNOWN = 10
    """Its contactor is unknown; its last grant stays reserved."""
    NOT_FOLLOWING = 11
    """It did not follow a reduction, and its grant was withdrawn."""
    OVERDRAW = 12
    """It draws more than granted; what it draws is reserved."""
    REQUEST_REFUSED = 13
    """Its newest request makes no sense."""
    BELOW_MINIMUM = 14
    """A limit of the connector itself is below its minimum."""
