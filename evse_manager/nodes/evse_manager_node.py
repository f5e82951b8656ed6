"""
The node of one connector: the charging kernel, wired to topics, services, parameters and clocks.

Nothing is decided here.  What arrives becomes an input of the kernel in ``_happened``; the outputs that it
wants go to the board at once, and all the rest is carried out in ``_carry_out``, and nowhere else.
"""

import itertools
import math
import os
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from rclpy.node import Node

from evse_manager.charging import inputs
from evse_manager.charging.commands import Answer
from evse_manager.charging.energy_request import energy_request
from evse_manager.charging.kernel import Kernel, Output
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party
from evse_manager.interface.enums import PilotMode
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
    Powermeter,
    RequestExiStreamSchema,
    Telemetry,
)
from evse_manager.lease.manager import BoardLeaseClient, BoardLost
from evse_manager.nodes.conversions import (
    ConversionError,
    answer_to_response,
    from_message,
    refuse,
    request_to_command,
    to_message,
)
from evse_manager.nodes.diagnostics import Digest, diagnostics, digest
from evse_manager.nodes.parameters import Parameters, rows
from evse_manager.nodes.publishers import Publishers
from evse_manager.nodes.qos import profile
from evse_manager.nodes.runtime import DeadlineTimer, Guard, LoopDeadline, NodeTime, run, steady_clock
from evse_manager.nodes.services import Reply, create_service
from evse_manager.nodes.session_records import SessionRecords

SECOND_S = 1.0
"""Period of what is published though nothing changed."""

RENEW_EARLY = 0.7
"""
A board state that comes when so much of the renewal's period is over is answered with the renewal: with power
both nodes then wake for the same few exchanges instead of each for its own.
"""

HOLD_AFTER_FAILURE_S = 10.0
"""After a callback failed the kernel hears nothing of the board for this long: power stays withdrawn."""

DELIVERY_S = 0.2
"""How long the last messages of the process are waited for."""

HLC_HEARD = ('hlc/ev_info', 'hlc/evcc_id', 'hlc/certificate_request')
HLC_TOLD = 'hlc/certificate_response'

Value = TypeVar('Value')


