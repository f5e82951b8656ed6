"""``evse charge``: one goal of the action ``charge`` and its progress; Ctrl-C cancels it."""

import math
import sys
from argparse import Namespace
from typing import Any

from rclpy.action import ActionClient

from evse_manager.cli.errors import ExitCode, NotFoundError
from evse_manager.cli.graph import Graph, absolute
from evse_manager.cli.json_output import emit
from evse_manager.cli.parser import FIND_S
from evse_manager.interface import endpoints
from evse_manager.interface.enums import ChargeResult, ChargerState
from evse_manager.interface.types import Duration, Time
from evse_manager.nodes.conversions import duration_to_message, time_to_message

SILENT_S = 10.0
"""Without feedback (1 Hz) for this long the connector's manager counts as lost, and the goal with it."""

CANCEL_S = 15.0
"""How long a cancelled goal may take to stop its transaction."""

DONE = (ChargeResult.REACHED, ChargeResult.FULL)


def run_charge(given: Namespace, graph: Graph) -> ExitCode:
    """Send the goal and follow it; return whether it was reached."""
    find_s = given.timeout or FIND_S
    namespace = graph.choose(given.connector, find_s)
    action = endpoints.load(endpoints.CHARGE)
    client = ActionClient(graph.node, action, absolute(namespace, endpoints.CHARGE_NAME))
    if not graph.wait_until(client.server_is_ready, find_s, absolute(namespace, endpoints.CHARGE_NAME)):
        raise NotFoundError(f'{namespace} offers no action charge within {find_s:g} s')
    progress = _Progress(namespace, given.json)
    sent = client.send_goal_async(_goal(given, action), feedback_callback=progress.heard)
    if not graph.wait_until(sent.done, find_s):
        raise NotFoundError(f'{namespace} did not answer the goal within {find_s:g} s')
    handle = sent.result()
    if not handle.accepted:
        print(f'evse: {namespace}: the goal was rejected; the node is ending', file=sys.stderr)
        return ExitCode.REFUSED
    result = handle.get_result_async()
    try:
        while not result.done():
            if not graph.wait_until(lambda: result.done() or progress.stirred(), SILENT_S):
                raise NotFoundError(f'{namespace} has been silent for {SILENT_S:g} s; the goal is lost')
    except KeyboardInterrupt:
        print('cancelling', file=sys.stderr)
        handle.cancel_goal_async()
        if not graph.wait_until(result.done, CANCEL_S):
            raise NotFoundError(f'{namespace} did not end the goal within {CANCEL_S:g} s') from None
    return _tell(namespace, result.result().result, given.json)


class _Progress:
    """Prints a line for each change of the feedback."""

    def __init__(self, namespace: str, as_json: bool) -> None:
        self._namespace = namespace
        self._as_json = as_json
        self._shown = ('', '')
        self._stirred = False

    def stirred(self) -> bool:
        """Return whether feedback has come since the last call."""
        stirred, self._stirred = self._stirred, False
        return stirred

    def heard(self, message: Any) -> None:
        """Take feedback."""
        self._stirred = True
        feedback = message.feedback
        state = ChargerState(feedback.state).name
        if self._as_json:
            emit(
                {
                    'connector': self._namespace,
                    'state': state,
                    'reason_text': feedback.reason_text,
                    'power_w': feedback.power_w,
                    'energy_wh': feedback.energy_wh,
                    'soc_percent': feedback.soc_percent,
                    'departure_at_risk': feedback.departure_at_risk,
                }
            )
        elif (state, feedback.reason_text) != self._shown:
            self._shown = (state, feedback.reason_text)
            at_risk = ' (the departure is at risk)' if feedback.departure_at_risk else ''
            print(f'{self._namespace}: {feedback.reason_text}{at_risk}', flush=True)


def _goal(given: Namespace, action: Any) -> Any:
    goal = action.Goal()
    goal.token = given.token
    kind, value = given.until or ('', 0.0)
    if kind == 'soc_percent':
        goal.soc_percent = value
    elif kind == 'energy_wh':
        goal.energy_wh = value
    if given.by is not None:
        goal.departure = time_to_message(Time(given.by))
    if given.minutes is not None:
        goal.duration = duration_to_message(Duration(given.minutes * 60.0))
    goal.priority = given.priority
    return goal


def _tell(namespace: str, result: Any, as_json: bool) -> ExitCode:
    kind = ChargeResult(result.result)
    if as_json:
        emit(
            {
                'connector': namespace,
                'result': kind,
                'message': result.message,
                'session_uuid': result.session_uuid,
                'energy_wh': result.energy_wh,
            }
        )
    else:
        energy = '' if math.isnan(result.energy_wh) else f', {result.energy_wh / 1000.0:.2f} kWh'
        text = f'{namespace}: {kind.name.lower().replace("_", " ")}{energy}'
        text += f': {result.message}' if result.message else ''
        print(text, file=sys.stdout if kind in DONE else sys.stderr)
    return ExitCode.OK if kind in DONE else ExitCode.REFUSED
