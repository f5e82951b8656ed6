"""
The virtual Yeti against recordings of firmware 2.2: same stimuli and orders in, same behaviour out.

``test/data/yeti/README.md`` describes the recordings and gives the tolerances.  Everything runs on simulated
time, byte by byte as on the line.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evse_manager.board.boards.yeti.frames import Cutter, check, encode
from evse_manager.board.boards.yeti.messages import KeepAlive, PowerMeter, YetiParser
from evse_manager.interface.enums import PilotMode
from evse_manager.simulation.pilot import DIODE_DROP_V, Generator, Load
from evse_manager.simulation.profiles import PROFILES
from evse_manager.simulation.virtual.yeti_firmware import VirtualYeti

DATA = Path(__file__).parents[1] / 'data' / 'yeti'
RECORDINGS = sorted(path.stem for path in DATA.glob('*.jsonl'))

BYTE_S = 86.8e-6
PERIODIC = {'keep_alive', 'telemetry', 'power_meter'}

LATE_S, EARLY_S = 0.06, 0.06
"""Reactions come at the next turn of the loop, whose phase to the stimuli is not fixed."""

ORDER_S = 0.01
TIMER_S = 0.1
"""What a timer of the firmware ends comes late by a turn, and at most 10 ms early."""

BETWEEN_KINDS_S = 0.01
BY_CHANCE = '02c-short-glitches'
"""Recorded with a glitch shorter than a turn, which is seen or not by chance."""

A_MOMENT_S = 1e-6
"""What a turn of the loop does comes before what happens at the same time."""

SHIFTS_S = (-0.017, 0.017)
SHIFTED_AFTER_S = 0.5
"""All but the start may come so much earlier or later, against the turns of the loop."""

ONE_TURN_WH = 0.21
WARMING_C = 2.0
SCALING = 0.02
"""The chip's registers have steps."""

PILOT_V = {'B': 9.0, 'C': 6.0, 'D': 3.0}


def resistance(volts: float) -> float:
    """Return the EV's resistance that pulls the pilot to a voltage, a little above whole volts."""
    share = (volts + 0.001 - DIODE_DROP_V) / (12.0 - DIODE_DROP_V)
    return 1000.0 * share / (1.0 - share)


def wire(host: dict[str, Any]) -> bytes:
    """Return the bytes of an order as the host sends them."""
    return bytes.fromhex(host['raw']) if 'raw' in host else encode(bytes.fromhex(host['hex'])[:-4])


class ScriptedCar:
    """What hangs on the pilot as the recording says, in the place of a simulated EV."""

    profile = PROFILES['default']

    def __init__(self) -> None:
        self.state = 'A'
        self.diode = True
        self.load_a = 0.0
        self.mains = False

    @property
    def load(self) -> Load:
        if self.state == 'A':
            return Load()
        if self.state == 'E':
            return Load(0.0, diode=False)
        return Load(resistance(PILOT_V[self.state]), self.diode)

    @property
    def current_a(self) -> float:
        return self.load_a if self.mains else 0.0

    def mains_changed(self, on: bool) -> None:
        self.mains = on

    def pilot_changed(self, mode: PilotMode, duty_percent: float) -> None:
        """Do nothing: the recording says what the car does."""

    def took(self, energy_wh: float) -> None:
        """Have no battery."""

    def energy_to_next_step_wh(self) -> float:
        return 1e9


@dataclass
class Trace:
    """What a board does, each kind by itself with its times."""

    states: list[tuple[float, str]] = field(default_factory=list)
    coil: list[tuple[float, tuple[bool, bool]]] = field(default_factory=list)
    pilot: list[tuple[float, object]] = field(default_factory=list)
    lock_motor: list[tuple[float, str]] = field(default_factory=list)
    periodic: list[tuple[float, Any]] = field(default_factory=list)


