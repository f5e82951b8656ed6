"""
A virtual board at work: board, line and terminal in real time, and the commands that play with them.

In a process of its own ``run`` is the main loop; a test or a notebook runs it in a thread::

    with VirtualBoardHost('openevse') as host:
        driver_port = host.port
        host.execute('plug_in single_phase soc_percent=20')
        host.execute('inject line_drop 3')
        host.execute('clear')

``COMMANDS`` lists all commands; ``execute`` takes them as a person types them, raises ``SimulationError``
with a sentence for what cannot be done, and may be called from any thread.
"""

import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evse_manager.simulation.faults import SimulationError
from evse_manager.simulation.profiles import EvProfile
from evse_manager.simulation.scheduler import Scheduler
from evse_manager.simulation.virtual import line as line_faults
from evse_manager.simulation.virtual.board import KINDS, VirtualBoard, board_class
from evse_manager.simulation.virtual.line import SimulatedLine
from evse_manager.simulation.virtual.terminal import Terminal
from evse_manager.simulation.world import WorldSettings, profile_named

COMMANDS = {
    'plug_in': '[PROFILE] [field=value …]: plug an EV in, as `plug_in single_phase soc_percent=20`.',
    'unplug': 'Pull the plug at the car.',
    'ev_pause': 'The EV wants no power.',
    'ev_resume': 'The EV wants power again.',
    'set_proximity': 'AMPACITY: change the coding of the cable (13, 20, 32, 63 A; 0 = none).',
    'inject': 'FAULT [arguments]: begin a fault of the EV, the board or the line; `faults` lists them.',
    'clear': '[FAULT]: end a fault, or all.',
    'wrong': 'VALUE [is]: report a wrong value until called without `is`; `values` lists them.',
    'reset': 'Restart the controller of the board.',
    'pull_port': 'Pull the serial adapter out.',
    'plug_port': 'Put it back.',
    'status': 'Tell the state.',
    'faults': 'List all faults.',
    'values': 'List the values that can be wrong.',
    'help': 'List the commands.',
}
"""Every command with its arguments."""

_SWITCHES = {'true': True, '1': True, 'false': False, '0': False}

ALIASES = {'link_lost': 'line_stall'}
"""Names of the simulated board's faults that are faults of the line here."""


