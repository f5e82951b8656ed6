"""
The node of one connector's manager: ``manager.ConnectorManager`` wired to topics, services and clocks.

Nothing is decided here.  What arrives is converted and handed to the manager; what the manager gives to its
callbacks is converted and published.
"""

import functools
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, assert_never

from rclpy.node import Node

from evse_manager.charging import inputs
from evse_manager.charging.battery_state import BatteryState, battery_state
from evse_manager.charging.charge_goal import KeepAliveLost, Policy
from evse_manager.charging.commands import Answer
from evse_manager.charging.energy_request import energy_request
from evse_manager.charging.kernel import Output
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface import endpoints
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.endpoints import Party
from evse_manager.interface.enums import ChargerState
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardCommand,
    BoardState,
    EnergyFlowRequest,
    EnforcedLimits,
    EVInfo,
    EvseId,
    EvseStatus,
    HardwareCapabilities,
    OptimizerTarget,
    Powermeter,
    RequestExiStreamSchema,
    SessionEvent,
    Telemetry,
)
from evse_manager.lease.manager import BoardLeaseClient
from evse_manager.manager import NEVER, ConnectorManager
from evse_manager.nodes import diagnostics
from evse_manager.nodes.black_box import BlackBox
from evse_manager.nodes.boards_heard import BoardsHeard
from evse_manager.nodes.charge_server import ChargeServer
from evse_manager.nodes.connector_log import ConnectorLog, Line, LogSeverity
from evse_manager.nodes.conversions import (
    ConversionError,
    answer_to_response,
    battery_to_message,
    bool_to_message,
    from_message,
    refuse,
    request_to_command,
    to_message,
)
from evse_manager.nodes.diagnostics import Digest, Part
from evse_manager.nodes.parameters import Parameters, rows
from evse_manager.nodes.publishers import Publishers
from evse_manager.nodes.qos import profile
from evse_manager.nodes.record_services import RecordServices
from evse_manager.nodes.runtime import DeadlineTimer, Guard, LoopDeadline, NodeTime, run
from evse_manager.nodes.services import DeferredReply, create_service
from evse_manager.nodes.session_records import SessionRecords

CLOCK_AWAITED_S = 0.1
"""How often a node under simulated time looks whether ``/clock`` has begun."""

WARNING_PERIOD_S = 1.0
"""Malformed messages of one topic are warned of at most once in this time."""

DELIVERY_S = 0.2
"""How long the last messages of the process are waited for."""

LAST_BLACK_BOX_S = 0.5
"""How long a black box that is being written is waited for at the end of the process."""

OTHER_BOARD = 'the manager goes on with the records of another board; try again in a moment.'
SHUTTING_DOWN = 'the node is shutting down.'
WAITS_FOR_READY = (
    'the node waits for the call of external_ready_to_start_charging (wait_for_external_ready is set).'
)
NO_CLOCK = 'the node waits for the first message on /clock (use_sim_time is set).'

HLC_HEARD = ('hlc/ev_info', 'hlc/evcc_id', 'hlc/certificate_request')
HLC_PUBLISHED = 'hlc/certificate_response'

Value = TypeVar('Value')


