"""
The server of the action ``charge`` of one connector, and its topic ``charge/keep_alive``.

The goal's rules are in ``charging/charge_goal.py``.  rclpy would run a callback for as long as a goal lasts;
here a goal is an object that reacts to what happens, and rclpy's callback runs once, at its end, to hand the
result over.  So any number of goals cost no thread and no waiting task.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import GoalEvent, ServerGoalHandle
from rclpy.node import Node

from evse_manager.charging.charge_goal import ChargeGoal, Ending, Goal, GoalOutput, Policy
from evse_manager.charging.commands import Answer
from evse_manager.charging.inputs import AuthorizeResponse, Command
from evse_manager.interface import endpoints
from evse_manager.interface.enums import ChargeResult, TokenResultEnum
from evse_manager.interface.types import (
    Duration,
    EvseStatus,
    OptimizerTarget,
    ProvidedIdToken,
    SessionEvent,
    Time,
    TokenResult,
)
from evse_manager.nodes.conversions import (
    ConversionError,
    duration_from_message,
    duration_to_message,
    from_message,
    time_from_message,
    time_to_message,
    to_message,
)
from evse_manager.nodes.qos import REQUESTS
from evse_manager.nodes.runtime import DeadlineTimer, Guard, NodeTime
from evse_manager.nodes.topics import publisher, subscribe

FEEDBACK_S = 1.0
"""The feedback is published at least this often."""

NOT_GIVEN = -1.0

REFUSALS = (
    TokenResultEnum.REJECTED,
    TokenResultEnum.NO_CONNECTOR_AVAILABLE,
    TokenResultEnum.TIMED_OUT,
    TokenResultEnum.WITHDRAWN,
)
"""Results of the authorization node after which no transaction begins with the token."""

RESULT_TASKS = 4
"""Turns of the executor after which a result that was handed to rclpy has been sent."""

Entry = Callable[[Callable[..., None]], Callable[..., None]]


class Host(Protocol):
    """The connector as the server sees it."""

    def status(self) -> EvseStatus:
        """Return the status as it is now."""

    def soc_percent(self) -> float | None:
        """Return the charge that the car reports."""

    def command(self, command: Command, answered: Callable[[Answer], None]) -> None:
        """Give the kernel a command; ``answered`` is called once, now or later."""

    def target_changed(self, target: OptimizerTarget | None, priority: int) -> None:
        """Take what the energy manager is to be asked for."""


class ChargeServer:
    """One goal at a time; a second one is refused with the reason."""

    def __init__(
        self, node: Node, guard: Guard, time: NodeTime, *, entry: Entry, host: Host, policy: Policy
    ) -> None:
        """Offer the action; ``entry`` makes an entry point of the host, ``policy`` may be replaced later."""
        self.policy = policy
        self._host = host
        self._time = time
        self._node = node
        self._log = node.get_logger()
        self._stirred = entry(lambda: None)
        self._unsent = 0
        self._action = endpoints.load(endpoints.CHARGE)
        self._goal: ChargeGoal | None = None
        self._handle: ServerGoalHandle | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._shown: tuple[object, ...] = ()
        self._next_feedback = 0.0
        self._request_id = 0
        self._readers = publisher(node, endpoints.TOKEN)
        if policy.by_site:
            results = endpoints.TOKEN_RESULTS
            for site in sites_above(node.get_namespace()):
                subscribe(node, results, entry(self._on_token_result), f'{site}{results.name}')
        subscribe(node, endpoints.KEEP_ALIVE, entry(self._on_keep_alive))
        self._deadline = DeadlineTimer(node, entry(self._on_deadline), time.seconds, time.clock)
        self._server = ActionServer(
            node,
            self._action,
            endpoints.CHARGE_NAME,
            execute_callback=lambda _handle: self._action.Result(),
            goal_callback=lambda _request: GoalResponse.ACCEPT,
            handle_accepted_callback=entry(self._on_accepted),
            cancel_callback=guard(self._on_cancel, lambda: CancelResponse.REJECT),
            goal_service_qos_profile=REQUESTS,
            result_service_qos_profile=REQUESTS,
            cancel_service_qos_profile=REQUESTS,
        )

    # --- from the connector ----------------------------------------------------------------------------

    def observe(self, status: EvseStatus) -> None:
        """Note a status of the connector for ``drain``."""
        if self._goal is not None:
            self._waiting.append(partial(self._on_status, status))

    def happened(self, events: Sequence[SessionEvent]) -> None:
        """Note session events of the connector for ``drain``."""
        if self._goal is not None:
            self._waiting.extend(partial(self._on_event, event) for event in events)

    def drain(self) -> None:
        """
        Let the goal react to what was noted, outside the kernel's step that brought it about.

        Its commands bring about more, which is noted in turn.
        """
        while self._waiting:
            self._waiting.popleft()()

    def _on_status(self, status: EvseStatus) -> None:
        if self._goal is not None:
            self._take(self._goal.observe(status, self._host.soc_percent(), *self._now()))

    def _on_event(self, event: SessionEvent) -> None:
        if self._goal is not None:
            self._take(self._goal.happened(event, *self._now()))

    def destroy(self) -> None:
        """Leave the graph; the node stays on it for as long as its action server does."""
        self._server.destroy()

    def close(self, reason: str) -> None:
        """End the goal, because the node ends: the client gets a result."""
        handle, self._goal, self._handle = self._handle, None, None
        if handle is not None:
            self._finish(handle, Ending(ChargeResult.STOPPED, reason))

    @property
    def idle(self) -> bool:
        """Return whether every result that was decided has been handed over."""
        return self._unsent == 0

    # --- from the client -------------------------------------------------------------------------------

    def _on_accepted(self, handle: ServerGoalHandle) -> None:
        handle._update_state(GoalEvent.EXECUTE)  # rclpy has no other way without running a callback
        if self._goal is not None:
            refusal = 'A goal is being served at this connector; cancel it first.'
            self._finish(handle, Ending(ChargeResult.REFUSED, refusal))
            return
        try:
            asked = _goal(handle.request)
        except ConversionError as error:
            refusal = f'{error.path or "A value"} must be {error.allowed}.'
            self._finish(handle, Ending(ChargeResult.REFUSED, refusal))
            return
        self._goal, self._handle = ChargeGoal(asked, self.policy), handle
        self._request_id = int.from_bytes(bytes(handle.goal_id.uuid[:4])) >> 1
        self._take(self._goal.accept(self._host.status(), self._host.soc_percent(), *self._now()))

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if self._goal is None or self._handle is None or handle.goal_id != self._handle.goal_id:
            return CancelResponse.REJECT
        self._take(self._goal.cancel(*self._now()))
        return CancelResponse.ACCEPT

    def _on_keep_alive(self, _message: Any) -> None:
        if self._goal is not None:
            self._take(self._goal.keep_alive(*self._now()))

    def _on_token_result(self, message: Any) -> None:
        """End the goal at once when the site refuses its token."""
        try:
            result = from_message(message, TokenResult)
        except ConversionError:
            return
        if self._goal is not None and result.request_id == self._request_id and self._refuses(result):
            words = result.result.name.lower().replace('_', ' ')
            reason = result.reason or 'No reason was given.'
            refusal = f'The site has not authorized the token ({words}): {reason}'
            self._take(self._goal.refused(refusal, *self._now()))

    def _refuses(self, result: TokenResult) -> bool:
        """Return whether a result means that no transaction will begin here with the token."""
        elsewhere = result.connector not in ('', self._node.get_namespace())
        return result.result in REFUSALS or (
            result.result is TokenResultEnum.ALREADY_IN_PROCESS and elsewhere
        )

    def _on_deadline(self) -> None:
        if self._goal is not None:
            self._take(self._goal.tick(*self._now()))

    # --- what a goal wants -----------------------------------------------------------------------------

    def _now(self) -> tuple[float, Time]:
        return self._time.seconds(), self._time.wall()

    def _take(self, output: GoalOutput) -> None:
        """Carry out what a goal wants; its commands may bring about more of it before this returns."""
        goal, handle = self._goal, self._handle
        if goal is None or handle is None:
            return
        if output.ending is not None:
            self._goal = self._handle = None
            self._deadline.arm(None)
            self._host.target_changed(None, 0)
            self._finish(handle, output.ending)
        else:
            self._arm(output.deadline)
            self._host.target_changed(goal.target(), goal.priority)
            self._feedback(goal, handle)
        if output.present is not None:
            self._present(output.present)
        for command in output.commands:
            self._host.command(command, partial(self._answered, goal, command))

    def _arm(self, deadline: float | None) -> None:
        self._deadline.arm(min(self._next_feedback, math.inf if deadline is None else deadline))

    def _present(self, token: ProvidedIdToken) -> None:
        """Be a reader: the authorization node decides, and names the goal's number in its results."""
        self._readers.publish(to_message(replace(token, request_id=self._request_id)))

    def _answered(self, goal: ChargeGoal, command: Command, answer: Answer) -> None:
        if not answer.success and isinstance(command, AuthorizeResponse):
            self._waiting.append(partial(self._on_refused, goal, answer.message))

    def _on_refused(self, goal: ChargeGoal, message: str) -> None:
        if goal is self._goal:
            self._take(goal.refused(message, *self._now()))

    def _feedback(self, goal: ChargeGoal, handle: ServerGoalHandle) -> None:
        progress, now = goal.progress(), self._time.seconds()
        if progress is None:
            return
        status = progress.status
        shown = (status.state, status.reason, progress.departure_at_risk)
        if shown == self._shown and now < self._next_feedback:
            return
        self._shown, self._next_feedback = shown, now + FEEDBACK_S
        feedback = self._action.Feedback()
        feedback.state, feedback.reason = int(status.state), int(status.reason)
        feedback.reason_text = status.reason_text
        feedback.power_w = _number(status.power_w)
        feedback.energy_wh = _number(status.session_energy_wh)
        feedback.soc_percent = _number(progress.soc_percent)
        feedback.time_to_go = duration_to_message(Duration(progress.time_to_go_s or 0.0))
        feedback.departure_at_risk = progress.departure_at_risk
        handle.publish_feedback(feedback)

    def _finish(self, handle: ServerGoalHandle, ending: Ending) -> None:
        """Let rclpy hand the result over: by its own task, after the callback that is running."""
        words = ending.result.name.lower().replace('_', ' ')
        self._log.info(f'Charge goal {words}{": " if ending.message else "."}{ending.message}')
        self._unsent += 1
        self._server.notify_execute(handle, partial(self._hand_over, ending))

    def _sent(self, tasks_left: int) -> None:
        """Count a result as sent: rclpy sends it in tasks of its own, which are before this one in turn."""
        executor = self._node.executor
        if tasks_left and executor is not None:
            executor.create_task(self._sent, tasks_left - 1)
            return
        self._unsent -= 1
        self._stirred()

    def _hand_over(self, ending: Ending, handle: ServerGoalHandle) -> Any:
        if handle.is_active:
            if ending.result in (ChargeResult.REACHED, ChargeResult.FULL):
                handle.succeed()
            elif handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
        record = ending.record
        result = self._action.Result()
        result.result = int(ending.result)
        result.message = ending.message
        result.session_uuid = record.session_uuid
        result.energy_wh = _number(record.energy_wh)
        result.meter_start_wh = _number(record.meter_start_wh)
        result.meter_stop_wh = _number(record.meter_stop_wh)
        result.started = time_to_message(record.started)
        result.finished = time_to_message(record.finished)
        result.stop_reason = int(record.reason)
        self._sent(RESULT_TASKS)
        return result


def sites_above(namespace: str) -> list[str]:
    """Return the namespaces, each with its slash, that a site of this connector may have."""
    parts = namespace.strip('/').split('/')[:-1]
    return ['/'.join(['', *parts[:length], '']) for length in range(len(parts) + 1)]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _goal(request: Any) -> Goal:
    """Return the goal of a request; raises ConversionError."""
    return Goal(
        token=str(request.token),
        energy_wh=_given(request.energy_wh),
        soc_percent=_given(request.soc_percent),
        duration_s=_named('duration', duration_from_message, request.duration) or None,
        departure=_named('departure', time_from_message, request.departure),
        priority=int(request.priority),
        keep_alive_s=_named('keep_alive', duration_from_message, request.keep_alive),
    )


def _given(value: float) -> float | None:
    return None if value == NOT_GIVEN else float(value)


def _named(name: str, convert: Callable[[Any], Any], message: Any) -> Any:
    try:
        return convert(message)
    except ConversionError as error:
        raise error.inside(name) from None
