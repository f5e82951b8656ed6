"""
Every topic and service of the package, once.

The nodes create their endpoints from these tables, ``evse`` finds connectors by them, ``docs/interface.md``
prints them, and tests compare the graph with them.  Names are relative to the connector's namespace, except
the absolute ones.  Importing this module needs no ROS.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from importlib import import_module
from typing import Any


class Party(StrEnum):
    """Who is at one end of a topic, or offers a service: the default names of the nodes."""

    MANAGER = 'evse_manager'
    BOARD = 'board_support'
    ENERGY = 'energy_manager'
    AUTHORIZATION = 'authorization'
    HLC = 'high-level communication'
    CLOCK = 'simulation_clock'
    MARKERS = 'site_markers'
    DEPOT = 'depot'
    ANYONE = 'anyone'


@dataclass(frozen=True, slots=True)
class History:
    """Messages that a publisher keeps: the newest ``depth``; when ``latched``, for late readers too."""

    depth: int
    latched: bool


class Qos(Enum):
    """The quality of service of a topic; all are reliable (``qos.profile`` makes it a profile of rclpy)."""

    EVENTS = History(depth=100, latched=True)
    """The session events: whoever asks for history gets the last hundred."""
    LATCHED = History(depth=1, latched=True)
    """The current value: late readers get it at once."""
    STREAM = History(depth=10, latched=False)
    """Samples and relayed messages."""
    NEWEST = History(depth=1, latched=False)
    """Commands and limits that must never be replayed, nor pile up."""
    REQUESTS = History(depth=100, latched=False)
    """Requests of an action: a burst of that many goals loses none."""

    @property
    def text(self) -> str:
        """Return it for people: ``reliable, transient_local, depth 1``."""
        durability = 'transient_local' if self.value.latched else 'volatile'
        return f'reliable, {durability}, depth {self.value.depth}'


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: relative name, message type, quality of service, who publishes, who listens, and when."""

    name: str
    type: str
    qos: Qos
    publisher: Party
    subscriber: Party
    when: str


@dataclass(frozen=True, slots=True)
class Service:
    """One service: relative name, type, who offers it, and what it does."""

    name: str
    type: str
    server: Party
    does: str

    @property
    def type_name(self) -> str:
        """Return the last part of the type: the name of the kernel's command, too."""
        return self.type.rsplit('/', 1)[1]


_M, _B, _E, _H, _ANY = Party.MANAGER, Party.BOARD, Party.ENERGY, Party.HLC, Party.ANYONE
_MSG, _SRV = 'evse_manager/msg/', 'evse_manager/srv/'

VARIABLES = (
    Topic('session_event', _MSG + 'SessionEvent', Qos.EVENTS, _M, _ANY, 'each event, in order, once'),
    Topic('limits', _MSG + 'Limits', Qos.LATCHED, _M, _ANY, 'on change'),
    Topic('ev_info', _MSG + 'EVInfo', Qos.LATCHED, _M, _ANY, 'on change; emptied at session start and end'),
    Topic(
        'car_manufacturer',
        _MSG + 'CarManufacturer',
        Qos.LATCHED,
        _M,
        _ANY,
        'when known; UNKNOWN at session start',
    ),
    Topic(
        'supported_energy_transfer_modes',
        _MSG + 'SupportedEnergyTransferModes',
        Qos.LATCHED,
        _M,
        _ANY,
        'when known or changed',
    ),
    Topic('telemetry', _MSG + 'Telemetry', Qos.STREAM, _M, _ANY, 'as the board reports'),
    Topic('powermeter', _MSG + 'Powermeter', Qos.STREAM, _M, _ANY, 'as the billing meter reports'),
    Topic('evse_id', _MSG + 'EvseId', Qos.LATCHED, _M, _ANY, 'once at start'),
    Topic('hw_capabilities', _MSG + 'HardwareCapabilities', Qos.LATCHED, _M, _ANY, 'when known or changed'),
    Topic(
        'iso15118_certificate_request',
        _MSG + 'RequestExiStreamSchema',
        Qos.STREAM,
        _M,
        _ANY,
        'relayed from the high-level-communication node',
    ),
    Topic('enforced_limits', _MSG + 'EnforcedLimits', Qos.LATCHED, _M, _ANY, 'each accepted set of limits'),
    Topic('status', _MSG + 'EvseStatus', Qos.LATCHED, _M, _ANY, 'on change of a discrete field, and at 1 Hz'),
    Topic(
        'battery_state',
        'sensor_msgs/msg/BatteryState',
        Qos.LATCHED,
        _M,
        _ANY,
        'on change, and at 1 Hz: the battery as a docking stack sees it',
    ),
    Topic('ready', 'std_msgs/msg/Bool', Qos.LATCHED, _M, _ANY, 'true once the connector may be commanded'),
    Topic(
        'waiting_for_external_ready',
        'std_msgs/msg/Bool',
        Qos.LATCHED,
        _M,
        _ANY,
        'on change: whether external_ready_to_start_charging has to be called first',
    ),
)
"""Topics that the manager publishes for any reader."""

