"""
Runs every executable of the package.

All care that rclpy's executors and signal handlers need is taken here:

- ``EventsExecutor`` where rclpy has it, else the single-threaded one.  Its ``spin`` without a deadline may
  never dispatch anything, so a loop calls ``spin_once`` with a time-out.
- After rclpy's own signal handlers nothing can be published any more.  So a thread hands each
  signal to the executor as a task.  (Blocking the signals and waiting for them would not do: libraries start
  threads while they are imported, and the system gives the signal to one of those.)
- An executor that is not shut down keeps what it knew of a node (rclpy 9): the node would stay on the graph
  until the middleware's lease ends, 20 s after the process.
- The middleware may hang when a node leaves the graph, or before: from the first signal on, and again from
  the end of the loop on, a limit counts that nothing in the process can exceed (``exit_limit``).
- An exception in a callback ends ``spin_once``.  Entry points are guarded: log, go to the safe state, go on.
"""

import functools
import gc
import heapq
import itertools
import math
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol, runtime_checkable

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import NameValidationException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from evse_manager.charging.inputs import Now
from evse_manager.interface.types import Time
from evse_manager.nodes import middleware
from evse_manager.nodes.exit_limit import LEAVING_S, ExitLimit
from evse_manager.nodes.loop_supervisor import LoopSupervisor
from evse_manager.nodes.parameters import ParameterError

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask for an orderly end (a closed terminal sends SIGHUP)."""

IDLE_WAIT_S = 1.0
"""Longest wait of one ``spin_once``; events, timers and tasks end it at once, so idling costs nothing."""

END_LIMIT_S = 2.6
"""How long an orderly end may take before the process ends all the same (3 s with its own teardown)."""

LOOP_LIMIT_S = 12.0
"""The system ends a process whose loop has not turned for this long; it has to be started again."""

STUCK_LIMIT_S = 8.0
"""How long the process may go on after the first signal when its loop no longer reacts."""

YOUNG_OBJECTS = 10_000
"""Number of new objects (about a megabyte) before the garbage collector looks at them."""

REPEAT_S = 10.0
"""The same failure of the same callback is logged with its traceback once in this time."""

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
"""Exit codes: ended as asked; could not start or broke; wrong parameters or arguments."""


class NodeApp(Protocol):
    """An application node: begun, asked to end, withdrawn; all called in the executor's thread."""

    node: Node
    finished: bool
    """Set when the orderly end is complete."""

    alarm: 'LoopDeadline'
    """Deadlines that the loop keeps for the application between two events."""

    def begin(self) -> None:
        """Start working; the executor spins from here on."""

    def end(self) -> None:
        """The end is requested: go to the safe state, then set ``finished``."""

    def withdraw(self) -> None:
        """Withdraw power at once and wait for its delivery; called once more before the process ends."""


@runtime_checkable
class Rescued(Protocol):
    """An application with something that must happen though the loop does not run."""

    def rescue(self) -> None:
        """Do it, in the thread of the loop's supervisor; must not block, nor use the middleware."""


class Guard:
    """Wraps entry points, so that an exception in one is logged and answered by the safe state."""

    def __init__(self, node: Node, fail_safe: Callable[[str], None]) -> None:
        """``fail_safe`` gets a sentence for people and drives the connector to its safe state."""
        self._log = node.get_logger()
        self._fail_safe = fail_safe
        self._logged: dict[tuple[str, str], float] = {}
        self._closed = False

    def __call__(
        self, entry: Callable[..., Any], on_failure: Callable[[], Any] | None = None
    ) -> Callable[..., Any]:
        """Return the guarded entry point; when it fails it returns what ``on_failure`` does."""

        @functools.wraps(entry)
        def guarded(*arguments: Any) -> Any:
            if self._closed:
                return None
            try:
                return entry(*arguments)
            except Exception as error:  # noqa: BLE001 - the entry point of every callback: power is withdrawn, the loop goes on
                self.failed(getattr(entry, '__name__', repr(entry)), error)
                return on_failure() if on_failure is not None else None

        return guarded

    def close(self) -> None:
        """Let every entry point do nothing from now on: the executor may still hold events of the node."""
        self._closed = True

    def failed(self, name: str, error: Exception) -> None:
        """Log a failure of the entry point ``name`` and go to the safe state."""
        key, now = (name, repr(error)), time.monotonic()
        if now - self._logged.get(key, -REPEAT_S) >= REPEAT_S:
            self._logged[key] = now
            self._log.error(
                f'{name} failed; power is withdrawn.\n{"".join(traceback.format_exception(error))}'
            )
        try:
            self._fail_safe(f'{name} failed: {error}')
        except Exception:  # noqa: BLE001 - the last resort of an entry point
            self._log.fatal(f'The safe state could not be reached.\n{traceback.format_exc()}')


