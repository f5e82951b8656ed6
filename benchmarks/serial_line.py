"""
Cost of a serial line: reactions through a real port, recovery of a pulled one, processor time.

Manager and board node are processes as installed; the virtual boards live in this process, so that what
passes on their pseudo-terminals is stamped by the clock that stamps what the manager publishes.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from machine import Watch
from processes import Processes
from reactions import Script, Stage
from resources import call, usage
from samples import Samples
from staged_board import authorization

from evse_manager.board.boards.yeti.messages import FROM_HOST, AllowPower, PilotState, YetiParser
from evse_manager.interface import endpoints
from evse_manager.interface.enums import ControlPilotState, LinkState, SessionEventEnum
from evse_manager.nodes.qos import profile
from evse_manager.simulation.virtual.host import VirtualBoardHost
from evse_manager.simulation.world import WorldSettings

Event = SessionEventEnum

LOW_LEVEL = 'yeti'
"""The board whose loop is in this package; the firmware of the others opens before it reports."""
PILOT_C = 2
"""Code of state C on a Yeti board."""

BOARDS: Mapping[str, Mapping[str, object]] = {
    'yeti': {'driver': 'yeti'},
    'openevse': {'driver': 'openevse', 'phases': 3},
    'phoenix': {'driver': 'phoenix'},
    'phoenix with sdm630': {'driver': 'phoenix', 'meter': 'sdm630'},
}
"""Parameters of ``board_support`` beside the port."""

REST_S = 3.0
"""After each act boards, cars and the rules of charging get so much time."""
OUT_S = 1.0
"""A port stays pulled out for this long once its loss is known."""
SETTLED_S = 5.0

OFF_IN = 'pilot leaves C on the wire → contactor off on the wire'
TOLD_IN = 'pilot leaves C at the board → ChargingPausedEV'
UP_IN, POWER_IN = 'port back → link up', 'port back → ChargingResumed'


class ConnectorView:
    """One connector with its virtual board, and what was seen of both."""

    def __init__(self, stage: Stage, samples: Samples, name: str, processes: Processes, ports: Path) -> None:
        self.name, self._stage, self._samples = name, stage, samples
        self._namespace = '/' + name.replace(' ', '_')
        port = ports / self._namespace[1:]  # the same name after each pull
        self.host = VirtualBoardHost(str(BOARDS[name]['driver']), port, WorldSettings(phases=3))
        self._wire: list[tuple[float, bool, bytes]] = []
        self._left_c: float | None = None
        self._spy()
        self.host.start()
        self.processes = {
            'board_support': processes.node('board_support', self._namespace, port=port, **BOARDS[name]),
            'evse_manager': processes.node('evse_manager', self._namespace, replug_grace_s=0.0),
        }
        self._events: list[tuple[float, Event]] = []
        self._link: LinkState | None = None
        self._listen('session_event', self._on_event)
        self._listen('board/state', self._on_state)

    # --- what is seen ---

    def _spy(self) -> None:
        """Stamp what passes on the port, in both directions; all in the thread of the board."""
        board, terminal = self.host.board, self.host.terminal
        send, read = board.send, terminal.read

        def sent(data: bytes) -> None:
            self._wire.append((time.perf_counter(), False, data))
            send(data)

        def received() -> bytes:
            data = read()
            if data:
                self._wire.append((time.perf_counter(), True, data))
            return data

        def watch(_seconds: float, _state: dict[str, str]) -> None:
            if self._left_c is None and board.seen.cp_state is not ControlPilotState.C:
                self._left_c = time.perf_counter()

        board.send, terminal.read = sent, received  # type: ignore[method-assign]
        self.host.watch = watch

    def _listen(self, name: str, heard: Callable[[Any], None]) -> None:
        topic = endpoints.topic(name)
        self._stage.node.create_subscription(
            endpoints.load(topic.type), f'{self._namespace}/{name}', heard, profile(topic.qos)
        )

    def _on_event(self, event: Any) -> None:
        self._events.append((time.perf_counter(), Event(event.event)))

    def _on_state(self, state: Any) -> None:
        self._link = LinkState(state.link_state)

    def _event(self, wanted: Event) -> float:
        """Wait for an event since the last act, and return when it came."""
        found = lambda: next((at for at, event in self._events if event is wanted), None)  # noqa: E731
        return float(self._stage.wait(found, f'{wanted.name} of {self.name}'))

    def _act(self, command: str) -> float:
        """Do something to car, board or port; return when."""
        self._events.clear()
        self._wire.clear()
        self._left_c = None
        began = time.perf_counter()
        self.host.execute(command)
        return began

    # --- what is done ---

    def script(self, sessions: int, pulls: int) -> Script:
        """
        Charge and let the car pause, again and again; pull the port in the first sessions; charge at the end.

        One pull and one pause a session: after three interruptions in a minute power waits a minute.
        """
        self._event(Event.ENABLED)
        self._stage.wait(lambda: self._link is LinkState.UP, f'the link of {self.name}')
        yield REST_S
        for number in range(sessions):
            yield from self._charge()
            if number < pulls:
                self._pull()
                yield REST_S
            yield number / sessions  # or all fall on one moment between two questions of a driver
            self._pause()
            yield REST_S
            self._act('unplug')
            self._event(Event.SESSION_FINISHED)
            yield REST_S
        yield from self._charge()

    def _pause(self) -> None:
        self._act('ev_pause')
        told = self._event(Event.CHARGING_PAUSED_EV)
        assert self._left_c is not None
        self._samples.add(f'{self.name}: {TOLD_IN}', told - self._left_c)
        if self.name == LOW_LEVEL:
            # The event may arrive before the board's thread has read the frame.
            off = self._stage.wait(self._time_to_off, f'the order to open for {self.name}')
            self._samples.add(f'{self.name}: {OFF_IN}', off)

    def _pull(self) -> None:
        """Pull the port and put it back, with nothing between: the pauses before reopening grow meanwhile."""
        self._act('pull_port')
        self._stage.wait(lambda: self._link is not LinkState.UP, f'the lost link of {self.name}')
        self._stage.rest(OUT_S)
        began = self._act('plug_port')
        self._stage.wait(lambda: self._link is LinkState.UP, f'the link of {self.name}')
        self._samples.add(f'{self.name}: {UP_IN}', time.perf_counter() - began)
        self._samples.add(f'{self.name}: {POWER_IN}', self._event(Event.CHARGING_RESUMED) - began)

    def _charge(self) -> Script:
        self._act('plug_in')
        self._event(Event.AUTH_REQUIRED)
        self._events.clear()
        call(self._stage, self._namespace, 'authorize_response', **authorization())
        self._event(Event.CHARGING_STARTED)
        yield REST_S

    def _time_to_off(self) -> float | None:
        """Return the time between the two frames of the last act, None while the second is not read."""
        board, host = YetiParser(), YetiParser(FROM_HOST)
        left: float | None = None
        for at, from_host, data in list(self._wire):
            for message in (host if from_host else board).feed(data):
                if isinstance(message, PilotState) and message.value != PILOT_C and left is None:
                    left = at
                if isinstance(message, AllowPower) and not message.value and left is not None:
                    return at - left
        return None


def measure(processes: Processes, *, sessions: int, pulls: int, seconds: float) -> dict[str, Any]:
    """Return reactions and recovery in milliseconds, and what each connector uses while charging and idle."""
    stage, samples = Stage(), Samples()
    echo = processes.bare('echo')
    ports = tempfile.TemporaryDirectory(prefix='evse_ports_')
    bays = [ConnectorView(stage, samples, name, processes, Path(ports.name)) for name in BOARDS]
    children = [process for view in bays for process in view.processes.values()]
    try:
        stage.echo_is_there()
        watch = Watch(processes.pids)
        waiting = [(0.0, number, view.script(sessions, pulls)) for number, view in enumerate(bays)]
        while waiting:
            waiting.sort(key=lambda entry: entry[0])
            ready, number, script = waiting.pop(0)
            stage.rest(max(0.0, ready - time.monotonic()))
            pause = next(script, None)
            if pause is not None:
                waiting.append((time.monotonic() + pause, number, script))
            stage.measure_echo()
        stage.close()  # no reader while processor time is counted
        pairs = {view.name: view.processes for view in bays}
        time.sleep(SETTLED_S)
        used = {'charging': usage(pairs, seconds=seconds)}
        for view in bays:
            view.host.execute('unplug')
        time.sleep(SETTLED_S)
        used['idle'] = usage(pairs, seconds=seconds)
        figures = {**samples.summary(), 'echo': stage.samples.summary()['echo']}
        return {'figures': figures, 'resources': used, 'machine': watch.end()}
    finally:
        stage.close()
        processes.stop(echo, *children)
        for view in bays:
            view.host.close()
        ports.cleanup()