BOARD_TOPICS = (
    Topic(
        'board/command',
        _MSG + 'BoardCommand',
        Qos.NEWEST,
        _M,
        _B,
        'on change, and several times per lease',
    ),
    Topic(
        'board/state',
        _MSG + 'BoardState',
        Qos.LATCHED,
        _B,
        _M,
        'on change, at 4 Hz or more while power is allowed, else at 1 Hz or more',
    ),
    Topic('board/telemetry', _MSG + 'Telemetry', Qos.STREAM, _B, _M, 'as the board reports'),
    Topic('board/powermeter', _MSG + 'Powermeter', Qos.STREAM, _B, _M, 'as the billing meter reports'),
    Topic(
        'board/hw_capabilities', _MSG + 'HardwareCapabilities', Qos.LATCHED, _B, _M, 'when known or changed'
    ),
    Topic('board/capabilities', _MSG + 'BoardCapabilities', Qos.LATCHED, _B, _M, 'when known or changed'),
)
"""Topics between the manager and the board node of a connector."""

HLC_TOPICS = (
    Topic('hlc/ev_info', _MSG + 'EVInfo', Qos.STREAM, _H, _M, 'as the EV reports'),
    Topic('hlc/evcc_id', 'std_msgs/msg/String', Qos.STREAM, _H, _M, 'when known'),
    Topic('hlc/certificate_request', _MSG + 'RequestExiStreamSchema', Qos.STREAM, _H, _M, 'as the EV asks'),
    Topic(
        'hlc/certificate_response',
        _MSG + 'ResponseExiStreamStatus',
        Qos.STREAM,
        _M,
        _H,
        'each accepted set_get_certificate_response',
    ),
)
"""Topics between the manager and a high-level-communication (ISO 15118) node, which may be missing."""

ENERGY_TOPICS = (
    Topic(
        'energy/request',
        _MSG + 'EnergyFlowRequest',
        Qos.NEWEST,
        _M,
        _E,
        'on change and at 1 Hz (energy_source manager)',
    ),
    Topic(
        'energy/limits',
        _MSG + 'EnforcedLimits',
        Qos.NEWEST,
        _E,
        _M,
        'on change and at 1 Hz (energy_source manager)',
    ),
)
"""Topics between a connector and its energy manager, with ``energy_source`` manager alone."""

MARKERS = Topic(
    'markers',
    'visualization_msgs/msg/MarkerArray',
    Qos.LATCHED,
    Party.MARKERS,
    _ANY,
    'on change and every 2 s: bays, cables, power and reasons for RViz',
)
"""Published where the node for it runs, in the namespace of the site."""

SITE_TOPICS = (Topic('site/status', _MSG + 'SiteStatus', Qos.LATCHED, _E, _ANY, 'on change and at 1 Hz'),)
"""Published by the energy manager for all readers, in the namespace of the site."""

_A = Party.AUTHORIZATION

TOKEN = Topic('token', _MSG + 'ProvidedIdToken', Qos.STREAM, _ANY, _A, "each token at the connector's reader")
"""Tokens from a reader at a connector, in the connector's namespace."""

KEEP_ALIVE = Topic(
    'charge/keep_alive', 'std_msgs/msg/Empty', Qos.STREAM, _ANY, _M, 'by the client of a charge goal'
)
"""The client of a charge goal with ``keep_alive`` is there."""

