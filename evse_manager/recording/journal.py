"""
The journal of a manager: every call of it with its time, and what it gave in return.

``JournaledManager`` is a ``ConnectorManager`` that notes what it is called with, what it draws from outside
(names of sessions, random numbers, the warning of the records), and what it gives: commands, outputs of the
kernel, status.  With its state at the beginning that is all it takes to run it again (``replay.py``).

A turn is one line of JSON: ``do`` and ``with`` say which method was called with what, ``at`` when (steady,
clock and wall), ``drew``, ``remembered`` and ``warned`` what came from outside, ``gave`` what went out, and
``raised`` a failure.
Values are written as changes to the last one of their kind since the last snapshot.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from evse_manager.charging import inputs
from evse_manager.charging.commands import Answer
from evse_manager.charging.kernel import Output
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import BoardCommand, BoardState, EvseStatus, SessionEvent
from evse_manager.lease.manager import BoardLeaseClient
from evse_manager.manager import ConnectorManager, ManagerCallbacks, NoRecords, Records, Remember
from evse_manager.recording import codec

T = TypeVar('T')

NOT_STATE = frozenset({'_callbacks', '_records', '_replies', '_journal'})
"""Attributes of a manager that are no state: its surroundings, and the callers that wait for an answer."""


class Sink(Protocol):
    """Where a journal goes."""

    def wants_snapshot(self, steady: float) -> bool:
        """Return whether a snapshot is wanted before the next turn; the first one always has one."""

    def snapshot(self, line: bytes, now: ClockReadings) -> None:
        """Take the state of the manager, from which the following turns go on."""

    def turn(self, line: bytes, now: ClockReadings) -> None:
        """Take one turn."""


class Journal:
    """Notes the turns of one manager; see the module's description."""

    def __init__(self, sink: Sink, hide: codec.Hide = codec.plainly) -> None:
        self.state: Callable[[], dict[str, Any]] = dict
        """Returns everything that decides what the manager does next, by attribute."""
        self.failure = ''
        """Why nothing is noted any more; empty while it is."""
        self._sink = sink
        self._hide = hide
        self._last: dict[tuple[str, str, str], Any] = {}
        """The last value of each kind since the last snapshot."""
        self._begun = False
        self._turn: dict[str, Any] | None = None
        """The turn that is being taken."""
        self._warning = ''

    def snapshot(self, now: ClockReadings) -> None:
        """Note the state; the turns from here on can be replayed without those before."""
        self._last.clear()
        plain = {name: codec.encode(value, self._hide, name) for name, value in self.state().items()}
        snapshot = {'state': plain, 'warning': self._warning, 'new': not self._begun}
        self._begun = True
        self._sink.snapshot(_line(snapshot), now)

    @contextmanager
    def turn(self, do: str, now: ClockReadings, **arguments: Any) -> Iterator[None]:
        """Note a call, unless it is made within another one."""
        if self._turn is not None:
            yield
            return
        turn: dict[str, Any] = {'do': do, 'at': [now.steady, now.clock, now.wall]}
        self._note(self._begin, turn, now, arguments)
        self._turn = turn
        try:
            yield
        except Exception as error:
            turn['raised'] = type(error).__name__
            raise
        finally:
            self._turn = None
            self._note(self._end, turn, now)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Let calls be turns of their own though they are made within a turn: others make them."""
        turn, self._turn = self._turn, None
        try:
            yield
        finally:
            self._turn = turn

    def gave(self, what: str, value: Any, *flags: bool) -> None:
        """Note an output of the turn."""
        if self._turn is not None:
            self._note(self._give, self._turn, what, value, flags)

    def drawing(self, draw: Callable[[], T]) -> Callable[[], T]:
        """Return a function whose results are noted."""

        def noted() -> T:
            value = draw()
            if self._turn is not None:
                self._turn.setdefault('drew', []).append(value)
            return value

        return noted

    def remembering(self, remember: Remember) -> Remember:
        """Return a function that asks for the memory of an earlier process, and notes it."""

        def noted() -> tuple[PersistedState, int] | None:
            with self.outside():
                remembered = remember()
            if self._turn is not None:
                self._note(self._remembered, self._turn, remembered)
            return remembered

        return noted

    def warned(self, warning: str) -> None:
        """Note what the records warn of, when it has changed."""
        if warning != self._warning and self._turn is not None:
            self._warning = self._turn['warned'] = warning

    def _begin(self, turn: dict[str, Any], now: ClockReadings, arguments: dict[str, Any]) -> None:
        if not self._begun:
            self.snapshot(now)
        if arguments:
            turn['with'] = {name: self._changes(turn['do'], name, it) for name, it in arguments.items()}

    def _give(self, turn: dict[str, Any], what: str, value: Any, flags: Sequence[bool]) -> None:
        turn.setdefault('gave', []).append([what, self._changes('gave', what, value), *flags])

    def _remembered(self, turn: dict[str, Any], remembered: tuple[PersistedState, int] | None) -> None:
        turn.setdefault('remembered', []).append(codec.encode(remembered, self._hide))

    def _end(self, turn: dict[str, Any], now: ClockReadings) -> None:
        self._sink.turn(_line(turn), now)
        if self._sink.wants_snapshot(now.steady):  # after the turn, so that no reaction waits for it
            self.snapshot(now)

    def _changes(self, role: str, name: str, value: Any) -> Any:
        key = role, name, type(value).__name__
        plain = codec.changes(self._last.get(key), value, self._hide, name)
        self._last[key] = value
        return plain

    def _note(self, note: Callable[..., None], *arguments: Any) -> None:
        if self.failure:
            return
        try:
            note(*arguments)
        except Exception as error:  # noqa: BLE001 - a manager must not fail because its journal does
            self.failure = f'{type(error).__name__}: {error}'


class JournaledManager(ConnectorManager):
    """A manager whose turns are noted."""

    def __init__(
        self,
        journal: Journal,
        config: Config,
        lease: BoardLeaseClient,
        callbacks: ManagerCallbacks,
        records: Records | None = None,
        *,
        uuid: str = '',
        new_uuid: Callable[[], str],
        random: Callable[[], float],
    ) -> None:
        """Take what a ``ConnectorManager`` takes, and the journal."""
        self._journal = journal
        super().__init__(
            config,
            lease,
            _NotedCallbacks(journal, callbacks),
            _NotedRecords(journal, records if records is not None else NoRecords()),
            uuid=uuid,
            new_uuid=journal.drawing(new_uuid),
            random=journal.drawing(random),
        )
        journal.state = lambda: {name: it for name, it in vars(self).items() if name not in NOT_STATE}

    def start(
        self,
        now: ClockReadings,
        remembered: PersistedState | None = None,
        last_sequence_number: int = 0,
        *,
        remember: Remember | None = None,
    ) -> None:
        """Note and start."""
        asked = remember or (lambda: (remembered or PersistedState(), last_sequence_number))
        with self._journal.turn('start', now):
            super().start(now, remember=self._journal.remembering(asked))

    def resume_start(self, now: ClockReadings) -> None:
        """Note and ask for the memory again."""
        with self._journal.turn('resume_start', now):
            super().resume_start(now)

    def ignore_limits(self, now: ClockReadings) -> None:
        """Note and ignore limits."""
        with self._journal.turn('ignore_limits', now):
            super().ignore_limits(now)

    def shut_down(self, now: ClockReadings) -> None:
        """Note and shut down."""
        with self._journal.turn('shut_down', now):
            super().shut_down(now)

    def withdraw(self, now: ClockReadings) -> None:
        """Note and withdraw power."""
        with self._journal.turn('withdraw', now):
            super().withdraw(now)

    def close(self, now: ClockReadings, reason: str) -> None:
        """Note and close."""
        with self._journal.turn('close', now, reason=reason):
            super().close(now, reason)

    def fail(self, reason: str, now: ClockReadings) -> None:
        """Note and fail."""
        with self._journal.turn('fail', now, reason=reason):
            super().fail(reason, now)

    def take(self, event: inputs.Input, now: ClockReadings) -> None:
        """Note and take an input."""
        with self._journal.turn('take', now, event=event):
            super().take(event, now)

    def observe(self, state: BoardState, now: ClockReadings) -> None:
        """Note and take a board state."""
        with self._journal.turn('observe', now, state=state):
            super().observe(state, now)

    def execute(self, command: inputs.Command, reply: Callable[[Answer], None], now: ClockReadings) -> None:
        """Note and carry out a command."""
        with self._journal.turn('execute', now, command=command):
            super().execute(command, reply, now)

    def run(self, now: ClockReadings) -> None:
        """Note and do what is due."""
        with self._journal.turn('run', now):
            super().run(now)

    def renew(self, now: ClockReadings) -> None:
        """Note and renew."""
        with self._journal.turn('renew', now):
            super().renew(now)

    def publish_status(self, now: ClockReadings) -> None:
        """Note and publish the status."""
        with self._journal.turn('publish_status', now):
            super().publish_status(now)

    def _carry_out(self, output: Output, now: ClockReadings) -> None:
        self._journal.gave('output', output)
        super()._carry_out(output, now)


class _NotedCallbacks:
    """Passes on what a manager gives, and notes what does not stand in an output of the kernel."""

    def __init__(self, journal: Journal, callbacks: ManagerCallbacks) -> None:
        self._journal = journal
        self._callbacks = callbacks
        self.publish = callbacks.publish

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        """Send a command, then note it: power does not wait."""
        self._callbacks.send_command(command, renewal=renewal)
        self._journal.gave('command', command, renewal)

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        """Note and publish a status."""
        self._journal.gave('status', status, periodic)
        with self._journal.outside():
            self._callbacks.publish_status(status, periodic=periodic)

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        """Publish events, which were noted with the output of the kernel."""
        with self._journal.outside():
            self._callbacks.publish_events(events)


class _NotedRecords:
    """The records of a manager; when they write is not up to the manager, what they warn of is an input."""

    def __init__(self, journal: Journal, records: Records) -> None:
        self._journal = journal
        self._records = records

    @property
    def warning(self) -> str:
        """The warning of the records, noted when it has changed."""
        warning = self._records.warning
        self._journal.warned(warning)
        return warning

    @property
    def overdue_at(self) -> float | None:
        """When ``settle`` is due."""
        return self._records.overdue_at

    def keep(self, output: Output, publish: Callable[[], None]) -> None:
        """Record an output."""
        self._records.keep(output, publish)

    def settle(self) -> None:
        """Publish what is recorded."""
        with self._journal.outside():
            self._records.settle()

    def finish(self) -> None:
        """Publish the rest and close."""
        with self._journal.outside():
            self._records.finish()


def _line(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, separators=(',', ':')).encode()
