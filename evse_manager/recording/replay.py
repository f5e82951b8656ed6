"""
Replay of a recording: the manager again, with the same calls at the same times, and every output compared.

The replay starts from the recorded state and calls what the recording says; whatever comes from outside
(names of sessions, random numbers, the warning of the records) is the recorded one.  Every output and every
later snapshot has to be the recorded one to the byte.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evse_manager.charging.kernel import Output
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import BoardCommand, EvseStatus, SessionEvent, Time
from evse_manager.lease.manager import BoardLeaseClient
from evse_manager.manager import NoRecords
from evse_manager.recording import codec
from evse_manager.recording.decoder import Decoder, Given, Turn
from evse_manager.recording.journal import Journal, JournaledManager, Sink
from evse_manager.recording.window import Line

OF_TIME_ALONE = frozenset(
    {'resume_start', 'ignore_limits', 'shut_down', 'withdraw', 'run', 'renew', 'publish_status'}
)
"""Methods of a manager that take the time and nothing else."""

ABSENT = '(nothing)'


class ReplayError(ValueError):
    """A recording cannot be replayed; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that the replay gave and the recording does not have, or the other way round."""

    at: Time
    """The recorded wall clock."""
    turn: int
    """Number of the turn in the recording, from 1 on."""
    do: str
    """The method of the manager that was called."""
    what: str
    """The output and its field, as ``status.limit_a``."""
    recorded: str
    replayed: str


@dataclass(slots=True)
class ReplayReport:
    """Result of a replay."""

    turns: int = 0
    outputs: int = 0
    begun: Time = Time(0)
    ended: Time = Time(0)
    differences: int = 0


def replay(lines: Iterable[Line], report: ReplayReport, sink: Sink | None = None) -> Iterator[Difference]:
    """
    Replay a recording; yield the differences, and keep the numbers in ``report``.

    ``sink`` gets the journal of the replay.  Raises ReplayError when the lines are not a recording of this
    version.
    """
    player: _Player | None = None
    decoder = Decoder()
    for line in lines:
        try:
            if line.is_snapshot:
                snapshot = decoder.snapshot(line)
                if player is None or snapshot.get('new'):  # a manager in place of the one before
                    player = _Player(snapshot, report, sink)
                    report.begun = report.begun or Time(line.wall)
                found = list(player.compare_state(snapshot, Time(line.wall)))
            elif player is None:
                raise ReplayError('the recording does not begin with the state of the manager.')
            else:
                found = list(player.play(decoder.turn(line)))
        except codec.CodecError as error:
            raise ReplayError(
                f'turn {report.turns + 1} cannot be read ({error}); use the version that recorded it.'
            ) from error
        report.ended = Time(line.wall)
        for difference in found:
            report.differences += 1
            yield difference
    if player is None:
        raise ReplayError('the recording is empty.')


class _Player:
    """The manager of a replay, and what it gave in the present turn."""

    def __init__(self, snapshot: dict[str, Any], report: ReplayReport, sink: Sink | None) -> None:
        """Begin with the state of a snapshot; the journal of the replay goes to ``sink``."""
        self._report = report
        self._records = _Records()
        self._drawn: list[Any] = []
        self._memories: list[Any] = []
        self._gave: list[Given] = []
        self._now = ClockReadings(0.0, 0.0, Time(0))
        self._journal = journal = _Listening(sink or _Nowhere(), self._gave)
        self._manager = JournaledManager(
            journal,
            Config(),
            BoardLeaseClient('', 1.0),
            _Silent(),
            self._records,
            new_uuid=self._draw,
            random=self._draw,
        )
        drawing = journal.drawing(self._draw)
        callables = {
            'new_uuid': drawing,
            'random': drawing,
            '_remember': journal.remembering(self._remember),
        }
        for name, plain in snapshot['state'].items():
            if name not in vars(self._manager):
                raise codec.CodecError(f'a manager has no {name!r:.60}')
            setattr(self._manager, name, codec.decode(plain, callables=callables))

    def compare_state(self, snapshot: dict[str, Any], at: Time) -> Iterator[Difference]:
        """Yield how the state differs from that of a snapshot."""
        self._records.warning = snapshot['warning']
        for name, plain in snapshot['state'].items():
            replayed = codec.encode(getattr(self._manager, name), name=name)
            for path, left, right in differences(plain, replayed, name):
                yield Difference(at, self._report.turns, 'snapshot', path, left, right)
        self._journal.snapshot(replace(self._now, wall=at))

    def play(self, turn: Turn) -> Iterator[Difference]:
        """Take a turn again; yield how its outputs differ."""
        self._report.turns += 1
        self._drawn[:] = turn.drew
        self._memories[:] = turn.remembered
        if turn.warned is not None:
            self._records.warning = turn.warned
        self._gave.clear()
        self._now = turn.now
        failed = None
        try:
            self._call(turn)
        except Exception as error:  # noqa: BLE001 - a failure of the manager is what is looked for
            failed = error
        self._report.outputs += len(self._gave)
        if self._journal.failure:
            raise codec.CodecError(self._journal.failure)
        for what, left, right in self._compare(turn, failed):
            yield Difference(turn.now.wall, self._report.turns, turn.do, what, left, right)

    def _compare(self, turn: Turn, failed: Exception | None) -> Iterator[tuple[str, str, str]]:
        recorded, raised = turn.gave, turn.raised
        for number in range(max(len(recorded), len(self._gave))):
            left = recorded[number] if number < len(recorded) else None
            right = self._gave[number] if number < len(self._gave) else None
            if left is None or right is None or left[0] != right[0]:
                name = f'output {number + 1}'
                yield name, ABSENT if left is None else left[0], ABSENT if right is None else right[0]
                continue
            yield from differences(codec.encode(left[1]), codec.encode(right[1]), left[0])
            yield from differences(left[2], right[2], f'kind of {left[0]}')
        if (failed and type(failed).__name__) != raised:
            yield 'failure', raised or ABSENT, repr(failed) if failed else ABSENT
        if self._drawn:
            yield 'names and random numbers that were drawn', str(len(self._drawn)), ABSENT

    def _call(self, turn: Turn) -> None:
        manager, now, arguments = self._manager, turn.now, turn.arguments
        match turn.do:
            case 'start':
                manager.start(now, remember=self._remember)
            case _ if turn.do in OF_TIME_ALONE:
                getattr(manager, turn.do)(now)
            case 'close':
                manager.close(now, arguments['reason'])
            case 'take':
                manager.take(arguments['event'], now)
            case 'observe':
                manager.observe(arguments['state'], now)
            case 'execute':
                manager.execute(arguments['command'], lambda _answer: None, now)
            case 'fail':
                manager.fail(arguments['reason'], now)
            case _:
                raise codec.CodecError(f'there is no {turn.do!r}')

    def _remember(self) -> Any:
        if not self._memories:
            raise ValueError('The replay asks for the memory of an earlier process more often than recorded.')
        return self._memories.pop(0)

    def _draw(self) -> Any:
        if not self._drawn:
            raise ValueError('The replay draws more names or random numbers than were recorded.')
        return self._drawn.pop(0)


class _Nowhere:
    """Forgets a journal."""

    def wants_snapshot(self, _steady: float) -> bool:
        """Return False: the recording says where its snapshots are."""
        return False

    def snapshot(self, line: bytes, now: ClockReadings) -> None:
        """Do nothing."""

    def turn(self, line: bytes, now: ClockReadings) -> None:
        """Do nothing."""


class _Listening(Journal):
    """A journal that also keeps the outputs of the present turn."""

    def __init__(self, sink: Sink, outputs: list[Given]) -> None:
        super().__init__(sink)
        self._outputs = outputs

    def gave(self, what: str, value: Any, *flags: bool) -> None:
        """Keep an output."""
        self._outputs.append((what, value, list(flags)))
        super().gave(what, value, *flags)


class _Records(NoRecords):
    """Records that warn of what the recording says."""


class _Silent:
    """Callbacks that do nothing: the journal records the outputs."""

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        """Do nothing."""

    def publish(self, output: Output) -> None:
        """Do nothing."""

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        """Do nothing."""

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        """Do nothing."""


def differences(recorded: Any, replayed: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, recorded and replayed value of each difference of two plain values."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in {**recorded, **replayed}:
            inner = path if key.startswith('$') else f'{path}.{key}'
            yield from differences(recorded.get(key, ABSENT), replayed.get(key, ABSENT), inner)
    elif isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        for number, (left, right) in enumerate(zip(recorded, replayed)):
            yield from differences(left, right, f'{path}[{number}]')
    else:
        left, right = _text(recorded), _text(replayed)
        if left != right:
            yield path, left, right


def _text(plain: Any) -> str:
    return plain if plain is ABSENT else json.dumps(plain)
