"""From the start of a process to its first word, beside a bare rclpy node; the same watcher sees both."""

import time
from typing import Any

import bare
from machine import Watch
from processes import Processes
from reactions import Stage
from samples import quantile
from std_msgs.msg import UInt64

from evse_manager.charging.enums import SessionEventEnum
from evse_manager.nodes import names
from evse_manager.nodes.qos import profile

BETWEEN_S = 1.6
"""The board is free again when the lease of the last manager is over."""


def measure(processes: Processes, *, runs: int) -> dict[str, Any]:
    """Return the seconds to ``Enabled`` of a manager and of a whole connector, and of bare nodes."""
    stage = Stage()
    heard: dict[str, float] = {}
    seconds: dict[str, list[float]] = {
        'bare rclpy node': [],
        'manager, its board running': [],
        'manager and board together': [],
    }
    stage.node.create_subscription(
        UInt64, f'/{bare.LATCHED}', lambda _: heard.__setitem__('bare', time.perf_counter()), bare.KEPT
    )
    event = names.topic('session_event')
    for bay in ('/warm_bay', *(f'/cold_bay_{run}' for run in range(runs))):

        def on_event(message: Any, bay: str = bay) -> None:
            if message.event == SessionEventEnum.ENABLED:
                heard[bay] = time.perf_counter()

        stage.node.create_subscription(
            names.load(event.type), f'{bay}/session_event', on_event, profile(event.qos)
        )
    board = processes.node('board_support', '/warm_bay', driver='simulated')
    watch = Watch(processes.pids)
    try:
        for run in range(runs + 1):
            stage.rest(BETWEEN_S)
            bare_s = _seen(stage, heard, 'bare', lambda: [processes.bare('latched')], processes)
            stage.rest(BETWEEN_S)
            warm_s = _seen(
                stage, heard, '/warm_bay', lambda: [processes.node('evse_manager', '/warm_bay')], processes
            )
            if run == 0:  # files come from the disk, byte code is written
                continue
            bay = f'/cold_bay_{run - 1}'
            stage.rest(BETWEEN_S)
            cold_s = _seen(
                stage,
                heard,
                bay,
                lambda bay=bay: [
                    processes.node('board_support', bay, driver='simulated'),
                    processes.node('evse_manager', bay),
                ],
                processes,
            )
            for name, value in zip(seconds, (bare_s, warm_s, cold_s)):
                seconds[name].append(value)
        machine = watch.end()
    finally:
        stage.close()
        processes.stop(board)
    return {
        'figures': {
            name: {
                'runs': len(values),
                'median_s': round(quantile(values, 0.5), 3),
                'min_s': round(min(values), 3),
                'max_s': round(max(values), 3),
            }
            for name, values in seconds.items()
        },
        'machine': machine,
    }


def _seen(stage: Stage, heard: dict[str, float], key: str, start: Any, processes: Processes) -> float:
    """Start processes, wait for their first word, end them; return how long the word took."""
    heard.pop(key, None)
    began = time.perf_counter()
    started = start()
    stage.wait(lambda: key in heard, f'the first word of {key}')
    took = heard[key] - began
    processes.stop(*started)
    return took
