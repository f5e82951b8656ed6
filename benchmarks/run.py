#!/usr/bin/env python3
"""
Measure everything, print it, and write it into ``benchmarks/results.json`` and ``docs/performance.md``.

usage: python3 benchmarks/run.py [--quick] [--dry] [PART ...]   (reactions, startup, … see --help)

``--quick`` takes few samples; ``--dry`` writes no file.  Parts that are not named keep their figures.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Before anything of ROS is imported: no foreign nodes are on the graph of a run.
os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randint(80, 99))
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ.pop('ROS_PYTHON_CHECK_FIELDS', None)

import command_line
import machine
import pure
import reactions
import records
import report
import resources
import serial_line
import startup
from processes import Processes, running

import depot

RESULTS = Path(__file__).parent / 'results.json'


def parts(*, quick: bool) -> dict[str, Callable[[Processes], dict[str, Any]]]:
    """Return what can be measured, in the order in which it is."""
    managers, samples = (3, 9) if quick else (14, 300)
    return {
        'reactions': lambda processes: reactions.measure(processes, managers=managers, samples=samples),
        'startup': lambda processes: startup.measure(processes, runs=2 if quick else 15),
        'resources': lambda processes: resources.measure(processes, seconds=8.0 if quick else 30.0),
        'serial': lambda processes: serial_line.measure(
            processes, sessions=1 if quick else 8, pulls=1 if quick else 4, seconds=5.0 if quick else 20.0
        ),
        'pure': lambda _: pure.measure(),
        'records': lambda _: records.measure(samples=20 if quick else 200),
        'commands': lambda processes: command_line.measure(
            processes, calls=3 if quick else 20, seconds=5.0 if quick else 30.0
        ),
        'depot': lambda processes: depot.measure(
            processes,
            counts=(2,) if quick else (8, 100),
            seconds=5.0 if quick else 20.0,
            changes=1 if quick else 5,
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='few samples, to see that it works')
    parser.add_argument('--dry', action='store_true', help='write no file')
    parser.add_argument('part', nargs='*', help=f'{", ".join(parts(quick=True))}; default: all')
    chosen = parser.parse_args()
    known = parts(quick=chosen.quick)
    unknown = sorted(set(chosen.part) - set(known))
    if unknown:
        parser.error(f'unknown part {unknown[0]}; known are: {", ".join(known)}')

    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not chosen.part or 'machine' not in results:
        results['machine'] = machine.description()
    print(f'load average {machine.load():.2f}')
    for name, measure in known.items():
        if chosen.part and name not in chosen.part:
            continue
        began = time.monotonic()
        with running() as processes:
            try:
                result = measure(processes)
            except (TimeoutError, RuntimeError):
                print(processes.complain(), file=sys.stderr)
                raise
        results[name] = {
            **result,
            'date': f'{datetime.now(UTC):%Y-%m-%d %H:%M} UTC',
            'quick': chosen.quick,
            'processor': machine.description()['processor'],
        }
        if not chosen.dry:
            RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + '\n')
        print(f'{name}: {time.monotonic() - began:.0f} s, load average {machine.load():.2f}', flush=True)
    print(f'\n{report.tables(results)}')
    if not chosen.dry:
        report.write(results)
    return 0


if __name__ == '__main__':
    sys.exit(main())
