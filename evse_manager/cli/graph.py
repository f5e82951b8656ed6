"""
The command line's own node: finds connectors, listens to their topics, calls their services.

Every wait is for a condition and has a limit.  Importing this module imports rclpy; ``main`` does so only for
commands that need the graph.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, is_dataclass
from types import TracebackType
from typing import Any, TypeVar

import rclpy
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription

from evse_manager.cli.errors import CliError, ExitCode, NotFoundError, UsageError
from evse_manager.cli.monitor import natural
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Service
from evse_manager.interface.enums import SwitchThreePhasesWhileChargingResult
from evse_manager.nodes import middleware
from evse_manager.nodes.conversions import ConversionError, from_message, to_message
from evse_manager.nodes.exit_limit import LEAVING_S, ExitLimit
from evse_manager.nodes.topics import subscribe

T = TypeVar('T')

SETTLE_S = 0.5
"""The graph counts as complete when nothing new has appeared for this long at least."""
SETTLE_FACTOR = 2.0
"""And this multiple of the time until the first connector appeared: a busy machine discovers others late."""
SLICE_S = 0.05
"""Longest wait between two looks at the graph, which has no event of its own in rclpy."""
SIGN_OF_LIFE_S = 1.0
COMPLETION_S = 1.0
STATUS = 'status'
SIMULATION = 'simulation/plug_in'


@dataclass(frozen=True)
class ServiceReply:
    """The answer of a service."""

    connector: str
    service: str
    success: bool
    message: str
    fields: Mapping[str, Any]


def absolute(namespace: str, name: str) -> str:
    """Return a name in a namespace (``/`` is the root)."""
    return f'{namespace.rstrip("/")}/{name}'


def new_executor(context: Context) -> Executor:
    """Return the executor that copes best with many connectors: events where rclpy has them."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor  # noqa: PLC0415 - not in every rclpy

        return EventsExecutor(context=context)
    except (ImportError, RuntimeError, OSError):  # it wants a stderr, which a job in the background may lack
        return SingleThreadedExecutor(context=context)


