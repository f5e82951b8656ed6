"""
Millions of bytes for the parsers of serial lines: random ones, and valid frames with things wrong.

``make fuzz-parsers`` (BYTES=10000000, SEED=1, RUNS=100000, PARSER=rapi|yeti|modbus) runs this file: so many
bytes for each parser and for each driver's conversation, drawn by a seeded generator, then so many inputs
found by the code that they reach (``fuzz_coverage.py``).  ``test_fuzz_parsers.py`` runs a share of it.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from board.serial.fuzz_conversations import converse
from board.serial.fuzz_subjects import LARGEST_PIECE, SUBJECTS, Subject, mutated

RECOVERY_BYTES = 100_000
"""Least number of valid frames that have to be read among the others."""

SEALED_PER_PIECE = 0.05
PROGRESS_S = 10.0
NO_ENGINE = 'No inputs are found by coverage: atheris is not installed (it exists for x86_64 only).'


def pieces_of(subject: type[Subject], random: Random) -> bytes:
    """Return the next bytes of a line on which everything is wrong."""
    if random.random() < 0.3:
        return random.randbytes(random.choice((1, 2, 7, 64, 300, LARGEST_PIECE)))
    frames = (random.choice(subject.frames) for _ in range(random.randint(1, 12)))
    return b''.join(each if random.random() < 0.05 else mutated(each, random) for each in frames)


def fuzz(name: str, size: int, seed: int, tell: Callable[[str], None] = lambda text: None) -> Subject:
    """Feed a parser with so many bytes; return it."""
    random = Random(seed)
    subject = SUBJECTS[name]()
    begun = told = time.monotonic()
    fed, recovered = 0, 0
    while fed < size:
        data = pieces_of(type(subject), random)
        try:
            cut = random.randint(0, len(data))
            for piece in (data[:cut], data[cut:]):
                subject.feed(piece)
            fed += len(data)
            if random.random() < SEALED_PER_PIECE:
                subject.sealed(mutated(random.choice(subject.frames), random))
            if fed - recovered >= RECOVERY_BYTES:
                recovered = fed
                subject.recover()
        except Exception as error:
            text = f'{name} fails at byte {fed} of seed {seed}: {type(error).__name__}: {error}'
            raise AssertionError(text) from error
        now = time.monotonic()
        if now >= told + PROGRESS_S or fed >= size:
            told = now
            tell(f'{name}: {fed:,} of {size:,} bytes, {subject.accepted:,} valid frames, {now - begun:.0f} s')
    subject.recover()
    return subject


def fuzz_by_coverage(name: str, runs: int, seed: int) -> None:
    """
    Let coverage find inputs, in a process of its own.

    Raises CalledProcessError when an input failed; it is printed with its trace.
    """
    script = Path(__file__).with_name('fuzz_coverage.py')
    subprocess.run([sys.executable, str(script), name, str(runs), str(seed)], check=True)


def has_engine() -> bool:
    """Return whether inputs can be found by coverage."""
    return find_spec('atheris') is not None


def main() -> None:
    parser = argparse.ArgumentParser(description='Feed the parsers of serial lines with garbage.')
    parser.add_argument('--bytes', type=int, default=10_000_000, help='bytes for each parser')
    parser.add_argument('--runs', type=int, default=100_000, help='inputs by coverage, for each parser')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--parser', choices=[*SUBJECTS, 'all'], default='all')
    chosen = parser.parse_args()
    names = list(SUBJECTS) if chosen.parser == 'all' else [chosen.parser]
    for name in names:
        fuzz(name, chosen.bytes, chosen.seed, lambda text: print(text, flush=True))
        talk = converse(name, chosen.bytes, chosen.seed)
        print(
            f'{name}: the conversation got {chosen.bytes:,} bytes and reported nothing false; the link was '
            f'up after {talk.up_steps:,} of {talk.steps:,} attacks.',
            flush=True,
        )
    if not has_engine():
        print(NO_ENGINE)
        return
    for name in names:
        try:
            fuzz_by_coverage(name, chosen.runs, chosen.seed)
        except subprocess.CalledProcessError:
            sys.exit(f'{name}: an input that coverage found fails; see above.')
        print(f'{name}: {chosen.runs:,} inputs by coverage.')


if __name__ == '__main__':
    main()
