"""
The supervisor: starts the workers of one machine, starts them again when they die or hang, reloads the site.

It has one thread, uses no ROS itself, and waits for signals, reports and the next deadline.
"""

import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from evse_manager.depot.child import Child, DiscoveryServer, Supervised
from evse_manager.depot.discovery import too_many
from evse_manager.depot.discovery_server import (
    CLIENT_VARIABLES,
    ServerAddress,
    client_environment,
    server_environment,
    server_program,
)
from evse_manager.depot.protocol import Kind, Start, Stopped
from evse_manager.depot.shards import assign
from evse_manager.depot.site import Connector, Site
from evse_manager.depot.site_file import SiteFileError, parse_site, read_site_file

EXIT_OK, EXIT_FAILED = 0, 1

END_S = 8.0
"""Workers end within 3 s by themselves; what runs after this time is killed."""

LONGEST_WAIT_S = 1.0

SITE_NODES = {
    Kind.ENERGY: 'evse_manager.nodes.energy_manager',
    Kind.AUTHORIZATION: 'evse_manager.nodes.authorization',
}
"""The nodes of the main machine, with their modules."""


def say(level: str, text: str) -> None:
    """Log a line in the format of ROS 2."""
    print(f'[{level}] [{time.time():.9f}] [depot]: {text}', file=sys.stderr, flush=True)


