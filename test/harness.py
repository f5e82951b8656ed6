"""
Real processes and a probe on the graph, for tests over DDS.

Waits are for conditions and have a limit; processes run in groups of their own and are ended by id.
"""

import fcntl
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import IO, Any

import rclpy
from ament_index_python.packages import get_package_prefix
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from evse_manager.interface import endpoints
from evse_manager.interface.enums import SessionEventEnum
from evse_manager.msg import EvseStatus, SessionEvent
from evse_manager.nodes.qos import profile
from evse_manager.simulation.codes import short

PATIENCE_S = 30.0
"""Longest wait for something that is due at once, on a busy machine."""

SHORT = {kind: short(kind) for kind in SessionEventEnum if kind}
"""The codes of the golden sequences (docs/charging.md)."""


EMPTY_DOMAIN = 101
"""A ROS domain that no test takes: nothing is there."""


def own_domain() -> int:
    """
    Take a ROS domain for this test process and everything it starts; no other test run gets it meanwhile.

    From ``EMPTY_DOMAIN`` + 1 on the ports of a domain lie among those that the system gives to any process.
    """
    domains = list(range(1, EMPTY_DOMAIN))
    random.SystemRandom().shuffle(domains)
    for domain in domains:
        try:
            lock = (Path(gettempdir()) / f'ros_domain_{domain}.lock').open('w')
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # taken, or another user's
            continue
        _taken.append(lock)
        os.environ['ROS_DOMAIN_ID'] = str(domain)
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        return domain
    raise RuntimeError('Every ROS domain is taken by other tests; end some of them.')


_taken: list[IO[str]] = []
"""Locks are held for as long as the process runs."""