class Recording:
    def __init__(self, name: str) -> None:
        lines = [json.loads(line) for line in (DATA / f'{name}.jsonl').read_text().splitlines()]
        self.name = name
        self.header, self.lines = lines[0], lines[1:]

    @property
    def shown(self) -> tuple[float, float]:
        """Return between which times the periodic messages are in the file."""
        if 'omitted' not in self.header:
            return 0.0, self.lines[-1]['t']
        begin, end = self.header.get('shown_between', (0.0, 0.0))
        return begin, end

    def trace(self, shift_s: float) -> Trace:
        """Return what the firmware did, as if all but the start had come so much later."""
        trace = Trace()
        coils = [False, False]
        for line in self.lines:
            at = line['t'] + (shift_s if line['t'] > SHIFTED_AFTER_S else 0.0)
            if 'board' in line:
                message = dict(line['board'])
                payload = bytes.fromhex(message.pop('hex'))
                (kind,) = message
                if kind in PERIODIC:
                    trace.periodic.append((at, parsed(payload)))
                else:
                    trace.states.append((at, payload.hex()))
            elif 'coil' in line or 'coil_2' in line:
                for place, key in enumerate(('coil', 'coil_2')):
                    if key in line:
                        coils[place] = line[key] == 'on'
                if trace.coil and trace.coil[-1][0] == at:
                    trace.coil.pop()
                trace.coil.append((at, (coils[0], coils[1])))
            elif 'pilot' in line:
                trace.pilot.append((at, line['pilot']))
            elif 'lock_motor' in line:
                trace.lock_motor.append((at, line['lock_motor']))
        return trace


def parsed(payload_and_check: bytes) -> Any:
    return YetiParser().parse(payload_and_check[:-4])


class Replay:
    """Feeds a recording's stimuli and bytes to the virtual board and notes what it does."""

    def __init__(self, recording: Recording, shift_s: float = 0.0) -> None:
        self.trace = Trace()
        self.car = ScriptedCar()
        self.board = VirtualYeti()
        self.board.boot_s = 0.0
        world = self.board.world
        world._generator = Generator()
        world.meter.wander = lambda: None  # type: ignore[method-assign]
        world.ev = self.car  # type: ignore[assignment]
        self._stimulate(recording.header['initial'])
        self._cutter = Cutter(keep_repeated=True)
        self.board.send = self._sent
        self._seen = ((False, False), self._pilot(), None)
        for at, happens in sorted(self._inputs(recording, shift_s), key=lambda each: each[0]):
            self._run(at)
            happens()
            self._look()
        self._run(recording.lines[-1]['t'] + 0.2)

    def _inputs(self, recording: Recording, shift_s: float) -> Iterator[tuple[float, Any]]:
        for line in recording.lines:
            at = line['t'] + (shift_s if line['t'] > SHIFTED_AFTER_S else 0.0)
            if 'stimulus' in line:
                stimulus = line['stimulus']
                yield at, lambda stimulus=stimulus: self._stimulate(stimulus)
            elif 'host' in line:
                for number, byte in enumerate(wire(line['host']), start=1):
                    piece = bytes([byte])
                    yield at + number * BYTE_S, lambda piece=piece: self.board.receive(piece)

    def _stimulate(self, stimulus: dict[str, Any]) -> None:
        board = self.board
        for what, value in stimulus.items():
            match what:
                case 'power_up':
                    board.power_up()
                case 'watchdog_reset':
                    board.watchdog_reset()
                case 'car_state':
                    self.car.state = value
                case 'diode':
                    self.car.diode = value
                case 'load_a':
                    self.car.load_a = value
                case 'rcd' if value:
                    board.inject('rcd_ac')
                    board.clear('rcd_ac')
                case 'weld' if value:
                    board.inject('relay_weld')
                case 'weld' | 'rcd':
                    board.clear('relay_weld')
        board.world._touch()
        board.world._settle()
        board.settle()

    def _run(self, to: float) -> None:
        while (due := self.board.next_event()) is not None and due <= to + A_MOMENT_S:
            self.board.advance(due)
            self._look()
        self.board.advance(max(to, self.board.now))
        self._look()

    def _pilot(self) -> object:
        outputs = self.board.world.outputs
        match outputs.pilot_mode:
            case PilotMode.F:
                return '-12'
            case PilotMode.PWM:
                return round(outputs.duty_cycle_percent * 100.0)
        return '+12'

    def _look(self) -> None:
        board, now = self.board, self.board.now
        coils = board.coil, board.coil and board.phases == 3
        motor = board.lock_motor.drive
        seen = coils, self._pilot(), motor
        before, self._seen = self._seen, seen
        if seen[0] != before[0]:
            self.trace.coil.append((now, coils))
        if seen[1] != before[1]:
            self.trace.pilot.append((now, seen[1]))
        if seen[2] != before[2]:
            self.trace.lock_motor.append((now, 'off' if motor is None else 'lock' if motor else 'unlock'))

    def _sent(self, data: bytes) -> None:
        for payload in self._cutter.feed(data):
            message = YetiParser().parse(payload)
            if type(message).__name__ in {'KeepAlive', 'PilotVoltages', 'PowerMeter'}:
                self.trace.periodic.append((self.board.now, message))
            else:
                self.trace.states.append((self.board.now, encoded(payload)))