class Graph:
    """
    A hidden node on the graph, from ``enter`` to ``leave``, or for as long as a ``with`` block lasts.

    It uses the middleware as the process does; a process of this package begins with ``graph_of_process``.
    """

    def __init__(self) -> None:
        self._leaving = ExitStack()
        self._clients: dict[str, Client] = {}

    def enter(self) -> None:
        """Appear on the graph; raises UsageError where ROS 2 does not start."""
        self.began = time.monotonic()
        # Signals stay Python's: Ctrl-C raises KeyboardInterrupt at the next slice of a wait.
        self.context = Context()
        try:
            rclpy.init(args=[], context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        except Exception as error:  # of many unrelated classes: a broken ROS_DOMAIN_ID, no middleware
            reason = str(error).strip().splitlines()[0]
            raise UsageError(f'ROS 2 does not start: {reason}; correct the environment.') from error
        self._leaving.callback(self.context.try_shutdown)
        self.node = Node(
            f'_evse_cli_{os.getpid()}',
            context=self.context,
            start_parameter_services=False,
            enable_rosout=False,
            use_global_arguments=False,
        )
        self._leaving.callback(self.node.destroy_node)
        self.executor = new_executor(self.context)
        self._leaving.callback(self.executor.shutdown)
        self.executor.add_node(self.node)

    def leave(self, code: ExitCode) -> None:
        """Leave the graph; a process that hangs there ends with this code."""
        with ExitLimit(LEAVING_S, code), suppress(KeyboardInterrupt):
            self._leaving.close()

    def __enter__(self) -> 'Graph':
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = error.code if isinstance(error, CliError) else ExitCode.REFUSED
        self.leave(ExitCode.OK if error is None else failed)

    # --- waiting ------------------------------------------------------------------------------------

    def spin(self, seconds: float) -> None:
        """Handle what arrives, for at most this long; returns early after something was handled."""
        self.executor.spin_once(timeout_sec=max(0.0, seconds))

    def wait_until(self, condition: Callable[[], bool], limit_s: float, looking_for: str = '') -> bool:
        """
        Handle what arrives until the condition holds; return whether it did within the limit.

        A person at a terminal reads what is being looked for when it takes longer than a second.
        """
        begun = time.monotonic()
        deadline = begun + limit_s
        silent = not looking_for or not sys.stderr.isatty()
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if not silent and time.monotonic() >= begun + SIGN_OF_LIFE_S:
                silent = True
                print(f'evse: looking for {looking_for} …', file=sys.stderr)
            self.spin(min(left, SLICE_S))
        return True

    # --- who is there -------------------------------------------------------------------------------

    def connectors(self) -> list[str]:
        """Return the namespaces whose status is being published now."""
        return self.namespaces(self.publishers_of(STATUS), STATUS)

    def publishers_of(self, topic: str) -> list[str]:
        """Return the topics of this kind, by their full names, that are being published now."""
        kind = endpoints.topic(topic).type
        found = (name for name, types in self.node.get_topic_names_and_types() if kind in types)
        return [name for name in found if name.endswith(f'/{topic}') and self.node.count_publishers(name)]

    def simulations(self) -> list[str]:
        """Return the namespaces whose board is simulated."""
        return self.offering(endpoints.service(SIMULATION))

    def offering(self, service: Service) -> list[str]:
        """Return the namespaces that offer a service; a client of it does not count."""
        known = self.node.get_service_names_and_types()
        found = (name for name, types in known if service.type in types and self.node.count_services(name))
        return self.namespaces(found, service.name)

    @staticmethod
    def namespaces(found: Iterable[str], relative: str) -> list[str]:
        """Return the namespaces of absolute names that end as the relative one does."""
        ending = '/' + relative
        return sorted((name[: -len(ending)] or '/' for name in found if name.endswith(ending)), key=natural)

    def discover(self, limit_s: float, look: Callable[[], list[str]] | None = None) -> list[str]:
        """Return all connectors: wait for the first, then until no other has appeared for a while."""
        look = look or self.connectors
        patience = 0.0
        seen: list[str] = []
        since = 0.0

        def settled() -> bool:
            nonlocal patience, seen, since
            found, now = look(), time.monotonic()
            if found != seen:
                patience = patience or max(SETTLE_S, SETTLE_FACTOR * (now - self.began))
                seen, since = found, now
            return bool(seen) and now - since >= patience

        self.wait_until(settled, limit_s, 'connectors')
        return seen

    def choose(self, wanted: str | None, limit_s: float, look: Callable[[], list[str]] | None = None) -> str:
        """Return the connector that is meant: the named one, else the only one on the graph."""
        if wanted is not None:
            return wanted
        found = self.discover(limit_s, look)
        if not found:
            raise NotFoundError(no_connector_message(limit_s, simulated=look is not None))
        if len(found) > 1:
            raise UsageError(f'there are {len(found)} connectors, say which with -c: {", ".join(found)}')
        return found[0]

    def require(self, name: str, limit_s: float) -> None:
        """Wait until a connector is there; raises NotFoundError."""
        if not self.wait_until(lambda: name in self.connectors(), limit_s, name):
            raise self.missing(name, limit_s)

    def missing(self, wanted: str, limit_s: float) -> NotFoundError:
        """Return the error for a missing connector; it names those on the graph."""
        others = self.connectors()
        seen = f'; on the graph: {", ".join(others)}' if others else ''
        return NotFoundError(f'no connector {wanted} within {limit_s:g} s (ROS_DOMAIN_ID {domain()}){seen}')

    # --- topics and services --------------------------------------------------------------------------

    def listen(
        self,
        namespace: str,
        topic: str,
        kind: type[T],
        heard: Callable[[T], None],
        garbled: Callable[[str], None] | None = None,
    ) -> Subscription:
        """Hand messages to ``heard`` as plain data, and to ``garbled`` why one can't be decoded."""

        def received(message: Any) -> None:
            try:
                value = from_message(message, kind)
            except ConversionError as error:
                if garbled is not None:
                    garbled(f'{topic} can not be understood: {error}')
                return
            heard(value)

        return subscribe(self.node, endpoints.topic(topic), received, absolute(namespace, topic))

    @staticmethod
    def request(service: str, fields: Mapping[str, Any]) -> Any:
        """Return the request of a service; fields may be plain data."""
        request = endpoints.load(endpoints.service(service).type).Request()
        for name, value in fields.items():
            setattr(request, name, to_message(value) if is_dataclass(value) else value)
        return request

    def client(self, kind: Any, path: str) -> Client:
        """Return the client of a service, made once."""
        if path not in self._clients:
            self._clients[path] = self.node.create_client(kind, path)
        return self._clients[path]

    def not_offered(self, namespace: str, service: str, limit_s: float) -> NotFoundError:
        """Return the error for a missing service."""
        if namespace not in self.connectors():
            return self.missing(namespace, limit_s)
        cause = (
            'its board is not simulated, or does not run'
            if service.startswith('simulation/')
            else 'is it ending?'
        )
        return NotFoundError(f'{namespace} is there but offers no {service}: {cause}')


def graph_of_process() -> Graph:
    """
    Return the graph of a process of this package, whose middleware is configured for it.

    Fast DDS reads its profile once, before the first participant of a process: in a process of another
    program, such as rqt, the variables would come too late and half of them would act.
    """
    middleware.configure()
    return Graph()


def reply_of(namespace: str, service: str, response: Any) -> ServiceReply:
    """Return a response as plain data; ``get_id`` has no ``success``, its message decides."""
    fields: dict[str, Any] = {
        name: getattr(response, name)
        for name in response.get_fields_and_field_types()
        if name not in ('success', 'message')
    }
    success = getattr(response, 'success', True)
    if 'result' in fields:
        fields['result'] = SwitchThreePhasesWhileChargingResult(fields['result'])
    elif service == endpoints.GET_ID.name:
        success = not response.message
    return ServiceReply(namespace, service, success, response.message, fields)


def domain() -> str:
    """Return the domain that this process looks at."""
    return os.environ.get('ROS_DOMAIN_ID') or '0'


def no_connector_message(limit_s: float, simulated: bool = False) -> str:
    """Return the message for an empty graph: what to check, and what to do."""
    what = 'simulated board' if simulated else 'connector'
    return (
        f'no {what} on the graph within {limit_s:g} s; does its node run, with ROS_DOMAIN_ID {domain()} and '
        f'ROS_AUTOMATIC_DISCOVERY_RANGE {os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "SUBNET"}? '
        'Start one with: ros2 launch evse_manager evse.launch.py'
    )


def choose_site(
    graph: Graph,
    wanted: str | None,
    limit_s: float,
    look: Callable[[], list[str]],
    *,
    missing: str,
    hint: str = '',
) -> str:
    """
    Return the site that is meant: the named one, else the only one that ``look`` returns.

    ``missing`` names the node that a site needs, for people; ``hint`` follows when there is none.  Raises
    NotFoundError, or UsageError when there are several.
    """
    if wanted is not None:
        return wanted
    found = graph.discover(limit_s, look)
    if not found:
        raise NotFoundError(
            f'no {missing} on the graph within {limit_s:g} s; does it run, with ROS_DOMAIN_ID {domain()} '
            f'too?{hint}'
        )
    if len(found) > 1:
        raise UsageError(f'there are {len(found)} sites, say which with --site: {", ".join(found)}')
    return found[0]