class VirtualBoardHost:
    """See the module's description."""

    def __init__(
        self, board: VirtualBoard | str, link: Path | None = None, settings: WorldSettings | None = None
    ) -> None:
        """Put everything together and make the port appear; time begins with ``run`` or ``start``."""
        if isinstance(board, str):
            board = board_class(board)(settings)
        self.board = board
        """The board, to be touched inside of ``call`` only while the host runs."""
        self.terminal = Terminal(link)
        self.watch: Callable[[float, dict[str, str]], None] = lambda seconds, state: None
        """Called with the text of ``describe`` whenever it has changed."""
        self._timers = Scheduler()
        self._now = 0.0
        self.line = SimulatedLine(
            self.terminal.write, board.receive, self._timers, lambda: self._now,
            chatter=board.chatter, seed=board.world.settings.seed,
        )  # fmt: skip
        board.send = self.line.from_board
        self._begun = time.monotonic()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._signal = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = threading.Event()
        self._runs_in: int | None = None
        self._thread: threading.Thread | None = None
        self._shown: dict[str, str] = {}
        self.terminal.plug_in()

    @property
    def port(self) -> str:
        """Return the name of the port for the driver."""
        return self.terminal.port

    # --- running ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name=f'virtual {self.board.name}', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End ``run`` soon; may be called from any thread and from signal handlers."""
        self._stopping.set()
        if self._signal >= 0:
            os.eventfd_write(self._signal, 1)

    def close(self) -> None:
        """End everything and remove the port."""
        if self._signal < 0:
            return
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self.terminal.pull_out()
        os.close(self._signal)
        self._signal = -1

    def run(self) -> None:
        """Run the board in real time until ``stop``."""
        self._runs_in = threading.get_ident()
        self._begun = time.monotonic()
        self.board.power_up()
        while not self._stopping.is_set():
            self._step()
            self._wait()
        self._runs_in = None
        self._answer_calls()  # whoever has asked in the last moment is not left waiting

    def call(self, action: Callable[[], Any]) -> Any:
        """Do something to the board between two steps, and return or raise what comes of it."""
        if self._runs_in in {None, threading.get_ident()}:
            return action()
        future: Future[Any] = Future()
        self._calls.append((action, future))
        os.eventfd_write(self._signal, 1)
        return future.result(timeout=10.0)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Plan something for a time after the start; call it before ``run``."""
        self._timers.at(seconds, action)

    def _step(self) -> None:
        """Let everything happen that is due."""
        now = time.monotonic() - self._begun
        while (due := self._timers.next_time()) is not None and due <= now:
            self._now = due
            self.board.advance(due)
            self._timers.run_next()
        self._now = now
        self.board.advance(now)
        data = self.terminal.read()
        if data:
            self.line.from_host(data)
        self._answer_calls()
        state = self.describe()
        if state != self._shown:
            self._shown = state
            self.watch(now, state)

    def _answer_calls(self) -> None:
        while self._calls:
            action, future = self._calls.popleft()
            try:
                future.set_result(action())
            except Exception as error:  # noqa: BLE001 - the caller of the future gets it
                future.set_exception(error)

    def _wait(self) -> None:
        """Wait for bytes, calls, or the next event."""
        poller = select.poll()
        poller.register(self._signal, select.POLLIN)
        terminal = self.terminal.descriptor
        if terminal is not None:
            poller.register(terminal, select.POLLIN | (select.POLLOUT if self.terminal.waiting else 0))
        times = (self._timers.next_time(), self.board.next_event())
        due = min((each for each in times if each is not None), default=None)
        wait = None if due is None else max(due - (time.monotonic() - self._begun), 0.0) * 1000.0 + 0.5
        for descriptor, events in poller.poll(wait):
            if descriptor == self._signal:
                os.eventfd_read(self._signal)
            elif events & select.POLLOUT:
                self.terminal.flush()

    # --- commands ---------------------------------------------------------------------------------

    def describe(self) -> dict[str, str]:
        """Return the state of board and line, for people."""
        faults = (*self.board.active_faults(), *self.line.active_faults)
        wrong = tuple(f'{name}={value}' for name, value in self.board.wrong.items())
        return {
            **self.board.describe(),
            'port': self.port if self.terminal.path else 'pulled out',
            'faults': ' '.join((*faults, *wrong)) or 'none',
        }

    def execute(self, text: str) -> str:
        """
        Carry out a command; return what there is to say.

        Raises SimulationError with one sentence, when it cannot be done.
        """
        words = text.split()
        if not words:
            return ''
        return str(self.call(lambda: self._execute(words[0], words[1:])))

    def known_faults(self) -> dict[str, str]:
        """Return every fault of EV, board and line with a description."""
        return {**self.board.known_faults(), **line_faults.FAULTS}

    def _execute(self, command: str, words: list[str]) -> str:
        world = self.board.world
        match command, words:
            case 'plug_in', _:
                world.plug_in(_profile(world.settings.ev_profile, words))
            case 'unplug', []:
                world.unplug()
            case 'ev_pause', []:
                world.ev_pause()
            case 'ev_resume', []:
                world.ev_resume()
            case 'set_proximity', [ampacity]:
                world.set_proximity(_number('ampacity', ampacity))
            case 'inject', [name, *arguments]:
                self._inject(ALIASES.get(name, name), arguments)
            case 'clear', []:
                self.line.clear()
                self.board.wrong.clear()
                self.board.clear()
                self.terminal.plug_in()
            case 'clear', [name]:
                self._clear(ALIASES.get(name, name))
            case 'wrong', [name, *rest] if len(rest) <= 1:
                self._wrong(name, rest)
            case 'reset', []:
                self.board.inject('board_reset')
            case 'pull_port', []:
                self.terminal.pull_out()
            case 'plug_port', []:
                self.terminal.plug_in()
            case 'status', []:
                return _table(self.describe())
            case 'faults', []:
                return _table(self.known_faults())
            case 'values', []:
                return _table({name: value.description for name, value in self.board.values.items()})
            case 'help', _:
                return _table(COMMANDS)
            case _ if command in COMMANDS:
                raise SimulationError(f'{command} takes {COMMANDS[command]}')
            case _:
                raise SimulationError(
                    f'There is no command {command!r:.60}; known are: {", ".join(COMMANDS)}.'
                )
        self.board.settle()
        return ''

    def _inject(self, name: str, arguments: list[str]) -> None:
        if name in line_faults.FAULTS:
            self.line.inject(name, *arguments)
        elif name not in self.board.known_faults():
            raise self._unknown(name)
        elif arguments:
            raise SimulationError(f'{name} takes no arguments.')
        else:
            self.board.inject(name)

    def _clear(self, name: str) -> None:
        if name in line_faults.FAULTS:
            self.line.clear(name)
        elif name not in self.board.known_faults():
            raise self._unknown(name)
        else:
            self.board.clear(name)

    def _unknown(self, name: str) -> SimulationError:
        return SimulationError(
            f'There is no fault {name!r:.60}; choose one of: {", ".join(self.known_faults())}.'
        )

    def _wrong(self, name: str, rest: list[str]) -> None:
        if name not in self.board.values:
            known = ', '.join(self.board.values)
            raise SimulationError(f'There is no value {name!r:.60}; choose one of: {known}.')
        value = self.board.values[name]
        if not rest:
            self.board.wrong.pop(name, None)
        elif value.accepts(rest[0]):
            self.board.wrong[name] = rest[0]
        else:
            raise SimulationError(f'{name} is {rest[0]!r:.60}, but must be {KINDS[value.kind]}.')


def _profile(default: str, words: list[str]) -> EvProfile:
    """Return the profile of ``plug_in``'s arguments."""
    name = words.pop(0) if words and '=' not in words[0] else default
    profile = profile_named(name)
    fields_of_an_ev = [field.name for field in fields(EvProfile) if field.name != 'description']
    for word in words:
        field, _, value = word.partition('=')
        if field not in fields_of_an_ev:
            raise SimulationError(f'An EV has no {field!r:.60}; choose one of: {", ".join(fields_of_an_ev)}.')
        changed = _of_kind(field, value, type(getattr(profile, field)))
        profile = replace(profile, **{field: changed})  # type: ignore[arg-type]
    return profile


def _of_kind(name: str, text: str, kind: type) -> float:
    """Return a property of an EV: a switch, a whole number, or a number."""
    if kind is bool:
        if text not in _SWITCHES:
            raise SimulationError(f'{name} is {text!r:.60}, but must be true or false.')
        return _SWITCHES[text]
    number = _number(name, text)
    if kind is int:
        if number != int(number):
            raise SimulationError(f'{name} is {text!r:.60}, but must be a whole number.')
        return int(number)
    return number


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SimulationError(f'{name} is {text!r:.60}, but must be a number.')
    return number


def _table(rows: dict[str, str]) -> str:
    width = max((len(name) for name in rows), default=0)
    return '\n'.join(f'  {name:<{width}}  {text}' for name, text in rows.items())