class Process:
    """One executable of the package, as installed."""

    def __init__(
        self, executable: str, *arguments: str, log: Path, prefix: Sequence[str] = (), **environment: str
    ) -> None:
        """``prefix`` are the words of a program that executes it in its place, such as ``ip netns exec``."""
        program = Path(get_package_prefix('evse_manager')) / 'lib' / 'evse_manager' / executable
        self._log = log
        with log.open('w') as output:
            self._child = subprocess.Popen(
                [*prefix, str(program), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **environment},
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def exit_code(self) -> int | None:
        return self._child.poll()

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, limit: float = PATIENCE_S) -> int:
        return self._child.wait(limit)

    def stop(self) -> None:
        """End it in order, at the latest after a while by force, and what it may have started with it."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGCONT)
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(5.0)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)


def shared_memory_of(pid: int) -> list[str]:
    """Return what a process has mapped of the shared memory of Fast DDS."""
    lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    return [line for line in lines if '/dev/shm/fastrtps' in line or '/dev/shm/fastdds' in line]


def listening(pid: int) -> set[str]:
    """Return the local addresses of the UDP sockets of a process, in hexadecimal digits."""
    inodes = set()
    for link in Path(f'/proc/{pid}/fd').iterdir():
        try:
            inodes.add(str(link.readlink()).removeprefix('socket:[').removesuffix(']'))
        except FileNotFoundError:  # closed meanwhile
            continue
    rows = [line.split() for line in Path('/proc/net/udp').read_text().splitlines()[1:]]
    return {row[1].partition(':')[0] for row in rows if row[9] in inodes}


class Probe:
    """A node that calls services, listens and publishes; it spins while a test waits."""

    def __init__(self, name: str = 'probe') -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(name, context=self._context, start_parameter_services=False, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def wait(
        self, condition: Callable[[], Any], what: str | Callable[[], str], limit: float = PATIENCE_S
    ) -> Any:
        """Spin until the condition is true and return it; fail when the limit is over."""
        end = time.monotonic() + limit
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f'not within {limit} s: {what() if callable(what) else what}')
            self._executor.spin_once(timeout_sec=0.02)

    def spin(self, seconds: float) -> None:
        """Listen for a while, to see that something does not happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def listen(self, type_name: str, topic: str, qos: QoSProfile) -> list[Any]:
        """Return a list that grows with the messages of a topic."""
        heard: list[Any] = []
        self.node.create_subscription(endpoints.load(type_name), topic, heard.append, qos)
        return heard

    def publisher(self, type_name: str, topic: str, qos: QoSProfile) -> Any:
        """Return a publisher that has a reader already."""
        publisher = self.node.create_publisher(endpoints.load(type_name), topic, qos)
        self.wait(lambda: publisher.get_subscription_count() > 0, f'somebody listens to {topic}')
        return publisher

    def client(self, type_name: str, service: str) -> Any:
        """Return a client whose service is ready."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(endpoints.load(type_name), service)
        client = self._clients[service]
        self.wait(client.service_is_ready, f'service {service} is ready')
        return client

    def call(self, type_name: str, service: str, limit: float = PATIENCE_S, **fields: Any) -> Any:
        """Call a service and return its response."""
        client = self.client(type_name, service)
        future = client.call_async(endpoints.load(type_name).Request(**fields))
        return self.wait(lambda: future.result() if future.done() else None, f'{service} answers', limit)


class Connector:
    """A connector on the graph as a test sees it: its events, its status, its services."""

    def __init__(self, probe: Probe, namespace: str, *, restarted: bool = False) -> None:
        """``restarted``: a process of it was killed, and the graph may still know its services."""
        self.probe = probe
        self.namespace = namespace
        self._restarted = restarted
        self.all_events: list[SessionEvent] = self.listen('session_event')
        self._statuses: list[EvseStatus] = self.listen('status')
        self._mark = 0

    def path(self, name: str) -> str:
        return name if name.startswith('/') else f'{self.namespace}/{name}'

    def listen(self, name: str) -> list[Any]:
        """Return a list that grows with the messages of one of the connector's topics."""
        topic = endpoints.topic(name)
        return self.probe.listen(topic.type, self.path(name), profile(topic.qos))

    def publisher(self, name: str) -> Any:
        topic = endpoints.topic(name)
        return self.probe.publisher(topic.type, self.path(name), profile(topic.qos))

    def call(self, name: str, /, **fields: Any) -> Any:
        """Call one of the connector's services."""
        if self._restarted:
            return self.insist(name, **fields)
        return self.probe.call(endpoints.service(name).type, self.path(name), **fields)

    def accepted(self, name: str, /, **fields: Any) -> None:
        """Call a service that has to accept."""
        answer = self.call(name, **fields)
        assert answer.success, f'{name}: {answer.message}'

    def insist(self, name: str, /, **fields: Any) -> Any:
        """Call a service until it answers: the graph still knows a killed process, and its calls are lost."""
        for _ in range(5):
            with suppress(AssertionError):
                return self.probe.call(endpoints.service(name).type, self.path(name), limit=3.0, **fields)
        raise AssertionError(f'{name} does not answer')

    def refused(self, name: str, /, **fields: Any) -> str:
        """Call a service that has to refuse, and return why."""
        answer = self.call(name, **fields)
        assert not answer.success, f'{name} was accepted'
        assert answer.message.strip(), f'{name} was refused without a word'
        return answer.message

    # --- events and status ---

    @property
    def status(self) -> EvseStatus:
        return self.probe.wait(lambda: self._statuses[-1] if self._statuses else None, 'a status')

    @property
    def events(self) -> list[SessionEvent]:
        """The events since ``forget``."""
        return self.all_events[self._mark :]

    @property
    def codes(self) -> list[str]:
        """The codes of the events since ``forget``."""
        return [SHORT[SessionEventEnum(event.event)] for event in self.events]

    def forget(self) -> None:
        """Let ``events`` begin from here."""
        self._mark = len(self.all_events)

    def sees(self, codes: str, limit: float = PATIENCE_S) -> list[SessionEvent]:
        """Wait until exactly these events came since ``forget``, in this order; return and forget them."""
        wanted = codes.split()
        self.probe.wait(
            lambda: len(self.codes) >= len(wanted),
            lambda: f'events {codes}; there were {" ".join(self.codes) or "none"}; {self.why}',
            limit,
        )
        assert self.codes[: len(wanted)] == wanted, f'wanted {codes}, not {" ".join(self.codes)}; {self.why}'
        seen = self.events[: len(wanted)]
        self._mark += len(wanted)
        return seen

    def sees_nothing(self, seconds: float = 0.5) -> None:
        """See that no event comes for a while."""
        self.probe.spin(seconds)
        assert self.codes == [], self.why

    def reaches(
        self, condition: Callable[[EvseStatus], Any], what: str, limit: float = PATIENCE_S
    ) -> EvseStatus:
        """Wait until the status is so, and return it."""
        self.probe.wait(lambda: condition(self.status), lambda: f'{what}; {self.why}', limit)
        return self.status

    @property
    def why(self) -> str:
        return self._statuses[-1].reason_text if self._statuses else 'no status'

    # --- steps that many tests take ---

    def charge(self) -> None:
        """Plug in, authorize and wait for the energy."""
        self.accepted('simulation/plug_in')
        self.sees('SS AR')
        self.authorize()
        self.sees('TS PC CS')

    def authorize(self, token: str = 'TOKEN') -> None:
        self.accepted('authorize_response', **authorization(token))

    def to_rest(self) -> None:
        """Bring the connector back to: unplugged, without faults, enabled, not reserved, without limits."""
        self.accepted('simulation/clear_fault', fault='')
        self.call('simulation/unplug')
        self.call('withdraw_authorization')
        self.accepted('set_external_limits')
        self.call('clear_fault')
        self.accepted('cancel_reservation')
        self.accepted('enable', connector_id=0)
        self.reaches(
            lambda status: status.state == EvseStatus.STATE_IDLE and not status.active_errors,
            'idle again',
            30.0,
        )
        self.probe.spin(0.05)
        self.forget()