class EvseManager:
    """One connector's manager, a ``runtime.Role``."""

    def __init__(self, **options: Any) -> None:
        """Declare the parameters and create every endpoint; raises ParameterError."""
        self.node = Node(Party.MANAGER.value, **options)
        self.finished = False
        parameters: Parameters[Config] = Parameters(self.node, rows(Config), Config)
        self._config = parameters.value
        parameters.on_change(self._reconfigure)
        self._log = self.node.get_logger()
        self._guard = Guard(self.node, self._fail_safe)
        self._time = NodeTime(self.node)
        self._uuid: str = self.node.get_namespace()
        self._kernel = Kernel(self._config, lambda: str(uuid.uuid4()), self._uuid, random.random)
        self._link = BoardLeaseClient(
            f'{self.node.get_fully_qualified_name()} {uuid.uuid4()}', self._config.board_lease_s
        )
        self._outputs = BoardCommand(pilot_mode=PilotMode.X1)
        self._command = to_message(self._outputs)
        self._replies: dict[int, Reply] = {}
        self._tickets = itertools.count(1)
        self._started = False
        self._ending = False
        self._failed_at: float | None = None
        self._warned: dict[str, float] = {}
        self._hlc = False
        self._meter: Powermeter | None = None
        self._capabilities: HardwareCapabilities | None = None
        self._digest: Digest | None = None
        self._asked: EnergyFlowRequest | None = None
        self._next_second = 0.0
        self._renewed = 0.0
        self._records = SessionRecords(
            self.node, self._config, self._time, self._guard, self._publish_current_status
        )

        managed = self._config.energy_source == 'manager'
        topics = endpoints.published_by(Party.MANAGER)
        self._publishers = Publishers(
            self.node, [topic for topic in topics if managed or topic not in endpoints.ENERGY_TOPICS]
        )
        self._heard = {
            'board/state': self._on_board_state,
            'board/telemetry': self._on_telemetry,
            'board/powermeter': self._on_powermeter,
            'board/hw_capabilities': self._on_hw_capabilities,
            'board/capabilities': self._on_capabilities,
            'hlc/ev_info': self._on_ev_info,
            'hlc/evcc_id': self._on_evcc_id,
            'hlc/certificate_request': self._on_certificate_request,
        }
        if managed:
            self._heard['energy/limits'] = self._on_energy_limits
        create_service(self.node, endpoints.GET_ID, self._on_get_id)
        for service in endpoints.COMMANDS:
            command = getattr(inputs, endpoints.command_name(service))
            create_service(self.node, service, partial(self._on_command, service.name, command))
        self._deadline = DeadlineTimer(
            self.node, self._guard(self._on_deadline), self._time.seconds, self._time.clock
        )
        self._renewals = self.node.create_timer(
            self._link.renewal_period, self._guard(self._on_renewal), clock=steady_clock()
        )
        self.alarm = LoopDeadline(self._guard(self._supervise_link))

    # --- life ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the kernel, once time is known."""
        if not self._time.running:
            self._log.info('use_sim_time is set: waiting for the first message on /clock.', once=True)
            return
        remembered = self._records.open()
        self._started = True
        self._publishers.publish('evse_id', EvseId(self._config.evse_id))
        for event in remembered.undelivered:
            self._publishers.publish('session_event', event)
        self._records.told()
        self._happened(inputs.Start(remembered.memory, remembered.last_sequence_number))
        self._send_outputs(self._outputs)
        for name, callback in self._heard.items():
            topic = endpoints.topic(name)
            self.node.create_subscription(
                endpoints.load(topic.type), name, self._guard(callback), profile(topic.qos)
            )

    def end(self) -> None:
        """Let the kernel withdraw power and close what is open."""
        self._ending = True
        if self._started:
            self._happened(inputs.Shutdown())
        else:
            self.finished = True

    def withdraw(self) -> None:
        """Withdraw power at once and wait until the board and the readers of the events have it."""
        self._send_withdrawal()
        self._records.finish()
        for reply in self._replies.values():
            refuse(reply.response, 'refused: the node is shutting down.')
            reply.give()
        self._replies.clear()
        for name in ('board/command', 'session_event'):
            self._publishers.wait_until_delivered(name, DELIVERY_S)
        self._guard.close()

    def _fail_safe(self, reason: str) -> None:
        """Withdraw power after a failure of this node; for the kernel the board is lost for a while."""
        self._failed_at = time.monotonic()
        self._send_withdrawal()
        if self._started:
            self._happened(BoardLost(f'The manager failed: {reason}; see its log.'))

    def _send_withdrawal(self) -> None:
        mode = PilotMode.X1 if self._outputs.pilot_mode is PilotMode.PWM else self._outputs.pilot_mode
        self._send_outputs(
            replace(
                self._outputs, pilot_mode=mode, duty_cycle_percent=100.0, current_a=0.0, allow_power_on=False
            )
        )

    # --- the kernel ------------------------------------------------------------------------------------

    def _happened(self, event: inputs.Input) -> None:
        outputs = self._kernel.react(event, self._time.now())
        if outputs is not None:
            self._send_outputs(outputs)
            # A board node that has just been woken on this processor acts first; telling of it can wait.
            os.sched_yield()
        if not self._kernel.repeated:
            self._carry_out(self._kernel.report())

    def _carry_out(self, output: Output) -> None:
        """Carry out what the kernel decided besides power: events and answers when they are recorded."""
        self._records.keep(output, partial(self._tell, output))
        for name, value in (
            ('limits', output.limits),
            ('ev_info', output.ev_info),
            ('car_manufacturer', output.car_manufacturer),
            ('hw_capabilities', output.hw_capabilities),
            ('enforced_limits', output.enforced_limits),
            ('powermeter', output.powermeter),
            ('hlc/certificate_response', output.certificate_response),
        ):
            if value is not None:
                self._publishers.publish(name, value)
        if output.status is not None:
            self._publish_status(output.status)
        self._deadline.arm(output.deadline)
        self.finished = self.finished or output.finished

    def _tell(self, output: Output) -> None:
        for event in output.events:
            self._publishers.publish('session_event', event)
        for ticket, answer in output.answers:
            self._answer(ticket, answer)

    def _send_outputs(self, outputs: BoardCommand) -> None:
        self._outputs = outputs
        self._command = to_message(self._link.stamp(outputs, time.monotonic()))
        self._publishers.relay('board/command', self._command)

    def _answer(self, ticket: int, answer: Answer) -> None:
        reply = self._replies.pop(ticket, None)
        if reply is not None:  # else it was refused, because the manager failed before this was recorded
            answer_to_response(answer, reply.response)
            reply.give()

    def _publish_status(self, status: EvseStatus) -> None:
        status = self._records.add_warning(status)
        self._publishers.publish('status', status)
        if digest(status) != self._digest:
            self._publish_diagnostics(status)
        if 'energy/request' in self._publishers:
            self._ask_for_energy(status, always=False)

    def _publish_diagnostics(self, status: EvseStatus) -> None:
        self._digest = digest(status)
        topic = endpoints.DIAGNOSTICS.name
        if self._publishers.listened_to(topic):
            self._publishers.relay(topic, diagnostics(self.node.get_fully_qualified_name(), status))

    def _ask_for_energy(self, status: EvseStatus, *, always: bool) -> None:
        request = energy_request(self._uuid, self._config, status, self._capabilities, self._meter)
        if always or _without_time(request) != _without_time(self._asked):
            self._asked = request
            self._publishers.publish('energy/request', request)

    def _reconfigure(self, config: Config) -> None:
        self._config = config
        self._happened(inputs.ParametersChanged(config))

    # --- clocks ----------------------------------------------------------------------------------------

    def _on_deadline(self) -> None:
        self._happened(inputs.Tick())

    def _on_renewal(self) -> None:
        """Renew the lease when no state of the board gave the occasion."""
        if not self._started:
            self.begin()
            return
        self._renew(time.monotonic())

    def _renew(self, steady: float) -> None:
        """
        Renew the lease and supervise the link; once a second do what has to be done then.

        A board that would be silent for too long before the next renewal is looked for at that very time.
        """
        self._renewed = steady
        self._supervise_link()
        silent_at = self._link.silent_at()
        next_renewal = steady + self._link.renewal_period
        self.alarm.arm(silent_at if silent_at is not None and silent_at < next_renewal else math.inf)
        if self._link.may_renew(steady):
            self._command.manager_id = self._link.manager_id
            self._command.sequence_number = self._link.next_number(steady)
            self._publishers.relay('board/command', self._command)
        if steady >= self._next_second - self._link.renewal_period / 2:
            self._next_second = steady + SECOND_S
            self._on_second()

    def _supervise_link(self) -> None:
        lost = self._link.check(time.monotonic())
        if lost is not None:
            self._happened(lost)

    def _on_second(self) -> None:
        status = self._publish_current_status()
        if 'energy/request' in self._publishers:
            self._ask_for_energy(status, always=True)

    def _publish_current_status(self) -> EvseStatus:
        status = self._records.add_warning(self._kernel.status(self._time.now()))
        self._publishers.publish('status', status)
        self._publish_diagnostics(status)
        return status

    # --- what arrives ----------------------------------------------------------------------------------

    def _read(self, name: str, message: Any, cls: type[Value]) -> Value | None:
        """Return the value of a message; a malformed one is dropped with a warning."""
        try:
            return from_message(message, cls)
        except ConversionError as error:
            now = time.monotonic()
            if now - self._warned.get(name, -SECOND_S) >= SECOND_S:
                self._warned[name] = now
                self._log.warning(f'A message on {name} is dropped: {error}')
            return None

    def _on_board_state(self, message: Any) -> None:
        state = self._read('board/state', message, BoardState)
        steady = time.monotonic()
        if state is None or (self._failed_at is not None and steady - self._failed_at < HOLD_AFTER_FAILURE_S):
            return
        observed = self._link.observe(state, steady)
        if observed is not None:
            self._happened(observed)
        due = steady - self._renewed >= self._link.renewal_period * RENEW_EARLY and not self._link.refused
        if due or self._link.waits_for_us(state):
            self._renewals.reset()
            self._renew(steady)

    def _on_telemetry(self, message: Any) -> None:
        sample = self._read('board/telemetry', message, Telemetry)
        if sample is not None:
            self._publishers.relay('telemetry', message)
            self._happened(inputs.TelemetrySampled(sample))

    def _on_powermeter(self, message: Any) -> None:
        sample = self._read('board/powermeter', message, Powermeter)
        if sample is not None:
            self._meter = sample
            self._happened(inputs.MeterSampled(sample))

    def _on_hw_capabilities(self, message: Any) -> None:
        capabilities = self._read('board/hw_capabilities', message, HardwareCapabilities)
        if capabilities is not None:
            self._capabilities = capabilities
            self._happened(inputs.CapabilitiesReceived(capabilities))

    def _on_capabilities(self, message: Any) -> None:
        capabilities = self._read('board/capabilities', message, BoardCapabilities)
        if capabilities is not None:
            self._happened(inputs.BoardCapabilitiesReceived(capabilities))

    def _on_ev_info(self, message: Any) -> None:
        info = self._read('hlc/ev_info', message, EVInfo)
        if info is not None:
            self._happened(inputs.EvInfoReceived(info))

    def _on_evcc_id(self, message: Any) -> None:
        self._happened(inputs.EvccIdReceived(message.data))

    def _on_certificate_request(self, message: Any) -> None:
        request = self._read('hlc/certificate_request', message, RequestExiStreamSchema)
        if request is not None:
            self._publishers.publish('iso15118_certificate_request', request)

    def _on_energy_limits(self, message: Any) -> None:
        limits = self._read('energy/limits', message, EnforcedLimits)
        if limits is not None:
            self._happened(inputs.LimitsEnforced(limits))

    def _look_for_hlc(self) -> None:
        """Tell the kernel whether somebody speaks or listens on the topics of high-level communication."""
        present = self.node.count_subscribers(HLC_TOLD) > 0 or any(
            self.node.count_publishers(name) > 0 for name in HLC_HEARD
        )
        if present != self._hlc:
            self._hlc = present
            self._happened(inputs.HlcPresence(present))

    # --- services --------------------------------------------------------------------------------------

    def _on_get_id(self, _request: Any, reply: Reply) -> None:
        reply.response.connector_id = self._config.connector_id
        reply.give()

    def _on_command(self, name: str, command: type, request: Any, reply: Reply) -> None:
        """Answer a command at once when it can't reach the kernel, else when the kernel does."""
        ticket = next(self._tickets)
        try:
            refusal = self._deliver(ticket, name, command, request, reply)
        except Exception as error:  # noqa: BLE001 - an entry point: power is withdrawn, and the caller gets an answer
            self._guard.failed(name, error)
            self._replies.pop(ticket, None)
            refusal = 'the manager failed and withdrew power; see its log.'
        if refusal:
            refuse(reply.response, f'{name} refused: {refusal}')
            reply.give()

    def _deliver(self, ticket: int, name: str, command: type, request: Any, reply: Reply) -> str:
        """Give a command to the kernel; return why that is impossible, or nothing."""
        if self._ending:
            return 'the node is shutting down.'
        if not self._started:
            return 'the node waits for the first message on /clock (use_sim_time is set).'
        try:
            value = command() if command is inputs.ClearFault else request_to_command(request, command)
        except ConversionError as error:
            return str(error)
        if command is inputs.SetGetCertificateResponse:
            self._look_for_hlc()
        self._replies[ticket] = reply
        self._happened(inputs.CommandReceived(ticket, value))
        return ''


def _without_time(request: EnergyFlowRequest | None) -> EnergyFlowRequest | None:
    """Return a request without what changes all the time, to see whether it is worth a message."""
    if request is None:
        return None
    return replace(
        request,
        stamp=None,
        energy_usage_root=None,
        energy_usage_leaves=None,
        schedule_import=tuple(replace(entry, timestamp=None) for entry in request.schedule_import),
    )


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(Party.MANAGER, EvseManager, args)