def encoded(payload: bytes) -> str:
    """Return payload and check as the recordings have them."""
    return (payload + check(payload).to_bytes(4, 'little')).hex()


def same(kind: str, wanted: list[tuple[float, Any]], seen: list[tuple[float, Any]], late_s: float) -> None:
    """Compare values exactly, and each time with its tolerance."""
    assert [value for _, value in seen] == [value for _, value in wanted], kind
    for (at, value), (seen_at, _) in zip(wanted, seen):
        assert at - EARLY_S <= seen_at <= at + late_s, f'{kind} {value}: {seen_at:.3f} s, recorded {at:.3f} s'


def without_pulses(pilot: list[tuple[float, object]]) -> list[tuple[float, object]]:
    """Leave out the pulses of +12, -12, +12 V at each start, which have no duration."""
    kept: list[tuple[float, object]] = []
    for at, value in pilot:
        if kept and value == '+12' and kept[-1] == (at, '-12'):
            kept.pop()
        if not kept or kept[-1][1] != value:
            kept.append((at, value))
    return kept[1:] if kept and kept[0][0] == 0.0 else kept


def same_content(wanted: Any, seen: Any) -> None:
    """Compare a periodic message; the meter's time stamp is never written by the firmware."""
    assert type(seen) is type(wanted)
    for each in fields(wanted):
        ours, theirs = getattr(seen, each.name), getattr(wanted, each.name)
        match wanted, each.name:
            case PowerMeter(), 'time_stamp':
                pass
            case KeepAlive(), 'time_stamp':
                assert ours == pytest.approx(theirs, abs=100)
            case PowerMeter(), name if name.startswith('wh'):
                assert ours == pytest.approx(theirs, abs=ONE_TURN_WH * (3 if name == 'wh_total' else 1))
            case PowerMeter(), name if name.startswith('c_'):
                assert ours == pytest.approx(theirs, abs=WARMING_C)
            case PowerMeter(), _:
                assert ours == pytest.approx(theirs, abs=SCALING)
            case _:
                assert ours == theirs, each.name


@cache
def replayed(name: str, shift_s: float = 0.0) -> tuple[Recording, Trace, Trace]:
    """Return a recording, what it holds, and what the virtual board did with its stimuli."""
    recording = Recording(name)
    return recording, recording.trace(shift_s), Replay(recording, shift_s).trace


def test_there_are_recordings() -> None:
    assert len(RECORDINGS) == 36


CASES = [
    (name, shift_s)
    for name in RECORDINGS
    for shift_s in (0.0, *SHIFTS_S)
    if not (name == BY_CHANCE and shift_s)
]


@pytest.mark.parametrize(('name', 'shift_s'), CASES)
def test_the_virtual_board_does_what_the_firmware_did(name: str, shift_s: float) -> None:
    _, wanted, seen = replayed(name, shift_s)
    same('state', wanted.states, seen.states, LATE_S)
    same('coil', wanted.coil, seen.coil, TIMER_S)
    same('pilot', without_pulses(wanted.pilot), without_pulses(seen.pilot), LATE_S)
    same('lock motor', wanted.lock_motor, seen.lock_motor, TIMER_S)


@pytest.mark.parametrize('name', RECORDINGS)
def test_the_pilot_follows_an_order_at_once(name: str) -> None:
    recording, wanted, seen = replayed(name)
    orders = [line for line in recording.lines if 'host' in line and 'reset' not in line['host']]
    ends = [line['t'] + len(wire(line['host'])) * BYTE_S for line in orders]
    ordered = [at for at, _ in wanted.pilot if any(abs(at - end) < 0.001 for end in ends)]
    for at in ordered:
        assert any(at - 0.001 <= seen_at <= at + ORDER_S for seen_at, _ in seen.pilot), at


@pytest.mark.parametrize('name', [name for name in RECORDINGS if Recording(name).shown[1]])
def test_the_periodic_messages_are_those_of_the_firmware(name: str) -> None:
    recording, wanted, seen = replayed(name)
    begin, end = recording.shown
    ours = [(at, message) for at, message in seen.periodic if begin - 0.03 <= at <= end + 0.03]
    assert len(wanted.periodic) > 20
    assert len(ours) == len(wanted.periodic)
    for (at, message), (seen_at, sent) in zip(wanted.periodic, ours):
        assert seen_at == pytest.approx(at, abs=0.03)
        same_content(message, sent)