class Supervisor:
    """
    Hosts the part of a site that belongs to one machine.

    It is large because start, failure, reload and end of the processes concern the same lists of them.
    """

    def __init__(
        self,
        file: Path,
        host: str,
        ros_arguments: Sequence[str],
        discovery_server: ServerAddress | None = None,
    ) -> None:
        """
        Read the site file; with an address a discovery server is started for the workers.

        Raises SiteFileError, and ServerError.
        """
        self._file = file
        self._text = read_site_file(file)
        self._site = parse_site(self._text, str(file))
        self._host = host
        self._ros_arguments = tuple(ros_arguments)
        self._environment: dict[str, str] = dict(os.environ)
        """That of the workers."""
        self._server: DiscoveryServer | None = None
        if discovery_server is not None:
            self._environment = client_environment(discovery_server, os.environ)
            self._server = DiscoveryServer(
                server_program(),
                discovery_server,
                self._active_file.with_suffix('.discovery_server.xml'),
                server_environment(os.environ),
            )
        self._children: dict[tuple[Kind, int], Child] = {}
        self._workers: dict[str, int] = {}
        """The worker of each connector, by name."""
        self._waiting: dict[str, tuple[set[Kind], list[tuple[Child, Start]]]] = {}
        """Nodes that end in order: which kinds have not ended yet, and the orders that follow."""
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._began = time.monotonic()
        self._complete = False

    # --- life ------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Supervise until a signal asks for the end; return the exit code."""
        self._take_signals()
        self._active_file.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock()
        if lock is None:
            return EXIT_FAILED
        if self._server is not None:
            names = ' '.join(f'{name}={self._environment[name]}' for name in CLIENT_VARIABLES)
            say('INFO', f'discovery by a server; whoever is to see the site needs {names}.')
        self._apply(None)
        self._warn_of_discovery()
        while not self._ends():
            self._start_due()
            for key, _ in self._selector.select(self._wait_s()):
                if key.data is not None:
                    self._read(key.data)
                else:
                    self._signals += os.read(key.fd, 64)
            self._look_after()
            if signal.SIGHUP in self._signals:
                self._signals = [number for number in self._signals if number != signal.SIGHUP]
                self._reload()
        code = self._end()
        os.close(lock)
        return code

    def _lock(self) -> int | None:
        """Return the descriptor of the lock on this site; None, with a message, when another depot has it."""
        path = self._active_file.with_suffix('.lock')
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            say('FATAL', f'another depot runs site {self._site.name} here ({path}); end it first.')
            return None
        return descriptor

    def _take_signals(self) -> None:
        reading, writing = socket.socketpair()
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._selector.register(reading.detach(), selectors.EVENT_READ)

    def _ends(self) -> bool:
        return signal.SIGINT in self._signals or signal.SIGTERM in self._signals

    def _end(self) -> int:
        """End every child in order, by force where need be; the discovery server last."""
        say('INFO', 'withdrawing power and ending.')
        end = time.monotonic() + END_S
        killed = self._end_all(list(self._children.values()), end)
        if self._server is not None:
            killed |= self._end_all([self._server], end)
        with suppress(OSError):
            self._active_file.unlink()
        return EXIT_FAILED if killed else EXIT_OK

    def _end_all(self, processes: Sequence[Supervised], end: float) -> bool:
        """End processes until a time of the monotonic clock; return whether one of them was killed."""
        for each in processes:
            each.dismiss()
        while left := [each for each in processes if each.pid is not None]:
            if time.monotonic() >= end:
                break
            self._selector.select(min(0.1, max(0.0, end - time.monotonic())))
            for each in left:
                if each.has_ended() is not None:
                    self._release(each)
        for each in left:
            say('ERROR', f'{each.name} does not end; it is killed.')
            each.signal(signal.SIGKILL)
            self._release(each)
        return bool(left)

    # --- the site --------------------------------------------------------------------------------------

    @property
    def _active_file(self) -> Path:
        """The copy of the site file that is in force: the nodes of the site read it when they start again."""
        home = Path(os.environ.get('ROS_HOME') or Path.home() / '.ros').expanduser()
        domain = os.environ.get('ROS_DOMAIN_ID') or '0'
        return home / 'evse_manager' / f'site_{self._site.name}.{self._host}.{domain}.yaml'

    def _apply(self, before: Site | None) -> None:
        """Start, end and start again what differs from the site before."""
        self._keep_file()
        old = {each.name: each for each in before.connectors_of(self._host)} if before else {}
        new = {each.name: each for each in self._site.connectors_of(self._host)}
        for name in old:
            if name not in new:
                say('INFO', f'{name}: no longer on this machine; ending it.')
                self._replace(name, (Kind.MANAGERS, Kind.BOARDS), [])
        self._workers = assign(new, {name: self._workers[name] for name in new if name in self._workers})
        for name, connector in new.items():
            if connector == old.get(name):
                continue
            number = self._workers[name]
            orders = [
                (self._child(Kind.BOARDS, number), board_order(connector)),
                (self._child(Kind.MANAGERS, number), manager_order(connector)),
            ]
            if name in old:
                say('INFO', f'{name}: changed; ending it and starting it again.')
                self._replace(name, (Kind.MANAGERS, Kind.BOARDS), orders)
            else:
                self._order(orders)
        for kind in SITE_NODES:
            self._apply_site_node(kind, before)

    def _apply_site_node(self, kind: Kind, before: Site | None) -> None:
        if not self._site.is_main(self._host):
            if before is not None and before.is_main(self._host):
                self._replace(kind, (kind,), [])
            return
        if find_spec(SITE_NODES[kind]) is None:
            say('WARN', f'{kind} is not started: it is not installed.')
            return
        order = Start(kind, self._site.namespace, {'site_file': str(self._active_file)})
        orders = [(self._child(kind, 0), order)]
        if before is not None and before.is_main(self._host):
            say('INFO', f'{kind}: the site has changed; starting it again.')
            self._replace(kind, (kind,), orders)
        else:
            self._order(orders)

    def _keep_file(self) -> None:
        """Copy the site file; it holds tokens, so that only its owner may read the copy."""
        path = self._active_file
        with suppress(FileNotFoundError):
            path.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, 'w', encoding='utf-8') as copy:
            copy.write(self._text)

    def _order(self, orders: Iterable[tuple[Child, Start]]) -> None:
        for child, order in orders:
            child.order(order)

    def _replace(self, key: str, kinds: Iterable[Kind], orders: list[tuple[Child, Start]]) -> None:
        """End the nodes of a key in order; then give the orders."""
        hosts = [child for child in self._children.values() if child.kind in kinds and key in child.orders]
        for child in hosts:
            child.withdraw(key)
        self._waiting[key] = ({child.kind for child in hosts if child.pid is not None}, orders)
        self._ended(key, None)

    def _ended(self, key: str, kind: Kind | None) -> None:
        """Note that the node of a key on a kind of worker has ended."""
        if key not in self._waiting:
            return
        running, orders = self._waiting[key]
        running.discard(kind)
        if not running:
            del self._waiting[key]
            self._order(orders)
            expecting = [child for _, waiting in self._waiting.values() for child, _ in waiting]
            for child in self._children.values():
                if not child.orders and not any(child is each for each in expecting):
                    child.dismiss()

    def _reload(self) -> None:
        try:
            text = read_site_file(self._file)
            site = parse_site(text, str(self._file))
        except SiteFileError as error:
            for line in error.lines():
                say('ERROR', line)
            say('ERROR', f'{self._file} has mistakes; the site stays as it is. Correct it and send SIGHUP.')
            return
        if site == self._site:
            say('INFO', f'{self._file} is unchanged.')
            return
        if site.namespace != self._site.namespace or site.name != self._site.name:
            say('ERROR', 'name and namespace of a site that runs cannot be changed; start depot again.')
            return
        before, self._site, self._text = self._site, site, text
        self._apply(before)
        self._warn_of_discovery()

    # --- the children ----------------------------------------------------------------------------------

    def _child(self, kind: Kind, number: int) -> Child:
        if (kind, number) not in self._children:
            self._children[kind, number] = Child(kind, number, self._ros_arguments, self._environment)
        return self._children[kind, number]

    def _start_due(self) -> None:
        now = time.monotonic()
        server = self._server
        if server is not None and server.start_at is not None and server.start_at <= now:
            server.start(now)
        for child in self._children.values():
            if child.start_at is not None and child.start_at <= now:
                child.start(now)
                assert child.reports is not None
                self._selector.register(child.reports, selectors.EVENT_READ, child)

    def _read(self, child: Child) -> None:
        if child.reports is None:
            return
        for message in child.read(time.monotonic()):
            if isinstance(message, Stopped):
                self._ended(message.key, child.kind)
        self._note_completion()

    def _note_completion(self) -> None:
        wanted = sum(len(child.orders) for child in self._children.values())
        running = sum(child.running for child in self._children.values())
        if running >= wanted and not self._complete:
            self._complete = True
            connectors = len(self._workers)
            say(
                'INFO',
                f'{connectors} connectors in {len(self._children)} processes run after '
                f'{time.monotonic() - self._began:.1f} s.',
            )

    def _look_after(self) -> None:
        """Start again what has died, kill what hangs."""
        now = time.monotonic()
        server = self._server
        if server is not None and (ended := server.has_ended()) is not None:
            self._release(server)
            self._start_again(server, ended, now)
        for child in list(self._children.values()):
            code = child.has_ended()
            if code is not None:
                self._died(child, code, now)
            elif now >= child.silent_at:
                say('ERROR', f'{child.name} (process {child.pid}) does not answer; it is killed.')
                child.silent_at = float('inf')
                child.signal(signal.SIGKILL)

    def _died(self, child: Child, code: int, now: float) -> None:
        self._release(child)
        for key in list(self._waiting):
            self._ended(key, child.kind)
        if not child.orders:
            say('INFO', f'{child.name} has ended; it has nothing to host.')
            return
        self._start_again(child, code, now)

    def _start_again(self, process: Supervised, code: int, now: float) -> None:
        delay = process.retry(now)
        ended = f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'
        say('ERROR', f'{process.name} has ended with {ended}; it is started again in {delay:.1f} s.')

    def _release(self, process: Supervised) -> None:
        if isinstance(process, Child) and process.reports is not None:
            self._selector.unregister(process.reports)
        process.forget()

    def _wait_s(self) -> float:
        supervised = (*self._children.values(), *([] if self._server is None else [self._server]))
        due = [each.start_at for each in supervised if each.start_at is not None]
        return max(0.0, min((*due, time.monotonic() + LONGEST_WAIT_S)) - time.monotonic())

    def _warn_of_discovery(self) -> None:
        warning = too_many(len(self._children), self._environment)
        if warning:
            say('WARN', warning)


def manager_order(connector: Connector) -> Start:
    """Return the order to host a connector's manager."""
    return Start(connector.name, connector.namespace, dict(connector.manager_parameters))


def board_order(connector: Connector) -> Start:
    """Return the order to host a connector's board node."""
    return Start(connector.name, connector.namespace, dict(connector.board_parameters))
