"""
A worker of the depot: one process, one context of ROS 2, one executor, and many nodes in it.

It hosts the managers or the boards of several connectors.  What happens to one of them (an exception,
a parameter that is refused, a node that ends) ends that one alone; it is made again with a back-off.  The
worker ends at a signal, when the depot is dead, or by a timer of the system when its loop has stopped.
"""

import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module

import rclpy
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from evse_manager.depot.backoff import Backoff
from evse_manager.depot.protocol import (
    HEARTBEAT_S,
    Alive,
    Kind,
    Message,
    Start,
    Stop,
    Stopped,
    decode,
    encode,
)
from evse_manager.depot.worker_diagnostics import WorkerDiagnostics
from evse_manager.nodes import middleware
from evse_manager.nodes.exit_limit import LEAVING_S, ExitLimit
from evse_manager.nodes.runtime import (
    END_LIMIT_S,
    EXIT_FAILED,
    EXIT_OK,
    LOOP_LIMIT_S,
    STUCK_LIMIT_S,
    AppHost,
    NodeApp,
    SignalPipe,
    settle_garbage_collector,
)

MOST_FAILURES = 20
"""Exceptions out of the executor between two reports; with more it is broken, and the process ends."""

DESTROY_AFTER_S = 0.2
"""By then the executor holds no event of a node that was taken out of it."""

BREATH_S = 0.01
"""Between two nodes that are made, those that run already react to what has come meanwhile."""

ENDING_LOOK_S = 0.02
"""How often nodes that end are looked at."""

APPS = {
    Kind.BOARDS: 'evse_manager.nodes.board_support:BoardSupport',
    Kind.MANAGERS: 'evse_manager.nodes.evse_manager_node:EvseManager',
    Kind.ENERGY: 'evse_manager.nodes.energy_manager:EnergyManager',
    Kind.AUTHORIZATION: 'evse_manager.nodes.authorization:AuthorizationNode',
}
"""The class of the application that a worker hosts, as ``module:class``; only its module is imported."""


def app_class(kind: Kind) -> Callable[..., NodeApp]:
    """Import and return the class of the applications of a worker."""
    module, _, name = APPS[kind].partition(':')
    found: Callable[..., NodeApp] = getattr(import_module(module), name)
    return found


@dataclass(slots=True)
class Hosted:
    """A node that the worker was ordered to host."""

    order: Start
    backoff: Backoff = field(default_factory=Backoff)
    app: NodeApp | None = None
    retry_at: float | None = None
    ends_by: float | None = None
    """When the orderly end has to be over; None = it was not ordered."""

    def is_done(self, now: float) -> bool:
        """Return whether nothing of it is to be waited for any more."""
        return self.app is None or self.app.finished or (self.ends_by is not None and now >= self.ends_by)