CHARGE, CHARGE_NAME = 'evse_manager/action/Charge', 'charge'
"""The action of a connector: its type and its name."""

TOKEN_RESULTS = Topic(
    'token_results', _MSG + 'TokenResult', Qos.STREAM, _A, _ANY, 'when it is decided what became of a token'
)

AUTHORIZATION_TOPICS = (
    Topic('tokens', _MSG + 'ProvidedIdToken', Qos.STREAM, _ANY, _A, 'each token at a reader of the site'),
    TOKEN_RESULTS,
    Topic('reservations', _MSG + 'SiteReservations', Qos.LATCHED, _A, _ANY, 'on change'),
)
"""The topics of the authorization node, in the namespace of the site."""

_DIAGNOSTICS, _ARRAY = '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray'
DIAGNOSTICS = Topic(_DIAGNOSTICS, _ARRAY, Qos.STREAM, _M, _ANY, 'on change and at 1 Hz')
"""A connector, its meter, its limit and its records."""

BOARD_DIAGNOSTICS = Topic(_DIAGNOSTICS, _ARRAY, Qos.STREAM, _B, _ANY, 'on change and at 1 Hz')
"""The board's line: counters, and its problem."""

SITE_DIAGNOSTICS = Topic(_DIAGNOSTICS, _ARRAY, Qos.STREAM, _E, _ANY, 'with each site/status')
"""The energy manager of a site."""

WORKER_DIAGNOSTICS = Topic(_DIAGNOSTICS, _ARRAY, Qos.STREAM, Party.DEPOT, _ANY, 'on change and at 1 Hz')
"""A process of the depot and the nodes that it hosts."""

DIAGNOSTIC_TOPICS = (DIAGNOSTICS, BOARD_DIAGNOSTICS, SITE_DIAGNOSTICS, WORKER_DIAGNOSTICS)
"""Who publishes what on ``/diagnostics``."""

CLOCK = Topic('/clock', 'rosgraph_msgs/msg/Clock', Qos.NEWEST, Party.CLOCK, _ANY, 'while simulated time runs')

TOPICS = (*VARIABLES, *BOARD_TOPICS, *HLC_TOPICS, *ENERGY_TOPICS, DIAGNOSTICS, BOARD_DIAGNOSTICS)
"""Every topic of a connector."""

COMMANDS = (
    Service('enable', _SRV + 'Enable', _M, 'make the connector available'),
    Service(
        'disable',
        _SRV + 'Disable',
        _M,
        'make the connector unavailable; a running session is closed in order',
    ),
    Service(
        'enable_disable', _SRV + 'EnableDisable', _M, 'enable or disable in the name of one of several owners'
    ),
    Service('authorize_response', _SRV + 'AuthorizeResponse', _M, 'deliver the result of an authorization'),
    Service(
        'withdraw_authorization',
        _SRV + 'WithdrawAuthorization',
        _M,
        'take back an authorization before its use',
    ),
    Service('reserve', _SRV + 'Reserve', _M, 'keep the connector for a reservation'),
    Service('cancel_reservation', _SRV + 'CancelReservation', _M, 'drop the reservation'),
    Service('set_faulted', _SRV + 'SetFaulted', _M, 'put the connector out of order'),
    Service('clear_fault', 'std_srvs/srv/Trigger', _M, "the operator's reset of a latched fault"),
    Service('pause_charging', _SRV + 'PauseCharging', _M, 'pause the transaction'),
    Service('resume_charging', _SRV + 'ResumeCharging', _M, 'end the pause of pause_charging'),
    Service(
        'stop_transaction', _SRV + 'StopTransaction', _M, 'end the transaction; only a replug begins another'
    ),
    Service(
        'force_unlock', _SRV + 'ForceUnlock', _M, 'stop, open the contactor and unlock; answers when done'
    ),
    Service('set_external_limits', _SRV + 'SetExternalLimits', _M, "replace the operator's limit schedules"),
    Service(
        'switch_three_phases_while_charging',
        _SRV + 'SwitchThreePhasesWhileCharging',
        _M,
        'change between one phase and three',
    ),
    Service(
        'set_get_certificate_response',
        _SRV + 'SetGetCertificateResponse',
        _M,
        'deliver the answer to a certificate request',
    ),
)
"""The services that are commands of the kernel (``command_name`` returns their class)."""

