"""The command line of a virtual board: ``evse_virtual_board openevse --link /tmp/openevse``."""

import argparse
import contextlib
import io
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from evse_manager.interface.parameters import ConfigError
from evse_manager.simulation.faults import SimulationError
from evse_manager.simulation.virtual.board import BOARDS
from evse_manager.simulation.virtual.host import COMMANDS, VirtualBoardHost
from evse_manager.simulation.world import WorldSettings

DESCRIPTION = f"""
Firmware in software: speaks the wire protocol of a charging board on a pseudo-terminal, with a simulated EV
behind it. The driver uses the port that is printed first. Commands on standard input play with it:
{', '.join(COMMANDS)}.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog='evse_virtual_board', description=DESCRIPTION)
    made.add_argument('board', choices=sorted(BOARDS), help='the board to be')
    made.add_argument('--link', type=Path, help='make this symbolic link lead to the port')
    made.add_argument(
        '--do', action='append', default=[], metavar='COMMAND',
        help='a command to begin with, as "inject line_drop 0"; may be given several times',
    )  # fmt: skip
    made.add_argument('--script', type=Path, help='file with a line `SECONDS COMMAND` per timed step')
    made.add_argument('--quiet', action='store_true', help='do not show changes of the state')
    made.add_argument('--seed', type=int, default=1, help='seed of all that is random')
    made.add_argument('--phases', type=int, choices=(1, 3), default=1, help='phases of the board')
    made.add_argument('--max-current', type=float, default=32.0, metavar='A', help='most current per phase')
    made.add_argument('--profile', default='default', help='the EV that `plug_in` without a name takes')
    return made


def main(
    arguments: Sequence[str] | None = None,
    with_rig: Callable[[VirtualBoardHost], Callable[[], None]] | None = None,
) -> int:
    """
    Run a virtual board until a signal, or ``quit``; return the exit code.

    ``with_rig`` is called with the host before it starts, and what it returns when it has ended.
    """
    options = parser().parse_args(arguments)
    try:
        settings = WorldSettings(
            seed=options.seed, phases=options.phases, max_current_a=options.max_current,
            ev_profile=options.profile,
        )  # fmt: skip
        steps = [(0.0, _known(command, f'--do {command!r}')) for command in options.do]
        if options.script is not None:
            steps += read_script(options.script)
        host = VirtualBoardHost(options.board, options.link, settings)
    except (ConfigError, SimulationError, OSError) as error:
        print(f'evse_virtual_board: {error}', file=sys.stderr)
        return 2
    for seconds, command in steps:
        host.at(seconds, lambda command=command: _execute(host, command))  # type: ignore[misc]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: host.stop())
    if not options.quiet:
        host.watch = _Show()
    print(host.port, flush=True)
    threading.Thread(target=_read_commands, args=(host,), name='commands', daemon=True).start()
    with contextlib.closing(host):
        ended = with_rig(host) if with_rig is not None else lambda: None
        try:
            host.run()
        finally:
            ended()
    return 0


def read_script(script: Path) -> list[tuple[float, str]]:
    """
    Return the timed steps of a script: lines of ``SECONDS COMMAND``, empty ones and ``# comments``.

    Raises SimulationError for a malformed line, OSError when it cannot be read.
    """
    try:
        lines = script.read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError:
        raise SimulationError(f'{script} is no text; a script has a line SECONDS COMMAND per step.') from None
    steps = []
    for number, line in enumerate(lines, start=1):
        words = line.partition('#')[0].split(maxsplit=1)
        if not words:
            continue
        try:
            seconds = float(words[0])
        except ValueError:
            seconds = -1.0
        if len(words) < 2 or not 0.0 <= seconds < float('inf'):
            raise SimulationError(f'{script}, line {number}: {line!r:.60} is not SECONDS COMMAND.')
        steps.append((seconds, _known(words[1], f'{script}, line {number}')))
    return steps


def _known(command: str, where: str) -> str:
    """Return a command that begins as one."""
    if command.split()[:1] not in ([name] for name in COMMANDS):
        raise SimulationError(f'{where}: {command!r:.60} is none of the commands {", ".join(COMMANDS)}.')
    return command


def _read_commands(host: VirtualBoardHost) -> None:
    """Carry out typed commands; the end of the input does not end the board."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors='replace')
    for line in sys.stdin:
        if line.strip() in {'quit', 'exit'}:
            host.stop()
            return
        _execute(host, line)


def _execute(host: VirtualBoardHost, command: str) -> None:
    try:
        answer = host.execute(command)
    except SimulationError as error:
        answer = f'{command.strip():.60}: {error}'
    if answer:
        print(answer, flush=True)


class _Show:
    """Prints the state each time that it changes: what changed, and after how many seconds."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def __call__(self, seconds: float, state: dict[str, str]) -> None:
        changed = {name: value for name, value in state.items() if self._last.get(name) != value}
        self._last = state
        print(
            f'{seconds:9.2f} s  ' + '  '.join(f'{name}: {value}' for name, value in changed.items()),
            flush=True,
        )
