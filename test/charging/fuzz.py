"""
Millions of steps: the moves of the random walks, drawn by a seeded generator, under the same invariants.

``make fuzz`` (STEPS=10000000, SEED=1) runs this file; ``test_fuzz.py`` runs a share of it.  Steps are the
kernel's, as the invariant checker counts them.  A walk that fails is named by its seed:
``--seed N --steps 1`` repeats it.
"""

import argparse
import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from charging.test_random_walks import (
    BOARDS,
    COMMANDS,
    CONFIGS,
    HARDWARES,
    TEMPERATURES,
    WITHDRAWALS,
    Walk,
)
from evse_manager.interface.enums import BoardErrorEnum, OpeningReason, ProximityState

MOVES_OF_A_WALK = 120
REPEATED_WALKS = 10
"""Every so many walks the same inputs are played once more and have to give the same outputs."""

PROGRESS_S = 10.0
BREAKAGES = ('welded', 'blocked', 'jammed', 'deaf', 'phases_stuck', 'metered')
SPECIAL_A = (0.0, 5.95, 6.0, 13.0, 51.7, 80.0, math.nan, math.inf)
POWERS_W = (-1.0, 0.0, 1380.0, 3680.0, 7360.0, 11_040.0, 60_000.0, math.nan)
REGISTERS_WH = (None, 0.0, 5000.0, 1e6, math.nan, -1.0, math.inf)
ERRORS = tuple(error for error in BoardErrorEnum if error)


def amperes(random: Random) -> float:
    return random.choice(SPECIAL_A) if random.random() < 0.5 else random.uniform(-10.0, 90.0)


def toggle_link(walk: Walk) -> None:
    if walk.harness.silent:
        Walk.find_board(walk)
    else:
        Walk.lose_board(walk)


Move = Callable[[Walk, Random], None]
MOVES: tuple[Move, ...] = (
    lambda w, r: Walk.pilot(w, r.choice('ABBBCCCCCDE')),
    lambda w, r: Walk.pilot(w, r.choice('BC')),
    lambda w, r: Walk.pilot_between_two_reports(w, r.choices('ABCCDE', k=r.randint(2, 20))),
    lambda w, r: Walk.charge(w),
    lambda w, r: Walk.charge(w),
    lambda w, r: Walk.command(w, r.choice(COMMANDS)),
    lambda w, r: Walk.command(w, r.choice(COMMANDS)),
    lambda w, r: Walk.withdraw_from_an_ev_that_stays_in_c(w, r.choice(WITHDRAWALS), r.choice((5.0, 7.0))),
    lambda w, r: Walk.external_limit(w, amperes(r), r.randint(-1, 4), r.random() < 0.5),
    lambda w, r: Walk.grant(w, amperes(r), r.choice((-1.0, 0.0, 1.0, 10.0, 1e9)), r.randint(0, 3)),
    lambda w, r: Walk.power_limit(w, r.choice(POWERS_W), r.random() < 0.5, r.randint(0, 3)),
    lambda w, r: Walk.temperature(w, r.choice(TEMPERATURES)),
    lambda w, r: Walk.temperatures_among_quiet_states(w, r.choices(TEMPERATURES, k=3)),
    lambda w, r: Walk.capabilities(w, r.choice((0.0, 6.0, 16.0, 32.0, 80.0))),
    lambda w, r: Walk.parameters(w, r.choice((0.0, 6.0, 10.0, 32.0, 80.0)), r.choice((1.0, 10.0, 60.0))),
    lambda w, r: Walk.errors(w, r.sample(ERRORS, r.randint(0, 2))),
    lambda w, r: Walk.errors(w, []),
    lambda w, r: Walk.breakage(w, r.choice(BREAKAGES), r.random() < 0.5),
    lambda w, r: Walk.board_opens(w, r.choice(tuple(OpeningReason))),
    lambda w, r: Walk.replug(w),
    lambda w, r: Walk.board_disagrees(w, r.choice((0.0, 0.0, 0.3, 5.0))),
    lambda w, r: toggle_link(w),
    lambda w, r: Walk.restart_board(w, r.choice((0.5, 4.0, 60.0))),
    lambda w, r: Walk.cable(w, r.choice(tuple(ProximityState)), r.choice((None, 13.0, 32.0))),
    lambda w, r: Walk.meter(w, r.choice(REGISTERS_WH), amperes(r)),
    lambda w, r: Walk.wait(w, r.choice((0.001, 0.3, 1.0, 1.0, 2.9, 3.1, 6.1, 12.0))),
    lambda w, r: Walk.wall_clock_jumps(w, r.choice((-1_000_000, -24, 24, 1_000))),
    lambda w, r: Walk.others(w, r.random() < 0.5),
)
"""The rules of ``test_random_walks.Walk``, with values drawn here."""


