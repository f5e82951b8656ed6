"""
Processor time and memory of a connector: idle, charging, and of as many empty rclpy nodes.

All pairs run side by side and are counted over the same seconds.
"""

import time
from collections.abc import Mapping
from typing import Any

from machine import Watch, cpu_s, memory
from processes import Child, Processes
from reactions import Stage
from staged_board import authorization

from evse_manager.interface import endpoints
from evse_manager.nodes.qos import profile

IDLE, CHARGING = '/idle_bay', '/charging_bay'


def measure(processes: Processes, *, seconds: float) -> dict[str, Any]:
    """Return CPU (percent of one core) and memory (MB) of each process."""
    pairs = {
        'empty rclpy nodes': {'node 1': processes.bare('idle'), 'node 2': processes.bare('idle')},
        'idle connector': _connector(processes, IDLE),
        'charging connector': _connector(processes, CHARGING),
    }
    charge()  # its node is gone before anything is counted
    try:
        time.sleep(3.0)
        watch = Watch(processes.pids)
        return {'figures': usage(pairs, seconds=seconds), 'machine': watch.end()}
    finally:
        processes.stop(*(process for pair in pairs.values() for process in pair.values()))


def usage(pairs: Mapping[str, Mapping[str, Child]], *, seconds: float) -> dict[str, Any]:
    """Return processor time and memory of each process, all counted over the same seconds."""
    children = [process for pair in pairs.values() for process in pair.values()]
    before = [cpu_s(process.pid) for process in children]
    began = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    shares = iter([(cpu_s(process.pid) - start) / elapsed * 100 for process, start in zip(children, before)])
    return {
        pair: {
            name: {'cpu_percent': round(next(shares), 3), **memory(process.pid)}
            for name, process in members.items()
        }
        for pair, members in pairs.items()
    }


def _connector(processes: Processes, namespace: str) -> dict[str, Child]:
    return {
        'board_support': processes.node('board_support', namespace, driver='simulated'),
        'evse_manager': processes.node('evse_manager', namespace),
    }


def charge() -> None:
    """Let a car charge at one connector until power flows; the other is enabled, too."""
    stage = Stage()
    power: dict[str, float] = {}
    plugged: dict[str, bool] = {}
    status = endpoints.topic('status')
    kind = endpoints.load(status.type)
    for namespace in (IDLE, CHARGING):

        def on_status(message: Any, view: str = namespace) -> None:
            power[view], plugged[view] = message.power_w, message.plugged

        stage.node.create_subscription(kind, f'{namespace}/status', on_status, profile(status.qos))
    try:
        stage.wait(lambda: set(plugged) == {IDLE, CHARGING}, 'a status of both connectors')
        call(stage, CHARGING, 'simulation/plug_in')
        stage.wait(lambda: plugged[CHARGING], 'the plug in the status')
        call(stage, CHARGING, 'authorize_response', **authorization())
        stage.wait(lambda: power[CHARGING] > 20_000.0, 'the power of a charging car')
    finally:
        stage.close()


def call(stage: Stage, namespace: str, name: str, **fields: Any) -> None:
    """Call a service of a connector; raises RuntimeError when it is refused."""
    kind = endpoints.load(endpoints.service(name).type)
    client = stage.node.create_client(kind, f'{namespace}/{name}')
    stage.wait(client.service_is_ready, name)
    future = client.call_async(kind.Request(**fields))
    stage.wait(future.done, name)
    if not future.result().success:
        raise RuntimeError(f'{name}: {future.result().message}')