class Worker:
    """Hosts the nodes that it is ordered to."""

    def __init__(self, kind: Kind, name: str, reports: int) -> None:
        """``name`` is its own on this machine, ``reports`` the descriptor of the pipe to the depot."""
        self._make = app_class(kind)
        self._reports = reports
        self._host = AppHost()
        self._diagnostics = WorkerDiagnostics(name)
        self._log = get_logger(f'depot.{kind}')
        self._hosted: dict[str, Hosted] = {}
        self._next_report = 0.0
        self._look_at = 0.0
        """When ``_supervise`` is due: events of the connectors do not run it."""
        self._next_begin = 0.0
        self._ending: float | None = None
        self._settled = False
        self._failures = 0
        """Exceptions that came out of the executor since the last report."""
        self._leaving: list[tuple[float, NodeApp, Stopped | None]] = []
        """Nodes without an executor: when they are destroyed, and what is reported then."""

    def run(self, signals: SignalPipe) -> int:
        """Host until the end is asked for, and until it is complete."""
        signals.deliver(self._signalled)
        threading.Thread(target=self._read_orders, name='orders', daemon=True).start()
        watchdog = ExitLimit(LOOP_LIMIT_S, EXIT_FAILED)
        while not self._is_over():
            watchdog.renew(LOOP_LIMIT_S)
            self._turn()
            if time.monotonic() >= self._look_at:
                self._supervise()
        watchdog.renew(LEAVING_S + END_LIMIT_S)
        for hosted in self._hosted.values():
            self._take_out(hosted)
        self._destroy_due(math.inf)
        self._diagnostics.close()
        self._host.close()
        return EXIT_OK

    def _turn(self) -> None:
        """Let the nodes react to one event; what a callback that is not guarded raises ends none of them."""
        try:
            self._host.spin_once(self._look_at - time.monotonic())
        except Exception:
            self._failures += 1
            if self._failures > MOST_FAILURES:
                raise
            self._log.error(f'A callback failed.\n{traceback.format_exc()}')

    def _is_over(self) -> bool:
        if self._ending is None:
            return False
        now = time.monotonic()
        return now >= self._ending or all(hosted.is_done(now) for hosted in self._hosted.values())

    # --- orders, all in the thread of the loop ---------------------------------------------------------

    def _read_orders(self) -> None:
        """Hand over each order; the depot is dead when there are no more."""
        try:
            for line in sys.stdin.buffer:
                self._host.call_soon(self._obey, decode(line))
        finally:
            self._signalled(signal.SIGTERM)

    def _signalled(self, number: int) -> None:
        try:
            ExitLimit(STUCK_LIMIT_S, EXIT_FAILED)
        finally:  # also where the system has no timer left: power has to be withdrawn
            self._host.call_soon(self._end)

    def _obey(self, message: Message) -> None:
        if self._ending is not None:
            return
        self._look_at = 0.0
        match message:
            case Start():
                self._hosted[message.key] = Hosted(message, retry_at=time.monotonic())
            case Stop(key):
                self._stop(key)

    def _stop(self, key: str) -> None:
        hosted = self._hosted.get(key)
        if hosted is None or hosted.app is None:
            self._hosted.pop(key, None)
            self._report(Stopped(key))
            return
        hosted.ends_by = time.monotonic() + END_LIMIT_S
        self._end_app(hosted, hosted.app)

    def _end(self) -> None:
        """End every node; power is withdrawn from all of them before the first is waited for."""
        if self._ending is not None:
            return
        self._ending = time.monotonic() + END_LIMIT_S
        self._look_at = 0.0
        for hosted in self._hosted.values():
            hosted.retry_at = None
            if hosted.app is not None:
                self._end_app(hosted, hosted.app)

    def _end_app(self, hosted: Hosted, app: NodeApp) -> None:
        try:
            app.end()
        except Exception:  # noqa: BLE001 - one that left this task would crash EventsExecutor
            self._log.fatal(f'{hosted.order.key} cannot end in order.\n{traceback.format_exc()}')
            hosted.ends_by = time.monotonic()

    # --- supervision -----------------------------------------------------------------------------------

    def _supervise(self) -> None:
        """Look after the nodes, make one that is due, say that the loop turns, and plan the next look."""
        now = time.monotonic()
        if self._ending is None:
            for hosted in list(self._hosted.values()):
                if hosted.app is not None:
                    self._look_after(hosted, hosted.app, now)
            self._begin_one(now)
        self._destroy_due(now)
        if now >= self._next_report:
            self._next_report = now + HEARTBEAT_S
            failures, self._failures = self._failures, 0
            running = sum(hosted.app is not None for hosted in self._hosted.values())
            self._report(Alive(running))
            failing = [
                key for key, hosted in self._hosted.items() if hosted.app is None and hosted.backoff.failed
            ]
            self._diagnostics.report(running, failing, failures)
            if not self._settled and running == len(self._hosted) > 0:
                self._settled = True
                settle_garbage_collector()
        retries = [
            max(hosted.retry_at, self._next_begin)
            for hosted in self._hosted.values()
            if hosted.retry_at is not None
        ]
        ending = self._ending is not None or any(each.ends_by is not None for each in self._hosted.values())
        leaving = [at for at, *_ in self._leaving]
        self._look_at = min(
            self._next_report, *retries, *leaving, now + (ENDING_LOOK_S if ending else HEARTBEAT_S)
        )

    def _look_after(self, hosted: Hosted, app: NodeApp, now: float) -> None:
        if hosted.ends_by is not None:
            if hosted.is_done(now):
                self._take_out(hosted, Stopped(hosted.order.key))
                del self._hosted[hosted.order.key]
        elif app.finished:
            self._take_out(hosted)
            self._retry(hosted, 'it has ended')

    def _begin_one(self, now: float) -> None:
        """Make one node that is due."""
        if now < self._next_begin:
            return
        for hosted in self._hosted.values():
            if hosted.retry_at is not None and now >= hosted.retry_at:
                self._begin(hosted)
                self._next_begin = time.monotonic() + BREATH_S
                return

    def _begin(self, hosted: Hosted) -> None:
        """Make a node and begin it; its failure is its own."""
        order, hosted.retry_at = hosted.order, None
        hosted.backoff.started(time.monotonic())
        try:
            app = self._make(
                namespace=order.namespace,
                parameter_overrides=[
                    Parameter(name, value=value) for name, value in order.parameters.items()
                ],
            )
        except Exception as error:  # noqa: BLE001 - of rclpy, of a driver: the worker's other connectors go on
            self._retry(hosted, str(error).strip() or repr(error))
            return
        hosted.app = app
        self._next_report = 0.0
        try:
            self._host.add(app)
        except Exception as error:  # noqa: BLE001 - as above
            self._log.error(traceback.format_exc())
            self._take_out(hosted)
            self._retry(hosted, str(error).strip() or repr(error))

    def _retry(self, hosted: Hosted, why: str) -> None:
        now = time.monotonic()
        hosted.retry_at = now + hosted.backoff.delay_s(now)
        self._log.error(
            f'{hosted.order.key} does not run: {why.rstrip(".")}; it is started again in '
            f'{hosted.retry_at - now:.1f} s.'
        )

    def _take_out(self, hosted: Hosted, report: Stopped | None = None) -> None:
        """Withdraw power, and remove the node from the executor; ``report`` when it has left the graph."""
        app, hosted.app = hosted.app, None
        if app is None:
            return
        for step in (app.withdraw, lambda: self._host.remove(app)):
            try:
                step()
            except Exception:  # noqa: BLE001 - both have to be tried
                self._log.error(f'{hosted.order.key} left with an error.\n{traceback.format_exc()}')
        self._leaving.append((time.monotonic() + DESTROY_AFTER_S, app, report))

    def _destroy_due(self, now: float) -> None:
        while self._leaving and now >= self._leaving[0][0]:
            _, app, report = self._leaving.pop(0)
            app.node.destroy_node()
            if report is not None:
                self._report(report)

    def _report(self, message: Message) -> None:
        with suppress(OSError):  # the depot is dead: the end of its orders says so
            os.write(self._reports, encode(message))


def main(arguments: Sequence[str]) -> int:
    """Run a worker: its kind and name, the descriptor for its reports, and arguments of ROS 2."""
    signals = SignalPipe()
    kind, name, reports, *ros = arguments
    os.set_inheritable(int(reports), False)
    middleware.configure()
    try:
        rclpy.init(args=ros, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # noqa: BLE001 - rclpy raises many unrelated classes for wrong arguments
        print(f'depot: {str(error).strip().splitlines()[0]}', file=sys.stderr)
        return EXIT_FAILED
    code = Worker(Kind(kind), name, int(reports)).run(signals)
    ExitLimit(LEAVING_S, code)
    rclpy.try_shutdown()
    return code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
