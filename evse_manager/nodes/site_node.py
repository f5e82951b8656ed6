"""What the nodes of a site have in common."""

from typing import Any, Generic, TypeVar

from rclpy.node import Node

from evse_manager.nodes.parameters import Parameters, rows
from evse_manager.nodes.runtime import Guard, LoopDeadline

T = TypeVar('T')


class SiteNode(Generic[T]):
    """A ``runtime.NodeApp`` that gives no power itself: nothing has to be withdrawn when it fails or ends."""

    def __init__(self, name: str, config: type[T], **options: Any) -> None:
        """Declare the parameters, the fields of ``config``; raises ParameterError."""
        self.node = Node(name, **options)
        self.finished = False
        self.alarm = LoopDeadline()
        self._parameters: Parameters[T] = Parameters(self.node, rows(config), config)
        self._config: T = self._parameters.value
        self._namespace: str = self.node.get_namespace()
        self._log = self.node.get_logger()
        self._guard = Guard(self.node, lambda _reason: None)

    def end(self) -> None:
        """End at once."""
        self.finished = True

    def withdraw(self) -> None:
        """Let no entry point run any more."""
        self._guard.close()
