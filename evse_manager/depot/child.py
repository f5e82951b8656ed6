"""
The children of the depot: processes that it supervises and starts again.

A ``Child`` is a worker, which is fed with orders and killed when it hangs; a ``DiscoveryServer`` is a program
of Fast DDS that is started again when it ends.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from evse_manager.depot.backoff import Backoff
from evse_manager.depot.discovery_server import RETURNS_AFTER_S, ServerAddress, server_profile
from evse_manager.depot.protocol import Alive, Kind, Message, Start, Stop, decode, encode

FIRST_WORD_S = 30.0
"""How long the first heartbeat is waited for: a busy machine imports ROS 2 slowly."""

SILENT_S = 8.0
"""A worker whose loop has not turned for so long is killed and started again."""

WORKER = 'evse_manager.depot.worker'

ORDERS_BYTES = 1 << 20
"""Buffer of the pipe of orders: about four thousand nodes."""

_PR_SET_PDEATHSIG = 1
"""``<sys/prctl.h>``"""

_LIBC = ctypes.CDLL(None, use_errno=True)


class Supervised:
    """A process that is started again when it dies; it gets SIGTERM when the depot dies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.start_at: float | None = None
        """When it is started, on the monotonic clock; None while it runs or is not wanted."""
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff()

    @property
    def pid(self) -> int | None:
        """Return the id of its process."""
        return self._process.pid if self._process is not None else None

    def has_ended(self) -> int | None:
        """Return the exit code of a process that has ended; None while it runs, or when there is none."""
        return self._process.poll() if self._process is not None else None

    def dismiss(self) -> None:
        """End it: it is not wanted any more."""
        self.start_at = None
        self.signal(signal.SIGTERM)

    def forget(self) -> None:
        """Wait for a process that has ended or was killed, and forget it."""
        if self._process is not None:
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process = None

    def retry(self, now: float) -> float:
        """Plan the next start; return the delay."""
        delay = self._backoff.delay_s(now)
        self.start_at = now + delay
        return delay

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _spawn(
        self, command: Sequence[str], environment: Mapping[str, str], now: float, **pipes: Any
    ) -> None:
        """Start the process; ``pipes`` are those arguments of ``Popen``."""
        self._backoff.started(now)
        self.start_at = None
        self._process = subprocess.Popen(
            list(command),
            env=dict(environment),
            start_new_session=True,  # Ctrl-C reaches the depot alone, which ends its children
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - the depot has one thread
            bufsize=0,
            **pipes,
        )


class DiscoveryServer(Supervised):
    """The discovery server of Fast DDS."""

    def __init__(
        self, program: Path, address: ServerAddress, profile: Path, environment: Mapping[str, str]
    ) -> None:
        """``profile`` is the file that its profile is written to; it is started at once."""
        super().__init__('discovery server')
        self._program = program
        self._address = address
        self._profile = profile
        self._environment = environment
        self.start_at = 0.0

    def start(self, now: float) -> None:
        """Start the process."""
        self._profile.write_text(server_profile(self._address))
        self._spawn(
            [str(self._program), '-i', '0', '-x', f'server@{self._profile}'],
            self._environment,
            now,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def retry(self, now: float) -> float:
        """Plan the next start, not before its clients have missed it; return the delay."""
        delay = max(super().retry(now), RETURNS_AFTER_S)
        self.start_at = now + delay
        return delay

    def forget(self) -> None:
        """Forget a process that has ended, and its profile."""
        super().forget()
        self._profile.unlink(missing_ok=True)


class Child(Supervised):
    """A worker process and the nodes that it is to host."""

    def __init__(
        self, kind: Kind, number: int, ros_arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        super().__init__(f'{kind} {number + 1}' if kind in (Kind.MANAGERS, Kind.BOARDS) else str(kind))
        self.kind = kind
        self.orders: dict[str, Start] = {}
        """Connectors to host, by key; ordered again after each start."""
        self.reports: int | None = None
        """Descriptor of its reports while it runs."""
        self.running = 0
        """How many of its nodes run, by its last report."""
        self.silent_at = float('inf')
        self._ros_arguments = tuple(ros_arguments)
        self._environment = environment
        self._unread = b''

    def start(self, now: float) -> None:
        """Start the process, and order what it is to host."""
        self.silent_at = now + FIRST_WORD_S
        self.running, self._unread = 0, b''
        reading, writing = os.pipe()
        try:
            self._spawn(
                [sys.executable, '-m', WORKER, self.kind, self.name, str(writing), *self._ros_arguments],
                self._environment,
                now,
                stdin=subprocess.PIPE,
                pass_fds=(writing,),
            )
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        self.reports = reading
        assert self._process is not None
        assert self._process.stdin is not None
        # The orders wait in the pipe until the worker has imported ROS 2.
        fcntl.fcntl(self._process.stdin, fcntl.F_SETPIPE_SZ, ORDERS_BYTES)
        for order in self.orders.values():
            self._send(order)

    def _send(self, message: Message) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # dead: its next start gets the orders
                self._process.stdin.write(encode(message))

    def order(self, start: Start) -> None:
        """Let it host a node."""
        self.orders[start.key] = start
        if self._process is not None:
            self._send(start)
        elif self.start_at is None:
            self.start_at = 0.0

    def withdraw(self, key: str) -> None:
        """Let it end a node in order."""
        self.orders.pop(key, None)
        self._send(Stop(key))

    def read(self, now: float) -> list[Message]:
        """Return what it reports; empty when it is dead, too."""
        assert self.reports is not None
        with suppress(BlockingIOError):
            self._unread += os.read(self.reports, 65_536)
        *lines, self._unread = self._unread.split(b'\n')
        found = []
        for line in lines:
            message = decode(line)
            found.append(message)
            if isinstance(message, Alive):
                self.running = message.running
                self.silent_at = now + SILENT_S
        return found

    def forget(self) -> None:
        """Wait for a process that has ended or was killed, and forget it."""
        super().forget()
        if self.reports is not None:
            os.close(self.reports)
        self.reports, self.running = None, 0
        self.silent_at = float('inf')


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a child does first: ask the system for SIGTERM when its parent dies."""

    def ask() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(1)

    return ask