class EvseManager:
    """One connector's manager, a ``runtime.NodeApp``; the ``ManagerCallbacks`` of its manager."""

    def __init__(self, **options: Any) -> None:
        """
        Declare the parameters and create every endpoint; raises ParameterError.

        ``options`` are keyword arguments of ``rclpy.node.Node``, for a process that hosts several.
        """
        self.node = Node(Party.MANAGER.value, **options)
        self.finished = False
        parameters: Parameters[Config] = Parameters(self.node, rows(Config), Config)
        self._config = parameters.value
        parameters.on_change(self._reconfigure)
        self._log = self.node.get_logger()
        self._guard = Guard(self.node, self._fail_safe)
        self._time = NodeTime(self.node)
        self._uuid: str = self.node.get_namespace()
        self._records = SessionRecords(
            self.node,
            self._config,
            self._time,
            self._guard,
            changed=self._on_records_changed,
            opened=self._on_records_opened,
        )
        self._black_box = BlackBox(self.node, self._config, self._time)
        self._boards = BoardsHeard()
        self._recorded_board: str | None = None
        """The board whose kind is known to be that of the open records."""
        self._held: BoardState | None = None
        """The state of a board that has not said yet what it is."""
        self._next_kind: bool | None = None
        """The kind of the records to go on with, once what is open is closed."""
        # The earlier start has the lesser name, and of two managers that one stays in command.
        self._started_at = f'{time.time_ns():020d}'
        self._manager = self._new_manager()
        self._command = to_message(BoardCommand())
        self._begun = self._ending = False
        self._waits_for_ready = self._config.wait_for_external_ready
        self._ready = False
        self._warned: dict[str, float] = {}
        self._journal = ConnectorLog(self._config.connector_id)
        self._stands_by = False
        self._hlc = False
        self._meter: Powermeter | None = None
        self._board_capabilities: BoardCapabilities | None = None
        self._capabilities: HardwareCapabilities | None = None
        self._digest: Digest | None = None
        self._requested: EnergyFlowRequest | None = None
        self._ev_info = EVInfo()
        self._target: tuple[OptimizerTarget | None, int] = (None, 0)
        self._battery: BatteryState | None = None
        managed = self._config.energy_source == 'manager'
        topics = endpoints.published_by(Party.MANAGER)
        self._publishers = Publishers(
            self.node, [topic for topic in topics if managed or topic not in endpoints.ENERGY_TOPICS]
        )
        self._readers = self._topic_callbacks(managed=managed)
        create_service(self.node, endpoints.GET_ID, self._on_get_id)
        create_service(self.node, endpoints.EXTERNAL_READY, self._on_external_ready)
        create_service(self.node, endpoints.SAVE_BLACK_BOX, self._on_save_black_box)
        for service in endpoints.COMMANDS:
            command = getattr(inputs, endpoints.command_name(service))
            create_service(self.node, service, partial(self._on_command, service.name, command))
        RecordServices(
            self.node,
            lambda: [path for path in self._records.files if path is not None],
            lambda: self._manager.lease.refused,
        )
        self._charge = ChargeServer(
            self.node,
            self._guard,
            self._time,
            entry=self._entry,
            host=self,
            policy=_goal_policy(self._config),
        )
        run_due = self._entry(self._run_due)
        self.alarm = LoopDeadline(run_due)
        self._clock_alarm = (
            DeadlineTimer(self.node, run_due, self._time.seconds, self._time.clock)
            if self._time.simulated
            else None
        )

    def _new_manager(self) -> ConnectorManager:
        name = f'{self._started_at} {self.node.get_fully_qualified_name()} {uuid.uuid4()}'
        return self._black_box.manager(
            self._config,
            BoardLeaseClient(name, self._config.board_lease_s),
            self,
            self._records,
            uuid=self._uuid,
        )

    # --- life ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the manager and listen, once time is known."""
        if not self._time.running:
            self._log.info('use_sim_time is set: waiting for the first message on /clock.', once=True)
            self.alarm.arm(time.monotonic() + CLOCK_AWAITED_S)
            return
        self._publishers.relay('ready', bool_to_message(False))
        self._publishers.relay('waiting_for_external_ready', bool_to_message(self._waits_for_ready))
        if self._waits_for_ready:
            self._log.info('Waiting for external_ready_to_start_charging.')
            return
        self._begun = True
        self._publishers.publish('evse_id', EvseId(self._config.evse_id))
        self._manager.start(self._now(), remember=self._remember)
        for name, callback in self._readers.items():
            topic = endpoints.topic(name)
            self.node.create_subscription(
                endpoints.load(topic.type), name, self._entry(callback), profile(topic.qos)
            )
        self._arm()

    def _remember(self) -> tuple[PersistedState, int] | None:
        """Open the records of the board that is led; return what an earlier process left in them."""
        remembered = self._records.open(self._boards.of(self._manager.lease.board_id))
        if remembered is None:
            return None
        self.publish_events(remembered.undelivered)
        self._records.told()
        return remembered.memory, remembered.last_sequence_number

    def _change_records(self, simulated: bool) -> None:
        """Close what is open in order, then go on with the records, limits and state of the other kind."""
        if self._next_kind is None:
            self._log.warning(
                f'The board is {"a simulated" if simulated else "a real"} one now: going on with its own'
                ' session records and limits.'
            )
            self._manager.shut_down(self._now())
        self._next_kind = simulated

    def _begin_with_other_records(self) -> None:
        """Start again, as a process does that finds the other board."""
        now = self._now()
        self._manager.close(now, f'refused: {OTHER_BOARD}')
        self._manager = self._new_manager()
        self._next_kind = None
        self._hlc, self._meter, self._ev_info = False, None, EVInfo()
        self._manager.start(now, remember=self._remember)
        if self._board_capabilities is not None:
            self._take(inputs.BoardCapabilitiesReceived(self._board_capabilities))
        if self._capabilities is not None:
            self._take(inputs.CapabilitiesReceived(self._capabilities))

    def end(self) -> None:
        """Let the kernel withdraw power and close what is open."""
        self._ending = True
        self._charge.close('The node is shutting down.')
        self._manager.shut_down(self._now())
        self._arm()

    def withdraw(self) -> None:
        """Withdraw power at once and wait until the board and the readers of the events have it."""
        self._manager.close(self._now(), f'refused: {SHUTTING_DOWN}')
        for name in ('board/command', 'session_event'):
            self._publishers.wait_until_delivered(name, DELIVERY_S)
        self._black_box.finish(LAST_BLACK_BOX_S)
        self._charge.destroy()
        self._guard.close()

    def _fail_safe(self, reason: str) -> None:
        self._black_box.fault('ManagerFailed')
        try:
            self._manager.fail(f'The manager failed: {reason}; see its log.', self._now())
        finally:
            self._arm()

    def _reconfigure(self, config: Config) -> None:
        self._config = config
        self._charge.policy = _goal_policy(config)
        self._manager.take(inputs.ParametersChanged(config), self._now())
        self._arm()

    # --- time ------------------------------------------------------------------------------------------

    def _now(self) -> ClockReadings:
        return ClockReadings(time.monotonic(), self._time.seconds(), self._time.wall())

    def _run_due(self) -> None:
        if self._begun:
            self._manager.run(self._now())
        else:
            self.begin()

    def _arm(self) -> None:
        """Let the charge goal react, then arm the loop, and the timer of simulated time, to what is due."""
        self._charge.drain()
        if self._next_kind is not None and self._manager.finished and not self._ending:
            self._begin_with_other_records()
        self.finished = self.finished or (self._manager.finished and self._charge.idle)
        if not self._begun:
            return
        steady, clock = self._manager.steady_deadline(), self._manager.clock_deadline()
        if self._clock_alarm is None:
            self.alarm.arm(min(steady, clock))
        else:
            self.alarm.arm(steady)
            self._clock_alarm.arm(clock if clock < NEVER else None)

    def _entry(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Return a guarded entry point that arms the deadlines when it returns."""

        @functools.wraps(callback)
        def entry(*arguments: Any) -> None:
            callback(*arguments)
            self._arm()

        return self._guard(entry)

    # --- what the manager calls ------------------------------------------------------------------------

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        """Publish a command to the board; a renewal reuses the message before it."""
        if renewal:
            self._command.manager_id = command.manager_id
            self._command.sequence_number = command.sequence_number
            self._command.board_id = command.board_id
        else:
            self._command = to_message(command)
        self._publishers.relay('board/command', self._command)
        if not renewal:
            os.sched_yield()  # a board node that this has woken on the same processor acts first

    def publish(self, output: Output) -> None:
        """Publish the values of a step."""
        if output.ev_info is not None:
            self._ev_info = output.ev_info
        for name, value in (
            ('limits', output.limits),
            ('ev_info', output.ev_info),
            ('car_manufacturer', output.car_manufacturer),
            ('hw_capabilities', output.hw_capabilities),
            ('supported_energy_transfer_modes', output.energy_transfer_modes),
            ('enforced_limits', output.enforced_limits),
            ('powermeter', output.powermeter),
            (HLC_PUBLISHED, output.certificate_response),
        ):
            if value is not None:
                self._publishers.publish(name, value)

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        """Publish session events."""
        for event in events:
            self._publishers.publish('session_event', event)
            self._write(self._journal.event(event))
        self._charge.happened(events)

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        """Publish the status, the diagnostics when they changed, and the request for energy."""
        self._publishers.publish('status', status)
        for line in self._journal.status(status):
            self._write(line)
        self._charge.observe(status)
        if not self._ending:
            self._black_box.observe(status)
        if not self._ready and status.state is not ChargerState.STARTING:
            self._ready = True
            self._publishers.relay('ready', bool_to_message(True))
        self._publish_battery(status, always=periodic)
        if periodic:
            self._records.note(status)
        self._publish_diagnostics(status, always=periodic)
        if 'energy/request' in self._publishers:
            self._request_energy(status, always=periodic)

    def _write(self, line: Line) -> None:
        """Write a line of the connector's log."""
        severity, text = line
        match severity:
            case LogSeverity.INFO:
                self._log.info(text)
            case LogSeverity.WARNING:
                self._log.warning(text)
            case LogSeverity.ERROR:
                self._log.error(text)
            case _:
                assert_never(severity)

    def _publish_diagnostics(self, status: EvseStatus, *, always: bool) -> None:
        topic = endpoints.DIAGNOSTICS.name
        if not self._publishers.listened_to(topic):
            return
        parts = self._parts(status)
        news = diagnostics.digest(parts)
        if always or news != self._digest:
            self._digest = news
            self._publishers.relay(topic, diagnostics.array(self.node.get_namespace(), parts, status.stamp))

    def _parts(self, status: EvseStatus) -> list[Part]:
        """Return what ``/diagnostics`` shows of this connector."""
        now = self._now()
        return [
            diagnostics.connector(status),
            diagnostics.meter(self._manager.meter(now)),
            diagnostics.energy(status, self._config, self._manager.grant(now)),
            diagnostics.records(
                (self._records.warning, self._black_box.warning), self._records.file, self._black_box.folder
            ),
        ]

    def _publish_battery(self, status: EvseStatus, *, always: bool) -> None:
        battery = battery_state(status, self._ev_info)
        if always or battery != self._battery:
            self._battery = battery
            self._publishers.relay('battery_state', battery_to_message(battery, status.stamp))

    # --- what the charge goal asks ---------------------------------------------------------------------

    def status(self) -> EvseStatus:
        """Return the status as it is now."""
        return self._manager.status(self._now())

    def soc_percent(self) -> float | None:
        """Return the state of charge that the car reports."""
        return self._ev_info.soc_percent

    def command(self, command: inputs.Command, answered: Callable[[Answer], None]) -> None:
        """Carry out a command of the goal."""
        self._manager.execute(command, answered, self._now())

    def target_changed(self, target: OptimizerTarget | None, priority: int) -> None:
        """Ask the energy manager for the goal's target from now on."""
        self._target = (target, priority)

    def _request_energy(self, status: EvseStatus, *, always: bool) -> None:
        grant = self._manager.grant(self._now())
        target, priority = self._target
        request = energy_request(
            self._uuid,
            self._config,
            status,
            self._capabilities,
            self._meter,
            grant=grant,
            target=target,
            priority=priority,
        )
        if always or _without_time(request) != _without_time(self._requested):
            self._requested = request
            self._publishers.publish('energy/request', request)

    def _on_records_opened(self) -> None:
        if not self._manager.started:
            self._manager.resume_start(self._now())
            self._arm()

    def _on_records_changed(self) -> None:
        self._manager.publish_status(self._now())
        self._arm()

    # --- what arrives ----------------------------------------------------------------------------------

    def _topic_callbacks(self, *, managed: bool) -> dict[str, Callable[[Any], None]]:
        """Return the callback of each subscribed topic."""
        callbacks = {
            'board/state': self._reader('board/state', BoardState, self._on_board_state),
            'board/telemetry': self._on_telemetry,
            'board/powermeter': self._reader('board/powermeter', Powermeter, self._on_powermeter),
            'board/hw_capabilities': self._reader(
                'board/hw_capabilities', HardwareCapabilities, self._on_hw_capabilities
            ),
            'board/capabilities': self._reader(
                'board/capabilities', BoardCapabilities, self._on_board_capabilities
            ),
            'hlc/ev_info': self._input_reader('hlc/ev_info', EVInfo, inputs.EvInfoReceived),
            'hlc/evcc_id': self._on_evcc_id,
            'hlc/certificate_request': self._reader(
                'hlc/certificate_request', RequestExiStreamSchema, self._on_certificate_request
            ),
        }
        callbacks['energy/limits'] = (
            self._input_reader('energy/limits', EnforcedLimits, inputs.LimitsEnforced)
            if managed
            else lambda _: self._manager.ignore_limits(self._now())
        )
        return callbacks

    def _read(self, name: str, message: Any, cls: type[Value]) -> Value | None:
        """Return the value of a message; a malformed one is dropped with a warning."""
        try:
            return from_message(message, cls)
        except ConversionError as error:
            now = time.monotonic()
            if now - self._warned.get(name, -WARNING_PERIOD_S) >= WARNING_PERIOD_S:
                self._warned[name] = now
                self._log.warning(f'A message on {name} is dropped: {error}')
            return None

    def _reader(self, name: str, cls: type[Value], take: Callable[[Value], None]) -> Callable[[Any], None]:
        """Return the callback that hands a topic's well-formed messages to ``take``."""

        def callback(message: Any) -> None:
            value = self._read(name, message, cls)
            if value is not None:
                take(value)

        return callback

    def _input_reader(
        self, name: str, cls: type[Value], make: Callable[[Value], inputs.Input]
    ) -> Callable[[Any], None]:
        """Return the callback that makes an input of the manager from each well-formed message."""
        return self._reader(name, cls, lambda value: self._take(make(value)))

    def _take(self, event: inputs.Input) -> None:
        self._manager.take(event, self._now())

    def _on_board_capabilities(self, capabilities: BoardCapabilities) -> None:
        self._boards.heard(capabilities, self._manager.lease.board_id)
        if capabilities.board_id in ('', self._recorded_board):
            self._recorded_board = None  # its next state is looked at again
        if self._concerns_led_board(capabilities):
            self._take_board_capabilities(capabilities)
        held, self._held = self._held, None
        if held is not None:
            self._on_board_state(held)

    def _concerns_led_board(self, capabilities: BoardCapabilities) -> bool:
        """Return whether capabilities are those of the board that is led, as far as is known."""
        led, known = self._manager.lease.board_id, self._board_capabilities
        return led in (None, capabilities.board_id) or (
            not capabilities.board_id and (known is None or not known.board_id)
        )

    def _take_board_capabilities(self, capabilities: BoardCapabilities) -> None:
        self._board_capabilities = capabilities
        self._take(inputs.BoardCapabilitiesReceived(capabilities))

    def _on_board_state(self, state: BoardState) -> None:
        """Take the state of a board, once it is known whose records it belongs to."""
        if state.board_id != self._recorded_board and self._manager.lease.would_lead(state.board_id):
            if self._boards.awaited(state.board_id, time.monotonic()):
                self._held = state
                return
            kind, open_kind = bool(self._boards.of(state.board_id)), self._records.simulated
            if self._manager.started and open_kind is not None and kind is not open_kind:
                self._change_records(kind)
                return
            self._recorded_board, self._held = state.board_id, None
            own = self._boards.capabilities(state.board_id)
            if own is not None and own != self._board_capabilities:
                self._take_board_capabilities(own)
        self._manager.observe(state, self._now())
        if self._manager.lease.refused and not self._stands_by:
            self._write(self._journal.standing_by())
        self._stands_by = self._manager.lease.refused

    def _on_telemetry(self, message: Any) -> None:
        sample = self._read('board/telemetry', message, Telemetry)
        if sample is not None:
            self._publishers.relay('telemetry', message)
            self._take(inputs.TelemetrySampled(sample))

    def _on_powermeter(self, sample: Powermeter) -> None:
        self._meter = sample
        self._take(inputs.MeterSampled(sample))

    def _on_hw_capabilities(self, capabilities: HardwareCapabilities) -> None:
        self._capabilities = capabilities
        self._take(inputs.CapabilitiesReceived(capabilities))

    def _on_evcc_id(self, message: Any) -> None:
        self._take(inputs.EvccIdReceived(message.data))

    def _on_certificate_request(self, request: RequestExiStreamSchema) -> None:
        self._publishers.publish('iso15118_certificate_request', request)

    def _look_for_hlc(self) -> None:
        """Report to the kernel whether anything publishes or reads the topics of high-level communication."""
        present = self.node.count_subscribers(HLC_PUBLISHED) > 0 or any(
            self.node.count_publishers(name) > 0 for name in HLC_HEARD
        )
        if present != self._hlc:
            self._hlc = present
            self._take(inputs.HlcPresence(present))

    # --- services --------------------------------------------------------------------------------------

    def _on_get_id(self, _request: Any, reply: DeferredReply) -> None:
        if self._manager.lease.refused:
            return  # the manager in command answers
        reply.response.connector_id = self._config.connector_id
        reply.give()

    def _on_external_ready(self, _request: Any, reply: DeferredReply) -> None:
        reply.response.success = True
        if self._waits_for_ready and not self._ending:
            self._waits_for_ready = False
            self.begin()
        reply.give()

    def _on_save_black_box(self, _request: Any, reply: DeferredReply) -> None:
        if self._manager.lease.refused:
            return

        def written(path: Path | None, why: str) -> None:
            reply.response.success = path is not None
            reply.response.message = str(path or f'{endpoints.SAVE_BLACK_BOX.name} refused: {why}')
            reply.give()

        self._black_box.save('asked', written)

    def _on_command(self, name: str, command: type, request: Any, reply: DeferredReply) -> None:
        """
        Answer a command at once when it can't reach the manager, else when the manager does.

        While another manager is in command, that one alone answers.
        """
        if self._manager.lease.refused:
            return
        try:
            refusal = self._deliver(name, command, request, reply)
        except Exception as error:  # noqa: BLE001 - an entry point: power is withdrawn, and the caller gets an answer
            self._guard.failed(name, error)
            refusal = 'the manager failed and withdrew power; see its log.'
        if refusal and not reply.given:
            self._write(self._journal.refused(name, refusal))
            refuse(reply.response, f'{name} refused: {refusal}')
            reply.give()
        self._arm()

    def _deliver(self, name: str, command: type, request: Any, reply: DeferredReply) -> str:
        """Give a command to the manager; return why that is impossible, or nothing."""
        if self._ending:
            return SHUTTING_DOWN
        if self._next_kind is not None:
            return OTHER_BOARD
        if not self._manager.started:
            if self._waits_for_ready:
                return WAITS_FOR_READY
            return self._manager.not_started or NO_CLOCK
        try:
            value = command() if command is inputs.ClearFault else request_to_command(request, command)
        except ConversionError as error:
            return str(error)
        if command is inputs.SetGetCertificateResponse:
            self._look_for_hlc()
        self._manager.execute(value, partial(self._answer, name, reply), self._now())
        return ''

    def _answer(self, name: str, reply: DeferredReply, answer: Answer) -> None:
        """Send an answer to the caller of a service."""
        if not answer.success:
            self._write(self._journal.refused(name, answer.message))
        answer_to_response(answer, reply.response)
        reply.give()


def _goal_policy(config: Config) -> Policy:
    """Return the rules for charge goals that the parameters set."""
    return Policy(
        default_token=config.default_token,
        connection_timeout_s=config.goal_connection_timeout_s,
        keep_alive_lost=KeepAliveLost(config.goal_keep_alive_lost),
        by_site=config.goal_authorization == 'site',
    )


def _without_time(request: EnergyFlowRequest | None) -> EnergyFlowRequest | None:
    """Return a request without what changes all the time, to see whether it is worth a message."""
    if request is None:
        return None
    return replace(
        request,
        stamp=None,
        energy_usage_root=None,
        energy_usage_leaves=None,
        grant_stamp=None,
        schedule_import=tuple(replace(entry, timestamp=None) for entry in request.schedule_import),
    )


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(Party.MANAGER, EvseManager, args)
