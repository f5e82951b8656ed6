"""
How fast the real manager reacts, beside a bare echo.

Several managers take turns, because the rules of charging make each of them wait (X1 lasts 3 s): one acts,
the others rest.  Only one thing is measured at a time, and after each a round trip of the bare echo.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import bare
import rclpy
from machine import Watch
from processes import Processes
from rclpy.node import Node
from report import REACTIONS
from samples import Samples
from staged_board import A, B, C, StagedBoard, authorization, limit
from std_msgs.msg import UInt64

from evse_manager.interface.enums import PilotMode, SessionEventEnum
from evse_manager.nodes.runtime import new_executor

PATIENCE_S = 20.0
SETTLE_S = 0.003
"""Rest before each measurement, in which the boards' due states go out as well."""

X1_S = 3.05
"""Once X1 is set it lasts 3 s."""

LOWER_A = (26.0, 20.0, 14.0)

Event = SessionEventEnum
Script = Iterator[float]
"""A script pauses with the seconds it wants to rest before its next turn."""


class Stage:
    """The process that plays all boards and calls all services."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = Node('benchmark', start_parameter_services=False, enable_rosout=False)
        self.executor = new_executor()
        self.executor.add_node(self.node)
        self.samples = Samples()
        self._echoed = 0.0
        self._echo = self.node.create_publisher(UInt64, bare.ECHO_IN, bare.ONE)
        self.node.create_subscription(UInt64, bare.ECHO_OUT, self._on_echo, bare.ONE)

    def close(self) -> None:
        """Leave the graph."""
        self.executor.remove_node(self.node)
        self.node.destroy_node()
        rclpy.try_shutdown()

    def wait(
        self, condition: Callable[[], Any], what: str | Callable[[], str], limit_s: float = PATIENCE_S
    ) -> Any:
        """Spin until the condition gives something, and return it."""
        end = time.monotonic() + limit_s
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f'not within {limit_s} s: {what() if callable(what) else what}')
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def rest(self, seconds: float) -> None:
        """Spin for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.0:
            self.executor.spin_once(timeout_sec=left)

    def echo_is_there(self) -> None:
        """Wait until the bare echo answers."""
        self.wait(self._echo.get_subscription_count, 'the bare echo')
        while not self._echoed:  # its way back may be found later
            self._echo.publish(UInt64())
            self.rest(0.1)

    def measure_echo(self) -> None:
        """Take one sample of the bare echo."""
        self._echoed = 0.0
        message = UInt64(data=1)
        began = time.perf_counter()
        self._echo.publish(message)
        self.samples.add('echo', self.wait(lambda: self._echoed, 'echo') - began)

    def _on_echo(self, _: UInt64) -> None:
        self._echoed = time.perf_counter()