class NodeTime:
    """
    The time of a node: the clock of its deadlines, and the wall.

    Deadlines are on the steady clock, or on the node's when time is simulated.  The simulated clock is held
    when it jumps back.
    """

    def __init__(self, node: Node) -> None:
        """Take the clocks of a node; ``use_sim_time`` counts as it is now."""
        self.simulated: bool = bool(node.get_parameter('use_sim_time').value)
        self._node_clock = node.get_clock()
        self._newest = 0.0
        self.clock: Clock = self._node_clock if self.simulated else steady_clock()

    @property
    def running(self) -> bool:
        """Return whether time is known: a simulated clock is zero until its first message."""
        return not self.simulated or self._node_clock.now().nanoseconds > 0

    def seconds(self) -> float:
        """Return the seconds of the deadlines' clock; they never run backwards."""
        if not self.simulated:
            return time.monotonic()
        self._newest = max(self._newest, self._node_clock.now().nanoseconds * 1e-9)
        return self._newest

    def wall(self) -> Time:
        """Return UTC; simulated where time is."""
        return Time(self._node_clock.now().nanoseconds if self.simulated else time.time_ns())

    def now(self) -> Now:
        """Return both clocks."""
        return Now(self.seconds(), self.wall())


class DeadlineTimer:
    """A one-shot timer that can be armed again and again, on any clock."""

    _SHORTEST_S = 0.0002  # a period of next to nothing fires several times before it can be cancelled
    _NEVER_S = 1e6

    def __init__(
        self, node: Node, callback: Callable[[], None], seconds: Callable[[], float], clock: Clock
    ) -> None:
        """Call ``callback`` when ``seconds`` has reached the deadline; ``clock`` is the same for rclpy."""
        self._callback = callback
        self._seconds = seconds
        self._deadline: float | None = None
        self._timer = node.create_timer(self._NEVER_S, self._fire, clock=clock, autostart=False)

    @property
    def deadline(self) -> float | None:
        """Return the seconds it is armed to, if it is."""
        return self._deadline

    def arm(self, deadline: float | None) -> None:
        """Replace the deadline; None disarms.  Arming to the same deadline again costs nothing."""
        if deadline == self._deadline:
            return
        self._deadline = deadline
        if deadline is None:
            self._timer.cancel()
        else:
            self._start(deadline - self._seconds())

    def _start(self, delay_s: float) -> None:
        self._timer.timer_period_ns = int(min(max(delay_s, self._SHORTEST_S), self._NEVER_S) * 1e9)
        self._timer.reset()

    def _fire(self) -> None:
        self._timer.cancel()
        if self._deadline is None:
            return
        early = self._deadline - self._seconds()
        if early > 1e-6:  # an event of the former deadline was still queued, or the clock was set back
            self._start(early)
            return
        self._deadline = None
        self._callback()


class LoopDeadline:
    """
    A deadline on the steady clock that the loop keeps by waiting no longer: for what is due often.

    A timer of rclpy wakes a thread of the executor for each firing and each arming.  For a board node that
    reports four times a second that thread alone took 7 % of its processor time (by its ticks in /proc).
    """

    def __init__(self, callback: Callable[[], None] = lambda: None) -> None:
        """Call ``callback`` from the loop when the deadline is reached."""
        self._callback = callback
        self._queue: DeadlineQueue | None = None
        self.at = math.inf
        """Seconds of ``time.monotonic``; infinity = not armed."""

    def arm(self, deadline: float) -> None:
        """Replace the deadline, in seconds of ``time.monotonic``; infinity disarms."""
        self.at = deadline
        if self._queue is not None:
            self._queue.note(self)

    def attach(self, queue: 'DeadlineQueue') -> None:
        """Let a queue keep the deadline from now on."""
        self._queue = queue
        queue.note(self)

    def detach(self) -> None:
        """Let no queue keep the deadline any more."""
        self._queue, self.at = None, math.inf

    def call(self) -> None:
        """Disarm and call back."""
        self.at = math.inf
        self._callback()


