"""Recorded conversations of the OpenEVSE firmware (test/data/openevse), and their replay."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evse_manager.simulation.pilot import Levels
from evse_manager.simulation.scheduler import Event, Scheduler
from evse_manager.simulation.virtual.openevse_firmware import Firmware
from evse_manager.simulation.virtual.openevse_terminals import PilotDrive, Terminals

FOLDER = Path(__file__).parents[1] / 'data' / 'openevse'
CONTACTS_S = 0.015
CAR_V = {'A': 12.0, 'B': 9.0, 'C': 6.0, 'D': 3.0, 'E': 0.0}
DRIVES = {PilotDrive.UNDRIVEN: 'undriven', PilotDrive.PLUS_12: '+12', PilotDrive.MINUS_12: '-12'}
STEPS, STEPS_PER_A = 8000, 133
"""Resolution of the generator of the pilot's PWM."""

SHORTEST_S = 0.0005
"""A pilot value that stood for less than this is not recorded."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that came out of the board: a line, or a change of pilot, relay or contacts."""

    t: float
    value: str


@dataclass(slots=True)
class Output:
    """Everything that came out, by kind."""

    lines: list[Seen] = field(default_factory=list)
    pilot: list[Seen] = field(default_factory=list)
    relay: list[Seen] = field(default_factory=list)
    contacts: list[Seen] = field(default_factory=list)

    def changes(self, kind: str) -> list[Seen]:
        """Return one of the outputs without values that stood for no time, and without repetitions."""
        kept = [Seen(0.0, 'open')] if kind == 'relay' else []
        for seen in getattr(self, kind):
            if kept and seen.t - kept[-1].t < SHORTEST_S:
                kept.pop()
            if not kept or kept[-1].value != seen.value:
                kept.append(seen)
        return kept[1:] if kind == 'relay' else kept


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded scenario."""

    name: str
    initial: dict[str, Any]
    entries: tuple[dict[str, Any], ...]

    @property
    def end(self) -> float:
        """Return the time of the last entry."""
        return max(float(entry['t']) for entry in self.entries)

    def output(self) -> Output:
        """Return what came out of the real board."""
        output = Output()
        for entry in self.entries:
            t = float(entry['t'])
            for key, kind in (
                ('board', output.lines), ('pilot', output.pilot), ('relay', output.relay),
                ('contacts', output.contacts),
            ):  # fmt: skip
                if key in entry:
                    kind.append(Seen(t, str(entry[key])))
        return output


def recordings() -> list[Recording]:
    """Return every recording."""
    found = []
    for path in sorted(FOLDER.glob('*.jsonl')):
        header, *entries = (json.loads(line) for line in path.read_text(encoding='utf-8').splitlines())
        found.append(Recording(path.stem, header['initial'], tuple(entries)))
    return found


class RecordedTerminals(Terminals):
    """The world of the recordings: it does what the stimuli say and does not react to the pilot."""

    def __init__(
        self,
        world: dict[str, Any],
        after: Callable[[float, Callable[[], None]], Event],
        changed: Callable[[str, str], None],
    ) -> None:
        super().__init__()
        self.world = dict(world)
        self.closed = False
        self._after = after
        self._changed = changed
        self._shown = ('undriven', 'open')
        self._coil_high = False
        self._line = bool(world['gfi'])

    def driven(self) -> None:
        pwm = self.pilot is PilotDrive.PWM
        pilot = f'{self.pilot_a * STEPS_PER_A / STEPS * 1000.0:.1f}' if pwm else DRIVES[self.pilot]
        relay = 'closed' if self.relay else 'open'
        if pilot != self._shown[0]:
            self._changed('pilot', pilot)
        if relay != self._shown[1]:
            self._changed('relay', relay)
            self._after(CONTACTS_S, self._follow)
        self._shown = pilot, relay
        self._drive_coil()

    def stimulate(self, stimulus: dict[str, Any]) -> None:
        self.world.update(stimulus)
        self._update_line()

    def _follow(self) -> None:
        self.closed = self.relay

    def _drive_coil(self) -> None:
        how = str(self.world['gfi_selftest'])
        if self.test_coil and how != 'fail':
            self._coil_high = True
        elif not self.test_coil and self._coil_high:
            late_s = float(how.split()[1]) if how.startswith('late') else 0.0
            self._after(late_s, self._coil_falls)
        self._update_line()

    def _coil_falls(self) -> None:
        self._coil_high = self.test_coil and self.world['gfi_selftest'] != 'fail'
        self._update_line()

    def _update_line(self) -> None:
        line = self.residual()
        rises, self._line = line and not self._line, line
        if rises:
            self.on_trip()

    @property
    def _contacts_closed(self) -> bool:
        return bool(self.world['weld'] or (self.closed and not self.world['relay_stuck_open']))

    def levels(self) -> Levels:
        high = CAR_V[self.world['car_state']]
        if self.pilot is not PilotDrive.PWM:
            return Levels(high, high) if self.pilot is PilotDrive.PLUS_12 else Levels(-12.0, -12.0)
        if self.world['car_state'] == 'E':
            return Levels(0.0, 0.0)
        good = self.world['car_state'] == 'A' or self.world['diode']
        return Levels(high, -12.0 if good else -high)

    def mains(self) -> bool:
        return self._contacts_closed and bool(self.world['ground'])

    def residual(self) -> bool:
        return bool(self.world['gfi']) or self._coil_high

    def current_a(self) -> float:
        draws = self._contacts_closed and self.world['car_state'] in {'C', 'D'}
        return float(self.world['load_a']) if draws else 0.0

    def temperature_c(self) -> float:
        return float(self.world['temperature_c'])


class Replay:
    """Plays the stimuli and the host's lines of a recording to the virtual chip."""

    def __init__(self, recording: Recording) -> None:
        self.now = 0.0
        self.output = Output()
        self._timers = Scheduler()
        self.terminals = RecordedTerminals(recording.initial, self._after, self._changed)
        self.firmware = Firmware(self.terminals, lambda: self.now, self._after, self._received)

    def run(self, recording: Recording) -> Output:
        self._changed('pilot', 'undriven')
        for entry in recording.entries:
            if 'stimulus' in entry or 'host' in entry:
                self._advance(float(entry['t']))
                self._play(entry)
        self._advance(recording.end + 0.2)
        return self.output

    def _play(self, entry: dict[str, Any]) -> None:
        for key, value in entry.get('stimulus', {}).items():
            if key in {'power_up', 'power_cycle', 'reset'}:
                self.firmware.power_up()
            else:
                self.terminals.stimulate({key: value})
        if 'host' in entry:
            end = b'\r' if entry.get('cr', True) else b''
            self.firmware.receive(entry['host'].encode('latin-1') + end)

    def _advance(self, to: float) -> None:
        while (due := self._timers.next_time()) is not None and due <= to:
            self.now = due
            self._timers.run_next()
        self.now = to

    def _after(self, seconds: float, action: Callable[[], None]) -> Event:
        return self._timers.at(self.now + seconds, action)

    def _received(self, data: bytes) -> None:
        for line in data.decode('latin-1').replace('\n', '\r').split('\r'):
            if line:
                self.output.lines.append(Seen(self.now, line))

    def _changed(self, kind: str, value: str) -> None:
        getattr(self.output, kind).append(Seen(self.now, value))


def replay(recording: Recording) -> Output:
    """Return what comes out of the virtual chip."""
    return Replay(recording).run(recording)


def show(seen: Iterable[Seen]) -> str:
    """Return outputs for people."""
    return '\n'.join(f'{each.t:8.3f} {each.value}' for each in seen)