class Turns:
    """The cycle of one connector: a charging session with everything to measure."""

    def __init__(self, stage: Stage, namespace: str) -> None:
        self._stage = stage
        self.board = StagedBoard(stage.node, namespace)
        self._recording = False

    def script(self) -> Script:
        """Yield after each measurement; the first session warms up and is kept apart."""
        stage, board = self._stage, self.board
        stage.wait(lambda: board.event_at(Event.ENABLED), 'Enabled')
        for name in (
            'authorize_response',
            'pause_charging',
            'resume_charging',
            'set_external_limits',
            'get_id',
        ):
            stage.wait(board.client(name).service_is_ready, name)
        yield X1_S
        while True:
            yield from self._session()
            self._recording = True

    def _session(self) -> Script:
        self._act(self.board.shows(B), event=Event.AUTH_REQUIRED)
        self._call('authorize_response', **authorization(), command=_pwm)
        yield 0.0
        self._asks('C in → ChargingStarted', Event.CHARGING_STARTED)
        yield 0.0
        for current_a in LOWER_A:
            self._call(
                'set_external_limits',
                **limit(current_a),
                command=lambda command, wanted=current_a: command.current_a == wanted,
                effect='set_external_limits → new duty',
            )
            yield 0.0
        self._call('get_id', answer='get_id round trip')
        yield 0.0
        self._leaves()
        yield 0.0
        self._asks('', Event.CHARGING_RESUMED)
        yield 0.0
        self._call(
            'pause_charging', command=_x1, effect='pause_charging → X1', answer='pause_charging round trip'
        )
        self._act(self.board.shows(B), command=_no_power)
        yield X1_S
        self._call('resume_charging', command=_pwm, effect='resume_charging → PWM')
        yield 0.0
        self._asks('', Event.CHARGING_RESUMED)
        yield 0.0
        self._leaves()
        yield 0.0
        self._call('set_external_limits', **limit(None))
        self._act(self.board.shows(A), event=Event.SESSION_FINISHED)
        yield X1_S

    def _asks(self, name: str, event: Event) -> None:
        began = self._act(self.board.shows(C), event=event)
        self._add('C in → allow_power_on true', began, self.board.command_at(_power))
        if name:
            self._add(name, began, self.board.event_at(event))

    def _leaves(self) -> None:
        began = self._act(self.board.shows(B), command=_no_power)
        self._add('C→B in → allow_power_on false', began, self.board.command_at(_no_power))
        self._stage.wait(lambda: self.board.event_at(Event.CHARGING_PAUSED_EV), 'ChargingPausedEV')

    def _act(
        self,
        act: Callable[[], Any],
        *,
        command: Callable[[Any], bool] | None = None,
        event: Event | None = None,
    ) -> float:
        """Do something, wait for what it brings about, and return when it was done."""
        board = self.board
        board.forget()
        began = time.perf_counter()
        act()
        if command is not None:
            self._stage.wait(lambda: board.command_at(command), f'a command ({command.__name__})')
        if event is not None:
            self._stage.wait(lambda: board.event_at(event), event.name)
        return began

    def _call(
        self,
        name: str,
        *,
        command: Callable[[Any], bool] | None = None,
        effect: str = '',
        answer: str = '',
        **fields: Any,
    ) -> None:
        answered: list[float] = []
        call = self.board.calling(name, **fields)

        def act() -> None:
            call().add_done_callback(lambda future: answered.append(time.perf_counter()))

        began = self._act(act, command=command)
        self._stage.wait(lambda: answered, f'the answer of {name}')
        if effect:
            assert command is not None
            self._add(effect, began, self.board.command_at(command))
        if answer:
            self._add(answer, began, answered[0])

    def _add(self, name: str, began: float, ended: float | None) -> None:
        assert ended is not None, name
        self._stage.samples.add(name if self._recording else f'{name}, first session', ended - began)


def _power(command: Any) -> bool:
    return bool(command.allow_power_on)


def _no_power(command: Any) -> bool:
    return not command.allow_power_on


def _pwm(command: Any) -> bool:
    return bool(command.pilot_mode == PilotMode.PWM)


def _x1(command: Any) -> bool:
    return bool(command.pilot_mode == PilotMode.X1)


def measure(processes: Processes, *, managers: int, samples: int) -> dict[str, Any]:
    """Return the summary of every reaction, with at least so many samples of each."""
    stage = Stage()
    echo = processes.bare('echo')
    started = [processes.node('evse_manager', f'/bay_{number}') for number in range(managers)]
    turns = [Turns(stage, f'/bay_{number}') for number in range(managers)]
    try:
        stage.echo_is_there()
        waiting = [(0.0, number, turn.script()) for number, turn in enumerate(turns)]
        watch = Watch(processes.pids)
        while min(stage.samples.count(name) for name, *_ in REACTIONS) < samples:
            waiting.sort(key=lambda entry: entry[0])
            ready, number, script = waiting.pop(0)
            while (left := ready - time.monotonic()) > 0.0:
                stage.rest(min(left, 0.05))
                _heartbeats(turns)
            stage.rest(SETTLE_S)
            pause = next(script)
            waiting.append((time.monotonic() + pause, number, script))
            _heartbeats(turns)
            stage.rest(SETTLE_S)
            stage.measure_echo()
        return {'figures': stage.samples.summary(), 'machine': watch.end(), 'managers': managers}
    finally:
        stage.close()
        processes.stop(echo, *started)


def _heartbeats(turns: list[Turns]) -> None:
    for turn in turns:
        turn.board.heartbeat()
