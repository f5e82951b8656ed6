"""The action client of rclpy at one connector, for tests."""

from typing import Any

from rclpy.action import ActionClient

from evse_manager.action import Charge
from evse_manager.nodes.qos import REQUESTS
from harness import Connector


class ChargeClient:
    """A client of one connector's action."""

    def __init__(self, connector: Connector) -> None:
        self.connector, self.probe = connector, connector.probe
        self._client = ActionClient(
            self.probe.node,
            Charge,
            connector.path('charge'),
            goal_service_qos_profile=REQUESTS,
            result_service_qos_profile=REQUESTS,
        )
        self.feedback: list[Any] = []
        self.probe.wait(self._client.server_is_ready, 'the action is offered')

    def send(self, **goal: Any) -> Any:
        """Send a goal with these fields and return its handle."""
        return self.send_message(Charge.Goal(**{'token': 'ROBOT-7', **goal}))

    def send_message(self, goal: Charge.Goal) -> Any:
        """Send a goal and return its handle."""
        self.feedback.clear()
        future = self.send_later(goal)
        self.probe.wait(future.done, 'the goal is answered')
        handle = future.result()
        assert handle.accepted
        return handle

    def send_later(self, goal: Charge.Goal) -> Any:
        """Send a goal and return the future of its handle."""
        return self._client.send_goal_async(
            goal, feedback_callback=lambda message: self.feedback.append(message.feedback)
        )

    def result(self, handle: Any, limit: float = 30.0) -> Any:
        """Return the result of a goal, with its status."""
        future = handle.get_result_async()
        self.probe.wait(future.done, 'the goal ends', limit)
        return future.result()

    def close(self) -> None:
        self._client.destroy()