class DeadlineQueue:
    """
    The deadlines of one loop, the earliest first.

    Each has one place in the queue, at its time or before; it is moved when its place is reached, so that
    arming for later costs nothing.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, LoopDeadline]] = []
        self._places: dict[LoopDeadline, float] = {}
        self._count = itertools.count()

    def note(self, deadline: LoopDeadline) -> None:
        """Take note of when a deadline is due, unless its place in the queue is early enough."""
        if deadline.at < self._places.get(deadline, math.inf):
            self._places[deadline] = deadline.at
            heapq.heappush(self._queue, (deadline.at, next(self._count), deadline))

    def left_s(self) -> float:
        """Return for how long the loop may wait; infinity = nothing is due."""
        while self._queue:
            place, _, deadline = self._queue[0]
            if place == deadline.at:
                return max(0.0, place - time.monotonic())
            heapq.heappop(self._queue)
            if place == self._places.get(deadline):
                del self._places[deadline]
                self.note(deadline)
        return math.inf

    def call_due(self) -> None:
        """Call back what is due, each once: one that is always due delays no other."""
        due = []
        while self.left_s() <= 0.0:
            _, _, deadline = heapq.heappop(self._queue)
            self._places.pop(deadline, None)
            due.append(deadline)
        try:
            while due:
                deadline = due.pop(0)
                if deadline.at <= time.monotonic():
                    deadline.call()
        finally:  # what one of them raises must not cancel the others
            for deadline in due:
                self.note(deadline)


@functools.cache
def steady_clock() -> Clock:
    """Return rclpy's steady clock; its seconds are those of ``time.monotonic``."""
    return Clock(clock_type=ClockType.STEADY_TIME)


def new_executor() -> Executor:
    """Return the executor that costs least with this rclpy: events where there are any."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor  # noqa: PLC0415 - not in every rclpy
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


USAGE = """\
usage: {name} --ros-args [-r __ns:=/NAMESPACE] [-p PARAMETER:=VALUE …] [--params-file FILE]

A node: it runs until Ctrl-C. Parameters, topics and services are in docs/interface.md;
ros2 param describe reads the parameters of a node that runs."""


def _asks_for_help(words: Sequence[str]) -> bool:
    """Return whether ``--help`` stands before the arguments of ROS."""
    own = words[: words.index('--ros-args')] if '--ros-args' in words else words
    return '--help' in own or '-h' in own


def run(name: str, make: Callable[[], NodeApp], args: Sequence[str] | None = None) -> int:
    """
    Run one role in this process until a signal ends it; return the exit code.  ``--help`` prints the usage.

    The first signal asks for an orderly end of at most ``END_LIMIT_S``, a second one ends at once; power is
    withdrawn in both cases.  The process has to end with that code after this: it has ``LEAVING_S`` left.
    """
    if _asks_for_help(sys.argv if args is None else args):
        print(USAGE.format(name=name))
        return EXIT_OK
    signals = SignalPipe()
    middleware.configure()
    try:
        rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # noqa: BLE001 - rclpy raises many unrelated classes for wrong arguments and YAML
        return _refuse(name, str(error).strip().splitlines()[0])
    code = EXIT_FAILED
    leaving = ExitStack()
    leaving.callback(rclpy.try_shutdown)
    try:
        role = make()
        leaving.callback(role.node.destroy_node)
        loop = _Loop(role, signals)
        leaving.callback(loop.close)
        code = loop.run()
    except (ParameterError, NameValidationException) as error:
        code = _refuse(name, str(error).strip())
    finally:
        ExitLimit(LEAVING_S, code)
        leaving.close()
    return code


def settle_garbage_collector() -> None:
    """
    Keep the objects made so far as long as the process, and look at new objects rarely.

    A full collection would hold up a reaction for 20 ms, and with its own threshold the collector would look
    at what is young in nearly every reaction.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def _refuse(name: str, reason: str) -> int:
    print(f'{name}: {reason}', file=sys.stderr)
    ExitLimit(LEAVING_S, EXIT_USAGE)  # a node that was refused leaves the graph with the error's frames
    return EXIT_USAGE


