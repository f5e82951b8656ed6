"""
A board that does what the benchmark wants, at once: the other end of a real ``evse_manager`` process.

It answers every command like a board whose contactor, lock and pilot take no time, so that what is measured
is the manager and the way to it and back.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.node import Node

from evse_manager.interface import endpoints
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    PilotMode,
    SessionEventEnum,
)
from evse_manager.interface.types import (
    BoardCapabilities,
    BoardState,
    BoardTransition,
    ExternalLimits,
    HardwareCapabilities,
    LimitsReq,
    ProvidedIdToken,
    ScheduleReqEntry,
    Time,
    ValidationResult,
)
from evse_manager.nodes.conversions import to_message
from evse_manager.nodes.qos import profile

HEARTBEAT_S = 0.2
"""The state goes out so often at least, as from a real board while it allows power."""

TOLD = 2
"""Number of the last steps in each state: a car that charges changes them rarely."""

A, B, C = ControlPilotState.A, ControlPilotState.B, ControlPilotState.C


class StagedBoard:
    """One connector: the board's topics, the session events and the commands' clients."""

    def __init__(self, node: Node, namespace: str) -> None:
        self._node, self._namespace = node, namespace
        self.commands: list[tuple[float, Any]] = []
        """When each ``board/command`` came, and what it was, since ``forget``."""
        self.events: list[tuple[float, SessionEventEnum]] = []
        """When each session event came, since ``forget``."""
        self._state = BoardState(
            cp_state=A,
            pilot_mode=PilotMode.X1,
            contactor=ContactorState.OPEN,
            lock=LockState.UNLOCKED,
            phases=3,
            link_state=LinkState.UP,
        )
        self._transitions: list[BoardTransition] = []
        self._published_at = 0.0
        self._outputs: object = None
        self._clients: dict[str, Any] = {}
        self._publishers = {name: self._publisher(name) for name in ('board/state', 'board/capabilities')}
        self._publishers['board/hw_capabilities'] = self._publisher('board/hw_capabilities')
        self._subscribe('board/command', self._on_command)
        self._subscribe('session_event', self._on_event)
        self._tell('board/capabilities', BoardCapabilities(driver='staged', has_lock=True))
        self._tell(
            'board/hw_capabilities',
            HardwareCapabilities(
                max_current_a_import=32.0,
                min_current_a_import=6.0,
                max_phase_count_import=3,
                min_phase_count_import=3,
            ),
        )

    # --- what the EV does ---

    def shows(self, cp_state: ControlPilotState) -> Callable[[], None]:
        """Return a function that sends a new pilot state; everything is prepared but the sending."""
        self._change(replace(self._state, cp_state=cp_state))
        message = self._message()
        publish = self._publishers['board/state'].publish
        return lambda: publish(message)

    def heartbeat(self) -> None:
        """Repeat the state when it is time."""
        if time.monotonic() >= self._published_at + HEARTBEAT_S:
            self._publish()

    # --- commands ---

    def calling(self, name: str, **fields: Any) -> Callable[[], Any]:
        """Return what calls a service; everything is prepared but the sending."""
        client = self.client(name)
        request = endpoints.load(endpoints.service(name).type).Request(**fields)
        return lambda: client.call_async(request)

    def client(self, name: str) -> Any:
        """Return the client of a service."""
        if name not in self._clients:
            service = endpoints.service(name)
            self._clients[name] = self._node.create_client(
                endpoints.load(service.type), f'{self._namespace}/{name}'
            )
        return self._clients[name]

    # --- what came ---

    def forget(self) -> None:
        """Forget what came so far."""
        self.commands.clear()
        self.events.clear()

    def command_at(self, wanted: Callable[[Any], bool]) -> float | None:
        """Return when the first command came that is as wanted."""
        return next((at for at, command in self.commands if wanted(command)), None)

    def event_at(self, wanted: SessionEventEnum) -> float | None:
        """Return when an event came."""
        return next((at for at, event in self.events if event is wanted), None)

    # --- inside ---

    def _on_command(self, command: Any) -> None:
        self.commands.append((time.perf_counter(), command))
        power = command.allow_power_on and command.pilot_mode == PilotMode.PWM and self._state.cp_state is C
        outputs = (command.pilot_mode, command.duty_cycle_percent, command.allow_power_on, command.lock)
        stay = command.allow_power_on and self._state.contactor is ContactorState.CLOSED
        self._change(
            replace(
                self._state,
                pilot_mode=PilotMode(command.pilot_mode),
                duty_cycle_percent=command.duty_cycle_percent,
                current_a=command.current_a,
                contactor=ContactorState.CLOSED if power or stay else ContactorState.OPEN,
                lock=LockState.LOCKED if command.lock else LockState.UNLOCKED,
                controller_id=command.manager_id,
                answered_sequence_number=command.sequence_number,
            )
        )
        if outputs != self._outputs:
            self._outputs = outputs
            self._publish()

    def _on_event(self, event: Any) -> None:
        self.events.append((time.perf_counter(), SessionEventEnum(event.event)))

    def _change(self, state: BoardState) -> None:
        before, self._state = self._state, state
        if (before.cp_state, before.contactor) != (state.cp_state, state.contactor):
            counter = state.transition_counter + 1
            self._transitions.append(
                BoardTransition(counter, state.cp_state, state.contactor, Time(time.time_ns()))
            )
            self._transitions = self._transitions[-TOLD:]
            self._state = replace(state, transition_counter=counter)

    def _message(self) -> Any:
        self._published_at = time.monotonic()
        return to_message(
            replace(self._state, stamp=Time(time.time_ns()), transitions=tuple(self._transitions))
        )

    def _publish(self) -> None:
        self._publishers['board/state'].publish(self._message())

    def _tell(self, name: str, value: Any) -> None:
        self._publishers[name].publish(to_message(value))

    def _publisher(self, name: str) -> Any:
        topic = endpoints.topic(name)
        return self._node.create_publisher(
            endpoints.load(topic.type), f'{self._namespace}/{name}', profile(topic.qos)
        )

    def _subscribe(self, name: str, callback: Callable[[Any], None]) -> None:
        topic = endpoints.topic(name)
        self._node.create_subscription(
            endpoints.load(topic.type), f'{self._namespace}/{name}', callback, profile(topic.qos)
        )


def authorization() -> dict[str, Any]:
    """Return the fields of an ``authorize_response`` that accepts a token."""
    token = ProvidedIdToken(id_token='BENCHMARK', authorization_type=AuthorizationType.RFID)
    return {
        'provided_token': to_message(token),
        'validation_result': to_message(ValidationResult(AuthorizationStatus.ACCEPTED)),
    }


def limit(current_a: float | None) -> dict[str, Any]:
    """Return the fields of a ``set_external_limits`` for a current; None takes the limit away."""
    schedule = ()
    if current_a is not None:
        entry = ScheduleReqEntry(Time(time.time_ns()), LimitsReq(ac_max_current_a=current_a))
        schedule = (entry,)
    return {'value': to_message(ExternalLimits(schedule_import=schedule))}
