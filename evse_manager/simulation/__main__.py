"""Play a script with kernel, board and world in one process: ``python3 -m evse_manager.simulation FILE``."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from evse_manager.interface.parameters import ConfigError
from evse_manager.simulation.bench import EPOCH, Bench, Recorded
from evse_manager.simulation.faults import FAULTS, SimulationError
from evse_manager.simulation.profiles import PROFILES
from evse_manager.simulation.script import STEPS, ScriptError, parse
from evse_manager.simulation.world import WorldSettings


def main(arguments: list[str] | None = None) -> int:
    """Play a script and print what happened; return 0, or 2 when the script is wrong."""
    parser = argparse.ArgumentParser(
        prog='python3 -m evse_manager.simulation',
        description='Play a script of timed steps, without ROS and much faster than real time.',
        epilog=_vocabulary(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('script', help='file with the steps, - for standard input')
    parser.add_argument('--seed', type=int, default=1, help='seed of everything random (default 1)')
    parser.add_argument(
        '--sample-period',
        type=float,
        default=1.0,
        metavar='S',
        help='how often the meter reports (default 1)',
    )
    options = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if options.script == '-' else Path(options.script).read_text(encoding='utf-8')
        steps = parse(text)
        bench = Bench(settings=WorldSettings(seed=options.seed, sample_period_s=options.sample_period))
        bench.play(steps)
        bench.run_for(steps[-1].at if steps else 0.0)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is no text in UTF-8'
        print(f'The script {options.script} cannot be read: {reason}.', file=sys.stderr)
        return 2
    except (ScriptError, SimulationError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 2
    for recorded in bench.events:
        print(f'{_clock(recorded)}  {recorded.code}')
    register = bench.sample.energy_wh_import.total if bench.sample is not None else None
    print(f'meter {register or 0.0:.1f} Wh; {bench.status.reason_text}')
    return 0


def _clock(recorded: Recorded) -> str:
    moment = datetime.fromtimestamp(int(EPOCH) / 1e9 + recorded.at, UTC)
    return f'{moment:%d %H:%M:%S}.{moment.microsecond // 1000:03d}'


def _vocabulary() -> str:
    steps = '\n'.join(f'  {kind.usage:40} {kind.description}' for kind in STEPS.values())
    return f'steps:\n{steps}\n\nEV profiles: {", ".join(PROFILES)}\nfaults: {", ".join(FAULTS)}'


if __name__ == '__main__':
    sys.exit(main())