def authorization(token: str = 'TOKEN', **result: Any) -> dict[str, Any]:
    """Return the fields of an ``authorize_response`` that accepts a token."""
    from evse_manager.msg import AuthorizationStatus, ProvidedIdToken, ValidationResult

    result.setdefault('authorization_status', AuthorizationStatus.ACCEPTED)
    return {
        'provided_token': ProvidedIdToken(id_token=token),
        'validation_result': ValidationResult(**result),
    }


class Site:
    """Starts processes of connectors and ends all of them."""

    def __init__(self, directory: Path, environment: dict[str, str] | None = None) -> None:
        """``environment`` is added to that of every process."""
        self._directory = directory
        self._environment = environment or {}
        self._processes: list[Process] = []
        self._started: dict[str, int] = defaultdict(int)

    def start(
        self,
        executable: str,
        namespace: str = '/',
        *,
        rename: str = '',
        arguments: tuple[str, ...] = (),
        **parameters: Any,
    ) -> Process:
        """Start one node in a namespace with parameters; ``arguments`` go to ROS as they are."""
        ros = ['--ros-args', '-r', f'__ns:={namespace}', *arguments]
        if rename:
            ros += ['-r', f'__node:={rename}']
        for name, value in parameters.items():
            ros += ['-p', f'{name}:={value}']
        self._started[executable] += 1
        log = self._directory / f'{executable}_{self._started[executable]}.log'
        process = Process(executable, *ros, log=log, **self._environment)
        self._processes.append(process)
        return process

    def manager(self, namespace: str, **parameters: Any) -> Process:
        # Nothing is to remain of a test for the next one.
        # Many sessions share a connector here, so its contactor may close more often.
        defaults = {'session_store': '""', 'closings_per_minute_max': 60, 'closings_per_hour_max': 1000}
        return self.start('evse_manager', namespace, **{**defaults, **parameters})

    def board(self, namespace: str, **parameters: Any) -> Process:
        return self.start('board_support', namespace, **{'driver': 'simulated', **parameters})

    def stop(self) -> None:
        for process in self._processes:
            if process.exit_code is None:
                process.signal(signal.SIGCONT)
                process.signal(signal.SIGTERM)
        for process in self._processes:
            process.stop()


@contextmanager
def running(directory: Path, environment: dict[str, str] | None = None) -> Iterator[Site]:
    """A site whose processes are gone at the end."""
    site = Site(directory, environment)
    try:
        yield site
    finally:
        site.stop()