def play(seed: int) -> int:
    """Play the walk of a seed; return how many steps the kernel made."""
    return walked(seed).harness.invariants.steps


def walked(seed: int) -> Walk:
    """Play the walk of a seed; return it with everything that it recorded."""
    random = Random(seed)
    walk = object.__new__(Walk)  # the rules without Hypothesis, which is slower than the kernel
    try:
        Walk.begin(walk, random.choice(CONFIGS), random.choice(BOARDS), random.choice(HARDWARES))
        for _ in range(MOVES_OF_A_WALK):
            random.choice(MOVES)(walk, random)
        walk.mend()
        walk.charge_afresh()
        walk.shut_down()
        if seed % REPEATED_WALKS == 0:
            walk.repeat()
    except Exception as error:
        raise AssertionError(f'The walk of seed {seed} fails: {type(error).__name__}: {error}') from error
    return walk


def digest(steps: int, seed: int) -> str:
    """Return a digest of every output of at least this many steps: equal as long as the behavior is."""
    sha = hashlib.sha256()
    done = 0
    for number in count(seed):
        walk = walked(number)
        for _, _, output in walk.harness.tape:
            sha.update(repr(output).encode())
        done += walk.harness.invariants.steps
        if done >= steps:
            return sha.hexdigest()
    raise AssertionError('unreachable: the seeds do not end')


def results(seeds: Iterator[int], jobs: int) -> Iterator[int]:
    """Play walk after walk, ``jobs`` at a time."""
    if jobs == 1:
        yield from map(play, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(play, next(seeds)) for _ in range(2 * jobs)]
        try:
            while True:
                steps = waiting.pop(0).result()
                waiting.append(pool.submit(play, next(seeds)))
                yield steps
        finally:
            pool.shutdown(cancel_futures=True)


def fuzz(steps: int, seed: int, jobs: int = 1, tell: Callable[[str], None] = lambda text: None) -> int:
    """Walk until the kernel has made so many steps; return how many there were."""
    begun = told = time.monotonic()
    done = 0
    for walks, of_one in enumerate(results(count(seed), jobs), 1):
        done += of_one
        now = time.monotonic()
        if now >= told + PROGRESS_S or done >= steps:
            told = now
            rate = done / max(now - begun, 0.001)
            tell(f'{done:,} of {steps:,} steps in {walks:,} walks, {now - begun:.0f} s, {rate:,.0f} steps/s')
        if done >= steps:
            break
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description='Play random walks of the charging kernel.')
    parser.add_argument('--steps', type=int, default=10_000_000, help='steps of the kernel')
    parser.add_argument('--seed', type=int, default=1, help='seed of the first walk')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1, help='processes')
    parser.add_argument('--digest', action='store_true', help='print a digest of all outputs')
    chosen = parser.parse_args()
    if chosen.digest:
        print(digest(chosen.steps, chosen.seed))
        return
    fuzz(chosen.steps, chosen.seed, chosen.jobs, lambda text: print(text, flush=True))
    print('Every step kept every invariant.')


if __name__ == '__main__':
    main()