class SignalPipe:
    """
    Takes the signals that ask for the end from now on, and delivers them from a thread of its own.

    Python's handlers run in the main thread only when rclpy lets go of it; the pipe that the interpreter
    writes to at once does not wait for that.
    """

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in END_SIGNALS:
            if (
                number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
            ):  # nohup stays nohup
                signal.signal(number, lambda *_: None)

    def deliver(self, receive: Callable[[int], object]) -> None:
        """Call ``receive`` with each signal's number, also with those that came already."""
        threading.Thread(target=self._read, args=(receive,), name='signals', daemon=True).start()

    def _read(self, receive: Callable[[int], object]) -> None:
        while number := self._reading.recv(1):
            if number[0] in END_SIGNALS:
                receive(number[0])


class AppHost:
    """
    Spins applications in one executor: each has its node and its deadline, one loop waits for all.

    A supervisor on the monotonic clock ends each wait in time (``loop_supervisor``).
    """

    def __init__(self) -> None:
        self._executor = new_executor()
        self._deadlines = DeadlineQueue()
        self._supervisor = LoopSupervisor(self._wake)
        self._waking = False

    def add(self, app: NodeApp) -> None:
        """Take an application in, and begin it."""
        self._executor.add_node(app.node)
        app.alarm.attach(self._deadlines)
        if isinstance(app, Rescued):
            self._supervisor.add_rescue(app.rescue)
        app.begin()

    def remove(self, app: NodeApp) -> None:
        """Take an application out; its node still exists."""
        app.alarm.detach()
        if isinstance(app, Rescued):
            self._supervisor.remove_rescue(app.rescue)
        self._executor.remove_node(app.node)

    def spin_once(self, longest_s: float) -> None:
        """Wait for something to happen, and let the applications react to it."""
        wait = max(0.0, min(longest_s, self._deadlines.left_s()))
        self._supervisor.expect(time.monotonic() + wait)
        self._executor.spin_once(timeout_sec=wait)
        self._deadlines.call_due()

    def call_soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function in the thread of the loop; may be called from any thread."""
        self._executor.create_task(function, *arguments)

    def close(self) -> None:
        """Shut the executor down."""
        self._supervisor.close()
        self._executor.shutdown()

    def _wake(self) -> None:
        """End the wait of the loop; called by the supervisor."""
        if not self._waking:  # else a task waits already in a loop that does not run
            self._waking = True
            self._executor.create_task(self._awake)

    def _awake(self) -> None:
        self._waking = False


class _Loop:
    """Spins one role, and ends it when signals say so."""

    def __init__(self, role: NodeApp, signals: 'SignalPipe') -> None:
        self._role = role
        self._pipe = signals
        self._host = AppHost()
        self._signals = 0
        self._code = EXIT_OK
        self._give_up: float | None = None

    def run(self) -> int:
        self._pipe.deliver(self._hand_over)
        try:
            self._host.add(self._role)
            settle_garbage_collector()
            self._spin()
        except Exception:  # noqa: BLE001 - an entry point: power is withdrawn, then the process ends
            # Entry points are guarded; what comes here is rclpy's own and would come again.
            self._role.node.get_logger().fatal(
                f'The executor broke; power is withdrawn.\n{traceback.format_exc()}'
            )
            self._code = EXIT_FAILED
        self._role.withdraw()
        return self._code

    def close(self) -> None:
        self._host.remove(self._role)
        self._host.close()

    def _spin(self) -> None:
        with ExitLimit(LOOP_LIMIT_S, EXIT_FAILED) as watchdog:
            while not self._role.finished and self._signals < 2:
                watchdog.renew(LOOP_LIMIT_S)
                wait = IDLE_WAIT_S
                if self._give_up is not None:
                    wait = min(wait, self._give_up - time.monotonic())
                    if wait <= 0.0:
                        self._role.node.get_logger().warning(
                            f'Not finished within {END_LIMIT_S} s; ending all the same.'
                        )
                        return
                self._host.spin_once(wait)

    def _hand_over(self, number: int) -> None:
        try:
            ExitLimit(STUCK_LIMIT_S, EXIT_FAILED)
        finally:  # also where the system has no timer left: power has to be withdrawn
            self._host.call_soon(self._signalled, number)

    def _signalled(self, number: int) -> None:
        self._signals += 1
        if self._signals == 1:
            self._give_up = time.monotonic() + END_LIMIT_S
            self._role.node.get_logger().info(f'{signal.Signals(number).name}: ending in order.')
            try:
                self._role.end()
            except Exception:  # noqa: BLE001 - one that left this task would crash EventsExecutor
                self._role.node.get_logger().fatal(f'No orderly end is possible.\n{traceback.format_exc()}')
                self._signals += 1
                self._code = EXIT_FAILED
