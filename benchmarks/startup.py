"""
From the start of a process to its first word, beside a bare rclpy node.

A message has two times: its stamp, and its arrival at the watcher.  In between lies
the discovery of the watcher, which is independent of the sender; the same watcher receives both.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import bare
from machine import Watch
from processes import Child, Processes
from reactions import Stage
from samples import quantile
from std_msgs.msg import UInt64

from evse_manager.interface import endpoints
from evse_manager.interface.enums import SessionEventEnum
from evse_manager.nodes.qos import profile

BETWEEN_S = 1.6
"""The board is free again when the lease of the last manager is over."""


class Word(NamedTuple):
    """The first word of a process: seconds of the wall clock."""

    said: float
    heard: float


def measure(processes: Processes, *, runs: int) -> dict[str, Any]:
    """Return the seconds to ``Enabled`` of a manager and of a whole connector, and of bare nodes."""
    stage = Stage()
    words: dict[str, Word] = {}
    took: dict[str, list[Word]] = {
        'bare rclpy node': [],
        'manager, its board running': [],
        'manager and board together': [],
    }
    stage.node.create_subscription(
        UInt64,
        f'/{bare.LATCHED}',
        lambda message: words.__setitem__('bare', Word(message.data * 1e-9, time.time())),
        bare.KEPT,
    )
    event = endpoints.topic('session_event')
    for view in ('/warm_bay', *(f'/cold_bay_{run}' for run in range(runs))):

        def on_event(message: Any, view: str = view) -> None:
            if message.event == SessionEventEnum.ENABLED:
                words[view] = Word(message.stamp.sec + message.stamp.nanosec * 1e-9, time.time())

        stage.node.create_subscription(
            endpoints.load(event.type), f'{view}/session_event', on_event, profile(event.qos)
        )
    board = processes.node('board_support', '/warm_bay', driver='simulated')
    watch = Watch(processes.pids)
    try:
        for run in range(runs + 1):
            stage.rest(BETWEEN_S)
            of_bare = _first_word(stage, words, 'bare', lambda: [processes.bare('latched')], processes)
            stage.rest(BETWEEN_S)
            of_warm = _first_word(
                stage, words, '/warm_bay', lambda: [processes.node('evse_manager', '/warm_bay')], processes
            )
            if run == 0:  # files come from the disk, byte code is written
                continue
            view = f'/cold_bay_{run - 1}'
            stage.rest(BETWEEN_S)
            of_cold = _first_word(
                stage,
                words,
                view,
                lambda view=view: [
                    processes.node('board_support', view, driver='simulated'),
                    processes.node('evse_manager', view),
                ],
                processes,
            )
            for name, word in zip(took, (of_bare, of_warm, of_cold)):
                took[name].append(word)
        machine = watch.end()
    finally:
        stage.close()
        processes.stop(board)
    return {
        'figures': {
            name: {
                'runs': len(words_of),
                'said': _spread([word.said for word in words_of]),
                'heard': _spread([word.heard for word in words_of]),
            }
            for name, words_of in took.items()
        },
        'machine': machine,
    }


def _first_word(
    stage: Stage,
    words: dict[str, Word],
    key: str,
    start: Callable[[], list[Child]],
    processes: Processes,
) -> Word:
    """Start processes, wait for their first message, end them; return the times of its stamp and arrival."""
    words.pop(key, None)
    began = time.time()
    started = start()
    stage.wait(lambda: key in words, f'the first word of {key}')
    processes.stop(*started)
    return Word(words[key].said - began, words[key].heard - began)


def _spread(seconds: list[float]) -> dict[str, float]:
    return {
        'median_s': round(quantile(seconds, 0.5), 3),
        'min_s': round(min(seconds), 3),
        'max_s': round(max(seconds), 3),
    }
