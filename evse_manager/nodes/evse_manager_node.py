"""
The node of one connector's manager: ``manager.ConnectorManager`` wired to topics, services and clocks.

Nothing is decided here.  What arrives is converted and handed to the manager; what the manager gives to its
callbacks is converted and published.
"""

import functools
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node

from evse_manager.charging import inputs
from evse_manager.charging.charge_goal import KeepAliveLost, Policy
from evse_manager.charging.commands import Answer
from evse_manager.charging.energy_request import EnergyRequests
from evse_manager.charging.kernel import Output
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface import endpoints
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.endpoints import Party
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardCommand,
    BoardState,
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
from evse_manager.nodes.charge_server import ChargeServer
from evse_manager.nodes.command_services import CommandServices
from evse_manager.nodes.connector_log import ConnectorLog
from evse_manager.nodes.connector_publications import HLC_PUBLISHED, ConnectorPublications
from evse_manager.nodes.conversions import bool_to_message
from evse_manager.nodes.parameters import Parameters, rows
from evse_manager.nodes.record_services import RecordServices
from evse_manager.nodes.recorded_board import Admission, RecordedBoard
from evse_manager.nodes.runtime import DeadlineTimer, Guard, LoopDeadline, NodeTime, run
from evse_manager.nodes.services import DeferredReply, create_service
from evse_manager.nodes.session_records import SessionRecords
from evse_manager.nodes.topics import TopicReader

CLOCK_AWAITED_S = 0.1
"""How often a node under simulated time looks whether ``/clock`` has begun."""

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