EXTERNAL_READY = Service(
    'external_ready_to_start_charging',
    'std_srvs/srv/Trigger',
    _M,
    'start, where the parameter wait_for_external_ready has made the node wait',
)

SAVE_BLACK_BOX = Service(
    'save_black_box',
    'std_srvs/srv/Trigger',
    _M,
    'write the last minutes of the connector to a file; answers with its path when it is there',
)

GET_ID = Service('get_id', _SRV + 'GetId', _M, 'return the connector id')

LIST_RECORDS = Service('records/list', _SRV + 'ListRecords', _M, 'list the recorded sessions, in pages')
GET_RECORD = Service('records/get', _SRV + 'GetRecord', _M, 'return all that is recorded of one session')

RECORD_SERVICES = (LIST_RECORDS, GET_RECORD)
"""The session records, over the graph."""

AUTHORIZATION_SERVICES = (
    Service('reserve', _SRV + 'ReserveConnector', _A, 'reserve a connector, or any fitting one'),
    Service('cancel_reservation', _SRV + 'CancelConnectorReservation', _A, 'cancel a reservation'),
    Service('withdraw_token', _SRV + 'WithdrawToken', _A, 'take back an authorization before its use'),
)
"""The services of the authorization node, in the namespace of the site."""

VALIDATE_TOKEN = Service(
    'validate_token', _SRV + 'ValidateToken', _ANY, 'say whether a token that is not in the list may charge'
)
"""Asked by the authorization node with ``unknown_tokens`` ask; offered by a bridge to a back end."""

SIMULATION_SERVICES = (
    Service('simulation/plug_in', _SRV + 'SimulatePlugIn', _B, 'plug an EV in'),
    Service('simulation/unplug', 'std_srvs/srv/Trigger', _B, 'pull the plug'),
    Service('simulation/ev_pause', 'std_srvs/srv/Trigger', _B, 'the EV stops asking for power'),
    Service('simulation/ev_resume', 'std_srvs/srv/Trigger', _B, 'the EV asks for power again'),
    Service('simulation/replug', 'std_srvs/srv/Trigger', _B, 'pull the plug and put it in again'),
    Service('simulation/set_proximity', _SRV + 'SimulateProximity', _B, 'choose the resistor of the cable'),
    Service('simulation/inject_fault', _SRV + 'SimulateFault', _B, 'let a fault begin'),
    Service('simulation/clear_fault', _SRV + 'SimulateFault', _B, 'let a fault, or all of them, end'),
)
"""Offered by ``board_support`` with a driver that has the physical model behind it."""

SET_SITE_LIMIT = Service(
    'site/set_limit', _SRV + 'SetSiteLimit', _E, 'set, replace or clear the limit of one source at a node'
)

SITE_SERVICES = (SET_SITE_LIMIT,)
"""Offered by the energy manager, in the namespace of the site."""

SERVICES = (
    GET_ID,
    EXTERNAL_READY,
    SAVE_BLACK_BOX,
    *COMMANDS,
    *RECORD_SERVICES,
    *SIMULATION_SERVICES,
)
"""Every service of a connector."""


def published_by(party: Party) -> tuple[Topic, ...]:
    """Return the topics that a party publishes."""
    return tuple(topic for topic in TOPICS if topic.publisher is party)


def topic(name: str) -> Topic:
    """Return the topic of this relative name; raises KeyError when it does not exist."""
    return _TOPIC_OF[name]


def service(name: str) -> Service:
    """Return the service of this relative name; raises KeyError when it does not exist."""
    return _SERVICE_OF[name]


def command_name(command: Service) -> str:
    """Return the name of the kernel's input class for a service of ``COMMANDS``."""
    return 'ClearFault' if command.name == 'clear_fault' else command.type_name


def load(type_name: str) -> Any:
    """Import and return the class of an interface type such as ``evse_manager/msg/Limits``."""
    package, kind, name = type_name.split('/')
    return getattr(import_module(f'{package}.{kind}'), name)


_TOPIC_OF = {topic.name: topic for topic in (*TOPICS, *SITE_TOPICS, CLOCK)}
_SERVICE_OF = {service.name: service for service in (*SERVICES, *SITE_SERVICES)}