class EvseManager:
    """
    One connector's manager, a ``runtime.NodeApp``; the ``ManagerCallbacks`` of its manager.

    It is large because each topic, service and clock of the connector is wired here; what happens with them
    is elsewhere.
    """

    def __init__(self, **options: Any) -> None:
        """
        Declare the parameters and create every endpoint; raises ParameterError.

        ``options`` are keyword arguments of ``rclpy.node.Node``, for a process that hosts several.
        """
        self.node = Node(Party.MANAGER.value, **options)
        self.finished = False
        self._parameters: Parameters[Config] = Parameters(self.node, rows(Config), Config)
        config = self._parameters.value
        self._parameters.on_change(self._reconfigure)
        self._log = self.node.get_logger()
        self._guard = Guard(self.node, self._fail_safe)
        self._time = NodeTime(self.node)
        self._records = SessionRecords(
            self.node,
            config,
            self._time,
            self._guard,
            changed=self._on_records_changed,
            opened=self._on_records_opened,
        )
        self._black_box = BlackBox(self.node, config, self._time)
        self._board = RecordedBoard()
        # The earlier start has the lesser name, and of two managers that one stays in command.
        self._name = f'{time.time_ns():020d} {self.node.get_fully_qualified_name()}'
        self._manager = self._new_manager()
        self._begun = self._ending = self._changing_records = False
        self._waits_for_ready = config.wait_for_external_ready
        journal = ConnectorLog(config.connector_id)
        self._energy = (
            EnergyRequests(self.node.get_namespace()) if config.energy_source == 'manager' else None
        )
        topics = endpoints.published_by(Party.MANAGER)
        self._publications = ConnectorPublications(
            self.node,
            [topic for topic in topics if self._energy is not None or topic not in endpoints.ENERGY_TOPICS],
            journal,
        )
        self._offer_services(journal)
        self._charge = ChargeServer(
            self.node,
            self._guard,
            self._time,
            entry=self._entry,
            host=self,
            policy=_goal_policy(config),
        )
        run_due = self._entry(self._run_due)
        self.alarm = LoopDeadline(run_due)
        self._clock_alarm = (
            DeadlineTimer(self.node, run_due, self._time.seconds, self._time.clock)
            if self._time.simulated
            else None
        )

    def _new_manager(self) -> ConnectorManager:
        config = self._parameters.value
        return self._black_box.manager(
            config,
            BoardLeaseClient(f'{self._name} {uuid.uuid4()}', config.board_lease_s),
            self,
            self._records,
            uuid=self.node.get_namespace(),
        )

    # --- life ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the manager and listen, once time is known."""
        if not self._time.running:
            self._log.info('use_sim_time is set: waiting for the first message on /clock.', once=True)
            self.alarm.arm(time.monotonic() + CLOCK_AWAITED_S)
            return
        self._publications.relay('ready', bool_to_message(False))
        self._publications.relay('waiting_for_external_ready', bool_to_message(self._waits_for_ready))
        if self._waits_for_ready:
            self._log.info('Waiting for external_ready_to_start_charging.')
            return
        self._begun = True
        self._publications.publish('evse_id', EvseId(self._parameters.value.evse_id))
        self._manager.start(self._now(), remember=self._remember)
        self._subscribe()
        self._arm()

    def _remember(self) -> tuple[PersistedState, int] | None:
        """Open the records of the board that is led; return what an earlier process left in them."""
        remembered = self._records.open(self._board.boards.of(self._manager.lease.board_id))
        if remembered is None:
            return None
        self.publish_events(remembered.undelivered)
        self._records.told()
        return remembered.memory, remembered.last_sequence_number

    def _change_records(self) -> None:
        """Close what is open in order; the records, limits and state of the other kind of board follow."""
        if self._changing_records:
            return
        self._changing_records = True
        now_led = 'a real' if self._records.simulated else 'a simulated'
        self._log.warning(
            f'The board is {now_led} one now: going on with its own session records and limits.'
        )
        self._manager.shut_down(self._now())

    def _begin_with_other_records(self) -> None:
        """Start again, as a process does that finds the other board."""
        former, now = self._manager, self._now()
        former.close(now, f'refused: {OTHER_BOARD}')
        self._manager = self._new_manager()
        self._changing_records = False
        if self._energy is not None:
            self._energy.meter = None
        self._manager.start(now, remember=self._remember)
        self._take(inputs.BoardCapabilitiesReceived(former.kernel.board_capabilities))
        if former.kernel.capabilities is not None:
            self._take(inputs.CapabilitiesReceived(former.kernel.capabilities))

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
            self._publications.wait_until_delivered(name, DELIVERY_S)
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
        if self._changing_records and self._manager.finished and not self._ending:
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
        """Publish a command to the board."""
        self._publications.command(command, renewal=renewal)

    def publish(self, output: Output) -> None:
        """Publish the values of a step."""
        self._publications.output(output)

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        """Publish session events."""
        self._publications.events(events)
        self._charge.happened(events)

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        """Publish the status, the diagnostics when they changed, and the request for energy."""
        self._publications.status(status, self._manager.kernel.ev_info, periodic=periodic)
        self._charge.observe(status)
        if not self._ending:
            self._black_box.observe(status)
        if periodic:
            self._records.note(status)
        self._publications.diagnostics(status, self._parts, periodic=periodic)
        if self._energy is not None:
            request = self._energy.news(
                self._parameters.value,
                status,
                self._manager.kernel.capabilities,
                self._manager.grant(self._now()),
                always=periodic,
            )
            if request is not None:
                self._publications.publish('energy/request', request)

    def _parts(self, status: EvseStatus) -> list[diagnostics.Part]:
        """Return what ``/diagnostics`` shows of this connector."""
        now = self._now()
        return [
            diagnostics.connector(status),
            diagnostics.meter(self._manager.meter(now)),
            diagnostics.energy(status, self._parameters.value, self._manager.grant(now)),
            diagnostics.records(
                (self._records.warning, self._black_box.warning), self._records.file, self._black_box.folder
            ),
        ]

    # --- what the charge goal asks ---------------------------------------------------------------------

    def status(self) -> EvseStatus:
        """Return the status as it is now."""
        return self._manager.status(self._now())

    def soc_percent(self) -> float | None:
        """Return the state of charge that the car reports."""
        return self._manager.kernel.ev_info.soc_percent

    def command(self, command: inputs.Command, answered: Callable[[Answer], None]) -> None:
        """Carry out a command of the goal."""
        self._manager.execute(command, answered, self._now())

    def target_changed(self, target: OptimizerTarget | None, priority: int) -> None:
        """Ask the energy manager for the goal's target from now on."""
        if self._energy is not None:
            self._energy.target = (target, priority)

    def _on_records_opened(self) -> None:
        if not self._manager.started:
            self._manager.resume_start(self._now())
            self._arm()

    def _on_records_changed(self) -> None:
        self._manager.publish_status(self._now())
        self._arm()

    # --- what arrives ----------------------------------------------------------------------------------

    def _subscribe(self) -> None:
        """Listen to the topics of the connector."""
        reader = TopicReader(self.node, self._entry)

        def relay_telemetry(message: Any) -> None:
            sample = reader.value('board/telemetry', message, Telemetry)
            if sample is not None:
                self._publications.relay('telemetry', message)
                self._take(inputs.TelemetrySampled(sample))

        reader.read('board/state', BoardState, self._on_board_state)
        reader.subscribe('board/telemetry', relay_telemetry)
        reader.read('board/powermeter', Powermeter, self._on_powermeter)
        reader.read(
            'board/hw_capabilities',
            HardwareCapabilities,
            lambda capabilities: self._take(inputs.CapabilitiesReceived(capabilities)),
        )
        reader.read('board/capabilities', BoardCapabilities, self._on_board_capabilities)
        reader.read('hlc/ev_info', EVInfo, lambda info: self._take(inputs.EvInfoReceived(info)))
        reader.subscribe('hlc/evcc_id', lambda message: self._take(inputs.EvccIdReceived(message.data)))
        reader.read(
            'hlc/certificate_request',
            RequestExiStreamSchema,
            lambda request: self._publications.publish('iso15118_certificate_request', request),
        )
        if self._energy is not None:
            reader.read(
                'energy/limits', EnforcedLimits, lambda limits: self._take(inputs.LimitsEnforced(limits))
            )
        else:
            reader.subscribe('energy/limits', lambda _: self._manager.ignore_limits(self._now()))

    def _take(self, event: inputs.Input) -> None:
        self._manager.take(event, self._now())

    def _on_board_capabilities(self, capabilities: BoardCapabilities) -> None:
        led, known = self._manager.lease.board_id, self._manager.kernel.board_capabilities
        waiting = self._board.heard(capabilities, led)
        if led in (None, capabilities.board_id) or not (capabilities.board_id or known.board_id):
            self._take(inputs.BoardCapabilitiesReceived(capabilities))
        if waiting is not None:
            self._on_board_state(waiting)

    def _on_board_state(self, state: BoardState) -> None:
        """Take the state of a board, once it is known whose records it belongs to."""
        if self._manager.lease.would_lead(state.board_id):
            open_kind = self._records.simulated if self._manager.started else None
            match self._board.admit(state, open_kind, time.monotonic()):
                case Admission.WAIT:
                    return
                case Admission.CHANGE_RECORDS:
                    self._change_records()
                    return
                case Admission.TAKE_FIRST:
                    own = self._board.boards.capabilities(state.board_id)
                    if own is not None and own != self._manager.kernel.board_capabilities:
                        self._take(inputs.BoardCapabilitiesReceived(own))
        self._manager.observe(state, self._now())
        self._publications.in_command(not self._stands_by())

    def _on_powermeter(self, sample: Powermeter) -> None:
        if self._energy is not None:
            self._energy.meter = sample
        self._take(inputs.MeterSampled(sample))

    # --- services --------------------------------------------------------------------------------------

    def _offer_services(self, journal: ConnectorLog) -> None:
        create_service(self.node, endpoints.EXTERNAL_READY, self._on_external_ready)
        self._black_box.offer(self._stands_by)
        CommandServices(
            self.node,
            self._guard,
            journal,
            silent=self._stands_by,
            refusal=self._refusal,
            execute=self._execute,
        )
        RecordServices(
            self.node,
            lambda: [path for path in self._records.files if path is not None],
            self._stands_by,
        )

    def _stands_by(self) -> bool:
        """Return whether another manager is in command, which answers the services."""
        return self._manager.lease.refused

    def _refusal(self) -> str:
        """Return why no command can be carried out, or nothing."""
        if self._ending:
            return SHUTTING_DOWN
        if self._changing_records:
            return OTHER_BOARD
        if self._manager.started:
            return ''
        return WAITS_FOR_READY if self._waits_for_ready else self._manager.not_started or NO_CLOCK

    def _execute(self, command: inputs.Command, answered: Callable[[Answer], None]) -> None:
        """Carry out a command of a service."""
        if isinstance(command, inputs.SetGetCertificateResponse):
            self._take(inputs.HlcPresence(self._hlc_present()))
        self.command(command, answered)
        self._arm()

    def _hlc_present(self) -> bool:
        """Return whether anything publishes or reads the topics of high-level communication."""
        return self.node.count_subscribers(HLC_PUBLISHED) > 0 or any(
            self.node.count_publishers(name) > 0 for name in HLC_HEARD
        )

    def _on_external_ready(self, _request: Any, reply: DeferredReply) -> None:
        reply.response.success = True
        if self._waits_for_ready and not self._ending:
            self._waits_for_ready = False
            self.begin()
        reply.give()


def _goal_policy(config: Config) -> Policy:
    """Return the rules for charge goals that the parameters set."""
    return Policy(
        default_token=config.default_token,
        connection_timeout_s=config.goal_connection_timeout_s,
        keep_alive_lost=KeepAliveLost(config.goal_keep_alive_lost),
        by_site=config.goal_authorization == 'site',
    )


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(Party.MANAGER, EvseManager, args)
